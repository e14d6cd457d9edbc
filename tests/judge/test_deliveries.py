"""What reached Slack, judged: good outcomes are good, and wrong ones not."""
import collections
import copy

import pytest

from deliveries import Deliveries

CHANNEL = "C0EXAMPLE1"


def post(ts, key=None, text="", channel=CHANNEL, **more):
    metadata = {"event_type": "ultron_message", "event_payload": {"key": key}}
    return {"channel": channel, "ts": ts, "text": text, **more,
            **({"metadata": metadata} if key else {})}


def told(seq, status="sent", ts=None, **more):
    return {"of": seq, "status": status, "slack_ts": ts, **more}


class Made:
    """Two messages alone, the second in two parts, one as a file, then three
    in a digest, and one in another channel before all."""

    def __init__(self):
        self.wanted = {
            seq: (f"h0.1.{seq}", CHANNEL) for seq in (1, 2, 3, 5, 6, 7)}
        self.wanted[4] = ("h1.1.4", "C0EXAMPLE2")
        self.shown = [
            post("1.0", "4/relay/0", "J:h1.1.4;", "C0EXAMPLE2"),
            post("2.0", "1/relay/0", "J:h0.1.1; passed"),
            post("3.0", "2/relay/0", "J:h0.1.2; long"),
            post("3.5", "2/relay/1", "J:h0.1.2; longer"),
            post("4.0", None, "J:h0.1.3; see", files=[{"text": "J:h0.1.3; whole"}]),
            post("5.0", "5/digest/0", "3 messages: J:h0.1.5; J:h0.1.7;"),
        ]
        self.told = {seq: [told(seq, ts=ts)] for seq, ts in (
            (1, "2.0"), (2, "3.0"), (3, "4.0"), (4, "1.0"))}
        self.told |= {seq: [told(seq, "digest", "5.0")] for seq in (5, 6, 7)}

    def wrongs(self):
        found = collections.Counter()

        def add(wrong, what):
            found[wrong] += 1
            print(wrong, what)
        Deliveries(self.wanted, self.told, self.shown, add).judge()
        return set(found)


@pytest.fixture
def made():
    return Made()


def test_a_good_outcome_is_good(made):
    assert made.wrongs() == set()


def test_a_payload_belongs_to_the_text_above_it(made):
    made.shown.insert(4, post("3.6", files=[{"text": "no mark"}]))
    assert made.wrongs() == set()
    made.shown.insert(5, post("3.7", files=[{"text": "no mark"}]))
    assert made.wrongs() == {"doubled"}


def test_a_text_and_its_payload_may_both_be_files(made):
    made.shown.insert(5, post("4.5", files=[{"text": "no mark"}]))
    assert made.wrongs() == set()
    made.shown.insert(6, post("4.6", files=[{"text": "J:h0.1.3; whole"}]))
    assert made.wrongs() >= {"doubled"}


@pytest.mark.parametrize("place", [1, 3, 4])
def test_a_post_that_stands_twice_is_doubled(made, place):
    again = copy.deepcopy(made.shown[place])
    again["ts"] = "9.0"
    made.shown.append(again)
    assert "doubled" in made.wrongs()


def test_a_message_that_is_not_in_slack_is_lost(made):
    del made.shown[1]
    assert made.wrongs() == {"lost"}


def test_a_message_nobody_heard_of_is_lost(made):
    made.wanted[8] = ("h0.1.8", CHANNEL)
    assert made.wrongs() == {"lost"}


def test_a_message_that_was_given_up_is_lost(made):
    made.told[1] = [told(1, "failed", reason="expired")]
    del made.shown[1]
    assert made.wrongs() == {"lost"}


def test_an_outcome_that_is_told_twice_is_doubled(made):
    made.told[1] *= 2
    assert made.wrongs() == {"doubled"}


def test_a_digest_that_counts_too_few_has_lost_some(made):
    made.shown[5]["text"] = "2 messages: J:h0.1.5;"
    assert made.wrongs() == {"lost"}


def test_a_digest_that_is_not_there_has_lost_all(made):
    del made.shown[5]
    assert made.wrongs() == {"lost"}


def test_a_message_alone_and_in_a_digest_is_doubled(made):
    made.shown.append(post("6.0", "7/relay/0", "J:h0.1.7;"))
    assert "doubled" in made.wrongs()


def test_two_posts_that_changed_places_are_out_of_order(made):
    made.shown[1]["ts"], made.shown[2]["ts"] = "3.0", "2.0"
    made.told[1], made.told[2] = [told(1, ts="3.0")], [told(2, ts="2.0")]
    assert made.wrongs() == {"disordered"}


def test_a_digest_before_its_time_is_out_of_order(made):
    made.shown[5]["ts"] = "2.5"
    for seq in (5, 6, 7):
        made.told[seq] = [told(seq, "digest", "2.5")]
    assert made.wrongs() == {"disordered"}


def test_what_nobody_asked_for_is_noticed(made):
    made.shown.append(post("8.0", "99/relay/0", "J:h9.1.9;"))
    assert made.wrongs() == {"changed"}
