"""slack-send: what is asked for is in the outbox before it is answered.

How it is sent is in test_slack_send_live.py; here nothing has a token.
"""
import json
import os
import random
import re
import resource
import select
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from conftest import BIN, CRASHES, is_sanitized, run_program
from test_attach_fetch_live import Inbox
from test_slack_reader_live import Reader
from slack import FakeSlack

EX_USAGE, EX_NOINPUT, EX_TEMPFAIL, EX_CONFIG = 64, 66, 75, 78
KIB = 1024
PLAIN = b'{"type":"message","text":"fine","seq":7,"n":1.10}\n'
NOT_SENT = "slack-send: no SLACK_BOT_TOKEN: messages are stored, not sent\n"


def message(seq=None, **members):
    record = {"type": "api_message", "channel": "#qa", "title": "Build",
              "text": f"line {seq}", "payload": "", "class": "danger",
              **({} if seq is None else {"seq": seq, "id": f"id-{seq}"}),
              **members}
    return json.dumps(record).encode() + b"\n"


def messages(first, last, **members):
    return [message(seq, **members) for seq in range(first, last + 1)]


def ask(path, sql, *values):
    """What SQL finds in the outbox while it may be in use."""
    database = sqlite3.connect(path, timeout=10)
    try:
        with database:
            return database.execute(sql, values).fetchall()
    finally:
        database.close()


class Sender:
    """A running slack-send that is fed and read by hand."""

    def __init__(self, path, *arguments, command=(), env=None, log=None):
        self.path = path
        self.child = subprocess.Popen(
            [*command, BIN / "slack-send", "--outbox", path,
             *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0,
            env={**os.environ, **(env or {})})
        self.said = b""
        self.read_so_far = b""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.said += self.child.stderr.read()
        for stream in (self.child.stdin, self.child.stdout,
                       self.child.stderr):
            stream.close()
        assert not any(crash.encode() in self.said for crash in CRASHES), \
            self.said.decode()

    def feed(self, *lines):
        left = memoryview(b"".join(lines))
        while left:     # a signal may cut a write short
            left = left[self.child.stdin.write(left):]

    def read(self, count=1, timeout=20):
        """So many answers."""
        end = time.monotonic() + timeout
        chunks, found = [self.read_so_far], self.read_so_far.count(b"\n")
        while found < count:
            left = end - time.monotonic()
            assert left > 0 and select.select(
                [self.child.stdout], [], [], left)[0], chunks[-1]
            chunks.append(os.read(self.child.stdout.fileno(), 65536))
            assert chunks[-1], chunks[-2]
            found += chunks[-1].count(b"\n")
        lines = b"".join(chunks).split(b"\n", count)
        self.read_so_far = lines.pop()
        return [line + b"\n" for line in lines]

    def pass_on(self, *lines):
        self.feed(*lines)
        assert self.read(len(lines)) == list(lines)

    def pass_many(self, lines):
        """More than pipes hold."""
        feeding = threading.Thread(target=self.feed, args=lines)
        feeding.start()
        answers = self.read(len(lines))
        feeding.join()
        return answers

    def says(self, words, timeout=20):
        end = time.monotonic() + timeout
        while words.encode() not in self.said:
            left = end - time.monotonic()
            assert left > 0 and select.select(
                [self.child.stderr], [], [], left)[0], self.said
            data = os.read(self.child.stderr.fileno(), 65536)
            assert data, self.said
            self.said += data
        return self.said.decode()

    def is_quiet(self, seconds):
        return not select.select([self.child.stdout], [], [], seconds)[0]

    def limit_files(self, size):
        resource.prlimit(self.child.pid, resource.RLIMIT_FSIZE,
                         (size, resource.RLIM_INFINITY))

    def kill(self):
        self.child.kill()
        self.child.wait()

    def end(self):
        self.child.stdin.close()
        return self.child.wait(20)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


def send(path, *lines, arguments=(), env=None):
    return run_program("slack-send", "--outbox", path, *arguments,
                       stdin=b"".join(lines), env=env)


# --- the laws ----------------------------------------------------------------

def test_passes_a_recording_as_it_is(path, community):
    done = send(path, community)
    assert (done.returncode, done.stdout) == (0, community)
    assert done.stderr.decode() == NOT_SENT


def test_adds_nothing_to_what_it_takes(path):
    lines = [PLAIN, *messages(1, 3), PLAIN]
    done = send(path, *lines)
    assert (done.returncode, done.stdout) == (0, b"".join(lines))
    assert done.stderr.decode() == (
        NOT_SENT + f"slack-send: 3 messages are left in {path}"
        " to the next start\n")
    assert ask(path, "SELECT seq, purpose, id, channel, title, text, payload,"
               " class, state FROM message WHERE seq = 2") == [
        (2, "relay", "id-2", "#qa", "Build", "line 2", None, "danger",
         "queued")]


def test_what_is_answered_is_in_the_outbox(path):
    with Sender(path) as sender:
        for line in messages(1, 20):
            sender.pass_on(line)
            seq = json.loads(line)["seq"]
            assert ask(path, "SELECT max(seq) FROM message") == [(seq,)]
        sender.kill()
    assert ask(path, "SELECT count(*) FROM message") == [(20,)]


def test_the_same_line_again_is_no_second_message(path):
    for _ in range(3):
        send(path, *messages(1, 5), *messages(3, 4))
    assert ask(path, "SELECT seq FROM message ORDER BY number") == [
        (seq,) for seq in range(1, 6)]


def test_without_seq_the_id_counts_and_without_both_each_is_new(path):
    same, none = message(id="id-1"), message()
    for _ in range(2):
        send(path, same, none)
    assert ask(path, "SELECT id, count(*) FROM message GROUP BY id"
               " ORDER BY id") == [(None, 2), ("id-1", 1)]


def test_killed_at_any_point_it_has_each_message_once(path):
    """As keep does it: what was not answered is given to the next one."""
    dice = random.Random(20261123)
    left = [line for seq in range(1, 1501)
            for line in (message(seq, text="x" * dice.randrange(3000)), PLAIN)]
    answered, deaths = [], 0
    while left:
        with Sender(path, "--digest-after", 86400) as sender:
            batch = left[:dice.randrange(100, 500)]
            sender.child.stdin.write(b"".join(batch[:60]))
            time.sleep(dice.random() * 0.05)
            sender.kill()
            deaths += 1
            out = sender.child.stdout.read()
            got = out[:out.rfind(b"\n") + 1].splitlines(keepends=True)
        assert got == left[:len(got)]
        answered += got
        del left[:len(got)]
        if got:
            seqs = {json.loads(line)["seq"] for line in answered
                    if b"api_message" in line}
            found = {seq for seq, in ask(path, "SELECT seq FROM message")}
            assert seqs <= found
    assert deaths >= 50
    assert ask(path, "SELECT count(*), count(DISTINCT seq) FROM message"
               " WHERE purpose = 'relay'") == [(1500, 1500)]


def test_numbers_in_a_payload_stay_as_they_were_written(path):
    payload = '{ "b":1.10, "a":[9007199254740993, 1e400],"c":"\\u00e9"}'
    line = message(1).replace(b'"payload": ""',
                              b'"payload":' + payload.encode())
    assert send(path, line).stdout == line
    (text,), = ask(path, "SELECT payload FROM message")
    for number in ("1.10", "9007199254740993", "1e400"):
        assert number in text
    assert json.loads(text)["c"] == "é"


@pytest.mark.parametrize("payload,kept", [
    ('"two\\nlines"', "two\nlines"), ('""', None), ("null", None),
    ("false", "false"), ("0", "0")])
def test_payloads_of_other_kinds(path, payload, kept):
    line = message(1).replace(b'"payload": ""', b'"payload":%s'
                              % payload.encode())
    send(path, line)
    assert ask(path, "SELECT payload FROM message") == [(kept,)]


@pytest.mark.parametrize("members,reason", [
    ({"channel": None}, "no channel to send it to"),
    ({"channel": ""}, "no channel to send it to"),
    ({"channel": ["#qa"]}, "no channel to send it to"),
    ({"channel": "x" * 256}, "the name of the channel is over 255 bytes"),
    ({"text": 5}, "text, title and id must be strings"),
    ({"title": {}}, "text, title and id must be strings"),
    ({"id": 7}, "text, title and id must be strings"),
    ({"id": ""}, "the id must have 1 to 128 bytes"),
    ({"id": "é" * 65}, "the id must have 1 to 128 bytes")])
def test_says_why_a_message_cannot_be_sent(path, members, reason):
    line = message(1, **members)
    done = send(path, line, PLAIN)
    answers = done.stdout.splitlines(keepends=True)
    assert done.returncode == 0 and answers[1] == PLAIN
    assert json.loads(answers[0])["error"] == {
        "stage": "slack-send", "reason": f"not sent: {reason}"}
    assert ask(path, "SELECT * FROM message") == []
    assert send(path, answers[0]).stdout == answers[0]


def test_a_mended_record_loses_the_error_it_had(path):
    wrong = send(path, message(1, channel="")).stdout
    right = wrong.replace(b'"channel": ""', b'"channel": "#qa"')
    assert json.loads(send(path, right).stdout) == json.loads(message(1))


def test_title_and_class_are_bounded(path):
    send(path, message(1, title="é" * 600, **{"class": "other"}))
    (title, kind), = ask(path, "SELECT title, class FROM message")
    assert (title, kind) == ("é" * 512, None)


# --- a flood -----------------------------------------------------------------

def test_a_flood_is_gathered_into_a_digest(path):
    flood = messages(1, 1000)
    with Sender(path, "--digest-after", 10) as sender:
        sender.pass_many([*flood, message(2000, channel="#calm")])
        sender.kill()
    assert ask(path, "SELECT purpose, state, count(*) FROM message"
               " GROUP BY 1, 2 ORDER BY 1, 2") == [
        ("digest", "queued", 1), ("relay", "gathered", 990),
        ("relay", "queued", 11)]
    assert ask(path, "SELECT count(DISTINCT digest) FROM message") == [(1,)]


def measure(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as lines:
        return next(int(line.split()[1]) for line in lines
                    if line.startswith("Pss:")) * KIB


@pytest.mark.skipif(is_sanitized(), reason="sanitizers need memory")
def test_ten_thousand_that_wait_cost_little_memory(path):
    text = "some words of a build " * 40
    with Sender(path, "--digest-after", 86400) as sender:
        sender.pass_many(messages(1, 10000, text=text, payload=text * 3))
        assert measure(sender.child.pid) < 15 * KIB * KIB
        assert ask(path, "SELECT count(*) FROM message"
                   " WHERE state = 'queued'") == [(10000,)]


# --- bounds ------------------------------------------------------------------

def fill(path, *arguments):
    return send(path, *messages(1, 5), arguments=["--outbox-max", 3,
                                                  *arguments])


def test_a_full_outbox_fails_what_comes(path):
    done = fill(path)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer.get("error", {}).get("reason") for answer in answers] == [
        None] * 3 + ["not sent: the outbox is full"] * 2
    assert ask(path, "SELECT state, reason, count(*) FROM message"
               " GROUP BY 1, 2 ORDER BY 1") == [
        ("failed", "the outbox is full: 3 messages wait in it", 2),
        ("queued", None, 3)]


def test_what_is_through_is_forgotten_in_time(path):
    fill(path)
    ask(path, "UPDATE message SET ended = ended - 86400000000 * 2"
        " WHERE seq = 4")
    with Sender(path, "--keep-days", 1) as sender:
        end = time.monotonic() + 20
        while ask(path, "SELECT 1 FROM message WHERE seq = 4"):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert sender.end() == 0
    assert ask(path, "SELECT count(*) FROM message") == [(4,)]


# --- once more ---------------------------------------------------------------

def test_replay_dead_queues_again_what_failed(path):
    fill(path)
    done = run_program("slack-send", "--outbox", path, "--replay-dead")
    assert done.returncode == 0 and done.stdout == b""
    assert done.stderr.decode() == (
        "slack-send: 2 messages are to be sent again by the next start\n")
    assert ask(path, "SELECT seq, text, outcomes FROM message"
               " WHERE state = 'queued' AND ended IS NULL"
               " AND reported IS NULL AND since > created") == [
        (4, "line 4", 1), (5, "line 5", 1)]
    done = run_program("slack-send", "--outbox", path, "--replay-dead")
    assert done.stderr.decode() == (
        "slack-send: 0 messages are to be sent again\n")


def test_replay_dead_works_beside_one_that_runs(path, inbox):
    fill(path)
    with Sender(path, "--inbox", inbox.path, "--outbox-max", 3) as sender:
        assert len(inbox.rest()) == 2
        ask(path, "UPDATE message SET state = 'failed', ended = since,"
            " reported = 1 WHERE seq = 1")
        done = run_program("slack-send", "--outbox", path, "--replay-dead")
        assert done.stderr.decode() == (
            "slack-send: 3 messages are to be sent again\n")
        # It has seen that: 5 wait, so there is no room for another.
        deadline = time.monotonic() + 20
        while True:
            sender.feed(message(9))
            if b"outbox is full" in sender.read()[0]:
                break
            assert time.monotonic() < deadline
        assert sender.end() == 0


def test_replay_dead_needs_an_outbox(path):
    done = run_program("slack-send", "--outbox", path, "--replay-dead")
    assert done.returncode == EX_NOINPUT and not path.exists()
    assert b"No such file" in done.stderr


# --- reports -----------------------------------------------------------------

@pytest.fixture
def inbox(tmp_path):
    inbox = Inbox(tmp_path / "inbox.sock")
    yield inbox
    inbox.stop()


def delivery(seq, **members):
    return {"type": "delivery", "id": f"delivery:{seq}:relay:0", "of": seq,
            "message": f"id-{seq}", "purpose": "relay", "channel": "#qa",
            "title": "Build", "status": "failed",
            "reason": "the outbox is full: 3 messages wait in it", **members}


def test_each_outcome_is_told_by_the_inbox(path, inbox):
    with Sender(path, "--inbox", inbox.path, "--outbox-max", 3) as sender:
        sender.feed(*messages(1, 4), message(5, title="é" * 150))
        sender.read(5)
        assert json.loads(inbox.next()) == delivery(4)
        assert json.loads(inbox.next()) == delivery(5, title="é" * 100)
        end = time.monotonic() + 20
        while ask(path, "SELECT 1 FROM message WHERE reported = 0"):
            assert time.monotonic() < end
            time.sleep(0.05)
        sender.kill()
    with Sender(path, "--inbox", inbox.path) as sender:
        sender.pass_on(PLAIN)
        assert inbox.rest() == []


def test_an_outcome_that_nobody_took_is_told_again(path, inbox):
    inbox.answers = ["hang up"]
    with Sender(path, "--inbox", inbox.path, "--outbox-max", 3) as sender:
        sender.feed(*messages(1, 4))
        sender.read(4)
        first = inbox.next()
        assert inbox.next() == first
    inbox.answers = [{"ok": True, "repeated": True}]
    ask(path, "UPDATE message SET reported = 0 WHERE seq = 4")
    with Sender(path, "--inbox", inbox.path) as sender:
        assert inbox.next() == first
        assert sender.end() == 0


def test_all_that_is_known_of_an_end_is_told(path, inbox):
    send(path, *messages(1, 2))
    ask(path, "UPDATE message SET state = 'sent', ended = since, reported = 0,"
        " attempts = 3, limited = 2, broken = 1, slack_channel = 'C1',"
        " slack_ts = '17.5', outcomes = 1 WHERE seq = 1")
    ask(path, "UPDATE message SET purpose = 'digest', id = NULL, title = NULL,"
        " state = 'sent', messages = 40, limited = 1, ended = since,"
        " slack_channel = 'C1', slack_ts = '17.6', attempts = 1,"
        " reported = 0 WHERE seq = 2")
    with Sender(path, "--inbox", inbox.path) as sender:
        assert json.loads(inbox.next()) == {
            "type": "delivery", "id": "delivery:1:relay:1", "of": 1,
            "message": "id-1", "purpose": "relay", "channel": "#qa",
            "title": "Build", "status": "sent", "slack_channel": "C1",
            "slack_ts": "17.5", "attempts": 3, "errors": {
                "Ultronex Rate Limited Build": 2,
                "Slack error : remote closed": 1}}
        assert json.loads(inbox.next()) == {
            "type": "delivery", "id": "delivery:2:digest:0", "of": 2,
            "purpose": "digest", "channel": "#qa", "status": "sent",
            "messages": 40, "slack_channel": "C1", "slack_ts": "17.6",
            "attempts": 1, "errors": {"Ultronex Rate Limited digest": 1}}
        assert sender.end() == 0


def test_thousands_of_outcomes_are_told_in_turn(path, inbox):
    with Sender(path, "--inbox", inbox.path, "--outbox-max", 1000,
                "--digest-after", 86400) as sender:
        sender.pass_many(messages(1, 3000))
        told = {json.loads(inbox.next())["of"] for _ in range(2000)}
        assert told == set(range(1001, 3001))
        assert inbox.rest() == []


def test_reports_pass_a_real_inbox(path, tmp_path):
    with FakeSlack() as slack:
        reader = Reader(slack, tmp_path).start()
        try:
            with Sender(path, "--inbox", reader.inbox,
                        "--outbox-max", 3) as sender:
                sender.feed(*messages(1, 5))
                sender.read(5)
                told = reader.wait_records(2, type="delivery")
                assert sender.end() == 0
            ask(path, "UPDATE message SET reported = 0 WHERE seq = 4")
            with Sender(path, "--inbox", reader.inbox) as sender:
                end = time.monotonic() + 20
                while ask(path, "SELECT 1 FROM message WHERE reported = 0"):
                    assert time.monotonic() < end
                    time.sleep(0.05)
                assert sender.end() == 0
            assert reader.wait_records(2, type="delivery") == told
            assert [record["of"] for record in told] == [4, 5]
        finally:
            reader.kill()


def test_warns_of_an_old_outbox(path, inbox):
    send(path, *messages(1, 2))
    ask(path, "UPDATE message SET since = since - 601000000 WHERE seq = 1")
    ids = set()
    for _ in range(2):
        with Sender(path, "--inbox", inbox.path) as sender:
            record = json.loads(inbox.next())
            assert sender.end() == 0
        assert record["type"] == "error"
        assert record["error"]["stage"] == "slack-send"
        assert re.fullmatch(
            r"2 messages wait for Slack, the oldest since 20\S+Z: without"
            r" SLACK_BOT_TOKEN nothing is sent", record["error"]["reason"])
        ids.add(record["id"])
    assert len(ids) <= 2    # one an hour, at its turn two


# --- trouble -----------------------------------------------------------------

def measure_log(path):
    return os.stat(f"{path}-wal").st_size


def test_answers_wait_for_room_and_go_on_by_themselves(path):
    with Sender(path) as sender:
        sender.pass_on(*messages(1, 2))
        sender.limit_files(measure_log(path))
        sender.pass_on(PLAIN)       # for which there is nothing to store
        lines = [PLAIN, message(3, text="x" * 9000), PLAIN, *messages(4, 5)]
        sender.feed(*lines)
        sender.says("cannot write")
        assert sender.is_quiet(2.2)
        assert sender.says("\n").count("cannot write") == 1
        assert ask(path, "SELECT max(seq) FROM message") == [(2,)]
        sender.limit_files(1 << 30)
        assert sender.read(5) == lines
        sender.says("is written again")
        sender.kill()
    assert ask(path, "SELECT count(*) FROM message") == [(5,)]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_while_answers_wait_leaves_them_unanswered(path, end):
    with Sender(path) as sender:
        sender.pass_on(*messages(1, 2))
        sender.limit_files(measure_log(path))
        sender.feed(message(3, text="x" * 9000))
        sender.says("cannot write")
        sender.child.send_signal(end)
        assert sender.child.wait(10) == -end
        assert sender.child.stdout.read() == b""
    send(path, *messages(3, 4))
    assert ask(path, "SELECT count(*) FROM message") == [(4,)]


def test_leaves_for_a_while_where_keep_would_not_wait(path):
    with Sender(path, env={"KEEP_HANG": "2"}) as sender:
        sender.pass_on(*messages(1, 2))
        sender.limit_files(measure_log(path))
        began = time.monotonic()
        sender.feed(message(3, text="x" * 9000))
        assert sender.child.wait(10) == EX_TEMPFAIL
        assert 0.9 < time.monotonic() - began < 8
        assert sender.child.stdout.read() == b""
    with Sender(path, env={"KEEP_HANG": "2", "KEEP_RETRY": "1"}) as sender:
        sender.limit_files(1)
        sender.feed(message(3))
        assert sender.child.wait(10) == EX_TEMPFAIL
    assert sender.said.decode() in ("", NOT_SENT)


def test_a_damaged_outbox_is_moved_aside(path, inbox):
    with Sender(path, "--digest-after", 86400) as sender:
        sender.pass_many(messages(1, 3000))
        assert sender.end() == 0
    damaged = bytearray(path.read_bytes())
    half = len(damaged) // 2 & ~4095
    damaged[half:half + 8192] = b"\xa5" * 8192
    path.write_bytes(damaged)
    with Sender(path, "--inbox", inbox.path) as sender:
        for seq in range(4000, 4050):
            sender.pass_on(message(seq, channel=f"#{seq}"))
        sender.pass_many(messages(1, 3000))
        sender.says("was damaged and is now")
        record = json.loads(inbox.next())
        assert record["error"]["reason"].startswith("the outbox was damaged")
        assert sender.end() == 0
    aside, = path.parent.glob("outbox.db.damaged-*")
    assert aside.read_bytes()[half:half + 8192] == b"\xa5" * 8192
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]
    assert ask(path, "SELECT count(*), count(DISTINCT seq) FROM message"
               " WHERE purpose = 'relay'") == [(3050, 3050)]


@pytest.mark.parametrize("content", [b"my notes\n", b'{"a":1}\n' * 500])
def test_leaves_a_file_alone_that_is_no_outbox(path, content):
    path.write_bytes(content)
    done = send(path, *messages(1, 2))
    assert (done.returncode, done.stdout) == (EX_CONFIG, b"")
    assert done.stderr.decode() == f"slack-send: {path}: is no outbox\n"
    assert path.read_bytes() == content


def test_refuses_the_outbox_of_a_newer_version(path):
    send(path)
    ask(path, "PRAGMA user_version = 3")
    for arguments in ((), ("--check",), ("--replay-dead",)):
        done = send(path, PLAIN, arguments=arguments)
        assert (done.returncode, done.stdout) == (EX_CONFIG, b"")
        assert b"was made by a newer slack-send" in done.stderr


def test_an_outbox_is_for_one_at_a_time(path):
    with Sender(path) as sender:
        sender.pass_on(message(1))
        done = send(path, message(2))
        assert (done.returncode, done.stdout) == (EX_TEMPFAIL, b"")
        assert done.stderr.decode() == (
            f"slack-send: {path} is in use by another slack-send\n")
        sender.kill()
    assert send(path, message(2)).returncode == 0


# --- the face ----------------------------------------------------------------

def test_term_answers_what_was_read(path):
    with Sender(path) as sender:
        sender.pass_on(*messages(1, 3))
        sender.child.terminate()
        assert sender.child.wait(10) == -signal.SIGTERM
        sender.says("3 messages are left")


def test_hup_does_not_hurt(path):
    with Sender(path) as sender:
        sender.pass_on(message(1))
        sender.child.send_signal(signal.SIGHUP)
        sender.pass_on(message(2))
        assert sender.end() == 0


def test_the_file_is_for_its_owner_only(path):
    with Sender(path) as sender:
        sender.pass_on(message(1))
        for name in ("", "-wal", "-shm", ".again"):
            assert os.stat(f"{path}{name}").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("arguments,env,status,said", [
    ([], {}, EX_USAGE, "--outbox FILE is needed"),
    (["--outbox", "{}", "--dashboard", "ftp://x"], {}, EX_USAGE,
     "--dashboard: expected http"),
    (["--outbox", "{}", "--check", "--replay-dead"], {}, EX_USAGE,
     "only one of"),
    (["--outbox", "{}", "--outbox-max", "0"], {}, EX_USAGE,
     "--outbox-max: expected"),
    (["--outbox", "{}", "--drain"], {}, EX_CONFIG,
     "SLACK_BOT_TOKEN: not set, and --drain would wait for ever"),
    (["--outbox", "{}"], {"SLACK_BOT_TOKEN": "xoxb 1"}, EX_CONFIG,
     "SLACK_BOT_TOKEN: blanks or control characters in the token"),
    (["--outbox", "{}"], {"SLACK_API_URL": "http://example.org/"}, EX_CONFIG,
     "SLACK_API_URL: "),
    (["--outbox", "/nonexistent/outbox.db"], {}, EX_CONFIG,
     "No such file or directory")])
def test_wrong_use_and_wrong_configuration(path, arguments, env, status,
                                           said):
    done = run_program("slack-send", *[word.format(path)
                                       for word in arguments], env=env)
    assert (done.returncode, done.stdout) == (status, b"")
    assert said in done.stderr.decode()


def test_a_check_makes_nothing(path):
    done = send(path, PLAIN, arguments=["--check"])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not path.exists()
