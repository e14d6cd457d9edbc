"""The live side of slack-reader against a Slack of our own, by TLS."""
import os
import pathlib
import re
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
# pylint: disable=wrong-import-position
from slack import FakeSlack  # noqa: E402

RATE, SECONDS = 500, 20


def resident_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) / 1024


def start_reader(slack, binary, folder):
    folder.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("SSL_CERT_FILE", "CURL_CA_BUNDLE")}
    reader = subprocess.Popen(
        [str(binary), "--state", str(folder / "live"), "--ca-file",
         slack.ca_file], stdout=subprocess.DEVNULL,
        env={**environment, **slack.environment,
             "GNUTLS_NO_IMPLICIT_INIT": "1"})  # as run.sh does
    slack.wait_for("hello", 2, timeout=20)
    return reader


def measure_acks(binary, folder):
    """Milliseconds from envelope to ack, sorted, and MiB resident."""
    with FakeSlack(tls=True) as slack:
        reader = start_reader(slack, binary, folder)
        count = RATE * SECONDS
        slack.send("the first one")
        slack.wait_for("ack")
        slack.control("burst", count=count, rate=RATE)
        slack.wait_until(lambda one: len(one.acks()) > count, 3 * SECONDS)
        size = resident_mib(reader.pid)
        reader.send_signal(signal.SIGTERM)
        reader.wait()
        return sorted(1000 * entry["latency"]
                      for entry in slack.seen("ack")), size


def measure_idle(binary, folder):
    """MiB resident with two TLS connections that say nothing."""
    with FakeSlack(tls=True) as slack:
        reader = start_reader(slack, binary, folder)
        slack.send("the first one")
        slack.wait_for("ack")
        size = resident_mib(reader.pid)
        reader.send_signal(signal.SIGTERM)
        reader.wait()
        return size


def measure_dead_socket(binary, folder):
    """Seconds until a socket that fell silent is replaced, as shipped."""
    with FakeSlack(tls=True) as slack:
        reader = start_reader(slack, binary, folder)
        slack.blackhole("oldest")
        began = slack.seen("hello")[-1]["n"]
        silent, = slack.wait_for("black_hole", after=began)
        hello, = slack.wait_for("hello", after=began, timeout=90)
        reader.send_signal(signal.SIGTERM)
        reader.wait()
        return hello["time"] - silent["time"]
