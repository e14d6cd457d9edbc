"""stats: counts, snapshot, summary; and that no death miscounts."""
import contextlib
import ctypes
import fcntl
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

from conftest import BIN, CRASHES, ROOT, is_sanitized, run_program


def line(**members):
    return json.dumps(members).encode() + b"\n"


def count(*lines, path=None, options=()):
    """Pass the lines through; returns what came out and the snapshot."""
    arguments = [*(("--snapshot", path) if path else ()), *options]
    done = run_program("stats", *arguments, stdin=b"".join(lines))
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"".join(lines)
    return note_passed(path) if path else done.stderr.decode()


def note_passed(path):
    """As run.sh does when all that was answered went all the way."""
    done = run_program("stats", "--snapshot", path, "--passed")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    return json.loads(path.read_text())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "stats.json"


def test_counts_by_class_channel_type_pattern_and_file(path):
    found = count(
        line(type="message", channel="C1", text="abc", **{"class": "danger"},
             matches=[{"pattern": "p"}, {"pattern": "q"}, {"pattern": "p"}]),
        line(type="message", channel="C2", **{"class": "success"},
             fetched=[{"status": "ok", "bytes": 10}, {"status": "denied"},
                      {"status": "ok", "bytes": 5}]),
        line(type="api_message", channel="C1", **{"class": "success"}),
        line(type="error", error={"stage": "s", "reason": "r"}),
        path=path)
    assert found["records"] == 4
    assert found["total_msg_count"] == 2
    assert found["classes"] == {"danger": 1, "success": 2}
    assert found["channels"] == {"C1": 2, "C2": 1}
    assert found["types"] == {"api_message": 1, "error": 1, "message": 2}
    assert found["patterns"] == {"p": 1, "q": 1}
    assert found["attachments"] == {"denied": 1, "ok": 2}
    assert found["total_attachments_downloaded"] == 2
    assert found["attachment_bytes"] == 15
    assert found["bytes_scanned"] == 18
    assert found["errors"] == 1


def test_has_the_keys_of_ultronex(path):
    found = count(line(type="message"), path=path)
    for key in ("uptime", "total_msg_count", "replied_msg_count",
                "forwarded_msg_count", "total_attachments_downloaded",
                "total_messages_slacked", "snapshot"):
        assert key in found


def match(users, pattern="stark", **members):
    return {"pattern": pattern, "where": "text", "for": users, **members}


def test_counts_hits_of_forwards_by_what_made_them(path):
    found = count(
        line(seq=10, type="message", **{"class": "success"}, matches=[
            match({"U1": 3, "U2": 4}), match({"U1": 3}, where="file:F1"),
            match({"U3": 5}, only="danger"), match({"U4": 6}, only="success"),
            {"pattern": "crash"}]),
        line(seq=11, type="message", **{"class": "danger"}, matches=[
            match({"U3": 5}, only="danger"), match({"U1": 3})]),
        line(seq=12, type="message", matches=[match({"U3": 5}, only="danger")]),
        line(seq=13, type="message", matches=[
            match(users) for users in (7, None, [], {"U1": "3"}, {"U1": -1},
                                       {"U1": 1.5}, {})] + [match(None)]),
        path=path)
    assert found["hits"] == {"3": 2, "4": 1, "5": 1, "6": 1}
    assert found["patterns"] == {"crash": 1}


def test_forgets_the_hits_of_what_has_ended(path):
    def hit(seq, *lines):
        return line(seq=seq, type="message", subscriptions=list(lines),
                    matches=[match({"U1": 3, "U2": 4})])

    found = count(hit(10), path=path)
    assert found["hits"] == {"3": 1, "4": 1}
    # in force at the record that ends it, and no more
    found = count(hit(11, "forward 3 11 U1 any any any stark",
                      "forward 11 - U1 C1 any any stark",
                      "mute 4 11 U2 -", "what", 7), path=path)
    assert found["hits"] == {"4": 2}
    assert count(line(seq=12), path=path)["hits"] == {"4": 2}


def test_hits_take_a_bounded_space(path):
    found = count(*(line(seq=n, matches=[match({"U1": n})])
                    for n in range(1, 6001)), path=path)
    assert len(found["hits"]) == 4001 and found["hits"]["(others)"] == 2000


def test_remembers_the_last_error(path):
    assert "last_error" not in count(line(seq=1), path=path)
    found = count(
        line(seq=2, error={"stage": "scanner", "reason": "first"}),
        line(seq=3, error={"stage": "keep", "reason": "died of it"}),
        line(seq=4, error={"stage": 1}), line(seq=5, error="what"),
        line(seq=6), path=path)
    assert found["last_error"] == {"stage": "keep", "reason": "died of it",
                                   "seq": 3}
    assert found["errors"] == 4
    assert count(line(seq=7), path=path)["last_error"]["seq"] == 3


def test_an_error_is_cut_between_characters(path):
    for more in range(4):
        found = count(line(seq=1, error={
            "stage": "s" * more + "\u20ac" * 100,
            "reason": "r" * more + "\u20ac" * 1000}), path=path)
        path.read_bytes().decode()
        assert found["last_error"]["reason"].endswith("\u20ac")
        assert found["last_error"]["stage"].endswith("\u20ac")
        path.unlink()


def delivery(status="sent", **members):
    return line(type="delivery", status=status, **members)


def test_counts_deliveries_by_their_purpose(path):
    found = count(
        delivery(purpose="reply"), delivery(purpose="forward"), delivery(),
        delivery(purpose="relay"), delivery("digest", purpose="relay"),
        delivery("failed", purpose="relay"), delivery("failed"),
        delivery("failed", purpose="reply"), delivery(purpose="digest"),
        delivery(None, purpose="relay"), path=path)
    # as UltronEx: a forward is a reply, too
    assert (found["replied_msg_count"], found["forwarded_msg_count"],
            found["total_messages_slacked"]) == (2, 1, 3)
    assert found["deliveries"] == {"digest": 1, "failed": 3, "sent": 5}


def test_forwards_told_of_together_are_counted(path):
    found = count(delivery("digest", purpose="forward", messages=7),
                  delivery("digest", purpose="forward", messages=-1),
                  delivery(purpose="digest", messages=9), path=path)
    assert (found["replied_msg_count"], found["forwarded_msg_count"]) == (8, 8)


def test_a_message_that_did_not_reach_slack_is_an_error_to_tell_of(path):
    found = count(delivery("failed", seq=3, reason="is_archived"),
                  delivery(seq=4, reason="none"), path=path)
    assert found["last_error"] == {
        "stage": "slack-send", "reason": "is_archived", "seq": 3}
    assert found["errors"] == 0


def test_a_delivery_that_comes_again_counts_once(path):
    again = [delivery(seq=7, purpose="relay", errors={"k": 2})]
    count(*again, path=path)
    found = count(*again, *again, path=path)
    assert found["total_messages_slacked"] == 1
    assert found["deliveries"] == {"sent": 1}
    assert found["external"] == {"k": 2}


def test_adds_up_errors_on_the_way_to_slack(path):
    closed = "Slack error : remote closed"
    limited = "Ultronex Rate Limited Build"
    found = count(
        delivery(seq=1, errors={limited: 3, closed: 1}),
        delivery("digest", seq=2, errors={limited: 4}),
        delivery("failed", seq=3, errors={closed: 1}),
        line(type="message", seq=4, errors={closed: 1}), path=path)
    assert found["external"] == {closed: 2, limited: 7}
    said = count(delivery(errors={limited: 3}), options=["--summary"])
    assert any(row.split() == [*limited.split(), "3"]
               for row in said.splitlines())


@pytest.mark.parametrize("errors", [
    {"k": -1}, {"k": 0}, {"k": 1.5}, {"k": "1"}, {"k": 1e300}, {"k": 1000001},
    {"k": [1]}, ["k"], "k", [1, 2], None, [], 7])
def test_odd_errors_of_a_delivery_count_nothing(path, errors):
    found = count(delivery(errors=errors), path=path)
    assert found["external"] == {} and found["deliveries"] == {"sent": 1}


def test_bounds_the_errors_of_deliveries(path):
    many = {f"k{number}": 1 for number in range(20)}
    found = count(delivery(errors=many), path=path)["external"]
    assert found == {f"k{number}": 1 for number in range(8)}
    found = count(*(delivery(errors={f"Ultronex Rate Limited {number}": 2})
                    for number in range(3000)), path=path)["external"]
    assert len(found) == 1001 and sum(found.values()) == 6008
    assert found["(others)"] == 2 * (3000 - 992)


def test_counts_what_slack_shows_of_our_own_posts(path):
    told = {"event_type": "ultron_message",
            "event_payload": {"key": "7/relay/0"}}
    lines = [line(type="message", seq=1, own=True, metadata=told),
             line(type="message", seq=2, own=True),
             line(type="message", seq=3, metadata=told),
             line(type="api_message", seq=4, own=True, metadata=told)]
    assert count(*lines, path=path)["echoes"] == 1
    found = count(*lines, path=path)
    assert (found["echoes"], found["total_msg_count"]) == (1, 3)


def test_a_count_of_errors_never_grows_beyond_what_it_can_hold(path):
    count(delivery(), path=path)
    full = json.loads(path.read_text()) | {"external": {"k": 2 ** 53 - 1}}
    path.write_text(json.dumps(full))
    for _ in range(2):   # printed with 15 digits
        found = count(delivery(errors={"k": 9}), path=path)["external"]
        assert 2 ** 53 - 100 < found["k"] <= 2 ** 53


def test_goes_on_from_its_snapshot_and_counts_a_seq_once(path):
    first = count(*(line(type="message", seq=seq) for seq in range(1, 6)),
                  path=path)
    again = count(*(line(type="message", seq=seq) for seq in range(3, 9)),
                  line(type="message", seq=8), line(type="message"),
                  path=path)
    assert (first["total_msg_count"], first["seq"]) == (5, 5)
    assert (again["total_msg_count"], again["seq"]) == (9, 8)
    assert again["uptime"] == first["uptime"]


def test_without_a_snapshot_it_counts_every_line():
    said = count(line(type="message", seq=1), line(type="message", seq=1),
                 options=["--summary"])
    assert any(row.split() == ["messages", "2"] for row in said.splitlines())


def test_bounds_the_number_of_names(path):
    found = count(*(line(type="message", channel=f"C{number}")
                    for number in range(3000)), path=path)
    assert len(found["channels"]) <= 1001
    assert found["channels"]["(others)"] == 2000
    assert sum(found["channels"].values()) == 3000


def test_cuts_overlong_names_at_a_character(path):
    found = count(line(type="端" * 100), path=path)
    assert found["types"] == {"端" * 42: 1}


def test_times_fresh_records_and_no_old_ones(path):
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    found = count(line(type="message", received=now),
                  line(type="message", received="2020-01-01T00:00:00Z"),
                  line(type="message", received="yesterday"), path=path)
    latency = found["latency_ms"]
    assert 0 <= latency["p50"] <= latency["p99"] <= latency["max"] < 60000


def test_writes_the_snapshot_within_a_second_of_a_change(path):
    with subprocess.Popen([BIN / "stats", "--snapshot", path],
                          stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as child:
        child.stdin.write(line(type="message", seq=1))
        child.stdin.flush()
        end = time.monotonic() + 5
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.01)
        child.stdin.write(line(type="message", seq=2))
        child.stdin.flush()
        while (json.loads(path.read_text())["seq"] != 2
               and time.monotonic() < end):
            time.sleep(0.01)
        assert json.loads(path.read_text())["seq"] == 2
        assert child.poll() is None
        child.stdin.close()


def test_a_damaged_snapshot_is_named_and_left_alone(path):
    path.write_text('{"uptime":')
    done = run_program("stats", "--snapshot", path, stdin=line(seq=1))
    assert done.returncode == os.EX_CONFIG
    assert str(path).encode() in done.stderr and done.stdout == b""
    assert path.read_text() == '{"uptime":'


def test_a_folder_that_is_not_there_is_named_at_once(tmp_path):
    done = run_program("stats", "--snapshot", tmp_path / "no" / "s.json",
                       stdin=line(type="message"))
    assert done.returncode == os.EX_CONFIG and done.stdout == b""
    assert b"s.json.log: No such file or directory" in done.stderr


def test_the_summary_shows_no_control_bytes_of_strangers():
    said = count(line(type="\x1b[31mred", channel="a\nb"),
                 options=["--summary"])
    assert "\x1b" not in said and "a?b" in said


def test_run_sh_finds_the_checkpoint_whatever_the_names(path):
    count(line(type="message", seq=41, channel='x","seq":7,"checkpoint":7,"'),
          line(type="message", seq=42, channel="checkpoint"), path=path)
    scripts = re.findall(r"sed -n '(s/[^']*checkpoint[^']*)'",
                         (ROOT / "run.sh").read_text())
    assert scripts
    for script in scripts:
        found = subprocess.run(["sed", "-n", script, path],
                               stdout=subprocess.PIPE, check=True).stdout
        assert found.strip() == b"42"


@pytest.mark.parametrize("damage", ["1e300", "-1", "1.5", '"7"', "[]"])
def test_a_snapshot_with_impossible_counts_is_refused(path, damage):
    path.write_text('{"seq":%s}' % damage)
    done = run_program("stats", "--snapshot", path, stdin=line(seq=1))
    assert done.returncode == os.EX_CONFIG


def test_nobody_waits_for_a_snapshot_that_is_a_fifo(path):
    os.mkfifo(path)
    done = run_program("stats", "--snapshot", path, timeout=10)
    assert done.returncode == os.EX_CONFIG and path.is_fifo()
    assert b"no snapshot of stats" in done.stderr


def test_what_stands_beside_the_snapshot_does_no_harm(path, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for number, name in enumerate(("stats.json.new", "stats.json.log")):
        beside = tmp_path / name
        beside.unlink(missing_ok=True)
        beside.symlink_to(precious)
        assert count(line(type="message"),
                     path=path)["records"] == 2 * number + 1
        beside.unlink(missing_ok=True)
        os.mkfifo(beside)
        assert count(line(type="message"),
                     path=path)["records"] == 2 * number + 2
    assert precious.read_text() == "mine"


def test_the_summary_shows_no_marks_that_turn_text_around():
    said = count(line(type="a\x9b31m\u202eb\u2066c\u200fd端"),
                 options=["--summary"])
    assert "a?31m?b?c?d端" in said


# --- kill -9 -----------------------------------------------------------------

def rich_lines(number, long_every=0):
    """Records with all that is counted; every so many is a long one."""
    rng = random.Random(number)
    for seq in range(1, number + 1):
        text = "x" * rng.randrange(200)
        if long_every and seq % long_every == 0:
            text *= 1000
        yield line(
            type=rng.choice(["message", "api_message", "delivery", "triage"]),
            seq=seq, channel=f"C{rng.randrange(9)}", text=text,
            status=rng.choice(["sent", "failed", "digest"]),
            purpose=rng.choice(["reply", "forward", "relay"]),
            errors={rng.choice("kl"): rng.randrange(5)},
            matches=[{"pattern": rng.choice("pqr"), "excerpt": "x" * 30}
                     for _ in range(rng.randrange(3))],
            fetched=[{"status": rng.choice(["ok", "late"]),
                      "bytes": rng.randrange(1000)}],
            **{"class": rng.choice(["success", "danger"])},
            **({"error": {"stage": "s"}} if rng.random() < 0.1 else {}))


def counts_of(snapshot):
    return {key: value for key, value in snapshot.items() if key not in (
        "uptime", "snapshot", "generation", "rate_1m", "rate_5m",
        "latency_ms", "answered")}


def read_counts(path):
    return counts_of(json.loads(path.read_text()))


def right_counts(tmp_path, lines):
    """What an undisturbed run counts."""
    return counts_of(count(*lines, path=tmp_path / "undisturbed.json"))


def feed_until_killed(path, lines, bytes_read, delay):
    """One life of stats below a keeper, which kills it so long after it has
    read so much; returns the answers it left."""
    with subprocess.Popen([BIN / "stats", "--snapshot", path],
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as child:
        def feed():
            with contextlib.suppress(BrokenPipeError):
                child.stdin.writelines(lines)
                child.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        answers = child.stdout.read(bytes_read)
        killer = threading.Timer(delay, child.kill)
        killer.start()
        answers += child.stdout.read()
        feeder.join()
        killer.cancel()
        child.wait()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
    return answers[:answers.rfind(b"\n") + 1].splitlines(keepends=True)


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_at_any_moment_miscounts_nothing(path, tmp_path, seed):
    rng = random.Random(seed)
    lines = list(rich_lines(3000, long_every=20))
    size = sum(map(len, lines))
    usual = 0.02 if is_sanitized() else 0.002   # seconds to the first answer
    answers, lives = [], 0
    while len(answers) < len(lines):
        answers += feed_until_killed(
            path, lines[len(answers):], *rng.choice([
                (0, rng.expovariate(1 / usual)),
                (rng.randrange(size // 10), 0)]))
        lives += 1
    assert answers == lines and lives >= 3
    assert count(path=path)["checkpoint"] <= 3000
    found, right = read_counts(path), right_counts(tmp_path, lines)
    assert found.pop("checkpoint") <= right.pop("checkpoint")
    assert found == right
    assert sorted(os.listdir(tmp_path)) == [
        "stats.json", "stats.json.log", "undisturbed.json",
        "undisturbed.json.log"]


PTRACE_TRACEME, PTRACE_SYSCALL, PTRACE_SETOPTIONS = 0, 24, 0x4200
PTRACE_O_EXITKILL = 1 << 20
LIBC = ctypes.CDLL(None, use_errno=True)


def ptrace(request, pid=0, data=0):
    if LIBC.ptrace(request, ctypes.c_long(pid), None,
                   ctypes.c_void_p(data)) == -1:
        raise OSError(ctypes.get_errno(), "ptrace")


def run_until_call(arguments, last, **more):
    """Run a program until its last-th system call is done, kill it there.

    Returns whether it got so far.
    """
    child = subprocess.Popen(
        arguments, preexec_fn=lambda: ptrace(PTRACE_TRACEME), **more)
    os.waitpid(child.pid, 0)
    ptrace(PTRACE_SETOPTIONS, child.pid, PTRACE_O_EXITKILL)
    for _ in range(2 * last):   # it stops before a call and behind it
        ptrace(PTRACE_SYSCALL, child.pid)
        _, status = os.waitpid(child.pid, 0)
        if not os.WIFSTOPPED(status):
            child.returncode = os.waitstatus_to_exitcode(status)
            assert child.returncode == 0
            return False
    child.kill()
    child.wait()
    return True


@contextlib.contextmanager
def packets(parts):
    """A pipe that gives one part at a read, and is at its end then."""
    reading, writing = os.pipe2(os.O_DIRECT)
    for part in parts:
        assert os.write(writing, part) == len(part) <= 4096
    os.close(writing)
    yield reading
    os.close(reading)


def feed_until_call(folder, lines, last):
    """Feed what is unanswered, two lines at a time, to one life of stats."""
    out = folder / "out"
    whole = out.read_bytes() if out.exists() else b""
    whole = whole[:whole.rfind(b"\n") + 1]
    out.write_bytes(whole)
    left = lines[whole.count(b"\n"):]
    pairs = [b"".join(left[at:at + 2]) for at in range(0, len(left), 2)]
    with packets(pairs) as stdin, open(out, "ab") as stdout:
        return run_until_call(
            [BIN / "stats", "--snapshot", folder / "stats.json"], last,
            stdin=stdin, stdout=stdout)


@pytest.mark.skipif(is_sanitized(), reason="no two sanitizers trace at once")
def test_kill_9_between_any_two_system_calls_miscounts_nothing(tmp_path):
    lines = list(rich_lines(6))
    right = right_counts(tmp_path, lines)
    assert right.pop("checkpoint") == 6
    rng = random.Random(6)
    first = last = 35           # libraries are being loaded
    was_killed = True
    while was_killed:
        folder = tmp_path / str(last)
        folder.mkdir()
        was_killed = feed_until_call(folder, lines, last)
        assert last > first or "stats.json.log" not in os.listdir(folder)
        feed_until_call(folder, lines, rng.randrange(first, last + 50))
        feed_until_call(folder, lines, 1000000)
        assert (folder / "out").read_bytes() == b"".join(lines)
        found = read_counts(folder / "stats.json")
        assert found.pop("checkpoint") <= 6
        assert found == right, last
        assert sorted(os.listdir(folder)) == [
            "out", "stats.json", "stats.json.log"]
        last += 1
    assert last > first + 50


# --- the log -----------------------------------------------------------------

class Stats:
    """stats below a keeper that reads its answers when the test says so."""

    def __init__(self, path, command=(), **more):
        self.path = path
        self.child = subprocess.Popen(
            [*command, BIN / "stats", "--snapshot", path],
            stdin=subprocess.PIPE, stdout=more.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE, **more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        said = self.child.stderr.read().decode()
        for stream in (self.child.stdin, self.child.stdout,
                       self.child.stderr):
            with contextlib.suppress(BrokenPipeError):
                if stream:
                    stream.close()
        self.child.wait()
        assert not any(crash in said for crash in CRASHES), said

    def feed(self, *lines):
        self.child.stdin.write(b"".join(lines))
        self.child.stdin.flush()

    def unread(self):
        return struct.unpack("i", fcntl.ioctl(
            self.child.stdout, termios.FIONREAD, b"\0" * 4))[0]

    def wait_until_unread(self, size):
        wait_for(lambda: self.unread() >= size)

    def read(self, *lines):
        for expected in lines:
            assert read_in_time(self.child.stdout, len(expected)) == expected

    def pass_on(self, *lines):
        self.feed(*lines)
        self.read(*lines)

    def says(self, words):
        said = b""
        while words.encode() not in said:
            said += read_in_time(self.child.stderr, 1)
        return said.decode()

    def wait_for_snapshot(self, **members):
        def is_there():
            if not self.path.exists():
                return False
            found = json.loads(self.path.read_text())
            return all(found[key] == members[key] for key in members)
        wait_for(is_there)

    def end(self):
        self.child.stdin.close()
        assert self.child.wait(10) == 0
        return note_passed(self.path)


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def read_in_time(stream, size, seconds=10):
    found = b""
    while len(found) < size:
        assert select.select([stream], [], [], seconds)[0], found
        part = os.read(stream.fileno(), size - len(found))
        assert part, found
        found += part
    return found


def messages(first, last, **members):
    return [line(type="message", seq=seq, **members)
            for seq in range(first, last + 1)]


def leave_log(path, last=9):
    """Die with all up to `last` in the log; returns the log."""
    with Stats(path) as stats:
        stats.pass_on(*messages(1, last))
        stats.child.kill()
        stats.child.wait()
    found = (path.parent / "stats.json.log").read_bytes()
    assert found.count(b"\n") == last + 1
    return found


@pytest.fixture
def log(path):
    return path.parent / "stats.json.log"


def test_what_was_answered_is_in_the_log(path, log):
    leave_log(path)
    assert json.loads(path.read_text())["seq"] == 0
    assert count(path=path)["records"] == 9
    assert log.read_bytes() == b""


def test_the_log_has_records_without_seq_once(path):
    with Stats(path) as stats:
        for _ in range(5):
            stats.pass_on(line(type="message"))
        stats.child.kill()
        stats.child.wait()
    assert count(line(type="message"), path=path)["records"] == 6
    assert count(path=path)["records"] == 6


def test_a_torn_last_line_of_the_log_is_ignored_in_silence(path, log):
    whole = leave_log(path)
    first = path.read_text()
    for size in range(len(whole)):
        path.write_text(first)
        log.write_bytes(whole[:size])
        done = run_program("stats", "--snapshot", path)
        assert (done.returncode, done.stderr) == (0, b"")
        whole_lines = whole[:size].count(b"\n")
        assert json.loads(path.read_text())["records"] == \
            max(whole_lines - 1, 0)


@pytest.mark.parametrize("damage", [
    b"\0" * 4096 + b"\n", b"garbage\n", b"[]\n", b'{"seq":1\n', b"\n",
    b'{"seq":1}}\n', b"\xff\n", b'{"seq":4,"text":"\xff"}\n'],
    ids=lambda damage: repr(damage[:20]))
def test_from_a_bad_line_on_the_log_is_ignored(path, log, damage):
    lines = leave_log(path).splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:4], damage, *lines[4:]]))
    done = run_program("stats", "--snapshot", path, stdin=lines[-1])
    assert done.returncode == 0
    said, = done.stderr.decode().splitlines()
    assert "stats.json.log: ignored from byte" in said
    found = json.loads(path.read_text())
    assert (found["records"], found["seq"]) == (4, 9)


@pytest.mark.parametrize("damage", [b"garbage\n", b"{}\n", b"\0\0\n"])
def test_a_log_without_a_generation_is_ignored(path, log, damage):
    lines = leave_log(path).splitlines(keepends=True)
    log.write_bytes(b"".join([damage, *lines[1:]]))
    done = run_program("stats", "--snapshot", path)
    assert done.returncode == 0 and b"from byte 0 on" in done.stderr
    assert json.loads(path.read_text())["records"] == 0


def test_a_log_of_another_generation_is_ignored(path, log):
    old = leave_log(path)
    for number in range(10, 13):
        assert count(*messages(number, number),
                     path=path)["records"] == number
        log.write_bytes(old)
    path.unlink()
    assert count(path=path)["records"] == 0


def test_a_snapshot_of_an_older_generation_counts_what_comes_again(path, log):
    """After a power cut: the checkpoint of the file that is left decides."""
    count(*messages(1, 5), path=path)
    old = path.read_bytes()
    with Stats(path) as stats:
        stats.pass_on(*messages(6, 9))
    path.write_bytes(old)
    found = count(*messages(json.loads(old)["checkpoint"] + 1, 12), path=path)
    assert (found["records"], found["seq"], found["checkpoint"]) == (
        12, 12, 12)


def test_a_log_that_may_not_be_read_is_begun_anew(path, log):
    leave_log(path)
    log.unlink()
    log.symlink_to("/etc/passwd")
    done = run_program("stats", "--snapshot", path, stdin=line(seq=1))
    assert done.returncode == 0
    assert b"stats.json.log: was not usable and is begun anew" in done.stderr
    assert json.loads(path.read_text())["records"] == 1


def test_a_long_log_is_cut_before_the_second_is_over(path, log):
    with Stats(path) as stats:
        started = json.loads(path.read_text())["generation"] \
            if path.exists() else 1
        lines = messages(1, 40, text="x" * 1000000)
        for each in lines:
            stats.pass_on(each)
            assert log.stat().st_size < (9 << 20)
        stats.child.kill()
        stats.child.wait()
    assert json.loads(path.read_text())["generation"] >= started + 4
    assert count(path=path)["records"] == 40


def test_the_log_belongs_to_one_at_a_time(path):
    with Stats(path) as stats:
        stats.pass_on(*messages(1, 1))
        done = run_program("stats", "--snapshot", path, stdin=line(seq=2))
        assert done.returncode == os.EX_TEMPFAIL and done.stdout == b""
        assert b"in use by another stats" in done.stderr
        assert stats.end()["records"] == 1


@pytest.mark.parametrize("seq", [-1, 0, 2 ** 53 + 1, 2 ** 63 - 1, 2 ** 70])
def test_what_is_no_seq_does_no_harm(path, seq):
    assert count(line(seq=seq), line(seq=7), path=path)["seq"] == 7
    assert count(line(seq=seq), line(seq=7), path=path)["records"] == 3


# --- the checkpoint ----------------------------------------------------------

def test_the_checkpoint_is_what_the_reader_surely_passed_on(path):
    with Stats(path) as stats:
        one, two, three, four, five = messages(1, 5)
        stats.feed(one)
        stats.wait_until_unread(len(one))
        stats.feed(two)
        stats.wait_for_snapshot(seq=2, checkpoint=0)
        stats.read(one, two)
        stats.pass_on(three)        # so the reader has passed 1 and 2 on
        stats.feed(four)
        stats.wait_for_snapshot(seq=4, checkpoint=2)
        stats.feed(five)            # teaches nothing: 4 is not read
        stats.wait_for_snapshot(seq=5, checkpoint=2)
        stats.read(four, five)
        assert stats.end()["checkpoint"] == 5


def test_what_keep_may_still_hold_has_not_passed(path):
    """It may be killed, though the input has ended and all is answered."""
    with Stats(path) as stats:
        stats.feed(*messages(1, 5))
        stats.child.stdin.close()
        assert stats.child.wait(10) == 0
    found = json.loads(path.read_text())
    assert (found["seq"], found["checkpoint"]) == (5, 0)
    assert note_passed(path)["checkpoint"] == 5
    count(path=path)                    # another start that answers nothing
    assert note_passed(path)["checkpoint"] == 5


def test_passed_needs_a_snapshot():
    done = run_program("stats", "--passed")
    assert done.returncode == os.EX_USAGE
    assert b"--passed needs --snapshot" in done.stderr


def test_the_checkpoint_in_a_file_is_what_was_written(path, tmp_path):
    with open(tmp_path / "out", "wb") as out, \
            Stats(path, stdout=out) as stats:
        stats.feed(*messages(1, 5))
        stats.wait_for_snapshot(seq=5, checkpoint=5)
        stats.feed(*messages(6, 7))
        stats.wait_for_snapshot(seq=7, checkpoint=7)


def test_the_checkpoint_never_goes_back_and_never_ahead(path):
    path.write_text('{"seq":10,"checkpoint":7,"records":10}')
    assert count(path=path)["checkpoint"] == 7
    found = count(*messages(3, 5), path=path)
    assert (found["seq"], found["checkpoint"]) == (10, 7)
    found = count(*messages(8, 9), path=path)
    assert (found["seq"], found["checkpoint"]) == (10, 9)
    found = count(*messages(10, 12), path=path)
    assert (found["seq"], found["checkpoint"], found["records"]) == (
        12, 12, 12)


def test_records_that_come_again_move_the_checkpoint(path):
    path.write_text('{"seq":10,"checkpoint":5,"records":10}')
    with Stats(path) as stats:
        for each in messages(6, 9):
            stats.pass_on(each)
        stats.feed(*messages(10, 10))
        stats.wait_for_snapshot(records=10, checkpoint=8)


@pytest.mark.parametrize("members,expected", [
    ('"seq":5', 5), ('"seq":5,"checkpoint":9', 5), ('"records":5', 0)])
def test_a_file_of_old_has_a_checkpoint_too(path, members, expected):
    path.write_text("{%s}" % members)
    assert count(path=path)["checkpoint"] == expected


def test_term_counts_and_answers_what_was_read(path):
    with Stats(path) as stats:
        stats.pass_on(*messages(1, 3))
        stats.child.terminate()
        assert stats.child.wait(10) == -signal.SIGTERM
    found = note_passed(path)
    assert (found["records"], found["seq"], found["checkpoint"]) == (3, 3, 3)


# --- a full disk -------------------------------------------------------------

def limit_files(stats, size):
    resource.prlimit(stats.child.pid, resource.RLIMIT_FSIZE,
                     (size, resource.RLIM_INFINITY))


def nothing_comes(stream, seconds):
    return not select.select([stream], [], [], seconds)[0]


def test_answers_wait_for_room_and_go_on_by_themselves(path, log):
    with Stats(path) as stats:
        stats.pass_on(*messages(1, 5))
        before = log.read_bytes()
        limit_files(stats, len(before) + 50)
        stats.feed(*messages(6, 9))
        said = stats.says("\n")
        assert "answers wait" in said and said.count("\n") == 1
        assert log.read_bytes() == before       # half a record is taken back
        assert nothing_comes(stats.child.stdout, 0)
        assert nothing_comes(stats.child.stderr, 1.5)
        limit_files(stats, 1 << 20)
        stats.read(*messages(6, 9))
        assert "answers go on" in stats.says("\n")
        stats.child.kill()
        stats.child.wait()
    found = count(*messages(8, 12), path=path)
    assert (found["records"], found["seq"]) == (12, 12)


def test_a_log_without_room_gives_way_to_the_snapshot(path, log):
    with Stats(path) as stats:
        long = line(type="message", text="x" * 2000)
        stats.pass_on(*[long] * 5)
        limit_files(stats, log.stat().st_size)
        stats.pass_on(*[long] * 2)
        assert log.read_bytes() == b""
        stats.pass_on(long)
        assert log.stat().st_size > 2000
        assert nothing_comes(stats.child.stderr, 0)
        stats.child.kill()
        stats.child.wait()
    assert count(path=path)["records"] == 8


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_while_answers_wait_leaves_them_unanswered(path, end):
    with Stats(path) as stats:
        stats.pass_on(*messages(1, 5))
        limit_files(stats, 10)
        stats.feed(*messages(6, 9))
        stats.says("answers wait")
        stats.child.send_signal(end)
        assert stats.child.wait(10) == -end
        assert stats.child.stdout.read() == b""
    assert json.loads(path.read_text())["checkpoint"] <= 5
    found = count(*messages(6, 9), path=path)
    assert (found["records"], found["checkpoint"]) == (9, 9)


def test_a_snapshot_that_cannot_be_written_is_told_once(path, tmp_path):
    with Stats(path) as stats:
        stats.pass_on(*messages(1, 1))
        stats.wait_for_snapshot(seq=1)
        aside = tmp_path.with_name(tmp_path.name + "-aside")
        tmp_path.rename(aside)
        stats.pass_on(*messages(2, 2))
        assert f"write {path}: No such file" in stats.says("\n")
        stats.pass_on(*messages(3, 3))
        assert nothing_comes(stats.child.stderr, 1.5)
        aside.rename(tmp_path)
        assert "is written again" in stats.says("\n")
        stats.wait_for_snapshot(seq=3)


def test_at_the_end_a_snapshot_that_cannot_be_written_is_an_error(path):
    with Stats(path) as stats:
        stats.pass_on(*messages(1, 5))
        limit_files(stats, 300)
        stats.child.stdin.close()
        assert stats.child.wait(10) == os.EX_IOERR
        assert f"write {path}: File too large" in stats.says("\n")
    found = count(path=path)
    assert (found["records"], found["seq"]) == (5, 5)


def may_mount():
    return subprocess.run(["unshare", "-rm", "true"], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """The command that has a disk of 256 KiB at tmp_path/disk for itself."""
    if not may_mount():
        pytest.skip("no mount namespace is to be had here")
    (tmp_path / "disk").mkdir()
    return ["unshare", "-rm", "sh", "-c",
            'mount -t tmpfs -o size=256k tmpfs "$0" && exec "$@"',
            tmp_path / "disk"]


def test_a_full_disk_loses_nothing(small_disk, tmp_path):
    inside = tmp_path / "disk" / "stats.json"
    with Stats(inside, command=small_disk) as stats:
        stats.pass_on(*messages(1, 5))
        outside = f"/proc/{stats.child.pid}/root{inside}"
        filler = f"{outside}.filler"
        with pytest.raises(OSError), open(filler, "wb", 0) as stream:
            for _ in range(128):    # twice the disk, should it be another
                stream.write(bytes(4096))
        lines = messages(6, 9, text="x" * 4000)
        stats.feed(*lines)
        stats.says("answers wait")
        assert nothing_comes(stats.child.stdout, 0)
        os.unlink(filler)
        stats.read(*lines)
        stats.says("answers go on")

        def is_saved():
            with open(outside, encoding="utf-8") as stream:
                found = json.load(stream)
            return found["records"] == found["seq"] == 9
        wait_for(is_saved)
        assert sorted(os.listdir(os.path.dirname(outside))) == [
            "stats.json", "stats.json.log"]
