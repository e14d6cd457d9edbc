/*
 * Which patterns of a set may match in a text, in one pass over it. Those
 * whose literals the text lacks can't, and looking for them costs no steps
 * (regex_literals): what is found is the same without the prefilter. After a
 * change of the set a thread compiles beside the stream; until it is ready the
 * new patterns are among those that may match.
 */
#ifndef SCANNER_PREFILTER_H
#define SCANNER_PREFILTER_H

#include <stddef.h>

#include "patterns.h"
#include "places.h"

struct prefilter;

struct prefilter *prefilter_new(void);
void prefilter_free(struct prefilter *prefilter);

/*
 * The set has changed, or is another one. Returns at once. The set is borrowed
 * up to the next call; each change of it must be told before it is used.
 */
void prefilter_update(struct prefilter *prefilter,
    const struct pattern_set *set);

/* The places of the patterns that may match in text. */
void prefilter_find(struct prefilter *prefilter, const char *text,
    size_t length, struct places *candidates);

#endif
