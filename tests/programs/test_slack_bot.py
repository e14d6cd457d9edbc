"""slack-bot: what people say to it, what it answers, and what it remembers."""
import json
import os
import random
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import BIN, ROOT, children_cpu_s, run_program
from disk import Disk

EX_USAGE, EX_TEMPFAIL, EX_CONFIG = 64, 75, 78
QUOTES = ROOT / "examples" / "quotes.txt"
START = 1763800000
BOT = "U0BOT"
LOOK = "\u02cb"     # like a backtick


def message(seq, text, user="U1", **more):
    """One second a seq."""
    return {"type": "message", "seq": seq, "channel": "C1", "user": user,
            "text": text, "ts": f"{START + seq}.000100", **more}


def say(seq, words, user="U1", **more):
    return message(seq, f"<@{BOT}> {words}", user, **more)


def run(records, *arguments, env=None, **more):
    stdin = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    done = run_program(
        "slack-bot", "--bot-id", BOT, *arguments, stdin=stdin,
        env={"SECRET_WEAPON": "", "GIPHY_API_KEY": "", **(env or {})}, **more)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(records)
    return answers


def hear(records, *arguments, **more):
    """The answers alone, None where there is none."""
    return [answer.get("command", {}).get("reply")
            for answer in run(records, *arguments, **more)]


def talk(*words, arguments=(), **more):
    """What U1 hears when it says one thing after the other."""
    return hear([say(seq, text, **more) for seq, text in enumerate(words, 1)],
                *arguments)


class Bot:
    """One that runs until it is ended, and is asked line by line."""

    def __init__(self, table, *arguments, env=None, enter=()):
        self.process = subprocess.Popen(
            [*enter, BIN / "slack-bot", "--bot-id", BOT, "--subscriptions",
             table, *map(str, arguments)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, **(env or {})})

    def tell(self, record):
        self.process.stdin.write(json.dumps(record).encode() + b"\n")
        self.process.stdin.flush()

    def hear(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, record):
        self.tell(record)
        return self.hear()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def changes(*words, **more):
    return [answer.get("subscriptions")
            for answer in run([say(seq, text, **more)
                               for seq, text in enumerate(words, 1)])]


def lines_of(path):
    return [line for line in path.read_text(encoding="utf-8").splitlines()
            if not line.startswith("#")]


def name(value):
    """Of a case: not a megabyte of it."""
    return re.sub(r"\W+", "_", str(value))[:40]


@pytest.fixture
def table(tmp_path):
    return tmp_path / "subscriptions"


# -- who is answered

@pytest.mark.parametrize("text", [
    "<@U0BOT> help", "<@U0BOT>help", "<@U0BOT>   help  ", "<@U0BOT|ultron> help",
    "<@U0BOT>\u00a0help", "<@u0bot> HELP", " <@U0BOT> Help", "<@U0BOT>: help", "<@U0BOT>, help me",
    "<@U0BOT>\nhelp"])
def test_hears_its_name(text):
    answer, = run([message(1, text)])
    assert answer["command"]["name"] == "help"
    assert answer["command"]["to"] == "C1"
    assert "thread_ts" not in answer["command"]


@pytest.mark.parametrize("text", [
    "help", "hey <@U0BOT> help", "<@U0BOTS> help", "<@U0BO> help", "<@U0BOT",
    "U0BOT help", "", "<#U0BOT> help"])
def test_passes_what_is_not_for_it(text):
    record = message(1, text)
    assert run([record]) == [record]


@pytest.mark.parametrize("more", [
    {"bot_id": "B2"}, {"own": True}, {"user": BOT},
    {"subtype": "message_changed"}, {"subtype": "message_deleted"},
    {"subtype": "bot_message"}, {"subtype": "channel_join"},
    {"subtype": 7}, {"user": None}, {"user": "U1> <!channel"}, {"user": ""},
    {"user": "U 1"}, {"type": "api_message"}, {"type": "delivery"}])
def test_answers_people_alone_and_what_they_say_anew(more):
    record = {**say(1, "help"), "channel_type": "im", **more}
    answer, = run([record])
    assert answer == record


@pytest.mark.parametrize("subtype", [
    "file_share", "thread_broadcast", "me_message"])
def test_answers_with_a_file_or_in_a_thread(subtype):
    answer, = run([say(1, "help", subtype=subtype)])
    assert answer["command"]["name"] == "help"


def test_needs_no_name_in_a_dialogue():
    said = ["help", f"<@{BOT}> help", "stark?", ""]
    answers = run([message(seq, text, channel_type="im", channel="D1")
                   for seq, text in enumerate(said, 1)])
    assert [answer["command"]["name"] for answer in answers] == [
        "help", "help", "unknown", "unknown"]
    assert {answer["command"]["to"] for answer in answers} == {"D1"}


def test_the_reader_knows_its_name_better():
    answers = run([say(1, "help", addressed="U0NEW"),
                   message(2, "<@U0NEW> help", addressed="U0NEW")])
    assert ["command" in answer for answer in answers] == [False, True]


def test_its_name_may_come_from_the_environment():
    line = json.dumps(message(1, "<@UENV> help")).encode()
    done = run_program("slack-bot", stdin=line, env={"ULTRONEX_BOT_ID": "UENV"})
    assert "command" in json.loads(done.stdout)


def test_without_a_name_it_passes_all():
    line = json.dumps(say(1, "help")).encode() + b"\n"
    done = run_program("slack-bot", stdin=line, env={"ULTRONEX_BOT_ID": ""})
    assert done.stdout == line


def test_answers_in_the_thread():
    answer, = run([say(1, "help", thread_ts="1763700000.000100")])
    assert answer["command"]["thread_ts"] == "1763700000.000100"


def test_takes_slash_commands_and_answers_who_gave_them():
    answers = run([{"type": "slash_commands", "seq": seq, "slash": "/ultron",
                    "channel": "C9", "user": "U7", **more}
                   for seq, more in enumerate([
                       {"text": "forward stark"}, {"text": "list"},
                       {"text": f"<@{BOT}> list"}, {"text": ""}, {}], 1)])
    assert [answer["command"]["name"] for answer in answers] == [
        "forward", "list", "list", "unknown", "unknown"]
    assert {answer["command"]["to"] for answer in answers} == {"U7"}
    assert "`stark`" in answers[1]["command"]["reply"]


def test_a_mention_may_come_as_such():
    answer, = run([{**say(1, "forward stark"), "type": "app_mention"}])
    assert answer["command"]["to"] == "C1"
    assert answer["subscriptions"] == ["forward 1 - U1 any any any stark"]


def test_commands_replace_those_of_an_earlier_run():
    once = run([say(1, "forward stark"), message(2, "x")])
    assert run(once) == once
    assert run([{**message(1, "x"), "command": {"name": "help"},
                 "subscriptions": ["mute 1 - U1 -"]}]) == [message(1, "x")]


def test_a_line_that_is_no_record_is_answered_by_an_error():
    done = run_program("slack-bot", stdin=b"what\n")
    assert json.loads(done.stdout)["error"]["stage"] == "slack-bot"


# -- the short ones

def test_help_has_a_line_for_each_command():
    reply, = talk("help")
    assert reply.startswith("<@U1>! ")
    assert re.findall(r"^`(\w+)", reply, re.M) == [
        "help", "forward", "list", "stop", "mute", "talk", "test", "status",
        "quote", "xkcd", "gif"]


@pytest.mark.parametrize("words", [
    "", "what", "42", "?!", "h\u00e9lp", "helpme", "helper", "_", "`help`",
    "\U0001f600", "secret", "unknown"])
def test_never_is_silent(words):
    answer, = run([say(1, words)], "--quotes", QUOTES)
    command = answer["command"]
    assert command["name"] == "unknown"
    assert "`help`" in command["reply"]
    assert command["reply"].rsplit("\n> ", 1)[1] in QUOTES.read_text()
    assert command["args"] == words


def test_quotes_are_ours_and_the_same_each_time():
    known = {line for line in QUOTES.read_text().splitlines()
             if not line.startswith("#")}
    assert len(known) >= 60 and max(map(len, known)) <= 100
    asked = ["quote"] * 300
    replies = talk(*asked, arguments=("--quotes", QUOTES))
    said = {re.sub(r"^<@U1>! .*\n> ", "", reply) for reply in replies}
    assert said <= known and len(said) > 50
    assert talk(*asked, arguments=("--quotes", QUOTES)) == replies
    assert talk(*asked, arguments=("--quotes", QUOTES, "--seed", 2)) != replies


def test_a_quote_is_shown_whole_and_as_it_is(tmp_path):
    path = tmp_path / "quotes"
    path.write_bytes(b"# none\n\n \n\xff bad\n<!channel> & `co` " + b"x" * 200)
    reply, = talk("quote", arguments=("--quotes", path))
    assert reply.endswith("\n> &lt;!channel&gt; &amp; `co` " + "x" * 200)


def test_quotes_are_read_again_on_hup(tmp_path):
    path = tmp_path / "quotes"
    path.write_text("old\n")
    with subprocess.Popen(
            [BIN / "slack-bot", "--bot-id", BOT, "--quotes", path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE) as bot:
        for content, heard in (("new\n", "old"), ("# none\n", "new"),
                               ("", "new")):
            bot.stdin.write(json.dumps(say(1, "quote")).encode() + b"\n")
            bot.stdin.flush()
            answer = json.loads(bot.stdout.readline())
            assert answer["command"]["reply"].endswith(f"\n> {heard}")
            path.write_text(content)
            bot.send_signal(signal.SIGHUP)
        bot.stdin.close()
        assert b"keeping the quotes read before" in bot.stderr.read()


@pytest.mark.parametrize("content", [None, b"", b"# nothing\n"])
def test_a_file_without_quotes_is_told_at_the_start(tmp_path, content):
    path = tmp_path / "quotes"
    if content is not None:
        path.write_bytes(content)
    done = run_program("slack-bot", "--quotes", path)
    assert done.returncode == EX_CONFIG
    assert str(path) in done.stderr.decode()


@pytest.mark.parametrize("words, path", [
    ("xkcd 327", "327"), ("xkcd  327 please", "327"),
    ("xkcd caf\u00e9/&amp;?", "caf%C3%A9%2F%26%3F"),
    ("xkcd <http://a.b/c|a.b/c>", "a.b%2Fc"),
    ("xkcd " + "9" * 1000, "9" * 100)], ids=name)
def test_xkcd_gives_the_comic(words, path):
    reply, = talk(words)
    assert reply.endswith(f" https://xkcd.com/{path}/")


def test_xkcd_alone_gives_some_comic():
    numbers = [int(re.search(r"https://xkcd.com/(\d+)/$", reply)[1])
               for reply in talk(*["xkcd"] * 200)]
    assert len(set(numbers)) > 150
    assert 1 <= min(numbers) and max(numbers) <= 3000


def test_gif_is_off_without_a_key():
    reply, = talk("gif cats")
    assert "`gif` is off" in reply and "GIPHY_API_KEY" in reply


# -- the secret

@pytest.mark.parametrize("secret, words", [
    ("hulk", "hulk"), ("hulk", "hulk now"), ("open-sesame", "open-sesame"),
    ("a & b", "a &amp; b\n"), ("mj\u00f6lnir", "mj\u00f6lnir")])
def test_the_secret_word_says_that_all_is_on_disk(table, secret, words):
    answers = run([say(1, "forward stark"), say(2, words)],
                  "--subscriptions", table, env={"SECRET_WEAPON": secret})
    assert answers[1]["command"] == {
        "name": "secret", "args": "", "to": "C1",
        "reply": answers[1]["command"]["reply"]}
    assert "on disk" in answers[1]["command"]["reply"]
    assert secret not in answers[1]["command"]["reply"]


def test_the_secret_word_writes_the_file_anew(table):
    with Bot(table, env={"SECRET_WEAPON": "hulk"}) as bot:
        bot.ask(say(1, "forward stark"))
        table.unlink()
        bot.ask(say(2, "list"))
        assert not table.exists()
        bot.ask(say(3, "hulk"))
        assert lines_of(table) == ["seq 1", "forward 1 - U1 any any any stark"]


@pytest.mark.parametrize("secret, words", [
    ("hulk", "Hulk"), ("hulk", "hulks"), ("hulk", "hul"), ("hulk", ""),
    ("", ""), ("open-sesame", "open"), ("open-sesame", "open-sesames")])
def test_what_is_not_the_secret_word_is_none(secret, words):
    answer, = run([say(1, words)], env={"SECRET_WEAPON": secret})
    assert answer["command"]["name"] == "unknown"


def test_the_secret_word_may_be_in_a_file_and_no_command(tmp_path):
    (tmp_path / "secret").write_text("hulk\n")
    answer, = run([say(1, "hulk")],
                  env={"SECRET_WEAPON_FILE": str(tmp_path / "secret")})
    assert answer["command"]["name"] == "secret"
    done = run_program("slack-bot", env={"SECRET_WEAPON": "Help"})
    assert done.returncode == EX_CONFIG
    assert b"SECRET_WEAPON" in done.stderr


# -- forward

@pytest.mark.parametrize("words, line", [
    ("stark", "any any any stark"),
    ("Tony  Stark", "any any any Tony  Stark"),
    ("pattern", "any any any pattern"),
    ("forward", "any any any forward"),
    ("#x", "any any any #x"), ("-", "any any any -"), ("any", "any any any any"),
    ("(", "any any any ("), ("(a+)+$", "any any any (a+)+$"),
    ("/", "any any any /"), ("//", "any any any //"), ("/x", "any any any /x"),
    ("/ANR in \\S+/", "any any any /ANR in \\S+/"),
    ("/stark/i", "any any any /stark/i"), ("/a/x", "any any any /a/x"),
    ("`stark`", "any any any stark"), ("```stark```", "any any any stark"),
    ("` a b `", "any any any  a b "), ("`in:x`", "any any any in:x"),
    ("`a` `b`", "any any any `a` `b`"), ("`", "any any any `"),
    ("\u201cstark\u201d", 'any any any "stark"'),
    ("it\u2019s", "any any any it's"),
    ("\u200fstark\u200e in:#b\u200e", "b any any stark"),
    ("a &lt;b&gt; &amp;amp;", "any any any a <b> &amp;"),
    ("<http://x.com|x.com>", "any any any x.com"),
    ("<https://x.com/a?b=1&amp;c>", "any any any https://x.com/a?b=1&c"),
    ("<mailto:a@x.com|a@x.com>", "any any any a@x.com"),
    ("see <http://x.com|x.com> now", "any any any see x.com now"),
    ("\u5931\u6557 \U0001f389", "any any any \u5931\u6557 \U0001f389"),
    ("stark in:#builds", "builds any any stark"),
    ("stark in:Builds", "builds any any stark"),
    ("stark in:<#C0123456A|builds>", "C0123456A any any stark"),
    ("stark in:C0123456A", "C0123456A any any stark"),
    ("in:<#C1> stark", "C1 any any stark"),
    ("stark in:any", "any any any stark"),
    ("\u00a0stark\u3000in:#x\u00a0", "x any any stark"),
    ("Tony\u00a0Stark\ufeff\u200b", "any any any Tony Stark"),
    ("where:files stark", "any files any stark"),
    ("stark where:text", "any text any stark"),
    ("class:DANGER where:Files stark", "any files danger stark"),
    ("class:danger where:any tony stark in:#x", "x any danger tony stark"),
    ("a in:#b c", "any any any a in:#b c"),
    ("\nstark\n", "any any any stark"),
    ("x" * 200, "any any any " + "x" * 200)], ids=name)
def test_forward_keeps_what_was_typed(words, line):
    assert changes(f"forward {words}") == [[f"forward 1 - U1 {line}"]]


@pytest.mark.parametrize("words, reason", [
    ("/(/", "missing closing parenthesis at character 3"),
    ("/\u00e9\u00e9[z-a]/", "at character 7"),
    ("/a{2,1}/i", "at character 7"),
    ("/(a+)+$/", "costs too much"), ("/(a+)+$/i", "costs too much"),
    ("/foo(x+x+)+y/", "costs too much"),
    ("/ERROR: (\\w+\\s?)+$/", "costs too much"),
    ("/([0-9]+)*;/", "costs too much"),
    ("/(\u00e9|\u00e9?)+z/", "costs too much"),
    ("/a*/", "matches the empty text"), ("/|/", "matches the empty text"),
    ("/^/", "matches the empty text"), ("/\\X/", "is not taken"),
    ("/(?<!a{300})b/", "255"),
    ("``", "there is no term"), ("` `", "there is no term"),
    ("in:#x", "there is no term"), ("where:text class:danger", "no term"),
    ("x" * 201, "up to 200 bytes, this one has 201"),
    ("x" * 10000, "up to 200 bytes, this one has 10000"),
    ("x" * 3000000, "up to 200 bytes, this one has 3000000"),
    ("&lt;" * 201, "up to 200 bytes, this one has 201"),
    ("one\ntwo", "on one line"), ("one\rtwo", "on one line"),
    ("one in:#x\ntwo", "on one line"),
    ("a\tb", "without tabs"), ("a\x01b", "without tabs"),
    ("a\x7fb", "without tabs"),
    ("stark in:", None), ("stark in:#", "`in:` wants a channel"),
    ("stark in:\x01", "`in:` wants a channel"),
    ("stark in:<@U1>", "`in:` wants a channel"),
    ("stark in:@tony", "`in:` wants a channel"),
    ("stark in:" + "x" * 100, "`in:` wants a channel"),
    ("stark where:here", "`where:` wants"), ("stark class:bad", "`class:`"),
    ("where:text stark where:files", "`where:` is there twice"),
    ("in:#a stark in:#b", "`in:` is there twice"),
    ("stark class:danger class:warning", "`class:` is there twice")],
    ids=name)
def test_forward_refuses_kindly(words, reason):
    answer, = run([say(1, f"forward {words}")])
    reply = answer["command"]["reply"]
    if reason is None:
        assert answer["subscriptions"] == [f"forward 1 - U1 any any any {words}"]
        return
    assert "subscriptions" not in answer
    assert reply.startswith("<@U1>! I can not forward ")
    assert reason in reply and reply.endswith(". Nothing has changed.")
    assert len(reply) < 600 and "\n" not in reply
    assert len(answer["command"]["args"].encode()) <= 300


@pytest.mark.parametrize("expression", [
    r"\d+ms", r"\S+@\S+", r"\w+@\w+\.com", r"ANR in \S+",
    r"(?:timeout|timed out).*(?:device|emulator)", r"^\s*at .*\(.*\)$",
    r"build #\d+ (failed|broke)", r'".*":\s*".*"', r"foo.*bar", r".*error.*",
    r"a.*b.*c", r"error|warn|fatal", r"\bcrash\b.*\b(ios|android)\b",
    r"[A-Z]{2,5}-\d{3,5}", r"(\d+\.){3}\d+", r"(?<name>\w+)=\k<name>",
    r"[\w.+-]+@[\w-]+\.[\w.-]+", r"https?://\S+/job/\S+/\d+",
    r"^(?=.*foo)(?=.*bar).+", r"\b\d{1,3}%", r"java\.lang\.\w+Exception",
    r"(?m)^E/\w+\(\s*\d+\): .*$", r"failed: [1-9]\d*", r"took \d+(\.\d+)? s"])
def test_forward_takes_what_people_use(expression):
    answer, = run([say(1, f"forward /{expression}/")])
    assert "subscriptions" in answer, answer["command"]["reply"]
    assert "regular expression" in answer["command"]["reply"]


def test_a_hard_term_is_tried_in_no_time():
    """Each of these is costly and yet borne, or found out late."""
    hard = [r"/(.*)(.*)(.*)(.*)[!]y/", r"/[a-z]+[a-z]+[a-z]+;/",
            r"/(x*)*y|(a*)*b|(0*)*1/", r"/((a|b|ab)+c)+d/",
            "/" + "(a|b)" * 30 + "+c/", "/" + "a?" * 60 + "a" * 60 + "/",
            "/" + "".join(map(chr, range(97, 123))) + "(.+)+;/"]
    for term in hard:
        start = children_cpu_s()
        run([say(seq, f"forward {term} in:#c{seq}") for seq in range(1, 6)])
        assert children_cpu_s() - start < (5 if "asan" in str(BIN) else 1), term


def test_forward_says_how_it_looks():
    replies = talk("forward stark", "forward /st.rk/i in:#builds class:danger",
                   "forward st.*k where:files", "forward a &lt;b&gt; where:text")
    assert replies[0] == (
        "<@U1>! your forwarding is set for `stark`: what holds it, just as it"
        " stands here. It comes to you in a direct message.")
    assert replies[1] == (
        "<@U1>! your forwarding is set for `/st.rk/i`: what matches this"
        " regular expression in `#builds`, of class danger only. It comes to"
        " you in a direct message.")
    assert "between slashes), in files only." in replies[2]
    assert "`a &lt;b&gt;`" in replies[3] and ", not in files." in replies[3]


@pytest.mark.parametrize("term", [
    "<!channel>", "&lt;!channel&gt;", "`x` <!here|here> &lt;@U9&gt;",
    "*bold* &lt;https://evil|x&gt;", "```", "a`b"])
def test_what_was_typed_calls_nobody(term):
    for reply in talk(f"forward {term}", f"forward /(/ {term}", f"stop {term}",
                      f"mute {term}", f"stop no{term}", "list"):
        assert re.findall(r"<[^>]*>", reply) == ["<@U1>"]


@pytest.mark.parametrize("term", ["`", "a`b", "```", "`a` `b`", "``` x"])
def test_a_term_with_backticks_leaves_the_other_lines_right(term):
    shown = f"`{term.replace('`', LOOK)}`"
    *said, listed, stopped = talk(
        f"forward {term} in:#x", f"forward /{term}(/", "forward stark",
        "list", f"stop {shown[1:-1]}")
    assert shown in said[0] and all(
        reply.count("`") % 2 == 0 for reply in [*said, stopped])
    assert listed.split("\n")[1:] == [
        f"\u2022 {shown} in `#x`", "\u2022 `stark`"]
    assert f"stopped for {shown}" in stopped


def test_stop_tells_terms_apart_that_are_shown_the_same():
    """A letter that looks like a backtick, and a backtick."""
    assert changes("forward `a b", f"forward {LOOK}a b", f"stop {LOOK}a b",
                   f"stop {LOOK}a b")[2:] == [
        [f"forward 2 3 U1 any any any {LOOK}a b"],
        ["forward 1 4 U1 any any any `a b"]]


def test_nothing_that_was_typed_turns_the_direction_of_our_words():
    evil = "a\u202e\u202ab\u2066c\u2069"
    for reply in talk(f"forward {evil}", f"forward /(/ {evil}", "list",
                      f"mute {evil}", f"stop no{evil}", f"stop {evil}"):
        assert "abc" in reply and not re.search(
            "[\u202a-\u202e\u2066-\u2069]", reply)


def test_forward_again_changes_where_it_looks():
    assert changes("forward stark", "forward stark in:any where:any class:any",
                   "forward stark in:#x",
                   "forward stark in:#x", "forward stark class:danger") == [
        ["forward 1 - U1 any any any stark"], None,
        ["forward 1 3 U1 any any any stark", "forward 3 - U1 x any any stark"],
        None,
        ["forward 3 5 U1 x any any stark",
         "forward 5 - U1 any any danger stark"]]


def test_limits_of_a_user_and_of_all():
    said = [say(1, "forward a"), say(2, "forward b"), say(3, "forward c"),
            say(4, "forward a in:#x"), say(5, "stop b"), say(6, "forward c"),
            say(7, "forward d", user="U2"), say(8, "forward e", user="U2")]
    answers = run(said, "--user-max", 2, "--total-max", 3)
    assert ["subscriptions" in answer for answer in answers] == [
        True, True, False, True, True, True, True, False]
    assert "you have 2 forwards" in answers[2]["command"]["reply"]
    assert "there are 3 forwards" in answers[7]["command"]["reply"]


def test_ten_thousand_forwards_are_no_trouble(table):
    start = children_cpu_s()
    answers = run([say(seq, f"forward term {seq}", user=f"U{seq % 500}")
                   for seq in range(1, 10001)], "--subscriptions", table)
    assert sum("subscriptions" in answer for answer in answers) == 2000
    assert len(lines_of(table)) == 2001
    assert children_cpu_s() - start < (60 if "asan" in str(BIN) else 10)


# -- list and stop

def test_list_tells_hits(tmp_path):
    stats = tmp_path / "stats.json"
    stats.write_text('{"hits":{"1":1,"2":12345}}')
    replies = talk("forward a", "forward /b/ in:#x", "forward c", "list",
                   "forward", "LIST me", arguments=("--stats", stats))
    assert replies[3] == (
        "<@U1>! you have 3 forwards, of 100 that you may have:"
        "\n\u2022 `a`, 1 hit so far\n\u2022 `/b/` in `#x`, 12345 hits so far"
        "\n\u2022 `c`, 0 hits so far")
    assert replies[4] == replies[5] == replies[3]


@pytest.mark.parametrize("content", [None, "", "what", '{"hits":7}', "[1]"])
def test_list_bears_without_counts(tmp_path, content):
    stats = tmp_path / "stats.json"
    if content is not None:
        stats.write_text(content)
    replies = talk("forward a", "list", "status", arguments=("--stats", stats))
    assert "\u2022 `a`" in replies[1]


def test_list_is_everyones_own():
    replies = hear([say(1, "forward a"), say(2, "list", user="U2")])
    assert replies[1] == ("<@U2>! you have no forwards. `forward TERM` makes"
                          " one.")


def test_stop_says_whether_others_are_subscribed():
    replies = hear([
        say(1, "forward a"), say(2, "forward a in:#x", user="U2"),
        say(3, "stop a"), say(4, "stop a"), say(5, "stop a", user="U2"),
        say(6, "stop a", user="U2")])
    assert replies[2:] == [
        "<@U1>! your forwarding is stopped for `a`, other users are still"
        " subscribed to it.",
        "<@U1>! you sure? No forwarding found for `a`. `list` shows yours.",
        "<@U2>! your forwarding is stopped for `a`, no one else is subscribed"
        " to it.",
        "<@U2>! you sure? No forwarding found for `a`. `list` shows yours."]


@pytest.mark.parametrize("words", ["stop all", "STOP All ", "stop `all`"])
def test_stop_all_stops_all_but_where_that_is_a_term(words):
    ended = [f"forward {seq} 3 U1 any any any {term}"
             for seq, term in ((1, "a"), (2, "b"))]
    assert changes("forward a", "forward b", words)[2] == ended
    assert changes("forward a", "forward all", "stop all", "stop all")[2:] == [
        ["forward 2 3 U1 any any any all"], ["forward 1 4 U1 any any any a"]]
    assert "nothing to stop" in talk(words)[0]


def test_unmute_means_talk():
    muted, _, talked = run([say(1, "mute"), say(2, "help"),
                            say(3, "Unmute")])
    assert muted["subscriptions"] == ["mute 1 - U1 -"]
    assert talked["subscriptions"] == ["mute 1 3 U1 -"]
    assert talked["command"]["name"] == "talk"


@pytest.mark.parametrize("term, is_told", [
    ("in: stark", True), ("class: danger stark", True), ("where: x", True),
    ("in:", False), ("logged in: yes", False), ("within: x", False)])
def test_who_meant_an_option_is_told_how(term, is_told):
    reply, = talk(f"forward {term}")
    assert f"`{term}`" in reply
    assert ("no blank would stand behind the colon" in reply) == is_told


def test_stop_alone_stops_all_of_the_user():
    answers = run([
        say(1, "forward a"), say(2, "forward b", user="U2"),
        say(3, "forward b"), say(4, "stop"), say(5, "stop"), say(6, "list"),
        say(7, "list", user="U2")])
    assert answers[3]["subscriptions"] == [
        "forward 1 4 U1 any any any a", "forward 3 4 U1 any any any b"]
    assert answers[3]["command"]["reply"] == (
        "<@U1>! your forwarding is stopped for:"
        "\n\u2022 `a`, no one else is subscribed to it"
        "\n\u2022 `b`, other users are still subscribed to it")
    assert "there was nothing to stop" in answers[4]["command"]["reply"]
    assert "no forwards" in answers[5]["command"]["reply"]
    assert "`b`" in answers[6]["command"]["reply"]


@pytest.mark.parametrize("words, reason", [
    ("x" * 10000, "up to 200 bytes"), ("a\nb", "on one line"),
    ("``", "there is no term")], ids=name)
def test_stop_refuses_kindly(words, reason):
    reply, = talk(f"stop {words}")
    assert reply.startswith("<@U1>! I can not stop ") and reason in reply


def test_stop_takes_the_term_as_it_was_given():
    assert changes("forward `in:x`", "stop `in:x`", "forward a in:#b",
                   "stop a in:#b")[1::2] == [
        ["forward 1 2 U1 any any any in:x"], ["forward 3 4 U1 b any any a"]]


# -- mute and talk

@pytest.mark.parametrize("words, seconds", [
    ("30m", 1800), ("2h", 7200), ("1d", 86400), ("90s", 90), ("1h30m", 5400),
    ("30d", 2592000), ("2H", 7200), ("30 m", 1800), ("1h 30m", 5400),
    (" 30m ", 1800), ("1 hour", 3600), ("1 hour 30 minutes", 5400), ("90 secs", 90), ("45min", 2700),
    ("2 hrs", 7200), ("1 week", 604800)])
def test_mute_for_a_while(words, seconds):
    answer, = run([say(1, f"mute {words}")])
    until = START + 1 + seconds
    assert answer["subscriptions"] == [f"mute 1 - U1 {until}"]
    assert f"<!date^{until}^" in answer["command"]["reply"]


@pytest.mark.parametrize("words", [
    "soon", "30", "m", "0m", "31d", "-1h", "1.5h", "30mm", "9" * 30 + "s",
    "1h" * 5000, "9999999w" * 5000, "1 month", "2 hours and", "\x01"], ids=name)
def test_mute_asks_for_how_long(words):
    answer, = run([say(1, f"mute {words}")])
    assert "subscriptions" not in answer
    assert "`mute 30m`" in answer["command"]["reply"]
    assert len(answer["command"]["reply"]) < 300


def test_mute_wants_to_know_the_time():
    slash = {"type": "slash_commands", "user": "U1", "text": "mute 30m"}
    answers = run([slash, {**slash, "received": "2026-11-22T10:00:00.5Z"},
                   {**slash, "text": "mute"}])
    assert "what time it is" in answers[0]["command"]["reply"]
    assert [answer.get("subscriptions") for answer in answers] == [
        None, ["mute 1 - U1 1795343400"],
        ["mute 1 2 U1 1795343400", "mute 3 - U1 -"]]


def test_mute_until_talk():
    answers = run([say(1, "mute"), say(2, "list"), say(3, "mute 1h"),
                   say(4, "forward x"), say(5, "talk"), say(6, "talk"),
                   say(7, "talk", user="U2")])
    assert [answer.get("subscriptions") for answer in answers] == [
        ["mute 1 - U1 -"], None,
        ["mute 1 3 U1 -", f"mute 3 - U1 {START + 3603}"],
        ["forward 4 - U1 any any any x"],
        [f"mute 3 5 U1 {START + 3603}"], None, None]
    replies = [answer["command"]["reply"] for answer in answers]
    assert replies[1].endswith("held back until you say `talk`.")
    assert "held back until <!date^" in replies[3]
    assert "come again" in replies[4] and "not held back" in replies[5]


def test_a_mute_ends_by_the_time_of_messages():
    records = [say(1, "mute 10s"), say(2, "mute 20s", user="U2"),
               message(10, "x"), message(12, "x", backfill=True),
               {**message(13, "x"), "type": "delivery"},
               message(14, "x", ts=f"{START + 11}.000000"), message(15, "x"),
               say(30, "talk", user="U2"), message(31, "x")]
    answers = run(records)
    assert [answer.get("subscriptions") for answer in answers[2:]] == [
        None, None, None, [f"mute 1 14 U1 {START + 11}"], None,
        [f"mute 2 30 U2 {START + 22}"], None]


# -- quarantine

def told_of_quarantine(seq, message, **more):
    """slack-send told the owner."""
    return {"type": "delivery", "seq": seq, "message": message,
            "purpose": "notice", "status": "sent", **more}


def test_a_forward_in_quarantine_is_refused_from_then_on():
    answers = run([
        say(1, "forward a"), say(2, "forward x in:#c"),
        say(3, "forward x", user="U2"),
        told_of_quarantine(4, "quarantine/9/U1"),
        told_of_quarantine(5, "quarantine/2/U1"),
        told_of_quarantine(6, "quarantine/2/U1"), say(7, "list"),
        say(8, "forward x"), say(9, "list")])
    assert [answer.get("subscriptions") for answer in answers[3:]] == [
        None, ["forward 2 5 U1 c any any x", "refused 5 - U1 c any any x"],
        None, None,
        ["refused 5 8 U1 c any any x", "forward 8 - U1 any any any x"], None]
    assert "\u2022 `x` in `#c`: no more, it cost too much" in \
        answers[6]["command"]["reply"]
    assert "no more" not in answers[8]["command"]["reply"]


@pytest.mark.parametrize("message", [
    7, None, "", "quarantine/", "quarantine/1", "quarantine/1/",
    "quarantine/x/U1", "quarantine/1/U2", "quarantine/99999999999999999999/U1",
    "xquarantine/1/U1", "quarantine/1/U1/2"])
def test_other_deliveries_change_nothing(message):
    answers = run([say(1, "forward x"), told_of_quarantine(2, message)])
    assert "subscriptions" not in answers[1]


@pytest.mark.parametrize("purpose", ["relay", "digest", None])
def test_a_service_ends_no_forward_by_the_name_of_a_message(purpose):
    answers = run([say(1, "forward x"), told_of_quarantine(
        2, "quarantine/1/U1", purpose=purpose)])
    assert "subscriptions" not in answers[1]


def test_stop_forgets_what_is_in_quarantine():
    answers = run([say(1, "forward x"),
                   told_of_quarantine(2, "quarantine/1/U1"), say(3, "stop x")])
    assert answers[2]["subscriptions"] == ["refused 2 3 U1 any any any x"]


# -- the file

STORY = [say(1, "forward stark"), say(2, "mute"), say(3, "forward b in:#x"),
         say(4, "stop stark"), message(5, "stark"), say(6, "talk"),
         say(7, "forward /c d/i where:files"), say(8, "stop")]


def test_the_file_holds_what_was_said(table):
    run(STORY[:7], "--subscriptions", table)
    assert table.read_text().startswith("# Subscriptions")
    assert lines_of(table) == [
        "seq 7", "forward 1 4 U1 any any any stark", "mute 2 6 U1 -",
        "forward 3 - U1 x any any b", "forward 7 - U1 any files any /c d/i"]
    assert "`b` in `#x`" in hear([say(8, "list")], "--subscriptions", table)[0]


@pytest.mark.parametrize("first", range(len(STORY) + 1))
@pytest.mark.parametrize("again", [0, 3, 8])
def test_records_given_again_are_answered_the_same(table, first, again):
    """The pipeline dies after some records and plays them again."""
    whole = run(STORY)
    assert run(STORY[:first], "--subscriptions", table) == whole[:first]
    start = max(0, first - again)
    assert run(STORY[start:], "--subscriptions", table) == whole[start:]
    assert lines_of(table)[-1] == "forward 7 8 U1 any files any /c d/i"


def tell_story(dice, length):
    """What three users may say, and what else changes their lines."""
    terms = ["a", "/b+/", "c d"]
    story = []
    for seq in range(1, length + 1):
        user, term = f"U{dice.randint(1, 3)}", dice.choice(terms)
        words = dice.choice(
            ["forward " + term] * 4 + [f"forward {term} in:#x", "stop " + term,
             "stop", "mute", "mute 3s", "mute 20s", "talk", "forward /(/",
             "list", "quote"])
        story.append(dice.choice([
            say(seq, words, user), say(seq, words, user), message(seq, "x"),
            message(seq, "x", backfill=True), told_of_quarantine(
                seq, f"quarantine/{dice.randint(1, seq)}/{user}")]))
    return story


@pytest.mark.parametrize("seed", range(12))
def test_any_story_is_answered_the_same_across_deaths(table, seed):
    """Each time some records before it are given again, and none is lost."""
    dice = random.Random(seed)
    story = tell_story(dice, 120)
    limits = ("--user-max", dice.randint(1, 3), "--total-max", 4)
    whole, at = run(story, *limits), 0
    assert sum("subscriptions" in record for record in whole) > 10
    while at < len(story):
        start = max(0, at - dice.randint(0, 40))
        end = min(len(story), at + dice.randint(0, 15))
        assert run(story[start:end], "--subscriptions", table, *limits) == \
            whole[start:end]
        at = end
    at_once = table.with_name("at_once")
    run(story, "--subscriptions", at_once, *limits)
    assert lines_of(at_once) == lines_of(table)


def test_the_file_is_safe_before_the_answer_leaves(table):
    with Bot(table) as bot:
        for seq in range(1, 20):
            assert bot.ask(say(seq, f"forward t{seq}"))["subscriptions"]
            assert lines_of(table)[-1].endswith(f" t{seq}")


@pytest.mark.parametrize("hang", [None, "2"])
def test_answers_wait_while_the_disk_is_full(tmp_path, hang):
    """Under keep it ends in time, and is given the record again."""
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk", 256 * 1024)
    table = disk.root / "subscriptions"
    try:
        with Bot(tmp_path / "disk" / "subscriptions", enter=disk.enter,
                 env={"KEEP_HANG": hang} if hang else None) as bot:
            bot.ask(say(1, "forward a"))
            disk.fill()
            assert bot.ask(message(2, "x")) == message(2, "x")
            bot.tell(say(3, "forward b"))
            time.sleep(0.5)
            assert select.select([bot.process.stdout], [], [], 0)[0] == []
            assert lines_of(table) == ["seq 1", "forward 1 - U1 any any any a"]
            if hang:
                assert bot.process.wait(10) == EX_TEMPFAIL
                assert bot.process.stdout.read() == b""
                return
            disk.clear()
            assert bot.hear()["subscriptions"]
            assert lines_of(table)[-1] == "forward 3 - U1 any any any b"
    finally:
        disk.stop()


def test_records_without_seq_come_behind_all_others(table):
    run([say(41, "forward a")], "--subscriptions", table)
    records = [say(1, text) for text in (
        "forward b", "forward b in:#x", "stop a", "list")]
    for record in records:
        del record["seq"]
    answers = run(records, "--subscriptions", table)
    assert answers[0]["subscriptions"] == ["forward 42 - U1 any any any b"]
    assert answers[1]["subscriptions"] == [
        "forward 42 43 U1 any any any b", "forward 44 - U1 x any any b"]
    assert "\u2022 `b`" in answers[3]["command"]["reply"]
    assert "`a`" not in answers[3]["command"]["reply"]


def test_a_damaged_file_is_kept_and_the_rest_of_it_taken(table):
    content = ("# Subscriptions\nseq 9\nforward 1 - U1 any any any a\n"
               "forward x - U1 any any any b\nwhat\n"
               "forward 2 - U1 any any bad c\nmute 3 - U1 -\n"
               "forward 4 - U1 any any any \xff\n").encode("latin-1")
    table.write_bytes(content)
    line = json.dumps(say(10, "list")).encode() + b"\n"
    done = run_program("slack-bot", "--bot-id", BOT, "--subscriptions", table,
                       stdin=line)
    assert done.returncode == 0
    said = done.stderr.decode()
    for number in (4, 5, 6, 8):
        assert f"{table}:{number}: " in said
    assert f"{table}.bad" in said
    reply = json.loads(done.stdout)["command"]["reply"]
    assert "`a`" in reply and "`b`" not in reply and "until you say" in reply
    bad = table.with_name("subscriptions.bad")
    assert bad.read_bytes() == content
    assert lines_of(table) == ["seq 9", "forward 1 - U1 any any any a",
                               "mute 3 - U1 -"]


def test_what_somebody_wrote_twice_is_stopped_as_one(table):
    table.write_text("forward 0 - U1 any any any a\n" * 3 +
                     "mute 0 - U1 -\n" * 2)
    stopped, talked, listed = hear(
        [say(1, "stop a"), say(2, "talk"), say(3, "list")],
        "--subscriptions", table)
    assert "is stopped for `a`, no one else" in stopped
    assert "come again" in talked
    assert "you have no forwards" in listed and "held back" not in listed


def test_the_highest_number_ends_nothing(table):
    table.write_text(f"seq {2**63 - 1}\n")
    record = say(1, "forward a")
    del record["seq"]
    assert "is set for `a`" in hear([record], "--subscriptions", table)[0]


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    done = run_program("slack-bot", "--subscriptions", tmp_path)
    assert done.returncode == EX_CONFIG
    assert str(tmp_path) in done.stderr.decode()


def test_ended_lines_are_forgotten_in_time(table):
    run([say(seq, ("forward", "stop")[seq % 2 == 0] + " x")
         for seq in range(1, 6001)], "--subscriptions", table)
    assert 2000 <= len(lines_of(table)) <= 2002
    run([say(200000, "forward y")], "--subscriptions", table)
    assert lines_of(table) == ["seq 200000", "forward 200000 - U1 any any any y"]


def test_term_ends_it(table):
    with subprocess.Popen(
            [BIN / "slack-bot", "--bot-id", BOT, "--subscriptions", table],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE) as bot:
        bot.stdin.write(json.dumps(say(1, "forward x")).encode() + b"\n")
        bot.stdin.flush()
        assert bot.stdout.readline()
        bot.send_signal(signal.SIGTERM)
        assert bot.wait(10) == -signal.SIGTERM


# -- wrong use

@pytest.mark.parametrize("arguments", [
    ["--user-max", "0"], ["--seed", "x"], ["--what"], ["file"],
    ["--dashboard", "ultron"], ["--dashboard", "https://x|y"]])
def test_wrong_use_is_told(arguments):
    assert run_program("slack-bot", *arguments).returncode == EX_USAGE


def test_a_key_that_is_none_is_told_without_it():
    done = run_program("slack-bot", env={"GIPHY_API_KEY": "a&b=c"})
    assert done.returncode == EX_CONFIG
    assert b"GIPHY_API_KEY" in done.stderr and b"a&b" not in done.stderr
