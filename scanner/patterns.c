#include "patterns.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "rule_file.h"

#define NAME_BYTES_MAX 64
#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" \
	"0123456789_.-"

/* A name and the line it came with. */
struct known_name {
	char *name;
	size_t line;
};

struct loading {
	struct pattern_set *set;
	struct serials *serials;
	void *names;		/* tree of struct known_name */
};

unsigned
patterns_parts(const char *list, size_t *at)
{
	static const struct {
		const char *word;
		unsigned parts;
	} known[] = {
		{ "text", IN_TEXT }, { "attachment", IN_ATTACHMENT },
		{ "payload", IN_PAYLOAD }, { "files", IN_FILES },
		{ "any", IN_ANY },
	};
	unsigned parts = 0;

	for (const char *word = list;; word++) {
		size_t length = strcspn(word, ","), i = 0;

		while (i < sizeof known / sizeof known[0] &&
		    (strlen(known[i].word) != length ||
		    memcmp(known[i].word, word, length) != 0))
			i++;
		if (i == sizeof known / sizeof known[0]) {
			*at = (size_t)(word - list);
			return 0;
		}
		parts |= known[i].parts;
		word += length;
		if (*word == '\0')
			return parts;
	}
}

/* Compile, and refuse what would match everywhere. */
static struct regex *
compile(const char *expression, struct regex_error *error)
{
	struct regex *regex = regex_new(expression, error);

	if (regex == NULL || !regex_matches_empty(regex))
		return regex;
	*error = (struct regex_error){
		"matches the empty string, and so everywhere", 0
	};
	regex_free(regex);
	return NULL;
}

struct pattern *
pattern_new(const char *name, const char *expression, struct serials *serials,
    struct regex_error *error)
{
	struct regex *regex = compile(expression, error);

	if (regex == NULL)
		return NULL;
	struct pattern *pattern = xcalloc(1, sizeof *pattern);
	pattern->serial = ++serials->last;
	pattern->name = xstrdup(name);
	pattern->parts = IN_ANY;
	pattern->regex = regex;
	return pattern;
}

void
pattern_free(struct pattern *pattern)
{
	if (pattern == NULL)
		return;
	free(pattern->name);
	regex_free(pattern->regex);
	free(pattern);
}

static void
append_pattern(struct pattern_set *set, struct pattern *pattern)
{
	if (set->count == set->capacity) {
		set->capacity = set->capacity > 0 ? set->capacity * 2 : 16;
		set->patterns = xrealloc(set->patterns,
		    set->capacity * sizeof *set->patterns);
	}
	pattern->place = set->count;
	set->patterns[set->count++] = pattern;
	set->parts |= pattern->parts;
}

/* Takes the pattern over. */
static void
add_own_pattern(struct pattern_set *set, struct pattern *pattern)
{
	append_pattern(set, pattern);
	set->own_count = set->count;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const struct known_name *)a)->name,
	    ((const struct known_name *)b)->name);
}

static void
free_name(void *name)
{
	free(((struct known_name *)name)->name);
	free(name);
}

static int
take_name(struct loading *loading, const struct rule_line *line)
{
	size_t good = strspn(line->first, NAME_BYTES);

	if (line->first[good] != '\0') {
		rule_line_complain(line, line->first_column + good,
		    "a name is made of A-Z a-z 0-9 _ . -");
		return -1;
	}
	if (good > NAME_BYTES_MAX) {
		rule_line_complain(line, line->first_column,
		    "name over %d bytes", NAME_BYTES_MAX);
		return -1;
	}
	struct known_name *name = xmalloc(sizeof *name);
	*name = (struct known_name){ xstrdup(line->first), line->number };
	struct known_name *const *found = tsearch(name, &loading->names,
	    compare_names);
	if (*found == name)
		return 0;
	rule_line_complain(line, line->first_column,
	    "name %s is taken by line %zu", name->name, (*found)->line);
	free_name(name);
	return -1;
}

/* Look at all of the line before giving it up: each fault is reported. */
static int
take_line(const struct rule_line *line, void *arg)
{
	struct loading *loading = arg;
	struct regex_error error;
	size_t at = 0;
	int status = take_name(loading, line);
	unsigned parts = patterns_parts(line->second, &at);

	if (parts == 0) {
		rule_line_complain(line, line->second_column + at,
		    "expected text, attachment, payload, files or any, "
		    "joined by commas");
		status = -1;
	}
	struct pattern *pattern = pattern_new(line->first, line->rest,
	    loading->serials, &error);
	if (pattern == NULL) {
		rule_line_complain(line, line->rest_column + error.at, "%s",
		    error.reason);
		return -1;
	}
	pattern->parts = parts;
	if (status == -1)
		pattern_free(pattern);
	else
		add_own_pattern(loading->set, pattern);
	return status;
}

struct pattern_set *
patterns_load(const char *path, struct serials *serials)
{
	struct loading loading = { patterns_none(), serials, NULL };
	int status = rule_file_read(path, take_line, &loading);

	tdestroy(loading.names, free_name);
	if (status == 0)
		return loading.set;
	patterns_free(loading.set);
	return NULL;
}

struct pattern_set *
patterns_single(struct pattern *pattern)
{
	struct pattern_set *set = patterns_none();

	add_own_pattern(set, pattern);
	return set;
}

struct pattern_set *
patterns_none(void)
{
	return xcalloc(1, sizeof(struct pattern_set));
}

void
patterns_follow(struct pattern_set *set, struct pattern *const *patterns,
    size_t count)
{
	set->count = 0;
	set->parts = 0;
	for (size_t i = 0; i < set->own_count; i++)
		append_pattern(set, set->patterns[i]);
	for (size_t i = 0; i < count; i++)
		append_pattern(set, patterns[i]);
}

void
patterns_free(struct pattern_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->own_count; i++)
		pattern_free(set->patterns[i]);
	free(set->patterns);
	free(set);
}
