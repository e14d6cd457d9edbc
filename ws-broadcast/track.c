#include "track.h"

#include <stdlib.h>
#include <string.h>

#include "subscriptions.h"

#define NONE "{\"msg\":\"No pattern set for match\"}"

/* By term, then in the order they came. */
static int
compare(const void *a, const void *b)
{
	const struct subscription *first = *(struct subscription *const *)a;
	const struct subscription *second = *(struct subscription *const *)b;
	int order = strcmp(first->term, second->term);

	return order != 0 ? order : (first->from > second->from) -
	    (first->from < second->from);
}

/* Leave the forwards that stand, freeing the others. */
static void
keep_forwards(struct subscriptions *table)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->count; i++) {
		struct subscription *line = table->lines[i];

		if (line->kind == SUBSCRIPTION_FORWARD && line->to == 0)
			table->lines[kept++] = line;
		else
			free(line);
	}
	table->count = kept;
}

static void
append_users(struct buffer *json, struct subscription *const *lines,
    size_t count)
{
	struct buffer users = { 0 };

	for (size_t i = 0; i < count; i++)
		buffer_printf(&users, "%s%s", i > 0 ? ", " : "",
		    lines[i]->user);
	buffer_append_json(json, lines[0]->term, strlen(lines[0]->term));
	buffer_append_string(json, ":");
	buffer_append_json(json, users.data, users.length);
	buffer_free(&users);
}

static void
append_terms(struct buffer *json, const struct subscriptions *table)
{
	struct subscription **lines = table->lines;

	for (size_t i = 0, next; i < table->count; i = next) {
		for (next = i + 1; next < table->count && strcmp(
		    lines[next]->term, lines[i]->term) == 0; next++)
			;
		buffer_append_string(json, i == 0 ? "{" : ",");
		append_users(json, lines + i, next - i);
	}
	buffer_append_string(json, "}");
}

int
track_append(struct buffer *json, const char *path)
{
	struct subscriptions table = { 0 };
	size_t bad;

	if (path != NULL && subscriptions_read(&table, path, &bad) == -1)
		return -1;
	keep_forwards(&table);
	if (table.count == 0) {
		buffer_append_string(json, NONE);
	} else {
		qsort(table.lines, table.count, sizeof *table.lines, compare);
		append_terms(json, &table);
	}
	subscriptions_free(&table);
	return 0;
}
