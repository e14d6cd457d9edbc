"""scanner: what people subscribed to: from when on, for whom, and what of it.

An oracle in Python keeps the subscriptions as slack-bot does and says who is
to be told; files and pieces of the stream are cut out of one long history.
"""
import json
import random
import re
import signal
import subprocess
import time

import pytest

from conftest import BIN, children_cpu_s, limit_memory, run_program

EX_USAGE, EX_IOERR = 64, 74
KIB = 1024
EVIL = "/(a+)+[bc]/"
DEAR = "a" * 60000


def forward(start, user, term, end="-", where="any", place="any",
            only="any"):
    return f"forward {start} {end} {user} {place} {where} {only} {term}"


def mute(start, user, until="-", end="-"):
    return f"mute {start} {end} {user} {until}"


def message(seq, text, user="W9", **more):
    return {"type": "message", "seq": seq, "channel": "C1", "user": user,
            "text": text, **more}


def command(seq, *lines, user="U1"):
    return message(seq, "x", user, command={"name": "forward"},
                   subscriptions=list(lines))


def edit(seq, before, after, **more):
    return {"type": "message", "subtype": "message_changed", "seq": seq,
            "channel": "C1", "message": {"user": "W9", **after},
            "previous_message": {"user": "W9", **before}, **more}


@pytest.fixture
def table(tmp_path):
    """The file of subscriptions; called with lines it holds these."""
    path = tmp_path / "subscriptions"

    def write(*lines):
        path.write_text("# Subscriptions\nseq 1\n" +
                        "".join(line + "\n" for line in lines),
                        encoding="utf-8")
        return path
    return write


@pytest.fixture
def spool(tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def run(path, records, *arguments, **more):
    stdin = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    done = run_program("scanner", "--subscriptions", path, *arguments,
                       stdin=stdin, **more)
    assert done.returncode == 0, done.stderr
    return done


def scan(path, *records, spool=None, patterns=None):
    arguments = ["--spool", spool] if spool else []
    arguments += ["--patterns", patterns] if patterns else []
    done = run(path, records, *arguments)
    assert done.stderr == b""
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(records)
    return answers


def told(answers):
    return [answer.get("notify", []) for answer in answers]


def terms(answer):
    return [match["pattern"] for match in answer.get("matches", [])]


# -- when

def test_a_change_is_in_force_from_the_next_record_on(table):
    answers = scan(
        table(), message(1, "stark"),
        command(2, forward(2, "U1", "stark")), message(3, "stark"),
        command(4, forward(2, "U1", "stark", end=4)), message(5, "stark"))
    assert told(answers) == [[], [], ["U1"], [], []]
    assert answers[2]["matches"] == [{
        "pattern": "stark", "for": {"U1": 2}, "where": "text", "line": 1,
        "excerpt": "stark", "start": 0, "end": 5, "marked": [0, 5]}]
    assert "matches" not in answers[0] and "notify" not in answers[0]


def test_the_record_that_ends_it_is_in_force_still(table):
    """slack-bot's record of a quarantine is no command."""
    path = table(forward(1, "U1", "stark"))
    answers = scan(path, message(2, "stark", subscriptions=[
        forward(1, "U1", "stark", end=2)]), message(3, "stark"))
    assert told(answers) == [["U1"], []]


def test_a_change_of_what_is_wanted_takes_over(table):
    path = table(forward(1, "U1", "stark"))
    answers = scan(
        path, command(5, forward(1, "U1", "stark", end=5),
                      forward(5, "U1", "stark", where="files")),
        message(6, "stark"), message(7, "stark"))
    assert told(answers) == [[], [], []]


def test_a_file_newer_than_the_records_changes_nothing(table):
    path = table(forward(3, "U1", "stark", end=5), forward(90, "U2", "stark"),
                 mute(4, "U1", end=4), mute(80, "U1"))
    answers = scan(path, *(message(seq, "stark") for seq in range(1, 7)))
    assert told(answers) == [[], [], [], ["U1"], ["U1"], []]
    assert not any("held" in answer for answer in answers)


def test_quotes_may_be_curly(table):
    path = table(forward(0, "U1", "can't"), forward(0, "U2", '"id":7'),
                 forward(0, "U3", "/it's/"))
    texts = ("I can't", "I can\u2019t", "I can\u2018t", "I cant",
             '{"id":7}', "\u201cid\u201d:7", "id:7", "it's", "it\u2019s")
    answers = scan(path, *(message(seq, text)
                           for seq, text in enumerate(texts, 1)))
    assert told(answers) == [["U1"], ["U1"], ["U1"], [], ["U2"], ["U2"], [],
                             ["U3"], []]


def test_without_a_seq_what_stands_is_in_force(table):
    record = {"type": "message", "text": "stark", "user": "W9"}
    path = table(forward(3, "U1", "stark", end=5), forward(90, "U2", "stark"))
    answers = scan(path, record, message(4, "stark"), record, message(91, "x"),
                   record)
    assert told(answers) == [["U2"], ["U1"], ["U2"], [], ["U2"]]


def test_without_a_seq_a_change_counts_from_the_next_record(table):
    record = {"type": "message", "text": "stark", "user": "W9"}
    answers = scan(
        table(), record,
        {**record, "subscriptions": [forward(1, "U1", "stark")]}, record,
        {**record, "subscriptions": [forward(1, "U1", "stark", end=2)]},
        record)
    assert told(answers) == [[], [], ["U1"], ["U1"], []]


def test_records_may_go_back(table):
    """Recordings one behind the other."""
    path = table(forward(3, "U1", "stark", end=5), forward(4, "U2", "stark"))
    answers = scan(path, *(message(seq, "stark") for seq in
                           (9, 5, 4, 3, 4, 5, 6, 1)))
    assert told(answers) == [["U2"], ["U1", "U2"], ["U1"], [], ["U1"],
                             ["U1", "U2"], ["U2"], []]


def test_no_file_is_no_subscriptions(tmp_path):
    answers = scan(tmp_path / "none", message(1, "stark"))
    assert answers == [message(1, "stark")]


def test_a_file_that_cannot_be_read_is_no_reason_to_go_on(tmp_path):
    done = run_program("scanner", "--subscriptions", tmp_path,
                       stdin=b"{}\n")
    assert done.returncode == EX_IOERR and done.stdout == b""
    assert done.stderr.startswith(b"scanner: read %s: " %
                                  str(tmp_path).encode())


class History:
    """What slack-bot would say and keep, and who is to be told of what."""

    WORDS = ["stark", "wayne", "error", "Error 42", "a.b", "ok", "e", "1"]
    TERMS = ["stark", "wayne", "a.b", "/err/i", "/[0-9]+$/", "e", "/^ok/",
             "pattern", "rr"]
    USERS = ["U1", "U2", "U3", "U4"]

    def __init__(self, seed, count):
        self.random = random.Random(seed)
        self.lines = []         # as dicts, in the order they were made
        self.records, self.files, self.expected = [], [], []
        for seq in range(1, count + 1):
            self.files.append([self.show(line) for line in self.lines])
            self.add(seq)

    def add(self, seq):
        if self.random.random() < 0.3:
            self.records.append(self.change(seq))
            self.expected.append(([], {}))
            return
        record = message(seq, " ".join(self.random.choices(self.WORDS, k=3)),
                         self.random.choice(self.USERS),
                         channel=self.random.choice(["C1", "C2"]))
        self.expected.append(self.judge(record))
        self.records.append(record)

    @staticmethod
    def show(line):
        end = line["to"] or "-"
        if "until" in line:
            return mute(line["from"], line["user"], line["until"], end)
        return forward(line["from"], line["user"], line["term"], end,
                       place=line["in"])

    def standing(self, user, kind):
        return [line for line in self.lines if line["user"] == user and
                not line["to"] and kind in line]

    def change(self, seq):
        """A command; several changes at once are none too many."""
        user, changed = self.random.choice(self.USERS), []
        wish = self.random.choice(["forward", "forward", "stop", "mute"])
        if wish == "mute":
            ended, new = self.standing(user, "until"), {"until": "-"}
            if ended:
                new = None
        else:
            term = self.random.choice(self.TERMS)
            ended = [line for line in self.standing(user, "term")
                     if line["term"] == term]
            new = {"term": term, "in": self.random.choice(["any", "C1"])}
            if wish == "stop":
                ended, new = self.standing(user, "term"), None
        for line in ended:
            line["to"] = seq
            changed.append(line)
        if new:
            changed.append({"from": seq, "to": None, "user": user, **new})
            self.lines.append(changed[-1])
        return command(seq, *map(self.show, changed), user=user)

    @staticmethod
    def matches(line, record):
        term = line["term"]
        found = re.fullmatch(r"/(.+)/(i?)", term)
        expression = found.group(1) if found else re.escape(term)
        flags = re.I if found and found.group(2) else 0
        return line["in"] in ("any", record["channel"]) and \
            re.search(expression, record["text"], flags)

    def judge(self, record):
        users = {line["user"] for line in self.lines
                 if not line["to"] and "term" in line and
                 line["user"] != record["user"] and
                 self.matches(line, record)}
        muted = {user for user in users if self.standing(user, "until")}
        return sorted(users - muted), {user: 0 for user in sorted(muted)}


@pytest.mark.parametrize("seed", range(5))
def test_tells_whom_an_oracle_would(table, seed):
    history = History(seed, 400)
    answers = scan(table(), *history.records)
    assert [(answer.get("notify", []), answer.get("held", {}))
            for answer in answers] == history.expected
    assert any(held for _, held in history.expected)


@pytest.mark.parametrize("seed", range(5))
def test_records_given_again_are_answered_as_before(table, seed):
    """Whenever it died: a file of any time, records from any before that."""
    history = History(100 + seed, 300)
    whole = run(table(), history.records).stdout.splitlines()
    for _ in range(12):
        written = history.random.randrange(len(whole))
        start = history.random.randrange(written + 1)
        lines = history.files[written]
        history.random.shuffle(lines)
        again = run(table(*lines), history.records[start:])
        assert again.stdout.splitlines() == whole[start:]


def test_scanning_again_replaces_what_it_said(table):
    history = History(7, 200)
    once = run(table(), history.records).stdout
    twice = run_program("scanner", "--subscriptions", table(), stdin=once)
    assert twice.stdout == once
    plain, = scan(table(), message(1, "x", notify=["U1"], held={"U2": 0},
                                   quarantine=[{}], matches=[]))
    assert plain == message(1, "x")


# -- for whom

def test_two_users_share_what_they_want_equally(table):
    path = table(forward(8, "U3", "stark"), forward(7, "U1", "stark"),
                 forward(9, "U2", "stark", where="text"))
    answer, = scan(path, message(10, "stark"))
    assert [(match["pattern"], match["for"]) for match in answer["matches"]] \
        == [("stark", {"U1": 7, "U3": 8}), ("stark", {"U2": 9})]
    assert answer["notify"] == ["U1", "U2", "U3"]


def test_the_author_is_not_told(table):
    path = table(forward(1, "U1", "stark"), forward(1, "U2", "stark"),
                 forward(1, "U1", "own"))
    both, alone = scan(path, message(2, "stark", "U1"), message(3, "own", "U1"))
    assert both["notify"] == ["U2"]
    assert [match["for"] for match in both["matches"]] == [{"U2": 1}]
    assert alone == message(3, "own", "U1")


def test_the_author_of_an_edit_is_not_told(table):
    path = table(forward(1, "W9", "stark"), forward(1, "U1", "stark"))
    answer, = scan(path, edit(2, {"text": "x"}, {"text": "stark"}))
    assert answer["notify"] == ["U1"]


def test_who_is_muted_is_held(table):
    path = table(*(forward(1, user, "stark") for user in ("U1", "U2", "U3")),
                 mute(2, "U1", 1763800000), mute(3, "U3"), mute(3, "U4"))
    answer, = scan(path, message(5, "stark"))
    assert answer["notify"] == ["U2"]
    assert answer["held"] == {"U1": 1763800000, "U3": 0}
    assert answer["matches"][0]["for"] == {"U1": 1, "U2": 1, "U3": 1}


def test_of_two_mutes_the_last_counts(table):
    path = table(forward(1, "U1", "stark"), mute(3, "U1", 1763800000),
                 mute(2, "U1"))
    answer, = scan(path, message(5, "stark"))
    assert answer["held"] == {"U1": 1763800000} and "notify" not in answer


def test_a_class_is_named_with_the_match(table):
    path = table(forward(1, "U1", "stark", only="danger"),
                 forward(1, "U2", "stark"))
    answer, = scan(path, message(5, "stark"))
    assert [(match["for"], match.get("only")) for match in answer["matches"]] \
        == [({"U2": 1}, None), ({"U1": 1}, "danger")]
    assert answer["notify"] == ["U1", "U2"]


# -- what of a record

def test_a_message_may_be_told_as_a_mention(table):
    path = table(forward(1, "U1", "stark"))
    record = {**message(2, "hey <@U0BOT>, stark"), "type": "app_mention"}
    assert told(scan(path, record)) == [["U1"]]


@pytest.mark.parametrize("place,more,is_told", [
    ("C1", {}, True), ("C2", {}, False), ("c1", {}, False),
    ("builds", {"names": {"channel": "builds"}}, True),
    ("builds", {"names": {"channel": "#builds"}}, True),
    ("build", {"names": {"channel": "builds"}}, False),
    ("builds", {"type": "api_message", "channel": "#builds"}, True),
    ("builds", {"type": "api_message", "channel": "builds"}, True),
    ("C1", {"channel": None}, False), ("C1", {"names": 1}, True)])
def test_a_channel_is_meant_by_id_or_name(table, place, more, is_told):
    path = table(forward(1, "U1", "stark", place=place))
    answer, = scan(path, {**message(2, "stark"), **more})
    assert ("notify" in answer) == is_told == ("matches" in answer)


@pytest.mark.parametrize("where,found", [
    ("any", ["text", "attachment", "payload", "file:F1"]),
    ("text", ["text", "attachment", "payload"]), ("files", ["file:F1"])])
def test_looks_where_it_is_asked_to(table, spool, where, found):
    (spool / "aa").write_bytes(b"stark")
    path = table(forward(1, "U1", "stark", where=where))
    answer, = scan(path, message(
        2, "stark", attachments=[{"text": "stark"}], payload="stark",
        fetched=[{"file": "F1", "status": "ok", "path": "aa"}]), spool=spool)
    assert [match["where"] for match in answer["matches"]] == found


@pytest.mark.parametrize("more", [
    {"own": True}, {"command": {"name": "help"}}, {"type": "delivery"},
    {"type": "reply"}, {"type": "slash_commands"}, {"type": "error"},
    {"type": "quarantine"}, {"type": None}, {"subtype": "message_deleted"},
    {"channel_type": "im"}, {"channel_type": "im", "bot_id": "B2"}])
def test_some_records_are_nobodys_concern(table, tmp_path, more):
    patterns = tmp_path / "patterns"
    patterns.write_text("p any stark\n", encoding="utf-8")
    answer, = scan(table(forward(1, "U1", "stark")),
                   {**message(2, "stark"), **more}, patterns=patterns)
    assert terms(answer) == ["p"] and "notify" not in answer


def test_a_command_that_is_edited_is_nobodys_concern(table):
    """One that is no command any more is; so is what else names the bot."""
    before, after = {"text": "<@U9> a"}, {"text": "<@U9> forward stark"}
    answers = scan(
        table(forward(0, "U1", "stark")),
        edit(2, before, after, addressed="U9"),
        edit(3, before, {"text": "stark"}),
        message(4, "<@U9> stark", bot_id="B2", addressed="U9"))
    assert [answer.get("notify") for answer in answers] == [
        None, ["U1"], ["U1"]]


def test_what_is_told_the_bot_alone_is_nobodys_concern(table, spool):
    """Later, too: neither what it was edited to, nor a file that came late."""
    (spool / "aa").write_bytes(b"stark")
    late = {"type": "late_file", "of": 2, "user": "W9", "files": [
        {"id": "F1"}], "fetched": [
            {"file": "F1", "status": "ok", "path": "aa"}]}
    answers = scan(
        table(forward(1, "U1", "stark")),
        edit(2, {"text": "x"}, {"text": "stark"}, channel="D1",
             channel_type="im"),
        {**late, "seq": 3, "channel": "D0HUMAN001"},
        {**late, "seq": 4, "channel": "C1"}, spool=spool)
    assert told(answers) == [[], [], ["U1"]]


def test_of_a_late_file_only_the_file_counts(table, spool):
    (spool / "aa").write_bytes(b"stark")
    late = {"type": "late_file", "seq": 3, "of": 2, "channel": "C1",
            "user": "U1", "files": [{"id": "F1", "name": "stark.txt"}],
            "fetched": [{"file": "F1", "status": "ok", "path": "aa"}]}
    path = table(forward(1, "U1", "stark"), forward(1, "U2", "stark"))
    answer, = scan(path, late, spool=spool)
    assert [match["where"] for match in answer["matches"]] == ["file:F1"]
    assert answer["notify"] == ["U2"]


@pytest.mark.parametrize("before,after,found", [
    ({"text": "x"}, {"text": "stark"}, ["stark"]),
    ({"text": "stark"}, {"text": "stark"}, []),
    ({"text": "stark x"}, {"text": "stark y"}, []),
    ({"text": "stark"}, {"text": "stark wayne"}, ["wayne"]),
    ({"text": "wayne"}, {"text": "stark"}, ["stark"]),
    ({"text": "&lt;stark&gt;"}, {"text": "<stark>!"}, []),
    ({"text": "", "attachments": [{"text": "running"}]},
     {"text": "", "attachments": [{"text": "stark failed"}]}, ["stark"]),
    ({"text": "http://x/stark"}, {"text": "http://x/stark",
     "attachments": [{"title": "stark"}]}, []),
    ({"text": "", "attachments": [{"text": "stark"}]},
     {"text": "stark", "attachments": [{"text": "stark"}]}, [])])
def test_of_an_edit_what_is_new_counts(table, before, after, found):
    path = table(forward(1, "U1", "stark"), forward(1, "U1", "wayne"))
    answer, = scan(path, edit(2, before, after))
    assert terms(answer) == found
    assert ("notify" in answer) == bool(found)


def test_an_edit_that_does_not_say_what_it_was_is_all_new(table):
    path = table(forward(1, "U1", "stark"))
    record = edit(2, {}, {"text": "stark"})
    del record["previous_message"]
    assert told(scan(path, record)) == [["U1"]]


def test_of_an_edit_only_new_files_count(table, spool):
    (spool / "aa").write_bytes(b"stark")
    path = table(forward(1, "U1", "stark", where="files"))
    answer, = scan(path, edit(
        2, {"text": "a", "files": [{"id": "F1"}]},
        {"text": "b", "files": [{"id": "F1"}, {"id": "F2"}]},
        fetched=[{"file": file, "status": "ok", "path": "aa"}
                 for file in ("F1", "F2")]), spool=spool)
    assert [match["where"] for match in answer["matches"]] == ["file:F2"]


# -- terms

@pytest.mark.parametrize("term", [
    "pattern", "for", "matches", "notify", "seq", "any", "-", "forward 1 - U",
    'say "x"', "back\\slash", "a.b*(c)[d]{2}^$|?+", "#", "/", "//", "/a", "a/",
    "<@U1>", "&amp", "__proto__", "%s%n", "Z\u00fcrich \u20ac \U0001f680",
    "x  y", "\x7f", "\u2028"])
def test_a_term_is_looked_for_as_it_stands(table, term):
    path = table(forward(1, "U1", term))
    yes, no = scan(path, {**message(2, "x"), "payload": f"q{term}q"},
                   message(3, "patter abcd aab"))
    assert terms(yes) == [term] and yes["notify"] == ["U1"]
    assert terms(no) == []


def test_a_term_named_as_a_pattern_is_told_from_it(table, tmp_path):
    patterns = tmp_path / "patterns"
    patterns.write_text("crash any FATAL\n", encoding="utf-8")
    path = table(forward(1, "U1", "crash"))
    answer, = scan(path, message(2, "FATAL crash"), patterns=patterns)
    assert [("for" in match, match["start"]) for match in answer["matches"]] \
        == [(False, 0), (True, 6)]


@pytest.mark.parametrize("term,text,found", [
    ("stark", "Stark", False), ("/stark/", "Stark", False),
    ("/stark/i", "Stark", True), ("/^x.z$/", "a\nxyz\nb", True),
    ("/a|b/", "b", True)])
def test_a_term_in_slashes_is_an_expression(table, term, text, found):
    answer, = scan(table(forward(1, "U1", term)), message(2, text))
    assert terms(answer) == [term] * found


def test_a_bad_line_is_reported_and_the_others_stand(table):
    path = table(forward(1, "U1", "/(/"), "forward what", "nonsense",
                 forward(1, "U1", "/x*/"), forward(1, "U1", "stark"))
    done = run(path, [message(2, "stark"), message(3, "stark"),
                      message(4, "", subscriptions=["mute 4 - U1 -"])])
    assert told(map(json.loads, done.stdout.splitlines())) == \
        [["U1"], ["U1"], []]
    assert done.stderr.decode().splitlines() == [
        f"scanner: {path}:4: a field is missing",
        f"scanner: {path}:5: expected seq, forward, refused, mute or job",
        "scanner: subscription 1 of U1: missing closing parenthesis",
        "scanner: subscription 1 of U1: "
        "matches the empty string, and so everywhere"]


@pytest.mark.parametrize("lines,reason", [
    (["forward 2 - U1"], "subscriptions: a field is missing"),
    ([1], "subscriptions: a line is no string"), ("x", None), ([], None),
    (["job 2 - U1 C1 - test a", "refused 2 - U1 any any any stark"], None)])
def test_what_is_no_line_is_an_error_of_its_record(table, lines, reason):
    first, second = scan(table(), message(2, "", subscriptions=lines),
                         message(3, "stark"))
    assert first.get("error", {}).get("reason") == reason
    assert second == message(3, "stark")


def test_more_lines_than_can_be_are_refused(table):
    lines = [forward(1, f"U{i}", f"t{i}") for i in range(20001)]
    path = table(*lines)
    answers = scan(path, command(2, forward(2, "U1", "stark")),
                   message(3, "t7 "))
    assert answers[0]["error"]["reason"] == "subscriptions: too many lines"
    assert answers[1]["notify"] == ["U7"]


# -- what is shown

@pytest.mark.parametrize("text", [
    "a stark b", "\u20ac\u20acstark", "x" * 500 + "stark" + "y" * 500,
    "\u20ac" * 300 + "stark\u20ac", "\x01\t stark\n more", "stark",
    "\u20ac" * 60 + "stark" + "\u20ac" * 60])
def test_the_match_is_marked_in_the_excerpt(table, text):
    answer, = scan(table(forward(1, "U1", "stark")), message(2, text))
    match, = answer["matches"]
    start, end = match["marked"]
    assert match["excerpt"].encode()[start:end] == b"stark"


def test_a_long_match_is_marked_as_far_as_it_is_shown(table):
    path = table(forward(1, "U1", "/x\u20ac+/"))
    answer, = scan(path, message(2, "ab x" + "\u20ac" * 200))
    match, = answer["matches"]
    start, end = match["marked"]
    assert end == len(match["excerpt"].encode()) and start == 0
    assert match["excerpt"].startswith("x\u20ac")


def scan_file(path, spool, content, **more):
    (spool / "aa").write_bytes(content)
    return scan(path, message(2, "", fetched=[
        {"file": "F1", "status": "ok", "path": "aa"}], **more), spool=spool)[0]


def test_all_of_a_small_text_is_around_the_match(table, spool):
    content = b"".join(b"line %d\n" % i for i in range(900))
    assert 7 * KIB < len(content) <= 8 * KIB
    path = table(forward(1, "U1", "line 7"), forward(1, "U2", "line 5"))
    answer = scan_file(path, spool, content, attachments=[{"text": "line 5"}])
    arounds = [(match["where"], match["pattern"], match["around"])
               for match in answer["matches"] if "around" in match]
    assert arounds == [("attachment", "line 5", "line 5"),
                       ("file:F1", "line 5", content.decode())]


@pytest.mark.parametrize("at", [0, 5, 4000, 8190, 60000, 70000, 130000, 199990])
def test_whole_lines_of_a_large_text_are_around_the_match(table, spool, at):
    lines = [b"line %06d of a log that goes on\n" % i for i in range(6000)]
    content = b"".join(lines)
    at -= at % len(lines[0])
    content = content[:at] + b"here is stark\n" + content[at:]
    answer = scan_file(table(forward(1, "U1", "stark")), spool, content)
    around = answer["matches"][0]["around"].encode()
    start = content.index(around)
    assert b"here is stark\n" in around
    assert start == 0 or content[start - 1] == 10
    assert around.endswith(b"\n")
    assert 8 * KIB - 2 * len(lines[0]) < len(around) <= 8 * KIB


def test_of_a_long_line_a_part_is_around_the_match(table, spool):
    content = ("\u20ac" * 30000 + "stark" + "\u20ac" * 30000).encode()
    answer = scan_file(table(forward(1, "U1", "stark")), spool, content)
    around = answer["matches"][0]["around"]
    assert re.fullmatch("\u20ac+stark\u20ac+", around)
    assert len(around.encode()) > 6 * KIB


def test_a_match_longer_than_that_is_cut(table, spool):
    content = b"<" + "\u20ac".encode() * 4000 + b">"
    answer = scan_file(table(forward(1, "U1", "/<.*>/")), spool, content)
    around = answer["matches"][0]["around"]
    assert around == "<" + "\u20ac" * (8191 // 3)


def test_three_texts_of_a_record_are_shown(table, spool):
    (spool / "aa").write_bytes(b"stark stark")
    path = table(forward(1, "U1", "stark"), forward(1, "U2", "/stark/"))
    answer, = scan(path, message(
        2, "stark", payload="stark", fetched=[
            {"file": f"F{i}", "status": "ok", "path": "aa"}
            for i in range(5)]), spool=spool)
    assert [match["where"] for match in answer["matches"]
            if "around" in match] == ["payload", "file:F0", "file:F1"]


def test_the_first_match_in_the_text_has_what_is_around(table, spool):
    """In whatever order they are found."""
    content = b"x\n" * 1000 + b"wayne\n" + b"y\n" * 20000 + b"stark\n"
    path = table(forward(1, "U1", "stark"), forward(1, "U1", "wayne"))
    first, second = scan_file(path, spool, content)["matches"]
    assert (first["pattern"], second["pattern"]) == ("wayne", "stark")
    assert "around" not in second
    assert "x\nwayne\ny\n" in first["around"]


def test_bytes_that_are_no_text_are_shown_somehow(table, spool):
    answer = scan_file(table(forward(1, "U1", "stark")), spool,
                       b"\xff\xfe\xfa caf\xe9 stark \xc3"[2:])
    assert answer["matches"][0]["around"] == "\ufffd caf\ufffd stark \ufffd"


# -- what it costs

def test_what_keeps_costing_too_much_is_put_in_quarantine(table, tmp_path):
    patterns = tmp_path / "patterns"
    patterns.write_text(f"evil any {EVIL[1:-1]}\n", encoding="utf-8")
    path = table(forward(5, "U2", EVIL), forward(4, "U1", EVIL),
                 forward(4, "U1", "stark"))
    answers = scan(path, *(message(seq, "stark " + DEAR)
                           for seq in range(6, 11)), patterns=patterns)
    limits = [[limit.get("for") for limit in answer["limits"]]
              for answer in answers]
    both = {"U1": 4, "U2": 5}
    assert limits == [[None, both]] * 3 + [[None]] * 2
    assert [answer.get("quarantine") for answer in answers] == [
        None, None, [{"pattern": EVIL, "for": both}], None, None]
    assert told(answers) == [["U1"]] * 5


def test_who_comes_later_is_told_of_the_quarantine(table):
    path = table(forward(1, "U1", EVIL))
    answers = scan(path, *(message(seq, DEAR) for seq in range(2, 5)),
                   command(5, forward(5, "U2", EVIL), user="U2"),
                   message(6, "ab"), message(7, "ab"))
    assert [answer.get("quarantine") for answer in answers[2:]] == [
        [{"pattern": EVIL, "for": {"U1": 1}}], None,
        [{"pattern": EVIL, "for": {"U2": 5}}], None]
    assert told(answers[4:]) == [[], []]


def test_a_quarantine_ends_with_its_subscriptions(table):
    path = table(forward(1, "U1", EVIL))
    answers = scan(path, *(message(seq, DEAR) for seq in range(2, 5)),
                   command(5, forward(1, "U1", EVIL, end=5)),
                   command(6, forward(6, "U1", EVIL)), message(7, "ab"))
    assert told(answers)[-1] == ["U1"]


def test_what_is_not_looked_for_is_not_charged(table):
    """Records that are for somebody else cost a subscription nothing."""
    path = table(forward(1, "U1", EVIL, place="C1"))
    answers = scan(
        path, *(message(seq, DEAR, "U1") for seq in range(2, 6)),
        *({**message(seq, DEAR), "channel": "C2"} for seq in range(6, 10)),
        message(10, "ab"))
    assert told(answers)[-1] == ["U1"]
    assert not any("limits" in answer for answer in answers)


@pytest.mark.parametrize("count", [6, 100])
def test_all_together_hold_up_nothing(table, spool, tmp_path, count):
    patterns = tmp_path / "patterns"
    patterns.write_text("p any stark\n", encoding="utf-8")
    (spool / "aa").write_bytes(b"a" * (8 << 20) + b"stark")
    path = table(*(forward(1, "U1", f"/(a+)+[b{i}]/") for i in range(count)))
    start = children_cpu_s()
    answer, = scan(path, message(2, "", fetched=[
        {"file": "F1", "status": "ok", "path": "aa"}]), spool=spool,
        patterns=patterns)
    assert children_cpu_s() - start < 30
    assert terms(answer) == ["p"]
    assert len(answer["limits"]) <= 10
    assert count > 10 or answer["limits"][-1]["reason"] == (
        "subscriptions given up in this record, together they cost too much")


def test_a_record_counts_once_against_a_subscription(table):
    path = table(forward(1, "U1", EVIL))
    answers = scan(path, *(
        message(seq, DEAR, payload=DEAR, attachments=[{"text": DEAR}])
        for seq in range(2, 5)))
    assert [len(answer["limits"]) for answer in answers] == [3, 3, 3]
    assert ["quarantine" in answer for answer in answers] == \
        [False, False, True]


def test_limits_of_subscriptions_crowd_out_no_others(table, tmp_path):
    patterns = tmp_path / "patterns"
    patterns.write_text("p text x\nq payload y\n", encoding="utf-8")
    path = table(*(forward(1, "U1", f"/x|{i}/") for i in range(60)))
    answer, = scan(path, message(2, "x" * 30, payload="y" * 30),
                   patterns=patterns)
    limits = answer["limits"]
    assert [limit["pattern"] for limit in limits if "for" not in limit] == \
        ["p", "q"]
    assert len(limits) == 12
    assert {limit["reason"] for limit in limits} == {"20 more matches"}


def test_a_record_has_a_bounded_number_of_matches(table):
    path = table(*(forward(1, f"U{i % 20}", f"/a|{i:04}/")
                   for i in range(2000)))
    done = run(path, [message(2, "a" * 100 + "x" * 5000)],
               preexec_fn=limit_memory(400))
    answer = json.loads(done.stdout)
    assert len(set(terms(answer))) == 2000
    assert len(answer["matches"]) == 500 + 2000 - 500 // 10
    assert len(done.stdout) < 2 << 20
    assert len(answer["notify"]) == 20


def test_two_thousand_subscriptions_are_no_burden(table):
    path = table(*(forward(1, f"U{i % 20}", f"term number {i} is this")
                   for i in range(2000)))
    records = [message(seq, f"a word or two of term number {seq} is this")
               for seq in range(2, 1002)]
    start = children_cpu_s()
    answers = scan(path, *records)
    assert children_cpu_s() - start < 20
    assert told(answers) == [[f"U{seq % 20}"] for seq in range(2, 1002)]


def test_changes_at_every_record_are_kept_up_with(table):
    """And what ended long ago is forgotten."""
    lines = [forward(1, f"U{i % 20}", f"term {i}") for i in range(1000)]
    records = [command(seq, *(line for term in "abcd" for line in (
        forward(seq - 1, "U1", term, end=seq), forward(seq, "U1", term))))
               for seq in range(2, 6002)]
    start = children_cpu_s()
    answers = scan(table(*lines), *records, message(6002, "a"))
    assert children_cpu_s() - start < 30
    assert answers[-1]["matches"][0]["for"] == {"U1": 6001}
    assert not any("error" in answer for answer in answers)


def without_people(answer):
    """What is left when all that was found for people is taken out."""
    for name in ("notify", "held", "quarantine"):
        answer.pop(name, None)
    for name in ("matches", "limits"):
        answer[name] = [entry for entry in answer.get(name, [])
                        if "for" not in entry]
    return answer


def test_patterns_find_what_they_find_without_subscriptions(
        table, tmp_path, community):
    patterns = tmp_path / "patterns"
    patterns.write_text("a text,files [aeiou]{2,}\nb any (?i)error\n",
                        encoding="utf-8")
    path = table(*(forward(1, f"U{i}", term) for i, term in enumerate(
        ["the", "/[aeiou]{2,}/", "/error/i", "/^.*$/", "e", "http"] * 20)))
    stdin = b"".join(community.splitlines(keepends=True)[:1500])
    plain, told_too = (
        [json.loads(line) for line in run_program(
            "scanner", "--patterns", patterns, *arguments,
            stdin=stdin).stdout.splitlines()]
        for arguments in ([], ["--subscriptions", path]))
    assert any("notify" in answer for answer in told_too)
    assert list(map(without_people, told_too)) == \
        list(map(without_people, plain))


# -- a running scanner

class Running:
    """A scanner that is fed a record at a time."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [BIN / "scanner", *map(str, arguments)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def answer(self, record):
        self.process.stdin.write(json.dumps(record).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def hang_up(self, record, wanted):
        """Signals arrive when they do: ask until the answer is as wanted."""
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if wanted(self.answer(record)):
                return
            time.sleep(0.01)
        raise AssertionError("it does not read again")

    def end(self):
        self.process.stdin.close()
        stderr = self.process.stderr.read().decode()
        assert self.process.wait(10) == 0
        self.process.stdout.close()
        self.process.stderr.close()
        return stderr


def test_hup_reads_the_file_again(table, tmp_path):
    patterns = tmp_path / "patterns"
    patterns.write_text("p any wayne\n", encoding="utf-8")
    path = table(forward(1, "U1", "stark"), mute(1, "U3"))
    scanner = Running("--subscriptions", path, "--patterns", patterns)
    record = message(5, "stark wayne")
    assert terms(scanner.answer(record)) == ["stark", "p"]

    table(forward(1, "U2", "wayne"), forward(2, "U3", "stark"))
    scanner.hang_up(record, lambda a: terms(a) == ["stark", "p", "wayne"])
    assert scanner.answer(record)["notify"] == ["U2", "U3"]
    patterns.write_text("q any (\n", encoding="utf-8")
    path.unlink()
    scanner.hang_up(record, lambda answer: terms(answer) == ["p"])
    path.mkdir()
    assert "missing closing parenthesis" in scanner.end()


def test_hup_keeps_the_subscriptions_where_there_are_none_to_read(table):
    path = table(forward(1, "U1", "stark"))
    scanner = Running("--subscriptions", path)
    assert scanner.answer(message(5, "stark"))["notify"] == ["U1"]
    path.unlink()
    path.mkdir()
    scanner.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert scanner.answer(message(5, "stark"))["notify"] == ["U1"]
    why, then = scanner.end().splitlines()
    assert why.startswith(f"scanner: read {path}: ")
    assert then == "scanner: keeping the subscriptions read before"


def test_a_trial_knows_no_subscriptions(table):
    done = run_program("scanner", "--test", "x", "--subscriptions", table())
    assert done.returncode == EX_USAGE
