"""Slack's message events: members, blocks and subtypes as Slack sends them."""
import datetime
import html
import json
import re
import uuid

from .variety import generator

DAY = datetime.datetime(2026, 11, 18, tzinfo=datetime.timezone.utc)
TEAM = "T0EXAMPLE1"

CHANNELS = {
    "builds": "C0BUILDS01", "crashes": "C0CRASHES1",
    "releases": "C0RELEASE1", "devices": "C0DEVICES1",
    "monitoring": "C0MONITOR1", "payments": "C0PAYMENT1",
    "qa": "C0QATEAM01", "tokyo": "C0QATOKYO1", "backend": "C0BACKEND1",
    "berlin": "C0BERLIN01",
}

PEOPLE = {
    "marta": ("U0MARTA01", "Marta Lindqvist"),
    "priya": ("U0PRIYA02", "Priya Raman"),
    "kenji": ("U0KENJI03", "森 健司 (Kenji)"),
    "yuki": ("U0YUKI004", "田中 ゆき (Yuki)"),
    "jonas": ("U0JONAS05", "Jonas Weber"),
    "lena": ("U0LENA006", "Lena Hofmann"),
    "tomas": ("U0TOMAS07", "Tomás Ribeiro"),
    "aisha": ("U0AISHA08", "Aisha Bello"),
    "noah": ("U0NOAH009", "Noah Clarke"),
    "sofia": ("U0SOFIA10", "Sofia Marino"),
    "dan": ("U0DAN0011", "Dan O'Leary"),
    "mei": ("U0MEI0012", "Mei Chen"),
}

# name: user name, bot id, emoji of its icon
BOTS = {
    "foundry": ("Foundry CI", "B0FOUNDRY", ":hammer_and_wrench:"),
    "crashlight": ("Crashlight", "B0CRASHLT", ":boom:"),
    "shipwright": ("Shipwright", "B0SHIPWRT", ":ship:"),
    "rackhouse": ("Rackhouse device farm", "B0RACKHSE", ":iphone:"),
    "watchtower": ("Watchtower", "B0WATCHTW", ":satellite_antenna:"),
    "paydesk": ("Paydesk", "B0PAYDESK", ":credit_card:"),
    "slipway": ("Slipway deploys", "B0SLIPWAY", ":rocket:"),
    "reviews": ("Store reviews", "B0REVIEWS", ":star:"),
    "fuzzer": ("<b>Fuzzer</b>", "B0FUZZER1", ":game_die:"),
}


def seconds_of(clock, rng):
    """Seconds since midnight of "14:10" (anywhere in it) or "14:10:05"."""
    hour, minute, *second = map(int, clock.split(":"))
    return hour * 3600 + minute * 60 + (
        second[0] if second else rng.randint(0, 59))


def clock_of(seconds):
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def escape(text):
    """The three characters that Slack escapes in text."""
    return html.escape(text, quote=False)


# --- blocks -----------------------------------------------------------------

def mrkdwn(text):
    return {"type": "mrkdwn", "text": text}


def plain(text):
    return {"type": "plain_text", "text": text, "emoji": True}


def header(text):
    return {"type": "header", "text": plain(text)}


def section(text, fields=(), accessory=None):
    block = {"type": "section", "text": mrkdwn(text)}
    if fields:
        block["fields"] = [mrkdwn(f"*{name}*\n{value}")
                           for name, value in fields]
    if accessory:
        block["accessory"] = accessory
    return block


def context(*texts):
    return {"type": "context", "elements": [mrkdwn(text) for text in texts]}


def divider():
    return {"type": "divider"}


def button(text, url, style=None):
    block = {"type": "button", "text": plain(text), "url": url,
             "action_id": "open_" + re.sub(r"\W+", "_", text.lower())}
    return {**block, "style": style} if style else block


def actions(*elements):
    return {"type": "actions", "elements": list(elements)}


def image(url, alt_text, title):
    return {"type": "image", "image_url": url, "alt_text": alt_text,
            "title": plain(title)}


def table(*rows):
    return {"type": "table", "rows": [
        [{"type": "raw_text", "text": str(cell)} for cell in row]
        for row in rows]}


def markdown(text):
    return {"type": "markdown", "text": text}


def alert(level, text):
    return {"type": "alert", "level": level, "text": mrkdwn(text)}


LEAF = re.compile(
    r"<(?P<token>[@#!h][^<>]*)>|:(?P<emoji>[a-z0-9_+-]*[a-z+][a-z0-9_+-]*):"
    r"|`(?P<code>[^`\n]+)`|(?<!\w)\*(?P<bold>[^*\n]+)\*(?!\w)"
    r"|(?<!\w)_(?P<italic>[^_\n]+)_(?!\w)|(?<!\w)~(?P<strike>[^~\n]+)~(?!\w)")


def token_leaf(token):
    target, _, label = token.partition("|")
    if target.startswith("@"):
        return {"type": "user", "user_id": target[1:]}
    if target.startswith("#"):
        return {"type": "channel", "channel_id": target[1:]}
    if target.startswith("!date"):
        return {"type": "date", "timestamp": int(target.split("^")[1]),
                "format": target.split("^")[2], "fallback": label}
    if target.startswith("!"):
        return {"type": "broadcast", "range": target[1:]}
    leaf = {"type": "link", "url": html.unescape(target)}
    return {**leaf, "text": html.unescape(label)} if label else leaf


def leaves(text):
    """One line of mrkdwn, split where the style changes, as Slack does."""
    found, at = [], 0
    for match in LEAF.finditer(text):
        found.append({"type": "text",
                      "text": html.unescape(text[at:match.start()])})
        kind, value = match.lastgroup, match[match.lastgroup]
        if kind == "token":
            found.append(token_leaf(value))
        elif kind == "emoji":
            found.append({"type": "emoji", "name": value})
        else:
            found.append({"type": "text", "text": html.unescape(value),
                          "style": {kind: True}})
        at = match.end()
    found.append({"type": "text", "text": html.unescape(text[at:])})
    return [leaf for leaf in found if leaf.get("text") != ""]


def part(kind, elements):
    return {"type": "rich_text_" + kind, "elements": elements}


def rich_parts(text):
    """Sections, quotes and lists of a text without code fences."""
    lines = []
    for line in text.strip("\n").split("\n"):
        if line.startswith("• "):
            item = part("section", leaves(line[2:]))
            if lines and lines[-1]["type"] == "rich_text_list":
                lines[-1]["elements"].append(item)
            else:
                lines.append({**part("list", [item]), "style": "bullet",
                              "indent": 0})
        elif line.startswith("&gt; "):
            lines.append(part("quote", leaves(line[5:])))
        elif lines and lines[-1]["type"] == "rich_text_section":
            lines[-1]["elements"] += [{"type": "text", "text": "\n"},
                                      *leaves(line)]
        else:
            lines.append(part("section", leaves(line)))
    return lines


def rich_text(text, block_id):
    """The rich_text block that Slack adds to what a person typed."""
    elements = []
    for i, piece in enumerate(text.split("```")):
        if i % 2:
            elements.append(part("preformatted", [
                {"type": "text", "text": html.unescape(piece.strip("\n"))}]))
        elif piece.strip("\n"):
            elements += rich_parts(piece)
    return {"type": "rich_text", "block_id": block_id, "elements": elements}


# --- messages ---------------------------------------------------------------

class Day:
    """Gathers the messages of the day; post() and its kin return them."""

    def __init__(self):
        self.rng = generator("identifiers")
        self.messages = []
        self.taken = set()

    def ts(self, clock):
        """A time stamp that no other message has: it is the message's id."""
        seconds = int(DAY.timestamp()) + seconds_of(clock, self.rng)
        while seconds in self.taken:
            seconds += 1
        self.taken.add(seconds)
        return f"{seconds}.{self.rng.randrange(10000):04d}" \
               f"{self.rng.choice('123456789')}9"

    def uuid(self):
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def block_id(self):
        return "".join(self.rng.choices("bcdfghjkmnpqrstvwxyzBCDF2468+/", k=5))

    def add(self, clock, channel, members, **more):
        ts = self.ts(clock)
        message = {"type": "message", **members, "ts": ts,
                   "channel": CHANNELS[channel], "event_ts": ts,
                   "channel_type": "channel", **more}
        self.messages.append(message)
        return message

    def say(self, clock, channel, who, text, **more):
        """What a person typed."""
        user, name = PEOPLE[who]
        members = {"user": user, "client_msg_id": self.uuid(), "text": text,
                   "team": TEAM, "user_profile": {
                       "display_name": name, "real_name": name,
                       "team": TEAM, "is_bot": False}}
        if text:
            members["blocks"] = [rich_text(text, self.block_id())]
        return self.add(clock, channel, members, **more)

    def share(self, clock, channel, who, text, *files, **more):
        """Files that a person shared, perhaps with a comment."""
        return self.say(clock, channel, who, text, subtype="file_share",
                        files=list(files), upload=False,
                        display_as_bot=False, **more)

    def reply(self, clock, parent, who, text, **more):
        return self.say(clock, channel_name(parent), who, text,
                        thread_ts=parent["ts"],
                        parent_user_id=parent.get("user", "USLACKBOT"), **more)

    def broadcast(self, clock, parent, who, text):
        """A reply that is shown in the channel as well."""
        root = {key: parent[key] for key in ("type", "user", "text", "ts")
                if key in parent}
        return self.reply(clock, parent, who, text,
                          subtype="thread_broadcast", root=root)

    def webhook(self, clock, channel, bot, text, attachments=(), **more):
        """A classic integration: bot_message with legacy attachments."""
        name, bot_id, icon = BOTS[bot]
        members = {"subtype": "bot_message", "text": text, "username": name,
                   "bot_id": bot_id, "icons": {"emoji": icon}}
        if attachments:
            members["attachments"] = [{"id": number, **attachment}
                for number, attachment in enumerate(attachments, 1)]
        return self.add(clock, channel, members, **more)

    def app(self, clock, channel, bot, text, *blocks, **more):
        """A modern app: no subtype, a bot profile, Block Kit."""
        name, bot_id, _ = BOTS[bot]
        profile = {"id": bot_id, "app_id": "A" + bot_id[1:], "name": name,
                   "user_id": "U" + bot_id[1:], "deleted": False,
                   "team_id": TEAM}
        members = {"user": "U" + bot_id[1:], "text": text, "team": TEAM,
                   "bot_id": bot_id, "app_id": "A" + bot_id[1:],
                   "bot_profile": profile}
        if blocks:
            members["blocks"] = [{**block, "block_id": self.block_id()}
                                 for block in blocks]
        return self.add(clock, channel, members, **more)

    def posted(self, clock, channel, title, text, payload=None):
        """What a service handed to the HTTP interface."""
        record = {"type": "api_message", "id": self.uuid(),
                  "channel": CHANNELS[channel], "text": text, "title": title}
        if payload is not None:
            record["payload"] = payload
        record["ts"] = self.ts(clock)
        self.messages.append(record)
        return record

    def notice(self, clock, channel, who, subtype, text, **more):
        """A line that Slack itself writes: somebody joined, a new topic."""
        return self.add(clock, channel, {
            "subtype": subtype, "user": PEOPLE[who][0], "text": text}, **more)

    def changed(self, clock, before, after, previous=None):
        return self.add(clock, channel_name(before), {
            "subtype": "message_changed", "hidden": True,
            "message": inner(after),
            "previous_message": inner(before) if previous is None
            else previous})

    def edit(self, clock, before, text, **more):
        """A person corrects a message."""
        after = {**before, "text": text,
                 "blocks": [rich_text(text, self.block_id())],
                 "edited": {"user": before["user"], "ts": self.ts(clock)}}
        return self.changed(clock, before, after, **more)

    def unfurl(self, clock, before, attachment):
        """Slack adds a preview of a link: nobody edited anything."""
        return self.changed(clock, before, {
            **before, "attachments": [{"id": 1, **attachment}]})

    def delete(self, clock, message):
        return self.add(clock, channel_name(message), {
            "subtype": "message_deleted", "hidden": True,
            "deleted_ts": message["ts"],
            "previous_message": inner(message)})

    def lines(self):
        """The day in order, a compact JSON object a line."""
        rng = generator("escapes")
        for message in sorted(self.messages, key=lambda m: m["ts"]):
            if rng.random() < 0.12:     # some of Slack's servers escape
                yield json.dumps(message, separators=(",", ":")).replace(
                    "/", "\\/")
            else:
                yield json.dumps(message, separators=(",", ":"),
                                 ensure_ascii=False)


def inner(message):
    """A message as it stands within another one."""
    return {key: value for key, value in message.items()
            if key not in ("channel", "event_ts", "channel_type", "hidden")}


def channel_name(message):
    return next(name for name, channel in CHANNELS.items()
                if channel == message["channel"])


def forwarded(message, author, comment=None):
    """The attachment that carries a message shared from another channel."""
    return {
        "fallback": f"[November 18th] {author}: {message['text']}",
        "ts": message["ts"], "channel_id": message["channel"],
        "channel_team": TEAM, "is_msg_unfurl": True, "is_share": True,
        "author_id": message.get("user"), "author_name": author,
        "text": message["text"], "color": "D0D0D0", "mrkdwn_in": ["text"],
        "from_url": "https://harbour-qa.slack.com/archives/"
                    f"{message['channel']}/p{message['ts'].replace('.', '')}",
        "footer": "Posted in a channel",
        "message_blocks": [{
            "team": TEAM, "channel": message["channel"], "ts": message["ts"],
            "message": {"blocks": message.get("blocks", [])}}],
    }
