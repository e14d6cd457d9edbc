/* Some of the patterns of a set, by their places in it: a bit for each. */
#ifndef SCANNER_PLACES_H
#define SCANNER_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACES_END SIZE_MAX

/* All zero is none, with room for none. */
struct places {
	uint64_t *words;
	size_t count;		/* of words */
	size_t capacity;
};

/* None, with room for those below limit. */
void places_clear(struct places *places, size_t limit);

/* All below limit. */
void places_fill(struct places *places, size_t limit);

void places_copy(struct places *places, const struct places *from);
void places_free(struct places *places);

/* The first one from `from` on, or PLACES_END. */
size_t places_next(const struct places *places, size_t from);

static inline void
places_add(struct places *places, size_t place)
{
	places->words[place / 64] |= UINT64_C(1) << place % 64;
}

static inline bool
places_has(const struct places *places, size_t place)
{
	return (places->words[place / 64] >> place % 64 & 1) != 0;
}

#endif
