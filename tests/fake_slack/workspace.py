"""The workspace: its people, channels and messages, as Slack keeps them."""
import base64
import bisect
import copy
import itertools
import time
from dataclasses import dataclass, field

TEAM = "T0EXAMPLE1"
APP = "A0EXAMPLE1"
BOT_USER = "U0ULTRON01"
BOT = "B0ULTRON01"
DOMAIN = "harbour-qa"
APP_TOKEN = f"xapp-1-{APP}-1763800000001-ultr0nfakeapptokenneverprinted"
BOT_TOKEN = "xoxb-1763800000002-1763800000003-ultr0nfakebottokenneverprinted"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# What an event says of its place, and a message in the history does not.
OF_EVENTS = ("channel", "channel_type", "event_ts")
HIDDEN = ("message_changed", "message_deleted", "message_replied")


def base36(number, width):
    digits = ""
    while number or len(digits) < width:
        number, digit = divmod(number, 36)
        digits = ALPHABET[digit] + digits
    return digits


@dataclass
class Channel:
    id: str
    name: str | None
    type: str = "channel"           # channel, group, mpim or im
    members: set = field(default_factory=set)
    archived: bool = False
    refuses: str | None = None      # posts, by this error
    user: str | None = None         # the other one of an im
    topic: str = ""
    messages: dict = field(default_factory=dict)    # by ts
    order: list = field(default_factory=list)       # of ts, oldest first

    def put(self, message):
        if message["ts"] not in self.messages:
            bisect.insort(self.order, message["ts"])
        self.messages[message["ts"]] = message

    def remove(self, ts):
        del self.messages[ts]
        self.order.remove(ts)

    def describe(self, listed=False):
        """The object conversations.info answers."""
        kind = self.type
        about = {
            "id": self.id, "created": 1760000000, "is_archived": self.archived,
            "is_channel": kind in ("channel", "group"),
            "is_group": kind == "group", "is_im": kind == "im",
            "is_mpim": kind == "mpim", "is_private": kind != "channel",
            "is_general": False, "is_shared": False, "is_org_shared": False,
            "is_ext_shared": False, "context_team_id": TEAM, "updated": 0}
        if kind == "im":
            about |= {"user": self.user, "is_user_deleted": False}
        else:
            about |= {"name": self.name, "name_normalized": self.name,
                      "creator": BOT_USER, "previous_names": [],
                      "topic": {"value": self.topic, "creator": "",
                                "last_set": 0},
                      "purpose": {"value": "", "creator": "", "last_set": 0}}
        if not listed:
            about["is_member"] = BOT_USER in self.members
        return about


def make_user(user_id, name, real_name, is_bot=False, display_name=None,
              **more):
    display = name if display_name is None else display_name
    return {
        "id": user_id, "team_id": TEAM, "name": name, "deleted": False,
        "real_name": real_name, "is_bot": is_bot, "is_app_user": False,
        "tz": "Europe/Berlin", "updated": 1760000000,
        "profile": {"real_name": real_name, "display_name": display,
                    "real_name_normalized": real_name,
                    "display_name_normalized": display, "team": TEAM,
                    "image_72": "https://example.org/image_72.png"},
        **more}


class Workspace:
    def __init__(self):
        self.users = {}
        self.bots = {}
        self.channels = {}
        self._last_us = 0
        self._numbers = itertools.count(1)
        self._people()
        self._places()

    def _people(self):
        self.add_user(BOT_USER, "ultron", "Ultron", is_bot=True)
        self.bots[BOT] = {"id": BOT, "deleted": False, "name": "ultron",
                          "app_id": APP, "user_id": BOT_USER,
                          "updated": 1760000000, "icons": {}}
        self.add_user("U0HUMAN001", "ada", "Ada Example")
        self.add_user("U0HUMAN002", "bo", "Bo Example", display_name="")

    def _places(self):
        self.add_channel("C0EXAMPLE1", "qa")
        self.add_channel("C0EXAMPLE2", "builds")
        self.add_channel("C0PRIVATE1", "plans", type="group")
        self.add_channel("C0FOREIGN1", "elsewhere", members=["U0HUMAN001"])
        self.add_channel("D0HUMAN001", None, type="im", user="U0HUMAN001",
                         members=["U0HUMAN001", BOT_USER])

    def add_user(self, user_id, name, real_name=None, **more):
        user = make_user(user_id, name, real_name or name, **more)
        self.users[user_id] = user
        return user

    def add_channel(self, channel_id, name, type="channel", members=None,
                    **more):
        everybody = {BOT_USER, "U0HUMAN001", "U0HUMAN002"}
        channel = Channel(channel_id, name, type, **more, members=set(
            everybody if members is None else members))
        self.channels[channel_id] = channel
        return channel

    def open_im(self, user_id):
        for channel in self.channels.values():
            if channel.type == "im" and channel.user == user_id:
                return channel
        return self.add_channel(self.new_id("D"), None, type="im",
                                user=user_id, members=[user_id, BOT_USER])

    def new_id(self, prefix):
        return f"{prefix}0{base36(next(self._numbers), 8)}"

    def new_ts(self):
        """Slack's clock: unique, and increasing whatever ours does."""
        self._last_us = max(self._last_us + 1, int(time.time() * 1000000))
        return f"{self._last_us // 1000000}.{self._last_us % 1000000:06}"

    def knows(self, channel_id):
        return channel_id in self.channels

    def is_member(self, channel_id):
        channel = self.channels.get(channel_id)
        return channel is not None and BOT_USER in channel.members

    def record(self, channel_id, message):
        """Keep a new message; returns it as history shows it."""
        channel = self.channels[channel_id]
        message = {name: value for name, value in message.items()
                   if name not in OF_EVENTS}
        channel.put(message)
        thread = message.get("thread_ts")
        if thread and thread != message["ts"]:
            self._count_reply(channel, thread, message)
        return message

    def _count_reply(self, channel, thread, reply):
        parent = channel.messages.get(thread)
        if parent is None:
            return
        users = parent.get("reply_users", [])
        user = reply.get("user") or reply.get("bot_id")
        if user and user not in users:
            users = users + [user]
        parent |= {"thread_ts": thread, "reply_users": users,
                   "reply_users_count": len(users),
                   "reply_count": parent.get("reply_count", 0) + 1,
                   "latest_reply": max(reply["ts"],
                                       parent.get("latest_reply", ""))}

    def event_of(self, channel_id, message):
        """The event that tells of a message."""
        return {**copy.deepcopy(message), "channel": channel_id,
                "event_ts": message["ts"],
                "channel_type": self.channels[channel_id].type}

    def edit(self, channel_id, ts, changes, by):
        """Change a message; returns the event, or None where there is none."""
        old = self.channels[channel_id].messages.get(ts)
        if old is None:
            return None
        new = {**old, **changes}
        if by is not None:
            new["edited"] = {"user": by, "ts": self.new_ts()}
        self.channels[channel_id].put(new)
        return self._hidden(channel_id, "message_changed",
                            message=copy.deepcopy(new),
                            previous_message=copy.deepcopy(old))

    def delete(self, channel_id, ts):
        """Delete a message; a thread's parent leaves a tombstone."""
        channel = self.channels[channel_id]
        old = channel.messages.get(ts)
        if old is None:
            return None
        if old.get("reply_count"):
            stone = {name: old[name] for name in
                     ("ts", "thread_ts", "reply_count", "reply_users",
                      "reply_users_count", "latest_reply") if name in old}
            stone |= {"type": "message", "subtype": "tombstone",
                      "user": "USLACKBOT", "hidden": True,
                      "text": "This message was deleted."}
            channel.put(stone)
            return self._hidden(channel_id, "message_changed", message=stone,
                                previous_message=copy.deepcopy(old))
        channel.remove(ts)
        parent = channel.messages.get(old.get("thread_ts"))
        if parent is not None:
            parent["reply_count"] -= 1
        return self._hidden(channel_id, "message_deleted", deleted_ts=ts,
                            previous_message=copy.deepcopy(old))

    def _hidden(self, channel_id, subtype, **members):
        ts = self.new_ts()
        return {"type": "message", "subtype": subtype, "hidden": True,
                **members, "channel": channel_id, "ts": ts, "event_ts": ts,
                "channel_type": self.channels[channel_id].type}

    def history(self, channel_id):
        """What conversations.history shows, oldest first."""
        channel = self.channels[channel_id]
        for ts in channel.order:
            message = channel.messages[ts]
            thread = message.get("thread_ts", ts)
            if thread == ts or message.get("subtype") == "thread_broadcast":
                yield message

    def thread(self, channel_id, ts):
        """A thread, parent first, then its replies, oldest first."""
        channel = self.channels[channel_id]
        asked = channel.messages.get(ts)
        if asked is None or asked.get("subtype") == "channel_join":
            return None
        parent = channel.messages.get(asked.get("thread_ts", ts))
        if parent is None:
            return None
        first = parent["ts"]
        return [parent] + [
            channel.messages[t] for t in channel.order
            if t != first and channel.messages[t].get("thread_ts") == first]


def encode_cursor(text):
    return base64.b64encode(text.encode()).decode()


def decode_cursor(cursor):
    """The text of a cursor, or None where it is none."""
    try:
        text = base64.b64decode(cursor, validate=True).decode()
    except ValueError:
        return None
    return text if ":" in text else None
