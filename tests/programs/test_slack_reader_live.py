"""slack-reader against a Slack that behaves as Slack does, and worse."""
import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import BIN, CRASHES, is_sanitized
from disk import Disk
from records import read_journal, read_records
from slack import APP_TOKEN, BOT_TOKEN, FakeSlack, fake_slack  # noqa: F401

EX_CONFIG, EX_IOERR, EX_TEMPFAIL = 78, 74, 75
QUICK = ("--ping", "0.5")	# dead after 1.2 s
CHANNEL = "C0EXAMPLE1"

# Section 11 of Slack's errors, "permanent, whole bot".
FORBIDDEN = [
    "invalid_auth", "not_authed", "account_inactive", "token_revoked",
    "token_expired", "not_allowed_token_type", "missing_scope",
    "no_permission", "access_denied", "accesslimited",
    "team_access_not_granted", "enterprise_is_restricted",
    "ekm_access_denied", "two_factor_setup_required",
    "user_removed_from_team", "team_disabled", "method_deprecated",
    "deprecated_endpoint", "unknown_method"]
PASSING = ["internal_error", "service_unavailable", "request_timeout",
           "team_added_to_org", "org_login_required", "migration_in_progress",
           "fatal_error"]


class Reader:
    """A running slack-reader, its state folder and what it wrote."""

    def __init__(self, slack, folder):
        self.slack = slack
        self.state = folder / "state"
        self.inbox = folder / "inbox.sock"
        self.output = folder / "out.ndjson"
        self.log = folder / "log"
        self.status = folder / "status"
        self.enter = []         # how to enter another namespace
        self.process = None

    def start(self, *arguments, wait=True, stdout=None, env=None, **more):
        mark = self.slack.mark
        arguments = ["--state", self.state, "--inbox", self.inbox,
                     *(["--ca-file", self.slack.ca_file]
                       if self.slack.ca_file else []), *arguments]
        with self.log.open("ab") as log, self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*self.enter, BIN / "slack-reader", *map(str, arguments)],
                stdin=subprocess.DEVNULL, stderr=log,
                stdout=output if stdout is None else stdout,
                env={**os.environ, **self.slack.environment, **(env or {})},
                **more)
        if wait:
            self.slack.wait_for("hello", 2, timeout=30, after=mark)
        return self

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.wait()

    def wait(self, timeout=30):
        status = self.process.wait(timeout)
        assert not any(word in self.said for word in CRASHES), self.said
        return status

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def said(self):
        return self.log.read_text(errors="replace") if self.log.exists() \
            else ""

    @property
    def journal(self):
        return read_journal(self.state)

    @property
    def written(self):
        return read_records(self.output)

    def wait_records(self, count, timeout=15, **members):
        """Until so many records with these members have been written."""
        end = time.monotonic() + timeout
        while True:
            found = [record for record in self.written if all(
                record.get(name) == value
                for name, value in members.items())]
            if len(found) >= count:
                return found
            assert time.monotonic() < end, (members, found[-3:], self.said)
            time.sleep(0.02)

    def wait_journal(self, count, timeout=15):
        """Until it holds so many records; what Slack's history has may come
        behind what is said now."""
        end = time.monotonic() + timeout
        while len(self.journal) < count:
            assert time.monotonic() < end, (self.journal, self.said)
            time.sleep(0.02)

    @property
    def tells(self):
        """The words of the status file; none before it is first written."""
        line = self.status.read_text()
        assert line == "" or len(line) == 256 and line.endswith(" \n")
        return dict(word.split("=") for word in line.split())

    def wait_tells(self, timeout=15, **words):
        """Until its status has these words; returns all that it had then."""
        end = time.monotonic() + timeout
        while True:
            tells = self.tells if self.status.exists() else {}
            if words.items() <= tells.items():
                return tells
            assert time.monotonic() < end, (words, tells, self.said)
            time.sleep(0.02)

    def wait_said(self, pattern, timeout=15):
        end = time.monotonic() + timeout
        while not (found := re.search(pattern, self.said)):
            assert time.monotonic() < end, self.said
            time.sleep(0.02)
        return found


@pytest.fixture
def reader(fake_slack, tmp_path):  # noqa: F811
    one = Reader(fake_slack, tmp_path)
    yield one
    one.kill()
    assert not any(word in one.said for word in CRASHES), one.said


def keys(records):
    return [(record["channel"], record["ts"]) for record in records
            if record.get("type") == "message" and
            record.get("subtype") not in ("message_changed",
                                          "message_deleted")]


def check_sent(reader, sent, timeout=30):
    """Every message that was sent is in the journal, once."""
    wanted = sorted((one["channel"], one["ts"]) for one in sent)
    end = time.monotonic() + timeout
    while sorted(keys(reader.journal)) != wanted:
        if time.monotonic() > end:
            there = keys(reader.journal)
            missing = sorted(set(wanted) - set(there))
            doubled = [key for key in set(there) if there.count(key) > 1]
            raise AssertionError(f"{len(missing)} lost: {missing[:5]}, "
                                 f"doubled: {doubled[:5]}\n{reader.said}")
        time.sleep(0.1)
    assert [record["seq"] for record in reader.journal] == \
        list(range(1, len(reader.journal) + 1))


def wait_named(reader, timeout=15):
    """Until a message comes with its names. It waits for them for 200 ms only,
    but the next one has what came later."""
    end = time.monotonic() + timeout
    for number in itertools.count():
        text = f"whose? {number}"
        reader.slack.send(text)
        record, = reader.wait_records(1, text=text)
        if len(record.get("names", ())) == 2:
            return record
        assert time.monotonic() < end, record


# --- one event ---------------------------------------------------------------


def test_an_event_becomes_a_record_and_is_acknowledged(reader):
    reader.start()
    sent = reader.slack.send("build &lt;42&gt; \u2603 failed")
    record, = reader.wait_records(1)
    assert record["text"] == "build &lt;42&gt; \u2603 failed"
    assert record["seq"] == 1 and record["source"] == "slack"
    assert record["event_id"] == sent["event_id"]
    assert "own" not in record and "backfill" not in record
    reader.slack.wait_for("ack", event_id=sent["event_id"])
    assert sent["event_id"] in reader.slack.acks()
    names = wait_named(reader)["names"]
    assert names["user"] and names["channel"]
    assert reader.output.read_bytes() == b"".join(
        path.read_bytes() for path in
        (reader.state / "journal").glob("*.ndjson"))
    assert reader.stop() == 0
    assert reader.slack.errors() == []


def test_the_bytes_of_an_event_stay_as_they_came(reader):
    event = ('{"type":"message","channel":"C0EXAMPLE1","user":"U0HUMAN001",'
             '"text":"\\u00e9 \\/","big":12345678901234567890,"e":1.50,'
             '"ts":"1763800000.000100"}')
    reader.start()
    reader.slack.control("raw", text=(
        '{"envelope_id":"e-1","type":"events_api","payload":{"type":'
        '"event_callback","event_id":"Ev1","event":' + event + '}}'))
    reader.wait_records(1)
    assert reader.output.read_text().startswith(event[:-1] + ",")


def test_what_comes_twice_is_taken_once(reader):
    reader.start()
    event = {"type": "message", "channel": CHANNEL, "user": "U0HUMAN001",
             "text": "once", "ts": "1763800000.000100"}
    for envelope in range(3):
        reader.slack.control("raw", text=json.dumps({
            "envelope_id": f"e-{envelope}", "type": "events_api",
            "retry_attempt": envelope, "payload": {
                "type": "event_callback", "event_id": "Ev1",
                "event": event}}))
    reader.slack.send("a mention", twin=True)
    reader.wait_records(2)
    reader.slack.send("the last")
    reader.wait_records(1, text="the last")
    reader.slack.wait_until(lambda slack: slack.state()["pending"] == [])
    assert len(reader.journal) == 3


def test_own_messages_are_marked(reader):
    me = reader.start().slack.about.get("bot_user", "U0BOTUSER1")
    reader.slack.send("mine", user=me)
    reader.slack.send("not mine")
    assert reader.wait_records(1, text="mine")[0]["own"] is True
    assert "own" not in reader.wait_records(1, text="not mine")[0]


def test_edits_deletions_and_replies_refer_to_the_first_message(reader):
    reader.start()
    first = reader.slack.send("first")
    reader.slack.edit(first, "second thoughts")
    reader.slack.reply(first, "an answer")
    other = reader.slack.send("forget this")
    reader.slack.delete(other)
    edit = reader.wait_records(1, subtype="message_changed")[0]
    gone = reader.wait_records(1, subtype="message_deleted")[0]
    reply, = reader.wait_records(1, text="an answer")
    assert edit["message"]["ts"] == first["ts"]
    assert gone["deleted_ts"] == other["ts"]
    assert reply["thread_ts"] == first["ts"]


def test_the_channel_list_limits_but_not_words_to_the_bot(reader):
    reader.slack.control("add_channel", id="C0EXAMPLE9", name="other")
    reader.start(env={"SLACK_CHANNEL_LIST": f" {CHANNEL} , C0EXAMPLE7"})
    reader.slack.send("unheard", channel="C0EXAMPLE9")
    me = reader.slack.about.get("bot_user", "U0BOTUSER1")
    reader.slack.send(f"<@{me}> help", channel="C0EXAMPLE9")
    reader.wait_records(1)      # it comes by the other connection
    reader.slack.send("heard")
    reader.wait_records(1, text="heard")
    assert [record["text"] for record in reader.written] == \
        [f"<@{me}> help", "heard"]
    reader.slack.wait_for("ack", 3)


def test_a_slash_command_is_a_record_without_its_secrets(reader):
    reader.start()
    reader.slack.control("slash_command", command="/ultron", text="help me")
    record, = reader.wait_records(1, type="slash_commands")
    assert record["slash"] == "/ultron" and record["text"] == "help me"
    assert record["user"] and record["channel"]
    assert "response_url" not in record and "token" not in record


def test_withheld_events_are_told_and_fetched(reader):
    reader.start()
    lost = reader.slack.send("withheld", quiet=True)
    reader.slack.control("rate_limit_notice", minute=int(time.time()) - 60)
    record, = reader.wait_records(1, type="error")
    assert "withheld" in record["error"]["reason"]
    found, = reader.wait_records(1, text="withheld")
    assert found["backfill"] is True and found["ts"] == lost["ts"]
    assert found["channel"] == CHANNEL and found["channel_type"]


def test_a_name_holds_nothing_up_for_long(reader):
    reader.slack.fail_next("users.info", times=50, delay=30)
    reader.slack.fail_next("conversations.info", times=50, delay=30)
    reader.slack.set(ack_deadline=60)
    reader.start()
    for number in range(1, 6):  # a slow machine may be late for one
        sent = reader.slack.send("hurry", user=f"U0NOBODY{number:02}")
        reader.slack.wait_for("ack", number)
        record = reader.wait_records(number)[-1]
        assert record["ts"] == sent["ts"] and "names" not in record
    latencies = [ack["latency"] for ack in reader.slack.seen("ack")]
    assert max(latencies) < 10
    assert min(latencies) < (2 if is_sanitized() else 0.5)


@pytest.mark.parametrize("raw", [
    "not json", '{"type":', "[]", '{"envelope_id":5,"type":"events_api"}',
    '{"type":"hello"', '{"type":"disconnect"}x',
    '{"envelope_id":"e","type":"events_api","payload":[]}',
    '{"envelope_id":"e","type":"new_type","payload":{"event":null}}',
    '{"envelope_id":"e","type":"events_api"}'])
def test_odd_messages_do_no_harm(reader, raw):
    reader.start()
    reader.slack.control("raw", text=raw)
    reader.slack.send("still here")
    reader.wait_records(1, text="still here")
    assert len(reader.written) == 1


def test_pieces_and_megabytes_are_joined(reader):
    reader.start()
    reader.slack.send("x" * 3_000_000)
    reader.slack.send("in frames", how={"frames": {"frames": 7}})
    reader.slack.send("in bytes", how={"frames": {"dribble": 5}})
    lengths = [len(one["text"]) for one in reader.wait_records(3)]
    assert 3_000_000 in lengths
    reader.wait_records(1, text="in frames")
    reader.wait_records(1, text="in bytes")


def test_a_message_of_17_mib_ends_that_connection_only(reader):
    reader.start()
    for _ in range(3):
        mark = reader.slack.mark
        reader.slack.control("raw", text="x" * (17 << 20), socket="oldest")
        reader.wait_said("more than 16 MiB")
        reader.slack.wait_for("hello", after=mark, timeout=60)
    reader.slack.send("still here")
    reader.wait_records(1, text="still here")


def test_an_event_too_long_for_its_members_is_an_error(reader):
    reader.slack.set(ack_deadline=60)   # or it comes twice
    reader.start()
    reader.slack.send("x" * ((16 << 20) - 5000), unrecorded=True)
    record, = reader.wait_records(1, type="error")
    assert record["seq"] == 1 and "too long" in record["error"]["reason"]
    for room in (0, 10, 50, 5000, 8192):
        line = b'{"type":"api_message","text":"%s"}' % (
            b"x" * ((16 << 20) - 33 - room))
        assert Inbox(reader.inbox).say(line).hear()["ok"] == (room == 8192)
    reader.kill()
    reader.start()
    assert [one["seq"] for one in reader.journal] == [1, 2]


# --- connections -------------------------------------------------------------


def closings(slack):
    return [entry for entry in slack.seen("close_socket")]


def test_says_goodbye_on_term(reader):
    reader.start()
    assert reader.stop() == 0
    assert len(reader.slack.wait_for("close_socket", 2)) == 2
    assert all(entry["by"] == "client" and entry["code"] == 1000
               for entry in closings(reader.slack))
    assert not reader.inbox.exists()


def test_refreshes_lose_and_double_nothing(reader):
    reader.start()
    sent = []
    for turn in range(8):
        mark = reader.slack.mark
        sent += reader.slack.send_many(10)
        reader.slack.refresh("oldest", warning=0.2, grace=2)
        sent += reader.slack.send_many(10)
        reader.slack.wait_for("hello", after=mark, timeout=80)
        reader.slack.wait_for("close_socket", after=mark, timeout=20)
    check_sent(reader, sent)
    state = reader.slack.state()
    assert len(state["sockets"]) <= 4
    assert reader.slack.errors() == []
    # The new one has said hello before the old one is left.
    assert all(entry["by"] == "client" or entry.get("clean")
               for entry in closings(reader.slack))


def test_dead_and_deaf_sockets_lose_and_double_nothing(reader):
    reader.slack.set(ack_deadline=1, retries=[0, 1, 2])
    reader.start(*QUICK)
    sent = []
    for turn in range(6):
        mark = reader.slack.mark
        if turn % 2:
            reader.slack.kill("newest")
        else:
            reader.slack.blackhole("oldest")
        sent += reader.slack.send_many(20, rate=100)
        reader.slack.wait_for("hello", after=mark, timeout=80)
    check_sent(reader, sent, timeout=60)


def test_no_connection_at_all_is_a_gap_that_is_filled(reader):
    reader.start(*QUICK)
    sent = [reader.slack.send("before")]
    reader.wait_records(1)
    mark = reader.slack.mark
    reader.slack.fail_upgrade(times=99, status=503)
    reader.slack.kill()
    sent += [reader.slack.send(f"missed {i}", quiet=True) for i in range(3)]
    parent = sent[0]
    sent.append(reader.slack.reply(parent, "a missed reply", quiet=True))
    reader.slack.wait_for("upgrade", 4, after=mark, timeout=40, status=503)
    reader.slack.control("heal")
    reader.slack.wait_for("hello", 2, after=mark, timeout=80)
    check_sent(reader, sent)
    missed = reader.wait_records(4, backfill=True)
    assert {record["text"] for record in missed} == {
        "missed 0", "missed 1", "missed 2", "a missed reply"}


@pytest.mark.parametrize("fault", [
    {"status": 408}, {"status": 409}, {"status": 503}, {"reset": True},
    {"close_after_hello": True}])
def test_failed_upgrades_are_tried_again(reader, fault):
    reader.slack.fail_upgrade(times=2, **fault)
    reader.start()
    reader.slack.send("at last")
    reader.wait_records(1, text="at last", timeout=40)
    reader.slack.wait_for("api", 4, method="apps.connections.open",
                          timeout=40)  # a URL is used once


def test_no_hello_is_no_connection(reader):
    reader.slack.fail_upgrade(times=1, no_hello=True)
    reader.start(wait=False)
    reader.slack.wait_for("hello", 2, timeout=40)


def test_too_many_sockets_back_off(reader):
    reader.start()
    mark = reader.slack.mark
    reader.slack.control("disconnect", socket="oldest",
                         reason="too_many_websockets")
    reader.slack.send("on the other one")
    reader.wait_records(1)
    time.sleep(2)
    assert reader.slack.wait_for("close_socket", after=mark)
    assert [entry for entry in reader.slack.entries
            if entry["n"] > mark and entry["kind"] == "hello"] == []
    reader.wait_said("too_many_websockets|ten|10")


def test_switched_off_it_waits(reader):
    reader.start()
    mark = reader.slack.mark
    reader.slack.control("disable")
    reader.slack.wait_for("close_socket", 2, after=mark)
    reader.wait_said("link_disabled|Socket Mode")
    time.sleep(1)
    assert reader.process.poll() is None
    assert len([entry for entry in reader.slack.read_log()
                if entry["n"] > mark and
                entry.get("method") == "apps.connections.open"]) <= 2


# --- errors of the Web API ---------------------------------------------------


@pytest.mark.parametrize("error", FORBIDDEN)
@pytest.mark.parametrize("method, token", [
    ("auth.test", "SLACK_BOT_TOKEN"),
    ("apps.connections.open", "SLACK_APP_TOKEN")])
def test_what_cannot_pass_ends_with_a_sentence(reader, method, token, error):
    reader.slack.fail_next(method, times=99, error=error)
    reader.start(wait=False)
    assert reader.wait() == EX_CONFIG
    assert token in reader.said and error in reader.said
    assert APP_TOKEN not in reader.said and BOT_TOKEN not in reader.said


@pytest.mark.parametrize("error", PASSING)
@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
def test_what_may_pass_is_tried_again(reader, method, error):
    reader.slack.fail_next(method, times=2, error=error)
    reader.start()
    reader.slack.send("at last")
    reader.wait_records(1)


@pytest.mark.parametrize("fault", [
    {"status": 500}, {"status": 502, "body": "html"}, {"body": "no_ok"},
    {"body": "empty"}, {"reset": True}])
@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
def test_broken_answers_are_asked_again(reader, method, fault):
    reader.slack.fail_next(method, times=2, **fault)
    reader.start()


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
def test_retry_after_is_obeyed(reader, method):
    reader.slack.fail_next(method, times=1, status=429, retry_after=2)
    reader.start()
    refused, = reader.slack.calls(method, status=429)
    again = reader.slack.calls(method)[-1]  # the other connection has its own
    assert again["time"] - refused["time"] >= 2


def test_a_token_that_is_revoked_later_ends_it_too(reader):
    reader.start(*QUICK)
    reader.slack.control("token", name="app", error="token_revoked")
    reader.slack.kill("oldest")
    assert reader.wait() == EX_CONFIG
    assert "SLACK_APP_TOKEN" in reader.said


def test_history_that_is_refused_is_told(reader):
    reader.start()
    sent = reader.slack.send("first")
    reader.wait_records(1)
    reader.stop()
    reader.slack.fail_next("conversations.history", times=99,
                           error="missing_scope")
    reader.start()
    record, = reader.wait_records(1, type="error")
    assert "scope" in record["error"]["reason"]
    assert sent["ts"] in [one.get("ts") for one in reader.journal]


@pytest.mark.parametrize("error", [
    "channel_not_found", "not_in_channel", "invalid_arguments"])
def test_a_channel_that_cannot_be_read_is_told_and_left(reader, error):
    reader.start()
    reader.slack.send("first")
    reader.wait_records(1)
    reader.stop()
    reader.slack.fail_next("conversations.history", times=1, error=error)
    reader.start()
    record, = reader.wait_records(1, type="error")
    assert error in record["error"]["reason"] and record["channel"]
    reader.slack.send("live goes on")
    reader.wait_records(1, text="live goes on")


@pytest.mark.parametrize("env, word", [
    ({"SLACK_APP_TOKEN": ""}, "SLACK_APP_TOKEN is not set"),
    ({"SLACK_BOT_TOKEN": ""}, "SLACK_BOT_TOKEN is not set"),
    ({"SLACK_APP_TOKEN": "xoxb-1-abc"}, "begins with xapp-"),
    ({"SLACK_BOT_TOKEN": "xapp-1-abc"}, "begins with xoxb-"),
    ({"SLACK_BOT_TOKEN": "xoxb-a\nb"}, "begins with xoxb-"),
    ({"SLACK_API_URL": "http://example.org/api/"}, "SLACK_API_URL"),
    ({"SLACK_API_URL": "ftp://localhost/"}, "SLACK_API_URL"),
    ({"SLACK_CHANNEL_LIST": "#general"}, "general")])
def test_wrong_settings_are_told_before_anything(reader, env, word):
    reader.start("--check", wait=False, env=env)
    assert reader.wait() == EX_CONFIG
    assert word in reader.said
    assert not reader.state.exists()


# --- across deaths -----------------------------------------------------------


def test_goes_on_where_it_stopped(reader):
    reader.start()
    sent = [reader.slack.send("first")]
    reader.wait_records(1)
    assert reader.stop() == 0
    sent += [reader.slack.send("away", quiet=True)]
    reader.start("--after", 1)
    found, = reader.wait_records(1, text="away")
    assert found["seq"] == 2 and found["backfill"] is True
    sent += [reader.slack.send("back")]
    check_sent(reader, sent)
    reader.wait_records(3)
    assert [record["seq"] for record in reader.written] == [1, 2, 3]


def test_nothing_acknowledged_is_lost_by_kill_9(reader):
    reader.slack.set(ack_deadline=1, retries=[0, 1, 2])
    reader.start(*QUICK)
    ts_of = {}
    for turn in range(5):
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            sending = thread.submit(reader.slack.send_many, 60, rate=200)
            reader.slack.wait_for("ack", 10 * (turn + 1), timeout=20)
            reader.kill()
            acked = set(reader.slack.acks())
            found = reader.journal
            ts_of |= {one["event_id"]: one["ts"] for one in sending.result()}
        # One that backfill had fetched before has no event_id.
        there = {record.get("event_id") for record in found}
        fetched = {record["ts"] for record in found if "backfill" in record}
        assert [event_id for event_id in acked - there
                if ts_of[event_id] not in fetched] == []
        reader.start(*QUICK, "--after", 0)
    reader.slack.wait_until(lambda slack: slack.state()["pending"] == [], 30)
    sent = [{"channel": CHANNEL, "ts": message["ts"]}
            for message in reader.slack.history(CHANNEL)]
    check_sent(reader, sent, timeout=40)


def test_after_reads_on_from_the_journal(reader):
    reader.start()
    reader.slack.send_many(20)
    reader.wait_records(20)
    reader.kill()
    reader.output.write_bytes(b"")
    reader.start("--after", 15)
    records = reader.wait_records(5)
    assert [record["seq"] for record in records] == [16, 17, 18, 19, 20]
    reader.stop()
    reader.output.write_bytes(b"")
    reader.start("--after", 1000)  # the journal was taken away
    assert "removed" in reader.wait_records(
        1, type="error", seq=1001)[0]["error"]["reason"]
    reader.slack.send("new")
    assert reader.wait_records(1, text="new")[0]["seq"] == 1002


def test_a_torn_line_is_set_aside(reader):
    reader.start()
    reader.slack.send_many(3)
    reader.wait_records(3)
    reader.kill()
    file, = (reader.state / "journal").glob("*.ndjson")
    file.write_bytes(file.read_bytes()[:-10])
    reader.start()
    reader.wait_said("torn")
    reader.slack.send("new")
    reader.wait_records(1, text="new")
    reader.wait_journal(4)
    numbers = [record["seq"] for record in reader.journal]
    assert numbers == sorted(set(numbers)) and len(numbers) == 4


def test_a_second_one_on_the_same_state_is_refused(reader):
    reader.start()
    done = subprocess.run(
        [BIN / "slack-reader", "--state", reader.state], timeout=20,
        env={**os.environ, **reader.slack.environment},
        capture_output=True, check=False)
    assert done.returncode == EX_TEMPFAIL
    reader.slack.send("undisturbed")
    reader.wait_records(1)


def test_an_outage_is_not_forgotten_for_a_line_of_the_inbox(reader):
    """What came in by the inbox meanwhile says nothing of Slack."""
    reader.start(*QUICK)
    sent = [reader.slack.send("before")]
    reader.wait_records(1)
    reader.slack.fail_next("apps.connections.open", times=99,
                           error="internal_error")
    reader.slack.fail_next("users.conversations", times=99,
                           error="internal_error")
    reader.slack.kill()
    reader.wait_said("(?s): (lost|dead),.*: (lost|dead),")
    sent += [reader.slack.send("missed", quiet=True)]
    plan = reader.state / "backfill.json"
    end = time.monotonic() + 20     # it is made when the other one is lost, too
    while not plan.exists() and time.monotonic() < end:
        time.sleep(0.01)
    since = json.loads(plan.read_text())
    assert since
    assert Inbox(reader.inbox).say(b'{"type":"delivery"}').hear()["ok"]
    reader.kill()
    assert json.loads(plan.read_text()) == since
    reader.slack.control("heal")
    reader.start(*QUICK)
    reader.wait_records(1, text="missed")


def test_a_twin_that_was_refused_is_new_again(reader):
    reader.start("--connections", "1", wait=False)
    reader.slack.wait_for("hello")
    pid = reader.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    reader.slack.set(ack_deadline=1, retries=[1, 1, 1])
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (5000, limits[1]))
    sent = reader.slack.send("both" * 5000, twin=True)
    reader.wait_said("nothing is taken")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    reader.wait_records(1, ts=sent["ts"])
    reader.slack.wait_until(lambda slack: slack.state()["pending"] == [], 20)
    assert len([one for one in reader.journal
                if one.get("ts") == sent["ts"]]) == 1


def test_the_end_of_a_withheld_minute_is_fetched_too(reader):
    reader.start()
    minute = int(time.time()) - 115
    reader.slack.control("rate_limit_notice", minute=minute)
    reader.slack.control("rate_limit_notice", minute=minute)
    reader.wait_records(1, type="error")
    reader.slack.wait_for("api", method="conversations.history")
    reader.slack.send("withheld later", quiet=True)
    found, = reader.wait_records(1, text="withheld later", timeout=90)
    assert found["backfill"] is True
    assert len([one for one in reader.journal if one["type"] == "error"]) == 1


# --- output ------------------------------------------------------------------


def test_a_blocked_pipe_holds_no_acknowledgement_up(reader):
    read_end, write_end = os.pipe()
    reader.slack.set(ack_deadline=60)
    reader.start(stdout=write_end)
    os.close(write_end)
    text = "x" * 2000
    for _ in range(4):
        reader.slack.send_many(250, text=text)
    reader.slack.wait_until(lambda slack: len(slack.acks()) == 1000, 60)
    lines = b""
    with os.fdopen(read_end, "rb") as pipe:
        while lines.count(b"\n") < 1000:
            lines += pipe.read1(1 << 20)
    assert [json.loads(line)["seq"] for line in lines.splitlines()] == \
        list(range(1, 1001))
    assert max(ack["latency"] for ack in reader.slack.seen("ack")) < 20


def test_leaves_when_nobody_reads(reader):
    read_end, write_end = os.pipe()
    reader.start(stdout=write_end)
    os.close(write_end)
    os.close(read_end)
    assert reader.wait() == -signal.SIGPIPE
    reader.slack.wait_for("close_socket", 2)
    assert all(entry["code"] == 1000 for entry in closings(reader.slack))


# --- the inbox ---------------------------------------------------------------


class Inbox:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def say(self, line):
        self.socket.sendall(line + b"\n")
        return self

    def hear(self):
        return json.loads(self.file.readline())


def test_the_inbox_answers_when_it_is_durable(reader):
    reader.start()
    inbox = Inbox(reader.inbox)
    assert reader.inbox.stat().st_mode & 0o777 == 0o600
    inbox.say(b'{"type":"api_message","id":"1","text":"hi","seq":99}')
    assert inbox.hear() == {"ok": True, "seq": 1}
    assert reader.journal[0]["text"] == "hi"
    record, = reader.wait_records(1)
    assert record["seq"] == 1 and record["source"] == "inbox"
    assert b'"seq":99' not in reader.output.read_bytes()
    for bad in (b"", b"[]", b'{"a":', b"\xff", b'"text"'):
        inbox.say(bad)
        answer = inbox.hear()
        assert answer["ok"] is False and answer["error"]
    inbox.say(b'{"type":"api_message","id":"2"}')
    assert inbox.hear() == {"ok": True, "seq": 2}


def test_what_the_inbox_brought_hides_no_message(reader):
    reader.start()
    event = {"type": "message", "channel": CHANNEL, "user": "U0HUMAN001",
             "text": "forged", "ts": "1999.000100"}
    assert Inbox(reader.inbox).say(json.dumps(event).encode()).hear()["ok"]
    reader.stop()
    reader.start()
    reader.slack.control("raw", text=json.dumps({
        "envelope_id": "e-1", "type": "events_api", "payload": {
            "type": "event_callback", "event_id": "Ev1",
            "event": {**event, "text": "real"}}}))
    reader.wait_records(1, text="real")


def test_the_inbox_does_not_wait_for_names(reader):
    """Not even behind an event that does."""
    reader.slack.fail_next("users.info", times=50, delay=5)
    reader.start()
    inbox = Inbox(reader.inbox)
    ahead = 0
    for number in range(1, 11):	# a slow machine may be late for some
        reader.slack.send("held", user=f"U0NOBODY{number:02}")
        time.sleep(0.05)
        seq = inbox.say(b'{"type":"delivery"}').hear()["seq"]
        ahead += seq < reader.wait_records(number, text="held")[-1]["seq"]
        if ahead == 2:
            break
    assert ahead == 2


def api_message(name, **members):
    return json.dumps({"type": "api_message", "id": name,
                       **members}).encode()


REPEATED = {"ok": True, "repeated": True}


def test_an_id_of_the_inbox_comes_in_once(reader):
    reader.start()
    first, second = Inbox(reader.inbox), Inbox(reader.inbox)
    assert first.say(api_message("a", text="one")).hear() == \
        {"ok": True, "seq": 1}
    assert first.say(api_message("a", text="one")).hear() == REPEATED
    assert second.say(api_message("a", text="other")).hear() == REPEATED
    assert second.say(b'{"type":"delivery","id":"a"}').hear() == \
        {"ok": True, "seq": 2}
    first.say(api_message("b") + b"\n" + api_message("c") + b"\n" +
              api_message("b") + b"\n[]\n" + api_message("d"))
    assert [first.hear() for _ in range(5)] == [
        {"ok": True, "seq": 3}, {"ok": True, "seq": 4}, REPEATED,
        {"ok": False,
         "error": "not a JSON object: expected a brace at byte 1"},
        {"ok": True, "seq": 5}]
    assert [one["id"] for one in reader.journal] == ["a", "a", "b", "c", "d"]
    assert reader.stop() == 0


def test_an_id_is_known_after_a_start_and_after_a_kill(reader):
    for round_, end in enumerate((reader.stop, reader.kill, reader.kill)):
        reader.start()
        inbox = Inbox(reader.inbox)
        for number in range(round_):
            assert inbox.say(api_message(f"id-{number}")).hear() == REPEATED
        assert inbox.say(api_message(f"id-{round_}")).hear() == \
            {"ok": True, "seq": round_ + 1}
        end()
    assert len(reader.journal) == 3


@pytest.mark.parametrize("name", [
    7, None, "", "x" * 129, "two words", "\u00e9", "nul\u0000", "\ufffd", {},
    pytest.param("x" * 5_000_000, id="5 MB")])
def test_what_cannot_be_an_id_is_none(reader, name):
    reader.start()
    inbox = Inbox(reader.inbox)
    for seq in (1, 2):
        assert inbox.say(api_message(name)).hear() == {"ok": True, "seq": seq}
    assert inbox.say(b'{"type":"a","id":"%s"}' % (b"x" * 128)).hear()["seq"]
    assert inbox.say(b'{"type":"a","id":"%s\\u0078"}' % (b"x" * 127)).hear() \
        == REPEATED
    for seq in (4, 5):	# without a type it is no kind of record that has one
        assert inbox.say(b'{"id":"1"}').hear() == {"ok": True, "seq": seq}


def test_an_id_that_was_refused_is_new_again(reader):
    """Also for the repetition that stood behind it, of another client."""
    reader.start()
    pid = reader.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (5000, limits[1]))
    line = api_message("a", text="x" * 5000)
    for inbox in (Inbox(reader.inbox), Inbox(reader.inbox)):
        inbox.say(line + b"\n" + line)
        answers = [inbox.hear(), inbox.hear()]
        assert not any(one["ok"] for one in answers) and answers[0]["retry"]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    inbox = Inbox(reader.inbox)
    assert inbox.say(line).hear() == {"ok": True, "seq": 1}
    assert inbox.say(line).hear() == REPEATED
    assert len(reader.journal) == 1


def test_an_id_from_many_at_once_comes_in_once(reader):
    reader.start()
    clients = [Inbox(reader.inbox) for _ in range(16)]
    for round_ in range(20):
        line = api_message(f"round-{round_}")
        for inbox in clients:
            inbox.say(line)
        answers = [inbox.hear() for inbox in clients]
        assert sorted(map(str, answers)) == sorted(map(
            str, [{"ok": True, "seq": round_ + 1}] + [REPEATED] * 15))
    assert len(reader.journal) == 20


def wait_inbox(reader):
    """Its file is there a moment before anybody listens."""
    while True:
        try:
            return Inbox(reader.inbox)
        except (FileNotFoundError, ConnectionRefusedError):
            assert reader.process.poll() is None, reader.said
            time.sleep(0.005)


def hand_in_all(reader, lines):
    """Like a client that outlives the deaths of the reader. Its deaths."""
    deaths = 0
    while lines:
        reader.start(wait=False)
        inbox = wait_inbox(reader)
        answered = 0
        try:
            for start in range(0, len(lines), 100):
                group = lines[start:start + 100]
                inbox.say(b"\n".join(group))
                if deaths < 8 and start == 100 * (deaths % 4):
                    time.sleep(deaths * 0.0004)
                    reader.kill()
                for _ in group:
                    assert inbox.hear()["ok"]
                    answered += 1
        except (OSError, json.JSONDecodeError):
            deaths += 1
        lines = lines[answered:]
        reader.kill()
        reader.inbox.unlink(missing_ok=True)
    return deaths


def test_with_ids_nothing_is_lost_or_doubled_by_kills(reader):
    names = [f"{number:05}" for number in range(3000)]
    assert hand_in_all(reader, list(map(api_message, names))) == 8
    assert [one["id"] for one in reader.journal] == names


def hand_in_ids(inbox, numbers):
    for start in range(0, len(numbers), 200):
        group = numbers[start:start + 200]
        inbox.say(b"\n".join(b'{"type":"t","id":"%x"}' % number
                             for number in group))
        for _ in group:
            assert "seq" in inbox.hear()


def test_the_last_65536_ids_are_remembered_in_bounded_memory(reader):
    reader.start(stdout=os.open(os.devnull, os.O_WRONLY))
    inbox = Inbox(reader.inbox)
    hand_in_ids(inbox, range(70_000))
    before = resident(reader.process.pid)
    hand_in_ids(inbox, range(70_000, 200_000))
    if not is_sanitized():
        assert resident(reader.process.pid) - before < 3000
    for number in (200_000 - 65_536, 199_999):
        assert inbox.say(b'{"type":"t","id":"%x"}' % number).hear() == \
            REPEATED
    reader.kill()
    reader.start()
    inbox = Inbox(reader.inbox)
    for number in (200_000 - 65_536, 199_999):
        assert inbox.say(b'{"type":"t","id":"%x"}' % number).hear() == \
            REPEATED


def test_a_flood_of_the_inbox_makes_slack_no_twins(reader):
    reader.start()
    sent = reader.slack.send("once")
    reader.wait_records(1)
    hand_in_ids(Inbox(reader.inbox), range(140_000))
    event = {"type": "message", "channel": sent["channel"],
             "user": "U0HUMAN001", "text": "once", "ts": sent["ts"]}
    reader.slack.control("raw", text=json.dumps({
        "envelope_id": "e-1", "type": "events_api", "payload": {
            "type": "event_callback", "event_id": "Ev-again",
            "event": event}}))
    reader.slack.send("the last")
    reader.wait_records(1, text="the last", timeout=60)
    assert len(reader.wait_records(1, ts=sent["ts"])) == 1


def test_a_removed_journal_ends_it_for_a_new_start(reader):
    reader.start()
    shutil.rmtree(reader.state / "journal")
    reader.slack.send("where to?")
    assert reader.wait() == EX_IOERR
    assert "removed" in reader.said


def test_a_full_journal_shuts_the_door(reader):
    read_end, write_end = os.pipe()  # what was not read cannot go
    reader.start("--journal-bytes", "64MiB", stdout=write_end)
    os.close(write_end)
    line = json.dumps({"type": "api_message", "text": "x" * 4_000_000}).encode()
    answers = [Inbox(reader.inbox).say(line).hear() for _ in range(20)]
    assert answers[0]["ok"] and not answers[-1]["ok"]
    assert "full" in answers[-1]["error"]
    assert sum(path.stat().st_size for path in
               (reader.state / "journal").glob("*.ndjson")) <= 64 << 20
    with os.fdopen(read_end, "rb") as pipe:
        taken = 0
        while taken < sum(answer["ok"] for answer in answers):
            taken += pipe.read1(1 << 20).count(b"\n")
        end = time.monotonic() + 15
        while not (answer := Inbox(reader.inbox).say(line).hear())["ok"]:
            assert time.monotonic() < end, answer
            time.sleep(0.2)
    assert answer["seq"] == taken + 1
    assert "written again" in reader.said


def test_a_full_disk_shuts_the_door(reader):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    reader.start(preexec_fn=limit)
    line = json.dumps({"type": "api_message", "text": "x" * 50_000}).encode()
    answers = [Inbox(reader.inbox).say(line).hear() for _ in range(10)]
    assert answers[0]["ok"] and not answers[-1]["ok"]
    sent = reader.slack.send("y" * 100_000)
    time.sleep(0.5)
    assert sent["event_id"] not in reader.slack.acks()
    reader.wait_records(sum(answer["ok"] for answer in answers))
    assert reader.output.read_bytes().endswith(b"\n")


# --- its status --------------------------------------------------------------


def test_tells_whether_it_is_connected(reader):
    reader.slack.fail_next("apps.connections.open", times=99,
                           error="internal_error")
    reader.start("--status", reader.status, wait=False)
    first = reader.wait_tells(slack="connecting")
    assert first == {"slack": "connecting", "since": first["since"],
                     "connections": "0", "seq": "0", "journal": "ok",
                     "pid": str(reader.process.pid)}
    reader.slack.control("heal")
    second = reader.wait_tells(slack="connected", connections="2", timeout=60)
    assert second["since"] > first["since"]
    reader.slack.send("one")
    reader.wait_tells(seq="1")
    reader.slack.fail_next("apps.connections.open", times=99,
                           error="internal_error")
    reader.slack.kill("oldest")
    assert reader.wait_tells(connections="1")["since"] == second["since"]
    reader.slack.kill()
    third = reader.wait_tells(slack="connecting", connections="0")
    assert third["since"] > second["since"]
    reader.slack.control("heal")
    reader.wait_tells(slack="connected", connections="2", timeout=60)
    assert reader.stop() == 0
    assert reader.tells["slack"] == "connecting"
    assert reader.tells["connections"] == "0"


def test_a_dead_connection_is_none(reader):
    reader.start(*QUICK, "--status", reader.status)
    reader.wait_tells(slack="connected", connections="2")
    reader.slack.fail_next("apps.connections.open", times=99,
                           error="internal_error")
    reader.slack.blackhole()
    reader.wait_tells(slack="connecting", connections="0")


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
def test_tells_that_slack_refuses_for_good(reader, method):
    reader.slack.fail_next(method, times=99, error="invalid_auth")
    reader.start("--status", reader.status, wait=False)
    assert reader.wait() == EX_CONFIG
    assert reader.tells["slack"] == "refused"


def test_tells_that_socket_mode_is_switched_off(reader):
    reader.start("--status", reader.status)
    reader.wait_tells(slack="connected")
    reader.slack.control("disable")
    reader.wait_tells(slack="refused", connections="0")
    reader.kill()
    reader.start("--status", reader.status, wait=False)
    reader.wait_tells(slack="refused", pid=str(reader.process.pid))


def test_tells_the_last_record_once_a_second_at_most(reader):
    reader.start("--status", reader.status)
    reader.wait_tells(slack="connected", connections="2")
    inbox = Inbox(reader.inbox)
    times = set()
    start = time.monotonic()
    for number in range(400):
        inbox.say(b"{}").hear()
        times.add(reader.status.stat().st_mtime_ns)
        time.sleep(0.003)
    seconds = time.monotonic() - start
    assert 2 <= len(times) <= seconds + 2
    reader.wait_tells(seq="400")


@pytest.fixture
def disk(tmp_path, reader):
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk", 4 << 20)
    reader.enter = disk.enter
    reader.state = tmp_path / "disk" / "state"
    reader.status = disk.root / "status"
    yield disk
    reader.kill()
    disk.stop()


def test_tells_on_a_full_disk_that_it_is_full(reader, disk):
    """And that it no longer is, though nothing comes in any more."""
    reader.start("--status", disk.path / "status")
    reader.wait_tells(slack="connected", connections="2", journal="ok")
    line = api_message("a", text="x" * 50_000)
    assert Inbox(reader.inbox).say(line).hear()["ok"]
    disk.fill()
    answer = Inbox(reader.inbox).say(api_message("b", text="y" * 9000)).hear()
    assert answer == {"ok": False, "error": "No space left on device",
                      "retry": True}
    reader.wait_tells(journal="full")
    time.sleep(1.2)             # it has looked for room
    assert reader.tells["journal"] == "full"
    assert reader.said.count("nothing is taken") == 1
    disk.clear()
    reader.wait_tells(journal="ok")
    reader.wait_said("written again")
    assert disk.root.joinpath("state", "journal").is_dir()
    assert Inbox(reader.inbox).say(line).hear() == REPEATED
    assert Inbox(reader.inbox).say(api_message("b")).hear() == \
        {"ok": True, "seq": 2}
    journal, = (disk.root / "state" / "journal").glob("*.ndjson")
    assert journal.stat().st_blocks * 512 < 200_000     # no room is kept
    assert reader.stop() == 0


def test_a_status_that_cannot_be_written_is_said_once(reader, tmp_path):
    reader.start("--status", tmp_path / "nowhere" / "status")
    reader.slack.send("one")
    reader.wait_records(1)
    time.sleep(1.5)
    assert reader.said.count("No such file") == 1
    (tmp_path / "nowhere").mkdir()
    reader.status = tmp_path / "nowhere" / "status"
    reader.wait_tells(slack="connected", seq="1")


# --- what it costs and what it gives away -----------------------------------


def resident(pid, what="VmRSS"):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(what + r":\s*(\d+)", status)[1])


def used_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def test_idle_it_uses_no_processor(reader):
    reader.start()
    reader.slack.send("one")
    reader.wait_records(1)
    time.sleep(1)
    before = used_seconds(reader.process.pid)
    time.sleep(3)
    assert used_seconds(reader.process.pid) - before <= 0.03


def test_tls_with_the_right_certificate_only(tmp_path):
    with FakeSlack(tls=True) as slack:
        reader = Reader(slack, tmp_path).start()
        try:
            slack.send("by TLS")
            reader.wait_records(1, text="by TLS")
            slack.refresh("oldest", warning=0.1)
            slack.wait_for("hello", 3, timeout=20)
            slack.send("again")
            reader.wait_records(1, text="again")
        finally:
            reader.stop()
        ca_file, slack.about["ca_file"] = slack.about["ca_file"], None
        other = Reader(slack, tmp_path / "other")
        (tmp_path / "other").mkdir()
        other.start(wait=False)
        other.wait_said("ertificate|TLS|SSL")
        assert other.process.poll() is None
        other.kill()
        assert slack.seen("api")[-1]["status"] == 200
        slack.about["ca_file"] = ca_file


def test_tokens_stand_nowhere(reader):
    reader.start()
    reader.slack.send("hello")
    reader.slack.kill("oldest")
    reader.slack.fail_next("users.info", error="missing_scope")
    reader.wait_records(1)
    cmdline = pathlib.Path(
        f"/proc/{reader.process.pid}/cmdline").read_bytes()
    reader.slack.wait_for("hello", 3, timeout=20)
    reader.stop()
    everything = [cmdline, reader.said.encode()] + [
        path.read_bytes() for path in reader.state.rglob("*")
        if path.is_file()]
    for token in (APP_TOKEN.encode(), BOT_TOKEN.encode(), b"ticket="):
        assert not any(token in content for content in everything)


def test_a_message_tells_where_it_stands_and_whom_it_is_for(reader):
    reader.start()
    me = reader.slack.about.get("bot_user", "U0BOTUSER1")
    first = reader.slack.send("a word")
    reader.slack.send("an answer", thread_ts=first["ts"])
    reader.slack.send(f"<@{me}> help")
    reader.slack.edit(first, "a better word")
    plain, = reader.wait_records(1, text="a word")
    answer, = reader.wait_records(1, text="an answer")
    command, = reader.wait_records(1, text=f"<@{me}> help")
    edit, = reader.wait_records(1, subtype="message_changed")
    place = plain["permalink"]
    assert place.startswith("https://") and place.endswith(
        f".slack.com/archives/{CHANNEL}/p{first['ts'].replace('.', '')}")
    assert edit["permalink"] == place
    assert answer["permalink"].endswith(
        f"?thread_ts={first['ts']}&cid={CHANNEL}")
    assert command["addressed"] == me
    assert "addressed" not in plain and "addressed" not in answer
