"""A flood of messages by HTTP, and what became of each of them.

Flood posts as services do: over connections kept open, each with a key, again
where it gets no answer or 503. Account asks for every message by its id and
compares what it is told with what stands in Slack.
"""
import asyncio
import collections
import json
import sqlite3
import time

import aiohttp

from records import read_journal

CLIENTS = 16
PATIENCE_S = 60         # for one message to be taken
TITLES = [f"event {n}" for n in range(25)]
SIGNS = [":white_check_mark: fine", ":warning: slow", ":x: broken"]


def marker(number):
    """What a message is known by; none is the beginning of another."""
    return f"message {number:06d}."


def payload_of(number):
    """Now and then one that is a file in Slack."""
    if number % 5:
        return {"number": number, "log": ["a line"] * 3}
    return "".join(f"{number}: line {line} of a log\n" for line in range(90))


class Flood:
    """`count` messages to a channel within `seconds`. Beside it, a message to
    another channel every other second: it is not to suffer."""

    def __init__(self, url, auth, count, seconds, channel="C0EXAMPLE1",
                 aside="C0EXAMPLE2"):
        self.url, self.auth = url, auth
        self.count, self.seconds = count, seconds
        self.channel, self.aside = channel, aside
        self.ids = {}           # number: id
        self.aside_ids = {}
        self.taken_at = {}      # number: when it was answered 200
        self.began = self.ended = None
        self.again = collections.Counter()      # why one was sent again

    async def run(self):
        connector = aiohttp.TCPConnector(limit=CLIENTS + 1)
        async with aiohttp.ClientSession(auth=self.auth,
                                         connector=connector) as session:
            self.began = time.time()
            await asyncio.gather(
                *(self._client(session, n) for n in range(CLIENTS)),
                self._post_aside(session))
            self.ended = time.time()

    async def _client(self, session, first):
        for number in range(first, self.count, CLIENTS):
            await self._sleep_until(self.seconds * number / self.count)
            self.ids[number] = await self._post(
                session, number, self.channel, f"flood-{number}")
            self.taken_at[number] = time.time()

    async def _post_aside(self, session):
        for second in range(0, int(self.seconds), 2):
            await self._sleep_until(second)
            number = self.count + second
            self.aside_ids[number] = await self._post(
                session, number, self.aside, f"aside-{number}")
            self.taken_at[number] = time.time()

    async def _sleep_until(self, seconds):
        await asyncio.sleep(max(0, self.began + seconds - time.time()))

    async def _post(self, session, number, channel, key):
        body = json.dumps({"msg": {
            "channel": channel, "title": TITLES[number % len(TITLES)],
            "text": f"{marker(number)} {SIGNS[number % len(SIGNS)]}",
            "payload": payload_of(number)}})
        end = time.time() + PATIENCE_S
        while True:
            pause = 0.2
            try:
                async with session.post(
                        f"{self.url}/ultronex/slack", data=body, headers={
                            "Content-Type": "application/json",
                            "Idempotency-Key": key}) as answer:
                    content = await answer.json()
                    if answer.status == 200:
                        return content["id"]
                    assert answer.status == 503, (answer.status, content)
                    self.again[503] += 1
                    pause = float(answer.headers["Retry-After"])
            except (aiohttp.ClientError, asyncio.TimeoutError) as error:
                self.again[type(error).__name__] += 1
            assert time.time() < end, f"message {number} is not taken"
            await asyncio.sleep(pause)


def look_into(outbox):
    """How many messages came, are not through, are not reported."""
    with sqlite3.connect(f"file:{outbox}?mode=ro", uri=True) as database:
        return database.execute("""
            SELECT count(*) FILTER (WHERE purpose = 'relay'),
                count(*) FILTER (WHERE state IN ('queued', 'sending',
                    'gathered')),
                count(*) FILTER (WHERE purpose = 'relay' AND
                    reported IS NOT 1)
            FROM message""").fetchone()


class Account:
    """What became of the messages of a flood, by three witnesses: the HTTP
    interface, the journal, and Slack."""

    def __init__(self, flood, ids, state, slack, channel):
        self.flood, self.ids, self.state = flood, ids, state
        self.posts = slack.posts(channel)
        self.fates = {}         # number: what GET /ultronex/messages/ID says
        self.seqs = {}          # id: of its record
        self.deliveries = collections.Counter()     # by id
        self._read_journal()
        asyncio.run(self._ask())

    def _read_journal(self):
        for record in read_journal(self.state):
            if record["type"] == "api_message":
                assert record["id"] not in self.seqs, "taken twice"
                self.seqs[record["id"]] = record["seq"]
            elif record["type"] == "delivery" and "message" in record:
                self.deliveries[record["message"], record["status"]] += 1

    async def _ask(self):
        waiting = list(self.ids.items())

        async def client(session):
            while waiting:
                number, name = waiting.pop()
                async with session.get(
                        f"{self.flood.url}/ultronex/messages/{name}"
                        ) as answer:
                    assert answer.status == 200, (name, answer.status)
                    self.fates[number] = await answer.json()
        async with aiohttp.ClientSession(auth=self.flood.auth) as session:
            await asyncio.gather(*(client(session) for _ in range(CLIENTS)))

    def carrier(self, number):
        """The ts of the post that carries a message."""
        fate = self.fates[number]
        assert fate["status"] in ("sent", "digest"), fate
        return (fate["digest"] if fate["status"] == "digest" else fate)[
            "slack_ts"]

    @property
    def singles(self):
        return [n for n in self.ids if self.fates[n]["status"] == "sent"]

    @property
    def digests(self):
        """Numbers of the messages of each digest, by its ts."""
        digests = collections.defaultdict(list)
        for number in self.ids:
            if self.fates[number]["status"] == "digest":
                digests[self.carrier(number)].append(number)
        return digests

    def check(self, doubled=0):
        """Nothing lost, nothing more often than allowed, all in order."""
        self._check_singles(doubled)
        self._check_files()
        self._check_digests()
        self._check_order()
        self._check_reports()

    def _check_singles(self, doubled):
        digests = self.digests
        plain = [post for post in self.posts if post["ts"] not in digests]
        seen = collections.Counter(post["text"].partition("message ")[2][:7]
                                   for post in plain)
        wanted = {marker(n).removeprefix("message ") for n in self.singles}
        missing, strange = wanted - set(seen), set(seen) - wanted
        assert not missing, f"lost: {sorted(missing)[:9]}"
        assert not strange, f"not to be there: {sorted(strange)[:9]}"
        assert sum(seen.values()) - len(seen) <= doubled, [
            mark for mark, count in seen.items() if count > 1]

    def _check_files(self):
        posts = {post["ts"]: post for post in self.posts}
        for number in self.singles:
            post, payload = posts[self.carrier(number)], payload_of(number)
            assert marker(number) in post["text"], (number, post)
            if isinstance(payload, str):
                assert [f["text"] for f in post["files"]] == [payload], post

    def _check_digests(self):
        posts = {post["ts"]: post for post in self.posts}
        for ts, numbers in self.digests.items():
            said = {self.fates[n]["digest"]["messages"] for n in numbers}
            assert said == {len(numbers)}, (ts, said, len(numbers))
            text = posts[ts]["text"].replace(",", "")
            assert str(len(numbers)) in text, text
            first = min(numbers, key=lambda n: self.seqs[self.ids[n]])
            last = max(numbers, key=lambda n: self.seqs[self.ids[n]])
            assert marker(first) in text and marker(last) in text, text

    def _check_order(self):
        place = {post["ts"]: n for n, post in enumerate(self.posts)}
        in_order = sorted(self.ids, key=lambda n: self.seqs[self.ids[n]])
        places = [place[self.carrier(n)] for n in in_order]
        late = [n for n, before, after in zip(
            in_order[1:], places, places[1:]) if after < before]
        assert not late, f"out of order: {late[:9]}"
        for first in range(CLIENTS):    # a service's own order, too
            mine = [self.seqs[self.ids[n]] for n in sorted(self.ids)
                    if n % CLIENTS == first]
            assert mine == sorted(mine)

    def _check_reports(self):
        """Each outcome is reported, once."""
        for number, name in self.ids.items():
            status = self.fates[number]["status"]
            assert self.deliveries[name, status] == 1, (
                number, status, self.deliveries[name, status])

    def delays(self):
        """Seconds from being taken to standing in Slack, of the posts."""
        times = {post["ts"]: post["time"] for post in self.posts}
        return {n: times[self.carrier(n)] - self.flood.taken_at[n]
                for n in self.ids}
