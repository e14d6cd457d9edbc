/*
 * The inbox over real sockets: every line has its answer, in order, and no
 * client, however slow, long or dead, costs the others anything.
 * modules: slack-reader/inbox.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "../../slack-reader/inbox.h"
#include "buffer.h"
#include "events.h"
#include "memory.h"
#include "record.h"

#define PATIENCE_MS 10000
#define TURNS_MAX 100000	/* until all is quiet; more is a busy loop */
#define TAKEN_MAX 20000
#define MIB (1024 * 1024)

/* A line that was taken and has no answer yet. */
struct taken {
	uint64_t client;
	size_t length;
	char head[32];
};

struct bench {
	char folder[32];
	char path[64];
	int set;
	struct timers *timers;
	struct inbox *inbox;
	struct taken *taken;
	size_t count;
	size_t answered;
	int64_t seq;
	bool answers_at_once;
};

/* --- time that the test moves ----------------------------------------------*/

static time_t moved_s;

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int status = (int)syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_MONOTONIC)
		now->tv_sec += moved_s;
	return status;
}

static void
do_nothing(void *arg)
{
	(void)arg;
}

/* --- the bench -------------------------------------------------------------*/

static void
answer(struct bench *bench)
{
	assert_true(bench->answered < bench->count);
	inbox_accept(bench->inbox, bench->taken[bench->answered++].client,
	    ++bench->seq);
}

static void
take(const struct inbox_line *line, void *arg)
{
	struct bench *bench = arg;
	struct taken *taken = &bench->taken[bench->count];
	size_t kept = line->length < sizeof taken->head - 1 ? line->length
	    : sizeof taken->head - 1;

	assert_true(bench->count < TAKEN_MAX);
	taken->client = line->client;
	taken->length = line->length;
	memcpy(taken->head, line->text, kept);
	taken->head[kept] = '\0';
	bench->count++;
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

/* A folder and an event set, no inbox yet. */
static struct bench *
set_up(void)
{
	struct bench *bench = xcalloc(1, sizeof *bench);

	strcpy(bench->folder, "/tmp/test_inbox.XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	snprintf(bench->path, sizeof bench->path, "%s/sock", bench->folder);
	bench->set = events_open();
	bench->timers = timers_new(bench->set);
	bench->taken = xcalloc(TAKEN_MAX, sizeof *bench->taken);
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
	inbox_free(bench->inbox);
	timers_free(bench->timers);
	close(bench->set);
	unlink(bench->path);
	assert_int_equal(rmdir(bench->folder), 0);
	free(bench->taken);
	free(bench);
	moved_s = 0;
}

/* Let the inbox do all there is to do. */
static void
settle(struct bench *bench)
{
	struct pollfd wait = { .fd = bench->set, .events = POLLIN };
	int turns = 0;

	while (poll(&wait, 1, 0) > 0) {
		events_dispatch(bench->set);
		if (++turns > TURNS_MAX)
			fail_msg("the inbox spins");
	}
}

/* Seconds go by: what is due then is called. */
static void
move_clock(struct bench *bench, time_t seconds)
{
	struct timer now = { .due = do_nothing };
	struct pollfd wait = { .fd = bench->set, .events = POLLIN };

	timers_set(bench->timers, &now, 0);	/* the first of all */
	moved_s += seconds;
	while (now.is_set) {
		assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
		events_dispatch(bench->set);
	}
	settle(bench);
}

static struct sockaddr_un
address_of(const struct bench *bench)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, bench->path);
	return address;
}

static int
dial(struct bench *bench)
{
	struct sockaddr_un address = address_of(bench);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address,
	    sizeof address), 0);
	settle(bench);
	return fd;
}

/* Returns how many bytes the inbox let in. */
static size_t
push(struct bench *bench, int fd, const char *bytes, size_t length)
{
	size_t sent = 0;

	while (sent < length) {
		ssize_t count = send(fd, bytes + sent, length - sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		struct pollfd room = { .fd = fd, .events = POLLOUT };

		if (count > 0) {
			sent += (size_t)count;
			continue;
		}
		assert_int_equal(errno, EAGAIN);
		settle(bench);
		if (poll(&room, 1, 0) != 1)
			break;
	}
	settle(bench);
	return sent;
}

static void
say(struct bench *bench, int fd, const char *text)
{
	assert_int_equal(push(bench, fd, text, strlen(text)), strlen(text));
}

/* An object of `length` bytes, LF not counted; the caller frees it. */
static char *
make_line(size_t length)
{
	char *line = xmalloc(length + 1);

	memset(line, 'x', length);
	memcpy(line, "{\"a\":\"", 6);
	memcpy(line + length - 2, "\"}\n", 3);
	return line;
}

static void
say_long(struct bench *bench, int fd, size_t length)
{
	char *line = make_line(length);

	assert_int_equal(push(bench, fd, line, length + 1), length + 1);
	free(line);
}

/* The next answer that is there, without its LF; "" where there is none. */
static const char *
hear(struct bench *bench, int fd)
{
	static char line[512];
	ssize_t there;
	char *end;

	settle(bench);
	there = recv(fd, line, sizeof line - 1, MSG_DONTWAIT | MSG_PEEK);
	end = there > 0 ? memchr(line, '\n', (size_t)there) : NULL;
	if (end == NULL)
		return "";
	assert_int_equal(recv(fd, line, (size_t)(end + 1 - line), 0),
	    end + 1 - line);
	*end = '\0';
	settle(bench);
	return line;
}

static bool
is_closed(struct bench *bench, int fd)
{
	ssize_t count;
	char byte;

	settle(bench);
	count = recv(fd, &byte, 1, MSG_DONTWAIT);
	return count == 0 || (count == -1 && errno == ECONNRESET);
}

static void
expect_accept(struct bench *bench, int fd, int seq)
{
	char wanted[64];

	snprintf(wanted, sizeof wanted, "{\"ok\":true,\"seq\":%d}", seq);
	assert_string_equal(hear(bench, fd), wanted);
}

static void
expect_refusal(struct bench *bench, int fd, const char *reason)
{
	char wanted[256];

	snprintf(wanted, sizeof wanted, "{\"ok\":false,\"error\":\"%s\"}",
	    reason);
	assert_string_equal(hear(bench, fd), wanted);
}

static void
expect_silence(struct bench *bench, int fd)
{
	char byte;

	settle(bench);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

/* --- the socket ------------------------------------------------------------*/

static void
test_socket_is_for_its_owner_alone(void **state)
{
	struct bench *bench = set_up();
	mode_t before = umask(0);
	struct stat status;

	(void)state;
	open_inbox(bench);
	assert_int_equal(umask(before), 0);
	assert_int_equal(stat(bench->path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 07777, 0600);
	inbox_free(bench->inbox);
	bench->inbox = NULL;
	assert_int_equal(access(bench->path, F_OK), -1);
	tear_down(bench);
}

static int
leave_socket(const struct bench *bench, int type)
{
	struct sockaddr_un address = address_of(bench);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof address), 0);
	return fd;
}

static void
test_replaces_a_dead_process_socket(void **state)
{
	struct bench *bench = set_up();
	int fd, dead = leave_socket(bench, SOCK_STREAM);

	(void)state;
	listen(dead, 1);
	close(dead);
	open_inbox(bench);
	fd = dial(bench);
	say(bench, fd, "{}\n");
	answer(bench);
	expect_accept(bench, fd, 1);
	close(fd);
	tear_down(bench);
}

/* The child's memory is its parent's: no search for leaks there. */
static void
end_at_once(int status, void *arg)
{
	(void)arg;
	_exit(status);
}

/* The exit status of a process that opens the inbox, and what it says. */
static int
try_to_open(struct bench *bench, char *said, size_t size)
{
	int ends[2], status;
	size_t length = 0;
	ssize_t count;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		on_exit(end_at_once, NULL);
		dup2(ends[1], STDERR_FILENO);
		open_inbox(bench);
		_exit(EX_OK);
	}
	close(ends[1]);
	while ((count = read(ends[0], said + length, size - 1 - length)) > 0)
		length += (size_t)count;
	said[length] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_leaves_a_live_socket_alone(void **state)
{
	struct bench *bench = set_up_inbox();
	char said[512];
	int fd;

	(void)state;
	assert_int_equal(try_to_open(bench, said, sizeof said), EX_TEMPFAIL);
	assert_non_null(strstr(said, bench->path));
	assert_non_null(strstr(said, "another process listens"));
	fd = dial(bench);
	say(bench, fd, "{}\n");
	answer(bench);
	expect_accept(bench, fd, 1);
	close(fd);
	tear_down(bench);
}

/* One that is too busy to let anybody in is alive as well. */
static void
test_leaves_a_live_socket_with_a_full_backlog_alone(void **state)
{
	struct bench *bench = set_up();
	struct sockaddr_un address = address_of(bench);
	int busy = leave_socket(bench, SOCK_STREAM), callers[8];
	char said[512];

	(void)state;
	listen(busy, 0);
	for (int i = 0; i < 8; i++) {
		callers[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(callers[i], (struct sockaddr *)&address,
		    sizeof address);
	}
	assert_int_equal(try_to_open(bench, said, sizeof said), EX_TEMPFAIL);
	assert_int_equal(access(bench->path, F_OK), 0);
	for (int i = 0; i < 8; i++)
		close(callers[i]);
	close(busy);
	tear_down(bench);
}

static void
test_leaves_what_is_no_inbox_alone(void **state)
{
	struct bench *bench = set_up();
	char said[512];
	int fd = open(bench->path, O_CREAT | O_WRONLY, 0600);

	(void)state;
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_int_equal(try_to_open(bench, said, sizeof said), EX_CONFIG);
	assert_non_null(strstr(said, bench->path));
	assert_int_equal(access(bench->path, F_OK), 0);
	unlink(bench->path);

	assert_int_equal(symlink("elsewhere", bench->path), 0);
	assert_int_equal(try_to_open(bench, said, sizeof said), EX_CONFIG);
	unlink(bench->path);

	fd = leave_socket(bench, SOCK_DGRAM);
	assert_int_equal(try_to_open(bench, said, sizeof said), EX_CONFIG);
	assert_int_equal(access(bench->path, F_OK), 0);
	close(fd);
	tear_down(bench);
}

static void
test_refuses_a_path_that_cannot_be(void **state)
{
	struct bench *bench = set_up();
	char path[64], said[512];

	(void)state;
	strcpy(path, bench->path);
	bench->path[0] = '\0';
	assert_int_equal(try_to_open(bench, said, sizeof said), EX_CONFIG);
	assert_non_null(strstr(said, "empty"));
	strcpy(bench->path, "/nowhere/sock");
	assert_int_equal(try_to_open(bench, said, sizeof said), EX_CONFIG);
	assert_non_null(strstr(said, "/nowhere/sock"));
	strcpy(bench->path, path);
	tear_down(bench);
}

static void
test_refuses_a_path_that_is_too_long(void **state)
{
	struct bench *bench = set_up();
	char path[256];
	int status;
	pid_t child;

	(void)state;
	memset(path, 'x', sizeof path);
	path[0] = '/';
	path[108] = '\0';
	child = fork();
	if (child == 0) {
		on_exit(end_at_once, NULL);
		close(STDERR_FILENO);
		inbox_open(&(struct inbox_settings){ .path = path,
		    .set = bench->set, .timers = bench->timers });
		_exit(EX_OK);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_CONFIG);
	tear_down(bench);
}

/* --- answers ---------------------------------------------------------------*/

static void
test_answers_each_client_in_order(void **state)
{
	struct bench *bench = set_up_inbox();
	int one = dial(bench), two = dial(bench);

	(void)state;
	say(bench, one, "{\"n\":1}\n{\"n\":2}\n");
	say(bench, two, " {\"n\":3} \n");
	assert_int_equal(bench->count, 3);
	assert_string_equal(bench->taken[1].head, "{\"n\":2}");
	assert_true(bench->taken[0].client != bench->taken[2].client);
	expect_silence(bench, one);
	inbox_accept(bench->inbox, bench->taken[2].client, 7);
	expect_accept(bench, two, 7);
	expect_silence(bench, one);
	inbox_accept(bench->inbox, bench->taken[0].client, 8);
	expect_accept(bench, one, 8);
	inbox_accept(bench->inbox, bench->taken[1].client, 9);
	expect_accept(bench, one, 9);
	close(one);
	close(two);
	tear_down(bench);
}

static void
test_refuses_bad_lines_between_good_ones(void **state)
{
	struct bench *bench = set_up_inbox();
	int fd = dial(bench), other = dial(bench);

	(void)state;
	say(bench, fd, "{\"n\":1}\n\n[]\n{\"a\" 1}\n{\"n\":2}\n\"t\xff\"\n"
	    "{\"a\":\"\xff\"}\n   \n{} {}\n{\"n\":3}\n");
	assert_int_equal(bench->count, 3);
	expect_silence(bench, fd);
	answer(bench);
	expect_accept(bench, fd, 1);
	expect_refusal(bench, fd, "not a JSON object: the line is empty");
	expect_refusal(bench, fd,
	    "not a JSON object: expected a brace at byte 1");
	expect_refusal(bench, fd,
	    "not a JSON object: expected a colon at byte 6");
	expect_silence(bench, fd);
	say(bench, other, "{}\n");
	answer(bench);
	expect_accept(bench, fd, 2);
	expect_refusal(bench, fd,
	    "not a JSON object: expected a brace at byte 1");
	expect_refusal(bench, fd,
	    "not a JSON object: invalid UTF-8 at byte 7");
	expect_refusal(bench, fd, "not a JSON object: empty line at byte 4");
	expect_refusal(bench, fd,
	    "not a JSON object: more behind the object at byte 4");
	answer(bench);
	expect_accept(bench, fd, 3);
	answer(bench);
	expect_accept(bench, other, 4);
	close(fd);
	close(other);
	tear_down(bench);
}

static void
test_a_refusal_by_the_door_says_that_it_may_pass(void **state)
{
	struct bench *bench = set_up_inbox();
	int fd = dial(bench);

	(void)state;
	say(bench, fd, "{}\n{}\n");
	inbox_refuse(bench->inbox, bench->taken[0].client, "disk \"full\"");
	assert_string_equal(hear(bench, fd), "{\"ok\":false,"
	    "\"error\":\"disk \\\"full\\\"\",\"retry\":true}");
	say(bench, fd, "{}\n");	/* behind it nothing more is read */
	assert_int_equal(bench->count, 2);
	inbox_accept(bench->inbox, bench->taken[1].client, 5);
	expect_accept(bench, fd, 5);
	assert_true(is_closed(bench, fd));
	close(fd);
	tear_down(bench);
}

static void
test_takes_lines_of_16_mib_and_none_longer(void **state)
{
	struct bench *bench = set_up_inbox();
	int fd = dial(bench);

	(void)state;
	bench->answers_at_once = true;
	say_long(bench, fd, INBOX_LINE_MAX);
	expect_accept(bench, fd, 1);
	assert_int_equal(bench->taken[0].length, INBOX_LINE_MAX);
	say_long(bench, fd, INBOX_LINE_MAX + 1);
	expect_refusal(bench, fd, "the line is longer than 16 MiB"
	    " less 8 KiB");
	say_long(bench, fd, 2 * RECORD_BYTES_MAX);
	expect_refusal(bench, fd, "the line is longer than 16 MiB"
	    " less 8 KiB");
	say(bench, fd, "{}\n");
	expect_accept(bench, fd, 2);
	assert_int_equal(bench->count, 2);
	close(fd);
	tear_down(bench);
}

static void
test_answers_10000_lines_in_a_row(void **state)
{
	struct bench *bench = set_up_inbox();
	struct buffer lines = { 0 };
	size_t sent = 0;
	int fd = dial(bench), heard = 0;

	(void)state;
	bench->answers_at_once = true;
	for (int i = 0; i < 10000; i++)
		buffer_printf(&lines, i % 100 == 99 ? "[%d]\n"
		    : "{\"n\":%d}\n", i);
	while (heard < 10000) {
		sent += push(bench, fd, lines.data + sent,
		    lines.length - sent);
		if (heard % 100 == 99)
			expect_refusal(bench, fd, "not a JSON object:"
			    " expected a brace at byte 1");
		else
			expect_accept(bench, fd, heard + 1 - heard / 100);
		heard++;
	}
	expect_silence(bench, fd);
	assert_int_equal(bench->count, 9900);
	for (size_t i = 0; i < bench->count; i++) {
		char wanted[32];

		snprintf(wanted, sizeof wanted, "{\"n\":%zu}", i + i / 99);
		assert_string_equal(bench->taken[i].head, wanted);
	}
	buffer_free(&lines);
	close(fd);
	tear_down(bench);
}

/* --- clients that leave ----------------------------------------------------*/

static void
test_half_closed_client_gets_its_answers(void **state)
{
	struct bench *bench = set_up_inbox();
	int fd = dial(bench);

	(void)state;
	say(bench, fd, "{}\n[]\n{}\n");
	shutdown(fd, SHUT_WR);
	settle(bench);
	answer(bench);
	expect_accept(bench, fd, 1);
	expect_refusal(bench, fd,
	    "not a JSON object: expected a brace at byte 1");
	expect_silence(bench, fd);
	answer(bench);
	expect_accept(bench, fd, 2);
	assert_true(is_closed(bench, fd));
	close(fd);
	tear_down(bench);
}

/* More than wait at a time were sent before the end. */
static void
test_half_closed_client_has_all_its_lines_taken(void **state)
{
	struct bench *bench = set_up_inbox();
	struct buffer lines = { 0 };
	int fd = dial(bench), total = 3 * INBOX_WAITING_MAX;

	(void)state;
	for (int i = 0; i < total; i++)
		buffer_append(&lines, "{}\n", 3);
	assert_int_equal(send(fd, lines.data, lines.length, 0), lines.length);
	buffer_free(&lines);
	shutdown(fd, SHUT_WR);
	settle(bench);
	assert_int_equal(bench->count, INBOX_WAITING_MAX);
	for (int i = 1; i <= total; i++) {
		answer(bench);
		expect_accept(bench, fd, i);
	}
	assert_true(is_closed(bench, fd));
	close(fd);
	tear_down(bench);
}

static void
test_unfinished_last_line_is_not_taken(void **state)
{
	struct bench *bench = set_up_inbox();
	int fd = dial(bench);

	(void)state;
	say(bench, fd, "{}\n{\"whole\":\"but without LF\"}");
	shutdown(fd, SHUT_WR);
	settle(bench);
	assert_int_equal(bench->count, 1);
	answer(bench);
	expect_accept(bench, fd, 1);
	assert_true(is_closed(bench, fd));
	assert_int_equal(bench->count, 1);
	close(fd);
	tear_down(bench);
}

/* Whoever comes next must not get what was meant for the one before. */
static void
test_answers_to_a_client_that_left_go_nowhere(void **state)
{
	struct bench *bench = set_up_inbox();
	int gone = dial(bench), next, last;

	(void)state;
	say(bench, gone, "{}\n{}\n{}\n");
	close(gone);
	settle(bench);
	next = dial(bench);
	say(bench, next, "{}\n");
	assert_true(bench->taken[3].client != bench->taken[0].client);
	for (int i = 0; i < 3; i++) {
		answer(bench);
		settle(bench);
	}
	expect_silence(bench, next);
	inbox_refuse(bench->inbox, bench->taken[0].client, "late");
	inbox_accept(bench->inbox, 12345, 1);
	inbox_accept(NULL, 1, 1);
	inbox_refuse(NULL, 1, "no inbox any more");
	expect_silence(bench, next);
	answer(bench);
	expect_accept(bench, next, 4);
	last = dial(bench);
	say(bench, last, "{}\n");
	assert_true(bench->taken[4].client != bench->taken[3].client);
	assert_true(bench->taken[4].client != bench->taken[0].client);
	close(last);
	close(next);
	tear_down(bench);
}

static void
test_clients_that_leave_at_every_stage_harm_nobody(void **state)
{
	static const char *const stages[] = { "", "{\"a\"", "{}\n", "[]\n",
	    "{}\n{\"b", "{}\n[]\n{}\n", "\n\n\n" };
	struct bench *bench = set_up_inbox();
	int other = dial(bench);

	(void)state;
	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
		int fd = dial(bench);

		say(bench, fd, stages[i]);
		if (i % 2)
			shutdown(fd, SHUT_RD);
		close(fd);
		settle(bench);
		while (bench->answered < bench->count)
			answer(bench);
		say(bench, other, "{}\n");
		answer(bench);
		expect_accept(bench, other, (int)bench->seq);
	}
	/* None of them holds a place any more. */
	for (int i = 1; i < INBOX_CLIENTS_MAX; i++)
		dial(bench);
	close(other);
	tear_down(bench);
}

static void
test_client_killed_within_a_line_harms_nobody(void **state)
{
	struct bench *bench = set_up_inbox();
	int fd = dial(bench), ready[2];
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct sockaddr_un address = address_of(bench);
		int own = socket(AF_UNIX, SOCK_STREAM, 0);

		if (connect(own, (struct sockaddr *)&address,
		    sizeof address) == 0 && send(own, "{}\n{\"a\":", 8, 0) == 8
		    && write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	settle(bench);
	assert_int_equal(bench->count, 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	settle(bench);
	say(bench, fd, "{}\n");
	answer(bench);
	answer(bench);
	expect_accept(bench, fd, 2);
	assert_int_equal(bench->count, 2);
	close(ready[0]);
	close(fd);
	tear_down(bench);
}

/* --- bounds ----------------------------------------------------------------*/

static void
test_takes_no_more_than_may_wait(void **state)
{
	struct bench *bench = set_up_inbox();
	int fd = dial(bench), other = dial(bench);

	(void)state;
	for (int i = 0; i < INBOX_WAITING_MAX + 10; i++)
		say(bench, fd, "{}\n");
	assert_int_equal(bench->count, INBOX_WAITING_MAX);
	say(bench, other, "{\"o\":1}\n");
	assert_int_equal(bench->count, INBOX_WAITING_MAX + 1);
	answer(bench);
	settle(bench);
	assert_int_equal(bench->count, INBOX_WAITING_MAX + 2);
	close(fd);
	close(other);
	tear_down(bench);
}

/* Nothing is read from who reads nothing, and then all is there after all. */
static void
test_slow_reader_is_bounded_and_loses_nothing(void **state)
{
	struct bench *bench = set_up_inbox();
	struct buffer lines = { 0 };
	int fd = dial(bench), other = dial(bench), heard = 0;
	size_t sent;

	(void)state;
	for (int i = 0; i < 400000; i++)
		buffer_append(&lines, "[]\n", 3);
	sent = push(bench, fd, lines.data, lines.length);
	assert_true(sent < lines.length);
	bench->answers_at_once = true;
	say(bench, other, "{}\n");
	expect_accept(bench, other, 1);
	while (*hear(bench, fd) != '\0')
		heard++;
	assert_int_equal(heard, (int)(sent / 3));
	buffer_free(&lines);
	close(fd);
	close(other);
	tear_down(bench);
}

static void
test_reads_on_when_there_is_room_again(void **state)
{
	struct bench *bench = set_up_inbox();
	int full = dial(bench), other = dial(bench);
	size_t count;

	(void)state;
	for (int i = 0; i < INBOX_BYTES_MAX / MIB; i++)
		say_long(bench, full, MIB);
	count = bench->count;
	assert_int_equal(count, INBOX_BYTES_MAX / MIB);
	assert_int_equal(send(other, "{}\n", 3, 0), 3);
	settle(bench);
	assert_int_equal(bench->count, count);
	answer(bench);
	settle(bench);
	assert_int_equal(bench->count, count + 1);
	close(full);
	close(other);
	tear_down(bench);
}

/* The same where the room comes from one that leaves. */
static void
test_reads_on_when_one_that_left_is_dropped(void **state)
{
	struct bench *bench = set_up_inbox();
	int full = dial(bench), other = dial(bench);
	size_t count;

	(void)state;
	for (int i = 0; i < INBOX_BYTES_MAX / MIB; i++)
		say_long(bench, full, MIB);
	count = bench->count;
	assert_int_equal(send(other, "{}\n", 3, 0), 3);
	close(full);
	settle(bench);
	answer(bench);
	settle(bench);
	assert_int_equal(bench->count, count + 1);
	close(other);
	tear_down(bench);
}

/* One long line at a time: the second one waits for the end of the first. */
static void
test_half_lines_do_not_fill_memory(void **state)
{
	struct bench *bench = set_up_inbox();
	char *line = make_line(8 * MIB);
	int one = dial(bench), two = dial(bench), three = dial(bench);
	size_t half = 4 * MIB, of_two, of_three;

	(void)state;
	bench->answers_at_once = true;
	assert_int_equal(push(bench, one, line, half), half);
	of_two = push(bench, two, line, 8 * MIB + 1);
	assert_true(of_two < MIB);
	of_three = push(bench, three, line, 8 * MIB + 1);
	assert_true(of_three < MIB);

	assert_int_equal(push(bench, one, line + half, 4 * MIB + 1),
	    4 * MIB + 1);
	expect_accept(bench, one, 1);
	while (bench->count < 3) {
		size_t before = of_two + of_three;

		of_two += push(bench, two, line + of_two,
		    8 * MIB + 1 - of_two);
		of_three += push(bench, three, line + of_three,
		    8 * MIB + 1 - of_three);
		assert_true(of_two + of_three > before);
	}
	assert_int_equal(bench->taken[1].length, 8 * MIB);
	assert_int_equal(bench->taken[2].length, 8 * MIB);
	free(line);
	close(one);
	close(two);
	close(three);
	tear_down(bench);
}

/* Nor do those that are over the limit already. */
static void
test_half_lines_over_the_limit_do_not_fill_memory(void **state)
{
	struct bench *bench = set_up_inbox();
	size_t length = RECORD_BYTES_MAX + MIB;
	char *line = make_line(length);
	int one = dial(bench), two = dial(bench);
	size_t sent;

	(void)state;
	assert_int_equal(push(bench, one, line, length), length);
	sent = push(bench, two, line, length);
	assert_true(sent < MIB);
	say(bench, one, "\n");
	expect_refusal(bench, one, "the line is longer than 16 MiB"
	    " less 8 KiB");
	assert_int_equal(push(bench, two, line + sent, length - sent),
	    length - sent);
	free(line);
	close(one);
	close(two);
	tear_down(bench);
}

static void
test_half_a_line_does_not_hold_up_short_ones(void **state)
{
	struct bench *bench = set_up_inbox();
	char *line = make_line(4 * MIB);
	int half = dial(bench), other = dial(bench);

	(void)state;
	bench->answers_at_once = true;
	assert_int_equal(push(bench, half, line, 2 * MIB), 2 * MIB);
	for (int i = 1; i <= 100; i++) {
		say(bench, other, "{}\n");
		expect_accept(bench, other, i);
	}
	free(line);
	close(half);
	close(other);
	tear_down(bench);
}

static void
test_long_line_of_one_that_left_makes_place(void **state)
{
	struct bench *bench = set_up_inbox();
	char *line = make_line(4 * MIB);
	int one = dial(bench), two = dial(bench);
	size_t sent;

	(void)state;
	push(bench, one, line, 2 * MIB);
	sent = push(bench, two, line, 4 * MIB + 1);
	assert_true(sent < MIB);
	close(one);
	settle(bench);
	push(bench, two, line + sent, 4 * MIB + 1 - sent);
	assert_int_equal(bench->count, 1);
	free(line);
	close(two);
	tear_down(bench);
}

static void
test_who_stalls_within_a_long_line_is_closed(void **state)
{
	struct bench *bench = set_up_inbox();
	char *line = make_line(4 * MIB);
	int stalled = dial(bench), other = dial(bench), brief = dial(bench);
	size_t sent;

	(void)state;
	push(bench, stalled, line, 2 * MIB);
	push(bench, brief, "{\"short\":", 9);
	sent = push(bench, other, line, 4 * MIB + 1);
	move_clock(bench, 20);
	assert_int_equal(push(bench, stalled, line, 1), 1);
	move_clock(bench, 20);
	expect_silence(bench, stalled);
	move_clock(bench, 40);
	assert_true(is_closed(bench, stalled));
	push(bench, other, line + sent, 4 * MIB + 1 - sent);
	assert_int_equal(bench->count, 1);
	expect_silence(bench, brief);
	say(bench, brief, "1}\n");
	assert_int_equal(bench->count, 2);
	free(line);
	close(stalled);
	close(other);
	close(brief);
	tear_down(bench);
}

static void
test_clients_over_the_limit_wait_for_a_place(void **state)
{
	struct bench *bench = set_up_inbox();
	int clients[INBOX_CLIENTS_MAX], late;

	(void)state;
	for (int i = 0; i < INBOX_CLIENTS_MAX; i++)
		clients[i] = dial(bench);
	late = dial(bench);
	say(bench, late, "{\"late\":1}\n");
	assert_int_equal(bench->count, 0);
	say(bench, clients[15], "{}\n");
	assert_int_equal(bench->count, 1);
	close(clients[3]);
	settle(bench);
	assert_int_equal(bench->count, 2);
	assert_string_equal(bench->taken[1].head, "{\"late\":1}");
	for (int i = 0; i < INBOX_CLIENTS_MAX; i++)
		if (i != 3)
			close(clients[i]);
	close(late);
	tear_down(bench);
}

/* Take all descriptors there are; returns how many, in fds. */
static size_t
take_descriptors(int *fds, size_t most)
{
	size_t count = 0;

	while (count < most && (fds[count] = dup(STDOUT_FILENO)) != -1)
		count++;
	assert_int_equal(errno, EMFILE);
	return count;
}

static void
test_does_not_spin_for_lack_of_descriptors(void **state)
{
	struct bench *bench = set_up_inbox();
	struct sockaddr_un address = address_of(bench);
	struct rlimit before, low;
	int waiting, served = dial(bench), fds[64];
	size_t count;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	low = before;
	low.rlim_cur = 64;
	setrlimit(RLIMIT_NOFILE, &low);
	waiting = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	count = take_descriptors(fds, 64);
	assert_int_equal(connect(waiting, (struct sockaddr *)&address,
	    sizeof address), 0);
	settle(bench);		/* fails where it spins */
	move_clock(bench, 2);	/* tries again, in vain */
	say(bench, waiting, "{\"w\":1}\n");
	say(bench, served, "{\"s\":1}\n");
	assert_int_equal(bench->count, 1);
	while (count > 0)
		close(fds[--count]);
	assert_int_equal(bench->count, 1);
	move_clock(bench, 2);
	assert_int_equal(bench->count, 2);
	setrlimit(RLIMIT_NOFILE, &before);
	close(waiting);
	close(served);
	tear_down(bench);
}

/* When it is tried again all places may be taken. */
static void
test_the_next_try_keeps_to_the_limit(void **state)
{
	struct bench *bench = set_up_inbox();
	struct rlimit before, low;
	struct sockaddr_un address = address_of(bench);
	int clients[INBOX_CLIENTS_MAX], late, fds[64];
	size_t count;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	low = before;
	low.rlim_cur = 64;
	setrlimit(RLIMIT_NOFILE, &low);
	clients[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	count = take_descriptors(fds, 64);
	assert_int_equal(connect(clients[0], (struct sockaddr *)&address,
	    sizeof address), 0);
	settle(bench);
	while (count > 0)
		close(fds[--count]);
	setrlimit(RLIMIT_NOFILE, &before);
	for (int i = 1; i < INBOX_CLIENTS_MAX; i++)
		clients[i] = dial(bench);
	late = dial(bench);
	say(bench, late, "{}\n");
	move_clock(bench, 2);
	assert_int_equal(bench->count, 0);
	for (int i = 0; i < INBOX_CLIENTS_MAX; i++)
		close(clients[i]);
	settle(bench);
	assert_int_equal(bench->count, 1);
	close(late);
	tear_down(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socket_is_for_its_owner_alone),
		cmocka_unit_test(test_replaces_a_dead_process_socket),
		cmocka_unit_test(test_leaves_a_live_socket_alone),
		cmocka_unit_test(
		    test_leaves_a_live_socket_with_a_full_backlog_alone),
		cmocka_unit_test(test_leaves_what_is_no_inbox_alone),
		cmocka_unit_test(test_refuses_a_path_that_cannot_be),
		cmocka_unit_test(test_refuses_a_path_that_is_too_long),
		cmocka_unit_test(test_answers_each_client_in_order),
		cmocka_unit_test(test_refuses_bad_lines_between_good_ones),
		cmocka_unit_test(
		    test_a_refusal_by_the_door_says_that_it_may_pass),
		cmocka_unit_test(test_takes_lines_of_16_mib_and_none_longer),
		cmocka_unit_test(test_answers_10000_lines_in_a_row),
		cmocka_unit_test(test_half_closed_client_gets_its_answers),
		cmocka_unit_test(
		    test_half_closed_client_has_all_its_lines_taken),
		cmocka_unit_test(test_unfinished_last_line_is_not_taken),
		cmocka_unit_test(
		    test_answers_to_a_client_that_left_go_nowhere),
		cmocka_unit_test(
		    test_clients_that_leave_at_every_stage_harm_nobody),
		cmocka_unit_test(
		    test_client_killed_within_a_line_harms_nobody),
		cmocka_unit_test(test_takes_no_more_than_may_wait),
		cmocka_unit_test(
		    test_slow_reader_is_bounded_and_loses_nothing),
		cmocka_unit_test(test_reads_on_when_there_is_room_again),
		cmocka_unit_test(
		    test_reads_on_when_one_that_left_is_dropped),
		cmocka_unit_test(test_half_lines_do_not_fill_memory),
		cmocka_unit_test(
		    test_half_lines_over_the_limit_do_not_fill_memory),
		cmocka_unit_test(
		    test_half_a_line_does_not_hold_up_short_ones),
		cmocka_unit_test(
		    test_long_line_of_one_that_left_makes_place),
		cmocka_unit_test(
		    test_who_stalls_within_a_long_line_is_closed),
		cmocka_unit_test(
		    test_clients_over_the_limit_wait_for_a_place),
		cmocka_unit_test(
		    test_does_not_spin_for_lack_of_descriptors),
		cmocka_unit_test(test_the_next_try_keeps_to_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
