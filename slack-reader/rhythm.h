/* When a recorded message is due, so that the gaps between them are kept. */
#ifndef SLACK_READER_RHYTHM_H
#define SLACK_READER_RHYTHM_H

#include <stdbool.h>
#include <stdint.h>

/* Set factor and gap_max_s; the rest is zero at the start. */
struct rhythm {
	double factor;		/* this much faster than recorded, 0: max */
	double gap_max_s;	/* longest single wait, 0: no limit */
	int64_t burst;		/* so many messages come at once at first */

	bool running;
	int64_t latest_us;	/* recorded time of the message before */
	int64_t due_ns;		/* when the message at hand is due */
};

/*
 * A message recorded at time_us comes next; now_ns is the monotonic clock.
 * Each is due at a fixed distance from the first, so no delay adds up.
 */
void rhythm_schedule(struct rhythm *rhythm, int64_t time_us, int64_t now_ns);

/* How long until it is due in ms; 0 when it is time. */
int rhythm_remaining_ms(const struct rhythm *rhythm, int64_t now_ns);

/* The next message is the first one again. */
void rhythm_restart(struct rhythm *rhythm);

/* Now, by the monotonic clock. */
int64_t rhythm_now_ns(void);

#endif
