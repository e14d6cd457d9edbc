/*
 * The HTTP/1.1 server: connections that stay, their requests one behind the
 * other, the limits that keep each client from being a burden to the others.
 * (libwebsockets 4.1.6 mixes up a request that comes along with the one before
 * it; so it gets what is to become a WebSocket, and nothing else.)
 */
#ifndef WS_BROADCAST_HTTP_H
#define WS_BROADCAST_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "timers.h"

#define HTTP_BODIES_BYTES_MAX (64 * 1024 * 1024)	/* of all together */

/* How long a client may take, in milliseconds. */
#define HTTP_HEAD_MS 10000	/* for the whole head */
#define HTTP_BODY_MS 10000	/* for a body, and for each byte of it: */
#define HTTP_BODY_BYTES_EACH_MS 64
#define HTTP_WRITE_MS 30000	/* to take an answer, and for each byte: */
#define HTTP_WRITE_BYTES_EACH_MS 8
#define HTTP_IDLE_MS 30000	/* between two requests */
#define HTTP_LINGER_MS 5000	/* to hang up, when it was told to */

struct http;
struct http_connection;
struct http_head;

/* Valid while the handler runs that gets it; strings as they were sent. */
struct http_request {
	const char *method;
	const char *path;		/* without the query */
	const char *query;		/* behind the question mark, or "" */
	const char *body;		/* with a NUL behind it */
	size_t body_length;
	const struct http_head *head;
};

/* A header's value, the first of that name (in letters of any case), or NULL. */
const char *http_request_header(const struct http_request *request,
    const char *name);

struct http_header {
	const char *name;	/* without the colon */
	const char *value;
};

#define HTTP_HEADERS_MAX 4

struct http_answer {
	unsigned status;
	const char *type;	/* of the body; NULL: there is none */
	const char *body;
	size_t length;
	bool is_lasting;	/* the body stays where it is: no copy is made */
	struct http_header headers[HTTP_HEADERS_MAX + 1]; /* to name NULL */
};

/*
 * Answer the connection's request, now or later, once. Of the body a HEAD gets
 * the length only. The connection belongs to the server again, and no handler
 * is called from within this.
 */
void http_answer(struct http_connection *connection,
    const struct http_answer *answer);

/*
 * The answer comes later. Should the connection end before, `gone` is called,
 * and it is not to be answered any more.
 */
void http_defer(struct http_connection *connection, void (*gone)(void *arg),
    void *arg);

struct http_handlers {
	/*
	 * The head is in. Answer it, and return false; or set what its body may
	 * have (it may be 0), and return true.
	 */
	bool (*begin)(struct http_connection *connection,
	    const struct http_request *request, size_t *body_max, void *arg);

	/* All is in: answer or defer. */
	void (*complete)(struct http_connection *connection,
	    const struct http_request *request, void *arg);

	/* May it become a WebSocket? If not, answer, and return false. */
	bool (*upgrade)(struct http_connection *connection,
	    const struct http_request *request, void *arg);

	/* It was answered with that status, without asking here. */
	void (*refused)(unsigned status, void *arg);

	/*
	 * Take the socket over, and what was read from it: a request for a
	 * WebSocket in the plainest form, and what came behind it.
	 */
	void (*adopt)(int fd, const char *bytes, size_t length, void *arg);
	void *arg;
};

struct http_options {
	int set;		/* of events */
	struct timers *timers;
	size_t most;		/* connections at a time */
	size_t most_of_network;	/* of one peer_network() */
	struct http_handlers handlers;
};

struct http *http_new(const struct http_options *options);

/* Drop all connections; where an answer was deferred, 503 is answered. */
void http_free(struct http *http);

/*
 * Take over a new connection, which does not block. Where there are too many
 * another one gives way: of the network that has the most, that which has
 * waited longest for its request. Where none can, the new one is refused.
 */
void http_take(struct http *http, int fd, const struct sockaddr_storage *peer);

/* From here on each connection is closed behind its answer, idle ones now. */
void http_end(struct http *http);

/* Is no request under way? */
bool http_is_idle(const struct http *http);

#endif
