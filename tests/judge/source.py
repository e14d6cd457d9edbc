"""Those who speak: clients of the inbox, and users of the fake Slack."""
import asyncio
import collections
import contextlib
import json
import time

import aiohttp

from events import (
    BOT, COMMANDS, PEOPLE, choose_channel, choose_speaker, make_file, make_line,
    make_post, make_text)

RECONNECT_SECONDS = 0.05
WINDOW = 32             # lines that a client hands in ahead of the answers
BACKLOG_SECONDS = 20    # of what could not be said is said later


class Pace:
    """How many events are due, at a steady rate, late ones too."""

    def __init__(self, rate):
        self.rate = rate
        self.done = 0
        self.began = time.monotonic()

    def due(self):
        wanted = (time.monotonic() - self.began) * self.rate
        if wanted - self.done > self.rate * BACKLOG_SECONDS:
            self.done = int(wanted - self.rate * BACKLOG_SECONDS)
        return int(wanted) - self.done

    def hurry(self, count):
        """So many more are due now."""
        self.began -= count / self.rate


class InboxClient:
    """Hands its events in, in order; what had no answer once more, as the
    manual says."""

    def __init__(self, name, path, ledger, rate):
        self.name, self.path, self.ledger = name, path, ledger
        self.pace = Pace(rate)
        self.epoch = 0
        self.number = 0
        self.unanswered = collections.deque()   # numbers, oldest first
        self.is_stopping = False

    async def run(self):
        while not (self.is_stopping and not self.unanswered):
            with contextlib.suppress(OSError):
                await self._serve_connection()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _serve_connection(self):
        reader, writer = await asyncio.open_unix_connection(self.path)
        self.epoch += 1
        waiting = collections.deque()           # ids without an answer
        again = collections.deque(self.unanswered)
        answers = asyncio.create_task(self._read_answers(reader, waiting))
        try:
            while not answers.done():
                if self.is_stopping and not self.unanswered:
                    break
                await self._hand_in(writer, waiting, again)
                await asyncio.wait([answers], timeout=0.02)
        finally:
            answers.cancel()
            writer.close()
            await asyncio.gather(answers, return_exceptions=True)
            for event_id in waiting:
                self.ledger.lose_sight(event_id)

    async def _hand_in(self, writer, waiting, again):
        lines = []
        while len(waiting) < WINDOW:
            if again:
                number = again.popleft()
            elif not self.is_stopping and self.pace.due() > 0:
                self.pace.done += 1
                self.number += 1
                number = self.number
                self.unanswered.append(number)
            else:
                break
            event_id = f"{self.name}.{self.epoch}.{number}"
            self.ledger.hand_in(event_id)
            waiting.append(event_id)
            lines.append(make_line(self.ledger.seed, event_id) + b"\n")
        writer.write(b"".join(lines))

    async def _read_answers(self, reader, waiting):
        """Until the connection ends."""
        while (line := await reader.readline()).endswith(b"\n"):
            if not waiting:
                self.ledger.complain(f"one answer too many: {line}")
                return
            event_id = waiting.popleft()
            if not note_answer(self.ledger, event_id, line):
                return
            self.unanswered.popleft()


def note_answer(ledger, event_id, line):
    """Put an answer of the inbox down; returns whether the event is taken."""
    answer = json.loads(line)
    if answer.get("ok") is True:
        ledger.accept(event_id, answer["seq"])
        return True
    ledger.refuse(event_id)
    if not answer.get("retry"):
        ledger.complain(f"{event_id} was refused for good: {line[:200]}")
    return False


async def hand_in_once(path, ledger, event_id, word=""):
    """Hand one event in on a connection of its own; returns whether it was
    acknowledged."""
    ledger.hand_in(event_id, word)
    line = b""
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        ledger.refuse(event_id)
        return False
    try:
        writer.write(make_line(ledger.seed, event_id, word) + b"\n")
        line = await reader.readline()
    except OSError:
        pass
    finally:
        writer.close()
        if not line.endswith(b"\n"):
            ledger.lose_sight(event_id)
    return line.endswith(b"\n") and note_answer(ledger, event_id, line)


class Service:
    """Hands its messages to the HTTP interface, one behind the other, each as
    often as it takes, under the same key."""

    def __init__(self, name, url, credentials, ledger, rate):
        self.name, self.url, self.ledger = name, url, ledger
        self.credentials = aiohttp.BasicAuth(*credentials)
        self.pace = Pace(rate)
        self.number = 0
        self.is_stopping = False

    async def run(self):
        async with aiohttp.ClientSession(
                auth=self.credentials,
                timeout=aiohttp.ClientTimeout(60)) as session:
            while not self.is_stopping:
                if self.pace.due() <= 0:
                    await asyncio.sleep(0.05)
                    continue
                self.pace.done += 1
                self.number += 1
                event_id = f"{self.name}.1.{self.number}"
                self.ledger.hand_in(event_id)
                self.ledger.lose_sight(event_id)
                while not await self._post(session, event_id):
                    await asyncio.sleep(RECONNECT_SECONDS)

    async def _post(self, session, event_id):
        """Returns whether it is taken."""
        body = make_post(self.ledger.seed, event_id)
        try:
            async with session.post(self.url, data=body, headers={
                    "Content-Type": "application/json",
                    "Idempotency-Key": event_id}) as response:
                answer = await response.json()
        except (OSError, aiohttp.ClientError, asyncio.TimeoutError):
            return False
        if response.status == 200:
            self.ledger.accept(event_id)
            self.ledger.name(event_id, answer["id"])
        elif response.status != 503 or not response.headers.get("Retry-After"):
            self.ledger.complain(f"{event_id} was answered with "
                                 f"{response.status}: {answer}")
        return response.status == 200


class SlackUsers:
    """People who write in the fake Slack; reads in its log what of that was
    acknowledged."""

    def __init__(self, base_url, ledger, rate):
        self.base_url, self.ledger = base_url, ledger
        self.pace = Pace(rate)
        self.number = 0
        self.last_entry = 0
        self.session = None
        self.is_stopping = False

    async def __aenter__(self):
        self.session = aiohttp.ClientSession(self.base_url)
        return self

    async def __aexit__(self, *_):
        await self.session.close()

    async def control(self, *orders):
        """Give orders; returns the answers."""
        async with self.session.post("/control", json=orders) as response:
            answers = await response.json()
        for order, answer in zip(orders, answers):
            if not answer["ok"]:
                raise ValueError(f"{order}: {answer['error']}")
        return answers

    async def state(self):
        async with self.session.get("/control/state") as response:
            return await response.json()

    async def posts(self):
        """What the bot posted, in the order of Slack."""
        async with self.session.get("/control/posts") as response:
            return (await response.json())["posts"]

    async def write_messages(self):
        while not self.is_stopping:
            count = min(self.pace.due(), 50)
            self.pace.done += count
            ids = []
            for _ in range(count):
                self.number += 1
                ids.append(f"s.1.{self.number}")
            await self.post(ids)
            await asyncio.sleep(0.1)

    async def invite(self):
        """Those who talk to the bot, each with a direct conversation."""
        await self.control(
            {"do": "add_user", "id": PEOPLE[2], "name": "cy"},
            *({"do": "add_channel", "id": f"D{user[1:]}", "type": "im",
               "user": user, "members": [user, BOT]} for user in PEOPLE))

    async def talk(self, rate):
        """Say commands, so many a second."""
        pace = Pace(rate)
        while not self.is_stopping:
            count = pace.due()
            pace.done += count
            await self.post([f"b.1.{pace.done - n}"
                             for n in reversed(range(count))])
            await asyncio.sleep(0.1)

    async def post(self, ids):
        """Write these; that goes on where the caller is cancelled, or nobody
        would know the names that Slack gave."""
        if ids:
            await asyncio.shield(asyncio.ensure_future(self._post(ids)))

    async def _post(self, ids):
        for event_id in ids:
            self.ledger.hand_in(event_id)
        answers = await self.control(*map(self._make_order, ids))
        for event_id, answer in zip(ids, answers):
            self.ledger.post(event_id, answer)

    def _make_order(self, event_id):
        seed = self.ledger.seed
        if event_id.startswith(COMMANDS):
            user, channel = choose_speaker(seed, event_id)
            return {"do": "send", "text": make_text(seed, event_id),
                    "user": user, "channel": channel,
                    "client_msg_id": f"J:{event_id};"}
        content = make_file(seed, event_id)
        files = {} if content is None else {
            "uploads": [{"name": "a.log", "text": content}]}
        return {"do": "send", "text": make_text(seed, event_id),
                "channel": choose_channel(seed, event_id), **files}

    async def read_log(self, wait=0.0):
        """What Slack saw since the last time; it may have seen more than we
        know the names of, so that is read again."""
        async with self.session.get("/control/log", params={
                "after": self.last_entry, "wait": wait}) as response:
            entries = (await response.json())["entries"]
        for entry in entries:
            if not self._take_entry(entry):
                break
            self.last_entry = entry["n"]
        return entries

    def _take_entry(self, entry):
        """False for an event whose post was not answered to us yet."""
        kind = entry["kind"]
        if kind in ("error", "server_error"):
            self.ledger.complain(f"Slack saw: {entry}")
        if kind not in ("ack", "envelope") or not entry.get("event_id"):
            return True
        if entry["own"]:
            return True
        event_id = self.ledger.find_posted(entry["event_id"])
        if event_id is None:
            return False
        attempt = self.ledger.attempts[event_id]
        if kind == "envelope":
            attempt.deliveries.append((entry["attempt"], entry["socket"]))
        elif not entry["late"]:
            self.ledger.accept(event_id)
        return True

    async def follow_log(self):
        while True:
            await self.read_log(wait=0.5)
            await asyncio.sleep(0.1)
