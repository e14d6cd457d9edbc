/* What the outbox does when there is time, and what it does once more. */
#include <err.h>
#include <inttypes.h>

#include "clock.h"
#include "outbox_parts.h"

#define FORGOTTEN_AT_ONCE 200
#define REPLAYED_AT_ONCE 200

/* --- what may wait ----------------------------------------------------------*/

static int
find_unsettled(struct outbox *outbox, int64_t *digest)
{
	static const char sql[] = "SELECT number FROM message"
	    " WHERE ended IS NOT NULL AND reported IS NULL"
	    " ORDER BY number LIMIT 1";

	return store_number(outbox->store, store_use(outbox->store, sql),
	    digest, 0);
}

/* How many are through and are to be forgotten, whatever their age. */
static int64_t
count_surplus(const struct outbox *outbox)
{
	const struct outbox_settings *settings = outbox->settings;
	const struct counts *counts = &outbox->counts;

	if (counts->bytes > settings->bytes_max / 4 * 3)
		return counts->ended;
	return counts->ended - 2 * settings->open_max;
}

static int
forget_some(struct outbox *outbox, int64_t *count)
{
	static const char sql[] = "DELETE FROM message WHERE number IN"
	    " (SELECT number FROM message WHERE ended IS NOT NULL"
	    " AND ended <= ?1 AND reported IS NOT NULL"
	    " ORDER BY ended LIMIT ?2)";
	sqlite3_stmt *forget = store_use(outbox->store, sql);
	int64_t surplus = count_surplus(outbox), now_us = clock_now_us();

	sqlite3_bind_int64(forget, 1, surplus > 0 ? now_us :
	    now_us - outbox->settings->keep_s * 1000000);
	sqlite3_bind_int64(forget, 2, surplus > 0 && surplus <
	    FORGOTTEN_AT_ONCE ? surplus : FORGOTTEN_AT_ONCE);
	if (store_run(outbox->store, forget) == -1)
		return -1;
	*count = sqlite3_changes64(sqlite3_db_handle(forget));
	outbox->counts.ended -= *count;
	return 0;
}

/* `arg` says afterwards whether there is more to do. */
static int
take_step(struct outbox *outbox, void *arg)
{
	bool *has_more = arg;
	int64_t digest, count;
	int more;

	*has_more = true;
	if (find_unsettled(outbox, &digest) == -1)
		return -1;
	if (digest != 0) {
		more = outbox_settle(outbox, digest);
		return more == -1 ? -1 : 0;
	}
	if (forget_some(outbox, &count) == -1)
		return -1;
	if (count == 0)
		*has_more = store_shrink(outbox->store);
	return 0;
}

bool
outbox_tidy(struct outbox *outbox)
{
	bool has_more = false;

	return outbox_transact(outbox, take_step, &has_more) == 0 && has_more;
}

/* --- once more --------------------------------------------------------------*/

/* Something that failed. */
struct dead {
	int64_t number;
	int64_t digest;
	bool is_digest;
	bool is_empty;
};

struct replay {
	int64_t after;		/* that number */
	int64_t until_us;	/* what failed later is left */
	int64_t count;
	int64_t empty;		/* left: their content is gone */
	bool is_full;
	bool is_over;
};

/* A digest is sent again as it was, with all that it carried. */
static int
revive_digest(struct outbox *outbox, int64_t digest, int64_t now_us,
    int64_t *count)
{
	static const char revive[] = "UPDATE message SET state = 'queued',"
	    " since = ?2, tried = ifnull(tried, ?2), ended = NULL,"
	    " reported = NULL, outcomes = outcomes + 1 WHERE number = ?1";
	static const char carried[] = "UPDATE message SET state = 'gathered',"
	    " since = ?2, ended = NULL, reported = NULL,"
	    " outcomes = outcomes + 1 WHERE digest = ?1"
	    " AND state IN ('gathered', 'failed') AND state = 'failed'";
	const char *const all[] = { revive, carried };

	*count = 0;
	for (size_t i = 0; i < 2; i++) {
		sqlite3_stmt *update = store_use(outbox->store, all[i]);

		sqlite3_bind_int64(update, 1, digest);
		sqlite3_bind_int64(update, 2, now_us);
		if (store_run(outbox->store, update) == -1)
			return -1;
		*count += sqlite3_changes64(sqlite3_db_handle(update));
	}
	return 0;
}

/* Of what a digest takes over only the beginning stays. */
static int
revive_message(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET state = ?2,"
	    " digest = ?3, text = iif(?3 IS NULL, text, ?4),"
	    " payload = iif(?3 IS NULL, payload, NULL),"
	    " mrkdwn = iif(?3 IS NULL, mrkdwn, NULL), since = ?5,"
	    " ended = NULL, reported = NULL, outcomes = outcomes + 1"
	    " WHERE number = ?1";
	sqlite3_stmt *update;
	int64_t digest = 0;

	if (message->part == 0 &&
	    outbox_choose_digest(outbox, message, &digest) == -1)
		return -1;
	update = store_use(outbox->store, sql);
	sqlite3_bind_int64(update, 1, message->number);
	outbox_bind(update, 2, digest == 0 ? "queued" : "gathered");
	if (digest != 0)
		sqlite3_bind_int64(update, 3, digest);
	outbox_bind_beginning(update, 4, message->text,
	    OUTBOX_GATHERED_TEXT_BYTES);
	sqlite3_bind_int64(update, 5, message->since_us);
	return store_run(outbox->store, update);
}

static int
revive_single(struct outbox *outbox, int64_t number, int64_t now_us)
{
	static const char sql[] = "SELECT seq, channel, posts, part, text,"
	    " purpose FROM message WHERE number = ?1";
	sqlite3_stmt *find = store_use(outbox->store, sql);
	struct outbox_message message = { .number = number,
	    .since_us = now_us };
	int result;

	sqlite3_bind_int64(find, 1, number);
	if (store_step(outbox->store, find) != 1)
		return -1;
	message.seq = sqlite3_column_int64(find, 0);
	message.channel = (const char *)sqlite3_column_text(find, 1);
	message.posts = sqlite3_column_int64(find, 2);
	message.part = sqlite3_column_int64(find, 3);
	message.text = (const char *)sqlite3_column_text(find, 4);
	message.purpose = (const char *)sqlite3_column_text(find, 5);
	result = revive_message(outbox, &message);
	sqlite3_reset(find);
	return result;
}

static int
find_dead(struct outbox *outbox, const struct replay *replay,
    struct dead *dead, size_t *count)
{
	static const char sql[] = "SELECT number, digest,"
	    " purpose = '" OUTBOX_DIGEST_PURPOSE "',"
	    " coalesce(text, payload, mrkdwn) IS NULL FROM message NOT INDEXED"
	    " WHERE number > ?1 AND state = 'failed' AND ended <= ?2"
	    " ORDER BY number LIMIT ?3";
	sqlite3_stmt *find = store_use(outbox->store, sql);
	int more = 1;

	*count = 0;
	sqlite3_bind_int64(find, 1, replay->after);
	sqlite3_bind_int64(find, 2, replay->until_us);
	sqlite3_bind_int64(find, 3, REPLAYED_AT_ONCE);
	while (*count < REPLAYED_AT_ONCE &&
	    (more = store_step(outbox->store, find)) == 1)
		dead[(*count)++] = (struct dead){
			.number = sqlite3_column_int64(find, 0),
			.digest = sqlite3_column_int64(find, 1),
			.is_digest = sqlite3_column_int64(find, 2) != 0,
			.is_empty = sqlite3_column_int64(find, 3) != 0,
		};
	sqlite3_reset(find);
	return more == -1 ? -1 : 0;
}

static int
revive(struct outbox *outbox, const struct dead *dead, struct replay *replay)
{
	int64_t count = 1;
	int result;

	if (dead->digest != 0)
		return 0;	/* that did it */
	if (dead->is_empty && !dead->is_digest) {
		replay->empty++;
		return 0;
	}
	result = dead->is_digest ?
	    revive_digest(outbox, dead->number, replay->until_us, &count) :
	    revive_single(outbox, dead->number, replay->until_us);
	outbox->counts.open += count;
	outbox->counts.ended -= count;
	replay->count += dead->is_digest ? count - 1 : count;
	return result;
}

static int
replay_some(struct outbox *outbox, void *arg)
{
	struct replay *replay = arg, after = *replay;
	struct dead dead[REPLAYED_AT_ONCE];
	size_t count, i;

	if (find_dead(outbox, replay, dead, &count) == -1)
		return -1;
	for (i = 0; i < count && outbox->counts.open <
	    outbox->settings->open_max; i++) {
		if (revive(outbox, &dead[i], &after) == -1)
			return -1;
		after.after = dead[i].number;
	}
	after.is_full = i < count;
	after.is_over = count < REPLAYED_AT_ONCE || after.is_full;
	*replay = after;
	return 0;
}

int64_t
outbox_replay_dead(struct outbox *outbox)
{
	struct replay replay = { .until_us = clock_now_us() };

	while (!replay.is_over)
		if (outbox_transact(outbox, replay_some, &replay) == -1)
			return -1;
	if (replay.empty > 0)
		warnx("%" PRId64 " messages came when the outbox was full:"
		    " they are only in the journal", replay.empty);
	if (replay.is_full)
		warnx("the outbox is full: some messages are left as failed");
	return replay.count;
}
