#include "outbox_view.h"

#include <err.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "memory.h"

#define LOOK_MS 1000	/* how old an answer about the file may be */
#define BUSY_MS 10	/* to wait for whoever locks it */
#define QUERY_MS 50	/* no more for one question: viewers wait meanwhile */
#define STEPS 4000	/* of SQLite between two looks at the clock */
#define CACHE "-256"	/* KiB */

struct outbox_view {
	const char *path;
	sqlite3 *database;	/* NULL: not open */
	struct stat opened;	/* the file it is */
	int64_t looked_ms;	/* for another file, or to open it */
	unsigned failures;	/* in a row */
	int64_t deadline_ms;	/* of the question at hand */

	sqlite3_stmt *find;
	sqlite3_stmt *size;
	sqlite3_stmt *count;

	struct outbox_counts counts;
	bool has_counts;
	int64_t counted_ms;

	/* the digest that was asked for last */
	int64_t digest;
	int64_t digest_messages;
	int64_t digest_ms;
};

static const char find_sql[] =
    "SELECT m.state, m.channel, m.slack_channel, m.slack_ts, m.attempts,"
    " m.created, m.ended, m.reason, m.digest, d.slack_channel, d.slack_ts"
    " FROM message m LEFT JOIN message d ON d.number = m.digest"
    " WHERE m.id = ? AND m.purpose = 'relay'"
    " ORDER BY m.number DESC LIMIT 1";

enum { STATE, CHANNEL, SLACK_CHANNEL, SLACK_TS, ATTEMPTS, CREATED, ENDED,
	REASON, DIGEST, DIGEST_CHANNEL, DIGEST_TS };

/* It is known when the digest is closed; before that an index helps. */
static const char size_sql[] =
    "SELECT ifnull(messages, (SELECT count(*) FROM message AS m"
    "  WHERE m.digest = ?1 AND m.state IN ('gathered', 'failed')))"
    " FROM message WHERE number = ?1";

/* Each part of it has a small index of its own. What is gathered is no older
 * than its digest, which may be held back on purpose. */
static const char count_sql[] =
    "SELECT (SELECT count(*) FROM message"
    "  WHERE state IN ('queued', 'sending')),"
    " (SELECT count(*) FROM message"
    "  WHERE state IN ('queued', 'sending', 'gathered')),"
    " (SELECT min(since) FROM message"
    "  WHERE state IN ('queued', 'sending')"
    "  AND state IN ('queued', 'sending', 'gathered'))";

struct outbox_view *
outbox_view_new(const char *path)
{
	struct outbox_view *view = xcalloc(1, sizeof *view);

	view->path = path;
	view->looked_ms = view->counted_ms = view->digest_ms = -LOOK_MS;
	return view;
}

static void
close_file(struct outbox_view *view)
{
	sqlite3_finalize(view->find);
	sqlite3_finalize(view->size);
	sqlite3_finalize(view->count);
	view->find = view->size = view->count = NULL;
	sqlite3_close(view->database);
	view->database = NULL;
	view->has_counts = false;
	view->digest_ms = -LOOK_MS;
}

void
outbox_view_free(struct outbox_view *view)
{
	if (view == NULL)
		return;
	close_file(view);
	free(view);
}

/*
 * It is closed, and opened when it is asked for again. Said once, and not of
 * the first time: who makes the file may be amid that.
 */
static void
note_failure(struct outbox_view *view)
{
	if (++view->failures == 2)
		warnx("read %s: %s, trying again", view->path,
		    view->database != NULL ? sqlite3_errmsg(view->database)
		    : "no memory");
	close_file(view);
}

/* What takes too long is given up: all viewers wait for it. */
static int
is_too_late(void *arg)
{
	const struct outbox_view *view = arg;

	return clock_steady_ms() > view->deadline_ms;
}

static bool
prepare(struct outbox_view *view, const char *sql, sqlite3_stmt **statement)
{
	return sqlite3_prepare_v3(view->database, sql, -1,
	    SQLITE_PREPARE_PERSISTENT, statement, NULL) == SQLITE_OK;
}

static void
open_file(struct outbox_view *view, const struct stat *status)
{
	int opened = sqlite3_open_v2(view->path, &view->database,
	    SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX |
	    SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW, NULL);

	view->opened = *status;
	if (opened == SQLITE_OK) {
		sqlite3_busy_timeout(view->database, BUSY_MS);
		sqlite3_progress_handler(view->database, STEPS, is_too_late,
		    view);
		sqlite3_exec(view->database, "PRAGMA trusted_schema=OFF;"
		    "PRAGMA cell_size_check=ON;PRAGMA cache_size=" CACHE,
		    NULL, NULL, NULL);
		if (prepare(view, find_sql, &view->find) &&
		    prepare(view, size_sql, &view->size) &&
		    prepare(view, count_sql, &view->count))
			return;
	}
	note_failure(view);
}

/* Is it open, and still the file of that name? 1, 0: there is none, or -1. */
static int
look(struct outbox_view *view)
{
	int64_t now_ms = clock_steady_ms();
	struct stat status;

	view->deadline_ms = now_ms + QUERY_MS;
	if (view->path == NULL)
		return 0;
	if (now_ms - view->looked_ms < LOOK_MS)
		return view->database != NULL ? 1 : view->failures > 0 ? -1 : 0;
	view->looked_ms = now_ms;
	if (stat(view->path, &status) == -1) {
		close_file(view);
		view->failures = 0;
		return 0;
	}
	if (status.st_ino != view->opened.st_ino ||
	    status.st_dev != view->opened.st_dev)
		close_file(view);
	if (view->database == NULL)
		open_file(view, &status);
	return view->database != NULL ? 1 : -1;
}

/* 1: there is a row, to be read until `release`. 0: none. -1: it failed. */
static int
ask(struct outbox_view *view, sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);

	if (result == SQLITE_ROW || result == SQLITE_DONE) {
		if (view->failures > 1)
			warnx("read %s: it can be read again", view->path);
		view->failures = 0;
		return result == SQLITE_ROW;
	}
	if (result == SQLITE_BUSY || result == SQLITE_INTERRUPT)
		sqlite3_reset(statement);	/* of no lasting meaning */
	else
		note_failure(view);
	return -1;
}

/* No lock stays behind a question, or the writer's log would grow. */
static void
release(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}

static void
print_text(struct buffer *json, const char *name, sqlite3_stmt *row,
    int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);

	if (text == NULL)
		return;
	buffer_printf(json, ",\"%s\":", name);
	buffer_append_json(json, text, strlen(text));
}

static void
print_time(struct buffer *json, const char *name, int64_t us)
{
	char time[CLOCK_TEXT_BYTES];

	if (us <= 0)
		return;
	clock_format(us, time);
	buffer_printf(json, ",\"%s\":\"%s\"", name, time);
}

/* How many messages the digest carries; -1 where that cannot be told now. */
static int64_t
measure_digest(struct outbox_view *view, int64_t digest)
{
	int64_t now_ms = clock_steady_ms();

	if (view->digest == digest && now_ms - view->digest_ms < LOOK_MS)
		return view->digest_messages;
	sqlite3_bind_int64(view->size, 1, digest);
	if (ask(view, view->size) != 1)
		return -1;
	view->digest = digest;
	view->digest_messages = sqlite3_column_int64(view->size, 0);
	view->digest_ms = now_ms;
	release(view->size);
	return view->digest_messages;
}

static void
print_digest(struct buffer *json, sqlite3_stmt *row, int64_t messages)
{
	buffer_printf(json, ",\"digest\":{\"messages\":%" PRId64, messages);
	print_text(json, "slack_channel", row, DIGEST_CHANNEL);
	print_text(json, "slack_ts", row, DIGEST_TS);
	buffer_append_string(json, "}");
}

/* What is not through is queued, whatever way it goes. */
static const char *
name_state(sqlite3_stmt *row)
{
	static const char *const ends[] = { "sent", "digest", "failed" };
	const char *state = (const char *)sqlite3_column_text(row, STATE);

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		if (state != NULL && strcmp(state, ends[i]) == 0)
			return ends[i];
	return "queued";
}

static void
print_message(struct buffer *json, const char *id, sqlite3_stmt *row,
    int64_t messages)
{
	buffer_append_string(json, "{\"id\":");
	buffer_append_json(json, id, strlen(id));
	buffer_printf(json, ",\"status\":\"%s\"", name_state(row));
	print_text(json, "channel", row, CHANNEL);
	print_text(json, "slack_channel", row, SLACK_CHANNEL);
	print_text(json, "slack_ts", row, SLACK_TS);
	buffer_printf(json, ",\"attempts\":%" PRId64,
	    (int64_t)sqlite3_column_int64(row, ATTEMPTS));
	print_time(json, "queued", sqlite3_column_int64(row, CREATED));
	print_time(json, "ended", sqlite3_column_int64(row, ENDED));
	print_text(json, "reason", row, REASON);
	if (messages > 0)
		print_digest(json, row, messages);
	buffer_append_string(json, "}");
}

int
outbox_view_find(struct outbox_view *view, const char *id,
    struct buffer *json)
{
	int64_t digest, messages = 0;
	int status = look(view);

	if (status != 1)
		return status;
	sqlite3_bind_text(view->find, 1, id, -1, SQLITE_STATIC);
	status = ask(view, view->find);
	if (status == 1) {
		digest = sqlite3_column_int64(view->find, DIGEST);
		if (digest > 0)
			messages = measure_digest(view, digest);
		if (view->database == NULL)	/* closed in trouble */
			return -1;
		print_message(json, id, view->find, messages);
	}
	if (view->database != NULL)
		release(view->find);
	return status;
}

static void
count_messages(struct outbox_view *view)
{
	struct outbox_counts *counts = &view->counts;

	if (ask(view, view->count) != 1)
		return;
	counts->queued = sqlite3_column_int64(view->count, 0);
	counts->gathered = sqlite3_column_int64(view->count, 1) -
	    counts->queued;
	counts->oldest_us = sqlite3_column_int64(view->count, 2);
	view->has_counts = true;
	release(view->count);
}

bool
outbox_view_count(struct outbox_view *view, struct outbox_counts *counts)
{
	int64_t now_ms = clock_steady_ms();

	if (now_ms - view->counted_ms >= LOOK_MS) {
		view->counted_ms = now_ms;
		if (look(view) == 1)
			count_messages(view);
	}
	*counts = view->counts;
	return view->has_counts;
}
