#include "http_body.h"

#include <stdlib.h>
#include <string.h>

#define SIZE_DIGITS_MAX 8

void
http_body_begin(struct http_body *body, bool is_chunked, int64_t length,
    size_t most)
{
	*body = (struct http_body){
		.is_chunked = is_chunked,
		.is_done = !is_chunked && length == 0,
		.most = most,
		.left = is_chunked ? 0 : length,
	};
}

size_t
http_body_wanted(const struct http_body *body)
{
	return body->is_chunked ? HTTP_CHUNK_READ_BYTES : (size_t)body->left;
}

/* Take content, as much as is left of it. Returns how much. */
static size_t
take_content(struct http_body *body, const char *bytes, size_t length,
    struct buffer *out)
{
	size_t count = (int64_t)length < body->left ? length
	    : (size_t)body->left;

	buffer_append(out, bytes, count);
	body->left -= (int64_t)count;
	return count;
}

/* SIZE in hexadecimal digits, then perhaps extensions behind a semicolon. */
static unsigned
begin_chunk(struct http_body *body, const struct buffer *out)
{
	size_t digits = strspn(body->line, "0123456789abcdefABCDEF");
	size_t zeros = strspn(body->line, "0");
	const char *behind = body->line + digits;

	behind += strspn(behind, " \t");
	if (digits == 0 || (*behind != ';' && *behind != '\0'))
		return 400;
	if (digits - zeros > SIZE_DIGITS_MAX)
		return 413;
	body->left = (int64_t)strtoul(body->line, NULL, 16);
	body->state = body->left > 0 ? CHUNK_DATA : CHUNK_TRAILERS;
	return (size_t)body->left > body->most - out->length ? 413 : 0;
}

static unsigned
end_line(struct http_body *body, const struct buffer *out)
{
	unsigned status = 0;

	body->line[body->line_length] = '\0';
	switch (body->state) {
	case CHUNK_SIZE:
		status = begin_chunk(body, out);
		break;
	case CHUNK_END:
		body->state = CHUNK_SIZE;
		break;
	default:
		body->is_done = body->line_length == 0;
		break;
	}
	body->line_length = 0;
	return status;
}

/*
 * A letter of a line that ends with CR LF. Of trailers only the beginning is
 * kept, to tell an empty one.
 */
static unsigned
take_letter(struct http_body *body, char letter, const struct buffer *out)
{
	size_t *length = &body->line_length;
	bool has_cr = *length > 0 && body->line[*length - 1] == '\r';

	if (body->state == CHUNK_TRAILERS &&
	    ++body->trailer_bytes > HTTP_TRAILERS_MAX)
		return 400;
	if (letter == '\n' && has_cr) {
		--*length;
		return end_line(body, out);
	}
	if (letter == '\n' || letter == '\0' || has_cr ||
	    (body->state == CHUNK_END && letter != '\r'))
		return 400;
	if (*length == HTTP_CHUNK_LINE_MAX - 1) {
		if (body->state != CHUNK_TRAILERS)
			return 400;
		--*length;
	}
	body->line[(*length)++] = letter;
	return 0;
}

static unsigned
take_chunks(struct http_body *body, const char *bytes, size_t length,
    size_t *used, struct buffer *out)
{
	unsigned status = 0;

	while (status == 0 && !body->is_done && *used < length) {
		if (body->state != CHUNK_DATA) {
			status = take_letter(body, bytes[(*used)++], out);
			continue;
		}
		*used += take_content(body, bytes + *used, length - *used,
		    out);
		if (body->left == 0)
			body->state = CHUNK_END;
	}
	return status;
}

unsigned
http_body_take(struct http_body *body, const char *bytes, size_t length,
    size_t *used, struct buffer *out)
{
	*used = 0;
	if (body->is_chunked)
		return take_chunks(body, bytes, length, used, out);
	if (body->left > (int64_t)(body->most - out->length))
		return 413;
	*used = take_content(body, bytes, length, out);
	body->is_done = body->left == 0;
	return 0;
}
