"""What the bot said, judged: each command is answered once, and whom a message
is for is told of it once, alone or in a digest.

What is held against the posts in Slack is the journal: who said what, and what
became of each answer there.
"""
import collections

from deliveries import Post
from events import COMMANDS


class Talk:
    def __init__(self, add):
        self.add = add
        self.commands = {}      # seq: what stands there
        self.later = {}         # seq of a `reply`: that of its command
        self.wanted = {}        # (seq, user): the entry
        self.told = collections.defaultdict(list)   # delivery records

    # As the journal is read

    def take(self, seq, event_id, record, entry, is_command):
        """What a record of the journal asks for, or says of a post."""
        if event_id is not None and event_id.startswith(COMMANDS) and \
                not is_command:
            self.add("misled", f"seq {seq}, {event_id}: no command any more")
        if is_command:
            self.commands[seq] = event_id
        if record.get("type") == "reply":
            self.take_later(seq, record)
        notify, held = entry.told
        for user in (*notify, *held):
            self.wanted[seq, user] = entry
        if entry.delivery and entry.delivery["purpose"] in (
                "reply", "forward"):
            key = entry.delivery["of"], entry.delivery["message"]
            self.told[key].append(entry.delivery)

    def take_later(self, seq, record):
        of = record.get("of")
        if of not in self.commands:
            self.add("misled", f"seq {seq} answers {of}, which asks nothing")
        elif of in self.later.values():
            self.add("doubled", f"{of} is answered again by {seq}")
        self.later[seq] = of

    # At the end

    def judge(self, shown):
        """Of the posts, those that are not the bot's own words."""
        posts = [(Post(one), one) for one in shown]
        mine, others = [], []
        for post, one in posts:
            (mine if self.is_mine(post) else others).append((post, one))
        self.check_answers([post for post, _ in mine])
        self.check_forwards([post for post, _ in mine])
        return [one for _, one in others]

    @staticmethod
    def is_mine(post):
        """Relays go to channels; forwards and their digests never."""
        return post.purpose in ("reply", "forward", "notice") or \
            post.channel.startswith("D")

    def check_answers(self, posts):
        """In Slack, and as the journal has it."""
        counts = collections.Counter(
            self.later.get(post.seq, post.seq) for post in posts
            if post.purpose == "reply" and post.part == 0)
        for seq, event_id in self.commands.items():
            if counts[seq] != 1:
                self.add("lost" if counts[seq] == 0 else "doubled",
                         f"the command {seq} ({event_id}) is answered "
                         f"{counts[seq]} times in Slack")
        for seq in set(counts) - set(self.commands):
            self.add("doubled", f"an answer to {seq}, which asks nothing")
        for (seq, user), records in self.told.items():
            if user is None and (len(records) != 1 or
                                 records[0]["status"] != "sent"):
                self.add("lost", f"the answer {seq}: {records}")

    def check_forwards(self, posts):
        digests = {post.ts for post in posts if post.purpose == "digest"}
        alone = collections.Counter(
            post.seq for post in posts
            if post.purpose == "forward" and post.part == 0)
        wanted = collections.Counter()
        for (seq, user) in self.wanted:
            records = self.told.pop((seq, user), [])
            if len(records) != 1:
                self.add("lost" if not records else "doubled",
                         f"{seq} for {user} has {len(records)} outcomes")
            elif records[0]["status"] == "sent":
                wanted[seq] += 1
            elif records[0]["status"] != "digest" or \
                    records[0]["slack_ts"] not in digests:
                self.add("lost", f"{seq} for {user}: {records[0]}")
        for seq in set(wanted) | set(alone):
            if wanted[seq] != alone[seq]:
                self.add("lost" if alone[seq] < wanted[seq] else "doubled",
                         f"{seq} was forwarded {wanted[seq]} times, and "
                         f"stands in Slack {alone[seq]} times")
        for (seq, user), records in self.told.items():
            if user is not None:
                self.add("misled", f"{seq} went to {user}: {records}")
