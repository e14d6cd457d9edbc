"""A flood of messages to one channel, through the whole pipeline, against the
fake Slack at its real limits.

`make test` has a fourth of it, in a fourth of the time. ULTRON_FLOOD=full is
the flood of the manual: 10,000 messages within a minute.
"""
import asyncio
import os
import re
import threading
import time

import aiohttp

from flood import Account, Flood, look_into
from slack import FakeSlack
from test_run import wait_for
from test_run_live import CREDENTIALS, follow, stop

IS_FULL = os.environ.get("ULTRON_FLOOD") == "full"
COUNT, SECONDS, DIGEST_AFTER = (10000, 60, 60) if IS_FULL else (2500, 15, 10)
DRAIN_S = DIGEST_AFTER + 30
RSS_MAX_KIB = 15 * 1024
AUTH = aiohttp.BasicAuth(CREDENTIALS["BASIC_AUTH_USERNAME"],
                         CREDENTIALS["BASIC_AUTH_PASSWORD"])


class Watch(threading.Thread):
    """Looks after slack-send meanwhile: the most memory it takes; kills it."""

    def __init__(self, pipeline, kill_every=None):
        super().__init__(daemon=True)
        self.pipeline, self.kill_every = pipeline, kill_every
        self.most_kib = self.kills = 0
        self._is_over = threading.Event()

    def run(self):
        killed = time.monotonic()
        while not self._is_over.wait(0.1):
            self._look()
            if self.kill_every and (
                    time.monotonic() - killed >= self.kill_every):
                killed = time.monotonic()
                self.kills += self.pipeline.kill("slack-send") is not None

    def _look(self):
        try:
            with open(f"/proc/{self.pipeline.pid('slack-send')}/status",
                      encoding="ascii") as status:
                found = re.search(r"VmHWM:\s*(\d+) kB", status.read())
        except OSError:
            return
        self.most_kib = max(self.most_kib, int(found.group(1) if found else 0))

    def stop(self):
        self._is_over.set()
        self.join()


def flood(tmp_path, slack, pipeline, drain_s, kill_every=None):
    """Post all, wait until nothing is left; returns the watch and accounts of
    the flood and of what went on beside it."""
    wave = Flood(f"http://127.0.0.1:{pipeline.port}", AUTH, COUNT, SECONDS)
    watch = Watch(pipeline, kill_every)
    wait_for(lambda: pipeline.pid("slack-send"), 30, "the start")
    watch.start()
    try:
        asyncio.run(wave.run())
        posted = time.time()
        wait_until_through(wave, pipeline, drain_s)
        drained = time.time()
    except AssertionError as error:
        raise AssertionError(f"{error}\n{pipeline.said()}") from None
    finally:
        watch.stop()
    print(f"\n{COUNT} messages posted in {posted - wave.began:.1f} s, all "
          f"through {drained - posted:.1f} s later; slack-send took "
          f"{watch.most_kib} KiB, was killed {watch.kills} times; 429: "
          f"{slack.state()['limited']}; posted again: {dict(wave.again)}")
    accounts = [Account(wave, ids, pipeline.state, slack, channel)
                for ids, channel in ((wave.ids, wave.channel),
                                     (wave.aside_ids, wave.aside))]
    for account in accounts:
        print(f"{len(account.singles)} sent singly, others in digests of "
              f"{[len(one) for one in account.digests.values()]}; in Slack "
              f"after {max(account.delays().values()):.1f} s at most")
    return watch, *accounts


def wait_until_through(wave, pipeline, drain_s):
    """Until all have come to slack-send, ended, and been reported."""
    wanted = len(wave.ids) + len(wave.aside_ids)

    def has_sent_all():
        came, waiting, _ = look_into(pipeline.state / "outbox.db")
        return came == wanted and waiting == 0

    def has_reported_all():
        return look_into(pipeline.state / "outbox.db")[2] == 0
    wait_for(has_sent_all, drain_s, "the end of the queue")
    wait_for(has_reported_all, 60, "the last report")


def start(slack, tmp_path):
    return follow(slack, tmp_path, DIGEST_AFTER=str(DIGEST_AFTER))


def count_refusals(slack):
    """Answers 429 that were provoked, of whatever method."""
    return sum(sum(channels.values())
               for channels in slack.state()["limited"].values())


def count_questions(slack):
    """How often slack-send asked whether something stands in Slack."""
    return len(slack.calls("files.info")) + sum(
        "include_all_metadata" in call["arguments"]
        for call in slack.calls("conversations.history"))


def test_flood_of_one_channel(tmp_path):
    with FakeSlack("--real-limits") as slack, \
            start(slack, tmp_path) as pipeline:
        watch, account, aside = flood(tmp_path, slack, pipeline, DRAIN_S)
        account.check()
        aside.check()
        assert count_refusals(slack) <= 2
        assert watch.most_kib < RSS_MAX_KIB
        # Singly as far as Slack lets us, the others by few digests.
        assert len(account.singles) >= DIGEST_AFTER / 2
        assert 1 <= len(account.digests) <= SECONDS
        # Nobody else waits for it.
        assert not aside.digests
        stop(pipeline)
        slack.check()


def test_flood_while_slack_send_is_killed_every_second(tmp_path):
    with FakeSlack("--real-limits") as slack, \
            start(slack, tmp_path) as pipeline:
        # What is asked for is done at once, but the answer takes its time:
        # many die between the two, and their successors must find out.
        for method in ("chat.postMessage", "files.completeUploadExternal"):
            slack.fail_next(method, after=True, delay=0.3, times=10**6)
        watch, account, aside = flood(tmp_path, slack, pipeline,
                                       8 * DRAIN_S, kill_every=1)
        account.check()
        aside.check()
        assert watch.kills >= SECONDS / 2
        assert count_questions(slack) > 0   # else nothing was in doubt
        stop(pipeline)
        slack.check()
