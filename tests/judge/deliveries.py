"""What reached Slack: each message once, alone or in a digest, in order.

What counts is what stands in Slack. Of the pipeline's own word only the
delivery records of its journal are held against it.
"""
import collections
import re

from events import MARK

KEY = re.compile(r"^(\d+)/([a-z]+)/(\d+)(?:/|$)")


class Post:
    """A message of the bot's, as Slack shows it."""

    def __init__(self, shown):
        self.channel, self.ts = shown["channel"], shown["ts"]
        self.text = shown.get("text") or ""
        payload = (shown.get("metadata") or {}).get("event_payload") or {}
        key = KEY.match(str(payload.get("key")))
        self.seq = int(key[1]) if key else None
        self.purpose = key[2] if key else "file"
        self.part = int(key[3]) if key else 0
        self.content = "".join(str(file.get("text"))
                               for file in shown.get("files", ()))
        self.marks = {mark.decode() for mark in MARK.findall(
            (self.text + "\n" + self.content).encode())}


class Deliveries:
    """wanted: {seq: (mark or None, channel)}, all api_messages in a journal;
    told: {seq: [delivery records]}; shown: what the bot posted."""

    def __init__(self, wanted, told, shown, add):
        self.wanted, self.told, self.add = wanted, told, add
        self.posts = [Post(one) for one in shown]
        self.seqs = {mark: seq for seq, (mark, _) in wanted.items() if mark}

    def judge(self):
        self.name_files()
        self.check_keys()
        members = self.check_outcomes()
        self.check_digests(members)
        self.check_order(members)

    def name_files(self):
        """The message of an upload has no key, but shows whose it is; or it is
        the payload that belongs to the text above it."""
        above = {}
        for post in sorted(self.posts, key=lambda post: post.ts):
            before = above.get(post.channel)
            if post.purpose == "file" and len(post.marks) == 1:
                post.seq = self.seqs.get(*post.marks)
            elif post.purpose == "file" and before and not post.text:
                post.seq, post.part = before.seq, before.part + 1
            above[post.channel] = post

    def check_keys(self):
        """Both text and payload may be files: they differ in what they hold."""
        counts = collections.Counter(
            (post.seq, post.purpose, post.part if post.purpose != "file"
             else post.content) for post in self.posts)
        for (seq, purpose, part), count in counts.items():
            if count > 1:
                self.add("doubled", f"{seq}/{purpose}/{part}"[:80] +
                         f" stands in Slack {count} times")

    def check_outcomes(self):
        """Returns the seqs that each digest is said to carry, by its ts."""
        alone = {post.seq for post in self.posts if post.purpose != "digest"}
        members = collections.defaultdict(list)
        for seq in self.wanted:
            records = self.told.get(seq, [])
            if len(records) != 1:
                self.add("lost" if not records else "doubled",
                         f"seq {seq} has {len(records)} delivery records")
                continue
            record = records[0]
            if record["status"] == "digest":
                members[record.get("slack_ts")].append(seq)
            elif record["status"] != "sent":
                self.add("lost", f"seq {seq} was not delivered: {record}")
            if (record["status"] == "sent") != (seq in alone):
                self.add("lost" if record["status"] == "sent" else "doubled",
                         f"seq {seq} is {record['status']}, and it stands "
                         f"in Slack alone: {seq in alone}")
        for post in self.posts:
            if post.purpose != "digest" and post.seq not in self.wanted:
                self.add("changed", f"nobody asked for {vars(post)}"[:300])
        return members

    def check_digests(self, members):
        digests = {post.ts: post for post in self.posts
                   if post.purpose == "digest"}
        for ts, seqs in members.items():
            post = digests.pop(ts, None)
            count = re.search(r"\d+", post.text.replace(",", "")) if post \
                else None
            if count is None or int(count[0]) != len(seqs):
                self.add("lost", f"the digest {ts} of {len(seqs)} says "
                         f"{post.text[:80] if post else 'nothing'}")
        for ts in digests:
            self.add("doubled", f"the digest {ts} carries nothing")

    def check_order(self, members):
        """In Slack as in the journal, channel by channel; parts in a row."""
        last = {}
        for post in sorted(self.posts, key=lambda post: post.ts):
            carried = members.get(post.ts) or [post.seq or 0]
            first = min(carried), post.part
            if first <= last.get(post.channel, (0, 0)):
                self.add("disordered", f"{post.channel}: {first} stands "
                         f"behind {last[post.channel]}")
            last[post.channel] = max(carried), post.part
