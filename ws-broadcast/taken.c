#include "taken.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define FIRST_CAPACITY 64

struct entry {
	struct uuid id;
	int64_t us;
};

struct taken {
	struct entry *entries;	/* a ring, once it has TAKEN_MAX */
	size_t capacity;
	size_t count;
	size_t next;
};

struct taken *
taken_new(void)
{
	return xcalloc(1, sizeof(struct taken));
}

void
taken_free(struct taken *taken)
{
	if (taken == NULL)
		return;
	free(taken->entries);
	free(taken);
}

static void
make_room(struct taken *taken)
{
	if (taken->count < taken->capacity || taken->capacity == TAKEN_MAX)
		return;
	taken->capacity = taken->capacity > 0 ? 2 * taken->capacity
	    : FIRST_CAPACITY;
	taken->entries = xrealloc(taken->entries,
	    taken->capacity * sizeof *taken->entries);
}

void
taken_add(struct taken *taken, const struct uuid *id, int64_t us)
{
	make_room(taken);
	taken->entries[taken->next] = (struct entry){ *id, us };
	taken->next = (taken->next + 1) % TAKEN_MAX;
	if (taken->count < TAKEN_MAX)
		taken->count++;
}

int64_t
taken_find(const struct taken *taken, const struct uuid *id)
{
	for (size_t i = 0; i < taken->count; i++)
		if (memcmp(&taken->entries[i].id, id, sizeof *id) == 0)
			return taken->entries[i].us;
	return 0;
}
