"""What the bot said, judged: a good outcome is good, and wrong ones not."""
import collections

import pytest

from oracle import Entry
from talk import Talk
from test_deliveries import post

ADA, BO = "U0HUMAN001", "U0HUMAN002"


def delivery(of, purpose, user=None, status="sent", ts=None):
    return Entry(0, b"", None, "delivery", None, delivery={
        "of": of, "purpose": purpose, "message": user, "status": status,
        "slack_ts": ts})


class Made:
    """A command, one whose answer comes later, a message for two, and one for
    one of them, to whom it came in a digest."""

    def __init__(self):
        plain = Entry(0, b"", None, "message", None)
        self.records = [
            (1, "b.1.1", {}, plain, True),
            (2, "b.1.2", {}, plain, True),
            (3, None, {"type": "reply", "of": 2}, plain, False),
            (4, "s.1.1", {}, self.message([ADA, BO]), False),
            (5, "s.1.2", {}, self.message([], {ADA: 0}), False),
            *((seq, None, {}, entry, False) for seq, entry in enumerate((
                delivery(1, "reply"), delivery(3, "reply"),
                delivery(4, "forward", ADA), delivery(4, "forward", BO),
                delivery(5, "forward", ADA, "digest", "6.0")), 6))]
        self.shown = [
            post("1.0", "1/reply/0"), post("2.0", "3/reply/0", channel="D1"),
            post("3.0", "4/forward/0/U0HUMAN001", channel="D1"),
            post("4.0", "4/forward/0/U0HUMAN002", channel="D2"),
            post("4.5", None, channel="D2", files=[{"text": "around"}]),
            post("6.0", "5/digest/0", channel="D1"),
            post("7.0", "9/relay/0"), post("8.0", "9/digest/0")]

    @staticmethod
    def message(notify, held=None):
        return Entry(0, b"", None, "message", None, told=(notify, held or {}))

    def wrongs(self):
        found = collections.Counter()

        def add(wrong, what):
            found[wrong] += 1
            print(wrong, what)
        talk = Talk(add)
        for record in self.records:
            talk.take(*record)
        self.left = talk.judge(self.shown)
        return set(found)


@pytest.fixture
def made():
    return Made()


def test_a_good_outcome_is_good(made):
    assert made.wrongs() == set()
    assert [one["ts"] for one in made.left] == ["7.0", "8.0"]


@pytest.mark.parametrize("place", [0, 1, 2, 3, 5])
def test_what_is_not_in_slack_is_lost(made, place):
    del made.shown[place]
    assert made.wrongs() == {"lost"}


@pytest.mark.parametrize("place", range(4))
def test_what_stands_twice_in_slack_is_doubled(made, place):
    made.shown.append({**made.shown[place], "ts": "9.0"})
    assert made.wrongs() == {"doubled"}


def test_an_answer_to_nothing_is_noticed(made):
    made.shown.append(post("9.0", "5/reply/0"))
    assert made.wrongs() == {"doubled"}


def test_a_later_answer_that_comes_twice_is_doubled(made):
    made.records.append((11, None, {"type": "reply", "of": 2},
                         Made.message([]), False))
    assert made.wrongs() == {"doubled"}


def test_a_command_that_is_none_any_more_is_noticed(made):
    made.records.append((11, "b.1.3", {}, Made.message([]), False))
    assert made.wrongs() == {"misled"}


@pytest.mark.parametrize("place, wrongs", [
    (5, set()), (7, {"lost", "doubled"}), (9, {"lost"})])
def test_an_outcome_that_is_not_told(made, place, wrongs):
    """Of an answer it is the post that counts."""
    del made.records[place]
    assert made.wrongs() == wrongs


def test_a_forward_to_somebody_else_is_noticed(made):
    made.records.append((11, None, {}, delivery(5, "forward", BO), False))
    assert made.wrongs() == {"misled"}


def test_a_forward_that_was_given_up_is_lost(made):
    made.records[8] = (9, None, {}, delivery(4, "forward", BO, "failed"),
                       False)
    del made.shown[3]
    assert made.wrongs() == {"lost"}
