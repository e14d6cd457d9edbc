"""ws-broadcast among clients that are slow, greedy, broken or hostile."""
import contextlib
import json
import os
import re
import selectors
import signal
import socket
import threading
import time

import pytest

from conftest import is_sanitized
from test_ws_broadcast import (MIB, SOCKET, credentials, record, start,
                               upgrade, www)  # noqa: F401

HEARTBEAT = "/ultronex/heartbeat"
ALIVE = b'{"msg":"I don\'t have a heart but I am alive!"}'
STYLE = b"b { c: d }\n" * 20000         # as the fixture www has it
POST = "/ultronex/slack"
KNOWN = {"Authorization": credentials()}
JSON = {**KNOWN, "Content-Type": "application/json"}
BODY_MAX = 8 * MIB
SLOW = 4 if is_sanitized() else 1       # so much slower than usual


def head(method="GET", path=HEARTBEAT, version="1.1", **fields):
    """The bytes of a head; Host comes by itself, None leaves it out."""
    fields = {"Host": "a.test", **fields}
    return f"{method} {path} HTTP/{version}\r\n".encode() + "".join(
        f"{name}: {value}\r\n" for name, value in fields.items()
        if value is not None).encode() + b"\r\n"


def message(text, payload="p"):
    return json.dumps({"msg": {"channel": "ci", "text": text, "title": "T",
                               "payload": payload}}).encode()


def post(body, **fields):
    return head("POST", POST, **{**JSON, "Content-Length": len(body),
                                 **fields}) + body


def chunked(*pieces, end=b"0\r\n\r\n", **fields):
    return head("POST", POST, **{**JSON, "Transfer-Encoding": "chunked",
                                 **fields}) + b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


class Answer:
    def __init__(self, lines):
        first, *lines = lines.decode("latin-1").split("\r\n")
        self.version, status, self.reason = first.split(" ", 2)
        self.status = int(status)
        self.fields = {name.lower(): value for name, value in
                       (line.split(": ", 1) for line in lines)}
        self.body = b""

    @property
    def closes(self):
        return self.fields.get("connection") == "close"


class Peer:
    """A connection, byte by byte; source is one of 127.x.x.x."""

    def __init__(self, server, source="127.0.0.1", timeout=20 * SLOW):
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        # many peers from one address: no port is kept for us alone
        self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", server.port))
        self.bytes = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def try_to_send(self, data):
        """Up to where the server does not want any more of it."""
        with contextlib.suppress(ConnectionError, socket.timeout):
            self.send(data)
        return self

    def more(self):
        chunk = self.socket.recv(1 << 18)
        self.bytes += chunk
        return chunk

    def answer(self, method="GET"):
        """The next answer, or None where the connection ends before."""
        while b"\r\n\r\n" not in self.bytes:
            if not self.more():
                assert self.bytes == b""
                return None
        lines, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        answer = Answer(lines)
        if method == "HEAD" or answer.status in (100, 304):
            return answer
        length = int(answer.fields["content-length"])
        while len(self.bytes) < length:
            assert self.more(), "the answer breaks off"
        answer.body, self.bytes = self.bytes[:length], self.bytes[length:]
        return answer

    def ask(self, data, method="GET"):
        return self.send(data).answer(method)

    def statuses(self):
        """Of all answers until the end of the connection."""
        found = []
        with contextlib.suppress(ConnectionResetError):
            while (answer := self.answer()) is not None:
                found.append(answer.status)
        return found

    def has_ended(self):
        with contextlib.suppress(ConnectionResetError):
            assert self.more() == b"", self.bytes
        return True


def ask(server, data=None, source="127.0.0.1"):
    with Peer(server, source) as peer:
        return peer.ask(data or head())


class Inbox(threading.Thread):
    """Takes what is handed in, as slack-reader does, while it may."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.lines = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.start()

    def run(self):
        peer, _ = self.socket.accept()
        with contextlib.suppress(OSError):
            for line in peer.makefile("rb"):
                self.lines.append(json.loads(line))
                self.may_answer.wait()
                peer.sendall(b'{"ok":true,"seq":%d}\n' % len(self.lines))

    def wait_for(self, count):
        deadline = time.monotonic() + 20
        while len(self.lines) < count:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.fixture
def inbox(tmp_path):
    return Inbox(tmp_path / "inbox.sock")


@pytest.fixture
def taking(start, inbox, tmp_path):             # noqa: F811
    """A server that takes messages."""
    return start("--inbox", tmp_path / "inbox.sock")


class Traffic:
    """Records go by and somebody asks, whatever else happens."""

    def __init__(self, server, source="127.0.0.99", most_away=0):
        self.server = server
        self.most_away = most_away  # of those who ask, the share turned away
        self.source = source
        self.late_s = 0             # the longest that a record took
        self.slow_s = 0             # the longest that an answer took
        self.count = self.asked = 0
        self.turned_away = 0        # amid thousands who come at once
        self.trouble = []
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.guard, args=(work,))
                        for work in (self.feed, self.ask)]

    def guard(self, work):
        try:
            work()
        except BaseException as trouble:        # for the test to see
            self.trouble.append(trouble)

    def feed(self):
        while not self.is_over.wait(0.01):
            line = record(self.count + 1)
            begin = time.monotonic()
            length = len(self.server.out) + len(line)
            self.server.feed(line)
            self.server.wait_for_out(length)
            self.late_s = max(self.late_s, time.monotonic() - begin)
            self.count += 1

    def ask(self):
        while not self.is_over.wait(0.01):
            begin = time.monotonic()
            answer = None
            with contextlib.suppress(ConnectionError):
                answer = ask(self.server, source=self.source)
            self.asked += 1
            if answer is None or answer.status == 503:
                self.turned_away += 1
                continue
            assert answer.body == ALIVE
            self.slow_s = max(self.slow_s, time.monotonic() - begin)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()
        assert not self.trouble, self.trouble
        assert self.count > 0
        assert self.turned_away <= self.asked * self.most_away
        # next to nothing, but for other tests at the same time
        assert self.late_s < 2 * SLOW
        assert self.slow_s < 3 * SLOW


def assert_small(server, most):
    """No more memory than that; of sanitizers most is their own."""
    assert is_sanitized() or server.memory() < most, server.memory()


def count_descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def assert_rests(server):
    begin = server.cpu_seconds()
    time.sleep(0.5)
    assert server.cpu_seconds() - begin < 0.1 * SLOW


# --- kept connections --------------------------------------------------------

def test_a_connection_stays(start):             # noqa: F811
    server = start()
    with Peer(server) as peer:
        for _ in range(200):
            answer = peer.ask(head())
            assert answer.status == 200 and answer.body == ALIVE
            assert "connection" not in answer.fields
            assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
                                answer.fields["date"])
        for path, status in (("/nothing", 404), ("/ultronex/stats", 401),
                             ("/", 302), (SOCKET, 401)):
            assert peer.ask(head(path=path)).status == status
        assert peer.ask(head("DELETE")).status == 405
        answer = peer.ask(head(Connection="close"))
        assert answer.closes and peer.has_ended()


def test_requests_behind_one_another_in_one_segment(start):     # noqa: F811
    server = start()
    requests = [(head(path=f"/ultronex/static/style.css?{i}", **KNOWN), STYLE)
                if i % 30 == 7 else (head("HEAD"), b"")
                if i % 5 == 1 else (head(), ALIVE) for i in range(300)]
    data = b"".join(request for request, _ in requests)
    with Peer(server) as peer:
        threading.Thread(target=peer.try_to_send, args=(data,)).start()
        for request, body in requests:
            method = "HEAD" if request.startswith(b"HEAD") else "GET"
            answer = peer.answer(method)
            assert (answer.status, answer.body) == (200, body)
    assert_rests(server)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_pieces_do_not_matter(taking, inbox, size):
    data = (b"\r\n" + head() + post(message("one")) + head("HEAD") +
            chunked(message("tw"), b" ", b"\t") + head(Connection="close"))
    with Peer(taking) as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), size):
            peer.send(data[at:at + size])
        answers = [peer.answer(method) for method in
                   ("GET", "POST", "HEAD", "POST", "GET")]
        assert peer.has_ended()
    assert [answer.status for answer in answers] == [200] * 5
    assert [line["text"] for line in inbox.lines] == ["one", "tw"]


def test_a_post_and_a_get_in_one_segment(taking, inbox):
    inbox.may_answer.clear()
    with Peer(taking) as peer:
        peer.send(post(message("first")) + head() + post(message("second")) +
                  head())
        inbox.wait_for(1)
        assert ask(taking).status == 200        # others need not wait
        peer.socket.settimeout(0.2)
        with pytest.raises(socket.timeout):     # but the GET behind it does
            peer.more()
        peer.socket.settimeout(20)
        inbox.may_answer.set()
        bodies = [peer.answer().body for _ in range(4)]
    assert bodies[1] == bodies[3] == ALIVE
    assert [json.loads(body)["msg"]["text"] for body in bodies[::2]] == [
        "first", "second"]


def test_what_follows_a_refused_body_is_no_request(taking, inbox):
    """It might be part of the body: nothing of it is looked at."""
    inner = head() + head()
    for data, status in ((post(inner, Authorization=None), 401),
                         (post(inner, Authorization="Basic eDp5"), 401),
                         (post(inner, Content_Type="text/plain",
                               **{"Content-Type": "text/plain"}), 415),
                         (head("POST", POST, **JSON,
                               **{"Content-Length": BODY_MAX + 1}), 413),
                         (head("DELETE", **{"Content-Length": len(inner)})
                          + inner, 405)):
        with Peer(taking) as peer:
            answer = peer.ask(data + head())
            assert answer.status == status and answer.closes
            assert peer.has_ended()
    with Peer(taking) as peer:      # where it was taken, the next one counts
        peer.send(post(inner) + head())
        assert [peer.answer().status for _ in range(2)] == [400, 200]
    assert inbox.lines == []


def test_garbage_behind_a_request(start):       # noqa: F811
    server = start()
    for garbage in (b"\x00" * 100, b"garbage\r\n\r\n", b"\n", b" \r\n\r\n",
                    os.urandom(100).replace(b"\r", b"")[:50] + b"\n\n",
                    b"{}" * 5000, b"\x16\x03\x01\x02\x00"):
        with Peer(server) as peer:
            peer.try_to_send(head() * 3 + garbage + head() * 3)
            assert peer.statuses() == [200, 200, 200, 400]
    assert_rests(server)


# --- what is read strictly ---------------------------------------------------

G = b"GET /ultronex/heartbeat HTTP/1.1\r\nHost: a\r\n"
P = b"POST /ultronex/slack HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize("data, status", [
    (b"GET /ultronex/heartbeat HTTP/1.1\nHost: a\n\n", 400),
    (b"GET /ultronex/heartbeat HTTP/1.1\r\nHost: a\n\r\n", 400),
    (G + b"X: y\r\n folded\r\n\r\n", 400),
    (G + b"\tX: y\r\n\r\n", 400),
    (G + b"X: y\x00z\r\n\r\n", 400),
    (b"GET /ultronex\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (G + b"X: y\rz\r\n\r\n", 400),
    (G + b"X : y\r\n\r\n", 400),
    (G + b"no colon\r\n\r\n", 400),
    (b"GET /ultronex/heartbeat HTTP/1.1\r\n\r\n", 400),
    (G + b"Host: b\r\n\r\n", 400),
    (P + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", 400),
    (P + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nabcde", 400),
    (P + b"Content-Length: 5, 0\r\n\r\nabcde", 400),
    (P + b"Content-Length: -5\r\n\r\nabcde", 400),
    (P + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400),
    (P + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
     400),
    (P + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (P + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
     400),
    (b"POST /ultronex/slack HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"0\r\n\r\n", 400),
    (G + b"A: b\r\n" * 63 + b"\r\n", 200),
    (G + b"A: b\r\n" * 64 + b"\r\n", 431),
    (G + b"A: " + b"b" * 8000 + b"\r\n\r\n", 200),
    (G + b"A: " + b"b" * 8192 + b"\r\n\r\n", 431),
    (G + b"A: b\r\n" * 100000 + b"\r\n", 431),
    (b"GET /" + b"a" * 4095 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    (b"GET /" + b"a" * 4096 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET /" + b"a" * 1000000, 414),
    (b"A" * 1000000, 414),
    (b"GET /ultronex/heartbeat HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"TRACE /ultronex/heartbeat HTTP/1.1\r\nHost: a\r\n\r\n", 405),
], ids=range(33))
def test_heads_that_are_not_as_they_should_be(start, data, status):  # noqa: F811
    server = start()
    with Peer(server) as peer:
        peer.try_to_send(data)
        answer = peer.answer()
        assert answer.status == status
        if status not in (200, 404, 405):
            assert answer.closes
            peer.try_to_send(head() * 2)
            assert peer.has_ended()
    assert ask(server).status == 200


@pytest.mark.parametrize("data, status", [
    (chunked(message("a")), 200),
    (chunked(*[b"%c" % byte for byte in message("b")]), 200),
    (chunked(message("c"), end=b"0\r\nX: y\r\nZ: a\r\n\r\n"), 200),
    (head("POST", POST, **JSON, **{"Transfer-Encoding": "chunked"}) +
     b'%x;a=b;c="d"\r\n%s\r\n0;e\r\n\r\n' % (len(message("d")), message("d")),
     200),
    (chunked(end=b"0\r\n\r\n"), 422),                   # whole, but no JSON
    (chunked(end=b"g\r\n"), 400),
    (chunked(end=b"-1\r\n"), 400),
    (chunked(end=b"5\nhello\n0\n\n"), 400),
    (chunked(end=b"5\r\nhello!\r\n0\r\n\r\n"), 400),
    (chunked(end=b"ffffffffffffffff\r\n"), 413),
    (chunked(end=b"10000000000000005\r\nhello\r\n0\r\n\r\n"), 413),
    (chunked(end=b"%x\r\n" % (BODY_MAX + 1)), 413),
    (chunked(end=b"5;" + b"x" * 300 + b"\r\nhello\r\n0\r\n\r\n"), 400),
    (chunked(end=b"0\r\n" + b"X: y\r\n" * 1000 + b"\r\n"), 400),
], ids=range(14))
def test_bodies_in_chunks(taking, inbox, data, status):
    with Peer(taking) as peer:
        peer.try_to_send(data + head(Connection="close"))
        answers = peer.statuses()
    assert answers[0] == status
    assert answers[1:] == ([200] if status in (200, 422) else [])
    assert len(inbox.lines) == (status == 200)


def test_http_1_0_and_head(start):              # noqa: F811
    server = start()
    for fields in ({}, {"Host": None}, {"Connection": "keep-alive"}):
        with Peer(server) as peer:
            answer = peer.ask(head(version="1.0", **fields) + head())
            assert answer.status == 200 and answer.closes
            assert peer.has_ended()
    with Peer(server) as peer:
        for path in (HEARTBEAT, "/ultronex/static/style.css", "/nothing",
                     "/ultronex/metrics"):
            of_get = peer.ask(head(path=path, **KNOWN))
            of_head = peer.ask(head("HEAD", path, **KNOWN), "HEAD")
            assert of_head.status == of_get.status
            for fields in (of_get.fields, of_head.fields):
                fields.pop("date")
            assert of_head.fields == of_get.fields
        assert peer.ask(head()).body == ALIVE


def test_expects_to_be_told_to_go_on(taking, inbox):
    body = message("go on")
    begin = post(body, Expect="100-continue")[:-len(body)]
    with Peer(taking) as peer:
        assert peer.ask(begin).status == 100
        assert peer.ask(body).status == 200
        assert peer.ask(begin + body).status == 200     # did not wait
        assert peer.ask(head(Expect="100-continue")).status == 200
    for data, status in (
            (post(body, Expect="100-continue", Authorization=None), 401),
            (post(body, Expect="100-continue",
                  **{"Content-Length": BODY_MAX + 1}), 413)):
        with Peer(taking) as peer:
            answer = peer.ask(data[:-len(body)])
            assert answer.status == status and answer.closes
            assert peer.has_ended()
    assert len(inbox.lines) == 2


def test_clients_that_are_done_with_talking(taking, inbox):
    def finish(data, *statuses):
        with Peer(taking) as peer:
            peer.send(data)
            peer.socket.shutdown(socket.SHUT_WR)
            assert peer.statuses() == list(statuses)
    finish(head(), 200)
    finish(head() * 50, *[200] * 50)
    finish(head(path="/ultronex/static/style.css", **KNOWN), 200)
    finish(post(message("a")), 200)
    finish(post(message("b")) + head(), 200, 200)
    finish(post(message("c"))[:-1])
    finish(chunked(message("d"), end=b""))
    finish(head()[:-1])
    finish(b"")
    assert_rests(taking)
    assert [line["text"] for line in inbox.lines] == ["a", "b"]


# --- time --------------------------------------------------------------------

class Drip:
    """One more byte each half second, until the server has enough of it."""

    def __init__(self, server, source, begin, drop, expected, seconds):
        self.peer = Peer(server, source)
        self.peer.try_to_send(begin)
        self.peer.socket.setblocking(False)
        self.drop = drop
        self.expected = expected        # how it ends
        self.seconds = seconds          # when
        self.begin = time.monotonic()
        self.got = b""

    def wet(self):
        with contextlib.suppress(OSError):
            self.peer.socket.send(self.drop)

    def must_go_on(self):
        seconds = time.monotonic() - self.begin
        assert seconds < self.seconds[1] * SLOW + 5, self.expected

    def hear(self):
        """Returns False at the end, which must be the one expected."""
        try:
            chunk = self.peer.socket.recv(1 << 16)
        except ConnectionResetError:
            chunk = b""
        self.got += chunk
        if chunk:
            return True
        seconds = time.monotonic() - self.begin
        self.peer.socket.close()
        assert self.got.startswith(self.expected), self.got
        assert self.expected or not self.got
        least, most = self.seconds
        assert least <= seconds <= most * SLOW, (self.expected, seconds)
        return False


def test_slow_clients_have_their_time(taking):
    """Each kind from an address of its own, as many as it may have."""
    timeout = b"HTTP/1.1 408 "
    kinds = [
        (b"", b"", b"", (9, 13)),                       # says nothing
        (b"GET / HTTP/1.1\r\nX: ", b"y", timeout, (9, 13)),
        (head()[:-2], b"X: y\r\n", timeout, (9, 13)),
        (head("POST", POST, **JSON, **{"Content-Length": 9000}), b"x",
         timeout, (9, 13)),
        (chunked(end=b""), b"1\r\nx\r\n", timeout, (9, 13)),
        (chunked(end=b"0\r\n"), b"X: y\r\n", timeout, (9, 13)),
        (head(), b"", b"HTTP/1.1 200 ", (29, 34)),      # then nothing
    ]
    drips = [Drip(taking, f"127.0.7.{number}", *kind)
             for number, kind in enumerate(kinds, 1) for _ in range(12)]
    with Traffic(taking), selectors.DefaultSelector() as selector:
        for drip in drips:
            selector.register(drip.peer.socket, selectors.EVENT_READ, drip)
        while selector.get_map():
            for key, _ in selector.select(0.5):
                if not key.data.hear():
                    selector.unregister(key.fileobj)
            for key in list(selector.get_map().values()):
                key.data.wet()
                key.data.must_go_on()
        assert_small(taking, 8 * MIB)
    assert count_descriptors(taking) < 24


def test_bodies_win_time_by_what_they_bring(taking, inbox):
    """Slower than ten seconds in all, and fast enough."""
    body = message("x", "y" * MIB)
    pieces = 26
    with Peer(taking, "127.0.0.1") as peer:
        peer.send(post(body)[:-len(body)])
        begin = time.monotonic()
        for at in range(pieces):
            time.sleep(0.5)             # what a slow line does
            peer.send(body[at * len(body) // pieces:
                           (at + 1) * len(body) // pieces])
        assert time.monotonic() - begin > 12
        assert peer.answer().status == 200
    assert len(inbox.lines) == 1


def test_clients_that_read_nothing(start):      # noqa: F811
    """Two addresses take all there is, and leave it to the others at once."""
    server = start()
    big = head(path="/ultronex/static/style.css", **KNOWN)
    peers = []
    for number in range(128):
        peer = Peer(server, f"127.0.8.{number // 64 + 1}")
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peers.append(peer)
        peer.try_to_send(big * 40)
    time.sleep(1)
    assert_rests(server)
    with Traffic(server):
        time.sleep(1)
        assert_small(server, 8 * MIB)
    for peer in peers[64:70]:           # whoever still reads, gets it all
        if (answer := peer.answer()) is not None:
            assert answer.body == STYLE
            break
    else:
        pytest.fail("nobody is served any more")
    for peer in peers:
        peer.socket.close()


def test_an_answer_has_its_time(start):         # noqa: F811
    """Who takes none of it, or a little now and then, is closed."""
    server = start()
    least = count_descriptors(server)
    with Peer(server, timeout=5) as deaf, Peer(server, timeout=5) as slow:
        begin = time.monotonic()
        for peer in (deaf, slow):
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            threading.Thread(target=peer.try_to_send,
                             args=(head() * 4000,)).start()
        while count_descriptors(server) < least + 2:
            assert time.monotonic() < begin + 20
        while count_descriptors(server) > least:
            seconds = time.monotonic() - begin
            assert seconds < 40
            with contextlib.suppress(OSError):
                slow.socket.recv(10, socket.MSG_DONTWAIT)
            time.sleep(0.1)
        assert seconds > 28


# --- numbers and sizes -------------------------------------------------------

def open_many(server, count, sources, data):
    peers = []
    for number in range(count):
        peer = Peer(server, f"127.0.9.{number % sources + 1}", 60)
        peer.try_to_send(data[number % len(data)])
        peers.append(peer)
    return peers


@pytest.mark.parametrize("sources", [1, 2, 200])
def test_thousands_of_connections(start, sources):      # noqa: F811
    """
    Of which none is closed by its client, while others are served. Where each
    comes from elsewhere, nobody knows who the others are: most are served.
    """
    count = 2000 if is_sanitized() else 10000
    server = start()
    kept = Peer(server, "127.0.0.98")
    assert kept.ask(head()).status == 200
    with Traffic(server, most_away=0.3 if sources == 200 else 0):
        peers = open_many(server, count, sources, [
            b"", b"GET / HT", head(), post(b"x" * 100)[:-50],
            head() + head()[:20]])
        assert count_descriptors(server) < 160
        assert_small(server, 8 * MIB)
        if sources < 200:               # one of a few among many of a few
            assert kept.ask(head()).status == 200
    for peer in [kept, *peers]:
        peer.socket.close()
    assert ask(server).status == 200
    assert_rests(server)


def pour(peer, piece, count):
    """As much of it as the server takes. Returns how many pieces."""
    for sent in range(count):
        try:
            peer.send(piece)
        except ConnectionError:
            return sent
    return count


@pytest.mark.parametrize("fields, framed, status", [
    (KNOWN, False, 413), (KNOWN, True, 413), ({}, False, 401), ({}, True, 401),
])
def test_bodies_of_100_mb(taking, inbox, fields, framed, status):
    fields = {**fields, "Content-Type": "application/json"}
    fields.update({"Transfer-Encoding": "chunked"} if framed else
                  {"Content-Length": 100 * MIB})
    piece = b"x" * MIB
    if framed:
        piece = b"100000\r\n" + piece + b"\r\n"
    with Traffic(taking), contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(taking, f"127.0.6.{number}"))
                 for number in range(4)]
        workers = [threading.Thread(target=pour, args=(
            peer.send(head("POST", POST, **fields)), piece, 100))
                   for peer in peers]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            assert_small(taking, 48 * MIB)
            time.sleep(0.01)
        for peer in peers:
            with contextlib.suppress(ConnectionResetError):
                assert peer.answer().status == status
    assert_small(taking, 8 * MIB)
    assert inbox.lines == []


def test_bodies_nobody_asked_for(start):        # noqa: F811
    """A little is read and forgotten, more is not."""
    server = start()
    with Peer(server) as peer:
        for size in (1, 5000, 65536):
            assert peer.ask(head(**{"Content-Length": size}) + b"x" * size
                            ).body == ALIVE
        answer = peer.ask(head(**{"Content-Length": 65537}))
        assert answer.status == 413 and answer.closes


def test_all_bodies_together_are_bounded(taking, inbox):
    """12 of 8 MiB do not fit in 64 MiB; what was taken is given back."""
    body = message("big", "x" * (BODY_MAX - 200))
    with contextlib.ExitStack() as stack, Traffic(taking):
        peers = [stack.enter_context(Peer(taking, f"127.0.5.{number}"))
                 for number in range(12)]
        for peer in peers:
            peer.try_to_send(post(body)[:-1])
        assert_small(taking, 80 * MIB)
        for peer in peers:
            peer.try_to_send(body[-1:])
        statuses = []
        for peer in peers:
            with contextlib.suppress(ConnectionResetError):
                answer = peer.answer()
                statuses.append(answer.status)
                assert answer.status == 200 or \
                    int(answer.fields["retry-after"]) > 0
    assert 3 <= statuses.count(200) <= 8
    assert statuses.count(503) >= 3
    assert ask(taking, post(message("later"))).status == 200
    assert_small(taking, 12 * MIB)


def test_as_many_names_as_there_are(taking):
    """Paths, queries, headers and methods are not remembered."""
    def batch(begin, end):
        return b"".join(
            head("GET" if i % 7 else f"M{i}", f"/ultronex/{kind}{i}?q{i}=v",
                 **KNOWN, **{f"X-{i}": i}) for i in range(begin, end)
            for kind in ("", "static/", "messages/", "slack/"))

    def fire(begin, end):
        with Peer(taking) as peer:
            data = batch(begin, end) + head(Connection="close")
            threading.Thread(target=peer.send, args=(data,)).start()
            statuses = peer.statuses()
            assert len(statuses) == 4 * (end - begin) + 1
            assert set(statuses) <= {200, 404, 405}

    def metrics():
        return ask(taking, head(path="/metrics", **KNOWN)).body

    fire(0, 300)
    memory, page = taking.memory(), metrics()
    count = 1500 if is_sanitized() else 12500       # four requests each
    with Traffic(taking):
        for begin in range(300, 300 + count, 500):
            fire(begin, begin + 500)
    assert is_sanitized() or taking.memory() < memory + MIB
    assert len(metrics().splitlines()) < len(page.splitlines()) + 20


# --- what becomes a WebSocket ------------------------------------------------

def frame(text):
    """A client's, masked by zeros."""
    return b"\x81" + bytes([0x80 + len(text)]) + b"\0\0\0\0" + text


def hello(peer):
    """The first frame behind the handshake is the notice hello."""
    while b'["hello"' not in peer.bytes:
        assert peer.more(), peer.bytes
    return peer.bytes


def test_a_kept_connection_becomes_a_socket(start):     # noqa: F811
    server = start()
    with Peer(server) as peer:
        assert peer.ask(head()).status == 200
        # another request, the upgrade and a ping in one segment
        peer.send(head() + upgrade() + b"\x89\x84\0\0\0\0ping")
        assert peer.answer().status == 200
        while b"ping" not in hello(peer):
            assert peer.more()
        assert peer.bytes.startswith(b"HTTP/1.1 101 ")
        assert b"\x8a\x04ping" in peer.bytes
        server.feed(record(1))
        while record(1)[:-1] not in peer.bytes:
            assert peer.more()


def test_an_upgrade_in_any_shape(start):        # noqa: F811
    server = start()
    for data in (upgrade(X="y" * 7000),
                 upgrade(Connection="keep-alive, Upgrade"),
                 upgrade(Connection="upgrade", Upgrade="WebSocket"),
                 upgrade(Upgrade="h2c, websocket", HTTP2_Settings="AAMA"),
                 b"\r\n\r\n" + upgrade(),
                 upgrade(Content_Length="0"),
                 upgrade(Cookie="a=b", Accept_Encoding="gzip, br")):
        with Peer(server) as peer:
            for at in range(0, len(data), 50):
                peer.send(data[at:at + 50])
            assert hello(peer).startswith(b"HTTP/1.1 101 ")
    for data, status in (
            (upgrade(Content_Length="5") + b"12345", 426),
            (upgrade(Transfer_Encoding="chunked") + b"0\r\n\r\n", 426),
            (upgrade(Sec_WebSocket_Key="short"), 400),
            (upgrade(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==x"), 400),
            (upgrade(Sec_WebSocket_Key="d*hlIHNhbXBsZSBub25jZQ=="), 400),
            (upgrade(Expect="100-continue", path="/nothing"), 404)):
        with Peer(server) as peer:
            assert peer.ask(data).status == status


def test_viewers_do_not_count_for_their_address(start):     # noqa: F811
    server = start()
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            hello(stack.enter_context(Peer(server)).send(upgrade()))
        peers = [stack.enter_context(Peer(server)) for _ in range(64)]
        for peer in peers:
            assert peer.ask(head()).status == 200
        for peer in peers:
            assert peer.ask(head()).status == 200


# --- the end -----------------------------------------------------------------

@pytest.mark.parametrize("signalled", [True, False])
def test_who_waits_at_the_end_is_answered(taking, inbox, signalled):
    inbox.may_answer.clear()
    with Peer(taking) as waiting, Peer(taking) as idle, \
            Peer(taking) as slow, Peer(taking) as late:
        assert idle.ask(head()).status == 200
        slow.send(head()[:-2])
        waiting.send(post(message("unsure")) + head())
        late.send(post(message("unsure")))
        inbox.wait_for(1)
        begin = time.monotonic()
        if signalled:
            taking.process.send_signal(signal.SIGTERM)
        else:
            taking.end_input()
        assert idle.has_ended()
        assert time.monotonic() - begin < 1 * SLOW
        slow.send(b"\r\n")              # in time
        answer = slow.answer()
        assert answer.status == 200 and answer.closes
        for peer in (waiting, late):
            answer = peer.answer()
            assert answer.status == 503 and answer.closes
            assert int(answer.fields["retry-after"]) > 0
            assert peer.has_ended()
    assert taking.wait() == (-signal.SIGTERM if signalled else 0)


def test_an_answer_that_comes_at_the_end_still_counts(taking, inbox):
    inbox.may_answer.clear()
    with Peer(taking) as peer:
        peer.send(post(message("just in time")))
        inbox.wait_for(1)
        taking.end_input()
        time.sleep(0.2)
        inbox.may_answer.set()
        answer = peer.answer()
        assert answer.status == 200 and answer.closes
        assert peer.has_ended()
    assert taking.wait() == 0
