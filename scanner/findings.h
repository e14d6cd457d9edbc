/* What was found in one record, and what was not looked through to the end. */
#ifndef SCANNER_FINDINGS_H
#define SCANNER_FINDINGS_H

#include <stddef.h>
#include <stdint.h>

#include "around.h"
#include "buffer.h"
#include "excerpt.h"
#include "occasion.h"
#include "patterns.h"
#include "record.h"

#define LIMITS_MAX 50		/* reported of one record */
#define WATCH_LIMITS_MAX 10	/* and so many about watches */
#define WATCHED_MAX 500		/* matches of watches, and one of each */
#define AROUNDS_MAX 3		/* texts whose part around a match is kept */

/* A match; the places are offsets of strings that the findings keep. */
struct match {
	const struct pattern *pattern;
	size_t where;
	uint64_t line;		/* from 1 */
	uint64_t start;		/* byte offsets in the text */
	uint64_t end;
	size_t excerpt;
	struct marked marked;	/* in the excerpt */
};

/* What is around the first match of a watch in a text. */
struct around {
	size_t where;
	uint64_t start;		/* of that match, and its pattern's place */
	size_t place;
	struct buffer text;
	bool is_written;
};

struct limit {
	const struct pattern *pattern;	/* or NULL */
	size_t where;
	size_t reason;
};

/* All zero are no findings. */
struct findings {
	struct match *matches;
	size_t match_count;
	size_t match_capacity;
	struct limit limits[LIMITS_MAX + WATCH_LIMITS_MAX];
	size_t limit_count;
	size_t watch_limits;		/* of them about watches */
	size_t limits_left_out;		/* but for those */
	struct around arounds[AROUNDS_MAX];
	size_t around_count;
	size_t watched;			/* matches of watches */
	uint64_t matches_seen;		/* those not kept among them */
	uint64_t cost_limits;		/* where a pattern was given up */
	struct buffer strings;
	struct buffer json;
};

/* Forget all, for the next record. */
void findings_clear(struct findings *findings);
void findings_free(struct findings *findings);

/* Keep a string; returns its offset in strings. */
size_t findings_string(struct findings *findings, const char *bytes,
    size_t length);

void findings_add_match(struct findings *findings, struct match match);

/*
 * Keep what is around the match of a watch from start to end in the piece,
 * if it is the first one of its text.
 */
void findings_keep_around(struct findings *findings, const struct match *match,
    const struct piece *piece, size_t start, size_t end);

/* Order the matches from the first-th on by their place in the text. */
void findings_sort(struct findings *findings, size_t first);

/* Is there no room for another limit that is not about a watch? */
bool findings_are_full(const struct findings *findings);

/* Say what was cut short and why; pattern is NULL where it is no one's. */
void findings_add_limit(struct findings *findings,
    const struct pattern *pattern, size_t where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Add `matches` and `limits` to the record, each where there is one. What was
 * found for people is not for the author, who may be NULL.
 */
void findings_write(struct findings *findings, const char *author,
    struct record *record);

#endif
