"""run.sh on Slack: the whole pipeline against the fake one."""
import asyncio
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import urllib.request

import aiohttp
import pytest

from conftest import ROOT
from disk import Disk
from records import read_journal, read_records
from slack import APP_TOKEN, BOT_TOKEN, FakeSlack, fake_slack  # noqa: F401
from test_run import DAY, Pipeline, count_waiting, find_port, wait_for

CREDENTIALS = {"BASIC_AUTH_USERNAME": "qa", "BASIC_AUTH_PASSWORD": "secret"}
TOKENS = ("SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "SLACK_BOT_ULTRON")


def follow(slack, folder, *arguments, **env):
    """run.sh on that Slack, once both its connections stand."""
    mark = slack.mark
    pipeline = Pipeline(folder, *arguments,
                        env={**slack.environment, **CREDENTIALS, **env})
    try:
        slack.wait_for("hello", 2, timeout=60, after=mark)
    except AssertionError:
        pipeline.__exit__()
        raise AssertionError(pipeline.said()) from None
    return pipeline


def texts(records):
    return [record["text"] for record in records
            if record.get("type") == "message"]


def wait_for_texts(pipeline, wanted, seconds=60):
    """Until all these have come out."""
    def none_missing():
        return wanted <= set(texts(read_records(
            pathlib.Path(pipeline.out.name))))
    try:
        wait_for(none_missing, seconds, "what was sent")
    except AssertionError:
        seen = set(texts(read_records(pathlib.Path(pipeline.out.name))))
        missing = [text[:40] for text in sorted(wanted - seen)]
        raise AssertionError(f"missing: {len(missing)}, {missing[:9]}\n"
                             + pipeline.said()) from None


def stop(pipeline):
    pipeline.run.terminate()
    assert pipeline.run.wait(20) == 0, pipeline.said()


def call_run(*arguments, env=None):
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(TOKENS)}
    return subprocess.run(
        [ROOT / "run.sh", *map(str, arguments)], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
        env={**clean, **(env or {})})


# --- the way through ---------------------------------------------------------

def test_what_is_said_in_slack_comes_out_and_onto_the_dashboard(
        fake_slack, tmp_path):  # noqa: F811
    async def watch(pipeline):
        url = f"http://127.0.0.1:{pipeline.port}/ultronex/ws/slack"
        async with aiohttp.ClientSession(
                auth=aiohttp.BasicAuth("qa", "secret")) as session, \
                session.ws_connect(url) as viewer:
            await asyncio.to_thread(fake_slack.send, "build 42 failed :x:")
            async for frame in viewer:
                for line in frame.data.split("\n"):
                    if line.startswith("{"):
                        return json.loads(line)

    with follow(fake_slack, tmp_path) as pipeline:
        shown = asyncio.run(asyncio.wait_for(watch(pipeline), 20))
        wait_for_texts(pipeline, {"build 42 failed :x:"})
        record, = pipeline.records()
        assert shown == record
        assert record["seq"] == 1 and record["source"] == "slack"
        assert record["class"] == "danger"
        assert record["event_id"].startswith("Ev")
        assert read_journal(pipeline.state)[0]["ts"] == record["ts"]
        stop(pipeline)
    closed = fake_slack.wait_for("close_socket", 2)
    assert all(entry["by"] == "client" and entry["clean"]
               for entry in closed), closed
    assert fake_slack.errors() == []


def test_the_inbox_leads_the_same_way(fake_slack, tmp_path):  # noqa: F811
    with follow(fake_slack, tmp_path) as pipeline:
        with socket.socket(socket.AF_UNIX) as inbox:
            inbox.settimeout(10)
            inbox.connect(str(pipeline.state / "inbox.sock"))
            inbox.sendall(b'{"type":"api_message","text":":warning: disk"}\n'
                          b'no record\n')
            answers = inbox.makefile()
            assert json.loads(answers.readline()) == {"ok": True, "seq": 1}
            assert json.loads(answers.readline())["ok"] is False
        record, = wait_for(pipeline.records, 20, "the record")
        assert (record["source"], record["class"]) == ("inbox", "warning")
        stop(pipeline)


def test_status_tells_of_slack_too(fake_slack, tmp_path):  # noqa: F811
    with follow(fake_slack, tmp_path) as pipeline:
        def ask():
            return call_run("--status", "--state",
                            pipeline.state).stdout.splitlines()[-1]

        wait_for(lambda: re.fullmatch(
            r"Slack: connected since \S+Z, connections: 2; journal: ok,"
            " last record: 0", ask()), 10, "the connections")
        fake_slack.send("one")
        wait_for(lambda: ask().endswith("last record: 1"), 10, "the record")
        fake_slack.fail_next("apps.connections.open", times=99,
                             error="internal_error")
        fake_slack.kill()
        wait_for(lambda: ask().startswith("Slack: connecting"), 10,
                 "the end of the connections")
        pipeline.kill("slack-reader", signal.SIGSTOP)
        assert ask().startswith("Slack: connecting")
        pipeline.kill("slack-reader", signal.SIGCONT)
        stop(pipeline)
        assert not list((pipeline.state / "running").glob("*.status"))


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk", 16 << 20)
    yield disk
    disk.stop()


def test_status_on_a_full_disk(fake_slack, tmp_path, disk):  # noqa: F811
    def ask():
        rows = subprocess.run(
            [*disk.enter, ROOT / "run.sh", "--status", "--state",
             pipeline.state], capture_output=True, text=True, timeout=20,
            check=True).stdout.splitlines()
        return {row.split()[0]: row.split()[1:] for row in rows}

    with Pipeline(tmp_path, state=disk.path / "state", enter=disk.enter,
                  env={**fake_slack.environment,
                       **CREDENTIALS}) as pipeline:
        before = wait_for(lambda: pipeline.run.poll() is None and
                          disk.root.joinpath("state", "lock").exists() and
                          "connected" in ask().get("Slack:", ()) and ask(),
                          60, "the connections")
        disk.fill()
        os.kill(int(before["scanner"][0]), signal.SIGKILL)
        fake_slack.send("x" * 5000)
        wait_for(lambda: "full," in ask()["Slack:"], 20, "the full disk")
        after = wait_for(lambda: ask()["scanner"][2:3] == ["1"] and ask(),
                         20, "another scanner")
        assert after["scanner"][0] != before["scanner"][0]
        assert [row for row in after.values() if "answer" in row] == []
        disk.clear()
        wait_for(lambda: "ok," in ask()["Slack:"], 20, "room")
        stop(pipeline)


def test_the_line_of_the_readme_hands_something_in(
        fake_slack, tmp_path):  # noqa: F811
    line = re.search(r"^    (python3 -c 'import socket.*?)\n    \{\"ok\"",
                     (ROOT / "README.md").read_text(), re.M | re.S).group(1)
    with follow(fake_slack, tmp_path) as pipeline:
        done = subprocess.run(
            line.replace("\n    ", "\n"), shell=True, cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, timeout=20, check=True)
        assert json.loads(done.stdout) == {"ok": True, "seq": 1}
        wait_for(pipeline.records, 20, "the record")
        stop(pipeline)


def test_the_channel_list_and_a_certificate_reach_the_reader(tmp_path):
    with FakeSlack(tls=True) as slack, follow(
            slack, tmp_path, SLACK_CA_FILE=slack.ca_file,
            SLACK_CHANNEL_LIST="C0EXAMPLE2") as pipeline:
        slack.send("not wanted", channel="C0EXAMPLE1")
        slack.send("wanted", channel="C0EXAMPLE2")
        wait_for_texts(pipeline, {"wanted"})
        stop(pipeline)
        assert texts(pipeline.records()) == ["wanted"]


# --- deaths ------------------------------------------------------------------

def test_nothing_is_missing_after_the_reader_was_killed_amid_a_stream(
        tmp_path):
    wanted = {f"message {number}" for number in range(1, 1501)}
    with FakeSlack("--retries", "0,1,2") as slack, \
            follow(slack, tmp_path) as pipeline:
        slack.burst(1500, rate=250, text="message {n}")
        for so_many in (200, 700):
            wait_for(lambda: len(texts(read_journal(pipeline.state)))
                     > so_many, 30, f"{so_many} messages")
            old = pipeline.kill("slack-reader")
            wait_for(lambda: pipeline.pid("slack-reader") not in (None, old),
                     5, "the return of slack-reader")
        slack.wait_for("burst_over", timeout=60)
        wait_for_texts(pipeline, wanted)
        assert pipeline.said().count(
            "slack-reader was killed by signal 9") == 2
        stop(pipeline)
        journal = read_journal(pipeline.state)
        assert sorted(texts(journal)) == sorted(wanted)
        assert [record["seq"] for record in journal] == \
            list(range(1, len(journal) + 1))


def test_half_a_line_that_a_dead_reader_left_costs_nothing(tmp_path):
    large = "x" * 3000000       # more than a pipe holds
    with FakeSlack("--retries", "0,1,2") as slack, \
            follow(slack, tmp_path) as pipeline:
        slack.send("first")
        wait_for(lambda: (pipeline.state / "stats.json").exists(), 10,
                 "the first count")
        pipeline.kill("keep-attach-fetch", signal.SIGSTOP)
        sent = slack.send(large)
        slack.wait_until(lambda s: sent["event_id"] in s.acks(), timeout=20)
        pipe = pathlib.Path(
            f"/proc/{pipeline.pid('keep-attach-fetch')}/fd/0")
        with open(os.open(pipe, os.O_RDONLY), "rb") as stream:
            wait_for(lambda: count_waiting(stream) > 60000, 10, "half a line")
        old = pipeline.kill("slack-reader")
        pipeline.kill("keep-attach-fetch", signal.SIGCONT)
        wait_for(lambda: pipeline.pid("slack-reader") not in (None, old), 15,
                 "the return of slack-reader")
        wait_for_texts(pipeline, {large})
        assert not any("error" in record for record in pipeline.records())
        assert "an unfinished last line" in pipeline.said()
        stop(pipeline)


def test_after_the_death_of_all_it_goes_on_where_it_was(tmp_path):
    wanted = {f"message {number}" for number in range(1, 1001)}
    with FakeSlack("--retries", "0,1,2") as slack:
        with follow(slack, tmp_path) as pipeline:
            slack.burst(1000, rate=250, text="message {n}")
            wait_for(lambda: len(read_journal(pipeline.state)) > 300, 30,
                     "300 messages")
            os.killpg(pipeline.run.pid, signal.SIGKILL)
            pipeline.run.wait(10)
            seen = set(texts(read_records(tmp_path / "out.ndjson")))
        slack.wait_for("burst_over", timeout=30)
        with follow(slack, tmp_path) as pipeline:
            wait_for_texts(pipeline, wanted - seen)
            stop(pipeline)
        assert sorted(texts(read_journal(pipeline.state))) == sorted(wanted)
        counts = json.loads((pipeline.state / "stats.json").read_text())
        assert counts["total_msg_count"] == 1000


def test_a_second_start_counts_on_and_shows_nothing_twice(
        fake_slack, tmp_path):  # noqa: F811
    for number in (1, 2):
        with follow(fake_slack, tmp_path) as pipeline:
            fake_slack.send(f"message {number}")
            wait_for_texts(pipeline, {f"message {number}"})
            stop(pipeline)
            record, = pipeline.records()
            assert record["seq"] == number
    counts = json.loads((pipeline.state / "stats.json").read_text())
    assert counts["records"] == counts["seq"] == 2


# --- secrets -----------------------------------------------------------------

def find_in_files(folder, secrets):
    return [path for path in folder.rglob("*") if path.is_file()
            and any(secret.encode() in path.read_bytes()
                    for secret in secrets)]


def find_in_arguments(secrets):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes()
        except OSError:
            continue
        if any(secret.encode() in arguments for secret in secrets):
            found.append(arguments)
    return found


@pytest.mark.parametrize("way", ["environment", "file", "ultron.conf"])
def test_tokens_are_written_nowhere(tmp_path, way):
    secrets = (APP_TOKEN, BOT_TOKEN, "ticket=")
    private, folder = tmp_path / "private", tmp_path / "run"
    private.mkdir()
    folder.mkdir()
    with FakeSlack("--retries", "0,1,2") as slack:
        env = {"SLACK_API_URL": slack.api_url, **CREDENTIALS}
        arguments = []
        if way == "environment":
            env = {**env, **slack.environment}
        elif way == "file":
            for name, token in slack.environment.items():
                if name.endswith("TOKEN"):
                    (private / name).write_text(token + "\n")
                    env[f"{name}_FILE"] = str(private / name)
        else:
            config = private / "ultron.conf"
            config.touch(mode=0o600)
            config.write_text("".join(
                f"{name} = '{value}'\n"
                for name, value in slack.environment.items()))
            arguments = ["--config", config]
        with Pipeline(folder, *arguments, env=env) as pipeline:
            slack.wait_for("hello", 2, timeout=60)
            slack.send("hello")
            slack.fail_next("users.info", times=2, body="html", status=502)
            slack.kill("newest")
            slack.refresh("oldest", warning=0.1, grace=0.1)
            slack.send("look", uploads=[{"name": "a.txt", "text": "x"}])
            wait_for_texts(pipeline, {"hello", "look"})
            assert find_in_arguments(secrets) == []
            environments = {
                stage: pathlib.Path(f"/proc/{pipeline.pid(stage)}/environ")
                .read_text() for stage in ("scanner", "classifier",
                                           "ws-broadcast", "stats")}
            for stage, environment in environments.items():
                if way != "environment":
                    assert "xoxb-" not in environment, stage
                    assert "xapp-" not in environment, stage
            stop(pipeline)
    assert find_in_files(folder, secrets) == []


# --- configuration -----------------------------------------------------------

def test_without_tokens_it_says_what_to_set(tmp_path):
    done = call_run("--state", tmp_path / "state")
    assert done.returncode == os.EX_CONFIG and done.stdout == ""
    said, = done.stderr.splitlines()
    for expected in ("SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "README.md",
                     "ultron.conf"):
        assert expected in said
    assert not (tmp_path / "state").exists()


def test_one_token_alone_is_not_enough(tmp_path):
    for arguments in ([], ["--check"]):
        done = call_run("--state", tmp_path / "state", *arguments,
                        env={"SLACK_APP_TOKEN": APP_TOKEN})
        assert done.returncode == os.EX_CONFIG
        assert "set SLACK_BOT_TOKEN in" in done.stderr
        assert "SLACK_APP_TOKEN" not in done.stderr
        assert APP_TOKEN not in done.stderr


def test_check_names_the_tokens_that_are_set(tmp_path):
    secret = tmp_path / "app"
    secret.write_text(APP_TOKEN + "\n")
    done = call_run("--check", "--state", tmp_path / "state",
                    env={"SLACK_APP_TOKEN_FILE": str(secret),
                         "SLACK_BOT_ULTRON": BOT_TOKEN})
    assert done.returncode == 0, done.stderr
    said, = done.stderr.splitlines()
    assert "SLACK_APP_TOKEN_FILE" in said and "SLACK_BOT_ULTRON" in said
    assert APP_TOKEN not in said and BOT_TOKEN not in said
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("setting, expected", [
    ({"SLACK_APP_TOKEN": BOT_TOKEN}, "SLACK_APP_TOKEN"),
    ({"SLACK_BOT_TOKEN": "not a token"}, "SLACK_BOT_TOKEN"),
    ({"SLACK_API_URL": "http://slack.example.com/api/"}, "SLACK_API_URL"),
    ({"SLACK_CHANNEL_LIST": "general"}, "SLACK_CHANNEL_LIST"),
    ({"SLACK_CA_FILE": "/nowhere"}, "/nowhere"),
])
def test_check_finds_what_slack_reader_finds(tmp_path, setting, expected):
    done = call_run(
        "--check", "--state", tmp_path / "state",
        env={"SLACK_APP_TOKEN": APP_TOKEN, "SLACK_BOT_TOKEN": BOT_TOKEN,
             **setting})
    assert done.returncode == os.EX_CONFIG
    found = [line for line in done.stderr.splitlines()
             if line.startswith("slack-reader: ")]
    assert len(found) == 1 and expected in found[0], done.stderr
    assert not any(token in done.stderr for token in (
        APP_TOKEN, BOT_TOKEN, "not a token"))


@pytest.mark.parametrize("name", ["app", "bot"])
def test_a_wrong_token_ends_all_with_the_readers_sentence(
        fake_slack, tmp_path, name):  # noqa: F811
    fake_slack.control("token", name=name, error="invalid_auth")
    with Pipeline(tmp_path, env=fake_slack.environment) as pipeline:
        assert pipeline.run.wait(60) == os.EX_CONFIG, pipeline.said()
        said = [line for line in pipeline.said().splitlines()
                if f" slack-reader: SLACK_{name.upper()}_TOKEN: " in line]
        assert len(said) == 1 and "invalid_auth" in said[0], pipeline.said()
        assert "starting it again" not in pipeline.said()


def test_a_config_that_others_can_read_is_told(tmp_path):
    config = tmp_path / "ultron.conf"
    config.write_text(f"SLACK_APP_TOKEN={APP_TOKEN}\n"
                      f"SLACK_BOT_TOKEN={BOT_TOKEN}\n")
    for mode, is_told in ((0o644, True), (0o600, False)):
        config.chmod(mode)
        done = call_run("--check", "--config", config)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("others can read") == is_told


# --- state folders -----------------------------------------------------------

def run_replay(*arguments, env=None):
    return call_run("--replay", DAY, "--speed", "max", "--offline", "--listen",
                    f"127.0.0.1:{find_port()}", *arguments, env=env)


def test_a_replay_leaves_the_live_state_alone(
        fake_slack, tmp_path):  # noqa: F811
    with follow(fake_slack, tmp_path) as pipeline:
        fake_slack.send("hello")
        wait_for_texts(pipeline, {"hello"})
        beside = run_replay(env={"STATE": str(pipeline.state)})
        assert beside.returncode == 0, beside.stderr
        assert len(beside.stdout.splitlines()) == \
            len(DAY.read_text().splitlines())
        assert (pipeline.state / "replay" / "stats.json").exists()
        stop(pipeline)
    counts = json.loads((pipeline.state / "stats.json").read_text())
    assert counts["records"] == 1

    done = run_replay("--state", pipeline.state)
    assert done.returncode == os.EX_CONFIG and done.stdout == ""
    assert "another --state" in done.stderr
    assert json.loads((pipeline.state / "stats.json").read_text()) == counts


def test_yesterday_is_replayed_from_the_journal(
        fake_slack, tmp_path):  # noqa: F811
    with follow(fake_slack, tmp_path) as pipeline:
        fake_slack.send("one :x:")
        wait_for_texts(pipeline, {"one :x:"})
        stop(pipeline)
    day, = (pipeline.state / "journal").glob("*.ndjson")
    done = call_run("--replay", day, "--speed", "max", "--offline",
                    "--listen", f"127.0.0.1:{find_port()}",
                    env={"STATE": str(pipeline.state)})
    assert done.returncode == 0, done.stderr
    record, = map(json.loads, done.stdout.splitlines())
    assert (record["text"], record["class"], record["source"]) == \
        ("one :x:", "danger", "replay")


def test_replays_before_the_first_live_run_do_no_harm(
        fake_slack, tmp_path):  # noqa: F811
    state = tmp_path / "state"
    assert run_replay(env={"STATE": str(state)}).returncode == 0
    assert run_replay("--state", state).returncode == 0
    with follow(fake_slack, tmp_path) as pipeline:
        fake_slack.send("hello")
        wait_for_texts(pipeline, {"hello"})
        stop(pipeline)
        assert [record["seq"] for record in pipeline.records()] == [1]
    counts = json.loads((state / "stats.json").read_text())
    assert counts["records"] == 1


def test_a_folder_that_holds_state_folders_only_is_ours(tmp_path):
    state = tmp_path / "state"
    (state / "demo").mkdir(parents=True)
    (state / "demo" / "ultron").touch()
    assert run_replay("--state", state).returncode == 0

    (tmp_path / "other" / "demo").mkdir(parents=True)
    done = run_replay("--state", tmp_path / "other")
    assert done.returncode == os.EX_CONFIG
    assert "no state folder of Ultron" in done.stderr


# --- the demo ----------------------------------------------------------------

def find_children(pid, word):
    """Processes of that parent with the word in their arguments."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2]
                         .split()[1])
            arguments = (path / "cmdline").read_text()
        except OSError:
            continue
        if parent == pid and word in arguments:
            found.append(int(path.name))
    return found


def test_the_live_demo_runs_by_itself_and_leaves_nobody_behind(tmp_path):
    real = {"SLACK_APP_TOKEN": "xapp-real", "SLACK_BOT_TOKEN": "xoxb-real",
            "SLACK_CHANNEL_LIST": "C0REAL0001", **CREDENTIALS}
    with Pipeline(tmp_path, "--demo=live", env=real) as pipeline:
        def counts():
            try:
                text = (pipeline.state / "stats.json").read_text()
            except OSError:
                return None
            return json.loads(text)

        url = wait_for(lambda: re.search(r"curl -s (\S+)", pipeline.said()),
                       60, "the made-up Slack").group(1)
        wait_for(lambda: (counts() or {}).get("records"), 60, "a record")
        order = {"do": "send", "text": "look", "uploads":
                 [{"name": "a.log", "text": "fatal exception"}]}
        before = counts()["attachments"].get("ok", 0)
        with urllib.request.urlopen(url, json.dumps(order).encode()) as done:
            assert json.load(done)["ok"]
        wait_for(lambda: counts()["attachments"].get("ok", 0) > before, 30,
                 "a downloaded file")
        wait_for(lambda: counts()["replied_msg_count"], 30,
                 "an answer to who talks to the bot")
        order = re.search(r"to the bot in it: .*-d '(.*)'\n",
                          pipeline.said()).group(1)
        with urllib.request.urlopen(url, order.encode()) as done:
            assert json.load(done)["ok"]
        shown = re.search(r"said there: curl -s (\S+)", pipeline.said())
        wait_for(lambda: "<@U0HUMAN001>! This is what I can do" in
                 urllib.request.urlopen(shown.group(1)).read().decode(), 30,
                 "an answer to what it told to say")
        fake, = find_children(pipeline.run.pid, "fake_slack.py")
        stop(pipeline)
        assert not pathlib.Path(f"/proc/{fake}").exists()
        assert pipeline.records() == []
        assert find_in_files(tmp_path, ["xapp-", "xoxb-"]) == []
