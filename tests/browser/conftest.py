"""A real ws-broadcast and a headless Chromium that looks at its dashboard."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

import pytest

from conftest import BIN, ROOT

webdriver = pytest.importorskip("selenium.webdriver")

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
USER, PASSWORD = "tony", "iron-man"
ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu",
    "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic",
    "--window-size=1400,900",
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(question, what, seconds=15):
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)
    return answer


class Server:
    """ws-broadcast on a port of its own, which it keeps when started again."""

    def __init__(self, log):
        self.port = free_port()
        self.log = log
        self.process = None
        self.scheme = "http"

    def start(self, *arguments, run="run-1", certificate=None):
        """certificate: the files of one and its key, for https."""
        if certificate is not None:
            self.scheme = "https"
            arguments += ("--certificate", certificate[0], "--key",
                          certificate[1])
        secrets = {"BASIC_AUTH_USERNAME": USER, "BASIC_AUTH_PASSWORD": PASSWORD}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BIN / "ws-broadcast", "--listen", f"127.0.0.1:{self.port}",
                 "--stay", *(["--run", run] if run else []),
                 *map(str, arguments)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log,
                env={**os.environ, **secrets})
        wait_for(self.answers, "ws-broadcast to listen")
        return self

    def answers(self):
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, *records):
        """Records as objects; a line that is none as bytes."""
        for record in records:
            line = record if isinstance(record, bytes) else \
                json.dumps(record).encode()
            self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process = None


class Page:
    """The dashboard in the browser, and what tests ask of it."""

    def __init__(self, driver, server):
        self.driver = driver
        self.server = server

    def open(self, path="/ultronex/stream"):
        self.driver.get(f"{self.server.scheme}://{USER}:{PASSWORD}@127.0.0.1:"
                        f"{self.server.port}{path}")
        return self

    def open_live(self):
        self.open()
        self.wait_state("live")
        return self

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def imported(self, module, expression, *arguments):
        """The value of an expression over a module `m` of the dashboard."""
        return self.driver.execute_async_script(
            "const [url, args, done] = [arguments[0], arguments[1],"
            " arguments[arguments.length - 1]];"
            f"import(url).then((m) => {expression})"
            ".then(done, (error) => done('failed: ' + error));",
            f"/ultronex/static/{module}", list(arguments))

    def state(self):
        return self.run(
            "return document.getElementById('connection')?.dataset.state")

    def wait_state(self, name, seconds=15):
        wait_for(lambda: self.state() == name, f"the state {name}", seconds)

    def keys(self, column):
        """The KEYs of the cards in a column, from the top."""
        return [int(key) for key in self.run(
            "return Array.from(document.querySelectorAll("
            "`.column-${arguments[0]} .item[data-key]`),"
            " (item) => item.dataset.key)", column)]

    def wait_cards(self, column, count, seconds=15):
        wait_for(lambda: len(self.keys(column)) == count,
                 f"{count} cards in {column}", seconds)

    def wait_card(self, key, seconds=15):
        """The text of the card with this KEY, everything unfolded."""
        wait_for(lambda: self.run(
            "return document.querySelector("
            "`[data-key='${arguments[0]}']`) !== null", key),
            f"card {key}", seconds)
        self.run("document.querySelectorAll("
                 "`[data-key='${arguments[0]}'] details`)"
                 ".forEach((part) => { part.open = true; })", key)
        time.sleep(0.1)
        return self.text(f"[data-key='{key}']")

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])"
                        "?.textContent", selector)

    def texts(self, selector):
        return self.run("return Array.from(document.querySelectorAll("
                        "arguments[0]), (node) => node.textContent)",
                        selector)

    def resize(self, width, height, is_dark=False):
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1,
             "mobile": width < 700})
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [
                {"name": "prefers-color-scheme",
                 "value": "dark" if is_dark else "light"}]})

    def complaints(self):
        """What the browser wrote on its console, and did not before."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """The addresses asked for since the last time, credentials aside."""
        for url in self.addresses():
            yield url.replace(f"{USER}:{PASSWORD}@", "", 1)

    def addresses(self):
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                yield event["params"]["request"]["url"]
            elif event["method"] == "Network.webSocketCreated":
                yield event["params"]["url"]


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    if not (pathlib.Path(CHROMIUM).exists() and shutil.which(DRIVER)):
        pytest.skip("chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.add_argument(
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("acceptInsecureCerts", True)
    options.set_capability("goog:loggingPrefs",
                           {"browser": "ALL", "performance": "ALL"})
    service = webdriver.chrome.service.Service(DRIVER)
    browser = webdriver.Chrome(service=service, options=options)
    yield browser
    browser.quit()


@pytest.fixture
def server(tmp_path):
    running = Server(tmp_path / "ws-broadcast.log")
    yield running
    running.kill()


@pytest.fixture
def page(driver, server):
    """A page to be opened; what an earlier test left in the logs is gone."""
    driver.get("about:blank")
    driver.get_log("browser")
    driver.get_log("performance")
    shown = Page(driver, server)
    shown.resize(1400, 900)
    yield shown
    driver.get("about:blank")


@pytest.fixture
def qa_day():
    path = ROOT / "examples" / "qa-day.ndjson"
    return [json.loads(line) for line in path.read_text().splitlines()]
