"""What people subscribed to, played again: a recording with their commands in
it tells the same people of the same records, each time.

One afternoon is lived through once, with deaths and a restart in it, then its
journal is played.
"""
import json
import re
import subprocess

import pytest

from chat import BUILDS, PLANS, QA, Talk
from conftest import BIN
from subscribed import Subscribed
from test_run import replay

pytestmark = pytest.mark.xdist_group("replay of the bot")   # one afternoon

MEMBERS = ("notify", "held", "matches", "quarantine", "subscriptions")
WORDS = ("stark", "hulk", "thor")
HARD = "/x(foo|fo+o)+c/"
DEAR = "x" + "foo" * 40 + "! c"     # what costs it too much


class Afternoon:
    """What was recorded, what came out of it, and by when."""

    def __init__(self, talk):
        self.talk = talk
        self.lines = {}             # that came out, by seq

    def keep_lines(self):
        self.talk.records           # as far as they came
        for line in self.talk.stream.lines:
            seq = json.loads(line)["seq"]
            assert self.lines.setdefault(seq, line) == line

    def recording(self, folder):
        """The journal as a file, and where the files are."""
        path = folder / "day.ndjson"
        path.write_bytes(self.journal)
        return path, "--spool", self.talk.state / "spool"

    @property
    def journal(self):
        return b"".join(path.read_bytes() for path in sorted(
            (self.talk.state / "journal").glob("*.ndjson")))

    @property
    def records(self):
        return [json.loads(line) for _, line in sorted(self.lines.items())]


@pytest.fixture(scope="module")
def afternoon(tmp_path_factory):
    """Lived through, and over."""
    folder = tmp_path_factory.mktemp("live")
    with Talk(folder, options=("--repeats", "0.3")) as talk:
        afternoon = Afternoon(talk)
        live_through(talk)
        talk.stop()
        afternoon.keep_lines()
        talk.start()
        live_on(talk)
        talk.stop()
        afternoon.keep_lines()
        afternoon.posts = talk.posts()
    return afternoon


def live_through(talk):
    talk.ada, talk.bo, talk.cy = people = [talk.person() for _ in range(3)]
    for number in range(60):
        speaker = people[number % 3]
        word = WORDS[number // 3 % 3]
        if number % 7 == 3:
            speaker.mention(f"forward {word}", (QA, BUILDS)[number % 2])
        elif number % 11 == 5:
            speaker.tell(f"stop {word}")
        sent = speaker.say(f"{word} {number}" + " :x:" * (number % 2),
                           (QA, BUILDS, PLANS)[number % 3])
        if number % 9 == 4:
            talk.slack.edit(sent, f"{word} and hulk", by=speaker.id)
        if number in (20, 40):
            kill(talk, "slack-bot" if number == 20 else "scanner")
    talk.settle()
    talk.ada.slash("forward thor")
    talk.bo.tell("forward fever where:files class:danger")
    talk.cy.tell(f"forward {HARD}")
    talk.ada.tell("mute")
    talk.cy.tell("mute 1s")
    talk.settle()
    talk.bo.say("stark, hulk and thor")
    talk.ada.say("a :x: file", uploads=[
        {"name": "a.log", "text": "line\n" * 50 + "a fever\n"}])
    for _ in range(4):
        talk.bo.say(DEAR)


def kill(talk, stage):
    old = talk.pipeline.kill(stage)
    talk.wait_until(lambda: talk.pipeline.pid(stage) not in (None, old))


def live_on(talk):
    """Behind a restart: it is all still known. A mute ends by a message that
    is late enough, as Slack's clock has it."""
    talk.settle()
    talk.wait_until(lambda: is_heard_again(talk, talk.cy))
    talk.bo.say("thor while ada is mute")
    talk.settle()
    talk.ada.tell("talk")
    talk.settle()
    talk.bo.say("thor when she is not")
    talk.ada.tell("stop")
    talk.settle()
    talk.bo.say("thor for nobody")
    talk.settle()


def is_heard_again(talk, person):
    """Is the mute over? Else something more is said, which may end it."""
    if not any(line[0] == "mute" and line[3] == person.id
               for line in talk.subscriptions()):
        return True
    talk.bo.say("how late is it?")
    talk.settle()
    return False


@pytest.fixture(scope="module")
def played(afternoon, tmp_path_factory):
    """The lines of two replays of the journal."""
    outputs = []
    for run in ("one", "two"):
        folder = tmp_path_factory.mktemp(run)
        status, _, said = replay(folder, *afternoon.recording(folder))
        assert status == 0, said
        outputs.append((folder / "out.ndjson").read_bytes().splitlines())
    return outputs


def cut_out(line):
    """The members that are the bot's and its kin's, byte for byte."""
    record = json.loads(line)
    members = {}
    for name in MEMBERS:
        if name in record:
            text = json.dumps(record[name], separators=(",", ":"),
                              ensure_ascii=False)
            assert f'"{name}":{text}'.encode() in line, line
            members[name] = text
    return members


# --- tests -------------------------------------------------------------------

def test_the_afternoon_had_all_that_can_happen(afternoon):
    """Or the rest would show little."""
    names = {record["command"]["name"] for record in afternoon.records
             if "command" in record}
    assert names >= {"forward", "stop", "mute", "talk"}
    for name in MEMBERS:
        assert sum(name in record for record in afternoon.records) > 0, name
    told = [record for record in afternoon.records if record.get("notify")]
    assert len(told) > 20
    assert {user for record in told for user in record["notify"]} == {
        person.id for person in (afternoon.talk.ada, afternoon.talk.bo,
                                 afternoon.talk.cy)}
    assert any(len(record["notify"]) > 1 for record in told)


def test_live_each_change_counted_from_the_next_record_on(afternoon):
    """By an oracle, which knows only what was said."""
    people = Subscribed(afternoon.talk.slack.about["bot_user"])
    wrong = []
    for record in afternoon.records:
        notify, held = people.take(record)
        if "fever" in str(record.get("matches")):
            notify = [afternoon.talk.bo.id]     # in a file
        told = record.get("notify", []), record.get("held", {})
        if told != (notify, held):
            wrong.append((record["seq"], record.get("text"), told,
                          (notify, held)))
    assert wrong == []


def test_what_was_told_stands_in_slack(afternoon):
    """Alone or in a digest, and nothing that was not told."""
    wanted = {(record["seq"], user) for record in afternoon.records
              for user in record.get("notify", [])}
    ims = {person.im: person.id for person in (
        afternoon.talk.ada, afternoon.talk.bo, afternoon.talk.cy)}
    alone = [(post.seq, ims[post.channel]) for post in afternoon.posts
             if post.purpose == "forward"]
    assert len(alone) == len(set(alone)) and set(alone) <= wanted
    assert len(alone) >= 3 * 5


def test_a_replay_tells_the_same_people_byte_for_byte(afternoon, played):
    """Done 4"""
    for lines in played:
        assert [json.loads(line)["seq"] for line in lines] == \
            sorted(afternoon.lines)
        for line in lines:
            live = afternoon.lines[json.loads(line)["seq"]]
            assert cut_out(line) == cut_out(live)


def test_two_replays_give_the_same_bytes(played):
    one, two = ([re.sub(rb'"received":"[^"]*"', b"", line) for line in lines]
                for lines in played)
    assert one == two


def test_answers_come_out_the_same_but_for_what_they_tell_of(
        afternoon, played):
    """Of forward, stop, mute and talk, to the byte; those of jobs apart."""
    for line in played[0]:
        record = json.loads(line)
        live = json.loads(afternoon.lines[record["seq"]])
        assert record.get("command") == live.get("command")


def test_a_replay_again_in_the_same_folder_starts_from_nothing(
        afternoon, played, tmp_path):
    for _ in range(2):
        status, _, said = replay(tmp_path, *afternoon.recording(tmp_path))
        assert status == 0, said
        lines = (tmp_path / "out.ndjson").read_bytes().splitlines()
        assert list(map(cut_out, lines)) == list(map(cut_out, played[0]))


def test_the_programs_alone_find_the_same(afternoon, played):
    """`slack-bot < recording | scanner`, without any state."""
    out = subprocess.run(
        f"{BIN}/slack-bot | {BIN}/scanner --patterns /dev/null",
        shell=True, input=afternoon.journal, stdout=subprocess.PIPE, timeout=60,
        check=True).stdout.splitlines()
    for line, whole in zip(out, played[0], strict=True):
        record, other = json.loads(line), json.loads(whole)
        if "files" not in record:
            assert record.get("notify") == other.get("notify"), line


