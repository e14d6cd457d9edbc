/* Recorded messages, sent on as if they came now. */
#ifndef SLACK_READER_REPLAY_H
#define SLACK_READER_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "rhythm.h"
#include "stamp.h"

struct replay_options {
	const char *path;	/* file, folder, or `-`; NULL: not given */
	struct rhythm rhythm;
	bool loop;		/* begin again at the end */
	int64_t limit;		/* records at most */
	int64_t after;		/* write none up to this seq */
	const char *status;	/* path of the status file, or NULL */
};

/*
 * Write the recording to standard output, stamped, until it ends or TERM or
 * INT asks for the end; the caller catches them (signals.h). Returns an exit
 * status, its reason reported.
 */
int replay_run(const struct replay_options *options, struct stamp *stamp);

#endif
