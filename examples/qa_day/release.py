"""The story of the day: release 8.14.0 goes wrong at 14:10, 8.14.1 heals it."""
from .slack import (actions, button, context, divider, forwarded, header,
                    image, section, table)

STEPS = [
    ("09:02", ":white_check_mark: Harbour Android 8.14.0-rc2 uploaded to the "
              "internal track, 48.2 MB"),
    ("09:06", ":white_check_mark: Harbour iOS 8.14.0 (8140312) is in "
              "TestFlight, 112 testers were told"),
    ("10:02", ":clipboard: Checklist 8.14.0: 17 of 21 points done"),
    ("11:02", ":hourglass_flowing_sand: Harbour iOS 8.14.0 is in review"),
    ("11:40", ":warning: Google Play: the data safety form changed, please "
              "confirm by Friday"),
    ("12:26", ":white_check_mark: Harbour iOS 8.14.0 was approved"),
    ("12:58", ":white_check_mark: Harbour Android 8.14.0 signed off by "
              "<@U0MARTA01> and <@U0KENJI03>"),
    ("13:04", ":ship: Harbour Android 8.14.0: staged rollout begins at 1 %"),
    ("13:32", ":ship: Harbour Android 8.14.0: rollout 1 % → 5 %"),
    ("13:50", ":ship: Harbour iOS 8.14.0: phased release, day 1 of 7"),
    ("14:01", ":ship: Harbour Android 8.14.0: rollout 5 % → 20 %"),
    ("14:23", ":warning: Harbour Android 8.14.0: rollout *halted* at 20 % by "
              "<@U0NOAH009>"),
    ("14:24", ":x: Release health 8.14.0: crash-free users 96.1 %, gate is "
              "99.5 %"),
    ("14:51", ":white_check_mark: Flag `checkout_summary_v2` is off for all "
              "users of 8.14.0"),
    ("15:06", ":hammer_and_wrench: Branch `hotfix/8.14.1` was cut from "
              "`release/8.14`"),
    ("15:09", ":warning: 8.14.1-rc1: one required check is still missing "
              "(device farm)"),
    ("15:22", ":white_check_mark: Harbour Android 8.14.1 uploaded, expedited "
              "review asked for"),
    ("15:30", ":ship: Harbour Android 8.14.1: rollout begins at 5 %, replaces "
              "8.14.0"),
    ("16:02", ":ship: Harbour Android 8.14.1: rollout 5 % → 20 %"),
    ("16:46", ":white_check_mark: Release health 8.14.1: crash-free users "
              "99.81 %"),
    ("17:04", ":ship: Harbour Android 8.14.1: rollout 20 % → 50 %"),
    ("18:12", ":calendar: Tomorrow: 8.14.1 to 100 % at 09:00 UTC if the night "
              "is quiet"),
]


def store_bot(day):
    """The release bot's lines, and the threads people hang below them."""
    posts = {}
    for clock, text in STEPS:
        if "Checklist" in text:
            posts[clock] = checklist(day, clock, text)
        elif "rollout" in text:
            posts[clock] = day.app(
                clock, "releases", "shipwright", text, section(text),
                actions(button("Console", "https://play.harbour.example/8140"),
                        button("Halt", "https://play.harbour.example/halt",
                               "danger")))
        else:
            posts[clock] = day.webhook(clock, "releases", "shipwright", text)
    halt_thread(day, posts["14:23"])
    hotfix_thread(day, posts["15:30"])
    summary(day)
    return posts


def checklist(day, clock, text):
    return day.app(
        clock, "releases", "shipwright", text,
        header("Release checklist 8.14.0"),
        table(["Point", "Who", "State"],
              ["Regression, Android", "Marta", "done"],
              ["Regression, iOS", "Tomás", "done"],
              ["Japanese input", "Kenji", "in work"],
              ["Store texts, 14 languages", "Lena", "done"],
              ["Payment smoke test", "Sofia", "done"],
              ["Rollback rehearsed", "Dan", "open"]),
        divider(), context("17 of 21 · <https://wiki.harbour.example/release|"
                           "how we release>"))


def halt_thread(day, halted):
    for clock, who, text in [
        ("14:24:30", "marta", "Thank you. Three testers see it as well: saved "
         "card, *expired*, open the summary, gone."),
        ("14:26", "jonas", "On it. `expiry` comes as `null` now for expired "
         "cards, `CardRow` trusts it."),
        ("14:28", "aisha", "That's us: since 13:55 the card vault leaves the "
         "field out instead of sending \"01/1970\". :face_palm:"),
        ("14:30", "dan", "And the app retries the 502s in a tight loop. That "
         "explains the OOMs of checkout-api."),
        ("14:33", "noah", "Decision: flag `checkout_summary_v2` off first, "
         "8.14.1 with the null check today. <@U0JONAS05> code, <@U0MARTA01> "
         "verification, <@U0DAN0011> backend."),
        ("14:34", "jonas", "```\n-  val label = card.expiry.monthValue\n"
         "+  val label = card.expiry?.monthValue ?: return expiredLabel()\n"
         "```\nPR in five minutes."),
        ("14:41", "sofia", "212 customers hold a reservation on their card "
         "without a booking. I release those by script after the fix."),
        ("14:47", "kenji", "東京でも再現しました。期限切れカードのみです。"),
    ]:
        day.reply(clock, halted, who, text)
    day.broadcast("14:52", halted, "noah", "Flag is off since 14:49. Crashes "
                  "fall already. :crossed_fingers: Please no other deploys "
                  "until 15:30.")


def hotfix_thread(day, resumed):
    for clock, who, text in [
        ("15:31", "marta", "Verified on 22 devices: expired card, no card, two "
         "cards, card removed while the summary is open. :white_check_mark:"),
        ("15:33", "tomas", "iOS never had it: we decode `expiry` as optional "
         "since 2023. Checked anyway."),
        ("15:36", "dan", "checkout-api is calm, no restart since 14:50, errors "
         "back to 0.02 %."),
        ("15:44", "noah", "20 % at 16:00 then. Thanks all, that was quick. "
         ":clap:"),
    ]:
        day.reply(clock, resumed, who, text)


def summary(day):
    text = "What happened today, in one picture"
    day.app("17:12", "releases", "shipwright", "",
            header("Timeline of HRB-3871"),
            section(text, [("Began", "14:08 UTC"), ("Halted", "14:23 UTC"),
                           ("Flag off", "14:49 UTC"), ("Healed",
                                                       "15:30 UTC")]),
            image("https://charts.harbour.example/hrb-3871.png",
                  "Crash-free users from 13:00 to 16:00", "Crash-free users"),
            section("Customers affected: *4 127* · double holds released: "
                    "*212 of 212* :white_check_mark:"))


def forwards(day, posts, files):
    """Messages carried from one channel into another."""
    halted = posts["14:23"]
    day.say("14:25", "qa", "noah", "<!channel> rollout is stopped, please do "
            "not start new sessions on 8.14.0",
            attachments=[forwarded(halted, "Shipwright")])
    healed = posts["16:46"]
    day.say("16:49", "backend", "dan", "",
            attachments=[forwarded(healed, "Shipwright")])
    report = day.share("14:15", "crashes", "lena",
                       "Altona, echtes Gerät: App weg beim Öffnen der "
                       "Übersicht :x:", files["checkout"])
    day.say("14:17", "backend", "jonas", "Same frame as in the reports, with "
            "the log:", attachments=[forwarded(report, "Lena Hofmann")])
