/*
 * Standard output, which must not hold anything else up: what the reader of a
 * pipe or socket does not take at once stays here, in bounds.
 */
#ifndef LIB_DOWNSTREAM_H
#define LIB_DOWNSTREAM_H

#include <stdbool.h>

#include "buffer.h"

struct downstream;

/* Exits EX_IOERR where standard output is closed. */
struct downstream *downstream_new(void);
void downstream_free(struct downstream *downstream);

/* From now on a full disk is not reported: the caller waits and says so. */
void downstream_wait_for_room(struct downstream *downstream);

/* Where lines to be passed on are appended. */
struct buffer *downstream_lines(struct downstream *downstream);

/* Is so much waiting already that no more should be read? */
bool downstream_is_full(const struct downstream *downstream);
bool downstream_is_empty(const struct downstream *downstream);

/*
 * Write what can be written without waiting (to a file or a terminal: all).
 * Returns 0, or -1 with errno set and, unless it is EPIPE, reported once.
 */
int downstream_write(struct downstream *downstream);

/* Close standard output, once. Returns 0, or -1 with the reason reported. */
int downstream_close(struct downstream *downstream);

#endif
