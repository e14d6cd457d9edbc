"""The server: what belongs together, the command line, start and end."""
import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time

from aiohttp import web

from . import control, files, giphy, tls
from . import posting  # noqa: F401 (its methods register themselves)
from .api import Api, Token
from .delivery import Delivery
from .demo import Demo
from .faults import Faults
from .limits import Limits
from .log import Log
from .sockets import SocketMode
from .websocket import Upgraded
from .workspace import (APP_TOKEN, BOT, BOT_TOKEN, BOT_USER, TEAM,
                        Workspace)

BODY_MAX = 64 * 1024 * 1024
SCOPES = """channels:history groups:history im:history mpim:history
    channels:read groups:read im:read mpim:read channels:join im:write
    mpim:write chat:write chat:write.public files:read files:write
    users:read commands""".split()


class Fake:
    """All parts of the server, for one another."""

    def __init__(self, settings):
        self.settings = settings
        self.base_url = ""
        self.log = Log(20000 if settings.demo else 2000000)
        self.workspace = Workspace()
        self.tokens = {
            "app": Token("app", settings.app_token, ["connections:write"]),
            "bot": Token("bot", settings.bot_token, list(SCOPES))}
        self.faults = Faults()
        self.certificates = None
        self.files = files.Files(self)
        self.limits = Limits(settings)
        self.posts = []         # (time, channel, message, files), by the bot
        self.parrots = {}       # channel: the bot that answers ours there
        self.cursor_age = 0     # those of another one have expired
        self.delivery = Delivery(settings, self.log)
        self.sockets = SocketMode(settings, self.log, self.delivery)
        self.api = Api(self)
        self.control = control.Control(self)
        self.giphy = giphy.Giphy(self)

    def token_of(self, value):
        for token in self.tokens.values():
            if token.value == value:
                return token
        return None

    def tell(self, channel, message, how=None, shown=None):
        """Keep a new message and tell of it; returns the event's id. What
        the event shows may differ from what is kept (stubs of files)."""
        kept = self.workspace.record(channel, message)
        if not self.workspace.is_member(channel):
            return None
        event = self.workspace.event_of(channel, {**kept, **(shown or {})})
        return self.delivery.push_event(event, self.workspace, how)

    def note_post(self, channel, message, files=()):
        """The bot's message stands in the channel now."""
        self.posts.append((time.time(), channel, message, files))
        if channel in self.parrots:
            asyncio.get_running_loop().call_soon(
                self.parrots[channel].answer)

    @web.middleware
    async def guard(self, request, handler):
        """A client that goes away is no news; a fault of ours is."""
        try:
            return await handler(request)
        except ConnectionError:
            return Upgraded()
        except web.HTTPException:
            raise
        except Exception as error:
            self.log.add("server_error", what=repr(error))
            raise

    def application(self):
        app = web.Application(client_max_size=BODY_MAX,
                              middlewares=[self.guard])
        app.add_routes([
            web.route("*", "/api/{method}", self.api.handle),
            web.get("/link/", self.sockets.upgrade),
            web.post("/commands/{rest:.*}", self.response),
            web.post("/actions/{rest:.*}", self.response),
            *files.routes(self.files), *giphy.routes(self.giphy),
            *control.routes(self.control)])
        return app

    async def response(self, request):
        """A response_url: what a client answers to a command."""
        self.log.add("response_url", text=await request.text())
        return web.Response(text="ok")

    def other_host(self):
        """The application of a host that is not Slack's."""
        app = web.Application()
        app.add_routes([web.get("/elsewhere/{id}", self.files.elsewhere)])
        return app


def numbers(text):
    return [float(number) for number in text.split(",") if number]


def parse_options(description, arguments=None):
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--port", type=int, default=0, help="HTTP (default: a free one)")
    add("--tls", action="store_true", help="HTTPS and WSS, too")
    add("--tls-port", type=int, default=0)
    add("--certificate", choices=tls.KINDS, default="good",
        help="what is served: one for another name, or by an unknown CA")
    add("--parent", action="store_true", help="end when stdin closes")
    add("--app-token", default=APP_TOKEN)
    add("--bot-token", default=BOT_TOKEN)
    add("--demo", type=float, nargs="?", const=1.0, metavar="RATE",
        help="post by itself, RATE messages a second (1)")
    timers = parser.add_argument_group("timers, in seconds")
    add = timers.add_argument
    add("--ack-deadline", type=float, default=3)
    add("--retries", type=numbers, default=[0, 60, 300],
        help="pauses before redelivery 1, 2, 3 (default 0,60,300)")
    add("--ping-interval", type=float, default=10)
    add("--connection-time", type=float, default=18060,
        help="then a socket is refreshed (default 18060)")
    add("--warning-time", type=float, default=10,
        help="from warning to refresh_requested; 0: no warning")
    add("--grace", type=float, default=1,
        help="from refresh_requested to the close frame")
    add("--close-wait", type=float, default=5,
        help="for the client's close frame")
    add("--ticket-life", type=float, default=30)
    conduct = parser.add_argument_group("conduct")
    add = conduct.add_argument
    add("--history-limit", type=int, default=0,
        help="at most so many messages a page, whatever is asked for")
    add("--from-oldest", action="store_true",
        help="history asked for by `oldest` alone begins at its old end (each "
        "page newest first), as channels.history was documented to do")
    add("--leave-tcp-open", action="store_true",
        help="do not close TCP after the close handshake")
    add("--jitter", type=float, default=0,
        help="each event waits up to so many seconds: order is lost")
    add("--repeats", type=float, default=0,
        help="share of the acknowledged events that are sent once more")
    add("--ghosts", action="store_true",
        help="a socket that ends without a close frame stays registered")
    add("--post-pace", type=float, default=0,
        help="seconds between posts to a channel, else 429 (default 0)")
    add("--post-burst", type=int, default=1,
        help="so many posts to a channel at once")
    add("--post-limit", type=int, default=0,
        help="chat.postMessage within a minute, else 429 (default 0: none)")
    add("--real-limits", action="store_true",
        help="a post a second and channel, 3 at once, 300 a minute, and the "
        "tiers of the other methods")
    add("--limit-answer", type=json.loads, default={}, metavar="JSON",
        help="how a limit answers beside 429: as fail_next takes it, such as "
        '{"retry_after":null,"body":"empty"}')
    add("--text-limit", type=int, default=4000,
        help="characters of a post, else msg_too_long")
    add("--upload-limit", type=int, default=1 << 30)
    add("--share-delay", type=float, default=0.05,
        help="from the end of an upload to its message")
    add("--disabled-error", default="socket_mode_disabled",
        help="apps.connections.open says so while Socket Mode is off")
    return parser.parse_args(arguments)


async def start_site(app, port, context=None):
    """Returns the runner and the port it listens on."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context,
                      shutdown_timeout=1).start()
    return runner, runner.addresses[0][1]


async def listen(fake, folder):
    """Returns what is printed when the server listens, and its runners."""
    settings = fake.settings
    runner, port = await start_site(fake.application(), settings.port)
    other, other_port = await start_site(fake.other_host(), 0)
    runners = [runner, other]
    fake.base_url = f"http://127.0.0.1:{port}"
    fake.files.elsewhere_url = f"http://127.0.0.1:{other_port}"
    about = {"api_url": f"{fake.base_url}/api/",
             "control_url": f"{fake.base_url}/control", "ca_file": None,
             "other_host": f"127.0.0.1:{other_port}",
             "team": TEAM, "bot_user": BOT_USER, "bot_id": BOT,
             "giphy_url": fake.base_url + giphy.PATH,
             "giphy_key": giphy.KEY,
             "tokens": {name: token.value
                        for name, token in fake.tokens.items()}}
    if settings.tls:
        fake.certificates = tls.Certificates(folder)
        fake.certificates.serve(settings.certificate)
        about["ca_file"] = fake.certificates.ca_file
        runner, port = await start_site(
            fake.application(), settings.tls_port, fake.certificates.context)
        runners.append(runner)
        about["tls_api_url"] = f"https://127.0.0.1:{port}/api/"
    return about, runners


def until_told(settings):
    """A future that is done on TERM, INT, or the parent's end."""
    loop = asyncio.get_running_loop()
    told = loop.create_future()

    def tell():
        if not told.done():
            told.set_result(None)

    def parent():
        if not sys.stdin.buffer.raw.read(4096):
            loop.remove_reader(sys.stdin)
            tell()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell)
    if settings.parent:
        loop.add_reader(sys.stdin, parent)
    return told


def start_demo(fake):
    demo = Demo(fake)
    return [asyncio.ensure_future(demo.run(fake.settings.demo)),
            asyncio.ensure_future(demo.talk(fake.settings.demo)),
            asyncio.ensure_future(demo.trouble())]


async def serve(settings):
    fake = Fake(settings)
    told = until_told(settings)
    with tempfile.TemporaryDirectory(prefix="fake-slack-") as folder:
        about, runners = await listen(fake, folder)
        print(json.dumps(about), flush=True)
        tasks = start_demo(fake) if settings.demo else []
        await told
        for task in tasks:
            task.cancel()
        for socket in fake.sockets.every.values():
            socket.wire.kill()
            socket.over.set()
        for runner in runners:
            await runner.cleanup()


def main(description):
    asyncio.run(serve(parse_options(description)))
