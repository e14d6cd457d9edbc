/*
 * What became of messages: slack-send's outbox (man/outbox.5), which another
 * process writes while we read. It may be absent, or replaced, at any time.
 */
#ifndef WS_BROADCAST_OUTBOX_VIEW_H
#define WS_BROADCAST_OUTBOX_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

struct outbox_view;

/* path is borrowed; the file is opened when something is asked for. */
struct outbox_view *outbox_view_new(const char *path);
void outbox_view_free(struct outbox_view *view);

/*
 * Append what is known about the message of that id, a JSON object. Returns 1,
 * 0 where there is none, or -1 where the file cannot be read just now.
 */
int outbox_view_find(struct outbox_view *view, const char *id,
    struct buffer *json);

/* The messages that are not through. */
struct outbox_counts {
	int64_t queued;		/* those being sent, too */
	int64_t gathered;	/* they go with a digest */
	int64_t oldest_us;	/* since when that one waits, 0: none does */
};

/*
 * Count them, a second ago perhaps. Returns false where there is no file, or
 * it cannot be read just now.
 */
bool outbox_view_count(struct outbox_view *view, struct outbox_counts *counts);

#endif
