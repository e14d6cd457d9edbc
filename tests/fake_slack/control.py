"""How a test steers the server: POST /control, GET /control/log and /state."""
import asyncio
import base64
import inspect

from aiohttp import web

from .workspace import APP, BOT_USER, TEAM


class Control:
    def __init__(self, fake):
        self.fake = fake
        self.workspace = fake.workspace
        self.delivery = fake.delivery
        self.sockets = fake.sockets
        self._tasks = set()

    # The HTTP face

    async def post(self, request):
        """One order or a list of them; the same of answers."""
        orders = await request.json()
        if isinstance(orders, dict):
            return await self._carry_out_all([orders], only=True)
        return await self._carry_out_all(orders, only=False)

    async def _carry_out_all(self, orders, only):
        answers = []
        for order in orders:
            try:
                answers.append({"ok": True, **await self._carry_out(order)})
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                answers.append({"ok": False, "error": repr(error)})
        failed = any(not answer["ok"] for answer in answers)
        return web.json_response(answers[0] if only else answers,
                                 status=400 if failed else 200)

    async def _carry_out(self, order):
        arguments = dict(order)
        name = arguments.pop("do")
        result = getattr(self, f"do_{name}")(**arguments)
        if inspect.isawaitable(result):
            result = await result
        return result or {}

    async def log(self, request):
        entries = await self.fake.log.after(
            int(request.query.get("after", 0)),
            float(request.query.get("wait", 0)))
        return web.json_response({"entries": entries})

    async def state(self, request):
        delivery = self.delivery
        sockets = [s.describe() for s in self.sockets.every.values()
                   if not s.over.is_set()]
        return web.json_response({
            "sockets": sockets,
            "registered": list(self.sockets.sockets),
            "ghosts": [s["socket"] for s in sockets if s["ghost"]],
            "pending": list(delivery.pending), "lost": delivery.lost,
            "acked": delivery.acked, "tickets": len(self.sockets.tickets),
            "enabled": self.sockets.enabled,
            "faults": self.fake.faults.waiting,
            "limited": self.fake.limits.refused,
            "posts": len(self.fake.posts),
            "messages": {c.id: len(c.order) for c in
                         self.workspace.channels.values()}})

    async def history(self, request):
        """Everything a channel holds, replies too, oldest first."""
        channel = self.workspace.channels[request.query["channel"]]
        return web.json_response({"messages": [
            channel.messages[ts] for ts in channel.order]})

    async def posts(self, request):
        """What the bot has posted, in order; after=N: without the first N."""
        first = int(request.query.get("after", 0))
        channel = request.query.get("channel")
        return web.json_response({"posts": [
            {"time": time, "channel": place, "ts": message["ts"],
             "text": message["text"], "metadata": message.get("metadata"),
             "thread_ts": message.get("thread_ts"),
             "files": [file.posted() for file in files]}
            for time, place, message, files in self.fake.posts[first:]
            if channel in (None, place)]})

    def _spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Messages

    def do_send(self, event=None, quiet=False, unrecorded=False, how=None,
                twin=False, uploads=(), **members):
        """Post a message: members of the event, or `event` itself."""
        event = {**(event or {}), **members}
        if event.get("type", "message") != "message":
            return self.do_push_event(event, how=how)
        channel = event.pop("channel", "C0EXAMPLE1")
        message = {"type": "message", "user": "U0HUMAN001", "team": TEAM,
                   "ts": self.workspace.new_ts(), **event}
        shown = self._share(message, uploads)
        for name in [n for n, value in message.items() if value is None]:
            del message[name]       # None: leave that member out
        if not unrecorded:
            message = self.workspace.record(channel, message)
        told = self.workspace.event_of(channel, {**message, **shown})
        result = {"ts": message["ts"], "channel": channel, "event_id": None,
                  "files": [file["id"] for file in told.get("files") or []]}
        if not quiet and self.workspace.is_member(channel):
            result["event_id"] = self._tell(told, how)
            if twin:
                result["twin"] = self._tell(
                    {**told, "type": "app_mention"}, how)
        return result

    def _share(self, message, uploads):
        """Put new files into the message; returns what its event shows."""
        if not uploads:
            return {}
        files = [self.add_file(**upload) for upload in uploads]
        message.setdefault("subtype", "file_share")
        message |= {"upload": True, "files": [dict(f.about) for f in files]}
        return {"files": [file.in_event() for file in files]}

    def add_file(self, name="notes.txt", text=None, base64_data=None,
                 size=None, **more):
        """Content by text or base64_data, or `size` bytes of no meaning."""
        if base64_data is not None:
            content = base64.b64decode(base64_data)
        elif size is not None:
            content = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
        else:
            content = (text if text is not None else "notes\n").encode()
        return self.fake.files.add(name, content, **more)

    def _tell(self, event, how=None):
        return self.delivery.push_event(event, self.workspace, how)

    async def do_send_many(self, count, rate=0, text="message {n}", first=1,
                           channels=("C0EXAMPLE1",), **members):
        """Post `count` messages, `rate` a second (0: at once)."""
        sent = []
        clock = asyncio.get_running_loop()
        began = clock.time()
        for n in range(count):
            pause = began + n / rate - clock.time() if rate else 0
            if pause > 0 or (not rate and n % 50 == 49):
                await asyncio.sleep(max(0, pause))
            sent.append(self.do_send(
                text=text.replace("{n}", str(first + n)),
                channel=channels[n % len(channels)], **members))
        return {"sent": sent}

    def do_burst(self, **members):
        """send_many, without waiting for its end."""
        async def burst():
            sent = (await self.do_send_many(**members))["sent"]
            self.fake.log.add("burst_over", count=len(sent))
        self._spawn(burst())

    def do_reply(self, channel, thread_ts, text="reply", broadcast=False,
                 **members):
        parent = self.workspace.channels[channel].messages[thread_ts]
        more = {"parent_user_id": parent.get("user")}
        if broadcast:
            more = {"subtype": "thread_broadcast", "root": dict(parent)}
        return self.do_send(channel=channel, text=text, thread_ts=thread_ts,
                            **more, **members)

    def do_edit(self, channel, ts, by="U0HUMAN001", quiet=False, how=None,
                previous=True, **changes):
        """Change a message; by None: as Slack does it itself (unfurl).
        previous: True, or what previous_message shall be ([], None)."""
        event = self.workspace.edit(channel, ts, changes, by)
        if event is None:
            raise KeyError("no such message")
        if previous is None:
            del event["previous_message"]
        elif previous is not True:
            event["previous_message"] = previous
        return self._tell_hidden(event, quiet, how)

    def do_delete(self, channel, ts, quiet=False, how=None):
        event = self.workspace.delete(channel, ts)
        if event is None:
            raise KeyError("no such message")
        return self._tell_hidden(event, quiet, how)

    def _tell_hidden(self, event, quiet, how):
        told = None if quiet else self._tell(event, how)
        return {"ts": event["ts"], "event_id": told}

    # Other envelopes

    def do_push_event(self, event, how=None):
        """Any event, as it is; null, too. It is in no history."""
        return {"event_id": self._tell(event, how)}

    def do_push(self, type="events_api", payload=None, how=None, name=None,
                retried=False):
        """Any envelope, with any payload."""
        name = name or self.workspace.new_id("Px")
        self.delivery.push(type, payload, name, retried, how)
        return {"event_id": name}

    def do_slash_command(self, command="/ultron", text="", how=None,
                         user="U0HUMAN001", channel="C0EXAMPLE1"):
        payload = {
            "token": "deprecated", "team_id": TEAM, "team_domain":
            "harbour-qa", "channel_id": channel, "channel_name": "qa",
            "user_id": user, "user_name": "ada", "command": command,
            "text": text, "api_app_id": APP, "trigger_id": "1.2.abc",
            "is_enterprise_install": "false",
            "response_url": f"{self.fake.base_url}/commands/1/2/3"}
        return self.do_push("slash_commands", payload,
                            {"accepts": True, **(how or {})})

    def do_interactive(self, payload=None, how=None):
        usual = {"type": "block_actions", "user": {"id": "U0HUMAN001"},
                 "channel": {"id": "C0EXAMPLE1"}, "team": {"id": TEAM},
                 "actions": [{"action_id": "a", "type": "button"}],
                 "response_url": f"{self.fake.base_url}/actions/1/2/3"}
        return self.do_push("interactive", payload or usual,
                            {"accepts": True, **(how or {})})

    def do_rate_limit_notice(self, minute=None):
        """Events were withheld: app_rate_limited, without an event."""
        now = int(float(self.workspace.new_ts()))
        payload = {"type": "app_rate_limited", "token": "deprecated",
                   "team_id": TEAM, "api_app_id": APP,
                   "minute_rate_limited": minute or now - now % 60}
        return self.do_push("events_api", payload, {"no_retry": True})

    def do_raw(self, text=None, base64_data=None, socket=None, frames=1,
               dribble=0, pause=0.01, ping_between=False):
        """A text frame of any content, or a binary one."""
        if base64_data is not None:
            self.sockets.send_binary(base64.b64decode(base64_data), socket)
            return
        for one in self.sockets.find(socket)[:1]:
            one.send_text(text.encode(), frames=frames, dribble=dribble,
                          pause=pause, ping_between=ping_between)

    # Sockets

    def do_refresh(self, socket=None, warning=None, grace=None, reason=None):
        chosen = self.sockets.find(socket)
        for one in chosen:
            one.spawn(one.refresh(warning, grace, reason))
        return {"sockets": [one.number for one in chosen]}

    def do_disconnect(self, reason=None, socket=None, close=True):
        """A disconnect message of any reason (None: without), and close."""
        for one in self.sockets.find(socket):
            one.disconnect(reason)
            if close:
                one.close()

    def do_close(self, socket=None, code=1000, reason=""):
        for one in self.sockets.find(socket):
            one.close(code, reason)

    def do_kill(self, socket=None, reset=True):
        """End TCP, by reset or not, without a close frame."""
        chosen = self.sockets.find(socket)
        for one in chosen:
            one.kill(reset)
        return {"sockets": [one.number for one in chosen]}

    def do_blackhole(self, socket=None):
        """TCP stays open; nothing is read, nothing sent; it stays registered
        and takes its share of events, whatever the client does."""
        chosen = self.sockets.find(socket)
        for one in chosen:
            one.black_hole()
        return {"sockets": [one.number for one in chosen]}

    def do_lay_ghosts(self):
        """Slack notices at last that black-holed sockets are gone."""
        ghosts = [s for s in self.sockets.every.values()
                  if s.is_black and not s.over.is_set()]
        for ghost in ghosts:
            ghost.kill()
        return {"sockets": [ghost.number for ghost in ghosts]}

    def do_disable(self):
        self.sockets.disable()

    def do_enable(self):
        self.sockets.enabled = True

    # What goes wrong

    def do_fail_next(self, **fault):
        self.fake.faults.add(fault)

    def do_fail_upgrade(self, times=1, **fault):
        """status, hang, no_hello, reset, close_after_hello, hello_delay"""
        self.sockets.upgrade_faults += [fault] * times

    def do_heal(self):
        """Take back every fault that waits."""
        self.fake.faults.clear()
        self.sockets.upgrade_faults.clear()

    def do_token(self, name, error=None, scopes=None, without=None):
        """Make a token bad (error) or good (none), or change its scopes."""
        token = self.fake.tokens[name]
        token.error = error
        if scopes is not None:
            token.scopes = list(scopes)
        if without is not None:
            without = [without] if isinstance(without, str) else without
            token.scopes = [s for s in token.scopes if s not in without]

    def do_limit(self, method, many=None, seconds=60):
        """429 over so many calls in so many seconds; many None: no limit."""
        self.fake.limits.methods.pop(method, None)
        if many is not None:
            self.fake.limits.methods[method] = (many, seconds)

    def do_certificate(self, kind="good"):
        """What TLS shows from the next connection on."""
        self.fake.certificates.serve(kind)

    def do_set(self, **settings):
        """Change options: ack_deadline, retries, ping_interval, …"""
        for name, value in settings.items():
            if not hasattr(self.fake.settings, name):
                raise KeyError(name)
            setattr(self.fake.settings, name, value)

    def do_expire_cursors(self):
        self.fake.cursor_age += 1

    # The workspace

    def do_add_user(self, id, name, **more):
        return {"user": self.workspace.add_user(id, name, **more)}

    def do_open_im(self, user):
        """The bot's direct conversation with somebody."""
        return {"channel": self.workspace.open_im(user).id}

    def do_add_parrot(self, channel, user, bot_id, text, most=50,
                      **members):
        """Another bot, that answers all ours says in a channel."""
        self.workspace.add_user(user, "parrot", is_bot=True)
        self.workspace.bots[bot_id] = {
            "id": bot_id, "deleted": False, "name": "parrot",
            "app_id": "A0PARROT01", "user_id": user, "updated": 1760000000,
            "icons": {}}
        self.fake.parrots[channel] = Parrot(self, {
            "channel": channel, "user": user, "bot_id": bot_id, "text": text,
            **members}, most)

    def do_add_channel(self, id, name=None, **more):
        channel = self.workspace.add_channel(id, name, **more)
        return {"channel": channel.describe()}

    def do_add_file(self, **file):
        file = self.add_file(**file)
        return {"file": file.about, "stub": file.stub}

    def do_change_file(self, id, conduct=None, **about):
        file = self.fake.files.files[id]
        if conduct is not None:
            file.conduct = conduct
        file.about |= about

    def do_change_channel(self, id, joined=None, **changes):
        """name, archived, refuses; joined: is the bot in it"""
        channel = self.workspace.channels[id]
        if joined is True:
            channel.members.add(BOT_USER)
        elif joined is False:
            channel.members.discard(BOT_USER)
        for name, value in changes.items():
            if not hasattr(channel, name):
                raise KeyError(name)
            setattr(channel, name, value)


class Parrot:
    """It says the same again and again; not for ever, or no test ends."""

    def __init__(self, control, message, left):
        self.control, self.message, self.left = control, message, left

    def answer(self):
        if self.left > 0:
            self.left -= 1
            self.control.do_send(**self.message)


def routes(control):
    return [web.post("/control", control.post),
            web.get("/control/log", control.log),
            web.get("/control/state", control.state),
            web.get("/control/posts", control.posts),
            web.get("/control/history", control.history)]


