/*
 * Is all well? Looked at once a second, however often it is asked: Slack, the
 * stages, the disk and the outbox.
 */
#ifndef WS_BROADCAST_HEALTH_H
#define WS_BROADCAST_HEALTH_H

#include <stdbool.h>

#include "buffer.h"
#include "outbox_view.h"
#include "ring.h"
#include "running.h"
#include "timers.h"
#include "totals.h"

#define HEALTH_STUCK_S 10	/* so long may no record come through */
#define HEALTH_OUTBOX_S 900	/* so long may a message to Slack wait */
#define HEALTH_DISK_BYTES (16 * 1024 * 1024)	/* free at least */

struct health_options {
	const char *running;	/* folder of status files, or NULL */
	struct outbox_view *outbox;
	struct totals *totals;
	const struct ring *ring;
	struct timers *timers;
};

struct health;

/* All is borrowed. */
struct health *health_new(const struct health_options *options);
void health_free(struct health *health);

/* Append it as a JSON object. Returns whether all is well. */
bool health_print(struct health *health, struct buffer *json);

/* The status files as they were read last, or NULL. */
const struct running *health_running(const struct health *health);

#endif
