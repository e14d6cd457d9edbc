"""A lively workspace by itself: the QA day of examples/, again and again, with
its files, threads and edits, people who talk to the bot, and now and then a
refresh or a dead socket."""
import asyncio
import copy
import json
import pathlib
import random

from .workspace import BOT_USER

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
TROUBLE_S = 90          # seconds between two troubles
COMMAND_MESSAGES = 12   # posted between two commands
COMMANDS = (("U0PRIYA02", "help"), ("U0PRIYA02", "forward ANR"),
            ("U0TOMAS07", "forward /(?i)(failed|fatal) on/ class:danger"),
            ("U0MEI0012", "forward warning in:devices"),
            ("U0PRIYA02", "list"), ("U0TOMAS07", "status"),
            ("U0MEI0012", "quote"), ("U0PRIYA02", "test firing"))


def load():
    """The day's events, those of the HTTP interface left out."""
    text = (EXAMPLES / "qa-day.ndjson").read_text(encoding="utf-8")
    events = [json.loads(line) for line in text.splitlines()]
    return [event for event in events if event.get("type") == "message"]


class Demo:
    def __init__(self, fake):
        self.fake = fake
        self.events = load()
        self.now = {}           # ts of the recording: ts of today
        self.kept_from = ""
        self.chance = random.Random(8)
        self._people()

    def _people(self):
        """The users, bots and channels that the day knows."""
        workspace = self.fake.workspace
        for event in self.events:
            message = event.get("message", event)
            profile = message.get("user_profile") or {}
            bot = message.get("bot_profile") or {}
            user = message.get("user")
            if user and user not in workspace.users:
                name = profile.get("display_name") or bot.get("name") or user
                workspace.add_user(user, name.lower(), name,
                                   is_bot=bool(bot), display_name=name)
            if message.get("bot_id"):
                workspace.bots.setdefault(message["bot_id"], {
                    "id": message["bot_id"], "deleted": False, "icons": {},
                    "name": bot.get("name") or message.get("username")})
            channel = event.get("channel")
            if channel and not workspace.knows(channel):
                workspace.add_channel(channel, channel_name(channel))
        for channel in workspace.channels.values():
            channel.members |= set(workspace.users) if (
                channel.type == "channel") else set()

    async def run(self, rate):
        """Post `rate` messages a second, without end."""
        while True:
            self._forget()
            for event in self.events:
                await asyncio.sleep(self.chance.expovariate(rate))
                self._post(copy.deepcopy(event))

    async def talk(self, rate):
        """Let people give the bot orders, without end."""
        while True:
            for user, words in COMMANDS:
                await asyncio.sleep(COMMAND_MESSAGES / rate)
                self.fake.tell("C0QATEAM01", {
                    "type": "message", "user": user,
                    "ts": self.fake.workspace.new_ts(),
                    "text": f"<@{BOT_USER}> {words}"})

    def _forget(self):
        """What is older than one round, for the sake of memory."""
        fake = self.fake
        for channel in fake.workspace.channels.values():
            for ts in [t for t in channel.order if t < self.kept_from]:
                channel.remove(ts)
        fake.delivery.forget()
        self.kept_from = fake.workspace.new_ts()
        self.now.clear()

    def _post(self, event):
        workspace = self.fake.workspace
        channel, subtype = event["channel"], event.get("subtype")
        if subtype == "message_changed":
            self._edit(channel, event["message"])
        elif subtype == "message_deleted":
            ts = self.now.get(event["deleted_ts"])
            told = ts and workspace.delete(channel, ts)
            if told:
                self.fake.delivery.push_event(told, workspace)
        else:
            self._say(channel, event)

    def _edit(self, channel, message):
        ts = self.now.get(message["ts"])
        changes = {name: value for name, value in message.items()
                   if name not in ("ts", "thread_ts", "edited")}
        by = message["user"] if "edited" in message else None
        told = ts and self.fake.workspace.edit(channel, ts, changes, by)
        if told:
            self.fake.delivery.push_event(told, self.fake.workspace)

    def _say(self, channel, event):
        old = event["ts"]
        event["ts"] = self.now[old] = self.fake.workspace.new_ts()
        thread = event.pop("thread_ts", None)
        if thread and thread != old and thread in self.now:
            event["thread_ts"] = self.now[thread]
        if "root" in event:
            event["root"]["ts"] = self.now.get(event["root"].get("ts"), old)
        shown = {}
        if event.get("files"):
            files = [self._share(file) for file in event["files"]]
            event["files"] = [dict(file.about) for file in files]
            shown = {"files": [file.in_event() for file in files]}
        self.fake.tell(channel, event, shown=shown)

    def _share(self, file):
        """A new file of the recorded one, its bytes from the spool."""
        path = EXAMPLES / "spool" / "ids" / file["id"]
        mode = file.get("mode", "hosted")
        missing = mode in ("hosted", "snippet") and not path.exists()
        more = {"size": file["size"], "conduct": {"login": True}} if (
            missing) else {}
        return self.fake.files.add(
            file.get("name") or "file", path.read_bytes() if path.exists()
            else b"", mode="hosted" if mode == "file_access" else mode,
            stub=mode == "file_access", user=file.get("user", BOT_USER),
            mimetype=file.get("mimetype") or "text/plain", **more)

    async def trouble(self):
        """Mostly a refresh, sometimes a socket that dies or falls silent."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.5, 1.5) * TROUBLE_S)
            sockets = self.fake.sockets.find("oldest")
            for socket in sockets:
                kind = self.chance.random()
                if kind < 0.7:
                    socket.spawn(socket.refresh())
                elif kind < 0.9:
                    socket.kill()
                else:
                    socket.black_hole()


def channel_name(channel_id):
    """C0QATEAM01 is qateam: near enough to what people would call it."""
    return channel_id[2:].rstrip("0123456789").lower()
