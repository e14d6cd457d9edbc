"""People who talk to the bot of a running pipeline, and what they get.

    with Talk(tmp_path) as talk:
        ada = talk.person()
        ada.tell("forward stark")
        answer = talk.answer()
        talk.person().say("stark raving")
        forward, = talk.settle()

All that the bot posts between two calls of settle() is what was said meanwhile
led to: nothing else speaks. So counts are whole counts.
"""
import contextlib
import itertools
import json
import re
import sqlite3
import time

from conftest import BIN, ROOT
from slack import FakeSlack
from test_run import Pipeline

QA, BUILDS, PLANS = "C0EXAMPLE1", "C0EXAMPLE2", "C0PRIVATE1"
CREDENTIALS = {"BASIC_AUTH_USERNAME": "qa", "BASIC_AUTH_PASSWORD": "secret"}
KEY = re.compile(r"^(\d+)/([a-z]+)/")
QUOTES = [line for line in (ROOT / "examples" / "quotes.txt")
          .read_text().splitlines() if line and not line.startswith("#")]
NUMBERS = itertools.count(1)    # no two people of a test run are the same


class Person:
    def __init__(self, slack, user=None):
        self.slack = slack
        self.id = user or f"U0TALK{next(NUMBERS):05}"
        if user is None:
            slack.control("add_user", id=self.id, name=self.id.lower())
        self.im = slack.open_im(self.id)

    def say(self, text, channel=QA, **members):
        """To everybody; returns what Slack made of it."""
        return self.slack.send(text, channel=channel, user=self.id, **members)

    def mention(self, words, channel=QA, **members):
        """To the bot, before everybody."""
        return self.say(f"<@{self.slack.bot_user}> {words}", channel,
                        **members)

    def tell(self, words, **members):
        """To the bot alone."""
        return self.say(words, self.im, **members)

    def slash(self, words, channel=QA):
        return self.slack.slash(words, user=self.id, channel=channel)

    @property
    def at(self):
        return f"<@{self.id}>"


class Post:
    """What the bot has posted: where, and why."""

    def __init__(self, shown):
        self.channel, self.text = shown["channel"], shown["text"]
        self.thread, self.ts = shown["thread_ts"], shown["ts"]
        self.files = shown["files"]
        payload = (shown["metadata"] or {}).get("event_payload") or {}
        key = KEY.match(str(payload.get("key")))
        self.seq = int(key[1]) if key else None
        self.purpose = key[2] if key else "file" if self.files else None

    def __repr__(self):
        return f"{self.purpose} in {self.channel}: {self.text!r}" + (
            f" with {self.files}" if self.files else "")


class Stream:
    """The records that came out, read on as they come."""

    def __init__(self, path):
        self.path, self.offset = path, 0
        self.records, self.lines = [], []

    def read(self):
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            lines = file.read().split(b"\n")[:-1]
        self.offset += sum(len(line) + 1 for line in lines)
        self.records += map(json.loads, lines)
        self.lines += lines
        return self.records


class Talk:
    """run.sh on a fake Slack, as long as one talks."""

    def __init__(self, folder, *arguments, options=(), prepare=None, **env):
        self.folder, self.arguments, self.env = folder, arguments, env
        self.slack = FakeSlack("--retries", "0,1,2", *options)
        self.prepare = prepare or (lambda talk: None)
        self.posts_seen = 0
        self.apart = set()      # channels that settle leaves alone
        self.people = []

    def __enter__(self):
        self.slack.start()
        self.state = self.folder / "state"
        self.prepare(self)
        self.env["BIN"] = str(link_programs(self.folder / "bin",
                                            self.slack.host))
        self.start()
        return self

    def start(self):
        """Whatever was there before is through: it was stopped in order."""
        mark = self.slack.mark
        self.first = find_last_seq(self.state)
        self.pipeline = Pipeline(
            self.folder, *self.arguments,
            env={**self.slack.environment, **CREDENTIALS, **self.env})
        self.stream = Stream(self.pipeline.out_path)
        try:
            self.slack.wait_for("hello", 2, timeout=90, after=mark)
        except AssertionError:
            self.__exit__()
            raise AssertionError(self.pipeline.said()) from None

    def __exit__(self, *error):
        self.pipeline.__exit__(*error)
        self.slack.stop()

    def stop(self):
        """In order; it may be started again."""
        self.pipeline.run.terminate()
        assert self.pipeline.run.wait(30) == 0, self.pipeline.said()

    def person(self, user=None):
        self.people.append(Person(self.slack, user))
        return self.people[-1]

    def channel(self, channel=None, **members):
        """A new one, that the bot is in; not among those of any list, unless
        its id is given."""
        channel = channel or f"C0PLACE{next(NUMBERS):05}"
        self.slack.control("add_channel", id=channel, name=channel.lower(),
                           **members)
        return channel

    # What there is

    @property
    def records(self):
        return self.stream.read()

    def record_of(self, sent):
        """The record of what somebody said."""
        found, = [record for record in self.records
                  if record.get("ts") == sent["ts"]
                  and record.get("channel") == sent["channel"]]
        return found

    def stats(self):
        return json.loads((self.state / "stats.json").read_text())

    def subscriptions(self):
        """The lines that stand: those without an end, in words."""
        with contextlib.suppress(FileNotFoundError):
            lines = [line.split(" ") for line in
                     (self.state / "subscriptions").read_text(
                         errors="replace").splitlines()
                     if not line.startswith("#")]
            return [words for words in lines
                    if len(words) > 3 and words[2] == "-"]
        return []

    def posts(self, channel=None):
        return [Post(shown) for shown in self.slack.posts(channel)]

    # Until nothing moves any more

    def settle(self, timeout=60):
        """Until all that was said is through, and all that the bot had to say
        is said. Returns its new posts, oldest first."""
        end = time.monotonic() + timeout
        before = None
        while (now := self._find_rest()) is None or now != before:
            assert time.monotonic() < end, self._explain(timeout)
            time.sleep(0.02)
            before = now
        fresh = [Post(shown)
                 for shown in self.slack.posts(after=self.posts_seen)]
        self.posts_seen += len(fresh)
        return [post for post in fresh if post.channel not in self.apart]

    def _find_rest(self):
        """The last seq where nothing is on its way, else None."""
        if any(words[0] == "job" for words in self.subscriptions()):
            return None
        if self.slack.state()["pending"]:
            return None
        last = find_last_seq(self.state)
        if self._find_out() != last or count_unsent(self.state):
            return None
        return last

    def _find_out(self):
        """The last seq that came out, since the start or before it."""
        return self.records[-1]["seq"] if self.records else self.first

    def _explain(self, seconds):
        return (f"not at rest within {seconds} s: jobs "
                f"{[w for w in self.subscriptions() if w[0] == 'job']}, "
                f"pending {self.slack.state()['pending']}, journal up to "
                f"{find_last_seq(self.state)}, out {self.records[-1:]}, "
                f"unsent {count_unsent(self.state)}\n" + self.pipeline.said())

    def answers(self, timeout=60):
        """All that the bot said since the last time, answers every one."""
        posts = self.settle(timeout)
        assert {post.purpose for post in posts} <= {"reply"}, posts
        return posts

    def answer(self):
        """The one and only answer."""
        posts = self.answers()
        assert len(posts) == 1, posts
        return posts[0]

    def forget(self, people):
        """They are subscribed to nothing any more."""
        standing = {words[3] for words in self.subscriptions()
                    if words[0] == "forward"}
        for person in people:
            if person.id in standing:
                person.tell("stop")
        self.settle()

    def wait_until(self, condition, timeout=60):
        return self.slack.wait_until(lambda _: condition(), timeout)


def find_terms(talk, person):
    """What somebody is subscribed to."""
    return [" ".join(line[7:]) for line in talk.subscriptions()
            if line[0] == "forward" and line[3] == person.id]


def link_programs(folder, host):
    """The programs, where attach-fetch takes files of that host, too."""
    folder.mkdir()
    for program in BIN.iterdir():
        if program.name != "attach-fetch":
            (folder / program.name).symlink_to(program)
    fetch = folder / "attach-fetch"
    fetch.write_text(f"#!/bin/sh\nexec {BIN}/attach-fetch"
                     f' --insecure-hosts {host} "$@"\n')
    fetch.chmod(0o755)
    (folder.parent / "www").symlink_to(BIN.parent / "www")
    return folder


def find_last_seq(state):
    """Of the journal; half a line is none."""
    for path in sorted((state / "journal").glob("*.ndjson"), reverse=True):
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - (1 << 20)))
            lines = file.read().split(b"\n")
        if len(lines) > 1:
            return json.loads(lines[-2])["seq"]
    return 0


def count_unsent(state):
    """Messages that wait for Slack, and outcomes that are still to be told;
    not those that are gathered for a later time."""
    path = state / "outbox.db"
    if not path.exists():
        return 0
    with contextlib.closing(sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, timeout=5)) as outbox:
        return outbox.execute(
            "SELECT count(*) FROM message WHERE state IN"
            " ('queued', 'sending') OR (ended IS NOT NULL AND"
            " reported IS NOT 1)").fetchone()[0]
