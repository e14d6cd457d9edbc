"""A day in ten minutes, or in the seconds that ULTRON_DAY_SECONDS says: a Slack
at its most unpleasant, slack-reader killed at random moments. Nothing may be
lost or doubled, nothing acknowledged that is not on disk."""
import os
import random
import subprocess
import threading
import time

from conftest import BIN, CRASHES
from records import read_journal, read_records
from slack import FakeSlack

SECONDS = float(os.environ.get("ULTRON_DAY_SECONDS", "30"))
SEED = int(os.environ.get("ULTRON_DAY_SEED", random.randrange(1 << 32)))
RATE = float(os.environ.get("ULTRON_DAY_RATE", "60"))
# Refreshes, deaths and black holes; 200,50,20 takes half an hour.
STORM = [int(count) for count in os.environ.get(
    "ULTRON_STORM", "8,2,1").split(",")]
CHANNELS = ["C0EXAMPLE1", "C0DAY00001", "C0DAY00002"]


class Line:
    """slack-reader and attach-fetch in a row, as run.sh would start them."""

    def __init__(self, slack, folder):
        self.slack, self.folder = slack, folder
        self.sent = []
        self.state = folder / "state"
        self.output = folder / "out.ndjson"
        self.reader = self.fetcher = None
        environment = {**os.environ, **slack.environment}
        with (folder / "log").open("ab") as log, \
                self.output.open("ab") as output:
            read_end, self.pipe = os.pipe()
            self.fetcher = subprocess.Popen(
                [BIN / "attach-fetch", "--spool", folder / "spool",
                 "--inbox", folder / "inbox.sock", "--deadline", "1",
                 "--insecure-hosts", slack.host], stdin=read_end,
                stdout=output, stderr=log, env=environment)
        os.close(read_end)
        self.start()

    @property
    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def start(self):
        after = max((record["seq"] for record in read_records(self.output)),
                    default=0)
        with (self.folder / "log").open("ab") as log:
            self.reader = subprocess.Popen(
                [BIN / "slack-reader", "--state", self.state, "--inbox",
                 self.folder / "inbox.sock", "--ping", "0.5", "--after",
                 str(after)], stdin=subprocess.DEVNULL, stdout=self.pipe,
                stderr=log, env={**os.environ, **self.slack.environment})

    def kill(self):
        """kill -9; what was acknowledged must be in the journal."""
        acknowledged = set(self.slack.acks())
        keys = {one["event_id"]: (one["channel"], one["ts"])
                for one in list(self.sent)}
        self.reader.kill()
        self.reader.wait()
        journaled = set(message_keys(self.journal))
        assert {keys[event_id] for event_id in acknowledged & set(keys)} \
            <= journaled

    @property
    def journal(self):
        return read_journal(self.state)

    def close(self):
        for process in (self.reader, self.fetcher):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        os.close(self.pipe)


def torments(slack, line, dice):
    """What can go wrong, as functions."""
    def api(method, **fault):
        slack.fail_next(method, **fault)
    methods = ["apps.connections.open", "conversations.history",
               "conversations.replies", "users.info", "users.conversations",
               "files.info", "download"]
    faults = [{"status": 429, "retry_after": 1}, {"status": 500},
              {"status": 503, "body": "html"}, {"body": "no_ok"},
              {"reset": True}, {"error": "internal_error"}, {"delay": 0.5}]
    return [
        lambda: slack.refresh("oldest", warning=0.3, grace=0.5),
        lambda: slack.refresh("newest", warning=0, grace=0),
        lambda: slack.kill("oldest"),
        lambda: slack.kill(),
        lambda: slack.blackhole("newest"),
        lambda: slack.control("close", socket="oldest", code=1001),
        lambda: slack.control("raw", text="{not json"),
        lambda: slack.control("raw", base64_data="AAEC"),
        lambda: slack.control("push_event", event=None),
        lambda: slack.control("expire_cursors"),
        lambda: slack.fail_upgrade(times=1, **dice.choice([
            {"status": 408}, {"status": 503}, {"reset": True},
            {"close_after_hello": True}])),
        lambda: api(dice.choice(methods), times=dice.randrange(1, 3),
                    **dice.choice(faults)),
        lambda: slack.control("rate_limit_notice"),
        lambda: (line.kill(), line.start()),
    ]


def send_day(slack, stop, sent):
    """Messages with threads, edits and files, at a steady rate."""
    dice = random.Random(SEED + 1)
    while not stop.is_set():
        channel = dice.choice(CHANNELS)
        what = dice.random()
        began = time.monotonic()
        if what < 0.08 and sent:
            parent = sent[len(sent) // 200 * 200 // 2]  # a few threads
            sent.append(slack.reply(parent, f"reply {len(sent)}"))
        elif what < 0.12 and sent:
            slack.edit(sent[-1], f"edit {len(sent)}")
        elif what < 0.2:
            sent.append(slack.send(f"file {len(sent)}", channel=channel,
                                   uploads=[{"name": "log.txt",
                                             "text": "fatal\n" * 50}]))
        else:
            sent += slack.send_many(5, text=f"message {len(sent)} {{n}}",
                                    channels=[channel])
        stop.wait(max(0, 5 / RATE - (time.monotonic() - began)))


def message_keys(records):
    return [(record["channel"], record["ts"]) for record in records
            if record.get("type") == "message" and "subtype" not in record
            or record.get("subtype") in ("file_share", "thread_broadcast")]


def wait_for(question, what, seconds):
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, what()
        time.sleep(0.2)


def test_a_day_at_its_most_unpleasant(tmp_path):
    print(f"seed {SEED}, {SECONDS:.0f} s")
    dice = random.Random(SEED)
    options = ("--ack-deadline", "1", "--retries", "0,2,4", "--repeats",
               "0.05", "--leave-tcp-open", "--history-limit", "60")
    with FakeSlack(*options) as slack:
        for channel in CHANNELS[1:]:
            slack.control("add_channel", id=channel, name=channel.lower())
        line = Line(slack, tmp_path)
        sent, stop = line.sent, threading.Event()
        sender = threading.Thread(target=send_day, args=(slack, stop, sent))
        try:
            slack.wait_for("hello", 2, timeout=20)
            sender.start()
            run_torments(slack, line, dice)
            stop.set()
            sender.join()
            assert len(sent) > SECONDS * RATE / 4, "the sender died"
            settle(slack, line, sent)
            check_day(slack, line, sent)
        finally:
            stop.set()
            line.close()


def test_a_storm_of_broken_connections(tmp_path):
    refreshes, deaths, holes = STORM
    with FakeSlack("--ack-deadline", "1", "--retries", "0,2,4") as slack:
        for channel in CHANNELS[1:]:
            slack.control("add_channel", id=channel, name=channel.lower())
        line = Line(slack, tmp_path)
        stop = threading.Event()
        sender = threading.Thread(target=send_day,
                                  args=(slack, stop, line.sent))
        storm = [lambda: slack.refresh("oldest", warning=0.2, grace=0.5)] \
            * refreshes + [lambda: slack.kill("oldest")] * deaths + \
            [lambda: slack.blackhole("oldest")] * holes
        random.Random(SEED).shuffle(storm)
        try:
            slack.wait_for("hello", 2, timeout=20)
            sender.start()
            for torment in storm:
                mark = slack.mark
                torment()
                slack.wait_for("hello", after=mark, timeout=100)
                slack.control("lay_ghosts")  # they would be the oldest
            stop.set()
            sender.join()
            settle(slack, line, line.sent)
            check_day(slack, line, line.sent)
        finally:
            stop.set()
            line.close()
    print(f"{refreshes} refreshes, {deaths} deaths, {holes} black holes")


def run_torments(slack, line, dice):
    end = time.monotonic() + SECONDS
    kinds = torments(slack, line, dice)
    while time.monotonic() < end:
        torment = dice.choice(kinds)
        torment()
        time.sleep(dice.uniform(0.1, 1.0))
        if line.reader.poll() is not None:
            raise AssertionError(line.log[-3000:])


def settle(slack, line, sent):
    """The storm is over: what is missing has to come by itself."""
    slack.control("heal")
    slack.control("lay_ghosts")
    wanted = {(one["channel"], one["ts"]) for one in sent}

    def all_there():
        return slack.state()["pending"] == [] and \
            wanted <= set(message_keys(line.journal))
    wait_for(all_there, lambda: (
        sorted(wanted - set(message_keys(line.journal)))[:5],
        slack.state()["pending"][:5], line.log[-3000:]), 240 + SECONDS / 2)


def check_day(slack, line, sent):
    records = line.journal
    keys = message_keys(records)
    assert len(keys) == len(set(keys)), "doubled"
    assert set(keys) == {(one["channel"], one["ts"]) for one in sent}
    assert [record["seq"] for record in records] == \
        list(range(1, len(records) + 1))
    check_order(slack, records)
    wait_for(lambda: len(read_records(line.output)) >= len(records),
             lambda: line.log[-2000:], 60)
    passed = [record["seq"] for record in read_records(line.output)]
    assert sorted(set(passed)) == [record["seq"] for record in line.journal]
    assert not any(word in line.log for word in CRASHES), line.log
    assert slack.errors() == []
    print(f"{len(sent)} messages, {len(records)} records, "
          f"{sum('backfill' in one for one in records)} fetched later, "
          f"{len(slack.seen('hello'))} connections")


def check_order(slack, records):
    """What Slack delivered at the first attempt over one connection stays in
    its order; between two of them nobody knows what was sent first."""
    attempts = {}
    for entry in slack.seen("envelope"):
        if entry.get("event_id"):
            attempts.setdefault(entry["event_id"], []).append(
                (entry["attempt"], entry["socket"]))
    last = {}
    for record in records:
        if record.get("type") != "message" or "thread_ts" in record or \
                "subtype" in record or "backfill" in record:
            continue
        sent = attempts.get(record.get("event_id"), [])
        if len(sent) != 1 or sent[0][0] != 0:
            continue
        place = record["channel"], sent[0][1]
        assert last.get(place, "") < record["ts"], record
        last[place] = record["ts"]
