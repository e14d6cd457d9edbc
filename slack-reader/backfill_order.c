#include "backfill_order.h"

#include <stdlib.h>

#include "memory.h"

#define FIRST_RUNS 16

struct backfill_run {
	int64_t begin;
	int64_t end;
	int64_t newest_us;
	int64_t oldest_us;
};

void
backfill_order_clear(struct backfill_order *order)
{
	free(order->runs);
	*order = (struct backfill_order){ 0 };
}

static void
add_run(struct backfill_order *order, const struct backfill_run *run)
{
	size_t count = order->count;

	if (count == 0 || (count >= FIRST_RUNS && (count & (count - 1)) == 0))
		order->runs = xrealloc(order->runs, (count > 0 ? 2 * count
		    : FIRST_RUNS) * sizeof *order->runs);
	order->runs[order->count++] = *run;
}

void
backfill_order_note(struct backfill_order *order, int64_t begin, int64_t end,
    int64_t ts_us)
{
	struct backfill_run *last = order->count > 0
	    ? &order->runs[order->count - 1] : NULL;

	if (last != NULL && ts_us <= last->oldest_us) {
		last->end = end;
		last->oldest_us = ts_us;
	} else {
		add_run(order, &(struct backfill_run){ begin, end, ts_us,
		    ts_us });
	}
}

/* Of messages at the same time the one that was stored later is older. */
static int
compare(const void *a, const void *b)
{
	const struct backfill_run *left = a, *right = b;

	if (left->oldest_us != right->oldest_us)
		return left->oldest_us < right->oldest_us ? -1 : 1;
	return left->begin > right->begin ? -1 : left->begin < right->begin;
}

static void
sort(struct backfill_order *order)
{
	if (order->count > 1)
		qsort(order->runs, order->count, sizeof *order->runs, compare);
}

static bool
has_overlaps(const struct backfill_order *order)
{
	for (size_t i = 1; i < order->count; i++)
		if (order->runs[i - 1].newest_us > order->runs[i].oldest_us)
			return true;
	return false;
}

/* Each message becomes a run: that costs memory, but is right always. */
static int
split(struct backfill_order *order, struct message_store *store)
{
	struct stored_message message;
	int64_t begin = 0, end = 0;
	int result;

	backfill_order_clear(order);
	while ((result = message_store_behind(store, &end, &message)) == 1) {
		add_run(order, &(struct backfill_run){ begin, end,
		    message.ts_us, message.ts_us });
		begin = end;
	}
	return result;
}

int
backfill_order_sort(struct backfill_order *order, struct message_store *store)
{
	sort(order);
	if (!has_overlaps(order))
		return 0;
	if (split(order, store) == -1)
		return -1;
	sort(order);
	return 0;
}

int
backfill_order_next(const struct backfill_order *order,
    struct message_store *store, struct backfill_place *place,
    struct stored_message *message)
{
	if (place->is_in && place->at <= order->runs[place->run].begin)
		*place = (struct backfill_place){ .run = place->run + 1 };
	if (place->run == order->count)
		return 0;
	if (!place->is_in)
		place->at = order->runs[place->run].end;
	place->is_in = true;
	return message_store_before(store, &place->at, message);
}
