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
#include "program.h"
#include "record_loop.h"
#include "signals.h"
#include "snapshot.h"
#include "summary.h"

#define SNAPSHOT_US 1000000

static const struct program_option option_list[] = {
	{ "snapshot", 's', "FILE", "keep the counts here, go on from them" },
	{ "summary", 'S', NULL, "print a table on stderr at the end" },
	{ NULL, 0, NULL, NULL },
};

static const struct program program = {
	.name = "stats",
	.synopsis = "[--snapshot FILE] [--summary]",
	.purpose = "Count the records that pass, unchanged, from standard input"
	    " to standard output.",
	.example = "stats --summary < day.ndjson > /dev/null",
	.options = option_list,
};

struct options {
	const char *snapshot_path;
	bool summary;
};

struct stats {
	struct options options;
	struct counters *counters;
	int64_t start_us;
	int64_t saved_us;	/* when the snapshot was written */
	int64_t saved_records;	/* how many records it knows */
};

static struct options
parse_options(int argc, char *argv[])
{
	struct options options = { 0 };
	int key;

	while ((key = program_option(&program, argc, argv)) != -1) {
		if (key == 's')
			options.snapshot_path = optarg;
		else
			options.summary = true;
	}
	program_no_arguments(&program, argc, argv);
	return options;
}

static void
count(struct record *record, void *arg)
{
	struct stats *stats = arg;

	counters_take(stats->counters, record);
}

static void
save(struct stats *stats)
{
	snapshot_save(stats->options.snapshot_path, stats->counters);
	stats->saved_records = stats->counters->records;
	stats->saved_us = clock_now_us();
}

/* Save when a second has passed since the last time; a failure is retried. */
static int
save_in_time(void *arg)
{
	struct stats *stats = arg;

	if (stats->options.snapshot_path == NULL ||
	    stats->saved_records == stats->counters->records)
		return -1;

	int64_t passed_us = clock_now_us() - stats->saved_us;
	if (passed_us >= 0 && passed_us < SNAPSHOT_US)
		return (int)((SNAPSHOT_US - passed_us) / 1000) + 1;
	save(stats);
	return -1;
}

static int
prepare(struct stats *stats)
{
	if (stats->options.snapshot_path == NULL)
		return 0;
	stats->counters->counts_once = true;
	return snapshot_load(stats->options.snapshot_path, stats->counters);
}

static void
finish(struct stats *stats)
{
	if (stats->options.snapshot_path != NULL)
		save(stats);
	if (stats->options.summary)
		summary_print(stats->counters,
		    (double)(clock_now_us() - stats->start_us) / 1e6, stderr);
}

int
main(int argc, char *argv[])
{
	static const char *const own[] = { NULL };
	static const struct filter filter = {
		.name = "stats", .own = own, .handle = count,
		.before_wait = save_in_time,
	};
	struct stats stats = {
		.options = parse_options(argc, argv),
		.counters = counters_new(),
		.start_us = clock_now_us(),
	};

	int status = EX_CONFIG;

	if (prepare(&stats) == 0) {
		status = record_loop(&filter, &stats);
		finish(&stats);
	}
	counters_free(stats.counters);
	if (signals_want_stop())
		signals_die();
	return status;
}
