#include "content.h"

#include <string.h>

/* Of a text at most this many bytes in a hundred are control bytes. */
#define CONTROL_PERCENT_MAX 5

/* UTF-16 without a mark: ASCII makes every other byte NUL. */
#define UTF16_NUL_PERCENT_MIN 60
#define UTF16_NUL_PERCENT_MAX 2

static bool
starts_with(const char *head, size_t length, const char *magic, size_t size)
{
	return length >= size && memcmp(head, magic, size) == 0;
}

/* Kinds that could pass for text by their first bytes alone. */
static bool
is_known_binary(const char *head, size_t length)
{
	static const struct {
		const char *magic;
		size_t size;
	} known[] = {
		{ "\x89PNG", 4 }, { "\xff\xd8\xff", 3 }, { "GIF8", 4 },
		{ "%PDF-", 5 }, { "ID3", 3 },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (starts_with(head, length, known[i].magic, known[i].size))
			return true;
	return false;
}

/* What no text holds: controls but for BEL to CR and ESC (colours). */
static bool
is_control(unsigned char byte)
{
	return byte < 0x07 || (byte > 0x0d && byte < 0x20 && byte != 0x1b) ||
	    byte == 0x7f;
}

static size_t
count_controls(const char *head, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += is_control((unsigned char)head[i]);
	return count;
}

/* NULs at every other byte from `first` on. */
static size_t
count_nuls(const char *head, size_t length, size_t first)
{
	size_t count = 0;

	for (size_t i = first; i < length; i += 2)
		count += head[i] == '\0';
	return count;
}

static bool
is_utf16(size_t high_nuls, size_t low_nuls, size_t characters)
{
	return high_nuls * 100 >= characters * UTF16_NUL_PERCENT_MIN &&
	    low_nuls * 100 <= characters * UTF16_NUL_PERCENT_MAX;
}

enum content
content_find(const char *head, size_t length)
{
	if (starts_with(head, length, "\xff\xfe", 2))
		return CONTENT_UTF16_LE;
	if (starts_with(head, length, "\xfe\xff", 2))
		return CONTENT_UTF16_BE;
	if (is_known_binary(head, length))
		return CONTENT_BINARY;
	if (length > CONTENT_HEAD_BYTES)
		length = CONTENT_HEAD_BYTES;
	if (count_controls(head, length) * 100 <= length * CONTROL_PERCENT_MAX)
		return CONTENT_TEXT;

	size_t even = count_nuls(head, length, 0);
	size_t odd = count_nuls(head, length, 1);
	if (is_utf16(odd, even, length / 2))
		return CONTENT_UTF16_LE;
	if (is_utf16(even, odd, length / 2))
		return CONTENT_UTF16_BE;
	return CONTENT_BINARY;
}

size_t
content_mark(const char *head, size_t length)
{
	if (starts_with(head, length, "\xef\xbb\xbf", 3))
		return 3;
	return starts_with(head, length, "\xff\xfe", 2) ||
	    starts_with(head, length, "\xfe\xff", 2) ? 2 : 0;
}
