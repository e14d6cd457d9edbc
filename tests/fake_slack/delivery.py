"""What becomes of an event: sent, acknowledged, sent again, lost.

An attempt has failed when there is no socket, or no ack in time. A failed one
is repeated after the pauses of --retries, with another envelope_id; an ack
that comes too late does not stop that.
"""
import asyncio
import itertools
import json
import random
import time
import uuid
from dataclasses import dataclass, field

from .workspace import APP, BOT, BOT_USER, TEAM


@dataclass
class Outgoing:
    """One payload on its way to the client."""
    type: str
    payload: dict | None
    id: str                     # event_id, or a name of ours
    retries: list
    how: dict = field(default_factory=dict)
    attempt: int = 0

    @property
    def own(self):
        """Is it an event of what the bot itself posted?"""
        event = (self.payload or {}).get("event") or {}
        return event.get("bot_id") == BOT


@dataclass
class Envelope:
    id: str
    event: Outgoing
    socket: int
    sent: float
    deadline: object = None
    expired: bool = False


class Delivery:
    def __init__(self, settings, log):
        self.settings = settings
        self.log = log
        self.sockets = {}       # that events are sent to, ghosts too
        self.envelopes = {}     # sent, by envelope_id
        self.acked = {}         # event_id: time
        self.pending = {}       # event_id: Outgoing
        self.lost = []          # event_id
        self._turn = itertools.count()
        self._chance = random.Random(1)

    def push_event(self, event, workspace, how=None):
        """Deliver an event of the Events API; returns its id."""
        event_id = workspace.new_id("Ev")
        self.push("events_api", self.callback(event, event_id), event_id,
                  how=how)
        return event_id

    def callback(self, event, event_id):
        """The payload that carries an event."""
        return {
            "token": "deprecated", "team_id": TEAM, "api_app_id": APP,
            "context_team_id": TEAM, "context_enterprise_id": None,
            "type": "event_callback", "event_id": event_id,
            "event_time": int(time.time()), "is_ext_shared_channel": False,
            "authorizations": [{
                "enterprise_id": None, "team_id": TEAM, "user_id": BOT_USER,
                "is_bot": True, "is_enterprise_install": False}],
            "event_context": f"4-{event_id}", "event": event}

    def push(self, type, payload, name, retried=True, how=None):
        """Deliver a payload; `name` is its event_id."""
        retries = list(self.settings.retries) if retried else []
        event = Outgoing(type, payload, name, retries, how or {})
        self.pending[name] = event
        delay = event.how.get(
            "delay", self._chance.random() * self.settings.jitter)
        if delay:
            asyncio.get_running_loop().call_later(
                delay, self._attempt, event)
        else:
            self._attempt(event)

    def _attempt(self, event):
        socket = self._next_socket()
        if socket is None:
            self.log.add("undelivered", event_id=event.id,
                         attempt=event.attempt)
            self._failed(event)
            return
        envelope = Envelope(str(uuid.uuid4()), event, socket.number,
                            time.time())
        self.envelopes[envelope.id] = envelope
        text = self._write(event, envelope)
        self.log.add("envelope", socket=socket.number,
                     envelope_id=envelope.id, event_id=event.id,
                     type=event.type, own=event.own, attempt=event.attempt,
                     bytes=len(text),
                     into_black_hole=socket.is_black)
        envelope.deadline = asyncio.get_running_loop().call_later(
            self.settings.ack_deadline, self._expire, envelope)
        socket.send_text(text, **event.how.get("frames", {}))

    def _write(self, event, envelope):
        outer = {"envelope_id": envelope.id, "type": event.type}
        if event.payload is not None:
            outer["payload"] = event.payload
        outer["accepts_response_payload"] = event.how.get("accepts", False)
        if event.type == "events_api" and not event.how.get("no_retry"):
            reason = "timeout" if event.attempt else ""
            outer |= {"retry_attempt": event.attempt, "retry_reason": reason}
        return json.dumps(outer).encode()

    def _next_socket(self):
        """One of those open, in turn."""
        open_ones = [s for s in self.sockets.values() if s.takes_events]
        if not open_ones:
            return None
        return open_ones[next(self._turn) % len(open_ones)]

    def _expire(self, envelope):
        envelope.expired = True
        self.log.add("unacknowledged", envelope_id=envelope.id,
                     event_id=envelope.event.id, socket=envelope.socket,
                     attempt=envelope.event.attempt)
        self._failed(envelope.event)

    def _failed(self, event):
        if event.attempt >= len(event.retries):
            self._lose(event)
            return
        pause = event.retries[event.attempt]
        event.attempt += 1
        asyncio.get_running_loop().call_later(pause, self._attempt, event)

    def _lose(self, event):
        self.pending.pop(event.id, None)
        if event.id not in self.acked:
            self.lost.append(event.id)
            self.log.add("lost", event_id=event.id)

    def forget(self):
        """What is over, for the sake of memory."""
        self.acked.clear()
        self.lost.clear()
        self.envelopes = {id: envelope for id, envelope
                          in self.envelopes.items() if not envelope.expired}

    def acknowledge(self, socket, ack, size):
        """A text frame of the client's: it should be an ack."""
        envelope_id = ack.get("envelope_id")
        envelope = self.envelopes.get(envelope_id)
        if envelope is None:
            self.log.error("ack of an unknown envelope", socket=socket,
                           envelope_id=envelope_id)
            return
        if envelope.socket != socket:
            self.log.error("ack on another socket", socket=socket,
                           envelope_id=envelope_id, sent_on=envelope.socket)
            return
        now = time.time()
        event = envelope.event
        again = event.id in self.acked
        self.log.add("ack", socket=socket, envelope_id=envelope_id,
                     event_id=event.id, own=event.own, attempt=event.attempt,
                     bytes=size,
                     latency=now - envelope.sent, late=envelope.expired,
                     again=again, payload=ack.get("payload"))
        if not envelope.expired:
            envelope.deadline.cancel()
            del self.envelopes[envelope_id]
            self.pending.pop(event.id, None)
            self.acked.setdefault(event.id, now)
            self._repeat(event)

    def _repeat(self, event):
        """Slack may repeat what was acknowledged: here, a share of it."""
        if event.attempt < len(event.retries) and (
                self._chance.random() < self.settings.repeats):
            event.attempt += 1
            asyncio.get_running_loop().call_soon(self._attempt, event)
