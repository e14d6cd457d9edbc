"""A viewer of the dashboard, who comes back and goes on where he was by the
rule of www/connection.js, and remembers what he had and what he was told to
be missing."""
import asyncio
import json
import random

import aiohttp

ERRORS = (aiohttp.ClientError, OSError, asyncio.TimeoutError)
WAIT_LEAST, WAIT_FIRST, WAIT_MOST = 0.3, 1.5, 5.0
STABLE_SECONDS = 3
HEARTBEAT = 10


class Ranges:
    """Numbers that came in increasing order, mostly one after the other."""

    def __init__(self):
        self.ranges = []

    def add(self, first, last):
        if self.ranges and self.ranges[-1][1] + 1 == first:
            self.ranges[-1][1] = last
        else:
            self.ranges.append([first, last])


class Viewer:
    def __init__(self, url, credentials, seed):
        self.url, self.credentials = url, credentials
        self.dice = random.Random(seed)
        self.run = None
        self.last = None
        self.previous = 0
        self.had = Ranges()     # seq of records
        self.gaps = Ranges()
        self.forgot = 0         # times that a new run began
        self.connections = 0
        self.complaints = []

    async def watch(self):
        """For ever."""
        attempts = 0
        clock = asyncio.get_running_loop()
        auth = aiohttp.BasicAuth(*self.credentials)
        async with aiohttp.ClientSession(auth=auth) as session:
            while True:
                began = clock.time()
                try:
                    await self._watch_once(session)
                except ERRORS:
                    pass
                if clock.time() - began > STABLE_SECONDS:
                    attempts = 0
                most = min(WAIT_MOST, WAIT_FIRST * 2 ** attempts)
                await asyncio.sleep(self.dice.uniform(WAIT_LEAST, most))
                attempts += 1

    async def _watch_once(self, session):
        known = {}
        if self.run is not None and self.last is not None:
            known = {"after": self.last, "run": self.run}
        async with session.ws_connect(self.url, params=known, max_msg_size=0,
                                      heartbeat=HEARTBEAT) as socket:
            self.connections += 1
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self.hear(message.data)

    def hear(self, frame):
        for line in frame.split("\n"):
            if line.startswith("["):
                self._take_notice(*json.loads(line))
            elif line:
                self._take_record(json.loads(line))

    def _take_notice(self, kind, told=None, *_):
        if kind == "hello":
            self._greet(told)
        elif kind == "gap":
            self.gaps.add(told["from"], told["to"])
            self.last = max(told["to"], self.last or 0)
            self.previous = told["to"]

    def _greet(self, hello):
        if self.run is not None and hello["run"] != self.run:
            self.last = None
            self.forgot += 1
        self.run = hello["run"]
        self.previous = hello["next"] - 1
        if self.last is None and hello["first"] <= hello["last"]:
            self.last = self.previous

    def _take_record(self, record):
        seq = record.get("seq")
        if not isinstance(seq, int) or seq <= self.previous:
            self.complaints.append(
                f"seq {seq} was shown behind {self.previous}")
            return
        self.previous = seq
        if self.last is not None and seq <= self.last:
            return
        self.last = seq
        self.had.add(seq, seq)
