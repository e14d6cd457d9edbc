/* The patterns that are looked for, and where (man/patterns.5). */
#ifndef SCANNER_PATTERNS_H
#define SCANNER_PATTERNS_H

#include <stddef.h>

#include "regex.h"

/* Parts of a record a pattern can be looked for in. */
enum {
	IN_TEXT = 1,
	IN_ATTACHMENT = 2,
	IN_PAYLOAD = 4,
	IN_FILES = 8,
	IN_ANY = 15
};

struct pattern {
	char *name;
	unsigned parts;
	struct regex *regex;
};

/* In the order of the file. */
struct pattern_set {
	struct pattern *patterns;
	size_t count;
	size_t capacity;
	unsigned parts;		/* that any pattern is looked for in */
};

/*
 * The patterns of a file, or NULL with all that is wrong in it reported as
 * `path:line:column: reason`.
 */
struct pattern_set *patterns_load(const char *path);

/* A set of one pattern, or NULL with *error filled. */
struct pattern_set *patterns_single(const char *name, const char *expression,
    unsigned parts, struct regex_error *error);

void patterns_free(struct pattern_set *set);

/*
 * The parts named in a list such as "text,files"; 0 where a word of it is
 * none, *at is then its offset.
 */
unsigned patterns_parts(const char *list, size_t *at);

#endif
