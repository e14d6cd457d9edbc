/*
 * HTTP answers. Each is written as a whole, and then its connection closed:
 * what libwebsockets 4.1.6 does with a second request that came along with the
 * first (it takes the wrong bytes for a body, and may never end) is nothing to
 * depend on.
 */
#ifndef WS_BROADCAST_HTTP_H
#define WS_BROADCAST_HTTP_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <stddef.h>

/* A header, its name with the colon. */
struct http_header {
	const char *name;
	const char *value;
};

#define HTTP_HEADERS_MAX 2

struct http_answer {
	unsigned status;
	const char *type;	/* of the body; NULL: there is none */
	const char *body;
	size_t length;
	struct http_header headers[HTTP_HEADERS_MAX + 1]; /* to name NULL */
};

/* The headers that every answer has. */
const struct lws_protocol_vhost_options *http_common_headers(void);

/*
 * Answer the request; of the body a HEAD gets the length only. Returns -1, for
 * libwebsockets to close the connection when all is sent.
 */
int http_send(struct lws *connection, const struct http_answer *answer);

/*
 * Copy the header into `value`. Returns it, NULL where there is none, or ""
 * where it is too long.
 */
const char *http_header(struct lws *connection, enum lws_token_indexes name,
    char *value, size_t size);

/* Is the request a GET, is it a HEAD? */
bool http_is_get(struct lws *connection);
bool http_is_head(struct lws *connection);

/* The path, without the query; it belongs to the connection. */
const char *http_path(struct lws *connection);

/* Does a small body follow, which is better read before the answer? */
bool http_has_body(struct lws *connection);

#endif
