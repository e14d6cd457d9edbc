"""WebSocket (RFC 6455) as a server speaks it, every frame under control.

aiohttp's own class would hide what matters here: whether a client's message
came in pieces, and how ours goes out.
"""
import asyncio
import base64
import hashlib
import socket
import struct

from aiohttp import web

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def encode(opcode, payload, final=True):
    head = bytes([(0x80 if final else 0) | opcode])
    size = len(payload)
    if size < 126:
        head += bytes([size])
    elif size < 65536:
        head += struct.pack("!BH", 126, size)
    else:
        head += struct.pack("!BQ", 127, size)
    return head + payload


def unmask(payload, key):
    repeated = key * (len(payload) // 4 + 1)
    size = len(payload)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(
        repeated[:size], "big")
    return number.to_bytes(size, "big")


class Reader:
    """Bytes to frames: what aiohttp calls a payload parser."""

    def __init__(self, on_frame, on_end):
        self._on_frame = on_frame
        self._on_end = on_end
        self._data = bytearray()
        self._ended = False

    def feed_data(self, data):
        self._data += data
        while (frame := self._next()) is not None:
            self._on_frame(*frame)
        return False, b""

    def feed_eof(self):
        if not self._ended:
            self._ended = True
            self._on_end()

    def _next(self):
        """(final, opcode, masked, payload) once it is there."""
        data = self._data
        if len(data) < 2:
            return None
        at, size = 2, data[1] & 0x7f
        if size >= 126:
            at += 2 if size == 126 else 8
            if len(data) < at:
                return None
            size = int.from_bytes(data[2:at], "big")
        masked = bool(data[1] & 0x80)
        end = at + 4 * masked + size
        if len(data) < end:
            return None
        payload = bytes(data[end - size:end])
        if masked:
            payload = unmask(payload, bytes(data[at:at + 4]))
        final, opcode = bool(data[0] & 0x80), data[0] & 0x0f
        del data[:end]
        return final, opcode, masked, payload


class Upgraded(web.StreamResponse):
    """What a handler returns that has taken the connection over."""

    async def prepare(self, request):
        return None

    async def write_eof(self, data=b""):
        return None


class Wire:
    """One upgraded connection: frames out in order, whole or in pieces."""

    def __init__(self, request, on_frame, on_end):
        self._request = request
        self._transport = request.transport
        self._queue = asyncio.Queue()
        self._writing = False
        self._writer = None
        self._mute = False
        self._on_frame = on_frame
        self._reader = Reader(self._heard, on_end)

    def accept(self):
        key = self._request.headers["Sec-WebSocket-Key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept +
            b"\r\n\r\n")
        self._request.protocol.set_parser(self._reader)
        self._writer = asyncio.ensure_future(self._write())

    def _heard(self, *frame):
        if not self._mute:
            self._on_frame(*frame)

    def send(self, opcode, payload, frames=1, dribble=0, pause=0.01,
             ping_between=False):
        """Send a message in that many frames, and each `dribble` bytes."""
        size = max(1, -(-len(payload) // frames))
        parts = [payload[at:at + size]
                 for at in range(0, len(payload), size)] or [b""]
        data = b""
        for number, part in enumerate(parts):
            data += encode(opcode if number == 0 else CONTINUATION, part,
                           final=number == len(parts) - 1)
            if ping_between and number < len(parts) - 1:
                data += encode(PING, b"Ping from between")
        if dribble == 0 and not self._writing and self._queue.empty():
            self._put(data)
        else:
            self._queue.put_nowait((data, dribble, pause))

    def _put(self, data):
        if not self._mute and not self._transport.is_closing():
            self._transport.write(data)

    async def _write(self):
        while True:
            data, dribble, pause = await self._queue.get()
            self._writing = True
            for at in range(0, len(data), dribble or len(data) or 1):
                self._put(data[at:at + (dribble or len(data))])
                if dribble:
                    await asyncio.sleep(pause)
            self._writing = False

    def send_close(self, code, reason=""):
        self.send(CLOSE, struct.pack("!H", code) + reason.encode())

    def black_hole(self):
        """Keep TCP open, but read nothing and send nothing from now on."""
        self._mute = True
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def end(self):
        """Close TCP after what was written."""
        self._stop()
        self._transport.close()

    def kill(self, reset=True):
        """End TCP at once, by RST or by FIN."""
        self._stop()
        if self._transport.is_closing():
            return
        if reset:
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _stop(self):
        if self._writer is not None:
            self._writer.cancel()
