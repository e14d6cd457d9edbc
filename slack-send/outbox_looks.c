/* What is looked for in the outbox. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "memory.h"
#include "outbox_parts.h"

/* How many messages a row stands for. */
#define WEIGHT "ifnull(messages, 1)"

#define COLUMNS "number, seq, purpose, id, channel, title, class, posts," \
	" state, digest, messages, part, attempts, limited, broken," \
	" outcomes, created, since, tried, ended, slack_channel, slack_ts," \
	" file, reason, text, payload, mrkdwn, thread," \
	" filename"

static const char *
read_text(sqlite3_stmt *row, int column)
{
	return (const char *)sqlite3_column_text(row, column);
}

static enum outbox_state
read_state(sqlite3_stmt *row, int column)
{
	const char *word = read_text(row, column);

	for (int i = OUTBOX_QUEUED; word != NULL && i <= OUTBOX_FAILED; i++)
		if (strcmp(word, outbox_states[i]) == 0)
			return (enum outbox_state)i;
	return OUTBOX_FAILED;
}

/* The row of COLUMNS; its strings are the statement's. */
static struct outbox_message
read_message(sqlite3_stmt *row)
{
	return (struct outbox_message){
		.number = sqlite3_column_int64(row, 0),
		.seq = sqlite3_column_int64(row, 1),
		.purpose = read_text(row, 2),
		.id = read_text(row, 3),
		.channel = read_text(row, 4),
		.title = read_text(row, 5),
		.class = read_text(row, 6),
		.posts = sqlite3_column_int64(row, 7),
		.state = read_state(row, 8),
		.digest = sqlite3_column_int64(row, 9),
		.messages = sqlite3_column_int64(row, 10),
		.part = sqlite3_column_int64(row, 11),
		.attempts = sqlite3_column_int64(row, 12),
		.limited = sqlite3_column_int64(row, 13),
		.broken = sqlite3_column_int64(row, 14),
		.outcomes = sqlite3_column_int64(row, 15),
		.created_us = sqlite3_column_int64(row, 16),
		.since_us = sqlite3_column_int64(row, 17),
		.tried_us = sqlite3_column_int64(row, 18),
		.ended_us = sqlite3_column_int64(row, 19),
		.slack_channel = read_text(row, 20),
		.slack_ts = read_text(row, 21),
		.file = read_text(row, 22),
		.reason = read_text(row, 23),
		.text = read_text(row, 24),
		.payload = read_text(row, 25),
		.mrkdwn = read_text(row, 26),
		.thread = read_text(row, 27),
		.filename = read_text(row, 28),
	};
}

/* Step to the row that is looked for; false where there is none. */
static bool
has_row(struct outbox *outbox, sqlite3_stmt *statement)
{
	int more = store_step(outbox->store, statement);

	if (more == -1)
		outbox_note_failure(outbox);
	return more == 1;
}

/* Keep a copy of the one message that the statement finds. */
static bool
find_message(struct outbox *outbox, sqlite3_stmt *find,
    struct outbox_message **kept, struct outbox_message *message)
{
	struct outbox_message found;
	size_t bytes;

	free(*kept);
	*kept = NULL;
	if (!has_row(outbox, find))
		return false;
	found = read_message(find);
	*kept = outbox_copy(&found, &bytes);
	sqlite3_reset(find);
	*message = **kept;
	return true;
}

const char *
outbox_next_channel(struct outbox *outbox, const char *after)
{
	static const char sql[] = "SELECT channel FROM queue"
	    " WHERE channel > ?1 ORDER BY channel LIMIT 1";
	sqlite3_stmt *find;
	char *found = NULL;

	if (outbox_commit(outbox) == -1)
		return NULL;
	find = store_use(outbox->store, sql);
	outbox_bind(find, 1, after);
	if (has_row(outbox, find))
		found = xstrdup(read_text(find, 0));
	sqlite3_reset(find);
	free(outbox->channel);	/* which `after` may be */
	outbox->channel = found;
	return found;
}

bool
outbox_next(struct outbox *outbox, const char *channel,
    struct outbox_message *message)
{
	static const char sql[] = "SELECT " COLUMNS " FROM message"
	    " WHERE channel = ?1 AND state IN ('queued', 'sending')"
	    " ORDER BY number LIMIT 1";
	sqlite3_stmt *find;

	if (outbox_commit(outbox) == -1)
		return false;
	find = store_use(outbox->store, sql);
	outbox_bind(find, 1, channel);
	return find_message(outbox, find, &outbox->next, message);
}

/* What went with a digest has its place from that. */
bool
outbox_next_report(struct outbox *outbox, int64_t after,
    struct outbox_message *message)
{
	static const char sql[] = "SELECT " COLUMNS " FROM message"
	    " WHERE number > ?1 AND reported = 0 ORDER BY number LIMIT 1";
	sqlite3_stmt *find;

	if (outbox_commit(outbox) == -1)
		return false;
	find = store_use(outbox->store, sql);
	sqlite3_bind_int64(find, 1, after);
	return find_message(outbox, find, &outbox->report, message);
}

int64_t
outbox_count_open(const struct outbox *outbox)
{
	return outbox->counts.open;
}

/* What is gathered is no older than its digest, which may be held back. */
int64_t
outbox_oldest_us(struct outbox *outbox)
{
	static const char sql[] = "SELECT since FROM message"
	    " WHERE state IN ('queued', 'sending') AND state IN"
	    " ('queued', 'sending', 'gathered') ORDER BY since LIMIT 1";
	int64_t oldest = 0;

	if (outbox_commit(outbox) == 0 && store_number(outbox->store,
	    store_use(outbox->store, sql), &oldest, 0) == -1)
		outbox_note_failure(outbox);
	return oldest;
}

/* --- digests ----------------------------------------------------------------*/

static const char *
keep(struct outbox *outbox, const char *text)
{
	if (text == NULL || outbox->kept_count == OUTBOX_KEPT_MAX)
		return NULL;
	return outbox->kept[outbox->kept_count++] = xstrdup(text);
}

static void
forget_kept(struct outbox *outbox)
{
	while (outbox->kept_count > 0)
		free(outbox->kept[--outbox->kept_count]);
}

static sqlite3_stmt *
use_for(struct outbox *outbox, const char *sql, int64_t digest)
{
	sqlite3_stmt *find = store_use(outbox->store, sql);

	sqlite3_bind_int64(find, 1, digest);
	return find;
}

static bool
read_totals(struct outbox *outbox, int64_t number,
    struct outbox_digest *digest)
{
	static const char sql[] = "SELECT total(" WEIGHT "), min(seq),"
	    " max(seq), min(created), max(created),"
	    " total(" WEIGHT " * (class = 'success')),"
	    " total(" WEIGHT " * (class = 'warning')),"
	    " total(" WEIGHT " * (class = 'danger')),"
	    " total(" WEIGHT " * (purpose = 'forward'))" OUTBOX_CARRIED;
	sqlite3_stmt *find = use_for(outbox, sql, number);

	if (!has_row(outbox, find))
		return false;
	digest->messages = sqlite3_column_int64(find, 0);
	digest->first_seq = sqlite3_column_int64(find, 1);
	digest->last_seq = sqlite3_column_int64(find, 2);
	digest->first_us = sqlite3_column_int64(find, 3);
	digest->last_us = sqlite3_column_int64(find, 4);
	digest->success = sqlite3_column_int64(find, 5);
	digest->warning = sqlite3_column_int64(find, 6);
	digest->danger = sqlite3_column_int64(find, 7);
	digest->forwards = sqlite3_column_int64(find, 8);
	sqlite3_reset(find);
	return true;
}

static void
read_tallies(struct outbox *outbox, int64_t number,
    struct outbox_digest *digest)
{
	static const char sql[] = "SELECT class, title,"
	    " total(" WEIGHT ") AS n"
	    OUTBOX_CARRIED " GROUP BY class, title"
	    " ORDER BY CASE class WHEN 'danger' THEN 0 WHEN 'warning' THEN 1"
	    " ELSE 2 END, n DESC, min(number) LIMIT 10";
	sqlite3_stmt *find = use_for(outbox, sql, number);

	digest->rest = digest->messages;
	while (digest->tally_count < OUTBOX_TALLIES && has_row(outbox, find)) {
		struct outbox_tally *tally =
		    &digest->tallies[digest->tally_count++];

		tally->class = keep(outbox, read_text(find, 0));
		tally->title = keep(outbox, read_text(find, 1));
		tally->messages = sqlite3_column_int64(find, 2);
		digest->rest -= tally->messages;
	}
	sqlite3_reset(find);
}

static size_t
read_lines(struct outbox *outbox, sqlite3_stmt *find,
    struct outbox_line *lines, size_t most)
{
	size_t count = 0;

	while (count < most && has_row(outbox, find))
		lines[count++] = (struct outbox_line){
			.seq = sqlite3_column_int64(find, 0),
			.created_us = sqlite3_column_int64(find, 1),
			.class = keep(outbox, read_text(find, 2)),
			.title = keep(outbox, read_text(find, 3)),
			.text = keep(outbox, read_text(find, 4)),
		};
	sqlite3_reset(find);
	return count;
}

/* The last lines are found backwards. */
static void
read_ends(struct outbox *outbox, int64_t number, struct outbox_digest *digest)
{
	static const char first[] = "SELECT seq, created, class, title, text"
	    OUTBOX_CARRIED " ORDER BY number LIMIT 3";
	static const char last[] = "SELECT seq, created, class, title, text"
	    OUTBOX_CARRIED " ORDER BY number DESC LIMIT 3";
	struct outbox_line backwards[OUTBOX_ENDS];
	size_t left;

	digest->first_count = read_lines(outbox,
	    use_for(outbox, first, number), digest->first, OUTBOX_ENDS);
	left = (size_t)digest->messages - digest->first_count;
	digest->last_count = read_lines(outbox,
	    use_for(outbox, last, number), backwards,
	    left < OUTBOX_ENDS ? left : OUTBOX_ENDS);
	for (size_t i = 0; i < digest->last_count; i++)
		digest->last[i] = backwards[digest->last_count - 1 - i];
}

static int
apply_close(struct outbox *outbox, const struct outbox_message *message)
{
	static const char sql[] = "UPDATE message SET messages = ?3,"
	    " tried = ifnull(tried, ?2) WHERE number = ?1";
	sqlite3_stmt *update = store_use(outbox->store, sql);

	sqlite3_bind_int64(update, 1, message->number);
	sqlite3_bind_int64(update, 2, message->tried_us);
	sqlite3_bind_int64(update, 3, message->messages);
	return store_run(outbox->store, update);
}

bool
outbox_summarize(struct outbox *outbox, int64_t number,
    struct outbox_digest *digest)
{
	static const char channel[] = "SELECT channel FROM message"
	    " WHERE number = ?1";
	sqlite3_stmt *find;

	*digest = (struct outbox_digest){ 0 };
	forget_kept(outbox);
	if (outbox_commit(outbox) == -1)
		return false;
	find = use_for(outbox, channel, number);
	if (!has_row(outbox, find))
		return false;
	digest->channel = keep(outbox, read_text(find, 0));
	sqlite3_reset(find);
	if (!read_totals(outbox, number, digest))
		return false;
	read_tallies(outbox, number, digest);
	read_ends(outbox, number, digest);
	outbox_change(outbox, apply_close, &(struct outbox_message){
	    .number = number, .tried_us = clock_now_us(),
	    .messages = digest->messages });
	return !outbox->is_in_trouble;
}
