"""Relayed messages on the dashboard, and what became of them in Slack."""
import json
import time

import pytest

from .conftest import wait_for
from .test_dashboard import CONTRAST, HOSTILE, accessible_nodes, message

ID = "0b6f2f2e-4f6e-4a53-9b58-6f1f6f0a7c11"
POSTED = "1763805607.000100"    # 2025-11-22 10:00:07 UTC


def relayed(seq, name="success", **members):
    return {"type": "api_message", "id": ID, "channel": "#ci",
            "title": f"title {seq}", "text": f"text {seq}", "payload": "",
            "seq": seq, "received": "2025-11-22T10:00:01.000000Z", **members,
            "class": name}


def delivery(seq, of, status="sent", name=None, **members):
    return {"type": "delivery", "id": f"delivery:{of}:relay:0", "of": of,
            "purpose": "relay", "channel": "#ci", "title": f"title {of}",
            "status": status, "attempts": 1, "seq": seq,
            **({} if status == "failed" else
               {"slack_channel": "C0CI", "slack_ts": POSTED}), **members,
            "class": name or ("warning" if status == "failed" else "success")}


def echo(seq, of, name="success", **members):
    return message(seq, f"text {of}", name, **{
        "own": True, "channel": "C0CI", "ts": POSTED, "metadata": {
            "event_type": "ultron_message",
            "event_payload": {"key": f"{of}/relay/0/{ID}"}}, **members})


def report(page, key):
    return page.texts(f"[data-key='{key}'] .report")


def wait_report(page, key, words):
    wait_for(lambda: report(page, key) == [words], f"{words} on card {key}")


def cards(page):
    return [page.keys(name) for name in ("success", "warning", "danger")]


# --- the card ----------------------------------------------------------------

def test_a_relayed_message_has_title_time_id_text_and_payload(server, page):
    server.start().send(relayed(1, title="Nightly", text=":x: *red*",
                                payload="one\ntwo"))
    page.open_live()
    page.wait_cards("success", 1)
    card = "[data-key='1'] "
    assert page.text(card + ".heading").endswith("Nightly")
    assert page.text(card + ".head time").endswith("10:00:01 UTC")
    assert page.texts(card + ".id") == [ID]
    assert page.text(card + ".channel") == "#ci"
    assert page.texts(card + ".body strong") == ["red"]
    left, right = page.run(
        "return ['.heading', '.head time'].map((name) => document"
        ".querySelector(arguments[0] + name).getBoundingClientRect().x)", card)
    assert left < right
    assert page.run("const node = document.querySelector(arguments[0]);"
                    "return [node.textContent, node.checkVisibility(),"
                    " node.isContentEditable, node.tabIndex]",
                    card + ".payload pre") == ["one\ntwo", True, False, 0]


def test_a_large_payload_is_opened_by_hand_and_scrolls(server, page):
    server.start().send(relayed(1, payload=["x" * 50] * 100),
                        relayed(2, payload=["x"] * 100))
    page.open_live()
    page.wait_cards("success", 2)
    assert page.texts("[data-key='1'] pre") == []
    scrolls = "const node = document.querySelector(arguments[0]);" \
        "return node.scrollHeight > node.clientHeight + 100 &&" \
        " node.clientHeight < 150"
    assert page.run(scrolls, "[data-key='2'] .payload pre")
    page.driver.find_element("css selector",
                             "[data-key='1'] .payload summary").click()
    wait_for(lambda: page.texts("[data-key='1'] pre"), "the payload")
    assert page.run(scrolls, "[data-key='1'] .payload pre")
    for _ in range(2):
        page.driver.find_element(
            "css selector", "[data-key='1'] .payload summary").click()
    time.sleep(0.2)
    assert len(page.texts("[data-key='1'] pre")) == 1


# --- reports -----------------------------------------------------------------

def test_what_went_well_stands_on_the_card_and_is_none(server, page):
    server.start().send(relayed(1), relayed(2, "danger"), relayed(3))
    page.open_live()
    page.wait_cards("success", 2)
    wait_report(page, 1, "No word from Slack yet")
    server.send(delivery(4, 1), delivery(5, 2, "digest", attempts=3))
    wait_report(page, 1, "✓ in Slack 10:00:07 UTC")
    wait_report(page, 2, "✓ in a digest 10:00:07 UTC, after 3 tries")
    assert report(page, 3) == ["No word from Slack yet"]
    assert cards(page) == [[3, 1], [], [2]]
    assert page.texts(".column-head .count") == ["2", "0", "1"]
    assert page.run("return document.querySelector("
                    "\"[data-key='1'] .report time\").dateTime") == \
        "2025-11-22T10:00:07.000Z"
    assert page.complaints() == []


def test_a_failure_is_a_warning_that_leads_to_the_card(server, page):
    server.start().send(relayed(1, title="Disk"),
                        delivery(2, 1, "failed", title="Disk", attempts=3,
                                 reason="not_in_channel"))
    page.open_live()
    page.wait_cards("warning", 1)
    text = page.wait_card(2)
    for part in ("Not in Slack: Disk", "#ci",
                 "the bot is not in the channel (not_in_channel)"):
        assert part in text
    assert report(page, 1) == ["✕ not in Slack: the bot is not in the channel"
                               " (not_in_channel), after 3 tries"]
    assert page.text(".column-warning .count") == "1"
    page.driver.find_element("css selector", ".jump").click()
    assert page.run("return document.activeElement.parentNode.dataset.key") \
        == "1"


def test_a_failure_is_a_warning_whatever_the_rules_say(server, page):
    server.start().send(relayed(1), delivery(2, 1, "failed", "success"),
                        delivery(3, 1, "failed", "danger"))
    page.open_live()
    page.wait_cards("warning", 1)
    page.wait_cards("danger", 1)
    assert cards(page) == [[1], [2], [3]]
    assert "no reason given" in page.wait_card(2)


def test_a_message_that_was_sent_after_all_says_so(server, page):
    server.start().send(relayed(1), delivery(2, 1, "failed", reason="given up"))
    page.open_live()
    wait_report(page, 1, "✕ not in Slack: given up")
    server.send(delivery(3, 1))
    wait_report(page, 1, "✓ in Slack 10:00:07 UTC")


def test_replies_and_forwards_have_reports_of_their_own(server, page):
    server.start().send(
        message(1, "help"), delivery(2, 1, purpose="reply"),
        delivery(3, 1, "failed", purpose="forward", reason="user_not_found"),
        *(delivery(seq, 1, purpose=f"other {seq}") for seq in range(4, 20)))
    page.open_live()
    page.wait_cards("warning", 1)
    wait_for(lambda: len(report(page, 1)) == 4, "four reports")
    assert report(page, 1)[:2] == [
        "✓ reply in Slack 10:00:07 UTC",
        "✕ forward not in Slack: Slack knows no such person (user_not_found)"]


def test_a_digest_of_its_own_is_no_card_unless_it_failed(server, page):
    server.start().send(
        relayed(1), delivery(2, 1, "digest"),
        delivery(3, 1, purpose="digest", messages=40, title=None),
        delivery(4, 1, "failed", purpose="digest", messages=7,
                 reason="is_archived"))
    page.open_live()
    page.wait_cards("warning", 1)
    assert "Not in Slack: a digest of 7 messages" in page.wait_card(4)
    assert report(page, 1) == ["✓ in a digest 10:00:07 UTC"]
    assert cards(page) == [[1], [4], []]


def test_reports_of_cards_that_are_gone_are_passed_over(server, page):
    server.start().send(delivery(5000, 17), *(
        relayed(seq) for seq in range(5001, 5301)), delivery(5400, 5001),
        delivery(5401, 5300), delivery(5402, 5001, "failed"))
    page.open_live()
    wait_report(page, 5300, "✓ in Slack 10:00:07 UTC")
    page.wait_cards("warning", 1)
    page.driver.find_element("css selector", ".jump").click()
    assert page.text(".jump") == "Message #5001 is no longer shown here"
    assert page.text("#announcement") == page.text(".jump")
    assert page.complaints() == []


def test_a_report_waits_with_the_card_it_is_for(server, page):
    server.start().send(relayed(1))
    page.open_live()
    page.wait_cards("success", 1)
    page.driver.find_element("id", "pause").click()
    server.send(relayed(2), relayed(3), delivery(4, 2), delivery(5, 1))
    wait_report(page, 1, "✓ in Slack 10:00:07 UTC")
    assert page.keys("success") == [1]
    page.driver.find_element("id", "pause").click()
    page.wait_cards("success", 3)
    assert report(page, 2) == ["✓ in Slack 10:00:07 UTC"]
    assert report(page, 3) == ["No word from Slack yet"]


def test_a_jump_shows_what_waits_or_was_sifted_out(server, page):
    server.start().send(message(1, "apple"))
    page.resize(390, 800)
    page.open_live()
    page.run("document.getElementById('pause').click()")
    server.send(relayed(2, "danger"), delivery(3, 2, "failed"))
    page.run("document.querySelector('.switch button:nth-child(2)').click()")
    wait_for(lambda: page.text(".column-warning .fresh") == "↑ 1 new",
             "the warning to wait")
    page.run("document.querySelector('.column-warning .fresh').click()")
    page.wait_cards("warning", 1)
    page.driver.find_element("id", "filter").send_keys("not in slack")
    page.driver.find_element("css selector", ".jump").click()
    assert page.run("const card = document.activeElement;"
                    "return [card.parentNode.dataset.key,"
                    " card.checkVisibility()]") == ["2", True]


def test_totals_leave_reports_and_echoes_out(server, page, tmp_path):
    stats = tmp_path / "stats.json"
    stats.write_text(json.dumps({
        "total_msg_count": 50, "deliveries": {"sent": 7, "digest": 3,
                                              "failed": 2}, "echoes": 6,
        "classes": {"success": 40, "warning": 5, "danger": 4}}))
    server.start("--stats", stats).send(relayed(1))
    page.open_live()
    wait_for(lambda: page.texts(".column-head .count") == ["24", "5", "4"],
             "the totals")


@pytest.mark.parametrize("odd", [
    {"of": "1"}, {"of": -1}, {"of": None}, {"of": 1e300}, {"of": [1]},
    {"attempts": "many"}, {"slack_ts": 7}, {"slack_ts": "9" * 400},
    {"purpose": {}}, {"slack_channel": []}, {"messages": -3}])
def test_odd_reports_do_no_harm(server, page, odd):
    server.start().send(relayed(1), {**delivery(2, 1), **odd},
                        {**delivery(3, 1, "failed"), **odd},
                        {**delivery(4, 1), "status": {}, **odd}, relayed(5))
    page.open_live()
    page.wait_cards("success", 3)
    assert cards(page) == [[5, 4, 1], [3], []]
    assert page.complaints() == []


def test_hostile_reports_show_as_text(server, page):
    server.start().send(*(part for seq, text in enumerate(HOSTILE) for part in (
        relayed(2 * seq + 1, id=text, title=text, text=text, payload=text,
                channel=text),
        delivery(2 * seq + 2, 2 * seq + 1, "failed", title=text, reason=text,
                 channel=text, purpose=text[:20]))))
    page.open_live()
    page.wait_cards("warning", len(HOSTILE))
    page.run("document.querySelectorAll('details')"
             ".forEach((part) => { part.open = true; })")
    time.sleep(0.3)
    assert page.run("return window.__pwned") is None
    assert page.run("return document.querySelectorAll("
                    "'main :is(img, script, svg, iframe, textarea)').length") \
        == 0
    for seq, text in enumerate(HOSTILE):
        assert page.texts(f"[data-key='{2 * seq + 1}'] .id") == [text]
        assert text in page.text(f"[data-key='{2 * seq + 2}'] .trouble")
    assert page.complaints() == []


# --- echoes ------------------------------------------------------------------

def test_what_slack_shows_of_it_folds_into_its_card(server, page):
    server.start().send(relayed(1, "danger"), echo(2, 1, "danger"))
    page.open_live()
    wait_report(page, 1, "✓ in Slack 10:00:07 UTC")
    server.send(delivery(3, 1, "sent", attempts=2), echo(4, 1, "danger"),
                message(5, "a person"))
    wait_report(page, 1, "✓ in Slack 10:00:07 UTC, after 2 tries")
    page.wait_cards("success", 1)
    assert cards(page) == [[5], [], [1]]
    assert page.texts(".column-head .count") == ["1", "0", "1"]


@pytest.mark.parametrize("order", [(2, 3), (3, 2)])
def test_an_echo_that_does_not_tell_is_known_by_its_report(server, page, order):
    parts = {2: echo(2, 1, metadata=None, subtype="file_share", files=[
        {"id": "F1", "name": "title-1.json"}]), 3: delivery(3, 1)}
    server.start().send(relayed(1))
    page.open_live()
    page.wait_cards("success", 1)
    server.send(*(parts[number] for number in order), echo(
        8, 7, metadata=None, ts="1763805999.000100"), message(9, "a person"))
    wait_report(page, 1, "✓ in Slack 10:00:07 UTC")
    page.wait_cards("success", 3)   # what nobody reports has come, too
    assert page.keys("success") == [8, 9, 1]


@pytest.mark.parametrize("other", [
    {"metadata": None},                         # nobody reports it
    {"metadata": None, "ts": "1763805607.000101"},
    {"metadata": {"event_type": "theirs", "event_payload": {"key": "1/r/0"}}},
    {"metadata": {"event_type": "ultron_message", "event_payload": "1"}}])
def test_a_post_of_our_own_that_is_no_echo_comes_a_little_later(server, page,
                                                                other):
    reports = [] if "ts" not in other else [delivery(3, 1)]
    server.start().send(relayed(1), echo(2, 1, **other), *reports)
    page.open_live()
    page.wait_cards("success", 2)
    assert page.keys("success") == [2, 1]


@pytest.mark.parametrize("members", [
    {"own": None}, {"own": "true"}, {"subtype": "message_changed"}])
def test_nobody_else_can_hide_a_message(server, page, members):
    server.start().send(relayed(1), echo(2, 1, "danger", **members))
    page.open_live()
    page.wait_cards("danger", 1)
    assert report(page, 1) == ["No word from Slack yet"]


# --- the part of the stream that a link asks for ------------------------------

def flood():
    for seq in range(1, 31):
        yield relayed(seq, ("success", "danger")[seq % 3 == 0],
                      channel=("#ci", "C0OPS")[seq % 2])
    yield message(31, "said there", channel="C0CI", names={"channel": "ci"})
    yield delivery(32, 4, "failed", reason="is_archived")
    yield delivery(33, 6)


def open_part(page, query):
    page.open(f"/ultronex/stream?{query}")
    page.wait_state("live")


def test_a_link_shows_its_part_of_the_stream(server, page):
    server.start().send(*flood())
    open_part(page, "channel=%23ci&from=4&to=12")
    page.wait_cards("success", 3)
    assert cards(page) == [[10, 8, 4], [32], [12, 6]]
    assert page.text("#sieve p").split("\n")[0] == \
        "Only channel #ci, records 4 to 12."
    assert page.texts(".column-head .count") == ["3", "1", "2"]
    assert report(page, 6) == ["✓ in Slack 10:00:07 UTC"]
    server.send(relayed(40, channel="#ci"), relayed(41, "warning"))
    time.sleep(0.5)
    assert cards(page) == [[10, 8, 4], [32], [12, 6]]
    page.driver.find_element("css selector", "#sieve a").click()
    page.wait_state("live")
    page.wait_cards("success", 22)
    assert not page.driver.find_element("id", "sieve").is_displayed()
    assert page.driver.current_url.endswith("/ultronex/stream")


@pytest.mark.parametrize("query, keys, words", [
    ("channel=ci&from=28", [[31, 28], [], [30]],
     "Only channel ci, records from 28 on."),
    ("to=3", [[2, 1], [], [3]], "Only records up to 3."),
    ("from=7&to=7", [[7], [], []], "Only record 7."),
    ("class=danger&to=7", [[], [], [6, 3]], "Only records up to 7, Danger."),
    ("channel=C0OPS&to=7&class=success", [[7, 5, 1], [], []],
     "Only channel C0OPS, records up to 7, Success."),
])
def test_parts_of_the_stream(server, page, query, keys, words):
    server.start().send(*flood())
    open_part(page, query)
    wait_for(lambda: cards(page) == keys, "the part")
    assert page.text("#sieve p").split("\n")[0] == words
    if "class" in query:
        assert page.run("return document.getElementById('board')"
                        ".dataset.shown") in query


@pytest.mark.parametrize("query", [
    "from=x&to=-1&class=purple&channel=", "from=1e3", "from=99999999999999999",
    "other=1"])
def test_a_link_that_asks_for_nothing_shows_all(server, page, query):
    server.start().send(*flood())
    open_part(page, query)
    page.wait_cards("danger", 10)
    assert not page.driver.find_element("id", "sieve").is_displayed()


def test_a_link_may_fill_the_filter(server, page):
    server.start().send(message(1, "apple pie"), message(2, "pear"))
    open_part(page, "q=Apple%20p")
    page.wait_cards("success", 2)
    assert page.texts(".item:not([hidden]) .body") == ["apple pie"]
    assert page.run("return document.getElementById('filter').value") == \
        "Apple p"


def test_what_the_server_has_forgotten_is_said(server, page):
    server.start("--backlog", 10).send(*(relayed(seq)
                                         for seq in range(1, 51)))
    for query, words in (
            ("from=5&to=45", "The server's memory begins with record 41."),
            ("from=5&to=9", "All of it is older than the server's memory."),
            ("from=45&to=46", "")):
        open_part(page, query)
        wait_for(lambda words=words: page.text("#sieve-missing") == words,
                 words)


def test_a_link_shows_no_html_of_others(server, page):
    server.start().send(message(1))
    open_part(page, "channel=%3Cimg%20src%3Dx%20onerror%3Dwindow.__pwned%3D1"
              "%3E%E2%80%AE")
    assert page.text(".sieve-channel") == \
        "<img src=x onerror=window.__pwned=1>RLO"
    assert page.run("return window.__pwned") is None
    assert page.complaints() == []


# --- looks -------------------------------------------------------------------

def parade():
    yield relayed(1, "danger", text=":x: *checkout* failed " * 20, payload={
        "build": 42, "failed": ["a", "b"]}, title="T" * 300)
    yield relayed(2, payload="x\n" * 3000)
    yield relayed(3, "warning", channel="c" * 80)
    yield relayed(4)
    yield delivery(5, 1)
    yield delivery(6, 2, "digest", attempts=4)
    yield delivery(7, 3, "failed", reason="w" * 400, title="T" * 300)


@pytest.mark.parametrize("width, is_dark", [(360, True), (1400, False),
                                            (1400, True)])
def test_it_fits_and_can_be_read(server, page, width, is_dark):
    server.start().send(*parade())
    page.resize(width, 900, is_dark)
    open_part(page, f"channel={'x' * 200}&from=1")
    assert page.run("return document.documentElement.scrollWidth") <= width
    open_part(page, "from=1")
    page.wait_cards("warning", 2)
    page.driver.find_element("id", "pause").click()
    for name in ("success", "warning", "danger"):
        page.run("document.querySelectorAll('.switch button')[['success',"
                 " 'warning', 'danger'].indexOf(arguments[0])].click()", name)
        assert page.run(
            "return Array.from(document.querySelectorAll('.message-card,"
            " .message-card *, .sieve *')).filter((node) => node"
            ".getBoundingClientRect().right > innerWidth + 1 &&"
            " node.checkVisibility() && !node.closest('pre')).length") == 0
        assert page.run("return document.documentElement.scrollWidth") <= width
        time.sleep(0.5)
        assert page.run(CONTRAST) == []


def test_everything_has_a_name_here_too(server, page):
    server.start().send(*parade())
    open_part(page, "from=1")
    page.wait_cards("warning", 2)
    nodes = list(accessible_nodes(page))
    assert [(role, facts) for role, name, facts in nodes
            if facts.get("focusable") and not name and
            role not in ("RootWebArea", "main")] == []
    names = [name for _, name, _ in nodes]
    assert "Part of the stream" in names and "Payload" in names
    assert "Go to the message, #3" in names and "Show all" in names
