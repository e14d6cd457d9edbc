/*
 * What was missed is fetched as Slack has it, in order, and what is still to
 * be fetched is not forgotten.
 *
 * modules: slack-reader/backfill.c slack-reader/backfill_job.c
 * modules: slack-reader/backfill_plan.c slack-reader/backfill_report.c
 * modules: slack-reader/conversations.c slack-reader/pages.c
 * modules: slack-reader/threads.c slack-reader/message_store.c
 * modules: slack-reader/backfill_order.c
 * modules: slack-reader/json_items.c slack-reader/slack_ts.c
 * modules: slack-reader/name_cache.c
 * modules: slack-reader/channel_list.c tests/unit/stub_slack.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../../lib/clock.h"
#include "../../lib/events.h"
#include "../../lib/memory.h"
#include "../../slack-reader/backfill.h"
#include "stub_slack.h"

#define SECOND_US INT64_C(1000000)
#define HOUR_US (3600 * SECOND_US)

struct scene {
	struct stub_parts parts;
	struct backfill *backfill;

	/* what a test says: the body of the answer to a call */
	void (*answer)(struct scene *scene, const char *method,
	    const char *arguments, struct buffer *body);
	bool is_withheld;		/* the answer; set by `answer` */
	struct channel_list *channels;
	char folder[32];
	char path[64];

	/* by the test */
	int turn;
	bool is_unsafe;
	const char *unsafe_from;	/* a text, NULL: none */
	size_t room;
	size_t wanted;

	/* by the backfill */
	struct buffer taken;	/* CHANNEL TYPE TEXT, a line each */
	struct buffer lost;	/* CHANNEL|- SENTENCE */
	size_t taken_count;
	int64_t now_us;
};

/* A ts so many seconds before the test began. */
static const char *
ago(const struct scene *scene, int seconds)
{
	static char texts[8][32];
	static int next;
	char *text = texts[next++ % 8];
	int64_t us = scene->now_us - seconds * SECOND_US;

	snprintf(text, sizeof texts[0], "%" PRId64 ".%06" PRId64,
	    us / SECOND_US, us % SECOND_US);
	return text;
}

static void
answer(const char *method, const char *arguments, struct stub_answer *out,
    void *arg)
{
	struct scene *scene = arg;

	scene->answer(scene, method, arguments, &out->body);
	out->is_withheld = scene->is_withheld;
}

static bool
take(const struct backfill_message *message, void *arg)
{
	struct scene *scene = arg;

	if (scene->room == 0)
		return false;
	if (scene->unsafe_from != NULL && memmem(message->text,
	    message->length, scene->unsafe_from, strlen(scene->unsafe_from)))
		scene->is_unsafe = true;
	scene->room--;
	scene->taken_count++;
	buffer_printf(&scene->taken, "%s %s %.*s\n", message->channel,
	    message->channel_type, (int)message->length, message->text);
	return true;
}

static bool
is_safe(void *arg)
{
	return !((struct scene *)arg)->is_unsafe;
}

static void
lose(const char *channel, const char *sentence, void *arg)
{
	struct scene *scene = arg;

	buffer_printf(&scene->lost, "%s %s\n", channel != NULL ? channel
	    : "-", sentence);
}

static void
start(struct scene *scene)
{
	scene->backfill = backfill_new(&(struct backfill_settings){
		.api = scene->parts.api,
		.timers = scene->parts.timers,
		.bot_token = "xoxb-secret",
		.path = scene->path,
		.channels = scene->channels,
		.age_max_s = 7 * 24 * 3600,
		.take = take,
		.is_safe = is_safe,
		.lost = lose,
		.arg = scene,
	    });
}

static void
prepare(struct scene *scene, void (*function)(struct scene *scene,
    const char *method, const char *arguments, struct buffer *body))
{
	*scene = (struct scene){ .answer = function, .room = SIZE_MAX,
	    .folder = "/tmp/test_backfill.XXXXXX" };
	scene->now_us = clock_now_us();
	assert_non_null(mkdtemp(scene->folder));
	snprintf(scene->path, sizeof scene->path, "%s/backfill.json",
	    scene->folder);
	scene->channels = channel_list_new(NULL);
	stub_open(&scene->parts, answer, scene);
}

static void
clean_up(struct scene *scene)
{
	backfill_free(scene->backfill);
	channel_list_free(scene->channels);
	stub_close(&scene->parts);
	unlink(scene->path);
	assert_int_equal(rmdir(scene->folder), 0);
	buffer_free(&scene->taken);
	buffer_free(&scene->lost);
}

static bool
is_idle(void *arg)
{
	return backfill_is_idle(((struct scene *)arg)->backfill);
}

static bool
has_taken(void *arg)
{
	struct scene *scene = arg;

	return scene->taken_count >= scene->wanted;
}

static const char *
taken(struct scene *scene)
{
	return buffer_string(&scene->taken);
}

static const char *
lost(struct scene *scene)
{
	return buffer_string(&scene->lost);
}

static size_t
count_lines(const char *text)
{
	size_t count = 0;

	while ((text = strchr(text, '\n')) != NULL) {
		count++;
		text++;
	}
	return count;
}

static void
read_plan(const struct scene *scene, char *text, size_t size)
{
	int fd = open(scene->path, O_RDONLY);
	ssize_t length = fd == -1 ? 0 : read(fd, text, size - 1);

	text[length] = '\0';
	if (fd != -1)
		close(fd);
}

static bool
has_plan(const struct scene *scene)
{
	return access(scene->path, F_OK) == 0;
}

static void
write_plan(const struct scene *scene, const char *text)
{
	int fd = open(scene->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* One run from a request for the last hour to the end. */
static void
run_all(struct scene *scene, void (*function)(struct scene *scene,
    const char *method, const char *arguments, struct buffer *body))
{
	prepare(scene, function);
	start(scene);
	backfill_request(scene->backfill, scene->now_us - HOUR_US);
	assert_true(stub_run(&scene->parts, is_idle, scene));
	assert_false(has_plan(scene));
}

/* The bot is in the public channels named, each with a blank behind it. */
static void
list_channels(const char *arguments, const char *names, struct buffer *body)
{
	char separator = '[';

	buffer_append_string(body, "{\"ok\":true,\"channels\":");
	if (!stub_has(arguments, "types", "public_channel"))
		names = "";
	while (*names != '\0') {
		int length = (int)strcspn(names, " ");

		buffer_printf(body, "%c{\"id\":\"%.*s\",\"name\":\"x\"}",
		    separator, length, names);
		names += length + 1;
		separator = ',';
	}
	buffer_append_string(body, separator == '[' ? "[]}" : "]}");
}

static void
answer_nothing(struct buffer *body)
{
	buffer_append_string(body, "{\"ok\":true,\"messages\":[]}");
}

/* -- order and bytes -- */

static void
answer_two_pages(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (strcmp(method, "users.conversations") == 0) {
		list_channels(arguments, "C1 ", body);
	} else if (!stub_has(arguments, "cursor", "next==")) {
		buffer_printf(body, "{\"ok\":true,\"messages\":[{\"ts\":\"%s\","
		    "\"text\":\"four\"} ,\n{ \"n\":1e400,\"ts\":\"%s\",\n"
		    "\"text\":\"thr\\u00e9e ]}[{\\\" \"}],\"has_more\":true,"
		    "\"response_metadata\":{\"next_cursor\":\"next==\"}}",
		    ago(scene, 10), ago(scene, 20));
	} else {
		buffer_printf(body, "{\"ok\":true,\"messages\":[{\"ts\":\"%s\","
		    "\"text\":\"two\"},{\"ts\":\"%s\",\"text\":\"one\"}],"
		    "\"has_more\":false,\"response_metadata\":"
		    "{\"next_cursor\":\"\"}}", ago(scene, 30),
		    ago(scene, 40));
	}
}

static void
hands_over_the_oldest_first_byte_for_byte(void **state)
{
	struct buffer wanted = { 0 };
	struct scene scene;

	(void)state;
	run_all(&scene, answer_two_pages);
	buffer_printf(&wanted, "C1 channel {\"ts\":\"%s\",\"text\":\"one\"}\n"
	    "C1 channel {\"ts\":\"%s\",\"text\":\"two\"}\n"
	    "C1 channel { \"n\":1e400,\"ts\":\"%s\", "
	    "\"text\":\"thr\\u00e9e ]}[{\\\" \"}\n"
	    "C1 channel {\"ts\":\"%s\",\"text\":\"four\"}\n",
	    ago(&scene, 40), ago(&scene, 30), ago(&scene, 20),
	    ago(&scene, 10));
	assert_string_equal(taken(&scene), buffer_string(&wanted));
	assert_string_equal(lost(&scene), "");
	buffer_free(&wanted);
	clean_up(&scene);
}

static void
answer_empty_page(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (strcmp(method, "users.conversations") == 0) {
		if (stub_has(arguments, "types", "im") &&
		    !stub_has(arguments, "cursor", "c1"))
			buffer_append_string(body, "{\"ok\":true,\"channels\":"
			    "[],\"response_metadata\":{\"next_cursor\":"
			    "\"c1\"}}");
		else if (stub_has(arguments, "types", "im"))
			buffer_append_string(body, "{\"ok\":true,\"channels\":"
			    "[{\"id\":\"D1\",\"is_im\":true}]}");
		else
			list_channels(arguments, "", body);
	} else if (!stub_has(arguments, "cursor", "c2")) {
		buffer_append_string(body, "{\"ok\":true,\"messages\":[],"
		    "\"response_metadata\":{\"next_cursor\":\"c2\"}}");
	} else {
		buffer_printf(body, "{\"ok\":true,\"messages\":[{\"ts\":"
		    "\"%s\"}]}", ago(scene, 1));
	}
}

static void
reads_on_behind_an_empty_page(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_empty_page);
	assert_int_equal(scene.taken_count, 1);
	assert_memory_equal(taken(&scene), "D1 im {", 7);
	clean_up(&scene);
}

static void
answer_types(struct scene *scene, const char *method, const char *arguments,
    struct buffer *body)
{
	if (strcmp(method, "users.conversations") == 0)
		buffer_append_string(body, "{\"ok\":true,\"channels\":[7,"
		    "{\"id\":\"C1\"},{\"id\":\"C2\",\"is_private\":true},"
		    "{\"id\":\"G1\",\"is_group\":true},{\"id\":\"G2\","
		    "\"is_mpim\":true,\"is_private\":true},{\"id\":\"D1\","
		    "\"is_im\":true},{\"id\":7},{},{\"id\":\"../C\"}]}");
	else
		buffer_printf(body, "{\"ok\":true,\"messages\":[{\"ts\":"
		    "\"%s\"}]}", ago(scene, 1));
	(void)arguments;
}

static void
tells_the_type_of_each_channel(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_types);
	assert_int_equal(scene.taken_count, 5);
	assert_non_null(strstr(taken(&scene), "C1 channel "));
	assert_non_null(strstr(taken(&scene), "C2 group "));
	assert_non_null(strstr(taken(&scene), "G1 group "));
	assert_non_null(strstr(taken(&scene), "G2 mpim "));
	assert_non_null(strstr(taken(&scene), "D1 im "));
	clean_up(&scene);
}

static void
answer_anything(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (strcmp(method, "users.conversations") == 0)
		list_channels(arguments, "C1 C2 C3 ", body);
	else
		buffer_printf(body, "{\"ok\":true,\"messages\":[{\"ts\":"
		    "\"%s\"}]}", ago(scene, 1));
}

static void
keeps_to_the_list_of_channels(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_anything);
	channel_list_free(scene.channels);
	scene.channels = channel_list_new("C2");
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_int_equal(scene.taken_count, 1);
	assert_memory_equal(taken(&scene), "C2 ", 3);
	clean_up(&scene);
}

/* -- threads -- */

static void
append_message(struct buffer *body, const char *ts, const char *text,
    const char *more)
{
	buffer_printf(body, "%s{\"ts\":\"%s\",\"text\":\"%s\"%s}",
	    body->data[body->length - 1] == '[' ? "" : ",", ts, text, more);
}

static const char *
thread_of(const char *ts, const char *latest)
{
	static char texts[4][128];
	static int next;
	char *text = texts[next++ % 4];

	snprintf(text, sizeof texts[0], ",\"thread_ts\":\"%s\","
	    "\"reply_count\":2,\"latest_reply\":\"%s\"", ts, latest);
	return text;
}

/* Parents: 100 s ago, 2 h ago (goes on), 3 h ago (does not), 3 days ago. */
static void
answer_threads(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	const char *fresh = ago(scene, 100), *going = ago(scene, 7200);
	const char *quiet = ago(scene, 10800), *old = ago(scene, 259200);
	char broadcast[64];

	if (strcmp(method, "users.conversations") == 0) {
		list_channels(arguments, "C1 ", body);
		return;
	}
	buffer_append_string(body, "{\"ok\":true,\"messages\":[");
	if (strcmp(method, "conversations.history") == 0) {
		snprintf(broadcast, sizeof broadcast,
		    ",\"thread_ts\":\"%s\"", fresh);
		append_message(body, ago(scene, 50), "broadcast", broadcast);
		append_message(body, fresh, "fresh", thread_of(fresh,
		    ago(scene, 40)));
		append_message(body, going, "going", thread_of(going,
		    ago(scene, 30)));
		append_message(body, quiet, "quiet", thread_of(quiet,
		    ago(scene, 9000)));
	} else if (stub_has(arguments, "ts", fresh)) {
		append_message(body, fresh, "fresh", "");
		append_message(body, ago(scene, 50), "broadcast", "");
		append_message(body, ago(scene, 40), "f2", "");
	} else if (stub_has(arguments, "ts", going)) {
		append_message(body, going, "going", "");
		append_message(body, ago(scene, 5000), "long known", "");
		append_message(body, ago(scene, 30), "g2", "");
	} else if (stub_has(arguments, "ts", old)) {
		append_message(body, old, "old", "");
		append_message(body, ago(scene, 20), "o2", "");
	} else {
		append_message(body, ago(scene, 5), "not asked for", "");
	}
	buffer_append_string(body, "]}");
}

static void
note(struct scene *scene, const char *channel, const char *parent,
    const char *ts)
{
	static const char *const none[] = { NULL };
	struct record *record = record_new("test", none);
	struct buffer text = { 0 };

	buffer_printf(&text, "{\"channel\":\"%s\",\"thread_ts\":\"%s\","
	    "\"ts\":\"%s\"}", channel, parent, ts);
	assert_int_equal(record_parse(record, text.data, text.length), 0);
	backfill_note(scene->backfill, record);
	record_free(record);
	buffer_free(&text);
}

static void
assert_texts(struct scene *scene, const char *texts)
{
	const char *at = taken(scene);
	struct buffer found = { 0 };

	while ((at = strstr(at, "\"text\":\"")) != NULL) {
		at += strlen("\"text\":\"");
		buffer_append(&found, at, strcspn(at, "\""));
		buffer_append(&found, " ", 1);
	}
	assert_string_equal(buffer_string(&found), texts);
	buffer_free(&found);
}

static void
fetches_replies_of_threads_that_went_on(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_threads);
	start(&scene);
	note(&scene, "C1", ago(&scene, 259200), ago(&scene, 4000));
	note(&scene, "C1", ago(&scene, 10800), ago(&scene, 9000));
	note(&scene, "C2", ago(&scene, 7), ago(&scene, 6));
	note(&scene, "C1", ago(&scene, 400000), ago(&scene, 200000));
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_texts(&scene, "fresh broadcast broadcast f2 g2 o2 ");
	assert_int_equal(stub_calls(&scene.parts, "conversations.replies"), 3);
	clean_up(&scene);
}

static void
answer_lost_thread(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (strcmp(method, "conversations.replies") == 0)
		buffer_append_string(body,
		    "{\"ok\":false,\"error\":\"thread_not_found\"}");
	else
		answer_threads(scene, method, arguments, body);
}

static void
passes_over_threads_that_are_gone(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_lost_thread);
	assert_texts(&scene, "fresh broadcast ");
	assert_string_equal(lost(&scene), "");
	clean_up(&scene);
}

static void
answer_long_thread(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	bool is_second = stub_has(arguments, "cursor", "c");

	if (strcmp(method, "conversations.replies") != 0 ||
	    !stub_has(arguments, "ts", ago(scene, 100))) {
		answer_threads(scene, method, arguments, body);
		return;
	}
	if (is_second && scene->turn++ == 0) {
		buffer_append_string(body,
		    "{\"ok\":false,\"error\":\"invalid_cursor\"}");
		return;
	}
	buffer_append_string(body, "{\"ok\":true,\"messages\":[");
	append_message(body, ago(scene, 100), "fresh", "");
	append_message(body, ago(scene, is_second ? 39 : 40), is_second
	    ? "f3" : "f2", "");
	buffer_printf(body, "],\"response_metadata\":{\"next_cursor\":\"%s\"}}",
	    is_second ? "" : "c");
}

static void
pages_through_a_long_thread(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_long_thread);
	assert_texts(&scene, "fresh broadcast f2 f3 g2 ");
	assert_int_equal(scene.turn, 2);
	clean_up(&scene);
}

/* -- failures -- */

static void
answer_expired_cursor(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (stub_has(arguments, "cursor", "next==") && scene->turn++ == 0)
		buffer_append_string(body,
		    "{\"ok\":false,\"error\":\"invalid_cursor\"}");
	else
		answer_two_pages(scene, method, arguments, body);
}

static void
begins_a_channel_anew_when_the_cursor_has_expired(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_expired_cursor);
	assert_int_equal(scene.taken_count, 4);
	assert_int_equal(stub_calls(&scene.parts, "conversations.history"), 4);
	clean_up(&scene);
}

static void
answer_at_third_try(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	static const char *const failures[] = {
		"{\"ok\":false,\"error\":\"internal_error\"}",
		"<html>proxy</html>",
		"{\"ok\":true,\"messages\":{\"ts\":\"1.000000\"}}",
	};

	if (strcmp(method, "conversations.history") == 0 && scene->turn < 3)
		buffer_append_string(body, failures[scene->turn++]);
	else
		answer_two_pages(scene, method, arguments, body);
}

static void
tries_again_where_it_may_go_better(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_at_third_try);
	assert_int_equal(scene.taken_count, 4);
	assert_string_equal(lost(&scene), "");
	clean_up(&scene);
}

static void
answer_no_messages(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (strcmp(method, "users.conversations") == 0)
		list_channels(arguments, "C1 ", body);
	else
		buffer_printf(body, "{\"ok\":true,\"messages\":[7,null,[],"
		    "\"x\",{},{\"ts\":7},{\"ts\":\"yesterday\"},{\"ts\":"
		    "null},{\"ts\":\"%s\",\"text\":\"real\",\"thread_ts\":9,"
		    "\"reply_count\":\"2\",\"latest_reply\":[]},{\"text\":"
		    "\"no ts\"}],\"has_more\":7,\"response_metadata\":[],"
		    "\"is_limited\":\"x\"}", ago(scene, 1));
}

static void
passes_over_items_that_are_no_messages(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_no_messages);
	assert_texts(&scene, "real ");
	assert_string_equal(lost(&scene), "");
	clean_up(&scene);
}

static void
answer_kicked(struct scene *scene, const char *method, const char *arguments,
    struct buffer *body)
{
	if (stub_has(arguments, "channel", "C1"))
		buffer_append_string(body,
		    "{\"ok\":false,\"error\":\"not_in_channel\"}");
	else if (stub_has(arguments, "channel", "C2"))
		buffer_append_string(body,
		    "{\"ok\":false,\"error\":\"some_new_error\"}");
	else
		answer_anything(scene, method, arguments, body);
}

static void
says_what_it_cannot_fetch_and_goes_on(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_kicked);
	assert_int_equal(scene.taken_count, 1);
	assert_memory_equal(taken(&scene), "C3 ", 3);
	assert_memory_equal(lost(&scene), "C1 messages since ", 18);
	assert_non_null(strstr(lost(&scene), " UTC were not fetched: Slack "
	    "answered not_in_channel: "));
	assert_non_null(strstr(lost(&scene), "\nC2 messages since "));
	assert_non_null(strstr(lost(&scene), "some_new_error"));
	clean_up(&scene);
}

static void
answer_without_scope(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (strcmp(method, "conversations.history") == 0 &&
	    !stub_has(arguments, "channel", "C3"))
		buffer_append_string(body, "{\"ok\":false,\"error\":"
		    "\"missing_scope\",\"needed\":\"channels:history\"}");
	else if (stub_has(arguments, "types", "im"))
		buffer_append_string(body, "{\"ok\":false,\"error\":"
		    "\"missing_scope\",\"needed\":\"im:read\"}");
	else
		answer_anything(scene, method, arguments, body);
}

static void
names_a_missing_scope_once(void **state)
{
	struct scene scene;
	const char *first;

	(void)state;
	run_all(&scene, answer_without_scope);
	assert_int_equal(scene.taken_count, 1);
	assert_non_null(strstr(lost(&scene), "im:read"));
	assert_memory_equal(lost(&scene), "- missed messages since 20", 26);
	assert_non_null(strstr(lost(&scene), " UTC are not fetched: "));
	first = strstr(lost(&scene), "channels:history");
	assert_non_null(first);
	assert_null(strstr(first + 1, "channels:history"));
	clean_up(&scene);
}

static void
names_it_again_for_a_gap_that_is_new(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_without_scope);
	assert_int_equal(count_lines(lost(&scene)), 2);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_int_equal(count_lines(lost(&scene)), 4);
	clean_up(&scene);
}

static void
answer_revoked(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (stub_has(arguments, "channel", "C2") && scene->turn == 0)
		buffer_append_string(body,
		    "{\"ok\":false,\"error\":\"token_revoked\"}");
	else
		answer_anything(scene, method, arguments, body);
}

static bool
has_lost(void *arg)
{
	return ((struct scene *)arg)->lost.length > 0;
}

static void
keeps_what_is_owed_while_the_token_is_bad(void **state)
{
	struct scene scene;
	char plan[256];
	size_t calls;

	(void)state;
	prepare(&scene, answer_revoked);
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	assert_true(stub_run(&scene.parts, has_lost, &scene));
	calls = stub_calls(&scene.parts, NULL);
	stub_run_ms(&scene.parts, 50);
	assert_int_equal(stub_calls(&scene.parts, NULL), calls);
	assert_non_null(strstr(lost(&scene), "SLACK_BOT_TOKEN"));
	assert_null(strstr(lost(&scene), "secret"));
	read_plan(&scene, plan, sizeof plan);
	assert_null(strstr(plan, "C1"));
	assert_non_null(strstr(plan, "C2"));
	assert_non_null(strstr(plan, "C3"));
	assert_false(is_idle(&scene));

	/* a new start with a good one */
	backfill_free(scene.backfill);
	scene.turn = 1;
	start(&scene);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_int_equal(scene.taken_count, 3);
	assert_false(has_plan(&scene));
	clean_up(&scene);
}

/* -- what is owed -- */

static void
stops_without_room_and_goes_on(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_two_pages);
	scene.room = 3;
	scene.wanted = 3;
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	assert_true(stub_run(&scene.parts, has_taken, &scene));
	stub_run_ms(&scene.parts, 20);
	assert_int_equal(scene.taken_count, 3);
	scene.room = 10;
	backfill_go_on(scene.backfill);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_texts(&scene, "one two thr\\u00e9e ]}[{\\ four ");
	clean_up(&scene);
}

static void
forgets_a_channel_only_when_all_is_safe(void **state)
{
	struct scene scene;
	char plan[256];

	(void)state;
	prepare(&scene, answer_two_pages);
	scene.is_unsafe = true;
	scene.wanted = 4;
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	read_plan(&scene, plan, sizeof plan);
	assert_memory_equal(plan, "{\"*\":\"", 6);
	assert_true(stub_run(&scene.parts, has_taken, &scene));
	stub_run_ms(&scene.parts, 20);
	read_plan(&scene, plan, sizeof plan);
	assert_memory_equal(plan, "{\"C1\":\"", 7);
	assert_false(is_idle(&scene));
	backfill_go_on(scene.backfill);
	stub_run_ms(&scene.parts, 20);
	assert_true(has_plan(&scene));
	scene.is_unsafe = false;
	backfill_go_on(scene.backfill);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_false(has_plan(&scene));
	clean_up(&scene);
}

static void
waits_until_replies_are_safe_too(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_threads);
	scene.unsafe_from = "g2";
	scene.wanted = 5;
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	assert_true(stub_run(&scene.parts, has_taken, &scene));
	stub_run_ms(&scene.parts, 50);
	assert_true(has_plan(&scene));
	assert_false(is_idle(&scene));
	scene.is_unsafe = false;
	backfill_go_on(scene.backfill);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_texts(&scene, "fresh broadcast broadcast f2 g2 ");
	clean_up(&scene);
}

static void
goes_on_after_a_crash(void **state)
{
	struct scene scene;
	struct buffer plan = { 0 };

	(void)state;
	prepare(&scene, answer_types);
	buffer_printf(&plan, "{\"D1\":\"%s\"}", ago(&scene, 900));
	write_plan(&scene, buffer_string(&plan));
	buffer_free(&plan);
	start(&scene);
	assert_false(is_idle(&scene));
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_int_equal(scene.taken_count, 1);
	assert_memory_equal(taken(&scene), "D1 im {", 7);
	assert_false(has_plan(&scene));
	clean_up(&scene);
}

static void
answer_broken_threads(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (strcmp(method, "conversations.replies") == 0 && scene->turn == 0)
		buffer_append_string(body,
		    "{\"ok\":false,\"error\":\"internal_error\"}");
	else
		answer_threads(scene, method, arguments, body);
}

static bool
has_asked_for_replies(void *arg)
{
	struct scene *scene = arg;

	return stub_calls(&scene->parts, "conversations.replies") > 0;
}

static void
crash_among_threads(struct scene *scene)
{
	prepare(scene, answer_broken_threads);
	start(scene);
	backfill_request(scene->backfill, scene->now_us - HOUR_US);
	assert_true(stub_run(&scene->parts, has_asked_for_replies, scene));
	assert_texts(scene, "fresh broadcast ");
	backfill_free(scene->backfill);
	scene->turn = 1;
	scene->taken.length = 0;
	start(scene);
}

static void
gives_history_once_though_threads_fail(void **state)
{
	struct buffer wanted = { 0 };
	struct scene scene;
	char plan[256];

	(void)state;
	crash_among_threads(&scene);
	read_plan(&scene, plan, sizeof plan);
	buffer_printf(&wanted, "{\"C1\":\"%s %s ", ago(&scene, 3600),
	    ago(&scene, 50));
	assert_memory_equal(plan, buffer_string(&wanted), wanted.length);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_texts(&scene, "broadcast f2 g2 ");
	buffer_free(&wanted);
	clean_up(&scene);
}

static void
gives_history_again_where_older_is_wanted(void **state)
{
	struct scene scene;

	(void)state;
	crash_among_threads(&scene);
	backfill_request(scene.backfill, scene.now_us - 2 * HOUR_US -
	    SECOND_US);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_texts(&scene,
	    "going fresh broadcast long known g2 broadcast f2 ");
	clean_up(&scene);
}

static void
answer_while_asked_again(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (stub_has(arguments, "channel", "C2") && scene->turn++ == 0)
		backfill_request(scene->backfill, scene->now_us -
		    2 * HOUR_US);
	answer_anything(scene, method, arguments, body);
}

static void
does_all_again_that_is_requested_meanwhile(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_while_asked_again);
	/* C3 was still to come: with both requests at once */
	assert_int_equal(scene.taken_count, 5);
	assert_int_equal(stub_calls(&scene.parts, "conversations.history"), 5);
	clean_up(&scene);
}

static void
gives_up_what_is_too_old_and_says_so(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_anything);
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - 240 * HOUR_US);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_int_equal(scene.taken_count, 3);
	assert_memory_equal(lost(&scene), "- messages from ", 16);
	assert_non_null(strstr(lost(&scene), "--backfill-age"));
	assert_ptr_equal(strchr(lost(&scene), '\n') + 1,
	    scene.lost.data + scene.lost.length);
	clean_up(&scene);
}

static void
reads_a_hostile_file(void **state)
{
	static const char *const files[] = {
		"", "{", "[]", "nothing", "{\"C9\":7}", "{\"../x\":\"1.0\"}",
		"{\"C9\":\"tomorrow\"}", "{\"C9\":\"-5\"}",
		"{\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAA\":\"1.0\"}",
	};
	struct scene scene;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		prepare(&scene, answer_anything);
		write_plan(&scene, files[i]);
		start(&scene);
		backfill_request(scene.backfill, scene.now_us - HOUR_US);
		assert_true(stub_run(&scene.parts, is_idle, &scene));
		assert_int_equal(scene.taken_count, 3);
		assert_non_null(strstr(lost(&scene), "is damaged"));
		clean_up(&scene);
	}
}

static void
keeps_the_good_part_of_a_damaged_file(void **state)
{
	struct scene scene;
	struct buffer plan = { 0 };

	(void)state;
	prepare(&scene, answer_anything);
	buffer_printf(&plan, "{\"C2\":\"%s\",\"C9\":7,\"C1\":\"%s\"}",
	    ago(&scene, 900), ago(&scene, 900));
	write_plan(&scene, buffer_string(&plan));
	buffer_free(&plan);
	start(&scene);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_int_equal(scene.taken_count, 2);
	clean_up(&scene);
}

static void
answer_limited(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	answer_anything(scene, method, arguments, body);
	if (strcmp(method, "conversations.history") == 0) {
		body->length--;
		buffer_append_string(body, ",\"is_limited\":true}");
	}
}

static void
says_of_each_channel_that_slack_hides_messages(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_limited);
	assert_memory_equal(lost(&scene), "C1 Slack's free plan hides", 26);
	assert_non_null(strstr(lost(&scene), "\nC2 Slack's free plan hides"));
	assert_int_equal(count_lines(lost(&scene)), 3);
	clean_up(&scene);
}

/* -- cost -- */

static void
answer_no_history(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	scene->is_withheld = strcmp(method, "conversations.history") == 0;
	answer_anything(scene, method, arguments, body);
}

static bool
has_asked_for_history(void *arg)
{
	struct scene *scene = arg;

	return stub_calls(&scene->parts, "conversations.history") > 0;
}

/* How often does a loop wake up that calls backfill_go_on in each turn? */
static int
count_turns(struct scene *scene, int ms)
{
	int64_t end_ms = clock_steady_ms() + ms;
	int turns = 0;

	while (clock_steady_ms() < end_ms) {
		backfill_go_on(scene->backfill);
		turns += poll(&(struct pollfd){ scene->parts.set, POLLIN, 0 },
		    1, 10);
		events_dispatch(scene->parts.set);
	}
	return turns;
}

static void
does_nothing_while_it_waits_for_an_answer(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_no_history);
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	assert_true(stub_run(&scene.parts, has_asked_for_history, &scene));
	stub_run_ms(&scene.parts, 20);
	assert_in_range(count_turns(&scene, 200), 0, 20);
	clean_up(&scene);
}

static void
does_nothing_while_it_is_not_safe(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_two_pages);
	scene.is_unsafe = true;
	scene.wanted = 4;
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	assert_true(stub_run(&scene.parts, has_taken, &scene));
	stub_run_ms(&scene.parts, 20);
	assert_in_range(count_turns(&scene, 200), 0, 20);
	assert_false(is_idle(&scene));
	scene.is_unsafe = false;
	backfill_go_on(scene.backfill);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	clean_up(&scene);
}

/* -- until when -- */

/* Slack does not keep to `latest`: so much for what came meanwhile. */
static void
answer_newer(struct scene *scene, const char *method, const char *arguments,
    struct buffer *body)
{
	const char *parent = ago(scene, 3000);

	if (strcmp(method, "users.conversations") == 0) {
		list_channels(arguments, "C1 ", body);
		return;
	}
	if (stub_has(arguments, "latest", ago(scene, 1200)))
		scene->turn++;
	buffer_append_string(body, "{\"ok\":true,\"messages\":[");
	if (strcmp(method, "conversations.history") == 0) {
		append_message(body, ago(scene, 600), "live", "");
		append_message(body, ago(scene, 1300), "missed", "");
		append_message(body, parent, "parent", thread_of(parent,
		    ago(scene, 500)));
	} else {
		append_message(body, parent, "parent", "");
		append_message(body, ago(scene, 1250), "reply", "");
		append_message(body, ago(scene, 500), "live reply", "");
	}
	buffer_append_string(body, "]}");
}

static void
leaves_out_what_came_live_later(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_newer);
	start(&scene);
	backfill_request_range(scene.backfill, scene.now_us - HOUR_US,
	    scene.now_us - 1200 * SECOND_US);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_texts(&scene, "parent missed reply ");
	assert_int_equal(scene.turn, 2);
	clean_up(&scene);
}

static void
joins_requests_from_the_first_to_the_last_moment(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_newer);
	start(&scene);
	backfill_request_range(scene.backfill, scene.now_us - HOUR_US,
	    scene.now_us - 2000 * SECOND_US);
	backfill_request_range(scene.backfill, scene.now_us - 1800 *
	    SECOND_US, scene.now_us - 1200 * SECOND_US);
	backfill_request_range(scene.backfill, scene.now_us - 1900 *
	    SECOND_US, scene.now_us - 1700 * SECOND_US);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_texts(&scene, "parent missed reply ");
	clean_up(&scene);
}

static void
remembers_until_when(void **state)
{
	struct scene scene;
	struct buffer plan = { 0 };

	(void)state;
	prepare(&scene, answer_newer);
	buffer_printf(&plan, "{\"C1\":\"%s 0.000000 %s\"}",
	    ago(&scene, 3600), ago(&scene, 1200));
	write_plan(&scene, buffer_string(&plan));
	buffer_free(&plan);
	start(&scene);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_texts(&scene, "parent missed reply ");
	assert_string_equal(lost(&scene), "");
	clean_up(&scene);
}

/* -- what is lost is told before it is forgotten -- */

static void
keeps_what_is_too_old_until_that_is_told_safely(void **state)
{
	struct scene scene;
	char plan[256], old[40];

	(void)state;
	prepare(&scene, answer_anything);
	scene.is_unsafe = true;
	snprintf(old, sizeof old, "{\"*\":\"%s ", ago(&scene, 864000));
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - 240 * HOUR_US);
	assert_true(stub_run(&scene.parts, has_lost, &scene));
	stub_run_ms(&scene.parts, 20);
	read_plan(&scene, plan, sizeof plan);
	assert_memory_equal(plan, old, strlen(old));
	scene.is_unsafe = false;
	backfill_go_on(scene.backfill);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_int_equal(count_lines(lost(&scene)), 1);
	assert_int_equal(scene.taken_count, 3);
	clean_up(&scene);
}

static void
keeps_damage_in_mind_until_that_is_told_safely(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_anything);
	write_plan(&scene, "{\"C9\":7}");
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	backfill_free(scene.backfill);
	start(&scene);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_int_equal(scene.taken_count, 3);
	assert_non_null(strstr(lost(&scene), "is damaged"));
	assert_false(has_plan(&scene));
	clean_up(&scene);
}

static void
answer_no_private(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (stub_has(arguments, "types", "im"))
		buffer_append_string(body, "{\"ok\":false,\"error\":"
		    "\"missing_scope\",\"needed\":\"im:read\"}");
	else if (strcmp(method, "users.conversations") == 0)
		list_channels(arguments, "C1 ", body);
	else {
		scene->is_unsafe = true;	/* what this is told for */
		buffer_append_string(body,
		    "{\"ok\":false,\"error\":\"not_in_channel\"}");
	}
}

static bool
has_lost_two(void *arg)
{
	return count_lines(lost(arg)) == 2;
}

static void
keeps_what_is_refused_until_that_is_told_safely(void **state)
{
	struct scene scene;
	char plan[256];

	(void)state;
	prepare(&scene, answer_no_private);
	scene.is_unsafe = true;
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	assert_true(stub_run(&scene.parts, has_lost, &scene));
	stub_run_ms(&scene.parts, 50);
	read_plan(&scene, plan, sizeof plan);
	assert_memory_equal(plan, "{\"*\"", 4);
	scene.is_unsafe = false;
	backfill_go_on(scene.backfill);
	assert_true(stub_run(&scene.parts, has_lost_two, &scene));
	stub_run_ms(&scene.parts, 50);
	read_plan(&scene, plan, sizeof plan);
	assert_memory_equal(plan, "{\"C1\"", 5);
	scene.is_unsafe = false;
	backfill_go_on(scene.backfill);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	clean_up(&scene);
}

/* -- order -- */

/* Pages from the oldest on, each with the newest first. */
static void
answer_from_oldest(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	static const char cursors[] = "pppppppp";
	int page = 0, seconds;
	char text[16];

	if (strcmp(method, "users.conversations") == 0) {
		list_channels(arguments, "C1 ", body);
		return;
	}
	for (int i = 1; i < 9; i++) {
		snprintf(text, sizeof text, "%.*s", i, cursors);
		if (stub_has(arguments, "cursor", text))
			page = i;
	}
	buffer_append_string(body, "{\"ok\":true,\"messages\":[");
	for (int i = 1; i >= 0; i--) {
		seconds = 3600 + 650 - 100 * (2 * page + i);
		snprintf(text, sizeof text, "m%d", 2 * page + i);
		append_message(body, ago(scene, seconds), text, "");
	}
	snprintf(text, sizeof text, "%.*s", page + 1, cursors);
	buffer_printf(body, "],\"has_more\":%s,\"response_metadata\":"
	    "{\"next_cursor\":\"%s\"}}", page < 8 ? "true" : "false",
	    page < 8 ? text : "");
}

static void
puts_pages_in_order_that_begin_with_the_oldest(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_from_oldest);
	assert_texts(&scene, "m7 m8 m9 m10 m11 m12 m13 m14 m15 m16 m17 ");
	assert_string_equal(lost(&scene), "");
	clean_up(&scene);
}

static void
answer_shuffled(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	static const int seconds[] = { 50, 20, 40, 20, 10, 30, 60 };
	char text[16];

	if (strcmp(method, "users.conversations") == 0) {
		list_channels(arguments, "C1 ", body);
		return;
	}
	buffer_append_string(body, "{\"ok\":true,\"messages\":[");
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
		snprintf(text, sizeof text, "m%d", seconds[i]);
		append_message(body, ago(scene, seconds[i]), text, "");
	}
	buffer_append_string(body, "]}");
}

static void
puts_a_page_without_order_in_order(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_shuffled);
	assert_texts(&scene, "m60 m50 m40 m30 m20 m20 m10 ");
	clean_up(&scene);
}

/* -- bounds -- */

/* The disk, as the modules see it; 0: as it is. */
static unsigned long disk_free_bytes;

int
fstatvfs(int fd, struct statvfs *disk)
{
	(void)fd;
	*disk = (struct statvfs){ .f_frsize = 4096, .f_blocks = 1,
	    .f_bavail = (disk_free_bytes != 0 ? disk_free_bytes
	    : ULONG_MAX) / 4096 };
	return 0;
}

static void
leaves_the_last_of_the_disk_to_others(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_anything);
	disk_free_bytes = (64 << 20) - 4096;
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	while (stub_calls(&scene.parts, "conversations.history") < 3)
		stub_run_ms(&scene.parts, 1);
	stub_run_ms(&scene.parts, 50);
	assert_int_equal(scene.taken_count, 0);
	assert_int_equal(count_lines(lost(&scene)), 1);
	assert_non_null(strstr(lost(&scene), "64 MiB"));
	assert_true(has_plan(&scene));
	disk_free_bytes = 64 << 20;
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	assert_true(stub_run(&scene.parts, is_idle, &scene));
	assert_int_equal(scene.taken_count, 3);
	disk_free_bytes = 0;
	clean_up(&scene);
}

#define MANY_PAGES 8
#define PAGE_MESSAGES 12500

static void
answer_many(struct scene *scene, const char *method, const char *arguments,
    struct buffer *body)
{
	if (strcmp(method, "users.conversations") == 0) {
		list_channels(arguments, "C1 ", body);
		return;
	}
	if (strcmp(method, "conversations.history") != 0) {
		answer_nothing(body);
		return;
	}
	buffer_append_string(body, "{\"ok\":true,\"messages\":[");
	for (int i = 0; i < PAGE_MESSAGES; i++) {
		int number = scene->turn * PAGE_MESSAGES + i;
		int64_t us = scene->now_us - number * 10000 - SECOND_US;

		buffer_printf(body, "%s{\"ts\":\"%" PRId64 ".%06" PRId64
		    "\",\"text\":\"message %d\"}", i > 0 ? "," : "",
		    us / SECOND_US, us % SECOND_US, number);
	}
	scene->turn++;
	buffer_printf(body, "],\"response_metadata\":{\"next_cursor\":\"%.*s\""
	    "}}", scene->turn < MANY_PAGES ? scene->turn : 0, "nextpage");
}

/* Counts, checks the order, and keeps nothing. */
struct count {
	struct scene scene;	/* first, so that both are at one place */
	size_t count;
	int last;
	size_t most_bytes;
};

static bool
count_message(const struct backfill_message *message, void *arg)
{
	struct count *count = arg;
	const char *at = memmem(message->text, message->length, "message ",
	    8);
	int number = at != NULL ? atoi(at + 8) : -1;
	size_t bytes = mallinfo2().uordblks;

	assert_int_equal(number, count->last - 1);
	count->last = number;
	count->count++;
	if (bytes > count->most_bytes)
		count->most_bytes = bytes;
	return true;
}

static void
holds_a_hundred_thousand_messages_on_disk(void **state)
{
	struct count count = { 0 };
	struct scene *scene = &count.scene;
	size_t before;

	(void)state;
	prepare(scene, answer_many);
	count.last = MANY_PAGES * PAGE_MESSAGES;
	before = mallinfo2().uordblks;
	scene->backfill = backfill_new(&(struct backfill_settings){
		.api = scene->parts.api,
		.timers = scene->parts.timers,
		.bot_token = "xoxb-secret",
		.path = scene->path,
		.channels = scene->channels,
		.age_max_s = 7 * 24 * 3600,
		.take = count_message,
		.is_safe = is_safe,
		.lost = lose,
		.arg = &count,
	    });
	backfill_request(scene->backfill, scene->now_us - HOUR_US);
	assert_true(stub_run(&scene->parts, is_idle, scene));
	assert_int_equal(count.count, MANY_PAGES * PAGE_MESSAGES);
	assert_int_equal(count.last, 0);
	assert_true(count.most_bytes < before + 2 * 1024 * 1024);
	clean_up(scene);
}

static void
answer_same_cursor(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	answer_anything(scene, method, arguments, body);
	if (strcmp(method, "conversations.history") == 0 &&
	    stub_has(arguments, "channel", "C1")) {
		body->length--;
		buffer_append_string(body,
		    ",\"response_metadata\":{\"next_cursor\":\"same\"}}");
	}
}

static bool
has_taken_of_others(void *arg)
{
	struct scene *scene = arg;

	return strstr(taken(scene), "C2 ") != NULL &&
	    strstr(taken(scene), "C3 ") != NULL;
}

static void
does_not_go_round_in_circles(void **state)
{
	struct scene scene;

	(void)state;
	prepare(&scene, answer_same_cursor);
	start(&scene);
	backfill_request(scene.backfill, scene.now_us - HOUR_US);
	assert_true(stub_run(&scene.parts, has_taken_of_others, &scene));
	assert_non_null(strstr(lost(&scene), "C1 messages since "));
	clean_up(&scene);
}

#define TOO_MANY_BYTES (17 << 20)

static void
answer_too_large(struct scene *scene, const char *method,
    const char *arguments, struct buffer *body)
{
	if (strcmp(method, "conversations.history") == 0 &&
	    stub_has(arguments, "limit", "100")) {
		memset(buffer_reserve(body, TOO_MANY_BYTES), ' ',
		    TOO_MANY_BYTES);
		body->length = TOO_MANY_BYTES;
	} else {
		answer_two_pages(scene, method, arguments, body);
	}
}

static void
asks_for_less_where_a_page_is_too_large(void **state)
{
	struct scene scene;

	(void)state;
	run_all(&scene, answer_too_large);
	assert_int_equal(scene.taken_count, 4);
	clean_up(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_over_the_oldest_first_byte_for_byte),
		cmocka_unit_test(reads_on_behind_an_empty_page),
		cmocka_unit_test(tells_the_type_of_each_channel),
		cmocka_unit_test(keeps_to_the_list_of_channels),
		cmocka_unit_test(fetches_replies_of_threads_that_went_on),
		cmocka_unit_test(passes_over_threads_that_are_gone),
		cmocka_unit_test(pages_through_a_long_thread),
		cmocka_unit_test(
		    begins_a_channel_anew_when_the_cursor_has_expired),
		cmocka_unit_test(tries_again_where_it_may_go_better),
		cmocka_unit_test(passes_over_items_that_are_no_messages),
		cmocka_unit_test(says_what_it_cannot_fetch_and_goes_on),
		cmocka_unit_test(names_a_missing_scope_once),
		cmocka_unit_test(names_it_again_for_a_gap_that_is_new),
		cmocka_unit_test(keeps_what_is_owed_while_the_token_is_bad),
		cmocka_unit_test(stops_without_room_and_goes_on),
		cmocka_unit_test(forgets_a_channel_only_when_all_is_safe),
		cmocka_unit_test(waits_until_replies_are_safe_too),
		cmocka_unit_test(goes_on_after_a_crash),
		cmocka_unit_test(gives_history_once_though_threads_fail),
		cmocka_unit_test(gives_history_again_where_older_is_wanted),
		cmocka_unit_test(does_all_again_that_is_requested_meanwhile),
		cmocka_unit_test(gives_up_what_is_too_old_and_says_so),
		cmocka_unit_test(reads_a_hostile_file),
		cmocka_unit_test(keeps_the_good_part_of_a_damaged_file),
		cmocka_unit_test(
		    says_of_each_channel_that_slack_hides_messages),
		cmocka_unit_test(does_nothing_while_it_waits_for_an_answer),
		cmocka_unit_test(does_nothing_while_it_is_not_safe),
		cmocka_unit_test(leaves_out_what_came_live_later),
		cmocka_unit_test(
		    joins_requests_from_the_first_to_the_last_moment),
		cmocka_unit_test(remembers_until_when),
		cmocka_unit_test(
		    keeps_what_is_too_old_until_that_is_told_safely),
		cmocka_unit_test(
		    keeps_damage_in_mind_until_that_is_told_safely),
		cmocka_unit_test(
		    keeps_what_is_refused_until_that_is_told_safely),
		cmocka_unit_test(
		    puts_pages_in_order_that_begin_with_the_oldest),
		cmocka_unit_test(puts_a_page_without_order_in_order),
		cmocka_unit_test(leaves_the_last_of_the_disk_to_others),
		cmocka_unit_test(holds_a_hundred_thousand_messages_on_disk),
		cmocka_unit_test(does_not_go_round_in_circles),
		cmocka_unit_test(asks_for_less_where_a_page_is_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
