"""examples/ultron-post against a server that answers as it is told."""
import base64
import http.server
import json
import os
import pathlib
import subprocess
import threading
import time

import pytest

from conftest import ROOT

CLIENT = ROOT / "examples" / "ultron-post"
EX_USAGE, EX_DATAERR, EX_NOINPUT = 64, 65, 66
EX_UNAVAILABLE, EX_PROTOCOL, EX_NOPERM = 69, 76, 77
TAKEN = (200, {}, {"status": "triggered", "id": "an-id"})


class Server(http.server.ThreadingHTTPServer):
    """Gives the answers in turn, the last one for ever."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = [TAKEN]
        self.requests = []
        self.command_lines = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.requests.append((time.monotonic(), self.path,
                                dict(self.headers), body))
        server.command_lines += command_lines()
        status, headers, answer = server.answers.pop(0) \
            if len(server.answers) > 1 else server.answers[0]
        if status is None:      # hang up
            self.close_connection = True
            return
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def command_lines():
    """What everybody can see of all processes, and our own environments."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                text = (folder / name).read_bytes()
            except OSError:
                continue
            if b"ultron-post" in text or b"curl" in text:
                yield name, text


@pytest.fixture
def server():
    one = Server()
    thread = threading.Thread(target=one.serve_forever)
    thread.start()
    yield one
    one.shutdown()
    thread.join()
    one.server_close()


def post(server, *arguments, stdin=b"", env=None, **more):
    return subprocess.run(
        [CLIENT, *(["--url", server.url] if server else []), *arguments],
        input=stdin, capture_output=True, timeout=60, check=False,
        env={"PATH": os.environ["PATH"], **(env or {})}, **more)


def test_prints_the_id_and_posts_what_the_interface_wants(server):
    done = post(server, "ci", "a title", "some text")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"an-id\n", b"")
    (_, path, headers, body), = server.requests
    assert path == "/ultronex/slack"
    assert headers["Content-Type"] == "application/json"
    assert len(headers["Idempotency-Key"]) == 36
    assert "Authorization" not in headers
    assert json.loads(body) == {"msg": {"channel": "ci", "title": "a title",
                                        "text": "some text", "payload": ""}}


@pytest.mark.parametrize("text", [
    "quotes \" ' ` and \\ backslashes \\n", "line\nend\ttab\r",
    "$(id) ${x} `id`", "-n", "ä 💩", "@file", "\x01\x7f", "a%sb%n", ""])
def test_builds_json_of_any_text(server, text, tmp_path):
    (tmp_path / "payload").write_text(text + "\n")
    done = post(server, "--", text or "c", text, text,
                str(tmp_path / "payload"))
    assert done.returncode == 0, done.stderr
    assert json.loads(server.requests[0][3])["msg"] == {
        "channel": text or "c", "title": text, "text": text,
        "payload": text + "\n"}


def test_takes_a_large_payload_from_standard_input(server):
    payload = ("0123456789\\\"\n" * 200_000).encode()
    done = post(server, "ci", "t", "x", "-", stdin=payload)
    assert done.returncode == 0, done.stderr
    assert json.loads(server.requests[0][3])["msg"]["payload"] == \
        payload.decode()


PASSWORD = "s3cr\"et\\ $(id)\u00e4:!"


@pytest.mark.parametrize("by", ["environment", "file"])
def test_keeps_the_password_to_itself(server, tmp_path, by):
    env = {"BASIC_AUTH_USERNAME": "tony"}
    if by == "file":
        (tmp_path / "password").write_text(PASSWORD + "\n")
        env["BASIC_AUTH_PASSWORD_FILE"] = str(tmp_path / "password")
    else:
        env["BASIC_AUTH_PASSWORD"] = PASSWORD
    done = post(server, "ci", "t", "x", env=env)
    assert done.returncode == 0, done.stderr
    sent = server.requests[0][2]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == "tony:" + PASSWORD
    assert any(b"curl" in text for name, text in server.command_lines
               if name == "cmdline")
    for name, text in server.command_lines:
        # the environment that it was started with is the caller's business
        if name == "cmdline" or b"ultron-post" not in text:
            assert b"s3cr" not in text


def test_tries_again_with_the_same_key(server):
    away = (503, {"Retry-After": "1"}, {"msg": "later"})
    server.answers = [away, (None, {}, {}), away, TAKEN]
    done = post(server, "ci", "t", "x")
    assert (done.returncode, done.stdout) == (0, b"an-id\n")
    assert len({headers["Idempotency-Key"]
                for _, _, headers, _ in server.requests}) == 1
    assert len({body for _, _, _, body in server.requests}) == 1
    times = [moment for moment, *_ in server.requests]
    assert len(times) == 4 and times[1] - times[0] >= 1


def test_takes_a_key(server):
    post(server, "--key", "build-42", "ci", "t", "x")
    assert server.requests[0][2]["Idempotency-Key"] == "build-42"


@pytest.mark.parametrize("answer, status, said", [
    ((400, {}, {"msg": "Malformed JSON"}), EX_DATAERR, "Malformed JSON"),
    ((422, {}, {"msg": "Unprocessable request body", "reason": "too long"}),
     EX_DATAERR, "Unprocessable request body: too long"),
    ((413, {}, {}), EX_DATAERR, "status 413"),
    ((401, {}, "Not without credentials."), EX_NOPERM, "status 401"),
    ((403, {}, {}), EX_NOPERM, "status 403"),
    ((404, {}, {}), EX_PROTOCOL, "status 404"),
    ((302, {"Location": "/"}, {}), EX_PROTOCOL, "status 302"),
    ((200, {}, {"msg": "hello"}), EX_PROTOCOL, "without an id"),
    ((200, {}, "hello"), EX_PROTOCOL, "without an id"),
    ((503, {"Retry-After": "0"}, {"msg": "full"}), EX_UNAVAILABLE, "full"),
])
def test_says_why_it_was_not_taken(server, answer, status, said):
    server.answers = [answer]
    done = post(server, "--tries", "2", "ci", "t", "x")
    assert done.returncode == status, done.stderr
    assert said in done.stderr.decode() and done.stdout == b""
    assert len(server.requests) == (2 if answer[0] == 503 else 1)


def test_says_that_there_is_no_server(server):
    dead = Server()
    dead.server_close()
    done = post(dead, "--tries", "1", "ci", "t", "x")
    assert done.returncode == EX_UNAVAILABLE
    assert b"ultron-post: " in done.stderr and b"connect" in done.stderr
    done = post(None, "--url", "gibberish://x", "ci", "t", "x")
    assert done.returncode == EX_UNAVAILABLE and done.stderr


@pytest.mark.parametrize("arguments, status", [
    ((), EX_USAGE), (("ci",), EX_USAGE), (("ci", "t"), EX_USAGE),
    (("a", "b", "c", "d", "e"), EX_USAGE),
    (("--what", "a", "b", "c"), EX_USAGE), (("--url",), EX_USAGE),
    (("--tries", "0", "a", "b", "c"), EX_USAGE),
    (("--tries", "x", "a", "b", "c"), EX_USAGE),
    (("a", "b", "c", "/nonexistent/file"), EX_NOINPUT),
])
def test_refuses_wrong_use(server, arguments, status):
    done = post(server, *arguments)
    assert done.returncode == status and done.stderr
    assert not server.requests and done.stdout == b""


def test_leaves_no_file_behind(server, tmp_path):
    for server.answers in ([TAKEN], [(422, {}, {})]):
        post(server, "ci", "t", "x", env={"TMPDIR": str(tmp_path)})
        assert list(tmp_path.iterdir()) == []


def test_helps(server):
    done = post(server, "--help")
    assert done.returncode == 0 and b"example: " in done.stdout


def test_is_clean_for_shellcheck():
    subprocess.run(["shellcheck", CLIENT], check=True)
