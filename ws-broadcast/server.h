/* The loop: records in, records out, and the viewers beside it. */
#ifndef WS_BROADCAST_SERVER_H
#define WS_BROADCAST_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "certificate.h"
#include "credentials.h"
#include "listener.h"

struct server_options {
	struct listen_address address;
	struct certificate_files tls;
	SSL_CTX *tls_context;	/* made of them; NULL: plain HTTP */
	const char *www;	/* folder of the dashboard */
	const char *totals;	/* file, or NULL */
	const char *inbox;	/* socket, or NULL */
	const char *outbox;	/* file, or NULL */
	const char *subscriptions;	/* the same */
	const char *running;	/* folder of status files, or NULL */
	const char *const *origins;	/* to NULL */
	const char *run;	/* identity of the pipeline's run */
	bool is_counted;	/* by seq, in it: 1, 2, 3 ..., each once */
	const char *challenge;	/* of a 401 */
	size_t backlog;		/* records in memory */
	size_t backlog_bytes;
	size_t history;		/* of them for a viewer that comes anew */
	size_t viewers;
	size_t per_address;	/* connections for HTTP, twice as many in all */
	unsigned ping_seconds;
	bool stay;		/* at end of input */
};

struct server;

/*
 * Bind and prepare all there is; standard input and output are taken over, as
 * is the TLS context. The options stay borrowed, the credentials do not. Exits
 * where that fails.
 */
struct server *server_new(struct server_options *options,
    const struct credentials *credentials);
void server_free(struct server *server);

/* Run until the end of input or a signal. Returns an exit status. */
int server_run(struct server *server);

#endif
