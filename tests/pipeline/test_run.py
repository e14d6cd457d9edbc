"""run.sh: the whole pipeline on recordings, its deaths, its configuration."""
import asyncio
import fcntl
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import termios
import time

import aiohttp
import pytest

from conftest import ROOT
from records import read_records, whole_lines

STAGES = ["slack-reader", "attach-fetch", "slack-bot", "scanner", "classifier",
          "ws-broadcast", "stats"]
DAY = ROOT / "examples" / "qa-day.ndjson"


def find_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} took over {seconds} s")


class Pipeline:
    """run.sh as a user starts it, on a state folder of its own."""

    def __init__(self, folder, *arguments, env=None, stdin=None, out=None,
                 state=None, enter=()):
        self.state = state or folder / "state"
        self.port = find_port()
        self.log_path = folder / "log"
        self.log = open(self.log_path, "wb")
        self.out_path = folder / "out.ndjson"
        self.out = open(self.out_path, "wb")
        self.run = subprocess.Popen(
            [*enter, ROOT / "run.sh", *map(str, arguments),
             "--state", self.state,
             "--listen", f"127.0.0.1:{self.port}"],
            cwd=ROOT, stdin=stdin or subprocess.DEVNULL,
            stdout=out or self.out,
            stderr=self.log, env={**os.environ, **(env or {})},
            start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.run.poll() is None:
            self.run.terminate()
            try:
                self.run.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.run.pid, signal.SIGKILL)
                raise
        self.log.close()
        self.out.close()

    def pid(self, stage):
        """Of slack-reader, a stage, or a keep: "keep-scanner"."""
        running = self.state / "running"
        try:
            if (running / f"{stage}.pid").exists():
                pid = int((running / f"{stage}.pid").read_text())
            else:
                pid = int((running / f"{stage}.status").read_text()
                          .split("\t")[1])
            assert pid > 0
            os.kill(pid, 0)
        except (AssertionError, IndexError, OSError, ValueError):
            return None
        return pid

    def kill(self, stage, number=signal.SIGKILL):
        pid = self.pid(stage)
        if pid is not None:
            os.kill(pid, number)
        return pid

    def wait_until_up(self, seconds=60):
        return wait_for(lambda: all(self.pid(stage) for stage in STAGES),
                        seconds, "starting all stages")

    def records(self):
        return read_records(self.out_path)

    def whole_records(self):
        """Without what a dead keep left."""
        return [json.loads(line) for line in whole_lines(self.out_path)
                if line.startswith(b"{") and line.endswith(b"}")]

    def said(self):
        return self.log_path.read_text()


def replay(folder, recording, *more, **keywords):
    with Pipeline(folder, "--replay", recording, "--speed", "max", "--offline",
                  *more, **keywords) as pipeline:
        status = pipeline.run.wait(120)
        return status, pipeline.records(), pipeline.said()


def make_recording(folder, count, per_second):
    path = folder / "recording.ndjson"
    with open(path, "w") as out:
        for number in range(count):
            seconds, part = divmod(number, per_second)
            record = {"type": "message", "channel": "C0EXAMPLE1",
                      "text": f"message {number}",
                      "ts": f"{1763800000 + seconds}.{part:06d}"}
            out.write(json.dumps(record) + "\n")
    return path


def test_a_recorded_day_comes_out_whole_and_in_order(tmp_path):
    status, records, said = replay(
        tmp_path, DAY, "--spool", ROOT / "examples" / "spool")
    lines = DAY.read_text().splitlines()
    assert status == 0, said
    assert [record["seq"] for record in records] == \
        list(range(1, len(lines) + 1))
    for line, record in zip(lines, records):
        before = json.loads(line)
        assert before == {name: record[name] for name in before}
    classes = {record["class"] for record in records}
    assert classes == {"success", "warning", "danger"}


def test_real_messages_pass_and_match_as_grep_says(tmp_path, community):
    recording = tmp_path / "community.ndjson"
    recording.write_bytes(community)
    patterns = tmp_path / "patterns.conf"
    patterns.write_text("joined text has joined the channel\n"
                        "haskell text (?i)haskell\n"
                        "japanese text モナド\n")
    status, records, said = replay(tmp_path, recording,
                                   env={"PATTERNS": str(patterns)})
    assert status == 0, said
    texts = [json.loads(line)["text"] for line in community.splitlines()]
    assert [record["text"] for record in records] == texts
    assert not any("error" in record for record in records)
    for name, expression in (("joined", "has joined the channel"),
                             ("japanese", "モナド"),
                             ("haskell", "(?i)haskell")):
        hit = sum(any(match["pattern"] == name
                      for match in record.get("matches", []))
                  for record in records)
        asked = subprocess.run(
            ["jq", "-r", "--arg", "re", expression.replace("(?i)", ""),
             "--arg", "flags", "i" if expression.startswith("(?i)") else "",
             "select(.text|test($re;$flags))|1"],
            input=community, stdout=subprocess.PIPE, check=True).stdout
        assert hit == len(asked.splitlines()) > 0


def test_two_runs_give_the_same_bytes_but_for_the_time(tmp_path):
    outputs = []
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        status, _, said = replay(tmp_path / run, DAY, "--spool",
                                 ROOT / "examples" / "spool")
        assert status == 0, said
        out = (tmp_path / run / "out.ndjson").read_bytes()
        outputs.append(re.sub(rb'"received":"[^"]*"', b"", out))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_killed_stage_is_back_and_its_neighbours_never_notice(
        tmp_path, stage):
    recording = make_recording(tmp_path, 3000, per_second=500)
    with Pipeline(tmp_path, "--replay", recording, "--speed", "1",
                  "--offline") as pipeline:
        pipeline.wait_until_up()
        wait_for(lambda: pipeline.records(), 20, "the first record")
        before = {name: pipeline.pid(name) for name in STAGES}
        pipeline.kill(stage)
        wait_for(lambda: pipeline.pid(stage) not in (None, before[stage]),
                 2, f"the return of {stage}")
        others = {name: pipeline.pid(name) for name in STAGES
                  if name != stage}
        assert others == {name: pid for name, pid in before.items()
                          if name != stage}
        assert pipeline.run.wait(60) == 0, pipeline.said()
        assert f"{stage} was killed by signal 9" in pipeline.said()
        assert [record["seq"] for record in pipeline.records()] == \
            list(range(1, 3001))
        counts = json.loads((pipeline.state / "stats.json").read_text())
        assert counts["records"] == 3000


@pytest.mark.parametrize(
    "victim", ["slack-reader", *(f"keep-{stage}" for stage in STAGES[1:])])
def test_when_anything_else_dies_all_goes_on_where_it_was(tmp_path, victim):
    recording = make_recording(tmp_path, 3000, per_second=500)
    with Pipeline(tmp_path, "--replay", recording, "--speed", "1",
                  "--offline") as pipeline:
        pipeline.wait_until_up()
        wait_for(lambda: len(pipeline.whole_records()) > 300, 20, "a start")
        old = pipeline.kill(victim)
        wait_for(lambda: pipeline.pid(victim) not in (None, old), 5,
                 f"the return of {victim}")
        assert pipeline.run.wait(60) == 0, pipeline.said()
        assert "was killed by signal 9, starting all again in 0.2 s" \
            in pipeline.said()
        records = pipeline.whole_records()
        check_repeats(records)
        assert {record["seq"] for record in records} == set(range(1, 3001))
        assert not any("error" in record for record in records)
        counts = json.loads((pipeline.state / "stats.json").read_text())
        assert counts["records"] == counts["seq"] == 3000


def test_half_a_record_in_the_output_ends_there(tmp_path):
    """The keep of the last stage dies with an output that nobody reads."""
    recording = tmp_path / "large.ndjson"
    recording.write_text("".join(
        json.dumps({"type": "message", "text": f"{number} " + "x" * 200000})
        + "\n" for number in range(40)))
    with Pipeline(tmp_path, "--replay", recording, "--speed", "max",
                  "--offline", out=subprocess.PIPE) as pipeline:
        wait_for(lambda: count_waiting(pipeline.run.stdout) > 60000, 60,
                 "half a record")
        old = pipeline.kill("keep-stats")
        wait_for(lambda: pipeline.pid("keep-stats") not in (None, old), 10,
                 "the return of keep")
        half, *lines, end = pipeline.run.stdout.read().split(b"\n")
        assert pipeline.run.wait(60) == 0, pipeline.said()
    assert half.startswith(b'{"type"') and len(half) < 200000 and end == b""
    records = [json.loads(line) for line in lines]
    check_repeats(records)
    assert {record["seq"] for record in records} == set(range(1, 41))


def test_a_file_that_ends_amid_a_record_is_gone_on_with(tmp_path):
    path = tmp_path / "all.ndjson"
    path.write_bytes(b'{"half":')
    with open(path, "ab") as out, Pipeline(
            tmp_path, "--replay", DAY, "--speed", "max", "--offline",
            out=out) as pipeline:
        assert pipeline.run.wait(60) == 0, pipeline.said()
    half, *lines, end = path.read_bytes().split(b"\n")
    assert (half, end) == (b'{"half":', b"")
    assert [json.loads(line)["seq"] for line in lines] == \
        list(range(1, len(DAY.read_text().splitlines()) + 1))


def count_waiting(stream):
    return struct.unpack("i", fcntl.ioctl(
        stream, termios.FIONREAD, b"\0\0\0\0"))[0]


def check_repeats(records):
    """The line begins again at or behind what came out, and goes on."""
    seen = {}
    last = 0
    for record in records:
        seq = record["seq"]
        assert seq <= last + 1
        assert seen.setdefault(seq, record["text"]) == record["text"]
        last = seq


def test_status_tells_what_runs(tmp_path):
    with Pipeline(tmp_path, "--replay", DAY, "--speed", "60",
                  "--offline") as pipeline:
        pipeline.wait_until_up()
        pipeline.kill("scanner")
        wait_for(lambda: pipeline.pid("scanner"), 5, "the scanner")
        keep = pipeline.pid("keep-classifier")
        os.kill(keep, signal.SIGSTOP)
        status = subprocess.run(
            [ROOT / "run.sh", "--status", "--state", pipeline.state],
            capture_output=True, text=True, check=True, timeout=20)
        os.kill(keep, signal.SIGCONT)
        rows = [row.split() for row in status.stdout.splitlines()]
        assert rows[0] == ["STAGE", "PID", "SINCE", "RESTARTS", "WAITING"]
        assert [row[0] for row in rows[1:]] == STAGES
        assert int(rows[4][1]) == pipeline.pid("scanner")
        assert rows[4][3] == "1"
        assert rows[5][1:] == ["does", "not", "answer"]
        os.kill(pipeline.run.pid, signal.SIGUSR1)
        wait_for(lambda: "RESTARTS" in pipeline.said(), 5, "the table")
    idle = subprocess.run(
        [ROOT / "run.sh", "--status", "--state", pipeline.state],
        capture_output=True, text=True, check=False, timeout=20)
    assert idle.returncode == 69
    assert f"nothing runs on {pipeline.state}" in idle.stderr


def test_all_die_with_run_sh_and_the_next_one_may_start(tmp_path):
    recording = make_recording(tmp_path, 30000, per_second=500)
    with Pipeline(tmp_path, "--replay", recording, "--speed", "1",
                  "--offline") as pipeline:
        pipeline.wait_until_up()
        pids = [pipeline.pid(name) for stage in STAGES[1:]
                for name in (stage, f"keep-{stage}")]
        pids.append(pipeline.pid("slack-reader"))
        pipeline.run.kill()
        wait_for(lambda: not any(map(is_alive, pids)), 5, "the end of all")
    (tmp_path / "log").unlink()
    with Pipeline(tmp_path, "--replay", DAY, "--speed", "max",
                  "--offline") as pipeline:
        assert pipeline.run.wait(60) == 0, pipeline.said()


def is_alive(pid):
    try:
        return "State:\tZ" not in pathlib.Path(
            f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_viewer_goes_on_where_it_was_when_the_broadcaster_dies(tmp_path):
    recording = make_recording(tmp_path, 2000, per_second=250)

    async def watch(pipeline):
        seen, after, run, missing = [], 0, "", []
        async with aiohttp.ClientSession(
                auth=aiohttp.BasicAuth("qa", "secret")) as session:
            while not seen or seen[-1] < 2000:
                url = (f"http://127.0.0.1:{pipeline.port}"
                       f"/ultronex/ws/slack?after={after}&run={run}")
                try:
                    async with session.ws_connect(url) as viewer:
                        async for frame in viewer:
                            for line in frame.data.split("\n"):
                                if not line.startswith("{"):
                                    name, *value = json.loads(line)
                                    if name == "hello":
                                        run = value[0]["run"]
                                    if name == "gap":
                                        missing += range(value[0]["from"],
                                                         value[0]["to"] + 1)
                                    continue
                                after = json.loads(line)["seq"]
                                seen.append(after)
                            if 300 < len(seen) and pipeline.victim is None:
                                pipeline.victim = pipeline.kill(
                                    "ws-broadcast")
                            if seen and seen[-1] == 2000:
                                break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
        return seen, missing

    credentials = {"BASIC_AUTH_USERNAME": "qa",
                   "BASIC_AUTH_PASSWORD": "secret"}
    with Pipeline(tmp_path, "--replay", recording, "--speed", "1",
                  "--offline", "--stay", env=credentials) as pipeline:
        pipeline.victim = None
        seen, missing = asyncio.run(asyncio.wait_for(watch(pipeline), 60))
        assert pipeline.victim is not None
        pipeline.run.terminate()
        assert pipeline.run.wait(20) == 0, pipeline.said()
    assert seen == sorted(set(seen))
    assert sorted(seen + missing) == list(range(seen[0], 2001))
    assert len(missing) < 500


def test_term_lets_the_end_of_input_walk_down_the_line(tmp_path):
    recording = make_recording(tmp_path, 5000, per_second=500)
    with Pipeline(tmp_path, "--replay", recording, "--offline") as pipeline:
        pipeline.wait_until_up()
        wait_for(lambda: len(pipeline.records()) > 100, 20, "100 records")
        pipeline.run.terminate()
        assert pipeline.run.wait(20) == 0, pipeline.said()
        records = pipeline.records()
    assert [record["seq"] for record in records] == \
        list(range(1, len(records) + 1))
    assert len(records) < 5000
    snapshot = json.loads((tmp_path / "state" / "stats.json").read_text())
    assert snapshot["seq"] == len(records)


def test_a_second_pipeline_on_the_same_folder_is_refused(tmp_path):
    recording = make_recording(tmp_path, 5000, per_second=50)
    with Pipeline(tmp_path, "--replay", recording, "--offline") as pipeline:
        pipeline.wait_until_up()
        second = subprocess.run(
            [ROOT / "run.sh", "--replay", recording, "--offline", "--state",
             pipeline.state, "--listen", f"127.0.0.1:{find_port()}"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        assert second.returncode == os.EX_UNAVAILABLE
        assert b"another pipeline runs on" in second.stderr
        assert all(pipeline.pid(stage) for stage in STAGES)


def test_a_wrong_configuration_met_while_running_stops_all(tmp_path):
    recording = make_recording(tmp_path, 5000, per_second=50)
    patterns = tmp_path / "patterns.conf"
    patterns.write_text("good text message\n")
    with Pipeline(tmp_path, "--replay", recording, "--offline",
                  env={"PATTERNS": str(patterns)}) as pipeline:
        pipeline.wait_until_up()
        patterns.write_text("bad text (\n")
        pipeline.kill("scanner")
        assert pipeline.run.wait(30) == os.EX_CONFIG, pipeline.said()
        assert "patterns.conf:1:" in pipeline.said()


def test_check_reports_all_errors_in_one_pass(tmp_path):
    (tmp_path / "patterns.conf").write_text("one text (\ntwo nowhere x\n")
    (tmp_path / "classes.conf").write_text("purple text x\ndanger text [\n")
    config = tmp_path / "ultron.conf"
    config.write_text(
        "# comment\n\nNO_SUCH_KEY=1\nHTTP_SCHEME=gopher\n"
        f"PATTERNS={tmp_path}/patterns.conf\n"
        f"CLASSES='{tmp_path}/classes.conf'\nLISTEN=0.0.0.0:8080\n")
    done = subprocess.run(
        [ROOT / "run.sh", "--check", "--config", config, "--state",
         tmp_path / "state"], stdin=subprocess.DEVNULL, capture_output=True,
        timeout=120)
    said = done.stderr.decode()
    assert done.returncode == os.EX_CONFIG, said
    for expected in ("ultron.conf:3: unknown setting: NO_SUCH_KEY",
                     "HTTP_SCHEME: expected http or https: gopher",
                     "patterns.conf:1:", "patterns.conf:2:",
                     "classes.conf:1:1:", "classes.conf:2:14:",
                     "to listen on other addresses"):
        assert expected in said
    assert done.stdout == b""
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("files", [12, 40])
def test_few_descriptors_are_not_blamed_on_the_configuration(tmp_path, files):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    done = subprocess.run(
        [ROOT / "run.sh", "--replay", DAY, "--state", tmp_path / "state"],
        capture_output=True, text=True, timeout=20, check=False,
        preexec_fn=limit)
    assert done.returncode == 69 and done.stdout == ""
    assert done.stderr == (f"run.sh: only {files} files may be open at a time,"
                           " 64 are needed: see ulimit -n\n")


def test_check_is_silent_about_a_good_configuration(tmp_path):
    done = subprocess.run(
        [ROOT / "run.sh", "--check", "--state", tmp_path / "state"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def make_certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-keyout",
         "key.pem", "-out", "cert.pem", "-subj", "/CN=ultron.test"],
        cwd=folder, check=True, capture_output=True)
    return ssl.PEM_cert_to_DER_cert((folder / "cert.pem").read_text())


def fetch_certificate(port):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 10) as plain, \
            context.wrap_socket(plain) as connection:
        return connection.getpeercert(binary_form=True)


def test_https_with_a_certificate_that_is_renewed(tmp_path):
    certificate = make_certificate(tmp_path)
    config = tmp_path / "ultron.conf"
    config.write_text(f"HTTP_SCHEME=https\nTLS_KEY={tmp_path}/key.pem\n"
                      f"TLS_CERTIFICATE={tmp_path}/cert.pem\n")
    with Pipeline(tmp_path, "--replay", DAY, "--offline", "--config",
                  config) as pipeline:
        pipeline.wait_until_up()
        wait_for(lambda: f"https://127.0.0.1:{pipeline.port}/"
                 in pipeline.said(), 20, "to announce it")
        assert fetch_certificate(pipeline.port) == certificate
        before = pipeline.pid("ws-broadcast")
        for name in "ws-broadcast", "keep-ws-broadcast":    # both ways work
            certificate = make_certificate(tmp_path)
            pipeline.kill(name, signal.SIGHUP)
            wait_for(lambda: fetch_certificate(pipeline.port) == certificate,
                     20, "the new certificate")
        assert pipeline.pid("ws-broadcast") == before


def test_a_recording_that_is_not_there_is_named(tmp_path):
    done = subprocess.run(
        [ROOT / "run.sh", "--replay", tmp_path / "nothing.ndjson", "--state",
         tmp_path / "state"], stdin=subprocess.DEVNULL, capture_output=True,
        timeout=60)
    assert done.returncode == os.EX_NOINPUT
    assert b"nothing.ndjson" in done.stderr


def test_a_port_that_is_taken_ends_it_with_a_clear_word(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [ROOT / "run.sh", "--replay", DAY, "--state", tmp_path / "state",
             "--listen", f"127.0.0.1:{port}"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == os.EX_UNAVAILABLE
    assert f"127.0.0.1:{port}: Address already in use".encode() in done.stderr


def test_term_to_all_processes_at_once_ends_it_as_well(tmp_path):
    recording = make_recording(tmp_path, 5000, per_second=500)
    with Pipeline(tmp_path, "--replay", recording, "--offline") as pipeline:
        pipeline.wait_until_up()
        wait_for(lambda: len(pipeline.records()) > 100, 20, "100 records")
        os.killpg(pipeline.run.pid, signal.SIGTERM)
        assert pipeline.run.wait(20) == 0, pipeline.said()
        assert "starting it again" not in pipeline.said()
        assert "Terminated" not in pipeline.said()


def test_hup_ends_it_and_leaves_nobody_behind(tmp_path):
    recording = make_recording(tmp_path, 5000, per_second=500)
    with Pipeline(tmp_path, "--replay", recording, "--offline") as pipeline:
        pipeline.wait_until_up()
        pids = [pipeline.pid(stage) for stage in STAGES]
        os.killpg(pipeline.run.pid, signal.SIGHUP)
        assert pipeline.run.wait(20) == 0, pipeline.said()
        for pid in pids:
            assert not pathlib.Path(f"/proc/{pid}").exists()


def test_term_right_at_the_start_is_not_lost(tmp_path):
    recording = make_recording(tmp_path, 50000, per_second=500)
    for attempt in range(4):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        with Pipeline(folder, "--replay", recording,
                      "--offline") as pipeline:
            reader = pipeline.state / "running" / "slack-reader.pid"
            wait_for(reader.exists, 30, "the first process")
            pipeline.run.terminate()
            assert pipeline.run.wait(15) == 0, pipeline.said()


def test_asked_again_it_ends_though_nobody_reads(tmp_path):
    """Asked once it waits for who reads the records."""
    recording = make_recording(tmp_path, 20000, per_second=20000)
    read_end, write_end = os.pipe()
    with Pipeline(tmp_path, "--replay", recording, "--speed", "max",
                  "--offline", out=write_end) as pipeline:
        os.close(write_end)
        pipeline.wait_until_up()
        wait_for(lambda: is_pipe_full(read_end), 20, "filling the pipe")
        pipeline.run.terminate()
        pipeline.run.terminate()    # this may be the same, by another way
        with pytest.raises(subprocess.TimeoutExpired):
            pipeline.run.wait(3)
        pids = [pid for pid in map(pipeline.pid, STAGES) if pid]
        assert pids
        pipeline.run.terminate()
        assert pipeline.run.wait(5) == 1, pipeline.said()
        wait_for(lambda: not any(map(is_alive, pids)), 5, "their ends")
        assert pipeline.said().count("asked to end again") == 1
    os.close(read_end)


def is_pipe_full(descriptor):
    """What is in it does not grow any more."""
    def waiting():
        return struct.unpack("i", fcntl.ioctl(
            descriptor, termios.FIONREAD, bytes(4)))[0]
    before = waiting()
    time.sleep(0.3)
    return before == waiting() > 60000


@pytest.mark.parametrize("how", ["the pipes", "the folder"])
def test_the_line_is_started_again_though_its_pipes_were_removed(
        tmp_path, how):
    recording = make_recording(tmp_path, 2000, per_second=500)
    with Pipeline(tmp_path, "--replay", recording, "--offline") as pipeline:
        pipeline.wait_until_up()
        wait_for(pipeline.records, 20, "the first record")
        reader = pipeline.pid("slack-reader")
        shutil.rmtree(pipeline.state / "running")
        if how == "the pipes":
            (pipeline.state / "running").mkdir()
        os.kill(reader, signal.SIGKILL)
        assert pipeline.run.wait(60) == 0, pipeline.said()
        seqs = [record["seq"] for record in pipeline.whole_records()]
    assert sorted(set(seqs)) == list(range(1, 2001))
    counts = json.loads((tmp_path / "state" / "stats.json").read_text())
    assert counts["seq"] == counts["checkpoint"] == 2000


def test_who_was_stopped_is_killed_when_the_line_ends(tmp_path):
    recording = make_recording(tmp_path, 3000, per_second=500)
    with Pipeline(tmp_path, "--replay", recording, "--offline") as pipeline:
        pipeline.wait_until_up()
        wait_for(pipeline.records, 20, "the first record")
        pipeline.kill("keep-scanner", signal.SIGSTOP)
        pipeline.kill("keep-stats")
        assert pipeline.run.wait(60) == 0, pipeline.said()
        assert "keep of scanner was killed by signal 9, keep of stats was" \
            " killed by signal 9, starting all again" in pipeline.said()
        seqs = [record["seq"] for record in pipeline.whole_records()]
    assert sorted(set(seqs)) == list(range(1, 3001))


def test_what_no_restart_mends_ends_it_with_a_word(tmp_path):
    """A stage that finds its configuration wrong when it is started again."""
    recording = make_recording(tmp_path, 5000, per_second=500)
    patterns = tmp_path / "patterns.conf"
    patterns.write_text("crash any crash\n")
    with Pipeline(tmp_path, "--replay", recording, "--offline",
                  env={"PATTERNS": str(patterns)}) as pipeline:
        pipeline.wait_until_up()
        wait_for(pipeline.records, 20, "the first record")
        patterns.write_text("crash any (\n")
        pipeline.kill("scanner")
        assert pipeline.run.wait(30) == os.EX_CONFIG, pipeline.said()
        assert "keep of scanner ended with status 78: starting again would" \
            " not help, stopping" in pipeline.said()


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
def test_the_status_of_somebody_else_is_not_told():
    with tempfile.TemporaryDirectory() as state:
        done = subprocess.run(
            ["setpriv", "--reuid", "65534", "--clear-groups", ROOT / "run.sh",
             "--status", "--state", state],
            capture_output=True, text=True, check=False)
    if "Permission denied" in done.stderr:
        pytest.skip("the other user cannot come here")
    assert done.returncode == os.EX_NOPERM, done.stderr
    assert "belongs to somebody else" in done.stderr


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    state = tmp_path / "state"
    (state / "running").mkdir(parents=True)
    (state / "running" / "mine").write_text("a")
    (state / "lock").write_text("mine")
    done = subprocess.run(
        [ROOT / "run.sh", "--replay", DAY, "--speed", "max", "--state", state,
         "--listen", f"127.0.0.1:{find_port()}"], stdin=subprocess.DEVNULL,
        capture_output=True, timeout=60)
    assert done.returncode == os.EX_CONFIG
    assert b"no state folder of Ultron" in done.stderr
    assert (state / "running" / "mine").read_text() == "a"
    assert (state / "lock").read_text() == "mine"


@pytest.mark.parametrize("closed", ["<&-", "2>&-"])
def test_closed_descriptors_do_no_harm(tmp_path, closed):
    done = subprocess.run(
        f"{ROOT}/run.sh --replay {DAY} --speed max --offline --state"
        f" {tmp_path}/state --listen 127.0.0.1:{find_port()} {closed}",
        shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(DAY.read_text().splitlines())


def test_it_can_be_called_through_a_link(tmp_path):
    link = tmp_path / "ultron"
    link.symlink_to(ROOT / "run.sh")
    done = subprocess.run([link, "--check"], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_standard_input_is_a_recording_too(tmp_path):
    with open(DAY, "rb") as day, Pipeline(
            tmp_path, "--replay", "-", "--speed", "max", "--offline",
            stdin=day) as pipeline:
        assert pipeline.run.wait(60) == 0, pipeline.said()
        assert len(pipeline.records()) == len(DAY.read_text().splitlines())


def test_a_reader_that_leaves_early_ends_the_pipeline_quietly(tmp_path):
    recording = make_recording(tmp_path, 20000, per_second=500)
    done = subprocess.run(
        f"{ROOT}/run.sh --replay {recording} --speed max --offline"
        f" --state {tmp_path}/state --listen 127.0.0.1:{find_port()}"
        " | head -n 3", shell=True, capture_output=True, timeout=60,
        stdin=subprocess.DEVNULL)
    assert len(done.stdout.splitlines()) == 3
    assert b"Broken pipe" not in done.stderr


def test_secrets_reach_only_the_programs_that_need_them(tmp_path):
    recording = make_recording(tmp_path, 5000, per_second=50)
    config = tmp_path / "ultron.conf"
    config.write_text("SLACK_BOT_TOKEN=xoxb-secret-of-the-file\n"
                      "BASIC_AUTH_USERNAME=qa\n")
    secrets = {"SLACK_APP_TOKEN": "xapp-secret-of-the-environment",
               "BASIC_AUTH_PASSWORD": "password-of-the-environment",
               "SECRET_WEAPON": "weapon-of-the-environment",
               "GIPHY_API_KEY": "giphy-of-the-environment"}
    # a recording asks nobody for gifs
    needs = {"attach-fetch": {"xoxb-"}, "slack-reader": {"xoxb-", "xapp-"},
             "slack-bot": {"weapon-"}, "ws-broadcast": {"password-"}}
    with Pipeline(tmp_path, "--replay", recording, "--offline", "--config",
                  config, env=secrets) as pipeline:
        pipeline.wait_until_up()
        wait_for(pipeline.records, 20, "the first record")
        for stage in STAGES:
            process = pathlib.Path(f"/proc/{pipeline.pid(stage)}")
            arguments = (process / "cmdline").read_text()
            environment = (process / "environ").read_text()
            for secret in ("xoxb-", "xapp-", "password-", "weapon-", "giphy-"):
                assert secret not in arguments
                assert (secret in environment) == (
                    secret in needs.get(stage, ())), stage
        pipeline.run.terminate()
        pipeline.run.wait(20)
        assert "secret-of" not in pipeline.said()
        assert b"secret-of" not in pipeline.out_path.read_bytes()


def test_a_recorded_conversation_is_answered_the_same_each_time(tmp_path):
    words = ["help", "forward 1763", "status", "test stark", "gif", "quote",
             "<@U0BOT> is here", "a stark 1763", "list", "mute 10s", "1763",
             "talk", "stop 1763", "1763", "xkcd", "what"]
    recording = tmp_path / "talk.ndjson"
    with open(recording, "w") as out:
        for place, text in enumerate(words * 20):
            out.write(json.dumps({
                "type": "message", "channel": "C1", "user": f"U{place % 3}",
                "ts": f"{1763800000 + place}.000000", "text": text if
                "1763" == text[-4:] and "forward" not in text and
                "stop" not in text else f"<@U0BOT> {text}"}) + "\n")
    members = ("command", "subscriptions", "notify", "held", "matches")
    found = []
    for _ in range(2):
        status, records, said = replay(
            tmp_path, recording, env={"ULTRONEX_BOT_ID": "U0BOT",
                                      "GIPHY_API_KEY": "abc"})
        assert status == 0, said
        found.append([[record.get(name) for name in members]
                      for record in records])
    assert found[0] == found[1]
    commands, _, notify, held, _ = zip(*found[0])
    assert sum(map(bool, commands)) == 20 * 13
    assert any(notify) and any(held)


def test_the_state_folder_is_private(tmp_path):
    status, _, said = replay(tmp_path, DAY)
    assert status == 0, said
    for path in [tmp_path / "state", *(tmp_path / "state").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_log_lines_carry_the_time(tmp_path):
    _, _, said = replay(tmp_path, DAY)
    for line in said.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line), line


def test_wrong_use_is_explained():
    for arguments in (["--no-such"], ["--replay"], ["--speed", "2"],
                      ["--demo", "--replay", "x"], ["--demo", "--demo=live"]):
        done = subprocess.run([ROOT / "run.sh", *arguments],
                              capture_output=True, timeout=10)
        assert done.returncode == os.EX_USAGE
        assert b"usage: run.sh" in done.stderr and done.stdout == b""


def test_run_sh_is_clean_for_shellcheck():
    subprocess.run(["shellcheck", ROOT / "run.sh"], check=True)
