#include "places.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

static void
make_room(struct places *places, size_t count)
{
	if (places->capacity < count) {
		places->capacity = count;
		places->words = xrealloc(places->words,
		    count * sizeof *places->words);
	}
	places->count = count;
}

void
places_clear(struct places *places, size_t limit)
{
	make_room(places, (limit + 63) / 64);
	if (places->count > 0)
		memset(places->words, 0,
		    places->count * sizeof *places->words);
}

void
places_fill(struct places *places, size_t limit)
{
	make_room(places, (limit + 63) / 64);
	for (size_t i = 0; i < places->count; i++)
		places->words[i] = UINT64_MAX;
	if (limit % 64 != 0)
		places->words[places->count - 1] >>= 64 - limit % 64;
}

void
places_copy(struct places *places, const struct places *from)
{
	make_room(places, from->count);
	if (from->count > 0)
		memcpy(places->words, from->words,
		    from->count * sizeof *from->words);
}

void
places_free(struct places *places)
{
	free(places->words);
	*places = (struct places){ 0 };
}

size_t
places_next(const struct places *places, size_t from)
{
	size_t i = from / 64;

	if (i >= places->count)
		return PLACES_END;
	uint64_t word = places->words[i] & UINT64_MAX << from % 64;
	while (word == 0)
		if (++i == places->count)
			return PLACES_END;
		else
			word = places->words[i];
	return i * 64 + (size_t)__builtin_ctzll(word);
}
