"""An oracle of subscriptions: who is to be told of what, by what was said.

It reads records in the order of seq, and knows of the pipeline's own words
nothing at all: no `command`, no `notify`. Of the commands it knows forward,
stop, mute and talk; terms are literals, without options, and without letters
that Slack writes otherwise.

    people = Subscribed("U0ULTRON01")
    for record in records:
        notify, held = people.take(record)
"""
import re

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SAID = (None, "file_share", "thread_broadcast", "me_message")


class Subscribed:
    def __init__(self, bot):
        self.bot = bot
        self.terms = {}     # user: set of terms
        self.mutes = {}     # user: until when, 0: until `talk`

    def take(self, record):
        """Returns the users that the record is for, sorted, and those for whom
        it is held back, with until when."""
        self._end_mutes(record)
        words = self.find_command(record)
        if words is not None:
            self._obey(record, words)
            return [], {}
        found = self._find_users(record)
        return (sorted(found - set(self.mutes)),
                {user: self.mutes[user] for user in sorted(found)
                 if user in self.mutes})

    def find_command(self, record):
        """What was said to the bot, or None."""
        text = record.get("text")
        if record.get("own") or record.get("bot_id") or \
                not record.get("user") or not isinstance(text, str):
            return None
        if record.get("type") == "slash_commands":
            return text
        if record.get("type") != "message" or record.get("subtype") not in SAID:
            return None
        mention = self._find_mention(text)
        if mention:
            return text[mention.end():]
        return text if record.get("channel_type") == "im" else None

    def _obey(self, record, words):
        word, _, rest = words.strip().partition(" ")
        terms = self.terms.setdefault(record["user"], set())
        if word == "forward" and rest:
            terms.add(rest)
        elif word == "stop":
            terms -= {rest} if rest else set(terms)
        elif word == "mute":
            self.mutes[record["user"]] = find_end(record, rest)
        elif word == "talk":
            self.mutes.pop(record["user"], None)

    def _end_mutes(self, record):
        if record.get("type") != "message" or record.get("backfill"):
            return
        now = int(float(record.get("ts", 0)))
        self.mutes = {user: until for user, until in self.mutes.items()
                      if not 0 < until <= now}

    def _is_edited_command(self, record):
        return record.get("subtype") == "message_changed" and \
            self._find_mention(record["message"].get("text"))

    def _find_mention(self, text):
        return re.match(rf"\s*<@{self.bot}(\|[^>]*)?>", text or "")

    def _find_users(self, record):
        text, before, author = find_text(record)
        if text is None or record.get("own") or \
                record.get("channel_type") == "im" or \
                self._is_edited_command(record):
            return set()
        return {user for user, terms in self.terms.items() if user != author
                and any(term in text and term not in before
                        for term in terms)}


def find_end(record, words):
    if not words:
        return 0
    return int(float(record["ts"])) + int(words[:-1]) * SECONDS[words[-1]]


def find_text(record):
    """What it says, what it said before it was edited, and who says it."""
    text, author = record.get("text"), record.get("user")
    if record.get("type") == "api_message":
        payload = record.get("payload")
        return f"{text}\n{payload}", "", author
    if record.get("type") != "message" or \
            record.get("subtype") == "message_deleted":
        return None, "", None
    if record.get("subtype") != "message_changed":
        return text, "", author
    new, old = record["message"], record.get("previous_message") or {}
    if new.get("text") == old.get("text"):
        return None, "", None
    return new.get("text"), old.get("text") or "", new.get("user")
