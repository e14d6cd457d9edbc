/* Who may come in: Basic auth (RFC 7617), and from which pages. */
#ifndef WS_BROADCAST_AUTH_H
#define WS_BROADCAST_AUTH_H

#include <stdbool.h>

struct auth;

/* Know the user and the password; only their hashes are kept. */
struct auth *auth_new(const char *user, const char *password);
void auth_free(struct auth *auth);

/*
 * Does this value of an Authorization header name them? The time it takes says
 * nothing about what is right in it. header may be NULL.
 */
bool auth_accepts(const struct auth *auth, const char *header);

/*
 * May a page of this Origin open a WebSocket? It may if it came from the host
 * that it now asks, or if the origin is one of `allowed` (ended by NULL).
 * origin is NULL where no browser asks: then it may, too.
 */
bool auth_origin_fits(const char *origin, const char *host,
    const char *const *allowed);

/*
 * Does the Host header name this machine by a name that stands for nothing
 * else (localhost, 127.x.x.x, [::1])? Where it does not, a page from elsewhere
 * may have bent its own name to our address.
 */
bool auth_host_is_local(const char *host);

#endif
