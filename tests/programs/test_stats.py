"""stats: counts, snapshot, summary."""
import json
import os
import subprocess
import time

import pytest

from conftest import BIN, ROOT, run_program


def line(**members):
    return json.dumps(members).encode() + b"\n"


def count(*lines, path=None, options=()):
    """Pass the lines through; returns what came out and the snapshot."""
    arguments = [*(("--snapshot", path) if path else ()), *options]
    done = run_program("stats", *arguments, stdin=b"".join(lines))
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"".join(lines)
    return json.loads(path.read_text()) if path else done.stderr.decode()


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


def test_counts_deliveries_by_their_purpose(path):
    found = count(
        line(type="delivery", status="sent", purpose="reply"),
        line(type="delivery", status="sent", purpose="forward"),
        line(type="delivery", status="sent"),
        line(type="delivery", status="failed", purpose="reply"), path=path)
    assert (found["replied_msg_count"], found["forwarded_msg_count"],
            found["total_messages_slacked"]) == (1, 1, 1)


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


def test_a_snapshot_that_cannot_be_written_stops_nothing(tmp_path):
    done = run_program("stats", "--snapshot", tmp_path / "no" / "s.json",
                       stdin=line(type="message"))
    assert done.returncode == 0 and done.stdout == line(type="message")
    assert b"No such file or directory" in done.stderr


def test_the_summary_shows_no_control_bytes_of_strangers():
    said = count(line(type="\x1b[31mred", channel="a\nb"),
                 options=["--summary"])
    assert "\x1b" not in said and "a?b" in said


def test_run_sh_finds_the_seq_whatever_the_names(path):
    count(line(type="message", seq=41, channel='x","seq":7,"errors'),
          line(type="message", seq=42, channel="seq"), path=path)
    found = subprocess.run(
        ["sed", "-n", r's/.*,"seq":\([0-9]*\),"errors".*/\1/p', path],
        stdout=subprocess.PIPE, check=True).stdout
    assert found.strip() == b"42"
    assert r's/.*,"seq":\([0-9]*\),"errors".*/\1/p' in (
        ROOT / "run.sh").read_text()


@pytest.mark.parametrize("damage", ["1e300", "-1", "1.5", '"7"', "[]"])
def test_a_snapshot_with_impossible_counts_is_refused(path, damage):
    path.write_text('{"seq":%s}' % damage)
    done = run_program("stats", "--snapshot", path, stdin=line(seq=1))
    assert done.returncode == os.EX_CONFIG


def test_what_stands_beside_the_snapshot_does_no_harm(path, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    beside = tmp_path / "stats.json.new"
    beside.symlink_to(precious)
    assert count(line(type="message"), path=path)["records"] == 1
    os.mkfifo(beside)
    assert count(line(type="message"), path=path)["records"] == 2
    assert precious.read_text() == "mine"


def test_a_limit_of_the_disk_is_reported_and_leaves_nothing_behind(path):
    done = subprocess.run(
        f"ulimit -f 1; exec {BIN}/stats --snapshot {path} > /dev/null",
        shell=True, input=b"".join(line(type="message", channel=f"C{number}")
                                   for number in range(500)),
        stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0
    assert f"write {path}: File too large".encode() in done.stderr
    assert list(path.parent.glob("stats.json*")) == []


def test_the_summary_shows_no_marks_that_turn_text_around():
    said = count(line(type="a\x9b31m\u202eb\u2066c\u200fd端"),
                 options=["--summary"])
    assert "a?31m?b?c?d端" in said
