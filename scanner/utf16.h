/* UTF-16 that comes in pieces, as UTF-8. */
#ifndef SCANNER_UTF16_H
#define SCANNER_UTF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

/* What is left over between two pieces. */
struct utf16 {
	bool is_big_endian;
	bool has_byte;		/* the first half of a unit */
	unsigned char byte;
	uint32_t high;		/* a high surrogate that waits, or 0 */
};

/* Append the bytes as UTF-8; a surrogate without its mate becomes U+FFFD. */
void utf16_decode(struct utf16 *state, const char *bytes, size_t length,
    struct buffer *text);

/* Append U+FFFD for what was left over at the end. */
void utf16_end(struct utf16 *state, struct buffer *text);

#endif
