"""What all tests share: where the programs are, and how one is run."""
import os
import pathlib
import resource
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
# `make check` runs the programs' tests a second time on the sanitized build.
BIN = pathlib.Path(
    os.environ.get("ULTRON_BIN", ROOT / "build" / "bin")).resolve()
COMMUNITY = ROOT.parent / "shared" / "recordings" / "community.ndjson"

CRASHES = ("AddressSanitizer", "runtime error", "LeakSanitizer")


def is_sanitized():
    return "asan" in BIN.parts


def run_program(name, *arguments, stdin=b"", env=None, timeout=60, **more):
    """Run a program on bytes; fail the test where a sanitizer spoke."""
    done = subprocess.run(
        [BIN / name, *map(str, arguments)], input=stdin, timeout=timeout,
        stdout=more.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})}, check=False, **more)
    stderr = done.stderr.decode("utf-8", "replace")
    assert not any(crash in stderr for crash in CRASHES), stderr
    return done


def children_cpu_s():
    """Of the programs that ended. How long they took depends on what else runs
    on the machine; what they cost, hardly."""
    times = os.times()
    return times.children_user + times.children_system


def limit_memory(megabytes):
    """For preexec_fn: bound the address space, where no sanitizer needs it."""
    def limit():
        if not is_sanitized():
            size = megabytes << 20
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
    return limit


@pytest.fixture
def community():
    if not COMMUNITY.exists():
        pytest.skip("the community recording is not beside the repository")
    return COMMUNITY.read_bytes()
