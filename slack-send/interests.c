#include "interests.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* Is the match of a class that counts? */
static bool
counts(struct record *record, const cJSON *match)
{
	const char *only = json_string(match, "only");
	const char *class = record_string(record, RECORD_CLASS);

	return only == NULL || (class != NULL && strcmp(only, class) == 0);
}

static void
add_users(struct interests *interests, size_t *capacity, const cJSON *match,
    size_t place)
{
	const cJSON *user;

	cJSON_ArrayForEach(user, json_get(match, "for")) {
		if (user->string == NULL)
			continue;
		if (interests->count == *capacity) {
			*capacity = 2 * *capacity + 64;
			interests->all = xrealloc(interests->all,
			    *capacity * sizeof *interests->all);
		}
		interests->all[interests->count++] = (struct interest){
			user->string, match, place };
	}
}

static int
compare(const void *a, const void *b)
{
	const struct interest *left = a, *right = b;
	int order = strcmp(left->user, right->user);

	return order != 0 ? order : (left->place > right->place) -
	    (left->place < right->place);
}

/* A user may stand at a match twice. */
static void
sort(struct interests *interests)
{
	struct interest *all = interests->all;
	size_t kept = 0;

	if (interests->count > 0)
		qsort(all, interests->count, sizeof *all, compare);
	for (size_t i = 0; i < interests->count; i++)
		if (kept == 0 || compare(&all[kept - 1], &all[i]) != 0)
			all[kept++] = all[i];
	interests->count = kept;
}

struct interests
interests_read(struct record *record)
{
	struct interests interests = { 0 };
	size_t capacity = 0, place = 0;
	const cJSON *match;

	cJSON_ArrayForEach(match, record_array(record, RECORD_MATCHES)) {
		if (counts(record, match))
			add_users(&interests, &capacity, match, place);
		place++;
	}
	sort(&interests);
	return interests;
}

void
interests_free(struct interests *interests)
{
	free(interests->all);
}

/* The first that is not before the user's. */
static size_t
find_first(const struct interests *interests, const char *user)
{
	size_t low = 0, high = interests->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(interests->all[middle].user, user) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct interests
interests_of(const struct interests *interests, const char *user)
{
	size_t first = find_first(interests, user), end = first;

	while (end < interests->count && end - first < INTERESTS_MAX &&
	    strcmp(interests->all[end].user, user) == 0)
		end++;
	return (struct interests){ interests->count == 0 ? NULL
	    : interests->all + first, end - first };
}
