/*
 * stats: counts the records that pass; a table for people at the end, a
 * snapshot file for machines at least each second while something changes.
 */
#include <err.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "clock.h"
#include "counters.h"
#include "ledger.h"
#include "program.h"
#include "record_loop.h"
#include "signals.h"
#include "summary.h"

static const struct program_option option_list[] = {
	{ "snapshot", 's', "FILE", "keep the counts here, go on from them" },
	{ "passed", 'p', NULL, "all answered before has left: note it, end" },
	{ "summary", 'S', NULL, "print a table on stderr at the end" },
	{ NULL, 0, NULL, NULL },
};

static const struct program program = {
	.name = "stats",
	.synopsis = "[--snapshot FILE [--passed]] [--summary]",
	.purpose = "Count the records that pass, unchanged, from standard input"
	    " to standard output.",
	.example = "stats --summary < day.ndjson > /dev/null",
	.options = option_list,
};

struct options {
	const char *snapshot_path;
	bool passed;
	bool summary;
};

struct stats {
	struct options options;
	struct counters *counters;
	struct ledger *ledger;	/* NULL: without a snapshot */
	int64_t start_us;
};

static struct options
parse_options(int argc, char *argv[])
{
	struct options options = { 0 };
	int key;

	while ((key = program_option(&program, argc, argv)) != -1) {
		if (key == 's')
			options.snapshot_path = optarg;
		else if (key == 'p')
			options.passed = true;
		else
			options.summary = true;
	}
	program_no_arguments(&program, argc, argv);
	if (options.passed && options.snapshot_path == NULL)
		program_usage(&program, "--passed needs --snapshot");
	return options;
}

static void
count(struct record *record, void *arg)
{
	struct stats *stats = arg;
	bool is_counted = counters_take(stats->counters, record);

	if (is_counted)
		counters_time(stats->counters, record);
	if (stats->ledger != NULL)
		ledger_take(stats->ledger, record, is_counted);
}

static int
commit(void *arg)
{
	struct stats *stats = arg;

	return stats->ledger != NULL ? ledger_commit(stats->ledger) : 0;
}

static int
save_in_time(void *arg)
{
	struct stats *stats = arg;

	return stats->ledger != NULL ? ledger_save_in_time(stats->ledger) : -1;
}

static int
prepare(struct stats *stats)
{
	if (stats->options.snapshot_path == NULL)
		return EX_OK;
	signals_catch();	/* a limit on files is met like a full disk */
	stats->counters->counts_once = true;
	stats->ledger = ledger_new(stats->options.snapshot_path,
	    stats->counters);
	return ledger_load(stats->ledger, stats->options.passed);
}

/* Where not all was answered the log knows better than a last snapshot. */
static int
finish(struct stats *stats, int status)
{
	if (stats->ledger != NULL && status == EX_OK &&
	    ledger_finish(stats->ledger) == -1)
		status = EX_IOERR;
	if (stats->options.summary)
		summary_print(stats->counters,
		    (double)(clock_now_us() - stats->start_us) / 1e6, stderr);
	return status;
}

int
main(int argc, char *argv[])
{
	static const char *const own[] = { NULL };
	static const struct filter filter = {
		.name = "stats", .own = own, .handle = count,
		.commit = commit, .before_wait = save_in_time,
	};
	struct stats stats = {
		.options = parse_options(argc, argv),
		.counters = counters_new(),
		.start_us = clock_now_us(),
	};

	int status = prepare(&stats);

	if (status == EX_OK && !stats.options.passed) {
		status = record_loop(&filter, &stats);
		status = finish(&stats, status);
	}
	ledger_free(stats.ledger);
	counters_free(stats.counters);
	if (signals_want_stop())
		signals_die();
	return status;
}
