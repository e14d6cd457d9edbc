"""What the machines say all day: each function plays one service."""
from .slack import (actions, alert, button, clock_of, context,
                    divider, escape, header, image, markdown, plain, section,
                    table)
from .variety import DEVICES, Deck, fill, generator

GREEN, AMBER, RED = "#2eb886", "#daa038", "#a30200"


def times(rng, first, last, count):
    """count clock times between two hours, spread evenly but not exactly."""
    step = (last - first) * 3600 / count
    return [clock_of(int(first * 3600 + (i + rng.random() * 0.9) * step))
            for i in range(count)]


# --- continuous integration -------------------------------------------------

# what is built, by kind
REPOSITORIES = {
    "android": ["harbour-android"], "ios": ["harbour-ios"],
    "backend": ["checkout-api", "catalog-api", "auth-api", "push-gateway"],
    "web": ["web-console"],
}

COMMITS = {
    "android": [
        ("Jonas Weber", "Keep the cart when the activity is recreated"),
        ("Jonas Weber", "Show the gate change banner above the map"),
        ("Mei Chen", "Run the checkout suite on Fairphone 5, too"),
        ("Kenji Mori", "変換中の文字列で検索しない (IME composition)"),
        ("Jonas Weber", "Bump Kotlin to 2.2.20"),
        ("Jonas Weber", "Replace the spinner on results by a skeleton"),
        ("Jonas Weber", "Read feature flags before the first frame"),
        ("Lena Hofmann", "Übersetzung: »Umbuchen« statt »Ändern«"),
        ("Jonas Weber", "Use YearMonth for card expiry"),
        ("Mei Chen", "Reset location permission between two tests"),
        ("Jonas Weber", "Wait for results & not for the animation")],
    "ios": [
        ("Tomás Ribeiro", "Adopt the new wallet pass layout"),
        ("Tomás Ribeiro", "Cache airport names for 24 hours"),
        ("Tomás Ribeiro", "Fix Dynamic Type in the seat map legend"),
        ("Tomás Ribeiro", "Drop support for iOS 16"),
        ("Tomás Ribeiro", "Prefetch the boarding pass before departure"),
        ("Kenji Mori", "福岡空港の表記ゆれを吸収する"),
        ("Tomás Ribeiro", "Draw seats with Optional<Gate> in mind"),
        ("Mei Chen", "Boot the simulators one by one")],
    "backend": [
        ("Aisha Bello", "Stop retrying card-vault calls that were cancelled"),
        ("Aisha Bello", "Return 422 instead of 400 for unknown vouchers"),
        ("Sofia Marino", "Round split payments half-even"),
        ("Aisha Bello", "Index bookings by traveller and departure"),
        ("Dan O'Leary", "Scrape push-gateway every 15 s"),
        ("Aisha Bello", "Add idempotency keys to POST /v3/refunds"),
        ("Sofia Marino", "Log the processor's decline code"),
        ("Aisha Bello", "Split SummaryService out of CheckoutController"),
        ("Dan O'Leary", "Raise the file descriptor limit of catalog-api"),
        ("Dan O'Leary", "Trace calls that take > 2 s"),
        ("Aisha Bello", "Read the expiry of a card as optional"),
        ("Sofia Marino", "Name the carrier in payout errors"),
        ("Dan O'Leary", "Keep connections to card-vault for 60 s")],
    "web": [
        ("Priya Raman", "Escape support chat messages once, not twice"),
        ("Sofia Marino", "Show holds beside refunds"),
        ("Lena Hofmann", "Größere Schrift im Störungsbanner"),
        ("Priya Raman", "Forbid inline scripts (CSP)"),
        ("Sofia Marino", "Export payouts as CSV with a ; for Excel")],
}

FAILURES = {
    "android": [
        ("lint", "ktlint", "CardRow.kt:87:18 Unexpected spacing before "
         "\"?.\"\nCardRow.kt:91:1 Needless blank line(s)"),
        ("ui-tests", "SearchFlowTest.acceptsKanjiInput",
         "androidx.test.espresso.NoMatchingViewException: No views in "
         "hierarchy found matching: with text \"札幌\"\n\tat androidx.test."
         "espresso.ViewInteraction.check(ViewInteraction.java:158)"),
        ("unit-tests", "SeatMapReducerTest.groupOfNine",
         "expected: 9 seats in 2 rows\n but was: 9 seats in 3 rows")],
    "ios": [
        ("compile", "swiftc", "PassLayout.swift:44:21: error: value of type "
         "'Pass' has no member 'gateLabel'"),
        ("ui-tests", "WalletUITests.testAddsToWallet",
         "WalletUITests.swift:88: Asynchronous wait failed: Exceeded timeout "
         "of 30 seconds, with unfulfilled expectations: \"sheet\"")],
    "backend": [
        ("integration-tests", "SummaryServiceTest.cardWithoutExpiry",
         "java.lang.IllegalStateException: card 7f31 has no expiry\n"
         "\tat com.example.harbour.cards.CardMapper.toSummary"
         "(CardMapper.java:118)\n\tat com.example.harbour.checkout."
         "SummaryService.build(SummaryService.java:64)"),
        ("contract-tests", "POST /v3/refunds, unknown booking",
         "expected status 404, got HTTP 500\n{\"error\":\"internal\"}"),
        ("migrations", "V214__booking_index.sql",
         "ERROR: canceling statement due to lock timeout\nCONTEXT: while "
         "updating tuple (4121,7) in relation \"bookings\""),
        ("unit-tests", "FareRulesTest.leapDay", "AssertionError: 2028-02-29 "
         "is not refundable, but 2028-03-01 is"),
        ("docker-build", "base image", "failed to fetch oauth token: "
         "unexpected status: 503 from registry.harbour.example"),
        ("security", "dependency audit", "1 high: netty-codec-http2 4.1.118 "
         "(request smuggling), fixed in 4.1.124")],
    "web": [
        ("type-check", "tsc", "src/payouts/Table.tsx(61,9): error TS2322: Type "
         "'string | undefined' is not assignable to type 'string'."),
        ("e2e", "support chat shows a message", "Error: expect(locator)."
         "toHaveText(expected)\nExpected: \"<b>\"\nReceived: \"&lt;b>\"")],
}

GRUMBLES = {
    "android": [
        "passed on attempt 2 of 3: `SearchFlowTest.restoresScrollPosition` is "
        "flaky (7 of the last 50 runs)",
        "passed, APK grew by {small} MB to 48.{n} MB",
        "passed with {nn} new compiler warnings",
        "passed, {n} tests were skipped for lack of an emulator"],
    "ios": [
        "passed, one test was skipped: `WalletTest.addsToWallet` timed out "
        "waiting for the simulator",
        "passed on attempt 3 of 3: `LoginTest.renewsTokenInBackground` is "
        "flaky",
        "passed, signing certificate ends in {nn} days"],
    "backend": [
        "passed, but coverage fell by {small} points to 8{n}.{n} %",
        "passed after 2{n} min, twice the usual time: agent {agent} is busy",
        "passed on attempt 2 of 3: `OutboxTest.ordersEvents` is flaky",
        "passed, cache of agent {agent} was rebuilt from nothing ({nnn} MB)",
        "passed, image grew by {nn} MB to {nnn} MB",
        "passed, {n} deprecated endpoints are still called"],
    "web": [
        "passed, bundle grew by {nn} kB to 4{nn} kB",
        "passed, {n} warnings of eslint are new"],
}


def builds(day):
    rng = generator("builds")
    commits, failures, grumbles = (
        {kind: Deck(rng, items) for kind, items in table.items()}
        for table in (COMMITS, FAILURES, GRUMBLES))
    number = {name: rng.randint(1200, 5900)
              for names in REPOSITORIES.values() for name in names}
    kinds = Deck(rng, ["android"] * 4 + ["ios"] * 3 + ["backend"] * 6 +
                 ["web"])
    outcomes = Deck(rng, ["failed"] * 7 + ["grumble"] * 8 + ["passed"] * 24)
    for clock in times(rng, 7.1, 18.9, 112):
        kind = kinds.deal()
        repository = rng.choice(REPOSITORIES[kind])
        number[repository] += 1
        author, subject = commits[kind].deal()
        build = {
            "name": f"{repository} #{number[repository]}", "author": author,
            "subject": subject, "branch": pick_branch(rng, kind),
            "url": f"https://ci.harbour.example/{repository}/"
                   f"{number[repository]}"}
        outcome = outcomes.deal()
        if outcome == "failed":
            build_failed(day, rng, clock, build, failures[kind].deal())
        elif outcome == "grumble":
            text = fill(rng, grumbles[kind].deal())
            day.webhook(clock, "builds", "foundry",
                        f":warning: <{build['url']}|{build['name']}> {text}",
                        [build_details(rng, build, AMBER)])
        else:
            build_passed(day, rng, clock, build)


def pick_branch(rng, kind):
    shared = "release/8.14" if kind in ("android", "ios") else "main"
    return rng.choice(["main", shared, fill(rng, "fix/{ticket}"),
                       fill(rng, "feature/{ticket}")])


def build_details(rng, build, color, **more):
    return {
        "fallback": f"{build['name']} on {build['branch']}: "
                    f"{escape(build['subject'])}",
        "color": color, "author_name": build["author"],
        "title": escape(build["subject"]), "title_link": build["url"],
        "fields": [{"title": "Branch", "value": build["branch"],
                    "short": True},
                   {"title": "Commit", "value": fill(rng, "{sha}"),
                    "short": True}],
        "footer": fill(rng, "Foundry CI · {agent}"),
        "mrkdwn_in": ["text"], **more}


def build_passed(day, rng, clock, build):
    mark = rng.choice([":white_check_mark:", ":heavy_check_mark:"])
    text = fill(rng, f"{mark} <{build['url']}|{build['name']}> passed on "
                     f"`{build['branch']}` in {{minutes}}")
    details = build_details(rng, build, GREEN)
    if rng.random() < 0.5:
        details["fields"].append({"title": "Tests", "short": True, "value":
                                  fill(rng, "{nnnn} passed, {n} skipped")})
    day.webhook(clock, "builds", "foundry", text, [details])


def build_failed(day, rng, clock, build, failure):
    step, test, output = failure
    text = fill(rng, f":x: <{build['url']}|{build['name']}> failed in "
                     f"*{step}* after {{minutes}}")
    day.webhook(clock, "builds", "foundry", text, [build_details(
        rng, build, RED, pretext=f"{build['author']}, please have a look.",
        text=f"`{escape(test)}`\n```{escape(output)}```",
        actions=[{"type": "button", "text": "Rerun",
                  "url": build["url"] + "/rerun"}])])


# --- crash reporter ---------------------------------------------------------

CRASHES = [
    ("Android", "java.lang.NullPointerException", "CardRow.kt:87",
     "FATAL EXCEPTION: main\njava.lang.NullPointerException: Attempt to "
     "invoke virtual method 'int java.time.YearMonth.getMonthValue()' on a "
     "null object reference\n    at com.example.harbour.checkout.CardRow."
     "expiryLabel(CardRow.kt:87)\n    at com.example.harbour.checkout."
     "CheckoutSummaryFragment.render(CheckoutSummaryFragment.kt:214)"),
    ("Android", "java.util.ConcurrentModificationException",
     "OfferMerger.kt:61", "FATAL EXCEPTION: DefaultDispatcher-worker-3\n"
     "java.util.ConcurrentModificationException\n    at java.util.ArrayList"
     "$Itr.next(ArrayList.java:860)\n    at com.example.harbour.results."
     "OfferMerger.merge(OfferMerger.kt:61)"),
    ("iOS", "EXC_BAD_ACCESS (SIGSEGV)", "SeatMapLayer.swift:203",
     "Exception Type: EXC_BAD_ACCESS (SIGSEGV)\nThread 0 Crashed:\n0 Harbour "
     "SeatMapLayer.draw(in:) SeatMapLayer.swift:203\n1 QuartzCore "
     "CA::Layer::display_()"),
    ("Android", "SIGSEGV in libmapcore.so", "TileCache::evict",
     "Fatal signal 11 (SIGSEGV), code 1, fault addr 0x18 in tid 20417 "
     "(RenderThread)\n#00 pc 000000000003f1a4 libmapcore.so (map::TileCache::"
     "evict(unsigned int)+132)"),
    ("iOS", "EXC_BREAKPOINT (SIGTRAP)", "PassLayout.swift:44",
     "Exception Type: EXC_BREAKPOINT (SIGTRAP)\nFatal error: Unexpectedly "
     "found nil while unwrapping an Optional value\n0 Harbour PassLayout."
     "gateLabel.getter PassLayout.swift:44"),
    ("Android", "java.lang.OutOfMemoryError", "TicketBitmap.kt:33",
     "FATAL EXCEPTION: glide-source-thread-2\njava.lang.OutOfMemoryError: "
     "Failed to allocate a 48000016 byte allocation\n    at com.example."
     "harbour.trips.TicketBitmap.render(TicketBitmap.kt:33)"),
]

REGRESSIONS = [
    "ANR in com.example.harbour (SearchActivity) is back: closed in 8.12.1, "
    "seen again in 8.14.0-rc1 on {n} devices",
    "`SocketTimeoutException` in TripSync doubled since yesterday, {nnn} users",
    "Slow cold start on {device}: p90 is {slow} ms, was 1650 ms",
    "Non-fatal `KeychainError -25300` rises on iOS 26.1, {nn} users",
    "Memory warnings on {device} rose by {nn} %",
    "ANR in com.example.harbour (TicketActivity): {n} reports from {device}",
    "Low disk space kills the ticket download on {device}, {nn} users",
    "Hangs over 2 s in SeatMapView on {device}: {nn} sessions",
]


# The afternoon's crash: when it was reported, users it had met by then
SPIKE = [("14:08:20", 37), ("14:10:41", 184), ("14:12:05", 640),
         ("14:13:37", 1213), ("14:15:02", 1870), ("14:17:48", 2655),
         ("14:21:19", 3320), ("14:27", 3904), ("14:36", 4127)]


def version_at(clock):
    """The newest build that is around at that time."""
    return ("8.14.0-rc1" if clock < "09:02" else
            "8.14.0-rc2" if clock < "13:04" else
            "8.14.0" if clock < "15:30" else "8.14.1")


def crashes(day):
    rng = generator("crashes")
    for which, clock in [
            (1, "07:48"), (3, "08:52"), (4, "09:26"), (2, "11:07"),
            (5, "12:31"), (4, "15:14"), (3, "16:09"), (2, "16:48"),
            (1, "17:39")]:
        crash(day, rng, clock, CRASHES[which], rng.randint(2, 60))
    for number, (clock, users) in enumerate(SPIKE):
        crash(day, rng, clock, CRASHES[0], users, text_shown=number % 3 > 0)
    for clock, text in zip(times(rng, 7.5, 18.5, len(REGRESSIONS)),
                           REGRESSIONS):
        device, system = rng.choice(DEVICES)
        text = fill(rng, text, device=device)
        day.app(clock, "crashes", "crashlight", f":warning: {text}",
                section(f":warning: {text}", [("Device", device),
                                              ("System", system)]),
                context(fill(rng, "First seen in 8.12.{n} · issue {ticket}")))
    for hour in range(7, 19):
        crash_free(day, rng, hour)
    for clock in times(rng, 8, 18.6, 10):
        day.webhook(clock, "crashes", "crashlight", fill(
            rng, rng.choice([
                ":white_check_mark: {ticket} resolved in 8.13.2, no report "
                "for {n} hours",
                ":heavy_check_mark: {ticket} closed by Jonas Weber: cannot "
                "happen since 8.13.0",
                "{ticket} merged into {ticket}, same top frame",
                ":white_check_mark: dSYMs of build 81403{nn} processed in "
                "{n} min"])))


def crash(day, rng, clock, kind, users, text_shown=True):
    system, exception, frame, stack = kind
    is_old = users < 30 or system == "iOS"
    version = "8.13.2" if is_old else version_at(clock)
    device, level = rng.choice([pair for pair in DEVICES if
                                pair[1].startswith(system)])
    text = f":x: {exception} in Harbour {system} {version}: {users} users"
    name = exception.split(".")[-1] if exception.startswith("java.") \
        else exception
    day.app(clock, "crashes", "crashlight", text if text_shown else "",
            header(f"{name} at {frame}"),
            section(text, [
                ("Device", f"{device}, {level}"),
                ("Events", f"{users * 2 + 3}"),
                ("Crash-free users", fill(rng, "99.{n} %")),
                ("Top frame", f"`{frame}`")]),
            section(f"```{escape(stack)}```"),
            actions(button("Open issue", fill(
                rng, "https://crash.harbour.example/issue/{nnnn}"), "primary"),
                button("Mute", "https://crash.harbour.example/mute")),
            context(f"Build {8140300 + rng.randint(1, 18)} · "
                    "<https://crash.harbour.example/rules|why you see this>"))


def crash_free(day, rng, hour):
    bad = hour in (14, 15)
    rate = rng.randint(9610, 9790) if bad else rng.randint(9960, 9989)
    before = rng.randint(9960, 9980)
    text = (f"{':warning:' if bad else ':chart_with_upwards_trend:'} "
            f"Crash-free users, last hour: *{rate / 100:.2f} %* "
            f"(yesterday {before / 100:.2f} %)")
    blocks = [section(text)]
    if hour % 2 == 0:
        blocks.append(table(
            ["Version", "Sessions", "Crash-free"],
            ["8.14.0" if hour < 15 else "8.14.1", fill(rng, "{nnnn}"),
             f"{rate / 100:.2f} %"],
            ["8.13.2", fill(rng, "{nn}{nnn}"), "99.84 %"]))
    day.app(f"{hour:02d}:58", "crashes", "crashlight", text, *blocks)


# --- device farm ------------------------------------------------------------

SUITES = ["checkout-regression", "search-smoke", "login-matrix",
          "offline-tickets", "accessibility", "push-and-deeplinks",
          "upgrade-from-8.13", "seat-map-visual", "battery-soak"]

FARM_FAILURES = [
    "`CheckoutTest.rejectsExpiredCard`: app closed itself while the summary "
    "was drawn",
    "`SearchTest.acceptsKanjiInput`: keyboard stayed open, element "
    "`#results` never came",
    "`TripsTest.addsToWallet`: sheet »Add to Wallet« did not show",
    "`SeatMapTest.zoom`: picture differs by {small} % from the reference",
    "`PushTest.opensTripFromNotification`: opened home instead of {trip}",
    "`UpgradeTest.keepsSession`: signed out after the update",
    "`A11yTest.buttonsHaveLabels`: {n} buttons without a label on the "
    "passenger form",
]

FARM_TROUBLE = [
    "{device} at rack B slot {n} is offline (USB reset {n} times)",
    "Battery of {device} at 4{n} °C, charging paused",
    "{device} ran out of disk space, {n} runs were moved",
    "Queue is long: {nn} runs waiting, oldest for {n} min",
    "Run on {device} restarted: device rebooted by itself",
    "System update offered on {device}, postponed to the night",
    "Suite on {device} timed out after 45 min, partial result kept",
    "Wi-Fi in rack C lost {small} % of its packets in the last hour",
]


def devices(day, reports):
    """reports are files that some of the runs attach."""
    rng = generator("devices")
    failures, trouble = Deck(rng, FARM_FAILURES), Deck(rng, FARM_TROUBLE)
    outcomes = Deck(rng, ["failed"] * 4 + ["trouble"] * 6 + ["passed"] * 13)
    clocks = times(rng, 7, 18.9, 88)
    with_report = dict(zip(clocks[3::13], reports))
    for clock in clocks:
        if "15:16" < clock < "15:30":   # all devices verify the hotfix
            continue
        device, system = rng.choice(DEVICES)
        suite, outcome = rng.choice(SUITES), outcomes.deal()
        if clock in with_report:
            passed(day, rng, clock, suite, device, system,
                   files=[with_report[clock]])
        elif outcome == "failed":
            what = fill(rng, failures.deal())
            text = f":x: *{suite}* failed on {device}"
            day.app(clock, "devices", "rackhouse", text,
                    alert("error", text),
                    section(what, [("System", system),
                                   ("Run", fill(rng, "r-{sha}"))]),
                    image(fill(rng, "https://farm.harbour.example/shots/{sha}"
                               ".png"), f"Last screen of {suite} on {device}",
                          "Last screen"))
        elif outcome == "trouble":
            text = f":warning: {fill(rng, trouble.deal(), device=device)}"
            day.app(clock, "devices", "rackhouse", text,
                    alert("warning", text))
        else:
            passed(day, rng, clock, suite, device, system)
    device_timeline(day)


def passed(day, rng, clock, suite, device, system, files=()):
    count = rng.randint(24, 188)
    text = (f":heavy_check_mark: *{suite}* {count}/{count} on {device} "
            f"({system})")
    if files:
        day.webhook(clock, "devices", "rackhouse", f"{text}, report attached",
                    files=list(files))
        return
    kind = rng.choice(["plain", "plain", "context", "markdown"])
    if kind == "plain":
        day.webhook(clock, "devices", "rackhouse",
                    text + fill(rng, " in {minutes}"))
    elif kind == "context":
        day.app(clock, "devices", "rackhouse", text, section(text), divider(),
                context(fill(rng, "{minutes} · {pct} % of frames in time · "
                             "battery −{n} %")))
    else:
        day.app(clock, "devices", "rackhouse", "", markdown(fill(
            rng, f"**{suite}** on {device}: {count} of {count} passed\n\n"
            "- first frame {ms} ms\n- scrolling {pct} % smooth\n"
            "- memory {nnn} MB at the end")))


def device_timeline(day):
    """A block type that nobody knows yet: its text must show all the same."""
    day.app("11:24", "devices", "rackhouse", "Rack B is back", {
        "type": "device_timeline", "title": plain("Rack B, this morning"),
        "lanes": [
            {"label": "Slot 3, Galaxy S22", "events": [
                {"at": "10:41", "text": plain("USB hub lost power")},
                {"at": "11:20", "text": plain("Hub replaced by Mei")}]},
            {"label": "Slot 4, Xperia 10 VI", "events": [
                {"at": "11:22", "text": plain("Online, battery 71 %")}]}]},
        context("22 of 22 devices online :white_check_mark:"))


# --- monitoring -------------------------------------------------------------

INCIDENTS = [   # clock, minutes open, severity, text
    ("07:22", 9, 2, "catalog-api p99 latency {slow} ms in tyo1, limit 1500"),
    ("07:57", 14, 3, "Certificate of img.harbour.example ends in 12 days"),
    ("08:31", 6, 2, "Kafka consumer `trip-events` is {nnnn} messages behind"),
    ("09:12", 11, 2, "push-gateway: {nn} deliveries per second timed out at "
                     "APNs"),
    ("09:48", 5, 3, "Disk of {host} is {nn} % full"),
    ("10:26", 8, 2, "auth-api answers HTTP 503 to {small} % of requests"),
    ("11:09", 12, 2, "Replica lag of bookings-db is {nn} s"),
    ("11:36", 4, 1, "auth-api is down in staging: HTTP 503 from all pods"),
    ("11:51", 7, 3, "Synthetic journey »rebook, iOS, Tokyo« took {slow} ms"),
    ("12:37", 10, 2, "Cache hit rate of catalog-api fell to {nn} %"),
    ("13:18", 6, 3, "DNS lookups of push.harbour.example took {ms} ms"),
    ("14:11", 41, 1, "checkout-api answers HTTP 502 to {nn} % of "
                     "`POST /v3/checkout/confirm`"),
    ("14:14", 35, 1, "checkout-api-7c9d4-{pod} OOMKilled, 3 restarts in 4 "
                     "minutes"),
    ("14:16", 33, 1, "card-vault refuses connections: HTTP 503, pool is "
                     "exhausted"),
    ("14:19", 50, 1, "Bookings per minute: 41, expected 118 to 164"),
    ("14:24", 28, 2, "API gateway retries doubled, {nnnn} per minute"),
    ("14:39", 22, 2, "Support chat queue: {nn} people waiting"),
    ("15:52", 9, 2, "catalog-api p99 latency {slow} ms in fra2, limit 1500"),
    ("16:33", 7, 3, "Log volume of web-console doubled within an hour"),
    ("17:08", 12, 2, "SMS provider: {nn} codes timed out in Portugal"),
    ("17:46", 5, 1, "Synthetic journey »login with passkey« failed 3 times "
                    "from iad1: HTTP 504"),
    ("17:58", 6, 3, "Clock of {host} is {nnn} ms off"),
    ("18:21", 8, 2, "bookings-db: {n} queries older than 30 s"),
]

QUIET = [
    "All 42 synthetic journeys are green, slowest »group booking« {nnnn} ms",
    "Deployments in the last 30 minutes: {n}, error budget of checkout-api "
    "{pct} %",
    "Snapshot {sha} of bookings-db: 51{n} GB in {nn} min, restore test "
    "passed",
    "Autoscaler: catalog-api from {n} to 1{n} pods in fra1, load {nn} %",
    "Certificate of {host}.harbour.example renewed, valid for 90 days",
    "Traffic is {n}.{n} % above last Wednesday, all limits are kept",
    "Chaos drill: node {host} was drained, no request was lost",
]


def monitoring(day):
    rng = generator("monitoring")
    quiet = Deck(rng, QUIET)
    for clock, minutes, severity, text in INCIDENTS:
        open_and_close(day, rng, clock, minutes, severity, fill(rng, text))
    for clock in times(rng, 7, 19, 22):
        day.webhook(clock, "monitoring", "watchtower",
                    ":large_green_circle: " + fill(rng, quiet.deal()))


def open_and_close(day, rng, clock, minutes, severity, text):
    mark = ":x:" if severity == 1 else ":warning:"
    color = RED if severity == 1 else AMBER
    details = {
        "fallback": f"P{severity} {text}", "color": color,
        "title": f"P{severity} · {text.split(':')[0]}",
        "title_link": fill(rng, "https://watch.harbour.example/a/{sha}"),
        "text": fill(rng, "Runbook: <https://runbooks.harbour.example/{nnn}|"
                     "what to do> · on call: <@U0DAN0011>"),
        "fields": [{"title": "Region", "short": True,
                    "value": rng.choice(["fra1", "fra2", "tyo1", "iad1"])},
                   {"title": "Since", "short": True, "value": clock}],
        "footer": "Watchtower"}
    opened = day.webhook(clock, "monitoring", "watchtower",
                         f"{mark} *P{severity} firing*: {text}", [details])
    hour, minute = map(int, clock.split(":"))
    closed = clock_of((hour * 60 + minute + minutes) * 60 + rng.randint(0, 59))
    day.webhook(closed, "monitoring", "watchtower",
                f":white_check_mark: *Resolved* after {minutes} min: {text}",
                thread_ts=opened["ts"])


# --- payments ---------------------------------------------------------------

PAYMENTS_GOOD = [
    "{nnn} payouts to carriers sent, {nnnn}{nn}.{nn} EUR in total",
    "Refund of {eur} EUR for {payment} arrived at the bank",
    "3-D Secure: {pct} % passed without a challenge in the last hour",
    "Chargeback of {payment} ({eur} EUR) decided for us",
    "Processor »Nordpay«: settlement file {nn}-{nnn} matched, {nnnn} rows",
    "Test booking in production: {payment}, {eur} EUR, voided after {n} s",
    "Exchange rates refreshed, EUR/JPY 179.{nn}, EUR/USD 1.16{n}",
    "Shares of the last hour: Apple Pay 3{n}.{n} %, Google Pay 2{n}.{n} %, "
    "PayPay {n}.{n} %, the rest by card",
    "Invoice run for business customers: {nnn} sent, 0 bounced",
    "Voucher HARBOUR-NOV: {n} guesses at codes were blocked",
]

PAYMENTS_WARNING = [
    "Declines rose to {n}.{n} % for cards from PT, usual is 2.1 %",
    "{payment}: captured {eur} EUR, but the booking is still pending after "
    "{n} min",
    "Reconciliation: 0.01 EUR difference on {payment}, left open",
    "Webhook of Nordpay was late by {nn} min, {nn} events waited",
    "Refund of {payment} timed out at the processor, try {n} of 10",
    "Payouts to {city} arrive a day late, bank holiday",
]

PAYMENTS_BAD = [
    ("10:54", ":x: Double capture stopped: {payment} and {payment} are the "
              "same trip {trip}"),
    ("12:47", ":x: Refund of {eur} EUR went out twice: {payment}, the second "
              "one was called back"),
    ("14:12", ":x: {nn} payments per minute end in HTTP 502 before capture, "
              "first {payment}"),
    ("14:18", ":x: Nordpay: {nnn} authorisations without capture since 14:09, "
              "last {payment}"),
    ("14:29", ":x: {payment}: customer was charged {eur} EUR, there is no "
              "booking"),
    ("17:21", ":x: Payout batch {sha} refused: IBAN of carrier 4{nn} is "
              "closed"),
]


def payments(day):
    rng = generator("payments")
    good, warn = Deck(rng, PAYMENTS_GOOD), Deck(rng, PAYMENTS_WARNING)
    for clock in times(rng, 7.2, 18.8, 36):
        text = ":heavy_check_mark: " + fill(rng, good.deal())
        if rng.random() < 0.6:
            day.webhook(clock, "payments", "paydesk", text)
        else:
            day.app(clock, "payments", "paydesk", text, section(text, (), button(
                "Open", fill(rng, "https://pay.harbour.example/r/{sha}"))))
    for clock in times(rng, 7.6, 18.4, 14):
        text = ":warning: " + fill(rng, warn.deal())
        day.app(clock, "payments", "paydesk", text, section(text), context(
            "<!date^1794996000^{date_short} {time}|18 Nov, 10:00> · rule "
            + fill(rng, "P-{nnn}")))
    for clock, text in PAYMENTS_BAD:
        text = fill(rng, text)
        day.webhook(clock, "payments", "paydesk", text, [{
            "fallback": text, "color": RED, "pretext": "<!here> please look",
            "text": "Ledger and processor disagree &amp; need a person.",
            "footer": "Paydesk", "ts": 1794996000}])


# --- deployments ------------------------------------------------------------

DEPLOYED = REPOSITORIES["backend"] + REPOSITORIES["web"]

TROUBLED_DEPLOYS = {
    "slow": ":warning: *{name}* in {region}: health check of pod {pod} timed "
            "out, {n} of 12 replaced so far",
    "failed": ":x: *{name}* in {region}: pod {pod} never became ready, rolled "
              "back by itself after {minutes}",
}


def deployments(day):
    rng = generator("deployments")
    commits = {kind: Deck(rng, COMMITS[kind]) for kind in ("backend", "web")}
    version = {name: rng.randint(11, 60) for name in DEPLOYED}
    outcomes = Deck(rng, ["failed"] + ["slow"] * 2 + ["good"] * 9)
    for clock in times(rng, 7.5, 18.5, 40):
        if "14:52" < clock < "15:30":   # the release manager asked for quiet
            continue
        service = rng.choice(DEPLOYED)
        version[service] += 1
        author, subject = commits[
            "web" if service == "web-console" else "backend"].deal()
        name = f"{service} 2026.11.{version[service]}"
        region = rng.choice(["staging", "staging", "fra", "tyo", "iad"])
        outcome = outcomes.deal()
        if outcome != "good":
            day.webhook(clock, "backend", "slipway", fill(
                rng, TROUBLED_DEPLOYS[outcome], name=name, region=region))
            continue
        text = fill(rng, f":rocket: *{name}* is live in {region} after "
                    "{minutes}")
        day.app(clock, "backend", "slipway", text,
                section(f"{text}\n&gt; {escape(subject)}"),
                context(f"by {author}", fill(rng, "`{sha}`")),
                actions(button("Diff", fill(
                    rng, "https://git.harbour.example/compare/{sha}?a=1&b=2")),
                    button("Roll back", "https://deploy.harbour.example/undo",
                           "danger")))


# --- store reviews ----------------------------------------------------------

REVIEWS = [
    (5, "App Store, Germany", "Endlich!", "Umbuchen im Zug, in zwei Minuten "
        "erledigt. So muss das sein."),
    (4, "Google Play, Portugal", "Boa app", "Rápida e clara, falta só o "
        "bilhete no relógio."),
    (5, "App Store, Japan", "とても便利", "新幹線と飛行機をまとめて予約できて助かり"
        "ます。"),
    (3, "Google Play, UK", "Nearly there", "Seat map is lovely but tiny on my "
        "phone."),
    (2, "Google Play, Japan", "検索が固まる", "日本語で入力するとフリーズします。"
        "Pixel 8です。"),
    (5, "App Store, US", "Saved my trip", "Gate changed, the app told me "
        "before the screens did."),
    (4, "Google Play, Austria", "Gut & schnell", "Größere Schrift wäre nett."),
    (1, "Google Play, France", "Se ferme toute seule", "Depuis la mise à jour "
        "l'appli se ferme au moment de payer."),
    (1, "Google Play, Germany", "Stürzt ab", "Seit heute stürzt die App beim "
        "Bezahlen ab. Karte trotzdem belastet?!"),
    (1, "Google Play, UK", "Crashes at checkout", "Tried four times, it closes "
        "every single time."),
    (2, "App Store, Spain", "Error 502", "Me sale HTTP 502 al confirmar."),
    (1, "Google Play, Japan", "支払いでクラッシュ", "カードを選ぶと落ちます。"
        "早く直してください。"),
    (5, "App Store, Norway", "Takk!", "Offline tickets work in the tunnel."),
    (4, "Google Play, Germany", "Wieder gut", "Nach dem Update heute Nachmittag"
        " geht das Bezahlen wieder. Danke für die schnelle Hilfe!"),
    (5, "App Store, UK", "Fast fix", "Reported it at lunch, fixed by tea "
        "time."),
    (4, "Google Play, Brazil", "Muito bom", "Agora só falta o Pix :heart:"),
]

REVIEW_TIMES = ["07:19", "07:52", "08:24", "09:03", "09:41", "10:33", "12:08",
                "14:13", "14:20", "14:25", "14:31", "14:44", "16:05", "16:41",
                "17:27", "18:36"]


def reviews(day):
    for clock, (stars, store, title, text) in zip(REVIEW_TIMES, REVIEWS):
        mark = ":warning: " if stars == 1 else ""
        day.webhook(clock, "qa", "reviews",
                    f"{mark}{':star:' * stars} *{escape(title)}*\n"
                    f"&gt; {escape(text)}",
                    [{"fallback": f"{stars} of 5 in {store}",
                      "color": GREEN if stars > 3 else AMBER,
                      "footer": store, "service_name": "Store reviews"}])


# --- what comes by the HTTP interface ---------------------------------------

def nightly_log(rng):
    lines = [fill(rng, f"{hour:02d}:{rng.randint(0, 59):02d} {{nnn}} tests on "
                  "{host}, {n} retried") for hour in range(1, 7)]
    return "\n".join(["nightly 2026-11-18", *lines, "total 3 412 passed"])


def trace_payload(rng):
    return fill(rng, """\
2026-11-18T13:02:11Z INFO  importing timetable of carrier 4{nn}
2026-11-18T13:02:14Z WARN  row {nnnn}: departure after arrival, skipped
2026-11-18T13:02:19Z ERROR import stopped
Traceback (most recent call last):
  File "/srv/timetables/importer.py", line 212, in read_row
    stop = stops[row["stop_id"]]
           ~~~~~^^^^^^^^^^^^^^^^
KeyError: 'DE:02000:{nnnn}'
2026-11-18T13:02:19Z INFO  rolled back, yesterday's timetable stays""")


def by_http(day):
    rng = generator("by http")
    for clock, channel, title, text, payload in [
        ("07:03", "qa", "Nightly suite", ":white_check_mark: 3 412 of 3 412 "
         "passed", nightly_log(rng)),
        ("07:31", "releases", "Translation sync", "14 languages, 37 new "
         "strings", {"new": 37, "changed": 12, "missing": {"ja": 0, "de": 2,
                     "pt-BR": 1}, "untranslated": ["wallet.expired",
                                                   "seat.window"]}),
        ("08:12", "backend", "Database migration", "V213 applied to staging",
         "V213__add_expiry_to_cards.sql\nALTER TABLE cards ADD COLUMN expiry "
         "char(7);\nUPDATE 48121 rows\nin 3.4 s"),
        ("08:47", "devices", "Firmware watch", ":warning: Android 15 QPR2 on "
         "two Pixel 8, the others wait", {"updated": ["PX8-01", "PX8-04"],
                                         "waiting": 5}),
        ("09:20", "monitoring", "Cost report", "Yesterday 1 204 EUR, 3 % "
         "below plan", {"compute": 711.2, "storage": 188.4, "traffic": 304.4}),
        ("09:55", "payments", "Sandbox check", ":heavy_check_mark: 12 of 12 "
         "scenarios", {"processor": "Nordpay", "scenarios": 12, "last":
                       fill(rng, "{payment}"), "took_ms": 8123}),
        ("10:15", "qa", "Contract tests", ":heavy_check_mark: staging agrees "
         "with the contract", {"endpoints": 61, "checked": 61, "broken": 0}),
        ("10:47", "builds", "Dependency robot", "6 updates proposed",
         "okhttp 5.1.0 -> 5.2.1\nktor 3.2.3 -> 3.3.0\ncoil 3.2.0 -> 3.3.0\n"
         "netty 4.1.118 -> 4.1.124 (security)\npostgres 42.7.7 -> 42.7.8\n"
         "junit 5.13 -> 6.0"),
        ("11:15", "monitoring", "Certificate check", "9 hosts looked at",
         {"api.harbour.example": 71, "img.harbour.example": 12,
          "push.harbour.example": 90, "status.harbour.example": 88}),
        ("11:44", "backend", "Load test", ":warning: p99 above the goal: 1 840 "
         "ms instead of 1 500", {"scenario": "black-friday-rehearsal",
                                 "users": 2000, "p50_ms": 61, "p95_ms": 402,
                                 "p99_ms": 1840, "timeouts": 17}),
        ("12:20", "releases", "Screenshots", "96 store screenshots drawn anew",
         {"locales": 16, "devices": 6, "changed": 22}),
        ("13:02", "backend", "Timetable import", ":x: carrier feed could not "
         "be read", trace_payload(rng)),
        ("13:35", "qa", "Accessibility scan", ":white_check_mark: no new "
         "finding on 38 screens", {"screens": 38, "known": 4, "new": 0}),
        ("14:17", "monitoring", "Pod watcher", ":x: checkout-api lost a pod",
         "Last State: Terminated\n  Reason:    OOMKilled\n  Exit Code: 137\n"
         "  Started:   Wed, 18 Nov 2026 14:12:41 +0000\n"
         "  Finished:  Wed, 18 Nov 2026 14:16:58 +0000\n"
         "kernel: Out of memory: Killed process 2711 (java) "
         "total-vm:6291456kB"),
        ("14:49", "releases", "Feature flag", "`checkout_summary_v2` was set "
         "to *off* by Noah Clarke", {"flag": "checkout_summary_v2", "from":
                                     {"default": True, "rollout": 100},
                                     "to": {"default": False},
                                     "reason": "HRB-3871"}),
        ("15:04", "payments", "Refund helper", ":heavy_check_mark: 212 double "
         "holds released", {"released": 212, "failed": 0, "first":
                            fill(rng, "{payment}"), "sum_eur": 30841.15}),
        ("15:28", "devices", "Smoke run 8.14.1", ":white_check_mark: 22 of 22 "
         "devices", {"passed": 22, "failed": 0, "slowest": "Moto G54"}),
        ("15:47", "qa", "Visual comparison", "3 pictures differ, all wanted",
         {"compared": 412, "differ": ["checkout/summary@de", "checkout/"
                                      "summary@ja", "settings/about"]}),
        ("16:12", "tokyo", "翻訳チェック", ":heavy_check_mark: 未翻訳の文言は"
         "ありません", {"言語": "ja", "文言": 2211, "未翻訳": 0}),
        ("16:39", "backend", "Secret scan", ":warning: a key was printed into "
         "a build log", {"rule": "aws-access-key", "found":
                         "AKIAFAKEFAKEFAKE0001", "where": "deploy.log:2"}),
        ("17:02", "monitoring", "Status page", "Incident »payments on Android«"
         " closed after 52 minutes", {"components": ["checkout", "Android"],
                                      "subscribers": 4127}),
        ("17:33", "payments", "Ledger", ":warning: 1 entry without a partner",
         {"entry": fill(rng, "{payment}"), "amount": "189.40",
          "card": "4111 1111 1111 1111 (test card)"}),
        ("18:05", "berlin", "Raumklima", "Testlabor: 21,4 °C, 46 % Luftfeuchte",
         {"co2_ppm": 612}),
        ("18:30", "qa", "Coverage of the week", "Manual 212 of 230 cases, "
         "automated 3 412", {"manual": {"done": 212, "planned": 230},
                             "automated": 3412}),
        ("18:50", "builds", "Cache cleaner", "41 GB freed on pool-b", None),
    ]:
        day.posted(clock, channel, title, text, payload)
