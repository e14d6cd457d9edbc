"""slack-send --dry-run: what would be sent, without sending it."""
import json
import os

import pytest

from conftest import run_program


def dry(*records, env=None, options=()):
    """The requests that the records lead to, and what was said."""
    lines = b"".join(
        record if isinstance(record, bytes) else json.dumps(record).encode()
        + b"\n" for record in records)
    done = run_program("slack-send", "--dry-run", *options, stdin=lines,
                       env=env)
    assert done.returncode == 0, done.stderr
    return ([json.loads(line) for line in done.stdout.splitlines()],
            done.stderr.decode())


def message(**members):
    return {"type": "api_message", "channel": "#qa", **members}


def test_prints_a_message_as_a_request():
    found, said = dry(message(seq=7, id="u", title="Build", text="a <b> & c"))
    assert found == [{
        "method": "chat.postMessage", "seq": 7, "id": "u", "part": 0,
        "channel": "#qa", "text": "*Build*\na &lt;b&gt; &amp; c"}]
    assert said == ""


def test_a_payload_is_laid_out_byte_for_byte():
    found, _ = dry(b'{"type":"api_message","channel":"C","text":"",'
                   b'"payload":{"z":12345678901234567890,"a":[1.10,"\\u00e4"]'
                   b',"z":{}}}\n')
    assert found[0]["text"] == (
        '```\n{\n  "z": 12345678901234567890,\n  "a": [\n    1.10,\n'
        '    "\\u00e4"\n  ],\n  "z": {}\n}\n```')


def test_a_payload_that_is_a_string_goes_as_it_is():
    found, _ = dry(message(text="", payload='{"a":1}'),
                   message(text="", payload="plain"))
    assert [one["text"] for one in found] == [
        '```\n{"a":1}\n```', "```\nplain\n```"]


@pytest.mark.parametrize("payload, shown", [
    (1.5, "1.5"), (True, "true"), ([], "[]"), ({}, "{}"), (None, None),
    ("", None), (" \n", None)])
def test_any_json_may_be_a_payload(payload, shown):
    found, _ = dry(message(text="t", payload=payload))
    assert [one["text"] for one in found] == [
        "t" if shown is None else f"t\n```\n{shown}\n```"]


def test_a_large_payload_is_a_file_below_the_text():
    payload = {f"key {number}": number for number in range(30)}
    found, _ = dry(message(seq=1, title="Log of 1/2", text="see",
                           payload=payload))
    pretty = json.dumps(payload, indent=2)
    assert found == [
        {"method": "files.getUploadURLExternal", "seq": 1, "part": 0,
         "filename": "Log-of-1-2.json", "length": len(pretty)},
        {"method": "upload", "seq": 1, "part": 0, "content": pretty},
        {"method": "files.completeUploadExternal", "seq": 1, "part": 0,
         "channel": "#qa", "title": "Log of 1/2",
         "initial_comment": "*Log of 1/2*\nsee"}]


def test_a_long_text_is_cut_and_a_very_long_one_a_file():
    line = "0123456789 " * 9 + "\n"
    found, _ = dry(message(text=line * 100))
    assert [one["part"] for one in found] == [0, 1, 2]
    assert all(len(one["text"]) <= 3900 for one in found)
    assert "".join(one["text"] for one in found) == line * 100
    found, _ = dry(message(text="x" * (1 << 20)))
    assert [one["method"] for one in found] == [
        "files.getUploadURLExternal", "upload", "files.completeUploadExternal"]
    assert found[1]["content"] == "x" * (1 << 20)


def test_takes_the_largest_payload():
    payload = "0123456789abcde\n" * (8 << 16)
    found, _ = dry(message(text="t", payload=payload))
    assert found[0]["length"] == 8 << 20
    assert found[1]["content"] == payload


def test_what_no_text_can_hold_becomes_a_replacement_character():
    found, _ = dry(b'{"type":"api_message","channel":"C",'
                   b'"text":"a\\u0000b\\ud800c"}\n')
    assert found[0]["text"] == "a\ufffdb\ufffdc"


@pytest.mark.parametrize("value, text", [
    (None, "@\u200bchannel &lt;!here&gt;"), ("0", "@\u200bchannel &lt;!here&gt;"),
    ("1", "<!channel> <!here>")])
def test_notifies_channels_only_where_that_is_allowed(value, text):
    env = {"PATH": os.environ["PATH"],
           **({"ULTRON_ALLOW_BROADCAST": value} if value else {})}
    found, _ = dry(message(text="@channel <!here>"), env=env)
    assert found[0]["text"] == text


def test_other_records_are_passed_over_and_wrong_ones_told():
    found, said = dry(
        {"type": "message", "text": "n", "channel": "C1"}, message(channel=7),
        b"no record\n", message(text=5), b'{"type":"api_message"',
        b"\n", message(text="last", channel="C9"))
    assert [one["channel"] for one in found] == ["C9"]
    told = said.splitlines()
    assert len(told) == 4
    for row, start in zip(told, (
            "line 2 would not be sent: no channel",
            "line 3 is no record: ", "line 4 would not be sent: text,",
            "line 5 is no record: ")):
        assert row.startswith(f"slack-send: {start}")


def test_the_same_records_give_the_same_bytes():
    lines = b"".join(json.dumps(message(seq=seq, text=f"t {seq}",
                                        payload=["x" * seq] * seq)).encode()
                     + b"\n" for seq in range(1, 60))
    first, second = (run_program("slack-send", "--dry-run",
                                 stdin=lines).stdout for _ in range(2))
    assert first == second and first.count(b"\n") > 60


def test_needs_nothing_and_leaves_nothing(tmp_path):
    found, said = dry(message(text="t"), options=["--outbox",
                                                  tmp_path / "o.db"],
                      env={"SLACK_BOT_TOKEN": "two words",
                           "SLACK_API_URL": "nonsense"})
    assert len(found) == 1 and said == ""
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("other", ["--replay-dead", "--check"])
def test_is_not_to_be_mixed(tmp_path, other):
    done = run_program("slack-send", "--dry-run", other, "--outbox",
                       tmp_path / "o.db")
    assert done.returncode == os.EX_USAGE and b"only one of" in done.stderr


def test_a_full_disk_is_told():
    with open("/dev/full", "wb") as full:
        done = run_program("slack-send", "--dry-run", stdout=full,
                           stdin=json.dumps(message(text="t")).encode())
    assert done.returncode == os.EX_IOERR
    assert b"No space left" in done.stderr
