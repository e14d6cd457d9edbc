"""What people say: (clock, channel, who, text, replies).

Replies are (clock, who, text). The texts are mrkdwn as Slack stores it, with
&amp;, &lt; and &gt; escaped; the rich_text blocks are made from them.
"""
TALK = [
    ("07:02", "tokyo", "yuki", "お疲れさまです。8.14.0-rc1 の検索で、日本語変換中に"
     "画面が固まります。Pixel 8 です。", [
        ("07:04", "kenji", "再現しました。5秒ほどフリーズして、そのあと戻ります。"),
        ("07:09", "yuki", "「さっぽろ」の変換候補が出ているときだけです。確定後は"
         "大丈夫です :thinking_face:"),
        ("07:44", "kenji", "メインスレッドで候補を検索しているようです。トレースを"
         "添付します。"),
    ]),
    ("07:12", "tokyo", "kenji", "午後の割り当て:\n• 検索 → <@U0YUKI004>\n"
     "• 支払い → 私\n• 通知 → 明日", []),
    ("07:26", "tokyo", "yuki", "福岡空港の表記ゆれ、直っていました :white_check_mark:"
     "「福岡」「ふくおか」「FUK」全部OKです。", []),
    ("07:40", "berlin", "lena", "Guten Morgen! Bin heute in Altona im Tunnel, "
     "Netz weg = Test läuft :metro:", [
        ("07:46", "jonas", "Nimm bitte das Fairphone mit, auf dem Pixel haben "
         "wir den Fall schon."),
        ("07:51", "lena", "Ist eingepackt. Und Handschuhe, letztes Mal waren "
         "es 3 Grad."),
    ]),
    ("08:01", "qa", "marta", "Morning <!here>! Today is *8.14.0 day*. Plan:\n"
     "• rc2 at 09:00, regression until 12:30\n• sign-off 13:00\n• rollout 1 % "
     "→ 5 % → 20 % until 14:00\nAnything strange goes into <#C0CRASHES1|"
     "crashes>, even if small.", [
        ("08:03", "priya", "I take login and the support chat."),
        ("08:04", "tomas", "iOS: wallet, seat map, Dynamic Type."),
        ("08:07", "mei", "22 devices online, rack B looks shaky though."),
        ("08:10", "kenji", "東京チームは検索と支払いを見ます。IME の件は "
         "HRB-3860 です。"),
    ]),
    ("08:15", "backend", "aisha", "Card vault 5.2 goes live at 13:50 UTC. It "
     "stops sending the fake `01/1970` expiry for expired cards. Contract says "
     "the field is optional, shout if you rely on it.", [
        ("08:22", "dan", "Do we have a contract test for that one?"),
        ("08:24", "aisha", "For the vault yes, for the apps no. It *is* "
         "documented as optional since v4."),
    ]),
    ("08:29", "qa", "priya", "Support chat: a message with `&lt;b&gt;` shows "
     "as `&amp;lt;b&amp;gt;`. Escaped twice, HRB-3866.", [
        ("08:35", "tomas", "Better twice than never :sweat_smile:"),
    ]),
    ("08:44", "berlin", "jonas", "Kotlin 2.2.20 ist drin, der Build ist gut 40 "
     "Sekunden schneller :tada:", []),
    ("08:53", "tokyo", "kenji", "アンケート結果: 検索速度の満足度 4.2 → 4.5 "
     ":chart_with_upwards_trend:", []),
    ("09:08", "qa", "marta", "rc2 is out. Sheet for results: "
     "<https://docs.example.com/sheets/8140-regression|8.14.0 regression>. "
     "Please write the *build number* next to each failure.", [
        ("09:13", "lena", "Bei mir läuft rc2, Nummer 8140312."),
        ("09:15", "yuki", "8140312 で開始しました。"),
    ]),
    ("09:19", "backend", "dan", "push-gateway had a hiccup with APNs, nothing "
     "lost: 212 pushes delivered with 90 s delay.", []),
    ("09:31", "qa", "tomas", "Seat map with the largest font: legend is fixed, "
     "looks _good_ now :heart_eyes:", []),
    ("09:37", "qa", "priya", "Passkey login on the iPhone SE needs two taps. "
     "Once per install only, so I filed it as minor.", [
        ("09:45", "tomas", "Known: the sheet opens before the keyboard is "
         "gone. Fix is planned for 8.15."),
    ]),
    ("09:58", "berlin", "lena", "Tunnel-Test: Ticket offline ist da, "
     "*Umbuchen* zeigt sauber »keine Verbindung« :heavy_check_mark:", []),
    ("10:05", "qa", "mei", "Rack B drops devices again, I think it is the USB "
     "hub and not the phones.", [
        ("10:42", "mei", "Yes: hub is dead. Spare one is in the cellar."),
        ("11:21", "mei", "Replaced, all 22 are back. Old hub smells like "
         "toast :bread:"),
    ]),
    ("10:11", "backend", "aisha", "Question for QA: does anybody use the "
     "`X-Debug-Cart` header? If x &lt; 1 % of staging traffic I remove it.", [
        ("10:14", "marta", "Exploratory sessions do. Give us until December?"),
        ("10:16", "aisha", "Deal."),
    ]),
    ("10:28", "payments", "sofia", "Split payments now round half-even. If "
     "you see a cent wandering, tell me &amp; send the `pay_…` id.", [
        ("10:40", "priya", "pay_Q7hTz20LmXw4Ke: 3 × 33.33 + 0.01, where does "
         "the cent go?"),
        ("10:46", "sofia", "To the first traveller. As agreed with finance."),
    ]),
    ("10:37", "tokyo", "yuki", "支払い画面、PayPay も d払い も問題ありません。", []),
    ("10:51", "qa", "lena", "`SearchFlowTest.restoresScrollPosition` is flaky "
     "again, third time this week. I'd rather delete it than rerun it.", [
        ("10:55", "jonas", "It waits for an animation. Give me half an hour."),
        ("11:33", "jonas", "Rewritten without the sleep: 200 of 200 runs "
         "green."),
        ("11:35", "lena", ":bow: Danke!"),
    ]),
    ("11:03", "releases", "noah", "Reminder: rollback was last rehearsed in "
     "August. <@U0DAN0011> ten minutes before noon?", [
        ("11:05", "dan", "11:45 works."),
        ("11:58", "dan", "Done: halt + previous version live again after 4 "
         "minutes. The runbook had one dead link, fixed."),
    ]),
    ("11:13", "berlin", "jonas", "Wer hat den Adapter vom Messplatz? "
     ":eyes:", [
        ("11:16", "lena", "Liegt beim Drucker. Der Drucker druckt übrigens "
         "wieder »Prüfsumme bestätigt« statt Belegen."),
    ]),
    ("11:30", "qa", "marta", "Half-time: 148 of 230 cases, 3 open failures, "
     "none of them blocks. :muscle:", []),
    ("11:47", "backend", "aisha", "Load test on staging: one worker died with "
     "a `TypeError`, the rest went on. Quote was `None`, output below.", []),
    ("12:01", "berlin", "lena", "Mittag? Die Pizzeria hat wieder auf "
     ":pizza:", [
        ("12:03", "jonas", "Bin dabei. 12:15 unten."),
        ("12:04", "sofia", "Anche io!"),
    ]),
    ("12:33", "qa", "priya", "Contract run against staging: two red, `POST "
     "/v3/checkout/quote` *unknown id* and `GET /v1/cards` *unknown id*. Both "
     "answer HTTP 500 :warning:", [
        ("12:38", "aisha", "Staging has vault 5.2 already, mapper isn't ready. "
         "Fix is merged, deploys at 13:20."),
        ("12:40", "priya", "But production is fine until 13:50?"),
        ("12:42", "aisha", "Yes. Hm. I will move the mapper up front."),
    ]),
    ("12:50", "releases", "marta", "QA signs off 8.14.0 for Android: 230 of "
     "230, 4 known minors: HRB-3861, HRB-3866, HRB-3867, HRB-3869.", []),
    ("12:54", "releases", "kenji", "東京も承認します。IME の件 (HRB-3860) は rc2 で"
     "修正済みです。", []),
    ("13:06", "releases", "noah", "1 % it is. Next look at 13:30.", []),
    ("13:21", "qa", "tomas", "Does anyone have an iPad with a cracked screen? "
     "I need ghost touches. _Seriously._", [
        ("13:24", "mei", "Drawer 4. It types »jjjjjj« on its own."),
        ("13:26", "tomas", "Perfect :ghost:"),
    ]),
    ("13:38", "payments", "sofia", "Nordpay announces a maintenance window "
     "tonight, 02:00–02:20 UTC. Cards go over the second processor.", []),
    ("13:56", "backend", "aisha", "Card vault 5.2 is live in all regions. "
     "Graphs look normal.", []),
    ("14:04", "releases", "noah", "20 % now. If it stays quiet I go for "
     "coffee.", [
        ("14:11", "noah", "It does not stay quiet."),
    ]),
    ("14:09", "qa", "lena", "Ähm: my app just closed itself on the summary. "
     "Twice. Anyone else?", [
        ("14:10", "marta", "Which card? Mine closes with the *expired* test "
         "card only."),
        ("14:11", "lena", "Yes! Expired in 10/26."),
        ("14:12", "priya", "Reproduced on Pixel 6a. `FATAL EXCEPTION: main`, "
         "NPE in `CardRow.expiryLabel`. :x:"),
        ("14:13", "yuki", "こちらでもクラッシュします。ログを送ります。"),
    ]),
    ("14:13", "backend", "dan", "<!here> checkout-api: 502s, pods get "
     "OOMKilled one after the other. Anything deployed?", [
        ("14:15", "aisha", "Only vault 5.2 at 13:50."),
        ("14:18", "dan", "Heap is full of `RetryBuffer$Entry`. The app "
         "hammers us with retries."),
        ("14:22", "aisha", "Vault answers HTTP 503 because of *us*. Scaling it "
         "by two."),
        ("14:32", "dan", "Retry budget set to 10 %. Memory falls."),
        ("15:01", "dan", "Last restart was at 14:50. Calling it stable "
         ":ok_hand:"),
    ]),
    ("14:20", "payments", "sofia", "Authorisations without capture climb. "
     "I stop the dunning mails so nobody gets one today. :warning:", []),
    ("14:27", "qa", "priya", "Stack from the Galaxy S22:\n```\n"
     "java.lang.NullPointerException: Attempt to invoke virtual method "
     "'int java.time.YearMonth.getMonthValue()' on a null object reference\n"
     "    at com.example.harbour.checkout.CardRow.expiryLabel(CardRow.kt:87)\n"
     "    at com.example.harbour.checkout.CheckoutSummaryFragment.render"
     "(CheckoutSummaryFragment.kt:214)\n```\nOnly if `expiry == null &amp;&amp;"
     " cards.size &gt; 0`.", [
        ("14:29", "jonas", "Thanks, exactly the line I am looking at."),
    ]),
    ("14:38", "berlin", "lena", "Support fragt: was sagen wir den Leuten?", [
        ("14:40", "sofia", "»Reservierung wird heute noch freigegeben, bitte "
         "nicht noch einmal bezahlen.«"),
        ("14:43", "lena", "Danke, geht so raus."),
    ]),
    ("14:55", "qa", "marta", "Crash count of the last five minutes: 41, 17, 6, "
     "2, 0. Flag works :relieved:", []),
    ("15:02", "releases", "jonas", "PR for 8.14.1: "
     "<https://git.harbour.example/harbour-android/pull/5127|#5127>. One line "
     "and three tests.", [
        ("15:05", "tomas", "Approved."),
        ("15:07", "priya", "Approved, I tried it with all nine test cards."),
        ("15:12", "jonas", "CI failed once for lack of an emulator, second run "
         "is green."),
    ]),
    ("15:16", "qa", "mei", "All 22 devices are reserved for 8.14.1, nothing "
     "else runs until 15:30.", []),
    ("15:40", "tokyo", "kenji", "8.14.1 確認しました。期限切れカードでも落ちません "
     ":white_check_mark: もう帰ります、お疲れさまでした。", [
        ("15:43", "marta", "Thank you for staying so late! :pray:"),
    ]),
    ("15:50", "payments", "sofia", "All 212 holds are released, last one is "
     "pay_b8Rk3VxN51tYqa. Dunning mails are on again.", []),
    ("16:00", "qa", "marta", "Coffee, then a short look back at 17:00. Bring "
     "*facts*, no names. :coffee:", []),
    ("16:16", "backend", "aisha", "Contract test for `expiry: null` is in, for "
     "both apps this time.", [
        ("16:19", "tomas", "And one for a field nobody knows, please."),
        ("16:24", "aisha", "Good idea, HRB-3874."),
    ]),
    ("16:30", "qa", "lena", "Who owns the test card »expired 10/26«? It "
     "deserves a cake. :cake:", [
        ("16:32", "priya", "It expired on the 31st, so since then nobody "
         "tested a *valid* one with that number :joy:"),
    ]),
    ("16:42", "backend", "dan", "Somebody's deploy log has a key in it: "
     "`AKIAFAKEFAKEFAKE0001`. :warning: Please rotate, even if it's staging.",
     [("16:45", "aisha", "Mine, rotated. `set +x` was missing."),
      ("16:47", "dan", "Thanks! Log is removed from the build as well.")]),
    ("17:00", "qa", "marta", "*Looking back at HRB-3871*\n• 14:08 first crash, "
     "14:11 first alert, 14:23 halt: 15 minutes\n• the contract allowed it, "
     "no test knew it\n• retries without a budget made it worse\n&gt; A field "
     "that was always there is not a required field.\nNext: contract tests "
     "for optional fields, retry budget in the app, gate at 5 % for 60 "
     "minutes.", [
        ("17:06", "noah", "I change the rollout plan: 60 minutes at 5 % from "
         "now on."),
        ("17:09", "jonas", "Retry budget in the app: 8.15, HRB-3875."),
        ("17:15", "priya", "And expired cards move into the smoke test, "
         "today."),
        ("17:18", "marta", "Thank you, all. That was calm work."),
    ]),
    ("17:25", "berlin", "jonas", "Feierabend :wave: morgen früh gehe ich zum "
     "Zahnarzt, bin ab 10 da.", []),
    ("17:41", "backend", "dan", "Passkey journey from iad1 timed out three "
     "times, looks like their network. Watching.", [
        ("17:53", "dan", "Green again on its own."),
    ]),
    ("18:00", "qa", "priya", "Handover for Tokyo: 8.14.1 at 50 %, crash-free "
     "99.8 %. Please look at search with IME on the AQUOS once more.", []),
    ("18:20", "releases", "noah", "Night watch: me until 22:00, then "
     "<@U0KENJI03>. Nothing goes above 50 % before morning.", []),
    ("18:40", "qa", "marta", "Nightly starts at 19:00 with the new smoke test. "
     "Good night! :crescent_moon:", []),
]


def talk(day):
    """All conversations; returns their first messages by clock time."""
    first = {}
    for clock, channel, who, text, replies in TALK:
        parent = first[clock, who] = day.say(clock, channel, who, text)
        for at, name, answer in replies:
            day.reply(at, parent, name, answer)
    return first


def corrections(day, first):
    """Edits, link previews and deletions, as Slack tells of them."""
    day.edit("08:02", first["08:01", "marta"], first["08:01", "marta"]["text"]
             .replace("sign-off 13:00", "sign-off *12:50*"))
    day.unfurl("09:09", first["09:08", "marta"], {
        "from_url": "https://docs.example.com/sheets/8140-regression",
        "original_url": "https://docs.example.com/sheets/8140-regression",
        "service_name": "Example Docs", "title": "8.14.0 regression",
        "title_link": "https://docs.example.com/sheets/8140-regression",
        "text": "230 cases, 14 sheets", "fallback": "8.14.0 regression"})
    day.edit("14:14:30", first["14:13", "dan"], "<!here> checkout-api: HTTP "
             "502 for a third of all confirmations :x: and pods get OOMKilled "
             "one after the other. Anything deployed?")
    day.unfurl("15:03", first["15:02", "jonas"], {
        "from_url": "https://git.harbour.example/harbour-android/pull/5127",
        "service_name": "Git", "title": "#5127 Expired cards have no expiry",
        "title_link": "https://git.harbour.example/harbour-android/pull/5127",
        "fallback": "#5127 Expired cards have no expiry", "color": "6f42c1",
        "text": "+14 −1 · 3 tests · fixes HRB-3871"})
    day.edit("16:01", first["16:00", "marta"], "Coffee, then a short look back "
             "at 17:00 in *room Fjord*. Bring *facts*, no names. :coffee:",
             previous=[])
    joke = day.say("13:28", "berlin", "lena", "Freitag um 14 Uhr geht "
                   "bestimmt alles schief, ich spür's :crystal_ball:")
    day.delete("13:31", joke)
    key = day.say("16:35", "backend", "aisha", "weird, the deploy prints "
                  "AKIAFAKEFAKEFAKE0001 before it starts :warning:")
    day.delete("16:44", key)


def system_lines(day):
    day.notice("07:55", "devices", "tomas", "channel_join",
               "<@U0TOMAS07> has joined the channel")
    day.notice("08:00", "releases", "noah", "channel_topic", "<@U0NOAH009> set "
               "the channel topic: 8.14.0 today · halt first, ask later",
               topic="8.14.0 today · halt first, ask later")
    day.notice("10:20", "payments", "priya", "channel_join",
               "<@U0PRIYA02> has joined the channel", inviter="U0SOFIA10")
    day.notice("15:58", "releases", "noah", "channel_topic", "<@U0NOAH009> set "
               "the channel topic: 8.14.1 rolling out",
               topic="8.14.1 rolling out")
    day.notice("14:36:10", "crashes", "dan", "pinned_item",
               "<@U0DAN0011> pinned a message to this channel.")
    day.notice("12:16", "berlin", "jonas", "me_message",
               "hat schon bestellt, Margherita für alle")
    day.notice("14:56", "qa", "mei", "me_message", "breathes out")
    day.notice("18:56", "backend", "dan", "me_message",
               "hands the pager over to Tokyo :pager:")
