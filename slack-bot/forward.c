/* forward, list, stop: what goes to whom. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "commands.h"
#include "stats_file.h"
#include "term.h"
#include "wish.h"
#include "words.h"

#define NOBODY_ELSE "no one else is subscribed to it"
#define OTHERS "other users are still subscribed to it"

/* The user's mute, where there is one. */
static void
append_mute(struct request *request)
{
	const struct subscription *mute = book_find(request->book,
	    SUBSCRIPTION_MUTE, request->user, NULL);

	if (mute == NULL)
		return;
	buffer_append_string(&request->reply,
	    "\nYour forwards are held back until ");
	if (mute->until_s == 0)
		buffer_append_string(&request->reply, "you say `talk`");
	else
		words_time(&request->reply, mute->until_s);
	buffer_append_string(&request->reply, ".");
}

/* --- forward ----------------------------------------------------------------*/

static void
refuse(struct request *request, const char *verb, const char *term,
    const char *reason)
{
	request_refuse(request, verb, term, reason);
	buffer_append_string(&request->reply, " Nothing has changed.");
}

/* Is there room for one more? Appends why not. */
static bool
has_room(struct request *request, struct buffer *complaint)
{
	const struct bot_settings *settings = request->settings;

	if (book_count(request->book, SUBSCRIPTION_FORWARD, request->user) >=
	    settings->user_max)
		buffer_printf(complaint, "you have %zu forwards, and more are"
		    " not possible: `stop` one of them", settings->user_max);
	else if (book_count(request->book, SUBSCRIPTION_FORWARD, NULL) >=
	    settings->total_max)
		buffer_printf(complaint, "there are %zu forwards of all users,"
		    " and more are not possible", settings->total_max);
	return complaint->length == 0;
}

static bool
is_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static const char *
find_in(struct wish *wish)
{
	return wish->in.length > 0 ? buffer_string(&wish->in) : NULL;
}

static bool
is_as_wished(const struct subscription *line, struct wish *wish)
{
	return is_equal(line->in, find_in(wish)) &&
	    line->where == wish->where && is_equal(line->class, wish->class);
}

/* Who writes like this may have meant a regular expression. */
static bool
looks_like_regex(const char *term)
{
	static const char *const signs[] = { ".*", ".+", "\\d", "\\w", "\\s",
	    "\\b", ")+", ")*", "]+", "]*", "|" };
	size_t length = strlen(term);

	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
		if (strstr(term, signs[i]) != NULL)
			return true;
	return term[0] == '^' || term[length - 1] == '$';
}

/* As in `in: #builds stark`. */
static bool
looks_like_option(const char *term)
{
	return strncmp(term, "in: ", 4) == 0 ||
	    strncmp(term, "where: ", 7) == 0 ||
	    strncmp(term, "class: ", 7) == 0;
}

static bool
is_in_quotes(const char *term)
{
	size_t length = strlen(term);

	return length > 2 && term[0] == '"' && term[length - 1] == '"';
}

/* How the term is taken: nobody shall wonder why nothing comes. */
static void
append_meaning(struct buffer *reply, const char *term)
{
	if (term_is_regex(term)) {
		buffer_append_string(reply,
		    ": what matches this regular expression");
		return;
	}
	buffer_append_string(reply, ": what holds it, just as it stands here");
	if (looks_like_option(term))
		buffer_append_string(reply, " (no blank would stand behind the"
		    " colon of an option)");
	if (is_in_quotes(term))
		buffer_append_string(reply, " (the quotes, too)");
	if (looks_like_regex(term))
		buffer_append_string(reply, " (a regular expression would stand"
		    " between slashes)");
}

static void
confirm(struct request *request, struct wish *wish)
{
	const char *term = buffer_string(&wish->term);

	request_greet(request);
	buffer_append_string(&request->reply, "your forwarding is set for ");
	words_quote(&request->reply, term);
	append_meaning(&request->reply, term);
	wish_append_scope(&request->reply, find_in(wish), wish->where,
	    wish->class);
	buffer_append_string(&request->reply,
	    ". It comes to you in a direct message.");
	append_mute(request);
}

/* What stands already takes no more room. */
static bool
may_add(struct request *request, struct wish *wish, struct buffer *complaint)
{
	return book_find(request->book, SUBSCRIPTION_FORWARD, request->user,
	    buffer_string(&wish->term)) != NULL ||
	    has_room(request, complaint);
}

/* A forward that stands already is replaced, unless it is the same. */
static void
subscribe(struct request *request, struct wish *wish)
{
	const char *term = buffer_string(&wish->term);
	const struct subscription *known = book_find(request->book,
	    SUBSCRIPTION_FORWARD, request->user, term);
	const struct subscription *refused = book_find(request->book,
	    SUBSCRIPTION_REFUSED, request->user, term);

	if (refused != NULL)
		book_end(request->book, refused);
	if (known != NULL && !is_as_wished(known, wish))
		book_end(request->book, known);
	if (known == NULL || !is_as_wished(known, wish))
		book_add(request->book, (struct subscription){
			.kind = SUBSCRIPTION_FORWARD, .user = request->user,
			.in = find_in(wish), .where = wish->where,
			.class = wish->class, .term = term });
	confirm(request, wish);
}

void
forward_answer(struct request *request)
{
	struct buffer complaint = { 0 };
	struct wish wish = { 0 };

	if (request->rest[strspn(request->rest, " \t\r\n")] == '\0') {
		forward_list(request);
		return;
	}
	if (wish_read(&wish, request->rest, &complaint) &&
	    may_add(request, &wish, &complaint) &&
	    wish_is_bearable(&wish, &complaint))
		subscribe(request, &wish);
	else
		refuse(request, "forward", buffer_string(&wish.term),
		    buffer_string(&complaint));
	wish_free(&wish);
	buffer_free(&complaint);
}

/* --- list -------------------------------------------------------------------*/

static void
append_hits(struct request *request, const cJSON *hits, int64_t from)
{
	char key[24];
	const cJSON *count;
	double number;

	if (hits == NULL)
		return;
	snprintf(key, sizeof key, "%" PRId64, from);
	count = cJSON_GetObjectItemCaseSensitive(hits, key);
	number = cJSON_IsNumber(count) ? count->valuedouble : 0;
	buffer_printf(&request->reply, ", %.0f hit%s so far", number,
	    number == 1 ? "" : "s");
}

static void
append_lines(struct request *request, enum subscription_kind kind,
    const cJSON *hits)
{
	const struct subscription *line;
	size_t at = 0;

	while ((line = book_next(request->book, &at, kind, request->user)) !=
	    NULL) {
		buffer_append_string(&request->reply, "\n\xe2\x80\xa2 ");
		words_quote(&request->reply, line->term);
		wish_append_scope(&request->reply, line->in, line->where,
		    line->class);
		if (kind == SUBSCRIPTION_REFUSED)
			buffer_append_string(&request->reply, ": no more, it"
			    " cost too much to look for");
		else
			append_hits(request, hits, line->from);
	}
}

void
forward_list(struct request *request)
{
	size_t count = book_count(request->book, SUBSCRIPTION_FORWARD,
	    request->user);
	cJSON *stats = stats_file_read(request->settings->stats);

	request_greet(request);
	if (count == 0)
		buffer_append_string(&request->reply, "you have no forwards."
		    " `forward TERM` makes one.");
	else
		buffer_printf(&request->reply, "you have %zu forward%s, of %zu"
		    " that you may have:", count, count == 1 ? "" : "s",
		    request->settings->user_max);
	append_lines(request, SUBSCRIPTION_FORWARD,
	    cJSON_GetObjectItemCaseSensitive(stats, "hits"));
	append_lines(request, SUBSCRIPTION_REFUSED, NULL);
	append_mute(request);
	cJSON_Delete(stats);
}

/* --- stop -------------------------------------------------------------------*/

static bool
has_others(struct request *request, const char *term)
{
	const struct subscription *line;
	size_t at = 0;

	while ((line = book_next(request->book, &at, SUBSCRIPTION_FORWARD,
	    NULL)) != NULL)
		if (strcmp(line->user, request->user) != 0 &&
		    strcmp(line->term, term) == 0)
			return true;
	return false;
}

static void
stop_line(struct request *request, const struct subscription *line)
{
	words_quote(&request->reply, line->term);
	buffer_printf(&request->reply, ", %s", has_others(request, line->term)
	    ? OTHERS : NOBODY_ELSE);
	book_end(request->book, line);
}

/* Ended lines are in force up to the record at hand: so they are still seen. */
static size_t
stop_all_of(struct request *request, enum subscription_kind kind)
{
	const struct subscription *line;
	size_t at = 0, count = 0;

	while ((line = book_next(request->book, &at, kind, request->user)) !=
	    NULL) {
		buffer_append_string(&request->reply, "\n\xe2\x80\xa2 ");
		stop_line(request, line);
		count++;
	}
	return count;
}

static void
stop_all(struct request *request)
{
	size_t length;

	request_greet(request);
	length = request->reply.length;
	buffer_append_string(&request->reply, "your forwarding is stopped"
	    " for:");
	if (stop_all_of(request, SUBSCRIPTION_FORWARD) +
	    stop_all_of(request, SUBSCRIPTION_REFUSED) > 0)
		return;
	request->reply.length = length;
	buffer_append_string(&request->reply, "there was nothing to stop: no"
	    " forwarding of yours is set.");
}

/* The user's line for a term; else for one that `list` shows so. */
static const struct subscription *
find_line(struct request *request, enum subscription_kind kind,
    const char *term)
{
	const struct subscription *line = book_find(request->book, kind,
	    request->user, term);
	size_t at = 0;

	if (line != NULL)
		return line;
	while ((line = book_next(request->book, &at, kind, request->user)) !=
	    NULL)
		if (words_look_alike(line->term, term))
			return line;
	return NULL;
}

static void
stop_term(struct request *request, const char *term)
{
	const struct subscription *line = find_line(request,
	    SUBSCRIPTION_FORWARD, term);

	if (line == NULL)
		line = find_line(request, SUBSCRIPTION_REFUSED, term);
	if (line == NULL && strcasecmp(term, "all") == 0) {
		stop_all(request);
		return;
	}
	request_greet(request);
	if (line != NULL) {
		buffer_append_string(&request->reply,
		    "your forwarding is stopped for ");
		stop_line(request, line);
		buffer_append_string(&request->reply, ".");
		return;
	}
	buffer_append_string(&request->reply,
	    "you sure? No forwarding found for ");
	words_quote(&request->reply, term);
	buffer_append_string(&request->reply, ". `list` shows yours.");
}

void
forward_stop(struct request *request)
{
	struct buffer complaint = { 0 };
	struct wish wish = { 0 };

	if (request->rest[strspn(request->rest, " \t\r\n")] == '\0')
		stop_all(request);
	else if (wish_read(&wish, request->rest, &complaint))
		stop_term(request, buffer_string(&wish.term));
	else
		refuse(request, "stop", buffer_string(&wish.term),
		    buffer_string(&complaint));
	wish_free(&wish);
	buffer_free(&complaint);
}
