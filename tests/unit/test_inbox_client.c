/*
 * What is handed in to slack-reader's real inbox is told to be taken once,
 * whatever becomes of the connection and of slack-reader meanwhile.
 * modules: slack-reader/inbox.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../slack-reader/inbox.h"
#include "clock.h"
#include "events.h"
#include "inbox_client.h"
#include "memory.h"
#include "record.h"

#define PATIENCE_MS 10000
#define TURNS_MAX 100000	/* until all is quiet; more is a busy loop */
#define LINES_MAX 20000
#define MIB (1024 * 1024)

struct bench {
	char folder[40];
	char path[64];
	int set;
	struct timers *timers;
	struct inbox *inbox;
	struct inbox_client *client;

	/* what the inbox got, and how it answers */
	char (*taken)[16];
	uint64_t number;
	size_t count;
	size_t answered;
	bool answers_at_once;

	/* what the client heard */
	size_t done;
	size_t refused;
	char reason[128];
	size_t to_send;		/* from within done */
};

/* --- the bench -------------------------------------------------------------*/

static void
answer(struct bench *bench)
{
	inbox_accept(bench->inbox, bench->number, (int64_t)++bench->answered);
}

static void
take(const struct inbox_line *line, void *arg)
{
	struct bench *bench = arg;

	assert_true(bench->count < LINES_MAX);
	snprintf(bench->taken[bench->count++], sizeof *bench->taken, "%.*s",
	    (int)(line->length < 15 ? line->length : 15), line->text);
	bench->number = line->client;
	if (bench->answers_at_once)
		answer(bench);
}

static void
open_inbox(struct bench *bench)
{
	bench->inbox = inbox_open(&(struct inbox_settings){
	    .path = bench->path, .set = bench->set, .timers = bench->timers,
	    .take = take, .arg = bench });
}

static void
close_inbox(struct bench *bench)
{
	inbox_free(bench->inbox);
	bench->inbox = NULL;
}

/* A client whose inbox is not there yet. */
static struct bench *
set_up(void)
{
	struct bench *bench = xcalloc(1, sizeof *bench);

	strcpy(bench->folder, "/tmp/test_inbox_client.XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	snprintf(bench->path, sizeof bench->path, "%s/sock", bench->folder);
	bench->set = events_open();
	bench->timers = timers_new(bench->set);
	bench->taken = xcalloc(LINES_MAX, sizeof *bench->taken);
	bench->client = inbox_client_new(bench->path, bench->set,
	    bench->timers);
	return bench;
}

static struct bench *
set_up_inbox(void)
{
	struct bench *bench = set_up();

	open_inbox(bench);
	return bench;
}

static void
tear_down(struct bench *bench)
{
	inbox_client_free(bench->client);
	close_inbox(bench);
	timers_free(bench->timers);
	close(bench->set);
	unlink(bench->path);
	assert_int_equal(rmdir(bench->folder), 0);
	free(bench->taken);
	free(bench);
}

/* Do what is ready, without waiting. */
static void
settle(struct bench *bench)
{
	struct pollfd wait = { .fd = bench->set, .events = POLLIN };
	int turns = 0;

	while (poll(&wait, 1, 0) > 0) {
		events_dispatch(bench->set);
		if (++turns > TURNS_MAX)
			fail_msg("the client spins");
	}
}

/* Run the loop until the number is reached, pauses included. */
static void
run_until(struct bench *bench, const size_t *number, size_t wanted)
{
	struct pollfd wait = { .fd = bench->set, .events = POLLIN };
	int64_t deadline_ms = clock_steady_ms() + PATIENCE_MS;

	while (*number < wanted) {
		int64_t left_ms = deadline_ms - clock_steady_ms();

		if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) != 1)
			fail_msg("only %zu of %zu", *number, wanted);
		events_dispatch(bench->set);
	}
	assert_int_equal(*number, wanted);
}

static void
note_done(const char *error, void *arg)
{
	struct bench *bench = arg;

	if (error == NULL) {
		bench->done++;
	} else {
		bench->refused++;
		snprintf(bench->reason, sizeof bench->reason, "%s", error);
	}
	if (bench->to_send > 0) {
		bench->to_send--;
		assert_true(inbox_client_send(bench->client, "{\"again\":1}",
		    11, note_done, bench));
	}
}

static bool
hand_in(struct bench *bench, const char *line)
{
	return inbox_client_send(bench->client, line, strlen(line), note_done,
	    bench);
}

/* --- the main path ---------------------------------------------------------*/

static void
test_tells_when_the_record_is_durable(void **state)
{
	struct bench *bench = set_up_inbox();

	(void)state;
	assert_true(hand_in(bench, "{\"n\":1}"));
	assert_true(hand_in(bench, "{\"n\":2}"));
	assert_int_equal(bench->count, 0);
	run_until(bench, &bench->count, 2);
	settle(bench);
	assert_int_equal(bench->done, 0);
	answer(bench);
	run_until(bench, &bench->done, 1);
	answer(bench);
	run_until(bench, &bench->done, 2);
	assert_string_equal(bench->taken[0], "{\"n\":1}");
	assert_string_equal(bench->taken[1], "{\"n\":2}");
	tear_down(bench);
}

static void
test_tells_what_is_refused_for_good(void **state)
{
	struct bench *bench = set_up_inbox();

	(void)state;
	bench->answers_at_once = true;
	hand_in(bench, "{}");
	hand_in(bench, "[]");
	hand_in(bench, "");
	hand_in(bench, "{}");
	run_until(bench, &bench->done, 2);
	assert_int_equal(bench->refused, 2);
	assert_string_equal(bench->reason,
	    "not a JSON object: the line is empty");
	assert_int_equal(bench->count, 2);
	tear_down(bench);
}

static void
test_hands_in_10000_lines_one_from_the_other(void **state)
{
	struct bench *bench = set_up_inbox();

	(void)state;
	bench->answers_at_once = true;
	bench->to_send = 9000;
	for (int i = 0; i < 1000; i++)
		assert_true(hand_in(bench, "{\"first\":1}"));
	run_until(bench, &bench->done, 10000);
	settle(bench);
	assert_int_equal(bench->count, 10000);
	tear_down(bench);
}

static void
test_hands_in_a_line_of_16_mib_and_is_refused_a_longer_one(void **state)
{
	struct bench *bench = set_up_inbox();
	size_t length = INBOX_LINE_MAX + 1;
	char *line = xmalloc(length);

	(void)state;
	bench->answers_at_once = true;
	memset(line, ' ', length);
	memcpy(line, "{}", 2);
	assert_true(inbox_client_send(bench->client, line,
	    INBOX_LINE_MAX, note_done, bench));
	run_until(bench, &bench->done, 1);
	assert_true(inbox_client_send(bench->client, line, length, note_done,
	    bench));
	run_until(bench, &bench->refused, 1);
	assert_string_equal(bench->reason, "the line is longer than 16 MiB"
	    " less 8 KiB");
	free(line);
	tear_down(bench);
}

/* --- bounds ----------------------------------------------------------------*/

static void
test_says_when_too_many_wait(void **state)
{
	struct bench *bench = set_up_inbox();

	(void)state;
	for (int i = 0; i < INBOX_CLIENT_WAITING_MAX; i++)
		assert_true(hand_in(bench, "{}"));
	assert_false(hand_in(bench, "{}"));
	run_until(bench, &bench->count, INBOX_WAITING_MAX);
	answer(bench);
	run_until(bench, &bench->done, 1);
	assert_true(hand_in(bench, "{}"));
	assert_false(hand_in(bench, "{}"));
	tear_down(bench);
}

static void
test_says_when_too_many_bytes_wait(void **state)
{
	struct bench *bench = set_up_inbox();
	char *line = xmalloc(RECORD_BYTES_MAX);

	(void)state;
	memset(line, ' ', RECORD_BYTES_MAX);
	memcpy(line, "{}", 2);
	for (int i = 0; i < INBOX_CLIENT_BYTES_MAX / RECORD_BYTES_MAX; i++)
		assert_true(inbox_client_send(bench->client, line,
		    RECORD_BYTES_MAX, note_done, bench));
	assert_false(hand_in(bench, "{}"));
	bench->answers_at_once = true;
	run_until(bench, &bench->refused,	/* they are too long */
	    INBOX_CLIENT_BYTES_MAX / RECORD_BYTES_MAX);
	assert_true(hand_in(bench, "{}"));
	free(line);
	tear_down(bench);
}

/* --- an inbox that comes and goes ------------------------------------------*/

static void
test_waits_for_an_inbox_that_is_not_there(void **state)
{
	struct bench *bench = set_up();

	(void)state;
	hand_in(bench, "{\"n\":1}");
	for (int i = 0; i < 3; i++) {
		struct pollfd wait = { .fd = bench->set, .events = POLLIN };

		assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
		events_dispatch(bench->set);
	}
	assert_int_equal(bench->done, 0);
	open_inbox(bench);
	bench->answers_at_once = true;
	run_until(bench, &bench->done, 1);
	assert_int_equal(bench->refused, 0);
	tear_down(bench);
}

/* The first two have their answer, the others are handed in once more. */
static void
test_hands_in_again_what_had_no_answer(void **state)
{
	struct bench *bench = set_up_inbox();
	static const char *const wanted[] = { "{\"n\":1}", "{\"n\":2}",
	    "{\"n\":3}", "{\"n\":4}", "{\"n\":3}", "{\"n\":4}" };

	(void)state;
	for (int i = 0; i < 4; i++)
		hand_in(bench, wanted[i]);
	run_until(bench, &bench->count, 4);
	answer(bench);
	answer(bench);
	run_until(bench, &bench->done, 2);
	close_inbox(bench);
	settle(bench);
	bench->answers_at_once = true;
	open_inbox(bench);
	run_until(bench, &bench->done, 4);
	settle(bench);
	assert_int_equal(bench->count, 6);
	for (int i = 0; i < 6; i++)
		assert_string_equal(bench->taken[i], wanted[i]);
	assert_int_equal(bench->done, 4);
	tear_down(bench);
}

static void
test_outlives_many_deaths_of_the_inbox(void **state)
{
	struct bench *bench = set_up();

	(void)state;
	for (int i = 0; i < 200; i++)
		hand_in(bench, "{\"n\":1}");
	for (size_t round = 1; round <= 10; round++) {
		size_t mark = bench->count;

		open_inbox(bench);
		run_until(bench, &bench->count, mark + 200);
		for (int i = 0; i < 10; i++)
			answer(bench);
		close_inbox(bench);
		run_until(bench, &bench->done, round * 10);
		for (int i = 0; i < 10; i++)
			hand_in(bench, "{\"n\":2}");
	}
	tear_down(bench);
}

static void
test_hands_in_again_what_is_refused_for_now(void **state)
{
	struct bench *bench = set_up_inbox();

	(void)state;
	hand_in(bench, "{\"n\":1}");
	for (size_t i = 1; i <= 3; i++) {
		run_until(bench, &bench->count, i);
		inbox_refuse(bench->inbox, bench->number, "disk full");
	}
	bench->answers_at_once = true;
	run_until(bench, &bench->done, 1);
	assert_int_equal(bench->refused, 0);
	assert_int_equal(bench->count, 4);
	tear_down(bench);
}

static void
test_does_nothing_while_there_is_nothing_to_hand_in(void **state)
{
	struct bench *bench = set_up_inbox();
	struct pollfd wait = { .fd = bench->set, .events = POLLIN };

	(void)state;
	assert_int_equal(poll(&wait, 1, 50), 0);
	bench->answers_at_once = true;
	hand_in(bench, "{}");
	run_until(bench, &bench->done, 1);
	close_inbox(bench);
	settle(bench);
	assert_int_equal(poll(&wait, 1, 50), 0);
	open_inbox(bench);
	hand_in(bench, "{}");
	run_until(bench, &bench->done, 2);
	tear_down(bench);
}

static void
test_free_forgets_what_waits(void **state)
{
	struct bench *bench = set_up_inbox();

	(void)state;
	for (int i = 0; i < 10; i++)
		hand_in(bench, "{}");
	run_until(bench, &bench->count, 10);
	answer(bench);
	inbox_client_free(bench->client);
	bench->client = NULL;
	settle(bench);
	assert_int_equal(bench->done + bench->refused, 0);
	inbox_client_free(NULL);
	tear_down(bench);
}

static void
test_a_path_that_is_too_long_is_no_crash(void **state)
{
	struct bench *bench = set_up();
	char path[256];
	struct inbox_client *client;
	struct pollfd wait = { .fd = bench->set, .events = POLLIN };

	(void)state;
	memset(path, 'x', sizeof path);
	path[sizeof path - 1] = '\0';
	client = inbox_client_new(path, bench->set, bench->timers);
	assert_true(inbox_client_send(client, "{}", 2, note_done, bench));
	assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
	events_dispatch(bench->set);
	assert_int_equal(bench->done + bench->refused, 0);
	inbox_client_free(client);
	tear_down(bench);
}

/* --- taking back -----------------------------------------------------------*/

struct paper {
	struct bench *bench;
	bool is_done;
};

static void
note_paper(const char *error, void *arg)
{
	struct paper *paper = arg;

	assert_null(error);
	assert_false(paper->is_done);
	paper->is_done = true;
	paper->bench->done++;
}

static void
hand_in_paper(struct paper *paper, struct bench *bench, const char *line)
{
	*paper = (struct paper){ .bench = bench };
	assert_true(inbox_client_send(bench->client, line, strlen(line),
	    note_paper, paper));
}

static void
test_takes_back_what_nobody_has(void **state)
{
	struct bench *bench = set_up();
	struct paper papers[5];
	static const char *const lines[] = { "{\"n\":0}", "{\"n\":1}",
	    "{\"n\":2}", "{\"n\":3}", "{\"n\":4}" };

	(void)state;
	for (int i = 0; i < 5; i++)
		hand_in_paper(&papers[i], bench, lines[i]);
	for (int i = 0; i < 5; i += 2)
		assert_true(inbox_client_withdraw(bench->client, &papers[i]));
	assert_false(inbox_client_withdraw(bench->client, &papers[2]));
	assert_false(inbox_client_withdraw(bench->client, bench));
	hand_in_paper(&papers[2], bench, lines[2]);
	bench->answers_at_once = true;
	open_inbox(bench);
	run_until(bench, &bench->done, 3);
	assert_string_equal(bench->taken[0], lines[1]);
	assert_string_equal(bench->taken[1], lines[3]);
	assert_string_equal(bench->taken[2], lines[2]);
	assert_false(papers[0].is_done || papers[4].is_done);
	tear_down(bench);
}

static void
test_gives_room_and_rest_when_all_is_taken_back(void **state)
{
	struct bench *bench = set_up();
	struct paper papers[INBOX_CLIENT_WAITING_MAX];
	struct pollfd wait = { .fd = bench->set, .events = POLLIN };
	int64_t start_ms;
	int turns = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < INBOX_CLIENT_WAITING_MAX; i++)
			hand_in_paper(&papers[i], bench, "{}");
		assert_false(hand_in(bench, "{}"));
		settle(bench);
		start_ms = clock_steady_ms();
		for (int i = INBOX_CLIENT_WAITING_MAX; i-- > 0;)
			assert_true(inbox_client_withdraw(bench->client,
			    &papers[i]));
		assert_in_range(clock_steady_ms() - start_ms, 0, 500);
	}
	for (; poll(&wait, 1, 300) > 0; turns++)
		events_dispatch(bench->set);
	assert_in_range(turns, 0, 1);	/* of a timer that is set no more */
	tear_down(bench);
}

/* Sent and not answered, over this connection or an earlier one. */
static void
test_does_not_take_back_what_may_be_taken(void **state)
{
	struct bench *bench = set_up_inbox();
	struct paper first, second, third;

	(void)state;
	hand_in_paper(&first, bench, "{\"n\":1}");
	hand_in_paper(&second, bench, "{\"n\":2}");
	run_until(bench, &bench->count, 2);
	hand_in_paper(&third, bench, "{\"n\":3}");
	assert_false(inbox_client_withdraw(bench->client, &first));
	assert_false(inbox_client_withdraw(bench->client, &second));
	close_inbox(bench);
	settle(bench);
	assert_false(inbox_client_withdraw(bench->client, &first));
	assert_false(inbox_client_withdraw(bench->client, &second));
	assert_true(inbox_client_withdraw(bench->client, &third));
	bench->answers_at_once = true;
	open_inbox(bench);
	run_until(bench, &bench->done, 2);
	assert_true(first.is_done && second.is_done);
	tear_down(bench);
}

/* A full disk: what was refused, and what was sent behind it, is ours again. */
static void
test_takes_back_what_was_refused_for_now(void **state)
{
	struct bench *bench = set_up_inbox();
	struct paper first, second;

	(void)state;
	hand_in_paper(&first, bench, "{\"n\":1}");
	hand_in_paper(&second, bench, "{\"n\":2}");
	run_until(bench, &bench->count, 2);
	inbox_refuse(bench->inbox, bench->number, "disk full");
	for (int turns = 0; !inbox_client_withdraw(bench->client, &first);
	    turns++) {
		assert_true(turns < TURNS_MAX);
		events_dispatch(bench->set);
	}
	assert_true(inbox_client_withdraw(bench->client, &second));
	settle(bench);
	assert_int_equal(bench->count, 2);
	assert_int_equal(bench->done, 0);
	tear_down(bench);
}

static void
test_tells_whether_the_inbox_is_up(void **state)
{
	struct bench *bench = set_up();

	(void)state;
	assert_false(inbox_client_is_up(bench->client));
	open_inbox(bench);
	assert_true(inbox_client_is_up(bench->client));
	bench->answers_at_once = true;
	hand_in(bench, "{}");
	run_until(bench, &bench->done, 1);
	assert_true(inbox_client_is_up(bench->client));
	close_inbox(bench);
	settle(bench);
	assert_false(inbox_client_is_up(bench->client));
	hand_in(bench, "{}");
	assert_false(inbox_client_is_up(bench->client));
	open_inbox(bench);
	assert_true(inbox_client_is_up(bench->client));
	run_until(bench, &bench->done, 2);
	assert_int_equal(bench->count, 2);
	tear_down(bench);
}

/* --- others than our inbox -------------------------------------------------*/

static int
listen_at(const struct bench *bench)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, bench->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof address), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* The client's next connection. */
static int
accept_first(struct bench *bench, int listener)
{
	struct pollfd both[] = { { .fd = listener, .events = POLLIN },
	    { .fd = bench->set, .events = POLLIN } };
	int fd;

	while (poll(both, 2, PATIENCE_MS) > 0 && both[0].revents == 0)
		events_dispatch(bench->set);
	assert_int_equal(both[0].revents, POLLIN);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	return fd;
}

/* The same with what it sent first. */
static int
accept_client(struct bench *bench, int listener)
{
	int fd = accept_first(bench, listener);
	char sent[16];

	settle(bench);
	assert_int_equal(recv(fd, sent, sizeof sent, MSG_DONTWAIT), 8);
	assert_memory_equal(sent, "{\"n\":1}\n", 8);
	return fd;
}

/* What is no answer ends the connection, never the wait for one. */
static void
test_takes_nothing_else_for_an_answer(void **state)
{
	static const char *const answers[] = { "hello\n", "{}\n", "[]\n",
	    "{\"ok\":false}\n", "{\"ok\":\"true\"}\n", "{\"ok\":1}\n", "\n",
	    "{\"error\":\"no\"}\n",
	    "{\"ok\":false,\"error\":7}\n", "{\"ok\":false,\"error\":\"no\","
	    "\"retry\":true}\n", "{\"ok\":true", "" };

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct bench *bench = set_up();
		int listener = listen_at(bench), fd;

		hand_in(bench, "{\"n\":1}");
		fd = accept_client(bench, listener);
		assert_int_equal(send(fd, answers[i], strlen(answers[i]), 0),
		    (ssize_t)strlen(answers[i]));
		close(fd);
		fd = accept_client(bench, listener);
		assert_int_equal(bench->done + bench->refused, 0);
		assert_int_equal(send(fd, "{\"ok\":tr", 8, 0), 8);
		settle(bench);
		assert_int_equal(send(fd, "ue,\"seq\":9}\n", 12, 0), 12);
		run_until(bench, &bench->done, 1);
		close(fd);
		close(listener);
		tear_down(bench);
	}
}

/* Two answers to one line: the second one must not pass for the next line's. */
static void
test_takes_no_answer_that_was_not_asked_for(void **state)
{
	struct bench *bench = set_up();
	int listener = listen_at(bench), fd;
	char byte;

	(void)state;
	hand_in(bench, "{\"n\":1}");
	fd = accept_client(bench, listener);
	assert_int_equal(send(fd, "{\"ok\":true}\n{\"ok\":true}\n", 24, 0),
	    24);
	run_until(bench, &bench->done, 1);
	settle(bench);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
	close(fd);
	hand_in(bench, "{\"n\":1}");
	fd = accept_client(bench, listener);
	assert_int_equal(bench->done, 1);
	assert_int_equal(send(fd, "{\"ok\":true}\n", 12, 0), 12);
	run_until(bench, &bench->done, 2);
	close(fd);
	close(listener);
	tear_down(bench);
}

/* Nor for that of one which is handed in but not sent. */
static void
test_takes_no_answer_to_what_it_has_not_sent(void **state)
{
	struct bench *bench = set_up();
	int listener = listen_at(bench), fd;
	char byte;

	(void)state;
	bench->to_send = 1;
	hand_in(bench, "{\"n\":1}");
	fd = accept_client(bench, listener);
	assert_int_equal(send(fd, "{\"ok\":true}\n{\"ok\":true}\n", 24, 0),
	    24);
	run_until(bench, &bench->done, 1);
	settle(bench);
	assert_int_equal(bench->done, 1);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
	close(fd);
	close(listener);
	tear_down(bench);
}

static void
test_takes_an_answer_with_more_members(void **state)
{
	struct bench *bench = set_up();
	int listener = listen_at(bench), fd;

	(void)state;
	hand_in(bench, "{\"n\":1}");
	fd = accept_client(bench, listener);
	assert_int_equal(send(fd, "{\"ok\":true,\"repeated\":true}\n", 28, 0),
	    28);
	run_until(bench, &bench->done, 1);
	assert_int_equal(bench->refused, 0);
	close(fd);
	close(listener);
	tear_down(bench);
}

static void
expect_sent(struct bench *bench, int fd, const char *wanted, size_t length)
{
	char *sent = xmalloc(length);

	for (size_t at = 0; at < length;) {
		struct pollfd both[] = { { .fd = fd, .events = POLLIN },
		    { .fd = bench->set, .events = POLLIN } };
		ssize_t count = recv(fd, sent + at, length - at,
		    MSG_DONTWAIT);

		if (count > 0) {
			at += (size_t)count;
			continue;
		}
		assert_int_equal(count, -1);
		assert_true(poll(both, 2, PATIENCE_MS) > 0);
		events_dispatch(bench->set);
	}
	assert_memory_equal(sent, wanted, length);
	free(sent);
}

/* What came behind it is repeated, too: the order stays. */
static void
test_what_is_refused_for_now_keeps_its_place(void **state)
{
	static const char refusal[] = "{\"ok\":false,\"error\":\"full\","
	    "\"retry\":true}\n{\"ok\":true}\n";
	struct bench *bench = set_up();
	int listener = listen_at(bench), fd;

	(void)state;
	hand_in(bench, "{\"n\":1}");
	fd = accept_client(bench, listener);
	hand_in(bench, "{\"n\":2}");
	expect_sent(bench, fd, "{\"n\":2}\n", 8);
	assert_int_equal(send(fd, refusal, strlen(refusal), 0),
	    (ssize_t)strlen(refusal));
	settle(bench);
	assert_int_equal(bench->done + bench->refused, 0);
	close(fd);
	fd = accept_first(bench, listener);
	expect_sent(bench, fd, "{\"n\":1}\n{\"n\":2}\n", 16);
	close(fd);
	close(listener);
	tear_down(bench);
}

/* The server answers before it has it all, or dies; the client goes in it. */
static void
test_half_a_line_is_no_line(void **state)
{
	struct bench *bench = set_up();
	int listener = listen_at(bench), fd;
	char *line = xmalloc(4 * MIB), byte;

	(void)state;
	memset(line, 'x', 4 * MIB);
	line[4 * MIB - 1] = '\n';
	assert_true(inbox_client_send(bench->client, line, 4 * MIB - 1,
	    note_done, bench));
	hand_in(bench, "{\"n\":2}");
	fd = accept_first(bench, listener);
	settle(bench);
	assert_int_equal(send(fd, "{\"ok\":true}\n", 12, 0), 12);
	settle(bench);
	assert_int_equal(bench->done, 0);
	close(fd);

	fd = accept_first(bench, listener);
	expect_sent(bench, fd, line, MIB);
	settle(bench);
	close(fd);

	fd = accept_first(bench, listener);
	expect_sent(bench, fd, line, 4 * MIB);
	expect_sent(bench, fd, "{\"n\":2}\n", 8);
	assert_int_equal(send(fd, "{\"ok\":true}\n{\"ok\":true}\n", 24, 0),
	    24);
	run_until(bench, &bench->done, 2);
	assert_true(inbox_client_send(bench->client, line, 4 * MIB - 1,
	    note_done, bench));
	settle(bench);
	assert_int_equal(recv(fd, &byte, 1, 0), 1);
	inbox_client_free(bench->client);
	bench->client = NULL;
	free(line);
	settle(bench);
	close(fd);
	close(listener);
	tear_down(bench);
}

/* Half of it stands in the stream; without its end nobody takes it. */
static void
test_takes_half_a_line_back_when_its_connection_broke(void **state)
{
	struct bench *bench = set_up();
	int listener = listen_at(bench), fd;
	char *line = xmalloc(4 * MIB);
	struct paper paper;

	(void)state;
	memset(line, 'x', 4 * MIB);
	line[4 * MIB - 1] = '\0';
	hand_in_paper(&paper, bench, line);
	fd = accept_first(bench, listener);
	settle(bench);
	assert_false(inbox_client_withdraw(bench->client, &paper));
	close(listener);
	close(fd);
	settle(bench);
	assert_true(inbox_client_withdraw(bench->client, &paper));
	assert_int_equal(bench->done, 0);
	free(line);
	tear_down(bench);
}

static void
test_hands_in_with_an_answer_at_the_door(void **state)
{
	struct bench *bench = set_up();
	int listener = listen_at(bench), fd;

	(void)state;
	hand_in(bench, "{\"n\":1}");
	fd = accept_client(bench, listener);
	assert_int_equal(send(fd, "{\"ok\":true}\n", 12, 0), 12);
	hand_in(bench, "{\"n\":2}");
	close(fd);
	hand_in(bench, "{\"n\":3}");
	assert_int_equal(bench->done, 0);
	run_until(bench, &bench->done, 1);
	fd = accept_first(bench, listener);
	expect_sent(bench, fd, "{\"n\":2}\n{\"n\":3}\n", 16);
	close(fd);
	close(listener);
	tear_down(bench);
}

/* One line in the log and a few tries, however long it takes. */
static void
test_neither_hammers_nor_babbles(void **state)
{
	struct bench *bench = set_up();
	int listener = listen_at(bench), before = dup(STDERR_FILENO);
	int64_t end_ms = clock_steady_ms() + 400;
	FILE *said = tmpfile();
	int connections = 0, lines = 0;

	(void)state;
	assert_non_null(said);
	dup2(fileno(said), STDERR_FILENO);
	hand_in(bench, "{\"n\":1}");
	while (clock_steady_ms() < end_ms) {
		struct pollfd both[] = { { .fd = listener, .events = POLLIN },
		    { .fd = bench->set, .events = POLLIN } };

		poll(both, 2, 10);
		if (both[0].revents != 0) {
			int fd = accept(listener, NULL, NULL);

			connections++;
			send(fd, "hello\n", 6, 0);
			close(fd);
		}
		events_dispatch(bench->set);
	}
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(said);
	for (int byte; (byte = getc(said)) != EOF;)
		lines += byte == '\n';
	fclose(said);
	assert_in_range(connections, 2, 60);
	assert_int_equal(lines, 1);
	close(listener);
	tear_down(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells_when_the_record_is_durable),
		cmocka_unit_test(test_tells_what_is_refused_for_good),
		cmocka_unit_test(
		    test_hands_in_10000_lines_one_from_the_other),
		cmocka_unit_test(
	    test_hands_in_a_line_of_16_mib_and_is_refused_a_longer_one),
		cmocka_unit_test(test_says_when_too_many_wait),
		cmocka_unit_test(test_says_when_too_many_bytes_wait),
		cmocka_unit_test(test_waits_for_an_inbox_that_is_not_there),
		cmocka_unit_test(test_hands_in_again_what_had_no_answer),
		cmocka_unit_test(test_outlives_many_deaths_of_the_inbox),
		cmocka_unit_test(
		    test_hands_in_again_what_is_refused_for_now),
		cmocka_unit_test(
		    test_does_nothing_while_there_is_nothing_to_hand_in),
		cmocka_unit_test(test_free_forgets_what_waits),
		cmocka_unit_test(test_a_path_that_is_too_long_is_no_crash),
		cmocka_unit_test(test_takes_back_what_nobody_has),
		cmocka_unit_test(
		    test_gives_room_and_rest_when_all_is_taken_back),
		cmocka_unit_test(test_does_not_take_back_what_may_be_taken),
		cmocka_unit_test(test_takes_back_what_was_refused_for_now),
		cmocka_unit_test(
		    test_takes_half_a_line_back_when_its_connection_broke),
		cmocka_unit_test(test_tells_whether_the_inbox_is_up),
		cmocka_unit_test(test_takes_nothing_else_for_an_answer),
		cmocka_unit_test(test_takes_an_answer_with_more_members),
		cmocka_unit_test(test_takes_no_answer_that_was_not_asked_for),
		cmocka_unit_test(
		    test_takes_no_answer_to_what_it_has_not_sent),
		cmocka_unit_test(
		    test_what_is_refused_for_now_keeps_its_place),
		cmocka_unit_test(test_half_a_line_is_no_line),
		cmocka_unit_test(test_hands_in_with_an_answer_at_the_door),
		cmocka_unit_test(test_neither_hammers_nor_babbles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
