"""What people can do to the bot: nothing of it crashes, stalls or stays without
a clear answer. (What is answered to bad terms: test_conversation.py.)"""
import json
import re
import time

import pytest

from chat import PLANS, QA, QUOTES, Talk, find_terms
from test_run import Pipeline, replay, wait_for

pytestmark = pytest.mark.xdist_group("abuse of the bot")    # one pipeline

EVIL = "/ID[0-9]{3}: (x+x+)+y/"     # dear on a row of x behind a number,
WORST = "ID123: " + "x" * 3000 + " y"  # which no trial thinks of
USERS, TERMS = 150, 70
STANDING = 1900             # forwards that are there before it starts
ROWS, COMMANDS = 200000, 200    # of a recording, and how many of them are
OURS = ("pattern", "for", "forward", "notify", "seq", "text", "any", "-", "#",
        "type", "__proto__", "constructor", "files", "refused", "null", "%s",
        "U0ULTRON01", "stop", "in:", "//", "/", "'; --")
BAD = [     # what is typed, and what the answer must tell
    ("/(/", "parenthes", "at character 2"),
    ("/[/", "at character"),
    ("/(a+)+$/", "costs too much"),
    ("/(.*)*x/i", "empty text", "costs too much"),
    ("/x*/", "empty text"),
    ("/()/", "empty text"),
    ("/^/", "empty text"),
    ("``", "no term"),
    ("in:#qa", "no term"),
    ("class:danger where:text", "no term"),
    ("x" * 10000, "200 bytes", "10000"),
    ("ü" * 101, "200 bytes", "202"),
    ("a\nb", "one line"),
    ("a\r\nforward b", "one line"),
    ("a\x01b", "plain text"),
    ("x where:moon", "`where:`"),
    ("x class:blue", "`class:`"),
    ("x in:", None),                        # a term like any other
    ("/(*COMMIT)/", None),                  # decided by PCRE2
]


def write_subscriptions(talk):
    """As a long life left them, and somebody's bad edit."""
    talk.state.mkdir()
    (talk.state / "ultron").write_text("live\n")
    lines = "".join(
        f"forward {n % 3} - U{n % 20:08} any any any standing {n};\n"
        for n in range(STANDING))
    (talk.state / "subscriptions").write_bytes(
        b"# people\nseq 0\n" + lines.encode() + b"forward half\n\xff\n")


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    with Talk(tmp_path_factory.mktemp("abuse"), prepare=write_subscriptions,
              SECRET_WEAPON="") as talk:
        yield talk
        talk.slack.check()
        check_log(talk.pipeline.said())
        talk.stop()


def check_log(log):
    """Nobody died, or hung."""
    for word in ("was killed", "starting", "ended with", "no answer"):
        assert word not in log, log


@pytest.fixture(autouse=True)
def quiet(talk):
    talk.settle()


def hear(talk, sent):
    """Slack promises no order: so each waits until the other was heard."""
    wait_for(lambda: any(record.get("ts") == sent["ts"]
                         for record in talk.records), 30, "a record")


# --- terms ---------------------------------------------------------------

def test_what_can_not_be_looked_for_is_refused_with_a_reason(talk):
    """D11, D12; and nothing is kept of it."""
    people = [talk.person() for _ in BAD]
    for person, (typed, *_) in zip(people, BAD):
        person.tell(f"forward {typed}")
    answers = {post.channel: post.text for post in talk.answers()}
    assert len(answers) == len(BAD)
    for person, (typed, *facts) in zip(people, BAD):
        text = answers[person.im]
        if facts == [None]:
            assert "`" in text
            continue
        assert text.startswith(f"{person.at}! I can not forward"), text
        assert any(fact in text for fact in facts), (typed, text)
        assert "Nothing has changed" in text and len(text) < 1000
        assert find_terms(talk, person) == []
    talk.person().say("x " + "a" * 3000 + "!")
    assert talk.settle() == []
    talk.forget(people)


def test_test_refuses_the_same(talk):
    people = [talk.person() for _ in BAD]
    for person, (typed, *_) in zip(people, BAD):
        person.tell(f"test {typed}")
    answers = {post.channel: post.text for post in talk.answers()}
    for person, (typed, *facts) in zip(people, BAD):
        if facts != [None]:
            assert "can not test" in answers[person.im], (typed, answers)
            assert any(fact in answers[person.im] for fact in facts)


def test_an_expression_that_is_none_is_looked_for_as_it_stands(talk):
    """`forward (a+)+$`, which ended UltronEx, and its worst input."""
    person, other = talk.person(), talk.person()
    for typed in ("(a+)+$", "("):
        person.tell(f"forward {typed}")
    assert all("just as it stands" in post.text for post in talk.answers())
    for _ in range(5):
        other.say("a" * 30000 + "!")
    assert talk.settle() == []
    other.say("it is (a+)+$ that does it")
    forward, = talk.settle()
    assert forward.channel == person.im
    assert "`(a+)+$`" in forward.text and "`(`" in forward.text
    talk.forget([person])


def test_terms_that_are_words_of_our_own(talk):
    """D13, D14: each finds what holds it, and nothing else."""
    people = {term: talk.person() for term in OURS}
    for term, person in people.items():
        person.tell(f"forward {term}")
    refused = {post.channel for post in talk.answers()
               if "can not forward" in post.text}
    other = talk.person()
    other.say("Plain words", PLANS)
    assert talk.settle() == []
    for term, person in people.items():
        if person.im not in refused:
            assert find_terms(talk, person) == [term]
    for term in ("pattern", "__proto__", "seq", "%s"):
        assert people[term].im not in refused
        other.say(f"this {term} {{}}", PLANS)
    found = {}
    for post in talk.settle():
        found.setdefault(post.channel, []).append(post.text)
    for term in ("pattern", "__proto__", "seq", "%s"):
        assert len(found.pop(people[term].im)) == 1
    assert {channel: len(texts) for channel, texts in found.items()} == {}
    talk.forget(people.values())


def test_a_file_of_many_years_is_taken_and_what_is_damaged_kept(talk):
    """1,900 forwards, and two lines that are none."""
    assert talk.pipeline.said().count("subscriptions:") >= 2
    bad = talk.state / "subscriptions.bad"
    assert b"forward half\n\xff\n" in bad.read_bytes()
    user = f"U{(STANDING - 1) % 20:08}"
    talk.slack.control("add_user", id=user, name="elder")
    talk.person().say(f"standing {STANDING - 1};")
    post, = talk.settle()
    assert post.channel == talk.slack.open_im(user)
    assert f"`standing {STANDING - 1};`" in post.text
    assert len(talk.subscriptions()) == STANDING


def test_what_is_not_set_is_off(talk):
    """No secret word and no key: an empty word is no secret."""
    one, two = talk.person(), talk.person()
    two.tell("gif")
    one.slash("")
    posts = {post.channel: post.text for post in talk.answers()}
    assert "off" in posts[two.im] and "GIPHY_API_KEY" in posts[two.im]
    assert "Activated" not in posts[one.im]
    assert any(quote in posts[one.im] for quote in QUOTES)


# --- people and bots ---------------------------------------------------------

def test_another_bot_gets_no_loop_going(talk):
    hall = talk.channel()
    person = talk.person()
    talk.slack.control("add_parrot", channel=hall, user="U0PARROT01",
                       bot_id="B0PARROT01",
                       text=f"<@{talk.slack.bot_user}> help")
    person.mention("forward help", hall)
    posts = talk.settle()
    # one answer; what the parrot said to it is a match and no command
    assert [post.purpose for post in posts] == ["reply", "forward"]
    posts = talk.settle()
    assert posts == []
    person.tell("stop")
    talk.settle()


def test_two_on_one_term_and_a_match_at_once(talk):
    one, other, third = talk.person(), talk.person(), talk.person()
    for person in (one, other):
        hear(talk, person.tell("forward same second"))
    third.say("the same second it was")
    posts = talk.settle()
    assert sorted(post.channel for post in posts
                  if post.purpose == "forward") == sorted(
                      [one.im, other.im])
    assert len(posts) == 4
    talk.forget([one, other])


def test_stop_while_the_forward_is_on_its_way(talk):
    person, other = talk.person(), talk.person()
    person.tell("forward underway")
    talk.settle()
    talk.slack.fail_next("chat.postMessage", times=2, status=503)
    hear(talk, other.say("this is underway now"))
    hear(talk, person.tell("stop underway"))
    other.say("nothing underway any more")
    posts = talk.settle()
    assert sorted(post.purpose for post in posts) == ["forward", "reply"]
    forward, = [post for post in posts if post.purpose == "forward"]
    assert "this is" in forward.text and "nothing" not in forward.text


def test_a_term_that_turns_out_dear_is_quarantined(talk):
    person, other = talk.person(), talk.person()
    person.tell("forward " + EVIL)
    assert "is set for" in talk.answer().text
    began = time.monotonic()
    for _ in range(12):
        other.say(WORST)
    posts = talk.settle()
    assert time.monotonic() - began < 30
    notice, = [post for post in posts if post.purpose == "notice"]
    assert notice.channel == person.im and "look for" in notice.text
    wait_for(lambda: any(words[0] == "refused" and words[3] == person.id
                         for words in talk.subscriptions()), 20, "the line")
    person.tell("list")
    assert "cost too much" in talk.answer().text
    person.tell("stop " + EVIL)
    assert "stopped" in talk.answer().text


def test_a_bot_that_says_things_in_private_is_not_answered(talk):
    talk.slack.control("add_parrot", channel=talk.person().im,
                       user="U0PARROT02", bot_id="B0PARROT02", text="help")
    for subtype in (None, "bot_message"):
        talk.slack.send("help", channel=talk.person().im, user="U0PARROT02",
                        bot_id="B0PARROT02", subtype=subtype)
    assert talk.settle() == []


# --- many --------------------------------------------------------------------

def commands():
    """All that people try, each at its place among messages."""
    seq = 0
    for number in range(USERS * TERMS):
        text = {0: "forward /(/", 1: "forward " + "x" * 10000,
                2: "forward", 3: "forward /(a+)+$/", 4: "forward a\nb",
                5: "forward pattern"}.get(number % 60, f"forward t{number};")
        for event in ({"user": f"U{number % USERS:08}", "text": text,
                       "channel": "D1", "channel_type": "im"},
                      {"user": "U9", "channel": QA,
                       "text": f"t{number}; " + "a" * 40}):
            seq += 1
            yield {"type": "message", "seq": seq, **event,
                   "ts": f"1763800000.{seq:06}"}


def write_recording(folder, records):
    path = folder / "recording.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def test_ten_thousand_wishes(tmp_path):
    """Each is answered, in one way or the other; each counts from the very
    next record on, as long as there is room."""
    status, records, said = replay(
        tmp_path, write_recording(tmp_path, commands()))
    assert status == 0, said
    check_log(said)
    assert len(records) == 2 * USERS * TERMS
    lines = (tmp_path / "state" / "subscriptions").read_text().splitlines()
    standing = [line.split(" ") for line in lines
                if line.startswith("forward ") and line.split(" ")[2] == "-"]
    assert len(standing) == 2000
    assert max(sum(line[3] == user for line in standing)
               for user in {line[3] for line in standing}) <= 100
    replies = [record["command"]["reply"] for record in records
               if "command" in record]
    assert len(replies) == USERS * TERMS
    kinds = ["is set for", "can not forward", "you have"]
    assert all(any(kind in reply for kind in kinds) for reply in replies)
    refused = [reply for reply in replies if "more are not possible" in reply]
    assert len(refused) > 5000
    for wish, message in zip(records[::2], records[1::2]):
        is_set = re.search(r"is set for `(t\d+);`",
                           wish["command"].get("reply", ""))
        told = wish["user"] in message.get("notify", [])
        assert told == bool(is_set), (wish, message)


def test_nobody_has_more_than_a_hundred(tmp_path):
    told = [{"type": "message", "user": "U1", "text": f"forward term {n}",
             "channel": "D1", "channel_type": "im",
             "ts": f"1763800000.{n:06}"} for n in range(103)]
    status, records, said = replay(tmp_path, write_recording(tmp_path, told))
    assert status == 0, said
    replies = [record["command"]["reply"] for record in records]
    assert all("is set for" in reply for reply in replies[:100])
    assert all("100 forwards" in reply and "`stop`" in reply
               for reply in replies[100:])


# --- the rate ----------------------------------------------------------------

ABUSE = [f"forward {typed}" for typed, *_ in BAD] + [
    f"forward {EVIL}", *[WORST] * 4, "forward pattern", "forward (",
    "forward (a+)+$", "forward", "list", "stop", "nonsense"]
CALM = "a calm day"


def make_rows(words):
    """Messages of a busy day; now and then one is replaced by these words."""
    for n in range(ROWS):
        record = {"type": "message", "user": f"U{n % 50:08}", "channel": QA,
                  "ts": f"{1763800000 + n // 100}.{n % 100:06}",
                  "text": f"build {n} of the nightly went through the gate, "
                  f"{n % 7} warnings, no crash so far; logs are as ever"}
        if n % (ROWS // COMMANDS) == 1:
            text = words[n // (ROWS // COMMANDS) % len(words)]
            record |= {"text": text, "user": "U9"} if text in (
                CALM, WORST) else {
                "text": text, "channel": "D1", "channel_type": "im"}
        yield record


def take_time(path):
    """Of a replay, in seconds, until all is out."""
    began = time.monotonic()
    with Pipeline(path.parent, "--replay", path, "--speed", "max",
                  "--offline") as pipeline:
        assert pipeline.run.wait(120) == 0, pipeline.said()
        check_log(pipeline.said())
    return time.monotonic() - began


def test_abuse_does_not_stall_the_line(tmp_path):
    """It takes less than a tenth, says `make bench`; here the machine may be
    busy: each way's best of three runs, and no more than twice as long."""
    paths = {}
    for name, words in (("start", [""]), ("plain", [CALM]),
                        ("abuse", ABUSE)):
        (tmp_path / name).mkdir()
        rows = list(make_rows(words))
        paths[name] = write_recording(
            tmp_path / name, rows[:1] if name == "start" else rows)
    best = dict.fromkeys(paths, 1e9)
    for _ in range(3):
        for name, path in paths.items():
            best[name] = min(best[name], take_time(path))
    plain, abuse = (best[name] - best["start"] for name in ("plain", "abuse"))
    assert abuse < 2 * plain, best
    lines = (tmp_path / "abuse" / "out.ndjson").read_bytes().splitlines()
    assert len(lines) == ROWS
    assert sum(b'"command":{' in line for line in lines) >= COMMANDS // 2
    assert sum(b'"quarantine":[' in line for line in lines) > 0
