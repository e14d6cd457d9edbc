/* What was found in one record, and what was not looked through to the end. */
#ifndef SCANNER_FINDINGS_H
#define SCANNER_FINDINGS_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "patterns.h"
#include "record.h"

#define LIMITS_MAX 50		/* reported of one record */

/* A match; the places are offsets of strings that the findings keep. */
struct match {
	const struct pattern *pattern;
	size_t where;
	uint64_t line;		/* from 1 */
	uint64_t start;		/* byte offsets in the text */
	uint64_t end;
	size_t excerpt;
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
	struct limit limits[LIMITS_MAX];
	size_t limit_count;
	size_t limits_left_out;
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

/* Order the matches from the first-th on by their place in the text. */
void findings_sort(struct findings *findings, size_t first);

/* Say what was cut short and why; pattern is NULL where it is no one's. */
void findings_add_limit(struct findings *findings,
    const struct pattern *pattern, size_t where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Add `matches` and `limits` to the record, each where there is one. */
void findings_write(struct findings *findings, struct record *record);

#endif
