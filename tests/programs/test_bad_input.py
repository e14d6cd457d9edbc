"""Bad input on every filter: one line out for one in, never a crash.

Each case is a line (or bytes without an end) and what must come of it: the
line itself with members added (KEPT), or an error record (ERROR).
"""
import base64
import json
import os
import signal
import subprocess

import pytest

from conftest import BIN, ROOT, limit_memory, run_program

MIB = 1024 * 1024
GOOD = b'{"type":"message","text":"fine","ts":"1763800000.000100"}\n'

KEPT, ERROR = "kept", "error"

LINES = {
    "not JSON": (b"this is no JSON\n", ERROR),
    "JSON that is no object": (b"[1,2,3]\n", ERROR),
    "a bare string": (b'"text"\n', ERROR),
    "an empty line": (b"\n", ERROR),
    "blanks only": (b"  \t \n", ERROR),
    "an empty object": (b"{}\n", KEPT),
    "CRLF": (b'{"type":"message","text":"a"}\r\n', KEPT),
    "NUL bytes": (b'{"text":"a\0b"}\n', ERROR),
    "only NUL bytes": (b"\0\0\0\n", ERROR),
    "an escaped NUL": (b'{"text":"a\\u0000b"}\n', KEPT),
    "invalid UTF-8": (b'{"text":"a\xff\xfeb"}\n', ERROR),
    "truncated UTF-8": (b'{"text":"\xe3\x83"}\n', ERROR),
    "an overlong form": (b'{"text":"\xc0\xaf"}\n', ERROR),
    "a surrogate in UTF-8": (b'{"text":"\xed\xa0\x80"}\n', ERROR),
    "lone surrogates": (b'{"text":"\\ud800 \\udc00 \\ud800\\n"}\n', KEPT),
    "a raw tab in a string": (b'{"text":"a\tb"}\n', ERROR),
    "a number with a leading zero": (b'{"n":01}\n', ERROR),
    "a torn line": (b'{"type":"message","text":"bro\n', ERROR),
    "two objects": (b'{"a":1}{"b":2}\n', ERROR),
    "a trailing comma": (b'{"a":1,}\n', ERROR),
    "nesting 10,000 deep": (
        b'{"a":' + b"[" * 10000 + b"]" * 10000 + b"}\n", ERROR),
    "nesting 400 deep": (
        b'{"blocks":' + b"[" * 400 + b"]" * 400 + b"}\n", KEPT),
    "numbers beyond 2^53": (
        b'{"a":9007199254740993,"b":1e400,"c":-0.0,"d":1.10}\n', KEPT),
    "duplicate members": (b'{"text":"a","text":"b","text":3}\n', KEPT),
    "members of the wrong type": (
        b'{"type":7,"text":{},"blocks":"x","attachments":3,"files":{"a":1},'
        b'"channel":[],"ts":null,"message":[1],"payload":false}\n', KEPT),
    "members of ours of the wrong type": (
        b'{"type":"message","seq":"x","received":5,"fetched":{"a":1},'
        b'"matches":"m","limits":0,"class":[],"rule":{},"error":7}\n', KEPT),
    "huge seq": (b'{"type":"message","seq":99999999999999999999}\n', KEPT),
    "hostile files": (
        b'{"type":"message","files":[null,1,"x",{},{"id":5},'
        b'{"id":"../../etc/passwd","url_private":"file:///etc/passwd"}],'
        b'"fetched":[null,{"status":"ok","path":"../../etc/passwd","file":1},'
        b'{"status":"ok","path":"/etc/passwd","file":"F1"}]}\n', KEPT),
}

FILTERS = ["attach-fetch", "slack-bot", "scanner", "classifier", "ws-broadcast",
           "slack-send", "stats"]

OWN = {
    "attach-fetch": {"fetched"},
    "slack-bot": {"command", "subscriptions"},
    "scanner": {"matches", "limits", "notify", "held", "quarantine"},
    "classifier": {"class", "rule"},
    "ws-broadcast": set(),
    "slack-send": set(),
    "stats": set(),
}


@pytest.fixture(params=FILTERS)
def stage(request, tmp_path):
    """A filter and the arguments it cannot do without."""
    (tmp_path / "spool").mkdir()
    arguments = {
        "attach-fetch": ["--offline", "--spool", tmp_path / "spool"],
        "slack-bot": ["--subscriptions", tmp_path / "subscriptions"],
        "scanner": ["--patterns", ROOT / "examples" / "patterns.conf",
                    "--spool", tmp_path / "spool"],
        "classifier": ["--classes", ROOT / "examples" / "classes.conf"],
        "ws-broadcast": ["--listen", "127.0.0.1:0", "--no-auth"],
        "slack-send": ["--outbox", tmp_path / "outbox.db"],
        "stats": ["--snapshot", tmp_path / "stats.json"],
    }
    return request.param, arguments[request.param]


def run_stage(stage, stdin, **more):
    name, arguments = stage
    return run_program(name, *arguments, stdin=stdin, **more)


def without_own(name, line):
    """The line less the stage's members, by text: they stand at its end."""
    record = json.loads(line)
    for member in reversed(list(record)):
        added = json.dumps(member).encode() + b":"
        if member in OWN[name] or (
                member == "error" and isinstance(record[member], dict)
                and record[member].get("stage") == name):
            at = line.rindex(added)
            line = line[:at].rstrip(b",") + line[line.rindex(b"}"):]
    return line


def assert_error_record(name, answer, line):
    record = json.loads(answer)
    assert record["type"] == "error"
    assert record["error"]["stage"] == name
    assert record["error"]["reason"]
    if "line_base64" in record:
        assert base64.b64decode(record["line_base64"]) == line
    else:
        assert record["line"].encode() == line


@pytest.mark.parametrize("case", LINES)
def test_answers_one_line_with_one_line(stage, case):
    line, fate = LINES[case]
    done = run_stage(stage, GOOD + line + GOOD)

    assert done.returncode == 0, done.stderr
    answers = done.stdout.split(b"\n")
    assert len(answers) == 4 and answers[3] == b""
    assert answers[0] == answers[2]
    assert without_own(stage[0], answers[0]) == GOOD[:-1]
    if fate == ERROR:
        assert_error_record(stage[0], answers[1], line[:-1])
    else:
        before = json.loads(line)
        if not OWN[stage[0]] & set(before):
            assert without_own(stage[0], answers[1]) == line[:-1]


def test_answers_a_last_line_without_its_end(stage):
    done = run_stage(stage, GOOD + GOOD[:-1])
    answers = done.stdout.split(b"\n")
    assert done.returncode == 0
    assert len(answers) == 3 and answers[2] == b""
    assert answers[0] == answers[1]


def test_says_nothing_about_no_input(stage):
    done = run_stage(stage, b"")
    assert (done.returncode, done.stdout) == (0, b"")


def test_passes_a_line_of_10_mib(stage):
    line = b'{"type":"message","text":"' + b"x" * (10 * MIB) + b'"}'
    done = run_stage(stage, line + b"\n" + GOOD)
    answers = done.stdout.split(b"\n")
    assert done.returncode == 0 and len(answers) == 3
    assert without_own(stage[0], answers[0]) == line


def test_answers_a_line_over_16_mib_without_holding_it(stage):
    line = b'{"type":"message","text":"' + b"x" * (64 * MIB) + b'"}\n'
    name = stage[0]
    limit = None if name == "ws-broadcast" else limit_memory(150)
    done = run_stage(stage, line + GOOD, preexec_fn=limit)
    answers = done.stdout.split(b"\n")
    assert done.returncode == 0 and len(answers) == 3
    record = json.loads(answers[0])
    assert record["type"] == "error" and record["error"]["stage"] == name
    assert record["bytes"] == len(line) - 1
    assert record["line"].encode() == line[:1024]
    assert without_own(name, answers[1]) == GOOD[:-1]


def test_a_line_of_16_mib_that_is_no_record_stays_within_the_limit(stage):
    line = b"\x01" * (16 * MIB)
    done = run_stage(stage, line + b"\n" + GOOD)
    answers = done.stdout.split(b"\n")
    assert done.returncode == 0 and len(answers) == 3
    assert len(answers[0]) <= 16 * MIB
    assert json.loads(answers[0])["bytes"] == len(line)


def test_members_that_find_no_room_are_not_added(stage):
    line = b'{"text":"fatal exception '
    line += b"x" * (16 * MIB - len(line) - 2) + b'"}'
    done = run_stage(stage, line + b"\n" + GOOD)
    answers = done.stdout.split(b"\n")
    assert done.returncode == 0 and len(answers) == 3
    assert len(answers[0]) <= 16 * MIB
    assert without_own(stage[0], answers[0]) == line


def test_is_idempotent(stage):
    day = (ROOT / "examples" / "qa-day.ndjson").read_bytes()
    once = run_stage(stage, day).stdout
    assert run_stage(stage, once).stdout == once
    assert len(once.splitlines()) == len(day.splitlines())


def test_ends_quietly_when_nobody_reads(stage):
    name, arguments = stage
    child = subprocess.Popen(
        [BIN / name, *map(str, arguments)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.close()
    try:
        for _ in range(1000):
            child.stdin.write(GOOD * 100)
        child.stdin.close()
    except BrokenPipeError:
        pass
    said = child.stderr.read().decode()
    assert child.wait(30) == -signal.SIGPIPE
    assert "pipe" not in said.lower()


def test_reports_a_full_disk(stage):
    with open("/dev/full", "wb") as full:
        done = run_stage(stage, GOOD * 1000, stdout=full)
    assert done.returncode == os.EX_IOERR
    assert b"No space left on device" in done.stderr


def test_finishes_what_was_read_when_told_to_stop(stage):
    name, arguments = stage
    child = subprocess.Popen(
        [BIN / name, *map(str, arguments)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    child.stdin.write(GOOD * 3)
    child.stdin.flush()
    for _ in range(3):
        assert child.stdout.readline()
    child.send_signal(signal.SIGTERM)
    assert child.wait(20) == -signal.SIGTERM
    assert child.stdout.read() == b""
    child.stdin.close()
    child.stdout.close()


def test_refuses_an_unknown_option(stage):
    done = run_program(stage[0], "--no-such-option")
    assert done.returncode == os.EX_USAGE
    assert b"usage: " + stage[0].encode() in done.stderr
    assert done.stdout == b""


def test_help_shows_an_example(stage):
    done = run_program(stage[0], "--help")
    assert done.returncode == 0
    assert b"usage: " + stage[0].encode() in done.stdout
    assert b"example: " in done.stdout and done.stderr == b""
