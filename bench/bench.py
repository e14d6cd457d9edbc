#!/usr/bin/python3
"""Measure Ultron's speed, latency and memory and print a table.

usage: bench.py [--records N]     (make bench)

The figures belong to the machine they were taken on: compare runs of one
machine. Nothing fails here but a program that does not work.
"""
import argparse
import asyncio
import os
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import aiohttp

import live
import post

HERE = pathlib.Path(__file__).resolve().parent
BIN = HERE.parent / "build" / "bin"
VIEWERS = 30
RUNS = 3
PAIRS = 7
ABUSE_EVERY = 1000


def stages(folder, port=0, is_live=False):
    """The pipeline behind the reader, in order."""
    sender = {"slack-send": ["--outbox", folder / "outbox.db"]}
    return {
        "attach-fetch": ["--offline", "--spool", folder / "spool"],
        "slack-bot": ["--subscriptions", folder / "subscriptions"],
        "scanner": ["--patterns", HERE / "patterns.conf",
                    "--subscriptions", folder / "subscriptions",
                    "--spool", folder / "spool"],
        "classifier": ["--classes",
                       HERE.parent / "examples" / "classes.conf"],
        "ws-broadcast": ["--listen", f"127.0.0.1:{port}", "--no-auth"],
        **(sender if is_live else {}),
        "stats": ["--snapshot", folder / "stats.json"],
    }


# slack-send, which replays do without, has nothing to send to nobody.
os.environ.update(SLACK_BOT_TOKEN="xoxb-bench",
                  SLACK_API_URL="http://127.0.0.1:9/api/")


def command(name, arguments):
    return [str(BIN / name), *map(str, arguments)]


def start_line(source, folder, sink, stdin=None, port=0, is_kept=True,
               is_live=False):
    """Start all programs, each under keep or with bare pipes between them."""
    keep = [str(BIN / "keep"), "--whole-lines", "--"] if is_kept else []
    line = [subprocess.Popen(command("slack-reader", source), stdin=stdin,
                             stdout=subprocess.PIPE)]
    chain = list(stages(folder, port, is_live).items())
    for place, (name, arguments) in enumerate(chain):
        is_last = place == len(chain) - 1
        child = subprocess.Popen(
            keep + command(name, arguments), stdin=line[-1].stdout,
            stdout=sink if is_last else subprocess.PIPE,
            stderr=subprocess.DEVNULL if name == "ws-broadcast" else None)
        line[-1].stdout.close()
        line.append(child)
    return line


def wait_line(line):
    for child in line:
        if child.wait() != 0:
            sys.exit(f"bench: {child.args[0]} ended with {child.returncode}")


def make_records(folder, count):
    path = folder / "records.ndjson"
    with open(path, "wb") as out:
        subprocess.run([sys.executable, HERE / "records.py", str(count)],
                       stdout=out, check=True)
    return path


def best_of(measure):
    return min(measure() for _ in range(RUNS))


def time_once(name, arguments, path):
    with open(path, "rb") as records:
        began = time.monotonic()
        subprocess.run(command(name, arguments), stdin=records,
                       stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def time_filter(name, arguments, path):
    return best_of(lambda: time_once(name, arguments, path))


def write_subscriptions(path, count):
    with open(path, "wb") as out:
        subprocess.run([sys.executable, HERE / "subscriptions.py", str(count)],
                       stdout=out, check=True)


def print_subscriptions(folder, path, count):
    """What the scanner does for people: the sizes take turns."""
    sizes = (10, 100, 1000, 2000)
    took = {size: [] for size in sizes}
    for _ in range(RUNS):
        for size in sizes:
            table = folder / f"subscriptions{size}"
            write_subscriptions(table, size)
            took[size].append(time_once(
                "scanner", ["--subscriptions", table], path))
    best = {size: min(times) for size, times in took.items()}
    for size in sizes:
        print_row(f"scanner, {size:,} subscriptions",
                  f"{count / best[size]:,.0f} rec/s")
    print_row("with 1,000 of them, of that with 10",
              f"{100 * best[10] / best[1000]:.0f} %", "50")


def forget(folder):
    """What runs before left of counts and subscriptions."""
    for name in ("stats.json*", "subscriptions*", "outbox.db*"):
        for path in folder.glob(name):
            path.unlink()


def time_pipeline(folder, path, is_kept=True, standing=0):
    forget(folder)
    write_subscriptions(folder / "subscriptions", standing)
    began = time.monotonic()
    wait_line(start_line(["--replay", path, "--speed", "max"], folder,
                         subprocess.DEVNULL, is_kept=is_kept))
    return time.monotonic() - began


def print_pipelines(folder, path, count):
    """The machine has better and worse minutes: both ways take turns."""
    bare, kept = zip(*((time_pipeline(folder, path, False),
                        time_pipeline(folder, path, True))
                       for _ in range(PAIRS)))
    for kind, took in (("bare pipes", bare), ("under keep", kept)):
        print_row(f"whole pipeline, 10 patterns, {kind}, median",
                  f"{count / statistics.median(took):,.0f} rec/s", "80,000")
    loss = 1 - statistics.median(bare) / statistics.median(kept)
    print_row("keep takes of that", f"{100 * loss:.0f} %", "25")


def print_abuse(folder, path):
    """What the worst that can be said to the bot takes of the rate."""
    abused = folder / "abused.ndjson"
    with open(path, "rb") as records, open(abused, "wb") as out:
        subprocess.run([sys.executable, HERE / "abuse.py", str(ABUSE_EVERY)],
                       stdin=records, stdout=out, check=True)
    plain, tried, standing = zip(*((time_pipeline(folder, path),
                                    time_pipeline(folder, abused),
                                    time_pipeline(folder, path, standing=2000))
                                   for _ in range(PAIRS)))
    for what, took, goal in ((f"abuse of the bot, 1 in {ABUSE_EVERY:,} records,"
                              " takes of that", tried, "10"),
                             ("2,000 forwards take of it", standing, "")):
        loss = 1 - statistics.median(plain) / statistics.median(took)
        print_row(what, f"{100 * loss:.0f} %", goal)


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure_keep(path, count):
    """Microseconds of processor time that keep adds to a line."""
    def run(*keep):
        began = cpu_of_children()
        with open(path, "rb") as records:
            subprocess.run([*keep, "cat"], stdin=records, check=True,
                           stdout=subprocess.DEVNULL)
        return cpu_of_children() - began
    bare = best_of(run)
    kept = best_of(lambda: run(str(BIN / "keep"), "--"))
    return (kept - bare) / count * 1e6


def measure_keep_memory():
    """Resident MiB of a keep with nothing to do."""
    with subprocess.Popen([BIN / "keep", "--", "cat"],
                          stdin=subprocess.PIPE) as keep:
        keep.stdin.write(b"one line\n")
        keep.stdin.flush()
        time.sleep(0.5)
        status = pathlib.Path(f"/proc/{keep.pid}/status").read_text()
        keep.stdin.close()
    return next(int(row.split()[1]) for row in status.splitlines()
                if row.startswith("VmRSS:")) / 1024


def measure_latency(folder, path, is_kept, count=1000):
    """Microseconds for one record alone, door to end, this process's own
    write and read included."""
    forget(folder)
    line = start_line(["--replay", "-", "--speed", "max"], folder,
                      subprocess.PIPE, subprocess.PIPE, is_kept=is_kept)
    door, end = line[0].stdin, line[-1].stdout
    took = []
    with open(path, "rb") as records:
        for record in [next(records) for _ in range(count)]:
            time.sleep(0.001)
            began = time.perf_counter()
            door.write(record)
            door.flush()
            end.readline()
            took.append((time.perf_counter() - began) * 1e6)
    door.close()
    end.read()
    wait_line(line)
    took = sorted(took[10:])
    return statistics.median(took), took[len(took) * 99 // 100]


def read_pss(pid):
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(row.split()[1]) for row in rollup.splitlines()
                if row.startswith("Pss:"))


def find_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def view(session, port, records):
    """A viewer that has seen so many records."""
    viewer = await session.ws_connect(
        f"http://127.0.0.1:{port}/ultronex/ws/slack", max_msg_size=0)
    seen = 0
    while seen < records:
        frame = await viewer.receive_str()
        seen += sum(row.startswith("{") for row in frame.split("\n"))
    return viewer


def measure_line(line):
    """MiB (PSS) by name; the keeps together."""
    sizes = {"slack-reader": read_pss(line[0].pid) / 1024, "all keeps": 0}
    for child in line[1:]:
        stage, = pathlib.Path(
            f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        name = pathlib.Path(f"/proc/{stage}/comm").read_text().strip()
        sizes[name] = read_pss(stage) / 1024
        sizes["all keeps"] += read_pss(child.pid) / 1024
    return sizes


async def measure_memory(folder, path):
    """Sum of PSS in MiB with viewers, after records went through at a pace
    that a busy day has."""
    forget(folder)
    port = find_port()
    line = start_line(["--replay", "-", "--speed", "max"], folder,
                      subprocess.DEVNULL, subprocess.PIPE, port, is_live=True)
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            try:
                await session.get(
                    f"http://127.0.0.1:{port}/ultronex/heartbeat")
                break
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
        viewers = [asyncio.create_task(view(session, port, 2000))
                   for _ in range(VIEWERS)]
        await asyncio.sleep(0.5)
        with open(path, "rb") as records:
            for number, record in enumerate(records):
                if number == 2500:
                    break
                line[0].stdin.write(record)
                if number % 50 == 0:
                    line[0].stdin.flush()
                    await asyncio.sleep(0.02)
        line[0].stdin.flush()
        open_viewers = await asyncio.gather(*viewers)
        sizes = measure_line(line)
        for viewer in open_viewers:
            await viewer.close()
    line[0].stdin.close()
    await asyncio.get_running_loop().run_in_executor(None, wait_line, line)
    return sizes


def print_row(what, figure, goal=""):
    print(f"{what:<46} {figure:>18}   {goal}", flush=True)


def print_live(folder):
    reader = BIN / "slack-reader"
    acks, busy = live.measure_acks(reader, folder)
    print_row(f"ack at {live.RATE} events/s by TLS, median",
              f"{statistics.median(acks):,.1f} ms", "20")
    print_row("the same, 99 of 100", f"{acks[len(acks) * 99 // 100]:,.1f} ms",
              "200")
    print_row("memory of slack-reader, two idle TLS sockets",
              f"{live.measure_idle(reader, folder / 'idle'):.1f} MiB", "12")
    print_row("the same after those events", f"{busy:.1f} MiB")
    print_row("a socket that fell silent is replaced after",
              f"{live.measure_dead_socket(reader, folder / 'dead'):.0f} s",
              "75")


def print_posts(folder):
    rate, took, statuses = post.measure(BIN, folder / "posts", find_port())
    if list(statuses) != [200]:
        sys.exit(f"bench: POSTs were answered {statuses}")
    print_row(f"POSTs from {post.CLIENTS} clients, each on disk",
              f"{rate:,.0f} /s", "2,000")
    print_row("the same, median", f"{statistics.median(took) * 1e3:.1f} ms")
    print_row("the same, 99 of 100",
              f"{took[len(took) * 99 // 100] * 1e3:.1f} ms", "50")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--records", type=int, default=200_000)
    count = parser.parse_args().records
    with tempfile.TemporaryDirectory(prefix="ultron-bench-") as name:
        folder = pathlib.Path(name)
        (folder / "spool").mkdir()
        path = make_records(folder, count)
        size = path.stat().st_size
        print(f"{count} records, {size / count:.0f} bytes each, "
              f"{os.cpu_count()} cores, best of {RUNS}\n")
        print_row("what", "figure", "goal")
        took = time_filter("slack-reader",
                           ["--replay", path, "--speed", "max"], path)
        print_row("slack-reader alone", f"{count / took:,.0f} rec/s",
                  "200,000")
        for stage, arguments in stages(folder, is_live=True).items():
            took = time_filter(stage, arguments, path)
            print_row(f"{stage} alone", f"{count / took:,.0f} rec/s",
                      "200,000")
        print_subscriptions(folder, path, count)
        print_row("keep adds to a line", f"{measure_keep(path, count):.1f} us",
                  "3")
        print_row("memory of keep, resident, idle",
                  f"{measure_keep_memory():.2f} MiB", "1.5")
        print_pipelines(folder, path, count)
        print_abuse(folder, path)
        for kind, is_kept in (("bare pipes", False), ("under keep", True)):
            median, high = measure_latency(folder, path, is_kept)
            print_row(f"one record through it, {kind}, median",
                      f"{median:,.0f} us", "2,000")
            print_row("the same, 99 of 100", f"{high:,.0f} us")
        sizes = asyncio.run(measure_memory(folder, path))
        for stage, size in sizes.items():
            print_row(f"memory of {stage}", f"{size:.1f} MiB")
        print_row(f"memory of all, {VIEWERS} viewers (sum of PSS)",
                  f"{sum(sizes.values()):.1f} MiB", "40")
        print_posts(folder)
        print_live(folder)


if __name__ == "__main__":
    main()
