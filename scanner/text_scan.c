#include "text_scan.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "excerpt.h"
#include "memory.h"
#include "places.h"
#include "utf8.h"

#define WINDOW_BYTES 65536
#define OVERLAP_BYTES 8192
#define CONTEXT_BYTES (4 * REGEX_LOOKBEHIND_MAX + 4)

#define SUBSTITUTE '\x1a'

/* Per pattern and record, about two seconds at worst. */
#define RECORD_STEPS (UINT64_C(3) << 29)

/* Of all watches together, per record. */
#define WATCHES_STEPS (4 * RECORD_STEPS)

/* How far one pattern has come. */
struct progress {
	uint64_t from;		/* in the text: behind its last match */
	uint64_t steps;		/* left for this record */
	size_t kept;		/* matches in this record */
	size_t more;		/* matches in this text that are not kept */
	bool is_limited;	/* in this text */
	bool is_cut;
};

/* The piece of the text that is looked through. */
struct window {
	const char *bytes;
	const char *subject;	/* the bytes as they are searched */
	size_t length;
	size_t cut;		/* matches from here on are the next one's */
	bool is_last;
};

struct text_scan {
	size_t max_matches;
	struct prefilter *prefilter;
	const struct pattern_set *set;
	struct occasion *occasion;
	struct findings *findings;
	uint64_t watches_steps;		/* left for this record */
	struct progress *progress;	/* one a pattern, those in_record hold */
	size_t capacity;
	struct places in_record;	/* patterns that were looked for */
	struct places in_text;		/* in the text at hand */
	struct places candidates;	/* in the window at hand */

	unsigned part;
	size_t where;
	size_t first_match;	/* of this text, in findings */
	size_t first_limit;
	uint64_t offset;	/* of the window in the text */
	uint64_t line;		/* that the fresh bytes begin in */
	size_t fresh;		/* where they begin in the window */
	struct buffer pending;
	struct buffer replaced;	/* a window that is not UTF-8 */
};

struct text_scan *
text_scan_new(size_t max_matches, struct prefilter *prefilter)
{
	struct text_scan *scan = xcalloc(1, sizeof *scan);

	scan->max_matches = max_matches;
	scan->prefilter = prefilter;
	return scan;
}

void
text_scan_free(struct text_scan *scan)
{
	if (scan == NULL)
		return;
	buffer_free(&scan->pending);
	buffer_free(&scan->replaced);
	places_free(&scan->in_record);
	places_free(&scan->in_text);
	places_free(&scan->candidates);
	free(scan->progress);
	free(scan);
}

void
text_scan_begin(struct text_scan *scan, const struct pattern_set *set,
    struct occasion *occasion, struct findings *findings)
{
	scan->set = set;
	scan->occasion = occasion;
	scan->watches_steps = WATCHES_STEPS;
	scan->findings = findings;
	if (scan->capacity < set->count) {
		scan->capacity = set->count;
		scan->progress = xrealloc(scan->progress,
		    scan->capacity * sizeof *scan->progress);
	}
	places_clear(&scan->in_record, set->count);
}

void
text_scan_open(struct text_scan *scan, unsigned part, const char *where,
    size_t length)
{
	scan->part = part;
	scan->where = findings_string(scan->findings, where, length);
	scan->first_match = scan->findings->match_count;
	scan->first_limit = scan->findings->limit_count;
	scan->offset = 0;
	scan->line = 1;
	scan->fresh = 0;
	scan->pending.length = 0;
	places_clear(&scan->in_text, scan->set->count);
}

static uint64_t
count_line_ends(const char *bytes, size_t length)
{
	const char *at = bytes, *end = bytes + length;
	uint64_t count = 0;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		count++;
		at++;
	}
	return count;
}

/* Are no more matches of this pattern kept? */
static bool
is_enough(const struct text_scan *scan, size_t index)
{
	size_t kept = scan->progress[index].kept;

	return kept == scan->max_matches || (kept > 0 &&
	    scan->set->patterns[index]->watch != NULL &&
	    scan->findings->watched >= WATCHED_MAX);
}

/* People see what is around the first match in anything but the text. */
static void
keep_around(struct text_scan *scan, const struct match *match,
    const struct window *window, const struct regex_search *hit)
{
	if (match->pattern->watch == NULL || scan->part == IN_TEXT)
		return;
	findings_keep_around(scan->findings, match, &(struct piece){
		.bytes = window->bytes, .length = window->length,
		.is_first = scan->offset == 0, .is_last = window->is_last,
	}, hit->start, hit->end);
}

static void
take_match(struct text_scan *scan, size_t index, const struct window *window,
    const struct regex_search *hit)
{
	struct progress *progress = &scan->progress[index];
	struct findings *findings = scan->findings;

	findings->matches_seen++;
	if (is_enough(scan, index)) {
		progress->more++;
		return;
	}
	progress->kept++;
	size_t excerpt = findings->strings.length;
	struct marked marked = excerpt_append(&findings->strings,
	    window->bytes, window->length, hit->start, hit->end);
	buffer_append(&findings->strings, "", 1);
	struct match match = {
		.pattern = scan->set->patterns[index],
		.where = scan->where,
		.line = scan->line + count_line_ends(window->bytes +
		    scan->fresh, hit->start - scan->fresh),
		.start = scan->offset + hit->start,
		.end = scan->offset + hit->end,
		.excerpt = excerpt,
		.marked = marked,
	};
	findings_add_match(findings, match);
	keep_around(scan, &match, window, hit);
}

/* One pattern gives up the rest of the window, or of the record. */
static void
take_limit(struct text_scan *scan, size_t index)
{
	struct progress *progress = &scan->progress[index];
	const struct pattern *pattern = scan->set->patterns[index];

	scan->findings->cost_limits++;
	if (pattern->watch != NULL && scan->watches_steps == 0) {
		findings_add_limit(scan->findings, pattern, scan->where,
		    "subscriptions given up in this record, together they cost "
		    "too much");
		return;
	}
	if (pattern->watch != NULL)
		occasion_strike(scan->occasion, pattern->watch);
	if (progress->steps == 0)
		findings_add_limit(scan->findings, pattern, scan->where,
		    "cost limit reached, given up in this record");
	else if (!progress->is_limited)
		findings_add_limit(scan->findings, pattern, scan->where,
		    "match limit reached");
	progress->is_limited = true;
}

/* Behind a match, or one character on where it was empty (by \K). */
static size_t
find_next(const struct window *window, const struct regex_search *hit)
{
	if (hit->end > hit->from || hit->end >= window->length)
		return hit->end;
	size_t width = utf8_character(window->bytes + hit->end,
	    window->length - hit->end);
	return hit->end + (width > 0 ? width : 1);
}

/* The match goes up to where the window was cut off from the text. */
static void
note_cut(struct text_scan *scan, size_t index)
{
	if (!scan->progress[index].is_cut)
		findings_add_limit(scan->findings, scan->set->patterns[index],
		    scan->where, "match cut off: it is longer than the piece "
		    "searched at once");
	scan->progress[index].is_cut = true;
}

static void
search_pattern(struct text_scan *scan, size_t index,
    const struct window *window, struct regex_search *search)
{
	const struct regex *regex = scan->set->patterns[index]->regex;
	enum regex_result result;

	while ((search->from < window->cut || window->is_last) &&
	    (result = regex_search(regex, search)) != REGEX_MISS) {
		if (result == REGEX_LIMIT) {
			search->from = window->cut;
			search->steps = 0;
			return;
		}
		if (search->start >= window->cut && !window->is_last)
			return;
		take_match(scan, index, window, search);
		if (search->end == window->length && !window->is_last)
			note_cut(scan, index);
		search->from = find_next(window, search);
		if (search->end >= window->length)
			return;
	}
}

/* How much the pattern may cost in the window. */
static uint64_t
find_allowance(const struct text_scan *scan, size_t index,
    const struct window *window)
{
	uint64_t allowance = regex_allowance(window->length);

	if (allowance > scan->progress[index].steps)
		allowance = scan->progress[index].steps;
	if (scan->set->patterns[index]->watch != NULL &&
	    allowance > scan->watches_steps)
		allowance = scan->watches_steps;
	return allowance;
}

static void
charge(struct text_scan *scan, size_t index, uint64_t steps)
{
	scan->progress[index].steps -= steps;
	if (scan->set->patterns[index]->watch != NULL)
		scan->watches_steps -= steps;
}

/* Look for one pattern, at the cost the window is worth. */
static void
scan_pattern(struct text_scan *scan, size_t index, const struct window *window)
{
	struct progress *progress = &scan->progress[index];
	uint64_t allowance = find_allowance(scan, index, window);
	size_t from = scan->fresh;

	if (allowance == 0)
		return;
	if (progress->from > scan->offset + from)
		from = (size_t)(progress->from - scan->offset);
	if (from > window->length)
		return;

	struct regex_search search = {
		.subject = window->subject, .length = window->length,
		.from = from, .steps = allowance,
	};
	search_pattern(scan, index, window, &search);
	progress->from = scan->offset + search.from;
	charge(scan, index, allowance - search.steps);
	if (search.steps == 0)
		take_limit(scan, index);
}

/* Where the next window is to go on: behind a line if there is one. */
static size_t
find_cut(const struct text_scan *scan, const struct window *window)
{
	size_t most = window->length - OVERLAP_BYTES;
	const char *fresh = window->bytes + scan->fresh;
	const char *feed = memrchr(fresh, '\n', most - scan->fresh);

	return feed != NULL ? (size_t)(feed - window->bytes) + 1
	    : utf8_floor(window->bytes, most);
}

/* But for characters that the window's ends cut through. */
static bool
is_utf8(const struct window *window)
{
	size_t first = 0, end = window->length;

	while (first < 3 && first < end &&
	    ((unsigned char)window->bytes[first] & 0xc0) == 0x80)
		first++;
	if (first < end) {
		size_t last = utf8_floor(window->bytes, end - 1);

		if (last > first &&
		    utf8_character(window->bytes + last, end - last) == 0)
			end = last;
	}
	return utf8_is_valid(window->bytes + first, end - first);
}

/*
 * Bytes that are not UTF-8 are searched as SUB, which a dot matches. PCRE2
 * could leave them out by itself, but then it misses what `.*` could find
 * behind one of them in its line.
 */
static const char *
replace_invalid(struct text_scan *scan, const struct window *window)
{
	struct buffer *replaced = &scan->replaced;

	if (scan->part != IN_FILES || is_utf8(window))
		return window->bytes;
	replaced->length = 0;
	buffer_append(replaced, window->bytes, window->length);
	for (size_t at = 0; at < window->length;) {
		size_t width = utf8_character(window->bytes + at,
		    window->length - at);

		if (width == 0)
			replaced->data[at] = SUBSTITUTE;
		at += width > 0 ? width : 1;
	}
	return replaced->data;
}

/* Is the pattern to be looked for in this text? What people want to know of
 * the record is asked last: most terms do not occur in it. */
static bool
is_wanted(struct text_scan *scan, const struct pattern *pattern,
    const struct window *window)
{
	if ((pattern->parts & scan->part) == 0)
		return false;
	return pattern->watch == NULL ||
	    (literals_allow(regex_literals(pattern->regex),
	    window->subject + scan->fresh, window->length - scan->fresh) &&
	    occasion_wants(scan->occasion, pattern->watch, scan->part));
}

/* What a record costs must not grow with all that is not looked for in it. */
static void
begin_progress(struct text_scan *scan, size_t index)
{
	struct progress *progress = &scan->progress[index];

	if (!places_has(&scan->in_record, index))
		*progress = (struct progress){ .steps = RECORD_STEPS };
	if (!places_has(&scan->in_text, index))
		progress->from = 0;
	places_add(&scan->in_record, index);
	places_add(&scan->in_text, index);
}

static void
find_candidates(struct text_scan *scan, const struct window *window)
{
	if (scan->prefilter == NULL)
		places_fill(&scan->candidates, scan->set->count);
	else
		prefilter_find(scan->prefilter, window->subject + scan->fresh,
		    window->length - scan->fresh, &scan->candidates);
}

static void
scan_candidates(struct text_scan *scan, const struct window *window)
{
	const struct places *candidates = &scan->candidates;

	for (size_t i = places_next(candidates, 0); i != PLACES_END;
	    i = places_next(candidates, i + 1)) {
		if (!is_wanted(scan, scan->set->patterns[i], window))
			continue;
		begin_progress(scan, i);
		scan_pattern(scan, i, window);
	}
}

/* Returns how many bytes at the window's begin are needed no more. */
static size_t
scan_window(struct text_scan *scan, struct window window)
{
	window.subject = replace_invalid(scan, &window);
	window.cut = window.is_last ? window.length : find_cut(scan, &window);
	find_candidates(scan, &window);
	scan_candidates(scan, &window);
	if (window.is_last)
		return window.length;

	size_t done = window.cut > CONTEXT_BYTES ? window.cut - CONTEXT_BYTES
	    : 0;
	scan->line += count_line_ends(window.bytes + scan->fresh,
	    window.cut - scan->fresh);
	scan->offset += done;
	scan->fresh = window.cut - done;
	return done;
}

void
text_scan_whole(struct text_scan *scan, const char *bytes, size_t length)
{
	while (length > WINDOW_BYTES) {
		size_t done = scan_window(scan, (struct window){
			.bytes = bytes, .length = WINDOW_BYTES
		});
		bytes += done;
		length -= done;
	}
	scan_window(scan, (struct window){
		.bytes = bytes, .length = length, .is_last = true
	});
}

void
text_scan_feed(struct text_scan *scan, const char *bytes, size_t length)
{
	struct buffer *pending = &scan->pending;

	while (length > 0) {
		if (pending->length == WINDOW_BYTES)
			buffer_consume(pending, scan_window(scan,
			    (struct window){ .bytes = pending->data,
			    .length = WINDOW_BYTES }));
		size_t part = WINDOW_BYTES - pending->length;
		if (part > length)
			part = length;
		buffer_append(pending, bytes, part);
		bytes += part;
		length -= part;
	}
}

static void
close_progress(struct text_scan *scan, size_t index)
{
	struct progress *progress = &scan->progress[index];

	if (progress->more > 0)
		findings_add_limit(scan->findings, scan->set->patterns[index],
		    scan->where, progress->more == 1 ? "%zu more match"
		    : "%zu more matches", progress->more);
	progress->more = 0;
	progress->is_limited = false;
	progress->is_cut = false;
}

void
text_scan_close(struct text_scan *scan)
{
	if (scan->pending.length > 0)
		scan_window(scan, (struct window){ .bytes = scan->pending.data,
		    .length = scan->pending.length, .is_last = true });
	scan->pending.length = 0;
	findings_sort(scan->findings, scan->first_match);
	for (size_t i = places_next(&scan->in_text, 0); i != PLACES_END;
	    i = places_next(&scan->in_text, i + 1))
		close_progress(scan, i);

	/* an archive can have many entries with nothing in them */
	if (scan->findings->match_count == scan->first_match &&
	    scan->findings->limit_count == scan->first_limit)
		scan->findings->strings.length = scan->where;
}
