/*
 * The last records, by KEY. A KEY is the record's `seq` where that is greater
 * than the KEY before it, else that KEY + 1; the dashboard counts by the same
 * rule, so records without `seq` have a place in the order, too.
 */
#ifndef WS_BROADCAST_RING_H
#define WS_BROADCAST_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The greatest KEY that a browser can count exactly. */
#define RING_KEY_MAX INT64_C(9007199254740991)

struct ring;

struct ring_record {
	int64_t key;
	int64_t before;		/* the KEY behind which nothing is missing */
	size_t length;
	unsigned holders;	/* the ring, and who is amid sending it */
	char bytes[];
};

/*
 * Keep at most so many records and bytes, but always the newest record,
 * whatever its size. is_gapless says that there is a record for each KEY, so
 * that a KEY which does not come, even before the first one, is missing.
 */
struct ring *ring_new(size_t records_max, size_t bytes_max, bool is_gapless);
void ring_free(struct ring *ring);

/*
 * Copy a record in; the oldest ones make room. seq is 0 where it has none.
 * Returns its KEY.
 */
int64_t ring_append(struct ring *ring, int64_t seq, const char *bytes,
    size_t length);

size_t ring_count(const struct ring *ring);

/* Records appended since the start. */
uint64_t ring_total(const struct ring *ring);

/* KEY of the newest record there ever was, 0 before the first. */
int64_t ring_last(const struct ring *ring);

/*
 * The KEY before the first record that has a seq, or, until there is one,
 * before the first record of all; 0 before that.
 */
int64_t ring_origin(const struct ring *ring);

/* KEY of the oldest record that is left, ring_last + 1 where none is. */
int64_t ring_first(const struct ring *ring);

/* The record at place 0 (the oldest) to ring_count - 1. */
const struct ring_record *ring_at(const struct ring *ring, size_t place);

/* The place of the first record with a greater KEY; ring_count if none has. */
size_t ring_find(const struct ring *ring, int64_t key);

/* The KEY behind which the newest `count` records begin. */
int64_t ring_before_newest(const struct ring *ring, size_t count);

/*
 * Keep a record beyond its time in the ring, until it is released as often as
 * it was held. ring_held_bytes is what is kept for this reason alone.
 */
const struct ring_record *ring_hold(struct ring *ring, size_t place);
void ring_release(struct ring *ring, const struct ring_record *record);
size_t ring_held_bytes(const struct ring *ring);

#endif
