#include "pages.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "json_items.h"
#include "json_scan.h"
#include "memory.h"
#include "record.h"

#define TRIES 6
#define TRIES_OF_NONSENSE 3	/* Slack answers, but will hardly change */
#define FIRST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 30000
#define LIMIT_DIVISOR 4		/* where an answer is too large */
#define PAGES_MAX 10000	/* then the cursors must be going round */
#define NONSENSE "an answer that makes no sense"

struct pages {
	struct pages_settings settings;
	char *arguments;
	char *cursor;			/* of the next page, NULL: the first */
	size_t count;			/* of pages up to that cursor */
	int limit;
	struct slack_call *call;	/* NULL: none is under way */
	struct timer again;
	struct backoff backoff;
	size_t passed_over;		/* items that are no objects */
};

static void take_reply(const struct slack_reply *reply, void *arg);

static void
ask(void *arg)
{
	struct pages *pages = arg;
	struct buffer arguments = { 0 };
	char limit[16];

	buffer_append_string(&arguments, pages->arguments);
	snprintf(limit, sizeof limit, "%d", pages->limit);
	slack_api_argument(&arguments, "limit", limit);
	if (pages->cursor != NULL)
		slack_api_argument(&arguments, "cursor", pages->cursor);
	pages->call = slack_api_call(pages->settings.api,
	    &(struct slack_request){
		.method = pages->settings.method,
		.token = pages->settings.token,
		.arguments = buffer_string(&arguments),
	    }, take_reply, pages);
	buffer_free(&arguments);
}

struct pages *
pages_new(const struct pages_settings *settings, const char *arguments)
{
	struct pages *pages = xcalloc(1, sizeof *pages);

	pages->settings = *settings;
	pages->arguments = xstrdup(arguments);
	pages->limit = PAGES_LIMIT;
	pages->again = (struct timer){ .due = ask, .arg = pages };
	pages->backoff = (struct backoff){
		.first_ms = FIRST_PAUSE_MS,
		.most_ms = LONGEST_PAUSE_MS,
	};
	ask(pages);
	return pages;
}

void
pages_free(struct pages *pages)
{
	if (pages == NULL)
		return;
	if (pages->call != NULL)
		slack_api_cancel(pages->call);
	timers_cancel(pages->settings.timers, &pages->again);
	free(pages->cursor);
	free(pages->arguments);
	free(pages);
}

static void
set_cursor(struct pages *pages, const char *cursor)
{
	free(pages->cursor);
	pages->cursor = cursor != NULL ? xstrdup(cursor) : NULL;
	pages->count = cursor != NULL ? pages->count + 1 : 0;
}

static void
end(struct pages *pages, const struct slack_reply *reply)
{
	if (pages->passed_over > 0)
		warnx("%s: passed over %zu items that are no objects",
		    pages->settings.method, pages->passed_over);
	pages->settings.end(reply, pages->settings.arg);
}

static void
end_with(struct pages *pages, enum slack_verdict verdict, const char *error)
{
	end(pages, &(struct slack_reply){ .verdict = verdict,
	    .error = error });
}

/* It may go better: not for ever here, others wait. */
static void
try_again(struct pages *pages, enum slack_verdict verdict, const char *error)
{
	unsigned tries = verdict == SLACK_RETRY ? TRIES : TRIES_OF_NONSENSE;

	if (pages->backoff.failures >= tries) {
		end_with(pages, verdict, error);
		return;
	}
	if (pages->backoff.failures == 0)
		warnx("%s: %s; trying again", pages->settings.method, error);
	timers_set(pages->settings.timers, &pages->again,
	    backoff_next_ms(&pages->backoff));
}

/* Returns -1 with errno set where an item was not taken. */
static int
take_items(struct pages *pages, struct json_items items)
{
	const char *item;
	size_t length;

	while (json_items_next(&items, &item, &length)) {
		if (item[0] != '{')
			pages->passed_over++;
		else if (pages->settings.item(item, length,
		    pages->settings.arg) == -1)
			return -1;
	}
	return 0;
}

/* Find the array; returns false where the answer has none. */
static bool
find_items(const struct pages *pages, const struct slack_reply *reply,
    struct json_items *items)
{
	struct json_index index = { 0 };
	const struct json_member *member = NULL;

	if (json_scan(&index, reply->body, reply->length) == 0)
		member = json_index_find(&index, reply->body,
		    pages->settings.array);
	if (member != NULL)
		*items = (struct json_items){ reply->body + member->value,
		    member->value_end - member->value, 0 };
	json_index_free(&index);
	return member != NULL && items->text[0] == '[';
}

/* The next page's cursor, or NULL at the end. */
static const char *
find_cursor(const struct slack_reply *reply)
{
	const char *cursor = json_string(json_get(reply->json,
	    "response_metadata"), "next_cursor");

	return cursor != NULL && *cursor != '\0' ? cursor : NULL;
}

static void
take_page(struct pages *pages, const struct slack_reply *reply)
{
	const char *cursor = find_cursor(reply);
	struct json_items items;

	if (!find_items(pages, reply, &items) || (cursor != NULL &&
	    pages->cursor != NULL && strcmp(cursor, pages->cursor) == 0) ||
	    pages->count > PAGES_MAX) {
		try_again(pages, SLACK_BAD_REQUEST, NONSENSE);
		return;
	}
	if (take_items(pages, items) == -1) {
		end_with(pages, SLACK_RETRY, strerror(errno));
		return;
	}
	pages->backoff.failures = 0;
	if (!pages->settings.page(reply, pages->settings.arg) ||
	    cursor == NULL) {
		end(pages, reply);
		return;
	}
	set_cursor(pages, cursor);
	ask(pages);
}

static void
begin_anew(struct pages *pages)
{
	set_cursor(pages, NULL);
	pages->settings.anew(pages->settings.arg);
	try_again(pages, SLACK_RETRY, "the cursor has expired");
}

static void
take_reply(const struct slack_reply *reply, void *arg)
{
	struct pages *pages = arg;

	pages->call = NULL;
	if (reply->verdict == SLACK_OK) {
		take_page(pages, reply);
	} else if (reply->verdict == SLACK_RETRY ||
	    reply->verdict == SLACK_IN_DOUBT) {
		try_again(pages, SLACK_RETRY, reply->error);
	} else if (pages->cursor != NULL &&
	    strcmp(reply->error, "invalid_cursor") == 0) {
		begin_anew(pages);
	} else if (pages->limit > 1 &&
	    strcmp(reply->error, "answer_too_large") == 0) {
		pages->limit = pages->limit / LIMIT_DIVISOR > 0
		    ? pages->limit / LIMIT_DIVISOR : 1;
		ask(pages);
	} else {
		end(pages, reply);
	}
}
