"""Asks ws-broadcast how it is: /livez and /readyz."""
import http.client
import json
import time


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def wait_ready(port, ready, reason="", timeout=30):
    """Until it says so, for that reason; returns all it says."""
    end = time.monotonic() + timeout
    while True:
        status, told = ask(port, "/readyz")
        assert (status == 200) == told["ready"], told
        assert told["ready"] == all(thing["ok"] for thing in told.values()
                                    if isinstance(thing, dict))
        if told["ready"] == ready and reason in json.dumps(told):
            return told
        assert time.monotonic() < end, told
        time.sleep(0.1)
