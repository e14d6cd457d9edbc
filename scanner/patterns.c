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

/* Takes name and regex over. */
static void
add_pattern(struct pattern_set *set, char *name, unsigned parts,
    struct regex *regex)
{
	if (set->count == set->capacity) {
		set->capacity = set->capacity > 0 ? set->capacity * 2 : 16;
		set->patterns = xrealloc(set->patterns,
		    set->capacity * sizeof *set->patterns);
	}
	set->patterns[set->count++] = (struct pattern){ name, parts, regex };
	set->parts |= parts;
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
	struct regex *regex = compile(line->rest, &error);
	if (regex == NULL) {
		rule_line_complain(line, line->rest_column + error.at, "%s",
		    error.reason);
		return -1;
	}
	if (status == -1)
		regex_free(regex);
	else
		add_pattern(loading->set, xstrdup(line->first), parts, regex);
	return status;
}

struct pattern_set *
patterns_load(const char *path)
{
	struct loading loading = { xcalloc(1, sizeof *loading.set), NULL };
	int status = rule_file_read(path, take_line, &loading);

	tdestroy(loading.names, free_name);
	if (status == 0)
		return loading.set;
	patterns_free(loading.set);
	return NULL;
}

struct pattern_set *
patterns_single(const char *name, const char *expression, unsigned parts,
    struct regex_error *error)
{
	struct regex *regex = compile(expression, error);

	if (regex == NULL)
		return NULL;
	struct pattern_set *set = xcalloc(1, sizeof *set);
	add_pattern(set, xstrdup(name), parts, regex);
	return set;
}

void
patterns_free(struct pattern_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->count; i++) {
		free(set->patterns[i].name);
		regex_free(set->patterns[i].regex);
	}
	free(set->patterns);
	free(set);
}
