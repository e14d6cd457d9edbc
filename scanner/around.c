#include "around.h"

#include <string.h>

#include "utf8.h"

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* From the start of a line on, if one starts before the match. */
static size_t
find_begin(const struct piece *piece, size_t at, size_t start)
{
	const char *feed;

	if (at == 0 ? piece->is_first : piece->bytes[at - 1] == '\n')
		return at;
	feed = memchr(piece->bytes + at, '\n', start - at);
	if (feed != NULL)
		return (size_t)(feed - piece->bytes) + 1;
	while (at < start && ((unsigned char)piece->bytes[at] & 0xc0) == 0x80)
		at++;
	return at;
}

/* Up to the end of a line, if one ends behind the match. */
static size_t
find_end(const struct piece *piece, size_t at, size_t end)
{
	const char *feed;

	if (at == piece->length && piece->is_last)
		return at;
	feed = memrchr(piece->bytes + end, '\n', at - end);
	if (feed != NULL)
		return (size_t)(feed - piece->bytes) + 1;
	return at < piece->length ? utf8_floor(piece->bytes, at) : at;
}

void
around_append(struct buffer *out, const struct piece *piece, size_t start,
    size_t end)
{
	size_t match = smaller(end - start, AROUND_BYTES_MAX);
	size_t room = AROUND_BYTES_MAX - match;
	size_t after = piece->length - start - match;
	size_t before = smaller(start, room - smaller(after, room / 2));

	/* half of the room for each side, and what the other one leaves */
	after = smaller(after, room - before);
	size_t from = find_begin(piece, start - before, start);
	size_t to = find_end(piece, start + match + after, start + match);
	buffer_append(out, piece->bytes + from, to - from);
}
