/* The body of an HTTP/1 request as it comes, of known length or in chunks. */
#ifndef WS_BROADCAST_HTTP_BODY_H
#define WS_BROADCAST_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

#define HTTP_CHUNK_LINE_MAX 256		/* its extensions, too */
#define HTTP_CHUNK_READ_BYTES 16384	/* more might be a next request */
#define HTTP_TRAILERS_MAX 4096		/* bytes, all are ignored */

struct http_body {
	bool is_chunked;
	bool is_done;
	size_t most;		/* bytes that it may have */
	int64_t left;		/* of it, or of the chunk */
	enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, CHUNK_TRAILERS } state;
	char line[HTTP_CHUNK_LINE_MAX];
	size_t line_length;
	size_t trailer_bytes;
};

/* Without chunks it has `length` bytes. */
void http_body_begin(struct http_body *body, bool is_chunked, int64_t length,
    size_t most);

/* How many bytes are worth to be read next: not much behind the body's end. */
size_t http_body_wanted(const struct http_body *body);

/*
 * Take what belongs to the body from the beginning of the bytes, *used of
 * them; its content is appended to out. Returns 0, or the status to refuse it
 * with: 400 or 413.
 */
unsigned http_body_take(struct http_body *body, const char *bytes,
    size_t length, size_t *used, struct buffer *out);

#endif
