/* What can be asked for over HTTP, and who may. */
#ifndef WS_BROADCAST_ROUTES_H
#define WS_BROADCAST_ROUTES_H

#include <libwebsockets.h>
#include <time.h>

#include "assets.h"
#include "auth.h"
#include "http.h"
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
	time_t started;
};

/* Answer the request. Returns as http_send. */
int routes_answer(const struct site *site, struct lws *connection);

/*
 * Look at a request to become a WebSocket. Returns 0 to let it, or refuses it
 * and returns as http_send.
 */
int routes_upgrade(const struct site *site, struct lws *connection);

#endif
