#!/usr/bin/python3
"""Make the example recording: qa-day.ndjson and the spool that goes with it.

usage: make-qa-day.py [FOLDER]

Writes FOLDER/qa-day.ndjson and FOLDER/spool (default: beside this script; an
older spool there is replaced). Everything in it is invented: the company, its
travel app "Harbour", people, keys and cards. No clock and no true random
number goes in: run twice, it makes identical trees, byte for byte. (The bytes
of compressed files depend on the zlib in use; these are Debian 12's.)

qa_day/slack.py      Slack's messages and blocks
qa_day/spool.py      the spool and Slack's file objects
qa_day/services.py   what the machines say all day
qa_day/people.py     what people say
qa_day/release.py    the release that goes wrong at 14:10
qa_day/shares.py     which files are shared, made in qa_day/artifacts.py
qa_day/attacks.py    texts that must stay text
qa_day/variety.py    small invented facts from a seeded generator
"""
import pathlib
import sys

sys.dont_write_bytecode = True

from qa_day import (attacks, people, release, services,  # noqa: E402
                    shares)
from qa_day.slack import Day  # noqa: E402
from qa_day.spool import Spool  # noqa: E402


def make_day(spool):
    day = Day()
    services.builds(day)
    services.crashes(day)
    services.devices(day, shares.farm_reports(spool))
    services.monitoring(day)
    services.payments(day)
    services.deployments(day)
    services.reviews(day)
    services.by_http(day)

    first = people.talk(day)
    people.corrections(day, first)
    people.system_lines(day)

    posts = release.store_bot(day)
    shares.morning(day, spool)
    release.forwards(day, posts, shares.incident(day, spool))
    shares.afternoon(day, spool)
    shares.out_of_reach(day)

    attacks.security_round(day)
    attacks.long_paste(day)
    return day


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1
                          else pathlib.Path(__file__).parent)
    day = make_day(Spool(folder / "spool"))
    with open(folder / "qa-day.ndjson", "w", encoding="utf-8",
              newline="\n") as recording:
        recording.writelines(line + "\n" for line in day.lines())


if __name__ == "__main__":
    main()
