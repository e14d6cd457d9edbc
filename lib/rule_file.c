#include "rule_file.h"

#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

void
rule_line_complain(const struct rule_line *line, size_t column,
    const char *format, ...)
{
	char reason[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	warnx("%s:%zu:%zu: %s", line->path, line->number, column, reason);
}

/* Cut a word off; *at moves to what stands behind the blanks after it. */
static char *
cut_word(char **at)
{
	char *word = *at, *end = word + strcspn(word, " \t");

	*at = end + strspn(end, " \t");
	if (*end != '\0')
		*end = '\0';
	return word;
}

static int
take_text(struct rule_line *line, char *text, size_t length,
    int (*take)(const struct rule_line *line, void *arg), void *arg)
{
	char *at = text + strspn(text, " \t");

	if (length > RULE_LINE_BYTES_MAX || strlen(text) != length ||
	    !utf8_is_valid(text, length)) {
		rule_line_complain(line, 1, length > RULE_LINE_BYTES_MAX
		    ? "line over 64 KiB" : "not UTF-8 text");
		return -1;
	}
	if (*at == '\0' || *at == '#')
		return 0;
	line->first_column = (size_t)(at - text) + 1;
	line->first = cut_word(&at);
	line->second_column = (size_t)(at - text) + 1;
	line->second = cut_word(&at);
	line->rest_column = (size_t)(at - text) + 1;
	line->rest = at;
	if (*line->rest == '\0') {
		rule_line_complain(line, line->rest_column,
		    "expected two words and a regular expression");
		return -1;
	}
	return take(line, arg);
}

static int
take_lines(const char *path, FILE *file,
    int (*take)(const struct rule_line *line, void *arg), void *arg)
{
	struct rule_line line = { .path = path };
	char *text = NULL;
	size_t capacity = 0;
	ssize_t length;
	int status = 0;

	while ((length = getline(&text, &capacity, file)) != -1) {
		while (length > 0 && text[length - 1] != '\0' &&
		    strchr("\n\r\t ", text[length - 1]))
			text[--length] = '\0';
		if (line.number == 0 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
			memmove(text, text + 3, (size_t)(length -= 3) + 1);
		if (++line.number > RULE_LINES_MAX) {
			rule_line_complain(&line, 1, "more than %d lines",
			    RULE_LINES_MAX);
			status = -1;
			break;
		}
		if (take_text(&line, text, (size_t)length, take, arg) == -1)
			status = -1;
	}
	if (ferror(file)) {
		warn("read %s", path);
		status = -1;
	}
	free(text);
	return status;
}

int
rule_file_read(const char *path,
    int (*take)(const struct rule_line *line, void *arg), void *arg)
{
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		warn("open %s", path);
		return -1;
	}
	int status = take_lines(path, file, take, arg);
	fclose(file);
	return status;
}
