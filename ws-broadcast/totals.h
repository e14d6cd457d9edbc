/* The totals that the program `stats` writes to a file while it counts. */
#ifndef WS_BROADCAST_TOTALS_H
#define WS_BROADCAST_TOTALS_H

#include <stddef.h>

struct totals;

/* path is borrowed; it may be NULL, and the file need not be there yet. */
struct totals *totals_new(const char *path);
void totals_free(struct totals *totals);

/*
 * Look at the file again. What cannot be read, or is no JSON object, leaves the
 * totals as they were.
 */
void totals_refresh(struct totals *totals);

/* Another number each time that there was something new. */
unsigned long totals_version(const struct totals *totals);

/*
 * The file's content as one line, or NULL where there is none yet; without the
 * tally `external`, which may be large and is of use to few.
 */
const char *totals_text(const struct totals *totals, size_t *length);

/* That tally, a JSON object, or NULL where there is none. */
const char *totals_external(const struct totals *totals, size_t *length);

#endif
