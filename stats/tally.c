#include "tally.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "utf8.h"

struct named_count {
	char *name;
	int64_t count;
	int64_t occasion;	/* when it was last added to */
};

struct tally {
	void *tree;		/* of struct named_count, by tsearch(3) */
	size_t names;
	size_t names_max;
};

static int
compare_entries(const void *left, const void *right)
{
	const struct named_count *a = left, *b = right;

	return strcmp(a->name, b->name);
}

bool
tally_is_count(const cJSON *number)
{
	return cJSON_IsNumber(number) && number->valuedouble >= 0 &&
	    number->valuedouble <= TALLY_COUNT_MAX &&
	    (double)(int64_t)number->valuedouble == number->valuedouble;
}

struct tally *
tally_new(void)
{
	return tally_new_of(TALLY_NAMES_MAX);
}

struct tally *
tally_new_of(size_t names_max)
{
	struct tally *tally = xcalloc(1, sizeof *tally);

	tally->names_max = names_max;
	return tally;
}

static void
free_entry(void *node)
{
	struct named_count *entry = node;

	free(entry->name);
	free(entry);
}

void
tally_free(struct tally *tally)
{
	if (tally == NULL)
		return;
	tdestroy(tally->tree, free_entry);
	free(tally);
}

static struct named_count *
find_entry(const struct tally *tally, char *name)
{
	struct named_count wanted = { .name = name };
	void *const *node = tfind(&wanted, &tally->tree, compare_entries);

	return node != NULL ? *node : NULL;
}

static struct named_count *
insert_entry(struct tally *tally, const char *name)
{
	struct named_count *entry = xcalloc(1, sizeof *entry);

	entry->name = xstrdup(name);
	if (tsearch(entry, &tally->tree, compare_entries) == NULL)
		abort();	/* out of memory */
	if (strcmp(name, TALLY_REST) != 0)	/* it is in a file, perhaps */
		tally->names++;
	return entry;
}

/* The entry for the name, or for all the rest. */
static struct named_count *
obtain_entry(struct tally *tally, const char *name)
{
	char cut[TALLY_NAME_BYTES_MAX + 1];
	size_t length = strlen(name);

	if (length > TALLY_NAME_BYTES_MAX)
		length = utf8_floor(name, TALLY_NAME_BYTES_MAX);
	memcpy(cut, name, length);
	cut[length] = '\0';

	struct named_count *entry = find_entry(tally, cut);
	if (entry == NULL && tally->names >= tally->names_max) {
		strcpy(cut, TALLY_REST);
		entry = find_entry(tally, cut);
	}
	if (entry == NULL)
		entry = insert_entry(tally, cut);
	return entry;
}

void
tally_add(struct tally *tally, const char *name, int64_t count)
{
	struct named_count *entry = obtain_entry(tally, name);

	entry->count = count < TALLY_COUNT_MAX - entry->count ?
	    entry->count + count : TALLY_COUNT_MAX;
}

void
tally_add_once(struct tally *tally, const char *name, int64_t occasion)
{
	struct named_count *entry = obtain_entry(tally, name);

	if (entry->occasion == occasion)
		return;
	entry->occasion = occasion;
	entry->count++;
}

void
tally_remove(struct tally *tally, const char *name)
{
	struct named_count *entry = find_entry(tally, (char *)name);

	if (entry == NULL)
		return;
	tdelete(entry, &tally->tree, compare_entries);
	if (strcmp(name, TALLY_REST) != 0)
		tally->names--;
	free_entry(entry);
}

int64_t
tally_count(const struct tally *tally, const char *name)
{
	const struct named_count *entry = find_entry(tally, (char *)name);

	return entry != NULL ? entry->count : 0;
}

struct visit {
	void (*visit)(const char *name, int64_t count, void *arg);
	void *arg;
};

static void
visit_node(const void *node, VISIT order, void *arg)
{
	const struct named_count *entry = *(const struct named_count *const *)node;
	const struct visit *visit = arg;

	if (order == postorder || order == leaf)
		visit->visit(entry->name, entry->count, visit->arg);
}

void
tally_visit(const struct tally *tally,
    void (*visit)(const char *name, int64_t count, void *arg), void *arg)
{
	struct visit call = { visit, arg };

	twalk_r(tally->tree, visit_node, &call);
}

static void
add_to_json(const char *name, int64_t count, void *arg)
{
	cJSON_AddNumberToObject(arg, name, (double)count);
}

cJSON *
tally_to_json(const struct tally *tally)
{
	cJSON *object = cJSON_CreateObject();

	tally_visit(tally, add_to_json, object);
	return object;
}

void
tally_add_json(struct tally *tally, const cJSON *object)
{
	const cJSON *member;

	cJSON_ArrayForEach(member, object)
		if (tally_is_count(member))
			tally_add(tally, member->string,
			    (int64_t)member->valuedouble);
}
