#include "json_letters.h"

#include <stdlib.h>
#include <string.h>

static unsigned
read_unit(const char *digits)
{
	return (unsigned)strtoul((char[]){ digits[0], digits[1], digits[2],
	    digits[3], '\0' }, NULL, 16);
}

static void
append_character(struct buffer *text, unsigned code)
{
	char bytes[4];
	size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	for (size_t i = length - 1; i > 0; i--, code >>= 6)
		bytes[i] = (char)(0x80 | (code & 0x3f));
	bytes[0] = (char)(0xf00 >> length | code);
	buffer_append(text, bytes, length);
}

/* Append a \u escape as UTF-8, ASCII as it stands; returns its length. */
static size_t
append_unicode_escape(struct buffer *text, const char *escape, size_t length)
{
	unsigned unit = read_unit(escape + 2), next = 0;

	if (unit < 0x80) {
		buffer_append(text, escape, 6);
		return 6;
	}
	if (unit >= 0xd800 && unit <= 0xdbff && length >= 12 &&
	    escape[6] == '\\' && escape[7] == 'u')
		next = read_unit(escape + 8);
	if (next >= 0xdc00 && next <= 0xdfff) {
		append_character(text, 0x10000 + ((unit & 0x3ff) << 10) +
		    (next & 0x3ff));
		return 12;
	}
	append_character(text, unit >= 0xd800 && unit <= 0xdfff ? 0xfffd
	    : unit);
	return 6;
}

void
json_letters_undo(struct buffer *text, const char *json, size_t length)
{
	while (length > 0) {
		const char *escape = memchr(json, '\\', length);
		size_t taken = escape != NULL ? (size_t)(escape - json) : length;

		buffer_append(text, json, taken);
		json += taken;
		length -= taken;
		if (length == 0)
			return;
		taken = 2;
		if (json[1] == 'u')
			taken = append_unicode_escape(text, json, length);
		else
			buffer_append(text, json, 2);
		json += taken;
		length -= taken;
	}
}
