"""How soon a fresh event comes out after a fault: the time to recovery."""
import asyncio
import itertools
import time

from source import hand_in_once

RETRY_SECONDS = 0.05
PATIENCE_SECONDS = 0.7      # with an answer of the inbox
SLACK_SECONDS = 0.5         # between two posts


class Prober:
    def __init__(self, line, slack, ledger):
        self.line, self.slack, self.ledger = line, slack, ledger
        self._numbers = itertools.count(1)
        self._posts = itertools.count(1)

    async def measure(self, since, limit):
        """Seconds from then on until an event of the inbox, and one of Slack,
        were at the end of the pipe; None for over the limit."""
        left = limit - (time.monotonic() - since)
        return [seen and seen - since for seen in await asyncio.gather(
            self._first_of(self._hand_in, left),
            self._first_of(self._post, left))]

    async def _first_of(self, speak, seconds):
        """When the first of all that it says came out, or None."""
        expected = {}
        speaker = asyncio.create_task(speak(expected))
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                if speaker.done():
                    speaker.result()
                wait = min(0.05, end - time.monotonic())
                seen = await self._wait_for_any(expected, max(0, wait))
                if seen is not None:
                    return seen
            return None
        finally:
            speaker.cancel()
            await asyncio.gather(speaker, return_exceptions=True)
            for event_id in expected:
                self.line.forget(event_id)

    @staticmethod
    async def _wait_for_any(expected, seconds):
        if not expected:
            await asyncio.sleep(seconds)
            return None
        done, _ = await asyncio.wait(
            expected.values(), timeout=seconds,
            return_when=asyncio.FIRST_COMPLETED)
        return min((one.result() for one in done), default=None)

    async def _hand_in(self, expected):
        """One event, until it is answered."""
        number = next(self._numbers)
        for epoch in itertools.count(1):
            event_id = f"p.{epoch}.{number}"
            expected[event_id] = self.line.expect(event_id)
            try:
                if await asyncio.wait_for(hand_in_once(
                        self.line.state / "inbox.sock", self.ledger,
                        event_id), PATIENCE_SECONDS):
                    return
            except asyncio.TimeoutError:
                pass
            await asyncio.sleep(RETRY_SECONDS)

    async def _post(self, expected):
        """A new message now and then, as people do."""
        while True:
            event_id = f"q.1.{next(self._posts)}"
            expected[event_id] = self.line.expect(event_id)
            await self.slack.post([event_id])
            await asyncio.sleep(SLACK_SECONDS)
