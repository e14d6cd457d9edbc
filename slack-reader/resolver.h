/* Name lookup that does not block: a short-lived thread for each name. */
#ifndef SLACK_READER_RESOLVER_H
#define SLACK_READER_RESOLVER_H

#include <netdb.h>

struct resolver;
struct lookup;			/* one that is under way */

/* Results are handed over by events_dispatch(set). */
struct resolver *resolver_new(int set);

/* Lookups under way are forgotten; their threads end by themselves. */
void resolver_free(struct resolver *resolver);

/*
 * Look up the addresses of a host (a name or an address). `found` is called
 * once, never from within this call: with the addresses, to be used during
 * the call only, or with NULL and why there are none.
 */
struct lookup *resolver_find(struct resolver *resolver, const char *host,
    void (*found)(const struct addrinfo *addresses, const char *reason,
    void *arg), void *arg);

/* Forget it: `found` is not called. */
void resolver_cancel(struct lookup *lookup);

#endif
