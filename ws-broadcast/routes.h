/* What can be asked for over HTTP, and who may. */
#ifndef WS_BROADCAST_ROUTES_H
#define WS_BROADCAST_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "assets.h"
#include "auth.h"
#include "health.h"
#include "http.h"
#include "metrics.h"
#include "outbox_view.h"
#include "posts.h"
#include "ring.h"
#include "totals.h"
#include "viewers.h"

/* What the answers are made from; all of it is borrowed. */
struct site {
	const struct assets *assets;
	const struct auth *auth;	/* NULL: anyone on this machine */
	const char *challenge;		/* of a 401 */
	const char *const *origins;	/* allowed besides our own, to NULL */
	struct totals *totals;
	const struct ring *ring;
	const struct viewers *viewers;
	size_t viewers_max;
	struct outbox_view *outbox;
	const char *subscriptions;	/* file, or NULL */
	struct metrics *metrics;
	struct health *health;
	struct posts *posts;
	time_t started;
};

/*
 * The handlers of http.h: look at the head of a request, answer a whole one,
 * look at one that asks for a WebSocket.
 */
bool routes_begin(const struct site *site, struct http_connection *connection,
    const struct http_request *request, size_t *body_max);
void routes_complete(const struct site *site,
    struct http_connection *connection, const struct http_request *request);
bool routes_upgrade(const struct site *site,
    struct http_connection *connection, const struct http_request *request);

#endif
