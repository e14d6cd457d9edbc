"""What was handed in, and what became of each attempt: the obligations.

WAITING   nothing is known yet
OWED      acknowledged: it must come out, once
UNKNOWN   the connection broke before an answer: it may come out, once
REFUSED   told that it was not taken: it must not come out
"""
import dataclasses
import enum

from events import Id


class Fate(enum.Enum):
    WAITING = enum.auto()
    OWED = enum.auto()
    UNKNOWN = enum.auto()
    REFUSED = enum.auto()


@dataclasses.dataclass(slots=True)
class Attempt:
    """One time that an event was handed in."""
    fate: Fate = Fate.WAITING
    seq: int | None = None      # as the inbox answered
    word: str = ""              # the poison in it
    channel: str | None = None  # of Slack, as are the others
    ts: str | None = None
    deliveries: list | None = None  # (attempt, socket) that Slack made


class Ledger:
    def __init__(self, seed):
        self.seed = seed
        self.attempts = {}      # by id
        self.complaints = []    # answers that nobody may give
        self.owed = 0
        self._event_ids = {}    # of Slack: our id
        self.names = {}         # that the HTTP interface gave

    def hand_in(self, event_id, word=""):
        assert event_id not in self.attempts, event_id
        self.attempts[event_id] = Attempt(word=word)

    def accept(self, event_id, seq=None):
        attempt = self.attempts[event_id]
        if attempt.fate is not Fate.OWED:
            self.owed += 1
        attempt.fate, attempt.seq = Fate.OWED, seq

    def name(self, event_id, name):
        """Said again, it has the same name."""
        if self.names.setdefault(event_id, name) != name:
            self.complain(f"{event_id} is {self.names[event_id]} and {name}")

    def refuse(self, event_id):
        self.attempts[event_id].fate = Fate.REFUSED

    def lose_sight(self, event_id):
        self.attempts[event_id].fate = Fate.UNKNOWN

    def complain(self, what):
        self.complaints.append(what)

    def count(self, fate):
        return sum(one.fate is fate for one in self.attempts.values())

    # Slack tells by its own ids what it delivered and what was acknowledged.

    def post(self, event_id, sent):
        """What the answer to a post says of it."""
        attempt = self.attempts[event_id]
        attempt.channel, attempt.ts = sent["channel"], sent["ts"]
        attempt.deliveries = []
        self._event_ids[sent["event_id"]] = event_id

    def find_posted(self, slack_id):
        return self._event_ids.get(slack_id)


def attempts_in_order(ledger):
    """Pairs of Id and attempt, as they were handed in."""
    for event_id, attempt in ledger.attempts.items():
        yield Id.parse(event_id), attempt
