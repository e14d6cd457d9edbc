"""attach-fetch against a real HTTP server on this machine."""
import asyncio
import contextlib
import hashlib
import json
import os
import pathlib
import random
import select
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time

import pytest
from aiohttp import web

from conftest import BIN, CRASHES, is_sanitized, run_program
from disk import Disk

TOKEN = "xoxb-this-is-the-secret-token"
LOGIN_PAGE = (b"\n <!DOCTYPE html><html><head><title>Slack</title></head>"
              b"<body>Sign in to your workspace</body></html>")
PLAIN = "text/plain"


class FileServer:
    """Answers by path what a test laid down; remembers what was asked."""

    def __init__(self, tls=None):
        self.answers = {}
        self.requests = []
        self.running = 0
        self.most_running = 0
        self.tls = tls
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        assert self.ready.wait(10)

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.start())
        self.ready.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.runner.cleanup())
        self.loop.close()

    async def start(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, shutdown_timeout=0.1,
                           ssl_context=self.tls)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def handle(self, request):
        self.requests.append(
            (request.path, request.headers.get("Authorization")))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            answers = self.answers[request.path]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            return await answer(request)
        finally:
            self.running -= 1

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def url(self, path):
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{self.host}{path}"

    def count(self, path):
        return sum(asked == path for asked, _ in self.requests)

    def put(self, path, *answers):
        """What the path answers, one after the other; the last one stays."""
        self.answers[path] = list(answers)


def body(data, mimetype=PLAIN, delay=0, status=200, **headers):
    async def answer(_request):
        await asyncio.sleep(delay)
        return web.Response(body=data, status=status, headers={
            "Content-Type": mimetype,
            **{name.replace("_", "-"): str(value)
               for name, value in headers.items()}})
    return answer


def redirect(target):
    return body(b"moved", status=302, Location=target)


def trickle(chunk, pause=0.0, count=None):
    """A body without a length, endless unless count is given."""
    async def answer(request):
        response = web.StreamResponse(headers={"Content-Type": PLAIN})
        await response.prepare(request)
        done = 0
        try:
            while count is None or done < count:
                await response.write(chunk)
                await asyncio.sleep(pause)
                done += 1
        except (ConnectionError, asyncio.CancelledError):
            pass
        return response
    return answer


@pytest.fixture
def server():
    server = FileServer()
    yield server
    server.stop()


@pytest.fixture
def foreign():
    server = FileServer()
    yield server
    server.stop()


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool"


def file_object(file_id, url=None, **more):
    file = {"id": file_id, "name": "log.txt", "mimetype": PLAIN,
            "mode": "hosted", **more}
    if url:
        file["url_private_download"] = url
    return file


def record(*files, **more):
    return {"type": "message", "subtype": "file_share", "text": "see here",
            "files": list(files), **more}


def to_lines(records):
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)


ENVIRONMENT = {"SLACK_BOT_TOKEN": TOKEN, "no_proxy": "*"}


def fetch(records, spool, *arguments, server=None, status=0, env=None):
    """Run over the records; the answers, after a look for the token."""
    if server:
        arguments = ("--insecure-hosts", server.host, *arguments)
    done = run_program("attach-fetch", "--spool", spool, *arguments,
                       stdin=to_lines(records), env=env or ENVIRONMENT)
    assert TOKEN.encode() not in done.stdout + done.stderr
    assert done.returncode == status, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(records)
    return answers


def only(answers):
    """The one file of the one record."""
    [answer] = answers
    [fetched] = answer["fetched"]
    return fetched


def statuses(answers):
    return [[file["status"] for file in answer.get("fetched", [])]
            for answer in answers]


def blobs(spool):
    return sorted(path.name for path in spool.iterdir()
                  if len(path.name) == 64)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# The spool


def test_puts_a_file_into_the_spool_by_its_hash(server, spool):
    data = b"E/AndroidRuntime: FATAL EXCEPTION: main\n" * 1000
    server.put("/f/log.txt", body(data))
    url = server.url("/f/log.txt?t=query")
    answers = fetch([record(file_object("F1", url, size=len(data)))], spool,
                    server=server)
    assert only(answers) == {
        "file": "F1", "status": "ok", "path": sha256(data),
        "bytes": len(data), "sha256": sha256(data), "mimetype": PLAIN}

    blob = spool / sha256(data)
    assert blob.read_bytes() == data
    assert stat.S_IMODE(blob.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    assert os.readlink(spool / "ids" / "F1") == "../" + sha256(data)
    assert list((spool / "tmp").iterdir()) == []
    assert server.requests == [("/f/log.txt", "Bearer " + TOKEN)]


def test_leaves_every_byte_of_the_line(server, spool):
    server.put("/f", body(b"data"))
    line = (b'{ "n":9007199254740993, "fetched":[1], "text":"\\u00e9" ,"files"'
            b':[{"id":"F1","url_private":"%s"}] } \n'
            % server.url("/f").encode())
    done = run_program("attach-fetch", "--spool", spool, "--insecure-hosts",
                       server.host, stdin=line, env=ENVIRONMENT)
    head, tail = done.stdout.split(b',"fetched":[{"file":"F1"')
    assert head == line[:-3].replace(b', "fetched":[1]', b"")
    assert tail.endswith(b"}]} \n")


def test_finds_files_of_an_edited_message(server, spool):
    server.put("/f", body(b"data"))
    edit = {"type": "message", "subtype": "message_changed", "message":
            {"text": "x", "files": [file_object("F1", server.url("/f"))]}}
    assert only(fetch([edit], spool, server=server))["status"] == "ok"


def test_keeps_equal_content_once(server, spool):
    server.put("/a", body(b"the same"))
    server.put("/b", body(b"the same"))
    answers = fetch([record(file_object("F1", server.url("/a")),
                            file_object("F2", server.url("/b")))],
                    spool, server=server)
    assert statuses(answers) == [["ok", "ok"]]
    assert blobs(spool) == [sha256(b"the same")]
    assert sorted(os.listdir(spool / "ids")) == ["F1", "F2"]


def test_fetches_a_file_id_once(server, spool):
    server.put("/f", body(b"content", delay=0.2))
    one = record(file_object("F1", server.url("/f"), size=7))
    answers = fetch([one] * 20, spool, server=server)
    assert statuses(answers) == [["ok"]] * 20
    fetch([one], spool, server=server)
    assert server.count("/f") == 1


def test_fetches_again_what_may_have_changed(server, spool):
    server.put("/f", body(b"old"), body(b"new"))
    snippet = record(file_object("F1", server.url("/f"), mode="snippet"))
    fetch([snippet], spool, server=server)
    assert only(fetch([snippet], spool, server=server))["bytes"] == 3
    assert os.readlink(spool / "ids" / "F1") == "../" + sha256(b"new")
    assert blobs(spool) == sorted([sha256(b"new"), sha256(b"old")])


def test_fetches_again_what_was_damaged_in_the_spool(server, spool):
    server.put("/f", body(b"content"))
    one = record(file_object("F1", server.url("/f"), size=7))
    fetch([one], spool, server=server)
    (spool / sha256(b"content")).write_bytes(b"con")
    assert only(fetch([one], spool, server=server))["bytes"] == 7
    assert (spool / sha256(b"content")).read_bytes() == b"content"


def test_an_empty_file_is_a_file(server, spool):
    server.put("/f", body(b""))
    fetched = only(fetch([record(file_object("F1", server.url("/f"),
                                             size=0))], spool, server=server))
    assert (fetched["status"], fetched["bytes"]) == ("ok", 0)


@pytest.mark.parametrize("file_id", [
    "../../x", "..", ".", "", "a/b", "/etc/passwd", "F1\0", "x" * 65,
    "F\u00fc", "F 1", 7, None, ["F1"], {"a": 1}])
def test_hostile_ids_and_names_touch_no_file(server, spool, file_id):
    server.put("/f", body(b"data"))
    file = file_object(file_id, server.url("/f"), name="../../x",
                       title="/etc/passwd", mimetype="../../x")
    fetched = only(fetch([record(file)], spool, server=server))
    assert fetched["status"] == "ok"
    assert fetched["path"] == sha256(b"data")
    assert sorted(os.listdir(spool)) == sorted(
        [sha256(b"data"), "ids", "tmp"])
    assert os.listdir(spool / "ids") == []
    assert os.listdir(spool.parent) == ["spool"]


def test_a_full_spool_gives_up_what_was_used_longest_ago(server, spool):
    for i in range(30):
        server.put(f"/{i}", body(b"%02d" % i * 50_000))
    files = [record(file_object(f"F{i}", server.url(f"/{i}")))
             for i in range(30)]
    for i in range(0, 30, 6):
        fetch(files[i:i + 6], spool, "--spool-bytes", 1_000_000,
              "--parallel", 1, server=server)
        total = sum((spool / name).stat().st_size for name in blobs(spool))
        assert total <= 1_000_000
    assert blobs(spool) == sorted(sha256(b"%02d" % i * 50_000)
                                  for i in range(20, 30))
    assert sorted(os.listdir(spool / "ids")) == [
        f"F{i}" for i in range(20, 30)]


def test_within_one_run_the_spool_holds_its_size(server, spool):
    for i in range(40):
        server.put(f"/{i}", body(b"%02d" % i * 50_000))
    answers = fetch([record(file_object(f"F{i}", server.url(f"/{i}")))
                     for i in range(40)], spool, "--spool-bytes", 1_000_000,
                    "--parallel", 1, server=server)
    assert statuses(answers) == [["ok"]] * 40
    assert len(blobs(spool)) == 10


def test_a_file_of_an_unanswered_record_stays(server, spool):
    first, second = b"1" * 600_000, b"2" * 600_000
    server.put("/first", body(first))
    server.put("/slow", body(b"slow", delay=3))
    server.put("/second", body(second, delay=1))
    answers = fetch([record(file_object("F1", server.url("/first")),
                            file_object("F2", server.url("/slow"))),
                     record(file_object("F3", server.url("/second")))],
                    spool, "--spool-bytes", 1_000_000, "--deadline", 30,
                    server=server)
    assert statuses(answers) == [["ok", "ok"], ["failed"]]
    assert answers[1]["fetched"][0]["reason"] == "spool full"
    assert blobs(spool) == sorted([sha256(first), sha256(b"slow")])


def test_files_of_the_last_answers_stay_in_half_of_the_spool(server, spool):
    server.put("/a", body(b"a" * 400_000))
    for i in range(7):
        server.put(f"/{i}", body(b"%d" % i * 100_000))
    server.put("/b", body(b"b" * 300_000))
    answers = fetch([record(file_object("FA", server.url("/a"))),
                     record(*[file_object(f"F{i}", server.url(f"/{i}"))
                              for i in range(7)]),
                     record(file_object("FB", server.url("/b")))],
                    spool, "--spool-bytes", 1_000_000, "--parallel", 1,
                    server=server)
    assert statuses(answers) == [["ok"], ["ok"] * 6 + ["failed"], ["ok"]]
    assert answers[1]["fetched"][6]["reason"] == "spool full"


def test_old_files_go_when_they_are_not_used(server, spool):
    server.put("/a", body(b"a"))
    server.put("/b", body(b"b"))
    fetch([record(file_object("F1", server.url("/a")),
                  file_object("F2", server.url("/b")))], spool, server=server)
    eight_days_ago = time.time() - 8 * 86400
    os.utime(spool / sha256(b"a"), (eight_days_ago, eight_days_ago))
    fetch([], spool)
    assert blobs(spool) == [sha256(b"b")]
    assert os.listdir(spool / "ids") == ["F2"]


def test_use_makes_a_file_young_again(server, spool):
    server.put("/a", body(b"a"))
    one = record(file_object("F1", server.url("/a"), size=1))
    fetch([one], spool, server=server)
    six_days_ago = time.time() - 6 * 86400
    os.utime(spool / sha256(b"a"), (six_days_ago, six_days_ago))
    fetch([one], spool, server=server)
    assert time.time() - (spool / sha256(b"a")).stat().st_mtime < 60


def test_leaves_alone_what_is_not_its_own(spool):
    spool.mkdir()
    (spool / "notes.txt").write_text("mine")
    (spool / ("a" * 64)).mkdir()
    fetch([], spool, "--spool-bytes", 1)
    assert (spool / "notes.txt").exists() and (spool / ("a" * 64)).is_dir()


def test_refuses_a_spool_that_another_one_writes(server, spool):
    server.put("/f", body(b"data"))
    child = start(spool, server)
    child.stdin.write(to_lines([record(file_object("F1", server.url("/f")))]))
    child.stdin.flush()
    assert child.stdout.readline()
    done = run_program("attach-fetch", "--spool", spool)
    assert done.returncode == os.EX_TEMPFAIL
    finish(child)


def start(spool, server, *arguments):
    return subprocess.Popen(
        [BIN / "attach-fetch", "--spool", spool, "--insecure-hosts",
         server.host, *map(str, arguments)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT})


def finish(child, status=0):
    stdout, stderr = child.communicate(timeout=20)
    assert not any(crash in stderr.decode() for crash in CRASHES), stderr
    assert child.returncode == status, stderr
    return stdout


def wait_until(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that")


def test_kill_leaves_no_torn_file_under_its_name(server, spool):
    server.put("/f", trickle(b"x" * 10_000, pause=0.01))
    server.put("/g", body(b"whole"))
    child = start(spool, server, "--deadline", 60)
    child.stdin.write(to_lines([record(file_object("F1", server.url("/f")),
                                       file_object("F2", server.url("/g")))]))
    child.stdin.flush()
    wait_until(lambda: (spool / "ids" / "F2").is_symlink() and any(
        path.stat().st_size > 50_000 for path in (spool / "tmp").iterdir()))
    child.kill()
    child.communicate()
    assert blobs(spool) == [sha256(b"whole")]
    assert len(os.listdir(spool / "tmp")) == 1

    fetch([], spool)
    assert os.listdir(spool / "tmp") == []
    assert blobs(spool) == [sha256(b"whole")]


# Order and time


def test_fetches_several_at_once_and_answers_in_order(server, spool):
    records = []
    for i in range(8):
        server.put(f"/{i}", body(b"%d" % i, delay=2.7 - i * 0.3))
        records.append(record(file_object(f"F{i}", server.url(f"/{i}")),
                              seq=len(records)))
        records.append({"type": "message", "text": "no file",
                        "seq": len(records)})
    answers = fetch(records, spool, "--deadline", 30, server=server)
    assert [answer["seq"] for answer in answers] == list(range(16))
    assert statuses(answers) == [["ok"], []] * 8
    assert server.most_running == 8


def test_runs_no_more_downloads_than_it_may(server, spool):
    records = []
    for i in range(20):
        server.put(f"/{i}", body(b"%d" % i, delay=0.1))
        records.append(record(file_object(f"F{i}", server.url(f"/{i}"))))
    answers = fetch(records, spool, "--parallel", 3, server=server)
    assert statuses(answers) == [["ok"]] * 20
    assert server.most_running == 3


def test_a_slow_file_is_late_and_later_records_wait_only_for_that(
        server, spool):
    server.put("/slow", trickle(b"x", pause=0.05))
    server.put("/fast", body(b"fast"))
    before = time.monotonic()
    answers = fetch([record(file_object("F1", server.url("/fast")),
                            file_object("F2", server.url("/slow"))),
                     record(file_object("F3", server.url("/fast"))),
                     {"type": "message", "text": "no file"}],
                    spool, "--deadline", 2, server=server)
    assert statuses(answers) == [["ok", "late"], ["ok"], []]
    assert answers[0]["fetched"][1]["reason"] == "not complete after 2 s"
    assert 2 <= time.monotonic() - before < 20
    assert os.listdir(spool / "tmp") == []


def test_a_record_is_not_late_because_others_were(server, spool):
    server.put("/slow", trickle(b"x", pause=0.05))
    server.put("/fair", body(b"fair", delay=0.3))
    records = [record(file_object(f"S{i}", server.url("/slow")))
               for i in range(4)]
    records.append(record(file_object("F1", server.url("/fair"))))
    answers = fetch(records, spool, "--deadline", 2, "--parallel", 2,
                    server=server)
    assert statuses(answers) == [["late"]] * 4 + [["ok"]]


def test_time_in_which_nobody_reads_does_not_count(server, spool):
    server.put("/slow", body(b"x" * 30_000_000))
    child = start(spool, server, "--deadline", 3)
    child.stdin.write(to_lines([{"type": "message", "text": "x" * 50_000}]))
    child.stdin.flush()
    time.sleep(0.2)     # now the pipe is nearly full
    child.stdin.write(to_lines([
        {"type": "message", "text": "x" * 40_000},
        record(file_object("F1", server.url("/slow")))]))
    child.stdin.flush()
    time.sleep(3.5)
    answers = finish(child).splitlines()
    assert statuses([json.loads(answers[2])]) == [["ok"]]


def test_a_record_crosses_at_once_while_the_input_stays_open(server, spool):
    server.put("/f", body(b"data"))
    child = start(spool, server)
    for i in range(3):
        child.stdin.write(to_lines([{"type": "message", "seq": i}]))
        child.stdin.flush()
        assert json.loads(child.stdout.readline())["seq"] == i
        child.stdin.write(
            to_lines([record(file_object(f"F{i}", server.url("/f")))]))
        child.stdin.flush()
        assert json.loads(child.stdout.readline())["fetched"]
    finish(child)


def test_holds_a_bounded_number_of_records(server, spool):
    server.put("/slow", trickle(b"x", pause=0.05))
    server.put("/f", body(b"data"))
    records = [record(file_object("F0", server.url("/slow")))]
    records += [{"type": "message", "text": "x" * 1000, "seq": i}
                for i in range(5000)]
    answers = fetch(records, spool, "--deadline", 0.5, server=server)
    assert [answer["seq"] for answer in answers[1:]] == list(range(5000))


def test_more_files_than_allowed_are_named(server, spool):
    server.put("/f", body(b"data"))
    files = [file_object(f"F{i}", server.url("/f")) for i in range(60)]
    [answer] = fetch([record(*files)], spool, server=server)
    assert statuses([answer]) == [["ok"] * 50 + ["skipped"]]
    assert answer["fetched"][50]["reason"] == (
        "10 more files than 50 in one message")
    assert server.count("/f") == 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_what_was_read(server, spool, number):
    server.put("/f", body(b"data", delay=0.5))
    child = start(spool, server)
    child.stdin.write(to_lines([record(file_object("F1", server.url("/f")))]))
    child.stdin.flush()
    wait_until(lambda: server.requests)
    child.send_signal(number)
    assert json.loads(child.stdout.readline())["fetched"][0][
        "status"] == "ok"
    assert child.wait(10) == -number
    child.communicate()


def test_waits_without_work(server, spool):
    server.put("/slow", body(b"data", delay=1))
    child = start(spool, server)
    child.stdin.write(
        to_lines([record(file_object("F1", server.url("/slow")))]))
    child.stdin.close()     # the other end of the pipe is gone, too
    wait_until(lambda: server.requests)

    def ticks():
        with open(f"/proc/{child.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(0.7)
    used = ticks() - before
    child.stdin = None
    finish(child)
    assert used <= 5


# Limits and errors


def test_a_declared_size_over_the_limit_asks_for_nothing(server, spool):
    server.put("/f", body(b"data"))
    fetched = only(fetch([record(file_object("F1", server.url("/f"),
                                             size=2000))], spool,
                         "--max-bytes", "1KiB", server=server))
    assert fetched["status"] == "too-large"
    assert server.requests == []


@pytest.mark.parametrize("answer", [
    trickle(b"x" * 10_000), body(b"x" * 200_000)])
def test_a_body_that_grows_over_the_limit_is_stopped(server, spool, answer):
    server.put("/f", answer)
    fetched = only(fetch([record(file_object("F1", server.url("/f"),
                                             size=5000))], spool,
                         "--max-bytes", 100_000, server=server))
    assert fetched["status"] == "too-large"
    assert fetched["reason"] == "larger than 100000 bytes"
    assert blobs(spool) == [] and os.listdir(spool / "tmp") == []


@pytest.mark.parametrize("status, expected", [
    (401, "denied"), (403, "denied"), (404, "failed"), (410, "failed"),
    (204, "failed"), (400, "failed")])
def test_an_http_error_is_final(server, spool, status, expected):
    server.put("/f", body(b"", status=status))
    fetched = only(fetch([record(file_object("F1", server.url("/f")))],
                         spool, server=server))
    assert fetched["status"] == expected
    assert f"HTTP {status}" in fetched["reason"]
    assert server.count("/f") == 1


@pytest.mark.parametrize("error", [
    body(b"", status=429), body(b"", status=429, Retry_After=1),
    body(b"", status=500), body(b"busy", status=503, Retry_After=1)])
def test_tries_again_when_slack_asks_for_patience(server, spool, error):
    server.put("/f", error, body(b"data"))
    fetched = only(fetch([record(file_object("F1", server.url("/f")))],
                         spool, server=server))
    assert fetched["status"] == "ok"
    assert server.count("/f") == 2


def test_honours_retry_after(server, spool):
    server.put("/f", body(b"", status=429, Retry_After=1), body(b"data"))
    before = time.monotonic()
    fetch([record(file_object("F1", server.url("/f")))], spool, server=server)
    assert time.monotonic() - before >= 1


def test_does_not_wait_for_what_is_beyond_the_deadline(server, spool):
    server.put("/f", body(b"", status=429, Retry_After=3600))
    before = time.monotonic()
    fetched = only(fetch([record(file_object("F1", server.url("/f")))],
                         spool, server=server))
    assert fetched["status"] == "failed"
    assert fetched["reason"] == (
        "HTTP 429, Retry-After 3600 s, after 1 attempt")
    assert time.monotonic() - before < 8


def test_gives_up_after_some_attempts(server, spool):
    server.put("/f", body(b"", status=500))
    fetched = only(fetch([record(file_object("F1", server.url("/f")))],
                         spool, "--deadline", 1.7, server=server))
    assert fetched["status"] == "failed"
    assert fetched["reason"].startswith("HTTP 500 after ")
    assert server.count("/f") == 3


def test_a_dead_server_is_a_failure(spool):
    with socket.socket() as deaf:       # nobody else gets its port
        deaf.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{deaf.getsockname()[1]}"
        fetched = only(fetch([record(file_object("F1", f"http://{host}/f"))],
                             spool, "--deadline", 1, "--insecure-hosts",
                             host))
    assert fetched["status"] == "failed"
    assert "connect" in fetched["reason"]


def test_a_cut_transfer_is_tried_once_more(server, spool):
    server.put("/f", trickle(b"abc", count=1), body(b"abcdef"))
    fetched = only(fetch([record(file_object("F1", server.url("/f"),
                                             size=6))], spool, server=server))
    assert (fetched["status"], fetched["bytes"]) == ("ok", 6)
    assert blobs(spool) == [sha256(b"abcdef")]


def test_the_same_odd_length_twice_is_the_file(server, spool):
    server.put("/f", body(b"abc"))
    fetched = only(fetch([record(file_object("F1", server.url("/f"),
                                             size=6))], spool, server=server))
    assert (fetched["status"], fetched["bytes"]) == ("ok", 3)
    assert server.count("/f") == 2


def test_two_different_odd_lengths_are_a_failure(server, spool):
    server.put("/f", body(b"abc"), body(b"abcd"))
    fetched = only(fetch([record(file_object("F1", server.url("/f"),
                                             size=6))], spool, server=server))
    assert fetched["status"] == "failed"
    assert fetched["reason"] == "4 bytes came instead of 6"
    assert blobs(spool) == []


def test_a_document_may_have_another_length(server, spool):
    page = b"<html><body>a canvas</body></html>"
    server.put("/f", body(page, "text/html"))
    fetched = only(fetch([record(file_object(
        "F1", server.url("/f"), size=6, mode="quip",
        mimetype="application/vnd.slack-docs"))], spool, server=server))
    assert (fetched["status"], fetched["bytes"]) == ("ok", len(page))
    assert server.count("/f") == 1


@pytest.mark.parametrize("members, status", [
    ({"mode": "external"}, "skipped"),
    ({"is_external": True}, "skipped"),
    ({"mode": "tombstone"}, "skipped"),
    ({"mode": "hidden_by_limit"}, "skipped"),
    ({"file_access": "access_denied"}, "denied"),
    ({"file_access": "file_not_found"}, "failed"),
    ({"mode": "file_access", "file_access": "access_denied"}, "denied"),
    ({"mode": "file_access", "file_access": "file_not_found"}, "failed"),
    ({"url_private_download": ""}, "skipped"),
    ({"url_private_download": None}, "skipped"),
])
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_what_slack_does_not_serve_is_not_asked_for(
        server, spool, members, status, mode):
    server.put("/f", body(b"data"))
    one = record({**file_object("F1", server.url("/f")), **members})
    arguments = ["--offline"] if mode == "offline" else []
    fetched = only(fetch([one], spool, *arguments, server=server))
    assert fetched["status"] == status
    assert fetched["reason"]
    assert server.requests == []


@pytest.mark.parametrize("arguments", [[], ["--offline"]])
@pytest.mark.parametrize("members", [
    {"mode": "file_access", "file_access": "check_file_info"},
    {"mode": "file_access"}, {"file_access": "check_file_info"}])
def test_says_that_a_stub_needs_files_info(spool, members, arguments):
    stub = {"id": "F1", "created": 0, "user": "", **members}
    env = ENVIRONMENT if arguments else {"no_proxy": "*"}
    fetched = only(fetch([record(stub)], spool, *arguments, env=env))
    assert fetched["status"] == "skipped"
    assert "files.info" in fetched["reason"]


# Authorisation


def assert_login_page(fetched):
    assert fetched["status"] == "denied"
    assert fetched["reason"].startswith("login page instead of the file")
    assert "files:read" in fetched["reason"]


@pytest.mark.parametrize("answer", [
    body(LOGIN_PAGE, "text/html; charset=utf-8"),
    body(LOGIN_PAGE, "application/octet-stream"),
    body(b"\xef\xbb\xbf \r\n<HTML lang=en>", PLAIN),
    body(b"", "text/html")])
def test_sees_the_login_page_for_what_it_is(server, spool, answer):
    server.put("/f", answer)
    fetched = only(fetch([record(file_object("F1", server.url("/f")))],
                         spool, server=server))
    assert_login_page(fetched)
    assert blobs(spool) == [] and os.listdir(spool / "tmp") == []


def test_sees_a_login_page_that_comes_byte_by_byte(server, spool):
    async def answer(request):
        response = web.StreamResponse(headers={"Content-Type": PLAIN})
        await response.prepare(request)
        for byte in b"\n <!DocType html>":
            await response.write(bytes([byte]))
            await asyncio.sleep(0.005)
        return response
    server.put("/f", answer)
    assert_login_page(only(fetch(
        [record(file_object("F1", server.url("/f")))], spool,
        server=server)))


def test_sees_the_redirect_to_the_login_page(server, spool):
    server.put("/f", redirect("/?redir=%2Ffiles-pri%2FT1-F1%2Flog.txt"))
    server.put("/", body(LOGIN_PAGE, "text/html"))
    assert_login_page(only(fetch(
        [record(file_object("F1", server.url("/f")))], spool,
        server=server)))
    assert server.count("/") == 0


def test_an_html_file_is_no_login_page(server, spool):
    server.put("/f", body(LOGIN_PAGE, "text/html"))
    fetched = only(fetch([record(file_object(
        "F1", server.url("/f"), mimetype="text/html"))], spool,
        server=server))
    assert fetched["status"] == "ok"


def test_tells_the_log_once_of_the_login_page(server, spool):
    server.put("/f", body(LOGIN_PAGE, "text/html"))
    records = [record(file_object(f"F{i}", server.url("/f")))
               for i in range(5)]
    done = run_program("attach-fetch", "--spool", spool, "--insecure-hosts",
                       server.host, stdin=to_lines(records), env=ENVIRONMENT)
    assert done.stderr.count(b"\n") == 1 and b"files:read" in done.stderr


def test_follows_a_redirect_to_an_allowed_host(server, foreign, spool):
    server.put("/f", redirect(foreign.url("/g?x=1")))
    foreign.put("/g", redirect("/h"))
    foreign.put("/h", body(b"data"))
    fetched = only(fetch([record(file_object("F1", server.url("/f")))], spool,
                         "--insecure-hosts", foreign.host, server=server))
    assert fetched["status"] == "ok"
    assert foreign.requests == [("/g", "Bearer " + TOKEN),
                                ("/h", "Bearer " + TOKEN)]


@pytest.mark.parametrize("hops, status", [(3, "ok"), (4, "failed")])
def test_follows_three_redirects(server, spool, hops, status):
    for i in range(hops):
        server.put(f"/{i}", redirect(f"/{i + 1}"))
    server.put(f"/{hops}", body(b"data"))
    fetched = only(fetch([record(file_object("F1", server.url("/0")))],
                         spool, server=server))
    assert fetched["status"] == status


def test_a_foreign_host_gets_neither_token_nor_request(
        server, foreign, spool):
    foreign.put("/g", body(b"data"))
    server.put("/f", redirect(foreign.url("/g?secret=query")))
    answers = fetch([record(file_object("F1", server.url("/f"))),
                     record(file_object("F2", foreign.url("/g?q=secret")))],
                    spool, server=server)
    assert statuses(answers) == [["denied"], ["denied"]]
    for answer in answers:
        reason = answer["fetched"][0]["reason"]
        assert foreign.host in reason and "secret" not in reason
    assert foreign.requests == []


@pytest.mark.parametrize("url", [
    "http://files.slack.com/f", "ftp://files.slack.com/f",
    "file:///etc/passwd", "gopher://127.0.0.1/", "https://evilslack.com/f",
    "https://slack.com.evil.example/f", "https://files.slack.com:8443/f",
    "https://files.slack.com@evil.example/f",
    "https://user@files.slack.com/f", "https://evil.example#.slack.com/",
    "https://evil.example\\@files.slack.com/", "//files.slack.com/f",
    "https://[::1]/f", "https://127.0.0.1/f", "no url", "https://", "h",
    "https://files.slack.com\r\nHost: evil/"])
def test_other_urls_are_denied(spool, url):
    fetched = only(fetch([record(file_object("F1", url))], spool))
    assert fetched["status"] == "denied", fetched


@pytest.mark.parametrize("target", [
    "https://files.slack.com@{foreign}/g", "//{foreign}/g",
    "http://{foreign}/g", "file:///etc/passwd",
    "http:\\\\{foreign}\\g", "http://{server}@{foreign}/g"])
def test_other_redirects_are_denied(server, foreign, spool, target):
    foreign.put("/g", body(b"data"))
    server.put("/f", redirect(
        target.format(foreign=foreign.host, server=server.host)))
    fetched = only(fetch([record(file_object("F1", server.url("/f")))],
                         spool, server=server))
    assert fetched["status"] in ("denied", "failed"), fetched
    assert foreign.requests == []


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "SLACK_BOT_ULTRON"])
@pytest.mark.parametrize("by_file", [False, True])
def test_takes_the_token_from_the_environment(
        server, spool, tmp_path, name, by_file):
    server.put("/f", body(b"data"))
    (tmp_path / "token").write_text(TOKEN + "\n")
    env = {name + "_FILE": str(tmp_path / "token")} if by_file else {
        name: TOKEN}
    fetch([record(file_object("F1", server.url("/f")))], spool,
          server=server, env={**env, "no_proxy": "*"})
    assert server.requests == [("/f", "Bearer " + TOKEN)]


def test_without_a_token_says_so(server, spool):
    server.put("/f", body(LOGIN_PAGE, "text/html"))
    fetched = only(fetch([record(file_object("F1", server.url("/f")))],
                         spool, server=server, env={"no_proxy": "*"}))
    assert "no SLACK_BOT_TOKEN is set" in fetched["reason"]
    assert server.requests == [("/f", None)]


def test_refuses_a_token_that_would_break_the_header(spool):
    fetch([], spool, status=os.EX_CONFIG,
          env={"SLACK_BOT_TOKEN": "xoxb-1\r\nHost: evil"})


# TLS


@pytest.fixture
def tls(tmp_path):
    """A server with a certificate of its own authority."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate], check=True,
        capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = FileServer(context)
    server.certificate = certificate
    yield server
    server.stop()


def test_fetches_by_tls(tls, spool):
    tls.put("/f", body(b"data"))
    fetched = only(fetch([record(file_object("F1", tls.url("/f")))], spool,
                         "--hosts", tls.host, "--ca-file", tls.certificate))
    assert fetched["status"] == "ok"
    assert tls.requests == [("/f", "Bearer " + TOKEN)]


def test_refuses_a_certificate_it_does_not_know(tls, spool):
    tls.put("/f", body(b"data"))
    fetched = only(fetch([record(file_object("F1", tls.url("/f")))], spool,
                         "--hosts", tls.host))
    assert fetched["status"] == "failed"
    assert "certificate" in fetched["reason"]
    assert tls.requests == []


def test_does_not_leave_tls_by_a_redirect(tls, server, spool):
    server.put("/f", body(b"data"))
    tls.put("/f", redirect(server.url("/f")))
    fetched = only(fetch([record(file_object("F1", tls.url("/f")))], spool,
                         "--hosts", tls.host, "--hosts", server.host,
                         "--ca-file", tls.certificate))
    assert fetched["status"] == "denied"
    assert server.requests == []


# Offline


def snapshot(folder):
    return sorted((str(path), path.lstat().st_mtime_ns, path.lstat().st_mode)
                  for path in folder.rglob("*"))


def test_offline_takes_files_by_id_and_changes_nothing(server, spool):
    server.put("/f", body(b"data"))
    there = file_object("F1", server.url("/f"))
    fetch([record(there)], spool, server=server)
    os.utime(spool / sha256(b"data"), (1, 1))
    before = snapshot(spool)
    server.requests.clear()

    missing = file_object("F2", server.url("/f"))
    bare = {"id": "F1"}
    changed = file_object("F1", server.url("/f"), mode="snippet", size=999)
    answers = fetch([record(there, missing), record(bare), record(changed)],
                    spool, "--offline", "--spool-bytes", 1,
                    "--max-bytes", 1000, server=server)
    assert statuses(answers) == [["ok", "failed"], ["ok"], ["too-large"]]
    assert answers[0]["fetched"][1]["reason"] == "not in the spool"
    assert server.requests == [] and snapshot(spool) == before

    answers = fetch([record(changed)], spool, "--offline", server=server)
    assert only(answers)["path"] == sha256(b"data")


def test_offline_gives_the_same_bytes_twice(server, spool):
    server.put("/f", body(b"data"))
    records = [record(file_object("F1", server.url("/f")),
                      file_object("F2", server.url("/f")))] * 5
    fetch(records[:1], spool, server=server)
    outputs = {run_program("attach-fetch", "--offline", "--spool", spool,
                           stdin=to_lines(records)).stdout for _ in range(3)}
    assert len(outputs) == 1


@pytest.mark.parametrize("target", [
    "/etc/passwd", "../../../../etc/passwd", "../" + "z" * 64,
    "../" + "a" * 64, "../ids/F2" + "a" * 58, "a" * 64])
def test_offline_a_link_leads_to_the_spool_only(spool, target):
    (spool / "ids").mkdir(parents=True)
    (spool / ("a" * 64)).symlink_to("/etc/passwd")
    (spool / "ids" / "F1").symlink_to(target)
    fetched = only(fetch([record(file_object("F1", "https://slack.com/f"))],
                         spool, "--offline"))
    assert fetched["reason"] == "not in the spool"


def test_offline_a_spool_that_is_not_there_is_told_when_it_is_needed(spool):
    lines = to_lines([{"type": "message"}, record({"mode": "tombstone"})])
    done = run_program("attach-fetch", "--offline", "--spool", spool,
                       stdin=lines)
    assert done.returncode == 0 and done.stderr == b""
    lines += to_lines([record(file_object(name, "https://slack.com/f"))
                       for name in ("F1", "F2")])
    done = run_program("attach-fetch", "--offline", "--spool", spool,
                       stdin=lines)
    assert done.stderr.decode() == (
        f"attach-fetch: no files come from the spool {spool}: No such file or"
        " directory\n")


def test_offline_needs_no_spool(spool):
    fetched = only(fetch([record(file_object("F1", "https://slack.com/f"))],
                         spool, "--offline"))
    assert fetched["reason"] == "not in the spool"
    assert not spool.exists()


# Use


@pytest.mark.parametrize("arguments", [
    [], ["--spool"], ["--spool", "s", "--parallel", "0"],
    ["--spool", "s", "--deadline", "soon"], ["--spool", "s", "rest"],
    ["--spool", "s", "--hosts", "a b"], ["--spool", "s", "--hosts", "a:0"],
    ["--spool", "s", "--hosts", ""], ["--spool", "s", "--hosts", "."],
    ["--spool", "s", "--max-bytes", "0"]])
def test_wrong_use_ends_at_once(arguments, tmp_path):
    done = run_program("attach-fetch", *arguments, cwd=tmp_path)
    assert done.returncode == os.EX_USAGE
    assert b"usage: attach-fetch" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_spool_that_cannot_be_made_is_a_fault_of_the_configuration(
        tmp_path):
    done = run_program("attach-fetch", "--spool", tmp_path / "no" / "spool")
    assert done.returncode == os.EX_CONFIG


@pytest.mark.skipif(is_sanitized(), reason="sanitizers have threads")
def test_has_no_thread_of_its_own(server, spool):
    server.put("/f", body(b"data", delay=0.5))
    child = start(spool, server)
    child.stdin.write(to_lines([record(file_object("F1", server.url("/f")))]))
    child.stdin.flush()
    wait_until(lambda: server.requests)
    assert len(os.listdir(f"/proc/{child.pid}/task")) == 1
    finish(child)


# What an attacker tried


def test_removes_only_its_own_leftovers(spool):
    (spool / "tmp").mkdir(parents=True)
    (spool / "tmp" / "precious.txt").write_text("mine")
    (spool / "tmp" / "17").write_text("a leftover")
    fetch([record()], spool)
    assert [path.name for path in (spool / "tmp").iterdir()] == [
        "precious.txt"]


@pytest.mark.parametrize("folder, arguments", [
    ("tmp", []), ("ids", []), ("ids", ["--offline"])])
def test_follows_no_link_out_of_the_spool(
        spool, tmp_path, folder, arguments):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "17").write_text("mine")
    spool.mkdir()
    (spool / folder).symlink_to(outside)
    done = run_program("attach-fetch", "--spool", spool, *arguments,
                       stdin=b"{}\n")
    assert done.returncode == os.EX_CONFIG
    assert f"{folder} in the spool is a symbolic" in done.stderr.decode()
    assert (outside / "17").read_text() == "mine"


def send_endless_trailers(listener):
    connection, _ = listener.accept()
    with connection, contextlib.suppress(OSError):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n"
                           b"1\r\na\r\n0\r\n")
        while True:
            connection.sendall(b"X: " + b"a" * 1000 + b"\r\n")


def test_ends_an_answer_of_endless_trailers(spool):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=send_endless_trailers,
                                  args=(listener,))
        thread.start()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        answers = fetch([record(file_object("F1", f"http://{host}/f"))],
                        spool, "--insecure-hosts", host)
        thread.join(10)
    fetched = only(answers)
    assert fetched["status"] == "failed"
    assert fetched["reason"] == "more than 256 KiB of headers"


def test_a_known_id_opens_no_door_to_another_host(server, spool):
    server.put("/f", body(b"content"))
    files = [record(file_object("F1", server.url("/f"))),
             record(file_object("F1", "https://evil.example/f"))]
    assert statuses(fetch(files, spool, server=server)) == [["ok"],
                                                            ["denied"]]
    assert statuses(fetch(files[1:], spool, server=server)) == [["denied"]]


def test_a_known_id_without_an_url_is_not_enough(server, spool):
    server.put("/f", body(b"content"))
    fetch([record(file_object("F1", server.url("/f")))], spool, server=server)
    fetched = only(fetch([record(file_object("F1"))], spool, server=server))
    assert fetched["status"] == "skipped"


def test_shares_no_download_with_another_url(server, foreign, spool):
    server.put("/f", body(b"content", delay=0.3))
    server.put("/g", body(b"other", delay=0.3))
    answers = fetch([record(file_object("F1", url)) for url in (
        server.url("/f"), server.url("/g"), foreign.url("/f"))],
                    spool, server=server)
    assert statuses(answers) == [["ok"], ["ok"], ["denied"]]
    assert [answer["fetched"][0].get("path") for answer in answers] == [
        sha256(b"content"), sha256(b"other"), None]
    assert foreign.requests == []


@pytest.mark.parametrize("first", [
    {"size": 7}, {"size": 999, "editable": True}])
def test_checks_the_size_of_each_that_wants_a_file(server, spool, first):
    server.put("/f", body(b"content", delay=0.3), body(b"abc"), body(b"abcd"))
    answers = fetch([record(file_object("F1", server.url("/f"), **one))
                     for one in (first, {"size": 999})],
                    spool, "--parallel", 1, server=server)
    assert statuses(answers) == [["ok"], ["failed"]]
    assert answers[1]["fetched"][0]["reason"] == (
        "4 bytes came instead of 999")


def test_an_error_of_a_record_outlives_its_wait_for_files(server, spool):
    server.put("/f", body(b"content"))
    [answer] = fetch([record(file_object("F1", server.url("/f")),
                             message={"files": [0] * 300000})],
                     spool, server=server)
    assert statuses([answer]) == [["ok"]]
    assert answer["error"] == {
        "stage": "attach-fetch",
        "reason": "message: too many values to be looked at"}


def test_says_so_where_there_are_too_many_files_to_look_at(spool):
    [answer] = fetch([record(*[0] * 300000)], spool, "--offline")
    assert answer["error"] == {
        "stage": "attach-fetch",
        "reason": "files: too many values to be looked at"}


# Killed at any instant, its lines fed again


def feed(child, lines):
    with contextlib.suppress(BrokenPipeError):
        child.stdin.writelines(lines)
        child.stdin.close()


def live_until_killed(command, lines, after):
    """One life: its whole answers, and whether it was killed."""
    with subprocess.Popen(command, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, **ENVIRONMENT}) as child:
        threading.Thread(target=feed, args=(child, lines)).start()
        timer = threading.Timer(after, child.kill)
        timer.start()
        answers = child.stdout.read().splitlines(keepends=True)
        stderr = child.stderr.read().decode()
        child.wait()
        timer.cancel()
    assert child.returncode in (0, -signal.SIGKILL) and stderr == ""
    return ([line for line in answers if line.endswith(b"\n")],
            child.returncode != 0)


def look_whole(spool, contents):
    """What is in the spool under a name of its own has that content."""
    for name in blobs(spool):
        assert (spool / name).read_bytes() == contents[name]


@pytest.mark.parametrize("seed", [4, 1860])
def test_killed_again_and_again_it_stores_each_file_once(
        server, spool, seed):
    chance = random.Random(seed)
    files, contents = [], {}
    for i in range(80):
        chunk = chance.randbytes(chance.randrange(50_000))
        contents[sha256(chunk * 4)] = chunk * 4
        server.put(f"/{i}", trickle(chunk, 0.005 * (i % 3), 4))
        files.append((i, chunk * 4))
    records = [record(*[file_object(f"F{i}", server.url(f"/{i}"),
                                    size=len(data))
                        for i, data in files[n:n + 1 + n % 2]], seq=n)
               for n in range(80)]
    lines = [to_lines([one]) for one in records]
    command = [BIN / "attach-fetch", "--spool", spool, "--deadline", "60",
               "--insecure-hosts", server.host]
    answers, kills = [], 0
    while len(answers) < len(lines):
        more, was_killed = live_until_killed(
            command, lines[len(answers):],
            chance.uniform(0.005, 0.08) if kills < 30 else 60)
        answers += more
        kills += was_killed
        if spool.exists():
            look_whole(spool, contents)

    answers = [json.loads(line) for line in answers]
    assert [one["seq"] for one in answers] == list(range(80))
    assert {file["status"] for one in answers for file in one["fetched"]} == {
        "ok"}
    assert blobs(spool) == sorted(contents)
    look_whole(spool, contents)
    assert os.listdir(spool / "tmp") == []
    assert {name: os.readlink(spool / "ids" / name).removeprefix("../")
            for name in os.listdir(spool / "ids")} == {
                f"F{i}": sha256(data) for i, data in files}
    assert kills >= (1 if is_sanitized() else 5)
    assert len(server.requests) <= len(files) + kills * 8


def test_waits_a_moment_for_the_lock_of_one_that_dies(server, spool):
    server.put("/f", body(b"data"))
    first = start(spool, server)
    first.stdin.write(b"{}\n")
    first.stdin.flush()
    first.stdout.readline()
    second = start(spool, server)
    second.stdin.write(to_lines([record(file_object("F1",
                                                    server.url("/f")))]))
    second.stdin.flush()
    assert select.select([second.stdout], [], [], 0.3)[0] == []
    first.kill()
    assert b'"status":"ok"' in second.stdout.readline()
    first.communicate()
    finish(second)


# A full disk


@pytest.fixture
def disk(tmp_path):
    """What is started on it is gone before the servers stop."""
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk", 4 << 20)
    yield disk
    disk.stop()


def start_on(disk, server, *arguments):
    """Its spool is on the disk; it is up and has answered a line."""
    child = disk.start([BIN / "attach-fetch", "--spool", disk.path / "spool",
                        "--insecure-hosts", server.host, *arguments],
                       ENVIRONMENT)
    write(child, {})
    assert child.stdout.readline() == b"{}\n"
    return child


def write(child, *records):
    child.stdin.write(to_lines(records))
    child.stdin.flush()


FULL = b"attach-fetch: the disk is full: waiting for room in the spool\n"
ROOM = b"attach-fetch: the disk has room for the spool again\n"


def read_log(child, line):
    assert child.stderr.readline() == line


def end_quietly(child):
    stdout, stderr = child.communicate(timeout=20)
    assert (stdout, stderr, child.returncode) == (b"", b"", 0)


def test_a_record_waits_for_room_on_the_disk(server, disk):
    contents = [bytes([65 + i]) * 400_000 for i in range(3)]
    for i, data in enumerate(contents):
        server.put(f"/{i}", body(data))
    child = start_on(disk, server, "--deadline", 2)
    disk.fill(leave=200_000)
    write(child, *[record(file_object(f"F{i}", server.url(f"/{i}"),
                                      size=len(data)), seq=i)
                   for i, data in enumerate(contents)])
    read_log(child, FULL)
    asked = len(server.requests)
    assert select.select([child.stdout, child.stderr], [], [], 3)[0] == []
    assert len(server.requests) <= max(asked, 3)
    ticks = pathlib.Path(f"/proc/{child.pid}/stat").read_text().split()[13:15]
    assert sum(map(int, ticks)) < 100       # it sleeps meanwhile

    disk.clear()
    for i, data in enumerate(contents):
        [fetched] = json.loads(child.stdout.readline())["fetched"]
        assert (fetched["status"], fetched["sha256"]) == (
            "ok", sha256(data))
    read_log(child, ROOM)
    end_quietly(child)
    assert len(server.requests) <= 6
    assert os.listdir(disk.root / "spool" / "tmp") == []


def test_what_fits_goes_on_and_nothing_is_fetched_in_vain(server, disk):
    server.put("/large", body(b"l" * 900_000))
    server.put("/unsized", body(b"u" * 300_000))
    for i in range(5):
        server.put(f"/{i}", body(b"%d" % i * 20_000))
    child = start_on(disk, server, "--deadline", 2)
    disk.fill(leave=700_000)
    write(child, record(*[file_object(f"F{i}", server.url(f"/{i}"))
                          for i in range(5)],
                        file_object("FL", server.url("/large"), size=900_000),
                        file_object("FU", server.url("/unsized"))))
    read_log(child, FULL)
    wait_until(lambda: len(blobs(disk.root / "spool")) == 6)
    assert select.select([child.stdout], [], [], 3)[0] == []
    assert server.count("/large") == 1
    disk.clear()
    fetched = json.loads(child.stdout.readline())["fetched"]
    assert [file["status"] for file in fetched] == ["ok"] * 7
    read_log(child, ROOM)
    end_quietly(child)
    assert server.count("/large") == 2 and server.count("/unsized") <= 3


def test_killed_on_a_full_disk_it_goes_on_when_there_is_room(server, disk):
    server.put("/f", body(b"content" * 50_000))
    one = record(file_object("F1", server.url("/f"), size=350_000))
    child = start_on(disk, server)
    disk.fill()
    write(child, one)
    read_log(child, FULL)
    child.kill()
    child.communicate()
    child = start_on(disk, server)
    write(child, one)
    read_log(child, FULL)
    disk.clear()
    assert b'"status":"ok"' in child.stdout.readline()
    read_log(child, ROOM)
    end_quietly(child)


def test_a_limit_of_the_size_of_files_is_waited_for_too(server, disk):
    server.put("/f", body(b"content" * 50_000))
    child = start_on(disk, server, "--deadline", 2)
    subprocess.run(["prlimit", "--pid", str(child.pid), "--fsize=100000:"],
                   check=True)
    write(child, record(file_object("F1", server.url("/f"), size=350_000)))
    read_log(child, FULL)
    assert select.select([child.stdout], [], [], 3)[0] == []
    subprocess.run(["prlimit", "--pid", str(child.pid),
                    "--fsize=unlimited:"], check=True)
    assert b'"status":"ok"' in child.stdout.readline()
    read_log(child, ROOM)
    end_quietly(child)


def test_a_signal_ends_the_wait_for_room(server, disk):
    server.put("/f", body(b"content" * 50_000))
    child = start_on(disk, server, "--deadline", 0.2)
    disk.fill()
    write(child, record(file_object("F1", server.url("/f"), size=350_000)))
    read_log(child, FULL)
    child.terminate()
    stdout, _ = child.communicate(timeout=20)
    assert child.returncode == -signal.SIGTERM
    [fetched] = json.loads(stdout)["fetched"]
    assert fetched["reason"] == "no room on the disk: not complete after 0.2 s"
