#include "orders.h"

#include <stdlib.h>

#include "forward.h"
#include "memory.h"
#include "record.h"
#include "relay.h"
#include "reply.h"

#define PENDING_BYTES_MAX (4 * 1024 * 1024)	/* in one commit */

struct orders {
	struct outbox *outbox;
	struct downstream *downstream;
	struct record *record;
	bool may_broadcast;
	bool are_unsafe;
};

struct orders *
orders_new(struct outbox *outbox, struct downstream *downstream,
    bool may_broadcast)
{
	static const char *const own[] = { NULL };
	struct orders *orders = xcalloc(1, sizeof *orders);

	orders->outbox = outbox;
	orders->downstream = downstream;
	orders->may_broadcast = may_broadcast;
	orders->record = record_new("slack-send", own);
	return orders;
}

void
orders_free(struct orders *orders)
{
	if (orders == NULL)
		return;
	record_free(orders->record);
	free(orders);
}

/* Posts are counted where a channel's queue may become long: by relay. */
static void
take_message(const struct outbox_message *message, void *arg)
{
	struct orders *orders = arg;

	orders->are_unsafe = true;
	if (!outbox_add(orders->outbox, message))
		record_fail(orders->record, "not sent: the outbox is full");
}

static void
take_mute(const char *user, int64_t due_us, void *arg)
{
	struct orders *orders = arg;
	int64_t seq = 0;

	record_integer(orders->record, RECORD_SEQ, &seq);
	orders->are_unsafe = true;
	outbox_hold(orders->outbox, user, due_us, seq);
}

/* What the bot says, and what goes to those who subscribed. */
static void
take_words(struct orders *orders)
{
	struct outbox_message reply;

	if (reply_read(&reply, orders->record))
		take_message(&reply, orders);
	reply_read_notices(orders->record, take_message, orders);
	forward_read(orders->record, take_message, orders);
	reply_read_mutes(orders->record, take_mute, orders);
}

static void
take_line(const struct line *line, void *arg)
{
	struct orders *orders = arg;
	struct buffer *lines = downstream_lines(orders->downstream);

	if (!record_take(orders->record, line, lines))
		return;
	if (relay_take(orders->outbox, orders->record, orders->may_broadcast))
		orders->are_unsafe = true;
	take_words(orders);
	record_write(orders->record, lines);
}

/* While answers wait for a commit that failed, no more are made. */
static bool
has_room(void *arg)
{
	const struct orders *orders = arg;

	return !downstream_is_full(orders->downstream) &&
	    outbox_pending_bytes(orders->outbox) < PENDING_BYTES_MAX &&
	    !(orders->are_unsafe && outbox_is_in_trouble(orders->outbox));
}

struct taker
orders_taker(struct orders *orders)
{
	return (struct taker){ .take = take_line, .has_room = has_room,
	    .arg = orders };
}

bool
orders_are_unsafe(const struct orders *orders)
{
	return orders->are_unsafe;
}

void
orders_note_commit(struct orders *orders)
{
	orders->are_unsafe = false;
}
