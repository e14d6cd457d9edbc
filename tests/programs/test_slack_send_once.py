"""slack-send sends each message once, as far as Slack lets it find out."""
import sqlite3

import pytest

from test_slack_send import message
from test_slack_send_errors import (
    LONG, POST, STEPS, contents, drain, look)
from test_slack_send_live import (  # noqa: F401, pylint: disable=unused-import
    CHANNEL, path, seqs, slack, start, states, wait_for)

HISTORY = "conversations.history"
NEITHER = "no answer came, and Slack does not say whether it was posted"


def die_while_it_hangs(slack, path, start, method, line,    # noqa: F811
                       after):
    """Killed after a request was made: with `after` it was carried out."""
    slack.fail_next(method, after=after, hang=True)
    with start() as sender:
        sender.pass_on(line)
        slack.wait_until(lambda fake: not fake.state()["faults"])
        wait_for(lambda: states(path).get("sending"))
        sender.kill()
    slack.control("heal")


# --- deaths ------------------------------------------------------------------

@pytest.mark.parametrize("after", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("method", [POST, *STEPS])
def test_death_at_any_step(slack, path, start, method, after):  # noqa: F811
    payload = "" if method == POST else LONG
    die_while_it_hangs(slack, path, start, method,
                       message(1, channel=CHANNEL, payload=payload), after)
    drain(path, slack, message(2, channel=CHANNEL))
    assert states(path) == {"sent": 2}
    assert contents(slack) == [("*Build*\nline 1", [LONG] if payload else []),
                               ("*Build*\nline 2", [])]
    assert all(ts for ts, in look(path, "slack_ts"))


@pytest.mark.parametrize("fault", [
    {"status": 500}, {"reset": True}, {"half": True},
    {"status": 429, "retry_after": 1}], ids=str)
@pytest.mark.parametrize("channel, method", [
    ("#qa", "users.conversations"), ("U0HUMAN002", "conversations.open")])
def test_what_is_in_doubt_stays_so_while_its_channel_is_sought(  # noqa: F811
        slack, path, start, channel, method, fault):
    die_while_it_hangs(slack, path, start, POST, message(1, channel=channel),
                       after=True)
    slack.fail_next(method, **fault)
    drain(path, slack, message(2, channel=channel))
    assert states(path) == {"sent": 2}
    assert seqs(slack) == [1, 2]


@pytest.mark.parametrize("fault", [
    {"status": 500}, {"half": True}, {"status": 429, "retry_after": 1},
    {"error": "token_revoked"}], ids=str)
@pytest.mark.parametrize("method, asked, payload", [
    (POST, HISTORY, ""), (STEPS[2], "files.info", LONG)])
def test_slack_is_asked_until_it_answers(slack, path, start,    # noqa: F811
                                         method, asked, payload, fault):
    die_while_it_hangs(slack, path, start, method,
                       message(1, channel=CHANNEL, payload=payload), True)
    slack.fail_next(asked, **fault)
    drain(path, slack, message(2, channel=CHANNEL))
    assert states(path) == {"sent": 2}
    assert [text for text, _ in contents(slack)] == [
        "*Build*\nline 1", "*Build*\nline 2"]


def test_a_post_among_many_newer_ones_is_found(slack, path, start):  # noqa: F811
    die_while_it_hangs(slack, path, start, POST,
                       message(1, channel=CHANNEL), after=True)
    slack.send_many(900)
    drain(path, slack)
    assert seqs(slack) == [1] and states(path) == {"sent": 1}


def test_slack_may_show_few_messages_at_a_time(slack, path, start):  # noqa: F811
    slack.set(history_limit=15)
    die_while_it_hangs(slack, path, start, POST,
                       message(1, channel=CHANNEL), after=True)
    slack.send_many(100)
    drain(path, slack)
    assert seqs(slack) == [1] and states(path) == {"sent": 1}


# --- patience ----------------------------------------------------------------

@pytest.mark.parametrize("method, payload", [(POST, ""), (STEPS[2], LONG)])
def test_it_is_not_given_up_unasked(slack, path, method, payload):  # noqa: F811
    slack.fail_next(method, after=True, status=500, delay=1.5)
    drain(path, slack, message(1, channel=CHANNEL, payload=payload),
          arguments=("--give-up-after", 1))
    assert states(path) == {"sent": 1} and len(contents(slack)) == 1


def test_what_is_given_up_in_doubt_says_so(slack, path):    # noqa: F811
    slack.fail_next(POST, after=True, reset=True)
    slack.fail_next(HISTORY, status=500, times=1000)
    drain(path, slack, message(1, channel=CHANNEL),
          arguments=("--give-up-after", 2))
    (state, reason, *_), = look(path)
    assert state == "failed" and reason.startswith("given up: ")
    assert "does not say whether it was posted" in reason
    assert seqs(slack) == [1]


def test_an_old_message_is_tried_for_a_while(slack, path, start):  # noqa: F811
    """It may be old because nothing ran, or because the clock was set."""
    with start(env={"SLACK_BOT_TOKEN": ""}) as sender:
        sender.pass_on(message(1, channel=CHANNEL))
        assert sender.end() == 0
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE message SET created = 1, since = 1")
    database.close()
    slack.fail_next(POST, status=503, times=2)
    drain(path, slack, arguments=("--give-up-after", 10))
    assert states(path) == {"sent": 1}


# --- Slack does not let us look ----------------------------------------------

@pytest.mark.parametrize("after, posted", [(True, [1, 1]), (False, [1])],
                         ids=["done", "not done"])
def test_without_history_it_is_sent_once_more(      # noqa: F811
        slack, path, after, posted):
    slack.control("token", name="bot", without="channels:history")
    slack.fail_next(POST, after=after, reset=True)
    drain(path, slack, message(1, channel=CHANNEL))
    assert seqs(slack) == posted and states(path) == {"sent": 1}


def test_without_history_and_two_silences_it_has_failed(    # noqa: F811
        slack, path):
    slack.control("token", name="bot", without="channels:history")
    slack.fail_next(POST, after=True, reset=True, times=2)
    drain(path, slack, message(1, channel=CHANNEL),
          message(2, channel=CHANNEL))
    assert seqs(slack) == [1, 1, 2]
    assert look(path, "state, reason, attempts, broken") == [
        ("failed", NEITHER, 2, 2), ("sent", None, 1, 0)]


def test_without_files_read_a_file_is_sent_once_more(slack, path):  # noqa: F811
    slack.control("token", name="bot", without="files:read")
    slack.fail_next(STEPS[2], after=True, reset=True)
    drain(path, slack, message(1, channel=CHANNEL, payload=LONG))
    assert len(contents(slack)) == 2 and states(path) == {"sent": 1}


@pytest.mark.parametrize("answer", [
    {"messages": "none"}, {"messages": [1, None, {"metadata": 2},
     {"metadata": {"event_payload": {"key": []}}}]},
    {"messages": [], "response_metadata": {"next_cursor": "again"}},
    {"messages": [], "response_metadata": {"next_cursor": 5}},
    {"messages": [], "response_metadata": []}, {}], ids=str)
def test_an_odd_history_ends(slack, path, answer):          # noqa: F811
    slack.fail_next(POST, reset=True)
    slack.fail_next(HISTORY, times=8, answer={"ok": True, **answer})
    if "next_cursor" in str(answer):
        slack.set(history_limit=15)
    drain(path, slack, message(1, channel=CHANNEL))
    assert seqs(slack) == [1] and states(path) == {"sent": 1}
