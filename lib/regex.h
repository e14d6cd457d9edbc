/*
 * Regular expressions of strangers: PCRE2 with JIT, UTF-8, ^ and $ at lines,
 * and limits that no pattern can exceed.
 */
#ifndef LIB_REGEX_H
#define LIB_REGEX_H

#include <stddef.h>

struct regex;

enum regex_result {
	REGEX_MISS,
	REGEX_HIT,
	REGEX_LIMIT	/* given up: match, depth or heap limit */
};

/* What is wrong with an expression, and at which byte of it. */
struct regex_error {
	char reason[160];
	size_t at;
};

/* Compile; NULL with *error filled where the expression is wrong. */
struct regex *regex_new(const char *expression, struct regex_error *error);
void regex_free(struct regex *regex);

/*
 * Look for the first match at or behind `from`. On REGEX_HIT *start and *end
 * are its byte offsets in subject. The subject need not be valid UTF-8.
 */
enum regex_result regex_find(const struct regex *regex, const char *subject,
    size_t length, size_t from, size_t *start, size_t *end);

#endif
