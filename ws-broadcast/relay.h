/*
 * Relays carry bytes between a TLS client and one end of a socket pair, at
 * whose other end the server sees a plain connection. They hold 16 KiB each
 * way at most, and read no more from a side than the other one takes.
 */
#ifndef WS_BROADCAST_RELAY_H
#define WS_BROADCAST_RELAY_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "timers.h"

struct relays_options {
	int set;		/* of events */
	struct timers *timers;
	int stall_ms;		/* a client may take nothing for so long */
	int closing_ms;		/* and not hang up after the server did */
};

struct relays;

struct relays *relays_new(const struct relays_options *options);

/* Clients still get what they take at once. */
void relays_free(struct relays *relays);

/* Relay from now on. Both are taken over, with the descriptor of the ssl. */
void relays_add(struct relays *relays, SSL *ssl, int server);

size_t relays_count(const struct relays *relays);

/*
 * End the one whose client has been longest in hanging up. Returns false where
 * there is none of that kind.
 */
bool relays_end_closing(struct relays *relays);

/* Has each client all that the server sent so far? */
bool relays_are_idle(const struct relays *relays);

#endif
