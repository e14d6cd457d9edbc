/*
 * Regular expressions of strangers over texts of strangers: PCRE2 with JIT,
 * UTF-8, ^ and $ at lines (LF, CR or CRLF), at a bounded and counted cost.
 */
#ifndef LIB_REGEX_H
#define LIB_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "literals.h"

#define REGEX_BYTES_MAX 4096		/* of an expression */
#define REGEX_LOOKBEHIND_MAX 255	/* characters */

struct regex;

enum regex_result {
	REGEX_MISS,
	REGEX_HIT,
	REGEX_LIMIT	/* given up: too many steps, too much memory */
};

/* What is wrong with an expression, and at which byte of it. */
struct regex_error {
	char reason[160];
	size_t at;
};

/* A search: what to look through from where, and for how many steps. */
struct regex_search {
	const char *subject;	/* need not be valid UTF-8 */
	size_t length;
	size_t from;		/* up to length; what is before is context */
	uint64_t steps;		/* may be taken; counted down */
	size_t start;		/* of a hit: byte offsets in subject */
	size_t end;
};

/* Compile; NULL with *error filled where the expression is wrong. */
struct regex *regex_new(const char *expression, struct regex_error *error);
void regex_free(struct regex *regex);

/* May it match the empty string, and so everywhere? */
bool regex_matches_empty(const struct regex *regex);

/*
 * What a text must hold for a search in it to find anything, or to cost any
 * steps: what lacks it from `from` on is a miss, for free.
 */
const struct literals *regex_literals(const struct regex *regex);

/*
 * The steps that a search in `length` bytes is worth. A step is a byte passed;
 * an item of the expression that is tried counts as eight. A step takes about
 * 1 ns, and their number depends on expression and subject alone.
 */
uint64_t regex_allowance(size_t length);

/* Look for the first match that starts at or behind `from`. */
enum regex_result regex_search(const struct regex *regex,
    struct regex_search *search);

/*
 * The same with the usual allowance. On REGEX_HIT *start and *end are the byte
 * offsets of the match in subject.
 */
enum regex_result regex_find(const struct regex *regex, const char *subject,
    size_t length, size_t from, size_t *start, size_t *end);

#endif
