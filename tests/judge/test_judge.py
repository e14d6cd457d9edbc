"""The judge: that the pipeline stands before it, and that it bites."""
import copy
import json
import os
import pathlib
import random
import subprocess

import pytest

from conftest import BIN, ROOT
from events import make_line
from ledger import Ledger
from line import Segment
from oracle import Oracle, Outcome, find_holes
from sabotage import build_broken
from tormentor import Recovery
from viewer import Viewer

JUDGE = pathlib.Path(__file__).with_name("judge.py")
SEED = 20261122
MINUTES = float(os.environ.get("ULTRON_JUDGE_MINUTES", "1"))


def judge(*arguments, folder, bin_folder=BIN):
    """Run it; returns its exit status and what it printed."""
    done = subprocess.run(
        ["/usr/bin/python3", JUDGE, "--bin", bin_folder,
         *map(str, arguments)], cwd=ROOT, text=True, timeout=600,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        env={**os.environ, "TMPDIR": str(folder)})
    print(done.stdout)
    return done.returncode, done.stdout


@pytest.fixture
def folder(tmp_path_factory):
    """With a short name: the inbox is a socket in it."""
    return tmp_path_factory.mktemp("j")


# --- the pipeline before it --------------------------------------------------

@pytest.mark.parametrize("seed", [SEED, None], ids=["fixed", "random"])
def test_nothing_is_lost_whatever_is_done_to_it(folder, seed):
    if seed is None:
        seed = int(os.environ.get("ULTRON_JUDGE_SEED",
                                  random.randrange(1 << 32)))
    status, said = judge("--minutes", MINUTES, "--seed", seed,
                         folder=folder)
    assert status == 0, said
    assert list(folder.iterdir()) == []


# --- broken programs ---------------------------------------------------------

@pytest.mark.parametrize("variant, fault, words", [
    ("stats-answers-first", "kill -9 stats", ["miscounted"]),
    ("reader-acks-first", "kill -9 slack-reader", ["lost"]),
    ("keep-forgets", "kill -9 classifier", ["lost"]),
    ("keep-passes-halves", "poison half", ["torn"]),
    ("classifier-rewrites", "kill -9 scanner", ["changed"]),
    ("classifier-swaps", "kill -9 scanner", ["disordered"]),
    ("bot-forgets", "kill -9 slack-bot", ["misled"]),
])
def test_a_broken_program_is_found(folder, variant, fault, words):
    broken = build_broken(variant, folder / "broken")
    status, said = judge("--minutes", 0.15, "--seed", 5, "--cycle", 1.2,
                         "--faults", fault, folder=folder,
                         bin_folder=broken)
    verdict = said[said.rindex("verdict"):]
    assert status == 1, said
    assert all(word in verdict for word in words), said


def test_what_was_wrong_is_kept(folder):
    broken = build_broken("classifier-rewrites", folder / "broken")
    status, said = judge("--minutes", 0.05, "--seed", 5, folder=folder,
                         bin_folder=broken)
    assert status == 1
    kept = pathlib.Path(said.rsplit("kept in", 1)[1].strip())
    assert (kept / "log").stat().st_size > 0
    assert (kept / "out-0001.ndjson").stat().st_size > 0
    state = kept / "kept" / "state"
    assert list((state / "journal").glob("*.ndjson")) != []
    assert (state / "stats.json").exists()


# --- hand-made outcomes ------------------------------------------------------

class Made:
    """Five events of a client of the inbox, the last of them poison, and all
    that a good pipeline makes of them; tests then put something wrong in."""

    def __init__(self, folder):
        self.folder = folder
        self.ledger = Ledger(SEED)
        self.journal, self.lines = [], []
        for number in range(1, 6):
            event_id = f"i0.1.{number}"
            word = "POISONkill" if number == 5 else ""
            self.ledger.hand_in(event_id, word)
            self.ledger.accept(event_id, number)
            self.take(event_id, word)
        self.ends = ["clean"]
        self.restarts = [0]
        self.segments = [self.lines]
        self.stats = self.count()
        self.dead = [self.lines[4]]
        self.viewer = Viewer("", ("", ""), 0)
        self.viewer.had.add(1, 2)
        self.viewer.gaps.add(3, 5)
        self.more = {}

    def take(self, event_id, word=""):
        seq = len(self.journal) + 1
        self.journal.append(make_line(SEED, event_id, word)[:-1]
                            + b',"seq":%d}' % seq)
        end = b',"error":{"attempts":3}}' if word else b',"class":"danger"}'
        self.lines.append(self.journal[-1][:-1] + end)

    def count(self):
        def tally(name):
            found = [json.loads(line).get(name) for line in self.lines]
            return {one: found.count(one) for one in set(found) - {None}}
        return {"records": len(self.journal), "seq": len(self.journal),
                "checkpoint": len(self.journal), "types": tally("type"),
                "channels": tally("channel"), "classes": tally("class"),
                "total_msg_count": tally("type").get("message", 0),
                "errors": 1}

    def write(self, name, lines):
        path = self.folder / name
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    def judge(self):
        segments = [
            Segment(self.write(f"out-{number}", lines), ended, 0, restarts)
            for number, (lines, ended, restarts) in enumerate(
                zip(self.segments, self.ends, self.restarts))]
        return Oracle(Outcome(
            self.ledger, segments,
            [self.write("2026-11-22.ndjson", self.journal)], self.stats,
            [self.write("dead-letters.ndjson", self.dead)], [self.viewer],
            **self.more)).judge()


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path)


def wrongs(made):
    return set(made.judge().counts)


def test_a_good_outcome_is_good(made):
    verdict = made.judge()
    assert verdict.is_good, dict(verdict.samples)


def test_a_line_that_did_not_come_out_is_lost(made):
    del made.lines[3]
    assert wrongs(made) >= {"lost", "disordered"}


def test_the_last_line_that_did_not_come_out_is_lost(made):
    del made.lines[4]
    assert wrongs(made) == {"lost", "miscounted"}


def test_what_was_acknowledged_and_not_written_is_lost(made):
    made.ledger.hand_in("i0.1.6")
    made.ledger.accept("i0.1.6", 6)
    assert wrongs(made) == {"lost"}


def test_what_was_not_answered_may_be_lost(made):
    made.ledger.hand_in("i0.1.6")
    made.ledger.lose_sight("i0.1.6")
    assert made.judge().is_good


def test_what_was_not_answered_may_come(made):
    made.ledger.hand_in("i0.1.6")
    made.ledger.lose_sight("i0.1.6")
    made.take("i0.1.6")
    made.stats = made.count()
    made.viewer.gaps.add(6, 6)
    assert made.judge().is_good


def test_an_event_under_two_seqs_is_doubled(made):
    made.take("i0.1.4")
    made.stats = made.count()
    made.viewer.gaps.add(6, 6)
    assert "doubled" in wrongs(made)


def test_what_was_refused_and_came_is_doubled(made):
    made.ledger.refuse("i0.1.2")
    assert wrongs(made) == {"doubled"}


def test_a_seq_that_stands_twice_in_the_journal_is_doubled(made):
    made.journal.append(made.journal[1])
    assert wrongs(made) == {"doubled"}


def test_another_seq_than_was_answered_is_noticed(made):
    made.ledger.accept("i0.1.2", 3)
    assert wrongs(made) == {"changed"}


def test_two_lines_that_changed_places_are_out_of_order(made):
    made.lines[1:3] = made.lines[2], made.lines[1]
    assert "disordered" in wrongs(made)


def test_two_events_that_changed_places_are_out_of_order(made):
    made.ledger.attempts["i0.1.2"].seq, made.ledger.attempts[
        "i0.1.1"].seq = 1, 2
    for lines in (made.journal, made.lines):
        bodies = [line[:line.index(b',"seq":')] for line in lines[:2]]
        lines[:2] = [bodies[1] + lines[0][len(bodies[0]):],
                     bodies[0] + lines[1][len(bodies[1]):]]
    assert wrongs(made) == {"disordered"}


def test_one_byte_that_changed_on_the_way_is_noticed(made):
    made.lines[1] = made.lines[1].replace(b"J:i0.1.2;", b"J:i0.1.2,")
    assert "changed" in wrongs(made)


def test_one_byte_that_changed_in_the_journal_is_noticed(made):
    for lines in (made.journal, made.lines):
        lines[1] = lines[1].replace(b"{", b"{ ", 1)
    assert wrongs(made) == {"changed"}


def test_what_nobody_said_is_noticed(made):
    for lines in (made.journal, made.lines):
        lines[1] = lines[1].replace(b"J:i0.1.2;", b"J:i9.9.9;")
    assert wrongs(made) == {"changed", "lost"}


def test_half_a_line_is_torn(made):
    made.lines[1] = made.lines[1][:40] + made.lines[1]
    assert wrongs(made) >= {"torn", "lost"}


def test_a_death_may_leave_half_a_line_alone(made):
    made.segments = [made.lines + [made.lines[2][:50], *made.lines[2:]]]
    made.restarts = [1]
    assert made.judge().is_good


def test_a_death_must_not_spoil_the_next_line(made):
    made.segments = [made.lines + [made.lines[3][:50] + made.lines[2],
                                   *made.lines[3:]]]
    made.restarts = [1]
    assert wrongs(made) == {"torn"}


def test_after_a_restart_lines_may_come_again(made):
    made.segments = [made.lines, made.lines[2:]]
    made.ends, made.restarts = ["killed", "clean"], [0, 0]
    assert made.judge().is_good
    made.segments, made.ends = [made.lines + made.lines[2:]], ["clean"]
    made.restarts = [1]
    assert made.judge().is_good


def test_without_a_restart_no_line_comes_again(made):
    made.lines.append(made.lines[4])
    assert wrongs(made) == {"repeated"}


def test_after_a_clean_stop_no_line_comes_again(made):
    made.segments = [made.lines, made.lines[4:]]
    made.ends, made.restarts = ["clean", "clean"], [0, 0]
    assert wrongs(made) == {"repeated"}


def test_a_line_that_comes_again_must_be_the_same(made):
    made.segments = [made.lines, copy.copy(made.lines[3:])]
    made.ends, made.restarts = ["killed", "clean"], [0, 0]
    made.segments[1][0] = made.lines[3].replace(b"danger", b"success")
    assert wrongs(made) == {"changed"}


def test_who_is_set_aside_though_it_is_no_poison_is_noticed(made):
    made.lines[1] = made.lines[1][:-1] + b',"error":{"attempts":3}}'
    made.stats["errors"] += 1
    assert wrongs(made) == {"condemned"}


def test_poison_is_no_dead_letter(made):
    made.dead.clear()
    assert wrongs(made) == {"spared"}


@pytest.mark.parametrize("name, value", [
    ("records", 6), ("seq", 4), ("checkpoint", 4), ("classes", {}),
    ("types", {"message": 99}), ("channels", {}), ("errors", 0)])
def test_a_wrong_count_is_noticed(made, name, value):
    made.stats[name] = value
    assert wrongs(made) == {"miscounted"}


def test_no_counts_at_all_are_noticed(made):
    made.stats = None
    assert wrongs(made) == {"miscounted"}


def test_a_slow_recovery_is_noticed(made):
    made.more["recoveries"] = [Recovery(("kill -9",), "", 0, 4.9, 4.9)]
    assert made.judge().is_good
    made.more["recoveries"] = [Recovery(("kill -9",), "", 0, 1, 5.1)]
    assert wrongs(made) == {"late"}
    made.more["recoveries"] = [Recovery(("kill -9",), "", 0, None, 1)]
    assert wrongs(made) == {"late"}


def test_a_cap_that_does_not_hold_is_noticed(made):
    made.more["sizes"] = [("spool", 101, 100), ("journal", 100, 100)]
    assert wrongs(made) == {"oversize"}


def test_who_stays_behind_is_noticed(made):
    made.more["left_behind"] = ["1234: scanner"]
    assert wrongs(made) == {"left behind"}


def test_an_answer_that_nobody_may_give_is_noticed(made):
    made.ledger.complain("one answer too many")
    assert wrongs(made) == {"misbehaved"}


# --- viewers -----------------------------------------------------------------

@pytest.mark.parametrize("had, gaps, says", [
    ([[1, 9]], [], []),
    ([[1, 3], [7, 9]], [[4, 6]], []),
    ([[3, 9]], [], []),                     # he came late
    ([[1, 3], [5, 9]], [], ["4 to 4: neither shown nor told"]),
    ([[1, 3], [7, 9]], [[4, 7]], ["7 to 7: again, as had"]),
    ([[1, 5], [7, 9]], [[4, 6]], ["4 to 5: again, as gap"]),
    ([[1, 8]], [], ["9 to 9: neither shown nor told"]),
    ([], [], ["saw nothing at all"]),
])
def test_what_was_shown_and_what_was_told_to_be_missing(had, gaps, says):
    assert find_holes(had, gaps, 9) == says


def greet(viewer, run="r", first=1, last=9, following=1):
    viewer.hear(json.dumps(["hello", {
        "run": run, "first": first, "last": last, "next": following}]))


def test_a_viewer_goes_on_where_he_was():
    viewer = Viewer("", ("", ""), 0)
    greet(viewer)
    viewer.hear('{"seq":1}\n{"seq":2}')
    greet(viewer, following=2)
    viewer.hear('{"seq":2}\n{"seq":3}')     # the rule passes over the first
    viewer.hear('["gap",{"from":4,"to":5}]\n{"seq":6}')
    assert viewer.had.ranges == [[1, 3], [6, 6]]
    assert viewer.gaps.ranges == [[4, 5]]
    assert viewer.complaints == [] and viewer.forgot == 0


def test_a_viewer_notices_what_comes_twice():
    viewer = Viewer("", ("", ""), 0)
    greet(viewer)
    viewer.hear('{"seq":1}\n{"seq":1}')
    assert len(viewer.complaints) == 1


def test_a_viewer_notices_a_run_that_began_anew():
    viewer = Viewer("", ("", ""), 0)
    greet(viewer)
    greet(viewer, run="other")
    assert viewer.forgot == 1
