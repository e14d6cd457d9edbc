/* `scanner --test` at work (man/scanner.1): records go in, a report comes out. */
#ifndef SLACK_BOT_SCANNER_RUN_H
#define SLACK_BOT_SCANNER_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

struct scanner_run {
	int input;
	int output;
	int pid;
	int64_t end_ms;		/* of the steady clock: no more is fed then */
	bool is_late;		/* that was so */
};

/*
 * Start the program for an expression and a list of places, spool may be NULL.
 * Returns 0, or -1 where it does not start.
 */
int scanner_run_start(struct scanner_run *run, const char *path,
    const char *expression, const char *places, const char *spool,
    int64_t timeout_ms);

/* Returns false where time is up. */
bool scanner_run_goes_on(struct scanner_run *run);

/* Returns false where no more is to be fed: time is up, or it has ended. */
bool scanner_run_feed(struct scanner_run *run, const char *bytes,
    size_t length);

/*
 * End it, and append its report. Returns 0, or -1 where there is none, as it
 * went wrong or had to be killed.
 */
int scanner_run_finish(struct scanner_run *run, struct buffer *report);

#endif
