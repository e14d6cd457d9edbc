/*
 * Messages of services on their way to slack-reader's inbox: each waits until
 * it is on disk there, or not much longer than its sender would.
 */
#ifndef WS_BROADCAST_COURIER_H
#define WS_BROADCAST_COURIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "timers.h"

#define COURIER_AWAY_MS 10000	/* for an inbox that does not take it */
#define COURIER_UNSURE_MS 30000	/* for the answer of one that did */

/* What became of a message. */
enum courier_end {
	COURIER_TAKEN,	/* on disk */
	COURIER_AWAY,	/* not handed in: the inbox was not to be reached */
	COURIER_UNSURE,	/* handed in, no answer came: it may be on disk */
	COURIER_REFUSED,	/* the inbox will never take it */
	COURIER_ENDS
};

struct courier;
struct parcel;

/* What happened so far. */
struct courier_counts {
	uint64_t ends[COURIER_ENDS];
	uint64_t full;		/* too much waited already */
	uint64_t left;		/* nobody waited for the end any more */
	size_t waiting;
};

/* All is borrowed. */
struct courier *courier_new(const char *inbox, int set, struct timers *timers);
void courier_free(struct courier *courier);

/*
 * Hand in the record, a line without LF whose bytes are taken over. `done` is
 * called once, not from within this call, unless the message is left before.
 * Returns NULL where too much waits; the line stays then.
 */
struct parcel *courier_send(struct courier *courier, struct buffer *line,
    void (*done)(enum courier_end end, void *arg), void *arg);

/* Nobody waits for the end: what was not handed in will not be. */
void courier_leave(struct parcel *parcel);

const struct courier_counts *courier_counts(const struct courier *courier);

#endif
