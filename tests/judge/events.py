"""What is said during a run. Each event holds its id, and all its bytes follow
from the run's seed and the id: who knows those knows what must come out.

An id is SOURCE.EPOCH.NUMBER. The number tells the events of a source apart,
the epoch the attempts to hand in the same one.
"""
import json
import random
import re
import typing

MARK = re.compile(rb"J:([a-z]\d*\.\d+\.\d+);")
CHANNELS = ("C0EXAMPLE1", "C0EXAMPLE2", "C0PRIVATE1")
TYPES = ("message", "message", "message", "api_message", "delivery")
LARGE_BYTES = 200_000
WORDS = ("build", "passed", "crash", "Übergröße", "日本語", "🙂", "\u2028",
         "quote\"d", "back\\slash", "tab\tbed", "</script>", "&amp;",
         ":x:", ":warning:", "fatal exception", "ANR in", "{}", "[]", "\x7f")
TITLES = ("nightly", "Übergröße", "<!channel> & more", "")
# What people say to the bot, the id beside it: b anything, and m at the end,
# so that nothing is held back any more.
COMMANDS = ("b", "m")
BOT = "U0ULTRON01"
PEOPLE = ("U0HUMAN001", "U0HUMAN002", "U0JUDGE003")
TERMS = ("crash passed", "日本語 build", "ANR in crash", "Übergröße 日本語",
         "passed passed", "build ANR in")
OTHERS = ("help", "list", "forward", "quote", "xkcd 7", "status", "gif", "",
          "forward /(/", "forward /(a+)+$/", "forward a\nb", "dance",
          "test crash passed", "test /ANR in (crash|build)/", "stop nothing",
          "forward /never (said|heard)/", "secret")
# As they must stay, in whatever form JSON allows.
ODDITIES = (b'"big":123456789012345678901234567890',
            b'"real":1.50e+300,"minus":-0.0',
            b'"escapes":"\\u0041\\/\\ud83d\\ude00\\u0000\\b"',
            b'"unknown":{"a":[1,[2,{"b":null}],true],"":{}}',
            b'"same":1,"same":2',
            b'"space" : [ 1 , 2 ]')


class Id(typing.NamedTuple):
    """What an id says."""
    source: str
    epoch: int
    number: int

    @classmethod
    def parse(cls, text):
        source, epoch, number = text.split(".")
        return cls(source, int(epoch), int(number))

    def __str__(self):
        return f"{self.source}.{self.epoch}.{self.number}"


def find_id(line):
    """The id in the bytes of a record, or None."""
    found = MARK.search(line)
    return found[1].decode() if found else None


def make_text(seed, event_id, word=""):
    """What the event says; a word in it may be poison."""
    if event_id.startswith(COMMANDS):
        return make_command(seed, event_id)
    dice = random.Random(f"{seed} {event_id} text")
    words = [f"J:{event_id};", *filter(None, [word]),
             *dice.choices(WORDS, k=dice.randrange(12))]
    if dice.randrange(400) == 0:
        words += words[1:] + ["large"]
        words *= dice.randrange(LARGE_BYTES) // len(" ".join(words)) + 1
    return " ".join(words)


def make_command(seed, event_id):
    event = Id.parse(event_id)
    if event.source == "m":
        return f"<@{BOT}> {('stop', 'mute', 'talk')[event.epoch - 1]}"
    dice = random.Random(f"{seed} {event_id} command")
    words = dice.choice([
        *[f"forward {dice.choice(TERMS)}"] * 6,
        *[f"stop {dice.choice(TERMS)}"] * 3, "stop", "mute", "talk", "talk",
        *[dice.choice(OTHERS)] * 5])
    return f"<@{BOT}> {words}"


def choose_speaker(seed, event_id):
    """Who says it, and where: each has a direct conversation, too."""
    event = Id.parse(event_id)
    if event.source == "m":
        person = PEOPLE[event.number - 1]
        return person, f"D{person[1:]}"
    dice = random.Random(f"{seed} {event_id} speaker")
    person = dice.choice(PEOPLE)
    return person, dice.choice((*CHANNELS, f"D{person[1:]}"))


def make_line(seed, event_id, word=""):
    """What is handed in to the inbox, without LF: one JSON object."""
    dice = random.Random(f"{seed} {event_id} line")
    text = json.dumps(make_text(seed, event_id, word),
                      ensure_ascii=dice.random() < 0.5)
    members = [b'"type":"%s"' % dice.choice(TYPES).encode(),
               b'"channel":"%s"' % dice.choice(CHANNELS).encode(),
               b'"text":' + text.encode()]
    members += dice.sample(ODDITIES, dice.randrange(3))
    dice.shuffle(members)
    return b"{" + b",".join(members) + b"}"


def make_post(seed, event_id):
    """What a service hands to the HTTP interface: the body, without spaces."""
    dice = random.Random(f"{seed} {event_id} post")
    payload = dice.choice([
        "passed", "", 'line "1"\nline 2 <&>', {"big": 2 ** 60, "a": [1, None]},
        [], "x" * dice.randrange(2000)])
    return json.dumps({"msg": {
        "channel": choose_channel(seed, event_id), "title": dice.choice(TITLES),
        "text": make_text(seed, event_id), "payload": payload}},
        separators=(",", ":"))


def make_file(seed, event_id):
    """The content of the file that a message of Slack carries, or None."""
    dice = random.Random(f"{seed} {event_id} file")
    if dice.randrange(25):
        return None
    return f"{event_id}\n" + "fatal exception\n" * dice.randrange(2000)


def choose_channel(seed, event_id):
    return random.Random(f"{seed} {event_id} channel").choice(CHANNELS)
