"""slack-send with Slack: what is stored is sent, across deaths and trouble."""
import json
import random
import signal
import time

import pytest

from conftest import run_program
from slack import FakeSlack
from test_attach_fetch_live import Inbox
from test_slack_send import Sender, ask, measure_log, message, messages

CHANNEL = "C0EXAMPLE1"
CHANNELS = [CHANNEL, "C0SEND0001", "C0SEND0002", "C0SEND0003"]


@pytest.fixture
def slack():
    with FakeSlack() as fake:
        for channel in CHANNELS[1:]:
            fake.control("add_channel", id=channel, name=channel.lower(),
                         members=["U0ULTRON01"])
        yield fake


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def inbox(tmp_path):
    inbox = Inbox(tmp_path / "inbox.sock")
    yield inbox
    inbox.stop()


@pytest.fixture
def start(slack, path):
    def start(*arguments, env=None):
        return Sender(path, *arguments,
                      env={**slack.environment, **(env or {})})
    return start


def states(path):
    return dict(ask(path, "SELECT state, count(*) FROM message GROUP BY 1"))


def wait_for(condition, timeout=20):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def to_channels(first, last):
    return [message(seq, channel=CHANNELS[seq % 4])
            for seq in range(first, last + 1)]


def seqs(slack, channel=None):
    """Of the messages in Slack, in order of their posts."""
    return [int(post["metadata"]["event_payload"]["key"].split("/")[0])
            for post in slack.posts(channel)]


def test_drain_sends_all_in_the_order_of_each_channel(slack, path):
    lines = to_channels(1, 8)
    done = run_program("slack-send", "--outbox", path, "--drain",
                       stdin=b"".join(lines), env=slack.environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"".join(lines)
    for number, channel in enumerate(CHANNELS):
        assert seqs(slack, channel) == [seq for seq in range(1, 9)
                                        if seq % 4 == number]
    assert states(path) == {"sent": 8}
    assert ask(path, "SELECT count(*) FROM message WHERE text IS NULL"
               " AND slack_ts IS NOT NULL AND attempts = 1") == [(8,)]
    slack.check()


def test_what_a_start_without_a_token_stored_is_sent_by_the_next(slack, path):
    run_program("slack-send", "--outbox", path, stdin=message(
        1, channel=CHANNEL))
    assert states(path) == {"queued": 1}
    done = run_program("slack-send", "--outbox", path, "--drain",
                       env=slack.environment)
    assert done.returncode == 0 and seqs(slack) == [1]


def test_the_end_of_the_input_is_not_held_up(slack, path):
    began = time.monotonic()
    done = run_program("slack-send", "--outbox", path, env=slack.environment,
                       stdin=b"".join(messages(1, 30, channel=CHANNEL)))
    assert done.returncode == 0 and time.monotonic() - began < 15
    assert f"messages are left in {path}" in done.stderr.decode()
    posted = len(slack.posts())
    assert states(path) == {"queued": 30 - posted, "sent": posted} or \
        posted == 0


@pytest.mark.parametrize("end", ["term", "end of input"])
def test_at_an_end_what_is_under_way_may_end(slack, path, start, end):
    slack.fail_next("chat.postMessage", delay=0.7)
    with start() as sender:
        sender.pass_on(message(1, channel=CHANNEL),
                       message(2, channel=CHANNEL))
        wait_for(lambda: states(path).get("sending"))
        if end == "term":
            sender.child.terminate()
            assert sender.child.wait(10) == -signal.SIGTERM
        else:
            assert sender.end() == 0
    assert states(path) == {"sent": 1, "queued": 1}
    assert seqs(slack) == [1]


def test_an_answer_that_takes_too_long_is_not_awaited(slack, path, start):
    slack.fail_next("chat.postMessage", hang=True)
    with start() as sender:
        sender.pass_on(message(1, channel=CHANNEL))
        wait_for(lambda: states(path).get("sending"))
        began = time.monotonic()
        sender.child.terminate()
        assert sender.child.wait(10) == -signal.SIGTERM
        assert time.monotonic() - began < 8
    slack.control("heal")
    done = run_program("slack-send", "--outbox", path, "--drain",
                       env=slack.environment)
    assert done.returncode == 0 and seqs(slack) == [1]


def test_killed_again_and_again_it_sends_each_message_once(slack, path,
                                                           start):
    dice = random.Random(1123)
    lines, fed = to_channels(1, 24), 0
    for _ in range(12):
        with start() as sender:
            fed += len(sender.pass_many(lines[fed:fed + 2]))
            time.sleep(dice.random() * 0.7)
            sender.kill()
    with start("--drain") as sender:
        sender.pass_many(lines)     # as after a restart of all
        sender.child.stdin.close()
        assert sender.child.wait(60) == 0
    assert sorted(seqs(slack)) == list(range(1, 25))
    for channel in CHANNELS:
        assert seqs(slack, channel) == sorted(seqs(slack, channel))
    assert states(path) == {"sent": 24}


def test_each_outcome_is_told(slack, start, inbox):
    slack.control("change_channel", id=CHANNELS[1],
                  refuses="restricted_action")
    with start("--inbox", inbox.path, "--drain") as sender:
        sender.feed(message(1, channel=CHANNEL),
                    message(2, channel=CHANNELS[1]))
        assert sender.end() == 0
    told = sorted((json.loads(line) for line in inbox.rest()),
                  key=lambda record: record["of"])
    post, = slack.posts()
    assert told[0] == {
        "type": "delivery", "id": "delivery:1:relay:0", "of": 1,
        "message": "id-1", "purpose": "relay", "channel": CHANNEL,
        "title": "Build", "status": "sent", "slack_channel": CHANNEL,
        "slack_ts": post["ts"], "attempts": 1}
    assert (told[1]["status"], told[1]["attempts"]) == ("failed", 1)
    assert "restricted_action" in told[1]["reason"]


def test_each_message_of_a_digest_is_told(slack, path, start, inbox):
    with start("--inbox", inbox.path, "--drain", "--digest-after",
               2) as sender:
        sender.pass_many(messages(1, 1000, channel=CHANNEL))
        assert sender.end() == 0
    told = [json.loads(line) for line in inbox.rest()]
    posts = slack.posts()
    assert len(posts) == 3 and len(told) == 1001
    assert [record["of"] for record in told if record["status"] == "sent"
            and record["purpose"] == "relay"] == [1, 2]
    members = [record for record in told if record["status"] == "digest"]
    assert {record["of"] for record in members} == set(range(3, 1001))
    assert {record["slack_ts"] for record in members} == {posts[2]["ts"]}
    whole, = (record for record in told if record["purpose"] == "digest")
    assert (whole["of"], whole["messages"]) == (3, 998)
    assert posts[2]["text"].startswith("998") or "998" in posts[2]["text"]
    assert states(path) == {"sent": 3, "digest": 998}


def test_replay_dead_is_noticed_by_one_that_runs(slack, path, start, inbox):
    slack.control("change_channel", id=CHANNEL, refuses="restricted_action")
    with start("--inbox", inbox.path) as sender:
        sender.pass_on(message(1, channel=CHANNEL))
        assert json.loads(inbox.next())["status"] == "failed"
        slack.control("change_channel", id=CHANNEL, refuses=None)
        done = run_program("slack-send", "--outbox", path, "--replay-dead")
        assert done.stderr.decode() == (
            "slack-send: 1 messages are to be sent again\n")
        record = json.loads(inbox.next())
        assert (record["id"], record["status"]) == ("delivery:1:relay:1",
                                                    "sent")
        assert sender.end() == 0
    assert seqs(slack) == [1]


def test_hup_tries_a_refused_token_at_once(slack, path, start, inbox):
    slack.control("token", name="bot", error="token_revoked")
    with start("--inbox", inbox.path) as sender:
        sender.pass_on(message(1, channel=CHANNEL))
        said = sender.says("nothing is sent: ")
        record = json.loads(inbox.next())
        assert record["error"]["stage"] == "slack-send"
        assert record["error"]["reason"] in said
        assert states(path) == {"queued": 1}    # nothing fails by that
        slack.control("token", name="bot", error=None)
        sender.child.send_signal(signal.SIGHUP)
        assert json.loads(inbox.next())["status"] == "sent"
        assert sender.end() == 0


def test_what_cannot_be_noted_is_not_sent_twice(slack, path, start):
    """The disk fills up while a post is under way."""
    slack.fail_next("chat.postMessage", delay=0.7)
    with start() as sender:
        sender.pass_on(message(1, channel=CHANNEL),
                       message(2, channel=CHANNEL))
        wait_for(lambda: states(path).get("sending"))
        sender.limit_files(measure_log(path))
        sender.says("cannot write")
        time.sleep(1.5)     # in which nothing may be sent
        assert seqs(slack) == [1]
        sender.limit_files(1 << 30)
        sender.says("is written again")
        wait_for(lambda: states(path) == {"sent": 2})
        assert sender.end() == 0
    assert seqs(slack) == [1, 2]
