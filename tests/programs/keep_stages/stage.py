#!/usr/bin/python3 -SIB
"""A stage for test_keep.py that misbehaves on demand: stage.py WHAT [WORDS].

Unless WHAT is something else a line's answer is the line. What is worth
knowing it says on standard error, which is keep's, too. `once` does what is
named behind it at its first start only, and is an honest stage afterwards:
stage.py once FOLDER WHAT [WORDS].
"""
import os
import random
import select
import signal
import sys
import time

BLOCK = 1 << 16


def say(*words):
    os.write(2, ("stage: " + " ".join(map(str, words)) + "\n").encode())


def answer(text):
    text = memoryview(text)
    while text:
        text = text[os.write(1, text):]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def wait():
    """For ever, as one that hangs."""
    while True:
        signal.pause()


def lines():
    """Whole lines as they come."""
    for batch in batches():
        yield from split(batch)


def batches():
    """All whole lines that are there, as one."""
    held = []
    while block := os.read(0, BLOCK):
        whole, end, rest = block.rpartition(b"\n")
        if end:
            yield b"".join([*held, whole, end])
            held = []
        held.append(rest)


def split(batch):
    return [line + b"\n" for line in batch.split(b"\n")[:-1]]


def wait_for_file(path):
    while not os.path.exists(path):
        time.sleep(0.005)


def next_turn(folder):
    """How many starts there were before this one."""
    path = os.path.join(folder, "turns")
    with open(path, "ab") as file:
        file.write(b".")
    return os.path.getsize(path) - 1


# --- what it does to its lines ----------------------------------------------

def echo(word="", action=""):
    """Answers each line at once; one with the word makes it do the action."""
    for line in lines():
        if word and word.encode() in line:
            ACTIONS[action](line)
        answer(line)
    say("end of input")


def block(word):
    """Answers all it has with one write; the word kills it before that."""
    for batch in batches():
        if word.encode() in batch:
            die()
        answer(batch)


def dozen(word):
    """Answers when it has twelve lines, or after a while; a word kills it."""
    held = b""
    while True:
        patience = 0.05 if b"\n" in held else None
        if not select.select([0], [], [], patience)[0]:
            held = answer_some(held, held.count(b"\n"))
            continue
        block = os.read(0, BLOCK)
        if not block:
            answer(held)
            return
        held += block
        if word.encode() in held:
            die()
        while held.count(b"\n") >= 12:
            held = answer_some(held, 12)


def answer_some(held, count):
    some = b"".join(split(held[:held.rfind(b"\n") + 1])[:count])
    answer(some)
    return held[len(some):]


def gate(folder):
    """Says what it got; answers once the file `open` is there."""
    for line in lines():
        say("got", line.decode().strip())
        wait_for_file(os.path.join(folder, "open"))
        answer(line)


def page(folder):
    """Reads one page when the file `open` is there, all else when `all` is, and
    answers at the end of its input only."""
    wait_for_file(os.path.join(folder, "open"))
    text = os.read(0, 4096)
    say("read a page")
    wait_for_file(os.path.join(folder, "all"))
    while block := os.read(0, BLOCK):
        text += block
    answer(text)


def mute():
    """Takes all and answers nothing."""
    for line in lines():
        say("got", line.decode().strip())
    wait()


def after(folder, *counts):
    """The nth start answers counts[n] lines and dies amid the next one."""
    turn = next_turn(folder)
    if turn >= len(counts):
        echo()
        return
    count = int(counts[turn])
    for line in lines():
        if count == 0:
            answer(line[:-1])
            die()
        answer(line)
        count -= 1


def fuzz(folder, seed):
    """Answers, dribbles, batches and dies; in progress at least each second
    time, for that no line is set aside."""
    turn = next_turn(folder)
    chance = random.Random(f"{seed} {turn}")
    left = chance.choice([0, 1, 5, 50, 500, 2000]) + turn % 2
    for batch in batches():
        kind = chance.randrange(4)
        todo = split(batch)
        while todo and left > 0:
            count = 1 if kind == 0 else min(
                len(todo), chance.choice([1, 3, 30, 1000]), left)
            text = b"".join(todo[:count])
            if kind == 1:
                for at in range(0, len(text), 7):
                    answer(text[at:at + 7])
            else:
                answer(text)
            todo = todo[count:]
            left -= count
        if todo:
            rest = b"".join(todo)
            answer(rest[:chance.randrange(len(todo[0]))])
            chance.choice([die, lambda: sys.exit(0), lambda: sys.exit(3),
                           os.abort])()


# --- what else it may do ----------------------------------------------------

def twice():
    for line in lines():
        answer(line * 2)


def speak_first():
    answer(b"hello\n")
    wait()


def close_input():
    os.read(0, 1)
    os.close(0)
    say("closed")
    wait()


def close_output():
    os.close(1)
    say("closed")
    wait()


def leave_child():
    """Dies, while a child of its own session keeps the pipes open."""
    ready, told = os.pipe()
    if os.fork() == 0:
        os.setsid()
        say("child", os.getpid())
        os.close(told)
        wait()
    os.close(told)
    os.read(ready, 1)
    next(lines())
    die()


def endless(mebibytes="64"):
    """A line that does not end."""
    os.read(0, BLOCK)
    for _ in range(int(mebibytes)):
        answer(b"x" * (1 << 20))
    say("all is written")
    wait()


def flood():
    """Says very much."""
    for line in lines():
        os.write(2, b"flood\n" * 10000)
        answer(line)


def signals(*ignored):
    """Says which signals come, and ends by TERM unless that is ignored."""
    def note(number, _):
        say(signal.Signals(number).name)
        if number == signal.SIGTERM and "TERM" not in ignored:
            os._exit(0)

    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    say("ready")
    echo()


def deaf(*_):
    """Ignores TERM, and answers nothing."""
    signal.signal(signal.SIGTERM, lambda *_: say("SIGTERM"))
    say("ready")
    mute()


def leave_later(status):
    """Answers one line and ends with the status."""
    answer(next(lines()))
    sys.exit(int(status))


def starts(folder, *actions):
    """Says when it starts; the nth time it does the nth action: `die` at
    once, `answer` a line and die, `stay`. The last one goes for all others."""
    turn = next_turn(folder)
    say("start", time.monotonic())
    action = actions[min(turn, len(actions) - 1)]
    if action == "stay":
        echo()
    if action == "answer":
        answer(next(lines()))
    die()


def once(folder, what, *words):
    if next_turn(folder) == 0:
        BEHAVIOURS[what](*words)
    else:
        echo()


def half(line):
    answer(line[:len(line) // 2])
    die()


ACTIONS = {
    "kill": lambda line: die(),
    "exit": lambda line: sys.exit(0),
    "fail": lambda line: sys.exit(1),
    "half": half,
    "almost": lambda line: (answer(line[:-1]), die()),
    "hang": lambda line: wait(),
    "hold": lambda line: wait_for_file(os.environ["OPEN"]),
    "crash": lambda line: os.abort(),
}
BEHAVIOURS = {function.__name__: function for function in (
    echo, block, dozen, gate, page, mute, after, fuzz, twice, speak_first,
    close_input, close_output, leave_child, endless, flood, signals, deaf,
    leave_later, starts, once)}

if __name__ == "__main__":
    BEHAVIOURS[sys.argv[1]](*sys.argv[2:])
