"""The judge proper: compares what was owed with what came out.

It looks at files only, those that the run left: what run.sh wrote, the
journal, the counts, the dead letters. Nothing it decides rests on what the
programs say of themselves.
"""
import collections
import dataclasses
import hashlib
import json

from deliveries import Deliveries
from events import (
    BOT, COMMANDS, MARK, Id, find_id, make_file, make_line, make_post,
    make_text)
from ledger import Fate
from subscribed import Subscribed
from talk import Talk

SAMPLES = 8
# What can be wrong, by the word for it in the verdict.
WRONGS = {
    "lost": "acknowledged, and not at the end of the pipe",
    "doubled": "under two seqs, or taken although it was refused",
    "changed": "not the bytes that were sent",
    "disordered": "not in the order in which it was said",
    "repeated": "written again without a restart of the line",
    "torn": "lines that are no records",
    "condemned": "set aside although it was no poison",
    "spared": "poison that was not set aside as it should be",
    "miscounted": "counts of stats that are not those of the journal",
    "misshown": "shown to a viewer twice, never, or at odds with a gap",
    "misled": "not told to whom it concerns, or to others; or not answered",
    "late": "over 5 s to recovery",
    "oversize": "files above their cap",
    "left behind": "processes after the end",
    "misbehaved": "answers and ends that nobody may give",
}


@dataclasses.dataclass
class Outcome:
    """What a run left."""
    ledger: object
    segments: list          # of line.Segment
    journal: list           # of paths, oldest first
    stats: dict | None = None
    dead_letters: list = dataclasses.field(default_factory=list)  # paths
    viewers: list = dataclasses.field(default_factory=list)
    posts: list | None = None   # of the bot, in Slack; None: nobody looked
    recoveries: list = dataclasses.field(default_factory=list)
    recovery_limit: float = 5
    sizes: list = dataclasses.field(default_factory=list)  # (what, most, cap)
    left_behind: list = dataclasses.field(default_factory=list)


class Verdict:
    def __init__(self):
        self.counts = collections.Counter()
        self.samples = collections.defaultdict(list)

    def add(self, wrong, what):
        assert wrong in WRONGS
        self.counts[wrong] += 1
        if len(self.samples[wrong]) < SAMPLES:
            self.samples[wrong].append(str(what))

    @property
    def is_good(self):
        return not self.counts

    def __str__(self):
        if self.is_good:
            return "nothing lost, doubled, changed or out of order"
        return ", ".join(f"{count} {wrong}"
                         for wrong, count in self.counts.items())


@dataclasses.dataclass(slots=True)
class Entry:
    """What the oracle remembers of a line of the journal."""
    length: int             # without the brace at the end
    digest: bytes           # of so many bytes
    event_id: str | None
    type: str | None
    channel: str | None
    delivery: dict | None = None    # what the record says of another one
    output: bytes = b""     # digest of the line that came out, once it did
    class_: str | None = None
    is_error: bool = False
    has_files: bool = False
    told: tuple = ([], {})      # whom it is for, and for whom held back


def digest(data):
    return hashlib.blake2b(data, digest_size=12).digest()


def shorten(line):
    return line if len(line) <= 160 else line[:120] + b"..." + line[-30:]


def read_lines(path):
    """Its lines without LF, each with whether it had one."""
    with open(path, "rb") as file:
        for line in file:
            has_end = line.endswith(b"\n")
            yield (line[:-1] if has_end else line), has_end


def parse(line):
    """The object on the line, or None."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def take_form(line, record):
    """What of the line must be the same whenever it comes out. The bot's
    answer is not: how often a term was found, it tells as of now. (What
    people read of it is the answer that Slack has, once.)"""
    if not isinstance(record.get("command"), dict):
        return line
    command = {**record["command"], "reply": "reply" in record["command"]}
    return json.dumps({**record, "command": command}).encode()


class Oracle:
    def __init__(self, outcome):
        self.outcome = outcome
        self.ledger = outcome.ledger
        self.verdict = Verdict()
        self.entries = {}       # by seq
        self.seqs = {}          # by id
        self.repeats = 0        # lines that came again after a restart
        self.fragments = 0      # of lines, that a death left
        self.restarts = sum(one.restarts for one in outcome.segments)
        self.files = collections.Counter()  # what became of them
        self.people = Subscribed(BOT)
        self.talk = Talk(self.verdict.add)

    def judge(self):
        for path in self.outcome.journal:
            self.read_journal(path)
        self.check_journal()
        self.check_order()
        self.read_output()
        self.check_conservation()
        self.check_dead_letters()
        self.check_counts()
        self.check_deliveries()
        self.check_viewers()
        self.check_rest()
        return self.verdict

    # What was taken

    def read_journal(self, path):
        for line, has_end in read_lines(path):
            record = parse(line)
            seq = record.get("seq") if record else None
            if not has_end or not isinstance(seq, int):
                self.verdict.add("torn", f"{path.name}: {shorten(line)}")
                continue
            if seq in self.entries:
                self.verdict.add("doubled", f"seq {seq} stands twice in the"
                                 f" journal: {shorten(line)}")
                continue
            event_id = self.find_event(line, record)
            self.entries[seq] = Entry(
                len(line) - 1, digest(line[:-1]), event_id,
                record.get("type"), record.get("channel"),
                has_files=bool(record.get("files")),
                delivery=find_delivery(record),
                told=self.people.take(record))
            self.talk.take(seq, event_id, record, self.entries[seq],
                           self.people.find_command(record) is not None)
            if event_id is not None:
                self.take_event(event_id, seq, line, record)

    def find_event(self, line, record):
        """The id of the event, if it is one of ours."""
        if record.get("type") in ("late_file", "error", "reply") or \
                record.get("own") or find_delivery(record):
            return None
        return find_id(line)

    def take_event(self, event_id, seq, line, record):
        attempt = self.ledger.attempts.get(event_id)
        if attempt is None:
            self.verdict.add("changed", f"nobody said this: {shorten(line)}")
            return
        if event_id in self.seqs:
            self.verdict.add("doubled", f"{event_id} has seq "
                             f"{self.seqs[event_id]} and {seq}")
            return
        self.seqs[event_id] = seq
        if attempt.fate is Fate.REFUSED:
            self.verdict.add("doubled", f"{event_id} was refused, has {seq}")
        if attempt.seq not in (None, seq):
            self.verdict.add("changed", f"{event_id} was answered with seq "
                             f"{attempt.seq}, has {seq}")
        if not self.is_as_sent(event_id, attempt, line, record):
            self.verdict.add("changed", f"{event_id}: {shorten(line)}")

    def is_as_sent(self, event_id, attempt, line, record):
        seed = self.ledger.seed
        if Id.parse(event_id).source.startswith("h"):
            sent = json.loads(make_post(seed, event_id))["msg"]
            return all(record.get(name) == sent[name] for name in sent) and \
                record.get("id") == self.ledger.names.get(
                    event_id, record.get("id"))
        if attempt.ts is None and Id.parse(event_id).source not in "sqbm":
            sent = make_line(seed, event_id, attempt.word)
            return line.startswith(sent[:-1] + b",")
        text = make_text(seed, event_id, attempt.word)
        return record.get("text") == text and \
            json.dumps(text).encode() in line and \
            attempt.ts in (None, record.get("ts")) and \
            attempt.channel in (None, record.get("channel"))

    def check_journal(self):
        """seq 1, 2, 3 without a hole."""
        for wanted, seq in enumerate(sorted(self.entries), start=1):
            if wanted != seq:
                self.verdict.add("lost", f"the journal has no seq {wanted}")
                break

    # In which order

    def check_order(self):
        """Of a client of the inbox by connection and number; of Slack by time
        in each channel, as far as it was sent once and on one connection."""
        last = {}
        for seq in sorted(self.entries):
            event_id = self.entries[seq].event_id
            attempt = self.ledger.attempts.get(event_id)
            if attempt is None:
                continue
            place, rank = self.find_place(Id.parse(event_id), attempt)
            if place is None:
                continue
            if place in last and rank <= last[place][0]:
                self.verdict.add("disordered", f"{event_id} (seq {seq}) came"
                                 f" behind {last[place][1]}")
            last[place] = rank, event_id

    @staticmethod
    def find_place(event, attempt):
        """Whose order it is in, and where; None for no order."""
        if event.source[0] in "ih":
            return event.source, (event.epoch, event.number)
        if attempt.deliveries and len(attempt.deliveries) == 1 and \
                attempt.deliveries[0][0] == 0:
            return (attempt.channel, attempt.deliveries[0][1]), attempt.ts
        return None, None

    # What came out

    def read_output(self):
        """seq follows seq; only a restart of the line goes back, and not
        beyond what came."""
        most = 0
        was_clean = True
        for segment in self.outcome.segments:
            starts = segment.restarts + (not was_clean)
            last = most
            for line, has_end in read_lines(segment.path):
                seq = self.take_output(line) if has_end else None
                if seq is None:
                    if has_end or segment.ended == "clean":
                        self.take_fragment(segment, line)
                    continue
                if seq > most + 1:
                    self.verdict.add("disordered", f"{segment.path.name}: seq"
                                     f" {seq} behind {most}")
                elif seq != last + 1:
                    starts -= 1
                    if starts < 0:
                        self.verdict.add(
                            "repeated", f"{segment.path.name}: seq {seq}"
                            f" behind {last}, and no restart")
                self.repeats += seq <= most
                last, most = seq, max(most, seq)
            was_clean = segment.ended == "clean"

    def take_fragment(self, segment, line):
        """A writer that died may leave a beginning of a line, but alone: what
        comes after it must not be spoilt by it."""
        ids = {mark.decode() for mark in MARK.findall(line)}
        if not line:
            return
        self.fragments += 1
        if self.fragments > self.restarts or len(ids) > 1 or \
                not self.is_beginning(line, *ids):
            self.verdict.add(
                "torn", f"{segment.path.name}: {shorten(line)}")

    def is_beginning(self, line, event_id=None):
        """Of a record; one without an id we know only by its brace."""
        attempt = self.ledger.attempts.get(event_id)
        if attempt is None or attempt.ts is not None:
            return line.startswith(b"{")
        if Id.parse(event_id).source.startswith("h"):
            return line.startswith(b"{")
        sent = make_line(self.ledger.seed, event_id, attempt.word)[:-1]
        return sent.startswith(line) or line.startswith(sent)

    def take_output(self, line):
        """Check the line; returns its seq, or None where it is no record."""
        record = parse(line)
        seq = record.get("seq") if record else None
        if seq not in self.entries:
            return None
        entry = self.entries[seq]
        if digest(line[:entry.length]) != entry.digest:
            self.verdict.add("changed", f"seq {seq} at the end of the pipe: "
                             f"{shorten(line)}")
        now = digest(take_form(line, record))
        if entry.output not in (b"", now) and not entry.has_files:
            self.verdict.add("changed", f"seq {seq} came out in two forms, "
                             f"the second: {shorten(line)}")
        if not entry.output:
            entry.class_ = record.get("class")
            entry.is_error = "error" in record
            self.check_told(seq, entry, record)
            self.check_error(seq, entry, record)
            self.check_files(seq, entry, record)
        entry.output = now
        return seq

    def check_told(self, seq, entry, record):
        told = record.get("notify", []), record.get("held", {})
        if told != entry.told:
            self.verdict.add("misled", f"seq {seq} is for {told}, it should "
                             f"be for {entry.told}")

    def check_error(self, seq, entry, record):
        """Poison, and nothing else, is answered by keep."""
        attempt = self.ledger.attempts.get(entry.event_id)
        error = record.get("error")
        is_aside = isinstance(error, dict) and error.get("attempts") == 3
        if attempt is None:
            return
        if attempt.word and not is_aside:
            self.verdict.add("spared", f"seq {seq}, {entry.event_id}")
        elif error is not None and not attempt.word:
            self.verdict.add("condemned", f"seq {seq}, {entry.event_id}: "
                             f"{error}")

    def check_files(self, seq, entry, record):
        """What is said to be in the spool is what was shared."""
        fetched = record.get("fetched", [])
        if entry.event_id is None:
            return
        if len(fetched) != len(record.get("files", [])):
            self.verdict.add("changed", f"seq {seq}: {fetched}")
        for file in fetched:
            self.files[file.get("status")] += 1
            content = make_file(self.ledger.seed, entry.event_id) or ""
            if file.get("status") == "ok" and file.get("sha256") != \
                    hashlib.sha256(content.encode()).hexdigest():
                self.verdict.add("changed", f"seq {seq}: {file}")

    def check_conservation(self):
        for seq, entry in self.entries.items():
            if not entry.output:
                self.verdict.add("lost", f"seq {seq} ({entry.event_id}) is in"
                                 " the journal and did not come out")
        for event_id, attempt in self.ledger.attempts.items():
            if attempt.fate is Fate.OWED and event_id not in self.seqs:
                self.verdict.add("lost", f"{event_id} was acknowledged and is"
                                 " not in the journal")

    def check_dead_letters(self):
        """Each poison that came out lies there, whole, and nothing else."""
        found = set()
        for path in self.outcome.dead_letters:
            for line, has_end in read_lines(path):
                record = parse(line)
                seq = record.get("seq") if record else None
                entry = self.entries.get(seq)
                if entry is None or not has_end or \
                        digest(line[:entry.length]) != entry.digest:
                    self.verdict.add("torn", f"{path.name}: {shorten(line)}")
                    continue
                found.add(seq)
        for event_id, attempt in self.ledger.attempts.items():
            if attempt.word and event_id in self.seqs and \
                    self.seqs[event_id] not in found:
                self.verdict.add("spared", f"{event_id} is no dead letter")

    # What was made of it

    def check_counts(self):
        if self.outcome.stats is None:
            self.verdict.add("miscounted", "there is no stats.json")
            return
        entries = self.entries.values()
        wanted = {
            "records": len(self.entries),
            "seq": max(self.entries, default=0),
            "checkpoint": max(self.entries, default=0),
            "total_msg_count": sum(e.type == "message" for e in entries),
            "errors": sum(e.is_error for e in entries),
            "types": tally(e.type for e in entries),
            "channels": tally(e.channel for e in entries),
            "classes": tally(e.class_ for e in entries)}
        for name, value in wanted.items():
            told = self.outcome.stats.get(name)
            if told != value:
                self.verdict.add(
                    "miscounted", f"{name}: {told}, it should be {value}")

    def check_deliveries(self):
        if self.outcome.posts is None:
            return
        told = collections.defaultdict(list)
        for entry in self.entries.values():
            if entry.delivery and entry.delivery["purpose"] == "relay":
                told[entry.delivery["of"]].append(entry.delivery)
        wanted = {seq: (entry.event_id, entry.channel)
                  for seq, entry in self.entries.items()
                  if entry.type == "api_message"}
        posts = self.talk.judge(self.outcome.posts)
        Deliveries(wanted, told, posts, self.verdict.add).judge()

    def check_viewers(self):
        top = max(self.entries, default=0)
        for number, viewer in enumerate(self.outcome.viewers, start=1):
            for what in viewer.complaints:
                self.verdict.add("misshown", f"viewer {number}: {what}")
            if viewer.forgot:
                self.verdict.add("misshown", f"viewer {number}: began anew")
            for what in find_holes(viewer.had.ranges, viewer.gaps.ranges,
                                   top):
                self.verdict.add("misshown", f"viewer {number}: {what}")

    def check_rest(self):
        for recovery in self.outcome.recoveries:
            for way in ("inbox", "slack"):
                seconds = getattr(recovery, way)
                if seconds is None or seconds > self.outcome.recovery_limit:
                    self.verdict.add("late", f"{recovery.name} at "
                                     f"{recovery.at:.0f} s: {way} {seconds}")
        for what, most, cap in self.outcome.sizes:
            if most > cap:
                self.verdict.add("oversize", f"{what}: {most}, cap {cap}")
        for what in self.outcome.left_behind:
            self.verdict.add("left behind", what)
        for what in self.ledger.complaints:
            self.verdict.add("misbehaved", what)


def find_delivery(record):
    """What slack-send says became of a message, or None."""
    if record.get("type") != "delivery" or not str(
            record.get("id")).startswith("delivery:"):
        return None
    return {name: record.get(name) for name in (
        "of", "purpose", "message", "status", "slack_channel", "slack_ts",
        "reason")}


def tally(names):
    counts = collections.Counter(names)
    counts.pop(None, None)
    return dict(counts)


def find_holes(had, gaps, top):
    """What is at odds: records and gaps, put together, must be one unbroken
    row up to the top, and share nothing."""
    spans = sorted([(first, last, "had") for first, last in had]
                   + [(first, last, "gap") for first, last in gaps])
    if not spans:
        return ["saw nothing at all"] if top else []
    wrong = []
    end = spans[0][0] - 1
    for first, last, kind in spans:
        if first <= end:
            wrong.append(f"{first} to {min(last, end)}: again, as {kind}")
        elif first > end + 1:
            wrong.append(f"{end + 1} to {first - 1}: neither shown nor told")
        end = max(end, last)
    if end != top:
        wrong.append(f"{end + 1} to {top}: neither shown nor told")
    return wrong
