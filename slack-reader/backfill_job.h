/*
 * What was missed in one channel: its history is fetched and handed over, the
 * oldest first, then what came into its threads.
 */
#ifndef SLACK_READER_BACKFILL_JOB_H
#define SLACK_READER_BACKFILL_JOB_H

#include <stdint.h>

#include "backfill.h"
#include "backfill_report.h"
#include "threads.h"

/*
 * History is read on so far into the past, for threads that go on; but not more
 * pages for it than that: older ones are known by having been active.
 */
#define BACKFILL_LOOK_BACK_S (24 * 3600)
#define BACKFILL_LOOK_BACK_PAGES 5

enum backfill_outcome {
	BACKFILL_DONE,		/* and safe, or cannot be done */
	BACKFILL_LATER,		/* must be done anew */
	BACKFILL_FORBIDDEN	/* the token is of no use */
};

struct backfill_job;

/* All is borrowed. */
struct backfill_job_settings {
	const struct backfill_settings *common;
	struct backfill_report *report;
	struct threads *threads;
	const char *channel;
	const char *channel_type;
	int64_t since_us;
	int64_t until_us;
	int64_t given_us;	/* history up to then was handed over before */

	/* History up to then is handed over and safe. */
	void (*given)(int64_t given_us, void *arg);

	/* Called once; the job is to be freed then, also in the call. */
	void (*ended)(enum backfill_outcome outcome, void *arg);
	void *arg;
};

struct backfill_job *backfill_job_new(
    const struct backfill_job_settings *settings);
void backfill_job_free(struct backfill_job *job);

/* There is room again, or what was taken is safe; cheap where none waits. */
void backfill_job_go_on(struct backfill_job *job);

/* Does the error tell of a scope, so that other calls may go well? */
bool backfill_job_is_scope(const struct slack_reply *reply);

#endif
