#include "utf16.h"

#define REPLACEMENT 0xfffd

static void
append_character(struct buffer *text, uint32_t character)
{
	char bytes[4];
	size_t length;

	if (character < 0x80) {
		bytes[0] = (char)character;
		length = 1;
	} else if (character < 0x800) {
		bytes[0] = (char)(0xc0 | character >> 6);
		length = 2;
	} else if (character < 0x10000) {
		bytes[0] = (char)(0xe0 | character >> 12);
		length = 3;
	} else {
		bytes[0] = (char)(0xf0 | character >> 18);
		length = 4;
	}
	for (size_t i = 1; i < length; i++)
		bytes[i] = (char)(0x80 |
		    (character >> 6 * (length - 1 - i) & 0x3f));
	buffer_append(text, bytes, length);
}

static void
take_unit(struct utf16 *state, uint32_t unit, struct buffer *text)
{
	bool is_low = unit >= 0xdc00 && unit <= 0xdfff;

	if (state->high != 0 && is_low) {
		append_character(text, 0x10000 +
		    ((state->high - 0xd800) << 10) + (unit - 0xdc00));
		state->high = 0;
		return;
	}
	if (state->high != 0)
		append_character(text, REPLACEMENT);
	state->high = unit >= 0xd800 && unit <= 0xdbff ? unit : 0;
	if (state->high == 0)
		append_character(text, is_low ? REPLACEMENT : unit);
}

void
utf16_decode(struct utf16 *state, const char *bytes, size_t length,
    struct buffer *text)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)bytes[i];

		if (state->has_byte)
			take_unit(state, state->is_big_endian
			    ? (uint32_t)state->byte << 8 | byte
			    : (uint32_t)byte << 8 | state->byte, text);
		state->has_byte = !state->has_byte;
		state->byte = byte;
	}
}

void
utf16_end(struct utf16 *state, struct buffer *text)
{
	if (state->high != 0 || state->has_byte)
		append_character(text, REPLACEMENT);
	state->high = 0;
	state->has_byte = false;
}
