"""classifier: ordered rules, the first that fits decides."""
import json
import os
import signal
import subprocess

import pytest

from conftest import BIN, ROOT, run_program

SHIPPED = ROOT / "examples" / "classes.conf"
ECHO = {"event_type": "ultron_message",
        "event_payload": {"key": "7/relay/0/id"}}


def classify(rules, tmp_path, *records, options=()):
    path = tmp_path / "classes.conf"
    path.write_text(rules)
    lines = b"".join(json.dumps(record).encode() + b"\n"
                     for record in records)
    return run_program("classifier", "--classes", path, *options, stdin=lines)


def classes(done):
    return [json.loads(row)["class"] for row in done.stdout.splitlines()]


@pytest.mark.parametrize("rule, record", [
    ("text crash", {"text": "a crash"}),
    ("text bold word", {"blocks": [{"type": "rich_text", "elements": [
        {"type": "rich_text_section", "elements": [
            {"type": "text", "text": "a bo"},
            {"type": "text", "text": "ld word", "style": {"bold": True}}]}]}]}),
    ("text edited", {"subtype": "message_changed", "text": "old",
                     "message": {"text": "edited"}}),
    ("text <tag>", {"text": "&lt;tag&gt;"}),
    ("attachment inner", {"attachments": [{"fallback": "inner"}]}),
    ("attachment log.txt", {"files": [{"name": "log.txt"}]}),
    ('payload "a": 1', {"payload": {"a": 1}}),
    ("payload plain", {"payload": "some plain text"}),
    ("title ^deploy", {"title": "deploy done"}),
    ("pattern ^anr$", {"matches": [{"pattern": "x"}, {"pattern": "anr"}]}),
    ("channel ^C1$", {"channel": "C1"}),
    ("user ^U1$", {"user": "U1"}),
    ("type api_", {"type": "api_message"}),
    ("fetched late", {"fetched": [{"status": "ok"}, {"status": "late"}]}),
    ("limit bomb", {"limits": [{"where": "text", "reason": "a bomb"}]}),
    ("error broke", {"error": {"stage": "s", "reason": "it broke"}}),
    ("delivery ^failed$", {"type": "delivery", "status": "failed"}),
    ("echo ^7/relay/", {"own": True, "metadata": ECHO}),
    ("any .", {}),
    ("any deep", {"attachments": [{"text": "deep"}]}),
])
def test_looks_at(tmp_path, rule, record):
    done = classify(f"danger {rule}\nwarning any .\n", tmp_path, record,
                    {"text": "nothing of it"})
    expected = ["danger", "warning" if rule != "any ." else "danger"]
    assert classes(done) == expected
    assert json.loads(done.stdout.splitlines()[0])["rule"] == f"danger {rule}"


@pytest.mark.parametrize("record", [
    {"text": "x" * 3000},
    {"text": "a " * (1 << 20) + ":x:"},
    {"blocks": [0] * 300000},
])
def test_what_it_could_not_look_at_whole_is_a_warning(tmp_path, record):
    done = classify("danger text (x+x+)+y|:x:\nsuccess any .\n", tmp_path,
                    record)
    answer = json.loads(done.stdout)
    assert answer["class"] == "warning"
    assert answer["error"]["stage"] == "classifier"
    assert answer["error"]["reason"].startswith("rule in line 1 gave up")


def test_a_rule_that_fits_outweighs_one_that_gave_up(tmp_path):
    done = classify("danger text (x+x+)+y\ndanger channel C1\n"
                    "success any .\n", tmp_path,
                    {"text": "x" * 3000, "channel": "C1"})
    assert classes(done) == ["danger"]
    assert "error" not in json.loads(done.stdout)


def test_the_first_rule_that_fits_decides(tmp_path):
    done = classify("warning text b\ndanger text a\nsuccess text c\n",
                    tmp_path, {"text": "ab"}, {"text": "a"}, {"text": "cba"})
    assert classes(done) == ["warning", "danger", "warning"]


def test_what_no_rule_fits_is_a_success(tmp_path):
    done = classify("# nothing\n", tmp_path, {"text": "a"})
    assert classes(done) == ["success"]


@pytest.mark.parametrize("record, expected", [
    ({"text": "build :x: failed"}, "danger"),
    ({"text": "disk :warning: full"}, "warning"),
    ({"text": ":warning: and :x:"}, "danger"),
    ({"matches": [{"pattern": "crash"}]}, "danger"),
    ({"fetched": [{"status": "failed"}]}, "warning"),
    ({"fetched": [{"status": "denied"}]}, "warning"),
    ({"fetched": [{"status": "late"}]}, "warning"),
    ({"fetched": [{"status": "ok"}, {"status": "skipped"}]}, "success"),
    ({"limits": [{"reason": "match limit reached"}]}, "warning"),
    ({"limits": [{"reason": "17 more matches"}]}, "success"),
    ({"type": "error", "error": {"stage": "s", "reason": "r"}}, "warning"),
    ({"type": "delivery", "status": "failed", "title": "a"}, "warning"),
    ({"type": "delivery", "status": "failed", "title": ":x:"}, "warning"),
    ({"type": "delivery", "status": "sent", "title": ":x:"}, "success"),
    ({"type": "delivery", "status": "digest", "title": ":warning:"}, "success"),
    ({"type": "delivery", "status": "failed", "title": "a",
      "error": {"stage": "s", "reason": "r"}}, "warning"),
    ({"type": "delivery", "title": ":x:"}, "danger"),
    ({"type": "message", "status": "failed", "text": "a"}, "success"),
    ({"type": "message", "text": ":x:", "own": True, "metadata": ECHO},
     "success"),
    ({"type": "message", "text": ":x:", "metadata": ECHO}, "danger"),
    ({"type": "message", "text": ":x:", "own": True}, "danger"),
    ({"type": "message", "text": ":x:", "own": True, "metadata": {
        "event_type": "other", "event_payload": {"key": "7/relay/0"}}},
     "danger"),
    ({"type": "message", "text": ":x:", "own": True, "metadata": {
        "event_type": "ultron_message", "event_payload": {"key": 7}}},
     "danger"),
    ({"text": ":heavy_check_mark: fine"}, "success"),
    ({}, "success"),
])
def test_the_shipped_rules(record, expected):
    done = run_program("classifier", "--classes", SHIPPED,
                       stdin=json.dumps(record).encode() + b"\n")
    assert classes(done) == [expected]


def test_all_bad_rules_are_named_at_once(tmp_path):
    done = classify("purple text a\ndanger nothing a\nwarning text (\n"
                    "success text\n", tmp_path)
    path = tmp_path / "classes.conf"
    said = done.stderr.decode().splitlines()
    assert done.returncode == os.EX_CONFIG and done.stdout == b""
    assert len(said) == 4
    for row, start in zip(said, (
            ":1:1: expected success, warning or danger: purple",
            ":2:8: expected text, attachment,", ":3:15: ",
            ":4:13: expected two words and a regular expression")):
        assert row.startswith(f"classifier: {path}{start}")


def test_a_missing_file_is_named(tmp_path):
    done = run_program("classifier", "--classes", tmp_path / "none")
    assert done.returncode == os.EX_CONFIG
    assert f"open {tmp_path}/none: No such file".encode() in done.stderr


def test_explain_tells_the_rule_and_no_text(tmp_path):
    done = classify("success text zzz\ndanger text cra.h\n", tmp_path,
                    {"seq": 7, "text": "a crash of secret"},
                    options=["--explain"])
    path = tmp_path / "classes.conf"
    assert done.stderr.decode() == \
        f"seq 7: danger by {path}:2: danger text cra.h\n"


def test_hup_reads_the_rules_again_and_keeps_them_if_bad(tmp_path):
    path = tmp_path / "classes.conf"
    path.write_text("danger any .\n")
    with subprocess.Popen([BIN / "classifier", "--classes", path],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as child:
        def ask():
            child.stdin.write(b'{"text":"a"}\n')
            child.stdin.flush()
            return json.loads(child.stdout.readline())["class"]

        assert ask() == "danger"
        path.write_text("warning any .\n")
        child.send_signal(signal.SIGHUP)
        assert ask() == "warning"
        path.write_text("warning any (\n")
        child.send_signal(signal.SIGHUP)
        assert ask() == "warning"
        assert b":1:14: " in child.stderr.readline()
        assert b"keeping the rules read before" in child.stderr.readline()
        child.stdin.close()
        assert child.wait(20) == 0


def test_what_people_subscribed_to_decides_nothing(tmp_path):
    rules = tmp_path / "classes.conf"
    rules.write_text("danger pattern ^crash$\nwarning limit .\nsuccess any .\n")
    given = (
        b'{"text":"a","matches":[{"pattern":"crash","for":{"U1":4}}],'
        b'"limits":[{"pattern":"crash","reason":"cost","for":{"U1":4}}]}\n'
        b'{"text":"b","matches":[{"pattern":"crash","for":{"U1":4}},'
        b'{"pattern":"crash"}]}\n')
    done = run_program("classifier", "--classes", rules, stdin=given)
    assert [json.loads(line)["class"] for line in done.stdout.splitlines()
            ] == ["success", "danger"]
