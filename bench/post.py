#!/usr/bin/python3
"""POST messages to Ultron's HTTP interface as fast as it takes them.

usage: post.py [--url URL] [--clients N] [--seconds S] [--size BYTES]

Each client waits for its answer before it posts the next message, over one
connection that is kept. User and password come from BASIC_AUTH_USERNAME and
BASIC_AUTH_PASSWORD. Every message is relayed to the channel `load`: give it a
Slack of your own (./run.sh --demo=live).
"""
import argparse
import asyncio
import base64
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
# pylint: disable=wrong-import-position
from slack import FakeSlack  # noqa: E402

CLIENTS, SECONDS, SIZE = 16, 10, 200


class Client(asyncio.Protocol):
    """One connection; posts again when it is answered, until it is over."""

    def __init__(self, head, text, end, took):
        self.head, self.text, self.end, self.took = head, text, end, took
        self.number = 0
        self.buffer = b""
        self.statuses = {}
        self.began = 0
        self.transport = None
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.post()

    def post(self):
        self.number += 1
        body = json.dumps({"msg": {
            "channel": "load", "title": f"message {self.number}",
            "text": self.text, "payload": {"number": self.number}}}).encode()
        self.began = time.perf_counter()
        self.transport.write(self.head % len(body) + body)

    def data_received(self, data):
        self.buffer += data
        head, blank, rest = self.buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length:")[2]
                     .partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self.took.append(time.perf_counter() - self.began)
        status = int(head[9:12])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.buffer = b""
        if time.perf_counter() < self.end:
            self.post()
        else:
            self.transport.close()
            self.over.set_result(None)

    def connection_lost(self, _error):
        if not self.over.done():
            self.over.set_exception(ConnectionError("it hung up"))


def make_head(url):
    user = os.environ.get("BASIC_AUTH_USERNAME")
    password = os.environ.get("BASIC_AUTH_PASSWORD", "")
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return (f"POST /ultronex/slack HTTP/1.1\r\nHost: {url.netloc}\r\n" +
            (f"Authorization: Basic {pair}\r\n" if user else "") +
            "Content-Type: application/json\r\n"
            "Content-Length: %d\r\n\r\n").encode()


async def load(url, clients=CLIENTS, seconds=SECONDS, size=SIZE):
    """Returns messages a second, sorted seconds each took, statuses."""
    url = urllib.parse.urlsplit(url)
    loop = asyncio.get_running_loop()
    took, statuses = [], {}
    began = time.perf_counter()
    running = [(await loop.create_connection(
        lambda: Client(make_head(url), "x" * size, began + seconds, took),
        url.hostname, url.port))[1] for _ in range(clients)]
    await asyncio.gather(*(client.over for client in running))
    rate = len(took) / (time.perf_counter() - began)
    for client in running:
        for status, count in client.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    return rate, sorted(took), statuses


def measure(binaries, folder, port):
    """The same against a slack-reader with its journal and a ws-broadcast:
    what came of `load`."""
    folder.mkdir(parents=True, exist_ok=True)
    inbox = folder / "inbox.sock"
    with FakeSlack() as slack:
        reader = subprocess.Popen(
            [binaries / "slack-reader", "--state", folder / "state",
             "--inbox", inbox], stdout=subprocess.PIPE,
            env={**os.environ, **slack.environment})
        slack.wait_for("hello", 2, timeout=20)
        server = subprocess.Popen(
            [binaries / "ws-broadcast", "--no-auth", "--inbox", inbox,
             "--listen", f"127.0.0.1:{port}"], stdin=reader.stdout,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        server.stderr.readline()        # it listens
        try:
            return asyncio.run(load(f"http://127.0.0.1:{port}"))
        finally:
            reader.terminate()
            reader.stdout.close()
            reader.wait()
            server.wait()
            server.stderr.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--size", type=int, default=SIZE)
    options = parser.parse_args()
    rate, took, statuses = asyncio.run(load(
        options.url, options.clients, options.seconds, options.size))
    print(f"{rate:,.0f} messages/s, median "
          f"{statistics.median(took) * 1e3:.1f} ms, 99 of 100 "
          f"{took[len(took) * 99 // 100] * 1e3:.1f} ms, answers by status: "
          f"{statuses}")


if __name__ == "__main__":
    main()
