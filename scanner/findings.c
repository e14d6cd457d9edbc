#include "findings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define REASON_BYTES_MAX 200

void
findings_clear(struct findings *findings)
{
	findings->match_count = 0;
	findings->limit_count = 0;
	findings->watch_limits = 0;
	findings->limits_left_out = 0;
	findings->matches_seen = 0;
	findings->cost_limits = 0;
	findings->around_count = 0;
	findings->watched = 0;
	findings->strings.length = 0;
}

void
findings_free(struct findings *findings)
{
	free(findings->matches);
	buffer_free(&findings->strings);
	buffer_free(&findings->json);
	for (size_t i = 0; i < AROUNDS_MAX; i++)
		buffer_free(&findings->arounds[i].text);
}

size_t
findings_string(struct findings *findings, const char *bytes, size_t length)
{
	size_t at = findings->strings.length;

	buffer_append(&findings->strings, bytes, length);
	buffer_append(&findings->strings, "", 1);
	return at;
}

void
findings_add_match(struct findings *findings, struct match match)
{
	if (findings->match_count == findings->match_capacity) {
		findings->match_capacity = findings->match_capacity > 0
		    ? findings->match_capacity * 2 : 64;
		findings->matches = xrealloc(findings->matches,
		    findings->match_capacity * sizeof *findings->matches);
	}
	findings->matches[findings->match_count++] = match;
	if (match.pattern->watch != NULL)
		findings->watched++;
}

/* The text's, a new one, or NULL where there is no room. */
static struct around *
find_around(struct findings *findings, size_t where)
{
	for (size_t i = 0; i < findings->around_count; i++)
		if (findings->arounds[i].where == where)
			return &findings->arounds[i];
	if (findings->around_count == AROUNDS_MAX)
		return NULL;
	struct around *around = &findings->arounds[findings->around_count++];
	around->where = where;
	around->start = UINT64_MAX;
	around->is_written = false;
	return around;
}

void
findings_keep_around(struct findings *findings, const struct match *match,
    const struct piece *piece, size_t start, size_t end)
{
	struct around *around = find_around(findings, match->where);

	if (around == NULL || around->start < match->start ||
	    (around->start == match->start &&
	    around->place <= match->pattern->place))
		return;
	around->start = match->start;
	around->place = match->pattern->place;
	around->text.length = 0;
	around_append(&around->text, piece, start, end);
}

static int
compare_matches(const void *a, const void *b)
{
	const struct match *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return (left->pattern->place > right->pattern->place) -
	    (left->pattern->place < right->pattern->place);
}

void
findings_sort(struct findings *findings, size_t first)
{
	if (findings->match_count - first > 1)
		qsort(findings->matches + first,
		    findings->match_count - first, sizeof *findings->matches,
		    compare_matches);
}

bool
findings_are_full(const struct findings *findings)
{
	return findings->limit_count - findings->watch_limits == LIMITS_MAX;
}

/* Limits of watches leave the others their room. */
static bool
take_room(struct findings *findings, const struct pattern *pattern)
{
	if (pattern != NULL && pattern->watch != NULL)
		return findings->watch_limits < WATCH_LIMITS_MAX &&
		    ++findings->watch_limits > 0;
	if (findings_are_full(findings))
		findings->limits_left_out++;
	return !findings_are_full(findings);
}

void
findings_add_limit(struct findings *findings, const struct pattern *pattern,
    size_t where, const char *format, ...)
{
	char reason[REASON_BYTES_MAX];
	va_list arguments;

	if (!take_room(findings, pattern))
		return;
	va_start(arguments, format);
	vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	findings->limits[findings->limit_count++] = (struct limit){
		pattern, where,
		findings_string(findings, reason, strlen(reason))
	};
}

static void
append_string(struct findings *findings, const char *name, size_t string)
{
	const char *bytes = findings->strings.data + string;

	buffer_printf(&findings->json, "\"%s\":", name);
	buffer_append_json(&findings->json, bytes, strlen(bytes));
}

/* The pattern's name, and for whom it is. */
static void
append_pattern(struct findings *findings, const struct pattern *pattern,
    const char *author)
{
	struct buffer *json = &findings->json;

	if (pattern->watch != NULL)
		watch_append_members(pattern->watch, author, -1, json);
	else
		buffer_printf(json, "\"pattern\":\"%s\"", pattern->name);
	buffer_append(json, ",", 1);
}

static void
append_around(struct findings *findings, size_t where)
{
	for (size_t i = 0; i < findings->around_count; i++) {
		struct around *around = &findings->arounds[i];

		if (around->where != where || around->is_written)
			continue;
		around->is_written = true;
		buffer_append_string(&findings->json, ",\"around\":");
		buffer_append_json(&findings->json, around->text.data,
		    around->text.length);
	}
}

/* What only a watch's matches have. */
static void
append_watched(struct findings *findings, const struct match *match)
{
	const char *class = match->pattern->watch->key->class;
	struct buffer *json = &findings->json;

	if (class != NULL)
		buffer_printf(json, ",\"only\":\"%s\"", class);
	buffer_printf(json, ",\"marked\":[%zu,%zu]", match->marked.start,
	    match->marked.end);
	append_around(findings, match->where);
}

static void
append_match(struct findings *findings, const struct match *match,
    const char *author)
{
	struct buffer *json = &findings->json;

	buffer_append(json, "{", 1);
	append_pattern(findings, match->pattern, author);
	append_string(findings, "where", match->where);
	buffer_printf(json, ",\"line\":%" PRIu64 ",", match->line);
	append_string(findings, "excerpt", match->excerpt);
	buffer_printf(json, ",\"start\":%" PRIu64 ",\"end\":%" PRIu64,
	    match->start, match->end);
	if (match->pattern->watch != NULL)
		append_watched(findings, match);
	buffer_append(json, "},", 2);
}

static void
append_limit(struct findings *findings, const struct limit *limit,
    const char *author)
{
	struct buffer *json = &findings->json;

	buffer_append(json, "{", 1);
	if (limit->pattern != NULL)
		append_pattern(findings, limit->pattern, author);
	append_string(findings, "where", limit->where);
	buffer_append(json, ",", 1);
	append_string(findings, "reason", limit->reason);
	buffer_append(json, "},", 2);
}

/* Close the array that json holds but for its last byte, a comma. */
static void
add_array(struct findings *findings, struct record *record, const char *name)
{
	struct buffer *json = &findings->json;

	json->data[json->length - 1] = ']';
	record_add_json(record, name, json->data, json->length);
}

static void
open_array(struct findings *findings)
{
	findings->json.length = 0;
	buffer_append(&findings->json, "[", 1);
}

void
findings_write(struct findings *findings, const char *author,
    struct record *record)
{
	if (findings->match_count > 0) {
		open_array(findings);
		for (size_t i = 0; i < findings->match_count; i++)
			append_match(findings, &findings->matches[i], author);
		add_array(findings, record, RECORD_MATCHES);
	}
	if (findings->limit_count == 0)
		return;
	open_array(findings);
	for (size_t i = 0; i < findings->limit_count; i++)
		append_limit(findings, &findings->limits[i], author);
	if (findings->limits_left_out > 0)
		buffer_printf(&findings->json,
		    "{\"where\":\"any\",\"reason\":\"%zu more limits\"},",
		    findings->limits_left_out);
	add_array(findings, record, RECORD_LIMITS);
}
