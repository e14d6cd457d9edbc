"""What people can do to the bot: nothing of it crashes, stalls or stays without
a clear answer. (What is answered to bad terms: test_conversation.py.)"""
import json
import re
import subprocess
import time

import pytest

from chat import QA, Talk
from conftest import BIN, ROOT
from test_run import wait_for

EVIL = "/ID[0-9]{3}: (x+x+)+y/"     # dear on a row of x behind a number,
WORST = "ID123: " + "x" * 3000 + " y"  # which no trial thinks of
USERS, TERMS = 150, 70


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    with Talk(tmp_path_factory.mktemp("abuse")) as talk:
        yield talk
        talk.slack.check()
        log = talk.pipeline.said()
        assert "was killed" not in log and "starting" not in log, log
        talk.stop()


def hear(talk, sent):
    """Slack promises no order: so each waits until the other was heard."""
    wait_for(lambda: any(record.get("ts") == sent["ts"]
                         for record in talk.records), 30, "a record")


def test_another_bot_gets_no_loop_going(talk):
    hall = talk.channel()
    person = talk.person()
    talk.slack.control("add_parrot", channel=hall, user="U0PARROT01",
                       bot_id="B0PARROT01",
                       text=f"<@{talk.slack.bot_user}> help")
    person.mention("forward help", hall)
    posts = talk.settle()
    # one answer; what the parrot said to it is a match and no command
    assert [post.purpose for post in posts] == ["reply", "forward"]
    posts = talk.settle()
    assert posts == []
    person.tell("stop")
    talk.settle()


def test_two_on_one_term_and_a_match_at_once(talk):
    one, other, third = talk.person(), talk.person(), talk.person()
    for person in (one, other):
        hear(talk, person.tell("forward same second"))
    third.say("the same second it was")
    posts = talk.settle()
    assert sorted(post.channel for post in posts
                  if post.purpose == "forward") == sorted(
                      [one.im, other.im])
    assert len(posts) == 4
    talk.forget([one, other])


def test_stop_while_the_forward_is_on_its_way(talk):
    person, other = talk.person(), talk.person()
    person.tell("forward underway")
    talk.settle()
    talk.slack.fail_next("chat.postMessage", times=2, status=503)
    hear(talk, other.say("this is underway now"))
    hear(talk, person.tell("stop underway"))
    other.say("nothing underway any more")
    posts = talk.settle()
    assert sorted(post.purpose for post in posts) == ["forward", "reply"]
    forward, = [post for post in posts if post.purpose == "forward"]
    assert "this is" in forward.text and "nothing" not in forward.text


def test_a_term_that_turns_out_dear_is_quarantined(talk):
    person, other = talk.person(), talk.person()
    person.tell("forward " + EVIL)
    assert "is set for" in talk.answer().text
    began = time.monotonic()
    for _ in range(12):
        other.say(WORST)
    posts = talk.settle()
    assert time.monotonic() - began < 30
    notice, = [post for post in posts if post.purpose == "notice"]
    assert notice.channel == person.im and "look for" in notice.text
    wait_for(lambda: any(words[0] == "refused" and words[3] == person.id
                         for words in talk.subscriptions()), 20, "the line")
    person.tell("list")
    assert "cost too much" in talk.answer().text
    person.tell("stop " + EVIL)
    assert "stopped" in talk.answer().text


def commands():
    """All that people try, each at its place among messages."""
    seq = 0
    for number in range(USERS * TERMS):
        text = {0: "forward /(/", 1: "forward " + "x" * 10000,
                2: "forward", 3: "forward /(a+)+$/", 4: "forward a\nb",
                5: "forward pattern"}.get(number % 60, f"forward t{number};")
        for event in ({"user": f"U{number % USERS:08}", "text": text,
                       "channel": "D1", "channel_type": "im"},
                      {"user": "U9", "channel": QA,
                       "text": f"t{number}; " + "a" * 40}):
            seq += 1
            yield {"type": "message", "seq": seq, **event,
                   "ts": f"1763800000.{seq:06}"}


def test_ten_thousand_wishes(tmp_path):
    lines = "".join(json.dumps(event) + "\n" for event in commands())
    state = tmp_path / "subscriptions"
    done = subprocess.run(
        f"{BIN}/slack-bot --subscriptions {state} | {BIN}/scanner"
        f" --subscriptions {state} --patterns {ROOT}/examples/patterns.conf",
        shell=True, input=lines.encode(), stdout=subprocess.PIPE, timeout=200,
        check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == 2 * USERS * TERMS
    standing = sum(line.split(" ")[2] == "-" for line in
                   state.read_text().splitlines()
                   if line.startswith("forward "))
    assert standing == 2000
    replies = [record["command"]["reply"] for record in records
               if "command" in record]
    assert len(replies) == USERS * TERMS
    kinds = ["is set for", "can not forward", "you have"]
    assert all(any(kind in reply for kind in kinds) for reply in replies)
    refused = [reply for reply in replies if "more are not possible" in reply]
    assert len(refused) > 5000
    # from the very next record on, as long as there was room
    for wish, message in zip(records[::2], records[1::2]):
        is_set = re.search(r"is set for `(t\d+);`",
                           wish["command"].get("reply", ""))
        told = wish["user"] in message.get("notify", [])
        assert told == bool(is_set), (wish, message)
