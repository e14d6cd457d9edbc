/*
 * Who watches. A viewer holds no records, only the KEY of the last one that it
 * was sent; one that reads too slowly falls out of the ring, is told which
 * records it missed, and goes on from there.
 */
#ifndef WS_BROADCAST_VIEWERS_H
#define WS_BROADCAST_VIEWERS_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ring.h"
#include "totals.h"

/* A WebSocket connection. It lies in memory that libwebsockets owns. */
struct viewer {
	LIST_ENTRY(viewer) entry;
	struct lws *connection;

	int64_t last;		/* KEY of the last record sent */
	int64_t from;		/* that it wants to begin with, or 0 */
	const struct ring_record *large; /* being sent in pieces, or NULL */
	size_t sent;		/* of the large record */

	bool is_resuming;	/* behind last, which it told us */
	bool is_greeted;
	bool wants_totals;
	bool wants_ping;
	bool is_told_end;
	bool is_dropped;	/* to be closed for being too slow */
	bool is_closing;
	size_t heard;		/* bytes it sent in the current minute */
};

struct viewers_options {
	const char *run;	/* identity of the pipeline's run */
	size_t bounded;		/* records the ring holds at most */
	size_t history;		/* records for a viewer that comes anew */
	size_t held_bytes_max;	/* of large records kept for slow viewers */
	unsigned ping_seconds;
};

struct viewers;

/* All but the options are borrowed. */
struct viewers *viewers_new(const struct viewers_options *options,
    struct ring *ring, struct totals *totals);
void viewers_free(struct viewers *viewers);

size_t viewers_count(const struct viewers *viewers);

/* Where a viewer wants to begin; each may be NULL. */
struct viewer_wish {
	const char *after;	/* behind that KEY, */
	const char *run;	/* given in that run; else */
	const char *from;	/* with that KEY, where the history is shorter */
};

/* A viewer has come. Without a wish it begins with the history. */
void viewers_add(struct viewers *viewers, struct viewer *viewer,
    struct lws *connection, const struct viewer_wish *wish);
void viewers_remove(struct viewers *viewers, struct viewer *viewer);

/* It can be written to. Returns -1 where the connection is to be closed. */
int viewers_write(struct viewers *viewers, struct viewer *viewer);

/* It sent so much, which nobody reads. Returns as viewers_write. */
int viewers_hear(struct viewer *viewer, size_t length);

/* New records are in the ring: call once for many of them. */
void viewers_wake(struct viewers *viewers);

/* A second has passed. */
void viewers_tick(struct viewers *viewers);

/* No record will follow: tell them when they have all. */
void viewers_end(struct viewers *viewers);

/* Close each connection as soon as it has got what there is for it. */
void viewers_dismiss(struct viewers *viewers);

#endif
