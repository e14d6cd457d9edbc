/* What people see of a match: a piece of its line. */
#ifndef SCANNER_EXCERPT_H
#define SCANNER_EXCERPT_H

#include <stddef.h>

#include "buffer.h"

#define EXCERPT_BYTES_MAX 200

/* Where the match is in an excerpt. */
struct marked {
	size_t start;
	size_t end;
};

/*
 * Append the match from start to end with as much of its line around it as
 * fits, cut at character borders, control bytes as blanks, what is not UTF-8
 * as question marks. Of a match that is too long, its beginning.
 */
struct marked excerpt_append(struct buffer *out, const char *bytes,
    size_t length, size_t start, size_t end);

#endif
