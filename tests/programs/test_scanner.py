"""scanner: what it finds where, what it costs, and what it does not fall for.

Pairs of lines are in tests/data/scanner: NAME.in goes in, NAME.out comes out.
Files and archives are made here, in a spool of each test's own.
"""
import bz2
import gzip
import io
import json
import lzma
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
import zipfile

import pytest

from conftest import BIN, ROOT, children_cpu_s, limit_memory, run_program

DATA = ROOT / "tests" / "data" / "scanner"
PATTERNS = DATA / "patterns.conf"
MIB = 1024 * 1024
EX_USAGE, EX_CONFIG = 64, 78

CRASH = b"first line\nFATAL EXCEPTION in main\nlast line\n"
CRASH_MATCH = {"pattern": "crash", "line": 2, "start": 11, "end": 26,
               "excerpt": "FATAL EXCEPTION in main"}


def scan(records, *arguments, patterns=PATTERNS, **more):
    """Records in, records out."""
    stdin = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    done = run_program("scanner", "--patterns", patterns, *arguments,
                       stdin=stdin, **more)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(records)
    return answers


def write_patterns(folder, text):
    path = folder / "patterns.conf"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def spool(tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def scan_file(spool, content, *arguments, patterns=PATTERNS, **more):
    """The record of one file with this content, scanned."""
    (spool / "0a1b").write_bytes(content)
    return scan([{"type": "message", "fetched": [
        {"file": "F1", "status": "ok", "path": "0a1b"}]}],
        "--spool", spool, *arguments, patterns=patterns, **more)[0]


def places(record):
    return [match["where"] for match in record.get("matches", [])]


def reasons(record):
    return [limit["reason"] for limit in record.get("limits", [])]


# -- texts

@pytest.mark.parametrize("name", sorted(p.stem for p in DATA.glob("*.in")))
def test_adds_what_it_found(name):
    done = run_program("scanner", "--patterns", PATTERNS,
                       stdin=(DATA / f"{name}.in").read_bytes())
    assert done.returncode == 0, done.stderr
    assert done.stdout == (DATA / f"{name}.out").read_bytes()


@pytest.mark.parametrize("name", sorted(p.stem for p in DATA.glob("*.in")))
def test_adds_the_same_a_second_time(name):
    once = (DATA / f"{name}.out").read_bytes()
    done = run_program("scanner", "--patterns", PATTERNS, stdin=once)
    assert done.stdout == once


def test_cuts_excerpts_at_characters(tmp_path):
    patterns = write_patterns(tmp_path, "x any 失敗|エラー\n")
    texts = ["あ" * before + word + "🎉" * after
             for before in (0, 1, 63, 64, 65, 66, 67, 200)
             for word in ("失敗", "エラー")
             for after in (0, 1, 47, 48, 49, 200)]
    for text, record in zip(texts, scan([{"text": t} for t in texts],
                                        patterns=patterns)):
        match, = record["matches"]
        excerpt = match["excerpt"]
        assert excerpt in text
        assert re.search("失敗|エラー", excerpt)
        assert len(excerpt.encode()) <= 200
        assert len(excerpt.encode()) > 190 or excerpt == text
        raw = text.encode()
        assert raw[match["start"]:match["end"]].decode() in excerpt


def test_keeps_as_many_matches_as_it_is_told(tmp_path):
    record, = scan([{"text": "fatal exception " * 5}], "--max-matches", 2)
    assert len(record["matches"]) == 2
    assert record["limits"] == [
        {"pattern": "crash", "where": "text", "reason": "3 more matches"}]


def test_counts_matches_over_all_texts_of_a_record(tmp_path):
    patterns = write_patterns(tmp_path, "a any xyz\n")
    record, = scan([{"text": "xyz " * 8, "payload": "xyz " * 8}],
                   patterns=patterns)
    assert places(record) == ["text"] * 8 + ["payload"] * 2
    assert record["limits"] == [
        {"pattern": "a", "where": "payload", "reason": "6 more matches"}]


def test_orders_matches_by_their_place(tmp_path):
    patterns = write_patterns(tmp_path, "z any one|three\na any two|four\n")
    record, = scan([{"text": "one two three four"}], patterns=patterns)
    assert [m["excerpt"][m["start"]:m["end"]] for m in record["matches"]] == [
        "one", "two", "three", "four"]


def test_sees_line_ends_of_windows(tmp_path):
    patterns = write_patterns(tmp_path, "a any ^two$\n")
    record, = scan([{"text": "one\r\ntwo\r\nthree"}], patterns=patterns)
    assert [m["line"] for m in record["matches"]] == [2]


def test_without_patterns_everything_passes(tmp_path):
    patterns = write_patterns(tmp_path, "# none yet\n")
    assert scan([{"text": "a"}], patterns=patterns) == [{"text": "a"}]


@pytest.mark.parametrize("pattern", [
    "has joined the channel", "端末", "参加", "(?i)error", "https?://"])
def test_counts_as_grep_does(community, tmp_path, pattern):
    patterns = write_patterns(tmp_path, f"p text {pattern}\n")
    done = run_program("scanner", "--patterns", patterns, stdin=community)
    lines = done.stdout.splitlines()
    hit = sum(1 for line in lines if b'"matches":[' in line)
    texts = "\n".join(json.loads(line)["text"].replace("\n", " ")
                      for line in community.splitlines())
    grep = subprocess.run(["grep", "-P", "-c", pattern], input=texts.encode(),
                          stdout=subprocess.PIPE, check=False,
                          env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert len(lines) == 5000
    assert hit == int(grep.stdout)


# -- the file of patterns

def test_reports_all_that_is_wrong_with_the_patterns(tmp_path):
    path = write_patterns(tmp_path, "\n".join([
        "good       any        fine",
        "cr!ash     any        x",
        "good       any        again",
        "where      text,foo   x",
        "broken     any        forward (",
        "class      any        [a-",
        "empty      any        x*",
        "alone      any",
        "n" * 65 + " any x",
        "both       nowhere    a{2,1}",
        "far        any        (?<=" + "a" * 300 + ")b",
        "cluster    any        ab\\X",
        "byte       any        \\C",
    ]) + "\n")
    done = run_program("scanner", "--patterns", path)
    assert done.returncode == EX_CONFIG
    assert done.stdout == b""
    assert done.stderr.decode().splitlines() == [
        f"scanner: {path}:{line}" for line in [
            "2:3: a name is made of A-Z a-z 0-9 _ . -",
            "3:1: name good is taken by line 1",
            "4:17: expected text, attachment, payload, files or any, "
            "joined by commas",
            "5:32: missing closing parenthesis",
            "6:26: missing terminating ] for character class",
            "7:23: matches the empty string, and so everywhere",
            "8:15: expected two words and a regular expression",
            "9:1: name over 64 bytes",
            "10:12: expected text, attachment, payload, files or any, "
            "joined by commas",
            "10:28: numbers out of order in {} quantifier",
            "11:23: looks behind more than 255 characters",
            "12:25: \\X is not taken",
            "13:25: using \\C is disabled by the application",
        ]]


@pytest.mark.parametrize("expression", [
    "x*", "a|", "^$", "(?=foo)", "\\b", "(?:)", "(?i)"])
def test_refuses_what_matches_everywhere(tmp_path, expression):
    path = write_patterns(tmp_path, f"p any {expression}\n")
    done = run_program("scanner", "--patterns", path)
    assert done.returncode == EX_CONFIG
    assert b"matches the empty string" in done.stderr


@pytest.mark.parametrize("expression", [
    "(a{1000}){1000}{1000}", "x" * 5000, "(" * 150 + "a" + ")" * 150,
    "((((a{1,99}){1,99}){1,99}){1,99}){1,99}"])
def test_refuses_what_is_too_large(tmp_path, expression):
    path = write_patterns(tmp_path, f"p any {expression}\n")
    start = children_cpu_s()
    done = run_program("scanner", "--patterns", path)
    assert done.returncode == EX_CONFIG
    assert children_cpu_s() - start < 10


def test_says_that_the_patterns_cannot_be_read(tmp_path):
    done = run_program("scanner", "--patterns", tmp_path / "none")
    assert done.returncode == EX_CONFIG
    assert b"No such file" in done.stderr


@pytest.mark.parametrize("arguments", [
    [], ["--patterns", "a", "--test", "b"], ["--patterns", "a", "more"],
    ["--patterns", "a", "--max-matches", "0"], ["--nonsense"],
    ["--test", "("], ["--test", "a", "--where", "text,nowhere"],
    ["--patterns", "a", "--where", "text"]])
def test_wrong_use_prints_the_synopsis(arguments):
    done = run_program("scanner", *arguments)
    assert done.returncode == EX_USAGE
    assert b"usage: scanner --patterns FILE" in done.stderr


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

    def answers_until(self, record, wanted):
        """Signals arrive when they do: ask until the answer is as wanted."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            answer = self.answer(record)
            if wanted(answer):
                return True
            time.sleep(0.01)
        return False

    def end(self):
        self.process.stdin.close()
        stderr = self.process.stderr.read().decode()
        assert self.process.wait(10) == 0
        self.process.stdout.close()
        self.process.stderr.close()
        return stderr


def test_hup_reads_the_patterns_again(tmp_path):
    path = write_patterns(tmp_path, "one any apple\n")
    scanner = Running("--patterns", path)
    record = {"text": "apple pear"}
    assert scanner.answer(record)["matches"][0]["pattern"] == "one"

    path.write_text("two any pear\nthree any apple\n", encoding="utf-8")
    scanner.process.send_signal(signal.SIGHUP)
    assert scanner.answers_until(record, lambda answer: [
        m["pattern"] for m in answer["matches"]] == ["three", "two"])
    assert scanner.end() == ""


def test_hup_keeps_the_patterns_where_the_new_ones_are_bad(tmp_path):
    path = write_patterns(tmp_path, "one any apple\n")
    scanner = Running("--patterns", path)
    record = {"text": "apple pear"}
    assert scanner.answer(record)["matches"][0]["pattern"] == "one"

    path.write_text("two any pear\nthree any (\n", encoding="utf-8")
    scanner.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert [m["pattern"] for m in scanner.answer(record)["matches"]] == ["one"]
    assert scanner.end().splitlines() == [
        f"scanner: {path}:2:12: missing closing parenthesis",
        "scanner: keeping the patterns read before"]


# -- files

def test_finds_in_files(spool):
    record = scan_file(spool, CRASH)
    assert record["matches"] == [{**CRASH_MATCH, "where": "file:F1"}]
    assert "limits" not in record


def test_looks_at_every_file_that_is_there(spool):
    (spool / "aa").write_bytes(CRASH)
    (spool / "bb").write_bytes(b"nothing")
    (spool / "cc").write_bytes(b"FATAL EXCEPTION")
    (spool / "login").write_bytes(b"<html>FATAL EXCEPTION")
    record, = scan([{"type": "late_file", "fetched": [
        {"file": "F1", "status": "ok", "path": "aa"},
        {"file": "F2", "status": "ok", "path": "bb"},
        {"file": "F3", "status": "ok", "path": "cc"},
        {"file": "F4", "status": "denied", "path": "login"},
        {"file": "F5", "status": "late"}]}], "--spool", spool)
    assert places(record) == ["file:F1", "file:F3"]
    assert "limits" not in record


def test_without_a_spool_no_file_is_looked_at():
    record = {"fetched": [{"file": "F1", "status": "ok", "path": "x"}]}
    assert scan([record]) == [record]


def test_files_are_for_patterns_that_want_them(spool, tmp_path):
    patterns = write_patterns(
        tmp_path, "a text,payload,attachment EXCEPTION\nb files last\n")
    record = scan_file(spool, CRASH, patterns=patterns)
    assert [m["pattern"] for m in record["matches"]] == ["b"]


@pytest.mark.parametrize("path", [
    "../secret", "/etc/passwd", "a/../../secret", ".", "..", ".hidden", "",
    "link", "folder", "pipe", "x\u0000y", "sub/file", "a" * 300, "missing",
    "\ud800", "名前"])
def test_refuses_paths_that_lead_elsewhere(spool, tmp_path, path):
    (tmp_path / "secret").write_bytes(CRASH)
    (spool / ".hidden").write_bytes(CRASH)
    (spool / "folder").mkdir()
    (spool / "sub").mkdir()
    (spool / "sub" / "file").write_bytes(CRASH)
    (spool / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(spool / "pipe")
    record, = scan([{"fetched": [
        {"file": "F1", "status": "ok", "path": path}]}], "--spool", spool,
        timeout=10)
    assert "matches" not in record
    limit, = record["limits"]
    assert limit["where"] == "file:F1"
    assert limit["reason"].startswith("not read: ")


@pytest.mark.parametrize("fetched", [
    None, 5, {}, [None, 1, "x", {}], [{"status": "ok"}],
    [{"status": 1, "path": "aa"}], [{"status": "ok", "path": 7}]])
def test_takes_any_shape_of_fetched(spool, fetched):
    record = {"text": "fine", "fetched": fetched}
    assert scan([record], "--spool", spool) == [record]


def test_shows_a_hostile_file_id_as_text(spool):
    (spool / "aa").write_bytes(CRASH)
    record, = scan([{"fetched": [
        {"file": "<b>\"\u0007" + "界" * 300, "status": "ok", "path": "aa"},
        {"status": "ok", "path": "aa"}]}], "--spool", spool)
    first, second = places(record)
    assert first.startswith("file:<b>\"\u0007界")
    assert len(first.encode()) <= 205
    assert second == "file:?"


def test_looks_at_64_files_and_says_so(spool):
    (spool / "aa").write_bytes(CRASH)
    record, = scan([{"fetched": [
        {"file": f"F{i}", "status": "ok", "path": "aa"}
        for i in range(100)]}], "--spool", spool, "--max-matches", 1000)
    assert len(record["matches"]) == 64
    assert record["limits"] == [
        {"where": "files", "reason": "more than 64 files"}]


@pytest.mark.parametrize("content", [
    b"", b"\xef\xbb\xbf", b"\xff\xfe", b"a", b"\x00", b"\xff" * 3])
def test_takes_tiny_files(spool, content):
    assert "limits" not in scan_file(spool, content)


def test_passes_over_binary_files(spool):
    for content in [b"\x89PNG\r\n\x1a\n" + CRASH, b"\x7fELF" + bytes(200) + CRASH,
                    b"%PDF-1.4\n" + CRASH, os.urandom(5000) + CRASH]:
        record = scan_file(spool, content)
        assert "matches" not in record
        assert "limits" not in record


def test_looks_at_binary_files_when_asked(spool):
    record = scan_file(spool, b"\x7fELF" + bytes(200) + CRASH, "--binary")
    assert places(record) == ["file:F1"]


def test_a_few_control_bytes_make_no_binary(spool):
    log = b"\x1b[31mred\x1b[0m plain text and more of it\0\n" * 20 + CRASH
    assert scan_file(spool, log)["matches"][0]["line"] == 22


@pytest.mark.parametrize("pattern", [
    "Fehler.*\\d", ".*Fehler", "^Pr.fung.*gefunden.*t$", "(?=.*Fehler)P"])
def test_takes_other_charsets_as_they_are(spool, tmp_path, pattern):
    patterns = write_patterns(tmp_path, f"p files {pattern}\n")
    record = scan_file(spool, "Prüfung: Fehler 7 gefunden – Gerät".encode(
        "cp1252"), patterns=patterns)
    assert record["matches"][0]["excerpt"] == \
        "Pr?fung: Fehler 7 gefunden ? Ger?t"


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_reads_utf_16(spool, tmp_path, charset, mark):
    patterns = write_patterns(
        tmp_path, "crash files FATAL EXCEPTION\nend files ^最後🎉$\n")
    text = "first line\nFATAL EXCEPTION in main\n" + "x" * 300 + "\n最後🎉\n"
    record = scan_file(spool, (mark + text).encode(charset),
                       patterns=patterns)
    assert record["matches"] == [
        {**CRASH_MATCH, "where": "file:F1"},
        {"pattern": "end", "where": "file:F1", "line": 4,
         "excerpt": "最後🎉", "start": 336, "end": 346}]


def test_reads_long_and_broken_utf_16(spool, tmp_path):
    patterns = write_patterns(tmp_path, "p files 確認|😀\n")
    text = "確認" + "日本語😀\n" * 50000 + "確認"
    content = text.encode("utf-16") + b"\x3d\xd8" + "確認".encode("utf-16-le")
    record = scan_file(spool, content + b"x", "--max-matches", 1,
                       patterns=patterns)
    assert record["limits"][0]["reason"] == "50002 more matches"


def test_drops_the_byte_order_mark(spool, tmp_path):
    patterns = write_patterns(tmp_path, "p files ^FATAL\n")
    record = scan_file(spool, b"\xef\xbb\xbfFATAL", patterns=patterns)
    assert record["matches"][0]["start"] == 0


def test_finds_each_match_of_a_long_file_once(spool, tmp_path):
    patterns = write_patterns(
        tmp_path, "p files needle \\d+\nlong files (?s)BEGIN.{5000}END\n"
        "behind files (?<=needle )\\d\nlines files ^needle \\d+$\n")
    size = 3 * MIB
    content = bytearray(b"some words of a log line, and more of them ...\n" *
                        (size // 47))
    count = 0
    for at in range(0, len(content) - 100, 4999):
        needle = b"\nneedle %d\n" % at
        content[at:at + len(needle)] = needle
        count += 1
    for at in range(60000, len(content) - 6000, 6500):
        content[at:at + 5] = b"BEGIN"
        content[at + 5005:at + 5008] = b"END"
    expected = {
        "p": [(m.start(), m.end()) for m in
              re.finditer(rb"needle \d+", bytes(content))],
        "long": [(m.start(), m.end()) for m in
                 re.finditer(rb"(?s)BEGIN.{5000}END", bytes(content))],
        "behind": [(m.start(), m.end()) for m in
                   re.finditer(rb"(?<=needle )\d", bytes(content))],
        "lines": [(m.start(), m.end()) for m in
                  re.finditer(rb"(?m)^needle \d+$", bytes(content))],
    }
    plain = scan_file(spool, bytes(content), "--max-matches", 1000,
                      patterns=patterns)
    for name, spans in expected.items():
        assert spans
        assert [(m["start"], m["end"]) for m in plain["matches"]
                if m["pattern"] == name] == spans
    for match in plain["matches"]:
        assert match["line"] == \
            content.count(b"\n", 0, match["start"]) + 1
    # cut into the same pieces when it comes out of an archive
    packed = scan_file(spool, gzip.compress(bytes(content), 1),
                       "--max-matches", 1000, patterns=patterns)
    assert packed["matches"] == plain["matches"]


@pytest.mark.parametrize("line", [1, 7, 8191, 8192, 56000, 57344, 65535,
                                  65536, 65537, 200000])
def test_finds_at_any_length_of_lines(spool, tmp_path, line):
    patterns = write_patterns(tmp_path, "p files 見本\nq files ^E|E$\n")
    content = ("E" + "x" * line + "見本E\n").encode() * (300000 // line + 2)
    record = scan_file(spool, content, "--max-matches", 1, patterns=patterns)
    count = 300000 // line + 2
    more = {limit["pattern"]: limit["reason"] for limit in record["limits"]}
    assert more == {"p": f"{count - 1} more match" + "es" * (count > 2),
                    "q": f"{2 * count - 1} more matches"}


def test_says_that_a_match_was_cut_off(spool, tmp_path):
    patterns = write_patterns(tmp_path, "p files (?s)BEGIN.*END\n"
                              "q files (?s)BEGIN.*\n")
    content = b"BEGIN" + b"word and word\n" * 20000 + b"END"
    record = scan_file(spool, content, patterns=patterns)
    assert record["limits"] == [{
        "pattern": "q", "where": "file:F1",
        "reason": "match cut off: it is longer than the piece searched at "
        "once"}]


def test_a_file_that_shrinks_does_no_harm(spool, tmp_path):
    patterns = write_patterns(tmp_path, "slow files (?:x+)+[yz]\n")
    (spool / "aa").write_bytes(b"x" * (16 * MIB))
    scanner = Running("--patterns", patterns, "--spool", spool)
    scanner.process.stdin.write(json.dumps({"fetched": [
        {"file": "F1", "status": "ok", "path": "aa"}]}).encode() + b"\n")
    scanner.process.stdin.flush()
    maps = f"/proc/{scanner.process.pid}/maps"
    deadline = time.monotonic() + 10
    while str(spool / "aa") not in open(maps, encoding="utf-8").read():
        assert time.monotonic() < deadline
    os.truncate(spool / "aa", 4096)
    answer = json.loads(scanner.process.stdout.readline())
    assert "the file became shorter while it was read" in reasons(answer)
    assert scanner.answer({"text": "fine"}) == {"text": "fine"}
    scanner.end()


# -- archives

def zip_of(files, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tar_of(files, mode="w", form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def cpio_of(files):
    out = b""
    for name, content in [*files.items(), ("TRAILER!!!", b"")]:
        raw = name.encode() + b"\0"
        fields = [1, 0o100644 if content else 0, 0, 0, 1, 0, len(content), 0,
                  0, 0, 0, len(raw), 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
        out += head + bytes(-len(head) % 4) + content + bytes(
            -len(content) % 4)
    return out


def run_packer(*command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, input=CRASH, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=True).stdout


COMPRESSED = {
    "gzip": lambda: gzip.compress(CRASH),
    "gzip in two members":
        lambda: gzip.compress(CRASH[:20]) + gzip.compress(CRASH[20:]),
    "bzip2": lambda: bz2.compress(CRASH),
    "xz": lambda: lzma.compress(CRASH),
    "zstd": lambda: run_packer("zstd", "-q"),
    "lz4": lambda: run_packer("lz4", "-q"),
}

ARCHIVES = {
    "zip": lambda files: zip_of(files),
    "zip, stored": lambda files: zip_of(files, zipfile.ZIP_STORED),
    "zip, bzip2": lambda files: zip_of(files, zipfile.ZIP_BZIP2),
    "zip, lzma": lambda files: zip_of(files, zipfile.ZIP_LZMA),
    "tar": tar_of,
    "ustar": lambda files: tar_of(files, form=tarfile.USTAR_FORMAT),
    "gnu tar": lambda files: tar_of(files, form=tarfile.GNU_FORMAT),
    "tar.gz": lambda files: tar_of(files, "w:gz"),
    "tar.bz2": lambda files: tar_of(files, "w:bz2"),
    "tar.xz": lambda files: tar_of(files, "w:xz"),
    "cpio": cpio_of,
    "cpio.gz": lambda files: gzip.compress(cpio_of(files)),
}


@pytest.mark.parametrize("kind", COMPRESSED)
def test_finds_in_compressed_files(spool, kind):
    record = scan_file(spool, COMPRESSED[kind]())
    assert record["matches"] == [{**CRASH_MATCH, "where": "file:F1"}]
    assert "limits" not in record


@pytest.mark.parametrize("kind", ARCHIVES)
def test_finds_in_archives(spool, kind):
    record = scan_file(spool, ARCHIVES[kind]({
        "readme": b"nothing here", "logs/crash.txt": CRASH,
        "screen.png": b"\x89PNG" + CRASH, "empty": b"",
        "ログ/端末.txt": b"FATAL EXCEPTION"}))
    assert places(record) == ["file:F1!logs/crash.txt",
                              "file:F1!ログ/端末.txt"]
    assert record["matches"][0] == {**CRASH_MATCH,
                                    "where": "file:F1!logs/crash.txt"}
    assert "limits" not in record


def test_finds_in_7zip(spool):
    record = scan_file(spool, (DATA / "logs.7z").read_bytes())
    assert places(record) == ["file:F1!logs/crash.txt"]


def test_reads_utf_16_in_archives(spool):
    record = scan_file(spool, zip_of({"a": CRASH.decode().encode("utf-16")}))
    assert record["matches"] == [{**CRASH_MATCH, "where": "file:F1!a"}]


def test_finds_in_archives_in_archives(spool):
    inner = zip_of({"crash.txt": CRASH, "crash.gz": gzip.compress(CRASH)})
    record = scan_file(spool, tar_of({"a/inner.zip": inner}, "w:gz"))
    assert places(record) == ["file:F1!a/inner.zip!crash.txt",
                              "file:F1!a/inner.zip!crash.gz"]
    assert "limits" not in record


def test_goes_as_deep_as_it_is_told(spool):
    content = CRASH
    for depth in range(3):
        content = zip_of({f"{depth}": content, "side": CRASH})
    assert places(scan_file(spool, content)) == [
        "file:F1!2!1!0", "file:F1!2!1!side", "file:F1!2!side",
        "file:F1!side"]
    record = scan_file(spool, content, "--archive-depth", 2)
    assert places(record) == ["file:F1!2!side", "file:F1!side"]
    assert record["limits"] == [{
        "where": "file:F1!2!1", "reason": "archives nested deeper than 2"}]
    record = scan_file(spool, content, "--archive-depth", 0)
    assert reasons(record) == ["archives nested deeper than 0"]


def test_stops_at_the_number_of_entries(spool):
    record = scan_file(spool, zip_of(
        {f"{i}": b"FATAL EXCEPTION" for i in range(30)}),
        "--archive-entries", 20, "--max-matches", 1000)
    assert len(record["matches"]) == 20
    assert record["limits"] == [{
        "where": "file:F1", "reason": "archive has more than 20 entries"}]


def test_stops_at_the_bytes_of_all_entries(spool):
    files = {f"{i}": b"FATAL EXCEPTION" + b"x" * 1000 for i in range(30)}
    record = scan_file(spool, zip_of(files), "--archive-bytes", 10150)
    assert len(record["matches"]) == 10
    assert reasons(record) == ["archive larger than 10150 bytes unpacked"]


def gzip_bomb():
    """10 GB of zeros: members of 16 MiB, one after the other."""
    return gzip.compress(bytes(16 * MIB)) * 640


def bomb_of(compressor, size):
    chunk = bytes(MIB)
    return b"".join(compressor.compress(chunk)
                    for _ in range(size // MIB)) + compressor.flush()


def pax_bomb():
    """Headers only: what libarchive unpacks without anyone reading."""
    info = tarfile.TarInfo("x")
    info.pax_headers = {"comment": "a" * 900000}
    entry = info.tobuf(tarfile.PAX_FORMAT)
    return gzip.compress(entry * 300, 1)


BOMBS = {
    "gzip": gzip_bomb,
    "xz": lambda: bomb_of(lzma.LZMACompressor(preset=0), 300 * MIB),
    "bzip2": lambda: bomb_of(bz2.BZ2Compressor(), 300 * MIB),
    "zip": lambda: zip_of({"zeros": bytes(200 * MIB)}),
    "zip of text": lambda: zip_of({"text": b"word \n" * (30 * MIB)}),
    "tar.gz of a binary": lambda: tar_of(
        {"a": b"\x89PNG" + bytes(150 * MIB), "b": CRASH}, "w:gz"),
    "gzip in gzip in zip": lambda: zip_of(
        {"a": gzip.compress(gzip_bomb())}),
    "pax headers": pax_bomb,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_end_at_the_limit(spool, kind):
    start = children_cpu_s()
    record = scan_file(spool, BOMBS[kind](), preexec_fn=limit_memory(600))
    assert children_cpu_s() - start < 40
    assert "archive larger than 64 MiB unpacked" in reasons(record)


def test_an_archive_of_100000_entries(spool):
    record = scan_file(spool, zip_of(
        {f"{i}": b"" for i in range(100000)}, zipfile.ZIP_STORED),
        preexec_fn=limit_memory(300))
    assert reasons(record) == ["archive has more than 10000 entries"]


def test_an_archive_that_branches_at_every_level(spool):
    content = b"FATAL EXCEPTION"
    for _ in range(6):
        content = zip_of({f"{i}": content for i in range(16)})
    start = children_cpu_s()
    record = scan_file(spool, content)
    assert children_cpu_s() - start < 20
    assert "archives nested deeper than 3" in reasons(record)
    assert len(record["limits"]) == 51
    assert re.fullmatch(r"\d+ more limits", record["limits"][-1]["reason"])


def test_gzip_in_gzip_without_end(spool):
    content = CRASH
    for _ in range(60):
        content = gzip.compress(content)
    record = scan_file(spool, content)
    assert reasons(record)


def test_an_encrypted_archive_is_reported(spool):
    record = scan_file(spool, (DATA / "encrypted.zip").read_bytes())
    assert "matches" not in record
    limit, = record["limits"]
    assert limit["where"] == "file:F1!secret.txt"
    assert limit["reason"].startswith("archive: ")
    assert "ncrypt" in limit["reason"] or "assphrase" in limit["reason"]


@pytest.mark.parametrize("kind", ["rar", "cab"])
def test_says_what_it_does_not_unpack(spool, kind):
    content = {"rar": b"Rar!\x1a\x07\x01\x00", "cab": b"MSCF\0\0\0\0"}[kind]
    record = scan_file(spool, content + bytes(100) + CRASH)
    assert record["limits"] == [{
        "where": "file:F1", "reason": f"archive: {kind} is not unpacked"}]


@pytest.mark.parametrize("kind", [*COMPRESSED, *ARCHIVES])
def test_a_broken_archive_is_reported(spool, kind):
    packed = COMPRESSED[kind]() if kind in COMPRESSED else ARCHIVES[kind](
        {"a": CRASH, "b": os.urandom(3000) + CRASH})
    record = scan_file(spool, packed[:len(packed) * 2 // 3])
    if kind not in ("tar", "ustar", "gnu tar"):    # may just end early
        assert reasons(record)
    for reason in reasons(record):
        assert reason.startswith("archive: ")
        assert reason.isprintable()


def test_survives_archives_with_flipped_bytes(spool):
    files = {"a/b": CRASH * 30, "c": os.urandom(500), "d": b"x" * 5000}
    records = []
    for number, kind in enumerate([*ARCHIVES, *ARCHIVES, *ARCHIVES]):
        packed = bytearray(ARCHIVES[kind](files))
        for at in range(number % 7, len(packed), 97 + number):
            packed[at] ^= 1 << at % 8
        (spool / f"f{number}").write_bytes(packed)
        records.append({"fetched": [
            {"file": kind, "status": "ok", "path": f"f{number}"}]})
    assert len(scan(records, "--spool", spool)) == len(records)


@pytest.mark.parametrize("name,shown", [
    ("../../etc/passwd", "../../etc/passwd"),
    ("\x1b]0;x\x07.txt", "\x1b]0;x\x07.txt"),
    ("a\"}<script>", "a\"}<script>"),
    ("長" * 100, "長" * 66)])
def test_names_of_entries_are_text(spool, name, shown):
    record = scan_file(spool, tar_of({name: CRASH}))
    assert places(record) == ["file:F1!" + shown]
    assert sorted(os.listdir(spool)) == ["0a1b"]


def test_a_name_that_is_no_utf_8(spool):
    packed = tar_of({"name.txt": CRASH}, form=tarfile.USTAR_FORMAT)
    head = bytearray(packed[:512])
    head[0:4] = b"\x83n\x83m"
    head[148:156] = b"        "
    head[148:156] = b"%06o\0 " % sum(head)
    record = scan_file(spool, bytes(head) + packed[512:])
    where, = places(record)
    assert where.startswith("file:F1!") and where.endswith(".txt")


@pytest.mark.parametrize("start", [
    b"#mtree\n/set type=file\n", b"070701 is a number\n", b"PK is short\n",
    b"BZh9 and more\n", b"LZIP what\n", b"ustar\n", b"From a@b\n",
    b"begin 644 file\n", b"%!PS\n", b"!<arch>\n", b"MSCF file\n",
    b"WARC/1.0\r\nWARC-Type: warcinfo\r\n", b"<?xml version='1.0'?>\n",
    b"7z l x\n", b"Rar! is a word\n", b"\n" * 600])
def test_takes_no_text_for_an_archive(spool, start):
    record = scan_file(spool, start + CRASH)
    assert places(record) == ["file:F1"]
    assert "limits" not in record


def test_links_and_folders_in_archives_are_nothing(spool):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE,
                     tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo("entry")
            info.type = kind
            info.linkname = "/etc/passwd"
            archive.addfile(info)
    record = scan_file(spool, out.getvalue())
    assert "matches" not in record and "limits" not in record


# -- cost

EVIL = [
    "(a+)+[bc]", "(a|a)+[bc]", "(a|aa)+[bc]", "a.*[bc].*[cd].*[de]",
    "(?s).*[xy].*[yz].*[z0]", "(?s).*x.*y.*z", "(a?){30}a{30}[bc]",
    "\\w+[@#]", "\\w*[0-9]", "(\\w+)\\1[0-9]", "(.*)(.*)(.*)\\3[#]",
    "(?=(.*))\\1[0-9]", "[a-z]{60000}[0-9]", "(?:a*)*[0-9]",
    "((?:a|b)(?1)?)[0-9]", "(?R)?a[0-9]", "(*NO_JIT)\\w*[0-9]",
    "(?(?=.*[0-9])a|b)", "(?:.|\\n)*[0-9]", "(?s)(?:.{1,100}){1,100}[0-9]",
    "(((((((((a+)+)+)+)+)+)+)+)+)+[0-9]", "\\p{L}+[0-9]", ".*?.*?.*?[0-9]",
]


@pytest.mark.parametrize("pattern", EVIL)
def test_no_pattern_stalls_the_stream(tmp_path, pattern):
    """Each a text of 1 MB without a line end, of the worst kind."""
    patterns = write_patterns(tmp_path, f"evil text {pattern}\n"
                              "good text needle\n")
    text = "a" * 999_000 + " needle"
    start = children_cpu_s()
    first, second = scan([{"text": text}, {"text": text}], patterns=patterns,
                         timeout=120)
    assert children_cpu_s() - start < 20
    assert first == second
    assert [m["pattern"] for m in first["matches"]] == ["good"]
    for limit in first.get("limits", []):
        assert limit["pattern"] == "evil" and limit["where"] == "text"
        assert "limit reached" in limit["reason"]


@pytest.mark.parametrize("pattern", ["(a+)+[bc]", "a.*[bc].*[cd].*[de]",
                                     "\\w*[0-9]", "(\\w+)\\1[0-9]"])
def test_hitting_the_limit_is_reported(tmp_path, pattern):
    patterns = write_patterns(tmp_path, f"evil any {pattern}\n")
    record, = scan([{"text": "a" * 60000}], patterns=patterns)
    assert record["limits"] == [{
        "pattern": "evil", "where": "text", "reason": "match limit reached"}]


@pytest.mark.parametrize("pattern", ["(a+)+[bc]", "\\w*[0-9]", "a",
                                     "(*NO_JIT)a.*[bc].*[0-9]"])
def test_no_pattern_stalls_on_a_large_file(spool, tmp_path, pattern):
    patterns = write_patterns(tmp_path, f"evil files {pattern}\n")
    start = children_cpu_s()
    record = scan_file(spool, b"a" * (32 * MIB), patterns=patterns,
                       timeout=120)
    assert children_cpu_s() - start < 20
    assert "cost limit reached, given up in this record" in reasons(record)


def test_a_pattern_given_up_is_there_for_the_next_record(spool, tmp_path):
    patterns = write_patterns(tmp_path, "evil any (a+)+[bc]\n")
    (spool / "aa").write_bytes(b"a" * (8 * MIB))
    records = scan([
        {"fetched": [{"file": "F1", "status": "ok", "path": "aa"}]},
        {"text": "aab"}], "--spool", spool, patterns=patterns)
    assert records[0]["limits"]
    assert places(records[1]) == ["text"]


def test_the_rest_of_a_text_is_searched_behind_a_limit(spool, tmp_path):
    patterns = write_patterns(tmp_path, "p files (?:x+)+[yz]\n")
    content = b"x" * 5000 + b"\n" + b"fine\n" * 30000 + b"xxy\n"
    record = scan_file(spool, content, patterns=patterns)
    assert record["limits"] == [{
        "pattern": "p", "where": "file:F1", "reason": "match limit reached"}]
    assert [m["line"] for m in record["matches"]] == [30002]


# -- trying a pattern

def test_tries_a_pattern_on_a_recording():
    stdin = b"".join(
        b'{"seq":%d,"text":"record %d %s"}\n' %
        (i, i, b"boom boom" if i % 10 == 0 else b"fine")
        for i in range(1, 101)) + b"no record\n"
    done = run_program("scanner", "--test", "b[o]+m", stdin=stdin)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert lines[:5] == [
        "records      100", "no records   1 lines",
        "records hit  10 (10.00 %)", "matches      20",
        "cost limit   0 times reached"]
    assert re.fullmatch(r"time         [\d.]+ s, [\d.]+ µs a record, "
                        r"[\d.]+ µs the slowest", lines[5])
    assert lines[6:8] == [
        "examples", "  seq 10, text:1: record 10 boom boom"]
    assert len(lines) == 12


def test_tells_no_match_by_its_exit_status():
    done = run_program("scanner", "--test", "boom", stdin=b'{"text":"a"}\n')
    assert done.returncode == 1
    assert b"matches      0" in done.stdout
    assert run_program("scanner", "--test", "boom").returncode == 1


def test_tries_where_it_is_told(spool):
    (spool / "aa").write_bytes(CRASH)
    stdin = json.dumps({"ts": "1763800000.000100", "text": "FATAL", "fetched": [
        {"file": "F1", "status": "ok", "path": "aa"}]}).encode()
    done = run_program("scanner", "--test", "FATAL", "--where", "files",
                       "--spool", spool, stdin=stdin)
    assert b"  ts 1763800000.000100, file:F1:2: FATAL EXCEPTION in main\n" \
        in done.stdout
    assert b"matches      1\n" in done.stdout


def test_shows_the_cost_of_a_pattern():
    stdin = json.dumps({"text": "a" * 50000}).encode()
    done = run_program("scanner", "--test", "(a+)+[bc]", stdin=stdin)
    assert b"cost limit   1 times reached\n" in done.stdout


def test_names_the_place_of_an_error():
    done = run_program("scanner", "--test", "ab(")
    assert done.returncode == EX_USAGE
    assert b"--test: column 4: missing closing parenthesis" in done.stderr


def test_says_so_where_there_are_too_many_files_to_look_at(tmp_path):
    (tmp_path / "patterns").write_text("crash any FATAL\n")
    done = run_program(
        "scanner", "--patterns", tmp_path / "patterns", "--spool", tmp_path,
        stdin=json.dumps({"fetched": [0] * 300000}).encode() + b"\n")
    assert json.loads(done.stdout)["limits"] == [
        {"where": "files", "reason": "too many values to be looked at"}]


def test_all_files_of_a_record_share_what_may_be_unpacked(tmp_path):
    (tmp_path / "patterns").write_text("crash any FATAL\n")
    (tmp_path / "zeros").write_bytes(gzip.compress(b"a\n" * (5 << 20)))
    files = [{"file": f"F{number}", "status": "ok", "path": "zeros"}
             for number in range(3)]
    done = run_program(
        "scanner", "--patterns", tmp_path / "patterns", "--spool", tmp_path,
        "--archive-bytes", "25MiB",
        stdin=json.dumps({"fetched": files}).encode() + b"\n")
    assert [limit["where"] for limit in json.loads(done.stdout)["limits"]] \
        == ["file:F2"]
