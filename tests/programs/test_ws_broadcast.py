"""ws-broadcast: records in, the same records out, and viewers beside it."""
import asyncio
import base64
import collections
import contextlib
import fcntl
import json
import os
import pathlib
import re
import resource
import select
import signal
import socket
import stat
import subprocess
import threading
import time
from random import Random

import aiohttp
import pytest

from conftest import BIN, CRASHES, children_cpu_s, is_sanitized, run_program

PROGRAM = BIN / "ws-broadcast"
KIB, MIB = 1024, 1024 * 1024
EX_USAGE, EX_UNAVAILABLE, EX_IOERR, EX_CONFIG = 64, 69, 74, 78
USER, PASSWORD = "tony", "I am:Iron Man ä"
SECRETS = {"BASIC_AUTH_USERNAME": USER, "BASIC_AUTH_PASSWORD": PASSWORD}
AUTH = aiohttp.BasicAuth(USER, PASSWORD, "utf-8")
SOCKET = "/ultronex/ws/slack"
TRY_AGAIN = b"\x88\x02" + (1013).to_bytes(2, "big")    # a frame that closes
INDEX = b"<!doctype html><title>dashboard</title>"

SECURITY = {
    "Content-Security-Policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def record(seq, size=0):
    return json.dumps({"type": "message", "text": "x" * size,
                       "seq": seq}).encode() + b"\n"


def records(first, last, size=0):
    return b"".join(record(seq, size) for seq in range(first, last + 1))


@pytest.fixture
def www(tmp_path):
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "index.html").write_bytes(INDEX)
    (folder / "404.html").write_text("<!doctype html><p>abyss")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "stream.js").write_text("export const a = 1;\n")
    (folder / "style.css").write_text("b { c: d }\n" * 20000)
    (folder / "notes.txt").write_text("not for browsers")
    (folder / "under").mkdir()
    (tmp_path / "secret.html").write_text("outside")
    return folder


class Server:
    """A running ws-broadcast; what comes out is read unless told not to."""

    def __init__(self, *arguments, env=SECRETS, read=True, **more):
        self.process = subprocess.Popen(
            [PROGRAM, "--listen", "127.0.0.1:0", *map(str, arguments)],
            stdin=more.pop("stdin", subprocess.PIPE),
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE, env={**os.environ, **env}, **more)
        self.stderr = []
        self.out = bytearray()
        self.announced = threading.Event()
        self.threads = [threading.Thread(target=self.read_stderr)]
        if read and self.process.stdout:
            self.threads.append(threading.Thread(target=self.read_stdout))
        for thread in self.threads:
            thread.start()
        assert self.announced.wait(20), self.stderr
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)",
                                  "".join(self.stderr))[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def read_stderr(self):
        for line in self.process.stderr:
            self.stderr.append(line.decode())
            if "dashboard at" in self.stderr[-1]:
                self.announced.set()
        self.announced.set()

    def read_stdout(self):
        while chunk := os.read(self.process.stdout.fileno(), 1 << 20):
            self.out += chunk

    def feed(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end_input(self):
        self.process.stdin.close()

    def wait(self, timeout=20):
        status = self.process.wait(timeout)
        for thread in self.threads:
            thread.join(timeout)
        return status

    def wait_for_out(self, length, timeout=20):
        deadline = time.monotonic() + timeout
        while len(self.out) < length:
            assert time.monotonic() < deadline, len(self.out)
            time.sleep(0.005)

    def memory(self):
        """Resident memory in bytes, what it shares with others left out."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", text)[1]) * KIB

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        user, system = fields.rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.stdin and not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        for thread in self.threads:
            thread.join(10)
        stderr = "".join(self.stderr)
        assert not any(crash in stderr for crash in CRASHES), stderr
        assert self.process.returncode not in (-signal.SIGSEGV,
                                               -signal.SIGABRT), stderr


@pytest.fixture
def start(www):
    servers = []

    def start_server(*arguments, **more):
        servers.append(Server("--www", www, *arguments, **more))
        return servers[-1]

    yield start_server
    for server in servers:
        server.stop()


class Viewer:
    """A WebSocket; gives lines, and remembers how they came in frames."""

    def __init__(self, socket_):
        self.socket = socket_
        self.lines = []
        self.frames = []

    async def line(self, timeout=10):
        while not self.lines:
            message = await self.socket.receive(timeout)
            assert message.type == aiohttp.WSMsgType.TEXT, message
            self.frames.append(message.data)
            self.lines += message.data.split("\n")
        return self.lines.pop(0)

    async def notice(self, name, timeout=10):
        """The next line, which must be that notice."""
        told = json.loads(await self.line(timeout))
        assert told[0] == name, told
        return told[1] if len(told) > 1 else None

    async def seqs(self, count, timeout=10):
        return [json.loads(await self.line(timeout))["seq"]
                for _ in range(count)]

    async def rest(self):
        """All lines until the connection is closed."""
        with contextlib.suppress(AssertionError):
            while True:
                self.lines.insert(0, await self.line())
                await self.more()
        return self.lines

    async def more(self):
        message = await self.socket.receive(10)
        assert message.type == aiohttp.WSMsgType.TEXT, message
        self.lines += message.data.split("\n")


@contextlib.asynccontextmanager
async def viewing(server, query="", auth=AUTH, **more):
    async with aiohttp.ClientSession(auth=auth) as session:
        async with session.ws_connect(server.url + SOCKET + query,
                                      max_msg_size=0, **more) as socket_:
            yield Viewer(socket_)


def request(server, method, path, auth=AUTH, **more):
    """A plain HTTP request; returns status, headers and body."""
    async def ask():
        async with aiohttp.ClientSession(auth=auth) as session:
            async with session.request(
                    method, server.url + path, allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(10), **more) as answer:
                return answer.status, answer.headers, await answer.read()
    return asyncio.run(ask())


def talk(server, data, timeout=5):
    """Send bytes as they are; returns all that comes back until the close."""
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.settimeout(timeout)
        answer = b""
        with contextlib.suppress(ConnectionError, socket.timeout):
            peer.sendall(data)
            while chunk := peer.recv(65536):
                answer += chunk
        return answer


def credentials(user=USER, password=PASSWORD):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def upgrade(**headers):
    """The bytes of a WebSocket request with other or more headers."""
    fields = {"Host": "127.0.0.1", "Connection": "Upgrade",
              "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
              "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
              "Authorization": credentials()}
    path = headers.pop("path", SOCKET)
    method = headers.pop("method", "GET")
    fields.update({name.replace("_", "-"): value
                   for name, value in headers.items()})
    return f"{method} {path} HTTP/1.1\r\n".encode() + "".join(
        f"{name}: {value}\r\n" for name, value in fields.items()
        if value is not None).encode() + b"\r\n"


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer else None


# Passing on

def test_passes_lines_on_byte_for_byte(start):
    data = (b'{"b":1, "a" : 9007199254740993,"seq":3,"text":"\\u00e9\xc3\xa9"}\n'
            b'  {"x":[ ]}\r\n' + records(10, 3000, 100) + b'{"last":true}')
    server = start()
    server.feed(data)
    server.end_input()
    assert server.wait() == 0
    assert bytes(server.out) == data + b"\n"


def test_answers_bad_lines_and_shows_them(start):
    server = start()

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            server.feed(b"what is this\n" + record(7))
            first = json.loads(await viewer.line())
            assert await viewer.seqs(1) == [7]
            return first

    shown = asyncio.run(watch())
    assert shown["type"] == "error"
    assert shown["error"]["stage"] == "ws-broadcast"
    assert shown["line"] == "what is this"
    server.end_input()
    assert server.wait() == 0
    assert json.loads(server.out.splitlines()[0]) == shown


def test_reads_and_writes_files(www, tmp_path):
    (tmp_path / "in").write_bytes(records(1, 5000, 300))
    with open(tmp_path / "in", "rb") as source, \
            open(tmp_path / "out", "wb") as drain:
        done = subprocess.run(
            [PROGRAM, "--listen", "127.0.0.1:0", "--no-auth", "--www", www],
            stdin=source, stdout=drain, stderr=subprocess.PIPE, timeout=30,
            check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == records(1, 5000, 300)


def test_leaves_the_flags_of_a_shared_output_alone(start):
    reading, writing = os.pipe()
    server = start(stdout=writing)
    server.feed(record(1))
    assert os.read(reading, 100) == record(1)
    assert not fcntl.fcntl(writing, fcntl.F_GETFL) & os.O_NONBLOCK
    server.stop()
    os.close(reading)
    os.close(writing)


def test_writes_to_a_socket_without_waiting(start):
    ours, theirs = socket.socketpair()
    server = start(stdout=theirs.fileno())
    theirs.close()
    data = records(1, 3000, 1000)
    feeder = threading.Thread(target=lambda: (server.feed(data),
                                              server.end_input()))
    feeder.start()
    time.sleep(0.3)
    assert request(server, "GET", "/ultronex/heartbeat")[0] == 200
    got = b""
    while chunk := ours.recv(1 << 20):
        got += chunk
    feeder.join()
    assert got == data
    assert server.wait() == 0
    ours.close()


def test_a_slow_reader_holds_up_the_input_but_no_viewer(start):
    server = start("--backlog", 100, "--history", 0, read=False)
    data = records(1, 20000, 1000)
    feeder = threading.Thread(target=server.feed, args=(data,))
    feeder.start()
    time.sleep(0.5)
    assert feeder.is_alive()                # reading has stopped
    begin = time.monotonic()
    assert request(server, "GET", "/ultronex/heartbeat")[0] == 200

    async def watch():
        async with viewing(server) as viewer:
            return await viewer.notice("hello")
    last = asyncio.run(watch())["last"]
    assert time.monotonic() - begin < 8
    assert 0 < last < 5000
    if not is_sanitized():
        assert server.memory() < 6 * MIB
    server.cpu_seconds_before = server.cpu_seconds()
    time.sleep(0.5)
    assert server.cpu_seconds() - server.cpu_seconds_before < 0.1

    server.threads.append(threading.Thread(target=server.read_stdout))
    server.threads[-1].start()
    feeder.join(20)
    server.end_input()
    assert server.wait() == 0
    assert bytes(server.out) == data


def test_leaves_quietly_when_nobody_reads_any_more(start):
    server = start(read=False)
    server.feed(record(1))
    server.process.stdout.close()           # idle: it notices all the same
    assert server.wait() == -signal.SIGPIPE
    assert len(server.stderr) == 1


def test_reports_a_full_disk(www):
    with open("/dev/full", "wb") as full:
        done = run_program("ws-broadcast", "--listen", "127.0.0.1:0",
                           "--no-auth", "--www", www, stdin=record(1),
                           stdout=full)
    assert done.returncode == EX_IOERR
    assert b"write standard output: No space left" in done.stderr


@pytest.mark.parametrize("closed", [0, 1])
def test_needs_input_and_output(www, closed):
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}>&-', "sh", PROGRAM, "--listen",
         "127.0.0.1:0", "--no-auth", "--www", www], stdin=subprocess.DEVNULL,
        capture_output=True, timeout=20, check=False)
    assert done.returncode == EX_IOERR
    assert b"Bad file descriptor" in done.stderr


def test_passes_much_on_quickly(start):
    count = 4000 if is_sanitized() else 40000
    server = start()
    data = records(1, count, 960)
    begin = children_cpu_s()
    server.feed(data)
    server.end_input()
    assert server.wait() == 0
    assert children_cpu_s() - begin < 10
    assert bytes(server.out) == data


# The WebSocket

def test_a_new_viewer_gets_the_history_in_one_frame(start):
    server = start("--history", 3, "--backlog", 50, "--run", "r1")
    server.feed(records(1, 10))
    server.wait_for_out(len(records(1, 10)))

    async def watch():
        async with viewing(server) as viewer:
            hello = await viewer.notice("hello")
            assert await viewer.seqs(3) == [8, 9, 10]
            assert len(viewer.frames) == 1      # hello among them
            server.feed(record(11))
            assert await viewer.line() == record(11).decode().rstrip("\n")
            return hello
    assert asyncio.run(watch()) == {
        "run": "r1", "first": 1, "last": 10, "next": 8, "bounded": 50}


def test_a_viewer_of_an_empty_stream_gets_what_comes(start):
    server = start()

    async def watch():
        async with viewing(server) as viewer:
            hello = await viewer.notice("hello")
            assert (hello["first"], hello["last"], hello["next"]) == (1, 0, 1)
            server.feed(b'{"a":1}\n{"b":2}\n')
            assert await viewer.line() == '{"a":1}'
            assert await viewer.line() == '{"b":2}'
            return hello["run"]
    assert re.fullmatch(r"[0-9a-f]{16}", asyncio.run(watch()))


def test_blanks_around_a_record_do_not_reach_viewers(start):
    server = start()

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            server.feed(b' \t{"a": 1 }\t\r\n')
            assert await viewer.line() == '{"a": 1 }'
    asyncio.run(watch())
    server.end_input()
    assert server.wait() == 0
    assert bytes(server.out) == b' \t{"a": 1 }\t\r\n'


def test_keys_follow_seq_where_it_grows(start):
    server = start("--history", 100)
    data = (b'{"n":1}\n{"n":2,"seq":10}\n{"n":3,"seq":10}\n{"n":4,"seq":"x"}\n'
            b'{"n":5,"seq":50}\n{"n":6}\n{"n":7,"seq":9007199254740992}\n')
    server.feed(data)
    server.wait_for_out(len(data))

    async def numbers(query):
        async with viewing(server, query) as viewer:
            hello = await viewer.notice("hello")
            server.run = hello["run"]
            lines = [json.loads(line)["n"] for line in await take(viewer)]
            return hello["next"], hello["last"], lines

    async def take(viewer):
        lines = [await viewer.line()]
        while viewer.lines:
            lines.append(await viewer.line())
        return lines

    assert asyncio.run(numbers("")) == (1, 52, [1, 2, 3, 4, 5, 6, 7])
    for after, left in ((1, [2, 3, 4, 5, 6, 7]), (10, [3, 4, 5, 6, 7]),
                        (12, [5, 6, 7]), (50, [6, 7]), (51, [7])):
        query = f"?after={after}&run={server.run}"
        # a hole in the numbers is no gap: nothing is missing
        assert asyncio.run(numbers(query))[2] == left


def test_resumes_behind_the_last_record_seen(start):
    server = start("--history", 2, "--run", "same")
    server.feed(records(1, 20))
    server.wait_for_out(len(records(1, 20)))

    async def watch(query):
        async with viewing(server, query) as viewer:
            hello = await viewer.notice("hello")
            return hello["next"], await viewer.seqs(21 - hello["next"])

    async def watch_all():
        assert await watch("?after=15&run=same") == (16, [16, 17, 18, 19, 20])
        assert await watch("?run=same&after=0") == (1, list(range(1, 21)))
        for query in ("?after=15&run=other", "?after=15", "?run=same",
                      "?after=x&run=same", "?after=-1&run=same",
                      "?after=99999999999999999999&run=same"):
            assert await watch(query) == (19, [19, 20]), query
        async with viewing(server, "?after=20&run=same") as viewer:
            assert (await viewer.notice("hello"))["next"] == 21
            server.feed(record(21))
            assert await viewer.seqs(1) == [21]
        # what was seen before a restart of ours does not come once more
        async with viewing(server, "?after=23&run=same") as viewer:
            assert (await viewer.notice("hello"))["next"] == 24
            server.feed(records(22, 25))
            assert await viewer.seqs(2) == [24, 25]
    asyncio.run(watch_all())


def test_a_gap_names_the_exact_range(start):
    server = start("--backlog", 5, "--run", "r")
    server.feed(records(1, 20))
    server.wait_for_out(len(records(1, 20)))

    async def watch():
        async with viewing(server, "?after=4&run=r") as viewer:
            hello = await viewer.notice("hello")
            assert (hello["first"], hello["next"]) == (16, 16)
            assert await viewer.notice("gap") == {"from": 5, "to": 15}
            assert await viewer.seqs(5) == [16, 17, 18, 19, 20]
        async with viewing(server, "?after=15&run=r") as viewer:
            await viewer.notice("hello")
            assert await viewer.seqs(5) == [16, 17, 18, 19, 20]
    asyncio.run(watch())


def test_what_was_lost_with_an_earlier_process_is_named(start):
    server = start("--run", "r")
    server.feed(records(31, 40))
    server.wait_for_out(len(records(31, 40)))

    async def watch():
        async with viewing(server, "?after=20&run=r") as viewer:
            assert (await viewer.notice("hello"))["next"] == 31
            assert await viewer.notice("gap") == {"from": 21, "to": 30}
            assert await viewer.seqs(10) == list(range(31, 41))
        async with viewing(server, "?after=30&run=r") as viewer:
            await viewer.notice("hello")
            assert await viewer.line() == record(31).decode().strip()
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            assert await viewer.line() == record(31).decode().strip()
    asyncio.run(watch())


def test_a_record_that_comes_again_is_shown_once_in_a_run(start):
    server = start("--run", "r")
    data = records(1, 8) + records(5, 12) + b'{"n":1}\n' + records(12, 14)
    server.feed(data)
    server.wait_for_out(len(data))
    assert bytes(server.out) == data

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            lines = [json.loads(await viewer.line()) for _ in range(15)]
            assert [line.get("seq") for line in lines] == [
                *range(1, 13), None, 13, 14]
    asyncio.run(watch())


def test_the_backlog_is_bounded_in_bytes_but_keeps_the_newest(start):
    server = start("--backlog-bytes", "10KiB")
    data = records(1, 100, 1000) + record(101, 50000)
    server.feed(data[:-50100])
    server.feed(data[-50100:])
    server.wait_for_out(len(data))

    async def watch():
        async with viewing(server) as viewer:
            hello = await viewer.notice("hello")
            assert (hello["first"], hello["last"]) == (101, 101)
            assert await viewer.seqs(1) == [101]
            server.feed(record(102, 1000))
            assert await viewer.seqs(1) == [102]
        async with viewing(server) as viewer:
            assert (await viewer.notice("hello"))["first"] == 102
    asyncio.run(watch())


def open_deaf_viewer(server):
    """A viewer that shakes hands and then does not read."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connect(("127.0.0.1", server.port))
    peer.sendall(upgrade())
    peer.settimeout(10)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += peer.recv(1)
    assert status_of(answer) == 101, answer
    return peer


def read_lines(peer, until):
    """The lines of all frames up to one that `until` accepts."""
    data, lines, message = b"", [], b""
    while True:
        while len(data) < 2 or len(data) < frame_end(data):
            chunk = peer.recv(1 << 20)
            assert chunk
            data += chunk
        start_, end = frame_start(data), frame_end(data)
        opcode, final = data[0] & 15, data[0] & 128
        assert opcode != 8, data[start_:end]
        if opcode <= 2:
            message += data[start_:end]
        if opcode <= 2 and final:
            lines += message.decode().split("\n")
            message = b""
        data = data[end:]
        if lines and not message and until(lines[-1]):
            return lines


def frame_start(data):
    return 2 + {126: 2, 127: 8}.get(data[1] & 127, 0)


def frame_end(data):
    start_ = frame_start(data)
    if len(data) < start_:
        return start_
    length = data[1] & 127
    if length > 125:
        length = int.from_bytes(data[2:start_], "big")
    return start_ + length


def check_against_gaps(lines, first, last):
    """Records and gaps must make up exactly first..last."""
    due = first
    gaps = 0
    for line in lines:
        told = json.loads(line)
        if isinstance(told, dict):
            assert told["seq"] == due
            due += 1
        elif told[0] == "gap":
            assert told[1]["from"] == due
            due = told[1]["to"] + 1
            gaps += 1
    assert due == last + 1
    return gaps


def test_a_viewer_that_does_not_read_gets_a_gap_and_harms_nobody(start):
    server = start("--backlog", 200, "--backlog-bytes", "1MiB")
    deaf = [open_deaf_viewer(server) for _ in range(5)]
    server.feed(records(1, 2000, 1000))
    server.wait_for_out(len(records(1, 2000, 1000)))
    before = server.memory()

    async def watch():
        delays = []
        async with viewing(server, "?after=2000") as viewer:
            await viewer.notice("hello")
            await viewer.seqs(200)
            for seq in range(2001, 2101):
                sent = time.monotonic()
                server.feed(record(seq, 100000))
                assert await viewer.seqs(1) == [seq]
                delays.append(time.monotonic() - sent)
        return sorted(delays)

    delays = asyncio.run(watch())
    assert delays[50] < (0.5 if is_sanitized() else 0.05)
    server.feed(record(2101))
    server.wait_for_out(len(records(1, 2000, 1000)) +
                        len(records(2001, 2100, 100000)) + len(record(2101)))
    if not is_sanitized():
        assert server.memory() - before < 4 * MIB
    for peer in deaf:
        lines = read_lines(peer, lambda line: '"seq": 2101' in line)
        assert check_against_gaps(lines, 1, 2101) >= 1
        peer.close()


def test_waiting_records_are_joined(start):
    server = start("--backlog", 5000)
    peer = open_deaf_viewer(server)
    server.feed(records(1, 3000, 400))
    server.wait_for_out(len(records(1, 3000, 400)))

    frames = 0
    lines = []
    data = b""
    while len([line for line in lines if line[0] == "{"]) < 3000:
        data += peer.recv(1 << 20)
        while len(data) >= 2 and len(data) >= frame_end(data):
            if data[0] & 15 <= 2:
                frames += 1
                assert frame_end(data) - frame_start(data) <= 65536
                lines += data[frame_start(data):frame_end(data)].decode(
                    ).split("\n")
            data = data[frame_end(data):]
    peer.close()
    assert check_against_gaps(lines, 1, 3000) == 0
    assert frames < 1000


def test_a_record_of_16_mib_reaches_viewers(start):
    big = b'{"text":"' + b"y" * (16 * MIB - 11) + b'"}\n'
    server = start()

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            server.feed(record(1) + big + record(9))
            assert await viewer.seqs(1) == [1]
            assert (await viewer.line(30)).encode() == big[:-1]
            assert await viewer.seqs(1) == [9]
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            assert await viewer.seqs(1) == [9]
    asyncio.run(watch())
    server.end_input()
    assert server.wait() == 0
    assert bytes(server.out) == record(1) + big + record(9)


def test_a_line_of_64_mib_is_answered_and_shown(start):
    server = start()

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            server.feed(b'{"text":"' + b"y" * (64 * MIB) + b'"}\n')
            shown = json.loads(await viewer.line(30))
            assert shown["bytes"] == 64 * MIB + 11
            assert shown["error"]["reason"] == "line over 16 MiB"
    asyncio.run(watch())


def test_a_large_record_amid_sending_survives_the_ring(start):
    server = start("--backlog", 3, "--history", 0, "--backlog-bytes", "8MiB")
    peer = open_deaf_viewer(server)
    server.feed(record(1, 2 * MIB))
    time.sleep(0.3)
    server.feed(records(2, 50))
    server.wait_for_out(len(record(1, 2 * MIB)) + len(records(2, 50)))
    lines = read_lines(peer, lambda line: '"seq": 50' in line)
    assert check_against_gaps(lines, 1, 50) == 1
    assert [len(line) for line in lines if len(line) > MIB] == [
        len(record(1, 2 * MIB)) - 1]
    peer.close()


def test_memory_for_large_records_amid_sending_is_bounded(start):
    server = start("--backlog", 1, "--history", 1, "--backlog-bytes", "1MiB")
    size = 4 * MIB
    peers, total = [], 0
    for seq in range(1, 13):
        server.feed(record(seq, size))
        total += len(record(seq, size))
        server.wait_for_out(total)
        peers.append(open_deaf_viewer(server))
        time.sleep(0.05)                    # it gets the first pieces
    if not is_sanitized():
        assert server.memory() < 30 * MIB
    closed = 0
    for peer in peers:
        end = b""
        while not end.endswith((b"}", TRY_AGAIN)):
            end = (end + peer.recv(1 << 20))[-4:]
        closed += end == TRY_AGAIN
        peer.close()
    assert closed >= 4


def test_pings_and_drops_who_is_dead(start):
    server = start("--ping", 1)

    async def watch():
        async with viewing(server, autoping=False) as viewer:
            await viewer.notice("hello")
            kinds = set()
            begin = time.monotonic()
            while True:
                message = await viewer.socket.receive(10)
                kinds.add(message.type)
                if message.type == aiohttp.WSMsgType.TEXT:
                    assert message.data == '["ping"]'
                elif message.type != aiohttp.WSMsgType.PING:
                    break
            assert {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PING} < kinds
            assert 2 < time.monotonic() - begin < 20

    async def live():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            begin = time.monotonic()
            while time.monotonic() - begin < 5:
                await viewer.notice("ping")
            server.feed(record(1))
            while (line := await viewer.line()) == '["ping"]':
                pass
            assert json.loads(line)["seq"] == 1

    async def both():
        await asyncio.gather(watch(), live())
    asyncio.run(both())


def test_what_viewers_send_is_ignored_and_bounded(start):
    server = start()

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            await viewer.socket.send_str("hello?" * 100)
            await viewer.socket.send_bytes(bytes(20000))
            await viewer.socket.ping(b"a" * 100)
            server.feed(record(1))
            assert await viewer.seqs(1) == [1]
            await viewer.socket.send_bytes(bytes(60000))
            message = await viewer.socket.receive(10)
            assert message.type in (aiohttp.WSMsgType.CLOSE,
                                    aiohttp.WSMsgType.CLOSED)
            assert viewer.socket.close_code == 1008
    asyncio.run(watch())


def test_refuses_more_viewers_than_allowed(start):
    server = start("--viewers", 2)

    async def watch():
        async with viewing(server) as one, viewing(server) as other:
            await one.notice("hello")
            await other.notice("hello")
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with viewing(server):
                    pass
            assert refused.value.status == 503
        for _ in range(50):                 # the places are free again
            with contextlib.suppress(aiohttp.WSServerHandshakeError):
                async with viewing(server) as viewer:
                    await viewer.notice("hello")
                    return
            await asyncio.sleep(0.1)
        raise AssertionError("no place")
    asyncio.run(watch())


def test_many_viewers_cost_little(start):
    server = start()
    before = server.memory()

    async def watch():
        async with contextlib.AsyncExitStack() as stack:
            viewers = [await stack.enter_async_context(viewing(server))
                       for _ in range(60)]
            server.feed(records(1, 300, 200))
            for viewer in viewers:
                await viewer.notice("hello")
                assert await viewer.seqs(300) == list(range(1, 301))
            begin = server.cpu_seconds()
            await asyncio.sleep(1.5)
            assert server.cpu_seconds() - begin < 0.1
            return server.memory()

    after = asyncio.run(watch())
    if not is_sanitized():
        assert after - before < 1 * MIB


def test_is_idle_when_there_is_nothing_to_do(start):
    server = start()
    server.feed(record(1))
    time.sleep(0.3)
    switches = pathlib.Path(f"/proc/{server.process.pid}/status")

    def count():
        return int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)",
                             switches.read_text())[1])
    before = count()
    time.sleep(1.5)
    assert count() - before <= 2


# Across its own death

class Kept:
    """Runs ws-broadcast as keep does: answers left in the pipe count, an
    unfinished one does not, and what has none is fed to the next process."""

    def __init__(self, www, *arguments):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.command = [PROGRAM, "--www", www, "--run", "r", "--listen",
                        f"127.0.0.1:{self.port}", *map(str, arguments)]
        self.unanswered = collections.deque()
        self.answered = asyncio.Condition()
        self.checks_answers = True
        self.process = self.reading = None
        self.stderr = b""

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, limit=32 * MIB,
            env={**os.environ, **SECRETS})
        self.reading = asyncio.create_task(self.read())
        self.process.stdin.writelines(self.unanswered)

    async def read(self):
        while (line := await self.process.stdout.readline()).endswith(b"\n"):
            async with self.answered:
                fed = self.unanswered.popleft()
                assert line == fed or not self.checks_answers
                self.answered.notify_all()

    async def feed(self, *lines):
        self.unanswered += lines
        self.process.stdin.writelines(lines)
        await self.process.stdin.drain()

    async def drain(self, timeout=30):
        async with self.answered:
            await asyncio.wait_for(
                self.answered.wait_for(lambda: not self.unanswered), timeout)

    async def die(self):
        self.process.kill()
        self.stderr += await self.process.stderr.read()
        await self.reading
        assert await self.process.wait() == -signal.SIGKILL, self.stderr

    async def restart(self):
        await self.die()
        await self.start()

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            await self.die()
        assert not any(crash in self.stderr.decode() for crash in CRASHES)


class Resumer:
    """A viewer who comes back behind what it has, as the dashboard does."""

    def __init__(self, server, after, moods=None):
        self.server = server
        self.last = after
        self.lines = []             # records and gaps
        self.hellos = []
        self.moods = moods          # Random, for one who is not steady
        self.moved = asyncio.Condition()
        self.task = asyncio.create_task(self.watch())

    async def watch(self):
        while True:
            query = "" if self.last is None else f"?after={self.last}&run=r"
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                async with viewing(self.server, query) as viewer:
                    await self.listen(viewer.socket)
            await asyncio.sleep(0.01)

    async def listen(self, socket_):
        async for message in socket_:
            assert message.type == aiohttp.WSMsgType.TEXT
            async with self.moved:
                for line in message.data.split("\n"):
                    self.take(line)
                self.moved.notify_all()
            if self.moods and self.moods.random() < 0.03:
                await asyncio.sleep(self.moods.random() / 10)
                if self.moods.random() < 0.3:
                    return

    def take(self, line):
        told = json.loads(line)
        if isinstance(told, dict):
            self.last = told.get("seq", (self.last or 0) + 1)
        elif told[0] == "gap":
            self.last = told[1]["to"]
        elif told[0] == "hello":
            self.hellos.append(told[1])
        if isinstance(told, dict) or told[0] == "gap":
            self.lines.append(line)

    async def reach(self, seq, timeout=30):
        async with self.moved:
            await asyncio.wait_for(self.moved.wait_for(
                lambda: self.last is not None and self.last >= seq), timeout)

    async def greeted(self, times=1, timeout=30):
        async with self.moved:
            await asyncio.wait_for(self.moved.wait_for(
                lambda: len(self.hellos) >= times), timeout)

    async def leave(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@contextlib.asynccontextmanager
async def resuming(server, after, moods=None):
    resumer = Resumer(server, after, moods)
    try:
        yield resumer
    finally:
        await resumer.leave()


def gaps(lines):
    return [json.loads(line)[1] for line in lines if line[0] == "["]


@pytest.mark.parametrize("seed", range(3))
def test_viewers_have_each_record_once_or_its_gap_when_it_is_killed(www, seed):
    random = Random(seed)
    last = 400 if is_sanitized() else 1500
    sizes = [10] * 40 + [3000] * 8 + [70000] * 2 + [400000, 1500000]

    async def run():
        async with Kept(www, "--backlog", 60, "--backlog-bytes", "2MiB") as \
                server, resuming(server, 0) as steady, \
                resuming(server, 0, Random(seed)) as moody, \
                resuming(server, 0, Random(~seed)) as other:
            for seq in range(1, last + 1):
                await server.feed(record(seq, random.choice(sizes)))
                if random.random() < 0.1:
                    await asyncio.sleep(random.random() / 50)
                if random.random() < 0.02:
                    await server.restart()
            await server.drain()
            for viewer in steady, moody, other:
                await viewer.reach(last)
                check_against_gaps(viewer.lines, 1, last)
    asyncio.run(run())


def stage_of(status):
    """The process that keep runs, or None."""
    with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
        return int(status.read_text().split("\t")[1])
    return None


def test_lives_on_under_keep(www, tmp_path):
    last, status = 600 if is_sanitized() else 3000, tmp_path / "status"
    server = Kept(www, "--backlog", 200)
    server.command = [BIN / "keep", "--name", "ws-broadcast", "--status",
                      status, "--", *server.command]

    async def run():
        async with server, resuming(server, 0) as viewer:
            killed = set()
            for seq in range(1, last + 1):
                await server.feed(record(seq, 500))
                if seq % (last // 10) == 0:
                    await viewer.reach(seq - last // 20)
                    while (pid := stage_of(status)) in killed or not pid:
                        await asyncio.sleep(0.01)
                    killed.add(pid)
                    os.kill(pid, signal.SIGKILL)
            await server.drain()
            await viewer.reach(last)
            check_against_gaps(viewer.lines, 1, last)
            assert len(killed) == 10
    asyncio.run(run())


def test_who_keeps_up_misses_nothing_that_was_answered(www):
    async def run():
        async with Kept(www) as server, resuming(server, 0) as viewer:
            for seq in range(1, 41):
                await viewer.greeted(seq)
                await server.feed(record(seq))
                await server.drain()
                await server.restart()
            await server.feed(record(41))
            await viewer.reach(41)
            assert check_against_gaps(viewer.lines, 1, 41) == 0
    asyncio.run(run())


def test_viewers_have_a_record_before_it_is_answered(start):
    server = start(read=False)
    peers = [open_deaf_viewer(server) for _ in range(60)]
    for peer in peers:
        assert b'["hello"' in peer.recv(65536)
        peer.setblocking(False)
    for seq in range(1, 21):
        server.feed(record(seq))
        assert os.read(server.process.stdout.fileno(), 1000) == record(seq)
        for peer in peers:                  # it is there, or this raises
            assert record(seq).strip() in peer.recv(65536)
    for peer in peers:
        peer.close()


def test_what_nobody_was_there_to_see_is_told_to_the_last_record(www):
    async def run():
        async with Kept(www) as server:
            await server.feed(*map(record, range(1, 11)))
            async with resuming(server, 0) as viewer:
                await viewer.reach(10)
            await server.feed(*map(record, range(11, 21)))
            await server.drain()
            await server.restart()
            async with resuming(server, 10) as viewer, \
                    resuming(server, 20) as other, \
                    resuming(server, None) as newcomer:
                for told in viewer, other, newcomer:
                    await told.greeted()
                await server.feed(record(21))
                await viewer.reach(21)
                assert gaps(viewer.lines) == [{"from": 11, "to": 20}]
                assert check_against_gaps(viewer.lines, 11, 21) == 1
                await other.reach(21)
                await newcomer.reach(21)
                assert other.lines == newcomer.lines == viewer.lines[1:]
    asyncio.run(run())


def test_a_replay_from_the_checkpoint_is_seen_once(www):
    async def run():
        async with Kept(www, "--history", 1000) as server, \
                resuming(server, 0) as viewer:
            await server.feed(*map(record, range(1, 101)))
            await viewer.reach(100)
            await server.drain()
            for begin in (61, 101, 81, 1):
                await server.restart()
                await viewer.greeted(len(viewer.hellos) + 1)
                for seq in range(begin, 101):
                    await server.feed(record(seq))
                    if seq % 10 == 0:       # some come amid the replay
                        async with resuming(server, seq + 3) as other:
                            await other.greeted()
                await server.drain()
                async with resuming(server, 95) as late, \
                        resuming(server, None) as newcomer:
                    await late.greeted()
                    await newcomer.greeted()
                    assert late.hellos[0]["next"] == 96 if begin < 97 else 101
            await server.feed(record(101))
            await viewer.reach(101)
            assert check_against_gaps(viewer.lines, 1, 101) == 0
    asyncio.run(run())


def test_a_replay_that_begins_behind_what_was_seen_leaves_the_exact_gap(www):
    async def run():
        async with Kept(www) as server, resuming(server, 0) as viewer:
            await server.feed(*map(record, range(1, 51)))
            await viewer.reach(50)
            await server.drain()
            await server.restart()
            await server.feed(*map(record, range(61, 81)))
            await viewer.reach(80)
            assert check_against_gaps(viewer.lines, 1, 80) == 1
            assert gaps(viewer.lines) == [{"from": 51, "to": 60}]
    asyncio.run(run())


@pytest.mark.parametrize("run,told", [(["--run", "r"], True), ([], False)])
def test_a_hole_is_a_gap_where_seqs_are_counted(start, run, told):
    server = start(*run)
    data = record(5) + record(6) + record(9, 200000) + record(12) + record(13)

    async def watch(query, first):
        async with viewing(server, query) as viewer:
            await viewer.notice("hello")
            if not server.out:
                server.feed(data)
                server.wait_for_out(len(data))
            lines = [await viewer.line()]
            while '"seq": 13' not in lines[-1]:
                lines.append(await viewer.line())
            assert [json.loads(line)["seq"] for line in lines
                    if line[0] == "{"] == [5, 6, 9, 12, 13]
            if told:
                assert check_against_gaps(lines, first, 13) == 3 - first // 5
            else:
                assert gaps(lines) == []
    # who comes anew does not miss what was before, be it 1 to 4
    asyncio.run(watch("", 5))
    server.wait_for_out(len(data))
    asyncio.run(watch("", 5))
    if told:
        asyncio.run(watch("?after=0&run=r", 1))


def test_a_newcomer_who_waits_and_is_slow_misses_what_he_waited_for(start):
    server = start("--run", "r", "--backlog", 100, "--backlog-bytes", "1MiB")
    peer = open_deaf_viewer(server)
    assert request(server, "GET", "/ultronex/heartbeat")[0] == 200
    server.feed(records(501, 2000, 1000))
    server.wait_for_out(len(records(501, 2000, 1000)))
    lines = read_lines(peer, lambda line: '"seq": 2000' in line)
    assert check_against_gaps(lines, 501, 2000) >= 1
    peer.close()


def test_many_gaps_in_a_row_are_told_in_frames_that_are_not_too_large(start):
    server = start("--run", "r", "--backlog", 5000)
    peer = open_deaf_viewer(server)
    server.feed(b"".join(record(seq, seq % 90) for seq in range(2, 6001, 2)))
    lines = read_lines(peer, lambda line: '"seq": 6000' in line)
    assert check_against_gaps(lines, 2, 6000) == 2999
    assert lines[0].startswith('["hello"')
    peer.close()


def test_what_has_no_seq_stands_for_a_number(www):
    bad = b"what is this\n"

    async def run():
        async with Kept(www) as server, resuming(server, 0) as viewer, \
                resuming(server, None) as newcomer:
            await newcomer.greeted()
            server.checks_answers = False
            await server.feed(record(1), bad, record(3))
            await viewer.reach(3)
            await newcomer.reach(3)
            assert len(viewer.lines) == len(newcomer.lines) == 3
            assert gaps(viewer.lines) == gaps(newcomer.lines) == []
            await server.drain()
            await newcomer.leave()
            await server.restart()
            await server.feed(bad, record(5), record(6))
            async with resuming(server, None) as newcomer:
                await newcomer.reach(6)
                assert gaps(newcomer.lines) == []
                assert json.loads(newcomer.lines[0])["line"] == "what is this"
            await viewer.reach(6)
            assert gaps(viewer.lines) == [{"from": 4, "to": 4}]
    asyncio.run(run())


def test_memory_that_is_empty_is_told_as_such(www):
    async def run():
        async with Kept(www) as server:
            for after, next_ in ((7, 8), (0, 1), (None, 1)):
                async with resuming(server, after) as viewer:
                    await viewer.greeted()
                    assert viewer.hellos[0] == {
                        "run": "r", "first": 1, "last": 0, "next": next_,
                        "bounded": 2000}
    asyncio.run(run())


# The port

def test_takes_the_port_over_from_its_dead_self(www):
    async def run():
        async with Kept(www) as server:
            for seq in range(1, 11):
                await server.feed(record(seq))
                await server.drain()
                await asyncio.to_thread(request, server, "GET",
                                        "/ultronex/heartbeat")
                async with viewing(server) as viewer:
                    await viewer.notice("hello")
                    peer = socket.create_connection(("127.0.0.1",
                                                     server.port))
                    await server.restart()      # amid open connections
                    begin = time.monotonic()
                    while True:
                        with contextlib.suppress(aiohttp.ClientError):
                            async with viewing(server) as other:
                                await other.notice("hello")
                                break
                    if not is_sanitized():
                        assert time.monotonic() - begin < 1.5
                    peer.close()
    asyncio.run(run())


@pytest.mark.parametrize("listens", [True, False])
def test_waits_for_a_port_that_is_about_to_be_free(www, listens):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        if listens:
            holder.listen()
        timer = threading.Timer(0.7, holder.close)
        timer.start()
        done = run_program(
            "ws-broadcast", "--www", www, "--no-auth", "--listen",
            f"127.0.0.1:{holder.getsockname()[1]}", stdin=record(1))
        timer.join()
    assert (done.returncode, done.stdout) == (0, record(1)), done.stderr
    assert b"in use" not in done.stderr


def test_can_be_asked_to_leave_while_it_waits_for_the_port(www):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        process = subprocess.Popen(
            [PROGRAM, "--www", www, "--no-auth", "--listen",
             f"127.0.0.1:{holder.getsockname()[1]}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        status = pathlib.Path(f"/proc/{process.pid}/status")
        while "SigCgt:\t0000000000000000" in status.read_text():
            time.sleep(0.01)
        time.sleep(0.1)
        process.terminate()
        begin = time.monotonic()
        assert process.communicate(timeout=10) == (b"", b"")
        assert process.returncode == -signal.SIGTERM
        assert time.monotonic() - begin < 5


# The end

def test_tells_the_end_and_closes(start):
    server = start()

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            server.feed(records(1, 3))
            server.end_input()
            assert await viewer.seqs(3) == [1, 2, 3]
            assert await viewer.notice("end") == {}
            message = await viewer.socket.receive(10)
            assert message.type in (aiohttp.WSMsgType.CLOSE,
                                    aiohttp.WSMsgType.CLOSED)
            assert viewer.socket.close_code == 1001
    asyncio.run(watch())
    assert server.wait() == 0


def test_does_not_wait_for_a_viewer_that_does_not_read(start):
    server = start("--backlog", 10000)
    peer = open_deaf_viewer(server)
    server.feed(records(1, 5000, 1000))
    server.end_input()
    begin = time.monotonic()
    assert server.wait() == 0
    assert time.monotonic() - begin < 4
    peer.close()


def test_stays_when_told_to(start):
    server = start("--stay")
    server.feed(records(1, 3))
    server.end_input()
    server.threads[-1].join(10)             # output ended
    assert bytes(server.out) == records(1, 3)

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            assert await viewer.seqs(3) == [1, 2, 3]
            assert await viewer.notice("end") == {}
            server.process.terminate()
            message = await viewer.socket.receive(10)
            assert message.type in (aiohttp.WSMsgType.CLOSE,
                                    aiohttp.WSMsgType.CLOSED)
    asyncio.run(watch())
    assert server.wait() == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_finishes_what_was_read_when_asked_to_leave(start, number):
    server = start()

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            server.feed(records(1, 500, 100) + b'{"half":')
            assert await viewer.seqs(500) == list(range(1, 501))
            server.process.send_signal(number)
            message = await viewer.socket.receive(10)
            assert message.type in (aiohttp.WSMsgType.CLOSE,
                                    aiohttp.WSMsgType.CLOSED)
            assert viewer.socket.close_code == 1001
    asyncio.run(watch())
    assert server.wait() == -number
    assert bytes(server.out) == records(1, 500, 100)


def test_hang_up_does_not_end_it(start):
    server = start()
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    server.feed(record(1))
    server.end_input()
    assert server.wait() == 0
    assert bytes(server.out) == record(1)


# HTTP

def test_serves_the_dashboard(start):
    server = start()
    status, headers, body = request(server, "GET", "/ultronex/stream")
    assert (status, body) == (200, INDEX)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache"
    for name, kind in (("stream.js", "text/javascript; charset=utf-8"),
                       ("style.css", "text/css; charset=utf-8"),
                       ("favicon.svg", "image/svg+xml")):
        status, headers, body = request(server, "GET",
                                        "/ultronex/static/" + name)
        assert (status, headers["Content-Type"]) == (200, kind)
    for path in ("/favicon.ico", "/ultronex/favicon"):
        status, headers, body = request(server, "GET", path, auth=None)
        assert (status, body) == (200, b"<svg/>")
        assert headers["Content-Type"] == "image/svg+xml"


def test_sends_a_large_file_whole_even_to_a_slow_reader(start, www):
    server = start()
    want = (www / "style.css").read_bytes()
    assert request(server, "GET", "/ultronex/static/style.css")[2] == want
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", server.port))
        peer.sendall(b"GET /ultronex/static/style.css HTTP/1.1\r\nHost: a\r\n"
                     b"Connection: close\r\nAuthorization: " +
                     credentials().encode() + b"\r\n\r\n")
        time.sleep(0.3)
        answer = b""
        while chunk := peer.recv(65536):
            answer += chunk
    assert answer.split(b"\r\n\r\n", 1)[1] == want


def test_a_file_that_the_browser_has_is_not_sent_again(start):
    server = start()
    path = "/ultronex/static/stream.js"
    etag = request(server, "GET", path)[1]["ETag"]
    status, headers, body = request(server, "GET", path,
                                    headers={"If-None-Match": etag})
    assert (status, body, headers["ETag"]) == (304, b"", etag)
    status, _, body = request(server, "GET", path,
                              headers={"If-None-Match": '"other"'})
    assert (status, body) == (200, b"export const a = 1;\n")


def test_the_root_leads_to_the_stream(start):
    status, headers, _ = request(start(), "GET", "/", auth=None)
    assert (status, headers["Location"]) == (302, "/ultronex/stream")


def test_the_heart_beats_for_everybody(start):
    status, headers, body = request(start(), "GET", "/ultronex/heartbeat",
                                    auth=None)
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert body == b'{"msg":"I don\'t have a heart but I am alive!"}'


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE",
                                    "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", [
    "/", "/nothing", "/ultronex", "/ultronex/stream", "/ultronex/heartbeat",
    "/ultronex/static/none.js", SOCKET])
def test_every_answer_has_the_security_headers(start, method, path):
    status, headers, body = request(start(), method, path)
    for name, value in SECURITY.items():
        assert headers.getall(name) == [value]
    assert "Server" not in headers
    known = not path.startswith(("/nothing",)) and path != "/ultronex"
    if known and method not in ("GET", "HEAD"):
        assert (status, headers["Allow"]) == (405, "GET, HEAD")
    if not known:
        assert status == 404
    if method == "HEAD":
        assert body == b""


def test_head_says_what_get_would(start):
    server = start()
    for path in ("/ultronex/stream", "/ultronex/static/style.css",
                 "/ultronex/heartbeat", "/ultronex/stats", "/nothing"):
        got = request(server, "GET", path)
        head = request(server, "HEAD", path)
        assert head[0] == got[0] and head[2] == b""
        assert head[1]["Content-Length"] == str(len(got[2]))


def test_a_body_nobody_asked_for_does_no_harm(start):
    server = start()
    for size in (1, 4000, 65000):
        status, headers, _ = request(server, "POST", "/ultronex/stream",
                                     data=b"x" * size)
        assert (status, headers["Connection"]) == (405, "close")
        assert request(server, "GET", "/ultronex/stream",
                       data=b"y" * size)[2] == INDEX
    for size in (70000, 10 * MIB):          # too much to wait for
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            assert request(server, "POST", "/ultronex/stream",
                           data=b"x" * size)[0] == 405


PIPELINED = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n"
    + b"z" * 9000,
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: foo\r\n\r\n",
    b"more\r\n\r\n",
]


def test_requests_in_a_row_do_not_confuse_it(start):
    server = start()

    def fire(first, second, third):
        with socket.create_connection(("127.0.0.1", server.port),
                                      timeout=5) as peer:
            peer.sendall(first + second + third)
            peer.shutdown(socket.SHUT_WR)
            answers = b"".join(iter(lambda: peer.recv(65536), b""))
        assert 1 <= answers.count(b"HTTP/1.1 ") <= 3
    for first in PIPELINED:
        for second in PIPELINED:
            fire(first, second, b"")
            fire(first, second, second)
            fire(first, second, first)
    # and in pieces that end anywhere
    whole = b"".join(PIPELINED[:6])
    for at in range(1, len(whole), 13):
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            with contextlib.suppress(ConnectionError):
                peer.sendall(whole[:at])
                time.sleep(0.002)
                peer.sendall(whole[at:])
    time.sleep(0.2)
    begin = server.cpu_seconds()
    time.sleep(0.5)
    assert server.cpu_seconds() - begin < 0.1
    assert request(server, "GET", "/ultronex/heartbeat")[0] == 200


@pytest.mark.parametrize("path", [
    "/nothing", "/ultronex/", "/ultronex/static", "/ultronex/static/",
    "/ultronex/static/notes.txt", "/ultronex/static/under",
    "/ultronex/static/../secret.html", "/ultronex/static/../../etc/passwd",
    "/ultronex/static/%2e%2e/secret.html", "/ultronex/static/..%2fsecret.html",
    "/ultronex/static/%2e%2e%2fsecret.html", "/../secret.html",
    "/ultronex/static/....//secret.html", "/ultronex/static/..\\secret.html",
    "/ultronex/static//etc/passwd", "/ultronex/static/./../secret.html",
    "/ultronex/static/%252e%252e/secret.html",
    "/ultronex/static/stream.js%20", "/ultronex/static/STREAM.JS",
    "/ultronex/stream.html", "/index.html"])
def test_nothing_else_is_there(start, path):
    server = start()
    answer = talk(server, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: "
                  f"close\r\nAuthorization: {credentials()}\r\n\r\n".encode())
    assert status_of(answer) == 404
    assert answer.endswith(b"<!doctype html><p>abyss")


@pytest.mark.parametrize("path", [
    "/ultronex/static/stream.js%00.css", "/ultronex/static/%zz", "%2e", ""])
def test_odd_addresses_get_nothing(start, path):
    server = start()
    answer = talk(server, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: "
                  f"close\r\nAuthorization: {credentials()}\r\n\r\n".encode())
    assert status_of(answer) in (400, 404)
    assert request(server, "GET", "/ultronex/heartbeat")[0] == 200


def test_stats_are_its_own_counts_at_first(start):
    server = start()
    server.feed(records(1, 5))
    server.wait_for_out(len(records(1, 5)))
    status, headers, body = request(server, "GET", "/ultronex/stats")
    assert status == 200 and headers["Content-Type"] == "application/json"
    stats = json.loads(body)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
                        stats.pop("uptime"))
    assert list(stats.items()) == [
        ("total_msg_count", 5), ("replied_msg_count", 0),
        ("forwarded_msg_count", 0), ("total_attachments_downloaded", 0),
        ("total_messages_slacked", 0), ("snapshot", None)]


def replace(path, text):
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def test_stats_are_those_of_the_file(start, tmp_path):
    path = tmp_path / "stats.json"
    server = start("--stats", path)
    assert json.loads(request(server, "GET", "/ultronex/stats")[2])[
        "total_msg_count"] == 0

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            replace(path, '{"total_msg_count":1}\n')
            assert await viewer.notice("stats") == {"total_msg_count": 1}
            replace(path, "{\n \"total_msg_count\":\n 2\n}\n")
            assert await viewer.notice("stats") == {"total_msg_count": 2}
            replace(path, "[broken\n")      # what is no object is left out
            await asyncio.sleep(1.3)
            async with viewing(server) as late:
                await late.notice("hello")
                assert await late.notice("stats") == {"total_msg_count": 2}
            replace(path, '{"total_msg_count":3}')
            assert await viewer.notice("stats") == {"total_msg_count": 3}
            server.feed(record(1))
            assert await viewer.seqs(1) == [1]
    asyncio.run(watch())
    replace(path, '{"total_msg_count":4}\n')
    assert request(server, "GET", "/ultronex/stats")[2] == (
        b'{"total_msg_count":4}')


@pytest.mark.parametrize("data", [
    b"\r\n\r\n", b"GARBAGE\r\n\r\n", bytes(range(256)) * 20,
    b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", b"GET /\r\n\r\n",
    b"GET http://evil.test/ultronex/stream HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"GET / HTTP/1.1\r\nX" + b"y" * 20000 + b": z\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: " + b"h" * 5000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"CONNECT evil.test:443 HTTP/1.1\r\nHost: a\r\n\r\nhello",
    b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    upgrade(Upgrade="foo") + b"more", upgrade(Upgrade="h2c"),
    upgrade(Upgrade="foo", path="/ultronex/stream") * 3,
    upgrade(Upgrade="h2c", Connection="Upgrade, HTTP2-Settings",
            HTTP2_Settings="AAMAAABkAAQAAP__"),
    upgrade(Sec_WebSocket_Key=None), upgrade(Host=None),
    upgrade(Sec_WebSocket_Key="k" * 500), upgrade(Connection="close"),
    upgrade() + b"\x81\xff" + b"\xff" * 100, upgrade() + b"\xff" * 100,
    upgrade() + b"\x88\x80abcd", upgrade() + b"\x89\xfe\x10\x00" * 50,
    upgrade(Sec_WebSocket_Extensions="permessage-deflate; x=" + "y" * 300),
], ids=range(30))
def test_garbage_does_no_harm(start, data):
    server = start()
    answer = talk(server, data, timeout=1)
    assert b"HTTP/1.1 101" not in answer or b"websocket" in data
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(data[:len(data) // 2])         # and off
    for at in range(0, min(len(data), 60), 7):
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            peer.sendall(data[:at])
    assert request(server, "GET", "/ultronex/heartbeat")[0] == 200
    server.feed(record(1))
    server.wait_for_out(len(record(1)))


def test_compression_is_never_agreed_on(start):
    answer = talk(start(), upgrade(
        Sec_WebSocket_Extensions="permessage-deflate"), timeout=1)
    assert status_of(answer) == 101
    assert b"permessage" not in answer


def test_connections_that_say_nothing_do_not_block_others(start):
    server = start("--viewers", 1)
    peers = [socket.create_connection(("127.0.0.1", server.port))
             for _ in range(100)]
    for peer in peers:
        peer.sendall(b"GET / HT")
    assert request(server, "GET", "/ultronex/heartbeat")[0] == 200
    for peer in peers:
        peer.close()


def test_connections_are_bounded(start):
    server = start("--viewers", 1)
    peers = [socket.create_connection(("127.0.0.1", server.port))
             for _ in range(200)]
    time.sleep(0.3)
    count = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    assert count < 150
    for peer in peers:
        peer.close()
    time.sleep(0.3)
    assert request(server, "GET", "/ultronex/heartbeat")[0] == 200
    assert len(os.listdir(f"/proc/{server.process.pid}/fd")) < 20


def test_few_descriptors_are_enough_to_go_on(start):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    server = start(preexec_fn=limit)
    assert "room for 68 connections only" in server.stderr[0]
    peers = [socket.create_connection(("127.0.0.1", server.port))
             for _ in range(120)]
    time.sleep(0.3)
    begin = server.cpu_seconds()
    time.sleep(0.5)
    assert server.cpu_seconds() - begin < 0.1
    for peer in peers:
        peer.close()
    time.sleep(0.3)
    assert request(server, "GET", "/ultronex/heartbeat")[0] == 200


# Who may

@pytest.mark.parametrize("path", ["/ultronex/stream", "/ultronex/stats",
                                  "/ultronex/static/stream.js", SOCKET])
@pytest.mark.parametrize("header", [
    None, "", "Basic", "Basic ", "Basic !!!!", "Basic =====", "Basic YTpi",
    "Bearer abc", "Basic " + "A" * 1900, "Basic " + "QUFB" * 400,
    credentials(password="wrong"), credentials(user="wrong"),
    credentials(user=""), credentials(password=""),
    credentials(password=PASSWORD + "x"), credentials(password=PASSWORD[:-1]),
    credentials() + "AAAA", "Basic" + credentials()[6:],
    "basic2 " + credentials()[6:]])
def test_asks_for_credentials(start, path, header):
    server = start(env={**SECRETS, "BASIC_AUTH_REALM": "QA lab"})
    headers = {} if header is None else {"Authorization": header}
    status, headers, body = request(server, "GET", path, auth=None,
                                    headers=headers)
    assert status == 401
    assert headers["WWW-Authenticate"] == (
        'Basic realm="QA lab", charset="UTF-8"')
    assert PASSWORD.encode() not in body and INDEX not in body


def test_the_right_credentials_are_enough(start):
    server = start()
    for header in (credentials(), credentials().replace("Basic", "bASIC"),
                   credentials().replace("Basic", "Basic  ")):
        assert request(server, "GET", "/ultronex/stream", auth=None,
                       headers={"Authorization": header})[0] == 200


@pytest.mark.parametrize("headers,status", [
    ({"Authorization": None}, 401),
    ({"Authorization": credentials(password="x")}, 401),
    ({"Origin": "http://evil.test"}, 403),
    ({"Origin": "http://evil.test", "Authorization": None}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://127.0.0.1.evil.test"}, 403),
    ({"Origin": "file://127.0.0.1"}, 403),
    ({"Origin": "http://127.0.0.1:81"}, 403),
    ({"Origin": "http://" + "a" * 3000}, 403),
    ({"Origin": "http://127.0.0.1"}, 101),
    ({"Origin": "https://127.0.0.1"}, 101),
    ({"Origin": "http://ULTRON.test:8443", "Host": "ultron.test:8443"}, 101),
    ({"Origin": "https://proxy.test"}, 101),
    ({"Origin": "https://proxy.test:444"}, 403),
    ({}, 101),
    ({"path": "/ultronex/stream"}, 404),
    ({"path": SOCKET + "/"}, 404),
    ({"path": "/"}, 404),
    ({"method": "POST"}, 405),
    ({"Sec_WebSocket_Version": "8"}, 426),
    ({"Sec_WebSocket_Version": None}, 426),
    ({"Sec_WebSocket_Protocol": "events"}, 400),
    ({"Sec_WebSocket_Protocol": "ultron"}, 400),
    ({"Sec_WebSocket_Key": None}, 400),
    ({"Upgrade": "h2c"}, 426),
])
def test_upgrades_are_looked_at(start, headers, status):
    server = start("--origin", "https://proxy.test")
    answer = talk(server, upgrade(**headers), timeout=0.5)
    assert status_of(answer) == status
    if status != 101:
        for name in SECURITY:
            assert name.lower().encode() in answer.lower()
    if status == 401:
        assert b"www-authenticate: Basic" in answer


def test_listens_where_it_was_told_and_nowhere_else(start):
    server = start()
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in open(f"/proc/net/{table}", encoding="ascii"):
            fields = line.split()
            if fields[3] == "0A" and fields[1].endswith(f":{server.port:04X}"):
                listening.add(fields[1])
    assert listening == {f"0100007F:{server.port:04X}"}


def test_listens_on_ipv6(www):
    process = subprocess.Popen(
        [PROGRAM, "--www", www, "--listen", "[::1]:0", "--no-auth"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = process.stderr.readline().decode()
    port = int(re.search(r"http://\[::1\]:(\d+)/", line)[1])
    with socket.create_connection(("::1", port)) as peer:
        peer.sendall(f"GET /ultronex/stream HTTP/1.0\r\nHost: [::1]:{port}"
                     "\r\n\r\n".encode())
        assert status_of(peer.recv(10000)) == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    process.communicate()
    assert process.returncode == 0


def refuse(www, *arguments, env=None):
    done = run_program("ws-broadcast", "--www", www, *arguments, env=env,
                       timeout=20)
    assert b"password " not in done.stderr
    return done.returncode, done.stderr.decode()


def test_needs_credentials_to_listen_for_others(www):
    for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0"):
        status, stderr = refuse(www, "--listen", address)
        assert status == EX_CONFIG and "BASIC_AUTH_USERNAME" in stderr
        status, stderr = refuse(www, env={"LISTEN": address})
        assert status == EX_CONFIG and "BASIC_AUTH_USERNAME" in stderr
        status, stderr = refuse(www, "--listen", address, "--no-auth")
        assert status == EX_CONFIG and "--no-auth" in stderr


def test_listens_for_others_with_credentials(www):
    done = run_program("ws-broadcast", "--www", www, "--listen", "0.0.0.0:0",
                       env=SECRETS)
    assert done.returncode == 0
    assert b"dashboard at http://0.0.0.0:" in done.stderr
    assert PASSWORD.encode() not in done.stderr


def count_open(peers):
    """How many of these idle connections were not closed."""
    time.sleep(0.3)
    return len(peers) - len(select.select(peers, [], [], 0)[0])


@pytest.mark.parametrize("arguments, env, most", [
    ([], {}, 64), (["--per-address", 3], {}, 3),
    ([], {"CONNECTIONS_PER_ADDRESS": "100"}, 100),
    (["--per-address", 3], {"CONNECTIONS_PER_ADDRESS": "100"}, 3)])
def test_one_address_may_have_so_many_connections(start, arguments, env, most):
    server = start(*arguments, env={**SECRETS, **env})
    peers = [socket.create_connection(("127.0.0.1", server.port))
             for _ in range(most + 5)]
    others = [socket.create_connection(("127.0.0.1", server.port), 20,
                                       ("127.0.0.2", 0)) for _ in range(most)]
    assert count_open(peers) == most
    assert count_open(others) == most
    more = socket.create_connection(("127.0.0.1", server.port), 20,
                                    ("127.0.0.3", 0))
    assert count_open([*peers, *others, more]) == 2 * most
    for peer in [*peers, *others, more]:
        peer.close()


def test_a_wrong_number_of_connections_is_a_mistake(www):
    for number in ("0", "x", "1x", "-1", "10001", "99999999999999999999"):
        status, stderr = refuse(www, env={"CONNECTIONS_PER_ADDRESS": number})
        assert status == EX_CONFIG and number in stderr
    assert refuse(www, "--per-address", "0")[0] == EX_USAGE


def test_half_of_the_credentials_is_a_mistake(www, tmp_path):
    (tmp_path / "empty").write_text("")
    for env in ({"BASIC_AUTH_USERNAME": "u"}, {"BASIC_AUTH_PASSWORD": "p"},
                {"BASIC_AUTH_USERNAME": "u:v", "BASIC_AUTH_PASSWORD": "p"},
                {"BASIC_AUTH_USERNAME": "u",
                 "BASIC_AUTH_PASSWORD_FILE": str(tmp_path / "empty")},
                {**SECRETS, "BASIC_AUTH_REALM": 'a "quoted" one'}):
        assert refuse(www, env=env)[0] == EX_CONFIG
    assert refuse(www, "--no-auth", env=SECRETS)[0] == EX_CONFIG


def test_the_password_may_come_in_a_file(start, tmp_path):
    (tmp_path / "password").write_text(PASSWORD + "\n")
    server = start(env={"BASIC_AUTH_USERNAME": USER,
                        "BASIC_AUTH_PASSWORD_FILE": tmp_path / "password"})
    assert request(server, "GET", "/ultronex/stream")[0] == 200


def made_password(server):
    line = "".join(server.stderr)
    assert line.count("\n") == 1
    found = re.fullmatch(
        r"ws-broadcast: dashboard at http://127\.0\.0\.1:\d+/ultronex/stream"
        r" user ultron password ([a-z2-9]{20})\n", line)
    return found[1]


def test_makes_a_password_and_says_it_once(start):
    servers = [start(env={}), start(env={})]
    passwords = [made_password(server) for server in servers]
    assert passwords[0] != passwords[1]
    for server, password in zip(servers, passwords):
        assert request(server, "GET", "/ultronex/stream", auth=None)[0] == 401
        assert request(server, "GET", "/ultronex/stream",
                       auth=aiohttp.BasicAuth("ultron", password))[0] == 200


def test_keeps_the_password_it_made(start, tmp_path):
    path = tmp_path / "credentials"
    server = start("--credentials", path, env={})
    password = made_password(server)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == f"ultron:{password}\n"
    assert not list(tmp_path.glob("credentials.*"))
    server.stop()

    server = start("--credentials", path, env={})
    assert password not in "".join(server.stderr)
    assert f"user ultron, password in {path}" in server.stderr[0]
    assert request(server, "GET", "/ultronex/stream",
                   auth=aiohttp.BasicAuth("ultron", password))[0] == 200
    server.stop()

    server = start("--credentials", path)       # the environment wins
    assert request(server, "GET", "/ultronex/stream")[0] == 200


@pytest.mark.parametrize("content,mode", [
    ("", 0o600), ("ultron\n", 0o600), ("ultron:\n", 0o600),
    (":secret\n", 0o600), ("ultron:secret\n", 0o644)])
def test_refuses_a_bad_file_of_credentials(www, tmp_path, content, mode):
    path = tmp_path / "credentials"
    path.write_text(content)
    path.chmod(mode)
    status, stderr = refuse(www, "--credentials", path)
    assert status == EX_CONFIG and str(path) in stderr
    assert "secret" not in stderr
    assert path.read_text() == content


def test_secrets_do_not_stay_in_the_environment_of_anyone(start):
    server = start()
    arguments = pathlib.Path(f"/proc/{server.process.pid}/cmdline")
    assert PASSWORD.encode() not in arguments.read_bytes()
    assert PASSWORD not in "".join(server.stderr)


def test_without_auth_only_local_names_are_answered(start):
    server = start("--no-auth", env={})

    def ask(host):
        return status_of(talk(server, f"GET /ultronex/stream HTTP/1.1\r\n{host}"
                              "Connection: close\r\n\r\n".encode()))
    for host in ("localhost:8080", "127.0.0.1", "LOCALHOST", "[::1]:80",
                 "127.9.9.9:1"):
        assert ask(f"Host: {host}\r\n") == 200
    for host in ("evil.test", "127.0.0.1.evil.test", "localhost.evil.test",
                 "10.0.0.1", "[::2]", "x" * 3000):
        assert ask(f"Host: {host}\r\n") == 403
    assert ask("") == 400
    for host, status in (("localhost:1", 101), ("rebound.test", 403)):
        answer = talk(server, upgrade(Authorization=None, Host=host,
                                      Origin=f"http://{host}"), timeout=0.5)
        assert status_of(answer) == status


def test_a_port_in_use_is_said_clearly(start, www):
    server = start()
    begin = time.monotonic()
    status, stderr = refuse(www, "--listen", f"127.0.0.1:{server.port}",
                            env=SECRETS)
    assert 1.9 < time.monotonic() - begin < 15
    assert status == EX_UNAVAILABLE
    assert stderr == (f"ws-broadcast: listen on 127.0.0.1:{server.port}: "
                      "Address already in use\n")


@pytest.mark.parametrize("arguments", [
    ["--listen", "8080"], ["--listen", "localhost"], ["--listen", ":80"],
    ["--listen", "127.0.0.1:99999"], ["--listen", "example.com:80"],
    ["--listen", "127.0.0.1:80x"], ["--backlog", "0"], ["--viewers", "x"],
    ["--run", "a b"], ["--run", ""], ["--origin", "proxy.test"],
    ["--nonsense"], ["word"]])
def test_wrong_use_is_said(www, arguments):
    status, stderr = refuse(www, *arguments)
    assert status == EX_USAGE and "usage: ws-broadcast" in stderr


def test_needs_a_dashboard(tmp_path):
    (tmp_path / "none").mkdir()
    status, stderr = refuse(tmp_path / "none")
    assert status == EX_CONFIG and "index.html" in stderr
    status, stderr = refuse(tmp_path / "missing")
    assert status == EX_CONFIG and "No such file" in stderr


def test_checks_the_configuration_only(start, www, tmp_path):
    port = start().port
    path = tmp_path / "credentials"
    check = ("--check", "--listen", f"127.0.0.1:{port}", "--credentials", path)
    assert refuse(www, *check) == (0, "")
    assert not path.exists()
    assert refuse(www, *check[:2], "0.0.0.0:80")[0] == EX_CONFIG
    assert refuse(tmp_path / "missing", *check)[0] == EX_CONFIG
    path.write_text("ultron\n")
    assert refuse(www, *check)[0] == EX_CONFIG
