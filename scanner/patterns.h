/* The patterns that are looked for, and where (man/patterns.5). */
#ifndef SCANNER_PATTERNS_H
#define SCANNER_PATTERNS_H

#include <stddef.h>
#include <stdint.h>

#include "regex.h"

/* Parts of a record a pattern can be looked for in. */
enum {
	IN_TEXT = 1,
	IN_ATTACHMENT = 2,
	IN_PAYLOAD = 4,
	IN_FILES = 8,
	IN_ANY = 15
};

struct watch;

struct pattern {
	uint32_t serial;	/* no other one in this process has it */
	size_t place;		/* in the set */
	char *name;
	unsigned parts;
	struct regex *regex;
	struct watch *watch;	/* NULL: a pattern of the file */
};

/* In the order of the file; behind them those that people subscribed to. */
struct pattern_set {
	struct pattern **patterns;
	size_t count;
	size_t capacity;
	size_t own_count;	/* those of the file, which it frees */
	unsigned parts;		/* that any pattern is looked for in */
};

/* What patterns get their serials from. All zero to begin with. */
struct serials {
	uint32_t last;
};

/* A pattern, or NULL with *error filled. */
struct pattern *pattern_new(const char *name, const char *expression,
    struct serials *serials, struct regex_error *error);
void pattern_free(struct pattern *pattern);

/*
 * The patterns of a file, or NULL with all that is wrong in it reported as
 * `path:line:column: reason`.
 */
struct pattern_set *patterns_load(const char *path, struct serials *serials);

/* A set of this pattern alone, which it takes over. */
struct pattern_set *patterns_single(struct pattern *pattern);

/* A set that is empty as yet. */
struct pattern_set *patterns_none(void);

/*
 * Have these behind the patterns of the file, instead of the ones before.
 * They are borrowed; the array is copied.
 */
void patterns_follow(struct pattern_set *set, struct pattern *const *patterns,
    size_t count);

void patterns_free(struct pattern_set *set);

/*
 * The parts named in a list such as "text,files"; 0 where a word of it is
 * none, *at is then its offset.
 */
unsigned patterns_parts(const char *list, size_t *at);

#endif
