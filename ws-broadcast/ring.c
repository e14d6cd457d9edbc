#include "ring.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

struct ring {
	size_t records_max;
	size_t bytes_max;
	bool is_gapless;

	struct ring_record **slots;	/* records_max of them, used in turn */
	size_t oldest;
	size_t count;
	size_t bytes;
	size_t held_bytes;
	bool is_numbered;	/* a seq has come: KEYs are no guess any more */
	int64_t origin;
	int64_t last;
	uint64_t total;
};

struct ring *
ring_new(size_t records_max, size_t bytes_max, bool is_gapless)
{
	struct ring *ring = xcalloc(1, sizeof *ring);

	ring->records_max = records_max;
	ring->bytes_max = bytes_max;
	ring->is_gapless = is_gapless;
	ring->slots = xcalloc(records_max, sizeof ring->slots[0]);
	return ring;
}

void
ring_free(struct ring *ring)
{
	if (ring == NULL)
		return;
	for (size_t i = 0; i < ring->count; i++)
		free((void *)ring_at(ring, i));
	free(ring->slots);
	free(ring);
}

/* The record leaves the ring; who holds it keeps it alive. */
static void
drop_oldest(struct ring *ring)
{
	struct ring_record *record = ring->slots[ring->oldest];

	ring->oldest = (ring->oldest + 1) % ring->records_max;
	ring->count--;
	ring->bytes -= record->length;
	if (--record->holders == 0)
		free(record);
	else
		ring->held_bytes += record->length;
}

static int64_t
find_key(const struct ring *ring, int64_t seq)
{
	return seq > ring->last && seq <= RING_KEY_MAX ? seq : ring->last + 1;
}

/* Say which place the record has in the order. */
static void
give_key(struct ring *ring, struct ring_record *record, int64_t seq)
{
	record->key = find_key(ring, seq);
	if (ring->total == 0 || (!ring->is_numbered && record->key == seq))
		ring->origin = record->key - 1;
	ring->is_numbered |= record->key == seq;
	record->before = ring->is_gapless || ring->total == 0
	    ? record->key - 1 : ring->last;
	ring->last = record->key;
	ring->total++;
}

int64_t
ring_append(struct ring *ring, int64_t seq, const char *bytes, size_t length)
{
	struct ring_record *record = xmalloc(sizeof *record + length);

	give_key(ring, record, seq);
	record->length = length;
	record->holders = 1;
	memcpy(record->bytes, bytes, length);

	while (ring->count > 0 && (ring->count == ring->records_max ||
	    ring->bytes + length > ring->bytes_max))
		drop_oldest(ring);
	ring->slots[(ring->oldest + ring->count) % ring->records_max] = record;
	ring->count++;
	ring->bytes += length;
	return record->key;
}

size_t
ring_count(const struct ring *ring)
{
	return ring->count;
}

uint64_t
ring_total(const struct ring *ring)
{
	return ring->total;
}

int64_t
ring_last(const struct ring *ring)
{
	return ring->last;
}

int64_t
ring_origin(const struct ring *ring)
{
	return ring->origin;
}

int64_t
ring_first(const struct ring *ring)
{
	return ring->count > 0 ? ring_at(ring, 0)->key : ring->last + 1;
}

const struct ring_record *
ring_at(const struct ring *ring, size_t place)
{
	return ring->slots[(ring->oldest + place) % ring->records_max];
}

size_t
ring_find(const struct ring *ring, int64_t key)
{
	size_t low = 0, high = ring->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ring_at(ring, middle)->key > key)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

int64_t
ring_before_newest(const struct ring *ring, size_t count)
{
	if (count == 0 || ring->count == 0)
		return ring->last;
	if (count > ring->count)
		count = ring->count;
	return ring_at(ring, ring->count - count)->key - 1;
}

const struct ring_record *
ring_hold(struct ring *ring, size_t place)
{
	struct ring_record *record = ring->slots[
	    (ring->oldest + place) % ring->records_max];

	record->holders++;
	return record;
}

void
ring_release(struct ring *ring, const struct ring_record *record)
{
	struct ring_record *held = (struct ring_record *)record;

	if (--held->holders > 0)
		return;
	ring->held_bytes -= held->length;	/* it has left the ring */
	free(held);
}

size_t
ring_held_bytes(const struct ring *ring)
{
	return ring->held_bytes;
}
