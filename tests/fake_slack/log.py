"""Everything the server saw, in order, each with a number and a time."""
import asyncio
import time


class Log:
    """At most `limit` entries, the newest."""

    def __init__(self, limit=2000000):
        self.entries = []
        self.last = 0
        self._limit = limit
        self._grown = asyncio.Event()

    def add(self, kind, **members):
        self.last += 1
        entry = {"n": self.last, "time": time.time(), "kind": kind, **members}
        self.entries.append(entry)
        if len(self.entries) > 1.5 * self._limit:
            del self.entries[:-self._limit]
        self._grown.set()
        return entry

    def error(self, what, **members):
        """Something that a good client does not do."""
        return self.add("error", what=what, **members)

    async def after(self, number, wait=0.0):
        """The entries after that number; waits for one if there is none."""
        deadline = time.monotonic() + wait
        while self.last <= number:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._grown.clear()
            try:
                await asyncio.wait_for(self._grown.wait(), left)
            except asyncio.TimeoutError:
                break
        kept_from = self.last - len(self.entries)
        return self.entries[max(0, number - kept_from):]
