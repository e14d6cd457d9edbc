/*
 * What the status files, the totals, the disk and the outbox say is told, and
 * whether all is well. The clock and the timers are stand-ins.
 *
 * modules: ws-broadcast/health.c ws-broadcast/running.c
 * modules: ws-broadcast/outbox_view.c ws-broadcast/ring.c
 * modules: ws-broadcast/totals.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../ws-broadcast/health.h"
#include "../../ws-broadcast/ring.h"
#include "buffer.h"
#include "clock.h"

struct bench {
	char folder[40];
	char totals_path[64];
	char outbox_path[64];
	struct ring *ring;
	struct totals *totals;
	struct outbox_view *outbox;
	struct health *health;
};

static struct timer *set_timer;
static int64_t now_ms;

int64_t
clock_steady_ms(void)
{
	return now_ms;
}

int64_t
clock_now_us(void)
{
	return now_ms * 1000;
}

void
clock_format(int64_t us, char *text)
{
	(void)us;
	strcpy(text, "T");
}

void
timers_set(struct timers *timers, struct timer *timer, int64_t delay_ms)
{
	(void)timers;
	assert_int_equal(delay_ms, 1000);
	set_timer = timer;
}

void
timers_cancel(struct timers *timers, struct timer *timer)
{
	(void)timers;
	if (set_timer == timer)
		set_timer = NULL;
}

static void
pass(int seconds)
{
	for (int i = 0; i < seconds; i++) {
		now_ms += 1000;
		set_timer->due(set_timer->arg);
	}
}

/* Write a file as a whole, as others do beside and rename. */
static void
write_file(struct bench *bench, const char *name, const char *content)
{
	char path[80], beside[80];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", bench->folder, name);
	snprintf(beside, sizeof beside, "%s/beside", bench->folder);
	file = fopen(beside, "w");
	assert_non_null(file);
	fputs(content, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(beside, path), 0);
}

static void
tell_reader(struct bench *bench, const char *slack, int seq,
    const char *journal)
{
	char line[256];

	snprintf(line, sizeof line, "slack=%s since=2026-11-22T10:00:00.5Z"
	    " connections=2 seq=%d journal=%s pid=%d   \n", slack, seq,
	    journal, (int)getpid());
	write_file(bench, "slack-reader.status", line);
}

static void
tell_stage(struct bench *bench, const char *name, int pid)
{
	char file[40], line[256];

	snprintf(file, sizeof file, "%s.status", name);
	snprintf(line, sizeof line, "%s\t%d\t2026-11-22T10:00:00.5Z\t3\t7  \n",
	    name, pid);
	write_file(bench, file, line);
}

static void
tell_totals(struct bench *bench, int seq)
{
	char text[64];

	snprintf(text, sizeof text, "{\"seq\":%d,\"now\":%lld}\n", seq,
	    (long long)now_ms);
	write_file(bench, "stats.json", text);
}

static int
set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);

	strcpy(bench->folder, "/tmp/test_health.XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	snprintf(bench->totals_path, 64, "%s/stats.json", bench->folder);
	snprintf(bench->outbox_path, 64, "%s/outbox.db", bench->folder);
	bench->ring = ring_new(10, 1000, true);
	bench->totals = totals_new(bench->totals_path);
	bench->outbox = outbox_view_new(bench->outbox_path);
	now_ms = 5000000;
	tell_reader(bench, "connected", 0, "ok");
	tell_stage(bench, "scanner", (int)getpid());
	tell_stage(bench, "attach-fetch", 1);
	bench->health = health_new(&(struct health_options){
	    .running = bench->folder, .outbox = bench->outbox,
	    .totals = bench->totals, .ring = bench->ring });
	*state = bench;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *bench = *state;
	DIR *folder = opendir(bench->folder);
	struct dirent *entry;

	health_free(bench->health);
	outbox_view_free(bench->outbox);
	totals_free(bench->totals);
	ring_free(bench->ring);
	while ((entry = readdir(folder)) != NULL)
		unlinkat(dirfd(folder), entry->d_name, 0);
	closedir(folder);
	assert_int_equal(rmdir(bench->folder), 0);
	free(bench);
	return 0;
}

/* Is it so, and is that said? NULL: nothing is to be said. */
static void
check(struct bench *bench, bool is_ready, const char *wanted)
{
	struct buffer json = { 0 };

	assert_int_equal(health_print(bench->health, &json), is_ready);
	assert_int_equal(strncmp(buffer_string(&json), is_ready
	    ? "{\"ready\":true," : "{\"ready\":false,",
	    is_ready ? 14 : 15), 0);
	if (wanted != NULL && strstr(json.data, wanted) == NULL)
		fail_msg("%s is not in %s", wanted, json.data);
	if (wanted == NULL && strstr(json.data, "reason") != NULL)
		fail_msg("%s", json.data);
	buffer_free(&json);
}

static void
says_that_all_is_well(void **state)
{
	struct bench *bench = *state;

	check(bench, true, NULL);
	check(bench, true, "\"slack\":{\"state\":\"connected\","
	    "\"since\":\"2026-11-22T10:00:00.5Z\",\"ok\":true}");
	check(bench, true, "\"stages\":{\"restarts\":{\"attach-fetch\":3,"
	    "\"scanner\":3},\"waiting\":{\"attach-fetch\":7,\"scanner\":7},"
	    "\"behind\":0,\"ok\":true}");
	check(bench, true, "\"outbox\":{\"ok\":true}");
}

static void
says_that_slack_is_away(void **state)
{
	struct bench *bench = *state;

	tell_reader(bench, "connecting", 0, "ok");
	check(bench, true, NULL);	/* until it looks again */
	pass(1);
	check(bench, false, "\"ok\":false,\"reason\":\"not connected to Slack");
	tell_reader(bench, "refused", 0, "ok");
	pass(1);
	check(bench, false, "\"reason\":\"Slack refuses the app");
	tell_reader(bench, "replay", 0, "ok");
	pass(1);
	check(bench, true, NULL);
	write_file(bench, "slack-reader.status", "slack=connected pid=0\n");
	pass(1);
	check(bench, false, "\"reason\":\"slack-reader is down\"");
	write_file(bench, "slack-reader.status", "");
	pass(1);
	check(bench, false, "\"reason\":\"slack-reader has not told");
}

static void
says_that_a_stage_is_down(void **state)
{
	struct bench *bench = *state;

	tell_stage(bench, "scanner", 0);
	pass(1);
	check(bench, false, "\"reason\":\"scanner is down\"");
	tell_stage(bench, "attach-fetch", 2147483647);
	pass(1);
	check(bench, false, "\"attach-fetch is down; scanner is down\"");
	tell_stage(bench, "scanner", (int)getpid());
	tell_stage(bench, "attach-fetch", (int)getpid());
	pass(1);
	check(bench, true, NULL);
}

static void
says_that_records_are_stuck(void **state)
{
	struct bench *bench = *state;

	pass(3600);	/* of peace, in which nothing came */
	tell_reader(bench, "connected", 5, "ok");
	pass(10);
	check(bench, true, "\"behind\":5");
	pass(1);
	check(bench, false, "came through to ws-broadcast for 10 s and more,"
	    " 5 wait\"");
	ring_append(bench->ring, 4, "{}", 2);
	tell_totals(bench, 4);
	pass(1);
	check(bench, true, "\"behind\":1");	/* it moves */
	pass(11);
	check(bench, false, "came through to ws-broadcast");
	ring_append(bench->ring, 5, "{}", 2);
	pass(10);
	check(bench, true, "\"behind\":1");
	pass(1);
	check(bench, false, "came through to stats for 10 s and more, 1 wait");
	tell_totals(bench, 5);
	pass(1);
	check(bench, true, NULL);
}

/* Nobody shows again what was counted before we were started. */
static void
knows_what_was_through_before(void **state)
{
	struct bench *bench = *state;

	tell_reader(bench, "connected", 500, "ok");
	tell_totals(bench, 500);
	pass(60);
	check(bench, true, NULL);
}

static void
says_that_the_disk_is_full(void **state)
{
	struct bench *bench = *state;

	tell_reader(bench, "connected", 0, "full");
	pass(1);
	check(bench, false, "\"reason\":\"the journal cannot be written\"");
	check(bench, false, "\"disk\":{\"free_bytes\":");
}

static void
fill_outbox(struct bench *bench, long long since_us)
{
	sqlite3 *database;
	char sql[256];

	snprintf(sql, sizeof sql, "CREATE TABLE message(number INTEGER PRIMARY"
	    " KEY, purpose, id, channel, state, digest, messages, attempts, created,"
	    " since, ended, slack_channel, slack_ts, reason);"
	    "INSERT INTO message(state, since) VALUES('queued', %lld)",
	    since_us);
	assert_int_equal(sqlite3_open(bench->outbox_path, &database),
	    SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(database);
}

static void
says_that_the_outbox_is_old(void **state)
{
	struct bench *bench = *state;

	fill_outbox(bench, now_ms * 1000);
	check(bench, true, "\"outbox\":{\"open\":1,\"oldest_seconds\":0,"
	    "\"ok\":true}");
	pass(900);
	check(bench, true, "\"oldest_seconds\":900");
	pass(1);
	check(bench, false, "\"reason\":\"a message to Slack waits for more"
	    " than 15 minutes\"");
}

/* None of it may be told, or do harm. */
static void
bears_what_is_no_status(void **state)
{
	static const char *const junk[] = {
		"", "\n", "a", "a\tb\tc\td\te", "a\t1\tx\t-1\t0",
		"a\t1\tx\t0\t99999999999999999999", "a\"\t1\tx\t0\t0",
		"averyveryveryveryverylongnameofastage12345\t1\tx\t0\t0",
		"\xff\xfe\t1\tx\t0\t0", "= = = = =", "a b c d e f g h i j k l"
		" m n o p q r s t u v w x y z",
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
		write_file(bench, "junk.status", junk[i]);
		pass(1);
		check(bench, true, "\"restarts\":{\"attach-fetch\":3,"
		    "\"scanner\":3}");
		write_file(bench, "slack-reader.status", junk[i]);
		pass(1);
		check(bench, false, "slack-reader has not told");
		tell_reader(bench, "connected", 0, "ok");
	}
}

static void
knows_nothing_alone(void **state)
{
	struct bench *bench = *state;
	struct health *alone = health_new(&(struct health_options){
	    .outbox = bench->outbox, .totals = bench->totals,
	    .ring = bench->ring });
	struct buffer json = { 0 };

	assert_true(health_print(alone, &json));
	assert_string_equal(buffer_string(&json),
	    "{\"ready\":true,\"outbox\":{\"ok\":true}}");
	assert_null(health_running(alone));
	buffer_free(&json);
	health_free(alone);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(says_that_all_is_well),
		CASE(says_that_slack_is_away),
		CASE(says_that_a_stage_is_down),
		CASE(says_that_records_are_stuck),
		CASE(knows_what_was_through_before),
		CASE(says_that_the_disk_is_full),
		CASE(says_that_the_outbox_is_old),
		CASE(bears_what_is_no_status),
		CASE(knows_nothing_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
