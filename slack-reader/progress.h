/* How far a replay has come, in one line on the terminal, or nothing. */
#ifndef SLACK_READER_PROGRESS_H
#define SLACK_READER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool is_shown;		/* to a person, that is */
	int64_t start_ns;
	int64_t drawn_ns;
};

/* What there is to show. */
struct progress_state {
	uint64_t records;
	uint64_t position;	/* bytes passed of size, 0: not known */
	uint64_t size;
	int wait_ms;		/* until the next record */
};

/* Shown where standard error is a terminal and the records go elsewhere. */
void progress_start(struct progress *progress);

/* Draw the line anew, unless that was less than a quarter second ago. */
void progress_show(struct progress *progress,
    const struct progress_state *state);

/* Remove the line; a last one says what there was in all. */
void progress_end(struct progress *progress, uint64_t records);

#endif
