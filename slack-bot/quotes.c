#include "quotes.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "utf8.h"

#define QUOTES_MAX 10000
#define QUOTE_BYTES_MAX 500

struct quotes {
	char **lines;
	size_t count;
};

void
quotes_free(struct quotes *quotes)
{
	if (quotes == NULL)
		return;
	for (size_t i = 0; i < quotes->count; i++)
		free(quotes->lines[i]);
	free(quotes->lines);
	free(quotes);
}

/* Blank lines and comments are none. */
static void
take_line(struct quotes *quotes, char *line, size_t length)
{
	while (length > 0 && strchr(" \t\r\n", line[length - 1]) != NULL)
		line[--length] = '\0';
	if (length == 0 || line[0] == '#' || length > QUOTE_BYTES_MAX ||
	    strlen(line) != length || !utf8_is_valid(line, length))
		return;
	quotes->lines = xrealloc(quotes->lines,
	    (quotes->count + 1) * sizeof *quotes->lines);
	quotes->lines[quotes->count++] = xstrdup(line);
}

static void
read_lines(struct quotes *quotes, FILE *file)
{
	char *line = NULL;
	size_t capacity = 0;
	ssize_t length;

	while (quotes->count < QUOTES_MAX &&
	    (length = getline(&line, &capacity, file)) != -1)
		take_line(quotes, line, (size_t)length);
	free(line);
}

struct quotes *
quotes_new(const char *path)
{
	struct quotes *quotes = xcalloc(1, sizeof *quotes);
	char own[] = "A green build is a promise, a red one is the truth.";
	FILE *file;

	if (path == NULL) {
		take_line(quotes, own, strlen(own));
		return quotes;
	}
	file = fopen(path, "re");
	if (file == NULL) {
		warn("%s", path);
		quotes_free(quotes);
		return NULL;
	}
	read_lines(quotes, file);
	fclose(file);
	if (quotes->count > 0)
		return quotes;
	warnx("%s: no line in it is a quote", path);
	quotes_free(quotes);
	return NULL;
}

const char *
quotes_pick(const struct quotes *quotes, uint64_t number)
{
	return quotes->lines[number % quotes->count];
}
