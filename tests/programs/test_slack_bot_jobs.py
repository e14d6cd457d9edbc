"""slack-bot: answers that take time (test, gif), and what it tells of others."""
import hashlib
import http.server
import json
import re
import signal
import threading
import time
import urllib.parse

import pytest

from test_attach_fetch_live import Inbox
from test_slack_bot import BOT, START, Bot, lines_of, message, run, say

KEY = "veryGoodKey"
HOUR = 3600


def answer(words, *arguments, env=None, **more):
    """What U1 hears, at once, as there is no inbox."""
    record, = run([say(1, words, **more)], *arguments, env=env)
    return record["command"]["reply"]


def wait_for(condition, timeout=20):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# -- gif

class Giphy:
    """Answers as it is told: (status, body), or seconds to be silent."""

    def __init__(self):
        giphy = self
        self.asked, self.says = [], (200, b'{"data":[]}')
        self.goes_on = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                giphy.asked.append(self.path)
                giphy.goes_on.wait()
                status, body = giphy.says
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.goes_on.set()
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()
        self.env = {"GIPHY_API_KEY": KEY, "GIPHY_API_URL":
                    f"http://127.0.0.1:{self.server.server_port}/v1/search"}

    def shows(self, *urls):
        self.says = (200, json.dumps({"data": [
            {"type": "gif", "url": url} for url in urls]}).encode())

    def stop(self):
        self.goes_on.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def giphy():
    giphy = Giphy()
    yield giphy
    giphy.stop()


@pytest.mark.parametrize("words, query", [
    ("gif cats", "cats"), ("gif", "random"), ("gif  ", "random"),
    ("gif grumpy  cat ", "grumpy  cat"), ("gif a&amp;b=c#d", "a&b=c#d"),
    ("gif \u732b\U0001f600", "\u732b\U0001f600"), ("GIF x\ty", "x y"),
    ("gif " + "\u00e9" * 5000, "\u00e9" * 25), ("gif x\nmore", "x"),
    ("gif <http://x.com|x.com>", "x.com"), ("gif \x01\x02", "random"),
    ("gif 100%", "100%")], ids=lambda value: ascii(value)[:30])
def test_gif_asks_giphy_for_what_was_said(giphy, words, query):
    giphy.shows("https://giphy.com/gifs/a")
    reply = answer(words, env=giphy.env)
    url, = giphy.asked
    assert "api_key=" + KEY in url
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(url).query) == {
        "api_key": [KEY], "limit": ["50"], "rating": ["g"], "lang": ["en"],
        "q": [query]}
    shown = query.replace("&", "&amp;")
    assert reply == (f"<@U1>! I have selected a gif of `{shown}`:"
                     " https://giphy.com/gifs/a")


def test_gif_takes_any_of_them_and_the_same_for_a_record(giphy):
    urls = [f"https://giphy.com/gifs/{n}" for n in range(50)]
    giphy.shows(*urls)
    records = [say(seq, "gif cats") for seq in range(1, 120)]
    said = [record["command"]["reply"].split()[-1]
            for record in run(records, env=giphy.env)]
    assert set(said) <= set(urls) and len(set(said)) > 35
    assert [record["command"]["reply"].split()[-1]
            for record in run(records, env=giphy.env)] == said


@pytest.mark.parametrize("status, body, sentence", [
    (200, b'{"data":[]}', "Giphy knows no gif of `cats`"),
    (200, b'{"data":[{"url":"http://plain.example/"}]}', "do not understand"),
    (200, b'{"data":[{"url":"https://x/<!channel>"}]}', "do not understand"),
    (200, b'{"data":[{"url":"https://' + b"x" * 600 + b'"}]}',
     "do not understand"),
    (200, b'{"data":[{}]}', "do not understand"),
    (200, b'{"data":[7]}', "do not understand"),
    (200, b'{"data":{}}', "do not understand"),
    (200, b'{}', "do not understand"), (200, b'[]', "do not understand"),
    (200, b'', "do not understand"), (200, b'<html>', "do not understand"),
    (200, b'{"data":[' + b"0," * 1000000 + b"0]}", "do not understand"),
    (200, b'[' * 500000, "do not understand"),
    (200, b'x' * 5000000, "can not be reached"),
    (301, b'', "Error 301 from Giphy"),
    (401, b'', "Error 401 from Giphy, it does not like the key"),
    (403, b'{}', "Error 403 from Giphy, it does not like the key"),
    (414, b'', "Error 414 from Giphy, that is too long"),
    (429, b'', "Error 429 from Giphy, it was asked too often"),
    (500, b'', "Error 500 from Giphy, it is not well")],
    ids=lambda value: ascii(value)[:20])
def test_gif_is_honest(giphy, status, body, sentence):
    giphy.says = (status, body)
    reply = answer("gif cats", env=giphy.env)
    assert sentence in reply
    assert KEY not in reply and "<!channel>" not in reply


def test_gif_says_that_nobody_is_there():
    reply = answer("gif cats", env={"GIPHY_API_KEY": KEY, "GIPHY_API_URL":
                                    "http://127.0.0.1:9/x"})
    assert "no gif: Giphy can not be reached" in reply and KEY not in reply


def test_gif_does_not_wait_for_ever(giphy):
    giphy.goes_on.clear()
    start = time.monotonic()
    reply = answer("gif cats", env=giphy.env)
    assert "can not be reached" in reply
    assert 9 < time.monotonic() - start < 13


# -- later

class Records(Inbox):
    @property
    def records(self):
        """All that came so far."""
        return [json.loads(line) for line in list(self.lines.queue)]


@pytest.fixture
def inbox(tmp_path):
    inbox = Records(tmp_path / "inbox.sock")
    yield inbox
    inbox.stop()


@pytest.fixture
def table(tmp_path):
    return tmp_path / "subscriptions"


def test_what_takes_time_is_answered_by_the_inbox(giphy, inbox, table,
                                                  tmp_path):
    giphy.shows("https://giphy.com/gifs/a")
    giphy.goes_on.clear()
    with Bot(table, "--inbox", tmp_path / "inbox.sock", env=giphy.env) as bot:
        record = bot.ask(say(7, "gif cats", thread_ts="1.2"))
        assert record["command"] == {
            "name": "gif", "args": "cats", "later": True, "to": "C1",
            "thread_ts": "1.2"}
        assert "subscriptions" not in record
        assert re.fullmatch(r"job 7 - U1 C1 1\.2 gif \d+ cats",
                            lines_of(table)[-1])
        assert bot.ask(message(8, "the line goes on")) == message(
            8, "the line goes on")
        giphy.goes_on.set()
        wait_for(lambda: inbox.records)
        assert inbox.records == [{
            "type": "reply", "id": "reply/7", "of": 7, "name": "gif",
            "user": "U1", "to": "C1", "thread_ts": "1.2",
            "text": "<@U1>! I have selected a gif of `cats`:"
                    " https://giphy.com/gifs/a"}]
        wait_for(lambda: bot.ask(say(9, "help")) and
                 lines_of(table) == ["seq 7"])
    assert len(inbox.records) == 1


def test_what_is_owed_is_taken_up_again(giphy, inbox, table, tmp_path):
    giphy.shows("https://giphy.com/gifs/a")
    giphy.goes_on.clear()
    arguments = ("--inbox", tmp_path / "inbox.sock")
    with Bot(table, *arguments, env=giphy.env) as bot:
        bot.ask(say(7, "gif cats"))
        bot.ask(say(8, "gif dogs", user="U2"))
        wait_for(lambda: giphy.asked)
        bot.process.kill()
    giphy.goes_on.set()
    with Bot(table, *arguments, env=giphy.env) as bot:
        wait_for(lambda: len(inbox.records) == 2)
        assert [record["id"] for record in inbox.records] == [
            "reply/7", "reply/8"]
        wait_for(lambda: bot.ask(say(9, "help")) and
                 lines_of(table) == ["seq 8"])
        bot.process.stdin.close()
        assert bot.process.wait(10) == 0


def test_a_record_given_again_is_owed_again(giphy, inbox, table, tmp_path):
    """The inbox knows reply/7 by then, and says it once."""
    giphy.shows("https://giphy.com/gifs/a")
    with Bot(table, "--inbox", tmp_path / "inbox.sock", env=giphy.env) as bot:
        once = bot.ask(say(7, "gif cats"))
        wait_for(lambda: bot.ask(message(8, "x")) and
                 lines_of(table) == ["seq 7"])
        assert bot.ask(say(7, "gif cats")) == once
        wait_for(lambda: len(inbox.records) == 2)
    assert inbox.records[0] == inbox.records[1]


def test_waits_for_an_inbox_that_is_away(giphy, table, tmp_path):
    giphy.shows("https://giphy.com/gifs/a")
    path = tmp_path / "inbox.sock"
    with Bot(table, "--inbox", path, env=giphy.env) as bot:
        bot.ask(say(7, "gif cats"))
        wait_for(lambda: giphy.asked)
        inbox = Records(path)
        wait_for(lambda: inbox.records)
        inbox.stop()


def test_is_busy_when_too_much_is_owed(giphy, inbox, table, tmp_path):
    giphy.shows("https://giphy.com/gifs/a")
    giphy.goes_on.clear()
    with Bot(table, "--inbox", tmp_path / "inbox.sock", env=giphy.env) as bot:
        answers = [bot.ask(say(seq, "gif cats", user=f"U{seq}"))["command"]
                   for seq in range(1, 20)]
        assert ["later" in command for command in answers] == \
            [True] * 16 + [False] * 3
        assert "I am busy" in answers[16]["reply"]
        giphy.goes_on.set()
        wait_for(lambda: len(inbox.records) == 16)
        wait_for(lambda: "later" in bot.ask(say(30, "gif cats"))["command"])


def test_one_user_leaves_room_for_others(giphy, inbox, table, tmp_path):
    giphy.shows("https://giphy.com/gifs/a")
    giphy.goes_on.clear()
    with Bot(table, "--inbox", tmp_path / "inbox.sock", env=giphy.env) as bot:
        answers = [bot.ask(say(seq, "gif cats"))["command"]
                   for seq in range(1, 8)]
        assert ["later" in command for command in answers] == \
            [True] * 4 + [False] * 3
        assert "you asked before" in answers[4]["reply"]
        assert "later" in bot.ask(say(8, "gif cats", user="U2"))["command"]
        giphy.goes_on.set()
        wait_for(lambda: len(inbox.records) == 5)
        wait_for(lambda: "later" in bot.ask(say(30, "gif cats"))["command"])


@pytest.mark.parametrize("ends", ["input", "TERM"])
def test_does_not_wait_for_work_at_its_end(giphy, inbox, table, tmp_path, ends):
    giphy.goes_on.clear()
    with Bot(table, "--inbox", tmp_path / "inbox.sock", env=giphy.env) as bot:
        bot.ask(say(7, "gif cats"))
        wait_for(lambda: giphy.asked)
        start = time.monotonic()
        if ends == "TERM":
            bot.process.terminate()
        else:
            bot.process.stdin.close()
        assert bot.process.wait(10) == (
            -signal.SIGTERM if ends == "TERM" else 0)
        assert time.monotonic() - start < 6
    assert lines_of(table)[-1].startswith("job 7 - U1 C1 - gif ")


# -- test

def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".5Z"


@pytest.fixture
def journal(tmp_path):
    """Called with records, it writes them where their days are."""
    folder = tmp_path / "journal"
    folder.mkdir()

    def write(*records, part=""):
        for record in records:
            path = folder / f"{record['received'][:10]}{part}.ndjson"
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        return folder
    return write


def came(text, ago_s=60, user="U9", **more):
    """In the journal, so long before START + 1."""
    return {"type": "message", "seq": 1, "channel": "C1", "user": user,
            "text": text, "received": stamp(START + 1 - ago_s), **more}


def try_out(journal, words, *arguments):
    return answer(f"test {words}", "--journal", journal, *arguments)


def test_test_counts_the_last_24_hours(journal):
    folder = journal(
        came("stark before", 24 * HOUR + 5), came("stark one", 24 * HOUR - 5),
        came("nothing"), came("stark two"), came("Stark"),
        came("stark &lt;three&gt; `x`", 5), came("stark four", 3),
        came("stark after", -5))
    journal(came("stark in another part", 30), part=".2")
    assert try_out(folder, "stark") == (
        "<@U1>! `stark` would have matched 5 of 7 messages in the last 24"
        " hours.\n\u2022 `stark one`\n\u2022 `stark two`"
        "\n\u2022 `stark &lt;three&gt; \u02cbx\u02cb`")
    assert "matched 6 of 7 messages" in try_out(folder, "/stark/i")
    assert try_out(folder, "tony") == (
        "<@U1>! `tony` would have matched 0 of 7 messages in the last 24"
        " hours.")


def test_test_passes_over_what_no_forward_is_made_of(journal):
    folder = journal(
        came("stark", own=True), came("test stark", addressed=BOT),
        came("stark", subtype="message_deleted"),
        came("x", subtype="message_changed",
             message={"text": "stark"}, previous_message={"text": "stark"}),
        {**came("stark"), "type": "delivery"}, came("stark", received="x"),
        came("stark", bot_id="B1"), {**came("x"), "type": "app_mention"},
        {**came("stark"), "type": "api_message", "payload": "stark"})
    assert "matched 2 of 3 messages" in try_out(folder, "stark")


def test_test_looks_where_it_is_told(journal):
    folder = journal(
        came("stark", channel="C0123456A", names={"channel": "#builds"}),
        came("stark", channel="#builds", type="api_message"),
        came("stark", channel="C9"))
    assert "2 of 2 messages in the last 24 hours in `#builds`." in try_out(
        folder, "stark in:#builds")
    assert "1 of 1 message in the last 24 hours in <#C0123456A>." in try_out(
        folder, "stark in:<#C0123456A|builds>")
    assert "3 of 3 messages" in try_out(folder, "stark in:any")
    assert "0 of 3 messages in the last 24 hours, in files only." in try_out(
        folder, "stark where:files")


def test_test_looks_into_files_that_are_there(journal, tmp_path):
    spool = tmp_path / "spool"
    (spool / "ids").mkdir(parents=True)
    content = b"one\nfatal stark here\n"
    digest = hashlib.sha256(content).hexdigest()
    (spool / digest).write_bytes(content)
    (spool / "ids" / "F1").symlink_to(f"../{digest}")
    (spool / "ids" / "F2").symlink_to("../../../etc/passwd")
    folder = journal(
        came("look", files=[{"id": "F1"}]), came("x", files=[{"id": "F2"}]),
        came("stark", files=[{"id": "../ids/F1"}, {}, 7]),
        came("x", files=[{"id": "F3"}]))
    there = ("--spool", spool)
    assert "2 of 4 messages" in try_out(folder, "stark", *there)
    assert "1 of 4 messages" in try_out(folder, "stark where:text", *there)
    reply = try_out(folder, "stark where:files", *there)
    assert "1 of 4 messages" in reply and "`fatal stark here`" in reply


def test_test_bears_a_broken_journal(journal):
    folder = journal(came("stark"))
    with open(next(folder.iterdir()), "a", encoding="utf-8") as file:
        file.write("what\n" + json.dumps(came("stark"))[:50])
    assert "1 of 1 message" in try_out(folder, "stark")


@pytest.mark.parametrize("time_s", [2 ** 63 - 1, -2 ** 63, 10 ** 12, -1])
def test_test_bears_an_edited_time(journal, inbox, table, tmp_path, time_s):
    table.write_text(f"job 1 - U1 C1 - test {time_s} 0 - x\nseq 1\n")
    with Bot(table, "--inbox", tmp_path / "inbox.sock",
             "--journal", journal(came("x"))):
        wait_for(lambda: inbox.records)
    assert "went wrong" in inbox.records[0]["text"]


@pytest.mark.parametrize("words, reason", [
    ("", "there is no term"), ("/(/", "at character 3"),
    ("/(a+)+$/", "costs too much"), ("x" * 500, "up to 200 bytes"),
    ("a\nb", "on one line"), ("x class:danger", "without `class:`")],
    ids=lambda value: value[:20])
def test_test_refuses_what_forward_would(journal, words, reason):
    reply = try_out(journal(came("x")), words)
    assert reply.startswith("<@U1>! I can not test ") and reason in reply


def test_test_says_when_it_can_not():
    assert "there is no journal" in answer("test x")


@pytest.mark.parametrize("program", ["/does/not/exist", "/bin/false",
                                     "/bin/sh", "killed"])
def test_test_says_when_it_goes_wrong(journal, tmp_path, program):
    if program == "killed":
        program = tmp_path / "scanner"
        program.write_text("#!/bin/sh\nkill -9 $$\n")
        program.chmod(0o755)
    reply = try_out(journal(came("x")), "x", "--scanner", program)
    assert "the test went wrong" in reply


def test_test_says_what_cost_too_much(journal):
    folder = journal(came("fine stark"), came("x" * 200000 + "!"))
    reply = try_out(folder, "/[a-z]+y|stark/")
    assert "matched 1 of 2 messages" in reply
    assert "In some it cost too much to look for." in reply


def test_scanner_is_given_no_secret(journal, tmp_path):
    shown = tmp_path / "env"
    program = tmp_path / "scanner"
    program.write_text(f"#!/bin/sh\nenv > {shown}\ncat >/dev/null\n")
    program.chmod(0o755)
    secret = tmp_path / "weapon"
    secret.write_text("hulksmash\n")
    for env in ({"GIPHY_API_KEY": KEY, "SECRET_WEAPON": "hulksmash",
                 "GIPHY_API_KEY_FILE": str(secret)},
                {"SECRET_WEAPON_FILE": str(secret)}):
        answer("test x", "--journal", journal(came("x")), "--scanner",
               program, env=env)
        environment = shown.read_text()
        assert "PATH=" in environment
        for word in (KEY, "hulksmash", "GIPHY", "WEAPON"):
            assert word not in environment


# -- status

STATS = {"uptime": "2026-11-22T10:00:00Z", "total_msg_count": 12345,
         "rate_1m": 2.25, "classes": {"danger": 3, "success": 12},
         "replied_msg_count": 4, "forwarded_msg_count": 1,
         "last_error": {"stage": "scanner", "reason": "bad <file>", "seq": 9}}


def test_status_tells_how_ultron_is(tmp_path):
    (tmp_path / "slack-reader.status").write_text(
        "slack=live since=2026-11-23T08:00:00.000000Z connections=2 seq=9"
        " journal=ok pid=7                                           \n")
    (tmp_path / "slack-send.queue").write_text(
        "open=3 oldest=2026-11-23T09:00:00.000000Z   \n")
    (tmp_path / "stats.json").write_text(json.dumps(STATS))
    reply = answer("status", "--running", tmp_path,
                   "--stats", tmp_path / "stats.json",
                   "--dashboard", "https://ultron.example/?a=1")
    assert re.sub(r"<!date\^\d+\^[^|]*\|([^>]*)>", r"\1", reply) == (
        "<@U1>! Slack: `live` since 2026-11-23 08:00 UTC, 2 connections."
        "\n12345 messages since 2026-11-22 10:00 UTC, 2.2 records a second in"
        " the last minute; of all records 3 danger, 0 warning, 12 success;"
        " 4 answers, 1 forward."
        "\nTo Slack: 3 messages to be sent, the oldest since 2026-11-23 09:00 UTC."
        "\nThe last error: `scanner`, `bad &lt;file&gt;`, in record 9."
        "\n<https://ultron.example/?a=1|All of it is on the dashboard>")


@pytest.mark.parametrize("text", ["", "what", "slack=\n", "x" * 10000, "\0"])
def test_status_bears_what_it_finds(tmp_path, text):
    for name in ("slack-reader.status", "slack-send.queue", "stats.json"):
        (tmp_path / name).write_text(text)
    reply = answer("status", "--running", tmp_path,
                   "--stats", tmp_path / "stats.json")
    assert reply == ("<@U1>! I do not know how my connection to Slack is.")


def test_status_of_a_recording():
    assert answer("status").startswith("<@U1>! I do not know how")


def test_status_without_errors(tmp_path):
    stats = tmp_path / "stats.json"
    stats.write_text(json.dumps({**STATS, "last_error": None}))
    assert answer("status", "--stats", stats).endswith(
        "\nNo errors recorded yet.")
