"""slack-send when Slack fails or refuses: each case ends as the manual says."""
import os
import signal

import pytest

from conftest import run_program
from slack import FakeSlack
from test_slack_send import ask, message
from test_slack_send_live import (  # noqa: F401, pylint: disable=unused-import
    CHANNEL, CHANNELS, path, seqs, slack, start, states, wait_for)

POST, LONG = "chat.postMessage", "line of a log\n" * 200
STEPS = ["files.getUploadURLExternal", "upload",
         "files.completeUploadExternal"]

# What may go better later: the fault, and whether Slack carried it out.
PASSING = {
    "429": {"status": 429, "retry_after": 1},
    "429, no JSON": {"status": 429, "retry_after": 1, "body": "html"},
    "429, nothing": {"status": 429, "retry_after": 1, "body": "empty"},
    "ratelimited with 200": {"error": "ratelimited", "retry_after": 1},
    "500": {"status": 500},
    "502 of a proxy": {"status": 502, "body": "html"},
    "503, nothing": {"status": 503, "body": "empty"},
    "ok false": {"error": "internal_error"},
    "ok false, service away": {"error": "service_unavailable"},
    "no ok at all": {"body": "no_ok"},
    "no JSON": {"body": "{\"ok\":tr"},
    "another JSON": {"body": "[true]"},
    "reset": {"reset": True},
    "half an answer": {"half": True},
}
CARRIED_OUT = {
    "reset": {"after": True, "reset": True},
    "half an answer": {"after": True, "half": True},
    "500": {"after": True, "status": 500},
    "fatal_error": {"after": True, "error": "fatal_error"},
    "no JSON": {"after": True, "body": "hello"},
}


def drain(path, slack, *lines, arguments=(), env=None):  # noqa: F811
    done = run_program("slack-send", "--outbox", path, "--drain", *arguments,
                       stdin=b"".join(lines),
                       env={**slack.environment, **(env or {})}, timeout=90)
    said = done.stderr.decode()
    assert done.returncode == 0, said
    assert "xoxb-" not in said and "line 1" not in said
    assert len(said.splitlines()) <= 4, said
    return said


def look(path, what="state, reason, attempts, limited"):    # noqa: F811
    return ask(path, f"SELECT {what} FROM message ORDER BY number")


def contents(slack):                                        # noqa: F811
    return [(post["text"], [file["text"] for file in post["files"]])
            for post in slack.posts()]


# --- what passes -------------------------------------------------------------

@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_post_is_tried_again(slack, path, fault):         # noqa: F811
    slack.fail_next(POST, **fault)
    drain(path, slack, message(1, channel=CHANNEL),
          message(2, channel=CHANNEL))
    assert states(path) == {"sent": 2} and seqs(slack) == [1, 2]
    (_, _, attempts, limited), second = look(path)
    is_limit = "retry_after" in fault
    assert (attempts, limited) == ((1, 1) if is_limit else (2, 0))
    assert second[2:] == (1, 0)
    no_answer = "reset" in fault or "half" in fault
    assert look(path, "broken") == [(int(no_answer),), (0,)]


@pytest.mark.parametrize("channel, method", [
    ("#qa", "users.conversations"), ("U0HUMAN002", "conversations.open")])
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_channel_is_sought_again(slack, path, channel,    # noqa: F811
                                   method, fault):
    slack.fail_next(method, **fault)
    drain(path, slack, message(1, channel=channel),
          message(2, channel=CHANNELS[1]), message(3, channel=channel))
    assert states(path) == {"sent": 3}
    assert [seq for seq in seqs(slack) if seq != 2] == [1, 3]
    assert len(slack.calls(method)) == 2


@pytest.mark.parametrize("channel, method, error", [
    ("#qa", "users.conversations", "a_word_of_tomorrow"),
    ("#qa", "users.conversations", "invalid_cursor"),
    ("#qa", "users.conversations", "missing_scope"),
    ("#qa", "users.conversations", "access_denied"),
    ("U0HUMAN002", "conversations.open", "missing_scope"),
    ("U0HUMAN002", "conversations.open", "access_denied")])
def test_what_cannot_be_looked_up_slack_may_know(   # noqa: F811
        slack, path, channel, method, error):
    slack.fail_next(method, error=error)
    drain(path, slack, message(1, channel=channel),
          message(2, channel=channel))
    assert seqs(slack) == [1, 2] and states(path) == {"sent": 2}


@pytest.mark.parametrize("method", [
    POST, *STEPS, "users.conversations", "conversations.open"])
@pytest.mark.parametrize("fault", [
    {"status": 429, "retry_after": 1, "body": "empty"},
    {"error": "ratelimited", "retry_after": 1}, {"status": 503}],
    ids=["429", "ratelimited", "503"])
def test_what_never_passes_is_given_up(slack, path, method,     # noqa: F811
                                       fault):
    if method == "upload" and fault.get("error"):
        pytest.skip("any 200 means that the bytes arrived")
    channel = {"users.conversations": "#qa",
               "conversations.open": "U0HUMAN002"}.get(method, CHANNEL)
    slack.fail_next(method, times=1000, **fault)
    drain(path, slack, message(1, channel=channel,
                               payload=LONG if method in STEPS else ""),
          *([] if method == POST else [message(2, channel=CHANNELS[1])]),
          arguments=("--give-up-after", 3))
    (state, reason, _, limited), *other = look(path)
    assert state == "failed" and reason.startswith("given up: ")
    assert (limited > 0) == (fault.get("status") != 503)
    assert [row[0] for row in other] in ([], ["sent"])
    assert 1 not in seqs(slack)


# Where the bytes go any 200 means that they arrived.
UPLOADS = [pytest.param(step, fault, id=f"{name}, {step}")
           for step in STEPS for name, fault in PASSING.items()
           if step != "upload" or fault.get("status", 200) != 200
           or "reset" in fault or "half" in fault]


@pytest.mark.parametrize("step, fault", UPLOADS)
def test_an_upload_is_tried_again(slack, path, step, fault):  # noqa: F811
    slack.fail_next(step, **fault)
    drain(path, slack, message(1, channel=CHANNEL, payload=LONG),
          message(2, channel=CHANNEL))
    assert states(path) == {"sent": 2}
    assert contents(slack) == [("*Build*\nline 1", [LONG]),
                               ("*Build*\nline 2", [])]


@pytest.mark.parametrize("method, payload", [
    (POST, ""), ("files.completeUploadExternal", LONG)], ids=["post", "file"])
@pytest.mark.parametrize("fault", CARRIED_OUT.values(), ids=CARRIED_OUT)
def test_what_slack_has_done_is_not_done_again(     # noqa: F811
        slack, path, method, payload, fault):
    slack.fail_next(method, **fault)
    drain(path, slack, message(1, channel=CHANNEL, payload=payload),
          message(2, channel=CHANNEL))
    assert states(path) == {"sent": 2}
    assert [text for text, _ in contents(slack)] == [
        "*Build*\nline 1", "*Build*\nline 2"]
    assert all(ts for ts, in look(path, "slack_ts"))


def test_an_answer_that_does_not_come(slack, path):         # noqa: F811
    """The time of a request is 20 s; it was carried out meanwhile."""
    slack.fail_next(POST, after=True, hang=True, seconds=30)
    drain(path, slack, message(1, channel=CHANNEL))
    assert states(path) == {"sent": 1} and seqs(slack) == [1]


def test_a_429_that_does_not_say_how_long(slack, path):     # noqa: F811
    slack.fail_next(POST, status=429, body="empty")
    drain(path, slack, message(1, channel=CHANNEL))
    first, = slack.posts()
    made, = look(path, "created")[0]
    assert first["time"] - made / 1e6 > 25
    assert look(path)[0] == ("sent", None, 1, 1)


def test_a_channel_that_has_to_wait_stops_no_other(slack, path):  # noqa: F811
    slack.fail_next(POST, status=429, retry_after=4)
    drain(path, slack, message(1, channel=CHANNELS[0]),
          message(2, channel=CHANNELS[0]), message(3, channel=CHANNELS[1]),
          message(4, channel=CHANNELS[1]))
    assert seqs(slack) in ([1, 2, 3, 4], [3, 4, 1, 2])


def test_the_quota_of_the_workspace_stops_all(slack, path):  # noqa: F811
    slack.fail_next(POST, error="message_limit_exceeded", retry_after=2)
    drain(path, slack, *(message(seq, channel=CHANNELS[seq])
                         for seq in range(3)))
    times = [post["time"] for post in slack.posts()]
    assert len(times) == 3
    made, = look(path, "max(created)")[0]
    assert times[-1] - made / 1e6 > 1.5


# --- what does not pass ------------------------------------------------------

@pytest.mark.parametrize("error", [
    "channel_not_found", "not_in_channel", "is_archived", "msg_too_long",
    "restricted_action", "invalid_blocks", "a_word_of_tomorrow"])
def test_what_cannot_go_better_has_failed(slack, path, error):  # noqa: F811
    slack.fail_next(POST, error=error)
    drain(path, slack, message(1, channel=CHANNEL),
          message(2, channel=CHANNEL))
    assert look(path) == [("failed", error, 1, 0), ("sent", None, 1, 0)]
    assert seqs(slack) == [2]


@pytest.mark.parametrize("step, error", [
    (STEPS[0], "file_uploads_disabled"), (STEPS[0], "storage_limit_reached"),
    (STEPS[2], "posting_to_channel_denied"), (STEPS[2], "not_in_channel")])
def test_an_upload_that_is_refused_has_failed(      # noqa: F811
        slack, path, step, error):
    slack.fail_next(step, error=error)
    drain(path, slack, message(1, channel=CHANNEL, payload=LONG),
          message(2, channel=CHANNEL))
    (state, reason, *_), second = look(path)
    assert state == "failed" and reason.startswith(error)
    assert second[:2] == ("sent", None)


@pytest.mark.parametrize("scope, payload", [
    ("chat:write", ""), ("files:write", LONG)])
def test_a_scope_that_is_missing_is_named(slack, path, scope,   # noqa: F811
                                          payload):
    slack.control("token", name="bot", without=scope)
    drain(path, slack, message(1, channel=CHANNEL, payload=payload))
    (state, reason, *_), = look(path)
    assert state == "failed" and reason.startswith("missing_scope: ")
    assert scope in reason


@pytest.mark.parametrize("channel, payload", [
    ("#nowhere", ""), ("nowhere", LONG), ("C0NOWHERE99", ""),
    ("U0NOBODY999", "")])
def test_there_is_no_such_channel(slack, path, channel, payload):  # noqa: F811
    drain(path, slack, message(1, channel=channel, payload=payload))
    (state, reason, *_), = look(path)
    assert state == "failed" and "not_found" in reason
    assert slack.posts() == []


@pytest.mark.parametrize("error", ["invalid_auth", "account_inactive",
                                   "token_revoked"])
def test_a_refused_token_stops_all_and_fails_nothing(   # noqa: F811
        slack, path, start, error):
    slack.control("token", name="bot", error=error)
    with start() as sender:
        sender.pass_on(*(message(seq, channel=CHANNELS[seq])
                         for seq in range(4)))
        said = sender.says("nothing is sent")
        assert error in said or "SLACK_BOT_TOKEN" in said
        wait_for(lambda: states(path) == {"queued": 4})
        sender.child.terminate()
        sender.child.wait(10)
    slack.control("token", name="bot", error=None)
    drain(path, slack)
    assert states(path) == {"sent": 4} and sorted(seqs(slack)) == [0, 1, 2, 3]


def test_what_is_denied_to_one_message_stops_no_other(slack, path):  # noqa: F811
    """auth.test takes the token: so it is about what the message wants."""
    slack.fail_next(POST, error="access_denied")
    drain(path, slack, message(1, channel=CHANNEL),
          message(2, channel=CHANNEL), message(3, channel=CHANNELS[1]))
    assert states(path) == {"failed": 1, "sent": 2}
    (reason,), = ask(path, "SELECT reason FROM message"
                     " WHERE state = 'failed'")
    assert reason == "access_denied"


def test_a_token_of_another_kind_fails_nothing(slack, path, start):  # noqa: F811
    app = slack.environment["SLACK_APP_TOKEN"]
    with start(env={"SLACK_BOT_TOKEN": app}) as sender:
        sender.pass_on(message(1, channel=CHANNEL))
        assert "not_allowed_token_type" in sender.says("nothing is sent")
        sender.child.terminate()
        sender.child.wait(10)
    drain(path, slack)
    assert seqs(slack) == [1] and states(path) == {"sent": 1}


def test_a_mended_token_lets_all_channels_go_on(slack, path, start):  # noqa: F811
    channels = [f"C0MANY{n:04}" for n in range(30)]
    for channel in channels:
        slack.control("add_channel", id=channel, name=channel.lower(),
                      members=["U0ULTRON01"])
    slack.control("token", name="bot", error="token_expired")
    with start() as sender:
        sender.pass_on(*(message(seq, channel=channels[seq % 30])
                         for seq in range(1, 61)))
        sender.says("nothing is sent")
        slack.control("token", name="bot", error=None)
        sender.child.send_signal(signal.SIGHUP)
        sender.child.send_signal(signal.SIGHUP)
        wait_for(lambda: states(path) == {"sent": 60}, timeout=40)
        assert sender.end() == 0
        said = sender.says("takes the token again").splitlines()
        assert len(said) == 2
    for channel in channels:
        assert seqs(slack, channel) == sorted(seqs(slack, channel))
    assert sorted(seqs(slack)) == list(range(1, 61))


@pytest.mark.parametrize("error", ["access_denied",
                                   "team_access_not_granted"])
def test_a_channel_is_no_token(slack, path, error):         # noqa: F811
    """The same words may be meant for one channel: others go on."""
    slack.control("change_channel", id=CHANNEL, refuses=error)
    drain(path, slack, message(1, channel=CHANNEL),
          *(message(seq, channel=CHANNELS[1]) for seq in range(2, 5)))
    assert seqs(slack) == [2, 3, 4]
    assert look(path)[0] == ("failed", error, 1, 0)


def test_a_long_message_that_waits_takes_no_room(slack, path,   # noqa: F811
                                                 start):
    """Three that do not fit into memory together."""
    slack.fail_next(STEPS[0], status=503, times=20)
    long = "x" * (15 << 20)
    with start() as sender:
        sender.pass_many([
            message(seq, channel=CHANNELS[seq], payload=long, title=f"{seq}")
            for seq in range(3)])
        slack.wait_until(lambda fake: len({
            call["arguments"]["filename"]
            for call in fake.calls(STEPS[0])}) == 3, timeout=20)
        sender.pass_on(message(3, channel=CHANNELS[3]))
        wait_for(lambda: states(path).get("sent") == 1)
        slack.control("heal")
        wait_for(lambda: states(path) == {"sent": 4}, timeout=60)
        assert sender.end() == 0
    assert sorted(len(files[0]) for _, files in contents(slack)
                  if files) == [15 << 20] * 3


def test_a_part_that_fails_ends_the_message(slack, path):   # noqa: F811
    slack.fail_next(POST, delay=0.01)
    slack.fail_next(POST, error="msg_too_long")
    drain(path, slack, message(1, channel=CHANNEL, text="word\n" * 1500),
          message(2, channel=CHANNEL))
    assert look(path, "state, reason, part, slack_ts IS NOT NULL") == [
        ("failed", "msg_too_long", 1, 1), ("sent", None, 1, 1)]
    assert seqs(slack) == [1, 2]
    run_program("slack-send", "--outbox", path, "--replay-dead")
    drain(path, slack)
    assert seqs(slack) == [1, 2, 1] and states(path) == {"sent": 2}


def test_a_digest_fails_with_all_it_carries(slack, path):   # noqa: F811
    slack.fail_next(POST, delay=0.01, times=2)
    slack.fail_next(POST, error="is_archived")
    drain(path, slack, *(message(seq, channel=CHANNEL)
                         for seq in range(1, 51)),
          arguments=("--digest-after", 2))
    rows = look(path, "seq, state, reason, attempts")
    assert [row[1] for row in rows].count("sent") == 2
    dead = [row for row in rows if row[1] == "failed"]
    assert len(dead) == 49      # and the digest itself
    assert {row[2:] for row in dead} == {("is_archived", 1)}
    assert seqs(slack) == [1, 2]


# --- no Slack at all ---------------------------------------------------------

def test_a_host_that_has_no_address(slack, path):           # noqa: F811
    drain(path, slack, message(1, channel=CHANNEL),
          arguments=("--give-up-after", 2),
          env={"SLACK_API_URL": "https://slack.nowhere.invalid/api/"})
    (state, reason, *_), = look(path)
    assert state == "failed" and reason.startswith("given up: ")
    assert "slack.nowhere.invalid" in reason


@pytest.mark.parametrize("certificate", ["wrong_name", "unknown_ca"])
def test_a_certificate_that_is_not_slacks(path, certificate):  # noqa: F811
    with FakeSlack("--certificate", certificate, tls=True) as fake:
        drain(path, fake, message(1, channel=CHANNEL), arguments=(
            "--give-up-after", 2, "--ca-file", fake.ca_file))
        assert fake.posts() == []
    (state, reason, *_), = look(path)
    assert state == "failed" and reason.startswith("given up: ")
    assert "certificate" in reason.lower() or "SSL" in reason


def test_a_slack_that_comes_back_gets_all(slack, path, start):  # noqa: F811
    url = slack.environment["SLACK_API_URL"]
    away = {**os.environ, "SLACK_API_URL": "http://127.0.0.1:9/api/"}
    with start(env={"SLACK_API_URL": away["SLACK_API_URL"]}) as sender:
        sender.pass_on(message(1, channel=CHANNEL),
                       message(2, channel=CHANNEL))
        wait_for(lambda: look(path, "broken")[0][0] > 0)
        sender.child.terminate()
        sender.child.wait(10)
    drain(path, slack, env={"SLACK_API_URL": url})
    assert seqs(slack) == [1, 2]


# --- answers of the wrong shape ----------------------------------------------

@pytest.mark.parametrize("method, answer", [
    (POST, {"ok": True, "ts": 17, "channel": {}}),
    (POST, {"ok": True}),
    (POST, {"ok": True, "ts": "9" * 100000, "channel": "C" * 100000}),
    (POST, {"ok": True, "ts": "1.1\n", "channel": "#qa"}),
    (POST, {"ok": True, "ts": ["1.1"], "channel": None}),
    (STEPS[0], {"ok": True, "upload_url": None, "file_id": "F1"}),
    (STEPS[0], {"ok": True, "upload_url": "ftp://a.test/", "file_id": "F1"}),
    (STEPS[0], {"ok": True, "upload_url": "http://a.test/x", "file_id": "F"}),
    (STEPS[0], {"ok": True, "upload_url": "x" * 100000, "file_id": "F1"}),
    (STEPS[0], {"ok": True, "upload_url": ["https://a.test/"]}),
    (STEPS[0], {"ok": True, "upload_url": "https://u:p@a.test/x",
                "file_id": "F0000000001"}),
    (STEPS[0], {"ok": True, "upload_url": "https://a.test/" + "x" * (1 << 20),
                "file_id": "F0000000001"}),
    (STEPS[0], {"ok": True, "upload_url": "https://a.test/x",
                "file_id": "F" * 100000}),
    (STEPS[0], {"ok": True, "upload_url": "https://a.test/x", "file_id": 7}),
    (STEPS[2], {"ok": True, "files": "F1"}),
    ("files.info", {"ok": True, "file": {"shares": [1, {"C": 1}]}}),
    ("users.conversations", {"ok": True, "channels": {"name": "x"}}),
    ("users.conversations", {"ok": True, "channels": [
        {"id": 1, "name": []}, {"id": "../x", "name": "qa"}, None]}),
    ("users.conversations", {"ok": True, "channels": [], "response_metadata":
                             {"next_cursor": ["x"]}}),
    ("conversations.open", {"ok": True, "channel": "D1"}),
    ("conversations.open", {"ok": True, "channel": {"id": ["D0000000001"]}}),
    ("conversations.open", {"ok": True, "channel": {"id": "../../x"}}),
    ("conversations.open", {"ok": True}),
])
def test_fields_of_wrong_types_do_no_harm(slack, path, method,  # noqa: F811
                                          answer):
    name = {"users.conversations": "#qa",
            "conversations.open": "U0HUMAN002"}.get(method, CHANNEL)
    payload = LONG if method in (*STEPS, "files.info") else ""
    slack.fail_next(method, answer=answer, after=method == POST)
    drain(path, slack, message(1, channel=name, payload=payload),
          message(2, channel=CHANNELS[1]))
    assert set(states(path)) == {"sent"}
    assert sorted(seqs(slack) if not payload else [1, 2]) == [1, 2]
    assert look(path, "max(length(slack_ts)) < 32")[0][0] == 1
    assert look(path, "max(length(slack_channel)) < 65")[0][0] == 1


def test_a_list_without_an_end_ends(slack, path):           # noqa: F811
    slack.fail_next("users.conversations", times=1000, answer={
        "ok": True, "channels": [],
        "response_metadata": {"next_cursor": "again"}})
    drain(path, slack, message(1, channel="#qa"),
          message(2, channel="#builds"))
    assert states(path) == {"sent": 2}
    assert len(slack.calls("users.conversations")) == 25
