/*
 * HTTP requests beside everything else: libcurl's multi interface on an event
 * set, so that nothing blocks, name lookups included.
 */
#ifndef LIB_HTTP_CLIENT_H
#define LIB_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "timers.h"

struct http_client;
struct http_exchange;		/* a request under way */

/* All but a borrowed body is copied. Redirects are never followed. */
struct http_request {
	const char *url;
	const char *token;	/* for `Authorization: Bearer`, or NULL */
	const char *type;	/* of the body; NULL: GET, without a body */
	const char *body;
	size_t body_length;
	bool is_borrowed;	/* the body, until `done` or cancelled */
	int64_t timeout_ms;
	size_t answer_max;	/* bytes; a longer answer is a failure */

	/*
	 * A connection kept open may break when the request is on it, and
	 * libcurl then repeats it on another, though it may have been done.
	 * Never this one, which has a body.
	 */
	bool is_once;
};

/* Valid during the call of `done` only. */
struct http_answer {
	long status;		/* of HTTP, 0 where there was no answer */
	const char *reason;	/* why there was none; names the host at most */
	bool was_sent;		/* the request, or a part: it may be done */
	bool is_too_long;	/* there was none because of answer_max */
	const char *body;	/* with a NUL behind it */
	size_t length;
	int64_t retry_after_s;	/* -1: not said */
	const char *scopes;	/* x-oauth-scopes, or NULL */
};

/*
 * A client whose sockets are in the event set; SIGPIPE must be ignored.
 * ca_file is borrowed; NULL means CURL_CA_BUNDLE, SSL_CERT_FILE or
 * SSL_CERT_DIR of the environment, or the system's certificates. libcurl is
 * first touched by the first request.
 */
struct http_client *http_client_new(int set, struct timers *timers,
    const char *ca_file);

/*
 * Requests under way are dropped, `done` is not called. Not from within
 * `done`.
 */
void http_client_free(struct http_client *client);

/*
 * Start a request; `done` is called once, never from within this call, unless
 * the exchange is cancelled before.
 */
struct http_exchange *http_client_send(struct http_client *client,
    const struct http_request *request,
    void (*done)(const struct http_answer *answer, void *arg), void *arg);

/* Forget an exchange whose `done` has not been called: it will not be. */
void http_client_cancel(struct http_exchange *exchange);

#endif
