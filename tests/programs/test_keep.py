"""keep: one answer for each line, in order, whatever the stage does.

keep_stages/stage.py is the stage that misbehaves; what it says stands in
Keep.said() beside what keep says.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

import pytest

from conftest import (BIN, CRASHES, ROOT, is_sanitized, limit_memory,
                      run_program)

STAGE = pathlib.Path(__file__).with_name("keep_stages") / "stage.py"
MIB = 1 << 20
KIB = 1 << 10
PIPE = 64 * KIB
PATIENCE = 30       # seconds until a test gives up; none waits so long
WAITING = "waiting until that is mended"


def line(**members):
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"


def numbers(first, last):
    return b"".join(b"line %d\n" % n for n in range(first, last + 1))


def wait_for(condition, why=lambda: "", seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, why()
        time.sleep(0.003)
    return found


def is_alive(pid):
    """Is it there, and no zombie?"""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def unread(stream):
    """Bytes that wait in the pipe."""
    return struct.unpack("i", fcntl.ioctl(
        stream, termios.FIONREAD, b"\0" * 4))[0]


class Keep:
    """keep with a stage, whose answers the test reads when it wants to."""

    def __init__(self, *command, options=(), wrapper=(), **more):
        self.log = tempfile.TemporaryFile()
        self.child = subprocess.Popen(
            [*map(str, wrapper), BIN / "keep", *map(str, options), "--",
             *map(str, command)],
            stdin=more.pop("stdin", subprocess.PIPE),
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=self.log, bufsize=0, **more)
        self.pid = self.child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stages = self.stages()
        self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            if stream:
                stream.close()
        said = self.said()
        self.log.close()
        assert not any(crash in said for crash in CRASHES), said
        wait_for(lambda: not any(map(is_alive, stages)))

    def said(self):
        return os.pread(self.log.fileno(), 16 * MIB, 0).decode(
            "utf-8", "replace")

    def says(self, words, times=1):
        """Wait for the words; returns all that was said."""
        wait_for(lambda: self.said().count(words) >= times,
                 lambda: f"no {words!r} in {self.said()!r}")
        return self.said()

    def stages(self):
        """The process that runs now, if any."""
        path = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children")
        try:
            return [int(pid) for pid in path.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def stage(self):
        return wait_for(self.stages, self.said)[0]

    def send(self, *signals):
        """One after the other: two of a kind at once are one."""
        for number in signals:
            self.child.send_signal(number)
            if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
                wait_for(lambda: not self.is_pending(number), self.said)

    def is_pending(self, number):
        try:
            status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        pending = re.search(r"(?m)^ShdPnd:\s+(\w+)", status)
        return pending is not None and int(pending[1], 16) >> number - 1 & 1

    def feed(self, text):
        text = memoryview(text)
        while text:
            text = text[self.child.stdin.write(text):]

    def fill(self, text, window):
        """Feed the line again and again, until a full window stops keep.
        Returns how many bytes were fed."""
        os.set_blocking(self.child.stdin.fileno(), False)
        end = time.monotonic() + PATIENCE
        fed = 0
        while time.monotonic() < end:
            at = fed % len(text)
            count = self.child.stdin.write(
                (text[at:] + text * (PIPE // len(text)))) or 0
            fed += count
            if count == 0 and not self.takes_more() and (
                    fed - unread(self.child.stdin) >= window):
                break
        os.set_blocking(self.child.stdin.fileno(), True)
        return fed

    def takes_more(self):
        """Does the full pipe in front of it get room within a while?"""
        return bool(select.select([], [self.child.stdin], [], 0.4)[1])

    def wait_until_blocked(self):
        """Until the pipe behind it is full."""
        pipe = os.open(f"/proc/{self.pid}/fd/1", os.O_WRONLY)
        try:
            wait_for(lambda: not select.select([], [pipe], [], 0)[1])
        finally:
            os.close(pipe)

    def read(self, expected):
        found = self.read_bytes(len(expected))
        assert found == expected
        return found

    def read_bytes(self, size):
        parts, left = [], size
        while left > 0:
            assert select.select([self.child.stdout], [], [], PATIENCE)[0], \
                self.said()
            part = os.read(self.child.stdout.fileno(), left)
            assert part, (b"".join(parts)[-1000:], self.said())
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def read_line(self):
        found = b""
        while not found.endswith(b"\n"):
            found += self.read_bytes(1)
        return found

    def is_silent(self, seconds):
        return not select.select([self.child.stdout], [], [], seconds)[0]

    def pass_on(self, text):
        self.feed(text)
        self.read(text)

    def close(self):
        self.child.stdin.close()

    def rest(self):
        """All that still comes; keep is to end. Returns it and the status."""
        parts = []
        while part := self.next_part():
            parts.append(part)
        return b"".join(parts), self.child.wait(PATIENCE)

    def next_part(self):
        assert select.select([self.child.stdout], [], [], PATIENCE)[0], \
            self.said()
        return os.read(self.child.stdout.fileno(), MIB)

    def end(self):
        self.close()
        return self.rest()

    def ask_status(self):
        """The fields of what it tells on USR1."""
        pattern = r"(?m)^[^\t\n]+\t\d+\t[^\t]+\t\d+\t\d+$"
        before = len(re.findall(pattern, self.said()))
        self.send(signal.SIGUSR1)
        wait_for(lambda: len(re.findall(pattern, self.said())) > before,
                 self.said)
        return re.findall(pattern, self.said())[-1].split("\t")


def run(*command, stdin=b"", options=(), **more):
    """Run keep on the input; returns what came out and what it said."""
    done = run_program("keep", *options, "--", *command, stdin=stdin, **more)
    return done.stdout, done.returncode, done.stderr.decode(
        "utf-8", "replace")


def run_stage(what, *words, **more):
    return run(STAGE, what, *words, **more)


def keep_stage(what, *words, **more):
    return Keep(STAGE, what, *words, **more)


def pauses(said):
    return [float(seconds) for seconds in re.findall(
        r"starting it again in ([0-9.]+) s", said)]


def is_set_aside(answer, text, stage=STAGE.name):
    """Is it what keep answers in the place of a stage that died of text?"""
    record = json.loads(answer)
    return (record["type"] == "error" and record["line"] == text.decode()
            and record["error"]["stage"] == stage
            and record["error"]["attempts"] == 3)


@pytest.fixture
def letters(tmp_path):
    return tmp_path / "dead-letters.ndjson"


@pytest.fixture
def opens(tmp_path):
    """Opens the gate of a stage."""
    return lambda: (tmp_path / "open").touch()


# --- what goes through -------------------------------------------------------

TEXTS = {
    "no input": b"",
    "a line": b"hello\n",
    "an empty line": b"\n",
    "empty lines": b"\n\na\n\n",
    "NUL bytes": b"a\0b\n\0\n\0\0\n",
    "carriage returns": b"a\r\nb\r\r\n",
    "what is no UTF-8": bytes(range(11, 256)) + b"\n",
    "a line as long as a read": b"x" * PIPE + b"\n" + b"y" * (PIPE - 1)
                                + b"\nz\n",
    "long and short lines": b"".join(b"x" * n + b"\n" for n in range(500)),
}


@pytest.mark.parametrize("case", TEXTS)
def test_passes_each_byte_as_it_came(case):
    assert run("cat", stdin=TEXTS[case]) == (TEXTS[case], 0, "")


def test_ends_an_unfinished_last_line():
    assert run("cat", stdin=b"a\nb") == (b"a\nb\n", 0, "")


def test_leaves_an_unfinished_last_line_out_where_asked():
    out, status, said = run("cat", stdin=b"a\nbc", options=["--whole-lines"])
    assert (out, status) == (b"a\n", 0)
    assert "an unfinished last line of 2 bytes was left out" in said
    out, status, said = run("cat", stdin=b"a\nb\n", options=["--whole-lines"])
    assert (out, status, said) == (b"a\nb\n", 0, "")


def test_passes_a_line_as_long_as_may_be():
    text = b"a\n" + b"x" * (16 * MIB) + b"\nb\n"
    out, status, said = run("cat", stdin=text)
    assert out == text and (status, said) == (0, "")


@pytest.mark.parametrize("more", [1, 1000, PIPE + 1, 48 * MIB])
def test_answers_a_line_over_16_mib_in_its_place(more):
    size = 16 * MIB + more
    text = b"before\n" + b"x" * size + b"\nbehind\n"
    out, status, said = run("cat", stdin=text, preexec_fn=limit_memory(120))
    before, answer, behind, rest = out.split(b"\n")
    assert (before, behind, rest, status) == (b"before", b"behind", b"", 0)
    record = json.loads(answer)
    assert record["type"] == "error" and record["error"]["stage"] == "cat"
    assert record["line"] == "x" * 1024 and record["bytes"] == size


@pytest.mark.parametrize("options, count", [((), 2), (["--whole-lines"], 1)])
def test_an_unfinished_line_over_16_mib_ends_like_others(options, count):
    text = b"before\n" + b"x" * (17 * MIB)
    out, status, _ = run("cat", stdin=text, options=options)
    assert (out.count(b"\n"), status) == (count, 0)
    assert len(out) < 4096


def test_passes_200_000_lines_quickly(tmp_path):
    text = numbers(1, 200_000)
    (tmp_path / "in").write_bytes(text)
    with open(tmp_path / "in", "rb") as lines, \
            open(tmp_path / "out", "wb") as out, \
            Keep("cat", stdin=lines, stdout=out) as keep:
        _, status, used = os.wait4(keep.pid, 0)
        keep.child.returncode = status
    assert status == 0
    assert (tmp_path / "out").read_bytes() == text
    if not is_sanitized():     # cat's time is in it, too
        assert used.ru_utime + used.ru_stime < 200_000 * 3e-6


def test_passes_a_line_at_once():
    with Keep("cat") as keep:
        for n in range(20):
            keep.pass_on(numbers(n, n))
        assert keep.end() == (b"", 0)
        assert keep.said() == ""


# --- stages that die ---------------------------------------------------------

def test_a_stage_that_takes_five_lines_at_a_time(letters):
    out, status, said = run("head", "-n", 5, stdin=numbers(1, 12),
                            options=["--dead-letters", letters])
    assert (out, status) == (numbers(1, 12), 0)
    assert "keep: head ended with status 0 with 7 lines unanswered," \
        " starting it again in 0.1 s\n" in said
    assert set(pauses(said)) == {0.1}
    assert not letters.exists()


def test_a_stage_that_always_dies(letters):
    out, status, said = run("sh", "-c", "kill -9 $$", stdin=b"hello\n",
                            options=["--dead-letters", letters])
    assert status == 0
    assert is_set_aside(out, b"hello", stage="sh")
    assert letters.read_bytes() == out
    assert pauses(said) == [0.1, 0.2, 0.4]
    assert "sh was killed by signal 9 (Killed) with 1 line unanswered" in said
    assert "it is set aside in " + str(letters) in said


def test_what_it_says_is_written_by_lines():
    """Several programs share one log: each line is one write."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        subprocess.run([BIN / "keep", "--", "sh", "-c", "kill -9 $$"],
                       input=b"hello\n", stdout=subprocess.DEVNULL,
                       stderr=theirs, check=True)
        theirs.close()
        writes = list(iter(lambda: ours.recv(1 << 16), b""))
    assert len(writes) >= 4
    for written in writes:
        assert written.startswith(b"keep: sh ")
        assert written.count(b"\n") == 1 and written.endswith(b"\n")


def test_a_stage_that_always_dies_ends_with_its_input():
    out, status, said = run("sh", "-c", "kill -9 $$")
    assert (out, status) == (b"", 0)
    assert len(said.splitlines()) == 1


def test_a_stage_that_hangs(letters):
    out, status, said = run("sleep", 1000, stdin=b"hello\n", options=[
        "--hang", 0.3, "--dead-letters", letters])
    assert status == 0
    assert is_set_aside(out, b"hello", stage="sleep")
    assert letters.read_bytes() == out
    assert said.count("sleep sat on a line for 0.3 s, killing it\n") == 3


def test_a_stage_that_does_not_end_with_its_input():
    began = time.monotonic()
    out, status, said = run("sleep", 1000, options=["--hang", 0.5])
    assert (out, status) == (b"", 0)
    assert 0.5 <= time.monotonic() - began < 10
    assert "sleep does not end, 0.5 s after its input, killing it" in said


def test_two_answers_for_one_line():
    out, status, said = run_stage("twice", stdin=b"hello\n")
    assert (out, status) == (b"hello\n", os.EX_SOFTWARE)
    assert said == ("keep: stage.py answered 1 line more than it was given:"
                    " a stage has to answer each line with one\n")


def test_two_answers_for_each_of_many_lines():
    out, status, said = run_stage("twice", stdin=numbers(1, 1000))
    assert status == os.EX_SOFTWARE
    assert "lines more than it was given" in said
    assert out.count(b"\n") <= 1000


def test_an_answer_too_many_from_one_that_is_dead():
    out, status, said = run("sh", "-c", "cat; echo more", stdin=b"a\nb\n")
    assert (out, status) == (b"a\nb\n", os.EX_SOFTWARE)
    assert "sh answered 1 line more than it was given" in said


def test_an_answer_to_nothing():
    with keep_stage("speak_first") as keep:
        keep.says("answered 1 line more than it was given")
        assert keep.rest() == (b"", os.EX_SOFTWARE)


@pytest.mark.parametrize("action", [
    "kill", "exit", "fail", "half", "almost", "crash"])
def test_a_stage_that_dies_on_a_line(action, letters):
    text = numbers(1, 20) + b"boom\n" + numbers(21, 40)
    out, status, said = run_stage("echo", "boom", action, stdin=text,
                                  options=["--dead-letters", letters])
    answer, = letters.read_bytes().splitlines(keepends=True)
    assert status == 0
    assert is_set_aside(answer, b"boom")
    assert out == text.replace(b"boom\n", answer)
    assert said.count("it is set aside") == 1


@pytest.mark.parametrize("what", ["block", "dozen"])
def test_only_the_line_that_kills_is_set_aside(what, letters):
    """Though good ones were lost with it: they were not answered yet."""
    text = numbers(1, 30) + b"boom\n" + numbers(31, 60) + b"boom 2\n"
    out, status, said = run_stage(what, "boom", stdin=text,
                                  options=["--dead-letters", letters])
    assert status == 0, said
    first, second = letters.read_bytes().splitlines(keepends=True)
    assert is_set_aside(first, b"boom") and is_set_aside(second, b"boom 2")
    assert out == text.replace(b"boom\n", first).replace(b"boom 2\n", second)


def test_a_stage_that_hangs_on_one_line():
    text = numbers(1, 3) + b"boom\n" + numbers(4, 6)
    out, status, said = run_stage("echo", "boom", "hang", stdin=text,
                                  options=["--hang", 0.4])
    answer = out.splitlines(keepends=True)[3]
    assert status == 0 and is_set_aside(answer, b"boom")
    assert out == text.replace(b"boom\n", answer)
    assert said.count("sat on a line") >= 3


@pytest.mark.parametrize("seed", [1, 2])
def test_a_stage_that_dies_after_any_number_of_answers(seed, tmp_path):
    chance = random.Random(seed)
    counts = [chance.choice([1, 2, 7, 30, 100]) for _ in range(8)]
    text = numbers(1, 1000)
    out, status, said = run_stage("after", tmp_path, *counts, stdin=text)
    assert (out, status) == (text, 0)
    assert pauses(said) == [0.1] * 8


@pytest.mark.parametrize("misbehaves", [
    ("mute",), ("close_output",), ("close_input",)], ids=" ".join)
def test_one_that_does_not_answer_any_more_is_killed(misbehaves, tmp_path):
    text = numbers(1, 1000)
    out, status, said = run_stage("once", tmp_path, *misbehaves, stdin=text,
                                  options=["--hang", 0.4])
    assert (out, status) == (text, 0)
    assert said.count("killing it") == 1


def test_one_that_closes_its_input_when_there_is_nothing(tmp_path):
    """It will not take any line: it is killed before there is one."""
    with keep_stage("once", tmp_path, "close_input",
                    options=["--hang", 0.3]) as keep:
        keep.feed(b"a\n")
        keep.says("killing it")
        keep.read(b"a\n")
        assert keep.end() == (b"", 0)


def test_a_child_of_the_stage_that_keeps_its_pipes_open(tmp_path):
    with keep_stage("once", tmp_path, "leave_child") as keep:
        keep.feed(numbers(1, 10))
        child = int(re.search(r"child (\d+)", keep.says("child "))[1])
        try:
            keep.read(numbers(1, 10))
            assert keep.end() == (b"", 0)
            assert is_alive(child)
        finally:
            os.kill(child, signal.SIGKILL)


def test_children_in_the_group_of_the_stage_die_with_it():
    with Keep("sh", "-c", "sleep 1000 & echo child $! >&2; read l; kill -9 $$"
              ) as keep:
        child = int(re.search(r"child (\d+)", keep.says("child "))[1])
        assert os.getpgid(child) == keep.stage()
        keep.feed(b"a\n")
        wait_for(lambda: not is_alive(child), keep.said)


def test_an_answer_that_does_not_end_is_bounded(tmp_path):
    out, status, said = run_stage(
        "once", tmp_path, "endless", stdin=numbers(1, 10),
        preexec_fn=limit_memory(200))
    assert (out, status) == (numbers(1, 10), 0)
    assert "stage.py answers with a line of over 32 MiB, killing it" in said
    assert "all is written" not in said


def test_a_stage_that_says_very_much():
    out, status, said = run_stage("flood", stdin=numbers(1, 100))
    assert (out, status) == (numbers(1, 100), 0)
    assert said.count("flood\n") == 1_000_000


# --- pauses ------------------------------------------------------------------

def start_times(said):
    return [float(when) for when in re.findall(r"start ([0-9.]+)", said)]


def test_pauses_grow_while_nothing_is_answered_and_no_longer(tmp_path):
    with keep_stage("starts", tmp_path, "die", "die", "die", "answer",
                    "answer", "die", "die", "stay") as keep:
        keep.says("start ", 4)     # there is no line yet to answer
        keep.pass_on(b"a\n")
        keep.says("start ", 5)
        keep.pass_on(b"b\n")
        keep.says("start ", 8)
        keep.pass_on(b"c\n")
        assert keep.end() == (b"", 0)
        said = keep.said()
    assert pauses(said) == [0.1, 0.2, 0.4, 0.1, 0.1, 0.2, 0.4]
    times = start_times(said)
    for at in (0, 1, 2, 5, 6):
        assert times[at + 1] - times[at] >= pauses(said)[at] - 0.05


def test_pauses_grow_to_ten_seconds(tmp_path):
    with keep_stage("starts", tmp_path, "die") as keep:
        said = keep.says("in 10.0 s")
        assert pauses(said) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10]
        times = start_times(said)
        assert times[7] - times[6] >= 6.4
        keep.close()
        began = time.monotonic()
        assert keep.rest() == (b"", 0)
        assert time.monotonic() - began < 8     # it does not sit it out


def test_the_first_answer_makes_pauses_short_again(tmp_path):
    """Not the start: what dies of the line itself is not started faster."""
    with keep_stage("starts", tmp_path, "die", "die", "answer", "die",
                    "stay") as keep:
        keep.says("start ", 3)
        keep.pass_on(b"a\n")
        assert pauses(keep.says("start ", 5)) == [0.1, 0.2, 0.1, 0.2]


# --- what a restart cannot help ---------------------------------------------

@pytest.mark.parametrize("status", [os.EX_USAGE, os.EX_CONFIG,
                                    os.EX_UNAVAILABLE])
def test_a_status_that_is_final_at_the_first_start(status, letters):
    out, found, said = run("sh", "-c", f"exit {status}", stdin=b"a\n",
                           options=["--dead-letters", letters])
    assert (out, found, said) == (b"", status, "")
    assert not letters.exists()


@pytest.mark.parametrize("status", [os.EX_USAGE, os.EX_CONFIG])
def test_a_status_that_is_final_later(status):
    out, found, said = run_stage("leave_later", status, stdin=numbers(1, 3))
    assert (out, found) == (numbers(1, 1), status)
    assert "starting it again" not in said


def test_a_place_that_is_taken_later_may_become_free():
    out, status, said = run_stage("leave_later", os.EX_UNAVAILABLE,
                                  stdin=numbers(1, 3))
    assert (out, status) == (numbers(1, 3), 0)
    assert len(pauses(said)) == 2


def test_unavailable_at_the_second_start_is_no_end(tmp_path):
    script = (f"echo . >> {tmp_path}/turns; case $(wc -l < {tmp_path}/turns)"
              " in 1) exit 1;; 2) exit 69;; *) exec cat;; esac")
    out, status, said = run("sh", "-c", script, stdin=numbers(1, 3))
    assert (out, status) == (numbers(1, 3), 0)
    assert "ended with status 69" in said


def test_a_stage_that_waits_for_better_times(tmp_path, letters):
    """It is not the line's fault, so the line is not set aside."""
    script = (f"echo ${{KEEP_RETRY-none}} $KEEP_HANG >> {tmp_path}/turns;"
              f" [ $(wc -l < {tmp_path}/turns) -gt 4 ] || exit 75; exec cat")
    out, status, said = run("sh", "-c", script, stdin=numbers(1, 3), options=[
        "--dead-letters", letters, "--hang", 7.5])
    assert (out, status) == (numbers(1, 3), 0)
    assert said.count("cannot go on for the time being") == 1
    assert said.count("sh goes on") == 1
    assert (tmp_path / "turns").read_text().splitlines() == [
        "none 7.500", *["1 7.500"] * 4]
    assert not letters.exists()


def test_a_command_that_is_not_there():
    out, status, said = run("no-such-command-here", stdin=b"a\n")
    assert (out, status) == (b"", os.EX_UNAVAILABLE)
    assert said == ("keep: cannot run no-such-command-here:"
                    " No such file or directory\n")


def test_a_command_that_cannot_be_run(tmp_path):
    (tmp_path / "plain").write_text("exit 0\n")
    out, status, said = run(tmp_path / "plain", stdin=b"a\n")
    assert (out, status) == (b"", os.EX_UNAVAILABLE)
    assert said == f"keep: cannot run {tmp_path}/plain: Permission denied\n"


def test_a_command_that_vanishes_is_waited_for(tmp_path):
    """As it is while a new build is installed."""
    stage, away = tmp_path / "stage", tmp_path / "away"
    stage.write_text("#!/bin/sh\nread l; echo $l; read l; exit 1\n")
    stage.chmod(0o755)
    with Keep(stage) as keep:
        keep.pass_on(b"a\n")
        stage.rename(away)
        keep.feed(b"b\n")
        keep.says(f"cannot run {stage}, trying it again in", 2)
        assert "s: No such file or directory\n" in keep.said()
        away.rename(stage)
        keep.read(b"b\n")


@pytest.mark.parametrize("arguments", [
    [], ["--"], ["--name"], ["--no-such-option", "--", "cat"],
    ["--name", "two\nlines", "--", "cat"], ["--name", "", "--", "cat"],
    ["--hang", "x", "--", "cat"], ["--hang", "-1", "--", "cat"],
    ["--window", "0", "--", "cat"], ["--window", "2G", "--", "cat"],
    ["--dead-letter-bytes", "1M", "--", "cat"]], ids=" ".join)
def test_refuses_wrong_use(arguments):
    done = run_program("keep", *arguments, stdin=b"a\n")
    assert (done.returncode, done.stdout) == (os.EX_USAGE, b"")
    assert b"usage: keep " in done.stderr


def test_options_of_the_command_are_not_its_own():
    assert run("sh", "-c", 'read l; echo "$0 $l"', "--hang",
               stdin=b"a\n") == (b"--hang a\n", 0, "")


# --- dead letters ------------------------------------------------------------

def set_aside(text, letters, *options, action="kill", **more):
    """Run a stage that dies of lines with `boom`; returns what came out."""
    out, status, said = run_stage(
        "echo", "boom", action, stdin=text,
        options=["--dead-letters", letters, *options], **more)
    assert status == 0, said
    return out


def test_the_record_is_set_aside_whole(letters):
    record = b'{"type":"message", "text":"boom","n":1.0e3,"seq":7 }\n'
    out = set_aside(numbers(1, 2) + record + numbers(3, 4), letters,
                    "--name", "scanner")
    answer = letters.read_bytes()
    assert out == numbers(1, 2) + answer + numbers(3, 4)
    assert answer.startswith(record.rstrip(b" }\n"))
    assert answer.count(b'"error"') == 1 and answer.endswith(b"}\n")
    found = json.loads(answer)
    error = found.pop("error")
    assert found == json.loads(record)
    assert error == {
        "stage": "scanner", "attempts": 3, "reason": "the stage could not"
        " bear this line: it was killed by signal 9 (Killed)"}


def test_the_reason_names_the_end(letters):
    answer = json.loads(set_aside(b"boom\n", letters, action="fail"))
    assert answer["error"]["reason"].endswith("it ended with status 1")


def test_a_hung_stage_is_named_in_the_reason(letters):
    answer = json.loads(set_aside(b"boom\n", letters, "--hang", 0.2,
                                  action="hang"))
    assert "killed by signal 9" in answer["error"]["reason"]


@pytest.mark.parametrize("text", [
    b'{"text":"boom\xff"}', b"boom\0boom", b'{"boom":1'])
def test_what_is_no_record_is_carried_by_one(text, letters):
    out = set_aside(text + b"\n", letters)
    answer = json.loads(out)
    assert letters.read_bytes() == out
    assert answer["type"] == "error"
    assert answer["error"]["attempts"] == 3
    if b"\xff" in text:
        assert "line_base64" in answer
    else:
        assert answer["line"].encode() == text


def test_a_long_record_is_set_aside_whole(letters):
    record = b'{"text":"boom ' + b"x" * (15 * MIB) + b'"}\n'
    out = set_aside(record, letters)
    assert letters.read_bytes() == out
    assert out.startswith(record[:-2] + b',"error":')


def test_nothing_is_written_where_nothing_is_asked_for(tmp_path):
    with keep_stage("echo", "boom", "kill", cwd=tmp_path) as keep:
        keep.feed(b"boom\n")
        assert is_set_aside(keep.read_line(), b"boom")
        assert keep.end() == (b"", 0)
        assert "it is set aside\n" in keep.said()
    assert list(tmp_path.iterdir()) == []


def test_it_is_set_aside_before_it_is_answered(letters):
    with keep_stage("echo", "boom", "kill",
                    options=["--dead-letters", letters]) as keep:
        keep.feed(b"boom\n")
        answer = keep.read_line()
        keep.send(signal.SIGKILL)
        assert letters.read_bytes() == answer
    assert letters.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_made_durable_is_not_answered(letters):
    """A fifo takes all that is written, and refuses fdatasync."""
    os.mkfifo(letters)
    with keep_stage("echo", "boom", "kill",
                    options=["--dead-letters", letters]) as keep:
        keep.feed(b"a\nboom\n")
        keep.read(b"a\n")
        keep.says(f"{WAITING}: Invalid argument")
        assert keep.is_silent(0)


def test_two_of_them_set_aside_in_one_file(letters):
    texts = [b"".join(b"good\nboom %c%d\n" % (which, n) for n in range(3))
             for which in b"ab"]
    keeps = [keep_stage("echo", "boom", "kill", options=[
        "--dead-letters", letters]) for _ in texts]
    with keeps[0], keeps[1]:
        for keep, text in zip(keeps, texts):
            keep.feed(text)
            keep.close()
        outs = [keep.rest() for keep in keeps]
    assert [status for _, status in outs] == [0, 0]
    expected = [answer for out, _ in outs for answer in out.splitlines()
                if answer != b"good"]
    assert sorted(letters.read_bytes().splitlines()) == sorted(expected)
    assert len(expected) == 6


def test_the_file_is_locked_while_it_is_written(letters):
    with open(letters, "wb") as held, keep_stage(
            "echo", "boom", "kill",
            options=["--dead-letters", letters]) as keep:
        fcntl.flock(held, fcntl.LOCK_EX)
        keep.feed(b"boom\n")
        keep.says(WAITING)
        assert letters.read_bytes() == b""
        fcntl.flock(held, fcntl.LOCK_UN)
        assert keep.read_line() == letters.read_bytes()


def make_letters(path, size):
    """A file of that size, of one long hole and an end."""
    with open(path, "wb") as file:
        file.truncate(size - 1)
        file.seek(0, os.SEEK_END)
        file.write(b"\n")


def test_a_full_file_makes_way(letters):
    older = letters.with_name(letters.name + ".1")
    make_letters(older, 20 * MIB)
    make_letters(letters, 24 * MIB - 10)
    answer = set_aside(b"boom\n", letters, "--dead-letter-bytes", "48M")
    assert letters.read_bytes() == answer
    assert older.stat().st_size == 24 * MIB - 10
    assert sorted(path.name for path in letters.parent.iterdir()) == [
        letters.name, older.name]


def test_a_file_that_is_not_full_goes_on(letters):
    before = b'{"older":1}\n'
    letters.write_bytes(before)
    answer = set_aside(b"boom\n", letters)
    assert letters.read_bytes() == before + answer


def test_behind_a_torn_line_a_new_one_begins(letters):
    letters.write_bytes(b'{"a":1}\n{"torn":')
    answer = set_aside(b"boom\n", letters)
    assert letters.read_bytes() == b'{"a":1}\n{"torn":\n' + answer


def test_the_longest_line_finds_room_in_an_empty_file(letters):
    make_letters(letters, 20 * MIB)
    record = b'{"text":"boom ' + b"x" * (15 * MIB) + b'"}\n'
    answer = set_aside(record, letters, "--dead-letter-bytes", "48M")
    assert letters.read_bytes() == answer
    assert letters.stat().st_size <= 24 * MIB


def test_without_its_folder_it_waits_and_says_so_once(tmp_path):
    letters = tmp_path / "folder" / "letters"
    with keep_stage("echo", "boom", "kill",
                    options=["--dead-letters", letters]) as keep:
        keep.feed(b"a\nboom\nb\n")
        keep.read(b"a\n")
        keep.says(f"keep: stage.py: {letters}: {WAITING}: No such file")
        assert keep.is_silent(2.2)      # it tries again each second
        letters.parent.mkdir()
        answer = keep.read_line()
        assert letters.read_bytes() == answer
        keep.read(b"b\n")
        assert keep.end() == (b"", 0)
        assert keep.said().count(WAITING) == 1
        assert keep.said().count("it is mended, going on") == 1


def test_waiting_for_room_it_still_reads_requests(tmp_path):
    with keep_stage("echo", "boom", "kill", options=[
            "--dead-letters", tmp_path / "folder" / "letters"]) as keep:
        keep.feed(b"boom\nb\n")
        keep.says(WAITING)
        assert keep.ask_status()[4] == "2"
        keep.send(signal.SIGTERM, signal.SIGTERM)
        wait_for(lambda: keep.child.poll() is not None)
        assert keep.child.returncode == -signal.SIGTERM


def test_waiting_for_room_it_notices_that_nobody_reads(tmp_path):
    with keep_stage("echo", "boom", "kill", options=[
            "--dead-letters", tmp_path / "folder" / "letters"]) as keep:
        keep.feed(b"boom\n")
        keep.says(WAITING)
        keep.child.stdout.close()
        keep.child.stdout = None
        assert keep.child.wait(PATIENCE) == -signal.SIGPIPE


# --- full disks --------------------------------------------------------------

@pytest.fixture
def small_disk(tmp_path):
    """The command that has a disk of 256 KiB at tmp_path/disk for itself."""
    (tmp_path / "disk").mkdir()
    for how in ("-m", "-rm"):
        mount = ["unshare", how, "sh", "-c",
                 'mount -t tmpfs -o size=256k tmpfs "$0" && exec "$@"',
                 tmp_path / "disk"]
        if subprocess.run([*mount, "true"], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return mount
    return pytest.skip("no mount namespace is to be had here")


def fill_disk(keep, disk):
    """Returns the way to the small disk from outside, and what fills it."""
    outside = pathlib.Path(f"/proc/{keep.pid}/root{disk}")
    wait_for(lambda: outside.stat().st_dev != disk.stat().st_dev)
    with pytest.raises(OSError), open(outside / "filler", "wb", 0) as stream:
        for _ in range(128):
            stream.write(bytes(4096))
    return outside, outside / "filler"


def test_a_full_disk_under_the_dead_letters(small_disk, tmp_path):
    disk = tmp_path / "disk"
    big = line(text="boom", more="x" * 20000)
    with keep_stage("echo", "boom", "kill", wrapper=small_disk, options=[
            "--dead-letters", disk / "letters"]) as keep:
        keep.pass_on(b"a\n")
        outside, filler = fill_disk(keep, disk)
        keep.feed(big + b"b\n")
        keep.says(f"{WAITING}: No space left on device")
        assert keep.is_silent(1.2)
        assert (outside / "letters").read_bytes() == b""
        filler.unlink()
        answer = keep.read_line()
        assert (outside / "letters").read_bytes() == answer
        assert json.loads(answer)["error"]["attempts"] == 3
        keep.read(b"b\n")
        assert keep.said().count(WAITING) == 1


def test_a_full_disk_under_its_output(small_disk, tmp_path):
    disk = tmp_path / "disk"
    text = numbers(1, 20000)
    script = 'exec "$0" "$@" > ' + str(disk / "out")
    with Keep("cat", wrapper=[*small_disk, "sh", "-c", script],
              options=["--hang", 0.3]) as keep:
        outside, filler = fill_disk(keep, disk)
        keep.feed(text)
        keep.says(WAITING)
        time.sleep(1.2)     # longer than it tries again, and than --hang
        assert keep.child.poll() is None
        filler.unlink()
        keep.says("it is mended, going on")
        wait_for(lambda: (outside / "out").read_bytes() == text)
        assert keep.said().count(WAITING) == 1
        assert "killing" not in keep.said()
        keep.close()
        assert keep.child.wait(PATIENCE) == 0


def test_a_full_disk_under_the_status(small_disk, tmp_path, opens):
    """It tells the truth in the room that it has."""
    disk = tmp_path / "disk"
    with keep_stage("gate", tmp_path, wrapper=small_disk, options=[
            "--status", disk / "status"]) as keep:
        inside = pathlib.Path(f"/proc/{keep.pid}/root{disk}/status")
        wait_for(lambda: inside.exists() and inside.stat().st_size > 0)
        first = keep.stage()
        outside, filler = fill_disk(keep, disk)

        def fields():
            return (outside / "status").read_text().rstrip().split("\t")

        assert fields()[1::2] == [str(first), "0"]
        keep.feed(numbers(1, 7))
        keep.says("got line 1")
        os.kill(first, signal.SIGKILL)
        keep.says("got line 1", 2)
        wait_for(lambda: fields()[3:] == ["1", "7"])
        assert int(fields()[1]) == keep.stage() != first
        assert [entry.name for entry in outside.iterdir()
                if entry != filler] == ["status"]
        opens()
        keep.read(numbers(1, 7))
        assert "No space" not in keep.said()


def test_a_status_that_finds_no_room_is_told_later(small_disk, tmp_path):
    disk = tmp_path / "disk"
    with keep_stage("echo", wrapper=small_disk, options=[
            "--status", disk / "status"]) as keep:
        keep.pass_on(b"a\n")
        outside, filler = fill_disk(keep, disk)
        (outside / "status").unlink()
        with open(filler, "ab", 0) as stream, pytest.raises(OSError):
            stream.write(bytes(4096))
            stream.write(bytes(4096))
        keep.send(signal.SIGUSR1)
        keep.says("status: No space left on device")
        assert keep.is_silent(1.2)
        filler.unlink()
        wait_for(lambda: (outside / "status").read_text().startswith(
            f"stage.py\t{keep.stage()}\t"))
        assert keep.said().count("No space left on device") == 1


def test_an_output_that_is_always_full_is_told_once():
    with open("/dev/full", "wb") as full, \
            Keep("cat", stdout=full, options=["--hang", 0.3]) as keep:
        keep.feed(numbers(1, 10))
        keep.says(WAITING)
        time.sleep(2.2)
        assert keep.said().count("No space left on device") == \
            len(keep.said().splitlines()) == 1
        assert keep.stages() and keep.child.poll() is None
        keep.send(signal.SIGTERM, signal.SIGTERM)
        assert keep.child.wait(PATIENCE) == -signal.SIGTERM


# --- signals -----------------------------------------------------------------

def test_term_goes_to_the_stage_and_what_was_read_is_answered(tmp_path, opens):
    with keep_stage("gate", tmp_path) as keep:
        keep.feed(numbers(1, 3))
        keep.says("got line 1")
        keep.send(signal.SIGTERM)
        # It dies of it, another one is given all three.
        keep.says("got line 1", 2)
        opens()
        assert keep.rest() == (numbers(1, 3), -signal.SIGTERM)
        assert pauses(keep.said()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stage_that_ends_by_itself_when_told(number):
    with keep_stage("signals", "TERM") as keep:
        keep.says("ready")
        keep.pass_on(numbers(1, 3))
        keep.feed(b"unfinished")
        keep.send(number)
        assert keep.rest() == (b"", -number)
        said = keep.said()
        assert f"stage: {signal.Signals(number).name}\n" in said
        assert "stage: end of input" in said
        assert "starting it again" not in said


def test_a_stage_that_only_ends_when_told_is_not_started_for_ever(tmp_path):
    """It is started again for what was read, but with pauses and an end."""
    turns = tmp_path / "turns"
    with Keep("sh", "-c", f"echo . >> {turns}; read l; read l; exit 0"
              ) as keep:
        keep.feed(b"a\n")
        wait_for(lambda: turns.exists() and unread(keep.child.stdin) == 0)
        keep.send(signal.SIGTERM)
        wait_for(lambda: keep.child.poll() is not None
                 or turns.stat().st_size > 2 * 20)
        assert keep.child.returncode == -signal.SIGTERM
        assert is_set_aside(keep.read_line(), b"a", stage="sh")


def test_the_second_term_ends_it_at_once():
    with keep_stage("deaf") as keep:
        keep.says("ready")
        keep.feed(b"a\n")
        keep.says("got a")
        stage = keep.stage()
        keep.send(signal.SIGTERM)
        keep.says("SIGTERM")
        assert keep.child.poll() is None
        keep.send(signal.SIGTERM)
        assert keep.rest() == (b"", -signal.SIGTERM)
        wait_for(lambda: not is_alive(stage))


def test_one_that_ignores_term_is_killed_after_hang():
    with keep_stage("deaf", options=["--hang", 0.5]) as keep:
        keep.says("ready")
        keep.send(signal.SIGTERM)
        assert keep.rest() == (b"", -signal.SIGTERM)
        assert "does not end, 0.5 s after its input" in keep.said()


def ignore_stops():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_what_was_ignored_when_it_started_stays_ignored(tmp_path):
    """Then a TERM for all processes drains the line from its reader down."""
    with keep_stage("signals", preexec_fn=ignore_stops) as keep:
        keep.says("ready")
        keep.pass_on(numbers(1, 3))
        keep.send(signal.SIGTERM, signal.SIGINT)
        os.kill(keep.stage(), signal.SIGTERM)
        keep.says("ready", 2)
        keep.pass_on(numbers(4, 6))
        keep.send(signal.SIGTERM)
        keep.pass_on(numbers(7, 9))
        assert keep.end() == (b"", 0)


def test_term_between_two_starts(tmp_path):
    """What was read is given to one more."""
    with keep_stage("starts", tmp_path, "die", "die", "stay") as keep:
        keep.feed(numbers(1, 3))
        keep.says("in 0.2 s")
        keep.send(signal.SIGTERM)
        assert keep.rest() == (numbers(1, 3), -signal.SIGTERM)


def test_hup_goes_to_the_stage_and_does_nothing_else():
    with keep_stage("signals") as keep:
        keep.says("ready")
        keep.pass_on(numbers(1, 3))
        keep.send(signal.SIGHUP)
        keep.says("stage: SIGHUP")
        keep.pass_on(numbers(4, 6))
        assert keep.end() == (b"", 0)
        assert keep.said().count("\n") == 3     # ready, SIGHUP, end


SINCE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def test_usr1_tells_the_status(tmp_path, opens):
    with keep_stage("gate", tmp_path, options=["--name", "a-gate"]) as keep:
        keep.feed(numbers(1, 7) + b"unfinished")
        keep.says("got line 1")
        name, pid, since, restarts, waiting = keep.ask_status()
        assert (name, int(pid)) == ("a-gate", keep.stage())
        assert re.fullmatch(SINCE, since)
        assert (restarts, waiting) == ("0", "7")
        os.kill(keep.stage(), signal.SIGKILL)
        keep.says("got line 1", 2)
        again = keep.ask_status()
        assert int(again[1]) == keep.stage() != int(pid)
        assert again[2] > since
        assert again[3:] == ["1", "7"]
        opens()
        keep.read(numbers(1, 7))
        assert keep.ask_status()[4] == "0"


def test_the_status_stands_in_a_file(tmp_path, opens):
    path = tmp_path / "status"

    def fields():
        line = path.read_text()
        assert len(line) == 256 and line.endswith("\n")
        return line.rstrip(" \n").split("\t")

    with keep_stage("gate", tmp_path, options=["--status", path]) as keep:
        wait_for(path.exists)
        assert fields()[0] == "stage.py"
        first = keep.stage()
        assert int(fields()[1]) == first
        assert re.fullmatch(SINCE, fields()[2])
        assert fields()[3:] == ["0", "0"]
        keep.feed(numbers(1, 5))
        keep.says("got line 1")
        wait_for(lambda: fields()[4] == "5")    # without being asked
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: fields()[1] == "0")
        assert fields()[3:] == ["0", "5"]
        wait_for(lambda: fields()[3] == "1")
        assert int(fields()[1]) == keep.stage() != first
        assert path.read_bytes().count(b"\n") == 1
        assert "\t" not in keep.said()
        opens()
        keep.read(numbers(1, 5))
        wait_for(lambda: fields()[4] == "0")
        assert keep.end() == (b"", 0)
    assert [entry.name for entry in tmp_path.iterdir()
            if entry.name.startswith("status")] == ["status"]


def test_kill_9_takes_the_stage_along():
    with keep_stage("deaf") as keep:
        keep.says("ready")
        stage = keep.stage()
        keep.send(signal.SIGKILL)
        keep.child.wait()
        wait_for(lambda: not is_alive(stage))


def test_kill_9_takes_along_a_stage_that_is_being_started():
    mark = str(random.Random().randrange(10 ** 12, 10 ** 13))

    def survivors():
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if mark.encode() in path.read_bytes():
                    found.append(int(path.parent.name))
        return [pid for pid in found if is_alive(pid)]

    for n in range(40):
        child = subprocess.Popen([BIN / "keep", "--", "sleep", mark],
                                 stdin=subprocess.PIPE)
        time.sleep(n * (0.0002 if not is_sanitized() else 0.002))
        child.kill()
        child.wait()
        child.stdin.close()
    wait_for(lambda: not survivors(), survivors)


def test_a_stopped_stage_is_killed():
    with keep_stage("echo", options=["--hang", 0.4]) as keep:
        keep.pass_on(b"a\n")
        os.kill(keep.stage(), signal.SIGSTOP)
        keep.feed(numbers(1, 3))
        keep.read(numbers(1, 3))
        assert "sat on a line for 0.4 s, killing it" in keep.said()
        assert keep.end() == (b"", 0)


def test_a_stopped_stage_without_lines_is_left_alone():
    with keep_stage("echo", options=["--hang", 0.2]) as keep:
        keep.pass_on(b"a\n")
        os.kill(keep.stage(), signal.SIGSTOP)
        time.sleep(0.6)
        os.kill(keep.stage(), signal.SIGCONT)
        keep.pass_on(b"b\n")
        assert keep.said() == ""


def test_its_own_stop_is_not_held_against_the_stage(tmp_path, opens):
    with keep_stage("gate", tmp_path, options=["--hang", 0.5]) as keep:
        keep.feed(b"a\n")
        keep.says("got a")
        keep.send(signal.SIGSTOP)
        time.sleep(2)
        keep.send(signal.SIGCONT)
        keep.ask_status()
        opens()
        keep.read(b"a\n")
        assert "killing" not in keep.said()


@pytest.mark.parametrize("answered_after", [0.1, 0.7])
def test_an_answer_that_came_during_its_own_stop_counts(
        answered_after, tmp_path, opens):
    with keep_stage("gate", tmp_path, options=["--hang", 0.4]) as keep:
        keep.feed(b"a\n")
        keep.says("got a")
        keep.send(signal.SIGSTOP)
        time.sleep(answered_after)
        opens()
        time.sleep(0.8 - answered_after)
        keep.send(signal.SIGCONT)
        keep.read(b"a\n")
        assert "killing" not in keep.said()


# --- the window --------------------------------------------------------------

def memory(pid, name):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"(?m)^{name}:\s+(\d+) kB", status)[1]) * KIB


def private_memory(pid):
    """What it has for itself, files that all processes share left out."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(
        r"(?m)^Private_\w+:\s+(\d+) kB", rollup)) * KIB


def test_it_reads_no_more_than_its_window(tmp_path, opens):
    text = b"x" * 99 + b"\n"
    with keep_stage("gate", tmp_path, options=["--window", "256K"]) as keep:
        fed = keep.fill(text, 256 * KIB)
        held = fed - unread(keep.child.stdin)
        assert 256 * KIB <= held <= 256 * KIB + PIPE
        assert int(keep.ask_status()[4]) in (held // 100, held // 100 + 1)
        opens()
        out = keep.read_bytes(fed // 100 * 100)
        assert out == text * (fed // 100)


def test_a_line_longer_than_the_window_passes_alone(tmp_path):
    text = b"".join(b"%d" % n * (100 * KIB) + b"\n" for n in range(5))
    with Keep("cat", options=["--window", 1]) as keep:
        for part in text.splitlines(keepends=True):
            keep.pass_on(part)
        assert keep.end() == (b"", 0)


@pytest.mark.skipif(is_sanitized(), reason="sanitizers take memory")
def test_memory_is_small_and_given_back(tmp_path, opens):
    with keep_stage("gate", tmp_path) as keep:
        wait_for(keep.stages)
        assert memory(keep.pid, "RssAnon") < 300 * KIB
        assert private_memory(keep.pid) < 1.5 * MIB
        text = b"x" * 999 + b"\n"
        fed = keep.fill(text, 4 * MIB)
        assert memory(keep.pid, "RssAnon") < 5.5 * MIB
        opens()
        assert keep.read_bytes(fed // 1000 * 1000) == text * (fed // 1000)
        wait_for(lambda: memory(keep.pid, "RssAnon") < 1.5 * MIB,
                 lambda: memory(keep.pid, "RssAnon"))
        assert memory(keep.pid, "VmHWM") < 8 * MIB


def test_the_end_of_the_input_is_told_though_the_pipe_is_full_again(tmp_path):
    """Keep finds room for just the rest, and the end, in one turn."""
    with keep_stage("page", tmp_path, options=["--hang", 60]) as keep:
        stage = keep.stage()
        text = b"x" * 63 + b"\n"
        with open(f"/proc/{stage}/fd/0", "rb") as pipe:
            wait_for(lambda: fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) == MIB)
            text *= (MIB + 4096) // len(text)
            keep.feed(text)
            wait_for(lambda: unread(pipe) == MIB)
            wait_for(lambda: unread(keep.child.stdin) == 0)
        keep.send(signal.SIGSTOP)
        (tmp_path / "open").touch()
        keep.says("read a page")
        keep.child.stdin.close()
        keep.send(signal.SIGCONT)
        time.sleep(0.2)
        (tmp_path / "all").touch()
        keep.read(text)
        assert keep.end() == (b"", 0)
        assert keep.said() == "stage: read a page\n"


# --- what is behind it -------------------------------------------------------

def test_answers_that_nobody_takes_are_not_held_against_the_stage():
    text = numbers(1, 30000)
    with keep_stage("echo", options=["--hang", 0.3]) as keep:
        keep.feed(text)
        keep.wait_until_blocked()
        time.sleep(1)
        assert keep.said() == ""
        keep.read(text)
        assert keep.end() == (b"", 0)


def test_the_clock_begins_anew_when_answers_are_taken_again(tmp_path):
    first = b"x" * (2 * PIPE) + b"\n"
    with keep_stage("echo", "slow", "hold", options=["--hang", 3],
                    env={**os.environ, "OPEN": str(tmp_path / "open")}
                    ) as keep:
        keep.feed(first + b"slow\n")
        keep.wait_until_blocked()
        time.sleep(3.2)
        keep.read(first)
        assert keep.is_silent(0.2)
        (tmp_path / "open").touch()
        keep.read(b"slow\n")
        assert keep.end() == (b"", 0)
        assert "killing" not in keep.said()


def test_what_a_dead_stage_has_answered_counts_though_nobody_reads():
    text = numbers(1, 300000)
    with keep_stage("block", "boom") as keep:
        feeding = threading.Thread(target=keep.feed, args=[text])
        feeding.start()
        keep.wait_until_blocked()
        stage = keep.stage()
        os.kill(stage, signal.SIGKILL)
        wait_for(lambda: not is_alive(stage))
        keep.read(text)
        feeding.join()
        assert keep.end() == (b"", 0)
        assert pauses(keep.said()) == [0.1]


def test_no_answer_is_taken_before_the_last_ones_are_passed_on(tmp_path):
    """This is what the checkpoint of stats stands on."""
    first = b"x" * (2 * PIPE) + b"\n"
    with Keep("cat") as keep:
        keep.feed(first)
        keep.wait_until_blocked()
        keep.feed(b"second\n")
        for _ in range(3):
            waiting = wait_for(lambda: int(keep.ask_status()[4]))
        assert waiting >= 1
        keep.read(first + b"second\n")
        assert keep.ask_status()[4] == "0"


@pytest.mark.parametrize("lines", [b"", numbers(1, 100)])
def test_ends_quietly_when_nobody_reads(lines):
    with keep_stage("echo") as keep:
        keep.pass_on(b"a\n")
        stage = keep.stage()
        keep.child.stdout.close()
        keep.child.stdout = None
        with contextlib.suppress(BrokenPipeError):
            keep.feed(lines)
        assert keep.child.wait(PATIENCE) == -signal.SIGPIPE
        assert keep.said() == ""
        wait_for(lambda: not is_alive(stage))


def test_an_input_that_cannot_be_read(tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    with Keep("cat", stdin=folder) as keep:
        assert keep.rest() == (b"", os.EX_IOERR)
        assert "read standard input: Is a directory" in keep.said()
    os.close(folder)


# --- all together ------------------------------------------------------------

def random_lines(chance, count):
    sizes = [0, 1, 5, 80, 80, 80, 300, 4000]
    return [b"%d " % n + chance.randbytes(chance.choice(sizes)).replace(
        b"\n", b"") + b"\n" for n in range(count)]


def torment(keep, chance):
    """Kill or stop the stage, if there is one."""
    for stage in keep.stages():
        number = chance.choice([signal.SIGKILL, signal.SIGKILL,
                                signal.SIGSTOP, signal.SIGTERM])
        with contextlib.suppress(ProcessLookupError):
            os.kill(stage, number)


@pytest.mark.parametrize("seed", ["fixed", "random"])
def test_each_answer_comes_once_in_order_whatever_happens(seed, tmp_path):
    if seed == "random":
        seed = random.Random().randrange(10 ** 9)
    print("seed", seed)
    chance = random.Random(seed)
    given = random_lines(chance, 6000)
    text, at, out = b"".join(given), 0, b""
    with keep_stage("fuzz", tmp_path, seed, options=[
            "--hang", 0.3, "--window", chance.choice(["1", "20K", "4M"])
            ]) as keep:
        os.set_blocking(keep.child.stdin.fileno(), False)
        next_fault = time.monotonic()
        end = time.monotonic() + 60
        while True:
            assert time.monotonic() < end, keep.said()[-2000:]
            inputs = [keep.child.stdin] if at < len(text) else []
            readable, writable, _ = select.select(
                [keep.child.stdout], inputs, [], 0.05)
            if readable:
                part = os.read(keep.child.stdout.fileno(),
                               chance.choice([1, 100, 65536]))
                out += part
                if not part:
                    break
            if writable:
                at += keep.child.stdin.write(
                    text[at:at + chance.choice([1, 50, 3000, 65536])]) or 0
                if at == len(text):
                    keep.close()
            if time.monotonic() > next_fault and at < len(text):
                torment(keep, chance)
                next_fault = time.monotonic() + chance.uniform(0.1, 0.8)
        status = keep.child.wait(PATIENCE)
        aside = keep.said().count("it is set aside")
    assert status == 0
    answers = [answer + b"\n" for answer in out.split(b"\n")[:-1]]
    assert len(answers) == len(given)
    others = [(answer, wanted) for answer, wanted in zip(answers, given)
              if answer != wanted]
    assert len(others) == aside     # it died of one three times by chance
    for answer, _ in others:
        assert json.loads(answer)["error"]["attempts"] == 3


FILTERS = {
    "scanner": ["--patterns", ROOT / "examples" / "patterns.conf"],
    "classifier": ["--classes", ROOT / "examples" / "classes.conf"],
}


@pytest.mark.parametrize("name", FILTERS)
def test_the_laws_hold_for_a_stage_that_is_kept(name, community):
    bare = run_program(name, *FILTERS[name], stdin=community)
    assert bare.returncode == 0
    out, status, said = run(BIN / name, *FILTERS[name], stdin=community)
    assert (status, said) == (0, bare.stderr.decode())
    assert out == bare.stdout


@pytest.mark.parametrize("name", FILTERS)
def test_the_laws_hold_for_a_stage_that_dies_again_and_again(name, community):
    bare = run_program(name, *FILTERS[name], stdin=community).stdout
    with Keep(BIN / name, *FILTERS[name],
              options=["--window", 100 * KIB]) as keep:
        feeding = threading.Thread(target=keep.feed, args=[community])
        feeding.start()
        out = b""
        for _ in range(4):
            out += keep.read_bytes(len(bare) // 6)
            with contextlib.suppress(ProcessLookupError):
                os.kill(keep.stage(), signal.SIGKILL)
        out += keep.read_bytes(len(bare) - len(out))
        feeding.join()
        assert keep.end() == (b"", 0)
        assert out == bare
        assert len(pauses(keep.said())) >= 2
