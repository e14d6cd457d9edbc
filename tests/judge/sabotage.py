#!/usr/bin/python3
"""A sick kernel and broken programs, for those who test the judge.

`Chaos` steers chaos.so (chaos.c says what each setting does); `build_broken`
makes a folder of programs, one of which breaks a law (broken/variants.py).

    with Chaos(folder / "chaos", folder="/some/state") as chaos:
        process = Popen(command, env={**os.environ, **chaos.environment})
        chaos.set(short_ppm=100000, eintr_ppm=10000)
        chaos.fill_disk(room=5000)

By hand:  sabotage.py VARIANT FOLDER   builds one, prints its folder
          sabotage.py                  lists them
"""
import fcntl
import mmap
import os
import pathlib
import shutil
import struct
import subprocess
import sys

from broken.variants import VARIANTS

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build"
LIBRARY = BUILD / "chaos.so"

MAGIC = 0x4f414843
SIZE = 1024
ENOSPC = 28
GROWING, MAKING, SYNCING = 1, 2, 4
PROGRAMS = ("slack-reader", "attach-fetch", "slack-bot", "scanner",
            "classifier", "ws-broadcast", "slack-send", "stats", "keep")

# Where each setting and count is, as chaos.c says.
FIELDS = {
    "generation": (4, "<I"), "seed": (8, "<Q"),
    "short_ppm": (16, "<I"), "short_file_ppm": (20, "<I"),
    "eintr_ppm": (24, "<I"), "disk_error": (28, "<I"),
    "clock_us": (32, "<q"), "disk_room": (40, "<q"), "disk_what": (48, "<I"),
    "shorts": (56, "<Q"), "eintrs": (64, "<Q"), "disk_faults": (72, "<Q"),
    "clock_reads": (80, "<Q"), "processes": (88, "<Q"),
    "programs": (96, "<416s"), "folder": (512, "<512s"),
}


def build_library(path=LIBRARY):
    """Compile chaos.so where it is not there or older than its source; many
    tests may want to at once. Returns its path."""
    source = HERE / "chaos.c"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists() and path.stat().st_mtime > source.stat().st_mtime:
            return path
        beside = path.with_suffix(".new")
        subprocess.run(
            ["gcc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra",
             "-Werror", "-O2", "-g", "-shared", "-fPIC", "-o", beside,
             source], check=True)
        beside.rename(path)
    return path


class Chaos:
    """The settings in a file; processes that run follow them at once."""

    def __init__(self, path, programs=PROGRAMS, seed=1, folder=None,
                 library=None):
        self.path = pathlib.Path(path)
        self.library = pathlib.Path(library or build_library())
        self.path.write_bytes(struct.pack("<I", MAGIC).ljust(SIZE, b"\0"))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), SIZE)
        self.set(programs=programs, seed=seed, folder=folder or "")

    def close(self):
        """End all of it, for processes that still run, too."""
        if not self.map.closed:
            self.heal()
            self.map.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def environment(self):
        """What a process, or its parent, is to be started with."""
        return {"LD_PRELOAD": str(self.library), "CHAOS": str(self.path)}

    def set(self, **settings):
        for name, value in settings.items():
            if name == "programs":
                value = " ".join(value).encode()
            elif name == "folder" and value:
                value = os.fsencode(os.path.realpath(value))
            elif name == "folder":
                value = b""
            place, form = FIELDS[name]
            if isinstance(value, bytes) and len(value) >= struct.calcsize(
                    form):
                raise ValueError(f"{name}: too long: {value}")
            struct.pack_into(form, self.map, place, value)
        if "programs" in settings or "seed" in settings:
            self.set(generation=self.get("generation") + 1)

    def get(self, name):
        place, form = FIELDS[name]
        return struct.unpack_from(form, self.map, place)[0]

    def fill_disk(self, room=0, what=GROWING, error=ENOSPC):
        """From here on files in the folder may grow by so many bytes."""
        self.set(disk_room=room, disk_what=what)
        self.set(disk_error=error)

    def empty_disk(self):
        self.set(disk_error=0)

    def heal(self):
        """A healthy kernel again; the counts stay."""
        self.set(short_ppm=0, short_file_ppm=0, eintr_ppm=0, disk_error=0,
                 clock_us=0)

    @property
    def counts(self):
        """What was done so far."""
        return {name: self.get(name) for name in (
            "shorts", "eintrs", "disk_faults", "clock_reads", "processes")}


def replace_once(path, old, new):
    """Fail loudly where the text has changed: the variant must follow."""
    text = path.read_text()
    if text.count(old) != 1:
        raise LookupError(
            f"{path.parent.name}/{path.name} holds this {text.count(old)} "
            f"times, not once: mend tests/judge/broken/variants.py\n{old}")
    path.write_text(text.replace(old, new))


def copy_sources(program, copy):
    """What make needs, with what is compiled already, so that it is quick."""
    for name in ("lib", program, "build/lib", f"build/{program}"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, copy / name)
    for name in ("Makefile", "build/libultron.a"):
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, copy / name)


def build_broken(name, folder):
    """Build the variant below the folder; returns a folder of all programs in
    which that one is broken (run.sh takes it as BIN)."""
    variant = VARIANTS[name]
    folder = pathlib.Path(folder).resolve()
    copy = folder / f"{name}-source"
    copy.mkdir(parents=True)
    bin_folder = link_programs(folder / name / "bin")
    copy_sources(variant.program, copy)
    for path, old, new in variant.replacements:
        replace_once(copy / path, old, new)
    done = subprocess.run(
        ["make", "-s", "--no-print-directory", "-C", copy,
         f"build/bin/{variant.program}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        env={key: value for key, value in os.environ.items()
             if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")})
    if done.returncode != 0:
        raise ValueError(f"{name} does not compile: mend tests/judge/broken/"
                         f"variants.py\n{done.stdout.decode()}")
    (bin_folder / variant.program).unlink(missing_ok=True)
    shutil.move(copy / "build" / "bin" / variant.program, bin_folder)
    (bin_folder.parent / "www").symlink_to(BUILD / "www")
    shutil.rmtree(copy)
    return bin_folder


def put_poison(bin_folder, program):
    """Put poison.py before a program of a folder that holds links: from now
    on lines with certain words kill it (poison.py says how)."""
    path = pathlib.Path(bin_folder) / program
    path.rename(path.with_name(f"{program}.real"))
    path.symlink_to(HERE / "poison.py")


def link_programs(bin_folder, good=BUILD / "bin"):
    """A folder of links to the good programs; returns it."""
    bin_folder = pathlib.Path(bin_folder)
    bin_folder.mkdir(parents=True)
    for path in good.iterdir():
        (bin_folder / path.name).symlink_to(path.resolve())
    return bin_folder


def main():
    if len(sys.argv) == 3:
        print(build_broken(sys.argv[1], sys.argv[2]))
        return
    for name, variant in VARIANTS.items():
        print(f"{name:24} {variant.program}: {variant.sentence}")


if __name__ == "__main__":
    main()
