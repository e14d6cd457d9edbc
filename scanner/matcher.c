#include "matcher.h"

#include <err.h>
#include <hs/hs.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define NO_PLACE SIZE_MAX

/* Compiling these takes half a second and 100 MB. */
#define MATCHER_LITERALS_MAX 16384

/* The literals of a pattern, so many from the first on; 0: there was no room. */
struct entry {
	uint32_t serial;
	uint32_t first;
	uint32_t count;
};

struct matcher {
	struct entry *entries;	/* by serial */
	size_t entry_count;

	/* one each a literal */
	struct literal *literals;	/* until they are compiled */
	unsigned *flags;
	size_t *places;
	size_t literal_count;

	hs_database_t *database;
	hs_scratch_t *scratch;
};

static int
compare_entries(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	return (left->serial > right->serial) - (left->serial < right->serial);
}

static void
add_pattern(struct matcher *matcher, const struct pattern *pattern)
{
	const struct literals *literals = regex_literals(pattern->regex);
	size_t count = literals->count;

	if (count == 0)
		return;
	if (count > MATCHER_LITERALS_MAX - matcher->literal_count)
		count = 0;
	matcher->entries[matcher->entry_count++] = (struct entry){
		pattern->serial, (uint32_t)matcher->literal_count,
		(uint32_t)count
	};
	for (size_t i = 0; i < count; i++) {
		size_t place = matcher->literal_count++;

		matcher->literals[place] = literals->list[i];
		matcher->flags[place] = HS_FLAG_SINGLEMATCH |
		    (literals->is_caseless ? HS_FLAG_CASELESS : 0);
	}
}

struct matcher *
matcher_new(const struct pattern_set *set)
{
	struct matcher *matcher = xcalloc(1, sizeof *matcher);
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++)
		count += regex_literals(set->patterns[i]->regex)->count;
	matcher->entries = xcalloc(set->count + 1, sizeof *matcher->entries);
	matcher->literals = xcalloc(count + 1, sizeof *matcher->literals);
	matcher->flags = xcalloc(count + 1, sizeof *matcher->flags);
	matcher->places = xcalloc(count + 1, sizeof *matcher->places);
	for (size_t i = 0; i < set->count; i++)
		add_pattern(matcher, set->patterns[i]);
	qsort(matcher->entries, matcher->entry_count,
	    sizeof *matcher->entries, compare_entries);
	return matcher;
}

void
matcher_free(struct matcher *matcher)
{
	if (matcher == NULL)
		return;
	hs_free_scratch(matcher->scratch);
	hs_free_database(matcher->database);
	free(matcher->entries);
	free(matcher->literals);
	free(matcher->flags);
	free(matcher->places);
	free(matcher);
}

static int
compile(struct matcher *matcher, const char **texts, size_t *lengths,
    unsigned *ids)
{
	hs_compile_error_t *error = NULL;

	for (size_t i = 0; i < matcher->literal_count; i++) {
		texts[i] = matcher->literals[i].bytes;
		lengths[i] = matcher->literals[i].length;
		ids[i] = (unsigned)i;
	}
	if (hs_compile_lit_multi(texts, matcher->flags, ids, lengths,
	    (unsigned)matcher->literal_count, HS_MODE_BLOCK, NULL,
	    &matcher->database, &error) == HS_SUCCESS)
		return 0;
	warnx("compile literals: %s", error != NULL ? error->message : "?");
	hs_free_compile_error(error);
	return -1;
}

int
matcher_compile(struct matcher *matcher)
{
	size_t count = matcher->literal_count;

	if (count == 0)
		return 0;
	const char **texts = xcalloc(count, sizeof *texts);
	size_t *lengths = xcalloc(count, sizeof *lengths);
	unsigned *ids = xcalloc(count, sizeof *ids);
	int status = compile(matcher, texts, lengths, ids);

	free(texts);
	free(lengths);
	free(ids);
	free(matcher->literals);
	matcher->literals = NULL;
	if (status == -1)
		return -1;
	if (hs_alloc_scratch(matcher->database, &matcher->scratch) ==
	    HS_SUCCESS)
		return 0;
	warnx("compile literals: no scratch");
	return -1;
}

static const struct entry *
find_entry(const struct matcher *matcher, uint32_t serial)
{
	struct entry key = { .serial = serial };

	return matcher == NULL ? NULL : bsearch(&key, matcher->entries,
	    matcher->entry_count, sizeof key, compare_entries);
}

size_t
matcher_bind(struct matcher *matcher, const struct pattern_set *set,
    struct places *others)
{
	size_t unknown = 0;

	places_clear(others, set->count);
	for (size_t i = 0; matcher != NULL && i < matcher->literal_count; i++)
		matcher->places[i] = NO_PLACE;
	for (size_t i = 0; i < set->count; i++) {
		const struct pattern *pattern = set->patterns[i];
		const struct entry *entry = find_entry(matcher,
		    pattern->serial);

		if (entry == NULL)
			unknown += regex_literals(pattern->regex)->count > 0;
		if (entry == NULL || entry->count == 0)
			places_add(others, i);
		else
			for (size_t j = 0; j < entry->count; j++)
				matcher->places[entry->first + j] = i;
	}
	return unknown;
}

size_t
matcher_size(const struct matcher *matcher)
{
	return matcher->entry_count;
}

/* What Vectorscan needs to tell a place. */
struct search {
	const size_t *places_of;
	struct places *places;
};

static int
take_hit(unsigned id, unsigned long long from, unsigned long long to,
    unsigned flags, void *arg)
{
	struct search *search = arg;

	(void)from;
	(void)to;
	(void)flags;
	if (search->places_of[id] != NO_PLACE)
		places_add(search->places, search->places_of[id]);
	return 0;
}

int
matcher_find(struct matcher *matcher, const char *text, size_t length,
    struct places *places)
{
	struct search search = { matcher->places, places };

	if (matcher->database == NULL)
		return 0;
	return hs_scan(matcher->database, text, (unsigned)length, 0,
	    matcher->scratch, take_hit, &search) == HS_SUCCESS ? 0 : -1;
}
