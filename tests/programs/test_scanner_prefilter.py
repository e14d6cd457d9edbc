"""scanner: the prefilter changes nothing but the time.

Expressions and texts are made by dice that fall the same each time. What comes
out is held against what comes out with --no-prefilter, byte for byte, whether
the prefilter had the time to get ready or not.
"""
import json
import random
import signal
import subprocess
import time

import pytest

from conftest import BIN, is_sanitized, run_program

FEWER = 4 if is_sanitized() else 1
KELVIN, LONG_S = "\u212a", "\u017f"
WORDS = ["error", "fatal", "task", "Kiosk", "sink", "stark", "ab", "ba", "k",
         "s", "K", "S", KELVIN, LONG_S, "é", "É", "端末", "リリース", "a b", "x",
         "01", "404", "-", "build", "BUILD", "Straße"]
ENDS = ["\n", "\r", "\r\n", " ", " ", " ", "\t", "\u2028", ""]
CLASSES = [".", r"\d", r"\w+", "[ks]", "[^a]", r"\b", "^", "$", r"\s*", r"\K",
           r"\S{1,3}", r"\p{Lu}", r"\x41", r"\R", ".*?", r"\.", "(?#ab)",
           r"\Qa.b\E"]
GROUPS = ["(", "(?:", "(?:", "(?>", "(?=", "(?!", "(?<=", "(?<!", "(?i:",
          "(?|"]
REPEATS = ["", "", "", "", "", "?", "+", "{2}", "{0,2}", "{0}", "*"]
EVIL = "/(a+)+[bc].*xyzzy/"


def expression(dice, depth=2):
    """Literals for the most part, as people write them."""
    branches = []
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        pieces = []
        for _ in range(dice.randint(1, 4)):
            kind = dice.random()
            if kind < 0.6:
                piece = dice.choice(WORDS)
            elif kind < 0.8 or depth == 0:
                piece = dice.choice(CLASSES)
            else:
                piece = (dice.choice(GROUPS) + expression(dice, depth - 1) +
                         ")")
            pieces.append(piece + dice.choice(REPEATS))
        branches.append("".join(pieces))
    return "|".join(branches)


def term(dice):
    """As it is typed: a literal, or an expression in slashes."""
    if dice.random() < 0.3:
        return " ".join(dice.choices(WORDS, k=dice.randint(1, 3))).strip()
    while True:
        made = f"/{expression(dice)}/{dice.choice(['', 'i'])}"
        if len(made.encode()) <= 200:
            return made


def text(dice, words):
    return "".join(dice.choice(WORDS) + dice.choice(ENDS)
                   for _ in range(words))


def forward(start, user, wanted, end="-"):
    return f"forward {start} {end} {user} any any any {wanted}"


def message(seq, said, **more):
    return {"type": "message", "seq": seq, "channel": "C1", "user": "W9",
            "text": said, **more}


def write_lines(folder, lines):
    path = folder / "subscriptions"
    path.write_text("seq 1\n" + "".join(line + "\n" for line in lines),
                    encoding="utf-8")
    return path


def encode(records):
    return [json.dumps(record).encode() + b"\n" for record in records]


def scan(path, lines, *arguments):
    return run_program("scanner", "--subscriptions", path, "--max-matches",
                       "3", *arguments, stdin=b"".join(lines), timeout=400,
                       ).stdout


def scan_when_ready(path, lines, *arguments):
    """The first record, a pause in which the thread gets ready, the others."""
    with subprocess.Popen(
            [BIN / "scanner", "--subscriptions", path, "--max-matches", "3",
             *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL) as child:
        child.stdin.write(lines[0])
        child.stdin.flush()
        first = child.stdout.readline()
        time.sleep(1)
        rest, _ = child.communicate(b"".join(lines[1:]), timeout=400)
        assert child.returncode == 0
    return first + rest


def terms_of(answer):
    return [match["pattern"] for match in answer.get("matches", [])]


def found(out):
    """How many matches, and of how many terms."""
    names = [name for line in out.splitlines()
             for name in terms_of(json.loads(line))]
    return len(names), len(set(names))


def hold_against_each_other(path, records, *arguments):
    lines = encode(records)
    plain = scan(path, lines, "--no-prefilter", *arguments)
    assert scan(path, lines, *arguments) == plain
    assert scan_when_ready(path, lines, *arguments) == plain
    return plain


def test_texts(tmp_path):
    dice = random.Random(61)
    count = 2000 // FEWER
    path = write_lines(tmp_path, [
        forward(1, f"U{i % 40}", term(dice)) for i in range(count)])
    plain = hold_against_each_other(path, [
        message(seq, text(dice, dice.randint(1, 30)))
        for seq in range(2, count // 2)])
    matches, terms = found(plain)
    assert matches > 4 * count and terms > count / 4


def write_files(dice, spool):
    """Longer than a piece that is searched at once; with bytes of no UTF-8,
    lines without an end, and UTF-16."""
    contents = [
        text(dice, 30000).encode(),
        b"\xff".join(text(dice, 5).encode() for _ in range(4000)),
        text(dice, 20000).encode().replace(b"\n", b"\r"),
        text(dice, 30000).replace("\n", "").replace("\r", "").encode(),
        b"\xff\xfe" + text(dice, 20000).encode("utf-16-le"),
    ]
    for i, content in enumerate(contents):
        (spool / f"{i}").write_bytes(content)
    return [{"file": f"F{i}", "status": "ok", "path": f"{i}"}
            for i in range(len(contents))]


def test_files_and_pieces_of_them(tmp_path):
    dice = random.Random(62)
    spool = tmp_path / "spool"
    spool.mkdir()
    count = 240 // FEWER
    path = write_lines(tmp_path, [
        forward(1, f"U{i}", term(dice)) for i in range(count)])
    files = write_files(dice, spool)
    plain = hold_against_each_other(path, [
        message(2, "first")] + [message(3 + i, "file", fetched=[file])
                                for i, file in enumerate(files)],
        "--spool", spool)
    assert b'"where":"file:F4"' in plain
    matches, terms = found(plain)
    assert matches > count and terms > count / 4


def test_limits_of_cost_and_quarantine(tmp_path):
    """What is given up where, and from when on, does not depend on it."""
    dear = "a" * 20000
    path = write_lines(
        tmp_path, [forward(1, "U1", EVIL), forward(1, "U2", r"/(\w+)+[@#]/")] +
        [forward(1, "U3", f"BUG-{i}") for i in range(100)])
    texts = ["first", dear, dear + " xyzzy", dear + " xyzz BUG-7",
             "abxyzzy " + dear, dear + " xyzzy", dear + "xyzzy", dear]
    plain = hold_against_each_other(path, [
        message(2 + i, said) for i, said in enumerate(texts)])
    answers = [json.loads(line) for line in plain.splitlines()]
    assert [limit["pattern"] for limit in answers[2]["limits"]] == [
        r"/(\w+)+[@#]/", EVIL]
    assert terms_of(answers[3]) == ["BUG-7"]
    assert any(entry["pattern"] == EVIL for answer in answers
               for entry in answer.get("quarantine", []))


@pytest.mark.parametrize("seed", range(3))
def test_changes_in_quick_succession(tmp_path, seed):
    """Each is in force from the next record on, whatever the thread is at."""
    dice = random.Random(63 + seed)
    path = write_lines(tmp_path, [
        forward(1, "U0", f"{word} {i}") for word in WORDS for i in range(20)])
    standing, records = [], []
    for seq in range(2, 1200 // FEWER, 2):
        user = f"U{dice.randrange(5)}"
        if standing and dice.random() < 0.4:
            start, owner, wanted = standing.pop(dice.randrange(len(standing)))
            line = forward(start, owner, wanted, end=seq)
        else:
            standing.append((seq, user, term(dice)))
            line = forward(*standing[-1])
        records += [
            message(seq, "x", command={"name": "forward"},
                    subscriptions=[line]),
            message(seq + 1, text(dice, 20))]
    plain = hold_against_each_other(path, records)
    assert found(plain)[0] > 500 / FEWER


def test_new_patterns_by_hangup_are_found_at_once(tmp_path):
    """Hundreds of them, and the very next record has the last one."""
    def write(word):
        path.write_text("".join(f"p{i} any {word}<{i}>\n"
                                for i in range(500)), encoding="utf-8")
    path = tmp_path / "patterns.conf"
    write("old")
    with subprocess.Popen([BIN / "scanner", "--patterns", path],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as child:
        def ask(said):
            child.stdin.write(encode([message(1, said)])[0])
            child.stdin.flush()
            return terms_of(json.loads(child.stdout.readline()))

        assert ask("old<499> new<498>") == ["p499"]
        for turn in range(20):
            word = ["new", "old"][turn % 2]
            write(word)
            child.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 30
            while ask(f"{word}<{turn}>") == []:
                assert time.monotonic() < deadline
            assert ask("old<499> new<498>") == [
                {"new": "p498", "old": "p499"}[word]]
        assert child.communicate()[1] == b""
        assert child.returncode == 0
