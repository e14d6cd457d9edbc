/*
 * The head of an HTTP/1 request (RFC 9112), read strictly: what two programs
 * might read in two ways is refused.
 */
#ifndef WS_BROADCAST_HTTP_HEAD_H
#define WS_BROADCAST_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_BYTES_MAX 8192
#define HTTP_PATH_BYTES_MAX 4096	/* with the query */
#define HTTP_FIELDS_MAX 64

struct http_field {
	const char *name;
	const char *value;
};

/* Strings are in the bytes that were parsed. */
struct http_head {
	const char *method;
	const char *path;	/* as it was sent, without the query */
	const char *query;	/* behind the question mark, or "" */
	struct http_field fields[HTTP_FIELDS_MAX];
	size_t field_count;

	bool may_stay;		/* the connection, for a next request */
	bool expects_continue;	/* before it sends the body */
	bool is_chunked;
	int64_t length;		/* of the body, where it is not chunked */
	bool wants_websocket;
};

/*
 * Look for the end of a head, where the first *seen bytes were looked at
 * before; *seen becomes what was looked at now. Returns its length, 0 where
 * more has to come, or -1 where no head can become of it.
 */
long http_head_measure(const char *bytes, size_t length, size_t *seen);

/* The status to refuse a head with that is too long: 414 or 431. */
unsigned http_head_judge_length(const char *bytes, size_t length);

/*
 * Parse a whole head, in its place. Returns 0, or the status to refuse it with:
 * 400, 414, 431, 501 or 505.
 */
unsigned http_head_parse(struct http_head *head, char *bytes, size_t length);

/* The first field of that name, in letters of any case, or NULL. */
const char *http_head_find(const struct http_head *head, const char *name);

#endif
