"""slack-send: what the bot answers, what goes to those who subscribed, and what
is held back for them."""
import json
import resource
import time

import pytest

from conftest import run_program
from test_slack_send import ask, message
from test_slack_send_dry import dry
from test_slack_send_errors import POST, STEPS, drain, look
from test_slack_send_live import (  # noqa: F401, pylint: disable=unused-import
    CHANNEL, inbox, path, slack, start, states, wait_for)
from test_slack_send_once import die_while_it_hangs

ADA, BO, DM = "U0HUMAN001", "U0HUMAN002", "D0HUMAN001"
AUTHOR = "U0HUMAN009"
SPACE = "\u200b"
EXCERPT = "where is stark now"


def line(seq=None, **members):
    record = {"type": "message", "channel": CHANNEL, "user": AUTHOR,
              "text": EXCERPT, **({} if seq is None else {"seq": seq}),
              **members}
    return json.dumps(record).encode() + b"\n"


def answer(seq, text="<@U0HUMAN001>! yes", to=CHANNEL, **members):
    return line(seq, user=ADA, command={
        "name": "help", "args": "", "reply": text, "to": to, **members})


def late(seq, **members):
    return line(seq, type="reply", id=f"reply/{seq}", of=1, name="test",
                user=ADA, to=CHANNEL, **{"text": "late &amp; <@U0HUMAN001>",
                                         **members})


def match(term="stark", excerpt=EXCERPT, marked=(9, 14), users=(ADA,),
          **members):
    return {"pattern": term, "where": "text", "line": 1, "start": marked[0],
            "end": marked[1], "excerpt": excerpt, "marked": list(marked),
            "for": {user: 5 for user in users}, **members}


def forward(seq=None, matches=None, users=(ADA,), **members):
    return line(seq, **{"matches": matches or [match(users=users)],
                        "notify": sorted(users), **members})


def held(seq, until=0, **members):
    return forward(seq, notify=[], held={ADA: until}, **members)


def changes(seq, *lines):
    return line(seq, subscriptions=list(lines))


def quarantine(seq):
    return line(seq, quarantine=[{"pattern": "/(a+)+$/", "for": {
        ADA: 41, BO: 42}}])


def show(*lines):
    """The requests of a dry run."""
    return dry(*lines)[0]


def text(*lines):
    shown, = show(*lines)
    return shown["text"]


def in_file(path):      # noqa: F811
    return ask(path, "SELECT purpose, state FROM message ORDER BY number")


def store(path, *lines, arguments=()):  # noqa: F811
    """What the records leave in the outbox where nothing is sent."""
    done = run_program("slack-send", "--outbox", path, *arguments,
                       stdin=b"".join(lines))
    assert done.returncode == 0
    return in_file(path)


# --- answers -----------------------------------------------------------------

def test_an_answer_goes_where_the_command_was_given(slack, path):  # noqa: F811
    parent = slack.send("a thread")
    drain(path, slack, answer(1), answer(2, to=ADA),
          answer(3, thread_ts=parent["ts"]), late(4))
    found = [(p["channel"], p["text"], p["thread_ts"])
             for p in sorted(slack.posts(), key=lambda post: int(
                 post["metadata"]["event_payload"]["key"].split("/")[0]))]
    words = "<@U0HUMAN001>! yes"
    assert found == [(CHANNEL, words, None), (DM, words, None),
                     (CHANNEL, words, parent["ts"]),
                     (CHANNEL, "late &amp; <@U0HUMAN001>", None)]


def test_links_are_unfurled_in_answers_only(slack, path):   # noqa: F811
    drain(path, slack, answer(1, to=ADA), forward(2), message(
        3, channel=CHANNEL))
    asked = {call["arguments"]["channel"] + str(n): call["arguments"][
        "unfurl_links"] for n, call in enumerate(slack.calls(POST))}
    assert sorted(asked.values()) == ["false", "false", "true"]


def test_an_answer_is_finished_and_a_long_one_split():
    shown = show(answer(1, "*a* &lt;b&gt; <@U0HUMAN001>"))
    assert [one["text"] for one in shown] == ["*a* &lt;b&gt; <@U0HUMAN001>"]
    words = "a line of it\n" * 700
    shown = show(answer(1, words, thread_ts="17.0001"))
    assert len(shown) == 3 and "".join(one["text"] for one in shown) == words
    assert {one["thread_ts"] for one in shown} == {"17.0001"}


@pytest.mark.parametrize("command", [
    {"name": "test", "args": "a", "to": CHANNEL, "later": True},
    {"reply": "", "to": CHANNEL}, {"reply": "a"}, {"reply": 1, "to": CHANNEL},
    {"reply": "a", "to": ""}, {"reply": "a", "to": "C" * 300}, "yes", [], None])
def test_what_is_no_answer_is_not_sent(path, command):      # noqa: F811
    assert not show(line(1, command=command))
    assert store(path, line(1, command=command)) == []


def test_a_record_that_comes_again_is_answered_once(path):  # noqa: F811
    lines = [answer(1), late(2), forward(3), quarantine(4)] * 3
    assert sorted(store(path, *lines)) == [
        ("forward", "queued"), ("notice", "queued"), ("notice", "queued"),
        ("reply", "queued"), ("reply", "queued")]


def test_an_answer_is_said_in_the_middle_of_a_flood(slack, path):  # noqa: F811
    drain(path, slack, *[message(seq, channel=CHANNEL)
                         for seq in range(1, 100)], answer(100),
          arguments=("--digest-after", 2))
    posts = slack.posts()
    assert len(posts) == 4 and "97" in posts[2]["text"]
    assert posts[3]["text"] == "<@U0HUMAN001>! yes"


def test_an_answer_that_failed_is_said_again(slack, path):  # noqa: F811
    slack.control("change_channel", id=CHANNEL, refuses="restricted_action")
    drain(path, slack, answer(1))
    assert states(path) == {"failed": 1}
    slack.control("change_channel", id=CHANNEL, refuses=None)
    run_program("slack-send", "--outbox", path, "--replay-dead")
    drain(path, slack)
    post, = slack.posts()
    assert post["text"] == "<@U0HUMAN001>! yes"


# --- forwards ----------------------------------------------------------------

def test_a_forward_tells_what_matched_and_where():
    shown = text(forward(7, permalink="https://a.slack.com/archives/C/p1"))
    assert shown == (
        f":mag: `stark` in <#{CHANNEL}> by <@{AUTHOR}>"
        " (<https://a.slack.com/archives/C/p1|message>)\n"
        f"> where is {SPACE}*stark*{SPACE} now")


def test_all_that_matched_makes_one_forward():
    found = [match("stark"), match("/st?rk/", EXCERPT), match("stark"),
             match("tony", users=[BO]), match("deploy", only="danger")]
    shown = text(forward(7, matches=found))
    assert shown.startswith(":mag: `stark`, `/st?rk/` in ")
    assert "tony" not in shown and "deploy" not in shown
    assert shown.count("\n> ") == 1
    shown = text(forward(7, matches=found, **{"class": "danger"}))
    assert "`deploy`" in shown


def test_a_match_of_another_class_is_none():
    assert not show(forward(7, matches=[match(only="danger")],
                            **{"class": "success"}))
    assert not show(forward(7, matches=[match(only="danger")]))


def test_forty_matches_are_counted():
    shown = text(forward(7, matches=[
        match(f"t{n:02}", f"a t{n:02} b", (2, 5)) for n in range(40)]))
    assert "`t09` and 30 more in" in shown and "`t10`" not in shown
    assert shown.count("\n> a ") == 5
    assert shown.endswith("\n> and 35 more")


def test_of_more_matches_than_there_can_be_some_are_taken():
    shown = text(forward(7, matches=[
        match("t", f"a {n} b", (2, 3)) for n in range(20000)]))
    assert shown.endswith("\n> and 1995 more")


def test_nobody_is_told_what_they_wrote(path):              # noqa: F811
    assert store(path, forward(1, user=ADA), held(2, user=ADA), forward(
        3, user=None, message={"user": ADA, "text": EXCERPT})) == []


def test_each_subscriber_gets_one(slack, path):             # noqa: F811
    drain(path, slack, forward(1, users=(ADA, BO)), forward(
        2, users=(ADA, BO)))
    keys = sorted(post["metadata"]["event_payload"]["key"]
                  for post in slack.posts())
    assert keys == [f"{seq}/forward/0/{user}" for seq in (1, 2)
                    for user in (ADA, BO)]
    assert len({post["channel"] for post in slack.posts()}) == 2


def test_many_users_of_many_terms_are_told_at_once(path):   # noqa: F811
    """Ten seconds where each is looked for in all of them, else one."""
    users = [f"U0{number:07}" for number in range(8000)]
    record = forward(1, users=users, matches=[
        match(f"t{term}", users=users[term % 2::2]) for term in range(40)])
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    assert len(store(path, record)) == 8000
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    assert after - before < 5
    assert ask(path, "SELECT DISTINCT title FROM message WHERE channel IN"
               " (?, ?) ORDER BY channel", *users[6:8]) == [
        (", ".join(f"t{term}" for term in range(start, start + 20, 2)),)
        for start in (0, 1)]


def test_without_a_seq_each_record_is_forwarded(path):      # noqa: F811
    assert store(path, forward(), forward()) == [("forward", "queued")] * 2


@pytest.mark.parametrize("excerpt, marked, shown", [
    ("a stark b", (1, 8), f"a {SPACE}*stark*{SPACE} b"),
    ("a  b", (1, 3), "a b"), ("stark", (0, 5), f"{SPACE}*stark*{SPACE}"),
    ("a*b c", (0, 3), "a*b c"), ("stark", (3, 99), "stark"),
    ("stark", (-4, 3), f"{SPACE}*sta*{SPACE}rk"), ("stark", (4, 2), "stark"),
    ("a ``` b", (2, 5), f"a {SPACE}*``{SPACE}`*{SPACE} b"),
    ("run `make stark` now", (10, 15), "run `make stark` now"),
    ("`a` stark `b`", (4, 9), f"`a` {SPACE}*stark*{SPACE} `b`"),
    ("it`s stark", (5, 10), f"it`s {SPACE}*stark*{SPACE}"),
    (":warning: low", (1, 8), ":warning: low"),
    ("low :warning:", (2, 8), "low :warning:"),
    (":a::warning:", (6, 12), ":a::warning:"),
    (":warning: low", (0, 9), f"{SPACE}*:warning:*{SPACE} low"),
    (":warning: low", (10, 13), f":warning: {SPACE}*low*{SPACE}"),
    (":x::warning:", (3, 12), f":x:{SPACE}*:warning:*{SPACE}"),
    (":a warning:", (3, 10), f":a {SPACE}*warning*{SPACE}:"),
    ("main.c:12: no", (7, 9), f"main.c:{SPACE}*12*{SPACE}: no"),
    ("10:30:15", (3, 5), f"10:{SPACE}*30*{SPACE}:15"),
    ("<b> & c", (4, 5), f"&lt;b&gt; {SPACE}*&amp;*{SPACE} c")])
def test_the_match_is_marked_where_it_can_be(excerpt, marked, shown):
    said = text(forward(7, matches=[match("t", excerpt, marked)]))
    assert said.split("\n> ")[1] == shown


@pytest.mark.parametrize("marks, shown", [
    ([(0, 1), (4, 5)], "*a* b *c* d"), ([(4, 5), (0, 1)], "*a* b *c* d"),
    ([(0, 3), (2, 5)], "*a b c* d"), ([(0, 7), (2, 3)], "*a b c d*"),
    ([(2, 3), (0, 7)], "*a b c d*"), ([(0, 1), (1, 3)], "*a b* c d"),
    ([(4, 5), (0, 1), (1, 4)], "*a b c* d"), ([(2, 3), (2, 3)], "a *b* c d"),
    ([(0, 1), (4, 5), (2, 3), (6, 7)], "*a* *b* *c* *d*"),
    ([(2, 3), (9, 99)], "a *b* c d"),
    ([(n % 7, n % 7 + 1) for n in range(0, 100)], "*a b c d*")])
def test_a_line_stands_there_once_with_all_its_matches(marks, shown):
    said = text(forward(7, matches=[
        match(f"t{number}", "a b c d", mark)
        for number, mark in enumerate(marks)]))
    assert said.replace(SPACE, "").split("\n> ")[1:] == [shown]


def test_lines_that_say_the_same_are_told_apart():
    said = text(forward(7, matches=[
        match(), match("now", marked=(15, 18)), match(line=2),
        match(where="file:F1"), match(excerpt="stark", marked=(0, 5)),
        match("x", users=(BO,), marked=(0, 5))]))
    assert said.replace(SPACE, "").split("\n> ")[1:] == [
        "where is *stark* *now*", "where is *stark* now",
        "`a file`, line 1: where is *stark* now", "*stark*"]


@pytest.mark.parametrize("audience", ["channel", "here", "everyone"])
@pytest.mark.parametrize("form", ["<!{}>", "@{}", "\uff20{}", "<!{}|x>",
                                  "<!subteam^S1|@{}>"])
def test_a_forward_notifies_nobody_else(audience, form):
    call = form.format(audience)
    link = f"<https://a/{call}|message>"        # nothing but a link
    evil = forward(7, channel=f"#{call}", username=call, user=None,
                   permalink=f"https://a/{call}", matches=[
                       match(call, f"{call} stark {call}",
                             (len(call.encode()) + 1,
                              len(call.encode()) + 6),
                             where="file:F1", around=f"```\n{call}\n```\n")],
                   files=[{"id": "F1", "name": call}])
    for allowed in ("", "1"):
        for shown in dry(evil, env={"ULTRON_ALLOW_BROADCAST": allowed})[0]:
            for name in ("text", "initial_comment"):
                said = shown.get(name, "")
                assert "<!" not in said
                # in `code` Slack makes nothing of it
                bare = "".join(said.replace(link, "").split("`")[::2])
                assert f"@{audience}" not in bare, bare
                assert f"\uff20{audience}" not in bare, bare


def test_a_name_opens_no_code_block_and_notifies_nobody():
    said = text(forward(7, files=[{"id": "F1", "name": "```@channel<!here>"}],
                        matches=[match(where="file:F1")]))
    assert "> `\u02cb\u02cb\u02cb@channel&lt;!here&gt;`, line 1: " in said


def test_a_term_with_a_backtick_leaves_the_others_right():
    said = text(forward(7, matches=[match("a`b"), match("stark")]))
    assert said.startswith(":mag: `a\u02cbb`, `stark` in ")


@pytest.mark.parametrize("control", "\u202a\u202b\u202c\u202d\u202e"
                         "\u2066\u2067\u2068\u2069")
def test_nothing_turns_the_direction_of_our_words(control):
    evil = f"a{control}stark{control}"
    said = text(forward(7, username=evil, user=None, channel=evil, files=[
        {"id": "F1", "name": evil}], matches=[
            match(evil, evil, (4, 9), where="file:F1")]))
    assert control not in said
    assert said == (
        f":mag: `astark` in #astark by astark\n> `astark`, line 1: a{SPACE}"
        f"*stark*{SPACE}")
    marks = "\u200e\u200f\u061c \u05d0 \u2064\u2070\u2029"    # as people write
    assert marks in text(forward(7, matches=[match(
        excerpt=marks, marked=(0, 0))]))


def test_a_file_brings_what_is_around_the_match():
    files = [{"id": "F1", "name": "app.log"}]
    shown = text(forward(7, files=files, matches=[
        match(where="file:F1", line=3, around="one\nstark & co\n")]))
    assert "> `app.log`, line 3: where is" in shown
    assert shown.endswith("\n```\none\nstark &amp; co\n```")
    around = "stark\n" * 900
    first, content, last = show(forward(7, files=files, matches=[
        match(where="text"), match(where="file:F1!in/ner.txt",
                                   around=around)]))
    assert content["content"] == around
    assert last["title"] == "app.log!in/ner.txt"
    assert first["filename"] == "app-log-in-ner-txt.txt"
    assert "`app.log!in/ner.txt`, line 1: " in last["initial_comment"]


@pytest.mark.parametrize("around", [
    "```\n*bold* <!channel>\n```", "`" * 100, "</pre>\x00\x07\ud800" + "x" * 99,
    "<@U1|\n" * 50, "&lt;" * 2000])
def test_whatever_is_around_goes_as_it_is(slack, path, around):  # noqa: F811
    drain(path, slack, forward(1, matches=[
        match(where="file:F1", around=around)]))
    assert states(path) == {"sent": 1}
    post, = slack.posts()
    if post["files"]:
        expected = around.split("\x00")[0]
        assert post["files"][0]["text"].startswith(expected)
    else:
        assert post["text"].count("```") == 2
    assert "<!" not in post["text"]


def test_a_user_whom_slack_does_not_know(slack, path, inbox):  # noqa: F811
    drain(path, slack, forward(1, users=("U0NOBODY01",)), forward(2),
          arguments=("--inbox", inbox.path))
    told = {record["of"]: record for record in map(json.loads, inbox.rest())}
    assert told[1]["status"] == "failed" and "user" in told[1]["reason"]
    assert (told[2]["status"], told[2]["purpose"]) == ("sent", "forward")
    assert len(slack.posts(DM)) == 1


# --- floods and mutes --------------------------------------------------------

def test_a_flood_becomes_one_digest(slack, path, start, inbox):  # noqa: F811
    with start("--inbox", inbox.path, "--drain", "--dashboard",
               "http://d") as sender:
        sender.pass_many([forward(seq) for seq in range(1, 10001)])
        assert sender.end() == 0
    posts = slack.posts()
    assert len(posts) == 6 and all(
        "*stark*" in post["text"] for post in posts[:5])
    digest = posts[5]["text"]
    assert "9995 matches held back" in digest
    assert "9995 \u00d7 `stark`" in digest
    assert "http://d/ultronex/stream?from=6&amp;to=10000|" in digest
    # of very many some are told of together
    assert states(path)["sent"] == 6
    assert 1000 <= states(path)["digest"] < 1200
    told = [json.loads(record) for record in inbox.rest()]
    assert sum(one.get("messages", 1) for one in told
               if one["purpose"] == "forward") == 10000


def test_others_and_answers_do_not_wait_for_a_digest(slack, path,   # noqa: F811
                                                     start):
    with start() as sender:
        sender.pass_many([held(seq) for seq in range(1, 20)])
        sender.pass_on(answer(20, to=ADA), forward(21, users=(BO,)),
                       message(22, channel=CHANNEL))
        wait_for(lambda: len(slack.posts()) == 3)
        wait_for(lambda: states(path) == {
            "held": 1, "gathered": 19, "sent": 3})
        assert sender.end() == 0
    assert states(path)["held"] == 1


def test_what_was_held_back_comes_in_time(slack, start):    # noqa: F811
    with start() as sender:
        until = int(time.time()) + 3
        sender.pass_on(held(1, until), held(2, until))
        time.sleep(0.7)
        assert not slack.posts()
        wait_for(lambda: slack.posts())
        assert time.time() >= until
    post, = slack.posts()
    assert "2 matches held back" in post["text"] and post["channel"] == DM


def test_it_comes_in_time_after_a_death(slack, path, start):    # noqa: F811
    with start() as sender:
        until = int(time.time()) + 3
        sender.pass_on(held(1, until))
        sender.kill()
    with start() as sender:
        assert not slack.posts()
        wait_for(lambda: slack.posts())
        assert sender.end() == 0
    assert states(path) == {"sent": 1, "digest": 1}


def test_talk_lets_it_go(slack, start):                     # noqa: F811
    with start() as sender:
        sender.pass_on(held(2), held(3), changes(4, f"mute 1 4 {BO} -"))
        time.sleep(0.5)
        assert not slack.posts()
        sender.pass_on(changes(5, f"mute 1 5 {ADA} -"))
        wait_for(lambda: slack.posts())
    assert "2 matches held back" in slack.posts()[0]["text"]


def test_a_mute_set_anew_goes_on(path):                     # noqa: F811
    later = int(time.time()) + 3600
    assert store(path, held(2), changes(
        3, f"mute 1 3 {ADA} -", f"mute 3 - {ADA} {later}")) == [
        ("digest", "held"), ("forward", "gathered")]
    assert ask(path, "SELECT due FROM message WHERE state = 'held'") == [
        (later * 1000000,)]


def test_a_talk_that_comes_again_ends_no_later_mute(path):  # noqa: F811
    talk = changes(3, f"mute 1 3 {ADA} -")
    assert store(path, talk, held(5), talk) == [
        ("digest", "held"), ("forward", "gathered")]


def test_who_mutes_gets_nothing_more(slack, path, start):   # noqa: F811
    """Of what is gathered: the five that are queued are sent."""
    with start() as sender:
        sender.pass_many([forward(seq) for seq in range(1, 11)])
        sender.pass_on(changes(11, f"mute 11 - {ADA} -"), held(12))
        wait_for(lambda: states(path) == {
            "sent": 5, "held": 1, "gathered": 6})
        assert len(slack.posts()) == 5
        sender.pass_on(changes(13, f"mute 11 13 {ADA} -"))
        wait_for(lambda: len(slack.posts()) == 6)
    assert "6 matches held back" in slack.posts()[-1]["text"]


def test_the_muted_leave_room_for_relays(path):             # noqa: F811
    store(path, *[held(seq) for seq in range(1, 41)], message(50),
          arguments=("--outbox-max", 20))
    counts = dict(ask(path, "SELECT state, count(*) FROM message"
                      " WHERE purpose = 'forward' GROUP BY 1"))
    # their digest is a message, too, once it is committed
    assert counts["gathered"] in (9, 10) and sum(counts.values()) == 40
    assert ask(path, "SELECT state FROM message WHERE purpose = 'relay'") == [
        ("queued",)]


def crowd(first, last):
    """Held forwards, each third of danger, each fourth of another term."""
    return [held(seq, matches=[match("tony" if seq % 4 == 0 else "stark",
                                     f"the {seq}th", (4, 5))],
                 **({"class": "danger"} if seq % 3 == 0 else {}))
            for seq in range(first, last + 1)]


def test_one_who_is_muted_leaves_room_for_others(path):     # noqa: F811
    store(path, *crowd(1, 3000), forward(3001, users=(BO,)),
          arguments=("--outbox-max", 2500))
    assert not ask(path, "SELECT reason FROM message WHERE state = 'failed'")
    (total, rows), = ask(path, "SELECT sum(ifnull(messages, 1)), count(*)"
                         " FROM message WHERE state = 'gathered'")
    assert total == 3000 and 1000 <= rows < 1200
    assert ask(path, "SELECT state FROM message WHERE channel = ?",
               BO) == [("queued",)]


def test_of_very_many_all_are_counted_and_both_ends_shown(  # noqa: F811
        slack, path):
    drain(path, slack, *crowd(1, 1800), arguments=("--dashboard", "http://d"))
    post, = slack.posts()
    for fact in ("*1800 matches held back* for you", ":x: 600 danger",
                 ":x: 450 × `stark`", ":x: 150 × `tony`",
                 "• 900 × `stark`", "• 300 × `tony`",
                 "from=1&amp;to=1800|"):
        assert fact in post["text"], fact
    first, last = post["text"].split("_the first_")[1].split("_the last_")
    assert [said.split(": ")[-1] for said in
            (first + last).replace("\n\n", "\n").split("\n> ")[1:]] == [
        f"the {seq}th" for seq in (1, 2, 3, 1798, 1799, 1800)]


def test_what_is_counted_alone_is_known_again(slack, path):     # noqa: F811
    lines = crowd(2, 1500)
    drain(path, slack, *lines, *lines, changes(
        1501, f"mute 1 1501 {ADA} -"), *lines)
    drain(path, slack, *lines)
    post, = slack.posts()
    assert "*1499 matches held back*" in post["text"]


# --- quarantine --------------------------------------------------------------

def test_each_owner_is_told_once(slack, path, inbox):       # noqa: F811
    drain(path, slack, quarantine(7), quarantine(8),
          arguments=("--inbox", inbox.path))
    posts = slack.posts()
    assert len(posts) == 2 and all("`/(a+)+$/`" in p["text"] for p in posts)
    told = [json.loads(record) for record in inbox.rest()]
    assert sorted(record["message"] for record in told) == [
        f"quarantine/41/{ADA}", f"quarantine/42/{BO}"]
    assert {record["purpose"] for record in told} == {"notice"}


@pytest.mark.parametrize("owner", [
    "C0EXAMPLE1", "#qa", "general", "U1> <!channel", "u0human001", "",
    "U" * 65, "D0HUMAN001"])
def test_only_people_are_told_of_a_quarantine(path, owner):     # noqa: F811
    store(path, line(7, quarantine=[{"pattern": "a", "for": {
        owner: 41, BO: 42}}]))
    assert ask(path, "SELECT channel FROM message") == [(BO,)]


# --- once --------------------------------------------------------------------

@pytest.mark.parametrize("after", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("thread", [True, False], ids=["thread", "channel"])
def test_killed_before_an_answer_is_noted(slack, path, start,   # noqa: F811
                                          thread, after):
    parent = slack.send("a thread")
    where = {"thread_ts": parent["ts"]} if thread else {}
    die_while_it_hangs(slack, path, start, POST, answer(1, **where), after)
    drain(path, slack, answer(1, **where))
    post, = slack.posts()
    assert post["thread_ts"] == (parent["ts"] if thread else None)
    assert states(path) == {"sent": 1}


@pytest.mark.parametrize("after", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("method", [POST, STEPS[2]])
def test_killed_before_a_forward_is_noted(slack, path, start,   # noqa: F811
                                          method, after):
    found = [match()] if method == POST else [
        match(where="file:F1", around="x\n" * 2000)]
    die_while_it_hangs(slack, path, start, method,
                       forward(1, matches=found), after)
    drain(path, slack, forward(1, matches=found))
    assert len(slack.posts()) == 1 and states(path) == {"sent": 1}


def test_an_answer_at_the_end_of_a_long_thread_is_found(    # noqa: F811
        slack, path, start):
    parent = slack.send("a thread")
    for number in range(1100):
        slack.reply(parent, f"reply {number}", quiet=True)
    line_of_it = answer(1, thread_ts=parent["ts"])
    die_while_it_hangs(slack, path, start, POST, line_of_it, True)
    drain(path, slack, line_of_it)
    assert len(slack.posts()) == 1 and states(path) == {"sent": 1}


def test_a_very_long_answer_stays_in_its_thread(slack, path):   # noqa: F811
    parent = slack.send("a thread")
    drain(path, slack, answer(1, "a line of it\n" * 5000,
                              thread_ts=parent["ts"]))
    post, = slack.posts()
    assert post["files"] and post["thread_ts"] == parent["ts"]


# --- the status --------------------------------------------------------------

def test_a_file_tells_how_much_waits(slack, path, start,    # noqa: F811
                                     tmp_path):
    status = tmp_path / "status"
    slack.fail_next(POST, delay=3)
    with start("--status", status) as sender:
        sender.pass_on(answer(1), answer(2), held(3))
        wait_for(lambda: status.exists() and "open=4" in status.read_text())
        assert "oldest=20" in status.read_text()
        wait_for(lambda: look(path, "state")[:2] == [("sent",)] * 2)
        # who is muted does not wait for Slack
        wait_for(lambda: "oldest=- " in status.read_text())
        assert sender.end() == 0
