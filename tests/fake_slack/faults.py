"""What goes wrong on demand: answers that are late, wrong, or do not come."""
import asyncio
import json

from aiohttp import web

LOGIN_PAGE = ("<!DOCTYPE html><html><head><title>Slack</title></head>"
              "<body>Sign in to Harbour QA</body></html>")


class Faults:
    """Those that wait for a request. A fault is what control's fail_next got:
    method, times, after, status, error, retry_after, delay, body, hang, reset,
    half."""

    def __init__(self):
        self.waiting = []

    def add(self, fault):
        self.waiting.append({"times": 1, "method": "*", **fault})

    def clear(self):
        self.waiting.clear()

    def take(self, method):
        """The first that is meant for the method, or None."""
        for fault in self.waiting:
            if fault["method"] in ("*", method):
                fault["times"] -= 1
                if fault["times"] <= 0:
                    self.waiting.remove(fault)
                return fault
        return None


async def suffer(fault, request, response=None):
    """Returns the answer a fault makes, or None for the usual one, late.
    response: the usual one, where the fault comes after the deed."""
    if fault.get("delay"):
        await asyncio.sleep(fault["delay"])
    if fault.get("hang"):
        await asyncio.sleep(fault.get("seconds", 3600))
    if fault.get("half"):
        await send_half(request, answer(fault) if response is None
                        else response)
    if fault.get("reset"):
        request.transport.abort()
        raise ConnectionResetError
    if not any(name in fault for name in
               ("status", "error", "body", "retry_after", "answer")):
        return None
    return answer(fault)


async def send_half(request, response):
    """The head and half of the body, then the end of the connection."""
    body = response.body or b"x" * 100
    head = (f"HTTP/1.1 {response.status} Half\r\nContent-Type: "
            f"application/json\r\nContent-Length: {len(body)}\r\n\r\n")
    request.transport.write(head.encode() + body[:len(body) // 2])
    await asyncio.sleep(0.02)       # or the end may overtake it
    request.transport.abort()
    raise ConnectionResetError


def answer(fault):
    status = fault.get("status", 200)
    error = fault.get("error") or (
        "ratelimited" if status == 429 else "internal_error")
    headers = {}
    if fault.get("retry_after") is not None:
        headers["Retry-After"] = str(fault["retry_after"])
    body = fault.get("body", "json")
    if body == "json":
        content = {"ok": False, "error": error, **fault.get("answer", {})}
        return web.json_response(content, status=status, headers=headers)
    if body == "empty":
        return web.Response(status=status, headers=headers)
    if body == "html":
        return web.Response(status=status, headers=headers, text=LOGIN_PAGE,
                            content_type="text/html")
    if body == "no_ok":
        return web.Response(status=status, headers=headers,
                            text=json.dumps({"error": error}),
                            content_type="application/json")
    return web.Response(status=status, headers=headers, text=body,
                        content_type="application/json")
