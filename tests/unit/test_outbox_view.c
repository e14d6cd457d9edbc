/*
 * What is in an outbox is told as it is; what is none, or gone, is no trouble.
 *
 * modules: ws-broadcast/outbox_view.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../ws-broadcast/outbox_view.h"
#include "buffer.h"
#include "clock.h"

struct bench {
	char folder[40];
	char path[64];
	sqlite3 *writer;
	struct outbox_view *view;
};

/* A stand-in for the clock, so that a second costs no time. */
static int64_t now_ms = 1000000;

int64_t
clock_steady_ms(void)
{
	return now_ms;
}

void
clock_format(int64_t us, char *text)
{
	snprintf(text, CLOCK_TEXT_BYTES, "T%lld", (long long)us);
}

static void
run(struct bench *bench, const char *sql)
{
	char *error = NULL;

	if (sqlite3_exec(bench->writer, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
}

static void
open_writer(struct bench *bench)
{
	assert_int_equal(sqlite3_open(bench->path, &bench->writer), SQLITE_OK);
	run(bench, "PRAGMA journal_mode=WAL;"
	    "CREATE TABLE message(number INTEGER PRIMARY KEY, seq INTEGER,"
	    " purpose TEXT, id TEXT, channel TEXT, title TEXT, state TEXT,"
	    " digest INTEGER, messages INTEGER,"
	    " attempts INTEGER NOT NULL DEFAULT 0,"
	    " created INTEGER, since INTEGER, ended INTEGER,"
	    " slack_channel TEXT, slack_ts TEXT, reason TEXT);"
	    "CREATE INDEX message_id ON message(id) WHERE id IS NOT NULL;");
}

static int
set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);

	strcpy(bench->folder, "/tmp/test_outbox_view.XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	snprintf(bench->path, sizeof bench->path, "%s/outbox.db",
	    bench->folder);
	bench->view = outbox_view_new(bench->path);
	*state = bench;
	return 0;
}

static void
remove_files(struct bench *bench)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	char path[80];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s%s", bench->path, suffixes[i]);
		unlink(path);
	}
}

static int
tear_down(void **state)
{
	struct bench *bench = *state;

	outbox_view_free(bench->view);
	sqlite3_close(bench->writer);
	remove_files(bench);
	assert_int_equal(rmdir(bench->folder), 0);
	free(bench);
	return 0;
}

static void
check(struct bench *bench, const char *id, int status, const char *wanted)
{
	struct buffer json = { 0 };

	assert_int_equal(outbox_view_find(bench->view, id, &json), status);
	assert_string_equal(buffer_string(&json), wanted);
	buffer_free(&json);
}

static void
tells_each_state(void **state)
{
	struct bench *bench = *state;

	open_writer(bench);
	run(bench, "INSERT INTO message(number, purpose, id, channel, state,"
	    " attempts, created, ended, slack_channel, slack_ts, reason,"
	    " digest) VALUES"
	    "(1, 'relay', 'q', 'ci', 'queued', 0, 5, 0, NULL, NULL, NULL,"
	    " NULL),"
	    "(2, 'relay', 's', 'ci', 'sending', 1, 5, 0, NULL, NULL,"
	    " 'a \"pause\"', NULL),"
	    "(3, 'relay', 'd', 'ci', 'sent', 2, 5, 9, 'C1', '1.2', NULL,"
	    " NULL),"
	    "(4, 'relay', 'f', 'ci', 'failed', 1, 5, 9, NULL, NULL,"
	    " 'channel_not_found', NULL),"
	    "(5, 'relay', 'g', 'ci', 'gathered', 0, 5, 0, NULL, NULL, NULL,"
	    " 6),"
	    "(6, 'digest', NULL, 'ci', 'queued', 0, 5, 0, NULL, NULL, NULL,"
	    " NULL),"
	    "(7, 'relay', 'e', 'ci', 'digest', 0, 5, 9, NULL, NULL, NULL, 8),"
	    "(8, 'digest', NULL, 'ci', 'sent', 1, 5, 9, 'C1', '1.3', NULL,"
	    " NULL);"
	    "UPDATE message SET messages = 1 WHERE number = 8");
	check(bench, "q", 1, "{\"id\":\"q\",\"status\":\"queued\","
	    "\"channel\":\"ci\",\"attempts\":0,\"queued\":\"T5\"}");
	check(bench, "s", 1, "{\"id\":\"s\",\"status\":\"queued\","
	    "\"channel\":\"ci\",\"attempts\":1,\"queued\":\"T5\","
	    "\"reason\":\"a \\\"pause\\\"\"}");
	check(bench, "d", 1, "{\"id\":\"d\",\"status\":\"sent\","
	    "\"channel\":\"ci\",\"slack_channel\":\"C1\",\"slack_ts\":\"1.2\","
	    "\"attempts\":2,\"queued\":\"T5\",\"ended\":\"T9\"}");
	check(bench, "f", 1, "{\"id\":\"f\",\"status\":\"failed\","
	    "\"channel\":\"ci\",\"attempts\":1,\"queued\":\"T5\","
	    "\"ended\":\"T9\",\"reason\":\"channel_not_found\"}");
	check(bench, "g", 1, "{\"id\":\"g\",\"status\":\"queued\","
	    "\"channel\":\"ci\",\"attempts\":0,\"queued\":\"T5\","
	    "\"digest\":{\"messages\":1}}");
	check(bench, "e", 1, "{\"id\":\"e\",\"status\":\"digest\","
	    "\"channel\":\"ci\",\"attempts\":0,\"queued\":\"T5\","
	    "\"ended\":\"T9\",\"digest\":{\"messages\":1,"
	    "\"slack_channel\":\"C1\",\"slack_ts\":\"1.3\"}}");
	check(bench, "x' OR 1 --", 0, "");
}

/* A message that came in again long after: the last one counts. */
static void
tells_the_newest(void **state)
{
	struct bench *bench = *state;

	open_writer(bench);
	run(bench, "INSERT INTO message(number, purpose, id, state) VALUES"
	    "(1, 'relay', 'q', 'failed'), (2, 'relay', 'q', 'sent'),"
	    "(3, 'forward', 'q', 'failed')");
	check(bench, "q", 1,
	    "{\"id\":\"q\",\"status\":\"sent\",\"attempts\":0}");
}

static void
sees_what_is_written_later(void **state)
{
	struct bench *bench = *state;
	struct outbox_counts counts;

	check(bench, "q", 0, "");
	assert_false(outbox_view_count(bench->view, &counts));
	open_writer(bench);
	now_ms += 1000;
	check(bench, "q", 0, "");
	assert_true(outbox_view_count(bench->view, &counts));
	assert_int_equal(counts.queued + counts.gathered, 0);
	assert_int_equal(counts.oldest_us, 0);
	run(bench, "INSERT INTO message(purpose, id, state, since) VALUES"
	    "('relay', 'q', 'sending', 8), ('relay', 'r', 'queued', 7),"
	    "('relay', 's', 'gathered', 9), ('relay', 't', 'sent', 1)");
	check(bench, "q", 1,
	    "{\"id\":\"q\",\"status\":\"queued\",\"attempts\":0}");
	assert_true(outbox_view_count(bench->view, &counts));
	assert_int_equal(counts.queued, 0);	/* of this second */
	now_ms += 1000;
	assert_true(outbox_view_count(bench->view, &counts));
	assert_int_equal(counts.queued, 2);
	assert_int_equal(counts.gathered, 1);
	assert_int_equal(counts.oldest_us, 7);
}

/* Whoever is muted does not wait for Slack. */
static void
takes_no_mute_for_a_delay(void **state)
{
	struct bench *bench = *state;
	struct outbox_counts counts;

	open_writer(bench);
	run(bench, "INSERT INTO message(number, purpose, state, since, digest)"
	    " VALUES(1, 'digest', 'held', 3, NULL),"
	    "(2, 'forward', 'gathered', 3, 1), (3, 'relay', 'queued', 7, NULL)");
	assert_true(outbox_view_count(bench->view, &counts));
	assert_int_equal(counts.queued, 1);
	assert_int_equal(counts.oldest_us, 7);
}

/* As slack-send does with a damaged one. */
static void
follows_the_name(void **state)
{
	struct bench *bench = *state;
	struct outbox_counts counts;

	open_writer(bench);
	run(bench, "INSERT INTO message(purpose, id, state) VALUES"
	    "('relay', 'q', 'sent')");
	check(bench, "q", 1,
	    "{\"id\":\"q\",\"status\":\"sent\",\"attempts\":0}");
	sqlite3_close(bench->writer);
	remove_files(bench);
	open_writer(bench);
	run(bench, "INSERT INTO message(purpose, id, state) VALUES"
	    "('relay', 'r', 'queued')");
	now_ms += 1000;
	check(bench, "q", 0, "");
	check(bench, "r", 1,
	    "{\"id\":\"r\",\"status\":\"queued\",\"attempts\":0}");
	sqlite3_close(bench->writer);
	bench->writer = NULL;
	remove_files(bench);
	now_ms += 1000;
	check(bench, "r", 0, "");
	assert_false(outbox_view_count(bench->view, &counts));
}

static void
write_file(struct bench *bench, const char *content)
{
	FILE *file = fopen(bench->path, "w");

	assert_non_null(file);
	fputs(content, file);
	assert_int_equal(fclose(file), 0);
}

static void
bears_what_is_no_outbox(void **state)
{
	struct bench *bench = *state;
	struct outbox_counts counts;

	write_file(bench, "this is no database, and long enough to be seen as"
	    " none by anybody who looks at its first hundred bytes or so");
	for (int i = 0; i < 3; i++) {
		check(bench, "q", -1, "");
		assert_false(outbox_view_count(bench->view, &counts));
		now_ms += 1000;
	}
	unlink(bench->path);
	open_writer(bench);
	run(bench, "INSERT INTO message(purpose, id, state) VALUES"
	    "('relay', 'q', 'queued')");
	now_ms += 1000;
	check(bench, "q", 1,
	    "{\"id\":\"q\",\"status\":\"queued\",\"attempts\":0}");
}

/* Whoever locks it is not waited for. */
static void
bears_a_lock(void **state)
{
	struct bench *bench = *state;

	open_writer(bench);
	run(bench, "PRAGMA wal_checkpoint(TRUNCATE);"
	    "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE;"
	    "INSERT INTO message(purpose, id, state) VALUES"
	    "('relay', 'q', 'queued'); COMMIT");
	check(bench, "q", -1, "");
	sqlite3_close(bench->writer);
	bench->writer = NULL;
	now_ms += 1000;
	check(bench, "q", 1,
	    "{\"id\":\"q\",\"status\":\"queued\",\"attempts\":0}");
}

/* Nor does a reader here keep the writer's log from being taken in. */
static void
holds_no_lock(void **state)
{
	struct bench *bench = *state;

	open_writer(bench);
	run(bench, "INSERT INTO message(purpose, id, state) VALUES"
	    "('relay', 'q', 'queued')");
	check(bench, "q", 1,
	    "{\"id\":\"q\",\"status\":\"queued\",\"attempts\":0}");
	run(bench, "INSERT INTO message(purpose, id, state) VALUES"
	    "('relay', 'r', 'queued')");

	int frames, taken;
	assert_int_equal(sqlite3_wal_checkpoint_v2(bench->writer, NULL,
	    SQLITE_CHECKPOINT_RESTART, &frames, &taken), SQLITE_OK);
	assert_int_equal(frames, taken);
	check(bench, "r", 1,
	    "{\"id\":\"r\",\"status\":\"queued\",\"attempts\":0}");
}

static void
knows_nothing_without_a_path(void **state)
{
	struct outbox_view *view = outbox_view_new(NULL);
	struct outbox_counts counts;
	struct buffer json = { 0 };

	(void)state;
	assert_int_equal(outbox_view_find(view, "q", &json), 0);
	assert_false(outbox_view_count(view, &counts));
	outbox_view_free(view);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(tells_each_state),
		CASE(tells_the_newest),
		CASE(sees_what_is_written_later),
		CASE(takes_no_mute_for_a_delay),
		CASE(follows_the_name),
		CASE(bears_what_is_no_outbox),
		CASE(bears_a_lock),
		CASE(holds_no_lock),
		cmocka_unit_test(knows_nothing_without_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
