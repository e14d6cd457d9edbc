"""People talk to the bot, in the fake Slack and through the whole pipeline:
each command is answered once, where it was given, with what it did."""
import contextlib
import http.server
import json
import threading
import urllib.parse
import urllib.request

import pytest

from conftest import BIN, ROOT
from slack import fake_slack  # noqa: F401
from test_run import wait_for
from test_run_live import follow, stop

HALL, DM = "C0EXAMPLE1", "D0HUMAN001"
ADA, GRACE, CAROL = "U0HUMAN001", "U0HUMAN002", "U0HUMAN003"
GIPHY = {"cats": [{"url": f"https://giphy.com/gifs/{n}"} for n in range(50)],
         "nothing": [], "garbage": None}


class Giphy(http.server.BaseHTTPRequestHandler):
    """What Giphy answers, and how it fails, by the category asked for."""

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.server.asked.append(query)
        category = query["q"][0]
        status = {"forbidden": 403, "often": 429, "broken": 500}.get(
            category, 200)
        body = b"<html>" if category == "garbage" else json.dumps(
            {"data": GIPHY.get(category, GIPHY["cats"])}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def run_giphy():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Giphy)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Talk:
    """A pipeline on a Slack in which people talk."""

    def __init__(self, slack, pipeline, giphy):
        self.slack, self.pipeline, self.giphy = slack, pipeline, giphy
        self.me = slack.about["bot_user"]
        self.count = len(slack.posts())

    def answer(self, said, count=1, seconds=30):
        """The posts that come next, as many as expected; said sent them."""
        del said
        wait_for(lambda: len(self.slack.posts()) >= self.count + count,
                 seconds, "an answer")
        posts = self.slack.posts(after=self.count)
        self.count += len(posts)
        assert len(posts) == count, posts
        return posts[0] if count == 1 else posts

    def say(self, text, channel=HALL, **members):
        return self.slack.send(f"<@{self.me}> {text}", channel=channel,
                               **members)

    def ask(self, text, channel=HALL, **members):
        """What the bot answers, posted where it was asked."""
        post = self.answer(self.say(text, channel, **members))
        assert post["channel"] == channel, post
        assert post["text"].startswith(
            f"<@{members.get('user', ADA)}>! "), post
        return post["text"]

    def expect_silence(self):
        """Nothing more was said than what was answered: what is asked now is
        the next thing that is."""
        assert "chosen for you" in self.ask("xkcd 42", user=GRACE)

    def get(self, path):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.pipeline.port}{path}",
            headers={"Authorization": "Basic cWE6c2VjcmV0"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)


def link_programs(folder, host):
    """The programs, with an attach-fetch that takes files of that host."""
    folder.mkdir()
    for program in BIN.iterdir():
        if program.name != "attach-fetch":
            (folder / program.name).symlink_to(program)
    fetch = folder / "attach-fetch"
    fetch.write_text(f"#!/bin/sh\nexec {BIN}/attach-fetch"
                     f' --insecure-hosts {host} "$@"\n')
    fetch.chmod(0o755)
    return folder


@pytest.fixture
def talk(fake_slack, tmp_path):  # noqa: F811
    fake_slack.control("add_user", id=CAROL, name="carol")
    programs = link_programs(tmp_path / "bin", fake_slack.host)
    with run_giphy() as giphy, follow(
            fake_slack, tmp_path, SECRET_WEAPON="Vibranium", BIN=programs,
            GIPHY_API_KEY="k3y", SLACK_CHANNEL_LIST=HALL, GIPHY_API_URL=
            f"http://127.0.0.1:{giphy.server_port}/search") as pipeline:
        yield Talk(fake_slack, pipeline, giphy)
        stop(pipeline)
    fake_slack.check()


def test_commands_that_only_talk(talk):
    shown = talk.ask("help")
    for command in ("help", "forward", "list", "stop", "mute", "talk", "test",
                    "status", "quote", "xkcd", "gif"):
        assert f"`{command}" in shown
    assert "help" in talk.ask("")                       # a bare mention
    unknown = talk.ask("dance with me")
    assert "help" in unknown and any(
        line in unknown for line in quotes())           # never silent
    assert any(line in talk.ask("QUOTE") for line in quotes())
    assert talk.ask("xkcd 353").endswith("https://xkcd.com/353/")
    assert talk.ask("xkcd a&amp;b/ü").endswith(
        "https://xkcd.com/a%26b%2F%C3%BC/")
    number = int(talk.ask("xkcd").split("/")[-2])
    assert 1 <= number <= 3000
    assert "on disk" in talk.ask("Vibranium")
    assert "on disk" not in talk.ask("vibranium")       # it is to the letter
    talk.expect_silence()


def quotes():
    lines = (ROOT / "examples/quotes.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_where_it_is_said_and_where_it_is_answered(talk):
    assert "status" in talk.ask("help", channel="C0EXAMPLE2")  # not watched
    post = talk.answer(talk.slack.send("help", channel=DM,
                                       channel_type="im"))
    assert post["channel"] == DM and "`quote`" in post["text"]
    parent = talk.slack.send("how do I", channel=HALL)
    post = talk.answer(talk.slack.reply(parent, f"<@{talk.me}> quote"))
    assert post["thread_ts"] == parent["ts"]
    post = talk.answer(talk.slack.control("slash_command", command="/ultron",
                                          text="forward hulk", user=ADA))
    assert post["channel"] == DM and "`hulk`" in post["text"]


def test_who_is_not_answered(talk):
    talk.say("help", bot_id="B0OTHER001", user="U0OTHERBOT")
    talk.say("help", subtype="bot_message", bot_id="B0OTHER001", user=None)
    talk.say("help", user=talk.me)
    talk.slack.send(f"ask <@{talk.me}> help", channel=HALL)
    sent = talk.say("quote")
    talk.answer(sent)
    talk.slack.edit(sent, f"<@{talk.me}> help")
    talk.expect_silence()


def test_a_forward_from_wish_to_end(talk):
    assert talk.get("/ultronex/track") == {
        "msg": "No pattern set for match"}
    assert "no forwards" in talk.ask("forward")
    assert "is set for `stark`" in talk.ask("FORWARD stark")
    assert "is set for `stark`" in talk.ask("forward stark", user=GRACE)
    assert "`/to+ny/i`" in talk.ask("forward /to+ny/i in:<#C0EXAMPLE1|qa>")
    track = talk.get("/ultronex/track")
    assert track["stark"] == f"{ADA}, {GRACE}"
    sent = talk.slack.send("where is *stark* & <!channel> tooony?",
                           user=CAROL)
    posts = talk.answer(sent, 2)
    mine, = [p for p in posts if p["channel"] == DM]
    for piece in ("`stark`", "`/to+ny/i`", f"<#{HALL}>", f"<@{CAROL}>",
                  f"p{sent['ts'].replace('.', '')}"):
        assert piece in mine["text"], mine
    assert "<!channel>" not in mine["text"]
    theirs, = [p for p in posts if p["channel"] != DM]
    assert "`stark`" in theirs["text"] and "to+ny" not in theirs["text"]
    wait_for(lambda: "`stark`, 1 hit so far" in talk.ask("list"), 20, "the count")
    # not to who wrote it
    post = talk.answer(talk.slack.send("stark by Ada", user=ADA))
    assert post["channel"] != DM
    shown = talk.ask("stop stark")
    assert "stopped for `stark`" in shown and "other users are still" in shown
    assert "no one else" in talk.ask("stop stark", user=GRACE)
    assert "no forwarding found" in talk.ask("stop stark").lower()
    shown = talk.ask("stop")
    assert "`/to+ny/i`" in shown and "no one else" in shown
    assert "nothing to stop" in talk.ask("stop")
    talk.slack.send("stark tony", user=CAROL)
    talk.expect_silence()
    assert talk.get("/ultronex/track") == {
        "msg": "No pattern set for match"}
    # each chat reply counts, and each forward, as both
    wait_for(lambda: talk.get("/ultronex/stats")["replied_msg_count"] ==
             talk.count, 20, f"{talk.count} counted replies")
    assert talk.get("/ultronex/stats")["forwarded_msg_count"] == 3


def test_a_match_in_a_file_brings_the_file(talk):
    talk.ask("forward NullPointer where:files")
    talk.slack.send("see NullPointer", user=GRACE)      # not in a file
    log = "all is well\n" * 400 + "java.lang.NullPointerException\n" + \
        "all is well\n" * 400
    post = talk.answer(talk.slack.send(
        "my log", user=GRACE, uploads=[{"name": "app.log", "text": log}]))
    assert post["channel"] == DM and "app.log" in post["text"]
    file, = post["files"]
    assert "NullPointerException" in file["text"]
    assert 2000 < len(file["text"]) <= 8192
    post = talk.answer(talk.slack.send(
        "my log", user=GRACE, uploads=[
            {"name": "small.log", "text": "one\nNullPointer two\nthree\n"}]))
    assert "one\nNullPointer two\nthree" in post["text"] or \
        post["files"][0]["text"] == "one\nNullPointer two\nthree\n"


def test_a_class_that_counts(talk):
    talk.ask("forward deploy class:danger")
    talk.slack.send("deploy went well", user=GRACE)
    post = talk.answer(talk.slack.send("deploy failed :x:", user=GRACE))
    assert ":x:" in post["text"] and post["channel"] == DM


def test_mute_and_talk(talk):
    talk.ask("forward stark")
    assert "30 days" in talk.ask("mute soon")
    assert "talk" in talk.ask("mute")
    for n in range(3):
        talk.slack.send(f"stark {n}", user=GRACE)
    assert "held back" in talk.ask("list")
    posts = talk.answer(talk.say("talk"), 2)
    assert "come again" in posts[0]["text"] + posts[1]["text"]
    digest, = [p for p in posts if p["channel"] == DM]
    assert "3 more" in digest["text"] and "stark" in digest["text"]
    assert "not held back" in talk.ask("talk")
    post = talk.answer(talk.slack.send("stark again", user=GRACE))
    assert post["channel"] == DM
    talk.ask("mute 5s")
    talk.slack.send("stark meanwhile", user=GRACE)
    digest = talk.answer(None)
    assert "1 more" in digest["text"]


def test_many_matches_become_a_digest(talk):
    talk.ask("forward stark")
    for n in range(30):
        talk.slack.send(f"stark {n}", user=GRACE)
    posts = talk.answer(None, 6, seconds=90)
    assert "25 more" in posts[-1]["text"] and "stark" in posts[-1]["text"]
    assert all("stark*" in post["text"] for post in posts[:5])


def test_test_looks_back_a_day(talk):
    for n in range(4):
        talk.slack.send(f"thor number {n} &lt;b&gt;", user=GRACE)
    shown = talk.ask("test thor")
    assert "4 of 4 messages" in shown and "thor number" in shown
    assert shown.count("\n") == 3                       # examples
    assert "0 of 4" in talk.ask("test /loki/i where:text")
    assert "can not test" in talk.ask("test /(/")


def test_status_tells_how_it_is(talk):
    wait_for(lambda: "`live`" in (text := talk.ask("status"))
             or "`connected`" in text, 20, "to be live")
    shown = talk.ask("status")
    assert "2 connections" in shown and "messages" in shown
    assert "o errors" in shown
    wait_for(lambda: "To Slack: " in talk.ask("status"), 20, "the queue")


def test_gifs(talk):
    shown = talk.ask("gif cats")
    assert "cats" in shown and "https://giphy.com/gifs/" in shown
    asked = talk.giphy.asked[-1]
    assert asked["limit"] == ["50"] and asked["rating"] == ["g"]
    assert asked["lang"] == ["en"] and asked["api_key"] == ["k3y"]
    talk.ask("gif")
    assert talk.giphy.asked[-1]["q"] == ["random"]
    assert "no gif" in talk.ask("gif nothing")
    assert "Error 403 from Giphy" in talk.ask("gif forbidden")
    assert "Error 429 from Giphy" in talk.ask("gif often")
    assert "Error 500 from Giphy" in talk.ask("gif broken")
    assert "not understand" in talk.ask("gif garbage")


def test_what_is_answered_for_bad_terms(talk):
    for term, word in (
            ("/(/", "no regular expression"), ("/(a+)+$/", "costs too much"),
            ("/x*/", "empty text"), ("a\nb", "one line"),
            ("x" * 10000, "200 bytes"), ("in:#qa", "no term"),
            ("x where:moon", "where:"), ("x class:blue", "class:")):
        assert word in talk.ask(f"forward {term}"), term
    assert "no forwards" in talk.ask("list")
    assert "is set for `pattern`" in talk.ask("forward pattern")
    assert "is set for `(`" in talk.ask("forward (")
    assert "is set for `x.org`" in talk.ask("forward <http://x.org|x.org>")
    assert "is set for `a&amp;b`" in talk.ask("forward `a&amp;b`")
