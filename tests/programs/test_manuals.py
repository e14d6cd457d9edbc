"""Manual pages and --help: clean, whole, and in step with each other."""
import re
import subprocess

import pytest

from conftest import ROOT, run_program

PAGES = sorted((ROOT / "man").glob("*.[157]"))
PROGRAMS = ["slack-reader", "attach-fetch", "slack-bot", "scanner", "classifier",
            "ws-broadcast", "slack-send", "stats"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_clean(page):
    said = subprocess.run(["mandoc", "-Tlint", page.name], cwd=page.parent,
                          stdout=subprocess.PIPE, text=True).stdout
    # Whether other pages are installed depends on the machine.
    found = [line for line in said.splitlines()
             if "referenced manual not found" not in line
             and "outdated mandoc.db" not in line]
    assert found == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_option_of_the_help_is_in_the_manual(program):
    shown = run_program(program, "--help").stdout.decode()
    page = subprocess.run(
        ["mandoc", "-Tascii", ROOT / "man" / f"{program}.1"],
        stdout=subprocess.PIPE, check=True, text=True).stdout
    page = re.sub(r".\x08", "", page)
    options = re.findall(r"^  (?:-\w, |    )(--[a-z-]+)", shown, re.M)
    assert len(options) >= 3
    assert [name for name in options if name not in page] == []
    for heading in ("SYNOPSIS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"):
        assert heading in page


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_help_fits_a_terminal(program):
    shown = run_program(program, "--help").stdout.decode()
    assert max(map(len, shown.splitlines())) <= 80


def test_every_program_tells_the_version():
    versions = {run_program(program, "--version").stdout.decode().split()[-1]
                for program in PROGRAMS}
    assert len(versions) == 1


def test_ultron_7_lists_every_program():
    page = (ROOT / "man" / "ultron.7").read_text()
    for program in PROGRAMS:
        assert f".It Xr {program} 1" in page
