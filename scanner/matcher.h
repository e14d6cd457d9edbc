/*
 * The literals of many patterns, looked for in one pass by Vectorscan. It
 * finds exactly the patterns whose literals allow a match (lib/literals.h).
 */
#ifndef SCANNER_MATCHER_H
#define SCANNER_MATCHER_H

#include "patterns.h"
#include "places.h"

struct matcher;

/* A copy of the literals of a set's patterns, which may be gone then. */
struct matcher *matcher_new(const struct pattern_set *set);
void matcher_free(struct matcher *matcher);

/*
 * Compile it, in any thread: 50 ms for 2,000 literals. Returns 0, or -1 with
 * the reason reported, and then it can but be freed.
 */
int matcher_compile(struct matcher *matcher);

/*
 * Have it (or NULL) find the places in this set. Fills `others` with those of
 * the patterns that it does not look for: they have no literals, there was no
 * room for them, or they are not known to it; returns how many are not known.
 */
size_t matcher_bind(struct matcher *matcher, const struct pattern_set *set,
    struct places *others);

/* How many patterns does it know? */
size_t matcher_size(const struct matcher *matcher);

/* Add the places of the patterns found in text. Returns 0, or -1: any may be. */
int matcher_find(struct matcher *matcher, const char *text, size_t length,
    struct places *places);

#endif
