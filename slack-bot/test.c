/* test: how often a term would have matched, by `scanner --test` and the
 * journal of the last 24 hours. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "commands.h"
#include "job.h"
#include "line_reader.h"
#include "memory.h"
#include "record.h"
#include "term.h"
#include "wish.h"
#include "words.h"

#define DAY_S 86400
#define PATIENCE_MS 60000
#define EXAMPLES 3
#define REPORT_BYTES_MAX 65536

extern char **environ;

void
test_answer(struct request *request)
{
	struct buffer complaint = { 0 }, words = { 0 };
	struct wish wish = { 0 };

	if (wish_read(&wish, request->rest, &complaint) &&
	    request->settings->journal == NULL)
		buffer_append_string(&complaint, "there is no journal to look"
		    " into");
	if (complaint.length == 0 && wish_is_bearable(&wish, &complaint)) {
		buffer_printf(&words, "test %" PRId64 " %d %s %s",
		    request->time_s, (int)wish.where, wish.in.length > 0
		    ? buffer_string(&wish.in) : "-", buffer_string(&wish.term));
		request_defer(request, buffer_string(&words));
	} else {
		request_refuse(request, "test", buffer_string(&wish.term),
		    buffer_string(&complaint));
	}
	buffer_free(&words);
	buffer_free(&complaint);
	wish_free(&wish);
}

/* --- what is looked through -------------------------------------------------*/

/* A test that runs. */
struct test {
	const struct bot_settings *settings;
	int64_t time_s;
	enum subscription_where where;
	char in[256];		/* "-": any */
	const char *term;
	int input;		/* of scanner */
	int output;
	int64_t end_ms;
	uint64_t records;
	bool is_cut;		/* not all was looked through */
	struct record *record;
};

static bool
is_string(struct record *record, const char *name, const char *value)
{
	const char *string = record_string(record, name);

	return string != NULL && strcmp(string, value) == 0;
}

static bool
is_in_channel(const struct test *test, struct record *record)
{
	const char *channel = record_string(record, RECORD_CHANNEL);
	const char *name = json_string(record_object(record, RECORD_NAMES),
	    "channel");

	if (strcmp(test->in, "-") == 0)
		return true;
	if (channel != NULL && *channel == '#')
		channel++;
	return (channel != NULL && strcmp(channel, test->in) == 0) ||
	    (name != NULL && strcmp(name, test->in) == 0);
}

static bool
is_of_the_day(const struct test *test, struct record *record)
{
	const char *received = record_string(record, RECORD_RECEIVED);
	int64_t us;

	return received != NULL && clock_parse(received, &us) == 0 &&
	    us / 1000000 >= test->time_s - DAY_S &&
	    us / 1000000 <= test->time_s;
}

/* What a forward would be made of. */
static bool
is_wanted(const struct test *test, struct record *record)
{
	return (is_string(record, RECORD_TYPE, "message") ||
	    is_string(record, RECORD_TYPE, "api_message")) &&
	    record_get(record, RECORD_OWN) == NULL &&
	    record_get(record, RECORD_ADDRESSED) == NULL &&
	    is_of_the_day(test, record) && is_in_channel(test, record);
}

/* Returns false where scanner takes no more. */
static bool
feed(struct test *test, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = write(test->input, bytes, length);

		if (count == -1 && errno != EINTR)
			return false;
		if (count > 0) {
			bytes += count;
			length -= (size_t)count;
		}
	}
	return true;
}

static bool
feed_line(struct test *test, const struct line *line)
{
	if (line->length != line->total ||
	    record_parse(test->record, line->text, line->length) == -1 ||
	    !is_wanted(test, test->record))
		return true;
	test->records++;
	test->is_cut = clock_steady_ms() > test->end_ms;
	return !test->is_cut && feed(test, line->text, line->length) &&
	    feed(test, "\n", 1);
}

static void
feed_file(struct test *test, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct line_reader *reader;
	struct line line;
	bool goes_on = true;

	if (fd == -1)
		return;
	reader = line_reader_new(fd, RECORD_BYTES_MAX);
	while (goes_on && line_reader_fill(reader) > 0)
		while (goes_on && line_reader_next(reader, &line))
			goes_on = feed_line(test, &line);
	line_reader_free(reader);
	close(fd);
}

/* The files of the journal are days of UTC. */
static void
feed_days(struct test *test)
{
	test->record = record_new("slack-bot", (const char *const[]){ NULL });
	for (int64_t day = 1; day >= 0; day--) {
		struct buffer path = { 0 };
		char text[CLOCK_TEXT_BYTES];

		clock_format((test->time_s - day * DAY_S) * 1000000, text);
		buffer_printf(&path, "%s/%.10s.ndjson", test->settings->journal,
		    text);
		feed_file(test, buffer_string(&path));
		buffer_free(&path);
	}
	record_free(test->record);
}

/* --- scanner ----------------------------------------------------------------*/

/* Returns the process, or -1 with errno set. */
static pid_t
spawn(struct test *test, const char *expression, int input, int output)
{
	static const char *const places[] = { "any", "text,attachment,payload",
	    "files" };
	const char *spool = test->settings->spool;
	const char *const words[] = { test->settings->scanner, "--test",
	    expression, "--where", places[test->where],
	    spool != NULL ? "--spool" : NULL, spool, NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	errno = posix_spawn(&pid, test->settings->scanner, &actions, NULL,
	    (char *const *)(uintptr_t)words, environ);
	posix_spawn_file_actions_destroy(&actions);
	return errno == 0 ? pid : -1;
}

static pid_t
start(struct test *test)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	char *expression;
	pid_t pid = -1;

	if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0) {
		expression = term_expression(test->term);
		pid = spawn(test, expression, in[0], out[1]);
		free(expression);
	}
	if (in[0] != -1)
		close(in[0]);
	if (out[1] != -1)
		close(out[1]);
	test->input = in[1];
	test->output = out[0];
	return pid;
}

static void
read_report(struct test *test, struct buffer *report)
{
	char bytes[4096];
	ssize_t count;

	while ((count = read(test->output, bytes, sizeof bytes)) != 0) {
		if (count == -1 && errno != EINTR)
			break;
		if (count > 0 && report->length < REPORT_BYTES_MAX)
			buffer_append(report, bytes, (size_t)count);
	}
}

/* The number behind that word in the report of scanner; 0 where none is. */
static uint64_t
find_number(const char *report, const char *word)
{
	const char *at = strstr(report, word);

	return at == NULL ? 0 : strtoull(at + strlen(word), NULL, 10);
}

/* The first lines behind "examples", without what scanner calls the record. */
static void
append_examples(struct buffer *reply, const char *report)
{
	const char *at = strstr(report, "\nexamples\n");

	at = at == NULL ? "" : at + strlen("\nexamples\n");
	for (int i = 0; i < EXAMPLES && *at != '\0'; i++) {
		size_t length = strcspn(at, "\n");
		const char *text = memmem(at, length, ": ", 2);
		char *line;

		text = text != NULL ? text + 2 : at;
		line = xstrndup(text, (size_t)(at + length - text));
		buffer_append_string(reply, "\n\xe2\x80\xa2 ");
		words_quote(reply, line);
		free(line);
		at += length + (at[length] == '\n');
	}
}

static void
word_report(struct test *test, const char *report, struct buffer *reply)
{
	uint64_t hit = find_number(report, "records hit");

	words_quote(reply, test->term);
	buffer_printf(reply, " would have matched %" PRIu64 " of %" PRIu64
	    " messages in the last 24 hours", hit, test->records);
	wish_append_scope(reply, strcmp(test->in, "-") == 0 ? NULL : test->in,
	    test->where, NULL);
	buffer_append_string(reply, test->is_cut
	    ? " (I gave up after a minute, there are more)." : ".");
	append_examples(reply, report);
}

static void
run(struct test *test, struct buffer *reply)
{
	struct buffer report = { 0 };
	pid_t pid = start(test);
	int status = 0;

	if (pid != -1)
		feed_days(test);
	if (test->input != -1)
		close(test->input);
	if (pid != -1)
		read_report(test, &report);
	if (test->output != -1)
		close(test->output);
	while (pid != -1 && waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (pid == -1 || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
		buffer_append_string(reply, "the test went wrong: scanner did"
		    " not do it.");
	else
		word_report(test, buffer_string(&report), reply);
	buffer_free(&report);
}

void
test_do(const struct bot_settings *settings, const char *words,
    struct buffer *reply)
{
	struct test test = { .settings = settings,
	    .end_ms = clock_steady_ms() + PATIENCE_MS };
	char number[24];

	words = job_field(words, number, sizeof number);
	test.time_s = strtoll(number, NULL, 10);
	words = job_field(words, number, sizeof number);
	test.where = strcmp(number, "1") == 0 ? SUBSCRIPTION_TEXT
	    : strcmp(number, "2") == 0 ? SUBSCRIPTION_FILES
	    : SUBSCRIPTION_ANYWHERE;
	test.term = job_field(words, test.in, sizeof test.in);
	run(&test, reply);
}
