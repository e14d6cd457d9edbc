#include "utf8.h"

#include <stdint.h>
#include <string.h>

static bool
is_continuation(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* The least and most that the second byte may be behind `first`. */
static bool
fits_second(unsigned char first, unsigned char second)
{
	switch (first) {
	case 0xe0: return second >= 0xa0 && second <= 0xbf;
	case 0xed: return second >= 0x80 && second <= 0x9f;
	case 0xf0: return second >= 0x90 && second <= 0xbf;
	case 0xf4: return second >= 0x80 && second <= 0x8f;
	default: return is_continuation(second);
	}
}

size_t
utf8_character(const char *bytes, size_t length)
{
	const unsigned char *at = (const unsigned char *)bytes;

	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;

	size_t width = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (length < width || !fits_second(at[0], at[1]))
		return 0;
	for (size_t i = 2; i < width; i++)
		if (!is_continuation(at[i]))
			return 0;
	return width;
}

bool
utf8_is_valid(const char *bytes, size_t length)
{
	for (size_t at = 0; at < length;) {
		uint64_t block;

		if (length - at >= sizeof block) {
			memcpy(&block, bytes + at, sizeof block);
			if ((block & 0x8080808080808080u) == 0) {
				at += sizeof block;
				continue;
			}
		}
		size_t width = utf8_character(bytes + at, length - at);
		if (width == 0)
			return false;
		at += width;
	}
	return true;
}

size_t
utf8_floor(const char *bytes, size_t at)
{
	size_t back = 0;

	while (back < 3 && back < at &&
	    is_continuation((unsigned char)bytes[at - back]))
		back++;
	return is_continuation((unsigned char)bytes[at - back]) ? at
	    : at - back;
}

/* E2 80 AA to AE and E2 81 A6 to A9 */
size_t
utf8_direction(const char *text)
{
	unsigned char last;

	if (strncmp(text, "\xe2\x80", 2) != 0 &&
	    strncmp(text, "\xe2\x81", 2) != 0)
		return 0;
	last = (unsigned char)text[2];
	if ((unsigned char)text[1] == 0x80)
		return last >= 0xaa && last <= 0xae ? 3 : 0;
	return last >= 0xa6 && last <= 0xa9 ? 3 : 0;
}
