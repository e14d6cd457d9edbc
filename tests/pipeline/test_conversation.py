"""A conversation: all that people can say to the bot, wherever they say it,
through the whole pipeline, and what they get for it.

The facts are checked, not the sentences; and that each answer stands where it
belongs, once, and that nobody else is spoken to.
"""
import base64
import collections
import json
import re
import time
import urllib.parse
import urllib.request

import pytest

from chat import BUILDS, PLANS, QA, QUOTES, Talk, find_terms

pytestmark = pytest.mark.xdist_group("conversation")    # one pipeline for all

SECRET = "Jarvis"
POOL = [f"C0LISTED{number:02}" for number in range(60)]
FLOOD, AT_ONCE = 42, 5
COMMANDS = ("help", "forward", "list", "stop", "mute", "talk", "test",
            "status", "quote", "xkcd", "gif")
DATE = re.compile(r"<!date\^(\d+)\^[^|]*\|(\d{4}-\d\d-\d\d \d\d:\d\d) UTC>")


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """One for all tests of this file. Slack says a third of everything twice,
    and not every channel is monitored."""
    with Talk(tmp_path_factory.mktemp("talk"), options=("--repeats", "0.3"),
              prepare=set_giphy, SECRET_WEAPON=SECRET,
              SLACK_CHANNEL_LIST=", ".join([QA, PLANS, *POOL])) as talk:
        talk.pool = iter(POOL)
        talk.began = time.time()
        begin_what_takes_time(talk)
        yield talk
        talk.slack.check()
        talk.stop()


def set_giphy(talk):
    talk.env |= talk.slack.giphy_environment


def begin_what_takes_time(talk):
    """A flood, whose digest comes a minute later, and a mute that ends by
    itself."""
    talk.flooded, talk.napper, speaker = (talk.person() for _ in range(3))
    talk.flooded.tell("forward flood")
    talk.napper.tell("forward nap")
    talk.napper.tell("mute 45s")
    talk.answers()
    talk.apart |= {talk.flooded.im, talk.napper.im}
    for number in range(FLOOD):
        speaker.say(f"flood {number}" + (" :x:" if number % 2 else ""))
    speaker.say("a nap in the sun")
    speaker.say("another nap")
    talk.settle()


@pytest.fixture(autouse=True)
def quiet(talk):
    """What one test has led to is no matter of the next one. Nor are its
    subscriptions: terms are other ones in each test."""
    talk.settle()


@pytest.fixture
def forgetful(talk):
    """For terms that would be met again."""
    before = len(talk.people)
    yield
    talk.forget(talk.people[before:])


# --- where one speaks --------------------------------------------------------

def speak(talk, person, place, words):
    """Returns where the answer belongs: a channel, and a thread or None."""
    if place == "slash command":
        person.slash(words)
        return person.im, None
    if place.startswith("direct"):
        return speak_in_private(person, place, words)
    channel = talk.channel(
        next(talk.pool) if "monitored" in place.split() else None,
        type="group" if "private" in place else "channel")
    if "thread" in place:
        parent = person.say("Who knows?", channel)
        person.mention(words, channel, thread_ts=parent["ts"])
        return channel, parent["ts"]
    person.mention(words, channel)
    return channel, None


def speak_in_private(person, place, words):
    if "thread" in place:
        parent = person.tell("help")
        person.tell(words, thread_ts=parent["ts"])
        return person.im, parent["ts"]
    if "mention" in place:
        person.mention(words, person.im)
    else:
        person.tell(words)
    return person.im, None


CHANNELS = ("monitored channel", "unmonitored channel", "private channel")
DIRECT = ("direct message", "direct message with a mention")
OTHERS = ("thread of a monitored channel", "slash command",
          "thread of an unmonitored channel")


def choose_places(number):
    """For the row of that number: before all, in private, and elsewhere."""
    return [places[number % len(places)]
            for places in (CHANNELS, DIRECT, OTHERS)]


@pytest.fixture(scope="module")
def conversation(talk):
    """Every row is said in all its places, each time by somebody else. Returns
    of each pairs of person and answer, when each answer stands where it
    belongs, and no other anywhere."""
    talk.settle()
    said = {}
    for number, (words, _) in enumerate(ROWS):
        for place in choose_places(number):
            person = talk.person()
            target = speak(talk, person, place, words)
            said[target] = words, person
    posts = talk.answers(timeout=120)
    answers = {(post.channel, post.thread): post for post in posts}
    assert set(answers) == set(said) and len(posts) == len(said)
    found = collections.defaultdict(list)
    for target, (words, person) in said.items():
        found[words].append((person, answers[target].text))
    return found


# --- each row of the table ---------------------------------------------------

def lists_the_commands(text, _):
    """U05; one line each."""
    for command in COMMANDS:
        assert len(re.findall(rf"^`{command}\b", text, re.M)) == 1, command


def is_puzzled(text, _):
    """U06"""
    assert "not understand" in text and "`help`" in text
    assert find_quotes(text) != []


def find_quotes(text):
    return [quote for quote in QUOTES if quote in text]


def has_one_quote(text, _):
    """U07"""
    assert len(find_quotes(text)) == 1


def has_some_comic(text, _):
    """U08"""
    number = re.search(r"https://xkcd\.com/(\d+)/", text)[1]
    assert 1 <= int(number) <= 3000


def has(*facts, no=()):
    def check(text, _):
        assert all(fact in text for fact in facts), (facts, text)
        assert not any(fact in text for fact in no), (no, text)
    return check


def tells_how_it_is(text, _):
    """Live, since when, rates, queue, last error."""
    assert "connected" in text and "2 connections" in text
    assert len(DATE.findall(text)) >= 2
    assert re.search(r"\d+ messages since", text)
    assert re.search(r"\d\.\d records a second", text)
    assert re.search(r"To Slack: (\d+|nothing|no)\b", text)
    assert "error" in text


def is_muted_for(seconds):
    def check(text, _):
        until, = DATE.findall(text)
        left = int(until[0]) - time.time()
        assert seconds - 60 < left <= seconds + 1, text
        assert time.strftime("%Y-%m-%d %H:%M", time.gmtime(
            int(until[0]))) == until[1]
        assert "digest" in text
    return check


ROWS = [
    ("help", lists_the_commands),
    ("forward zark", has("set for `zark`", "just as it stands",
                          "direct message")),
    ("forward /z.rk/i", has("set for `/z.rk/i`", "regular expression")),
    ("forward (((", has("set for `(((`")),
    ("forward /za(rk/", has("not", "`/za(rk/`", "parenthes",
                            "at character 7", "Nothing has changed")),
    ("forward zark in:builds where:text class:danger",
     has("`zark`", "`#builds`", "not in files", "class danger")),
    ("forward zark where:nowhere", has("`where:`", "`text`", "`files`")),
    ("forward", has("no forwards", "`forward TERM`")),
    ("list", has("no forwards", "`forward TERM`")),
    ("stop zark", has("you sure?", "No forwarding found", "`zark`")),
    ("stop", has("nothing to stop")),
    ("mute", has("until you say `talk`", "digest")),
    ("mute 30m", is_muted_for(1800)),
    ("mute 1h30m", is_muted_for(5400)),
    ("mute for ever", has("how long", "`for ever`", "30m", no=["until "])),
    ("talk", has("not held back")),
    ("test never said at all", has("`never said at all`", " 0 of ",
                                   "24 hours")),
    ("test /(/", has("not test", "parenthes")),
    ("status", tells_how_it_is),
    ("quote", has_one_quote),
    ("xkcd", has_some_comic),
    ("xkcd 614", has("https://xkcd.com/614/")),
    ("xkcd a&amp;b/?", has("https://xkcd.com/a%26b%2F%3F/")),
    ("gif tin can", has("`tin can`", "https://giphy.example/gifs/tin-can-")),
    (SECRET, has("Activated", "on disk", no=[SECRET])),
    ("abracadabra", is_puzzled),
    ("abracadabra help", is_puzzled),
    (SECRET.lower(), is_puzzled),
]


@pytest.mark.parametrize("words, check", ROWS, ids=[row[0] for row in ROWS])
def test_each_command_is_answered_once_and_where_it_was_given(
        conversation, words, check):
    assert len(conversation[words]) == 3
    for person, text in conversation[words]:
        assert text.startswith(f"{person.at}! "), text
        check(text, person)


@pytest.mark.parametrize("words", ["HELP", "Help", "  hElP  ", "help me"])
def test_the_word_may_be_in_any_case(talk, words):
    talk.person().mention(words, talk.channel())
    lists_the_commands(talk.answer().text, None)


def test_a_bare_mention_is_answered_too(talk):
    here, there = talk.channel(), talk.channel()
    bot, person = talk.slack.bot_user, talk.person()
    person.say(f"<@{bot}>", here)
    person.say(f"<@{bot}>   \t", there)
    person.slash("")
    answers = talk.answers()
    assert {post.channel for post in answers} == {here, there, person.im}
    assert len(answers) == 3
    for post in answers:
        is_puzzled(post.text, person)


@pytest.mark.parametrize("mention", [
    "<@{}|ultron> help", "<@{}>help", "<@{}>\thelp", "  <@{}> help"])
def test_forms_of_a_mention(talk, mention):
    channel = talk.channel()
    talk.person().say(mention.format(talk.slack.bot_user), channel)
    assert talk.answer().channel == channel


def test_in_a_thread_of_a_direct_message(talk):
    person = talk.person()
    target = speak(talk, person, "direct thread", "quote")
    threads = {post.thread: post for post in talk.answers()}
    assert set(threads) == {None, target[1]}
    has_one_quote(threads[target[1]].text, person)


def test_an_answer_may_unfurl_its_links_and_a_forward_not(talk):
    person = talk.person()
    person.tell("forward unfurled")
    talk.answer()
    talk.person().say("unfurled https://example.org/")
    talk.settle()
    reply, forward = [
        call["arguments"] for call in talk.slack.calls("chat.postMessage")
        if call["arguments"]["channel"] in (person.im, person.id)]

    def unfurls(arguments):
        return arguments.get("unfurl_links") in (True, "true")
    assert unfurls(reply) and not unfurls(forward)


# --- what is no command ------------------------------------------------------

def test_who_is_not_addressed_is_not_answered(talk):
    ada, bot = talk.person(), talk.slack.bot_user
    channel = talk.channel()
    for text in ("help", f"I said <@{bot}> help", f"<@{ada.id}> help",
                 f"<@{bot}X> help", f"&lt;@{bot}&gt; help", "@ultron help"):
        ada.say(text, channel)
    assert talk.settle() == []


@pytest.mark.parametrize("members", [
    {"bot_id": "B0OTHER001"},
    {"bot_id": "B0OTHER001", "subtype": "bot_message"},
    {"bot_id": "B0OTHER001", "subtype": "bot_message", "user": None},
    {"subtype": "channel_join"}, {"subtype": "channel_topic"},
    {"user": None}, {"user": "U0ULTRON01"}], ids=str)
def test_only_people_are_answered(talk, members):
    bot = talk.slack.bot_user
    for channel in (QA, talk.person().im):
        talk.slack.send(f"<@{bot}> help", channel=channel, **members)
    assert talk.settle() == []


def test_what_becomes_of_a_command_is_no_other_command(talk):
    """D19; an edit, a file's preview, and its end."""
    person = talk.person()
    sent = person.mention("forward edited", QA)
    assert "`edited`" in talk.answer().text
    talk.slack.edit(sent, f"<@{talk.slack.bot_user}> forward other",
                    by=person.id)
    talk.slack.edit(sent, f"<@{talk.slack.bot_user}> forward third", by=None)
    talk.slack.delete(sent)
    assert talk.settle() == []
    assert find_terms(talk, person) == ["edited"]


def test_a_mention_that_slack_tells_twice_is_answered_once(talk):
    channel = talk.channel()
    talk.person().mention("help", channel, twin=True)
    assert talk.answer().channel == channel


@pytest.mark.parametrize("types", [("app_mention", "message"),
                                   ("message", "app_mention")])
def test_it_does_not_matter_as_what_a_mention_comes_first(talk, types):
    person, channel = talk.person(), talk.channel()
    text = f"<@{talk.slack.bot_user}> quote"
    sent = person.say(text, channel, quiet=True)
    for kind in types:
        talk.slack.control("push_event", event={
            "type": kind, "user": person.id, "text": text, "ts": sent["ts"],
            "event_ts": sent["ts"], "channel": channel})
        talk.wait_until(lambda: not talk.slack.state()["pending"])
    assert talk.answer().channel == channel


# --- forward, list, stop -----------------------------------------------------

def subscribe(talk, *wishes):
    """Somebody new, with these subscriptions."""
    person = talk.person()
    for wish in wishes:
        person.tell(f"forward {wish}")
    assert all("is set for" in post.text for post in talk.answers())
    return person


@pytest.mark.parametrize("typed, stored", [
    ("“qwer raving”", 'any any any "qwer raving"'),
    ("it‘s ‚here’", "any any any it's 'here'"),
    ("`qwer`", "any any any qwer"),
    ("  qwer   raving  ", "any any any qwer   raving"),
    ("<http://x.example|x.example> &amp; &lt;b&gt;",
     "any any any x.example & <b>"),
    ("in:<#C0EXAMPLE1|qa> qwer", "C0EXAMPLE1 any any qwer"),
    ("qwer in:#qa", "qa any any qwer"),
    ("where:files class:warning in:qa qwer", "qa files warning qwer"),
    ("qwer class:danger raving", "any any any qwer class:danger raving"),
    ("/qwer|asdf/", "any any any /qwer|asdf/"),
    ("日本語 🙂", "any any any 日本語 🙂"),
], ids=str)
def test_what_is_typed_is_what_is_looked_for(talk, typed, stored):
    person = subscribe(talk, typed)
    assert [" ".join(line[4:]) for line in talk.subscriptions()
            if line[3] == person.id] == [stored]


def test_the_same_again_changes_nothing_and_other_options_replace(talk):
    person = subscribe(talk, "twice", "twice")
    line, = [line for line in talk.subscriptions() if line[3] == person.id]
    person.tell("forward twice in:#builds")
    assert "`#builds`" in talk.answer().text
    other, = [line for line in talk.subscriptions() if line[3] == person.id]
    assert int(other[1]) > int(line[1]) and other[4] == "builds"


def test_list_shows_what_is_mine_and_how_often_it_came(talk):
    mine = subscribe(talk, "mark one", "/mark t.o/ in:#qa")
    subscribe(talk, "mark three")
    other = talk.person()
    for text in ("mark one", "mark one, mark two", "mark three"):
        other.say(text)
    assert len(forwards(talk)) == 3         # and the one of "mark three"
    firsts = {" ".join(line[7:]): line[1] for line in talk.subscriptions()
              if line[3] == mine.id}
    talk.wait_until(lambda: all(
        talk.stats().get("hits", {}).get(seq) for seq in firsts.values()))
    for words in ("list", "forward"):
        mine.tell(words)
        text = talk.answer().text
        assert "2 forwards" in text and "mark three" not in text
        assert re.search(r"`mark one`.*\b2 hits", text), text
        assert re.search(r"`/mark t\.o/`.*#qa.*\b1 hits?", text), text


def test_stop_says_whether_others_are_still_subscribed(talk):
    """U11, U12"""
    ada, bo = subscribe(talk, "shared"), subscribe(talk, "shared")
    ada.tell("stop shared")
    text = talk.answer().text
    assert "stopped for `shared`" in text
    assert "other users are still subscribed" in text
    assert (find_terms(talk, ada), find_terms(talk, bo)) == ([], ["shared"])
    talk.person().say("a shared thing")
    forward, = talk.settle()
    assert forward.channel == bo.im
    bo.tell("stop shared")
    text = talk.answer().text
    assert "stopped for `shared`" in text
    assert "no one else is subscribed" in text
    bo.tell("stop shared")
    assert "you sure?" in talk.answer().text


def test_stop_alone_ends_all_that_is_mine_and_nothing_else(talk):
    """U13, D25"""
    ada = subscribe(talk, "alone", "together")
    bo = subscribe(talk, "together")
    ada.tell("stop")
    text = talk.answer().text
    assert re.search(r"`alone`.*no one else is subscribed", text)
    assert re.search(r"`together`.*other users are still subscribed", text)
    assert (find_terms(talk, ada), find_terms(talk, bo)) == \
        ([], ["together"])
    talk.person().say("alone together")
    forward, = talk.settle()
    assert forward.channel == bo.im


def test_the_dashboard_tells_who_subscribed_to_what(talk):
    """/ultronex/track"""
    ada, bo = subscribe(talk, "tracked"), subscribe(talk, "tracked")
    request = urllib.request.Request(
        f"http://127.0.0.1:{talk.pipeline.port}/ultronex/track",
        headers={"Authorization": "Basic " + base64.b64encode(
            b"qa:secret").decode()})

    def ask():
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer).get("tracked")
    assert ask() == f"{ada.id}, {bo.id}"
    ada.tell("stop tracked")
    talk.answer()
    talk.wait_until(lambda: ask() == bo.id)


# --- forwards ----------------------------------------------------------------

def forwards(talk):
    posts = talk.settle()
    assert {post.purpose for post in posts} <= {"forward", "file"}, posts
    return posts


def find_link(sent):
    return (f"https://harbour-qa.slack.com/archives/{sent['channel']}/"
            f"p{sent['ts'].replace('.', '')}")


def test_a_forward_tells_what_matched_where_and_who_said_it(talk):
    """U10, U18, U19"""
    ada, bo = subscribe(talk, "stark"), talk.person()
    sent = bo.say("they say &lt;stark&gt; is *mad*")
    forward, = forwards(talk)
    assert forward.channel == ada.im and forward.thread is None
    for fact in ("`stark`", f"<#{QA}>", bo.at, f"<{find_link(sent)}|",
                 "*stark*", "they say &lt;", "&gt; is"):
        assert fact in forward.text, (fact, forward.text)
    assert forward.files == []


def test_a_link_into_a_thread(talk):
    ada, bo = subscribe(talk, "needle"), talk.person()
    parent = bo.say("a haystack")
    sent = bo.say("a needle", thread_ts=parent["ts"])
    forward, = forwards(talk)
    assert forward.channel == ada.im
    assert find_link(sent) in forward.text
    assert f"thread_ts={parent['ts']}" in forward.text


def test_several_patterns_make_one_forward_and_two_people_two(talk):
    ada = subscribe(talk, "left", "/r.ght/", "absent")
    bo = subscribe(talk, "right")
    talk.person().say("left and right")
    posts = {post.channel: post.text for post in forwards(talk)}
    assert set(posts) == {ada.im, bo.im}
    assert "`left`" in posts[ada.im] and "`/r.ght/`" in posts[ada.im]
    assert "absent" not in posts[ada.im] and "left`" not in posts[bo.im]


def test_nobody_is_told_what_they_said_themselves(talk):
    ada = subscribe(talk, "echo")
    ada.say("echo?")
    assert forwards(talk) == []
    talk.person().say("echo!")
    assert [post.channel for post in forwards(talk)] == [ada.im]


def test_a_command_is_no_match_and_its_answer_neither(talk, forgetful):
    """D20"""
    subscribe(talk, "forward")
    subscribe(talk, "help")
    other = talk.person()
    other.mention("forward of a help", QA)
    other.slash("help")
    assert len(talk.answers()) == 2


WISHES = {      # what is to come, and what not
    "Case": (["Case"], ["case", "CASE"]),
    "/loud!/i": (["loud!", "LOUD!"], ["lou!"]),
    "a.b": (["a.b"], ["axb"]),
    "/^start/": (["start here"], ["a start"]),
    "risky class:danger": ([":x: risky"], ["risky", ":warning: risky"]),
    "safe where:text": (["safe"], []),
    "files": (["two files"], ["a plain message"]),              # D14
    "download": ([], ["a plain message"]),
    "pattern": (["a pattern"], []),                             # D13
    "wörter 日本語": (["viele wörter 日本語"], ["wörter"]),
    "&amp; co": (["Ada &amp; co"], ["&amp;co"]),
}


def test_what_matches(talk, forgetful):
    people = {wish: talk.person() for wish in WISHES}
    for wish, person in people.items():
        person.tell(f"forward {wish}")
    talk.answers()
    texts = {text for yes_and_no in WISHES.values()
             for texts in yes_and_no for text in texts}
    other = talk.person()
    sent = {find_link(other.say(text)): text for text in sorted(texts)}
    got = collections.defaultdict(set)
    posts = forwards(talk)
    for post in posts:
        got[post.channel].add(sent[re.search(r"<(http[^|]*)\|",
                                             post.text)[1]])
    for wish, (yes, no) in WISHES.items():
        found = got[people[wish].im]
        assert found >= set(yes) and not found & set(no), (wish, found)
    assert len(posts) == sum(map(len, got.values()))


def test_only_in_the_channel_that_was_asked_for(talk):
    by_name, by_id = subscribe(talk, "spot in:#qa"), subscribe(
        talk, "spot in:<#C0PRIVATE1|plans>")
    other = talk.person()
    for channel in (QA, PLANS, next(talk.pool)):
        if channel not in (QA, PLANS):
            talk.channel(channel)
        other.say("spot", channel)
    assert sorted(post.channel for post in forwards(talk)) == sorted(
        [by_name.im, by_id.im])


def test_a_channel_that_is_not_monitored_is_not_looked_into(talk):
    """U04"""
    ada, bo = subscribe(talk, "overheard"), talk.person()
    bo.say("overheard", BUILDS)
    assert forwards(talk) == []
    bo.say("overheard", QA)
    assert [post.channel for post in forwards(talk)] == [ada.im]


def test_an_edit_is_a_match_where_it_brings_something_new(talk):
    ada, bo = subscribe(talk, "afterthought"), talk.person()
    sent = bo.say("a thought")
    talk.slack.edit(sent, "an afterthought", by=bo.id)
    forward, = forwards(talk)
    assert forward.channel == ada.im and bo.at in forward.text
    assert find_link(sent) in forward.text
    talk.slack.edit(sent, "an afterthought!", by=bo.id)
    talk.slack.edit(sent, "an afterthought!", by=None, attachments=[
        {"text": "spread", "fallback": "spread"}])
    assert forwards(talk) == []


def test_a_command_that_is_edited_is_forwarded_to_nobody(talk):
    subscribe(talk, "hindsight")
    bo = talk.person()
    sent = bo.mention("stop foresight", QA)
    talk.answer()
    talk.slack.edit(sent, f"<@{talk.slack.bot_user}> stop hindsight", by=bo.id)
    assert forwards(talk) == []


def test_a_small_file_comes_whole(talk):
    """U16 to U19; each file, D17"""
    ada, bo = subscribe(talk, "stack overflow"), talk.person()
    content = "".join(f"line {n}\n" for n in range(40)) + \
        "thread 7: stack overflow\n" + "the end\n"
    bo.say("see there", uploads=[{"name": "crash.log", "text": content},
                                 {"name": "other.log", "text": "fine\n"}])
    posts = forwards(talk)
    assert {post.channel for post in posts} == {ada.im}
    text = "\n".join(post.text for post in posts)
    assert "`stack overflow`" in text and "`crash.log`, line 41" in text
    assert "*stack overflow*" in text and bo.at in text
    file, = [file for post in posts for file in post.files]
    assert file["text"] == content


def test_a_large_file_comes_as_the_part_around_the_match(talk):
    ada, bo = subscribe(talk, "pin 77 where:files"), talk.person()
    lines = [f"{n:06} hay hay hay\n" for n in range(5000)]
    lines[3000] = "003000 pin 77\n"
    bo.say("pin 77 is in it", uploads=[
        {"name": "hay.log", "text": "".join(lines)}])
    posts = forwards(talk)
    assert {post.channel for post in posts} == {ada.im}
    assert sum("line 3001" in post.text for post in posts) == 1
    file, = [file for post in posts for file in post.files]
    shown = file["text"]
    assert len(shown) <= 8192 and shown in "".join(lines)
    assert lines[3000] in shown and lines[2999] in shown


def test_a_file_s_wish_for_text_only(talk):
    subscribe(talk, "buried where:text")
    talk.person().say("look", uploads=[{"name": "a.log", "text": "buried"}])
    assert forwards(talk) == []


def test_a_private_channel_is_not_a_place_for_answers_to_others(talk):
    """All forwards go to direct conversations."""
    ada, bo = subscribe(talk, "whisper"), talk.person()
    bo.say("whisper", PLANS)
    forward, = forwards(talk)
    assert forward.channel == ada.im


# --- mute and talk -----------------------------------------------------------

def test_what_came_amid_a_mute_is_one_digest_at_its_end(talk):
    """U14"""
    ada, bo = subscribe(talk, "news", "gossip"), talk.person()
    ada.tell("mute")
    talk.answer()
    for text in ("news 1", "news 2", "gossip 3"):
        bo.say(text)
    assert talk.settle() == []
    ada.tell("talk")
    answer, digest = sorted(talk.settle(), key=lambda post: post.purpose,
                            reverse=True)
    assert answer.purpose == "reply" and "come again" in answer.text
    assert digest.channel == ada.im and re.search(r"\b3\b", digest.text)
    for fact in ("2 × `news`", "1 × `gossip`", "news 1", "gossip 3"):
        assert fact in digest.text, (fact, digest.text)
    bo.say("news 4")
    assert [post.channel for post in forwards(talk)] == [ada.im]


def test_a_mute_is_mine_alone(talk):
    ada, bo = subscribe(talk, "common"), subscribe(talk, "common")
    ada.tell("mute 1d")
    talk.answer()
    talk.person().say("common sense")
    forward, = forwards(talk)
    assert forward.channel == bo.im
    ada.tell("list")
    assert "held back" in talk.answer().text


def test_a_talk_with_nothing_to_tell_brings_no_digest(talk):
    ada = talk.person()
    ada.tell("mute")
    ada.tell("talk")
    assert len(talk.answers()) == 2


# --- what takes time ---------------------------------------------------------

def test_test_counts_what_was_said_and_shows_three_of_it(talk):
    other = talk.person()
    for number in range(5):
        other.say(f"zyzzyva {number}")
    other.say("zyzzyva 5", PLANS)
    other.say("zyzzyva 6", BUILDS)          # not monitored
    talk.settle()
    asker = talk.person()
    asker.tell("test zyzzyva")
    text = talk.answer().text
    assert re.search(r"`zyzzyva`.*\b6 of \d+", text), text
    assert len(re.findall(r"^• .*zyzzyva \d", text, re.M)) == 3, text
    asker.tell("test /zyz+yva [45]/ in:#qa")
    text = talk.answer().text
    assert re.search(r"\b1 of \d+", text) and "zyzzyva 4" in text


def test_test_looks_into_files(talk):
    talk.person().say("a file", uploads=[
        {"name": "deep.log", "text": "the xylograph\n"}])
    talk.settle()
    asker = talk.person()
    asker.tell("test xylograph where:files")
    assert re.search(r"\b1 of \d+", talk.answer().text)
    asker.tell("test xylograph where:text")
    assert re.search(r"\b0 of \d+", talk.answer().text)


def ask_giphy(talk, words):
    """Returns the answer, and what Giphy was asked."""
    mark = talk.slack.mark
    person = talk.person()
    person.tell(words)
    answer = talk.answer()
    assert (answer.channel, answer.text.startswith(person.at)) == \
        (person.im, True)
    asked = talk.slack.wait_for("giphy", after=mark)
    assert len(asked) == 1 and asked[0]["is_key_good"]
    return answer.text, asked[0]


def test_giphy_is_asked_for_what_was_wanted(talk):
    """U09, D28"""
    text, asked = ask_giphy(talk, "gif tin can &amp; dog? #1")
    assert asked["query"] == {"q": "tin can & dog? #1", "limit": "50",
                              "rating": "g", "lang": "en"}
    assert re.search(r"https://giphy\.example/gifs/tin-can-\S+-\d", text)
    text, asked = ask_giphy(talk, "gif")
    assert asked["query"]["q"] == "random"
    assert "https://giphy.example/gifs/random-" in text


@pytest.mark.parametrize("fault, facts", [
    ({"status": 401}, ["Error 401 from Giphy", "key"]),
    ({"status": 429}, ["Error 429 from Giphy", "too often"]),
    ({"status": 503, "body": "html"}, ["Error 503 from Giphy"]),
    ({"body": "html"}, ["not understand"]),
    ({"body": '{"data":[{"url":"javascript:alert(1)"}]}'},
     ["not understand"]),
    ({"body": '{"data":{"url":7}}'}, ["not understand"]),
    ({"body": "[" * 100000}, ["not understand"]),
    ({"reset": True}, ["can not be reached"]),
    ({"hang": True, "seconds": 60}, ["can not be reached"]),
    (None, ["no gif of", "`nothing`"]),
], ids=lambda value: str(value)[:40])
def test_when_giphy_fails_the_answer_says_so(talk, fault, facts):
    """An honest sentence, in time"""
    if fault is not None:
        talk.slack.fail_next("giphy", **fault)
    began = time.monotonic()
    text, _ = ask_giphy(talk, "gif nothing")
    assert time.monotonic() - began < 30
    assert all(fact in text for fact in facts), text
    assert "https://" not in text and "fakeGiphy" not in text


def test_a_picture_that_does_not_come_holds_up_nobody(talk):
    waiting, other = talk.person(), talk.person()
    talk.apart.add(waiting.im)
    talk.slack.fail_next("giphy", hang=True, seconds=5)
    mark = talk.slack.mark
    waiting.tell("gif slow")
    talk.slack.wait_for("giphy", after=mark)
    other.tell("help")
    talk.wait_until(lambda: talk.posts(other.im))
    assert talk.posts(waiting.im) == []
    talk.wait_until(lambda: talk.posts(waiting.im), 30)


# --- the secret word ---------------------------------------------------------

def test_the_secret_word_stands_in_nothing_that_we_add(talk):
    """U15"""
    person = talk.person()
    sent = person.mention(f"{SECRET} please", QA)
    answer = talk.answer()
    assert answer.text.startswith(person.at) and SECRET not in answer.text
    record = talk.record_of(sent)
    assert record["command"]["name"] == "secret"
    assert record["command"]["args"] == ""
    told = {name: value for name, value in record.items()
            if name not in ("text", "blocks")}
    assert SECRET not in json.dumps(told)


# --- counters ----------------------------------------------------------------

def count(talk):
    stats = talk.stats()
    return {name: stats[name] for name in (
        "total_msg_count", "replied_msg_count", "forwarded_msg_count")}


def await_counts(talk):
    """When they are those of all that came out."""
    last = talk.records[-1]["seq"]
    talk.wait_until(lambda: talk.stats()["seq"] >= last)
    return count(talk)


def test_counters_mean_what_they_meant(talk):
    """U02, U20: a reply is one, a forward is one of both."""
    talk.settle()
    before = await_counts(talk)
    ada, bo = subscribe(talk, "counted"), subscribe(talk, "counted")
    talk.person().say("counted")
    ada.tell("gif")
    posts = talk.settle()
    assert sorted(post.purpose for post in posts) == \
        ["forward", "forward", "reply"]
    after = await_counts(talk)
    messages = 4 + 2 + 3        # said, and our own that come back
    assert {name: after[name] - before[name] for name in after} == {
        "total_msg_count": messages, "replied_msg_count": 5,
        "forwarded_msg_count": 2}
    assert bo.im in {post.channel for post in posts}


def test_status_tells_of_what_went_wrong_last(talk):
    channel = talk.channel()
    talk.slack.control("change_channel", id=channel,
                       refuses="restricted_action")
    talk.person().mention("help", channel)
    assert talk.settle() == []
    talk.wait_until(lambda: talk.stats().get("last_error"))
    talk.person().tell("status")
    text = talk.answer().text
    assert "last error" in text and "slack-send" in text
    assert "restricted_action" in text or channel in text


# --- what began with the first test ------------------------------------------

def test_a_mute_ends_by_itself(talk):
    digest, = talk.wait_until(
        lambda: talk.posts(talk.napper.im)[2:], 90)
    assert digest.text.startswith("*2 matches held back*")
    assert "nap in the sun" in digest.text
    assert float(digest.ts) >= talk.began + 44
    talk.person().say("one more nap")
    talk.settle()
    late, = talk.posts(talk.napper.im)[3:]
    assert late.purpose == "forward"


def test_a_flood_becomes_a_digest_within_a_minute(talk):
    posts = talk.wait_until(
        lambda: (posts := talk.posts(talk.flooded.im))[AT_ONCE + 1:]
        and posts, 120)
    reply, *alone, digest = posts
    assert reply.purpose == "reply"
    assert [post.purpose for post in alone] == ["forward"] * AT_ONCE
    left = FLOOD - AT_ONCE
    assert f"*{left} match" in digest.text
    for fact in (f":x: {left // 2 + 1} × `flood`",
                 f":white_check_mark: {left // 2} × `flood`",
                 f"flood {FLOOD - 1}", f"flood {AT_ONCE}"):
        assert fact in digest.text, (fact, digest.text)
    link = re.search(r"<(http[^|>]*/ultronex/stream[^|>]*)\|", digest.text)[1]
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(
        link.replace("&amp;", "&")).query)
    seqs = [record["seq"] for record in talk.records
            if str(record.get("text")).startswith("flood ")]
    assert int(query["from"][0]) >= seqs[0] and int(query["to"][0]) == \
        seqs[-1]
