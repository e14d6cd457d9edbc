"""The faults, each at random from the run's seed.

A fault is a coroutine that does the harm, ends it, and returns when it ended:
from then on the line has to recover by itself.
"""
import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import time
import typing

from line import NAMES, STAGES
from records import sorted_journal

HANG_SECONDS = 3            # STAGE_HANG of run.sh
RECOVERY_SECONDS = 5        # is promised
STUCK_SECONDS = 20          # then it never will
GIVE_UP_SECONDS = 40        # with poison, which is set aside only slowly
POISONS = ("kill", "abort", "half", "exit", "hang")
POISONED = "classifier"     # the stage that poison.py stands before
KEEPS = tuple(f"keep-{stage}" for stage in STAGES)
# What a kill -9 of them ends is the whole line.
CROWD = 50                  # events of each client
HOUR_US = 3600 * 1000000


class Fault(typing.NamedTuple):
    kind: str               # as the report counts it
    target: str
    harm: typing.Callable   # a method of Tormentor
    is_quick: bool = False  # may come together with another one

    @property
    def name(self):
        return f"{self.kind} {self.target}".strip()


@dataclasses.dataclass
class Recovery:
    """What became of one fault."""
    kinds: tuple
    name: str
    at: float               # seconds from the start of the run
    inbox: float | None     # seconds to recovery; None: it did not recover
    slack: float | None


class Gone(Exception):
    """What the fault is about is not there (now)."""


class Tormentor:
    def __init__(self, run, dice):
        self.run, self.dice = run, dice
        self.line, self.slack = run.line, run.slack
        self.chaos, self.disk = run.chaos, run.disk
        self.recoveries = []
        self.borne = []         # times, inbox and Slack, amid this fault
        self.poisons = 0

    # Which, and when

    def all_faults(self):
        faults = [
            *(Fault("kill -9", name, self.kill, True) for name in NAMES),
            *(Fault("stop and continue", name, self.pause, True)
              for name in (*NAMES, "run.sh")),
            *(Fault("stop for ever", stage, self.hang) for stage in STAGES),
            Fault("kill -9 run.sh", "", self.kill_run),
            *(Fault("power cut", how, self.cut_power) for how in TAILS),
            Fault("clean stop", "", self.stop_cleanly),
            *(Fault("poison", how, self.poison) for how in POISONS),
            Fault("short reads and writes", "", self.shorten),
            Fault("interrupted calls", "", self.interrupt),
            *(Fault("clock", jump, self.jump) for jump in JUMPS),
            *(Fault("Slack", how, self.vex) for how in VEXATIONS),
            Fault("output", "not read", self.stall, True),
            Fault("output", "not read, its keep dies", self.tear_output),
        ]
        if self.disk.can_be_full:
            faults += [Fault("full disk", "", self.fill_disk),
                       *(Fault("full disk", f"kill -9 {name}", self.fill_disk)
                         for name in ("slack-reader", "stats",
                                      "keep-scanner"))]
        return faults

    def choose(self, words):
        """Those whose names begin with one of the words; all without."""
        return [fault for fault in self.all_faults() if not words or any(
            fault.name.startswith(word) for word in words)]

    def deal(self, words):
        """For ever: all kinds in turn, in an order of chance, then again."""
        while True:
            deck = self.choose(words)
            quick = [fault for fault in deck if fault.is_quick]
            self.dice.shuffle(deck)
            while deck:
                fault = deck.pop()
                faults = [fault]
                others = [one for one in quick if one.target != fault.target]
                if others and self.dice.random() < 0.2:
                    faults.append(self.dice.choice(others))
                yield faults

    async def torment(self, seconds, words=(), cycle=6.0):
        """Faults one behind the other, each `cycle` seconds or when the last
        one is over. Returns early where the line is stuck."""
        end = time.monotonic() + seconds
        for faults in self.deal(words):
            began = time.monotonic()
            if began >= end:
                return
            recovery = await self.afflict(faults)
            self.run.say(describe(recovery))
            if None in (recovery.inbox, recovery.slack):
                return
            rest = cycle - (time.monotonic() - began)
            await asyncio.sleep(min(
                max(rest, self.dice.uniform(0.1, 0.5)),
                max(0, end - time.monotonic())))

    async def afflict(self, faults):
        at = time.monotonic() - self.run.began
        self.borne = []
        ends = await asyncio.gather(*(
            self.end_of(fault) for fault in faults))
        times = [await self.run.prober.measure(max(ends), STUCK_SECONDS),
                 *self.borne]
        recovery = Recovery(tuple(fault.kind for fault in faults),
                            " + ".join(fault.name for fault in faults),
                            at, *map(find_longest, zip(*times)))
        self.recoveries.append(recovery)
        return recovery

    async def bear(self, least, most):
        """The fault is such that the line has to go on in spite of it: it
        stays for some time, which must not be felt."""
        began = time.monotonic()
        self.borne.append(
            await self.run.prober.measure(began, STUCK_SECONDS))
        rest = self.dice.uniform(least, most) - (time.monotonic() - began)
        await asyncio.sleep(max(0, rest))

    async def end_of(self, fault):
        """What is not there cannot be harmed: that is somebody's mistake."""
        try:
            await fault.harm(fault.target)
        except Gone as missing:
            self.run.ledger.complain(
                f"{fault.name}: {missing} was nowhere to be found")
        finally:
            self.chaos.heal()
            self.disk.empty()
        return time.monotonic()

    # Processes

    async def find(self, name, seconds=10):
        """Its pid, when it lives."""
        end = time.monotonic() + seconds
        while (pid := self.line.pid(name)) is None:
            if time.monotonic() > end:
                raise Gone(name)
            await asyncio.sleep(0.01)
        return pid

    async def crowd(self):
        """Kills are to find the line full: all clients speak at once."""
        for client in self.run.clients:
            client.pace.hurry(CROWD)
        await asyncio.sleep(self.dice.uniform(0.01, 0.1))

    async def kill(self, name):
        """Often with its hands full: held for a moment, it has what came
        meanwhile, and has answered none of it."""
        pid = await self.find(name)
        with contextlib.suppress(ProcessLookupError):
            if self.dice.random() < 0.6:
                os.kill(pid, signal.SIGSTOP)
            await self.crowd()
            os.kill(pid, signal.SIGKILL)

    async def pause(self, name):
        pid = await self.find(name)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(self.dice.uniform(0.1, 2.5))
            os.kill(pid, signal.SIGCONT)

    async def hang(self, name):
        """Its keep has to notice, and to kill it."""
        pid = await self.find(name)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        end = time.monotonic() + 3 * HANG_SECONDS + RECOVERY_SECONDS
        while is_alive(pid) and time.monotonic() < end:
            await asyncio.sleep(0.02)

    async def kill_run(self, _):
        await self.crowd()
        self.line.kill_run()

    async def cut_power(self, how):
        """All processes at once. Then the tail of the journal is what a disk
        may make of bytes that were never synced, and the redo log of stats,
        which is not synced at all, any beginning of it."""
        self.line.kill_all()
        TAILS[how](self.find_journal(), self.dice)
        log = self.line.state / "stats.json.log"
        if log.exists() and self.dice.random() < 0.5:
            os.truncate(log, self.dice.randrange(log.stat().st_size + 1))

    def find_journal(self):
        """Its newest file."""
        return sorted_journal(self.line.state)[-1]

    async def stop_cleanly(self, _):
        status = await self.line.stop()
        if status != 0:
            self.run.ledger.complain(f"run.sh, asked to stop: {status}")

    # The kernel

    async def fill_disk(self, then):
        self.disk.fill()
        await asyncio.sleep(self.dice.uniform(0.3, 1.0))
        if then:
            await self.kill(then.removeprefix("kill -9 "))
        await asyncio.sleep(self.dice.uniform(0.5, 2.0))

    async def shorten(self, _):
        self.chaos.set(short_ppm=self.dice.choice([1000, 50000, 300000]),
                       short_file_ppm=self.dice.choice([0, 50000, 300000]))
        await self.bear(1, 3)

    async def interrupt(self, _):
        self.chaos.set(eintr_ppm=self.dice.choice([1000, 20000, 100000]))
        await self.bear(1, 3)

    async def jump(self, how):
        self.chaos.set(clock_us=JUMPS[how])
        await self.bear(1, 3)

    # What is around the line

    async def poison(self, how):
        """An event that kills its stage each time, until it is set aside and
        behind the checkpoint: the next fault would bring it back else."""
        self.poisons += 1
        event_id = f"x.{self.poisons}.{self.poisons}"
        word = f"POISON{how}"
        out = self.line.expect(event_id)
        end = time.monotonic() + GIVE_UP_SECONDS
        while not await self.run.hand_in(event_id, word):
            if time.monotonic() > end:
                return
            self.poisons += 1
            self.line.forget(event_id)
            event_id = f"x.{self.poisons}.{self.poisons}"
            out = self.line.expect(event_id)
            await asyncio.sleep(0.05)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(out, end - time.monotonic())
        self.line.forget(event_id)
        seq = self.run.ledger.attempts[event_id].seq
        while self.read_checkpoint() < seq and time.monotonic() < end:
            await asyncio.sleep(0.05)

    def read_checkpoint(self):
        try:
            stats = (self.line.state / "stats.json").read_bytes()
            return json.loads(stats)["checkpoint"]
        except (OSError, ValueError, KeyError):
            return 0

    async def vex(self, how):
        try:
            await self.slack.control(*VEXATIONS[how])
            await self.bear(0.5, 2.0)
        finally:
            await self.slack.control({"do": "heal"}, {"do": "lay_ghosts"})

    async def stall(self, _):
        self.line.pause_reading()
        await asyncio.sleep(self.dice.uniform(0.5, 2.0))
        self.line.resume_reading()

    async def tear_output(self, _):
        """It dies with half a line written."""
        self.line.pause_reading()
        await asyncio.sleep(self.dice.uniform(1.0, 2.0))
        try:
            await self.kill("keep-stats")
        finally:
            self.line.resume_reading()


def find_longest(times):
    return None if None in times else max(times)


def is_alive(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b") ")[2][:1] not in (b"Z", b"X")


# --- tails of a journal ------------------------------------------------------

def read_last_line(path):
    """The last whole line; b"" where there is none."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - (1 << 20)))
        lines = file.read().split(b"\n")
    return lines[-2] if len(lines) > 1 else b""


def append(path, data):
    with open(path, "ab") as file:
        file.write(data)


def leave_as_is(path, dice):
    """All that was written was synced."""


def append_half(path, dice):
    line = read_last_line(path)
    append(path, line[:dice.randrange(len(line) + 1)])


def append_nuls(path, dice):
    append(path, bytes(dice.randrange(1, 10000)))


def append_garbage(path, dice):
    append(path, dice.randbytes(dice.randrange(1, 10000))
           + dice.choice([b"", b"\n"]))


def append_flipped(path, dice):
    """Copies with wrong bits that are no JSON any more: nobody could tell one
    that is from a record."""
    for _ in range(dice.randrange(1, 4)):
        line = bytearray(read_last_line(path) or b"{}")
        while is_json(line):
            line[dice.randrange(len(line))] ^= 1 << dice.randrange(8)
        append(path, bytes(line) + b"\n")


def is_json(data):
    """Even to one who does not look closely."""
    try:
        json.loads(data.decode(errors="replace"), strict=False)
    except ValueError:
        return False
    return True


TAILS = {"": leave_as_is, "half a record": append_half, "NULs": append_nuls,
         "garbage": append_garbage, "flipped bits": append_flipped}
JUMPS = {"a minute ahead": HOUR_US // 60, "a minute back": -HOUR_US // 60,
         "45 minutes ahead": HOUR_US * 3 // 4, "an hour back": -HOUR_US,
         "a day ahead": 25 * HOUR_US, "a day back": -25 * HOUR_US}
VEXATIONS = {
    "resets a socket": [{"do": "kill", "socket": "oldest"}],
    "resets all": [{"do": "kill"}],
    "black hole": [{"do": "blackhole", "socket": "newest"}],
    "refreshes one": [{"do": "refresh", "socket": "oldest", "warning": 0.3,
                       "grace": 0.3}],
    "refreshes all at once": [{"do": "refresh", "warning": 0, "grace": 0}],
    "429": [{"do": "fail_next", "method": "apps.connections.open",
             "times": 2, "status": 429, "retry_after": 1},
            {"do": "fail_next", "method": "conversations.history",
             "times": 2, "status": 429, "retry_after": 1},
            {"do": "kill", "socket": "newest"}],
    "500 of all": [{"do": "fail_next", "method": "*", "times": 3,
                    "status": 500}, {"do": "kill", "socket": "oldest"}],
    "429 of posts": [{"do": "fail_next", "method": "chat.postMessage",
                      "times": 2, "status": 429, "retry_after": 1}],
    "500 of posts": [{"do": "fail_next", "method": "chat.postMessage",
                      "times": 2, "status": 500}],
    "posts without an answer": [{"do": "fail_next", "times": 2, "after": True,
                                 "method": "chat.postMessage",
                                 "reset": True}],
    "uploads without an answer": [{
        "do": "fail_next", "times": 1, "after": True, "reset": True,
        "method": "files.completeUploadExternal"}],
    "no upgrade": [{"do": "fail_upgrade", "times": 1, "status": 503},
                   {"do": "kill", "socket": "oldest"}],
    "no JSON": [{"do": "raw", "text": "{not json"},
                {"do": "raw", "base64_data": "AAEC"}],
}


def describe(recovery):
    def show(seconds):
        return "not at all" if seconds is None else f"{seconds:.2f} s"
    return (f"{recovery.at:6.1f} s  {recovery.name}: recovered in "
            f"{show(recovery.inbox)}, Slack in {show(recovery.slack)}")
