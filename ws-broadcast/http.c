#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "memory.h"

#define HEAD_BYTES 2048
#define BODY_BYTES_MAX 65536	/* of a request, to be read and thrown away */

/* Held by the system, so that even a slow reader gets a file of ours whole. */
#define SEND_BUFFER_BYTES (512 * 1024)

const struct lws_protocol_vhost_options *
http_common_headers(void)
{
	static const struct lws_protocol_vhost_options headers[] = {
		{ &headers[1], NULL, "content-security-policy:",
		    "default-src 'none'; script-src 'self'; style-src 'self'; "
		    "img-src 'self' data:; connect-src 'self'; "
		    "base-uri 'none'; form-action 'none'; "
		    "frame-ancestors 'none'" },
		{ &headers[2], NULL, "x-content-type-options:", "nosniff" },
		{ &headers[3], NULL, "referrer-policy:", "no-referrer" },
		{ &headers[4], NULL, "cross-origin-opener-policy:",
		    "same-origin" },
		{ NULL, NULL, "cross-origin-resource-policy:", "same-origin" },
	};

	return headers;
}

static int
add_header(struct lws *connection, const struct http_header *header,
    unsigned char **at, unsigned char *end)
{
	return lws_add_http_header_by_name(connection,
	    (const unsigned char *)header->name,
	    (const unsigned char *)header->value, (int)strlen(header->value),
	    at, end);
}

/* Write status and headers; a 304 has no length of its own. */
static int
print_head(struct lws *connection, const struct http_answer *answer,
    unsigned char **at, unsigned char *end)
{
	static const struct http_header close = { "connection:", "close" };

	if (answer->status == HTTP_STATUS_NOT_MODIFIED
	    ? lws_add_http_header_status(connection, answer->status, at, end)
	    : lws_add_http_common_headers(connection, answer->status,
	    answer->type, answer->length, at, end))
		return -1;
	for (const struct http_header *header = answer->headers;
	    header->name != NULL; header++)
		if (add_header(connection, header, at, end) != 0)
			return -1;
	return add_header(connection, &close, at, end) != 0 ||
	    lws_finalize_http_header(connection, at, end) != 0 ? -1 : 0;
}

int
http_send(struct lws *connection, const struct http_answer *answer)
{
	int size = SEND_BUFFER_BYTES;
	size_t length = http_is_head(connection) ? 0 : answer->length;
	unsigned char *bytes = xmalloc(LWS_PRE + HEAD_BYTES + length);
	unsigned char *start = bytes + LWS_PRE, *at = start;

	setsockopt(lws_get_socket_fd(connection), SOL_SOCKET, SO_SNDBUF, &size,
	    sizeof size);
	if (print_head(connection, answer, &at, start + HEAD_BYTES) == 0) {
		if (length > 0)
			memcpy(at, answer->body, length);
		lws_write(connection, start, (size_t)(at - start) + length,
		    LWS_WRITE_HTTP);
	}
	free(bytes);
	return -1;
}

const char *
http_header(struct lws *connection, enum lws_token_indexes name, char *value,
    size_t size)
{
	int length = lws_hdr_total_length(connection, name);

	if (length == 0)
		return NULL;
	if (lws_hdr_copy(connection, value, (int)size, name) <= 0)
		value[0] = '\0';
	return value;
}

static int
find_method(struct lws *connection)
{
	char *path;
	int length;

	return lws_http_get_uri_and_method(connection, &path, &length);
}

bool
http_is_get(struct lws *connection)
{
	return find_method(connection) == LWSHUMETH_GET;
}

bool
http_is_head(struct lws *connection)
{
	return find_method(connection) == LWSHUMETH_HEAD;
}

const char *
http_path(struct lws *connection)
{
	char *path;
	int length;

	return lws_http_get_uri_and_method(connection, &path, &length) >= 0
	    ? path : "";
}

bool
http_has_body(struct lws *connection)
{
	char value[16];
	const char *length = http_header(connection,
	    WSI_TOKEN_HTTP_CONTENT_LENGTH, value, sizeof value);
	long count = length != NULL ? strtol(length, NULL, 10) : 0;

	return count > 0 && count <= BODY_BYTES_MAX;
}
