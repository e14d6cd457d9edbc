#!/usr/bin/python3
"""Torment the pipeline, and judge what it did with what it had acknowledged.

    judge.py --minutes 30                 all faults, by a seed of its own
    judge.py --minutes 1 --seed 7         the same choice of faults again
    judge.py --faults 'kill -9 stats' 'full disk'      only those; --list
    judge.py --bin DIR                    other programs, broken ones say

Exit status: 0 where nothing is wrong, 1 where something is. Then the folder
with the journal, the output and the log is kept and named.
"""
import argparse
import asyncio
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import secrets
import shutil
import signal
import socket
import sqlite3
import stat
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from events import PEOPLE  # noqa: E402
from ledger import Fate, Ledger  # noqa: E402
from line import Line  # noqa: E402
from liveness import Prober  # noqa: E402
from oracle import WRONGS, Oracle, Outcome  # noqa: E402
from records import sorted_journal  # noqa: E402
from sabotage import Chaos, link_programs, put_poison  # noqa: E402
from slack import FakeSlack  # noqa: E402
from source import (  # noqa: E402
    InboxClient, Service, SlackUsers, hand_in_once)
from tormentor import (  # noqa: E402
    HANG_SECONDS, POISONED, POISONS, RECOVERY_SECONDS, Tormentor)
from viewer import Viewer  # noqa: E402

CREDENTIALS = ("judge", "judge")
CLIENTS, SERVICES, VIEWERS = 4, 3, 2
INBOX_RATE, SLACK_RATE, HTTP_RATE = 75, 10, 6   # events a second, of all
COMMAND_RATE = 1.5
DIGEST_AFTER = 5                        # seconds: the inbox alone floods
START_SECONDS, SETTLE_SECONDS, VIEWER_SECONDS = 60, 60, 15
SEND_SECONDS = 120                      # for what waits for Slack
# Caps: the spool's is one that a run reaches, the others are the default.
SPOOL_BYTES, DEAD_LETTER_BYTES, JOURNAL_BYTES = 4 << 20, 64 << 20, 2 << 30
LATE_BYTES = 1 << 20                    # of the list of late files, besides
SLACK_OPTIONS = ("--ack-deadline", "1", "--retries", "0,1,1,1,1,2,2,4,4,8",
                 "--repeats", "0.05", "--leave-tcp-open")
PRIVATE = "ULTRON_JUDGE_MOUNTS"         # set where mounts are our own


class Disk:
    """A small file system for the state, where we may mount one."""

    def __init__(self, path, megabytes):
        self.path = path
        self.filler = path / "filler"
        path.mkdir()
        self.can_be_full = PRIVATE in os.environ and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700",
             "ultron-judge", path], check=False).returncode == 0

    def fill(self):
        """Not a byte is left; of what is not ours nothing is taken."""
        if not self.can_be_full or not os.path.ismount(self.path):
            raise RuntimeError(f"{self.path} is no file system of its own")
        with open(self.filler, "wb") as file, contextlib.suppress(OSError):
            room = os.statvfs(self.path)
            os.posix_fallocate(file.fileno(), 0,
                               room.f_bavail * room.f_frsize)
        with open(self.filler, "ab") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(4096))

    def empty(self):
        self.filler.unlink(missing_ok=True)

    def close(self):
        if self.can_be_full:
            subprocess.run(["umount", "-l", self.path], check=False)


class Run:
    """All that takes part in a run."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.seed = options.seed
        self.began = time.monotonic()
        self.ledger = Ledger(self.seed)
        self.tasks = []
        self.sizes = collections.Counter()
        self.disk = Disk(folder / "disk", 64 + int(24 * options.minutes))
        self.state = folder / "disk" / "state"
        self.chaos = Chaos(folder / "chaos", seed=self.seed)
        self.server = FakeSlack(*SLACK_OPTIONS, tls=True)
        self.port = find_port()

    @staticmethod
    def say(words):
        print(words, flush=True)

    # Putting it up and taking it down

    async def __aenter__(self):
        self.server.start()
        self.slack = SlackUsers(self.server.base_url, self.ledger, SLACK_RATE)
        await self.slack.__aenter__()
        self.line = Line(self.folder, self.state, [
            ROOT / "run.sh", "--state", self.state, "--listen",
            f"127.0.0.1:{self.port}"], self.make_environment())
        self.clients = [
            InboxClient(f"i{number}", self.state / "inbox.sock", self.ledger,
                        INBOX_RATE / CLIENTS) for number in range(CLIENTS)]
        url = f"http://127.0.0.1:{self.port}/ultronex"
        self.services = [
            Service(f"h{number}", f"{url}/slack", CREDENTIALS, self.ledger,
                    HTTP_RATE / SERVICES) for number in range(SERVICES)]
        self.viewers = [Viewer(f"{url}/ws/slack", CREDENTIALS,
                               self.seed + number)
                        for number in range(VIEWERS)]
        self.prober = Prober(self.line, self.slack, self.ledger)
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.chaos.close()
        self.disk.empty()
        await self.line.end()
        await self.slack.__aexit__()
        self.server.stop()

    def make_environment(self):
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith(("SLACK_", "BASIC_AUTH_"))}
        return {
            **clean, **self.server.environment, **self.chaos.environment,
            "SLACK_CA_FILE": self.server.ca_file,
            "BASIC_AUTH_USERNAME": CREDENTIALS[0],
            "BASIC_AUTH_PASSWORD": CREDENTIALS[1],
            "BIN": str(self.make_programs()),
            "STAGE_HANG": str(HANG_SECONDS),
            "DIGEST_AFTER": str(DIGEST_AFTER),
            "POISON": " ".join(f"POISON{how}:{how}" for how in POISONS)}

    def make_programs(self):
        """The programs; one of them poison can kill, one has a small cap."""
        bin_folder = link_programs(self.folder / "bin", self.options.bin)
        (self.folder / "www").symlink_to(ROOT / "build" / "www")
        put_poison(bin_folder, POISONED)
        path = bin_folder / "attach-fetch"
        program = path.resolve()
        path.unlink()
        path.write_text(
            f'#!/bin/sh\nexec {program} "$@" --spool-bytes {SPOOL_BYTES} '
            f'--insecure-hosts {self.server.host}\n')
        path.chmod(0o755)
        return bin_folder

    def spawn(self, coroutine):
        self.tasks.append(asyncio.create_task(coroutine))
        return self.tasks[-1]

    async def hand_in(self, event_id, word=""):
        return await hand_in_once(self.state / "inbox.sock", self.ledger,
                                  event_id, word)

    # The run

    async def carry_out(self):
        """All of it; returns what it left."""
        tormentor = Tormentor(self, random.Random(self.seed))
        self.spawn(self.await_failure())
        await self.line.start()
        await self.begin()
        speakers = [self.spawn(one.run())
                    for one in (*self.clients, *self.services)]
        self.spawn(self.slack.follow_log())
        await self.slack.invite()
        writers = [self.spawn(self.slack.write_messages()),
                   self.spawn(self.slack.talk(COMMAND_RATE))]
        for viewer in self.viewers:
            self.spawn(viewer.watch())
        self.spawn(self.measure_sizes())
        await self.guard(tormentor.torment(
            self.options.minutes * 60, self.options.faults,
            self.options.cycle))
        await self.settle([*speakers, *writers])
        await self.finish()
        return self.look_back(tormentor, await self.slack.posts())

    async def begin(self):
        """Until the line passes its first event."""
        times = await self.guard(
            self.prober.measure(time.monotonic(), START_SECONDS))
        if None in times:
            raise RuntimeError("the line did not start:\n" + self.log[-3000:])
        self.say(f"the line stands after {max(times):.1f} s")

    async def await_failure(self):
        """Where we cannot even put down what comes out, it is over."""
        await self.line.failure

    async def guard(self, coroutine):
        """Do it, and end at once where one of the others fails."""
        task = asyncio.create_task(coroutine)
        try:
            while not task.done():
                others = [one for one in self.tasks if not one.done()]
                await asyncio.wait([task, *others],
                                   return_when=asyncio.FIRST_COMPLETED)
                for one in self.tasks:
                    if one.done():
                        one.result()
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def settle(self, speakers):
        """Nothing new is said; what was said must arrive by itself."""
        for speaker in (*self.clients, *self.services, self.slack):
            speaker.is_stopping = True
        end = time.monotonic() + SETTLE_SECONDS
        await asyncio.wait(speakers, timeout=SETTLE_SECONDS)
        while time.monotonic() < end and (await self.slack.state())["pending"]:
            await asyncio.sleep(0.2)
        await self.prober.measure(
            time.monotonic(), max(1, end - time.monotonic()))
        await self.release()
        await self.await_deliveries()
        await self.await_viewers()

    async def release(self):
        """Nobody wants more; who mutes and talks gets now what is held back."""
        for epoch in (1, 2, 3):
            ids = [f"m.{epoch}.{n}" for n in range(1, len(PEOPLE) + 1)]
            out = [self.line.expect(one) for one in ids]
            await self.slack.post(ids)
            await asyncio.wait(out, timeout=SETTLE_SECONDS)

    async def await_deliveries(self):
        """Until Slack has all that it was to have, and that was told."""
        end = time.monotonic() + SEND_SECONDS
        while left := count_unsent(self.state):
            if time.monotonic() > end:
                self.ledger.complain(f"{left} messages are still not sent")
                return
            await asyncio.sleep(0.2)
        await self.prober.measure(time.monotonic(), START_SECONDS)

    async def await_viewers(self):
        """Until they have all that there is."""
        end = time.monotonic() + VIEWER_SECONDS
        top = last_seq(self.state)
        while time.monotonic() < end and any(
                viewer.last != top for viewer in self.viewers):
            await asyncio.sleep(0.1)
            top = last_seq(self.state)

    async def finish(self):
        """Twice: what was stopped cleanly replays nothing."""
        for again in (True, False):
            status = await self.line.stop(again=again)
            if status != 0:
                self.ledger.complain(f"run.sh, asked to stop: {status}")
            if again:
                await self.begin()
                await self.await_viewers()
        await self.slack.read_log()

    async def measure_sizes(self):
        while True:
            for name in ("journal", "spool", "dead-letters.ndjson"):
                size = sum(map(size_of, self.state.glob(f"{name}*"))) + sum(
                    map(size_of, self.state.glob(f"{name}/**/*")))
                self.sizes[name] = max(self.sizes[name], size)
            await asyncio.sleep(1)

    @property
    def log(self):
        return self.line.log_path.read_text(errors="replace")

    # What it left

    def look_back(self, tormentor, posts):
        self.count_restarts()
        for at, status in self.line.unasked_ends:
            self.ledger.complain(f"run.sh ended by itself at "
                                 f"{at - self.began:.0f} s, status {status}")
        try:
            stats = json.loads((self.state / "stats.json").read_bytes())
        except (OSError, ValueError):
            stats = None
        return Outcome(
            self.ledger, self.line.segments, sorted_journal(self.state),
            stats, sorted(self.state.glob("dead-letters.ndjson*")),
            self.viewers, posts, tormentor.recoveries, RECOVERY_SECONDS,
            [("journal", self.sizes["journal"], JOURNAL_BYTES),
             ("spool", self.sizes["spool"], SPOOL_BYTES + LATE_BYTES),
             ("dead letters", self.sizes["dead-letters.ndjson"],
              DEAD_LETTER_BYTES)],
            [f"{pid}: {name_of(pid)}" for pid in self.line.find_all()])

    def count_restarts(self):
        """Of the whole line, as run.sh told them."""
        parts = re.split(r"^--- start \d+$", self.log, flags=re.M)[1:]
        for segment, part in zip(self.line.segments, parts):
            segment.restarts = part.count("starting all again in")


def count_unsent(state):
    """Messages that wait for Slack, and outcomes not yet told."""
    with contextlib.closing(sqlite3.connect(
            f"file:{state}/outbox.db?mode=ro", uri=True,
            timeout=5)) as outbox:
        return outbox.execute(
            "SELECT count(*) FROM message WHERE reported = 0 AND"
            " purpose != 'digest' OR state IN ('queued', 'sending',"
            " 'gathered', 'held')"
            ).fetchone()[0]


def last_seq(state):
    """Of the last whole record in the journal."""
    with open(sorted_journal(state)[-1], "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - (1 << 20)))
        lines = file.read().split(b"\n")
    return json.loads(lines[-2])["seq"] if len(lines) > 1 else 0


def size_of(path):
    """Of a file; a link to one in the spool takes no room of its own."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace(
            "\0", " ")[:100]
    except OSError:
        return "gone by now"


def find_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- the report --------------------------------------------------------------

def report(run, oracle, outcome):
    verdict = oracle.verdict
    ledger = outcome.ledger
    print_faults(outcome.recoveries, run)
    missed = sum(attempt.ts is not None and event_id not in oracle.seqs
                 for event_id, attempt in ledger.attempts.items())
    print(f"obligations  {ledger.owed}, in a journal of "
          f"{len(oracle.entries)} records; unanswered "
          f"{ledger.count(Fate.UNKNOWN)}, refused "
          f"{ledger.count(Fate.REFUSED)}, not got from Slack {missed}")
    print(f"bot          {len(oracle.talk.commands)} commands, "
          f"{len(oracle.talk.wanted)} forwards")
    print("files        " + ", ".join(
        f"{count} {status}" for status, count in oracle.files.items()))
    print(f"starts       {len(outcome.segments)} of run.sh, "
          f"{sum(one.restarts for one in outcome.segments)} of the line by "
          f"run.sh; {oracle.repeats} lines came again, "
          f"{oracle.fragments} cut short")
    for viewer in outcome.viewers:
        print(f"viewer       {count_all(viewer.had)} shown, "
              f"{count_all(viewer.gaps)} told to be missing, "
              f"{viewer.connections} connections")
    for what, most, cap in outcome.sizes:
        print(f"{what:12} {most} bytes at most, cap {cap}")
    print(f"chaos        {run.chaos_counts}")
    print("             " + ", ".join(
        f"{verdict.counts[wrong]} {wrong}"
        for wrong in ("lost", "doubled", "changed", "disordered")))
    for wrong, samples in verdict.samples.items():
        print(f"{verdict.counts[wrong]} {wrong} ({WRONGS[wrong]}):")
        for sample in samples:
            print(f"    {sample}")
    print(f"verdict      {verdict}")


def count_all(ranges):
    return sum(last - first + 1 for first, last in ranges.ranges)


def print_faults(recoveries, run):
    kinds = collections.defaultdict(list)
    for recovery in recoveries:
        for kind in recovery.kinds:
            kinds[kind].append(recovery)
    wanted = {fault.kind for fault in Tormentor(run, None).choose(
        run.options.faults)}
    print(f"faults       {sum(len(r.kinds) for r in recoveries)}"
          f"                       recovery in s, inbox then Slack:"
          " median, 90 %, most")
    for kind in sorted(wanted | set(kinds)):
        times = "  ".join(show_times([getattr(recovery, way) for recovery
                                      in kinds[kind]])
                          for way in ("inbox", "slack"))
        print(f"    {kind:26} {len(kinds[kind]):4}  {times}")
    if not run.disk.can_be_full:
        print("    full disk: none, for no file system could be mounted")


def show_times(times):
    if not times:
        return "none in this run"
    if None in times:
        return f"{times.count(None)} without end"
    times = sorted(times)
    return (f"{statistics.median(times):5.2f} "
            f"{times[int(0.9 * len(times))]:5.2f} {times[-1]:5.2f}")


# --- the command -------------------------------------------------------------

def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--faults", nargs="*", default=[], metavar="NAME",
                        help="only those whose names begin so")
    parser.add_argument("--cycle", type=float, default=5.5,
                        help="seconds from one fault to the next")
    parser.add_argument("--bin", type=pathlib.Path,
                        default=ROOT / "build" / "bin")
    parser.add_argument("--keep-folder", action="store_true")
    parser.add_argument("--list", action="store_true",
                        help="name the faults and exit")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = secrets.randbelow(1 << 32)
    return options


def enter_private_mounts():
    """Where that is allowed, start again where mounts are our own."""
    if PRIVATE in os.environ:
        return
    unshare = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-rm"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL,
                      check=False).returncode == 0:
        os.environ[PRIVATE] = "1"
        os.execvp(unshare[0], [*unshare, sys.executable, __file__,
                               *sys.argv[1:]])


def leave_on_signals(task):
    """In order, and once: what follows must not disturb the cleaning up."""
    def leave():
        if not task.cancelling():
            task.cancel()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, leave)


async def run_and_judge(options, folder):
    leave_on_signals(asyncio.current_task())
    async with Run(options, folder) as run:
        outcome = await run.carry_out()
        run.chaos_counts = run.chaos.counts
    oracle = Oracle(outcome)
    verdict = oracle.judge()
    report(run, oracle, outcome)
    return verdict.is_good


def main():
    options = parse_options()
    if options.list:
        stand_in = type("Run", (), dict.fromkeys(
            ("line", "slack", "chaos"), None) | {
                "disk": type("Disk", (), {"can_be_full": True})})
        print(*(fault.name for fault in Tormentor(
            stand_in, None).all_faults()), sep="\n")
        return 0
    enter_private_mounts()
    print(f"seed         {options.seed}, {options.minutes:g} min", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ultron-judge-"))
    is_good = False
    try:
        is_good = asyncio.run(run_and_judge(options, folder))
    except asyncio.CancelledError:
        print("interrupted", file=sys.stderr)
        is_good = True
        return 130
    finally:
        put_away(folder, is_good and not options.keep_folder)
    return 0 if is_good else 1


def put_away(folder, is_unwanted):
    """Remove the folder, or keep it: what was mounted is copied out of it."""
    if not is_unwanted:
        (folder / "disk" / "filler").unlink(missing_ok=True)
        shutil.copytree(folder / "disk", folder / "kept", symlinks=True,
                        ignore=find_special)
        print(f"kept in      {folder}")
    subprocess.run(["umount", "-l", folder / "disk"], check=False,
                   stderr=subprocess.DEVNULL)
    if is_unwanted:
        shutil.rmtree(folder)


def find_special(where, names):
    """Sockets and pipes, which cannot be copied."""
    paths = [pathlib.Path(where, name) for name in names]
    return [path.name for path in paths
            if path.is_socket() or path.is_fifo()]


if __name__ == "__main__":
    sys.exit(main())
