"""Socket Mode's connections: tickets, hello, pings, refresh, and their end."""
import asyncio
import json
import secrets
import time

from aiohttp import web

from . import websocket
from .websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Wire
from .workspace import APP

FRAME_MAX = 20480
CONNECTIONS_MAX = 10
HOST = "applink-5"


class Socket:
    """One connection of the client's."""

    def __init__(self, mode, request, number, lifetime):
        self.mode = mode
        self.number = number
        self.lifetime = lifetime
        self.opened = time.time()
        self.said_hello = False
        self.is_black = False           # nothing is read, nothing is sent
        self.is_refreshing = False
        self.close_sent = None          # the code of our close frame
        self.client_close = None        # the code of the client's
        self.over = asyncio.Event()         # the WebSocket's end
        self.tcp_over = asyncio.Event()
        self._tasks = []
        self.wire = Wire(request, self._frame, self._end_of_tcp)

    @property
    def takes_events(self):
        return self.said_hello and self.close_sent is None

    def describe(self):
        return {"socket": self.number, "age": time.time() - self.opened,
                "said_hello": self.said_hello, "ghost": self.is_black,
                "refreshing": self.is_refreshing,
                "closing": self.close_sent is not None,
                "tcp_open": not self.tcp_over.is_set()}

    def spawn(self, coroutine):
        self._tasks.append(asyncio.ensure_future(coroutine))

    # What goes out

    def send_json(self, **members):
        self.wire.send(TEXT, json.dumps(members).encode())

    def send_text(self, text, **how):
        self.wire.send(TEXT, text, **how)

    def hello(self):
        self.said_hello = True
        self.mode.register(self)
        self.send_json(
            type="hello", num_connections=self.mode.count(),
            debug_info={
                "host": HOST, "started": "2026-11-02 09:14:03.512",
                "build_number": 61,
                "approximate_connection_time": int(self.lifetime)},
            connection_info={"app_id": APP})
        self.mode.log.add("hello", socket=self.number,
                          num_connections=self.mode.count())
        self.spawn(self._ping())
        self.spawn(self._live())

    async def _ping(self):
        while True:
            await asyncio.sleep(self.mode.settings.ping_interval)
            self.wire.send(PING, f"Ping from {HOST}".encode())

    async def _live(self):
        """As long as planned, then refreshed."""
        warning = self.mode.settings.warning_time
        await asyncio.sleep(max(0.0, self.lifetime - warning))
        await self.refresh(warning)

    async def refresh(self, warning=None, grace=None, reason=None):
        """A warning, refresh_requested, and after a moment the close."""
        settings = self.mode.settings
        if self.is_refreshing or self.is_black:
            return
        self.is_refreshing = True
        warning = settings.warning_time if warning is None else warning
        if warning:
            self.disconnect("warning")
            await asyncio.sleep(warning)
        self.disconnect(reason or "refresh_requested")
        await asyncio.sleep(settings.grace if grace is None else grace)
        self.close(1000)

    def disconnect(self, reason):
        """Say that it will end; close() does it."""
        self.mode.log.add("disconnect", socket=self.number, reason=reason)
        members = {} if reason is None else {"reason": reason}
        self.send_json(type="disconnect", **members,
                       debug_info={"host": HOST})

    def close(self, code=1000, reason=""):
        if self.close_sent is None and not self.tcp_over.is_set():
            self.close_sent = code
            self.wire.send_close(code, reason)
            self.mode.unregister(self)
            if self.client_close is None:
                self.spawn(self._await_close())

    async def _await_close(self):
        await asyncio.sleep(self.mode.settings.close_wait)
        self._finish("server", clean=False)

    def black_hole(self):
        self.is_black = True
        self.wire.black_hole()
        self.mode.log.add("black_hole", socket=self.number)

    def kill(self, reset=True):
        """Gone without a close frame."""
        self.wire.kill(reset)
        self._finish("server", clean=False)

    # What comes in

    def _frame(self, final, opcode, masked, payload):
        if not masked:
            self._offence("frame without mask", 1002)
        elif len(payload) > FRAME_MAX:
            self._offence("frame too long", 1009, bytes=len(payload))
        elif opcode == CONTINUATION or not final:
            self._offence("fragmented message", 1009)
        elif opcode == PING:
            self.mode.log.add("client_ping", socket=self.number)
            self.wire.send(PONG, payload)
        elif opcode == PONG:
            self.mode.log.add("client_pong", socket=self.number,
                              payload=payload.decode("utf-8", "replace"))
        elif opcode == CLOSE:
            self._client_close(payload)
        elif opcode == TEXT:
            self._text(payload)
        else:
            self._offence("frame of another kind", 1003, opcode=opcode)

    def _offence(self, what, code, **members):
        self.mode.log.error(what, socket=self.number, **members)
        reason = f"Max frame length of {FRAME_MAX} has been exceeded."
        self.close(code, reason if code == 1009 else "")

    def _text(self, payload):
        if self.client_close is not None:
            self.mode.log.error("text after a close frame",
                                socket=self.number)
            return
        try:
            ack = json.loads(payload)
        except ValueError:
            ack = None
        if not isinstance(ack, dict):
            self.mode.log.error("text that is no JSON object",
                                socket=self.number)
            return
        self.mode.delivery.acknowledge(self.number, ack, len(payload))

    def _client_close(self, payload):
        code = int.from_bytes(payload[:2], "big") if payload else 1005
        self.client_close = code
        by = "server" if self.close_sent is not None else "client"
        if self.close_sent is None:
            self.close_sent = code
            self.wire.send(CLOSE, payload[:2])
        self._finish(by, clean=True)

    def _end_of_tcp(self):
        self.tcp_over.set()
        if self.over.is_set():
            self.mode.log.add("tcp_closed", socket=self.number)
        elif self.is_black or (self.mode.settings.ghosts
                               and self.close_sent is None):
            self.is_black = True
            self.mode.log.add("ghost", socket=self.number)
        else:
            self._finish("client", clean=False)

    def _finish(self, by, clean):
        """The connection is over, if TCP perhaps is not."""
        if self.over.is_set():
            return
        code = self.client_close if by == "client" else self.close_sent
        self.mode.unregister(self)
        self.mode.log.add("close_socket", socket=self.number, by=by,
                          clean=clean, code=code)
        self.over.set()
        for task in self._tasks:
            task.cancel()
        if clean and self.mode.settings.leave_tcp_open:
            return
        self.wire.end()
        self.tcp_over.set()


class SocketMode:
    """All connections, and the tickets that let one in."""

    def __init__(self, settings, log, delivery):
        self.settings = settings
        self.log = log
        self.delivery = delivery
        self.enabled = True
        self.tickets = {}           # ticket: valid until
        self.upgrade_faults = []    # what befalls the next connections
        self.every = {}             # sockets by number, those over too
        self._number = 0

    @property
    def sockets(self):
        return self.delivery.sockets

    def count(self):
        return len(self.sockets)

    def register(self, socket):
        self.sockets[socket.number] = socket

    def unregister(self, socket):
        self.sockets.pop(socket.number, None)

    def find(self, which=None):
        """Sockets by number; None: all; "oldest", "newest"."""
        there = [s for s in self.sockets.values() if not s.is_black]
        if which is None:
            return there
        if which == "oldest":
            return there[:1]
        if which == "newest":
            return there[-1:]
        return [s for s in self.sockets.values() if s.number == which]

    def new_url(self, request):
        ticket = secrets.token_hex(16)
        self.tickets[ticket] = time.time() + self.settings.ticket_life
        scheme = "wss" if request.secure else "ws"
        return f"{scheme}://{request.host}/link/?ticket={ticket}&app_id=2f0c9d"

    def _refuse(self, request):
        """Why the ticket does not let in, or None."""
        until = self.tickets.pop(request.query.get("ticket"), None)
        if until is None:
            return "ticket unknown or used"
        if until < time.time():
            return "ticket expired"
        if "Sec-WebSocket-Key" not in request.headers:
            return "no upgrade"
        if "Sec-WebSocket-Extensions" in request.headers:
            self.log.add("extensions_offered",
                         value=request.headers["Sec-WebSocket-Extensions"])
        return None

    async def upgrade(self, request):
        """The handler of the WebSocket URL."""
        fault = self.upgrade_faults.pop(0) if self.upgrade_faults else {}
        if fault.get("status"):
            self.log.add("upgrade", status=fault["status"], fault=True)
            return web.Response(status=fault["status"],
                                text=fault.get("body", ""))
        if fault.get("hang"):
            self.log.add("upgrade", status=None, fault=True, hang=True)
            await asyncio.sleep(fault.get("seconds", 3600))
        why = self._refuse(request)
        if why:
            self.log.add("upgrade", status=403, why=why)
            self.log.error(f"upgrade refused: {why}")
            return web.Response(status=403, text="Forbidden")
        await self._serve(request, fault)
        return websocket.Upgraded()

    async def _serve(self, request, fault):
        self._number += 1
        lifetime = self.settings.connection_time
        if request.query.get("debug_reconnects") == "true":
            lifetime = min(lifetime, 360)
        socket = Socket(self, request, self._number, lifetime)
        self.every[socket.number] = socket
        self.log.add("upgrade", status=101)
        self.log.add("open_socket", socket=socket.number,
                     tls=request.secure)
        socket.wire.accept()
        self._welcome(socket, fault)
        await socket.over.wait()
        if socket.client_close is not None and self.settings.leave_tcp_open:
            await socket.tcp_over.wait()

    def _welcome(self, socket, fault):
        if not self.enabled:
            socket.disconnect("link_disabled")
            socket.close()
        elif self.count() >= CONNECTIONS_MAX:
            socket.disconnect("too_many_websockets")
            socket.close()
        elif fault.get("reset"):
            socket.kill()
        elif fault.get("no_hello"):
            self.log.add("no_hello", socket=socket.number)
        else:
            self._greet(socket, fault)

    def _greet(self, socket, fault):
        if fault.get("hello_delay"):
            loop = asyncio.get_running_loop()
            loop.call_later(fault["hello_delay"], socket.hello)
            return
        socket.hello()
        if fault.get("close_after_hello"):
            socket.close(fault.get("code", 1000))

    def disable(self):
        """Somebody switched Socket Mode off."""
        self.enabled = False
        for socket in self.find():
            socket.disconnect("link_disabled")
            socket.close()

    def send_binary(self, data, which=None):
        for socket in self.find(which)[:1]:
            socket.wire.send(BINARY, data)
