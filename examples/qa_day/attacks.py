"""Texts that would do harm if anyone took them for more than text."""
from . import artifacts
from .slack import actions, escape, image, section
from .variety import ALNUM, generator

RIGHT_TO_LEFT = "\u202e"

PAYLOADS = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "</textarea><script>alert(document.cookie)</script>",
    "<svg/onload=alert(1)>&lt;b&gt;bold?&lt;/b&gt;",
    "{{7*7}} ${7*7} <%= 7*7 %> #{7*7}",
    "'; DROP TABLE bookings; --",
]


def security_round(day):
    """Priya feeds the support chat; a fuzzer posts what it got, raw."""
    first = day.say("16:08", "qa", "priya", "Security round, support chat and "
                    "passenger names. Whatever you see here must stay *text*, "
                    "tell me if something blinks:")
    for minute, payload in enumerate(PAYLOADS, 9):
        day.reply(f"16:{minute:02d}:20", first, "priya",
                  f"`{escape(payload)}`")
    for minute, payload in enumerate(PAYLOADS[:3], 16):
        day.webhook(f"16:{minute}", "qa", "fuzzer", payload, [{
            "fallback": payload, "title": payload, "text": payload,
            "title_link": "javascript:alert('title')", "color": "\"><b>",
            "fields": [{"title": payload, "value": payload}]}])
    day.app("16:20", "qa", "fuzzer", "links", section(
        "<javascript:alert(1)|open the report> or "
        "<data:text/html,%3Cscript%3Ealert(1)%3C/script%3E|this one>"),
        actions({"type": "button", "action_id": "x", "url":
                 "javascript:alert(2)", "text":
                 {"type": "plain_text", "text": "</button><b>Press"}}),
        image("javascript:alert(3)", "\"><script>alert(4)</script>", "x"))
    day.reply("16:21", first, "priya", "File name trick: "
              f"invoice{RIGHT_TO_LEFT}fdp.exe and a name with a mark: Zoë "
              "\u200bN\u0308u\u0308l\u0308l\u0308er")
    word = "".join(generator("long word").choices(ALNUM, k=1800))
    day.reply("16:22", first, "priya", "One word without a break, a session "
              f"token of the test system: eyJ{word}")
    day.reply("16:26", first, "tomas", "Nothing blinks. The long word runs out "
              "of the bubble on the iPhone SE, HRB-3873.")


def long_paste(day):
    """Twelve kilobytes of log in one message, as happens in real life."""
    log = artifacts.server_log("paste", "14:15", 84, error_share=0.12)
    day.say("14:16", "backend", "dan", "checkout-api, the last seconds before "
            f"the pod went away:\n```\n{escape(log.decode().strip())}\n```")
