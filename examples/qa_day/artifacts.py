"""What the files hold: logs, crash reports, test reports, archives.

Each function returns the bytes of one file. Keys, cards and hosts in them are
invented or those that vendors publish as examples.
"""
import gzip
import io
import json
import struct
import tarfile
import zipfile
import zlib

from .variety import DEVICES, Deck, fill, generator

FIXED = (2026, 11, 18, 6, 0, 0)         # the time of all archive members
FIXED_EPOCH = 1794981600

LOGCAT = [
    "D OkHttp  : --> GET https://api.harbour.example/v3/trips/{trip}",
    "D OkHttp  : <-- 200 https://api.harbour.example/v3/trips/{trip} ({ms}ms)",
    "D OkHttp  : <-- 304 https://cdn.harbour.example/img/{sha}.webp ({ms}ms)",
    "I HarbourNav: navigate SearchFragment -> ResultsFragment q={city}",
    "I HarbourNav: navigate ResultsFragment -> TripFragment {trip}",
    "D Analytics: screen_view name=results items={nn} first_paint={ms}ms",
    "I Choreographer: Skipped {nn} frames!  The application may be doing too "
    "much work on its main thread.",
    "D TripRepository: cache hit for {trip}, age {nnn}s",
    "D TripRepository: merged {nn} offers from {n} suppliers in {ms}ms",
    "W Glide   : Load failed for https://cdn.harbour.example/img/{sha}.webp "
    "with size [{nnn}x{nnn}]",
    "I com.example.harbour: Background concurrent copying GC freed {nnnn}(1"
    "MB) AllocSpace objects, {n}({nnn}KB) LOS objects, 48% free",
    "D WindowOnBackDispatcher: setTopOnBackInvokedCallback (unwrapped)",
    "I PushClient: token {sha}{sha} is still valid, next check in {nnn} min",
    "D FeatureFlags: checkout_summary_v2=true cohort={nn} source=remote",
    "D PriceFormatter: locale=de_DE amount={eur} currency=EUR",
    "I WM-WorkerWrapper: Worker result SUCCESS for Work [ id={sha}, tags={ "
    "com.example.harbour.sync.TripSyncWorker } ]",
    "W ResourceType: No package identifier when getting name for resource "
    "number 0x00000000",
    "D MapView : tiles loaded={nn} pending={n} zoom=12.{n}",
]

NULL_CARD = """\
E AndroidRuntime: FATAL EXCEPTION: main
E AndroidRuntime: Process: com.example.harbour, PID: {pid}
E AndroidRuntime: java.lang.NullPointerException: Attempt to invoke virtual \
method 'int java.time.YearMonth.getMonthValue()' on a null object reference
E AndroidRuntime: 	at com.example.harbour.checkout.CardRow.expiryLabel\
(CardRow.kt:87)
E AndroidRuntime: 	at com.example.harbour.checkout.CheckoutSummaryFragment.\
render(CheckoutSummaryFragment.kt:214)
E AndroidRuntime: 	at com.example.harbour.checkout.CheckoutSummaryFragment.\
access$render(CheckoutSummaryFragment.kt:41)
E AndroidRuntime: 	at kotlinx.coroutines.flow.FlowKt__CollectKt.collect\
(Collect.kt:50)
E AndroidRuntime: 	at android.os.Handler.dispatchMessage(Handler.java:107)
E AndroidRuntime: 	at android.os.Looper.loopOnce(Looper.java:249)
E AndroidRuntime: 	at android.app.ActivityThread.main(ActivityThread.java:8872)
W ActivityTaskManager:   Force finishing activity \
com.example.harbour/.checkout.CheckoutActivity
I Process : Sending signal. PID: {pid} SIG: 9"""

NATIVE_ABORT = """\
F libc    : Fatal signal 11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x18 \
in tid {pid} (RenderThread), pid {pid} (example.harbour)
F DEBUG   : *** *** *** *** *** *** *** *** *** *** *** *** *** *** *** ***
F DEBUG   : Build fingerprint: 'Sony/XQ-ES54/XQ-ES54:14/70.0.A.2.63:user'
F DEBUG   : signal 11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x18
F DEBUG   :       #00 pc 000000000003f1a4  libmapcore.so \
(map::TileCache::evict(unsigned int)+132)
F DEBUG   :       #01 pc 0000000000040bb8  libmapcore.so \
(map::Renderer::drawFrame()+716)"""

ANR = """\
E ActivityManager: ANR in com.example.harbour \
(com.example.harbour/.search.SearchActivity)
E ActivityManager: PID: {pid}
E ActivityManager: Reason: Input dispatching timed out \
(com.example.harbour/.search.SearchActivity is not responding. Waited 5004ms \
for MotionEvent)
E ActivityManager: Load: 9.{n} / 7.{n} / 4.{n}
E ActivityManager: ----- Output from /proc/pressure/memory -----
E ActivityManager: some avg10=3.{nn} avg60=2.{nn} avg300=0.{nn}
E ActivityManager: {nn}% 4121/com.example.harbour: {nn}% user + {n}% kernel"""

SERVER = [
    "INFO  [http-{nn}] c.e.h.checkout.QuoteController - quote {trip} "
    "{eur} EUR in {ms} ms trace={trace}",
    "INFO  [http-{nn}] c.e.h.checkout.PaymentController - captured {payment} "
    "{eur} EUR trace={trace}",
    "INFO  [kafka-{n}] c.e.h.events.Outbox - published booking.created "
    "{trip} partition={n} offset={nnnn}{nnn}",
    "DEBUG [http-{nn}] c.e.h.cards.CardClient - GET /v1/cards/{sha} 200 in "
    "{ms} ms",
    "INFO  [sched-1] c.e.h.pool.Metrics - hikari active={nn} idle={n} "
    "waiting=0",
    "WARN  [http-{nn}] c.e.h.http.Slow - POST /v3/checkout/confirm took "
    "{slow} ms trace={trace}",
    "INFO  [http-{nn}] access - {ip} \"POST /v3/checkout/confirm HTTP/1.1\" "
    "201 {nnn} {ms}ms",
    "INFO  [http-{nn}] access - {ip} \"GET /v3/cart HTTP/1.1\" 200 {nnnn} "
    "{ms}ms",
]

SERVER_ERRORS = [
    "ERROR [http-{nn}] c.e.h.cards.CardClient - upstream card-vault answered "
    "HTTP 503 after {slow} ms, attempt 3 of 3 trace={trace}",
    "ERROR [http-{nn}] c.e.h.http.Errors - unhandled, answering HTTP 502\n"
    "java.lang.IllegalStateException: card {sha} has no expiry\n"
    "\tat com.example.harbour.cards.CardMapper.toSummary(CardMapper.java:118)"
    "\n\tat com.example.harbour.checkout.SummaryService.build"
    "(SummaryService.java:64)\n"
    "\tat com.example.harbour.http.Router.dispatch(Router.java:203)\n"
    "\t... 14 more",
    "WARN  [http-{nn}] c.e.h.cards.CardClient - request to card-vault timed "
    "out after 3000 ms trace={trace}",
]

SERVER_OOM = """\
ERROR [http-41] c.e.h.http.Errors - unhandled
java.lang.OutOfMemoryError: Java heap space
	at java.base/java.util.Arrays.copyOf(Arrays.java:3537)
	at com.example.harbour.cards.RetryBuffer.append(RetryBuffer.java:52)
	at com.example.harbour.cards.CardClient.retry(CardClient.java:141)
Terminating due to java.lang.OutOfMemoryError: Java heap space"""


def stamped(rng, lines, start, step_ms, form):
    """Put a rising time in front of each entry; an entry may have lines."""
    hour, minute = map(int, start.split(":"))
    at = (hour * 60 + minute) * 60000
    out = []
    for entry in lines:
        at += rng.randint(1, 2 * step_ms)
        seconds, ms = divmod(at, 1000)
        clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}" \
                f":{seconds % 60:02d}"
        out.append(form(clock, ms, entry))
    return "\n".join(out) + "\n"


def logcat(name, start, count, *ends):
    """An Android log of so many lines, with what ends says at its end."""
    rng = generator(name)
    pid = rng.randint(4000, 19000)
    deck = Deck(rng, LOGCAT)
    lines = [fill(rng, deck.deal()) for _ in range(count)]
    for end in ends:
        lines += fill(rng, end, pid=pid).split("\n")
        lines += [fill(rng, deck.deal()) for _ in range(count // 20)]

    def form(clock, ms, entry):
        tid = pid if entry[0] in "EF" else rng.randint(pid, pid + 60)
        return f"11-18 {clock}.{ms:03d} {pid:5d} {tid:5d} {entry}"
    begin = "--------- beginning of main\n"
    return (begin + stamped(rng, lines, start, 90, form)).encode()


def server_log(name, start, count, error_share=0.0, end=None):
    rng = generator(name)
    good, bad = Deck(rng, SERVER), Deck(rng, SERVER_ERRORS)
    lines = [fill(rng, (bad if rng.random() < error_share else good).deal())
             for _ in range(count)]
    if end:
        lines.append(end)
    return stamped(rng, lines, start, 160, lambda clock, ms, entry:
                   f"2026-11-18T{clock}.{ms:03d}Z {entry}").encode()


def anr_traces():
    rng = generator("traces")
    threads = ['"main" prio=5 tid=1 Blocked\n'
               '  | group="main" sCount=1 ucsCount=0 flags=1 obj=0x72a5b4c0\n'
               "  at com.example.harbour.search.SuggestionStore.query"
               "(SuggestionStore.kt:58)\n"
               "  - waiting to lock <0x0b6f1c3a> (a java.lang.Object) held by "
               "thread 23\n"
               "  at com.example.harbour.search.SearchViewModel.onQuery"
               "(SearchViewModel.kt:132)\n"
               "  at android.os.Handler.dispatchMessage(Handler.java:107)"]
    for tid in range(2, 44):
        kind = rng.choice(["OkHttp TaskRunner", "DefaultDispatcher-worker",
                           "glide-source-thread", "arch_disk_io", "binder"])
        state = rng.choice(["Waiting", "TimedWaiting", "Native", "Runnable"])
        threads.append(
            f'"{kind}-{rng.randint(1, 9)}" prio=5 tid={tid} {state}\n'
            f'  | sysTid={rng.randint(4100, 4300)} nice=0 cgrp=top-app\n'
            + fill(rng, "  native: #00 pc 000000000004e{n}5c  libc.so "
                   "(syscall+28)\n  native: #01 pc 00000000003{nnn}a0  "
                   "libart.so (art::ConditionVariable::WaitHoldingLocks+140)"
                   "\n  at java.lang.Object.wait(Native method)\n"
                   "  at java.lang.Thread.run(Thread.java:1119)"))
    return ("Subject: ANR in com.example.harbour, Input dispatching timed out"
            "\n\n----- pid 4121 at 2026-11-18 07:41:12.88+0900 -----\n"
            "Cmd line: com.example.harbour\n\n"
            + "\n\n".join(threads) + "\n\n----- end 4121 -----\n").encode()


def ios_crash(name, device, exception, top_frames):
    rng = generator(name)
    frames = list(top_frames)
    while len(frames) < 26:
        frames.append(fill(rng, rng.choice([
            "UIKitCore  {hex} -[UIApplication sendEvent:] + {nnn}",
            "CoreFoundation  {hex} __CFRunLoopDoSource0 + {nnn}",
            "libdispatch.dylib  {hex} _dispatch_main_queue_drain + {nnn}",
            "SwiftUI  {hex} ViewGraph.updateOutputs(at:) + {nnn}",
            "QuartzCore  {hex} CA::Transaction::commit() + {nnn}"])))
    images = "\n".join(fill(rng, f"{{hex}} - {{hex}} {image} arm64e "
                            "<{sha}{sha}{sha}{sha}>")
                       for image in ["Harbour", "UIKitCore", "SwiftUI",
                                     "CoreFoundation", "libdispatch.dylib",
                                     "libsystem_kernel.dylib", "CFNetwork"])
    others = "\n\n".join(
        f"Thread {number}:\n" + "\n".join(
            f"{i}   " + fill(rng, "libsystem_kernel.dylib  {hex} "
                             "__workq_kernreturn + 8") for i in range(3))
        for number in range(1, 9))
    stack = "\n".join(f"{i:<3} {frame}" for i, frame in enumerate(frames))
    return fill(rng, f"""\
Incident Identifier: {{sha}}-5D1E-4C1A-9C11-{{sha}}0a7f
Hardware Model:      {device}
Process:             Harbour [{{pid}}]
Identifier:          com.example.harbour
Version:             8.14.0 (8140312)
Date/Time:           2026-11-18 15:12:41.0911 +0100
OS Version:          iPhone OS 26.1 (23B85)

{exception}

Thread 0 Crashed:: Dispatch queue: com.apple.main-thread
{stack}

{others}

Binary Images:
{images}
""").encode()


SUITES = {
    "checkout": ["appliesVoucherOnce", "keepsCartAfterLogin",
                 "showsTaxForEachCountry", "rejectsExpiredCard",
                 "roundsHalfCentsUp", "remembersSeatChoice"],
    "search": ["findsCityWithUmlaut", "acceptsKanjiInput", "sortsByDuration",
               "filtersByCarrier", "restoresScrollPosition"],
    "login": ["signsInWithPasskey", "locksAfterFiveAttempts",
              "renewsTokenInBackground", "signsOutEverywhere"],
    "trips": ["downloadsTicketForOffline", "showsGateChange",
              "cancelsWithRefund", "addsToWallet", "splitsGroupBooking"],
    "settings": ["switchesLanguageAtOnce", "respectsLargestFont",
                 "exportsPersonalData"],
}


def junit(name, package, rounds, failures=()):
    """A JUnit report; failures are (test, message, stack)."""
    rng = generator(name)
    failed = {test: (message, stack) for test, message, stack in failures}
    suites, total = [], 0
    for suite, tests in SUITES.items():
        cases = []
        for device, system in rng.sample(DEVICES, rounds):
            for test in tests:
                seconds = rng.randint(80, 9000) / 1000
                case = (f'    <testcase classname="{package}.{suite}.'
                        f'{suite.title()}Test" name="{test}[{device}]" '
                        f'time="{seconds:.3f}"')
                if test in failed:
                    message, stack = failed.pop(test)
                    case += (f'>\n      <failure message="{message}">\n{stack}'
                             "\n      </failure>\n    </testcase>")
                else:
                    case += "/>"
                cases.append(case)
        total += len(cases)
        bad = sum("<failure" in case for case in cases)
        suites.append(f'  <testsuite name="{suite}" tests="{len(cases)}" '
                      f'failures="{bad}" timestamp="2026-11-18T06:41:00">\n'
                      + "\n".join(cases) + "\n  </testsuite>")
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<testsuites name="{name}" tests="{total}" '
            f'failures="{len(failures)}">\n'
            + "\n".join(suites) + "\n</testsuites>\n").encode()


def api_report(name, base, failing=()):
    """A JSON report of contract tests against an API."""
    rng = generator(name)
    results = []
    for method, path in [("GET", "/v3/trips"), ("GET", "/v3/cart"),
                         ("POST", "/v3/checkout/quote"),
                         ("POST", "/v3/checkout/confirm"),
                         ("GET", "/v1/cards"), ("PUT", "/v1/profile"),
                         ("DELETE", "/v1/sessions"), ("GET", "/v2/search")]:
        for case in ["happy path", "without token", "unknown id",
                     "empty body", "unicode names", "wrong media type"]:
            failed = (path, case) in failing
            result = {"name": f"{method} {path}: {case}",
                      "status": "failed" if failed else "passed",
                      "duration_ms": rng.randint(21, 640),
                      "request_id": fill(rng, "{trace}")}
            if failed:
                result["error"] = {
                    "expected": 422, "actual": 500,
                    "message": "HTTP 500 from checkout-api: card has no expiry"
                }
            results.append(result)
    report = {"suite": name, "target": base, "started":
              "2026-11-18T12:30:00Z", "total": len(results),
              "failed": len(failing), "results": results}
    return (json.dumps(report, indent=1) + "\n").encode()


def load_report():
    rng = generator("load")
    points = [{"minute": minute, "users": min(2000, 100 * minute),
               "rps": 40 * min(20, minute) + rng.randint(-9, 9),
               "p50_ms": rng.randint(48, 66), "p95_ms": rng.randint(180, 260),
               "p99_ms": rng.randint(390, 610), "errors": rng.choice([0, 0, 1])}
              for minute in range(1, 61)]
    return json.dumps({"scenario": "black-friday-rehearsal", "region": "fra1",
                       "points": points}, indent=1).encode()


def har():
    """Traffic of one checkout as a proxy on the tester's desk saw it."""
    rng = generator("har")
    entries = []
    for number in range(26):
        path, status = rng.choice([("/v3/cart", 200), ("/v1/cards", 200),
                                   ("/v3/trips", 200), ("/v2/search", 304)])
        entries.append({
            "startedDateTime": f"2026-11-18T14:16:{number * 2:02d}.120Z",
            "time": rng.randint(30, 400),
            "request": {"method": "GET", "url":
                        f"https://api.harbour.example{path}",
                        "headers": [{"name": "X-Trace", "value":
                                     fill(rng, "{trace}")}]},
            "response": {"status": status, "httpVersion": "HTTP/2"}})
    entries[21]["request"] = {
        "method": "POST", "url":
        "https://api.harbour.example/v3/checkout/confirm", "postData": {
            "mimeType": "application/json", "text":
            '{"card":"4111 1111 1111 1111","cvc":"737","amount":"189.40"}'}}
    entries[21]["response"] = {"status": 502, "statusText": "Bad Gateway",
                               "httpVersion": "HTTP/2", "content": {
                                   "text": "HTTP 502: upstream card-vault"}}
    return json.dumps({"log": {"version": "1.2", "creator": {
        "name": "Proxyman", "version": "5.21"}, "entries": entries}},
        indent=1).encode()


def device_matrix():
    rng = generator("matrix")
    rows = ["device,os,build,suite,passed,failed,flaky,minutes"]
    for device, system in DEVICES:
        for suite in SUITES:
            total = rng.randint(18, 60)
            failed = rng.choice([0] * 9 + [1, 2])
            rows.append(f"{device},{system},8.14.0-rc2,{suite},"
                        f"{total - failed},{failed},"
                        f"{rng.choice([0, 0, 0, 1])},"
                        f"{rng.randint(20, 190) / 10}")
    return ("\n".join(rows) + "\n").encode()


def reconciliation():
    rng = generator("reconciliation")
    rows = ["payment;booked;currency;ours;processor;difference;state"]
    for _ in range(150):
        amount = rng.randint(900, 64000) / 100
        off = rng.choice([0] * 30 + [0.01])
        rows.append(fill(rng, "{payment};2026-11-17;EUR;") +
                    f"{amount:.2f};{amount - off:.2f};{off:.2f};" +
                    ("open" if off else "matched"))
    return ("\r\n".join(rows) + "\r\n").encode()


def test_cases_ja():
    """A spreadsheet export in Japanese, with a byte order mark."""
    rows = ["番号,画面,手順,期待結果,結果,備考"]
    screens = ["検索", "検索結果", "予約詳細", "支払い", "設定", "通知"]
    steps = [("日本語入力で「札幌」と入力する", "候補が1秒以内に表示される"),
             ("画面を回転する", "入力内容が保持される"),
             ("機内モードにして再読み込みする", "オフライン表示になる"),
             ("文字サイズを最大にする", "文言が切れない"),
             ("通知を許可しないで戻る", "再度確認されない"),
             ("戻るジェスチャーを連続で行う", "アプリが終了しない")]
    rng = generator("test cases")
    for number in range(1, 73):
        step, expected = rng.choice(steps)
        result = rng.choice(["OK"] * 11 + ["NG"])
        note = "キーボード表示中にフリーズ" if result == "NG" else ""
        rows.append(f"{number},{rng.choice(screens)},{step},{expected},"
                    f"{result},{note}")
    return ("\ufeff" + "\r\n".join(rows) + "\r\n").encode()


def windows_driver_log():
    """The desktop test driver logs as Windows does: UTF-16LE with a BOM."""
    rng = generator("driver")
    texts = ["INFO  session {sha} started on {host}",
             "INFO  tap #search-field at ({nnn},{nnn})",
             "INFO  screenshot {sha}.png taken in {ms} ms",
             "DEBUG element tree has {nnn} nodes, depth {nn}",
             "INFO  typed »Zürich Hbf« with layout de-CH",
             "WARN  element .offer-card found on attempt {n}"]
    lines = [fill(rng, rng.choice(texts)) for _ in range(110)]
    lines[71] = "ERROR wait for .price-total timed out after 30000 ms"
    lines[72] = "ERROR session aborted: WebDriverException: disconnected"
    text = stamped(rng, lines, "06:52", 900, lambda clock, ms, entry:
                   f"2026-11-18 {clock},{ms:03d} {entry}")
    return b"\xff\xfe" + text.replace("\n", "\r\n").encode("utf-16-le")


def printer_log():
    """A till printer of the station shop that knows ISO-8859-1 only."""
    rng = generator("printer")
    texts = ["Bon {nnnn} gedruckt, Läge {n}", "Papier für {nnn} Bons übrig",
             "Rückgabe gebucht: {eur} EUR", "Schublade geöffnet",
             "Prüfsumme bestätigt: {sha}"]
    lines = [fill(rng, rng.choice(texts)) for _ in range(90)]
    lines[60] = "Zeitüberschreitung: Kasse antwortet nicht (timeout 15 s)"
    return stamped(rng, lines, "09:05", 20000, lambda clock, ms, entry:
                   f"18.11.2026 {clock} {entry}").encode("iso-8859-1")


def soak_log():
    """A night of a phone on a train: more time-outs than anyone reads."""
    rng = generator("soak")
    lines = []
    for number in range(330):
        if number % 4:
            lines.append(fill(rng, "sync {sha}: connect to {ip}:443 timed out "
                              "after 10 s, retry in {nn} s"))
        else:
            lines.append(fill(rng, "sync {sha}: ok, {nn} trips, {kb} kB"))
    return stamped(rng, lines, "01:10", 30000, lambda clock, ms, entry:
                   f"{clock} {entry}").encode()


def load_script_output():
    rng = generator("locust")
    rows = "\n".join(fill(rng, f"{kind:<34} {{nnnn}}  0(0.00%) | {{ms}} {{nn}} "
                          "{slow} {ms}") for kind in [
        "GET /v2/search", "GET /v3/trips", "GET /v3/cart",
        "POST /v3/checkout/quote", "POST /v3/checkout/confirm"])
    return (f"""\
[2026-11-18 11:20:04] starting 200 users at 20/s against staging
Name                               # reqs  fails | avg min max med
{rows}
[2026-11-18 11:31:40] worker 3 lost
Traceback (most recent call last):
  File "/opt/load/harbour/checkout.py", line 88, in confirm
    total = Decimal(quote["total"]["amount"])
            ~~~~~^^^^^^^^^
TypeError: 'NoneType' object is not subscriptable
[2026-11-18 11:31:41] 1 of 8 workers gone, going on with 175 users
""").encode()


def deploy_debug_log():
    """Somebody forgot `set +x`; the keys are the ones of AWS's manuals."""
    rng = generator("deploy")
    steps = "".join(fill(rng, f"+ step {number}/40 digest {{sha}}{{sha}} "
                         "done in {ms} ms\n") for number in range(1, 41))
    return ("+ export AWS_REGION=eu-central-1\n"
            "+ export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n"
            "+ export AWS_SECRET_ACCESS_KEY=********\n" + steps +
            "-----BEGIN EC PRIVATE KEY-----\n"
            "bm90IGEga2V5LCBqdXN0IGFuIGV4YW1wbGUgZm9yIFVsdHJvbg==\n"
            "-----END EC PRIVATE KEY-----\n+ exit 0\n").encode()


def heap_summary():
    rng = generator("heap")
    rows = "\n".join(fill(rng, f"{name:<58} {{nnnn}}{{n}}  {{nnn}}.{{n}} MB")
                     for name in [
        "com.example.harbour.cards.RetryBuffer$Entry", "byte[]",
        "java.util.concurrent.ConcurrentHashMap$Node", "java.lang.String",
        "com.example.harbour.cards.CardRequest", "char[]",
        "io.netty.buffer.PoolChunk", "java.util.ArrayList"])
    return ("Heap summary of checkout-api-7c9d4-x2kqf at 2026-11-18T14:17:52Z"
            "\nReason: java.lang.OutOfMemoryError: Java heap space\n"
            "Class                                                      "
            "instances  retained\n" + rows + "\n\nSuspect: RetryBuffer keeps "
            "every request to card-vault until it is answered.\n").encode()


TEST_PROTOCOL = """\
# Prüfprotokoll 8.14.0-rc2, Bahnhof Hamburg-Altona

Gerät: Fairphone 5, Android 14, Netz: schwach (Tunnel Richtung Bahrenfeld)

| Schritt | Erwartet | Ergebnis |
|---|---|---|
| Fahrkarte kaufen, Karte hinterlegt | Beleg nach 3 s | ✅ 2,1 s |
| Fahrkarte kaufen, Karte abgelaufen | Hinweis, keine Buchung | ⚠️ Hinweis \
erst nach Drehen des Geräts |
| Ticket im Tunnel öffnen | Offline-Ansicht | ✅ |
| Größte Schrift | nichts abgeschnitten | ❌ »Zahlungspflichtig bestellen« \
läuft aus dem Knopf |

Nebenbei: Beim Wechsel WLAN → Mobilfunk lief einmal ein Aufruf in einen \
Timeout, danach ging alles.
"""


def png(width, height, paint):
    """A picture; paint(x, y) gives the red, green and blue of a pixel."""
    rows = b"".join(b"\0" + bytes(value for x in range(width)
                                  for value in paint(x, y))
                    for y in range(height))

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2,
                                       0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def checkout_screen(overflow):
    """A sketch of the checkout screen; the button's label may run over."""
    def paint(x, y):
        if y < 24:
            return 24, 62, 92
        if 200 <= y < 226 and 16 <= x < 128:
            return 31, 138, 112
        if 208 <= y < 216 and 26 <= x < (142 if overflow else 118):
            return 250, 250, 250 if x < 128 else 60
        if 40 <= y < 180 and 16 <= x < 128 and y % 28 < 4:
            return 120, 130, 140
        return 244, 246, 248
    return png(144, 240, paint)


def gz(content):
    return gzip.compress(content, 9, mtime=0)


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, FIXED), content,
                             zipfile.ZIP_DEFLATED, 9)
    return out.getvalue()


def tar_gz(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) \
            as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), FIXED_EPOCH
            archive.addfile(info, io.BytesIO(content))
    return gz(out.getvalue())
