/*
 * slack-reader: turns what Slack says into records, the first stage of the
 * pipeline. Today it reads recordings; each source writes what it has through
 * a stamp (stamp.h) and leaves by itself when TERM or INT asks for it.
 */
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "program.h"
#include "replay.h"
#include "signals.h"

#define SPEED_LEAST 0.1
#define SPEED_MOST 1e6
#define GAP_LEAST_S 0.001
#define GAP_MOST_S 1e8

enum {
	KEY_REPLAY = 'r',
	KEY_SPEED = 's',
	KEY_LOOP = 'l',
	KEY_LIMIT = 'n',
	KEY_MAX_GAP = 256,
	KEY_BURST,
	KEY_FIRST_SEQ,
	KEY_AFTER,
	KEY_CLOCK
};

static const struct program program = {
	.name = "slack-reader",
	.synopsis = "--replay FILE|FOLDER|- [--speed FACTOR|max] [--loop]\n"
	    "    [--max-gap SECONDS] [--burst N] [--limit N] [--first-seq N]"
	    " [--after SEQ]\n    [--clock TIME]",
	.purpose = "Turns recorded Slack JSON of any form into records, one a"
	    " line.",
	.example = "slack-reader --replay day.ndjson --speed 60 |"
	    " scanner --patterns p",
	.options = (const struct program_option[]){
		{ "replay", KEY_REPLAY, "FILE",
		    "a file, an export's folder, or - (standard input)" },
		{ "speed", KEY_SPEED, "FACTOR",
		    "times the recorded speed, or max (1)" },
		{ "max-gap", KEY_MAX_GAP, "SECONDS",
		    "never wait longer than this (no limit)" },
		{ "burst", KEY_BURST, "N",
		    "play the first N messages at once (0)" },
		{ "loop", KEY_LOOP, NULL, "begin again at the end, for ever" },
		{ "limit", KEY_LIMIT, "N", "stop after N records" },
		{ "first-seq", KEY_FIRST_SEQ, "N",
		    "the seq of the first record (1)" },
		{ "after", KEY_AFTER, "SEQ",
		    "go on behind the record with this seq" },
		{ "clock", KEY_CLOCK, "TIME",
		    "what `received` says (the time of day)" },
		{ 0 }
	},
};

static double
parse_speed(const char *text)
{
	if (strcmp(text, "max") == 0)
		return 0;
	return program_seconds(&program, "speed", text, SPEED_LEAST,
	    SPEED_MOST);
}

static int64_t
parse_clock(const char *text)
{
	int64_t time_us;

	if (clock_parse(text, &time_us) == -1 || time_us < 0)
		program_usage(&program, "--clock: expected a time since 1970"
		    " such as 2026-11-22T10:00:00Z: %s", text);
	return time_us;
}

static void
take_option(int key, struct replay_options *options, struct stamp *stamp)
{
	switch (key) {
	case KEY_REPLAY:
		options->path = optarg;
		break;
	case KEY_SPEED:
		options->rhythm.factor = parse_speed(optarg);
		break;
	case KEY_MAX_GAP:
		options->rhythm.gap_max_s = program_seconds(&program,
		    "max-gap", optarg, GAP_LEAST_S, GAP_MOST_S);
		break;
	case KEY_BURST:
		options->rhythm.burst = program_count(&program, "burst",
		    optarg, 0, INT64_MAX);
		break;
	case KEY_LOOP:
		options->loop = true;
		break;
	case KEY_LIMIT:
		options->limit = program_count(&program, "limit", optarg, 1,
		    INT64_MAX);
		break;
	case KEY_FIRST_SEQ:
		stamp->next_seq = program_count(&program, "first-seq", optarg,
		    1, INT64_MAX / 2);
		break;
	case KEY_AFTER:
		options->after = program_count(&program, "after", optarg, 0,
		    INT64_MAX / 2);
		break;
	case KEY_CLOCK:
		stamp->clock_us = parse_clock(optarg);
		break;
	}
}

int
main(int argc, char *argv[])
{
	struct replay_options options = {
		.rhythm.factor = 1,
		.limit = INT64_MAX,
	};
	struct stamp stamp = {
		.next_seq = 1,
		.clock_us = -1,
		.source = "replay",
	};
	int key;

	/* Where the parent ignored TERM, it is lost until here. */
	signals_catch();
	while ((key = program_option(&program, argc, argv)) != -1)
		take_option(key, &options, &stamp);
	program_no_arguments(&program, argc, argv);
	if (options.path == NULL)
		program_usage(&program, "nothing to read: give --replay FILE");
	/* What is opened next would take the place of a closed output. */
	if (fcntl(STDOUT_FILENO, F_GETFD) == -1)
		err(EX_IOERR, "standard output");

	return replay_run(&options, &stamp);
}
