/* The file of the lines that no stage could bear, one record each. */
#ifndef KEEP_DEAD_LETTERS_H
#define KEEP_DEAD_LETTERS_H

#include <stddef.h>
#include <stdint.h>

/* The least for both files together: each takes the longest record. */
#define DEAD_LETTERS_BYTES_LEAST (INT64_C(48) * 1024 * 1024)

/*
 * Append a line, its LF included, and make it durable. Where the file would
 * pass half of bytes_max it becomes path.1, in the place of an older one.
 * Several processes may do so at once. Returns 0, or -1 with errno set; then
 * nothing was appended.
 */
int dead_letters_append(const char *path, int64_t bytes_max,
    const char *line, size_t length);

#endif
