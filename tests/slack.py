"""Starts the fake Slack and steers it: what tests in Python use.

    with FakeSlack("--retries", "0,1,2", tls=True) as slack:
        start_reader(env=slack.environment, ca_file=slack.ca_file)
        slack.wait_for("hello", 2)
        ts = slack.send("hello", channel="C0EXAMPLE1")["ts"]
        slack.wait_for("ack")
        slack.check()

or, in a test file, `from slack import fake_slack` for a fixture.
"""
import http.client
import json
import pathlib
import subprocess
import time
import urllib.parse

import pytest

from fake_slack.workspace import APP_TOKEN, BOT_TOKEN  # noqa: F401

SERVER = pathlib.Path(__file__).resolve().parent / "fake_slack.py"
PYTHON = "/usr/bin/python3"


class FakeSlack:
    """One server, from start() to stop(). Options are the server's own."""

    def __init__(self, *options, tls=False):
        self.options = [*options, *(["--tls"] if tls else [])]
        self.entries = []       # of the log, as far as read
        self._process = None
        self._about = {}

    def start(self):
        self._process = subprocess.Popen(
            [PYTHON, SERVER, "--parent", *map(str, self.options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the fake Slack did not start")
        self._about = json.loads(line)
        return self

    def stop(self):
        if self._process is None:
            return
        self._process.terminate()
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        self.stop()

    # What a client needs

    @property
    def api_url(self):
        return self._about.get("tls_api_url") or self._about["api_url"]

    @property
    def base_url(self):
        return self._about["api_url"].removesuffix("/api/")

    @property
    def host(self):
        """HOST:PORT of the files (without TLS), for --insecure-hosts."""
        return urllib.parse.urlsplit(self.base_url).netloc

    @property
    def ca_file(self):
        return self._about["ca_file"]

    @property
    def about(self):
        return self._about

    @property
    def environment(self):
        tokens = self._about["tokens"]
        return {"SLACK_API_URL": self.api_url,
                "SLACK_APP_TOKEN": tokens["app"],
                "SLACK_BOT_TOKEN": tokens["bot"]}

    @property
    def giphy_environment(self):
        return {"GIPHY_API_URL": self._about["giphy_url"],
                "GIPHY_API_KEY": self._about["giphy_key"]}

    @property
    def bot_user(self):
        return self._about["bot_user"]

    # Steering

    def _ask(self, method, path, body=None, timeout=120):
        connection = http.client.HTTPConnection(self.host, timeout=timeout)
        try:
            connection.request(method, path, body and json.dumps(body))
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer

    def control(self, do, **arguments):
        """Give an order (fake_slack.py --help); returns the answer."""
        answer = self._ask("POST", "/control", {"do": do, **arguments})
        if not answer["ok"]:
            raise ValueError(f"{do}: {answer['error']}")
        return answer

    def send(self, text="hello", channel="C0EXAMPLE1", **members):
        return self.control("send", text=text, channel=channel, **members)

    def send_many(self, count, rate=0, **members):
        """Returns a list of what send returns."""
        return self.control("send_many", count=count, rate=rate,
                            **members)["sent"]

    def reply(self, parent, text="reply", **members):
        """Answer in the thread of what send returned."""
        return self.control("reply", channel=parent["channel"], text=text,
                            thread_ts=parent["ts"], **members)

    def edit(self, message, text, **members):
        return self.control("edit", channel=message["channel"],
                            ts=message["ts"], text=text, **members)

    def delete(self, message, **members):
        return self.control("delete", channel=message["channel"],
                            ts=message["ts"], **members)

    def burst(self, count, rate=0, **members):
        """send_many in the background; its end is a `burst_over`."""
        self.control("burst", count=count, rate=rate, **members)

    def slash(self, text, **members):
        return self.control("slash_command", text=text, **members)

    def open_im(self, user):
        """The bot's direct conversation with somebody."""
        return self.control("open_im", user=user)["channel"]

    def refresh(self, socket=None, **how):
        return self.control("refresh", socket=socket, **how)["sockets"]

    def kill(self, socket=None, reset=True):
        return self.control("kill", socket=socket, reset=reset)["sockets"]

    def blackhole(self, socket=None):
        return self.control("blackhole", socket=socket)["sockets"]

    def fail_next(self, method="*", **fault):
        self.control("fail_next", method=method, **fault)

    def fail_upgrade(self, **fault):
        self.control("fail_upgrade", **fault)

    def set(self, **settings):
        self.control("set", **settings)

    # What it saw

    def state(self):
        return self._ask("GET", "/control/state")

    def history(self, channel="C0EXAMPLE1"):
        """All messages of a channel, replies too, oldest first."""
        return self._ask("GET", "/control/history?" + urllib.parse.urlencode(
            {"channel": channel}))["messages"]

    def posts(self, channel=None, after=0):
        """What the bot has posted, in order, without the first `after`: time,
        channel, ts, text, metadata, thread_ts, files (with their text)."""
        where = {"channel": channel} if channel else {}
        return self._ask("GET", "/control/posts?" + urllib.parse.urlencode(
            {"after": after, **where}))["posts"]

    def limited(self, method="chat.postMessage"):
        """How often it was answered 429, by channel."""
        return self.state()["limited"].get(method, {})

    def read_log(self, wait=0.0):
        """Read on; returns everything so far."""
        last = self.entries[-1]["n"] if self.entries else 0
        path = f"/control/log?after={last}&wait={wait}"
        self.entries += self._ask("GET", path)["entries"]
        return self.entries

    def seen(self, kind, **members):
        """The log's entries of a kind that have these members."""
        return [entry for entry in self.read_log() if fits(
            entry, kind, members)]

    def calls(self, method, **members):
        return self.seen("api", method=method, **members)

    def acks(self):
        """Times of the first acks that came in time, by event_id."""
        acks = {}
        for entry in self.seen("ack", late=False):
            acks.setdefault(entry["event_id"], entry["time"])
        return acks

    def errors(self):
        """What a good client does not do."""
        return self.seen("error")

    def check(self):
        """Fail where the client, or the server itself, did wrong."""
        faults = self.errors() + self.seen("server_error")
        assert not faults, faults

    def wait_until(self, predicate, timeout=30.0):
        """Until predicate(self) is true, asked anew when the log grows (and
        now and then, for what is not in the log). Returns its value."""
        deadline = time.monotonic() + timeout
        self.read_log()
        while not (value := predicate(self)):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {timeout} s; the last of the log:\n" +
                    "\n".join(map(str, self.entries[-15:])))
            self.read_log(wait=0.1)
        return value

    def wait_for(self, kind, count=1, timeout=30.0, after=0, **members):
        """Until the log has so many entries of that kind (number > after);
        returns them."""
        def there(_):
            found = [entry for entry in self.entries if entry["n"] > after
                     and fits(entry, kind, members)]
            return found if len(found) >= count else None
        return self.wait_until(there, timeout)

    @property
    def mark(self):
        """The log's length now: for wait_for's `after`."""
        log = self.read_log()
        return log[-1]["n"] if log else 0


def fits(entry, kind, members):
    return entry["kind"] == kind and all(
        entry.get(name) == value for name, value in members.items())


@pytest.fixture
def fake_slack():
    with FakeSlack() as slack:
        yield slack
