"""Small invented facts, drawn from a seeded generator.

A template such as "GET /v3/trips took {ms} ms on {host}" is filled by fill();
the same generator in the same state gives the same text.
"""
import random
import re

ALNUM = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
HEX = "0123456789abcdef"

DEVICES = [
    ("Pixel 8", "Android 15"), ("Pixel 6a", "Android 14"),
    ("Pixel 9 Pro", "Android 16"), ("Galaxy S22", "Android 14"),
    ("Galaxy S24 Ultra", "Android 15"), ("Galaxy A15", "Android 14"),
    ("Xperia 10 VI", "Android 14"), ("AQUOS sense8", "Android 14"),
    ("Redmi Note 13", "Android 13"), ("Fairphone 5", "Android 14"),
    ("Moto G54", "Android 13"), ("iPhone 13 mini", "iOS 18.6"),
    ("iPhone 15", "iOS 26.1"), ("iPhone 16 Pro", "iOS 26.1"),
    ("iPhone SE (3rd gen)", "iOS 18.6"), ("iPad Air M2", "iPadOS 26.1"),
]

MAKERS = {
    "ms": lambda r: str(r.randint(18, 940)),
    "slow": lambda r: str(r.randint(2100, 9800)),
    "n": lambda r: str(r.randint(2, 9)),
    "nn": lambda r: str(r.randint(11, 98)),
    "nnn": lambda r: str(r.randint(110, 980)),
    "nnnn": lambda r: str(r.randint(1100, 9800)),
    "pid": lambda r: str(r.randint(2100, 29800)),
    "kb": lambda r: f"{r.randint(180, 9400) / 10:.1f}",
    "pct": lambda r: f"{r.randint(610, 989) / 10:.1f}",
    "small": lambda r: f"{r.randint(2, 39) / 10:.1f}",
    "eur": lambda r: f"{r.randint(900, 48900) / 100:.2f}",
    "sha": lambda r: "".join(r.choices(HEX, k=8)),
    "hex": lambda r: "0x" + "".join(r.choices(HEX, k=12)),
    "trace": lambda r: "".join(r.choices(HEX, k=16)),
    "payment": lambda r: "pay_" + "".join(r.choices(ALNUM, k=14)),
    "trip": lambda r: f"TRP-{r.randint(100000, 999999)}",
    "ticket": lambda r: f"HRB-{r.randint(3100, 3850)}",
    "ip": lambda r: f"10.{r.randint(12, 19)}.{r.randint(1, 250)}."
                    f"{r.randint(2, 250)}",
    "pod": lambda r: "".join(r.choices("bcdfghjklmnpqrstvwxz2456789", k=5)),
    "host": lambda r: r.choice(["fra1", "fra2", "tyo1", "iad1"]) +
                      f"-node-{r.randint(1, 24):02d}",
    "agent": lambda r: f"pool-{r.choice('abc')}-{r.randint(1, 12):02d}",
    "minutes": lambda r: f"{r.randint(2, 14)} min {r.randint(1, 59)} s",
    "city": lambda r: r.choice([
        "Lisbon", "Kyoto", "Oslo", "Hamburg", "Porto", "Sapporo", "Ghent",
        "Tromsø", "Málaga", "Gdańsk", "Kraków", "Reykjavík", "福岡"]),
}


def generator(name):
    """A generator of its own for each part, so that parts can change alone."""
    return random.Random(f"qa-day 2026-11-18 {name}")


def fill(rng, template, **given):
    """Put invented facts, or the given ones, in the {places} of template."""
    def value(place):
        name = place[1]
        return str(given[name]) if name in given else MAKERS[name](rng)
    return re.sub(r"\{(\w+)\}", value, template)


class Deck:
    """Deals the items of a list in shuffled order, none twice in a round."""

    def __init__(self, rng, items):
        self.rng, self.items, self.left = rng, list(items), []

    def deal(self):
        if not self.left:
            self.left = self.rng.sample(self.items, len(self.items))
        return self.left.pop()
