/*
 * TLS, in front of everything else: what comes in by TLS goes on as a plain
 * connection, so that nothing behind this knows of it.
 */
#ifndef WS_BROADCAST_TLS_H
#define WS_BROADCAST_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "certificate.h"
#include "timers.h"

struct tls_options {
	int set;		/* of events */
	struct timers *timers;
	struct certificate_files files;
	SSL_CTX *context;	/* made of them, taken over */
	size_t most;		/* connections that are open */

	/* Takes over one end of a socket pair, which speaks for that peer. */
	void (*take)(void *arg, int fd, const struct sockaddr_storage *peer);
	void *arg;

	/* 0 stands for what the manual says; tests have less patience */
	int handshake_ms;
	int stall_ms;
	int closing_ms;
};

struct tls;

struct tls *tls_new(const struct tls_options *options);

/* Clients still get what they take at once of what was sent to them. */
void tls_free(struct tls *tls);

/*
 * Take over a new connection, which does not block. Where too many handshakes
 * are under way, the oldest of whoever has the most of them gives way.
 */
void tls_accept(struct tls *tls, int fd, const struct sockaddr_storage *peer);

/* Load certificate and key anew, for new connections; says what came of it. */
void tls_reload(struct tls *tls);

/* Besides those that are open, so many connections begin and end at a time. */
enum { TLS_HANDSHAKES_MAX = 128, TLS_CLOSING_MAX = 64 };

/* An open connection takes so many descriptors here, and all others do. */
enum {
	TLS_DESCRIPTORS_EACH = 2,
	TLS_DESCRIPTORS_SPARE = TLS_HANDSHAKES_MAX + 2 * TLS_CLOSING_MAX
};

/* Has each client all that was sent to it so far? */
bool tls_is_idle(const struct tls *tls);

#endif
