"""ws-broadcast by TLS: real clients of several kinds, well meaning and not."""
import asyncio
import contextlib
import http.client
import json
import pathlib
import random
import resource
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import aiohttp
import pytest

from conftest import is_sanitized, run_program
from test_ws_broadcast import (AUTH, EX_CONFIG, EX_USAGE, KIB, MIB, SECRETS,
                               SOCKET, Server, Viewer, credentials, record,
                               records, www)  # noqa: F401

HEARTBEAT = "/ultronex/heartbeat"
SUBJECT = "/CN=ultron.test"
RESET = struct.pack("ii", 1, 0)


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)


def make_certificate(folder, name, days=30):
    """Its own authority; returns the paths of certificate and key."""
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-days", str(days),
            "-keyout", f"{name}.key", "-out", f"{name}.pem",
            "-subj", SUBJECT, "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1")
    return folder / f"{name}.pem", folder / f"{name}.key"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Two of them, for tests that do not change the files."""
    folder = tmp_path_factory.mktemp("certificates")
    return [make_certificate(folder, name) for name in ("first", "second")]


@pytest.fixture
def files(certificates, tmp_path):
    """A certificate and a key to be replaced."""
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    install(paths, certificates[0])
    return paths


def install(paths, certificate):
    for path, source in zip(paths, certificate):
        path.write_bytes(source.read_bytes())
        path.chmod(0o600)


class SecureServer(Server):
    """A running ws-broadcast that speaks https."""

    def __init__(self, paths, *arguments, env=None, **more):
        super().__init__(*arguments, env={
            **SECRETS, "HTTP_SCHEME": "https",
            "TLS_CERTIFICATE": str(paths[0]), "TLS_KEY": str(paths[1]),
            **(env or {})}, **more)
        self.url = f"https://127.0.0.1:{self.port}"

    def wait_for_log(self, text, timeout=20):
        deadline = time.monotonic() + timeout
        while not any(text in line for line in self.stderr):
            assert time.monotonic() < deadline, self.stderr
            time.sleep(0.01)

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)


@pytest.fixture
def start(www, files):  # noqa: F811
    servers = []

    def start_server(*arguments, **more):
        servers.append(SecureServer(files, "--www", www, *arguments, **more))
        return servers[-1]

    yield start_server
    for server in servers:
        server.stop()


def context_for(certificate=None, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if certificate is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(certificate)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def connect(server, context=None, source="127.0.0.1"):
    plain = socket.create_connection(("127.0.0.1", server.port), 20,
                                     (source, 0))
    return (context or context_for()).wrap_socket(
        plain, server_hostname="127.0.0.1")


def get(connection, path=HEARTBEAT, headers=""):
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                       f"{headers}\r\n".encode())
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.read()


def is_alive(server, context=None, source="127.0.0.1"):
    with connect(server, context, source) as connection:
        return get(connection)[0] == 200


@contextlib.asynccontextmanager
async def viewing(server, query="", context=None):
    async with aiohttp.ClientSession(auth=AUTH) as session:
        async with session.ws_connect(
                server.url + SOCKET + query, max_msg_size=0,
                ssl=context or context_for()) as socket_:
            yield Viewer(socket_)


# What is spoken

@pytest.mark.parametrize("version, name", [
    (ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_serves_by_tls(start, files, version, name):
    server = start()
    assert f"dashboard at https://127.0.0.1:{server.port}/" in server.stderr[0]
    with connect(server, context_for(files[0], version)) as connection:
        assert connection.version() == name
        assert connection.compression() is None
        status, body = get(connection)
    assert status == 200
    assert json.loads(body) == {"msg": "I don't have a heart but I am alive!"}


@pytest.mark.parametrize("version", [
    ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_refuses_old_versions(start, version):
    context = context_for(version=version)
    context.set_ciphers("ALL:@SECLEVEL=0")
    server = start()
    with pytest.raises(ssl.SSLError, match="(?i)alert protocol version"):
        connect(server, context)
    assert is_alive(server)


def test_refuses_ciphers_without_forward_secrecy(start):
    context = context_for(version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("AES128-GCM-SHA256:AES256-SHA")
    with pytest.raises(ssl.SSLError, match="(?i)handshake failure"):
        connect(start(), context)


def test_speaks_http_1_1_only(start):
    server, context = start(), context_for()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with connect(server, context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
        assert get(connection)[0] == 200
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)no application protocol"):
        connect(server, context)
    assert is_alive(server)


def test_sessions_are_resumed(start):
    server, context = start(), context_for()
    with connect(server, context) as connection:
        get(connection)
        session = connection.session
    plain = socket.create_connection(("127.0.0.1", server.port), 20)
    with context.wrap_socket(plain, session=session) as connection:
        assert get(connection)[0] == 200
        assert connection.session_reused


def test_tells_those_who_speak_plain_http(start):
    server = start()
    with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
        peer.sendall(b"POST /ultronex/slack HTTP/1.1\r\nHost: a\r\n"
                     b"Content-Length: 30000\r\n\r\n" + b"x" * 30000)
        answer = http.client.HTTPResponse(peer)
        answer.begin()
        assert answer.status == 400
        assert b"https" in answer.read()


def test_large_answers_come_whole(start, www):  # noqa: F811
    server = start()
    with connect(server) as connection:
        status, body = get(connection, "/ultronex/static/style.css",
                           f"Authorization: {credentials()}\r\n")
        assert status == 200
    assert body == (www / "style.css").read_bytes()


def test_connections_are_kept(start):
    server = start()
    with connect(server) as connection:
        for _ in range(50):
            assert get(connection)[0] == 200
        connection.sendall(b"HEAD /ultronex/heartbeat HTTP/1.1\r\n"
                           b"Host: localhost\r\n\r\n" * 20)
        answer = b""
        while answer.count(b"HTTP/1.1 200") < 20:
            answer += connection.recv(65536)


@pytest.mark.parametrize("size", [100, 100 * KIB, 8 * MIB])
def test_bodies_of_requests_come_whole(start, size):
    """Whatever the answer: the next request is understood, or none follows."""
    with connect(start()) as connection:
        connection.sendall(
            f"POST /ultronex/nowhere HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: {credentials()}\r\n"
            f"Content-Length: {size}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            connection.sendall(b"x" * size)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        answer.read()
        assert answer.status in (404, 405, 413)
        if answer.getheader("Connection") != "close":
            assert get(connection)[0] == 200


class Inbox(threading.Thread):
    """Takes what is handed in, as slack-reader does."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.lines = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.start()

    def run(self):
        peer, _ = self.socket.accept()
        for line in peer.makefile("rb"):
            self.lines.append(json.loads(line))
            peer.sendall(b'{"ok":true,"seq":%d}\n' % len(self.lines))


def test_messages_are_taken_over_kept_connections(start, tmp_path):
    inbox = Inbox(tmp_path / "inbox.sock")
    server = start("--inbox", tmp_path / "inbox.sock")
    payloads = ["x" * 100, "y" * (7 * MIB), "z" * 20000]
    with connect(server) as connection:
        for payload in payloads:
            body = json.dumps({"msg": {"channel": "ci", "text": "t", "title":
                                       "T", "payload": payload}})
            connection.sendall(
                f"POST /ultronex/slack HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: {credentials()}\r\n"
                f"Content-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status == 200
            assert json.loads(answer.read())["status"] == "triggered"
    assert [line["payload"] for line in inbox.lines] == payloads
    if not is_sanitized():
        assert server.memory() < 8 * MIB


def test_the_limit_of_an_address_holds(start):
    server = start("--per-address", 5)
    peers = [connect(server, source="127.0.0.2") for _ in range(8)]
    for peer in peers[:3]:                  # closed, and told so
        assert peer.recv(1) == b""
    assert get(peers[-1])[0] == 200
    assert is_alive(server, source="127.0.0.3")
    for peer in peers:
        peer.close()


def test_ends_properly(start):
    """So that nobody can cut an answer short unnoticed."""
    context = context_for()
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    with connect(start(), context) as connection:
        connection.sendall(b"GET /ultronex/heartbeat HTTP/1.1\r\n"
                           b"Host: localhost\r\nConnection: close\r\n\r\n")
        while connection.recv(4096):        # raises where it breaks off
            pass


# Viewers

@pytest.mark.parametrize("version", [
    ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_viewers_get_many_megabytes(start, version):
    count, size = (100, 50 * KIB) if is_sanitized() else (1000, 50 * KIB)
    server = start("--backlog-bytes", "128MiB")
    data = records(1, count, size)
    feeder = threading.Thread(target=server.feed, args=(data,))

    async def watch():
        context = context_for(version=version)
        async with viewing(server, context=context) as viewer:
            await viewer.notice("hello")
            feeder.start()
            return [await viewer.line(60) for _ in range(count)]

    lines = asyncio.run(watch())
    feeder.join()
    assert "\n".join(lines).encode() + b"\n" == data


def test_viewers_get_records_beyond_a_frame(start):
    server = start("--backlog-bytes", "64MiB")

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            threading.Thread(target=server.feed,
                             args=(record(1, 12 * MIB),)).start()
            return await viewer.line(60)

    assert len(asyncio.run(watch())) > 12 * MIB


def test_two_hundred_viewers(start):
    count = 50 if is_sanitized() else 200
    server = start()

    async def watch():
        came = asyncio.Semaphore(0)
        fed = asyncio.Event()

        async def one():
            async with viewing(server) as viewer:
                await viewer.notice("hello")
                came.release()
                await fed.wait()
                return await viewer.seqs(100)

        tasks = []
        for _ in range(count):              # 20 at a time
            tasks.append(asyncio.create_task(one()))
            if len(tasks) > 20:
                await asyncio.wait_for(came.acquire(), 20)
        for _ in range(min(count, 20)):
            await asyncio.wait_for(came.acquire(), 20)
        server.feed(records(1, 100, 100))
        fed.set()
        return await asyncio.gather(*tasks)

    for seqs in asyncio.run(watch()):
        assert seqs == list(range(1, 101))


def read_until_gap(reader, deadline):
    """The notices and seqs of a raw WebSocket that was left alone."""
    data = b""
    while b'["gap"' not in data:
        assert time.monotonic() < deadline
        chunk = reader.recv(65536)
        assert chunk
        data = data[-100:] + chunk


def open_viewer(server):
    """A WebSocket that reads nothing beyond the upgrade."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    plain.settimeout(20)
    plain.connect(("127.0.0.1", server.port))
    connection = context_for().wrap_socket(plain)
    connection.sendall(
        f"GET {SOCKET} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: {credentials()}\r\n\r\n".encode())
    assert connection.recv(12) == b"HTTP/1.1 101"
    return connection


def test_slow_viewers_cost_a_bounded_amount(start):
    server = start("--backlog-bytes", "1MiB")
    idle = server.memory()
    slow = [open_viewer(server) for _ in range(30)]
    data = records(1, 60000, 1000)
    server.feed(data)
    server.wait_for_out(len(data), 60)
    if not is_sanitized():
        assert server.memory() - idle < 30 * 160 * KIB + 4 * MIB
    begin = server.cpu_seconds()
    time.sleep(0.5)
    assert server.cpu_seconds() - begin < 0.1
    assert is_alive(server)
    read_until_gap(slow[0], time.monotonic() + 20)
    for connection in slow:
        connection.close()


def test_viewers_are_dismissed_properly(start):
    server = start()

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            server.process.terminate()
            message = await viewer.socket.receive(10)
            return message.type, viewer.socket.close_code

    kind, code = asyncio.run(watch())
    assert kind in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING)
    assert code == 1001
    assert server.wait() == -signal.SIGTERM


def test_viewers_get_what_was_said_before_the_end(start):
    server = start("--backlog-bytes", "16MiB")

    async def watch():
        async with viewing(server) as viewer:
            await viewer.notice("hello")
            server.feed(records(1, 200, 1000))
            server.end_input()
            return await viewer.rest()

    lines = asyncio.run(watch())
    assert [json.loads(line)["seq"] for line in lines[:200]] == \
        list(range(1, 201))
    assert json.loads(lines[200])[0] == "end"
    assert server.wait() == 0


# The hostile

def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context_for().wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_garbage_does_no_harm(start):
    server, dice = start(), random.Random(5)
    hello = client_hello()
    for _ in range(200):
        data = bytearray(hello[:dice.randint(1, len(hello))])
        for _ in range(dice.randint(0, 8)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
            with contextlib.suppress(OSError):
                peer.sendall(data + dice.randbytes(dice.randint(0, 3000)))
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass
    assert is_alive(server)


def count_descriptors(server):
    return len(list(pathlib.Path(
        f"/proc/{server.process.pid}/fd").iterdir()))


def wait_for_descriptors(server, most, timeout=20):
    deadline = time.monotonic() + timeout
    while count_descriptors(server) > most:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_resets_in_the_midst_leave_nothing(start):
    server, hello = start(), client_hello()
    before = count_descriptors(server)
    for stage in range(60):
        peer = socket.create_connection(("127.0.0.1", server.port), 20)
        if stage % 4 == 1:
            peer.sendall(hello[:100])
        elif stage % 4 == 2:
            peer.sendall(hello)
            peer.recv(100)
        elif stage % 4 == 3:
            peer = context_for().wrap_socket(peer)
            peer.sendall(f"GET {HEARTBEAT} HTTP/1.1\r\n".encode())
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        peer.close()
    wait_for_descriptors(server, before)
    assert is_alive(server)


def test_viewers_that_are_cut_off_leave_nothing(start):
    server = start("--ping", 1)
    before = count_descriptors(server)
    cut = [open_viewer(server) for _ in range(20)]
    server.feed(records(1, 3000, 1000))
    for number, connection in enumerate(cut):
        if number % 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.close()
    wait_for_descriptors(server, before)


def test_stalled_handshakes_hold_up_nobody(start):
    server, hello = start(), client_hello()
    before = count_descriptors(server)
    stalled = []
    for number in range(400):
        stalled.append(socket.create_connection(
            ("127.0.0.1", server.port), 20, ("127.0.0.2", 0)))
        stalled[-1].sendall(hello[:number])
    begin = time.monotonic()
    for _ in range(20):
        assert is_alive(server)
    assert time.monotonic() - begin < 20
    assert count_descriptors(server) <= before + 128 + 2
    begin = server.cpu_seconds()
    time.sleep(0.3)
    assert server.cpu_seconds() - begin < 0.1
    for peer in stalled:
        peer.close()


def test_who_stalls_for_ten_seconds_is_dropped(start):
    server = start()
    with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
        begin = time.monotonic()
        assert peer.recv(1) == b""
        assert 9 < time.monotonic() - begin < 19


def test_few_descriptors_are_enough(start):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
    server = start(preexec_fn=limit)
    assert "connections only" in server.stderr[0]
    peers = [socket.create_connection(("127.0.0.1", server.port), 20)
             for _ in range(300)]
    assert is_alive(server, source="127.0.0.3")
    for peer in peers:
        peer.close()


def test_asks_for_more_descriptors(start):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 20000))
    server = start(preexec_fn=limit)
    assert len(server.stderr) == 1, server.stderr


# The certificate

def fingerprint(server):
    with connect(server) as connection:
        return connection.getpeercert(binary_form=True)


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_takes_a_new_certificate_while_connections_stand(start, files,
                                                         certificates):
    server = start()
    assert fingerprint(server) == der(certificates[0][0])

    async def watch():
        async with viewing(server, context=context_for(files[0])) as viewer:
            await viewer.notice("hello")
            install(files, certificates[1])
            server.hang_up()
            server.wait_for_log("for new connections")
            server.feed(record(1))
            assert await viewer.seqs(1) == [1]
        async with viewing(server, context=context_for(
                certificates[1][0])) as viewer:
            await viewer.notice("hello")
            assert await viewer.seqs(1) == [1]

    asyncio.run(watch())
    assert fingerprint(server) == der(certificates[1][0])


@pytest.mark.parametrize("harm, reason", [
    (lambda paths, other: paths[0].write_text("half"), "PEM form"),
    (lambda paths, other: paths[1].unlink(), "No such file"),
    (lambda paths, other: paths[1].write_bytes(other[1].read_bytes()),
     "does not fit")])
def test_keeps_the_old_certificate_where_the_new_one_is_bad(
        start, files, certificates, harm, reason):
    server = start()
    harm(files, certificates[1])
    server.hang_up()
    server.wait_for_log("the certificate and key in use stay in use")
    assert any(reason in line for line in server.stderr)
    assert fingerprint(server) == der(certificates[0][0])
    log = "".join(server.stderr)
    for key in certificates[0][1], certificates[1][1]:
        assert key.read_text().splitlines()[1] not in log


def test_hang_up_without_tls_is_nothing(www):  # noqa: F811
    server = Server("--www", www)
    server.process.send_signal(signal.SIGHUP)
    server.feed(record(1))
    server.wait_for_out(len(record(1)))
    server.stop()
    assert len(server.stderr) == 1


# Configuration

@pytest.fixture
def check(www):  # noqa: F811
    def run(*arguments, **env):
        done = run_program(
            "ws-broadcast", "--listen", "127.0.0.1:0", "--www", www,
            *arguments, env={**SECRETS, **{key: str(value)
                                           for key, value in env.items()}})
        return done.returncode, done.stderr.decode()
    return run


def test_checks_the_files(check, files):
    cert, key = files
    assert check("--check", HTTP_SCHEME="https", TLS_CERTIFICATE=cert,
                 TLS_KEY=key) == (0, "")
    assert check("--check", "--certificate", cert, "--key", key) == (0, "")
    assert check("--check", "--certificate", cert, "--key", key,
                 HTTP_SCHEME="http", TLS_KEY="/nowhere") == (0, "")
    assert check("--check", HTTP_SCHEME="http",
                 TLS_CERTIFICATE="/nowhere") == (0, "")


@pytest.mark.parametrize("env, reason", [
    ({}, "https needs a certificate: TLS_CERTIFICATE or --certificate FILE"),
    ({"TLS_CERTIFICATE": "cert.pem"},
     "https needs the certificate's key: TLS_KEY or --key FILE"),
    ({"TLS_CERTIFICATE": "none", "TLS_KEY": "key.pem"},
     "TLS certificate: open none: No such file or directory"),
    ({"TLS_CERTIFICATE": "cert.pem", "TLS_KEY": "none"},
     "TLS key: open none: No such file or directory"),
    ({"TLS_CERTIFICATE": "key.pem", "TLS_KEY": "key.pem"},
     "TLS certificate: key.pem holds none in PEM form"),
    ({"TLS_CERTIFICATE": "cert.pem", "TLS_KEY": "other.pem"},
     "TLS key: other.pem does not fit the first certificate in cert.pem"),
    ({"HTTP_SCHEME": "ftp"}, "HTTP_SCHEME: expected http or https: ftp"),
    ({"HTTP_SCHEME": "", "TLS_CERTIFICATE": "cert.pem"},
     "TLS_CERTIFICATE or TLS_KEY is set, but not HTTP_SCHEME: set it to "
     "https"),
])
def test_says_what_is_wrong_with_the_configuration(
        check, files, certificates, tmp_path, monkeypatch, env, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.pem").write_bytes(certificates[1][1].read_bytes())
    env = {"HTTP_SCHEME": "https", **env}
    wrong = EX_CONFIG, f"ws-broadcast: {reason}\n"
    assert check("--check", **env) == wrong
    assert check(**env) == wrong


def test_certificate_needs_an_argument():
    assert run_program("ws-broadcast", "--certificate").returncode == EX_USAGE
