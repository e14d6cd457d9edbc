/* test: how often a term would have matched, by `scanner --test` and the
 * journal of the last 24 hours. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "job.h"
#include "journal_day.h"
#include "memory.h"
#include "scanner_run.h"
#include "spooled.h"
#include "term.h"
#include "wish.h"
#include "words.h"

#define PATIENCE_MS 60000
#define EXAMPLES 3
#define TIME_S_MAX INT64_C(999999999999)	/* as slack_time.h reads it */
#define HIT "records hit"	/* in the report of scanner */

void
test_answer(struct request *request)
{
	struct buffer complaint = { 0 }, words = { 0 };
	struct wish wish = { 0 };

	if (wish_read(&wish, request->rest, &complaint) &&
	    request->settings->journal == NULL)
		buffer_append_string(&complaint, "there is no journal to look"
		    " into");
	if (complaint.length == 0 && wish.class != NULL)
		buffer_append_string(&complaint, "I can not look for a class"
		    " there, say it without `class:`");
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
	struct scanner_run run;
	struct buffer line;
	uint64_t records;
};

static const char *
find_in(const struct test *test)
{
	return strcmp(test->in, "-") == 0 ? NULL : test->in;
}

static bool
is_channel(const char *name, const char *in)
{
	return name != NULL && strcmp(name + (*name == '#'), in) == 0;
}

static bool
is_in_channel(const struct test *test, struct record *record)
{
	const char *in = find_in(test);

	return in == NULL ||
	    is_channel(record_string(record, RECORD_CHANNEL), in) ||
	    is_channel(json_string(record_object(record, RECORD_NAMES),
	    "channel"), in);
}

/* What a forward would be made of; an edit says again what was counted. */
static bool
is_wanted(const struct test *test, struct record *record)
{
	return (record_is(record, RECORD_TYPE, "message") ||
	    record_is(record, RECORD_TYPE, "app_mention") ||
	    record_is(record, RECORD_TYPE, "api_message")) &&
	    !record_is(record, RECORD_SUBTYPE, "message_changed") &&
	    !record_is(record, RECORD_SUBTYPE, "message_deleted") &&
	    record_get(record, RECORD_OWN) == NULL &&
	    record_get(record, RECORD_ADDRESSED) == NULL &&
	    is_in_channel(test, record);
}

static bool
feed_record(struct record *record, void *arg)
{
	struct test *test = arg;

	if (!is_wanted(test, record))
		return scanner_run_goes_on(&test->run);
	if (test->settings->spool != NULL && test->where != SUBSCRIPTION_TEXT)
		spooled_add(record, test->settings->spool);
	test->line.length = 0;
	record_write(record, &test->line);
	if (!scanner_run_feed(&test->run, test->line.data, test->line.length))
		return false;
	test->records++;
	return true;
}

/* --- what is said of it -----------------------------------------------------*/

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
	uint64_t hit = find_number(report, HIT);

	words_quote(reply, test->term);
	buffer_printf(reply, " would have matched %" PRIu64 " of %" PRIu64
	    " message%s in the last 24 hours", hit, test->records,
	    test->records == 1 ? "" : "s");
	wish_append_scope(reply, find_in(test), test->where, NULL);
	buffer_append_string(reply, test->run.is_late
	    ? "; I gave up after a minute, there are more." : ".");
	if (find_number(report, "cost limit") > 0)
		buffer_append_string(reply, " In some it cost too much to look"
		    " for.");
	append_examples(reply, report);
}

static int
run(struct test *test, struct buffer *report)
{
	static const char *const places[] = { "any", "text,attachment,payload",
	    "files" };
	static const char *const own[] = { RECORD_FETCHED, NULL };
	char *expression = term_expression(test->term);
	int status = scanner_run_start(&test->run, test->settings->scanner,
	    expression, places[test->where], test->settings->spool,
	    PATIENCE_MS);

	free(expression);
	if (status == -1)
		return -1;
	journal_day_read(test->settings->journal, test->time_s, own,
	    feed_record, test);
	return scanner_run_finish(&test->run, report) == 0 &&
	    strstr(buffer_string(report), HIT) != NULL ? 0 : -1;
}

void
test_do(const struct bot_settings *settings, const char *words,
    struct buffer *reply)
{
	struct test test = { .settings = settings };
	struct buffer report = { 0 };
	char number[24];

	words = job_field(words, number, sizeof number);
	test.time_s = strtoll(number, NULL, 10);
	words = job_field(words, number, sizeof number);
	test.where = strcmp(number, "1") == 0 ? SUBSCRIPTION_TEXT
	    : strcmp(number, "2") == 0 ? SUBSCRIPTION_FILES
	    : SUBSCRIPTION_ANYWHERE;
	test.term = job_field(words, test.in, sizeof test.in);
	if (settings->journal == NULL || test.time_s < 0 ||
	    test.time_s > TIME_S_MAX || run(&test, &report) == -1)
		buffer_append_string(reply, "the test went wrong, I can not"
		    " tell how often it would have matched.");
	else
		word_report(&test, buffer_string(&report), reply);
	buffer_free(&report);
	buffer_free(&test.line);
}
