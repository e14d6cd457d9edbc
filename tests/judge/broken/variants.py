"""Programs that break a law each, for a judge that has to notice.

A replacement is a file, text that stands in it exactly once, and what stands
there instead. Where a program changes so that the text is not found, the
variant must follow: the same law is to be broken in its new words.
"""
import typing


class Variant(typing.NamedTuple):
    program: str
    sentence: str       # what it does wrong
    finds: str          # who is to catch it, and by which fault
    replacements: list  # of (path, old, new)


VARIANTS = {
    "stats-answers-first": Variant(
        "stats",
        "Answers lines before what they count is in the log, so that the"
        " counts since the last snapshot die with it.",
        "conservation in stats: kill -9 of stats under load",
        [("stats/ledger.c",
          "	if (store(ledger) == -1) {\n",
          "	if (false && store(ledger) == -1) {\n")]),

    "reader-acks-first": Variant(
        "slack-reader",
        "Acknowledges Slack and answers the inbox at once, and writes the"
        " journal 0.3 s later.",
        "conservation: kill -9 of slack-reader under load",
        [("slack-reader/door.c",
          "	if (!write_waiting(door, all))\n"
          "		return;\n"
          "	if (journal_commit(door->journal) == 0)\n"
          "		tell_accepted(door);\n"
          "	else\n"
          "		tell_refused(door, errno);\n",
          "	static int64_t due_ms;\n"
          "	bool any = write_waiting(door, all);\n"
          "\n"
          "	tell_accepted(door);\n"
          "	if (any && due_ms == 0) {\n"
          "		due_ms = clock_steady_ms() + 300;\n"
          "		timers_set(door->settings.timers, &door->retry, 310);\n"
          "	}\n"
          "	if (!all && (due_ms == 0 || clock_steady_ms() < due_ms))\n"
          "		return;\n"
          "	due_ms = 0;\n"
          "	if (journal_commit(door->journal) == -1)\n"
          "		tell_refused(door, errno);\n")]),

    "keep-forgets": Variant(
        "keep",
        "Starts a dead stage again without the lines that it had not"
        " answered.",
        "conservation: a stage that is stopped and then killed as hung (a mere"
        " kill -9 seldom finds a line that is not answered yet), or poison",
        [("keep/keeper_life.c",
          "	timers_cancel(keeper->timers, &keeper->patience);\n"
          "	window_rewind(keeper->window);\n",
          "	timers_cancel(keeper->timers, &keeper->patience);\n"
          "	while (window_is_waiting(keeper->window))\n"
          "		window_drop_head(keeper->window);\n")]),

    "keep-passes-halves": Variant(
        "keep",
        "Passes the unfinished last answer of a dead stage on, and the"
        " whole one behind it.",
        "integrity: a stage that dies within an answer (poison.py: half)",
        [("keep/keeper_life.c",
          "	buffer_free(&keeper->unfinished);\n"
          "	timers_cancel(keeper->timers, &keeper->patience);\n",
          "	buffer_append(downstream_lines(keeper->downstream),\n"
          "	    keeper->unfinished.data, keeper->unfinished.length);\n"
          "	buffer_free(&keeper->unfinished);\n"
          "	timers_cancel(keeper->timers, &keeper->patience);\n")]),

    "classifier-rewrites": Variant(
        "classifier",
        "Writes another first letter into the text of each twentieth"
        " record.",
        "integrity: no fault is needed",
        [("lib/record_loop.c",
          "	record_write(loop->record, &loop->out);\n",
          "	static unsigned number;\n"
          "	size_t before = loop->out.length;\n"
          "	char *text;\n"
          "\n"
          "	record_write(loop->record, &loop->out);\n"
          "	text = memmem(loop->out.data + before,\n"
          "	    loop->out.length - before, \"\\\"text\\\":\\\"\", 8);\n"
          "	if (text != NULL && text[8] > ' ' && text[8] != '\"' &&\n"
          "	    text[8] != '\\\\' && number++ % 20 == 19)\n"
          "		text[8] = text[8] == 'x' ? 'y' : 'x';\n"),
         ("lib/record_loop.c",
          "#include <stdio.h>\n",
          "#include <stdio.h>\n#include <string.h>\n")]),

    "classifier-swaps": Variant(
        "classifier",
        "Swaps the first two answers of each second batch.",
        "order: no fault is needed, events of one channel close together",
        [("lib/record_loop.c",
          "	return answers->length == 0 ||",
          "	static struct buffer swapped;\n"
          "	static unsigned number;\n"
          "	const char *data = answers->data;\n"
          "	const char *end = data + answers->length;\n"
          "	const char *one = (char *)memchr(data, '\\n',\n"
          "	    answers->length) + 1;\n"
          "	const char *two = memchr(one, '\\n', (size_t)(end - one));\n"
          "\n"
          "	if (two != NULL && number++ % 2 == 1) {\n"
          "		two++;\n"
          "		swapped.length = 0;\n"
          "		buffer_append(&swapped, one, (size_t)(two - one));\n"
          "		buffer_append(&swapped, data, (size_t)(one - data));\n"
          "		memcpy(answers->data, swapped.data, swapped.length);\n"
          "	}\n"
          "	return answers->length == 0 ||"),
         ("lib/record_loop.c",
          "#include <stdio.h>\n",
          "#include <stdio.h>\n#include <string.h>\n")]),

    "bot-forgets": Variant(
        "slack-bot",
        "Answers before the subscriptions are on disk.",
        "whom records are for: kill -9 of slack-bot while people talk to it",
        [("slack-bot/main.c",
          "	return book_commit(slack_bot->bot.book);\n",
          "	return false ? book_commit(slack_bot->bot.book) : 0;\n")]),
}
