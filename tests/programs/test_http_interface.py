"""UltronEx's HTTP interface, row by row, and what ours does beyond it."""
import base64
import collections
import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import socket
import sqlite3
import struct
import subprocess
import threading
import time
import uuid

import pytest

from conftest import BIN, CRASHES, ROOT, is_sanitized
from records import read_journal, sorted_journal, whole_lines
from slack import FakeSlack

USER, PASSWORD, REALM = "tony", "I am:Iron Man", "Stark Tower"
JSON, HTML, TEXT = "application/json", "text/html", "text/plain"
KIB, MIB = 1024, 1024 * 1024


class Line:
    """A slack-reader, perhaps, and a ws-broadcast behind it."""

    def __init__(self, folder, slack=None, options=(), env=None, limit=None):
        self.folder = folder
        self.inbox = folder / "inbox.sock"
        self.slack = slack
        self.reader = None
        self.log = folder / "log"
        reading, self.writing = os.pipe()
        self.server = self.start_server(reading, options, env or {})
        os.close(reading)
        self.port = int(self.wait_said(r"127\.0\.0\.1:(\d+)/")[1])
        self.url = f"http://127.0.0.1:{self.port}"
        if slack is not None:
            self.start_reader(limit)

    def start_server(self, stdin, options, env):
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [BIN / "ws-broadcast", "--listen", "127.0.0.1:0",
                 *map(str, options)], stdin=stdin, stderr=log,
                stdout=subprocess.DEVNULL, env={
                    **os.environ, "BASIC_AUTH_USERNAME": USER,
                    "BASIC_AUTH_PASSWORD": PASSWORD,
                    "BASIC_AUTH_REALM": REALM, **env})

    def start_reader(self, limit=None):
        mark = self.slack.mark
        with self.log.open("ab") as log:
            self.reader = subprocess.Popen(
                [BIN / "slack-reader", "--state", self.folder / "state",
                 "--inbox", self.inbox], stderr=log, stdout=self.writing,
                env={**os.environ, **self.slack.environment},
                preexec_fn=limit)
        self.slack.wait_for("hello", 2, timeout=20, after=mark)

    def stop_reader(self, number=signal.SIGTERM):
        self.reader.send_signal(number)
        return self.reader.wait(20)

    @property
    def said(self):
        return self.log.read_text(errors="replace")

    def wait_said(self, pattern, timeout=20):
        end = time.monotonic() + timeout
        while not (found := re.search(pattern, self.said)):
            assert time.monotonic() < end, self.said
            time.sleep(0.01)
        return found

    @property
    def journal(self):
        return read_journal(self.folder / "state")

    def wait_journal(self, count, timeout=20):
        end = time.monotonic() + timeout
        while len(records := self.journal) < count:
            assert time.monotonic() < end, (records, self.said)
            time.sleep(0.02)
        return records

    def stop(self):
        if self.reader is not None and self.reader.poll() is None:
            self.reader.kill()
            self.reader.wait()
        os.close(self.writing)
        if self.server.poll() is None:
            self.server.terminate()
        status = self.server.wait(20)
        assert not any(word in self.said for word in CRASHES), self.said
        assert status in (0, -signal.SIGTERM), self.said


@pytest.fixture(scope="module")
def slack():
    with FakeSlack() as one:
        yield one


@pytest.fixture(scope="module")
def line(slack, tmp_path_factory):
    """What tests share that do no harm."""
    folder = tmp_path_factory.mktemp("line")
    one = Line(folder, slack, [
        "--inbox", folder / "inbox.sock", "--outbox", folder / "outbox.db",
        "--stats", folder / "stats.json",
        "--subscriptions", folder / "subscriptions"])
    yield one
    one.stop()


@pytest.fixture
def start(tmp_path):
    lines = []

    def start_line(*arguments, **more):
        lines.append(Line(tmp_path, *arguments, **more))
        return lines[-1]

    yield start_line
    for one in lines:
        one.stop()


def credentials(user=USER, password=PASSWORD):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


Answer = collections.namedtuple("Answer", "status headers body")


class Client:
    """One connection, kept."""

    def __init__(self, line, timeout=40):
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", line.port, timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def ask(self, method, path, body=None, auth=credentials(), **headers):
        headers = {name.replace("_", "-"): value
                   for name, value in headers.items() if value is not None}
        if auth:
            headers["Authorization"] = auth
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())

    def post(self, body, content_type=JSON, path="/ultronex/slack", **more):
        if not isinstance(body, (bytes, type(None))):
            body = json.dumps(body).encode()
        return self.ask("POST", path, body, Content_Type=content_type, **more)


def ask(line, method, path, body=None, **more):
    with Client(line) as client:
        return client.ask(method, path, body, **more)


def post(line, body, **more):
    with Client(line) as client:
        return client.post(body, **more)


def message(channel="ci", text=":x: it failed", payload="a payload",
            title="Build 42", **more):
    return {"msg": {"channel": channel, "text": text, "payload": payload,
                    "title": title, **more}}


# --- who subscribed to what ---------------------------------------------------

FORWARDS = """# Subscriptions of Ultron.
seq 90
forward 3 - U1 any any any stark
forward 7 20 U2 any any any stark
forward 21 - U2 C1 files danger stark
forward 9 - U1 any any any /(?i)out of "memory"\\s/i
forward 8 40 U1 any any any no more of it
forward 10 - U3 any any any pattern
refused 11 - U3 any any any (a+)+$
mute 12 - U1 -
job 13 - U1 C1 - test stark
no line at all
forward 14 - U3 any any any \u00fcber <b>
"""


def track(line):
    answer = ask(line, "GET", "/ultronex/track")
    assert answer.headers["Content-Type"].startswith(JSON)
    return answer.status, json.loads(answer.body)


def test_track_tells_the_forwards_that_stand(line):
    path = line.folder / "subscriptions"
    path.write_text(FORWARDS, encoding="utf-8")
    assert track(line) == (200, {
        "stark": "U1, U2", '/(?i)out of "memory"\\s/i': "U1",
        "pattern": "U3", "\u00fcber <b>": "U3"})
    path.write_text("forward 3 4 U1 any any any stark\n")
    assert track(line) == (200, {"msg": "No pattern set for match"})
    path.unlink()
    assert track(line) == (200, {"msg": "No pattern set for match"})


def test_track_does_not_say_none_where_it_cannot_know(line):
    path = line.folder / "subscriptions"
    path.mkdir()
    try:
        status, answer = track(line)
    finally:
        path.rmdir()
    assert status == 503 and "No pattern" not in answer["msg"]


def test_track_shows_as_many_as_there_may_be(line):
    path = line.folder / "subscriptions"
    path.write_text("".join(
        f"forward {n + 1} - U{n % 20} any any any {n // 2:0200}\n"
        for n in range(2000)))
    status, found = track(line)
    assert status == 200 and len(found) == 1000
    assert found[f"{7:0200}"] == "U14, U15"
    path.unlink()


# --- UltronEx's rows ---------------------------------------------------------

HEARTBEAT = {"msg": "I don't have a heart but I am alive!"}
WRONG_SHAPE = {"msg": "Unprocessable request body"}
STATS = ["uptime", "total_msg_count", "replied_msg_count",
         "forwarded_msg_count", "total_attachments_downloaded",
         "total_messages_slacked", "snapshot"]
BIG = b'{"msg":{"channel":"ci","title":"","text":"","payload":"%s"}}' % (
    b"x" * (8 * MIB))

# the row and a word on it; what is asked; status; media type; the JSON
# members, their values, or bytes that the page has; more of the request
TABLE = [
    # U21 heartbeat: open
    ("U21", "GET /ultronex/heartbeat", 200, JSON, HEARTBEAT, {"auth": None}),
    ("U21 with credentials", "GET /ultronex/heartbeat", 200, JSON, HEARTBEAT,
     {}),
    ("U21 wrong credentials do not matter", "GET /ultronex/heartbeat", 200,
     JSON, HEARTBEAT, {"auth": credentials("x", "y")}),
    # U22 stats
    ("U22", "GET /ultronex/stats", 200, JSON, STATS, {}),
    # U23 track
    ("U23", "GET /ultronex/track", 200, JSON,
     {"msg": "No pattern set for match"}, {}),
    # U24 external
    ("U24", "GET /ultronex/external", 200, JSON,
     {"msg": "No errors recorded yet"}, {}),
    # U25, U26 POST
    ("U25", "POST /ultronex/slack", 200, JSON, ["status", "msg", "id"],
     {"body": message()}),
    ("U25 more members", "POST /ultronex/slack", 200, JSON,
     ["status", "msg", "id"],
     {"body": {**message(more=1), "other": [1, 2]}}),
    ("U25 empty strings", "POST /ultronex/slack", 200, JSON,
     ["status", "msg", "id"],
     {"body": message(text="", title="", payload="")}),
    ("U25 payload an object", "POST /ultronex/slack", 200, JSON,
     ["status", "msg", "id"], {"body": message(payload={"a": [1, None]})}),
    ("U25 payload null", "POST /ultronex/slack", 200, JSON,
     ["status", "msg", "id"], {"body": message(payload=None)}),
    ("U25 charset", "POST /ultronex/slack", 200, JSON,
     ["status", "msg", "id"],
     {"body": message(), "Content_Type": "Application/JSON;charset=utf-8"}),
    ("U25 +json", "POST /ultronex/slack", 200, JSON, ["status", "msg", "id"],
     {"body": message(), "Content_Type": "application/vnd.ci+json"}),
    # U27 wrong shape
    *((f"U27 without {name}", "POST /ultronex/slack", 422, JSON, WRONG_SHAPE,
       {"body": {"msg": {key: value for key, value in
                         message()["msg"].items() if key != name}}})
      for name in ("channel", "text", "payload", "title")),
    *((f"U27 shape {body!r}", "POST /ultronex/slack", 422, JSON, WRONG_SHAPE,
       {"body": body}) for body in (
           b"", b"{}", b"[]", b"null", b'"msg"', b"17", b'{"msg":[]}',
           b'{"msg":null}', b'{"message":{}}',
           b'{"channel":"c","text":"t","payload":"p","title":"t"}')),
    *((f"U27 malformed {body!r}", "POST /ultronex/slack", 400, JSON, ["msg"],
       {"body": body}) for body in (
           b"{", b"msg", b"{'msg':1}", b'{"msg":}', b'{"a":"\xff"}', b" ",
           b'{"a":1}}', b"channel=ci&text=t", b'{"msg":{"a":"\n"}}',
           b"[" * 5000 + b"]" * 5000)),
    *((f"U27 type {kind}", "POST /ultronex/slack", 415, JSON, ["msg"],
       {"body": message(), "Content_Type": kind}) for kind in (
           "text/plain", "application/x-www-form-urlencoded",
           "multipart/form-data; boundary=x", "application/jsonx",
           "text/json", "application", "x application/json", "",
           "application/+json", None)),
    ("U27 too large", "POST /ultronex/slack", 413, None, None, {"body": BIG}),
    # U35 the dashboard
    ("U35", "GET /ultronex/stream", 200, HTML,
     b"<title>Ultronex Slack Stream</title>", {}),
    # U38 any other path
    *((f"U38 {path}", f"GET {path}", 404, HTML, b"You have entered an Abyss",
       {"auth": None}) for path in (
           "/nothing", "/ultronex", "/ultronex/", "/ultronex/nothing",
           "/index.html", "/js/application.js", "/stylesheets/error.css")),
    ("U38 POST", "POST /nothing", 404, HTML, b"You have entered an Abyss",
     {"auth": None, "body": message()}),
    # U39 static files: the names of ours are others
    ("U39", "GET /favicon.ico", 200, "image/svg+xml", b"<svg",
     {"auth": None}),
    ("U39 script", "GET /ultronex/static/stream.js", 200, "text/javascript",
     b"", {}),
    # U40 wrong credentials
    *((f"U40 {method} {path} {name}", f"{method} {path}", 401, TEXT, None,
       {"auth": auth, "challenge": True})
      for method, path in (
          ("GET", "/ultronex/stats"), ("GET", "/ultronex/track"),
          ("GET", "/ultronex/external"), ("GET", "/ultronex/stream"),
          ("POST", "/ultronex/slack"), ("GET", "/metrics"),
          ("GET", "/ultronex/messages/x"),
          ("GET", "/ultronex/static/stream.js"))
      for name, auth in (
          ("none", None), ("wrong", credentials(USER, "nonsense")),
          ("other scheme", "Bearer abc"))),
    # D26: who looks at the outage need not know the password
    ("D26 alive", "GET /livez", 200, JSON, ["alive"], {"auth": None}),
    ("D26 ready", "GET /readyz", 200, JSON, ["ready", "outbox"],
     {"auth": None}),
    # D27: a wrong method or sub-path is no error of the server
    *((f"D27 {method} {path}", f"{method} {path}", 405, TEXT, None,
       {"allow": "GET, HEAD"})
      for path in ("/ultronex/heartbeat", "/ultronex/stats",
                   "/ultronex/track", "/ultronex/external",
                   "/ultronex/stream", "/metrics", "/livez", "/readyz",
                   "/ultronex/messages/x", "/favicon.ico")
      for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW")),
    *((f"D27 {method} slack", f"{method} /ultronex/slack", 405,
       None if method == "HEAD" else TEXT, None, {"allow": "POST"})
      for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH")),
    *((f"D27 below {path}", f"GET {path}", 404, HTML,
       b"You have entered an Abyss", {}) for path in (
           "/ultronex/heartbeat/", "/ultronex/stats/x", "/ultronex/track/",
           "/ultronex/external/x", "/ultronex/stream/x",
           "/ultronex/slack/x", "/metrics/x", "/livez/", "/readyz/x")),
]


@pytest.mark.parametrize("asked, status, kind, content, more",
                         [row[1:] for row in TABLE],
                         ids=[row[0] for row in TABLE])
def test_the_interface(line, asked, status, kind, content, more):
    more = dict(more)
    challenge, allow = more.pop("challenge", False), more.pop("allow", None)
    body = more.pop("body", None)
    method, path = asked.split(" ", 1)
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body is not None:
        more.setdefault("Content_Type", JSON)
    answer = ask(line, method, path, body, **more)
    assert answer.status == status, answer
    if kind is not None:
        assert answer.headers["Content-Type"].split(";")[0] == kind
    if isinstance(content, bytes):
        assert content in answer.body
    elif isinstance(content, list):
        assert set(content) <= set(json.loads(answer.body))
    elif content is not None:
        told = json.loads(answer.body)
        assert {name: told[name] for name in content} == content
    if kind == JSON and status == 200:
        assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Allow"] == allow
    if challenge:
        assert answer.headers["WWW-Authenticate"].startswith(
            f'Basic realm="{REALM}"')
    else:
        assert answer.headers["WWW-Authenticate"] is None


@pytest.mark.parametrize("path", [
    "/ultronex/heartbeat", "/ultronex/stats", "/ultronex/track",
    "/ultronex/external", "/ultronex/stream", "/metrics", "/livez",
    "/readyz", "/favicon.ico", "/nothing", "/ultronex/messages/x"])
def test_head_tells_what_get_would(line, path):
    with Client(line) as client:
        whole = client.ask("GET", path)
        head = client.ask("HEAD", path)
        assert head.status == whole.status and head.body == b""
        assert head.headers["Content-Type"] == whole.headers["Content-Type"]
        if path not in ("/metrics", "/readyz"):     # they change
            assert head.headers["Content-Length"] == \
                str(len(whole.body))
        assert client.ask("GET", "/ultronex/heartbeat").status == 200


def test_22_stats_are_those_of_the_file(line):
    counted = {"uptime": "2020-01-01T00:00:00.000000Z", "snapshot": "later",
               "total_msg_count": 2 ** 60, "more": {"a": 1}}
    before = json.loads(ask(line, "GET", "/ultronex/stats").body)
    assert before["snapshot"] is None
    replace(line.folder / "stats.json", counted)
    assert json.loads(ask(line, "GET", "/ultronex/stats").body) == counted
    (line.folder / "stats.json").unlink()


def replace(path, content):
    beside = path.with_suffix(".beside")
    beside.write_text(json.dumps(content))
    beside.rename(path)


@pytest.mark.parametrize("external, told", [
    (None, {"msg": "No errors recorded yet"}),
    ({}, {"msg": "No errors recorded yet"}),
    ([], {"msg": "No errors recorded yet"}),
    ({"Ultronex Rate Limited Build": 3, "Slack error : remote closed": 1},
     {"errors": {"Ultronex Rate Limited Build": 3,
                 "Slack error : remote closed": 1}})])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_24_external_counts_errors(start, tmp_path, external, told, place):
    counted = {"seq": 1, "records": 2}
    members = list(counted.items())
    if external is not None:
        members.insert(place, ("external", external))
    replace(tmp_path / "stats.json", dict(members[:place + 1]))
    line = start(options=["--stats", tmp_path / "stats.json"])
    answer = ask(line, "GET", "/ultronex/external")
    assert json.loads(answer.body) == told
    assert json.loads(ask(line, "GET", "/ultronex/stats").body) == dict(
        member for member in members[:place + 1] if member[0] != "external")


def test_24_as_many_errors_as_are_counted(start, tmp_path):
    errors = {f"Ultronex Rate Limited {n:04}" + "\x01" * 100: n
              for n in range(1000)}
    replace(tmp_path / "stats.json", {"seq": 1, "external": errors})
    line = start(options=["--stats", tmp_path / "stats.json"])
    answer = ask(line, "GET", "/ultronex/external")
    assert json.loads(answer.body) == {"errors": errors}


# --- POST --------------------------------------------------------------------

def taken(line, told):
    """The record of a message that was taken."""
    record, = (record for record in line.journal
               if record.get("id") == told["id"])
    return record


def test_26_answers_when_it_is_on_disk(line):
    body = message(text="a \u00e4 \U0001f4a9 <b>", payload={"z": 1.50})
    told = json.loads(post(line, body).body)
    assert told == {"status": "triggered", "id": told["id"], "msg": {
        "channel": "ci", "text": "a \u00e4 \U0001f4a9 <b>",
        "title": "Build 42"}}
    assert uuid.UUID(told["id"]).version == 4
    record = taken(line, told)      # now, not later
    assert record["type"] == "api_message"
    assert record["source"] == "inbox"
    assert {name: record[name] for name in body["msg"]} == body["msg"]


def test_passes_the_bytes_on(line):
    members = (b'"channel":"\\u0063i","title":"\\ud83d\\ude00\\u0000",'
               b'"text":"\xf0\x9f\x92\xa9\\/"')
    payload = b'{"b" : 12345678901234567890.10,\r\n "a":[1e400,"\\ud800"]}'
    told = post(line, b'{"msg":{' + members + b',"payload":' + payload +
                b"}}")
    assert told.status == 200
    ours = next(text for path in sorted_journal(line.folder / "state")
                for text in whole_lines(path)
                if json.loads(told.body)["id"].encode() in text)
    assert payload.replace(b"\r\n", b"  ") in ours
    for member in members.split(b',"'):
        assert member.strip(b'"') in ours


def test_says_what_is_wrong_with_the_shape(line):
    told = json.loads(post(line, message(channel="x" * 81)).body)
    assert told == {**WRONG_SHAPE, "reason": "channel is too long"}
    told = json.loads(post(line, message(text=7)).body)
    assert told["reason"] == "text is no string"


def test_takes_a_body_of_8_mib(line):
    body = BIG[:-100] + b'"}}'
    assert len(body) <= 8 * MIB
    body = body[:-3] + b"x" * (8 * MIB - len(body)) + b'"}}'
    answer = post(line, body)
    assert answer.status == 200, answer
    assert len(taken(line, json.loads(answer.body))["payload"]) > 8e6


def test_several_at_once_over_kept_connections(line):
    told = []

    def work(number):
        with Client(line) as client:
            for i in range(50):
                answer = client.post(message(text=f"{number}.{i}"))
                assert answer.status == 200
                told.append(json.loads(answer.body))
    workers = [threading.Thread(target=work, args=(number,))
               for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    records = {record["id"]: record["text"] for record in line.journal
               if "id" in record}
    assert len(told) == 400
    assert all(records[one["id"]] == one["msg"]["text"] for one in told)


@pytest.mark.parametrize("origin, status", [
    (None, 200), ("http://127.0.0.1:{port}", 200),
    ("https://evil.example", 403), ("null", 403),
    ("http://127.0.0.1:1", 403)])
def test_no_page_from_elsewhere_posts(line, origin, status):
    answer = post(line, message(), Origin=origin and origin.format(
        port=line.port))
    assert answer.status == status
    assert not any(name.lower().startswith("access-control")
                   for name in answer.headers)
    before = len(line.journal)
    # what a browser sends first for a JSON body: it gets no leave
    answer = ask(line, "OPTIONS", "/ultronex/slack", Origin="https://e.test",
                 Access_Control_Request_Method="POST")
    assert answer.status == 405
    assert not any(name.lower().startswith("access-control")
                   for name in answer.headers)
    assert len(line.journal) == before


# --- once --------------------------------------------------------------------

def test_the_same_key_and_body_is_the_same_message(line):
    key = str(uuid.uuid4())
    first = json.loads(post(line, message(), Idempotency_Key=key).body)
    again = json.loads(post(line, message(), Idempotency_Key=key).body)
    assert first == again
    taken(line, first)      # one record
    other = json.loads(post(line, message(text="other"),
                            Idempotency_Key=key).body)
    assert other["id"] != first["id"]
    other = json.loads(post(line, message(),
                            Idempotency_Key=key + "x").body)
    assert other["id"] != first["id"]
    assert uuid.UUID(first["id"]).variant == uuid.RFC_4122


def test_one_of_many_at_once_is_relayed(line):
    key, told = str(uuid.uuid4()), []
    workers = [threading.Thread(target=lambda: told.append(
        post(line, message(text=key), Idempotency_Key=key).body))
        for _ in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(told)) == 1 and len(told) == 16
    taken(line, json.loads(told[0]))


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e4", "a\tb"])
def test_refuses_a_key_that_is_none(line, key):
    answer = post(line, message(), Idempotency_Key=key.encode("latin-1"))
    assert answer.status == 400, answer
    assert "Idempotency-Key" in json.loads(answer.body)["msg"]


def test_a_key_outlives_both_programs(start, slack, tmp_path):
    options = ["--inbox", tmp_path / "inbox.sock"]
    line = start(slack, options)
    first = json.loads(post(line, message(), Idempotency_Key="k").body)
    line.stop_reader(signal.SIGKILL)
    line.start_reader()
    other = start(options=options)
    again = json.loads(post(other, message(), Idempotency_Key="k").body)
    assert again == first
    assert len(line.journal) == 1


# --- trouble -----------------------------------------------------------------

def test_alone_there_is_nobody_to_take_it(start):
    line = start()
    answer = post(line, message())
    assert answer.status == 503
    assert "--inbox" in json.loads(answer.body)["msg"]


def check_away(answer):
    assert answer.status == 503, answer
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert json.loads(answer.body)["msg"]


def test_an_inbox_that_is_away(start, slack, tmp_path):
    line = start(options=["--inbox", tmp_path / "inbox.sock"])
    line.slack = slack
    began = time.monotonic()
    answer = post(line, message())
    assert 9 < time.monotonic() - began < 20
    check_away(answer)
    line.start_reader()
    assert post(line, message(text="later")).status == 200
    assert [record["text"] for record in line.journal] == ["later"]


def test_waits_for_a_reader_that_is_started_again(start, slack, tmp_path):
    line = start(slack, ["--inbox", tmp_path / "inbox.sock"])
    line.stop_reader(signal.SIGKILL)
    answers = []
    worker = threading.Thread(
        target=lambda: answers.append(post(line, message())))
    worker.start()
    line.start_reader()
    worker.join()
    assert answers[0].status == 200
    assert len(line.journal) == 1


class DeafInbox:
    """It takes lines and says nothing, or what it is told to say."""

    def __init__(self, path, answer=None):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.answer = answer
        self.lines = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(peer,),
                                 daemon=True).start()

    def serve(self, peer):
        with peer, peer.makefile("rb") as lines:
            for text in lines:
                self.lines.append(json.loads(text))
                self.may_answer.wait(30)
                if self.answer:
                    peer.sendall(self.answer)


def test_an_inbox_that_does_not_answer(start, tmp_path):
    inbox = DeafInbox(tmp_path / "inbox.sock")
    line = start(options=["--inbox", tmp_path / "inbox.sock"])
    began = time.monotonic()
    answer = post(line, message(), Idempotency_Key="k")
    assert 29 < time.monotonic() - began < 45
    check_away(answer)
    told = json.loads(answer.body)
    assert "Idempotency-Key" in told["msg"]
    assert told["id"] == inbox.lines[0]["id"]


def test_who_waits_is_answered_though_it_is_asked_to_end(start, tmp_path):
    inbox = DeafInbox(tmp_path / "inbox.sock", b'{"ok":true,"seq":1}\n')
    inbox.may_answer.clear()
    line = start(options=["--inbox", tmp_path / "inbox.sock"])
    answers = []
    worker = threading.Thread(
        target=lambda: answers.append(post(line, message())))
    worker.start()
    end = time.monotonic() + 10
    while not inbox.lines:
        assert time.monotonic() < end
        time.sleep(0.01)
    line.server.terminate()
    time.sleep(0.3)
    inbox.may_answer.set()
    worker.join()
    assert answers[0].status == 200
    line.server.wait(20)


def test_a_journal_that_is_full(start, tmp_path):
    inbox = DeafInbox(tmp_path / "inbox.sock", b'{"ok":false,"error":"the '
                      b'journal cannot be written","retry":true}\n')
    line = start(options=["--inbox", tmp_path / "inbox.sock"])
    began = time.monotonic()
    answer = post(line, message())
    assert 9 < time.monotonic() - began < 20
    check_away(answer)
    assert len({one["id"] for one in inbox.lines}) == 1


def test_a_disk_that_is_full(start, slack, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
    line = start(slack, ["--inbox", tmp_path / "inbox.sock"], limit=limit)
    statuses = [post(line, message(payload="x" * 10000)).status
                for _ in range(7)]
    assert statuses[:5] == [200] * 5 and statuses[-1] == 503
    assert len(line.journal) == statuses.count(200)


def test_a_client_that_leaves_while_it_waits(start, slack, tmp_path):
    line = start(options=["--inbox", tmp_path / "inbox.sock"])
    line.slack = slack
    body = json.dumps(message(text="gone")).encode()
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", line.port)) as peer:
            peer.sendall(b"POST /ultronex/slack HTTP/1.1\r\nHost: x\r\n"
                         b"Authorization: " + credentials().encode() +
                         b"\r\nContent-Type: application/json\r\n"
                         b"Content-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(0.01)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))    # hang up, no end
    end = time.monotonic() + 10
    while metric(line, 'relay_messages_total{outcome="abandoned"}') < 50:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert metric(line, "relay_waiting_messages") == 0
    line.start_reader()
    assert post(line, message(text="here")).status == 200
    assert [record["text"] for record in line.journal] == ["here"]


def test_too_many_that_wait(start, tmp_path):
    """Eight bodies of 8 MiB do not fit; nothing is held for ever."""
    line = start(options=["--inbox", tmp_path / "inbox.sock"])
    body = BIG[:-200] + b'"}}'
    statuses = []

    def work():
        statuses.append(post(line, body).status)
    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert statuses == [503] * 8
    assert metric(line, 'relay_messages_total{outcome="overload"}') > 0
    assert metric(line, "relay_waiting_messages") == 0
    status = pathlib.Path(f"/proc/{line.server.pid}/status").read_text()
    assert is_sanitized() or \
        int(re.search(r"RssAnon:\s+(\d+)", status)[1]) < 100 * KIB


# --- what became of it -------------------------------------------------------

def fill_outbox(path, *rows):
    """An outbox as slack-send makes it (man/outbox.5)."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(
        "CREATE TABLE IF NOT EXISTS message(number INTEGER PRIMARY KEY,"
        " seq INTEGER, purpose TEXT DEFAULT 'relay', id TEXT, channel TEXT,"
        " state TEXT, digest INTEGER, messages INTEGER, attempts INTEGER"
        " DEFAULT 0, created INTEGER, since INTEGER, ended INTEGER,"
        " slack_channel TEXT, slack_ts TEXT, reason TEXT)")
    for row in rows:
        database.execute(
            f"INSERT OR REPLACE INTO message({','.join(row)}) VALUES"
            f"({','.join('?' * len(row))})", tuple(row.values()))
    database.commit()
    database.close()


def find(line, name):
    answer = ask(line, "GET", f"/ultronex/messages/{name}")
    return answer.status, json.loads(answer.body)


NOW = 1_763_800_000_000_000
WHEN = "2025-11-22T08:26:40.000000Z"


@pytest.mark.parametrize("row, told", [
    ({"state": "queued"}, {"status": "queued"}),
    ({"state": "sending", "attempts": 2, "reason": "timeout"},
     {"status": "queued", "attempts": 2, "reason": "timeout"}),
    ({"state": "sent", "attempts": 1, "slack_channel": "C1",
      "slack_ts": "1.2", "ended": NOW},
     {"status": "sent", "attempts": 1, "slack_channel": "C1",
      "slack_ts": "1.2", "ended": WHEN}),
    ({"state": "failed", "attempts": 3, "reason": "channel_not_found",
      "ended": NOW},
     {"status": "failed", "attempts": 3, "reason": "channel_not_found",
      "ended": WHEN}),
    ({"state": "gathered", "digest": 9}, {"status": "queued", "digest": {
        "messages": 1}}),
    ({"state": "digest", "digest": 10, "ended": NOW},
     {"status": "digest", "ended": WHEN, "digest": {
         "messages": 17, "slack_channel": "C1", "slack_ts": "1.3"}}),
])
def test_tells_what_became_of_it(start, tmp_path, row, told):
    path = tmp_path / "outbox.db"
    fill_outbox(path, {"number": 9, "purpose": "digest", "state": "queued"},
                {"number": 10, "purpose": "digest", "state": "sent",
                 "messages": 17, "slack_channel": "C1", "slack_ts": "1.3"},
                {"number": 1, "id": "some-id", "channel": "ci",
                 "created": NOW, **row})
    line = start(options=["--outbox", path])
    assert find(line, "some-id") == (200, {
        "id": "some-id", "channel": "ci", "attempts": 0, "queued": WHEN,
        **told})


@pytest.mark.parametrize("name", [
    "x", "", "115804ca-770a-4ff2-a9bf-d3a35b8a5c18", "a/b", "%2e%2e",
    "x" * 200, "a'b", "a%00"])
def test_there_is_no_such_message(line, name):
    status, told = find(line, name)
    assert status == 404 and list(told) == ["msg"]


def test_knows_what_the_outbox_does_not_yet(line):
    told = json.loads(post(line, message()).body)
    status, found = find(line, told["id"])
    assert status == 200
    assert found == {"id": told["id"], "status": "queued",
                     "queued": found["queued"]}
    assert find(line, told["id"].upper())[0] == 200
    fill_outbox(line.folder / "outbox.db", {
        "id": told["id"], "state": "sent", "channel": "ci"})
    end = time.monotonic() + 10
    while find(line, told["id"])[1]["status"] != "sent":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_outbox_that_cannot_be_read(start, tmp_path):
    (tmp_path / "outbox.db").write_bytes(b"no database at all\n" * 100)
    line = start(options=["--outbox", tmp_path / "outbox.db"])
    answer = ask(line, "GET", "/ultronex/messages/x")
    check_away(answer)
    (tmp_path / "outbox.db").unlink()
    fill_outbox(tmp_path / "outbox.db", {"id": "x", "state": "queued"})
    end = time.monotonic() + 10
    while ask(line, "GET", "/ultronex/messages/x").status != 200:
        assert time.monotonic() < end
        time.sleep(0.05)


# --- metrics -----------------------------------------------------------------

def metric(line, name):
    text = ask(line, "GET", "/metrics").body.decode()
    value = re.search(rf"^ultronex_{re.escape(name)} (\S+)$", text, re.M)
    return float(value[1]) if value else 0


def write_status(folder, name, text):
    (folder / f"{name}.status").write_text(text.ljust(255) + "\n")


def test_metrics_are_as_prometheus_wants_them(start, slack, tmp_path):
    replace(tmp_path / "stats.json", {
        "records": 10, "total_msg_count": 7, "errors": 1, "seq": 10,
        "replied_msg_count": 1, "forwarded_msg_count": 2,
        "total_messages_slacked": 3, "attachment_bytes": 4,
        "bytes_scanned": 5, "classes": {"success": 5, "danger": 2,
                                        'a "user\'s"\n': 3},
        "attachments": {"ok": 2, "late": 1}, "patterns": {"x": 2, "y": 3},
        "deliveries": {"sent": 3, "failed": 1}})
    fill_outbox(tmp_path / "outbox.db",
                {"state": "queued", "since": time.time() * 1e6 - 5e6},
                {"state": "gathered", "since": time.time() * 1e6})
    running = tmp_path / "running"
    running.mkdir()
    write_status(running, "slack-reader", "slack=connected since=2026-11-22T"
                 f"10:00:00Z connections=2 seq=10 journal=ok "
                 f"pid={os.getpid()}")
    write_status(running, "scanner",
                 f"scanner\t{os.getpid()}\t2026-11-22T10:00:00Z\t3\t4")
    write_status(running, "stats", "stats\t0\t2026-11-22T10:00:00Z\t0\t0")
    line = start(slack, [
        "--inbox", tmp_path / "inbox.sock", "--running", running,
        "--outbox", tmp_path / "outbox.db", "--stats",
        tmp_path / "stats.json"])
    for body in (message(), message(), b"{"):
        post(line, body)
    with socket.create_connection(("127.0.0.1", line.port)) as peer:
        peer.sendall(b"nonsense\r\n\r\n")
        assert b" 400 " in peer.recv(1000)
    for path in ("/nothing", "/also/nothing", "/ultronex/static/stream.js",
                 "/ultronex/messages/x"):
        ask(line, "GET", path)
    answer = ask(line, "GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == \
        "text/plain; version=0.0.4; charset=utf-8"
    done = subprocess.run(["promtool", "check", "metrics"], timeout=60,
                          input=answer.body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    text = answer.body.decode()
    age = float(re.search(r"_oldest_message_seconds (\d\S*)", text)[1])
    assert 4 < age < 60
    for sample in (
            'http_requests_total{route="/ultronex/slack",code="200"} 2',
            'http_requests_total{route="/ultronex/slack",code="400"} 1',
            'http_requests_total{route="",code="400"} 1',
            'http_requests_total{route="",code="404"} 2',
            'http_requests_total{route="/ultronex/static/",code="200"} 1',
            'http_requests_total{route="/ultronex/messages/",code="404"} 1',
            'post_duration_seconds_bucket{le="+Inf"} 2',
            "post_duration_seconds_count 2", "viewers 0",
            'relay_messages_total{outcome="accepted"} 2',
            "records_total 10", "messages_total 7", "errors_total 1",
            'classified_records_total{class="danger"} 2',
            'classified_records_total{class="other"} 3',
            'attachments_total{status="late"} 1', "matches_total 5",
            'deliveries_total{status="sent"} 3',
            'outbox_messages{state="queued"} 1',
            'outbox_messages{state="gathered"} 1',
            'stage_up{stage="scanner"} 1', 'stage_up{stage="stats"} 0',
            'stage_restarts_total{stage="scanner"} 3', "slack_connected 1",
            "journal_ok 1"):
        assert f"\nultronex_{sample}\n" in text, (sample, text)
    assert "user" not in re.sub("# HELP.*", "", text)


def test_metrics_of_one_that_stands_alone(start):
    line = start()
    answer = ask(line, "GET", "/metrics")
    subprocess.run(["promtool", "check", "metrics"], input=answer.body,
                   check=True, timeout=60)


# --- the sample client (D29) -------------------------------------------------

def test_the_sample_works(line):
    done = subprocess.run(
        [ROOT / "examples" / "ultron-post", "--url", line.url, "ci", "a title",
         "a text", "-"], input=b"some payload\n", capture_output=True,
        timeout=60, check=False, env={
            **os.environ, "BASIC_AUTH_USERNAME": USER,
            "BASIC_AUTH_PASSWORD": PASSWORD})
    assert done.returncode == 0, done.stderr
    assert taken(line, {"id": done.stdout.decode().strip()})["payload"] == \
        "some payload\n"
