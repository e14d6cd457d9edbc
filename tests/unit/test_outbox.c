/*
 * What is put into the outbox comes out of it once and in order, alone or with
 * a digest, whatever becomes of the process, the disk or the file.
 * modules: slack-send/outbox.c slack-send/outbox_changes.c
 * modules: slack-send/outbox_looks.c slack-send/outbox_tidy.c slack-send/outbox_hold.c
 * modules: slack-send/outbox_fold.c slack-send/store.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../slack-send/outbox.h"
#include "clock.h"

#define MANY 100000
#define KIB 1024

/* Of a file what the first version had. */
#define MAKE_OLD "DROP INDEX message_held;" \
	"DROP INDEX message_forward;" \
	"DROP INDEX message_folded;" \
	"ALTER TABLE message DROP COLUMN mrkdwn;" \
	"ALTER TABLE message DROP COLUMN thread;" \
	"ALTER TABLE message DROP COLUMN due;" \
	"ALTER TABLE message DROP COLUMN filename;" \
	"PRAGMA user_version=1"

struct bench {
	char folder[40];
	char path[64];
	struct outbox_settings settings;
	struct outbox *outbox;
};

/* --- the bench --------------------------------------------------------------*/

static void
open_outbox(struct bench *bench)
{
	int status = -1;

	bench->outbox = outbox_open(&bench->settings, &status);
	assert_non_null(bench->outbox);
	assert_int_equal(status, EX_OK);
}

static void
reopen(struct bench *bench)
{
	outbox_close(bench->outbox);
	open_outbox(bench);
}

static int
set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);

	*state = bench;
	strcpy(bench->folder, "/tmp/outbox-XXXXXX");
	if (mkdtemp(bench->folder) == NULL)
		return -1;
	snprintf(bench->path, sizeof bench->path, "%s/outbox.db",
	    bench->folder);
	bench->settings = (struct outbox_settings){ .path = bench->path,
	    .is_ours = true, .digest_after_s = 60, .open_max = MANY,
	    .bytes_max = OUTBOX_BYTES_MAX, .keep_s = 7 * 86400 };
	open_outbox(bench);
	return 0;
}

/* One number that SQL finds in the file, by another connection. */
static int64_t
ask(const struct bench *bench, const char *sql)
{
	sqlite3_stmt *statement;
	sqlite3 *database;
	int64_t number;

	assert_int_equal(sqlite3_open(bench->path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement,
	    NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(database);
	return number;
}

/* The queue of each channel is counted right, whatever happened. */
static void
check_queues(struct bench *bench)
{
	assert_int_equal(ask(bench, "SELECT count(*) FROM (SELECT channel,"
	    " sum(posts) FROM message WHERE state IN ('queued', 'sending')"
	    " GROUP BY channel EXCEPT SELECT channel, posts FROM queue)"), 0);
	assert_int_equal(ask(bench, "SELECT (SELECT count(*) FROM queue) ="
	    " (SELECT count(DISTINCT channel) FROM message"
	    " WHERE state IN ('queued', 'sending'))"), 1);
}

static int
tear_down(void **state)
{
	struct bench *bench = *state;
	char command[64];

	check_queues(bench);
	outbox_close(bench->outbox);
	snprintf(command, sizeof command, "rm -rf %s", bench->folder);
	free(bench);
	return system(command);
}

static bool
add(struct bench *bench, int64_t seq, const char *channel, const char *text)
{
	return outbox_add(bench->outbox, &(struct outbox_message){
	    .seq = seq, .purpose = "relay", .channel = channel,
	    .title = "Build", .text = text, .class = "danger" });
}

static void
commit(struct bench *bench)
{
	assert_int_equal(outbox_commit(bench->outbox), 0);
}

static void
add_many(struct bench *bench, int64_t first, int64_t last,
    const char *channel)
{
	for (int64_t seq = first; seq <= last; seq++) {
		char text[32];

		snprintf(text, sizeof text, "line %lld", (long long)seq);
		add(bench, seq, channel, text);
	}
	commit(bench);
}

static void
execute(const char *path, const char *sql)
{
	sqlite3 *database;

	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(database);
}

static struct outbox_message
next(struct bench *bench, const char *channel)
{
	struct outbox_message message;

	assert_true(outbox_next(bench->outbox, channel, &message));
	return message;
}

static void
end(struct bench *bench, int64_t number, enum outbox_state state)
{
	outbox_try(bench->outbox, number);
	outbox_part_done(bench->outbox, number, 1, "C1", "17.000100");
	outbox_end(bench->outbox, number, state,
	    state == OUTBOX_SENT ? NULL : "channel_not_found");
	commit(bench);
}

static void
tidy(struct bench *bench)
{
	for (int i = 0; outbox_tidy(bench->outbox); i++)
		assert_true(i < 10000);
}

/* --- what is put in ---------------------------------------------------------*/

static void
test_keeps_all_members(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message = { .seq = 41, .purpose = "relay",
	    .id = "u-1", .channel = "#qa", .title = "T", .text = "hello",
	    .payload = "{}", .class = "warning", .posts = 2 };

	assert_true(outbox_add(bench->outbox, &message));
	reopen(bench);		/* without a commit nothing has happened */
	assert_false(outbox_next(bench->outbox, "#qa", &message));
	assert_true(outbox_add(bench->outbox, &(struct outbox_message){
	    .seq = 41, .purpose = "relay", .id = "u-1", .channel = "#qa",
	    .title = "T", .text = "hello", .payload = "{}",
	    .class = "warning", .posts = 2 }));
	commit(bench);
	reopen(bench);
	message = next(bench, "#qa");
	assert_int_equal(message.seq, 41);
	assert_int_equal(message.posts, 2);
	assert_int_equal(message.state, OUTBOX_QUEUED);
	assert_string_equal(message.purpose, "relay");
	assert_string_equal(message.id, "u-1");
	assert_string_equal(message.channel, "#qa");
	assert_string_equal(message.title, "T");
	assert_string_equal(message.text, "hello");
	assert_string_equal(message.payload, "{}");
	assert_string_equal(message.class, "warning");
	assert_null(message.slack_ts);
	assert_null(message.reason);
	assert_true(message.created_us > 0);
	assert_int_equal(message.created_us, message.since_us);
	assert_int_equal(message.tried_us, 0);
}

/* Law 4: the same line again is no second message; another one is. */
static void
test_takes_a_line_once(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message = { .seq = 5, .purpose = "relay",
	    .id = "u-1", .channel = "#qa", .text = "a" };

	for (int i = 0; i < 3; i++) {
		assert_true(outbox_add(bench->outbox, &message));
		if (i == 1)
			commit(bench);
	}
	reopen(bench);
	assert_true(outbox_add(bench->outbox, &message));
	commit(bench);
	assert_int_equal(outbox_count_open(bench->outbox), 1);
	end(bench, next(bench, "#qa").number, OUTBOX_SENT);
	assert_true(outbox_add(bench->outbox, &message));
	commit(bench);
	assert_int_equal(outbox_count_open(bench->outbox), 0);
}

static void
test_tells_messages_apart(void **state)
{
	static const struct outbox_message messages[] = {
		{ .seq = 5, .purpose = "relay", .id = "u-1" },
		{ .seq = 5, .purpose = "relay", .id = "u-2" },
		{ .seq = 6, .purpose = "relay", .id = "u-1" },
		{ .seq = 5, .purpose = "reply", .id = "u-1" },
		{ .seq = 5, .purpose = "relay" },
		{ .purpose = "relay", .id = "u-1" },
		{ .purpose = "relay", .id = "u-2" },
		{ .purpose = "relay" },
		{ .purpose = "relay" },	/* nothing says that it is the same */
	};
	size_t count = sizeof messages / sizeof *messages;
	struct bench *bench = *state;
	char keys[16][OUTBOX_KEY_BYTES];

	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < (round == 0 ? count : count - 2); i++) {
			struct outbox_message message = messages[i];

			message.channel = "#qa";
			message.text = "a";
			outbox_add(bench->outbox, &message);
			commit(bench);
		}
	assert_int_equal(outbox_count_open(bench->outbox), count);
	for (size_t i = 0; i < count; i++) {
		struct outbox_message message = next(bench, "#qa");

		outbox_key(&message, 0, keys[i]);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(keys[i], keys[j]);
		end(bench, message.number, OUTBOX_SENT);
	}
	assert_string_equal(keys[0], "5/relay/0/u-1");
	assert_string_equal(keys[4], "5/relay/0");
}

static void
test_keeps_the_order_of_each_channel(void **state)
{
	struct bench *bench = *state;
	const char *channel = "";
	char found[8] = "";

	add(bench, 1, "#b", "1");
	add(bench, 2, "#a", "2");
	add(bench, 3, "#b", "3");
	add(bench, 4, "#c", "4");
	while ((channel = outbox_next_channel(bench->outbox, channel)) != NULL)
		strcat(found, channel);
	assert_string_equal(found, "#a#b#c");
	assert_string_equal(next(bench, "#b").text, "1");
	end(bench, next(bench, "#b").number, OUTBOX_SENT);
	assert_string_equal(next(bench, "#b").text, "3");
	end(bench, next(bench, "#b").number, OUTBOX_FAILED);
	assert_false(outbox_next(bench->outbox, "#b",
	    &(struct outbox_message){ 0 }));
	assert_string_equal(next(bench, "#a").text, "2");
	assert_string_equal(outbox_next_channel(bench->outbox, "#a"), "#c");
}

/* --- what becomes of a message ----------------------------------------------*/

static void
test_notes_what_happens(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;

	add(bench, 1, "#qa", "hello");
	message = next(bench, "#qa");
	outbox_try(bench->outbox, message.number);
	outbox_note_file(bench->outbox, message.number, "F1");
	reopen(bench);		/* that was a crash before the commit */
	assert_int_equal(outbox_count_open(bench->outbox), 1);

	message = next(bench, "#qa");
	outbox_try(bench->outbox, message.number);
	outbox_note_file(bench->outbox, message.number, "F1");
	commit(bench);
	reopen(bench);		/* and that one after it: in doubt */
	message = next(bench, "#qa");
	assert_int_equal(message.state, OUTBOX_SENDING);
	assert_int_equal(message.attempts, 1);
	assert_string_equal(message.file, "F1");
	assert_true(message.tried_us >= message.created_us);

	outbox_put_off(bench->outbox, message.number, "timeout", 2, 1);
	message = next(bench, "#qa");
	assert_int_equal(message.state, OUTBOX_QUEUED);
	assert_string_equal(message.reason, "timeout");
	outbox_try(bench->outbox, message.number);
	outbox_count(bench->outbox, message.number, 1, 0);
	outbox_part_done(bench->outbox, message.number, 1, "C1", "1.5");
	outbox_part_done(bench->outbox, message.number, 2, "C1", "1.6");
	message = next(bench, "#qa");
	assert_int_equal(message.part, 2);
	assert_int_equal(message.limited, 3);
	assert_int_equal(message.broken, 1);
	assert_null(message.file);
	assert_string_equal(message.slack_ts, "1.5");

	outbox_end(bench->outbox, message.number, OUTBOX_SENT, NULL);
	outbox_end(bench->outbox, message.number, OUTBOX_FAILED, "no");
	assert_true(outbox_next_report(bench->outbox, 0, &message));
	assert_int_equal(message.state, OUTBOX_SENT);
	assert_int_equal(message.attempts, 2);
	assert_null(message.reason);
	assert_null(message.text);	/* content goes when it is sent */
	assert_string_equal(message.title, "Build");
	assert_int_equal(outbox_count_open(bench->outbox), 0);
}

static void
test_reports_each_outcome_once(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;
	int64_t first;

	add(bench, 1, "#qa", "a");
	add(bench, 2, "#qa", "b");
	first = next(bench, "#qa").number;
	end(bench, first, OUTBOX_SENT);
	end(bench, next(bench, "#qa").number, OUTBOX_FAILED);
	assert_true(outbox_next_report(bench->outbox, 0, &message));
	assert_int_equal(message.seq, 1);
	assert_true(outbox_next_report(bench->outbox, first, &message));
	assert_int_equal(message.seq, 2);
	assert_string_equal(message.reason, "channel_not_found");
	assert_string_equal(message.text, "b");	/* it may be replayed */
	outbox_reported(bench->outbox, first, 1);	/* another outcome */
	outbox_reported(bench->outbox, message.number, 0);
	commit(bench);
	reopen(bench);
	assert_true(outbox_next_report(bench->outbox, 0, &message));
	assert_int_equal(message.number, first);
	outbox_reported(bench->outbox, first, 0);
	assert_false(outbox_next_report(bench->outbox, 0, &message));
}

/* --- digests ----------------------------------------------------------------*/

/* 60 go by themselves, what is more goes with a digest behind them. */
static void
test_gathers_a_flood(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;

	add_many(bench, 1, 1000, "#qa");
	add_many(bench, 2001, 2003, "#other");
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'queued' AND channel = '#qa'"), 61);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'gathered'"), 940);
	assert_int_equal(outbox_count_open(bench->outbox), 1004);
	for (int64_t seq = 1; seq <= 60; seq++) {
		message = next(bench, "#qa");
		assert_int_equal(message.seq, seq);
		end(bench, message.number, OUTBOX_SENT);
	}
	add_many(bench, 1001, 1003, "#qa");	/* it is still open */
	message = next(bench, "#qa");
	assert_string_equal(message.purpose, OUTBOX_DIGEST_PURPOSE);
	outbox_try(bench->outbox, message.number);
	add_many(bench, 1004, 1005, "#qa");	/* now it is not */
	end(bench, message.number, OUTBOX_SENT);
	tidy(bench);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'digest' AND slack_ts = '17.000100'"
	    " AND slack_channel = 'C1' AND ended IS NOT NULL AND attempts = 2"
	    " AND text IS NULL AND reported = 0"), 943);
	assert_int_equal(next(bench, "#qa").seq, 1004);
	assert_int_equal(outbox_count_open(bench->outbox), 5);
}

/* What takes several posts takes several seconds. */
static void
test_counts_posts(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message = { .purpose = "relay",
	    .channel = "#qa", .posts = 4, .text = "x", .payload = "p" };

	for (message.seq = 1; message.seq <= 16; message.seq++)
		outbox_add(bench->outbox, &message);
	commit(bench);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'queued' AND purpose = 'relay'"), 15);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'gathered' AND payload IS NULL"), 1);
	message.channel = "#single";	/* nothing is there to wait for */
	message.posts = 100;
	outbox_add(bench->outbox, &message);
	assert_int_equal(next(bench, "#single").posts, 100);
}

static void
test_summarizes_a_digest(void **state)
{
	struct bench *bench = *state;
	struct outbox_digest digest;
	struct outbox_message message = { .purpose = "relay",
	    .channel = "#qa", .class = "danger", .title = "Build" };
	char text[1000], title[300];

	bench->settings.digest_after_s = 1;
	memset(text, 'x', sizeof text);
	memcpy(text + 299, "\xc3\xa9", 3);	/* the limit is within it */
	add_many(bench, 1, 1, "#qa");
	for (message.seq = 2; message.seq <= 31; message.seq++) {
		message.text = message.seq == 2 ? text : "short";
		message.class = message.seq % 2 == 0 ? "danger" : NULL;
		snprintf(title, sizeof title, "T%d", (int)message.seq);
		if (message.seq > 12)
			message.title = message.seq < 20 ? NULL : title;
		outbox_add(bench->outbox, &message);
	}
	end(bench, next(bench, "#qa").number, OUTBOX_SENT);
	message = next(bench, "#qa");
	assert_true(outbox_summarize(bench->outbox, message.number, &digest));
	assert_string_equal(digest.channel, "#qa");
	assert_int_equal(digest.messages, 30);
	assert_int_equal(digest.first_seq, 2);
	assert_int_equal(digest.last_seq, 31);
	assert_true(digest.first_us > 0 && digest.last_us >= digest.first_us);
	assert_int_equal(digest.danger, 15);
	assert_int_equal(digest.success, 0);
	assert_int_equal(digest.tally_count, OUTBOX_TALLIES);
	assert_int_equal(digest.tallies[0].messages, 6);
	assert_string_equal(digest.tallies[0].class, "danger");
	assert_string_equal(digest.tallies[0].title, "Build");
	assert_string_equal(digest.tallies[1].class, "danger");
	assert_int_equal(digest.rest, 30 - 6 - 5 - 4 - 3 - 6);
	assert_int_equal(digest.first_count, 3);
	assert_int_equal(strlen(digest.first[0].text), 299);
	assert_int_equal(digest.first[2].seq, 4);
	assert_int_equal(digest.last_count, 3);
	assert_int_equal(digest.last[0].seq, 29);
	assert_int_equal(digest.last[2].seq, 31);

	/* What was told about takes no more messages. */
	add_many(bench, 100, 100, "#qa");
	assert_true(outbox_summarize(bench->outbox, message.number, &digest));
	assert_int_equal(digest.messages, 30);
	assert_int_equal(next(bench, "#qa").messages, 30);
}

static void
test_tells_few_lines_once(void **state)
{
	struct bench *bench = *state;
	struct outbox_digest digest;

	bench->settings.digest_after_s = 1;
	for (int64_t count = 1; count <= 7; count++) {
		add_many(bench, count * 100, count * 100 + count, "#qa");
		end(bench, next(bench, "#qa").number, OUTBOX_SENT);
		assert_true(outbox_summarize(bench->outbox,
		    next(bench, "#qa").number, &digest));
		assert_int_equal(digest.messages, count);
		assert_int_equal(digest.first_count, count < 3 ? count : 3);
		assert_int_equal(digest.last_count,
		    count < 3 ? 0 : count < 6 ? count - 3 : 3);
		end(bench, next(bench, "#qa").number, OUTBOX_SENT);
	}
}

/* However long a queue may be, its length is known at once. */
static void
test_takes_a_long_queue(void **state)
{
	struct bench *bench = *state;
	int64_t now_us = clock_steady_us();

	bench->settings.digest_after_s = 86400;
	for (int64_t seq = 1; seq <= 20000; seq += 500)
		add_many(bench, seq, seq + 499, "#qa");
	print_message("queue 20000: %.2f s\n",
	    (double)(clock_steady_us() - now_us) / 1e6);
	assert_int_equal(ask(bench, "SELECT posts FROM queue"), 20000);
}

/* Thousands end with their digest, in steps. */
static void
test_ends_a_large_digest_in_steps(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;
	int64_t after = 0, members = 0;

	add_many(bench, 1, 5060, "#qa");
	for (int i = 0; i < 60; i++)
		end(bench, next(bench, "#qa").number, OUTBOX_SENT);
	message = next(bench, "#qa");
	end(bench, message.number, OUTBOX_FAILED);
	assert_true(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'gathered'") > 0);
	reopen(bench);		/* which a crash does not stop */
	tidy(bench);
	assert_int_equal(outbox_count_open(bench->outbox), 0);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'failed' AND reason = 'channel_not_found'"), 5001);
	while (outbox_next_report(bench->outbox, after, &message)) {
		after = message.number;
		members += message.state == OUTBOX_FAILED;
	}
	assert_int_equal(members, 5001);
}

/* --- bounds -----------------------------------------------------------------*/

static void
test_refuses_what_is_too_much(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;

	bench->settings.open_max = 3;
	for (int64_t seq = 1; seq <= 3; seq++)
		assert_true(add(bench, seq, "#qa", "a"));
	assert_false(add(bench, 4, "#qa", "late"));
	commit(bench);
	assert_false(add(bench, 5, "#qa", "late"));
	assert_true(add(bench, 2, "#qa", "a"));	/* that is in */
	commit(bench);
	assert_int_equal(outbox_count_open(bench->outbox), 3);
	assert_true(outbox_next_report(bench->outbox, 0, &message));
	assert_int_equal(message.seq, 4);
	assert_int_equal(message.state, OUTBOX_FAILED);
	assert_string_equal(message.reason,
	    "the outbox is full: 3 messages wait in it");
	assert_string_equal(message.text, "late");
	end(bench, next(bench, "#qa").number, OUTBOX_SENT);
	assert_true(add(bench, 6, "#qa", "a"));
}

static void
test_bounds_the_file(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;
	char *large = calloc(1, 256 * KIB + 1);
	int64_t taken = 0;
	struct stat file;

	memset(large, 'x', 256 * KIB);
	bench->settings.bytes_max = 4 * KIB * KIB;
	for (int64_t seq = 1; seq <= 100; seq++) {
		taken += add(bench, seq, "#qa", large);
		commit(bench);
	}
	assert_in_range(taken, 14, 17);
	assert_true(outbox_next_report(bench->outbox, 0, &message));
	assert_string_equal(message.reason,
	    "the outbox is full: it may take 4 MiB");
	assert_null(message.text);
	while (outbox_next(bench->outbox, "#qa", &message))
		end(bench, message.number, OUTBOX_SENT);
	assert_true(add(bench, 200, "#qa", large));
	commit(bench);
	tidy(bench);
	execute(bench->path, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(stat(bench->path, &file), 0);
	assert_true(file.st_size < 5 * KIB * KIB + 1024 * 4096);
	free(large);
}

static void
test_forgets_what_is_old_or_too_much(void **state)
{
	struct bench *bench = *state;

	bench->settings.open_max = 1000;
	add_many(bench, 1, 5, "#qa");
	for (int i = 0; i < 4; i++)
		end(bench, next(bench, "#qa").number, OUTBOX_SENT);
	execute(bench->path, "UPDATE message SET ended = ended - 604801000000"
	    " WHERE seq <= 2");
	tidy(bench);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"), 3);
	assert_int_equal(ask(bench, "SELECT min(seq) FROM message"), 3);
	for (int64_t seq = 10; seq < 1500; seq++) {
		char channel[16];

		snprintf(channel, sizeof channel, "#%d", (int)seq / 50);
		add(bench, seq, channel, "a");
		end(bench, next(bench, channel).number, OUTBOX_SENT);
	}
	bench->settings.open_max = 100;
	tidy(bench);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE ended IS NOT NULL"), 200);
	assert_int_equal(ask(bench, "SELECT max(seq) FROM message"), 1499);
	assert_int_equal(outbox_count_open(bench->outbox), 1);
}

static void
test_knows_the_oldest(void **state)
{
	struct bench *bench = *state;
	int64_t before = clock_now_us();

	assert_int_equal(outbox_oldest_us(bench->outbox), 0);
	add_many(bench, 1, 2, "#qa");
	assert_in_range(outbox_oldest_us(bench->outbox), before,
	    clock_now_us());
	end(bench, next(bench, "#qa").number, OUTBOX_SENT);
	end(bench, next(bench, "#qa").number, OUTBOX_FAILED);
	assert_int_equal(outbox_oldest_us(bench->outbox), 0);
}

/* --- once more --------------------------------------------------------------*/

static void
test_replays_what_failed(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;

	add_many(bench, 1, 3, "#qa");
	end(bench, next(bench, "#qa").number, OUTBOX_FAILED);
	end(bench, next(bench, "#qa").number, OUTBOX_SENT);
	assert_true(outbox_next_report(bench->outbox, 0, &message));
	outbox_reported(bench->outbox, message.number, 0);
	assert_int_equal(outbox_replay_dead(bench->outbox), 1);
	message = next(bench, "#qa");
	assert_int_equal(message.seq, 1);	/* before the third */
	assert_int_equal(message.outcomes, 1);
	assert_string_equal(message.text, "line 1");
	assert_true(message.since_us > message.created_us);
	end(bench, message.number, OUTBOX_SENT);
	assert_true(outbox_next_report(bench->outbox, 0, &message));
	assert_int_equal(message.seq, 1);
	assert_int_equal(message.outcomes, 1);
	assert_int_equal(outbox_replay_dead(bench->outbox), 0);
}

/* A flood of them is gathered, but for what cannot be, and counts are right. */
static void
add_forward(struct bench *bench, int64_t seq, const char *user, int64_t due_us)
{
	outbox_add(bench->outbox, &(struct outbox_message){ .seq = seq,
	    .purpose = OUTBOX_FORWARD_PURPOSE, .id = user, .channel = user,
	    .title = "stark", .text = "a match", .mrkdwn = "a *match*",
	    .due_us = due_us });
}

static void
test_replays_a_flood(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;

	bench->settings.digest_after_s = 10000;
	add_many(bench, 1, 1000, "#qa");
	while (outbox_next(bench->outbox, "#qa", &message)) {
		outbox_end(bench->outbox, message.number, OUTBOX_FAILED, "no");
		if (message.seq == 500)
			outbox_part_done(bench->outbox, message.number, 1,
			    "C1", "1.1");
	}
	bench->settings.digest_after_s = 60;
	assert_int_equal(outbox_replay_dead(bench->outbox), 1000);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'queued' AND purpose = 'relay'"), 61);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'gathered'"), 939);
	assert_int_equal(outbox_count_open(bench->outbox), 1001);
	while (outbox_next(bench->outbox, "#qa", &message))
		end(bench, message.number, OUTBOX_FAILED);
	tidy(bench);
	assert_int_equal(outbox_count_open(bench->outbox), 0);
	assert_int_equal(outbox_replay_dead(bench->outbox), 1000);
	assert_int_equal(outbox_count_open(bench->outbox), 1001);
	outbox_refresh(bench->outbox);
	assert_int_equal(outbox_count_open(bench->outbox), 1001);
	while (outbox_next(bench->outbox, "#qa", &message))
		end(bench, message.number, OUTBOX_SENT);
	tidy(bench);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state IN ('sent', 'digest') AND purpose = 'relay'"), 1000);
}

/* Another process replays while we have the outbox. */
static void
test_replays_beside_another(void **state)
{
	struct bench *bench = *state, other = *bench;
	pid_t child;
	int status;

	add_many(bench, 1, 1, "#qa");
	end(bench, next(bench, "#qa").number, OUTBOX_FAILED);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		other.settings.is_ours = false;
		other.outbox = outbox_open(&other.settings, &status);
		_exit(outbox_replay_dead(other.outbox) == 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	outbox_refresh(bench->outbox);
	assert_int_equal(outbox_count_open(bench->outbox), 1);
	assert_int_equal(next(bench, "#qa").seq, 1);
}

/* --- trouble ----------------------------------------------------------------*/

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static rlim_t
measure_log(const struct bench *bench)
{
	char path[80];
	struct stat file;

	snprintf(path, sizeof path, "%s-wal", bench->path);
	assert_int_equal(stat(path, &file), 0);
	return (rlim_t)file.st_size;
}

/* While nothing can be written changes wait, and what is found is durable. */
static void
test_waits_for_room(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;
	char text[9000];
	int64_t number;

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	add_many(bench, 1, 2, "#qa");
	number = next(bench, "#qa").number;
	outbox_try(bench->outbox, number);
	commit(bench);
	limit_files(measure_log(bench));
	outbox_end(bench->outbox, number, OUTBOX_SENT, NULL);
	assert_true(add(bench, 3, "#qa", text));
	assert_int_equal(outbox_commit(bench->outbox), -1);
	assert_true(outbox_is_in_trouble(bench->outbox));
	assert_false(outbox_next(bench->outbox, "#qa", &message));
	assert_null(outbox_next_channel(bench->outbox, ""));
	assert_false(outbox_next_report(bench->outbox, 0, &message));
	assert_false(outbox_tidy(bench->outbox));
	assert_int_equal(outbox_count_open(bench->outbox), 2);
	assert_true(add(bench, 4, "#qa", "d"));
	assert_int_equal(outbox_commit(bench->outbox), -1);
	limit_files(RLIM_INFINITY);
	commit(bench);
	assert_false(outbox_is_in_trouble(bench->outbox));
	assert_int_equal(outbox_count_open(bench->outbox), 3);
	assert_int_equal(next(bench, "#qa").seq, 2);
	assert_true(outbox_next_report(bench->outbox, 0, &message));
	assert_int_equal(message.number, number);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"), 4);
}

/* A process is killed at any point: what it said was committed is there. */
static void
test_survives_a_kill(void **state)
{
	struct bench *bench = *state;

	outbox_close(bench->outbox);
	for (int round = 0; round < 8; round++) {
		int64_t told = 0, word, there;
		int pipes[2];
		pid_t child;

		assert_int_equal(pipe(pipes), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			open_outbox(bench);
			for (int64_t seq = 1;; seq++) {
				add(bench, round * 1000000 + seq, "#qa", "a");
				if (outbox_commit(bench->outbox) == -1 ||
				    write(pipes[1], &seq, sizeof seq) == -1)
					_exit(1);
			}
		}
		close(pipes[1]);
		while (told < 20 + round && read(pipes[0], &word,
		    sizeof word) == sizeof word)
			told = word;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (read(pipes[0], &word, sizeof word) == sizeof word)
			told = word;
		close(pipes[0]);
		open_outbox(bench);
		there = ask(bench, "SELECT count(*) FROM message"
		    " WHERE purpose = 'relay'");
		assert_in_range(there, told, told + 1);
		outbox_close(bench->outbox);
		unlink(bench->path);
	}
	open_outbox(bench);
}

static size_t
count_files(const struct bench *bench, const char *pattern)
{
	glob_t found = { 0 };
	char path[80];
	size_t count;

	snprintf(path, sizeof path, "%s/%s", bench->folder, pattern);
	glob(path, 0, NULL, &found);
	count = found.gl_pathc;
	globfree(&found);
	return count;
}

static void
overwrite(const struct bench *bench, off_t from, off_t to)
{
	int fd = open(bench->path, O_WRONLY);
	char garbage[512];

	assert_true(fd != -1);
	memset(garbage, 0xa5, sizeof garbage);
	for (off_t at = from; at < to; at += (off_t)sizeof garbage)
		assert_int_equal(pwrite(fd, garbage, sizeof garbage, at),
		    sizeof garbage);
	close(fd);
}

/* What can be read of a damaged file is taken over, and it is kept. */
static void
test_mends_a_damaged_file(void **state)
{
	struct bench *bench = *state;
	struct stat file;
	int64_t left;

	for (int i = 0; i < 20; i++) {
		char channel[16];

		snprintf(channel, sizeof channel, "#%d", i);
		add_many(bench, i * 100 + 1, i * 100 + 50, channel);
	}
	outbox_close(bench->outbox);
	assert_int_equal(stat(bench->path, &file), 0);
	overwrite(bench, file.st_size / 2, file.st_size / 2 + 16384);
	open_outbox(bench);
	for (int i = 0; i < 20; i++) {
		struct outbox_message message;
		char channel[16];

		snprintf(channel, sizeof channel, "#%d", i);
		while (outbox_next(bench->outbox, channel, &message))
			outbox_end(bench->outbox, message.number, OUTBOX_SENT,
			    NULL);
		outbox_commit(bench->outbox);
	}
	assert_true(add(bench, 9999, "#new", "a"));
	commit(bench);
	assert_int_equal(count_files(bench, "outbox.db.damaged-*"), 1);
	assert_int_equal(count_files(bench, "outbox.db.mending*"), 0);
	left = ask(bench, "SELECT count(*) FROM message WHERE channel <> '#new'");
	assert_in_range(left, 500, 1000);
	assert_string_equal(next(bench, "#new").text, "a");
	assert_int_equal(ask(bench, "SELECT count(*) FROM pragma_integrity_check"
	    " WHERE integrity_check = 'ok'"), 1);
}

static void
test_begins_anew_where_all_is_damaged(void **state)
{
	struct bench *bench = *state;

	add_many(bench, 1, 100, "#qa");
	outbox_close(bench->outbox);
	overwrite(bench, 512, 16384);
	open_outbox(bench);
	outbox_commit(bench->outbox);
	commit(bench);
	assert_int_equal(count_files(bench, "outbox.db.damaged-*"), 1);
	add_many(bench, 1, 1, "#qa");
	assert_int_equal(next(bench, "#qa").seq, 1);
}

/* Died between the two names: what was taken over is there. */
static void
test_goes_on_mending(void **state)
{
	struct bench *bench = *state;
	char beside[80];

	add_many(bench, 1, 1, "#qa");
	outbox_close(bench->outbox);
	snprintf(beside, sizeof beside, "%s.mending", bench->path);
	assert_int_equal(rename(bench->path, beside), 0);
	open_outbox(bench);
	assert_int_equal(next(bench, "#qa").seq, 1);
}

static void
expect_refusal(struct bench *bench, int expected)
{
	int status = EX_OK;

	assert_null(outbox_open(&bench->settings, &status));
	assert_int_equal(status, expected);
	assert_int_equal(count_files(bench, "outbox.db.damaged-*"), 0);
}

static void
test_refuses_what_is_not_its_own(void **state)
{
	struct bench *bench = *state;
	FILE *text;

	outbox_close(bench->outbox);
	execute(bench->path, "PRAGMA user_version=3");
	expect_refusal(bench, EX_CONFIG);
	execute(bench->path, "PRAGMA user_version=2;"
	    "PRAGMA application_id=7");
	expect_refusal(bench, EX_CONFIG);
	unlink(bench->path);
	execute(bench->path, "CREATE TABLE other(a)");
	expect_refusal(bench, EX_CONFIG);

	text = fopen(bench->path, "w");
	assert_non_null(text);
	fputs("{\"type\":\"message\",\"text\":\"a recording\"}\n", text);
	fclose(text);
	expect_refusal(bench, EX_CONFIG);
	bench->settings.path = "/nonexistent/outbox.db";
	expect_refusal(bench, EX_CONFIG);
	bench->settings.path = bench->folder;
	expect_refusal(bench, EX_CONFIG);

	bench->settings.path = bench->path;
	unlink(bench->path);
	open_outbox(bench);
}

/* A file of the first version is taken on with all that waits in it. */
static void
test_takes_on_a_file_of_old(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;

	add_many(bench, 1, 3, "#qa");
	outbox_close(bench->outbox);
	execute(bench->path, MAKE_OLD);
	open_outbox(bench);
	assert_int_equal(ask(bench, "PRAGMA user_version"), 2);
	assert_int_equal(outbox_count_open(bench->outbox), 3);
	assert_true(outbox_next(bench->outbox, "#qa", &message));
	assert_null(message.mrkdwn);
	add_forward(bench, 9, "U1", clock_now_us() + 60000000);
	assert_int_equal(outbox_commit(bench->outbox), 0);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'held'"), 1);
	reopen(bench);
	assert_int_equal(outbox_count_open(bench->outbox), 5);
}

/* --- what is held back ------------------------------------------------------*/

static void
test_holds_back_who_is_muted(void **state)
{
	struct bench *bench = *state;
	struct outbox_digest digest;
	struct outbox_message message;

	add_forward(bench, 1, "U1", INT64_MAX);
	add_forward(bench, 2, "U1", INT64_MAX);
	add_forward(bench, 2, "U1", INT64_MAX);	/* it came again */
	add_forward(bench, 3, "U2", 0);
	assert_false(outbox_next(bench->outbox, "U1", &message));
	assert_true(outbox_next(bench->outbox, "U2", &message));
	assert_string_equal(message.mrkdwn, "a *match*");
	assert_string_equal(outbox_next_channel(bench->outbox, ""), "U2");
	assert_int_equal(outbox_oldest_us(bench->outbox), message.since_us);
	/* what is said to them otherwise is not held */
	outbox_add(bench->outbox, &(struct outbox_message){ .seq = 4,
	    .purpose = OUTBOX_REPLY_PURPOSE, .channel = "U1",
	    .mrkdwn = "yes", .thread = "1.1" });
	assert_true(outbox_next(bench->outbox, "U1", &message));
	assert_string_equal(message.thread, "1.1");
	end(bench, message.number, OUTBOX_SENT);
	reopen(bench);
	assert_int_equal(outbox_count_open(bench->outbox), 4);
	outbox_hold(bench->outbox, "U2", 0, 0);
	assert_false(outbox_next(bench->outbox, "U1", &message));
	outbox_hold(bench->outbox, "U1", 0, 0);
	assert_true(outbox_next(bench->outbox, "U1", &message));
	assert_string_equal(message.purpose, OUTBOX_DIGEST_PURPOSE);
	assert_true(outbox_summarize(bench->outbox, message.number, &digest));
	assert_int_equal(digest.messages, 2);
	assert_int_equal(digest.forwards, 2);
	assert_string_equal(digest.tallies[0].title, "stark");
	assert_string_equal(digest.first[0].text, "a match");
	end(bench, message.number, OUTBOX_SENT);
	tidy(bench);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'digest' AND channel = 'U1'"), 2);
}

static void
test_lets_go_what_is_due(void **state)
{
	struct bench *bench = *state;
	int64_t now_us = clock_now_us();
	struct outbox_message message;

	assert_int_equal(outbox_release_due(bench->outbox), 0);
	add_forward(bench, 1, "U1", now_us + 200000);
	add_forward(bench, 2, "U2", now_us + 3600000000);
	add_forward(bench, 3, "U3", now_us - 1);	/* is over */
	assert_true(outbox_next(bench->outbox, "U3", &message));
	assert_int_equal(outbox_release_due(bench->outbox), now_us + 200000);
	assert_false(outbox_next(bench->outbox, "U1", &message));
	usleep(250000);
	assert_int_equal(outbox_release_due(bench->outbox),
	    now_us + 3600000000);
	assert_true(outbox_next(bench->outbox, "U1", &message));
	assert_false(outbox_next(bench->outbox, "U2", &message));
	/* whoever is muted for longer gets all of it later */
	add_forward(bench, 4, "U2", now_us + 7200000000);
	assert_int_equal(outbox_release_due(bench->outbox),
	    now_us + 7200000000);
	outbox_release(bench->outbox);
	assert_true(outbox_next(bench->outbox, "U2", &message));
	assert_int_equal(outbox_release_due(bench->outbox), 0);
}

static void
test_gathers_forwards_that_come_fast(void **state)
{
	struct bench *bench = *state;
	int64_t due_us;

	for (int64_t seq = 1; seq <= 10000; seq++)
		add_forward(bench, seq, "U1", 0);
	assert_int_equal(outbox_commit(bench->outbox), 0);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'queued'"), OUTBOX_BURST);
	assert_int_equal(ask(bench, "SELECT total(ifnull(messages, 1))"
	    " FROM message WHERE state = 'gathered'"), 10000 - OUTBOX_BURST);
	assert_int_equal(outbox_count_open(bench->outbox), OUTBOX_BURST + 1 +
	    ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'gathered'"));
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'held'"), 1);
	due_us = outbox_release_due(bench->outbox);
	assert_in_range(due_us - clock_now_us(), 1, OUTBOX_COOLDOWN_US);
	/* another one is not concerned */
	add_forward(bench, 20000, "U2", 0);
	assert_int_equal(outbox_commit(bench->outbox), 0);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'queued' AND channel = 'U2'"), 1);
}

static void
add_answer(struct bench *bench, int64_t seq, const char *purpose,
    const char *id, const char *channel)
{
	assert_true(outbox_add(bench->outbox, &(struct outbox_message){
	    .seq = seq, .purpose = purpose, .id = id, .channel = channel,
	    .mrkdwn = "<@U1>! yes" }));
	commit(bench);
}

static int64_t
find_due(const struct bench *bench)
{
	return ask(bench, "SELECT ifnull((SELECT due FROM message"
	    " WHERE state = 'held'), -1)");
}

/* A mute that is set anew moves what is held back, and lets nothing go. */
static void
test_moves_what_is_held(void **state)
{
	struct bench *bench = *state;
	int64_t later_us = clock_now_us() + 3600000000;
	struct outbox_message message;

	add_forward(bench, 5, "U1", OUTBOX_FOREVER_US);
	outbox_hold(bench->outbox, "U2", 0, 6);
	commit(bench);
	assert_true(find_due(bench) == OUTBOX_FOREVER_US);
	outbox_hold(bench->outbox, "U1", later_us, 6);
	commit(bench);
	assert_true(find_due(bench) == later_us);
	assert_false(outbox_next(bench->outbox, "U1", &message));
	/* `talk` of a record before, that comes again, is not about it */
	outbox_hold(bench->outbox, "U1", 0, 4);
	commit(bench);
	assert_true(find_due(bench) == later_us);
	outbox_hold(bench->outbox, "U1", 1, 7);		/* that is over */
	assert_true(outbox_next(bench->outbox, "U1", &message));
	assert_string_equal(message.purpose, OUTBOX_DIGEST_PURPOSE);
	assert_int_equal(outbox_release_due(bench->outbox), 0);
}

/* Who mutes amid a flood gets what was gathered with the rest. */
static void
test_mutes_amid_a_flood(void **state)
{
	struct bench *bench = *state;

	for (int64_t seq = 1; seq <= OUTBOX_BURST + 3; seq++)
		add_forward(bench, seq, "U1", 0);
	outbox_hold(bench->outbox, "U1", OUTBOX_FOREVER_US, 50);
	add_forward(bench, 51, "U1", OUTBOX_FOREVER_US);
	commit(bench);
	assert_true(find_due(bench) == OUTBOX_FOREVER_US);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'gathered'"), 4);
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE state = 'held'"), 1);
}

/* However long the queue is: a digest has none of their words. */
static void
test_gathers_no_answers(void **state)
{
	struct bench *bench = *state;

	add_many(bench, 1, 100, "C1");
	add_answer(bench, 101, OUTBOX_REPLY_PURPOSE, NULL, "C1");
	add_answer(bench, 102, OUTBOX_NOTICE_PURPOSE, "q/1/C1", "C1");
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"
	    " WHERE seq > 100 AND state = 'queued' AND mrkdwn NOT NULL"), 2);
	/* what comes then stays behind them */
	add_many(bench, 103, 110, "C1");
	assert_int_equal(ask(bench, "SELECT min(number) FROM message WHERE"
	    " number = (SELECT digest FROM message WHERE seq = 110)") >
	    ask(bench, "SELECT number FROM message WHERE seq = 102"), 1);
}

/* An answer that failed still has its words, and is said alone. */
static void
test_replays_an_answer(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;

	add_answer(bench, 1, OUTBOX_REPLY_PURPOSE, NULL, "C1");
	end(bench, next(bench, "C1").number, OUTBOX_FAILED);
	add_many(bench, 2, 100, "C1");
	assert_int_equal(outbox_replay_dead(bench->outbox), 1);
	outbox_refresh(bench->outbox);
	message = next(bench, "C1");
	assert_int_equal(message.seq, 1);
	assert_string_equal(message.mrkdwn, "<@U1>! yes");
}

/* Whatever record says it again. */
static void
test_takes_a_notice_once(void **state)
{
	struct bench *bench = *state;

	add_answer(bench, 7, OUTBOX_NOTICE_PURPOSE, "quarantine/1/U1", "U1");
	add_answer(bench, 8, OUTBOX_NOTICE_PURPOSE, "quarantine/1/U1", "U1");
	add_answer(bench, 8, OUTBOX_NOTICE_PURPOSE, "quarantine/1/U2", "U2");
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"), 2);
}

/* Who is muted and wants everything leaves room for what others send. */
static void
test_forwards_leave_room(void **state)
{
	struct bench *bench = *state;
	int64_t seq = 1;

	bench->settings.open_max = 100;
	while (seq < 200 && outbox_add(bench->outbox, &(struct outbox_message){
	    .seq = seq, .purpose = OUTBOX_FORWARD_PURPOSE, .id = "U1",
	    .channel = "U1", .mrkdwn = "a", .due_us = OUTBOX_FOREVER_US }))
		seq++;
	commit(bench);
	assert_int_equal(seq, 51);
	assert_int_equal(ask(bench, "SELECT reason LIKE '%: 50 messages wait%'"
	    " FROM message WHERE state = 'failed'"), 1);
	assert_true(add(bench, 1000, "C1", "a"));
	add_answer(bench, 1001, OUTBOX_REPLY_PURPOSE, NULL, "U1");
	assert_string_equal(next(bench, "U1").mrkdwn, "<@U1>! yes");
}

/* What the upgrade of a damaged file of old can still read is taken over. */
static void
test_mends_a_damaged_file_of_old(void **state)
{
	struct bench *bench = *state;
	struct stat file;

	for (int i = 0; i < 20; i++)
		add_many(bench, i * 100 + 1, i * 100 + 50, "#qa");
	outbox_close(bench->outbox);
	execute(bench->path, MAKE_OLD);
	assert_int_equal(stat(bench->path, &file), 0);
	overwrite(bench, file.st_size / 2, file.st_size / 2 + 16384);
	open_outbox(bench);
	outbox_summarize(bench->outbox, next(bench, "#qa").number,
	    &(struct outbox_digest){ 0 });
	add_many(bench, 9001, 9002, "#new");
	assert_int_equal(ask(bench, "PRAGMA user_version"), 2);
	assert_in_range(ask(bench, "SELECT count(*) FROM message"), 500, 1010);
	assert_int_equal(ask(bench, "SELECT count(*) FROM pragma_integrity_check"
	    " WHERE integrity_check = 'ok'"), 1);
}

static void
test_is_for_its_owner_only(void **state)
{
	struct bench *bench = *state;
	struct stat file;
	char path[80];

	add_many(bench, 1, 1, "#qa");
	assert_int_equal(stat(bench->path, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	snprintf(path, sizeof path, "%s-wal", bench->path);
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
}

/* --- speed ------------------------------------------------------------------*/

static double
seconds_since(int64_t *from_us)
{
	int64_t now_us = clock_steady_us(), before = *from_us;

	*from_us = now_us;
	return (double)(now_us - before) / 1e6;
}

/* Printed for who looks; how long the machine takes is no fault. */
static void
test_takes_a_hundred_thousand(void **state)
{
	struct bench *bench = *state;
	struct outbox_message message;
	int64_t now_us = clock_steady_us(), after = 0, batch[256];
	int reports = 0, count = 0;

	bench->settings.open_max = 2 * MANY;
	for (int64_t seq = 1; seq <= MANY; seq += 500)
		add_many(bench, seq, seq + 499, "#qa");
	print_message("add %d: %.2f s\n", MANY, seconds_since(&now_us));
	reopen(bench);
	print_message("open: %.3f s\n", seconds_since(&now_us));
	for (int i = 0; i < 60; i++)
		end(bench, next(bench, "#qa").number, OUTBOX_SENT);
	print_message("60 single: %.3f s\n", seconds_since(&now_us));
	message = next(bench, "#qa");
	assert_true(outbox_summarize(bench->outbox, message.number,
	    &(struct outbox_digest){ 0 }));
	print_message("summarize: %.3f s\n", seconds_since(&now_us));
	end(bench, message.number, OUTBOX_SENT);
	tidy(bench);
	print_message("end: %.3f s\n", seconds_since(&now_us));
	do {
		for (count = 0; count < 256 && outbox_next_report(
		    bench->outbox, after, &message); count++)
			batch[count] = after = message.number;
		for (int i = 0; i < count; i++)
			outbox_reported(bench->outbox, batch[i], 0);
		reports += count;
		after = 0;
	} while (count > 0);
	assert_int_equal(reports, MANY + 1);
	print_message("report: %.2f s\n", seconds_since(&now_us));
	bench->settings.open_max = 10;
	tidy(bench);
	print_message("forget: %.2f s\n", seconds_since(&now_us));
	assert_int_equal(ask(bench, "SELECT count(*) FROM message"), 20);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(test_keeps_all_members),
		CASE(test_takes_a_line_once),
		CASE(test_tells_messages_apart),
		CASE(test_keeps_the_order_of_each_channel),
		CASE(test_notes_what_happens),
		CASE(test_reports_each_outcome_once),
		CASE(test_gathers_a_flood),
		CASE(test_counts_posts),
		CASE(test_summarizes_a_digest),
		CASE(test_tells_few_lines_once),
		CASE(test_takes_a_long_queue),
		CASE(test_ends_a_large_digest_in_steps),
		CASE(test_refuses_what_is_too_much),
		CASE(test_bounds_the_file),
		CASE(test_forgets_what_is_old_or_too_much),
		CASE(test_knows_the_oldest),
		CASE(test_replays_what_failed),
		CASE(test_replays_a_flood),
		CASE(test_replays_beside_another),
		CASE(test_waits_for_room),
		CASE(test_survives_a_kill),
		CASE(test_mends_a_damaged_file),
		CASE(test_begins_anew_where_all_is_damaged),
		CASE(test_goes_on_mending),
		CASE(test_refuses_what_is_not_its_own),
		CASE(test_takes_on_a_file_of_old),
		CASE(test_holds_back_who_is_muted),
		CASE(test_lets_go_what_is_due),
		CASE(test_gathers_forwards_that_come_fast),
		CASE(test_moves_what_is_held),
		CASE(test_mutes_amid_a_flood),
		CASE(test_gathers_no_answers),
		CASE(test_replays_an_answer),
		CASE(test_takes_a_notice_once),
		CASE(test_forwards_leave_room),
		CASE(test_mends_a_damaged_file_of_old),
		CASE(test_is_for_its_owner_only),
		CASE(test_takes_a_hundred_thousand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
