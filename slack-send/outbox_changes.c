/* What the changes do to the file, each within the transaction of a commit. */
#include <string.h>

#include "clock.h"
#include "outbox_parts.h"
#include "utf8.h"

#define GATHERED_TITLE_BYTES 200
#define SETTLED_AT_ONCE 500

void
outbox_bind(sqlite3_stmt *statement, int place, const char *text)
{
	sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC);
}

static int64_t
count_changes(const sqlite3_stmt *statement)
{
	return sqlite3_changes64(sqlite3_db_handle((sqlite3_stmt *)statement));
}

/* --- adding -----------------------------------------------------------------*/

static void
bind_time(sqlite3_stmt *statement, int place, int64_t us)
{
	if (us == 0)
		sqlite3_bind_null(statement, place);
	else
		sqlite3_bind_int64(statement, place, us);
}

void
outbox_bind_beginning(sqlite3_stmt *statement, int place, const char *text,
    size_t bytes)
{
	if (text == NULL || strlen(text) <= bytes)
		outbox_bind(statement, place, text);
	else
		sqlite3_bind_text(statement, place, text,
		    (int)utf8_floor(text, bytes), SQLITE_STATIC);
}

static void
bind_content(sqlite3_stmt *insert, const struct outbox_message *message)
{
	if (message->digest == 0) {
		outbox_bind(insert, 6, message->title);
		outbox_bind(insert, 7, message->text);
		outbox_bind(insert, 8, message->payload);
		outbox_bind(insert, 16, message->mrkdwn);
		outbox_bind(insert, 19, message->filename);
		return;
	}
	outbox_bind_beginning(insert, 6, message->title, GATHERED_TITLE_BYTES);
	outbox_bind_beginning(insert, 7, message->text, OUTBOX_GATHERED_TEXT_BYTES);
}

/* Returns 0 with the number it got, or -1. */
static int
insert(struct outbox *outbox, const struct outbox_message *message,
    int64_t *number)
{
	static const char sql[] = "INSERT INTO message(seq, purpose, id, key,"
	    " channel, title, text, payload, class, posts, state, digest,"
	    " created, since, ended, reason, reported, mrkdwn, thread, due,"
	    " filename)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
	    " ?13, ?14, ?15, iif(?14 IS NULL, NULL, 0), ?16, ?17, ?18,"
	    " ?19)";
	sqlite3_stmt *insert = store_use(outbox->store, sql);
	char key[OUTBOX_KEY_BYTES];

	bind_time(insert, 1, message->seq);
	outbox_bind(insert, 2, message->purpose);
	outbox_bind(insert, 3, message->id);
	if (outbox_unique_key(message, key) &&
	    strcmp(message->purpose, OUTBOX_DIGEST_PURPOSE) != 0)
		outbox_bind(insert, 4, key);
	outbox_bind(insert, 5, message->channel);
	bind_content(insert, message);
	outbox_bind(insert, 9, message->class);
	sqlite3_bind_int64(insert, 10, message->posts);
	outbox_bind(insert, 11, outbox_states[message->state]);
	bind_time(insert, 12, message->digest);
	sqlite3_bind_int64(insert, 13, message->created_us);
	bind_time(insert, 14, message->ended_us);
	outbox_bind(insert, 15, message->reason);
	outbox_bind(insert, 17, message->thread);
	if (message->state == OUTBOX_HELD)
		bind_time(insert, 18, message->due_us);
	if (store_run(outbox->store, insert) == -1)
		return -1;
	*number = sqlite3_last_insert_rowid(sqlite3_db_handle(insert));
	if (message->ended_us == 0)
		outbox->counts.open++;
	else
		outbox->counts.ended++;
	return 0;
}

/* The digest at the end of the channel's queue that still takes messages. */
static int
find_open_digest(struct outbox *outbox, const char *channel, int64_t *digest)
{
	static const char sql[] = "SELECT iif(purpose = '" OUTBOX_DIGEST_PURPOSE
	    "' AND state = 'queued' AND tried IS NULL, number, NULL)"
	    " FROM message WHERE channel = ?1"
	    " AND state IN ('queued', 'sending') ORDER BY number DESC LIMIT 1";
	sqlite3_stmt *find = store_use(outbox->store, sql);

	outbox_bind(find, 1, channel);
	return store_number(outbox->store, find, digest, 0);
}

static int
count_posts(struct outbox *outbox, const char *channel, int64_t *posts)
{
	static const char sql[] = "SELECT posts FROM queue WHERE channel = ?1";
	sqlite3_stmt *count = store_use(outbox->store, sql);

	outbox_bind(count, 1, channel);
	return store_number(outbox->store, count, posts, 0);
}

int
outbox_make_digest(struct outbox *outbox, const struct outbox_message *first,
    int64_t due_us, int64_t *digest)
{
	struct outbox_message message = {
		.seq = first->seq,
		.purpose = OUTBOX_DIGEST_PURPOSE,
		.channel = first->channel,
		.posts = 1,
		.state = due_us != 0 ? OUTBOX_HELD : OUTBOX_QUEUED,
		.due_us = due_us,
		.created_us = first->since_us,
	};

	return insert(outbox, &message, digest);
}

/* Someone waits for these words: a digest has none of them. */
static bool
is_answer(const struct outbox_message *message)
{
	return strcmp(message->purpose, OUTBOX_REPLY_PURPOSE) == 0 ||
	    strcmp(message->purpose, OUTBOX_NOTICE_PURPOSE) == 0;
}

int
outbox_choose_digest(struct outbox *outbox,
    const struct outbox_message *message, int64_t *digest)
{
	int64_t posts;

	*digest = 0;
	if (is_answer(message))
		return 0;
	if (outbox_choose_held(outbox, message, digest) == -1)
		return -1;
	if (*digest != 0)
		return 0;
	if (find_open_digest(outbox, message->channel, digest) == -1)
		return -1;
	if (*digest != 0)
		return 0;
	if (count_posts(outbox, message->channel, &posts) == -1)
		return -1;
	if (posts + message->posts <= outbox->settings->digest_after_s ||
	    posts == 0)
		return 0;
	return outbox_make_digest(outbox, message, 0, digest);
}

static bool
is_forward(const struct outbox_message *message)
{
	return strcmp(message->purpose, OUTBOX_FORWARD_PURPOSE) == 0;
}

int
outbox_is_repeated(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "SELECT 1 FROM message WHERE key = ?1";
	sqlite3_stmt *find = store_use(outbox->store, sql);
	char key[OUTBOX_KEY_BYTES];
	int64_t found;

	if (!outbox_unique_key(message, key))
		return 0;
	outbox_bind(find, 1, key);
	if (store_number(outbox->store, find, &found, 0) == -1)
		return -1;
	if (found == 0 && is_forward(message))
		return outbox_is_folded(outbox, message);
	return found == 1;
}

int
outbox_apply_add(struct outbox *outbox, const struct outbox_message *message)
{
	struct outbox_message added = *message;
	int repeated = outbox_is_repeated(outbox, message);
	int64_t number;

	if (repeated != 0)
		return repeated == 1 ? 0 : -1;
	if (added.state == OUTBOX_QUEUED &&
	    outbox_choose_digest(outbox, message, &added.digest) == -1)
		return -1;
	if (added.digest != 0)
		added.state = OUTBOX_GATHERED;
	if (insert(outbox, &added, &number) == -1)
		return -1;
	return added.digest != 0 && is_forward(&added)
	    ? outbox_fold(outbox, added.digest, number) : 0;
}

/* --- sending ----------------------------------------------------------------*/

static int
apply_try(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET state = 'sending',"
	    " attempts = attempts + 1, tried = ?2 WHERE number = ?1"
	    " AND state IN ('queued', 'sending')";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, message->number);
	sqlite3_bind_int64(update, 2, message->tried_us);
	return store_run(outbox->store, update);
}

void
outbox_try(struct outbox *outbox, int64_t number)
{
	struct outbox_message message = { .number = number,
	    .tried_us = clock_now_us() };

	outbox_change(outbox, apply_try, &message);
}

static int
apply_part(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET part = ?2, file = NULL,"
	    " slack_channel = ifnull(?3, slack_channel),"
	    " slack_ts = ifnull(slack_ts, ?4) WHERE number = ?1";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, message->number);
	sqlite3_bind_int64(update, 2, message->part);
	outbox_bind(update, 3, message->slack_channel);
	outbox_bind(update, 4, message->slack_ts);
	return store_run(outbox->store, update);
}

void
outbox_part_done(struct outbox *outbox, int64_t number, int64_t part,
    const char *slack_channel, const char *slack_ts)
{
	struct outbox_message message = { .number = number, .part = part,
	    .slack_channel = slack_channel, .slack_ts = slack_ts };

	outbox_change(outbox, apply_part, &message);
}

static int
apply_file(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET file = ?2"
	    " WHERE number = ?1";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, message->number);
	outbox_bind(update, 2, message->file);
	return store_run(outbox->store, update);
}

void
outbox_note_file(struct outbox *outbox, int64_t number, const char *file)
{
	struct outbox_message message = { .number = number, .file = file };

	outbox_change(outbox, apply_file, &message);
}

static int
apply_count(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET limited = limited + ?2,"
	    " broken = broken + ?3 WHERE number = ?1";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, message->number);
	sqlite3_bind_int64(update, 2, message->limited);
	sqlite3_bind_int64(update, 3, message->broken);
	return store_run(outbox->store, update);
}

void
outbox_count(struct outbox *outbox, int64_t number, unsigned limited,
    unsigned broken)
{
	struct outbox_message message = { .number = number,
	    .limited = limited, .broken = broken };

	if (limited > 0 || broken > 0)
		outbox_change(outbox, apply_count, &message);
}

static int
apply_put_off(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET state = 'queued',"
	    " reason = ?2 WHERE number = ?1 AND state = 'sending'";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, message->number);
	outbox_bind(update, 2, message->reason);
	return store_run(outbox->store, update);
}

void
outbox_put_off(struct outbox *outbox, int64_t number, const char *reason,
    unsigned limited, unsigned broken)
{
	struct outbox_message message = { .number = number,
	    .reason = reason };

	outbox_change(outbox, apply_put_off, &message);
	outbox_count(outbox, number, limited, broken);
}

/* --- ends -------------------------------------------------------------------*/

/* The outcome of a digest is made known behind those of what it carries. */
static int
make_known(struct outbox *outbox, int64_t digest)
{
	static const char sql[] = "UPDATE message SET reported = 0"
	    " WHERE number = ?1 AND reported IS NULL";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, digest);
	return store_run(outbox->store, update);
}

int
outbox_settle(struct outbox *outbox, int64_t digest)
{
	static const char sql[] = "UPDATE message AS m SET"
	    " state = iif(d.state = 'sent', 'digest', 'failed'),"
	    " text = iif(d.state = 'sent', NULL, m.text),"
	    " attempts = d.attempts, ended = d.ended, reason = d.reason,"
	    " slack_channel = d.slack_channel, slack_ts = d.slack_ts,"
	    " reported = 0 FROM message AS d"
	    " WHERE d.number = ?1 AND m.number IN (SELECT number FROM message"
	    " WHERE digest = ?1 AND state IN ('gathered', 'failed')"
	    " AND state = 'gathered' LIMIT ?2)";
	sqlite3_stmt *update = store_use(outbox->store, sql);
	int64_t count;

	sqlite3_bind_int64(update, 1, digest);
	sqlite3_bind_int64(update, 2, SETTLED_AT_ONCE);
	if (store_run(outbox->store, update) == -1)
		return -1;
	count = count_changes(update);
	outbox->counts.open -= count;
	outbox->counts.ended += count;
	return count == SETTLED_AT_ONCE ? 1 : make_known(outbox, digest);
}

static int
apply_end(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET state = ?2, reason = ?3,"
	    " ended = ?4, file = NULL,"
	    " text = iif(?2 = 'sent', NULL, text),"
	    " payload = iif(?2 = 'sent', NULL, payload),"
	    " mrkdwn = iif(?2 = 'sent', NULL, mrkdwn)"
	    " WHERE number = ?1 AND state IN ('queued', 'sending')";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, message->number);
	outbox_bind(update, 2, outbox_states[message->state]);
	outbox_bind(update, 3, message->reason);
	sqlite3_bind_int64(update, 4, message->ended_us);
	if (store_run(outbox->store, update) == -1)
		return -1;
	if (count_changes(update) == 0)
		return 0;
	outbox->counts.open--;
	outbox->counts.ended++;
	return outbox_settle(outbox, message->number) == -1 ? -1 : 0;
}

void
outbox_end(struct outbox *outbox, int64_t number, enum outbox_state state,
    const char *reason)
{
	struct outbox_message message = { .number = number, .state = state,
	    .reason = reason, .ended_us = clock_now_us() };

	outbox_change(outbox, apply_end, &message);
}

static int
apply_reported(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET reported = 1"
	    " WHERE number = ?1 AND outcomes = ?2 AND reported = 0";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, message->number);
	sqlite3_bind_int64(update, 2, message->outcomes);
	return store_run(outbox->store, update);
}

void
outbox_reported(struct outbox *outbox, int64_t number, int64_t outcomes)
{
	struct outbox_message message = { .number = number,
	    .outcomes = outcomes };

	outbox_change(outbox, apply_reported, &message);
}
