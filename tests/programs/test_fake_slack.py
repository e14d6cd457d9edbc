"""The fake Slack itself: does it do what Slack does? (Seen through raw sockets
and through aiohttp's client, which knows nothing of the server's code.)"""
import asyncio
import base64
import http.client
import json
import os
import socket
import ssl
import struct
import subprocess
import time
import urllib.parse

import aiohttp
import pytest

from slack import APP_TOKEN, BOT_TOKEN, PYTHON, SERVER, FakeSlack, fake_slack

assert fake_slack       # a fixture
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FAST = ("--ack-deadline", 0.3, "--retries", "0,0.2,0.4")


@pytest.fixture
def fast():
    with FakeSlack(*FAST) as slack:
        yield slack


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()
        try:
            self.json = json.loads(self.body)
        except ValueError:
            self.json = None


def request(slack, verb, path, body=None, token=None, **headers):
    connection = http.client.HTTPConnection(slack.host, timeout=30)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(verb, path, body, {
            name.replace("_", "-"): value for name, value in headers.items()})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def call(slack, method, token=BOT_TOKEN, verb="POST", **arguments):
    """A method of the Web API, its arguments as a form."""
    path, form = f"/api/{method}", urllib.parse.urlencode(arguments)
    if verb == "GET":
        return request(slack, "GET", f"{path}?{form}", token=token)
    return request(slack, "POST", path, form, token,
                   Content_Type="application/x-www-form-urlencoded")


def good(slack, method, **arguments):
    answer = call(slack, method, **arguments).json
    assert answer["ok"], answer
    return answer


def control_at_once(slack, *orders):
    """Nothing else happens between them."""
    answers = request(slack, "POST", "/control", json.dumps(orders)).json
    assert all(answer["ok"] for answer in answers), answers
    return answers


def error_of(slack, method, **arguments):
    answer = call(slack, method, **arguments)
    assert answer.status == 200 and answer.json["ok"] is False
    return answer.json["error"]


def new_url(slack):
    answer = call(slack, "apps.connections.open", token=APP_TOKEN)
    return answer.json["url"]


class Client:
    """A WebSocket by hand: each frame is seen, and can be made wrong."""

    def __init__(self, slack, url=None):
        url = urllib.parse.urlsplit(url or new_url(slack))
        self.socket = socket.create_connection((url.hostname, url.port), 30)
        self.file = self.socket.makefile("rb")
        self.socket.sendall(
            f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            f"{base64.b64encode(b'k' * 16).decode()}\r\n\r\n".encode())
        self.status = int(self.file.readline().split()[1])
        self.headers = http.client.parse_headers(self.file)

    def frame(self):
        """(final, opcode, payload); None at the end of TCP."""
        try:
            head = self.file.read(2)
        except ConnectionResetError:
            return None
        if len(head) < 2:
            return None
        size = head[1]
        if size == 126:
            size, = struct.unpack("!H", self.file.read(2))
        elif size == 127:
            size, = struct.unpack("!Q", self.file.read(8))
        return bool(head[0] & 128), head[0] & 15, self.file.read(size)

    def message(self):
        """The next text message, as JSON; answers pings meanwhile."""
        while True:
            frame = self.frame()
            assert frame, "the connection ended"
            if frame[1] == PING:
                self.send(PONG, frame[2])
            elif frame[1] == TEXT:
                return json.loads(frame[2])

    def closed(self):
        """The code of the close frame that comes next; None: TCP ended."""
        while (frame := self.frame()) is not None:
            if frame[1] == CLOSE:
                return int.from_bytes(frame[2][:2], "big")
        return None

    def send(self, opcode, payload, final=True, mask=b"abcd"):
        size = len(payload)
        head = bytes([final << 7 | opcode])
        head += (bytes([128 | size]) if size < 126 else
                 struct.pack("!BH", 128 | 126, size) if size < 65536 else
                 struct.pack("!BQ", 128 | 127, size))
        self.socket.sendall(head + mask + bytes(
            byte ^ mask[n % 4] for n, byte in enumerate(payload)))

    def acknowledge(self, envelope, **more):
        self.send(TEXT, json.dumps(
            {"envelope_id": envelope["envelope_id"], **more}).encode())

    def say_goodbye(self, code=1000):
        self.send(CLOSE, struct.pack("!H", code))

    def end(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def connect():
    """Makes clients, past their hello, and ends them."""
    clients = []

    def make(slack, hello=True, url=None):
        client = Client(slack, url)
        clients.append(client)
        if hello:
            assert client.status == 101
            client.hello = client.message()
            assert client.hello["type"] == "hello"
        return client
    yield make
    for client in clients:
        client.end()


# Tokens and tickets

def test_open_wants_post_and_the_token_in_the_header(fake_slack):
    open_, path = "apps.connections.open", "/api/apps.connections.open"
    assert call(fake_slack, open_, token=APP_TOKEN).json["ok"]
    assert request(fake_slack, "POST", path, token=APP_TOKEN).json["ok"]
    assert request(fake_slack, "POST", path, "{}", APP_TOKEN,
                   Content_Type="application/json").json["ok"]
    get = request(fake_slack, "GET", path, token=APP_TOKEN)
    assert get.json["error"] == "insecure_request"
    parameter = request(
        fake_slack, "POST", path, f"token={APP_TOKEN}",
        Content_Type="application/x-www-form-urlencoded")
    assert parameter.json["error"] == "not_authed"
    assert error_of(fake_slack, open_, token="xapp-1-no") == "invalid_auth"
    assert error_of(fake_slack, open_) == "not_allowed_token_type"


def test_url_has_its_slashes_escaped_and_follows_the_host(fake_slack):
    answer = call(fake_slack, "apps.connections.open", token=APP_TOKEN)
    assert b'"ws:\\/\\/' in answer.body
    url = urllib.parse.urlsplit(answer.json["url"])
    assert (url.scheme, url.netloc) == ("ws", fake_slack.host)
    assert "ticket" in urllib.parse.parse_qs(url.query)


def test_ticket_lets_in_once(fake_slack, connect):
    url = new_url(fake_slack)
    connect(fake_slack, url=url)
    assert connect(fake_slack, hello=False, url=url).status == 403
    forged = url.replace("ticket=", "ticket=0")
    assert connect(fake_slack, hello=False, url=forged).status == 403
    assert len(fake_slack.errors()) == 2


def test_ticket_expires(connect):
    with FakeSlack("--ticket-life", 0) as slack:
        assert connect(slack, hello=False).status == 403


def test_log_holds_no_token_and_no_ticket(fake_slack, connect):
    client = connect(fake_slack)
    call(fake_slack, "auth.test")
    request(fake_slack, "GET", f"/api/auth.test?token={BOT_TOKEN}")
    fake_slack.send("x")
    client.acknowledge(client.message())
    fake_slack.wait_for("ack")
    text = json.dumps(fake_slack.read_log())
    assert APP_TOKEN not in text and BOT_TOKEN not in text
    assert "ticket=" not in text
    assert [entry["token"] for entry in fake_slack.calls("auth.test")] == [
        "bot", "bot"]


def test_scopes(fake_slack):
    answer = call(fake_slack, "auth.test")
    assert "files:read" in answer.headers["x-oauth-scopes"].split(",")
    fake_slack.control("token", name="bot", without=["users:read"])
    answer = call(fake_slack, "users.info", user="U0HUMAN001").json
    assert answer["error"] == "missing_scope"
    assert answer["needed"] == "users:read"
    assert "files:read" in answer["provided"]
    fake_slack.control("token", name="bot", without=["groups:history"])
    assert error_of(fake_slack, "conversations.history",
                    channel="C0PRIVATE1") == "missing_scope"
    good(fake_slack, "conversations.history", channel="C0EXAMPLE1")


def test_token_goes_bad_and_good_again(fake_slack):
    fake_slack.control("token", name="bot", error="token_revoked")
    assert error_of(fake_slack, "auth.test") == "token_revoked"
    fake_slack.control("token", name="bot")
    assert good(fake_slack, "auth.test")["bot_id"] == "B0ULTRON01"


# A connection's life

def test_hello_counts_the_connections(connect):
    with FakeSlack("--connection-time", 500) as slack:
        first, second = connect(slack), connect(slack)
    assert first.hello["num_connections"] == 1
    assert second.hello["num_connections"] == 2
    assert second.hello["connection_info"]["app_id"]
    about = second.hello["debug_info"]
    assert about["approximate_connection_time"] == 500


def test_debug_reconnects_shortens_the_life(fake_slack, connect):
    url = new_url(fake_slack) + "&debug_reconnects=true"
    about = connect(fake_slack, url=url).hello["debug_info"]
    assert about["approximate_connection_time"] == 360


def test_extensions_are_not_negotiated(fake_slack, connect):
    client = connect(fake_slack)
    assert "Sec-WebSocket-Extensions" not in client.headers
    assert client.headers["Sec-WebSocket-Accept"]


def test_pings_and_pongs(connect):
    with FakeSlack("--ping-interval", 0.05) as slack:
        client = connect(slack)
        final, opcode, payload = client.frame()
        assert (final, opcode) == (True, PING)
        assert payload == b"Ping from applink-5"
        client.send(PONG, payload)
        slack.wait_for("client_pong", payload=payload.decode())
        client.send(PING, b"are you there")
        while (frame := client.frame())[1] != PONG:
            pass
        assert frame[2] == b"are you there"
        slack.wait_for("client_ping")


def test_clean_goodbye_is_answered_and_logged(fake_slack, connect):
    client = connect(fake_slack)
    client.say_goodbye()
    assert client.closed() == 1000
    assert client.frame() is None
    entry, = fake_slack.wait_for("close_socket")
    assert (entry["by"], entry["clean"], entry["code"]) == (
        "client", True, 1000)
    assert fake_slack.state()["sockets"] == []


def test_end_without_goodbye_is_logged_as_such(fake_slack, connect):
    connect(fake_slack).end()
    entry, = fake_slack.wait_for("close_socket")
    assert (entry["by"], entry["clean"]) == ("client", False)


def test_ghosts_stay_where_asked_for(connect):
    with FakeSlack("--ghosts") as slack:
        connect(slack).end()
        slack.wait_for("ghost")
        assert connect(slack).hello["num_connections"] == 2
        assert slack.state()["ghosts"] == [1]
        slack.control("lay_ghosts")
        assert connect(slack).hello["num_connections"] == 2


def test_tcp_left_open_after_the_close_handshake(connect):
    with FakeSlack("--leave-tcp-open") as slack:
        client = connect(slack)
        client.say_goodbye()
        assert client.closed() == 1000
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.frame()
        assert slack.state()["registered"] == []


def test_refresh_warns_then_asks_then_closes(fake_slack, connect):
    client = connect(fake_slack)
    began = time.monotonic()
    _, sent = control_at_once(
        fake_slack, {"do": "refresh", "warning": 0.2, "grace": 0.1},
        {"do": "send", "text": "meanwhile", "how": {"delay": 0.1}})
    assert client.message()["reason"] == "warning"
    envelope = client.message()     # events still come on the old socket
    assert envelope["payload"]["event"]["ts"] == sent["ts"]
    client.acknowledge(envelope)
    message = client.message()
    assert message["type"] == "disconnect"
    assert message["reason"] == "refresh_requested"
    assert client.closed() == 1000
    assert time.monotonic() - began >= 0.3
    client.say_goodbye()
    assert client.frame() is None
    assert fake_slack.wait_for("close_socket")[0]["by"] == "server"
    assert fake_slack.errors() == []


def test_refreshes_by_itself_when_its_time_is_over(connect):
    with FakeSlack("--connection-time", 0.3, "--warning-time", 0.1,
                   "--grace", 0.1) as slack:
        client = connect(slack)
        assert client.message()["reason"] == "warning"
        assert client.message()["reason"] == "refresh_requested"
        assert client.closed() == 1000


def test_eleventh_connection_is_too_many(fake_slack, connect):
    for _ in range(10):
        connect(fake_slack)
    client = connect(fake_slack, hello=False)
    assert client.message()["reason"] == "too_many_websockets"
    assert client.closed() == 1000
    assert len(fake_slack.state()["registered"]) == 10


def test_socket_mode_switched_off(fake_slack, connect):
    client = connect(fake_slack)
    url = new_url(fake_slack)
    fake_slack.control("disable")
    assert client.message()["reason"] == "link_disabled"
    assert client.closed() == 1000
    late = connect(fake_slack, hello=False, url=url)
    assert late.message()["reason"] == "link_disabled"
    assert not call(fake_slack, "apps.connections.open",
                    token=APP_TOKEN).json["ok"]
    fake_slack.control("enable")
    connect(fake_slack)


def test_disconnect_without_a_reason(fake_slack, connect):
    client = connect(fake_slack)
    fake_slack.control("disconnect")
    assert "reason" not in client.message()
    assert client.closed() == 1000


@pytest.mark.parametrize("status", [408, 409, 503])
def test_refused_upgrade(fake_slack, connect, status):
    fake_slack.fail_upgrade(status=status, times=2)
    for _ in range(2):
        assert connect(fake_slack, hello=False).status == status
    connect(fake_slack)


def test_upgrade_that_hangs(fake_slack):
    fake_slack.fail_upgrade(hang=True)
    url = urllib.parse.urlsplit(new_url(fake_slack))
    with socket.create_connection((url.hostname, url.port)) as raw:
        raw.sendall(f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\n"
                    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Key: a\r\n\r\n".encode())
        raw.settimeout(0.3)
        with pytest.raises(TimeoutError):
            raw.recv(1)


def test_hello_that_never_comes(fake_slack, connect):
    fake_slack.fail_upgrade(no_hello=True)
    client = connect(fake_slack, hello=False)
    assert client.status == 101
    client.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.frame()
    assert fake_slack.state()["registered"] == []


def test_close_right_after_hello(fake_slack, connect):
    fake_slack.fail_upgrade(close_after_hello=True, code=1001)
    assert connect(fake_slack).closed() == 1001


def test_reset_right_after_the_upgrade(fake_slack, connect):
    fake_slack.fail_upgrade(reset=True)
    assert connect(fake_slack, hello=False).frame() is None


def test_kill_sends_no_close_frame(fake_slack, connect):
    client = connect(fake_slack)
    assert fake_slack.kill() == [1]
    assert client.closed() is None


# Envelopes

def test_envelope_is_as_documented(fake_slack, connect):
    client = connect(fake_slack)
    sent = fake_slack.send("build &lt;42&gt; failed")
    envelope = client.message()
    assert envelope["type"] == "events_api"
    assert envelope["accepts_response_payload"] is False
    assert (envelope["retry_attempt"], envelope["retry_reason"]) == (0, "")
    payload = envelope["payload"]
    assert payload["type"] == "event_callback"
    assert payload["event_id"] == sent["event_id"]
    assert payload["team_id"] == "T0EXAMPLE1"
    event = payload["event"]
    assert event["text"] == "build &lt;42&gt; failed"
    assert event["ts"] == event["event_ts"] == sent["ts"]
    assert event["channel_type"] == "channel"
    client.acknowledge(envelope)
    entry, = fake_slack.wait_for("ack")
    assert entry["latency"] < 3 and not entry["late"]
    assert list(fake_slack.acks()) == [sent["event_id"]]
    assert fake_slack.state()["pending"] == []


def test_each_event_goes_to_one_socket_in_turn(fake_slack, connect):
    clients = [connect(fake_slack), connect(fake_slack)]
    sent = fake_slack.send_many(10)
    seen = [[client.message()["payload"]["event_id"] for _ in range(5)]
            for client in clients]
    assert sorted(seen[0] + seen[1]) == sorted(s["event_id"] for s in sent)
    assert not set(seen[0]) & set(seen[1])


def test_no_ack_means_redelivery_and_in_the_end_loss(fast, connect):
    client = connect(fast)
    sent = fast.send("hear me")
    envelopes = [client.message() for _ in range(4)]
    assert [e["retry_attempt"] for e in envelopes] == [0, 1, 2, 3]
    assert [e["retry_reason"] for e in envelopes] == ["", *["timeout"] * 3]
    assert len({e["envelope_id"] for e in envelopes}) == 4
    assert {e["payload"]["event_id"] for e in envelopes} == {
        sent["event_id"]}
    fast.wait_for("lost", event_id=sent["event_id"])
    assert fast.state()["lost"] == [sent["event_id"]]
    history = good(fast, "conversations.history", channel="C0EXAMPLE1")
    assert [m["ts"] for m in history["messages"]] == [sent["ts"]]


def test_ack_ends_the_redelivery(fast, connect):
    client = connect(fast)
    sent, _ = control_at_once(fast, {"do": "send", "text": "hear me"},
                              {"do": "set", "ack_deadline": 2})
    client.message()
    client.acknowledge(client.message())
    fast.wait_for("ack", attempt=1)
    client.socket.settimeout(3)
    with pytest.raises(TimeoutError):
        client.message()
    assert fast.state()["lost"] == []
    assert sent["event_id"] in fast.state()["acked"]


def test_ack_that_comes_late_is_none(fast, connect):
    client = connect(fast)
    control_at_once(fast, {"do": "send", "text": "hear me"},
                    {"do": "set", "ack_deadline": 30})     # of the second
    first = client.message()
    second = client.message()
    client.acknowledge(first)
    assert fast.wait_for("ack")[0]["late"]
    assert fast.acks() == fast.state()["acked"] == {}
    client.acknowledge(second)
    fast.wait_for("ack", late=False)
    assert fast.state()["pending"] == []


def test_without_a_socket_the_schedule_is_the_same(fast, connect):
    fast.set(retries=[0, 2, 10])
    sent = fast.send("is anybody there")
    fast.wait_for("undelivered", 2)
    client = connect(fast)
    envelope = client.message()
    assert envelope["payload"]["event_id"] == sent["event_id"]
    assert envelope["retry_attempt"] == len(fast.seen("undelivered"))
    lost = FakeSlack("--retries", "0,0,0")
    with lost:
        sent = lost.send("nobody")
        lost.wait_for("lost", event_id=sent["event_id"])


def test_wrong_acks_are_errors(fake_slack, connect):
    clients = [connect(fake_slack), connect(fake_slack)]
    fake_slack.send("x")
    envelope = clients[0].message()
    clients[1].acknowledge(envelope)
    fake_slack.wait_for("error", what="ack on another socket")
    clients[1].acknowledge({"envelope_id": "none"})
    fake_slack.wait_for("error", what="ack of an unknown envelope")
    clients[1].send(TEXT, b"no json")
    fake_slack.wait_for("error", what="text that is no JSON object")
    assert fake_slack.acks() == {}


def test_ack_over_the_frame_limit_closes_with_1009(fake_slack, connect):
    client = connect(fake_slack)
    fake_slack.send("x")
    envelope = client.message()
    client.acknowledge(envelope, payload={"text": "y" * 20480})
    assert client.closed() == 1009
    assert fake_slack.errors()[0]["what"] == "frame too long"
    assert fake_slack.acks() == {}


def test_ack_of_the_allowed_length(fake_slack, connect):
    client = connect(fake_slack)
    fake_slack.send("x")
    ack = json.dumps({"envelope_id": client.message()["envelope_id"]})
    client.send(TEXT, ack.ljust(20480).encode())
    assert fake_slack.wait_for("ack")[0]["bytes"] == 20480


def test_fragmented_ack_closes_with_1009(fake_slack, connect):
    client = connect(fake_slack)
    client.send(TEXT, b'{"envelope', final=False)
    assert client.closed() == 1009


def test_unmasked_frame_is_an_offence(fake_slack, connect):
    client = connect(fake_slack)
    client.socket.sendall(b"\x81\x02{}")
    assert client.closed() == 1002


def test_black_hole_is_silent_and_swallows_its_share(connect):
    with FakeSlack("--ack-deadline", 0.3, "--retries", "0" + 9 * ",0.2",
                   "--ping-interval", 0.05) as slack:
        hole, client = connect(slack), connect(slack)
        slack.blackhole(1)
        sent = slack.send_many(4)
        number = 0
        while len(slack.acks()) < 4:    # 2 at first, 2 again in the end
            client.acknowledge(client.message())
            number += 1
            slack.wait_for("ack", number)   # some may be late
        swallowed = slack.seen("envelope", into_black_hole=True)
        assert len(swallowed) >= 2
        hole.send(PING, b"hello?")
        hole.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while hole.frame()[1] == PING:      # those from before
                pass
        hole.end()
        slack.send("once more")
        assert slack.state()["ghosts"] == [1]
        assert connect(slack).hello["num_connections"] == 3
        assert len(sent) == 4


def test_split_dribbled_and_pinged_between(fake_slack, connect):
    client = connect(fake_slack)
    fake_slack.send("split", how={"frames": {
        "frames": 4, "dribble": 50, "pause": 0.001, "ping_between": True}})
    frames = [client.frame() for _ in range(7)]
    assert [f[1] for f in frames] == [TEXT, PING, 0, PING, 0, PING, 0]
    assert [f[0] for f in frames if f[1] != PING] == [
        False, False, False, True]
    text = b"".join(f[2] for f in frames if f[1] != PING)
    assert json.loads(text)["payload"]["event"]["text"] == "split"


def test_raw_and_binary_frames(fake_slack, connect):
    client = connect(fake_slack)
    fake_slack.control("raw", text="this is no json")
    assert client.frame() == (True, TEXT, b"this is no json")
    fake_slack.control("raw", base64_data="AAECAw==")
    assert client.frame() == (True, BINARY, b"\0\1\2\3")


def test_odd_envelopes(fake_slack, connect):
    client = connect(fake_slack)
    fake_slack.control("rate_limit_notice", minute=1763800020)
    envelope = client.message()
    assert envelope["type"] == "events_api"
    assert envelope["payload"]["type"] == "app_rate_limited"
    assert "event" not in envelope["payload"]
    assert "retry_attempt" not in envelope
    fake_slack.control("push_event", event=None)
    assert client.message()["payload"]["event"] is None
    fake_slack.control("push", type="weather", payload=None)
    envelope = client.message()
    assert envelope["type"] == "weather" and "payload" not in envelope
    client.acknowledge(envelope)
    fake_slack.wait_for("ack")


def test_slash_command_and_interaction(fake_slack, connect):
    client = connect(fake_slack)
    fake_slack.control("slash_command", text="help", channel="C0FOREIGN1")
    envelope = client.message()
    assert envelope["type"] == "slash_commands"
    assert envelope["accepts_response_payload"] is True
    assert envelope["payload"]["text"] == "help"
    client.acknowledge(envelope, payload={"text": "no"})
    assert fake_slack.wait_for("ack")[0]["payload"] == {"text": "no"}
    fake_slack.control("interactive")
    assert client.message()["payload"]["type"] == "block_actions"


def test_mention_has_a_twin_with_another_event_id(fake_slack, connect):
    client = connect(fake_slack)
    fake_slack.send("<@U0ULTRON01> hi", twin=True)
    one, two = (client.message()["payload"] for _ in range(2))
    assert (one["event"]["type"], two["event"]["type"]) == (
        "message", "app_mention")
    assert one["event"]["ts"] == two["event"]["ts"]
    assert one["event_id"] != two["event_id"]


def test_repeats_what_was_acknowledged_where_asked_for(connect):
    with FakeSlack("--repeats", 1) as slack:
        client = connect(slack)
        slack.send("again")
        first = client.message()
        client.acknowledge(first)
        second = client.message()
        assert second["retry_attempt"] == 1
        assert second["payload"] == first["payload"]


def test_order_is_lost_where_asked_for(connect):
    with FakeSlack("--jitter", 0.3) as slack:
        client = connect(slack)
        sent = [message["ts"] for message in slack.send_many(30)]
        seen = [client.message()["payload"]["event"]["ts"] for _ in sent]
        assert seen != sent and sorted(seen) == sent


def test_burst_keeps_its_rate(fake_slack, connect):
    client = connect(fake_slack)
    began = time.monotonic()
    fake_slack.burst(50, rate=100)
    for _ in range(50):
        client.message()
    assert time.monotonic() - began > 0.4
    fake_slack.wait_for("burst_over", count=1)


# With a client by others

async def receive(slack, context=None):
    """Connect by aiohttp, acknowledge three events; returns their texts."""
    loop, texts = asyncio.get_running_loop(), []
    async with aiohttp.ClientSession() as session:
        async with session.post(
                slack.api_url + "apps.connections.open", ssl=context,
                headers={"Authorization": f"Bearer {APP_TOKEN}"}) as answer:
            url = (await answer.json())["url"]
        async with session.ws_connect(
                url, ssl=context, max_msg_size=1 << 26) as sock:
            assert (await sock.receive_json())["type"] == "hello"
            await loop.run_in_executor(None, send_three, slack)
            for _ in range(3):
                envelope = await sock.receive_json(timeout=20)
                texts.append(envelope["payload"]["event"]["text"])
                await sock.send_json(
                    {"envelope_id": envelope["envelope_id"]})
            await loop.run_in_executor(
                None, lambda: slack.wait_for("ack", 3))
    return texts


def send_three(slack):
    slack.send("whole")
    slack.send("p" * 3000, how={"frames": {"frames": 9, "dribble": 100,
                                           "pause": 0.001}})
    slack.send("m" * (5 << 20), how={"frames": {"frames": 3}})


@pytest.mark.parametrize("tls", [False, True])
def test_aiohttp_understands_it(tls):
    with FakeSlack("--ack-deadline", 60, tls=tls) as slack:
        context = ssl.create_default_context(
            cafile=slack.ca_file) if tls else None
        texts = asyncio.run(receive(slack, context))
        assert [len(text) for text in texts] == [5, 3000, 5 << 20]
        assert slack.wait_for("close_socket")[0]["clean"]
        assert slack.seen("open_socket")[0]["tls"] is tls
        assert slack.errors() == []


def test_certificate_is_not_trusted_without_its_ca():
    with FakeSlack(tls=True) as slack:
        url = urllib.parse.urlsplit(slack.api_url)
        assert url.scheme == "https"
        context = ssl.create_default_context()
        with socket.create_connection((url.hostname, url.port)) as raw:
            with pytest.raises(ssl.SSLCertVerificationError):
                context.wrap_socket(raw, server_hostname=url.hostname)


# The history

def history(slack, **arguments):
    return good(slack, "conversations.history", channel="C0EXAMPLE1",
                **arguments)


def test_history_is_newest_first_and_lacks_what_events_have(fake_slack):
    sent = fake_slack.send_many(3)
    messages = history(fake_slack)["messages"]
    assert [m["ts"] for m in messages] == [s["ts"] for s in sent[::-1]]
    for name in ("channel", "channel_type", "event_ts", "event_id"):
        assert name not in messages[0]
    assert sent[0]["ts"] < sent[1]["ts"] < sent[2]["ts"]


def test_history_pages_by_cursor_to_its_end(fake_slack):
    sent = fake_slack.send_many(10)
    seen, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        page = history(fake_slack, limit=4, cursor=cursor)
        seen += [m["ts"] for m in page["messages"]]
        cursor = page.get("response_metadata", {}).get("next_cursor")
        assert page["has_more"] == bool(cursor)
        assert not cursor or cursor.endswith("=")
        pages += 1
    assert pages == 3
    assert seen == [s["ts"] for s in sent[::-1]]


def test_history_between_oldest_and_latest(fake_slack):
    ts = [s["ts"] for s in fake_slack.send_many(5)]

    def window(**arguments):
        return [m["ts"] for m in history(
            fake_slack, **arguments)["messages"]][::-1]
    assert window(oldest=ts[1]) == ts[2:]
    assert window(latest=ts[3]) == ts[:3]
    assert window(oldest=ts[1], latest=ts[3]) == ts[2:3]
    assert window(oldest=ts[1], latest=ts[3], inclusive="true") == ts[1:4]
    assert window(oldest=ts[2], latest=ts[2], inclusive="true",
                  limit=1) == [ts[2]]


def test_cursor_that_is_none_or_expired(fake_slack):
    fake_slack.send_many(3)
    arguments = {"channel": "C0EXAMPLE1", "limit": 1}
    assert error_of(fake_slack, "conversations.history", cursor="abc",
                    **arguments) == "invalid_cursor"
    cursor = history(fake_slack, limit=1)["response_metadata"]["next_cursor"]
    fake_slack.control("expire_cursors")
    assert error_of(fake_slack, "conversations.history", cursor=cursor,
                    **arguments) == "invalid_cursor"


def test_history_by_oldest_alone_may_begin_at_the_old_end():
    with FakeSlack("--from-oldest") as slack:
        ts = [s["ts"] for s in slack.send_many(5)]
        page = history(slack, oldest=ts[0], limit=2)
        assert [m["ts"] for m in page["messages"]] == [ts[2], ts[1]]
        page = history(slack, oldest=ts[0], limit=2,
                       cursor=page["response_metadata"]["next_cursor"])
        assert [m["ts"] for m in page["messages"]] == [ts[4], ts[3]]
        assert not page["has_more"]
        page = history(slack, limit=2)
        assert [m["ts"] for m in page["messages"]] == [ts[4], ts[3]]


def test_history_limit_caps_a_page():
    with FakeSlack("--history-limit", 2) as slack:
        slack.send_many(3)
        assert len(history(slack, limit=200)["messages"]) == 2


def test_threads(fake_slack):
    parent = fake_slack.send("parent")
    one = fake_slack.reply(parent, "one", user="U0HUMAN002")
    two = fake_slack.reply(parent, "two", broadcast=True)
    three = fake_slack.reply(parent, "three")
    messages = history(fake_slack)["messages"]
    assert [m["text"] for m in messages] == ["two", "parent"]
    assert messages[0]["subtype"] == "thread_broadcast"
    about = messages[1]
    assert about["thread_ts"] == parent["ts"]
    assert about["reply_count"] == 3
    assert about["latest_reply"] == three["ts"]
    assert about["reply_users"] == ["U0HUMAN002", "U0HUMAN001"]
    replies = {"channel": "C0EXAMPLE1"}
    thread = good(fake_slack, "conversations.replies", ts=parent["ts"],
                  **replies)["messages"]
    assert [m["text"] for m in thread] == ["parent", "one", "two", "three"]
    by_reply = good(fake_slack, "conversations.replies", ts=one["ts"],
                    oldest=two["ts"], **replies)["messages"]
    assert [m["text"] for m in by_reply] == ["parent", "three"]
    lone = fake_slack.send("lone")
    assert len(good(fake_slack, "conversations.replies", ts=lone["ts"],
                    **replies)["messages"]) == 1
    assert error_of(fake_slack, "conversations.replies", ts="1.000001",
                    **replies) == "thread_not_found"


def test_replies_page_with_the_parent_first(fake_slack):
    parent = fake_slack.send("parent")
    for n in range(5):
        fake_slack.reply(parent, str(n))
    seen, cursor = [], ""
    while True:
        page = good(fake_slack, "conversations.replies", ts=parent["ts"],
                    channel="C0EXAMPLE1", limit=3, cursor=cursor)
        assert page["messages"][0]["text"] == "parent"
        seen += [m["text"] for m in page["messages"][1:]]
        if not page["has_more"]:
            break
        cursor = page["response_metadata"]["next_cursor"]
    assert seen == list("01234")


def test_edit(fake_slack, connect):
    client = connect(fake_slack)
    sent = fake_slack.send("before")
    client.message()
    fake_slack.edit(sent, "after")
    event = client.message()["payload"]["event"]
    assert event["subtype"] == "message_changed" and event["hidden"]
    assert event["message"]["text"] == "after"
    assert event["message"]["ts"] == sent["ts"] != event["ts"]
    assert event["message"]["edited"]["user"] == "U0HUMAN001"
    assert event["previous_message"]["text"] == "before"
    message, = history(fake_slack)["messages"]
    assert message["text"] == "after" and "edited" in message


def test_edit_by_nobody_and_without_a_previous_message(fake_slack, connect):
    client = connect(fake_slack)
    sent = fake_slack.send("see http://example.org")
    client.message()
    fake_slack.control("edit", channel=sent["channel"], ts=sent["ts"],
                       by=None, previous=[], attachments=[{"title": "T"}])
    event = client.message()["payload"]["event"]
    assert event["previous_message"] == []
    assert event["message"]["attachments"] == [{"title": "T"}]
    assert "edited" not in event["message"]


def test_deletion(fake_slack, connect):
    client = connect(fake_slack)
    sent, parent = fake_slack.send("gone"), fake_slack.send("parent")
    fake_slack.reply(parent)
    for _ in range(3):
        client.message()
    fake_slack.delete(sent)
    event = client.message()["payload"]["event"]
    assert event["subtype"] == "message_deleted"
    assert event["deleted_ts"] == sent["ts"]
    assert event["previous_message"]["text"] == "gone"
    fake_slack.delete(parent)
    event = client.message()["payload"]["event"]
    assert event["message"]["subtype"] == "tombstone"
    assert [m["subtype"] for m in history(fake_slack)["messages"]] == [
        "tombstone"]


def test_where_the_bot_is_not_nothing_is_told(fake_slack, connect):
    client = connect(fake_slack)
    assert fake_slack.send("x", channel="C0FOREIGN1")["event_id"] is None
    assert fake_slack.send("y", quiet=True)["event_id"] is None
    fake_slack.send("told")
    assert client.message()["payload"]["event"]["text"] == "told"
    channel = {"channel": "C0FOREIGN1"}
    assert error_of(fake_slack, "conversations.history",
                    **channel) == "not_in_channel"
    good(fake_slack, "conversations.join", **channel)
    again = good(fake_slack, "conversations.join", **channel)
    assert again["warning"] == "already_in_channel"
    assert len(good(fake_slack, "conversations.history",
                    **channel)["messages"]) == 1


# Lookups

def test_lookups(fake_slack):
    user = good(fake_slack, "users.info", user="U0HUMAN002")["user"]
    assert user["profile"]["display_name"] == ""
    assert user["real_name"] == "Bo Example"
    assert error_of(fake_slack, "users.info", user="U1") == "user_not_found"
    channel = good(fake_slack, "conversations.info",
                   channel="C0EXAMPLE1")["channel"]
    assert (channel["name"], channel["is_member"]) == ("qa", True)
    im = good(fake_slack, "conversations.info",
              channel="D0HUMAN001")["channel"]
    assert im["is_im"] and im["user"] == "U0HUMAN001" and "name" not in im
    bot = good(fake_slack, "bots.info", bot="B0ULTRON01")["bot"]
    assert bot["user_id"] == "U0ULTRON01"
    assert good(fake_slack, "auth.test")["user_id"] == "U0ULTRON01"


def test_private_channel_without_the_bot_is_not_found(fake_slack):
    fake_slack.control("add_channel", id="C0SECRET01", name="secret",
                       type="group", members=["U0HUMAN001"])
    assert error_of(fake_slack, "conversations.info",
                    channel="C0SECRET01") == "channel_not_found"
    fake_slack.control("change_channel", id="C0SECRET01", joined=True)
    good(fake_slack, "conversations.info", channel="C0SECRET01")


def test_lists_of_channels(fake_slack):
    everything = "public_channel,private_channel,im,mpim"
    mine = good(fake_slack, "users.conversations", types=everything)
    ids = [channel["id"] for channel in mine["channels"]]
    assert ids == ["C0EXAMPLE1", "C0EXAMPLE2", "C0PRIVATE1", "D0HUMAN001"]
    assert "is_member" not in mine["channels"][0]
    public = good(fake_slack, "conversations.list")["channels"]
    assert "C0FOREIGN1" in [channel["id"] for channel in public]
    fake_slack.control("change_channel", id="C0EXAMPLE1", archived=True)
    page = good(fake_slack, "users.conversations", limit=1,
                exclude_archived="true")
    assert page["channels"] == []       # filtered after the paging
    cursor = page["response_metadata"]["next_cursor"]
    page = good(fake_slack, "users.conversations", limit=1, cursor=cursor)
    assert [c["id"] for c in page["channels"]] == ["C0EXAMPLE2"]


def test_arguments_by_query_form_and_json(fake_slack):
    by_query = call(fake_slack, "users.info", verb="GET", user="U0HUMAN001")
    assert by_query.json["ok"]

    def post(body, kind):
        return request(fake_slack, "POST", "/api/users.info", body,
                       BOT_TOKEN, Content_Type=kind).json
    body = '{"user": "U0HUMAN001"}'
    with_charset = post(body, "application/json; charset=utf-8")
    assert with_charset["ok"] and "warning" not in with_charset
    assert post(body, "application/json")["warning"] == "missing_charset"
    assert post("{", "application/json")["error"] == "invalid_json"
    assert post("[]", "application/json")["error"] == "json_not_object"
    assert post(body, "text/xml")["error"] == "invalid_post_type"
    assert error_of(fake_slack, "no.such") == "unknown_method"
    assert error_of(fake_slack, "rtm.connect") == "not_allowed_token_type"


# What goes wrong on demand

def test_429_in_all_its_forms(fake_slack):
    fake_slack.fail_next("users.info", status=429, retry_after=7)
    answer = call(fake_slack, "users.info", user="U0HUMAN001")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert answer.json == {"ok": False, "error": "ratelimited"}
    fake_slack.fail_next("users.info", status=429, body="empty")
    answer = call(fake_slack, "users.info", user="U0HUMAN001")
    assert (answer.status, answer.body) == (429, b"")
    assert "Retry-After" not in answer.headers
    fake_slack.fail_next("users.info", status=429, body="html")
    answer = call(fake_slack, "users.info", user="U0HUMAN001")
    assert answer.body.startswith(b"<!DOCTYPE html")
    fake_slack.fail_next("users.info", error="rate_limited")
    assert error_of(fake_slack, "users.info",
                    user="U0HUMAN001") == "rate_limited"
    good(fake_slack, "users.info", user="U0HUMAN001")


def test_limit_counts_calls_of_one_method(fake_slack):
    fake_slack.control("limit", method="auth.test", many=2, seconds=60)
    statuses = [call(fake_slack, "auth.test").status for _ in range(3)]
    assert statuses == [200, 200, 429]
    good(fake_slack, "users.info", user="U0HUMAN001")
    fake_slack.control("limit", method="auth.test", many=2, seconds=1)
    time.sleep(1.05)        # the window itself is what is tested
    good(fake_slack, "auth.test")


def test_faults_of_all_kinds(fake_slack):
    fake_slack.fail_next(status=503, body="html", times=2)
    assert [call(fake_slack, "auth.test").status for _ in range(3)] == [
        503, 503, 200]
    fake_slack.fail_next("auth.test", body="no_ok")
    assert "ok" not in call(fake_slack, "auth.test").json
    fake_slack.fail_next("auth.test", body="{broken")
    assert call(fake_slack, "auth.test").body == b"{broken"
    fake_slack.fail_next("auth.test", error="ekm_access_denied",
                         answer={"needed": "x"})
    assert call(fake_slack, "auth.test").json == {
        "ok": False, "error": "ekm_access_denied", "needed": "x"}
    fake_slack.fail_next("auth.test", delay=0.3)
    began = time.monotonic()
    good(fake_slack, "auth.test")
    assert time.monotonic() - began >= 0.3
    fake_slack.fail_next("auth.test", reset=True)
    with pytest.raises((http.client.RemoteDisconnected,
                        ConnectionResetError)):
        call(fake_slack, "auth.test")
    fake_slack.fail_next("auth.test", hang=True)
    fake_slack.control("heal")
    good(fake_slack, "auth.test")


def test_answer_that_hangs(fake_slack):
    fake_slack.fail_next("auth.test", hang=True)
    with socket.create_connection(fake_slack.host.split(":")) as raw:
        raw.sendall(b"GET /api/auth.test HTTP/1.1\r\nHost: x\r\n\r\n")
        raw.settimeout(0.3)
        with pytest.raises(TimeoutError):
            raw.recv(1)


# Files

def share(slack, **upload):
    """Share a new file; returns its object as files.info has it."""
    sent = slack.send("look", uploads=[upload])
    return good(slack, "files.info", file=sent["files"][0])["file"]


def download(slack, file, token=BOT_TOKEN, **headers):
    path = urllib.parse.urlsplit(file["url_private_download"]).path
    return request(slack, "GET", path, token=token, **headers)


def test_download(fake_slack, connect):
    client = connect(fake_slack)
    file = share(fake_slack, name="a b.txt", text="content")
    event = client.message()["payload"]["event"]
    assert event["subtype"] == "file_share"
    assert event["files"] == [file]
    assert (file["size"], file["mode"]) == (7, "hosted")
    answer = download(fake_slack, file)
    assert (answer.status, answer.body) == (200, b"content")
    assert answer.headers["Content-Type"].startswith("text/plain")
    entry, = fake_slack.wait_for("download")
    assert (entry["token"], entry["bytes"]) == ("bot", 7)


@pytest.mark.parametrize("token", [None, "xoxb-wrong", APP_TOKEN])
def test_download_without_the_token_is_the_trap(fake_slack, token):
    file = share(fake_slack)
    answer = download(fake_slack, file, token)
    assert answer.status == 302
    target = urllib.parse.urlsplit(answer.headers["Location"])
    assert target.query.startswith("redir=%2Ffiles-pri%2F")
    page = request(fake_slack, "GET", f"/?{target.query}")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.body.startswith(b"<!DOCTYPE html")


def test_download_without_the_scope_is_the_trap(fake_slack):
    file = share(fake_slack)
    fake_slack.control("token", name="bot", without=["files:read"])
    answer = request(fake_slack, "GET", urllib.parse.urlsplit(
        file["url_private"]).path, token=BOT_TOKEN)
    assert answer.status == 302
    fake_slack.control("change_file", id=file["id"],
                       conduct={"login": "direct"})
    answer = download(fake_slack, file)
    assert (answer.status, answer.body[:9]) == (200, b"<!DOCTYPE")


def test_download_that_fails_at_first(fake_slack):
    file = share(fake_slack, text="fine", conduct={"fail": [
        {"status": 429, "retry_after": 1}, {"status": 502}]})
    first, second, third = (download(fake_slack, file) for _ in range(3))
    assert (first.status, first.headers["Retry-After"]) == (429, "1")
    assert second.status == 502
    assert third.body == b"fine"


def test_download_at_a_pace(fake_slack):
    file = share(fake_slack, size=3000, conduct={"rate": 10000})
    began = time.monotonic()
    assert len(download(fake_slack, file).body) == 3000
    assert 0.2 < time.monotonic() - began < 10


def test_download_cut_short(fake_slack):
    file = share(fake_slack, size=1000, conduct={"cut": 100})
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        download(fake_slack, file)
    assert fake_slack.wait_for("download")[0]["aborted"]


def test_download_without_end(fake_slack):
    file = share(fake_slack, size=10, conduct={"endless": True})
    connection = http.client.HTTPConnection(fake_slack.host, timeout=10)
    connection.request("GET", urllib.parse.urlsplit(
        file["url_private"]).path, headers={
            "Authorization": f"Bearer {BOT_TOKEN}"})
    response = connection.getresponse()
    assert len(response.read(5 << 20)) == 5 << 20
    response.close()
    connection.close()
    assert fake_slack.wait_for("download")[0]["aborted"]


def test_redirect_to_another_host_tells_who_brings_the_token(fake_slack):
    file = share(fake_slack, text="far", conduct={"elsewhere": True})
    answer = download(fake_slack, file)
    assert answer.status == 302
    target = urllib.parse.urlsplit(answer.headers["Location"])
    assert target.netloc == fake_slack.about["other_host"]
    for headers in ({}, {"Authorization": f"Bearer {BOT_TOKEN}"}):
        connection = http.client.HTTPConnection(target.netloc, timeout=10)
        connection.request("GET", target.path, headers=headers)
        assert connection.getresponse().read() == b"far"
        connection.close()
    assert [entry["authorization"] for entry in
            fake_slack.seen("elsewhere")] == [False, True]
    assert fake_slack.errors()[0]["what"] == "token sent to another host"


def test_files_that_need_a_second_look(fake_slack, connect):
    client = connect(fake_slack)
    sent = fake_slack.send("look", uploads=[
        {"stub": True, "text": "connected"}, {"mode": "external"},
        {"mode": "tombstone"}, {"mode": "hidden_by_limit"},
        {"mode": "access_denied"}])
    files = client.message()["payload"]["event"]["files"]
    assert files[0] == {
        "id": sent["files"][0], "mode": "file_access", "user": "",
        "file_access": "check_file_info", "created": 0, "timestamp": 0}
    assert files[1]["is_external"] and "url_private_download" not in files[1]
    assert [file["mode"] for file in files[2:4]] == [
        "tombstone", "hidden_by_limit"]
    assert files[4]["file_access"] == "access_denied"
    whole = good(fake_slack, "files.info", file=files[0]["id"])["file"]
    assert download(fake_slack, whole).body == b"connected"
    message = history(fake_slack)["messages"][0]
    assert message["files"][0] == whole
    assert error_of(fake_slack, "files.info",
                    file=files[2]["id"]) == "file_deleted"
    assert error_of(fake_slack, "files.info",
                    file=files[4]["id"]) == "file_not_found"
    assert error_of(fake_slack, "files.info", file="F1") == "file_not_found"


def upload(slack, content, **complete):
    """The three steps; returns the answer of the last."""
    first = good(slack, "files.getUploadURLExternal", filename="m.txt",
                 length=len(content))
    path = urllib.parse.urlsplit(first["upload_url"]).path
    done = request(slack, "POST", path, content,
                   Content_Type="application/octet-stream")
    assert done.body == f"OK - {len(content)}".encode()
    return first, path, call(
        slack, "files.completeUploadExternal",
        files=json.dumps([{"id": first["file_id"], "title": "T"}]),
        **complete).json


def test_upload_in_three_steps(fake_slack, connect):
    client = connect(fake_slack)
    first, path, answer = upload(
        fake_slack, b"full text", channel_id="C0EXAMPLE1",
        initial_comment="the match")
    assert answer["files"] == [{"id": first["file_id"], "title": "T"}]
    event = client.message()["payload"]["event"]
    assert event["subtype"] == "file_share"
    assert event["bot_id"] == "B0ULTRON01"
    assert event["text"] == "the match"
    assert download(fake_slack, event["files"][0]).body == b"full text"
    again = request(fake_slack, "POST", path, b"full text")
    assert again.status == 404
    assert error_of(
        fake_slack, "files.completeUploadExternal", channel_id="C0EXAMPLE1",
        files=json.dumps([{"id": first["file_id"]}])) == "file_not_found"


def test_upload_by_multipart_and_of_a_wrong_length(fake_slack):
    def put(content, length):
        url = good(fake_slack, "files.getUploadURLExternal", filename="a",
                   length=length)["upload_url"]
        body = (b'--B\r\nContent-Disposition: form-data; name="file"; '
                b'filename="a"\r\n\r\n' + content + b"\r\n--B--\r\n")
        return request(fake_slack, "POST", urllib.parse.urlsplit(url).path,
                       body, Content_Type="multipart/form-data; boundary=B")
    assert put(b"abc", 3).body == b"OK - 3"
    assert put(b"abc", 4).status == 400


def test_upload_errors(fake_slack):
    first = "files.getUploadURLExternal"
    assert error_of(fake_slack, first, filename="a",
                    length=0) == "missing_argument"
    assert error_of(fake_slack, first, filename="a", snippet_type="text",
                    length=(1 << 20) + 1) == "snippet_too_large"
    *_, answer = upload(fake_slack, b"x", channel_id="U0HUMAN001")
    assert answer["error"] == "invalid_arguments"
    assert "channel_id" in answer["response_metadata"]["messages"][0]
    *_, answer = upload(fake_slack, b"x", channel_id="C0FOREIGN1")
    assert answer["error"] == "not_in_channel"
    *_, answer = upload(fake_slack, b"x", channel_id="C0NOWHERE1")
    assert answer["error"] == "channel_not_found"
    fake_slack.fail_next("upload", status=500)
    url = good(fake_slack, first, filename="a", length=1)["upload_url"]
    assert request(fake_slack, "POST", urllib.parse.urlsplit(url).path,
                   b"x").status == 500


# Posts

def test_post_comes_back_as_the_bots_own_message(fake_slack, connect):
    client = connect(fake_slack)
    answer = good(fake_slack, "chat.postMessage", channel="C0EXAMPLE1",
                  text="found")
    event = client.message()["payload"]["event"]
    assert (event["ts"], event["user"], event["bot_id"]) == (
        answer["ts"], "U0ULTRON01", "B0ULTRON01")
    reply = good(fake_slack, "chat.postMessage", channel="C0EXAMPLE1",
                 text="more", thread_ts=answer["ts"])
    assert reply["message"]["thread_ts"] == answer["ts"]
    link = good(fake_slack, "chat.getPermalink", channel="C0EXAMPLE1",
                message_ts=reply["ts"])["permalink"]
    assert link.endswith(f"?thread_ts={answer['ts']}&cid=C0EXAMPLE1")


def test_post_errors(fake_slack):
    def post(channel="C0EXAMPLE1", text="x", **more):
        return error_of(fake_slack, "chat.postMessage", channel=channel,
                        text=text, **more)
    assert post(text="") == "no_text"
    assert post(text="é" * 4001) == "msg_too_long"
    assert post(channel="C0NOWHERE1") == "channel_not_found"
    assert post(thread_ts="1.000001") == "thread_not_found"
    assert post(markdown_text="y") == "markdown_text_conflict"
    assert post(attachments=json.dumps([{}] * 101)) == "too_many_attachments"
    assert post(blocks='{"a": 1}') == "invalid_blocks_format"
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "b"}}
    assert post(blocks=json.dumps([block] * 51)) == "invalid_blocks"
    block["text"]["text"] = "b" * 2999
    assert post(blocks=json.dumps([block] * 5)) == "msg_blocks_too_long"
    fake_slack.control("token", name="bot", without=["chat:write.public"])
    assert post(channel="C0FOREIGN1") == "not_in_channel"
    fake_slack.control("change_channel", id="C0EXAMPLE1", archived=True)
    assert post() == "is_archived"


def test_post_where_nobody_may(fake_slack):
    fake_slack.control("change_channel", id="C0EXAMPLE1",
                       refuses="restricted_action_read_only_channel")
    assert error_of(fake_slack, "chat.postMessage", text="x", channel="#qa"
                    ) == "restricted_action_read_only_channel"
    *_, answer = upload(fake_slack, b"x", channel_id="C0EXAMPLE1")
    assert answer["error"] == "restricted_action_read_only_channel"
    fake_slack.control("change_channel", id="C0EXAMPLE1", refuses=None)
    good(fake_slack, "chat.postMessage", text="x", channel="C0EXAMPLE1")


def test_post_by_name_and_where_the_bot_is_not(fake_slack):
    for name in ("builds", "#builds"):
        assert good(fake_slack, "chat.postMessage", channel=name, text="x"
                    )["channel"] == "C0EXAMPLE2"
    assert good(fake_slack, "chat.postMessage", channel="C0FOREIGN1",
                text="x")["channel"] == "C0FOREIGN1"    # chat:write.public
    assert error_of(fake_slack, "chat.postMessage", channel="#no-such",
                    text="x") == "channel_not_found"


def test_metadata_of_a_post(fake_slack, connect):
    client = connect(fake_slack)
    metadata = {"event_type": "ultron_message",
                "event_payload": {"key": "7/relay/0"}}
    post = good(fake_slack, "chat.postMessage", channel="C0EXAMPLE1",
                text="x", metadata=json.dumps(metadata))
    assert post["message"]["metadata"] == metadata
    assert client.message()["payload"]["event"]["metadata"] == metadata
    good(fake_slack, "chat.postMessage", channel="C0EXAMPLE1", text="in it",
         thread_ts=post["ts"], metadata=json.dumps(metadata))

    def of(method, **more):
        return [m.get("metadata") for m in good(
            fake_slack, method, channel="C0EXAMPLE1", **more)["messages"]]
    kind = {"event_type": "ultron_message"}
    assert of("conversations.history") == [kind]
    assert of("conversations.history", include_all_metadata="true") == [
        metadata]
    assert of("conversations.replies", ts=post["ts"]) == [kind, kind]
    assert of("conversations.replies", ts=post["ts"],
              include_all_metadata="1") == [metadata, metadata]


@pytest.mark.parametrize("metadata, error", [
    ("{", "invalid_metadata_format"), ("[]", "invalid_metadata_format"),
    ("{}", "invalid_metadata_schema"),
    ('{"event_type":"a"}', "invalid_metadata_schema"),
    ('{"event_type":"a b","event_payload":{}}', "invalid_metadata_schema"),
    ('{"event_type":"a","event_payload":"b"}', "invalid_metadata_schema"),
    (json.dumps({"event_type": "a", "event_payload": {"b": "c" * 9000}}),
     "metadata_too_large")])
def test_metadata_that_is_none(fake_slack, metadata, error):
    assert error_of(fake_slack, "chat.postMessage", channel="C0EXAMPLE1",
                    text="x", metadata=metadata) == error
    assert fake_slack.posts() == []


def test_what_was_posted_is_to_be_seen(fake_slack):
    good(fake_slack, "chat.postMessage", channel="C0EXAMPLE1", text="one")
    upload(fake_slack, b"full text", channel_id="C0EXAMPLE2",
           initial_comment="two")
    upload(fake_slack, b"\xff\xfe", channel_id="C0EXAMPLE1")
    posts = fake_slack.wait_until(
        lambda s: s.posts() if len(s.posts()) == 3 else None)
    assert [(p["channel"], p["text"]) for p in posts] == [
        ("C0EXAMPLE1", "one"), ("C0EXAMPLE2", "two"), ("C0EXAMPLE1", "")]
    file, = posts[1]["files"]
    assert (file["name"], file["title"], file["text"], file["bytes"]) == (
        "m.txt", "T", "full text", 9)
    assert posts[2]["files"][0]["text"] is None
    assert fake_slack.posts("C0EXAMPLE2", after=1) == [posts[1]]
    shares = good(fake_slack, "files.info", file=file["id"])["file"]["shares"]
    assert shares["public"]["C0EXAMPLE2"][0]["ts"] == posts[1]["ts"]


def test_post_to_a_user_opens_the_im(fake_slack):
    channel = good(fake_slack, "conversations.open",
                   users="U0HUMAN002")["channel"]["id"]
    answer = good(fake_slack, "chat.postMessage", channel="U0HUMAN002",
                  text="x")
    assert answer["channel"] == channel and channel.startswith("D")
    assert error_of(fake_slack, "conversations.open",
                    users="U1") == "user_not_found"
    nine = ",".join(["U0HUMAN001"] * 9)
    assert error_of(fake_slack, "conversations.open",
                    users=nine) == "too_many_users"


def test_posts_too_fast_in_one_channel():
    with FakeSlack("--post-pace", 30) as slack:
        def post(channel):
            return call(slack, "chat.postMessage", channel=channel, text="x")
        began = time.monotonic()
        assert post("C0EXAMPLE1").status == 200
        limited = post("C0EXAMPLE1")
        took = time.monotonic() - began
        assert limited.status == 429
        assert 30 - took <= int(limited.headers["Retry-After"]) <= 30
        assert post("C0EXAMPLE2").status == 200


def post_status(slack, channel="C0EXAMPLE1"):
    return call(slack, "chat.postMessage", channel=channel, text="x").status


def test_short_burst_then_a_post_a_second():
    with FakeSlack("--post-pace", 2, "--post-burst", 3) as slack:
        assert [post_status(slack) for _ in range(5)] == [
            200, 200, 200, 429, 429]
        assert post_status(slack, "C0EXAMPLE2") == 200
        *_, answer = upload(slack, b"x", channel_id="C0EXAMPLE1")
        assert answer["error"] == "ratelimited"     # it shows a message, too
        time.sleep(2.05)        # the pace itself is what is tested
        assert [post_status(slack) for _ in range(2)] == [200, 429]
        assert slack.limited() == {"C0EXAMPLE1": 3}
        assert slack.limited("files.completeUploadExternal") == {
            "C0EXAMPLE1": 1}


def test_workspace_has_a_limit_for_all_channels():
    with FakeSlack("--post-limit", 4) as slack:
        channels = ["C0EXAMPLE1", "C0EXAMPLE2"]
        statuses = [post_status(slack, channels[n % 2]) for n in range(6)]
        assert statuses == [200] * 4 + [429] * 2
        limited = call(slack, "chat.postMessage", channel="C0PRIVATE1",
                       text="x")
        assert 50 < int(limited.headers["Retry-After"]) <= 60


def test_real_limits():
    with FakeSlack("--real-limits") as slack:
        began = time.monotonic()
        statuses = [post_status(slack) for _ in range(20)]
        took = time.monotonic() - began
        assert statuses[:3] == [200] * 3
        assert statuses.count(200) <= 3 + took  # one more each second
        assert set(statuses) == {200, 429}
        statuses = [call(slack, "conversations.list").status
                    for _ in range(25)]
        assert statuses == [200] * 24 + [429]


def test_limit_answers_as_it_is_told():
    with FakeSlack("--post-pace", 10, "--limit-answer",
                   '{"retry_after":null,"body":"empty"}') as slack:
        assert post_status(slack) == 200
        answer = call(slack, "chat.postMessage", channel="C0EXAMPLE1",
                      text="x")
        assert (answer.status, answer.body) == (429, b"")
        assert "Retry-After" not in answer.headers
        slack.set(limit_answer={"body": "html"})
        answer = call(slack, "chat.postMessage", channel="C0EXAMPLE1",
                      text="x")
        assert answer.json is None and "Retry-After" in answer.headers


def test_message_limit_exceeded_is_counted(fake_slack):
    fake_slack.fail_next("chat.postMessage", error="message_limit_exceeded")
    assert error_of(fake_slack, "chat.postMessage", channel="C0EXAMPLE1",
                    text="x") == "message_limit_exceeded"
    assert fake_slack.limited() == {"C0EXAMPLE1": 1}


@pytest.mark.parametrize("fault", [
    {"reset": True}, {"half": True}, {"status": 500},
    {"status": 502, "body": "html"}, {"hang": True, "seconds": 0.1,
                                      "reset": True}])
@pytest.mark.parametrize("after", [False, True])
def test_post_that_is_done_or_not_and_badly_answered(fake_slack, fault,
                                                     after):
    fake_slack.fail_next("chat.postMessage", after=after, **fault)
    try:
        answer = call(fake_slack, "chat.postMessage", channel="C0EXAMPLE1",
                      text="x")
        assert answer.status == fault["status"]
    except (http.client.HTTPException, ConnectionError):
        assert "reset" in fault or "half" in fault
    assert len(fake_slack.posts()) == after
    assert post_status(fake_slack) == 200
    assert len(fake_slack.posts()) == after + 1


def test_half_an_answer_is_half_of_the_true_one(fake_slack):
    fake_slack.fail_next("chat.postMessage", after=True, half=True)
    with pytest.raises(http.client.IncompleteRead) as info:
        call(fake_slack, "chat.postMessage", channel="C0EXAMPLE1", text="x")
    assert info.value.partial.startswith(b'{"ok": true, "channel": "C0EX')
    assert info.value.expected > 100


@pytest.mark.parametrize("after", [False, True])
def test_upload_that_is_done_or_not_and_badly_answered(fake_slack, after):
    first = good(fake_slack, "files.getUploadURLExternal", filename="a",
                 length=1)
    path = urllib.parse.urlsplit(first["upload_url"]).path
    fake_slack.fail_next("upload", after=after, reset=True)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        request(fake_slack, "POST", path, b"x")
    again = request(fake_slack, "POST", path, b"x")
    assert again.status == (404 if after else 200)
    good(fake_slack, "files.completeUploadExternal",
         files=json.dumps([{"id": first["file_id"]}]))


def test_certificates_that_must_be_refused():
    def shake(slack):
        url = urllib.parse.urlsplit(slack.api_url)
        context = ssl.create_default_context(cafile=slack.ca_file)
        with socket.create_connection((url.hostname, url.port)) as raw:
            context.wrap_socket(raw, server_hostname=url.hostname).close()
    with FakeSlack("--certificate", "wrong_name", tls=True) as slack:
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address"):
            shake(slack)
        slack.control("certificate", kind="unknown_ca")
        with pytest.raises(ssl.SSLCertVerificationError, match="issuer"):
            shake(slack)
        slack.control("certificate")
        shake(slack)


# The program

def test_ends_when_its_parent_does():
    process = subprocess.Popen([PYTHON, SERVER, "--parent"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    about = json.loads(process.stdout.readline())
    assert about["api_url"].endswith("/api/") and about["ca_file"] is None
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()


def test_ends_cleanly_on_term_with_sockets_open(connect):
    slack = FakeSlack(tls=True).start()
    folder = os.path.dirname(slack.ca_file)
    connect(slack)
    slack.blackhole()
    connect(slack)
    slack.stop()
    assert not os.path.exists(folder)


def test_check_tells_what_the_client_did_wrong(fake_slack, connect):
    client = connect(fake_slack)
    fake_slack.check()
    client.send(TEXT, b"no json")
    fake_slack.wait_for("error")
    with pytest.raises(AssertionError):
        fake_slack.check()


def test_wrong_order_is_refused(fake_slack):
    with pytest.raises(ValueError):
        fake_slack.control("dance")
    with pytest.raises(ValueError):
        fake_slack.set(no_such_option=1)
    fake_slack.set(ack_deadline=0.1)


def test_demo_posts_by_itself(connect):
    with FakeSlack("--demo", 300) as slack:
        client = connect(slack)
        kinds = set()
        while not {"message_changed", "file_share", "bot_message"} <= kinds:
            envelope = client.message()
            client.acknowledge(envelope)
            event = envelope["payload"]["event"]
            kinds.add(event.get("subtype"))
        assert slack.state()["lost"] == []


# --- around the bot ----------------------------------------------------------

def search_giphy(slack, **query):
    url = urllib.parse.urlsplit(slack.about["giphy_url"])
    key = slack.about["giphy_key"]
    return request(slack, "GET", f"{url.path}?" + urllib.parse.urlencode(
        {"api_key": key, **query}))


def test_giphy_finds_pictures_or_none(fake_slack):
    found = search_giphy(fake_slack, q="tin can", limit=50).json
    assert len({gif["url"] for gif in found["data"]}) == 3
    assert found["meta"]["status"] == 200
    assert search_giphy(fake_slack, q="nothing").json["data"] == []
    entry, _ = fake_slack.wait_for("giphy", 2)
    assert entry["query"] == {"q": "tin can", "limit": "50"}
    assert entry["raw"] == "api_key=KEY&q=tin+can&limit=50"
    assert entry["is_key_good"]


def test_giphy_refuses_a_key_and_fails_on_demand(fake_slack):
    answer = search_giphy(fake_slack, q="a", api_key="other")
    assert answer.status == answer.json["meta"]["status"] == 401
    fake_slack.fail_next("giphy", status=429)
    fake_slack.fail_next("giphy", body="html")
    assert search_giphy(fake_slack, q="a").status == 429
    assert search_giphy(fake_slack, q="a").json is None
    assert search_giphy(fake_slack, q="a").status == 200
    fake_slack.fail_next("giphy", hang=True, seconds=0.05)
    assert search_giphy(fake_slack, q="a").status == 200


def test_a_parrot_answers_the_bot_so_often_and_no_more(fake_slack):
    fake_slack.control("add_parrot", channel="C0EXAMPLE1", user="U0PARROT01",
                       bot_id="B0PARROT01", text="polly", most=2)
    for _ in range(3):
        call(fake_slack, "chat.postMessage", channel="C0EXAMPLE1", text="hi")
        call(fake_slack, "chat.postMessage", channel="C0EXAMPLE2", text="hi")
    said = [message for message in fake_slack.history()
            if message["text"] == "polly"]
    assert [(one["user"], one["bot_id"]) for one in said] == \
        [("U0PARROT01", "B0PARROT01")] * 2


def test_the_direct_conversation_of_somebody(fake_slack):
    fake_slack.control("add_user", id="U0HUMAN009", name="cy")
    assert fake_slack.open_im("U0HUMAN001") == "D0HUMAN001"
    channel = fake_slack.open_im("U0HUMAN009")
    assert channel == fake_slack.open_im("U0HUMAN009") != "D0HUMAN001"
    opened = call(fake_slack, "conversations.open", users="U0HUMAN009").json
    assert opened["channel"] == {"id": channel}
