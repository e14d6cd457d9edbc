"""The sick kernel of chaos.so, the programs under it, and what sabotages
them: short reads and writes, EINTR, clock jumps, a full disk, poison."""
import asyncio
import collections
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import aiohttp
import pytest

from records import read_records
from sabotage import (BUILD, MAKING, PROGRAMS, ROOT, SYNCING, VARIANTS,
                      Chaos, build_broken, link_programs, put_poison)
from slack import FakeSlack

BIN = BUILD / "bin"
EXAMPLES = ROOT / "examples"
PYTHON = "/usr/bin/python3"
EX_CONFIG = 78
ROUGH = {"short_ppm": 300000, "short_file_ppm": 300000, "eintr_ppm": 200000}
AWFUL = {"short_ppm": 990000, "short_file_ppm": 990000, "eintr_ppm": 900000}


@pytest.fixture
def chaos(tmp_path):
    with Chaos(tmp_path / "chaos", folder=tmp_path) as made:
        yield made


def environment(chaos, **more):
    return {**os.environ, **chaos.environment, **more}


def wait_until(predicate, timeout=15, why=lambda: ""):
    end = time.monotonic() + timeout
    while not (value := predicate()):
        assert time.monotonic() < end, why()
        time.sleep(0.01)
    return value


# --- the library itself -----------------------------------------------------

def run_python(chaos, code, programs=("python3",), **more):
    """Run Python under chaos; returns what the code printed, as JSON."""
    chaos.set(programs=programs)
    done = subprocess.run([PYTHON, "-c", code], stdout=subprocess.PIPE,
                          env=environment(chaos), check=True, timeout=20,
                          **more)
    return json.loads(done.stdout)


LENGTHS = """
import ctypes, errno, json, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def times(call, count=200):
    return sorted({call() for _ in range(count)})
def pipe(size, asked):
    ends = os.pipe()
    os.write(ends[1], b"x" * size)
    return len(os.read(ends[0], asked))
def pair(kind, size):
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    sent = a.send(b"x" * size)
    return sent, len(b.recv(size))
def file(size):
    fd = os.open("file", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    return os.write(fd, b"x" * size), len(os.pread(fd, size, 0))
def big():
    a, b = os.pipe()
    return os.write(b, b"x" * 5000)
event = os.eventfd(0)
def counter():
    os.eventfd_write(event, 1)
    return os.eventfd_read(event)
print(json.dumps({
    "pipe": times(lambda: pipe(1000, 1000)), "big": times(big),
    "small": times(lambda: pipe(63, 63)), "datagram":
    times(lambda: pair(socket.SOCK_DGRAM, 500)),
    "stream": times(lambda: pair(socket.SOCK_STREAM, 500)),
    "event": times(counter), "file": times(lambda: file(500))}))
"""


def test_shortens_what_may_be_short_and_nothing_else(chaos, tmp_path):
    chaos.set(short_ppm=500000, short_file_ppm=500000)
    seen = run_python(chaos, LENGTHS, cwd=tmp_path)
    assert seen["pipe"][0] == 1 and seen["pipe"][-1] == 1000
    assert len(seen["pipe"]) > 20
    assert seen["big"][0] == 1 and seen["big"][-1] == 5000
    assert len(seen["stream"]) > 20 and len(seen["file"]) > 20
    assert seen["small"] == [63]
    assert seen["datagram"] == [[500, 500]]
    assert seen["event"] == [1]
    assert chaos.get("shorts") > 300
    assert chaos.get("eintrs") == 0


INTERRUPTED = """
import ctypes, errno, json, os, time
libc = ctypes.CDLL(None, use_errno=True)
def failed(call):
    hits = 0
    for _ in range(100):
        ctypes.set_errno(0)
        if call() == -1:
            assert ctypes.get_errno() == errno.EINTR, ctypes.get_errno()
            hits += 1
    return hits
a, b = os.pipe()
room = ctypes.create_string_buffer(100)
def write_then_read():
    if libc.write(b, b"x", 1) == -1:
        return -1
    while libc.read(a, room, 100) != 1:
        pass
    return 1
file = os.open("file", os.O_RDWR | os.O_CREAT)
os.set_blocking(a, True)
result = {"pipe": failed(write_then_read),
    "file": failed(lambda: libc.write(file, b"x", 1)),
    "poll": failed(lambda: libc.poll(None, 0, 1)),
    "sleep": failed(lambda: libc.usleep(1))}
os.set_blocking(b, False)
result["nonblocking"] = failed(lambda: libc.write(b, b"x", 1))
print(json.dumps(result))
"""


def test_interrupts_what_can_block_and_nothing_else(chaos, tmp_path):
    chaos.set(eintr_ppm=500000)
    seen = run_python(chaos, INTERRUPTED, cwd=tmp_path)
    assert 20 < seen["pipe"] < 80
    assert 20 < seen["poll"] < 80
    assert seen["file"] == 0
    assert seen["nonblocking"] == 0
    assert chaos.get("shorts") == 0


CLOCKS = """
import json, sys, time
def look():
    print(json.dumps([time.time(), time.monotonic(),
                      time.clock_gettime(time.CLOCK_BOOTTIME)]), flush=True)
look()
while sys.stdin.readline():
    look()
"""


def test_the_time_of_day_jumps_while_a_process_runs(chaos):
    chaos.set(programs=["python3"])
    with subprocess.Popen([PYTHON, "-c", CLOCKS], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True,
                          env=environment(chaos)) as process:
        before = json.loads(process.stdout.readline())
        for jump in 3600, -86400:
            chaos.set(clock_us=jump * 1000000)
            process.stdin.write("\n")
            process.stdin.flush()
            now = json.loads(process.stdout.readline())
            assert now[0] - before[0] == pytest.approx(jump, abs=5)
            assert now[1] - before[1] == pytest.approx(0, abs=5)
            assert now[2] - before[2] == pytest.approx(0, abs=5)
        process.stdin.close()


DISK = """
import errno, json, os
def attempt(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
flags = os.O_RDWR | os.O_CREAT
old = os.open("old", os.O_RDWR)
print(json.dumps({
    "within": attempt(os.pwrite, old, b"x" * 50, 0),
    "part": attempt(os.write, old, b"x" * 300),
    "nothing": attempt(os.write, old, b"x" * 300),
    "grow": attempt(os.ftruncate, old, 5000),
    "shrink": attempt(os.ftruncate, old, 10),
    "new": attempt(os.open, "new", flags), "again": bool(attempt(
        os.open, "old", flags)),
    "folder": attempt(os.mkdir, "folder"),
    "sync": attempt(os.fdatasync, old),
    "room": os.fstatvfs(old).f_bavail < 1000,
    "elsewhere": attempt(os.write, os.open("../out", flags), b"x" * 300)}))
"""


def test_the_disk_is_full_in_one_folder(chaos, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "old").write_bytes(b"y" * 100)
    chaos.set(folder=inside)
    chaos.fill_disk(room=120)
    seen = run_python(chaos, DISK, cwd=inside)
    assert seen == {
        "within": 50, "part": 220, "nothing": "ENOSPC", "grow": "ENOSPC",
        "shrink": None, "new": seen["new"], "again": True, "folder": None,
        "sync": None, "room": True, "elsewhere": 300}
    assert chaos.get("disk_room") == 220 - 10
    assert isinstance(seen["new"], int)

    (inside / "new").unlink()
    (inside / "folder").rmdir()
    chaos.fill_disk(what=MAKING | SYNCING, error=5)
    seen = run_python(chaos, DISK, cwd=inside)
    assert seen["new"] == seen["folder"] == seen["sync"] == "EIO"
    assert seen["again"] and seen["nothing"] == 300

    chaos.empty_disk()
    assert "EIO" not in run_python(chaos, DISK, cwd=inside).values()


@pytest.mark.parametrize("how", ["another program", "no file", "short file"])
def test_leaves_everybody_else_alone(chaos, tmp_path, how):
    chaos.set(**AWFUL, clock_us=10**13, folder=tmp_path)
    chaos.fill_disk(what=7)
    chaos.set(programs=["cat"] if how != "another program" else PROGRAMS)
    path = {"another program": chaos.path, "no file": tmp_path / "none",
            "short file": tmp_path / "short"}[how]
    (tmp_path / "short").write_bytes(chaos.path.read_bytes()[:1000])
    done = subprocess.run(
        ["sh", "-c", "cat >copy && sed s/a/b/ copy && flock copy date +%Y"],
        input=b"a" * 100000, cwd=tmp_path, timeout=20, check=True,
        stdout=subprocess.PIPE, env=environment(chaos, CHAOS=str(path)))
    assert done.stdout == b"b" + b"a" * 99999 + time.strftime(
        "%Y\n", time.gmtime()).encode()
    assert not any(chaos.counts.values())


# --- the filters ------------------------------------------------------------

FILTERS = {
    "attach-fetch": ["--offline", "--spool", EXAMPLES / "spool"],
    "slack-bot": ["--bot-id", "UBOT", "--quotes", EXAMPLES / "quotes.txt"],
    "scanner": ["--patterns", EXAMPLES / "patterns.conf",
                "--spool", EXAMPLES / "spool"],
    "classifier": ["--classes", EXAMPLES / "classes.conf"],
    "ws-broadcast": ["--listen", "127.0.0.1:0", "--no-auth"],
    "stats": [],
    "slack-reader": ["--replay", "-", "--speed", "max", "--clock",
                     "2026-11-22T10:00:00Z"],
}


COMMANDS = ("help", "forward stark", "forward /(a+)+$/", "list", "quote",
            "xkcd", "mute 2h", "talk", "stop stark", "stop", "what")


def recording():
    """Days, each with somebody who talks to the bot at its end."""
    day = (EXAMPLES / "qa-day.ndjson").read_bytes() + b"".join(
        json.dumps({"type": "message", "user": "U1", "channel": "D1",
                    "channel_type": "im", "ts": f"1763{place:06}.000100",
                    "text": command}).encode() + b"\n"
        for place, command in enumerate(COMMANDS))
    return day * 15


def run_filter(name, env, before=()):
    return subprocess.run(
        [*before, BIN / name, *FILTERS[name]], input=recording(), env=env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30,
        check=False)


@pytest.mark.parametrize("how", [ROUGH, AWFUL], ids=["rough", "awful"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_answers_the_same(chaos, name, how):
    before = [BIN / "keep", "--"] if name != "slack-reader" else []
    healthy = run_filter(name, os.environ)
    assert healthy.returncode == 0, healthy.stderr
    chaos.set(**how)
    sick = run_filter(name, environment(chaos), before)
    assert sick.returncode == 0, sick.stderr
    assert sick.stdout == healthy.stdout
    assert chaos.get("shorts") > 20 and chaos.get("eintrs") > 20
    assert chaos.get("processes") == (2 if before else 1)


# --- with a network ---------------------------------------------------------

class Reader:
    """slack-reader under chaos, and what it wrote."""

    def __init__(self, slack, chaos, folder, *arguments):
        self.state, self.inbox = folder / "state", folder / "inbox.sock"
        self.output, self.log = folder / "out", folder / "log"
        with self.output.open("wb") as output, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [BIN / "slack-reader", "--state", self.state, "--inbox",
                 self.inbox, "--ca-file", slack.ca_file, *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=log,
                env=environment(chaos, **slack.environment))
        slack.wait_for("hello", 2, timeout=20)

    @property
    def records(self):
        return read_records(self.output)

    def stop(self):
        self.process.terminate()
        return self.process.wait(20)


@contextlib.contextmanager
def reading(chaos, folder, *options):
    with FakeSlack("--retries", "0.5,1,1.5", *options, tls=True) as slack:
        reader = Reader(slack, chaos, folder)
        try:
            yield slack, reader
        finally:
            if reader.process.poll() is None:
                reader.process.kill()
            reader.process.wait()


def check_messages(reader, sent):
    """Each once; those that came live in the order of their channel."""
    messages = [record for record in reader.records
                if record["type"] == "message"]
    seen = collections.Counter(
        (record["channel"], record["ts"]) for record in messages)
    assert seen == collections.Counter(
        (message["channel"], message["ts"]) for message in sent)
    live = [record["ts"] for record in messages if "backfill" not in record]
    assert live == sorted(live)


def post(path, count, answers):
    """Lines for the inbox, as a client that tries again until it is ok."""
    done = 0
    while done < count:
        with contextlib.suppress(OSError), \
                socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
            lines = peer.makefile("rb")
            while done < count:
                identity = f"{threading.get_ident()}-{done}"
                peer.sendall(json.dumps({
                    "type": "api_message", "id": identity,
                    "text": "x" * (done * 97 % 9000)}).encode() + b"\n")
                if not json.loads(lines.readline() or b'{"ok":0}')["ok"]:
                    time.sleep(0.05)
                    break
                answers.append(identity)
                done += 1


def wait_acknowledged(slack, sent):
    wanted = {message["event_id"] for message in sent}
    slack.wait_until(lambda _: wanted <= set(slack.acks()), timeout=20)


def test_the_reader_loses_nothing_on_a_sick_kernel(chaos, tmp_path):
    chaos.set(**ROUGH)
    with reading(chaos, tmp_path) as (slack, reader):
        answers = []
        client = threading.Thread(target=post, args=(reader.inbox, 200,
                                                     answers))
        client.start()
        sent = slack.send_many(200, rate=400, text="y" * 3000)
        client.join(20)
        wait_acknowledged(slack, sent)
        assert reader.stop() in (0, -signal.SIGTERM)
        slack.check()
        check_messages(reader, sent)
        posted = [record["id"] for record in reader.records
                  if record["type"] == "api_message"]
        assert posted == answers and len(answers) == 200
        seqs = [record["seq"] for record in reader.records]
        assert seqs == list(range(1, 401))
    assert chaos.get("shorts") > 300 and chaos.get("eintrs") > 50


def test_the_reader_outlives_jumps_of_the_clock(chaos, tmp_path):
    with reading(chaos, tmp_path) as (slack, reader):
        sent = slack.send_many(20, rate=400)
        for hours in 1, -1, 48, -72, 0:
            wait_until(lambda: len(reader.records) == len(sent))
            chaos.set(clock_us=hours * 3600 * 1000000)
            sent += slack.send_many(20, rate=400)
        wait_acknowledged(slack, sent)
        reader.stop()
        slack.check()
        check_messages(reader, sent)
        days = {record["received"][:10] for record in reader.records}
        assert len(days) >= 3
    assert chaos.get("clock_reads") > 50


@pytest.mark.parametrize("room", [0, 10000])
def test_the_door_shuts_while_the_disk_is_full(chaos, tmp_path, room):
    chaos.set(**ROUGH, folder=tmp_path / "state")
    with reading(chaos, tmp_path) as (slack, reader):
        answers = []
        sent = slack.send_many(20, rate=400)
        wait_acknowledged(slack, sent)
        chaos.fill_disk(room)
        sent += slack.send_many(50, rate=400)
        wait_until(lambda: "nothing is taken" in reader.log.read_text())
        client = threading.Thread(target=post, args=(reader.inbox, 20,
                                                     answers))
        client.start()
        wait_until(lambda: chaos.get("disk_faults") > 3)
        assert len(slack.acks()) < len(sent)
        chaos.empty_disk()
        client.join(20)
        wait_acknowledged(slack, sent)
        wait_until(lambda: len(reader.records) >= len(sent) + 20)
        reader.stop()
        slack.check()
        check_messages(reader, sent)
        posted = collections.Counter(
            record["id"] for record in reader.records
            if record["type"] == "api_message")
        assert set(posted) == set(answers) and set(posted.values()) == {1}


def test_downloads_are_whole_on_a_sick_kernel(chaos, tmp_path):
    chaos.set(**ROUGH)
    contents = [os.urandom(1 + 7000 * number).hex() for number in range(30)]
    with FakeSlack() as slack:
        for number, content in enumerate(contents):
            slack.send("see here", uploads=[
                {"name": f"{number}.txt", "text": content}])
        done = subprocess.run(
            [BIN / "attach-fetch", "--spool", tmp_path / "spool",
             "--insecure-hosts", slack.host, "--deadline", "20"],
            input=b"".join(json.dumps(message).encode() + b"\n"
                           for message in slack.history()),
            env=environment(chaos, **slack.environment, no_proxy="*"),
            timeout=30, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(contents)
    for answer, content in zip(answers, contents):
        fetched, = answer["fetched"]
        assert fetched["status"] == "ok", (fetched, done.stderr)
        path = tmp_path / "spool" / fetched["path"]
        assert path.read_text() == content
    assert chaos.get("shorts") > 30 and chaos.get("eintrs") > 30


class Dashboard:
    """ws-broadcast under chaos."""

    def __init__(self, chaos):
        self.process = subprocess.Popen(
            [BIN / "ws-broadcast", "--listen", "127.0.0.1:0", "--no-auth"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=environment(chaos))
        line = self.process.stderr.readline().decode()
        self.url = re.search(r"http://127\.0\.0\.1:\d+", line)[0]
        self.out = b""
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        self.out = self.process.stdout.read()

    async def view(self, count, ready):
        """The seqs that a viewer sees, until there are so many."""
        seqs = []
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(
                    self.url + "/ultronex/ws/slack",
                    max_msg_size=0) as peer:
                while len(seqs) < count:
                    message = await peer.receive(20)
                    assert message.type == aiohttp.WSMsgType.TEXT, message
                    lines = map(json.loads, message.data.split("\n"))
                    for line in lines:
                        if isinstance(line, list):
                            assert line[0] != "gap", line
                            ready.release()
                        else:
                            seqs.append(line["seq"])
        return seqs


@pytest.mark.parametrize("how", [ROUGH, AWFUL], ids=["rough", "awful"])
def test_viewers_see_each_record_once(chaos, how):
    chaos.set(**how)
    dashboard = Dashboard(chaos)
    data = b"".join(json.dumps({
        "type": "message", "seq": seq, "text": "z" * (seq * 37 % 3000),
    }).encode() + b"\n" for seq in range(1, 1001))

    async def watch():
        ready = asyncio.Semaphore(0)
        viewers = [asyncio.ensure_future(dashboard.view(1000, ready))
                   for _ in range(4)]
        for _ in viewers:
            await asyncio.wait_for(ready.acquire(), 20)
        await asyncio.to_thread(dashboard.process.stdin.write, data)
        await asyncio.to_thread(dashboard.process.stdin.flush)
        return await asyncio.gather(*viewers)

    try:
        for seqs in asyncio.run(watch()):
            assert seqs == list(range(1, 1001))
        dashboard.process.stdin.close()
        assert dashboard.process.wait(20) == 0
        dashboard.thread.join()
        assert dashboard.out == data
        assert chaos.get("shorts") > 20 and chaos.get("eintrs") > 20
    finally:
        dashboard.process.kill()
        dashboard.process.wait()
        dashboard.thread.join()


# --- counts and dead letters ------------------------------------------------

def records(first, last, text="hello"):
    return b"".join(json.dumps({
        "type": "message", "seq": seq, "channel": "C0EXAMPLE1",
        "text": f"{text} {seq}"}).encode() + b"\n"
        for seq in range(first, last + 1))


def start(command, env, **more):
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=env, **more)


def test_stats_waits_for_room_and_counts_exactly(chaos, tmp_path):
    chaos.set(**ROUGH)
    snapshot = tmp_path / "stats.json"
    process = start([BIN / "stats", "--snapshot", snapshot],
                    environment(chaos))
    process.stdin.write(records(1, 100))
    process.stdin.flush()
    assert process.stdout.read(len(records(1, 100))) == records(1, 100)
    chaos.fill_disk(room=300)
    process.stdin.write(records(101, 5000))
    process.stdin.close()
    assert b"wait" in process.stderr.readline()
    chaos.empty_disk()
    assert process.stdout.read() == records(101, 5000)
    assert process.wait(20) == 0, process.stderr.read()
    counts = json.loads(snapshot.read_bytes())
    assert counts["records"] == counts["seq"] == 5000
    process.stdout.close()
    process.stderr.close()


def test_keep_waits_for_room_for_dead_letters(chaos, tmp_path):
    letters = tmp_path / "dead.ndjson"
    chaos.fill_disk(room=10)
    process = start([BIN / "keep", "--dead-letters", letters, "--",
                     "sh", "-c", "read -r line; exit 1"],
                    environment(chaos))
    process.stdin.write(records(1, 1))
    process.stdin.close()
    said = b""
    while b"waiting" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    assert not letters.exists() or letters.read_bytes() == b""
    chaos.empty_disk()
    answer = process.stdout.read()
    process.wait(20)
    assert json.loads(answer)["error"]["attempts"] == 3
    assert letters.read_bytes() == answer
    process.stdout.close()
    process.stderr.close()


# --- poison -----------------------------------------------------------------

@pytest.fixture
def poisoned(tmp_path):
    """The programs, with poison.py before classifier."""
    folder = link_programs(tmp_path / "bin")
    put_poison(folder, "classifier")
    return folder


def classify(folder, data, poison="", before=(), **more):
    return subprocess.run(
        [*before, folder / "classifier", "--classes",
         EXAMPLES / "classes.conf"], input=data, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=30, check=False,
        env={**os.environ, "POISON": poison, **more})


def test_poison_leaves_other_lines_alone(poisoned):
    healthy = classify(BIN, recording())
    began = time.monotonic()
    done = classify(poisoned, recording(), "arsenic:kill")
    assert time.monotonic() - began < 10
    assert (done.returncode, done.stdout) == (0, healthy.stdout)


@pytest.mark.parametrize("action, status, answers", [
    ("kill", -signal.SIGKILL, None), ("abort", -signal.SIGABRT, None),
    ("half", -signal.SIGKILL, 5), ("exit", 0, 5)])
def test_poison_kills(poisoned, action, status, answers):
    data = records(1, 5) + records(6, 6, "arsenic") + records(7, 9)
    done = classify(poisoned, data, f"arsenic:{action}")
    assert done.returncode == status
    lines = done.stdout.split(b"\n")
    assert answers is None or len(lines) - 1 == answers
    assert bool(lines[-1]) == (action == "half")


def test_poison_passes_the_end_of_its_program_on(poisoned, tmp_path):
    done = subprocess.run([poisoned / "classifier"], input=b"", check=False,
                          stderr=subprocess.PIPE)
    assert done.returncode == 64 and b"usage: classifier" in done.stderr
    process = start([poisoned / "classifier", "--classes",
                     EXAMPLES / "classes.conf"], os.environ)
    process.stdin.write(records(1, 1))
    process.stdin.flush()
    assert process.stdout.readline()
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM
    for file in process.stdin, process.stdout, process.stderr:
        file.close()


@pytest.mark.parametrize("action", ["kill", "half", "exit", "hang"])
def test_keep_sets_poison_aside(poisoned, tmp_path, action):
    words = tmp_path / "words"
    words.write_text(f"arsenic:{action}")
    data = records(1, 5) + records(6, 6, "arsenic") + records(7, 9)
    done = classify(poisoned, data, before=[
        BIN / "keep", "--hang", "0.5", "--dead-letters", tmp_path / "dead",
        "--"], POISON_FILE=str(words))
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["seq"] for answer in answers] == list(range(1, 10))
    assert [answer["seq"] for answer in answers if "error" in answer] == [6]
    dead, = (tmp_path / "dead").read_bytes().splitlines()
    assert json.loads(dead) == answers[5]


# --- broken programs --------------------------------------------------------

def test_a_variant_whose_text_is_gone_fails_loudly(tmp_path, monkeypatch):
    variant = VARIANTS["keep-forgets"]
    monkeypatch.setitem(VARIANTS, "stale", variant._replace(
        replacements=[("keep/main.c", "not in there", "")]))
    with pytest.raises(LookupError, match="mend.*variants.py"):
        build_broken("stale", tmp_path)


@pytest.fixture
def broken(tmp_path):
    return lambda name: build_broken(name, tmp_path / "broken")


def test_stats_answers_first(broken, tmp_path):
    snapshot = tmp_path / "stats.json"
    counted = []
    for folder in BIN, broken("stats-answers-first"):
        process = start([folder / "stats", "--snapshot", snapshot],
                        os.environ)
        data = records(1, 100)
        process.stdin.write(data)
        process.stdin.flush()
        assert process.stdout.read(len(data)) == data
        process.kill()
        process.wait()
        for file in process.stdin, process.stdout, process.stderr:
            file.close()
        subprocess.run([folder / "stats", "--snapshot", snapshot], input=b"",
                       check=True)
        counted.append(json.loads(snapshot.read_bytes())["records"])
        for path in tmp_path.glob("stats.json*"):
            path.unlink()
    assert counted[0] == 100 and counted[1] < 100


def test_reader_acks_first(broken, tmp_path):
    folder = broken("reader-acks-first")
    with FakeSlack() as slack:
        process = subprocess.Popen(
            [folder / "slack-reader", "--state", tmp_path / "state",
             "--inbox", tmp_path / "inbox.sock"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, **slack.environment})
        slack.wait_for("hello", 2, timeout=20)
        first = slack.send("first")
        wait_acknowledged(slack, [first])
        journal = tmp_path / "state" / "journal"
        wait_until(lambda: any(
            b"first" in path.read_bytes() for path in journal.iterdir()))
        second = slack.send("second")
        wait_acknowledged(slack, [second])
        process.kill()
        process.wait()
    assert not any(b"second" in path.read_bytes()
                   for path in journal.iterdir())


def kept(folder, poison, tmp_path):
    """What comes out of keep when a stage dies once, amid its lines."""
    tmp_path.mkdir(exist_ok=True)
    words = tmp_path / "words"
    words.write_text(poison)
    programs = link_programs(tmp_path / "programs")
    put_poison(programs, "classifier")
    process = start([folder / "keep", "--", programs / "classifier",
                     "--classes", EXAMPLES / "classes.conf"],
                    {**os.environ, "POISON_FILE": str(words)})
    process.stdin.write(records(1, 5) + records(6, 6, "arsenic"))
    process.stdin.flush()
    assert b"unanswered" in process.stderr.readline()
    words.write_text("")
    process.stdin.write(records(7, 9))
    process.stdin.close()
    out = process.stdout.read()
    process.wait(20)
    process.stdout.close()
    process.stderr.close()
    return re.findall(rb'"seq": (\d)', out), out


def test_keep_forgets(broken, tmp_path):
    seqs, _ = kept(BIN, "arsenic:exit", tmp_path / "good")
    assert seqs == [b"%d" % number for number in range(1, 10)]
    seqs, _ = kept(broken("keep-forgets"), "arsenic:exit", tmp_path)
    assert seqs == [b"1", b"2", b"3", b"4", b"5", b"7", b"8", b"9"]


def test_keep_passes_halves(broken, tmp_path):
    _, out = kept(BIN, "arsenic:half", tmp_path / "good")
    assert b"half an answer" not in out
    _, out = kept(broken("keep-passes-halves"), "arsenic:half", tmp_path)
    assert out.count(b"half an answer") == 1


def test_classifier_rewrites_and_swaps(broken):
    healthy = classify(BIN, recording()).stdout
    rewritten = classify(broken("classifier-rewrites"), recording()).stdout
    assert len(rewritten) == len(healthy)
    changed = sum(one != other for one, other in zip(healthy, rewritten))
    assert changed > 10
    swapped = classify(broken("classifier-swaps"), recording()).stdout
    assert swapped != healthy
    assert sorted(swapped.splitlines()) == sorted(healthy.splitlines())
