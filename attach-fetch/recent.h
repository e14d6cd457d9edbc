/*
 * The files that the last answers referred to: the stages behind have yet to
 * read them, so they stay pinned for a while.
 */
#ifndef ATTACH_FETCH_RECENT_H
#define ATTACH_FETCH_RECENT_H

#include <stddef.h>
#include <stdint.h>

#include "blob_index.h"

struct recent;

/*
 * Keep the last count_max references, but no more than bytes_max altogether
 * (the last one always), so that a spool of large files does not fill up with
 * pinned ones.
 */
struct recent *recent_new(size_t count_max, int64_t bytes_max);

/* Unpins all. */
void recent_free(struct recent *recent);

/* Take over the caller's pin. */
void recent_add(struct recent *recent, struct blob *blob, int64_t now_us);

/* Unpin what was added before that time. */
void recent_forget_before(struct recent *recent, int64_t limit_us);

#endif
