#!/usr/bin/python3
"""Write N subscriptions as people make them, the same at every run.

usage: subscriptions.py N > FILE

Ticket numbers and names for the most part, expressions, some of them whatever
the case, and one in a hundred that holds no literal at all. The first one is
found in two records of a hundred, the others hardly ever.
"""
import random
import sys

WORDS = ("release build deploy payment checkout login session token crash "
         "timeout retry queue worker device android ios emulator").split()
NAMES = ("Aurora Condor Falcon Galaxy Heron Kestrel Merlin Nexus Osprey "
         "Pixel").split()


def term(rng, number):
    word, name = rng.choice(WORDS), rng.choice(NAMES)
    digits = rng.randrange(10000)
    if number == 0:
        return "FATAL EXCEPTION"
    if number % 100 == 50:
        return rf"/\d{{4}}-\d\d-[{digits % 8}9]\d/"
    return (
        f"{word[:4].upper()}-{digits}",
        f"{name} {digits % 100}",
        f"/{word}[ -]{digits}/i",
        rf"/{name}\w* (failed|crashed)/",
        f"/(?:ticket|issue|task) #?{digits}/i",
        rf"/com\.{word}\.{name}\d*\.\w+Exception/",
        f"{word}/{name.lower()}",
        f"/{name} {word}/i",
    )[number % 8]


def main():
    rng = random.Random(2026)
    count = int(sys.argv[1])
    print(f"seq {count}")
    for number in range(count):
        print(f"forward 0 - U0HUMAN{number % 200:03d} any any any "
              f"{term(rng, number)}")


if __name__ == "__main__":
    main()
