"""Rate limits: of methods, of a channel's posts, of a workspace's posts. What
was refused is counted by method and channel."""
import math
import time

from . import faults

# What Slack promises and a fifth more, in a minute, as --real-limits has it:
# "20+", "50+", "100+" of the tiers.
TIERS = {
    24: ("conversations.list", "users.list"),
    60: ("conversations.history", "conversations.replies",
         "conversations.info", "conversations.open", "conversations.join",
         "users.conversations"),
    120: ("users.info", "files.info", "files.getUploadURLExternal",
          "files.completeUploadExternal")}
REFUSALS = ("ratelimited", "rate_limited", "message_limit_exceeded")


class Limits:
    def __init__(self, settings):
        self.settings = settings
        self.methods = {}       # method: (how many, in so many seconds)
        self.refused = {}       # method: {channel: how often}
        self._calls = {}        # method: times
        self._channels = {}     # channel: when its bucket is full again
        if settings.real_limits:
            settings.post_pace, settings.post_burst = 1, 3
            settings.post_limit = 300
            self.methods = {method: (many, 60) for many, methods in
                            TIERS.items() for method in methods}

    def count(self, method, channel, status, error):
        """Count an answer, if it is one that refuses."""
        if status == 429 or error in REFUSALS:
            channels = self.refused.setdefault(method, {})
            channels[channel or ""] = channels.get(channel or "", 0) + 1

    def check(self, method):
        """The answer 429, or None where the method may be called."""
        limit = self.methods.get(method)
        return limit and self._check_window(method, *limit)

    def check_post(self, channel, of_workspace=True):
        """The same of a message that is to be shown in a channel."""
        now, pace = time.monotonic(), self.settings.post_pace
        full = max(self._channels.get(channel, now), now) + pace
        over = full - now - pace * self.settings.post_burst
        if pace and over > 0:
            return self._refuse(over)
        if of_workspace and self.settings.post_limit:
            refusal = self._check_window("posts", self.settings.post_limit,
                                         60)
            if refusal is not None:
                return refusal
        self._channels[channel] = full
        return None

    def _check_window(self, name, many, seconds):
        now = time.monotonic()
        calls = [t for t in self._calls.get(name, []) if t > now - seconds]
        self._calls[name] = calls
        if len(calls) < many:
            calls.append(now)
            return None
        return self._refuse(calls[0] + seconds - now if calls else seconds)

    def _refuse(self, seconds):
        return faults.answer({
            "status": 429, "retry_after": max(1, math.ceil(seconds)),
            **self.settings.limit_answer})
