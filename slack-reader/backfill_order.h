/*
 * In which order stored messages are handed over: the oldest first, whichever
 * way Slack's pages went. Only runs of messages that were stored the newest
 * first are remembered, which is one run where its pages go back in time.
 */
#ifndef SLACK_READER_BACKFILL_ORDER_H
#define SLACK_READER_BACKFILL_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message_store.h"

/* Zeroed it is empty. */
struct backfill_order {
	struct backfill_run *runs;
	size_t count;
};

/* What comes next; zeroed it is the oldest. */
struct backfill_place {
	size_t run;
	int64_t at;	/* in the store */
	bool is_in;	/* the run was begun */
};

void backfill_order_clear(struct backfill_order *order);

/* A message was stored between the two places, behind all others. */
void backfill_order_note(struct backfill_order *order, int64_t begin,
    int64_t end, int64_t ts_us);

/* All are stored. Returns 0, or -1 with errno set. */
int backfill_order_sort(struct backfill_order *order,
    struct message_store *store);

/*
 * Read the message at *place and go to the next. Returns 1, 0 where there is
 * none, or -1 with errno set.
 */
int backfill_order_next(const struct backfill_order *order,
    struct message_store *store, struct backfill_place *place,
    struct stored_message *message);

#endif
