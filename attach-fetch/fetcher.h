/* The loop: records from standard input to standard output, with `fetched`. */
#ifndef ATTACH_FETCH_FETCHER_H
#define ATTACH_FETCH_FETCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hosts.h"
#include "spool.h"

/* All borrowed. */
struct fetcher_settings {
	const struct hosts *hosts;
	struct spool *spool;
	const char *token;	/* or NULL */
	const char *ca_file;	/* or NULL */
	bool is_offline;
	int64_t bytes_max;
	int64_t deadline_ms;
	size_t parallel;

	const char *inbox;	/* for late files, or NULL: there are none */
	int64_t late_deadline_ms;	/* beyond deadline_ms */
	const char *api_url;	/* or NULL: Slack's */
};

/*
 * Answer records until the input ends or a signal asks to stop
 * (signals_want_stop is true then). Returns an exit status, with the reason
 * reported.
 */
int fetcher_run(const struct fetcher_settings *settings);

#endif
