#!/usr/bin/python3
"""Put what people try on the bot in the place of every EVERYth record.

usage: abuse.py EVERY < RECORDS > FILE

Expressions that are none or never end, and the text on which one shows that
only late; no term, long ones, our own words, the same by many; new forwards
all the time, and the end of them.
"""
import json
import sys

EVIL = "/ID[0-9]{3}: (x+x+)+y/"     # not dear until such a text comes:
WORST = "ID123: " + "x" * 3000 + " y"
TRIED = ("/(/", "(", "/(a+)+$/", "(a+)+$", "/(.*)*x/i", "/x*/", "``", "",
         "x" * 10000, "a\nb", "pattern", "notify", "seq", "__proto__", "/%s/",
         "same", EVIL)


def says(text, number):
    return {"type": "message", "channel": "D1", "channel_type": "im",
            "user": f"U0ABUSE{number % 40:03}", "text": text,
            "ts": f"1763800000.{number:06}"}


def tries():
    """For ever."""
    number = 0
    while True:
        for term in TRIED:
            yield says(f"forward {term}", number)
            yield says(f"forward new{number};", number)
            number += 1
        for word in ("list", "stop same", "nonsense", "stop"):
            yield says(word, number)
        for _ in range(4):
            yield says(WORST, number) | {
                "channel": "C1", "channel_type": "channel"}
        number += 1


def main():
    every, abuse = int(sys.argv[1]), tries()
    for number, line in enumerate(sys.stdin):
        if number % every == every // 2:
            line = json.dumps(next(abuse)) + "\n"
        sys.stdout.write(line)


if __name__ == "__main__":
    main()
