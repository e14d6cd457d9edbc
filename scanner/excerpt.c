#include "excerpt.h"

#include <stdbool.h>

#include "utf8.h"

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool
ends_line(char byte)
{
	return byte == '\n' || byte == '\r';
}

/* How many bytes of the line stand before the match, as far as they matter. */
static size_t
count_before(const char *bytes, size_t start)
{
	size_t count = 0;

	while (count < EXCERPT_BYTES_MAX && count < start &&
	    !ends_line(bytes[start - count - 1]))
		count++;
	return count;
}

static size_t
count_after(const char *bytes, size_t length, size_t end)
{
	size_t count = 0;

	while (count < EXCERPT_BYTES_MAX && end + count < length &&
	    !ends_line(bytes[end + count]))
		count++;
	return count;
}

static void
append_cleaned(struct buffer *out, const char *bytes, size_t length)
{
	for (size_t at = 0; at < length;) {
		size_t width = utf8_character(bytes + at, length - at);
		unsigned char byte = (unsigned char)bytes[at];

		if (width == 0)
			buffer_append(out, "?", 1);
		else if (byte < 0x20 || byte == 0x7f)
			buffer_append(out, " ", 1);
		else
			buffer_append(out, bytes + at, width);
		at += width > 0 ? width : 1;
	}
}

struct marked
excerpt_append(struct buffer *out, const char *bytes, size_t length,
    size_t start, size_t end)
{
	size_t match = smaller(end - start, EXCERPT_BYTES_MAX);
	size_t room = EXCERPT_BYTES_MAX - match;
	size_t before = count_before(bytes, start);
	size_t after = count_after(bytes, length, end);

	/* half of the room for each side, and what the other one leaves */
	before = smaller(before, room - smaller(after, room / 2));
	after = smaller(after, room - before);
	if (match < end - start)
		after = 0;

	size_t first = start - before, behind = start + match + after;
	while (first < start && ((unsigned char)bytes[first] & 0xc0) == 0x80)
		first++;
	if (behind < length)
		behind = utf8_floor(bytes, behind);
	append_cleaned(out, bytes + first, behind - first);
	return (struct marked){ start - first,
	    smaller(start + match, behind) - first };
}
