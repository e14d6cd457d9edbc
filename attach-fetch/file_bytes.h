/* A file object as it came, byte for byte. */
#ifndef ATTACH_FETCH_FILE_BYTES_H
#define ATTACH_FETCH_FILE_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#include "record.h"

/* Bytes of the record's line. */
struct file_bytes {
	const char *text;
	size_t length;
};

/*
 * The first file object with the id in the record, or in its edited message;
 * false where there is none, or the id is written with escapes.
 */
bool file_bytes_find(const struct record *record, const char *id,
    struct file_bytes *file);

#endif
