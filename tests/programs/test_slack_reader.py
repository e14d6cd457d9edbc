"""slack-reader: every form of recorded JSON in, stamped records out."""

import calendar
import json
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BIN, COMMUNITY, ROOT, children_cpu_s, is_sanitized

DATA = ROOT / "tests" / "data" / "slack-reader"
CLOCK = "2026-11-22T10:00:00.000000Z"
EX_USAGE, EX_NOINPUT, EX_IOERR = 64, 66, 74
MIB = 1024 * 1024

ERROR = '{"type":"error","error":{"stage":"slack-reader","reason":"%s"},%s'


@pytest.fixture
def program():
    return str(BIN / "slack-reader")


def run(program, *args, input=b"", **options):
    return subprocess.run([program, *map(str, args)], input=input,
                          capture_output=True, timeout=60, **options)


def replay(program, data, *args):
    """What comes out for `data` on standard input, as fast as it can."""
    done = run(program, "--replay", "-", "--speed", "max", "--clock", CLOCK,
               *args, input=data)
    assert done.returncode == 0, done.stderr
    return done


def stamp(seq):
    return f'"seq":{seq},"received":"{CLOCK}","source":"replay"}}'


def stamped(*values):
    """Records as they must come out: each object's bytes, then the stamp."""
    lines = []
    for seq, value in enumerate(values, 1):
        value = value.decode() if isinstance(value, bytes) else value
        assert value.endswith("}")
        comma = "" if value == "{}" else ","
        lines.append(value[:-1] + comma + stamp(seq) + "\n")
    return "".join(lines).encode()


def seqs(output):
    return [json.loads(line)["seq"] for line in output.splitlines()]


def texts(output):
    return [json.loads(line).get("text") for line in output.splitlines()]


def message(ts, **members):
    return json.dumps({"type": "message", "ts": f"{ts:.6f}", **members})


# Forms: pairs of files, named for what they show.

@pytest.mark.parametrize("name", sorted(p.stem for p in DATA.glob("*.in")))
def test_forms(program, name):
    done = run(program, "--replay", DATA / f"{name}.in", "--speed", "max",
               "--clock", CLOCK)
    assert done.returncode == 0
    assert done.stdout == (DATA / f"{name}.out").read_bytes()


@pytest.mark.parametrize("name", sorted(p.stem for p in DATA.glob("*.in")))
def test_blocks_may_be_cut_anywhere(program, name):
    """A pipe that hands over a byte at a time changes nothing."""
    data = (DATA / f"{name}.in").read_bytes()
    process = subprocess.Popen(
        [program, "--replay", "-", "--speed", "max", "--clock", CLOCK],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, bufsize=0)
    for byte in data:
        process.stdin.write(bytes([byte]))
        if byte in b'\xef\xbb[{}"\n':
            time.sleep(0.0005)
    output, _ = process.communicate(timeout=30)
    assert output == (DATA / f"{name}.out").read_bytes()


def test_reports_what_holds_no_event(program):
    name = "takes_the_event_out_of_an_envelope"
    done = replay(program, (DATA / f"{name}.in").read_bytes())
    assert done.stderr == (
        b"slack-reader: passed over 5 that hold no event: 1 hello,"
        b" 1 disconnect, 1 ack, 1 app_rate_limited, 1 slash_commands\n")
    assert b"secret" not in done.stdout + done.stderr


def test_says_nothing_when_nothing_is_passed_over(program):
    assert replay(program, b'{"a":1}\n').stderr == b""


@pytest.mark.parametrize("line, reason", [
    (b"", "empty line"),
    (b"not JSON", "not a JSON object"),
    (b'"a string"', "not a JSON object"),
    (b'{"a":1', "ends too early"),
    (b'{"a":1} x', "more behind the object"),
    (b'{"a":"\x00"}', "control character"),
    (b'{"a":"\xff"}', "invalid UTF-8"),
    (b'{"a":' * 10000 + b"1" + b"}" * 10000, "nested too deep"),
    (b"[" * 10000 + b"]" * 10000, "an array within an array"),
    (b"[" * 10000, "an array within an array"),
])
def test_answers_a_line_that_is_no_record(program, line, reason):
    output = replay(program, b'{"a":1}\n' + line + b'\n{"b":2}\n').stdout
    first, error, last = map(json.loads, output.splitlines())
    assert (first["a"], last["b"]) == (1, 2)
    assert error["type"] == "error"
    assert error["error"]["stage"] == "slack-reader"
    assert reason in error["error"]["reason"]
    assert [first["seq"], error["seq"], last["seq"]] == [1, 2, 3]
    assert error["source"] == "replay"


def test_numbers_escapes_and_duplicates_keep_their_bytes(program):
    value = (rb'{"n":123456789012345678901234567890,"e":1.0E+2,"d":1,"d":2,'
             rb'"s":"\ud800 \u0000 \/","t":"' + "日本 😀".encode() + b'"}')
    array = b"[\n" + value + b",\n" + value + b"]"
    envelope = b'{"envelope_id":"1","payload":{"event":' + value + b"}}\n"
    assert replay(program, envelope + value + b"\n" + array).stdout == \
        stamped(value, value, value, value)


def test_cutting_the_stamp_gives_the_input_back(program):
    if not COMMUNITY.exists():
        pytest.skip("the recording is not on this machine")
    data = COMMUNITY.read_bytes()
    done = run(program, "--replay", COMMUNITY, "--speed", "max")
    cut = re.sub(rb',"seq":\d+,"received":"[^"]*","source":"replay"}\n',
                 b"}\n", done.stdout)
    assert cut == data
    assert seqs(done.stdout) == list(range(1, 5001))


def test_taking_records_again_changes_the_stamp_only(program):
    once = replay(program, b'{"a":1}\n{"b":[2]}\n').stdout
    again = replay(program, once, "--first-seq", "5").stdout
    assert once == stamped('{"a":1}', '{"b":[2]}')
    assert seqs(again) == [5, 6]
    assert again == once.replace(b'"seq":1', b'"seq":5').replace(
        b'"seq":2', b'"seq":6')


# Size.

LIBRARIES_MIB = 60  # what those of the live side take of the address space


def run_within(program, mebibytes, path, *args):
    """Run on a file with no more address space than that."""
    mebibytes += LIBRARIES_MIB
    def limit():
        if "asan" not in program:   # which maps terabytes
            resource.setrlimit(resource.RLIMIT_AS, (mebibytes * MIB,) * 2)
    done = run(program, "--replay", path, "--speed", "max", *args,
               preexec_fn=limit)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("form", ["line", "element", "spread object"])
def test_a_value_over_the_limit_is_answered_by_its_beginning(
        program, tmp_path, form):
    big = b'{"text":"' + b"x" * (64 * MIB) + b'"}'
    path = tmp_path / "big"
    path.write_bytes({
        "line": b'{"a":1}\n' + big + b'\n{"b":2}\n',
        "element": b'[{"a":1},\n' + big + b',\n{"b":2}]',
        "spread object": b'{"a":1}\n{\n"a":' + big + b'\n}\n{"b":2}\n',
    }[form])
    output = run_within(program, 80, path)
    first, error, last = map(json.loads, output.splitlines())
    assert (first["a"], last["b"]) == (1, 2)
    assert error["error"]["reason"] == "value over 16 MiB"
    assert len(error["line"]) == 1024
    assert 0 <= error["bytes"] - len(big) < 10


def test_a_value_under_the_limit_passes_whole(program, tmp_path):
    value = b'{"text":"' + b"x" * (10 * MIB) + b'"}'
    path = tmp_path / "large"
    path.write_bytes(value + b"\n[" + value + b"]")
    output = run_within(program, 160, path, "--clock", CLOCK)
    assert output == stamped(value, value)


def test_a_large_array_is_streamed(program, tmp_path):
    element = json.dumps([{"type": "message", "text": "x" * 1000}], indent=4)
    element = element[1:-2].encode()
    path = tmp_path / "array.json"
    with open(path, "wb") as file:
        file.write(b"[" + b",".join([element] * 60000) + b"\n]\n")
    output = run_within(program, 16, path)
    assert output.count(b"\n") == 60000


def test_a_run_of_blanks_takes_time_by_its_length_only(program):
    """Also where it comes through a pipe, in pieces."""
    process = subprocess.Popen(
        [program, "--replay", "-", "--speed", "max"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    before = children_cpu_s()
    for _ in range(16 * MIB // 4096):
        process.stdin.write(b" " * 4096)
    output, _ = process.communicate(timeout=60)
    took = children_cpu_s() - before
    assert json.loads(output)["type"] == "error"
    assert took < (15 if is_sanitized() else 3)


@pytest.mark.parametrize("element, reason", [
    (b"[" + b" " * (17 * MIB) + b"]", "value over 16 MiB"),
    (b"[" * (17 * MIB) + b"]" * (17 * MIB), "value over 16 MiB"),
    (b"[" + b"[]," * MIB + b"0]", "an array within an array"),
], ids=["blanks", "deep", "wide"])
def test_a_large_array_in_an_array_is_passed_over(program, element, reason):
    output = replay(program, b'[{"a":1},' + element + b',{"b":2}]').stdout
    first, error, last = map(json.loads, output.splitlines())
    assert (first["a"], last["b"]) == (1, 2)
    assert error["error"]["reason"] == reason


# Folders.

def test_an_export_comes_in_the_order_of_time(program):
    done = run(program, "--replay", DATA / "export", "--speed", "max",
               "--clock", CLOCK)
    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout == (DATA / "export.out").read_bytes()


def test_a_hostile_folder_is_reported_and_passed_over(program, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(DATA / "export", folder)
    secret = tmp_path / "secret.json"
    secret.write_text('[{"text":"outside"}]')
    general = folder / "general"
    (general / "2026-11-20.json").symlink_to(secret)
    (folder / "elsewhere").symlink_to(tmp_path)
    os.mkfifo(general / "2026-11-19.json")
    (general / "2026-11-18.json").write_bytes(b"\x7fELF\x00\x01" * 100)
    (general / "2026-11-17.json").write_bytes(b"")
    with open(general / "2026-11-16.json", "wb") as file:
        file.truncate(600 * MIB)
    (general / "deep").mkdir()
    (general / "deep" / "2026-11-20.json").write_text('[{"text":"deep"}]')
    (general / "notes.txt").write_text("x")
    (folder / "groups.json").write_text('[{"id":7},8,{"id":"C1"')
    done = run(program, "--replay", folder, "--speed", "max", "--clock", CLOCK)
    assert done.returncode == 0
    assert done.stdout == (DATA / "export.out").read_bytes()
    reports = done.stderr.decode().splitlines()
    for name, reason in [
            ("general/2026-11-20.json", "a symbolic link"),
            ("elsewhere", "a symbolic link"),
            ("general/2026-11-19.json", "no regular file"),
            ("general/2026-11-18.json", "no JSON"),
            ("general/2026-11-17.json", "no JSON"),
            ("general/2026-11-16.json", "its day is larger than 512 MiB"),
            ("general/deep", "a folder within a channel"),
            ("general/notes.txt", "not part of an export")]:
        assert f"slack-reader: {folder}/{name}: passed over: {reason}" \
            in reports
    assert len(reports) == 8


def test_reports_of_a_folder_are_bounded(program, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(DATA / "export", folder)
    for number in range(50):
        (folder / f"stray{number}").write_text("")
    done = run(program, "--replay", folder, "--speed", "max")
    reports = done.stderr.decode().splitlines()
    assert len(reports) == 21
    assert reports[-1] == f"slack-reader: {folder}: passed over: 30 more"


def test_a_day_file_that_breaks_off_is_answered(program, tmp_path):
    day = tmp_path / "general" / "2026-11-22.json"
    day.parent.mkdir()
    day.write_text('[{"text":"1","ts":"1.0"},\n{"text":"2","ts')
    done = run(program, "--replay", tmp_path, "--speed", "max")
    first, error = map(json.loads, done.stdout.splitlines())
    assert first["channel"] == "general" and "names" not in first
    assert error["error"]["reason"] == "the array breaks off"


def test_a_folder_that_is_no_export_is_an_error(program, tmp_path):
    done = run(program, "--replay", tmp_path)
    assert done.returncode == EX_NOINPUT
    assert b"is it a Slack export?" in done.stderr


# The clock and the rhythm.

def test_clock_makes_two_runs_the_same(program):
    runs = [run(program, "--replay", DATA / "export", "--speed", "max",
                "--clock", "2026-11-22T11:00:00.5+01:00").stdout
            for _ in range(2)]
    assert runs[0] == runs[1]
    assert b'"received":"2026-11-22T10:00:00.500000Z"' in runs[0]


def test_received_is_now(program):
    before = time.time()
    record = json.loads(run(program, "--replay", "-", input=b"{}\n").stdout)
    form = re.fullmatch(r"(.*)\.(\d{6})Z", record["received"])
    seconds = time.strptime(form[1], "%Y-%m-%dT%H:%M:%S")
    received = calendar.timegm(seconds) + int(form[2]) / 1e6
    assert before - 0.001 <= received <= time.time() + 0.001


def timed(program, data, *args):
    before = time.monotonic()
    done = run(program, "--replay", "-", *args, input=data.encode())
    assert done.returncode == 0
    return time.monotonic() - before, done.stdout


def test_rhythm_follows_the_recorded_times(program):
    data = "\n".join(message(1763800000 + 10 * i) for i in range(11)) + "\n"
    took, output = timed(program, data, "--speed", "1000")
    assert 0.099 <= took < 20
    assert seqs(output) == list(range(1, 12))
    data = "\n".join(message(1763800000 + i / 10) for i in range(11)) + "\n"
    took, _ = timed(program, data, "--speed", "1")
    assert 0.999 <= took < 10


def test_each_record_leaves_when_it_is_due(program):
    data = "\n".join(message(1763800000 + i) for i in range(4)) + "\n"
    before = time.monotonic()
    process = subprocess.Popen(
        [program, "--replay", "-", "--speed", "10"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(data.encode())
    process.stdin.close()
    arrivals = []
    for _ in process.stdout:
        arrivals.append(time.monotonic())
    process.stdout.close()
    assert process.wait(timeout=10) == 0
    for number, arrival in enumerate(arrivals):
        assert arrival - before >= number * 0.1 - 0.001
        assert arrival - arrivals[0] < number * 0.1 + 3


def test_no_wait_where_time_goes_back_or_is_missing(program):
    base = 1763800000
    data = "\n".join([message(base + 3600), message(base + 3599),
                      '{"type":"message"}', '{"ts":"soon"}',
                      message(base + 3600), message(base)]) + "\n"
    took, output = timed(program, data, "--speed", "1")
    assert took < 5 and len(seqs(output)) == 6


def test_a_step_far_back_starts_another_rhythm(program):
    data = "\n".join(message(ts) for ts in (5000, 1000, 1002)) + "\n"
    took, _ = timed(program, data, "--speed", "10")
    assert 0.199 <= took < 5


def test_max_gap_bounds_a_wait(program):
    data = message(1000) + "\n" + message(50000) + "\n"
    took, _ = timed(program, data, "--max-gap", "0.1")
    assert 0.099 <= took < 5


def wait_until_term_is_noted(process):
    """It has begun then; before, TERM just ends it."""
    status = pathlib.Path("/proc", str(process.pid), "status")
    deadline = time.monotonic() + 20
    while True:
        mask = re.search(r"SigCgt:\s*(\w+)", status.read_text())[1]
        if int(mask, 16) >> (signal.SIGTERM - 1) & 1:
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_ends_a_wait_at_once(program, number):
    process = subprocess.Popen(
        [program, "--replay", "-"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE)
    process.stdin.write((message(1000) + "\n" + message(90000) +
                         "\n").encode())
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["seq"] == 1
    time.sleep(0.05)
    before = time.monotonic()
    process.send_signal(number)
    rest, _ = process.communicate(timeout=10)
    assert time.monotonic() - before < 5
    assert process.returncode == 0 and rest == b""


def test_a_request_to_stop_ends_a_wait_for_input(program, tmp_path):
    for source in ["-", tmp_path / "pipe"]:
        if source != "-":
            os.mkfifo(source)
        process = subprocess.Popen([program, "--replay", str(source)],
                                   stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        wait_until_term_is_noted(process)
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        assert process.returncode == 0
        process.communicate()


def test_a_request_to_stop_is_noted_before_anything_else(program):
    """A parent that ignored TERM would have it lost until then."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(write_end, b"x" * 4096)
    os.set_blocking(write_end, True)
    process = subprocess.Popen([program, "--help"], stdout=write_end)
    os.close(write_end)
    try:
        wait_until_term_is_noted(process)
    finally:
        with open(read_end, "rb") as pipe:
            assert b"usage: slack-reader" in pipe.read()
    assert process.wait(timeout=20) == 0


def test_records_leave_before_input_is_waited_for(program):
    process = subprocess.Popen([program, "--replay", "-"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for number in range(3):
        process.stdin.write(b'{"a":1}\n')
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], 20)
        assert ready
        assert json.loads(process.stdout.readline())["seq"] == number + 1
    process.communicate()
    assert process.returncode == 0


def test_a_stop_in_full_flight_tears_no_line(program, tmp_path):
    path = tmp_path / "many.ndjson"
    path.write_text((message(1, text="x" * 500) + "\n") * 1000)
    process = subprocess.Popen(
        [program, "--replay", str(path), "--speed", "max", "--loop"],
        stdout=subprocess.PIPE)
    head = process.stdout.read(3 * MIB)
    process.send_signal(signal.SIGTERM)
    output = head + process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=10) == 0
    assert output.endswith(b"}\n")
    numbers = seqs(output)
    assert numbers == list(range(1, len(numbers) + 1))


# Loop, limit, first-seq.

def test_loop_begins_again_and_seq_goes_on(program):
    for path, each in [(DATA / "export", 9),
                       (DATA / "takes_bare_events_as_they_are.in", 5)]:
        done = run(program, "--replay", path, "--loop", "--limit", "30",
                   "--speed", "max", "--first-seq", "100")
        assert done.returncode == 0
        assert seqs(done.stdout) == list(range(100, 130))
        lines = texts(done.stdout)
        assert lines[each:2 * each] == lines[:each]


def test_loop_keeps_the_rhythm_in_each_pass(program, tmp_path):
    path = tmp_path / "two"
    path.write_text(message(1000) + "\n" + message(1001) + "\n")
    before = time.monotonic()
    done = run(program, "--replay", path, "--loop", "--limit", "6",
               "--speed", "10")
    assert 0.299 <= time.monotonic() - before < 5
    assert seqs(done.stdout) == [1, 2, 3, 4, 5, 6]


def test_loop_over_nothing_ends(program, tmp_path):
    path = tmp_path / "empty"
    path.write_text('{"type":"hello"}\n')
    done = run(program, "--replay", path, "--loop")
    assert done.returncode == EX_NOINPUT
    assert b"no records to repeat" in done.stderr


def test_loop_over_a_pipe_is_an_error(program):
    done = run(program, "--replay", "-", "--loop", input=b"{}\n")
    assert done.returncode == EX_NOINPUT
    assert seqs(done.stdout) == [1]
    assert b"standard input" in done.stderr


def test_limit_counts_records(program):
    data = b'x\n{"type":"hello"}\n[{"a":1},{"b":2},{"c":3}]\n'
    assert seqs(replay(program, data, "--limit", "2").stdout) == [1, 2]


def test_after_goes_on_where_an_earlier_run_stopped(program, tmp_path):
    data = (message(1000) + "\nnot JSON\n" + message(9000) + "\n" +
            message(9000.1) + "\n").encode()
    whole = replay(program, data).stdout.splitlines()
    for after in range(5):
        before = time.monotonic()
        done = run(program, "--replay", "-", "--clock", CLOCK,
                   "--max-gap", "0.2", "--after", after, input=data)
        took = time.monotonic() - before
        assert done.stdout.splitlines() == whole[after:]
        assert took >= [0.299, 0.099, 0.099, 0, 0][after]
    path = tmp_path / "looped"
    path.write_bytes(data)
    done = run(program, "--replay", path, "--speed", "max", "--loop",
               "--after", "10", "--limit", "3")
    assert seqs(done.stdout) == [11, 12, 13]


def test_a_stop_is_heard_while_nothing_is_written(program, tmp_path):
    path = tmp_path / "hello"
    path.write_bytes(b'{"type":"message"}\n' * 1000)
    process = subprocess.Popen(
        [program, "--replay", str(path), "--speed", "max", "--loop",
         "--after", "1000000000000"], stdout=subprocess.PIPE)
    wait_until_term_is_noted(process)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0 and output == b""


# Wrong use, failing files, failing output.

@pytest.mark.parametrize("args, reason", [
    ([], "nothing to read: give --state DIR or --replay FILE"),
    (["--replay", "-", "--speed", "fast"], "--speed: expected a number"),
    (["--replay", "-", "--speed", "0"], "--speed: expected a number"),
    (["--replay", "-", "--clock", "noon"], "--clock: expected a time"),
    (["--replay", "-", "--limit", "0"], "--limit: expected a whole number"),
    (["--replay", "-", "more"], "unexpected argument: more"),
])
def test_wrong_use(program, args, reason):
    done = run(program, *args)
    assert done.returncode == EX_USAGE
    assert done.stderr.decode().startswith(f"slack-reader: {reason}")
    assert "usage: slack-reader" in done.stderr.decode()
    assert done.stdout == b""


def test_a_missing_file_is_named(program, tmp_path):
    done = run(program, "--replay", tmp_path / "nowhere")
    assert done.returncode == EX_NOINPUT
    assert done.stderr.decode() == \
        f"slack-reader: open {tmp_path}/nowhere: No such file or directory\n"


def test_a_full_disk_is_an_error(program):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([program, "--replay", "-"], input=b"{}\n",
                              stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == EX_IOERR
    assert b"No space left on device" in done.stderr


def test_a_closed_output_is_an_error(program):
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" --replay "$1" >&-', program,
         str(DATA / "export")], capture_output=True)
    assert done.returncode == EX_IOERR
    assert b"standard output" in done.stderr


def test_a_reader_that_leaves_ends_it_quietly(program, tmp_path):
    path = tmp_path / "many"
    path.write_text('{"a":1}\n' * 10)
    process = subprocess.Popen(
        [program, "--replay", str(path), "--speed", "max", "--loop"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=10) == -signal.SIGPIPE
    assert process.stderr.read() == b""
    process.stderr.close()


# Progress.

def run_on_terminal(program, *args):
    """What a terminal on standard error shows."""
    terminal, side = pty.openpty()
    process = subprocess.Popen([program, *map(str, args)], stderr=side,
                               stdout=subprocess.DEVNULL)
    os.close(side)
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:     # Linux says EIO where the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    assert process.wait(timeout=10) == 0
    return shown.decode()


def test_progress_shows_on_a_terminal(program, tmp_path):
    path = tmp_path / "slow"
    path.write_text("".join(message(1000 + i) + "\n" for i in range(13)))
    shown = run_on_terminal(program, "--replay", path, "--speed", "5")
    drawn = shown.split("\r")
    assert re.search(r"slack-reader: \d+ records, \d+/s, \d+ %,"
                     r" remaining \d:\d\d", shown)
    end = re.search(r"\x1b\[Kslack-reader: 13 records in (\d+\.\d) s",
                    drawn[-2])
    seconds = float(end[1])
    assert 2.4 <= seconds < 20
    assert 3 <= sum(" records, " in line for line in drawn) <= \
        (seconds + 0.05) / 0.25
    assert drawn[-1] == "\n"


def test_progress_is_silent_elsewhere(program):
    assert replay(program, b"{}\n").stderr == b""


# The status file.

def read_status(path):
    return dict(word.split("=") for word in path.read_text().split())


def test_a_replay_tells_how_far_it_is(program, tmp_path):
    path = tmp_path / "status"
    with subprocess.Popen(
            [program, "--replay", "-", "--speed", "max", "--status", path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        for seq in range(1, 4):         # of the last two nobody else is told
            child.stdin.write(b'{"text":"x"}\n')
            child.stdin.flush()
            assert b'"seq":%d' % seq in child.stdout.readline()
        end = time.monotonic() + 10
        while read_status(path)["seq"] != "3":
            assert time.monotonic() < end
            time.sleep(0.02)
        told = read_status(path)
        assert told == {
            "slack": "replay", "since": told["since"], "connections": "0",
            "seq": "3", "journal": "ok", "pid": str(child.pid)}
        child.stdin.write(b'{"text":"x"}\n' * 1000)
        child.stdin.close()
        child.stdout.read()
        assert child.wait() == 0
    assert read_status(path)["seq"] == "1003"
    assert read_status(path)["since"] == told["since"]


def test_a_replay_that_waits_has_told_all(program, tmp_path):
    path = tmp_path / "status"
    lines = b"".join(b'{"ts":"%.6f"}\n' % ts for ts in (1, 1.3, 900))
    with subprocess.Popen(
            [program, "--replay", "-", "--status", path],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        child.stdin.write(lines)
        child.stdin.close()
        end = time.monotonic() + 10
        while not path.exists() or read_status(path).get("seq") != "2":
            assert time.monotonic() < end
            time.sleep(0.02)
        child.kill()
