"""/livez and /readyz: ws-broadcast by status files."""
import asyncio
import ctypes
import json
import os
import time

import aiohttp
import pytest

from health import ask, wait_ready
from test_http_interface import (PASSWORD, USER, Line, fill_outbox, replace,
                                 write_status)

NOW = "2026-11-22T10:00:00.000000Z"


@pytest.fixture
def line(tmp_path):
    running = tmp_path / "running"
    running.mkdir()
    tell_reader(running)
    for stage in ("attach-fetch", "scanner", "stats"):
        tell_stage(running, stage)
    replace(tmp_path / "stats.json", {"seq": 0})
    one = Line(tmp_path, options=[
        "--running", running, "--stats", tmp_path / "stats.json",
        "--outbox", tmp_path / "outbox.db", "--run", "r"])
    one.running = running
    yield one
    one.stop()


def tell_reader(running, slack="connected", journal="ok", seq=0, pid=None):
    write_status(running, "slack-reader", f"slack={slack} since={NOW} "
                 f"connections=2 seq={seq} journal={journal} "
                 f"pid={os.getpid() if pid is None else pid}")


def tell_stage(running, name, pid=None, restarts=0):
    write_status(running, name,
                 f"{name}\t{os.getpid() if pid is None else pid}\t{NOW}\t"
                 f"{restarts}\t0")


def test_alive(line):
    assert ask(line.port, "/livez") == (200, {"alive": True})


def test_all_is_well(line):
    told = wait_ready(line.port, True)
    assert told["slack"] == {"state": "connected", "since": NOW, "ok": True}
    assert told["stages"] == {"restarts": {
        "attach-fetch": 0, "scanner": 0, "stats": 0}, "waiting": {
        "attach-fetch": 0, "scanner": 0, "stats": 0}, "behind": 0, "ok": True}
    assert told["disk"]["free_bytes"] > 0
    assert told["outbox"] == {"ok": True}
    assert "reason" not in json.dumps(told)


@pytest.mark.parametrize("trouble, thing, reason", [
    (lambda line: tell_reader(line.running, "connecting"), "slack",
     "not connected to Slack"),
    (lambda line: tell_reader(line.running, "refused"), "slack",
     "Slack refuses the app or its tokens"),
    (lambda line: tell_reader(line.running, pid=0), "slack",
     "slack-reader is down"),
    (lambda line: (line.running / "slack-reader.status").unlink(), "slack",
     "slack-reader has not told how it is"),
    (lambda line: tell_reader(line.running, journal="full"), "disk",
     "the journal cannot be written"),
    (lambda line: tell_stage(line.running, "scanner", 0, 4), "stages",
     "scanner is down"),
    (lambda line: tell_stage(line.running, "stats", 2 ** 31 - 1), "stages",
     "stats is down"),
    (lambda line: fill_outbox(line.folder / "outbox.db", {
        "state": "queued", "since": (time.time() - 1000) * 1e6}), "outbox",
     "a message to Slack waits for more than 15 minutes"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_tells_what_is_not_well(line, trouble, thing, reason):
    wait_ready(line.port, True)
    trouble(line)
    told = wait_ready(line.port, False, reason)
    assert told[thing]["reason"] == reason
    assert [name for name, one in told.items()
            if isinstance(one, dict) and not one["ok"]] == [thing]


def test_the_state_folder_is_gone(line):
    for path in line.running.iterdir():
        path.unlink()
    line.running.rmdir()
    told = wait_ready(line.port, False, "the state folder is gone")
    assert not told["stages"]["ok"] and not told["slack"]["ok"]


def test_records_that_do_not_come_through(line):
    tell_reader(line.running, seq=3)
    began = time.monotonic()
    told = wait_ready(line.port, False, "came through to ws-broadcast")
    assert 9 < time.monotonic() - began < 25
    assert told["stages"]["behind"] == 3
    os.write(line.writing, b'{"seq":3}\n')
    wait_ready(line.port, True)
    wait_ready(line.port, False, "came through to stats")
    replace(line.folder / "stats.json", {"seq": 3})
    wait_ready(line.port, True)


def count_opens(path, act):
    """How often somebody opens the file meanwhile."""
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(watch, os.fsencode(path), 0x20)      # IN_OPEN
    act()
    try:
        return len(os.read(watch, 1 << 20)) // 16
    except BlockingIOError:
        return 0
    finally:
        os.close(watch)


def test_looks_once_a_second_however_often_it_is_asked(line):
    def keep_asking():
        end = time.monotonic() + 3
        while time.monotonic() < end:
            ask(line.port, "/readyz")
            asked.append(1)
    asked = []
    assert 1 <= count_opens(line.running / "scanner.status",
                            keep_asking) <= 5
    assert len(asked) > 100


def test_viewers_see_the_totals_change_though_others_look(line):
    async def watch():
        async with aiohttp.ClientSession(
                auth=aiohttp.BasicAuth(USER, PASSWORD)) as session, \
                session.ws_connect(f"{line.url}/ultronex/ws/slack") as viewer:
            for number in range(3):
                await until(viewer, number)
                replace(line.folder / "stats.json",
                        {"external": {"a": 1}, "seq": number + 1})
                for _ in range(5):
                    await asyncio.sleep(0.01)
                    await asyncio.to_thread(ask, line.port, "/readyz")

    async def until(viewer, number):
        while True:
            text = await viewer.receive_str(timeout=10)
            for told in text.split("\n"):
                if told.startswith('["stats"'):
                    # the errors are only for who asks for them
                    assert json.loads(told)[1] == {"seq": number}
                    return
    asyncio.run(watch())
