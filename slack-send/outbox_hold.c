/* Forwards that have to wait for a digest: of who is muted, or gets many. */
#include "clock.h"
#include "outbox_parts.h"

#include <string.h>

static int
find_held(struct outbox *outbox, const char *channel, int64_t *digest)
{
	static const char sql[] = "SELECT number FROM message"
	    " WHERE state = 'held' AND channel = ?1 LIMIT 1";
	sqlite3_stmt *find = store_use(outbox->store, sql);

	outbox_bind(find, 1, channel);
	return store_number(outbox->store, find, digest, 0);
}

/* Whoever mutes while something is held back gets all of it later. */
static int
put_back(struct outbox *outbox, int64_t digest, int64_t due_us)
{
	static const char sql[] = "UPDATE message SET due = max(due, ?2)"
	    " WHERE number = ?1";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, digest);
	sqlite3_bind_int64(update, 2, due_us);
	return store_run(outbox->store, update);
}

/* Those that came within the last minute, whatever became of them. */
static int
count_recent(struct outbox *outbox, const struct outbox_message *message,
    int64_t *count)
{
	static const char sql[] = "SELECT count(*) FROM (SELECT 1 FROM message"
	    " WHERE purpose = 'forward' AND channel = ?1 AND created > ?2"
	    " LIMIT ?3)";
	sqlite3_stmt *find = store_use(outbox->store, sql);

	outbox_bind(find, 1, message->channel);
	sqlite3_bind_int64(find, 2, message->since_us - OUTBOX_COOLDOWN_US);
	sqlite3_bind_int64(find, 3, OUTBOX_BURST);
	return store_number(outbox->store, find, count, 0);
}

int
outbox_choose_held(struct outbox *outbox, const struct outbox_message *message,
    int64_t *digest)
{
	int64_t now_us = message->since_us, count = 0;
	int64_t due_us = message->due_us > now_us ? message->due_us : 0;

	*digest = 0;
	if (message->number != 0 ||		/* it is replayed */
	    strcmp(message->purpose, OUTBOX_FORWARD_PURPOSE) != 0)
		return 0;
	if (find_held(outbox, message->channel, digest) == -1)
		return -1;
	if (*digest != 0)
		return due_us == 0 ? 0 : put_back(outbox, *digest, due_us);
	if (due_us == 0 && count_recent(outbox, message, &count) == -1)
		return -1;
	if (due_us == 0 && count < OUTBOX_BURST)
		return 0;
	return outbox_make_digest(outbox, message, due_us != 0 ? due_us
	    : now_us + OUTBOX_COOLDOWN_US, digest);
}

/* --- when its time has come -------------------------------------------------*/

static int
apply_release(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET state = 'queued',"
	    " since = ?1, due = NULL WHERE state = 'held'";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, message->since_us);
	return store_run(outbox->store, update);
}

void
outbox_release(struct outbox *outbox)
{
	struct outbox_message message = { .since_us = clock_now_us() };

	outbox_change(outbox, apply_release, &message);
}

/* What was gathered since is none of a record's that comes again. */
static int
apply_hold(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET"
	    " state = iif(?3 > ?2, 'held', 'queued'),"
	    " since = iif(?3 > ?2, since, ?2), due = iif(?3 > ?2, ?3, NULL)"
	    " WHERE state = 'held' AND channel = ?1"
	    " AND (?4 = 0 OR seq IS NULL OR seq <= ?4)";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	outbox_bind(update, 1, message->channel);
	sqlite3_bind_int64(update, 2, message->since_us);
	sqlite3_bind_int64(update, 3, message->due_us);
	sqlite3_bind_int64(update, 4, message->seq);
	return store_run(outbox->store, update);
}

void
outbox_hold(struct outbox *outbox, const char *channel, int64_t due_us,
    int64_t seq)
{
	struct outbox_message message = { .channel = channel,
	    .due_us = due_us, .seq = seq, .since_us = clock_now_us() };

	outbox_change(outbox, apply_hold, &message);
}

static int
apply_release_due(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET state = 'queued',"
	    " since = ?1, due = NULL WHERE state = 'held' AND due <= ?1";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, message->since_us);
	return store_run(outbox->store, update);
}

static int64_t
find_next_due(struct outbox *outbox)
{
	static const char sql[] = "SELECT min(due) FROM message"
	    " WHERE state = 'held'";
	int64_t due_us = 0;

	if (outbox_commit(outbox) == 0 && store_number(outbox->store,
	    store_use(outbox->store, sql), &due_us, 0) == -1)
		outbox_note_failure(outbox);
	return due_us;
}

int64_t
outbox_release_due(struct outbox *outbox)
{
	struct outbox_message message = { .since_us = clock_now_us() };
	int64_t due_us = find_next_due(outbox);

	if (due_us == 0 || due_us > message.since_us)
		return due_us;
	outbox_change(outbox, apply_release_due, &message);
	return find_next_due(outbox);
}
