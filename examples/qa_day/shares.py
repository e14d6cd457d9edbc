"""The files of the day and who shares them, when and where."""
from . import artifacts as make
from .spool import file_object


def farm_reports(spool):
    """Reports that the device farm attaches to its runs."""
    package = "com.example.harbour"
    return [
        spool.file("junit-android-nightly.xml", make.junit(
            "android nightly", package, 7), "mei"),
        spool.file("junit-ios-nightly.xml", make.junit(
            "ios nightly", "HarbourUITests", 5), "mei"),
        spool.file("simulator-logs.tar.gz", make.tar_gz({
            "iphone-se/app.log": make.server_log("se", "06:10", 120),
            "ipad-air/app.log": make.server_log("ipad", "06:12", 120),
            "README": b"logs of the simulators, one folder each\n"}), "mei"),
        spool.file("device-matrix.csv", make.device_matrix(), "mei"),
        spool.file("smoke-8.14.1.json", make.api_report(
            "smoke 8.14.1", "https://api.harbour.example"), "mei"),
    ]


def nightly_shards():
    """The night ran in two shards; each put its logs into an archive."""
    return make.zipped({
        "shard-1.zip": make.zipped({
            "logcat.txt": make.logcat("shard 1", "05:02", 220)}),
        "shard-2.zip": make.zipped({
            "logcat.txt": make.logcat("shard 2", "05:03", 220, make.ANR),
            "tunnel/logcat.txt": make.logcat("tunnel", "05:40", 90)})})


def morning(day, spool):
    day.share("07:06", "devices", "mei", "Logs of the night, one archive per "
              "shard. Shard 2 hung once. :warning:",
              spool.file("shards.zip", nightly_shards(), "mei"))
    day.share("07:45", "tokyo", "kenji", "ANR のトレースです :warning:",
              spool.file("traces-pixel8.txt", make.anr_traces(), "kenji"),
              spool.file("logcat-pixel8-検索.txt", make.logcat(
                  "pixel8", "07:38", 210, make.ANR), "kenji"))
    day.share("08:40", "qa", "marta", "Desktop run of tonight, the driver lost "
              "its session once. (It writes UTF-16, of course.)",
              spool.file("driver-desktop.log", make.windows_driver_log(),
                         "marta"))
    day.share("09:28", "payments", "sofia", "Reconciliation of yesterday, five "
              "open cents", spool.file("reconciliation-2026-11-17.csv",
                                       make.reconciliation(), "sofia"))
    day.share("09:50", "tokyo", "yuki", "試験項目書、午前の分です。",
              spool.file("試験項目書_8.14.0.csv", make.test_cases_ja(), "yuki"))
    day.share("10:18", "berlin", "lena", "Kassendrucker, ein Tag Protokoll. "
              "Immer noch Latin-1 :older_man:",
              spool.file("kassendrucker.log", make.printer_log(), "lena"))
    day.share("10:44", "crashes", "kenji", "Xperia、地図を拡大中に落ちました。"
              "tombstone 付きの bugreport です。",
              spool.file("bugreport-xperia10.zip", make.zipped({
                  "logcat.txt": make.logcat("xperia", "10:31", 260,
                                            make.NATIVE_ABORT),
                  "anr/traces.txt": make.anr_traces()[:3000],
                  "build.prop": b"ro.product.model=XQ-ES54\n"
                                b"ro.build.version.release=14\n"}), "kenji"))
    day.share("11:06", "qa", "lena", "Nacht im ICE: the sync log of one phone, "
              "mostly tunnels", spool.file("sync-soak-ice.log",
                                           make.soak_log(), "lena"))
    day.share("11:48", "backend", "aisha", "", spool.file(
        "locust-output.txt", make.load_script_output(), "aisha", "snippet"),
        spool.file("load-report.json", make.load_report(), "aisha"))
    day.share("12:10", "berlin", "lena", "Prüfprotokoll Altona, ein Knopf ist "
              "zu schmal", spool.file("prüfprotokoll-altona.md",
                                      make.TEST_PROTOCOL.encode(), "lena",
                                      "snippet"),
              spool.file("knopf-größte-schrift.png",
                         make.checkout_screen(True), "lena"))
    day.share("12:34", "qa", "priya", "The two red ones are in here",
              spool.file("contract-staging.json", make.api_report(
                  "contract staging", "https://staging.harbour.example", {
                      ("/v3/checkout/quote", "unknown id"),
                      ("/v1/cards", "unknown id")}), "priya"))
    day.share("12:45", "qa", "tomas", "Unit tests of the branch, two failures "
              "that I understand", spool.file("junit-wallet.xml", make.junit(
                  "wallet", "HarbourTests", 3, [
                      ("addsToWallet", "XCTAssertEqual failed",
                       "PassLayoutTests.swift:61: (\"B22\") is not equal to "
                       "(\"B 22\")"),
                      ("respectsLargestFont", "timed out after 10 s",
                       "SettingsTests.swift:104: waiting for expectation")]),
                  "tomas"))


def incident(day, spool):
    """The files of the afternoon; returns those that others refer to."""
    checkout = spool.file("logcat-fairphone5-checkout.txt", make.logcat(
        "checkout", "14:06", 300, make.NULL_CARD), "lena")
    day.share("14:14", "qa", "yuki", "クラッシュのログです。AQUOS と Pixel 8、"
              "同じところで落ちます。",
              spool.file("logcat-aquos.txt", make.logcat(
                  "aquos", "14:09", 160, make.NULL_CARD), "yuki"))
    day.share("14:19", "backend", "dan", ":warning: checkout-api around the "
              "first OOM, and what the heap looked like",
              spool.file("checkout-api-7c9d4.log.gz", make.gz(make.server_log(
                  "oom", "14:09", 700, 0.18, make.SERVER_OOM)), "dan"),
              spool.file("heap-summary.txt", make.heap_summary(), "dan"))
    day.share("14:22", "qa", "priya", "Proxy recording of one checkout, entry "
              "22 is the 502", spool.file("checkout.har", make.har(), "priya"))
    day.share("14:37", "qa", "tomas", "iOS for comparison: not the same bug, "
              "this one is the seat map",
              spool.file("Harbour-2026-11-18-151241.crash", make.ios_crash(
                  "seat map", "iPhone14,4",
                  "Exception Type:  EXC_BAD_ACCESS (SIGSEGV)\nException "
                  "Subtype: KERN_INVALID_ADDRESS at 0x0000000000000018\n"
                  "Triggered by Thread:  0", [
                      "Harbour  0x104a1c2d8 SeatMapLayer.draw(in:) + 312 "
                      "(SeatMapLayer.swift:203)",
                      "QuartzCore  0x18f22b4c0 CA::Layer::display_() + 88"]),
                  "tomas"))
    return {"checkout": checkout}


def afternoon(day, spool):
    day.share("15:26", "qa", "mei", "8.14.1, summary with an expired card, as "
              "it should be :white_check_mark:",
              spool.file("summary-8.14.1.png", make.checkout_screen(False),
                         "mei"))
    day.share("15:56", "crashes", "lena", "Fairphone once more with 8.14.1, "
              "clean until the end. (And the old log again for HRB-3871.)",
              spool.file("logcat-fairphone5-8.14.1.txt", make.logcat(
                  "healed", "15:48", 240), "lena"),
              spool.file("HRB-3871.txt", make.logcat(
                  "checkout", "14:06", 300, make.NULL_CARD), "lena"))
    day.share("16:36", "backend", "aisha", "Here is the log, look at line 2 "
              ":warning:", spool.file("deploy.log", make.deploy_debug_log(),
                                      "aisha"))
    day.share("17:30", "qa", "marta", "Console of the last run. It is empty, "
              "which is the bug.", spool.file("console-output.txt", b"",
                                              "marta"))
    day.share("16:23", "qa", "priya", "And a file name that would like to be "
              "more", spool.file("\"><img src=x onerror=alert(1)>.txt",
                                 b"The name is the attack, not the text.\n",
                                 "priya"),
              spool.file("../../etc/passwd.txt",
                         b"Nothing to see here, this is just a name.\n",
                         "priya"))


def out_of_reach(day):
    """Files that no spool holds, each for a reason of its own."""
    day.share("08:50", "releases", "noah", "Release plan, in Drive", {
        **file_object("Release plan 8.14.pdf", 0, "noah", "external"),
        "is_external": True, "external_type": "gdrive",
        "external_url": "https://drive.google.com/file/d/1ExAmPlE/view",
        "url_private": "https://drive.google.com/file/d/1ExAmPlE/view",
        "url_private_download": ""})
    day.share("09:34", "crashes", "jonas", "Log of the old crash, for "
              "reference", {"id": "F0GONE00001", "mode": "tombstone"})
    day.share("10:08", "payments", "sofia", "The 2024 report was here", {
        "id": "F0HIDDEN001", "mode": "hidden_by_limit", "created": 0,
        "timestamp": 0, "user": ""})
    day.share("11:17", "payments", "sofia", "From Nordpay's shared channel", {
        "id": "F0CONNECT01", "mode": "file_access", "file_access":
        "check_file_info", "created": 0, "timestamp": 0, "user": ""})
    day.share("13:45", "qa", "tomas", "Ghost touches, four minutes of film "
              ":ghost:", file_object("ghost-touches-ipad.mp4", 83886080,
                                     "tomas"))
    day.share("14:33", "crashes", "yuki", "画面録画もあります。",
              file_object("aquos-screen.mp4", 4210688, "yuki"))
    day.share("17:37", "berlin", "jonas", "Messprotokoll vom Akku, fast 9 "
              "Stunden", file_object("akku-messung.csv", 188416, "jonas"))
