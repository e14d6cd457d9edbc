/* The part of a text around a match, for people to read on in. */
#ifndef SCANNER_AROUND_H
#define SCANNER_AROUND_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"

#define AROUND_BYTES_MAX 8192

/* The piece of a text that there is: its begin and end, or cut out of it. */
struct piece {
	const char *bytes;
	size_t length;
	bool is_first;
	bool is_last;
};

/*
 * Append the piece where it is small enough, or else as many whole lines of
 * it around the match from start to end as fit.
 */
void around_append(struct buffer *out, const struct piece *piece, size_t start,
    size_t end);

#endif
