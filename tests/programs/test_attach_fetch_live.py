"""attach-fetch beside a live Slack: files.info, patience, late files."""
import contextlib
import email.utils
import hashlib
import json
import os
import pathlib
import queue
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from conftest import BIN, CRASHES, run_program
from test_attach_fetch import Disk

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
# pylint: disable=wrong-import-position
from slack import FakeSlack  # noqa: E402

SEQ = 41


class SharedSlack(FakeSlack):
    """One server for all tests, each of which sees its own log only."""

    since = 0

    def begin(self):
        self.control("heal")
        self.control("token", name="bot", scopes=["files:read"])
        self.since = self.mark

    def seen(self, kind, **members):
        return [entry for entry in super().seen(kind, **members)
                if entry["n"] > self.since]

    def wait_for(self, kind, count=1, timeout=30.0, after=0, **members):
        return super().wait_for(kind, count, timeout,
                                max(after, self.since), **members)


@pytest.fixture(scope="module")
def server():
    with SharedSlack() as fake:
        yield fake


@pytest.fixture
def slack(server):
    server.begin()
    return server


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Inbox:
    """The inbox's end: a Unix socket that answers each line as it is told."""

    def __init__(self, path, answers=(), journal=None):
        self.path = str(path)
        self.answers = list(answers)    # then {"ok": true, "seq": …}
        self.journal = journal
        self.lines = queue.Queue()
        self.seq = 1000
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.clients = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.clients.append(client)
                threading.Thread(target=self.serve, args=(client,),
                                 daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError):
            for line in client.makefile("rb"):
                answer = self.answers.pop(0) if self.answers else None
                if answer == "hang up":
                    self.lines.put(line)
                    client.shutdown(socket.SHUT_RDWR)
                    break
                if answer is None:
                    self.seq += 1
                    answer = {"ok": True, "seq": self.seq}
                try:
                    client.sendall(json.dumps(answer).encode() + b"\n")
                finally:    # who gets the line knows that it was answered
                    self.lines.put(line)

    def next(self, timeout=30):
        return self.lines.get(timeout=timeout)

    def rest(self, quiet=0.5):
        """What comes until nothing came for a while."""
        lines = []
        with contextlib.suppress(queue.Empty):
            while True:
                lines.append(self.next(quiet))
        return lines

    def stop(self):
        self.listener.close()
        for client in self.clients:
            client.close()
        os.unlink(self.path)


@pytest.fixture
def inbox(tmp_path):
    inbox = Inbox(tmp_path / "inbox.sock")
    yield inbox
    inbox.stop()


class Fetcher:
    """attach-fetch while it runs, line by line."""

    def __init__(self, slack, spool, *arguments, env=None, disk=None):
        if disk:
            self.child = disk.start(command(slack, spool, *arguments),
                                    environment(slack))
            return
        self.child = subprocess.Popen(
            command(slack, spool, *arguments), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **environment(slack), **(env or {})})

    def write(self, *records):
        for record in records:
            line = record if isinstance(record, bytes) else (
                json.dumps(record).encode() + b"\n")
            self.child.stdin.write(line)
        self.child.stdin.flush()

    def read(self):
        return json.loads(self.child.stdout.readline())

    def read_fetched(self):
        [fetched] = self.read()["fetched"]
        return fetched

    def kill(self):
        self.child.kill()
        self.child.communicate()

    def end(self, status=0):
        stdout, stderr = self.child.communicate(timeout=20)
        text = stderr.decode()
        assert not any(crash in text for crash in CRASHES), text
        assert "xoxb-" not in text
        assert self.child.returncode == status, text
        return [json.loads(line) for line in stdout.splitlines()], text


@pytest.fixture
def start(slack, spool):
    children = []

    def start_fetcher(*arguments, **more):
        fetcher = Fetcher(slack, spool, *arguments, **more)
        children.append(fetcher.child)
        return fetcher
    yield start_fetcher
    for child in children:
        if child.poll() is None:
            child.kill()
            child.communicate()


def command(slack, spool, *arguments):
    return [BIN / "attach-fetch", "--spool", spool, "--insecure-hosts",
            slack.host, *map(str, arguments)]


def environment(slack):
    return {"no_proxy": "*", "SLACK_API_URL": slack.api_url,
            "SLACK_BOT_TOKEN": slack.environment["SLACK_BOT_TOKEN"]}


def add_file(slack, **about):
    """A file as a message's event shows it."""
    return slack.control("add_file", **about)["file"]


def message(*files, **more):
    return {"type": "message", "subtype": "file_share", "text": "see here",
            "channel": "C0EXAMPLE1", "user": "U0HUMAN001",
            "ts": "1763800000.000100", "files": list(files), "seq": SEQ,
            **more}


def fetch(slack, spool, *files, arguments=(), status=0, env=None):
    """What becomes of the files of one message, and what was logged."""
    done = run_program(
        "attach-fetch", *command(slack, spool, *arguments)[1:],
        stdin=json.dumps(message(*files)).encode() + b"\n",
        env={**environment(slack), **(env or {})})
    assert done.returncode == status, done.stderr
    assert b"xoxb-" not in done.stdout + done.stderr
    if status:
        return None, done.stderr.decode()
    return json.loads(done.stdout)["fetched"], done.stderr.decode()


def downloads(slack, file, count):
    """Were there so many? They are in the log when they have ended."""
    return len(slack.wait_for("download", count, file=file["id"])) == count


# Files that only files.info tells of


def add_stub(slack, **about):
    """A file of Slack Connect: its stub."""
    return slack.control("add_file", stub=True, **about)["stub"]


def test_asks_files_info_where_a_file_of_slack_connect_is(slack, spool):
    stub = add_stub(slack, text="from elsewhere\n")
    [fetched], _ = fetch(slack, spool, stub)
    assert fetched == {
        "file": stub["id"], "status": "ok", "bytes": 15,
        "path": sha256(b"from elsewhere\n"),
        "sha256": sha256(b"from elsewhere\n"), "mimetype": "text/plain"}
    [call] = slack.calls("files.info")
    assert call["token"] == "bot" and call["via"] == "header"
    assert call["arguments"] == {"file": stub["id"]}


def test_knows_a_stub_by_its_mode_alone(slack, spool):
    stub = add_stub(slack)
    del stub["file_access"]
    [fetched], _ = fetch(slack, spool, stub)
    assert fetched["status"] == "ok"


@pytest.mark.parametrize("about, status, reason", [
    ({"mode": "external"}, "skipped", "external"),
    ({"mode": "hidden_by_limit"}, "skipped", "limits"),
    ({"size": 2000}, "too-large", "larger than 1000 bytes"),
    ({"url_private": "", "url_private_download": None}, "skipped", "no URL"),
    ({"url_private_download": "https://evil.example/f"}, "denied",
     "evil.example"),
    ({"mode": "tombstone"}, "failed", "files.info: file_deleted"),
    ({"conduct": {"login": True}}, "denied", "login page"),
])
def test_what_files_info_says_decides(slack, spool, about, status, reason):
    [fetched], _ = fetch(slack, spool, add_stub(slack, **about),
                         arguments=["--max-bytes", 1000])
    assert fetched["status"] == status
    assert reason in fetched["reason"]


def test_a_file_that_files_info_does_not_know_is_a_failure(slack, spool):
    stub = {**add_stub(slack), "id": "F0NOWHERE1"}
    [fetched], _ = fetch(slack, spool, stub)
    assert fetched["status"] == "failed"
    assert fetched["reason"] == "files.info: file_not_found"
    assert len(slack.calls("files.info")) == 1


def test_names_the_scope_that_files_info_needs(slack, spool):
    slack.control("token", name="bot", without="files:read")
    stubs = [add_stub(slack) for _ in range(3)]
    fetched, log = fetch(slack, spool, *stubs)
    assert {file["status"] for file in fetched} == {"denied"}
    assert fetched[0]["reason"] == (
        "files.info: missing_scope: the token needs the scope files:read")
    assert log.count("\n") == 1
    assert "SLACK_BOT_TOKEN" in log and "files:read" in log


@pytest.mark.parametrize("error", ["access_denied", "file_not_found"])
def test_asks_nothing_where_the_stub_says_no(slack, spool, error):
    stub = {**add_stub(slack), "file_access": error}
    [fetched], _ = fetch(slack, spool, stub)
    assert fetched["status"] == {"access_denied": "denied",
                                 "file_not_found": "failed"}[error]
    assert slack.calls("files.info") == []


@pytest.mark.parametrize("fault", [
    {"error": "internal_error"}, {"status": 503, "body": "html"},
    {"error": "fatal_error"}, {"reset": True},
    {"status": 429, "retry_after": 1}])
def test_asks_files_info_again_in_time(slack, spool, fault):
    stub = add_stub(slack)
    slack.fail_next("files.info", **fault)
    [fetched], _ = fetch(slack, spool, stub)
    assert fetched["status"] == "ok"
    assert len(slack.calls("files.info")) == 2


def test_gives_files_info_up_at_the_deadline(slack, spool):
    stub = add_stub(slack)
    slack.fail_next("files.info", error="internal_error", times=9)
    before = time.monotonic()
    [fetched], _ = fetch(slack, spool, stub, arguments=["--deadline", 2.9])
    assert fetched["status"] == "failed"
    assert fetched["reason"] == "files.info: internal_error after 2 attempts"
    assert time.monotonic() - before < 8


def test_an_answer_that_does_not_come_is_late(slack, spool):
    stub = add_stub(slack)
    slack.fail_next("files.info", hang=True)
    [fetched], _ = fetch(slack, spool, stub, arguments=["--deadline", 0.5])
    assert fetched["status"] == "late"
    assert fetched["reason"] == "not complete after 0.5 s"


def test_an_answer_without_a_file_is_a_failure(slack, spool):
    stub = add_stub(slack)
    slack.fail_next("files.info", body='{"ok":true,"file":[]}')
    [fetched], _ = fetch(slack, spool, stub)
    assert fetched["reason"] == "files.info: the answer has no file"


def test_a_known_file_is_looked_up_but_not_fetched_again(slack, spool):
    stub = add_stub(slack)
    fetch(slack, spool, stub)
    [fetched], _ = fetch(slack, spool, stub)
    assert fetched["status"] == "ok"
    assert len(slack.calls("files.info")) == 2
    assert downloads(slack, stub, 1)


def test_asks_for_many_files_without_holding_others_up(slack, spool, start):
    stubs = [add_stub(slack, text=f"{i}") for i in range(12)]
    fetcher = start("--deadline", 20)
    fetcher.write(*[message(stub, seq=i) for i, stub in enumerate(stubs)],
                  {"type": "message", "seq": 12})
    answers, _ = fetcher.end()
    assert [answer["seq"] for answer in answers] == list(range(13))
    assert all(answer["fetched"][0]["status"] == "ok"
               for answer in answers[:12])


def test_asks_nothing_offline_or_without_a_token(slack, spool):
    stub = add_stub(slack)
    for arguments, env in ((["--offline"], {}),
                           ([], {"SLACK_BOT_TOKEN": ""})):
        [fetched], _ = fetch(slack, spool, stub, arguments=arguments,
                             env=env)
        assert fetched["status"] == "skipped"
        assert "files.info" in fetched["reason"]
    assert slack.calls("files.info") == []


def test_asks_by_tls_and_trusts_the_authority_it_is_told(spool):
    with FakeSlack(tls=True) as slack:
        assert slack.api_url.startswith("https:")
        stub = add_stub(slack)
        [fetched], _ = fetch(slack, spool, stub,
                             arguments=["--ca-file", slack.ca_file])
        assert fetched["status"] == "ok"
        [fetched], _ = fetch(slack, spool, stub,
                             arguments=["--deadline", 0.9])
        assert fetched["status"] == "failed"
        assert len(slack.calls("files.info")) == 1


@pytest.mark.parametrize("url", [
    "http://slack.example/api/", "ftp://127.0.0.1/", "https://slack.com/api",
    "https://a@evil.example/api/", "nowhere"])
def test_refuses_an_api_that_no_token_may_go_to(slack, spool, url):
    _, log = fetch(slack, spool, status=os.EX_CONFIG,
                   env={"SLACK_API_URL": url})
    assert "SLACK_API_URL" in log


# Patience


@pytest.mark.parametrize("failure", [
    {"status": 404}, {"status": 503}, {"status": 500, "retry_after": 1},
    {"status": 429}, {"status": 429, "retry_after": 1}])
def test_waits_for_a_file_that_slack_does_not_serve_yet(
        slack, spool, failure):
    file = add_file(slack, text="checked\n", conduct={"fail": [failure] * 2})
    [fetched], _ = fetch(slack, spool, file, arguments=["--deadline", 20])
    assert fetched["status"] == "ok"
    assert downloads(slack, file, 3)


def test_an_old_file_that_is_not_there_is_gone(slack, spool):
    file = add_file(slack, conduct={"fail": [{"status": 404}] * 9})
    file["created"] -= 301
    [fetched], _ = fetch(slack, spool, file)
    assert fetched["status"] == "failed"
    assert downloads(slack, file, 1)


def test_a_young_file_that_never_comes_is_a_failure(slack, spool):
    file = add_file(slack, conduct={"fail": [{"status": 404}] * 9})
    [fetched], _ = fetch(slack, spool, file, arguments=["--deadline", 20])
    assert fetched["reason"] == "HTTP 404: no such file after 5 attempts"
    assert downloads(slack, file, 5)


def test_reads_a_date_in_retry_after(slack, spool):
    date = email.utils.formatdate(time.time() + 2, usegmt=True)
    file = add_file(slack, conduct={
        "fail": [{"status": 429, "retry_after": date}]})
    before = time.monotonic()
    [fetched], _ = fetch(slack, spool, file)
    assert fetched["status"] == "ok"
    assert 0.9 < time.monotonic() - before < 8


@pytest.mark.parametrize("after", [
    "Thu, 01 Jan 1970 00:00:00 GMT", "-5", "soon", "", "1e9"])
def test_makes_no_pause_of_a_strange_retry_after(slack, spool, after):
    file = add_file(slack, conduct={
        "fail": [{"status": 429, "retry_after": after}]})
    [fetched], _ = fetch(slack, spool, file)
    assert fetched["status"] == "ok"


# The token


def test_sends_no_token_to_another_host(slack, spool):
    file = add_file(slack, conduct={"elsewhere": True})
    stub = add_stub(slack, conduct={"elsewhere": True})
    external = add_file(slack, mode="external")
    disguised = {**external, "mode": "hosted", "is_external": False}
    fetched, _ = fetch(slack, spool, file, stub, external, disguised)
    assert [one["status"] for one in fetched] == [
        "denied", "denied", "skipped"]
    fetched, _ = fetch(slack, spool, disguised)
    assert fetched[0]["status"] == "denied"
    assert slack.seen("elsewhere") == [] and slack.errors() == []


def test_sends_no_token_after_the_redirect_to_the_login_page(slack, spool):
    file = add_file(slack, conduct={"login": True})
    [fetched], _ = fetch(slack, spool, file)
    assert fetched["status"] == "denied"
    assert slack.seen("login_page") == []


# Late files

SLOW = {"rate": 40_000}         # 100 KB take two seconds and a half


def hand_on(line, inbox):
    """The record as the reader passes it on."""
    return {**json.loads(line), "seq": inbox.seq, "source": "inbox"}


def test_a_late_file_comes_by_the_inbox(slack, spool, start, inbox):
    file = add_file(slack, size=100_000, conduct=SLOW)
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(message(file))
    assert fetcher.read_fetched() == {
        "file": file["id"], "status": "late", "mimetype": "text/plain",
        "reason": "not complete within 0.2 s: a late_file record will follow"}
    late = hand_on(inbox.next(), inbox)
    assert late == {
        "type": "late_file", "of": SEQ, "channel": "C0EXAMPLE1",
        "ts": "1763800000.000100", "user": "U0HUMAN001", "files": [file],
        "id": f"{SEQ}:{file['id']}:ok", "seq": late["seq"], "source": "inbox"}

    fetcher.write(late)
    fetched = fetcher.read_fetched()
    assert (fetched["status"], fetched["bytes"]) == ("ok", 100_000)
    assert (spool / fetched["path"]).stat().st_size == 100_000
    assert downloads(slack, file, 1)
    _, log = fetcher.end()
    assert log == ""


def test_hands_in_the_file_object_byte_for_byte(slack, spool, start, inbox):
    file = add_file(slack, size=50_000, conduct=SLOW)
    odd = (b'{ "big": 9007199254740993 ,"name":"\\u00e9 ]}\\"",'
           b'"id": "%s", "url_private":"%s", "x":[1,{"id":"F0"}] }' % (
               file["id"].encode(), file["url_private"].encode()))
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(b'{"seq":7,"type":"message","files":[ {"id":"F0OTHER001",'
                  b'"mode":"tombstone"} , %s ]}\n' % odd)
    assert [one["status"] for one in fetcher.read()["fetched"]] == [
        "skipped", "late"]
    assert inbox.next() == (
        b'{"type":"late_file","of":7,"files":[%s],"id":"7:%s:ok"}\n'
        % (odd, file["id"].encode()))
    fetcher.end()


def test_finds_the_late_file_of_an_edited_message(
        slack, spool, start, inbox):
    file = add_file(slack, size=50_000, conduct=SLOW)
    edit = {"type": "message", "subtype": "message_changed", "seq": 9,
            "channel": "C0EXAMPLE1", "ts": "5.000000",
            "message": {"user": "U0HUMAN001", "files": [file]}}
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(edit)
    assert fetcher.read_fetched()["status"] == "late"
    assert json.loads(inbox.next()) == {
        "type": "late_file", "of": 9, "channel": "C0EXAMPLE1",
        "ts": "5.000000", "files": [file], "id": f"9:{file['id']}:ok"}
    fetcher.end()


def test_a_late_stub_is_looked_up_and_fetched(slack, spool, start, inbox):
    stub = add_stub(slack, text="late\n")
    slack.fail_next("files.info", error="internal_error", times=2)
    fetcher = start("--inbox", inbox.path, "--deadline", 0.5)
    fetcher.write(message(stub))
    assert fetcher.read_fetched()["status"] == "late"
    late = hand_on(inbox.next(), inbox)
    assert late["files"] == [stub]
    fetcher.write(late)
    assert fetcher.read_fetched()["path"] == sha256(b"late\n")
    fetcher.end()


def test_lets_the_record_go_when_it_is_sure_to_be_late(
        slack, spool, start, inbox):
    file = add_file(slack, text="late\n", conduct={
        "fail": [{"status": 429, "retry_after": 6}]})
    fetcher = start("--inbox", inbox.path, "--deadline", 5)
    before = time.monotonic()
    fetcher.write(message(file))
    assert fetcher.read_fetched()["status"] == "late"
    assert time.monotonic() - before < 4.5
    fetcher.write(hand_on(inbox.next(), inbox))
    assert fetcher.read_fetched()["status"] == "ok"
    assert time.monotonic() - before >= 2
    fetcher.end()


def test_a_young_file_is_late_while_slack_looks_at_it(
        slack, spool, start, inbox):
    file = add_file(slack, conduct={"fail": [{"status": 404}] * 3})
    fetcher = start("--inbox", inbox.path, "--deadline", 0.5)
    fetcher.write(message(file))
    assert fetcher.read_fetched()["status"] == "late"
    fetcher.write(hand_on(inbox.next(), inbox))
    assert fetcher.read_fetched()["status"] == "ok"
    fetcher.end()


def test_tells_when_a_late_file_never_comes(slack, spool, start, inbox):
    gone = add_file(slack, conduct={
        "delay": 1.5, "fail": [{"status": 410}]})
    large = add_file(slack, conduct={"endless": True, "unsized": True,
                                     "rate": 100_000})
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2,
                    "--max-bytes", 200_000)
    fetcher.write(message(gone, large))
    assert [one["status"] for one in fetcher.read()["fetched"]] == ["late"] * 2
    lines = [inbox.next(), inbox.next()]
    assert {json.loads(line)["id"] for line in lines} == {
        f"{SEQ}:{gone['id']}:failed", f"{SEQ}:{large['id']}:too-large"}
    fetcher.write(*[hand_on(line, inbox) for line in lines])
    fetched = {}
    for _ in lines:
        one = fetcher.read_fetched()
        fetched[one["file"]] = one
    assert fetched[gone["id"]] == {
        "file": gone["id"], "status": "failed", "mimetype": "text/plain",
        "reason": "HTTP 410: no such file"}
    assert fetched[large["id"]]["status"] == "too-large"
    _, log = fetcher.end()
    assert f"late file {gone['id']} of message {SEQ}: HTTP 410" in log
    assert log.count("of message") == 2


def test_a_late_file_has_a_deadline_too(slack, spool, start, inbox):
    file = add_file(slack, conduct={"endless": True, "rate": 1000})
    stub = add_stub(slack)
    slack.fail_next("files.info", hang=True)
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2,
                    "--late-deadline", 0.8)
    before = time.monotonic()
    fetcher.write(message(file, stub))
    fetcher.read()
    outcomes = [json.loads(inbox.next())["outcome"] for _ in range(2)]
    assert 0.8 < time.monotonic() - before < 8
    assert outcomes == [{"status": "failed",
                         "reason": "not complete after 1 s"}] * 2
    fetcher.end()
    assert os.listdir(spool / "tmp") == []


@pytest.mark.parametrize("arguments", [[], ["--offline"]])
def test_a_late_file_record_never_starts_a_download(
        slack, spool, inbox, arguments):
    file, stub = add_file(slack), add_stub(slack)
    late = {"type": "late_file", "of": 7, "seq": 8, "files": [file, stub]}
    done = run_program(
        "attach-fetch", *command(slack, spool, "--inbox", inbox.path,
                                 *arguments)[1:],
        stdin=json.dumps(late).encode(), env=environment(slack))
    fetched = json.loads(done.stdout)["fetched"]
    assert [one["status"] for one in fetched] == ["failed"] * 2
    assert fetched[0]["reason"] == "not in the spool any more"
    assert slack.seen("download", file=file["id"]) == []
    assert slack.calls("files.info") == []
    assert inbox.lines.empty()


@pytest.mark.parametrize("seq", [None, "7", 7.5, 1e30])
def test_only_records_with_a_number_have_late_files(
        slack, spool, start, inbox, seq):
    file = add_file(slack, size=50_000, conduct=SLOW)
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(message(file, seq=seq))
    assert fetcher.read_fetched()["reason"] == "not complete after 0.2 s"
    time.sleep(1.5)
    fetcher.end()
    assert inbox.lines.empty()


def test_without_an_inbox_a_late_file_is_given_up(slack, spool, start):
    file = add_file(slack, size=50_000, conduct=SLOW)
    fetcher = start("--deadline", 0.2)
    fetcher.write(message(file))
    assert fetcher.read_fetched()["reason"] == "not complete after 0.2 s"
    slack.wait_for("download", file=file["id"], aborted=True)
    fetcher.end()


def test_late_files_share_a_download_with_new_records(
        slack, spool, start, inbox):
    file = add_file(slack, size=100_000, conduct={"rate": 33_000})
    fetcher = start("--inbox", inbox.path, "--deadline", 2)
    fetcher.write(message(file, seq=1))
    assert fetcher.read_fetched()["status"] == "late"
    fetcher.write(message(file, seq=2))
    assert fetcher.read_fetched()["status"] == "ok"
    assert json.loads(inbox.next())["of"] == 1
    assert downloads(slack, file, 1)
    fetcher.end()


def test_late_files_leave_room_for_fresh_ones(slack, spool, start, inbox):
    slow = [add_file(slack, conduct={"endless": True, "rate": 1000})
            for _ in range(8)]
    quick = [add_file(slack, text=f"{i}") for i in range(20)]
    fetcher = start("--inbox", inbox.path, "--deadline", 2,
                    "--parallel", 4)
    fetcher.write(*[message(file, seq=i) for i, file in enumerate(slow)])
    assert {fetcher.read_fetched()["status"] for _ in slow} == {"late"}
    before = time.monotonic()
    fetcher.write(*[message(file, seq=i) for i, file in enumerate(quick)])
    assert {fetcher.read_fetched()["status"] for _ in quick} == {"ok"}
    assert time.monotonic() - before < 30
    fetcher.end()


def test_one_place_is_for_fresh_files_first(slack, spool, start, inbox):
    slow = add_file(slack, size=100_000, conduct=SLOW)
    quick = add_file(slack)
    fetcher = start("--inbox", inbox.path, "--deadline", 1,
                    "--parallel", 1)
    fetcher.write(message(slow, seq=1), message(quick, seq=2))
    assert fetcher.read_fetched()["status"] == "late"
    assert fetcher.read_fetched()["status"] == "ok"
    assert json.loads(inbox.next())["of"] == 1
    assert downloads(slack, slow, 2)
    fetcher.end()


def test_no_more_files_are_late_than_allowed(slack, spool, start, inbox):
    files = [add_file(slack, conduct={"fail": [
        {"status": 429, "retry_after": 600}]}) for _ in range(262)]
    fetcher = start("--inbox", inbox.path, "--deadline", 9)
    fetcher.write(*[message(*files[i:i + 40], seq=i)
                    for i in range(0, len(files), 40)])
    reasons = [one["reason"] for _ in range(0, len(files), 40)
               for one in fetcher.read()["fetched"]]
    assert sum("will follow" in reason for reason in reasons) == 256
    assert sum("too many" in reason for reason in reasons) == 6
    _, log = fetcher.end()
    assert "256 late files left for the next start" in log


def test_the_spool_keeps_its_size_and_the_late_file(
        slack, spool, start, inbox):
    late = add_file(slack, size=60_000, conduct={"rate": 20_000})
    others = [add_file(slack, text=chr(65 + i) * 50_000) for i in range(6)]
    fetcher = start("--inbox", inbox.path, "--deadline", 1.5,
                    "--spool-bytes", 300_000)
    fetcher.write(message(late))
    fetcher.read()
    line = inbox.next()
    fetcher.write(message(others[0], seq=50), hand_on(line, inbox))
    assert fetcher.read_fetched()["status"] == "ok"
    assert fetcher.read_fetched()["status"] == "ok"
    for i, file in enumerate(others[1:]):
        fetcher.write(message(file, seq=51 + i))
        assert fetcher.read_fetched()["status"] == "ok"
        assert sum(path.stat().st_size for path in spool.iterdir()
                   if len(path.name) == 64) <= 300_000
    fetcher.end()


def test_sleeps_when_there_is_nothing_to_do(slack, start, inbox):
    slow = add_file(slack, size=30_000, conduct=SLOW)
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(message(add_stub(slack), slow))
    fetcher.read()
    fetcher.write(hand_on(inbox.next(), inbox))
    fetcher.read()

    def wakings():
        status = pathlib.Path(f"/proc/{fetcher.child.pid}/status").read_text()
        return sum(int(line.split()[1]) for line in status.splitlines()
                   if "ctxt_switches" in line)
    end = time.monotonic() + 20
    while True:         # what it did before may still keep it awake
        before = wakings()
        time.sleep(1)
        if wakings() - before <= 2:
            break
        assert time.monotonic() < end
    fetcher.end()


@pytest.mark.parametrize("how", ["end of input", signal.SIGTERM])
def test_at_the_end_late_files_are_left_for_the_next_start(
        slack, spool, start, inbox, how):
    file = add_file(slack, conduct={"endless": True, "rate": 1000})
    fetcher = start("--inbox", inbox.path, "--deadline", 0.3)
    fetcher.write(message(file))
    assert fetcher.read_fetched()["status"] == "late"
    before = time.monotonic()
    if how == "end of input":
        answers, log = fetcher.end()
    else:
        fetcher.child.send_signal(how)
        answers, log = fetcher.end(-how)
    assert answers == [] and time.monotonic() - before < 8
    assert "1 late file left for the next start" in log
    assert os.listdir(spool / "tmp") == []


# The inbox


def test_hands_in_when_the_inbox_comes_back(
        slack, spool, start, tmp_path):
    file = add_file(slack, size=30_000, conduct=SLOW)
    fetcher = start("--inbox", tmp_path / "inbox.sock", "--deadline", 0.2)
    fetcher.write(message(file))
    fetcher.read()
    slack.wait_for("download", file=file["id"], aborted=False)
    time.sleep(0.3)
    inbox = Inbox(tmp_path / "inbox.sock", answers=["hang up"])
    first = inbox.next()
    assert inbox.next() == first
    fetcher.write(hand_on(first, inbox))
    assert fetcher.read_fetched()["status"] == "ok"
    fetcher.end()
    inbox.stop()


def test_says_that_the_inbox_refuses(slack, spool, start, tmp_path):
    inbox = Inbox(tmp_path / "inbox.sock",
                  answers=[{"ok": False, "error": "no room"}])
    file = add_file(slack, size=30_000, conduct=SLOW)
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(message(file))
    fetcher.read()
    inbox.next()
    line = fetcher.child.stderr.readline().decode()
    assert f"late file {file['id']} of message {SEQ}" in line
    assert "no room" in line
    assert fetcher.end()[1] == ""
    inbox.stop()


# Late files outlive their process


def late_list(spool):
    return (spool / "late").read_bytes().strip(b"\0")


def wait_until_nothing_is_owed(spool):
    for _ in range(3000):
        if late_list(spool) == b"":
            return
        time.sleep(0.01)
    raise AssertionError("late files are owed still")


def test_a_late_file_outlives_a_kill(slack, spool, start, inbox):
    file = add_file(slack, size=100_000, conduct=SLOW)
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(message(file))
    assert fetcher.read_fetched()["status"] == "late"
    fetcher.kill()
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    line = inbox.next()
    assert json.loads(line) == {
        "type": "late_file", "of": SEQ, "channel": "C0EXAMPLE1",
        "ts": "1763800000.000100", "user": "U0HUMAN001", "files": [file],
        "id": f"{SEQ}:{file['id']}:ok"}
    fetcher.write(hand_on(line, inbox))
    assert fetcher.read_fetched()["status"] == "ok"
    wait_until_nothing_is_owed(spool)
    fetcher.end()
    start("--inbox", inbox.path).end()
    assert inbox.rest() == []


def test_a_late_stub_outlives_a_kill(slack, spool, start, inbox):
    stub = add_stub(slack, text="late\n")
    slack.fail_next("files.info", error="internal_error", times=2)
    fetcher = start("--inbox", inbox.path, "--deadline", 0.3)
    fetcher.write(message(stub))
    assert fetcher.read_fetched()["status"] == "late"
    fetcher.kill()
    fetcher = start("--inbox", inbox.path)
    fetcher.write(hand_on(inbox.next(), inbox))
    assert fetcher.read_fetched()["path"] == sha256(b"late\n")
    fetcher.end()


def test_a_line_that_is_fed_again_is_owed_its_file_once(
        slack, spool, start, inbox):
    file = add_file(slack, size=150_000, conduct=SLOW)
    answers = []
    for _ in range(3):
        fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
        fetcher.write(message(file))
        answers.append(fetcher.read())
        if len(answers) < 3:
            fetcher.kill()
    assert answers == [answers[0]] * 3
    assert answers[0]["fetched"][0]["status"] == "late"
    inbox.next()
    wait_until_nothing_is_owed(spool)
    assert inbox.rest() == []
    fetcher.end()


def test_what_arrived_before_a_kill_is_not_fetched_again(
        slack, spool, start, tmp_path):
    file = add_file(slack, size=50_000, conduct=SLOW)
    fetcher = start("--inbox", tmp_path / "inbox.sock", "--deadline", 0.2)
    fetcher.write(message(file))
    assert fetcher.read_fetched()["status"] == "late"
    slack.wait_for("download", file=file["id"], aborted=False)
    while not (spool / "ids" / file["id"]).is_symlink():
        time.sleep(0.01)
    fetcher.kill()
    inbox = Inbox(tmp_path / "inbox.sock")
    fetcher = start("--inbox", inbox.path)
    assert json.loads(inbox.next())["of"] == SEQ
    assert downloads(slack, file, 1)
    fetcher.end()
    inbox.stop()


def test_what_was_not_heard_to_be_taken_is_handed_in_again(
        slack, spool, start, tmp_path):
    file = add_file(slack, size=50_000, conduct=SLOW)
    inbox = Inbox(tmp_path / "inbox.sock", answers=["hang up"] * 100)
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(message(file))
    first = inbox.next()
    fetcher.kill()
    inbox.stop()
    inbox = Inbox(tmp_path / "inbox.sock")
    fetcher = start("--inbox", inbox.path)
    assert inbox.next() == first
    assert inbox.rest() == []
    fetcher.end()
    inbox.stop()


def test_an_end_leaves_late_files_to_the_next_start(
        slack, spool, start, inbox):
    file = add_file(slack, size=100_000, conduct=SLOW)
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(message(file))
    assert fetcher.read_fetched()["status"] == "late"
    _, log = fetcher.end()
    assert "1 late file left for the next start" in log
    start("--inbox", inbox.path).child.stdin.flush()
    assert json.loads(inbox.next())["of"] == SEQ


def test_an_outcome_is_told_after_a_kill_too(slack, spool, start, inbox):
    file = add_file(slack, conduct={"delay": 1, "fail": [
        {"status": 404}, {"status": 410}]})
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(message(file))
    assert fetcher.read_fetched()["status"] == "late"
    fetcher.kill()
    start("--inbox", inbox.path).child.stdin.flush()
    assert json.loads(inbox.next())["outcome"]["status"] == "failed"


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


@pytest.mark.parametrize("damage", [
    lambda data: flip(data, 3), lambda data: flip(data, 700),
    lambda data: data[:300], lambda data: b"",
    lambda data: os.urandom(len(data)), lambda data: b"\n" * len(data)])
def test_what_is_damaged_in_the_list_is_passed_over(
        slack, spool, start, inbox, damage):
    file = add_file(slack, size=100_000, conduct=SLOW)
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(message(file))
    fetcher.read()
    fetcher.kill()
    late = spool / "late"
    late.write_bytes(damage(late.read_bytes()))
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(message(file, seq=42))
    fetcher.read()
    fetcher.kill()
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    assert json.loads(inbox.next())["of"] == 42
    assert inbox.rest() == []
    fetcher.end()


def test_large_file_objects_are_noted_too(slack, spool, start, inbox):
    files = [{**add_file(slack, size=100_000, conduct=SLOW),
              "preview": chr(97 + i) * 9000 * i} for i in range(7)]
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(*[message(file, seq=i) for i, file in enumerate(files)])
    for _ in files:
        assert fetcher.read_fetched()["status"] == "late"
    fetcher.kill()
    start("--inbox", inbox.path).child.stdin.flush()
    late = [json.loads(inbox.next()) for _ in files]
    assert sorted((one["of"], one["files"]) for one in late) == list(
        enumerate([file] for file in files))


def test_a_file_object_beyond_the_list_cannot_be_late(
        slack, spool, start, inbox):
    file = {**add_file(slack, conduct={"endless": True, "rate": 1000}),
            "preview": "p" * (1 << 20)}
    fetcher = start("--inbox", inbox.path, "--deadline", 0.2)
    fetcher.write(message(file))
    assert "too many other files" in fetcher.read_fetched()["reason"]
    fetcher.end()
    assert late_list(spool) == b""


def test_the_list_may_be_no_link(slack, spool, start, inbox, tmp_path):
    spool.mkdir()
    (spool / "late").symlink_to(tmp_path / "elsewhere")
    start("--inbox", inbox.path).end(os.EX_CONFIG)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("seed", [4, 86])
def test_killed_again_and_again_it_owes_nothing_at_the_end(
        slack, spool, start, inbox, seed):
    chance = random.Random(seed)
    files = [add_file(slack, size=15_000 + i * 1000,
                      conduct={"rate": 100_000}) for i in range(20)]
    unanswered = [message(file, seq=i) for i, file in enumerate(files)]
    late, taken, kills = set(), [], 15
    for life in range(kills + 1):
        fetcher = start("--inbox", inbox.path, "--deadline", 0.1)
        fetcher.write(*unanswered[:4] if life < kills else unanswered)
        lines = []
        if life < kills:
            time.sleep(chance.uniform(0.02, 0.4))
        else:
            lines = [fetcher.child.stdout.readline() for _ in unanswered]
            wait_until_nothing_is_owed(spool)
        fetcher.child.kill()
        for line in lines + fetcher.child.communicate()[0].splitlines(True):
            if line.endswith(b"\n"):
                assert json.loads(line)["seq"] == unanswered.pop(0)["seq"]
                if b'"status":"late"' in line:
                    late.add(json.loads(line)["seq"])
        taken += inbox.rest(0.1)
    assert unanswered == [] and len(late) > 3
    of = [json.loads(line)["of"] for line in taken]
    assert set(of) >= late
    assert all(of.count(seq) <= 1 + kills for seq in of)
    assert late_list(spool) == b""
    for file in files:
        assert (spool / "ids" / file["id"]).stat().st_size == file["size"]


# Late files and a full disk


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk", 4 << 20)
    yield disk
    disk.stop()


@pytest.fixture
def start_on(slack, inbox, disk):  # pylint: disable=unused-argument
    """Start it with its spool on the disk; it has answered a line then."""
    def start_fetcher(*arguments):
        fetcher = Fetcher(slack, disk.path / "spool", *arguments, disk=disk)
        fetcher.write({})
        assert fetcher.read() == {}
        return fetcher
    return start_fetcher


def is_quiet(fetcher, seconds):
    return select.select([fetcher.child.stdout], [], [], seconds)[0] == []


def test_on_a_full_disk_records_go_on_and_their_files_come_later(
        slack, disk, start_on, inbox):
    files = [add_file(slack, size=100_000 * i) for i in range(1, 4)]
    arguments = ["--inbox", inbox.path, "--deadline", 1.5]
    fetcher = start_on(*arguments)
    disk.fill()
    fetcher.write(*[message(file, seq=i) for i, file in enumerate(files)])
    for file in files:
        assert fetcher.read_fetched() == {
            "file": file["id"], "status": "late", "mimetype": "text/plain",
            "reason": "no room on the disk: not complete within 1.5 s: a"
                      " late_file record will follow"}
    assert is_quiet(fetcher, 0)
    fetcher.kill()
    fetcher = start_on(*arguments, "--late-deadline", 1)
    assert inbox.rest(2.5) == []        # the time without room counts for none
    disk.clear()
    late = [hand_on(inbox.next(), inbox) for _ in files]
    assert sorted(one["of"] for one in late) == [0, 1, 2]
    fetcher.write(*late)
    assert {fetcher.read_fetched()["status"] for _ in files} == {"ok"}
    wait_until_nothing_is_owed(disk.root / "spool")
    _, log = fetcher.end()
    assert log == ("attach-fetch: the disk is full: waiting for room in the"
                   " spool\nattach-fetch: the disk has room for the spool"
                   " again\n")
    assert all(len(slack.seen("download", file=file["id"])) <= 4
               for file in files)


def test_a_record_waits_where_its_late_file_cannot_be_noted(
        slack, disk, start_on, inbox):
    file = add_file(slack, size=100_000)
    start_on().end()
    disk.fill()
    fetcher = start_on("--inbox", inbox.path, "--deadline", 2)
    fetcher.write(message(file))
    assert is_quiet(fetcher, 4)
    disk.clear()
    assert fetcher.read_fetched()["status"] == "ok"
    fetcher.end()
    assert inbox.rest() == []


def test_a_killed_late_download_leaves_its_room_to_the_next(
        slack, disk, start_on, inbox):
    file = add_file(slack, size=600_000, conduct={"rate": 400_000})
    fetcher = start_on("--inbox", inbox.path, "--deadline", 0.2)
    disk.fill(leave=900_000)
    fetcher.write(message(file))
    assert fetcher.read_fetched()["status"] == "late"
    fetcher.kill()
    fetcher = start_on("--inbox", inbox.path)
    assert json.loads(inbox.next())["of"] == SEQ
    wait_until_nothing_is_owed(disk.root / "spool")
    _, log = fetcher.end()
    assert log == ""
