#!/usr/bin/python3
"""Write N Slack message events of about 1 KB, the same at every run.

usage: records.py N > FILE
"""
import json
import random
import sys

WORDS = ("release build deploy payment checkout login session token crash "
         "timeout retry queue worker device android ios emulator upload "
         "passed failed skipped started finished regression coverage "
         "リリース 端末 確認 done").split()


def sentence(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(words))


def event(rng, number):
    text = sentence(rng, 22)
    if rng.random() < 0.02:
        text += " FATAL EXCEPTION in com.example.app &amp; more"
    if rng.random() < 0.05:
        text += " :x:"
    half = len(text) // 2
    return {
        "client_msg_id": "%032x" % rng.getrandbits(128),
        "type": "message",
        "user": "U0HUMAN%03d" % rng.randrange(200),
        "text": text,
        "ts": "%d.%06d" % (1763800000 + number // 50, number % 50),
        "blocks": [{"type": "rich_text", "block_id": "b%d" % number,
                    "elements": [{"type": "rich_text_section", "elements": [
                        {"type": "text", "text": text[:half]},
                        {"type": "text", "text": text[half:],
                         "style": {"bold": True}}]}]}],
        "team": "T0EXAMPLE1",
        "channel": "C0EXAMPL%02d" % rng.randrange(20),
        "event_ts": "%d.%06d" % (1763800000 + number // 50, number % 50),
        "channel_type": "channel",
        "metadata": {"run": rng.getrandbits(60), "note": sentence(rng, 20)},
    }


def main():
    rng = random.Random(2026)
    for number in range(int(sys.argv[1])):
        json.dump(event(rng, number), sys.stdout, ensure_ascii=False,
                  separators=(",", ":"))
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
