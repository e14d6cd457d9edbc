/*
 * The connections of browsers: libwebsockets serves them, in our one thread,
 * and knows what to do by calling back here.
 */
#ifndef WS_BROADCAST_CONNECTIONS_H
#define WS_BROADCAST_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "viewers.h"

struct connections_options {
	struct viewers *viewers;
	size_t most;		/* connections of all kinds at a time */
	unsigned ping_seconds;
	int events;		/* ends the wait when readable */
};

struct connections;

/*
 * Prepare to serve. All but the options stays borrowed, the descriptor of the
 * events is taken over. Exits where libwebsockets does not start.
 */
struct connections *connections_new(const struct connections_options *options);
void connections_free(struct connections *connections);

/*
 * Take over a connection on which these bytes asked for a WebSocket; close it
 * where there are too many.
 */
void connections_take(struct connections *connections, int fd,
    const char *bytes, size_t length);

/*
 * Serve all that can be served now; is_waiting: wait until there is something.
 * Returns 0, or -1 where that is over for good.
 */
int connections_serve(struct connections *connections, bool is_waiting);

/* Start a clock: it ends a wait, and has run out, after so many seconds. */
void connections_set_clock(struct connections *connections, int seconds);
bool connections_is_time_over(const struct connections *connections);

/* The microseconds spent on writing to viewers since the last call. */
int64_t connections_take_time_us(struct connections *connections);

#endif
