"""The HTTP interface of the whole line: what is POSTed, and /readyz."""
import asyncio
import base64
import http.client
import json
import os
import resource
import signal
import subprocess
import threading
import time
import uuid

import aiohttp

import pytest

from conftest import ROOT
from health import ask, wait_ready
from records import read_journal
from slack import FakeSlack
from test_run import DAY, Pipeline, wait_for

CREDENTIALS = {"BASIC_AUTH_USERNAME": "qa", "BASIC_AUTH_PASSWORD": "secret"}


@pytest.fixture
def pipeline(tmp_path):
    with FakeSlack() as slack:
        with Pipeline(tmp_path, env={**slack.environment,
                                     **CREDENTIALS}) as one:
            one.slack = slack
            wait_open(one)
            wait_ready(one.port, True, timeout=60)
            yield one
            one.run.terminate()
            assert one.run.wait(30) == 0, one.said()


def wait_open(pipeline):
    end = time.monotonic() + 60
    while True:
        try:
            return ask(pipeline.port, "/livez")
        except OSError:
            assert time.monotonic() < end, pipeline.said()
            time.sleep(0.1)


def test_slack_goes_away_and_comes_back(pipeline):
    pipeline.slack.fail_upgrade(status=503, times=1000)
    pipeline.slack.fail_next("apps.connections.open", status=503, times=1000)
    pipeline.slack.kill()
    wait_ready(pipeline.port, False, "not connected to Slack")
    assert ask(pipeline.port, "/ultronex/heartbeat")[0] == 200      # D26
    pipeline.slack.control("heal")
    wait_ready(pipeline.port, True, timeout=60)


def test_a_stage_hangs_and_another_is_down(pipeline):
    scanner = pipeline.pid("scanner")
    os.kill(scanner, signal.SIGSTOP)
    pipeline.slack.send("hello")
    wait_ready(pipeline.port, False, "came through to ws-broadcast")
    os.kill(scanner, signal.SIGCONT)
    wait_ready(pipeline.port, True)
    keep = pipeline.pid("keep-scanner")
    os.kill(keep, signal.SIGSTOP)       # or it would be up again at once
    os.kill(scanner, signal.SIGKILL)
    wait_ready(pipeline.port, False, "scanner is down")
    os.kill(keep, signal.SIGCONT)
    wait_ready(pipeline.port, True)
    assert ask(pipeline.port, "/readyz")[1]["stages"]["restarts"][
        "scanner"] == 1


def test_the_disk_is_full(pipeline):
    reader = pipeline.pid("slack-reader")
    limits = resource.prlimit(reader, resource.RLIMIT_FSIZE)
    resource.prlimit(reader, resource.RLIMIT_FSIZE, (100, limits[1]))
    pipeline.slack.send("x" * 1000)
    told = wait_ready(pipeline.port, False, "the journal cannot be written")
    assert not told["disk"]["ok"]
    resource.prlimit(reader, resource.RLIMIT_FSIZE, limits)
    wait_ready(pipeline.port, True, timeout=60)


def test_a_replay_is_ready_and_takes_nothing(tmp_path):
    with Pipeline(tmp_path, "--replay", DAY, "--offline", "--speed", "60",
                  env=CREDENTIALS) as one:
        wait_open(one)
        assert wait_ready(one.port, True)["slack"]["state"] == "replay"
        status, told = post(one.port, "nobody takes it")
        assert status == 503 and "--inbox" in told["msg"]


# --- what is POSTed ----------------------------------------------------------

def post(port, text, key=None, timeout=45, channel="ci"):
    connection = http.client.HTTPConnection("127.0.0.1", port,
                                            timeout=timeout)
    pair = base64.b64encode(b"qa:secret").decode()
    try:
        connection.request("POST", "/ultronex/slack", json.dumps({"msg": {
            "channel": channel, "title": "Build 42", "text": text,
            "payload": None}}), {
                "Authorization": f"Basic {pair}",
                "Content-Type": "application/json",
                "Idempotency-Key": key or str(uuid.uuid4())})
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) \
            if answer.headers["Content-Type"] == "application/json" else body
    finally:
        connection.close()


def messages(records):
    """Those of services; what became of them comes in, too."""
    return [record for record in records if record["type"] == "api_message"]


def test_what_is_posted_comes_out_and_onto_the_dashboard(pipeline):
    async def watch():
        url = f"http://127.0.0.1:{pipeline.port}/ultronex/ws/slack"
        async with aiohttp.ClientSession(
                auth=aiohttp.BasicAuth("qa", "secret")) as session, \
                session.ws_connect(url) as viewer:
            done = await asyncio.to_thread(
                subprocess.run,
                [ROOT / "examples" / "ultron-post", "ci", "Build 42",
                 ":x: it failed", "-"], input=b"the log\n",
                capture_output=True, timeout=60, check=True, env={
                    **os.environ, **CREDENTIALS,
                    "ULTRON_URL": f"http://127.0.0.1:{pipeline.port}"})
            async for frame in viewer:
                for line in frame.data.split("\n"):
                    if line.startswith("{"):
                        return done.stdout.decode().strip(), json.loads(line)
    name, shown = asyncio.run(asyncio.wait_for(watch(), 40))
    record, = wait_for(lambda: messages(pipeline.whole_records()), 20,
                       "the record")
    assert record == shown
    assert record["type"] == "api_message" and record["id"] == name
    assert record["class"] == "danger" and record["source"] == "inbox"
    assert (record["channel"], record["title"], record["payload"]) == (
        "ci", "Build 42", "the log\n")


def ask_open(port, path):
    """What who knows the password is told."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    pair = base64.b64encode(b"qa:secret").decode()
    try:
        connection.request("GET", path, headers={
            "Authorization": f"Basic {pair}"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def test_what_became_of_it_is_told(pipeline):
    """D22, D23: whether Slack has it, not whether it was tried."""
    _, good = post(pipeline.port, "it is said", channel="C0EXAMPLE1")
    _, bad = post(pipeline.port, "nobody hears it", channel="C0NOWHERE1")

    def find(told):
        found = ask_open(pipeline.port, f"/ultronex/messages/{told['id']}")
        return found if found["status"] != "queued" else None
    sent = wait_for(lambda: find(good), 30, "sending")
    failed = wait_for(lambda: find(bad), 30, "failing")
    assert sent["status"] == "sent" and sent["channel"] == "C0EXAMPLE1"
    assert [one for one in pipeline.slack.history("C0EXAMPLE1")
            if one["ts"] == sent["slack_ts"] and "it is said" in one["text"]]
    assert failed["status"] == "failed"
    assert "channel_not_found" in failed["reason"]
    assert sent["attempts"] == failed["attempts"] == 1
    wait_for(lambda: ask_open(pipeline.port, "/ultronex/stats")[
        "total_messages_slacked"] == 1, 20, "counting")
    assert ask_open(pipeline.port, "/ultronex/external") == {
        "msg": "No errors recorded yet"}


def insist(port, text):
    """As a good client does; returns the id."""
    key, end = str(uuid.uuid4()), time.monotonic() + 60
    while True:
        try:
            status, told = post(port, text, key)
            if status == 200:
                return told["id"]
            assert status == 503, told
        except (OSError, http.client.HTTPException):
            pass
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_is_posted_amid_deaths_is_there_once(pipeline):
    taken, is_over = {}, threading.Event()

    def work(number):
        count = 0
        while not is_over.is_set():
            count += 1
            text = f"{number}.{count}"
            taken[insist(pipeline.port, text)] = text
    workers = [threading.Thread(target=work, args=(number,))
               for number in range(4)]
    for worker in workers:
        worker.start()
    for victim in ("ws-broadcast", "slack-reader", "ws-broadcast"):
        before = len(taken)
        wait_for(lambda: len(taken) > before + 50, 60, "fifty more")
        pipeline.kill(victim)
        wait_for(lambda: pipeline.pid(victim), 30, "its return")
    before = len(taken)
    wait_for(lambda: len(taken) > before + 50, 60, "fifty more")
    is_over.set()
    for worker in workers:
        worker.join()
    journal = messages(read_journal(pipeline.state))
    assert {record["id"]: record["text"] for record in journal} == taken
    assert len(journal) == len(taken)
    wait_for(lambda: set(taken) <= {
        record.get("id") for record in pipeline.whole_records()}, 30,
        "all coming out")
