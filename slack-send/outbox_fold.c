/* Of very many forwards that wait for a digest the middle ones are counted
 * alone: a row for each title and class, which says how many it stands for
 * (`messages`) and up to which seq. */
#include <string.h>

#include "outbox_parts.h"

#define ROWS_MAX 1000		/* of a digest, and a few */
#define FORWARDS " AND purpose = '" OUTBOX_FORWARD_PURPOSE "'"

/* Counting the rows costs more than a new one: it is done at one in 16, by no
 * pattern, as many users may take turns. */
static bool
is_time_to_count(int64_t number)
{
	return ((uint64_t)number * UINT64_C(0x9e3779b97f4a7c15)) >> 60 == 0;
}

static int
count_surplus(struct outbox *outbox, int64_t digest, int64_t *surplus)
{
	static const char sql[] = "SELECT count(*) - ?2 FROM message"
	    " WHERE digest = ?1 AND state IN ('gathered', 'failed')";
	sqlite3_stmt *find = store_use(outbox->store, sql);

	sqlite3_bind_int64(find, 1, digest);
	sqlite3_bind_int64(find, 2, ROWS_MAX);
	return store_number(outbox->store, find, surplus, 0);
}

/* The oldest behind those that a digest begins with. */
static int
find_victim(struct outbox *outbox, int64_t digest, int64_t *number)
{
	static const char sql[] = "SELECT number" OUTBOX_CARRIED FORWARDS
	    " AND messages IS NULL ORDER BY number LIMIT 1 OFFSET ?2";
	sqlite3_stmt *find = store_use(outbox->store, sql);

	sqlite3_bind_int64(find, 1, digest);
	sqlite3_bind_int64(find, 2, OUTBOX_ENDS);
	return store_number(outbox->store, find, number, 0);
}

/* The row that counts its like; all of those stand before it. */
static int
find_counting(struct outbox *outbox, int64_t digest, int64_t victim,
    int64_t *number)
{
	static const char sql[] = "SELECT number" OUTBOX_CARRIED FORWARDS
	    " AND messages IS NOT NULL AND number < ?2"
	    " AND (title, class) IS (SELECT title, class FROM message"
	    " WHERE number = ?2) LIMIT 1";
	sqlite3_stmt *find = store_use(outbox->store, sql);

	sqlite3_bind_int64(find, 1, digest);
	sqlite3_bind_int64(find, 2, victim);
	return store_number(outbox->store, find, number, 0);
}

static int
begin_counting(struct outbox *outbox, int64_t victim)
{
	static const char sql[] = "UPDATE message SET messages = 1,"
	    " text = NULL WHERE number = ?1";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, victim);
	return store_run(outbox->store, update);
}

static int
count_in(struct outbox *outbox, int64_t counting, int64_t victim)
{
	static const char add[] = "UPDATE message SET messages = messages + 1,"
	    " seq = (SELECT seq FROM message WHERE number = ?2)"
	    " WHERE number = ?1";
	static const char forget[] = "DELETE FROM message WHERE number = ?1";
	sqlite3_stmt *change = store_use(outbox->store, add);

	sqlite3_bind_int64(change, 1, counting);
	sqlite3_bind_int64(change, 2, victim);
	if (store_run(outbox->store, change) == -1)
		return -1;
	change = store_use(outbox->store, forget);
	sqlite3_bind_int64(change, 1, victim);
	if (store_run(outbox->store, change) == -1)
		return -1;
	outbox->counts.open--;
	return 0;
}

/* Returns 1 where that was done, 0 where there is none to fold, or -1. */
static int
fold_one(struct outbox *outbox, int64_t digest)
{
	int64_t victim, counting;
	int result;

	if (find_victim(outbox, digest, &victim) == -1)
		return -1;
	if (victim == 0)
		return 0;
	if (find_counting(outbox, digest, victim, &counting) == -1)
		return -1;
	result = counting == 0 ? begin_counting(outbox, victim)
	    : count_in(outbox, counting, victim);
	return result == -1 ? -1 : 1;
}

int
outbox_fold(struct outbox *outbox, int64_t digest, int64_t number)
{
	int64_t surplus;
	int result = 1;

	if (!is_time_to_count(number))
		return 0;
	if (count_surplus(outbox, digest, &surplus) == -1)
		return -1;
	while (surplus-- > 0 && result == 1)
		result = fold_one(outbox, digest);
	return result == -1 ? -1 : 0;
}

int
outbox_is_folded(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "SELECT 1 FROM message"
	    " WHERE channel = ?1" FORWARDS " AND messages IS NOT NULL"
	    " AND seq >= ?2 LIMIT 1";
	sqlite3_stmt *find = store_use(outbox->store, sql);
	int64_t found;

	if (message->seq == 0)
		return 0;
	outbox_bind(find, 1, message->channel);
	sqlite3_bind_int64(find, 2, message->seq);
	if (store_number(outbox->store, find, &found, 0) == -1)
		return -1;
	return found == 1;
}
