"""The dashboard in a real browser, fed by the real ws-broadcast."""
import itertools
import json
import time
from random import Random

import pytest
from selenium.webdriver.common.keys import Keys

from .conftest import wait_for

CLASSES = ("success", "warning", "danger")
HOSTILE = [
    "<script>window.__pwned = 1</script>",
    '"><img src=x onerror="window.__pwned = 2">',
    "</textarea><svg onload=window.__pwned=3>",
    "'><iframe src=javascript:parent.__pwned=4></iframe>",
    "&lt;script&gt;window.__pwned = 5&lt;/script&gt;",
    "{{constructor.constructor('window.__pwned = 6')()}}",
]


def message(seq, text="hello", name="success", **members):
    return {"type": "message", "user": "U1", "channel": "C1", "text": text,
            "ts": f"1763800000.{seq:06}", "seq": seq, **members,
            "class": name}


def test_every_class_has_its_column(server, page):
    server.start().send(*(message(seq, f"text {seq}", CLASSES[seq % 3])
                          for seq in range(1, 10)))
    page.open_live()
    for place, name in enumerate(CLASSES):
        page.wait_cards(name, 3)
        assert page.keys(name) == [seq for seq in range(9, 0, -1)
                                   if seq % 3 == place]
        assert page.text(f".column-{name} .column-head .count") == "3"
    assert page.driver.title == "Ultronex Slack Stream"
    assert page.texts("h1") == ["Ultron"]


def test_the_qa_day_is_quiet_and_stays_on_this_machine(server, page, qa_day):
    for record, name in zip(qa_day, itertools.cycle(CLASSES)):
        record["class"] = name
    server.start().send(*qa_day)
    page.open_live()
    wait_for(lambda: all(len(page.keys(name)) > 160 for name in CLASSES),
             "the day's cards")
    page.run("document.querySelectorAll('details')"
             ".forEach((part) => { part.open = true; })")
    time.sleep(0.5)
    own = f"127.0.0.1:{server.port}/"
    asked = list(page.requests())
    assert any(url.startswith(f"ws://{own}") for url in asked)
    assert [url for url in asked if not url.startswith(
        (f"http://{own}", f"ws://{own}", "data:"))] == []
    assert page.complaints() == []


def test_a_card_says_what_the_record_says(server, page):
    server.start().send(message(
        1, ":x: boom in *checkout* <https://ci.example/1|run 1>", "danger",
        names={"user": "Priya", "channel": "qa"}, rule="danger text :x:",
        thread_ts="1763790000.000001",
        files=[{"id": "F1", "name": "log.txt", "size": 12345,
                "pretty_type": "Plain Text"},
               {"id": "F2", "name": "a.png", "size": 5}],
        fetched=[{"file": "F1", "status": "ok", "bytes": 12345},
                 {"file": "F2", "status": "denied",
                  "reason": "scope files:read is missing"}],
        matches=[{"pattern": "boom", "where": "text", "line": 1, "start": 4,
                  "end": 8, "excerpt": ":x: boom in *checkout* run 1 (ht"},
                 {"pattern": "oom", "where": "file:F1!in.gz", "line": 7,
                  "start": 0, "end": 3, "excerpt": "oom killer"}],
        limits=[{"where": "text", "reason": "match limit reached"}]))
    page.open_live()
    text = page.wait_card(1)
    for part in ("Priya", "#qa", "thread reply", "08:26:40", "log.txt",
                 "12.3 kB", "Plain Text", "✓ ok", "denied",
                 "scope files:read is missing", "log.txt › in.gz line 7",
                 "oom killer", "danger text :x:", "match limit reached"):
        assert part in text
    card = "[data-key='1'] "
    assert page.texts(card + ".body mark") == ["boom"]
    assert page.texts(card + ".body strong") == ["checkout"]
    assert page.texts(card + ".body .emoji") == ["❌"]
    assert page.run("const a = document.querySelector(arguments[0]);"
                    "return [a.href, a.rel, a.target]", card + ".body a") == [
        "https://ci.example/1", "noopener noreferrer", "_blank"]
    assert page.run("return document.querySelector(arguments[0]).dateTime",
                    card + "time") == "2025-11-22T08:26:40.000Z"


def test_a_card_tells_of_subscriptions(server, page):
    place = "https://acme.slack.com/archives/C1/p1763800000000100"
    server.start().send(message(
        1, "stark is here", permalink=place, notify=["U1", "U2"],
        held={"U3": 0}, matches=[
            {"pattern": "stark", "for": {"U1": 7, "U3": 9}, "where": "text",
             "line": 1, "start": 0, "end": 5, "excerpt": "stark is here"},
            {"pattern": "here", "for": {"U2": 8}, "only": "danger",
             "where": "text", "line": 1, "start": 9, "end": 13,
             "excerpt": "stark is here"}]))
    page.open_live()
    text = " ".join(page.wait_card(1).split())
    assert "Subscribed: stark" in text
    assert "tells @U1 · holds back for @U3" in text
    card = "[data-key='1'] "
    assert page.texts(card + ".pattern") == ["stark"]
    assert page.texts(card + ".body mark") == ["stark"]
    assert page.run("return document.querySelector(arguments[0]).href",
                    card + ".facts a") == place


def test_matches_that_read_the_same_are_told_once(server, page):
    def found(pattern, line, excerpt="stark stark"):
        return {"pattern": pattern, "where": "file:F1", "line": line,
                "excerpt": excerpt}

    server.start().send(
        message(1, matches=[found("stark", 1)] * 9 + [found("p", 2)]),
        message(2, matches=[found("stark", line) for line in range(1, 8)]),
        message(3, matches=[found("a", 1), found("a", 1, "x"), found("b", 1)]
                + [found("c", line) for line in (1, 2, 3, 4, 4, 4)]))
    page.open_live()
    page.wait_card(3)
    assert [" ".join(text.split()) for text in page.texts(
        "[data-key='1'] .matches li")] == [
            "stark ×9 F1 line 1 stark stark", "p F1 line 2 stark stark"]
    assert page.texts("[data-key='2'] .matches li")[6:] == ["1 more match"]
    assert page.texts("[data-key='3'] .matches li")[6:] == ["3 more matches"]


def test_a_match_of_one_class_counts_in_it(server, page):
    server.start().send(message(
        1, "stark", "danger", notify=["U2"],
        matches=[{"pattern": "stark", "for": {"U2": 8}, "only": "danger",
                  "where": "text", "excerpt": "stark"}]))
    page.open_live()
    assert "tells @U2" in page.wait_card(1)
    assert page.texts("[data-key='1'] .pattern") == ["stark"]


def test_a_card_tells_of_commands_and_answers(server, page):
    server.start().send(
        message(1, "<@UBOT> forward stark", command={
            "name": "forward", "args": "stark", "to": "C1", "reply":
            "<@U1>! your forwarding is set for `<b>stark</b>`"}),
        message(2, "<@UBOT> gif", command={"name": "gif", "later": True}),
        {"type": "reply", "of": 2, "user": "U1", "to": "C1", "seq": 3,
         "text": "a *cat* for you", "class": "success"},
        {"type": "slash_commands", "slash": "/ultron", "text": "list",
         "user": "U1", "seq": 4, "class": "success", "command":
         {"name": "list", "reply": "none"}})
    page.open_live()
    wait_for(lambda: page.texts("[data-key='4'] .tag"), "the last card")
    assert page.texts("[data-key='1'] .tag") == ["command"]
    page.run("document.querySelector(arguments[0]).click()",
             "[data-key='1'] summary")
    wait_for(lambda: page.texts("[data-key='1'] .answer"), "the answer")
    answer, = page.texts("[data-key='1'] .answer")
    assert "your forwarding is set for <b>stark</b>" in answer
    assert "The answer follows" in page.wait_card(2)
    later = page.wait_card(3)
    assert "a cat for you" in later
    assert page.text("[data-key='3'] .heading bdi") == "Ultron"
    assert page.texts("[data-key='3'] .tag") == ["answer"]
    assert page.text("[data-key='3'] .jump") == "Go to the command, #2"
    assert page.texts("[data-key='4'] .tag") == ["slash command"]


def test_a_relayed_message_shows_its_payload_to_the_last_digit(server, page):
    line = (b'{"type":"api_message","id":"6f","channel":"C1","title":"Nightly",'
            b'"text":"done","payload":{"id":12345678901234567890,"e":1.50},'
            b'"seq":1,"class":"success"}')
    server.start().send(line)
    page.open_live()
    page.wait_card(1)
    assert page.text(".item .heading").endswith("Nightly")
    assert page.texts(".item pre")[0] == \
        '{\n  "id": 12345678901234567890,\n  "e": 1.50\n}'
    assert '"e": 1.50' in page.texts(".item pre")[1]


def test_edits_and_deletions_are_marked(server, page):
    server.start().send(
        {"type": "message", "subtype": "message_changed", "channel": "C1",
         "message": {"user": "U1", "text": "limit 200", "ts": "1.1",
                     "edited": {"user": "U1", "ts": "2.1"}},
         "previous_message": {"user": "U1", "text": "limit 100"}},
        {"type": "message", "subtype": "message_deleted", "channel": "C1",
         "previous_message": {"user": "U1", "text": "forget this"}},
        {"type": "message", "subtype": "message_changed", "channel": "C1",
         "previous_message": []})
    page.open_live()
    edited, deleted = page.wait_card(1), page.wait_card(2)
    assert "edited" in edited and "limit 200" in edited
    assert "limit 100" in edited
    assert "deleted" in deleted
    assert page.texts("[data-key='2'] del") == ["forget this"]
    page.wait_card(3)


def test_errors_are_warnings_with_their_reason(server, page):
    server.start().send(
        b'{"type":"message","text":"cut off in the mid',
        message(2, error={"stage": "attach-fetch", "reason": "disk full"}) |
        {"class": None},
        {"type": "error", "line_base64": "/v5oaQ==",
         "error": {"stage": "scanner", "reason": "not UTF-8"}})
    page.open_live()
    page.wait_cards("warning", 3)
    assert "cut off in the mid" in page.wait_card(1)
    assert "unreadable record" in page.text("[data-key='1'] .heading")
    assert "attach-fetch: disk full" in page.wait_card(2)
    assert "\ufffd\ufffdhi" in page.wait_card(3)


def test_what_slack_reader_adds_is_told(server, page):
    server.start().send(
        message(1, own=True), message(2, backfill=True),
        {"type": "user_change", "user": {"id": "U1"}, "seq": 3},
        {"type": "error", "channel": "C1", "seq": 4, "error": {
            "stage": "slack-reader", "reason": "events were withheld"}})
    page.open_live()
    assert "by Ultron" in page.wait_card(1)
    assert "fetched later" in page.wait_card(2)
    assert "trouble" in page.wait_card(4)
    assert page.texts("[data-key='3']") == []


def hostile_records():
    """Each text in every place where a string of a record is shown."""
    for seq, text in enumerate(HOSTILE, 1):
        yield {
            "type": "api_message", "title": text, "username": text,
            "channel": text, "text": text, "payload": {text: text},
            "names": {"user": text, "channel": text}, "rule": text,
            "blocks": [{"type": "section", "text": {"type": "mrkdwn",
                        "text": text}}, {"type": "x", "label": text}],
            "attachments": [{"title": text, "title_link": text, "text": text,
                             "color": text, "footer": text}],
            "files": [{"id": text, "name": text, "permalink": text,
                       "pretty_type": text}],
            "fetched": [{"file": text, "status": text, "reason": text}],
            "matches": [{"pattern": text, "where": text, "excerpt": text}],
            "error": {"stage": text, "reason": text}, "notify": [text],
            "command": {"name": text, "args": text, "reply": text},
            "permalink": text, "seq": seq,
            "class": "danger"}


def test_hostile_texts_show_as_text_and_nothing_runs(server, page):
    server.start().send(*hostile_records())
    page.open_live()
    page.wait_cards("danger", len(HOSTILE))
    for seq, text in enumerate(HOSTILE, 1):
        shown = page.wait_card(seq)
        expected = text.replace("&lt;", "<").replace("&gt;", ">")
        assert expected in page.text(f"[data-key='{seq}'] .body")
        assert shown.count(text) >= 12
    assert page.run("return typeof window.__pwned") == "undefined"
    assert page.run("return document.querySelectorAll('#board img,"
                    " #board script, #board iframe, #board svg, #board"
                    " textarea, #board a').length") == 0
    assert page.complaints() == []


def test_addresses_that_run_something_are_no_links(server, page):
    server.start().send(message(
        1, "<javascript:alert(1)|a> <data:text/html,b|b> <vbscript:c|c> "
        "<file:///etc/passwd|d> <JaVaScRiPt:alert(2)|e> "
        "<https://fine.example|f> <mailto:a@b.example|g> "
        "<https://evil.example/|https://bank.example/>",
        blocks=[{"type": "actions", "elements": [
            {"type": "button", "url": "javascript:alert(3)",
             "text": {"type": "plain_text", "text": "press"}}]},
            {"type": "rich_text", "elements": [
                {"type": "rich_text_section", "elements": [
                    {"type": "link", "url": "javascript:alert(4)",
                     "text": "rich"}]}]}]))
    page.open_live()
    text = page.wait_card(1)
    assert page.run("return Array.from(document.querySelectorAll('#board a'),"
                    " (a) => a.href)") == [
        "https://fine.example/", "mailto:a@b.example",
        "https://evil.example/"]
    assert "→ evil.example" in text


def junk(random, depth=3):
    """A value of any type, with the names that the dashboard looks for."""
    kind = random.randrange(8 if depth > 0 else 5)
    if kind >= 6:
        return {random.choice(MEMBERS): junk(random, depth - 1)
                for _ in range(4)}
    if kind == 5:
        return [junk(random, depth - 1) for _ in range(3)]
    return [None, True, -1e300, "",
            random.choice(["*", ":x:", "<@U1|", "mrkdwn", "rich_text", "table",
                           "rich_text_list", "message_changed", "F1"])][kind]


MEMBERS = [
    "type", "subtype", "text", "blocks", "elements", "fields", "rows", "files",
    "attachments", "fetched", "matches", "limits", "names", "user", "channel",
    "message", "previous_message", "error", "command", "payload", "style",
    "notify", "rule", "ts", "received", "title", "id", "file", "where",
    "accessory", "url", "excerpt", "start", "end", "name", "color",
]


def test_no_shape_of_a_record_breaks_the_page(server, page):
    random = Random(2)
    records = [{member: junk(random) for member in MEMBERS} |
               {"seq": seq, "class": CLASSES[seq % 3]}
               for seq in range(1, 541)]
    server.start("--history", 600).send(*records)
    page.open_live()
    for name in CLASSES:
        page.wait_cards(name, 180)
    page.run("document.querySelectorAll('details')"
             ".forEach((part) => { part.open = true; })")
    assert [words for words in page.texts(".trouble")
            if words.startswith("dashboard")] == []
    assert page.complaints() == []


def test_a_message_of_megabytes_is_cut_and_does_no_harm(server, page):
    server.start().send(
        message(1, "*a <b " * 500_000, payload={"x": ["y" * 90] * 20_000}),
        message(2, blocks=[{"type": "section", "text": {
            "type": "mrkdwn", "text": "word " * 100}}] * 5_000))
    page.open_live()
    page.wait_card(1)
    page.wait_card(2)
    assert page.run("return document.body.textContent.length") < 1_000_000


def test_characters_that_turn_text_around_are_shown(server, page):
    server.start().send(message(1, "see \u202egpj.exe\u0007 end",
                                username="evil\u202ename"))
    page.open_live()
    page.wait_card(1)
    assert page.texts("[data-key='1'] .body .hidden-character") == [
        "RLO", "\u2407"]
    assert "\u202e" not in page.run("return document.body.textContent")
    assert page.text("[data-key='1'] .heading bdi") == "evilRLOname"


@pytest.mark.parametrize("text, html", [
    ("a *b* _c_ ~d~", "a <strong>b</strong> <em>c</em> <s>d</s>"),
    ("*_both_*", "<strong><em>both</em></strong>"),
    ("snake_case_name 2*3*4", "snake_case_name 2*3*4"),
    ("* no * _ marks _", "* no * _ marks _"),
    ("`*x*`", '<code class="code">*x*</code>'),
    ("```a\n*b*```", '<pre class="code">a\n*b*</pre>'),
    ("```open", "```open"),
    ("&gt; quoted\nnot", '<blockquote class="quote">quoted</blockquote>not'),
    ("&lt;b&gt; &amp;amp;", "&lt;b&gt; &amp;amp;"),
    ("<b>", "&lt;b&gt;"),
    ("at 10:100:30 :nosuch:", "at 10:100:30 :nosuch:"),
    ("です:tada:", 'です<span class="emoji" role="img" aria-label="tada"'
     ' title=":tada:">🎉</span>'),
    ("<@U1> <#C1|qa> <!here>",
     '<bdi class="mention" title="U1">@U1</bdi> '
     '<bdi class="mention" title="C1">#qa</bdi> '
     '<bdi class="mention mention-all">@here</bdi>'),
])
def test_slack_markup(server, page, text, html):
    server.start()
    page.open_live()
    assert page.imported("markup.js",
                         "(() => { const node = document.createElement('p');"
                         " node.append(m.markup(args[0]));"
                         " return node.innerHTML; })()", text) == html


def test_emoji_with_tones_and_flags(server, page):
    server.start()
    page.open_live()
    assert page.imported(
        "emoji.js", "[m.emoji('wave', 'skin-tone-3'), m.emoji('flag-se'),"
        " m.emoji('+1'), m.emoji('our-logo'), m.emoji('constructor')]") == [
        "👋🏼", "🇸🇪", "👍", None, None]


@pytest.mark.parametrize("line, payload", [
    ('{"a":{"payload":1},"payload":[1, {"b":2}],"c":3}', '[1, {"b":2}]'),
    ('{"payload":1,"payload":2}', "2"),
    (r'{"x":"\",\"payload\":9,\"","p\u0061yload":"y"}', '"y"'),
    ('{"a":"payload","b":["payload",5]}', None),
    ('{"a":1', None),
])
def test_a_member_is_cut_out_as_it_stands(server, page, line, payload):
    server.start()
    page.open_live()
    assert page.imported("json.js", "m.memberText(args[0], 'payload')",
                         line) == payload


def test_keys_follow_the_rule_of_the_server(server, page):
    server.start(run=None).send({"type": "message", "text": "a"},
                        message(7), message(7), message(3),
                        {"type": "message", "seq": 20})
    page.open_live()
    page.wait_cards("success", 5)
    assert page.keys("success") == [20, 9, 8, 7, 1]


SILENCE = """(() => {
    let clock = 1000, tick, socket;
    const states = [], ignore = () => {};
    const { WebSocket, setInterval, setTimeout } = window;
    window.WebSocket = class { constructor() { socket = this; } close() {} };
    performance.now = () => clock;
    window.setInterval = (call) => { tick = call; };
    window.setTimeout = ignore;
    new m.Connection("ws://127.0.0.1/", { hello: ignore, record: ignore,
        state: (name) => states.push(`${clock / 1000} ${name}`) }).start();
    const at = (seconds, line) => { clock = seconds * 1000;
        if (line) socket.onmessage({ data: line }); tick(); };
    at(1, '["hello",{"run":"r","next":1}]');
    at(46.5); at(47, '["ping"]'); at(106); at(108);
    delete performance.now;
    Object.assign(window, { WebSocket, setInterval, setTimeout });
    return states.filter((state, i) => state !== states[i - 1]);
})()"""


def test_silence_is_stale_and_then_a_lost_connection(server, page):
    server.start()
    page.open_live()
    assert page.imported("connection.js", SILENCE) == [
        "1 connecting", "1 live", "46.5 stale", "47 live", "106 stale",
        "108 reconnecting"]


def test_the_wait_before_coming_back_grows_and_is_spread(server, page):
    server.start()
    page.open_live()
    waits = page.imported(
        "connection.js", "[0, 1, 4, 50].map((n) => [m.waitBefore(n, () => 0),"
        " m.waitBefore(n, () => 1)])")
    assert waits == [[300, 1500], [300, 3000], [300, 24000], [300, 30000]]


ITEMS = """return Array.from(document.querySelectorAll(
    `.column-${arguments[0]} .item`), (item) => item.dataset.key ?
    [true, +item.dataset.key] : [false, ...item.textContent.replaceAll(",", "")
        .match(/[0-9]+/g).map(Number)])"""


def missing_in(page, name, place, last):
    """Check that a column has each record of its class once, in order, as a
    card or as missing, never both; returns all that it says are missing."""
    cards, missing, before = [], [], last + 1
    for is_card, first, *end in page.run(ITEMS, name):
        assert (end[0] if end else first) < before
        before = first
        if is_card:
            cards.append(first)
        else:
            missing += range(first, (end[0] if end else first) + 1)
    assert sorted(cards + [seq for seq in missing if seq % 3 == place]) == [
        seq for seq in range(1, last + 1) if seq % 3 == place]
    return sorted(missing)


def test_each_record_is_a_card_or_missing_when_the_server_is_killed(
        server, page):
    random = Random(4)
    server.start()
    page.open_live()
    answered = last = 0
    for _ in range(6):
        size = random.randrange(10, 60)
        server.send(*(message(seq, "x" * random.choice([5, 99, 70000]),
                              CLASSES[seq % 3])
                      for seq in range(last + 1, last + size + 1)))
        last += size
        time.sleep(random.random() / 50)
        server.kill()
        # some were answered, seen or not; some come again, seen or not
        answered = random.randrange(answered, last + 1)
        server.start().send(*(message(seq, "again", CLASSES[seq % 3])
                              for seq in range(answered + 1, last + 1)))
        page.wait_state("live")
    lost, last = last + 1, last + 2
    server.send(message(last, "at last", CLASSES[last % 3]))
    page.wait_card(last)
    told = [missing_in(page, name, place, last)
            for place, name in enumerate(CLASSES)]
    assert told[0] == told[1] == told[2] and told[0][-1] == lost
    assert sum(int(text) for text in page.texts(".column-head .count")) == \
        last - len(told[0])


def test_is_back_in_two_seconds_after_the_server_was_killed(server, page):
    server.start().send(message(1))
    page.open_live()
    page.wait_cards("success", 1)
    for seq in range(2, 5):
        server.kill()
        page.wait_state("reconnecting", 2)
        server.start().send(message(seq))
        page.wait_cards("success", seq, 2)
    assert page.texts(".gap") == []


def test_a_page_that_saw_nothing_yet_misses_nothing_before_it_came(
        server, page):
    server.start()
    page.open_live()
    server.kill()
    server.start().send(message(41))
    page.wait_cards("success", 1)
    assert page.texts(".gap") == []


def test_a_page_knows_where_it_began_before_it_saw_a_record(server, page):
    server.start("--history", 0).send(message(1))
    page.open_live()
    server.kill()
    server.start("--history", 0).send(message(3))
    page.wait_cards("success", 1)
    assert page.texts(".gap") == [
        "Record 2 is missing: no longer in the server's memory"] * 3


def test_a_page_that_is_looked_at_again_does_not_wait(server, page):
    server.start()
    page.open_live()
    page.run("Math.random = () => 1")
    server.kill()
    wait_for(lambda: page.text("#connection-text") == "Reconnecting in 3 s",
             "a longer wait")
    server.start()
    page.run("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_state("live", 2)


def test_comes_back_without_doubles_after_the_server_died(server, page):
    server.start().send(*(message(seq) for seq in range(1, 6)))
    page.open_live()
    page.wait_cards("success", 5)
    server.kill()
    page.wait_state("reconnecting")
    assert "Reconnecting in" in page.text("#connection-text")
    assert page.text("#announcement") == "Connection lost, trying again"
    # as a supervisor would: what was not answered is given once more
    server.start().send(*(message(seq) for seq in range(3, 9)))
    page.wait_state("live", 30)
    page.wait_cards("success", 8)
    assert page.keys("success") == list(range(8, 0, -1))
    assert page.text("#announcement") == "Live"
    assert page.text(".column-success .count") == "8"


def test_records_out_of_reach_are_said_to_be_missing(server, page):
    server.start("--backlog", 50).send(*(message(seq) for seq in range(1, 11)))
    page.open_live()
    page.wait_cards("success", 10)
    server.kill()
    server.start("--backlog", 50).send(
        *(message(seq) for seq in range(10, 201)))
    page.wait_state("live", 30)
    page.wait_cards("success", 60)
    notice = "Records 11 to 150 are missing: no longer in the server's memory"
    assert page.texts(".gap") == [notice] * 3
    assert page.run("return document.querySelector('.column-success .gap')"
                    ".parentNode.previousSibling.dataset.key") == "151"
    wait_for(lambda: "Missed140" in page.texts(".total"), "the total missed")


def test_another_run_begins_with_an_empty_board(server, page):
    server.start().send(*(message(seq) for seq in range(1, 6)))
    page.open_live()
    page.wait_cards("success", 5)
    server.kill()
    server.start(run="run-2").send(message(1, "new", "danger"))
    page.wait_state("live", 30)
    page.wait_cards("danger", 1)
    assert page.keys("success") == []
    assert page.text(".column-success .count") == "0"


def test_the_end_of_the_records_is_said(server, page):
    server.start().send(message(1))
    page.open_live()
    server.process.stdin.close()
    page.wait_state("ended")
    assert page.text("#announcement") == "Ended: no more records"


def test_a_burst_leaves_a_bounded_page_that_answers(server, page):
    server.start("--backlog", 6000)
    page.open_live()
    page.run("window.longest = 0; let last = performance.now();"
             "(function step() { const now = performance.now();"
             " window.longest = Math.max(window.longest, now - last);"
             " last = now; requestAnimationFrame(step); })();")
    server.send(*(message(seq, f":x: record *{seq}* `code` " + "word " * 40,
                          CLASSES[seq % 3]) for seq in range(1, 5001)))
    for name in CLASSES:
        wait_for(lambda name=name: page.keys(name)[:1] and
                 page.keys(name)[0] > 4997, f"the newest card of {name}", 30)
    assert page.run("return window.longest") < 1000
    for name in CLASSES:
        keys = page.keys(name)
        assert len(keys) <= 200 and keys == sorted(keys, reverse=True)
    wait_for(lambda: sum(int(text.replace(",", "")) for text in
                         page.texts(".column-head .count")) == 5000,
             "all records to be counted")
    assert "older no longer shown here" in page.text(".column-danger .gone")
    assert page.run("return document.querySelectorAll('*').length") < 30000
    assert page.complaints() == []


def test_nothing_moves_while_somebody_reads_further_down(server, page):
    server.start().send(*(message(seq) for seq in range(1, 61)))
    page.open_live()
    page.wait_cards("success", 60)
    page.run("document.querySelector('.column-success .scroller')"
             ".scrollTop = 300")
    server.send(*(message(seq) for seq in range(61, 66)))
    wait_for(lambda: page.text(".column-success .fresh") == "↑ 5 new",
             "the button")
    assert page.keys("success")[0] == 60
    assert page.text(".column-success .count") == "65"
    page.run("document.querySelector('.column-success .fresh').click()")
    page.wait_cards("success", 65)
    assert page.run("return document.querySelector('.column-success"
                    " .scroller').scrollTop") == 0


def test_keys_walk_the_cards_and_hold_the_column(server, page):
    server.start().send(*(message(seq) for seq in range(1, 6)),
                        message(6, name="danger"))
    page.open_live()
    page.wait_cards("success", 5)
    scroller = page.driver.find_element("css selector",
                                        ".column-success .scroller")
    scroller.send_keys("j")
    page.driver.switch_to.active_element.send_keys("j")
    focused = "return document.activeElement.parentNode.dataset.key"
    assert page.run(focused) == "4"
    server.send(message(7))
    wait_for(lambda: page.text(".column-success .fresh") == "↑ 1 new",
             "the button")
    assert page.run(focused) == "4"
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.wait_cards("success", 6)
    page.driver.switch_to.active_element.send_keys("3")
    page.driver.switch_to.active_element.send_keys("j")
    assert page.run(focused) == "6"


def test_pause_keeps_counting(server, page):
    server.start().send(message(1))
    page.open_live()
    page.wait_cards("success", 1)
    page.driver.find_element("id", "pause").click()
    server.send(message(2), message(3))
    wait_for(lambda: page.text(".column-success .count") == "3", "the count")
    assert page.keys("success") == [1]
    page.driver.find_element("id", "pause").click()
    page.wait_cards("success", 3)


def test_the_filter_sifts_cards_shown_and_to_come(server, page):
    server.start().send(message(1, "apple"), message(2, "pear"))
    page.open_live()
    page.wait_cards("success", 2)
    page.driver.find_element("id", "filter").send_keys("APP")
    server.send(message(3, "plum"), message(4, "pineapple"))
    page.wait_cards("success", 4)
    assert page.texts(".item:not([hidden]) .body") == ["pineapple", "apple"]


def test_totals_of_the_pipeline_are_shown(server, page, tmp_path):
    stats = tmp_path / "stats.json"
    stats.write_text(json.dumps({
        "total_msg_count": 12345, "total_attachments_downloaded": 67,
        "bytes_scanned": 8900000, "errors": 2, "rate_1m": 0.5,
        "latency_ms": {"p50": 0.4, "p99": 2.25, "max": 9},
        "classes": {"success": 12000, "warning": 300, "danger": 45}}))
    server.start("--stats", stats).send(message(1))
    page.open_live()
    wait_for(lambda: page.texts(".total") == [
        "Messages12,345", "Rate30/min", "Files67", "Scanned8.9 MB", "Errors2",
        "p992.25 ms"], "the totals")
    assert page.texts(".column-head .count") == ["12,000", "300", "45"]


@pytest.mark.parametrize("width", [360, 390, 768, 1400])
def test_no_width_makes_the_page_scroll_sideways(server, page, width):
    server.start().send(*(message(
        seq, "w" * 500 + " <https://example.com/" + "long/" * 80 + ">\n```" +
        "c" * 300 + "```", name, names={"user": "N" * 200, "channel": "c" * 99},
        files=[{"id": "F", "name": "f" * 250, "size": 1}],
        matches=[{"pattern": "p" * 64, "where": "text",
                  "excerpt": "w" * 200}]) for seq, name in
        enumerate(CLASSES, 1)))
    page.resize(width, 740)
    page.open_live()
    page.wait_cards("danger", 1)
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert page.run(
        "return Array.from(document.querySelectorAll('.message-card, .top *'))"
        ".filter((node) => node.getBoundingClientRect().right > innerWidth + 1"
        " && node.checkVisibility()).length") == 0


def test_a_phone_shows_one_column_and_all_counts(server, page):
    server.start().send(message(1), message(2, name="danger"))
    page.resize(360, 740)
    page.open_live()
    page.wait_cards("danger", 1)
    shown = "return Array.from(document.querySelectorAll('.column'))" \
        ".filter((column) => column.checkVisibility())" \
        ".map((column) => column.dataset.class)"
    assert page.run(shown) == ["danger"]
    assert page.texts(".switch .count") == ["1", "0", "1"]
    page.driver.find_element("css selector", ".switch button").click()
    assert page.run(shown) == ["success"]


def accessible_nodes(page):
    tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})
    for node in tree["nodes"]:
        if not node["ignored"]:
            facts = {fact["name"]: fact["value"].get("value")
                     for fact in node.get("properties", [])}
            yield (node["role"]["value"], node.get("name", {}).get("value"),
                   facts)


@pytest.mark.parametrize("width", [360, 1400])
def test_everything_has_a_name_and_a_place(server, page, width):
    server.start().send(*hostile_records(), message(9, "*fine* `code`"))
    page.resize(width, 740)
    page.open_live()
    page.wait_cards("danger", len(HOSTILE))
    page.wait_card(2)
    nodes = list(accessible_nodes(page))
    assert [(role, facts) for role, name, facts in nodes
            if facts.get("focusable") and not name and
            role not in ("RootWebArea", "main")] == []
    roles = [role for role, _, _ in nodes]
    for landmark in ("banner", "main", "search"):
        assert roles.count(landmark) == 1
    assert page.texts("h1") == ["Ultron"]
    assert page.texts("h2") == ["✓Success", "!Warning", "✕Danger"]
    assert page.run("return document.querySelectorAll('h4, h5, h6').length") \
        == 0
    assert page.run("const ids = Array.from(document.querySelectorAll('[id]'),"
                    " (node) => node.id);"
                    "return ids.length - new Set(ids).size") == 0
    assert page.run("return Array.from(document.querySelectorAll("
                    "'[aria-live], [role=status]'), (n) => n.id)") == [
        "announcement"]


CONTRAST = """
const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (c) => { c /= 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const luminance = ([r, g, b]) =>
    0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
const ground = (node) => { for (; node; node = node.parentElement) {
    const c = parse(getComputedStyle(node).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
const poor = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let text; (text = walker.nextNode());) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility() ||
        node.closest('.visually-hidden, .visually-hidden-focusable, .emoji'))
        continue;
    const [a, b] = [parse(getComputedStyle(node).color), ground(node)]
        .map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5)
        poor.add(`${node.tagName} ${node.className} ${ratio.toFixed(2)}`);
}
return [...poor];
"""


@pytest.mark.parametrize("is_dark", [False, True])
def test_text_stands_out_from_its_ground(server, page, qa_day, is_dark):
    for record, name in zip(qa_day, itertools.cycle(CLASSES)):
        record["class"] = name
    server.start().send(*qa_day[:300], *hostile_records())
    page.resize(1400, 900, is_dark)
    page.open_live()
    page.wait_card(HOSTILE.index(HOSTILE[-1]) + 301)
    page.driver.find_element("id", "pause").click()
    page.run("document.getElementById('help').open = true")
    time.sleep(0.6)
    assert page.run(CONTRAST) == []


def test_an_unknown_address_leads_back_to_the_stream(server, page):
    server.start()
    page.open("/ultronex/nowhere/at/all")
    assert "Abyss" in page.text("h1")
    page.driver.find_element("link text", "Back to the stream").click()
    page.wait_state("live")
    assert [text for text in page.complaints() if "404" not in text] == []
