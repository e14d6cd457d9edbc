#!/usr/bin/python3
"""A stage that some lines kill: it stands in for a program in BIN, passes
whole lines to the real one, which lies beside it as NAME.real, and does what
is asked for where a line holds a word (sabotage.py: put_poison).

POISON holds WORD:ACTION pairs with blanks between them, POISON_FILE names a
file of such pairs that may change at any time. Actions:

    kill   die of SIGKILL at once, whatever was answered until then
    abort  the same by SIGABRT
    hang   answer the lines before, then nothing more
    half   answer the lines before, half of one that is no JSON, then die
    exit   answer the lines before, then end with status 0
    twice  answer the line, and then once more, as no stage may
"""
import ctypes
import os
import resource
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
BLOCK = 1 << 16
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Words:
    """The words to look for, from both places."""

    def __init__(self):
        self.fixed = self.parse(os.environb.get(b"POISON", b""))
        self.path = os.environ.get("POISON_FILE")
        self.stamp = None
        self.actions = self.fixed

    @staticmethod
    def parse(text):
        return dict(pair.rsplit(b":", 1) for pair in text.split())

    def read(self):
        """The actions by word, as the file says now."""
        if self.path is None:
            return self.actions
        try:
            found = os.stat(self.path)
            stamp = found.st_mtime_ns, found.st_ino, found.st_size
            if stamp != self.stamp:
                with open(self.path, "rb") as file:
                    self.actions = {**self.fixed, **self.parse(file.read())}
                self.stamp = stamp
        except FileNotFoundError:
            self.actions = self.fixed
        return self.actions


class Stage:
    """The real program; it writes to our standard output itself."""

    def __init__(self):
        name = sys.argv[0]
        libc = ctypes.CDLL(None)
        ours = os.getpid()

        def die_with_us():
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != ours:
                os._exit(1)

        self.process = subprocess.Popen(
            [name, *sys.argv[1:]], executable=f"{name}.real",
            stdin=subprocess.PIPE, preexec_fn=die_with_us)
        self.fd = self.process.stdin.fileno()
        self.is_ending = False
        signal.signal(signal.SIGCHLD, lambda *_: self.check())
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda number, _: self.process.
                              send_signal(number))
        self.check()

    def check(self):
        """As it ends so do we."""
        if not self.is_ending and self.process.poll() is not None:
            end_as(self.process.returncode)

    def feed(self, lines):
        lines = memoryview(lines)
        try:
            while lines:
                lines = lines[os.write(self.fd, lines):]
        except BrokenPipeError:
            end_as(self.process.wait())

    def settle(self):
        """Until all that it was given is answered; returns its status."""
        self.is_ending = True
        self.process.stdin.close()
        return self.process.wait()


def end_as(status):
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(-status, signal.SIG_DFL) if -status not in (
            signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -status)
        signal.pause()
    os._exit(status)


def act(action, stage, line):
    """What the word asks for; only `twice` and `hang` do not end us."""
    if action == b"kill":
        end_as(-signal.SIGKILL)
    if action == b"abort":
        end_as(-signal.SIGABRT)
    if action == b"hang":
        while True:
            signal.pause()
    if action == b"twice":
        stage.feed(line + line)
        return
    stage.settle()
    if action == b"half":
        os.write(1, b'{"half an answer": "' + line[:50].strip())
        end_as(-signal.SIGKILL)
    end_as(0)


def take(lines, stage, actions):
    """Whole lines: feed them, up to one that is poison."""
    if not any(word in lines for word in actions):
        stage.feed(lines)
        return
    for line in lines.splitlines(keepends=True):
        action = next((actions[word] for word in actions if word in line),
                      None)
        if action is None:
            stage.feed(line)
        else:
            act(action, stage, line)


def main():
    words, stage, rest = Words(), Stage(), []
    while block := os.read(0, BLOCK):
        head, found, tail = block.rpartition(b"\n")
        if not found:
            rest.append(block)
            continue
        take(b"".join([*rest, head, found]), stage, words.read())
        rest = [tail] if tail else []
    if rest:
        take(b"".join(rest), stage, words.read())
    end_as(stage.settle())


if __name__ == "__main__":
    main()
