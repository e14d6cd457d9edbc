#include "subscriptions.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "term.h"
#include "utf8.h"

#define HEADING "# Subscriptions of Ultron. slack-bot writes this file;" \
	" stop Ultron before you edit it.\n"
#define SEQ_WORD "seq"
#define NONE "-"
#define ANY "any"
#define FIELDS_MAX 8
#define WORD_BYTES_MAX 255
#define LINES_MAX 100000	/* that a file may have */
#define UNTIL_S_MAX (INT64_MAX / 1000000)	/* is counted in microseconds */

/* The fields of a line behind its kind; the last one is the rest of it. */
static const struct {
	const char *word;
	size_t fields;
} kinds[] = {
	[SUBSCRIPTION_FORWARD] = { "forward", 7 },
	[SUBSCRIPTION_REFUSED] = { "refused", 7 },
	[SUBSCRIPTION_MUTE] = { "mute", 4 },
	[SUBSCRIPTION_JOB] = { "job", 6 },
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static const char *const places[] = {
	[SUBSCRIPTION_ANYWHERE] = ANY,
	[SUBSCRIPTION_TEXT] = "text",
	[SUBSCRIPTION_FILES] = "files",
};

static const char *const classes[] = { "success", "warning", "danger" };

/* --- a line -----------------------------------------------------------------*/

/* Cut the text up in place; returns how many fields there are. */
static size_t
split(char *text, char **fields, size_t most)
{
	size_t count = 0;

	while (count < most && *text != '\0') {
		fields[count++] = text;
		if (count == most)
			break;
		text += strcspn(text, " ");
		if (*text != '\0')
			*text++ = '\0';
	}
	return count;
}

/* 0 for NONE; -1 where it is no number. */
static int64_t
parse_number(const char *word, const char *least)
{
	char *end;
	int64_t number;

	if (strcmp(word, NONE) == 0)
		return 0;
	errno = 0;
	number = strtoll(word, &end, 10);
	return *word < *least || *word > '9' || *end != '\0' || errno != 0
	    ? -1 : number;
}

static const char *
parse_word(const char *word, const char *none)
{
	return strcmp(word, none) == 0 ? NULL : word;
}

static bool
is_class(const char *word)
{
	for (size_t i = 0; i < 3; i++)
		if (strcmp(word, classes[i]) == 0)
			return true;
	return strcmp(word, ANY) == 0;
}

static bool
parse_where(const char *word, enum subscription_where *where)
{
	for (size_t i = 0; i < 3; i++)
		if (strcmp(word, places[i]) == 0) {
			*where = (enum subscription_where)i;
			return true;
		}
	return false;
}

/* Returns what is wrong with it, or NULL. */
static const char *
parse_forward(struct subscription *line, char **fields)
{
	line->in = parse_word(fields[3], ANY);
	if (!parse_where(fields[4], &line->where))
		return "WHERE is text, files or any";
	if (!is_class(fields[5]))
		return "CLASS is success, warning, danger or any";
	line->class = parse_word(fields[5], ANY);
	line->term = fields[6];
	return strlen(line->term) > TERM_BYTES_MAX ? "the term is too long"
	    : NULL;
}

static const char *
parse_job(struct subscription *line, char **fields)
{
	line->channel = fields[3];
	line->thread = parse_word(fields[4], NONE);
	line->words = fields[5];
	return NULL;
}

static const char *
parse_fields(struct subscription *line, char **fields)
{
	line->from = parse_number(fields[0], "0");
	line->to = parse_number(fields[1], "1");
	line->user = fields[2];
	if (line->from == -1 || line->to == -1)
		return "FROM and TO are numbers, or TO is -";
	for (size_t i = 0; i + 1 < kinds[line->kind].fields; i++)
		if (*fields[i] == '\0' || strlen(fields[i]) > WORD_BYTES_MAX)
			return "a field is empty or over 255 bytes";
	if (line->kind == SUBSCRIPTION_JOB)
		return parse_job(line, fields);
	if (line->kind != SUBSCRIPTION_MUTE)
		return parse_forward(line, fields);
	line->until_s = parse_number(fields[3], "0");
	return line->until_s == -1 ? "UNTIL is a number or -"
	    : line->until_s > UNTIL_S_MAX ? "UNTIL is too far away" : NULL;
}

/* Read what stands in text, which is cut up. */
static const char *
parse_text(struct subscription *line, char *text)
{
	char *rest = text + strcspn(text, " "), *fields[FIELDS_MAX];
	size_t kind = 0;

	if (*rest != '\0')
		*rest++ = '\0';
	while (kind < KINDS && strcmp(kinds[kind].word, text) != 0)
		kind++;
	if (kind == KINDS)
		return "expected seq, forward, refused, mute or job";
	line->kind = (enum subscription_kind)kind;
	if (split(rest, fields, kinds[kind].fields) < kinds[kind].fields)
		return "a field is missing";
	return parse_fields(line, fields);
}

static bool
is_clean(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ')
			return false;
	return utf8_is_valid(text, length);
}

struct subscription *
subscription_parse(const char *text, size_t length, const char **reason)
{
	struct subscription *line;

	*reason = length > SUBSCRIPTION_LINE_BYTES_MAX ? "the line is too long"
	    : !is_clean(text, length) ? "it is not plain UTF-8" : NULL;
	if (*reason != NULL)
		return NULL;
	line = xcalloc(1, sizeof *line + length + 1);
	memcpy(line + 1, text, length);
	*reason = parse_text(line, (char *)(line + 1));
	if (*reason == NULL)
		return line;
	free(line);
	return NULL;
}

static void
print_word(struct buffer *out, const char *word, const char *none)
{
	buffer_printf(out, " %s", word != NULL ? word : none);
}

static void
print_number(struct buffer *out, int64_t number)
{
	if (number != 0)
		buffer_printf(out, " %" PRId64, number);
	else
		buffer_append_string(out, " " NONE);
}

void
subscription_print(const struct subscription *line, struct buffer *out)
{
	buffer_printf(out, "%s %" PRId64, kinds[line->kind].word, line->from);
	print_number(out, line->to);
	print_word(out, line->user, NONE);
	switch (line->kind) {
	case SUBSCRIPTION_FORWARD:
	case SUBSCRIPTION_REFUSED:
		print_word(out, line->in, ANY);
		print_word(out, places[line->where], ANY);
		print_word(out, line->class, ANY);
		print_word(out, line->term, "");
		break;
	case SUBSCRIPTION_MUTE:
		print_number(out, line->until_s);
		break;
	case SUBSCRIPTION_JOB:
		print_word(out, line->channel, NONE);
		print_word(out, line->thread, NONE);
		print_word(out, line->words, "");
		break;
	}
}

struct subscription *
subscription_copy(const struct subscription *line)
{
	struct buffer text = { 0 };
	struct subscription *copy;
	const char *reason;

	subscription_print(line, &text);
	copy = subscription_parse(buffer_string(&text), text.length, &reason);
	buffer_free(&text);
	return copy;
}

bool
subscription_in_force(const struct subscription *line, int64_t seq)
{
	if (seq == 0)
		return line->to == 0;
	return line->from < seq && (line->to == 0 || line->to >= seq);
}

/* --- the table --------------------------------------------------------------*/

void
subscriptions_free(struct subscriptions *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->lines[i]);
	free(table->lines);
	*table = (struct subscriptions){ 0 };
}

static bool
has_term(const struct subscription *line)
{
	return line->kind == SUBSCRIPTION_FORWARD ||
	    line->kind == SUBSCRIPTION_REFUSED;
}

static bool
is_same(const struct subscription *a, const struct subscription *b)
{
	return a->from == b->from && a->kind == b->kind &&
	    strcmp(a->user, b->user) == 0 &&
	    (!has_term(a) || strcmp(a->term, b->term) == 0);
}

static void
append_line(struct subscriptions *table, struct subscription *line)
{
	if (table->count == table->capacity) {
		table->capacity = table->capacity > 0 ? 2 * table->capacity
		    : 64;
		table->lines = xrealloc(table->lines,
		    table->capacity * sizeof *table->lines);
	}
	table->lines[table->count++] = line;
}

struct subscription *
subscriptions_take(struct subscriptions *table, struct subscription *line)
{
	struct subscription *ended = NULL;
	bool is_known = false;

	/* somebody may have written it into the file twice */
	for (size_t i = 0; i < table->count; i++) {
		struct subscription *known = table->lines[i];

		if (!is_same(known, line))
			continue;
		is_known = true;
		if (known->to == 0 && line->to != 0) {
			known->to = line->to;
			ended = known;
		}
	}
	if (is_known) {
		free(line);
		return ended;
	}
	append_line(table, line);
	return line;
}

static void
remove_at(struct subscriptions *table, size_t index)
{
	free(table->lines[index]);
	table->count--;
	memmove(table->lines + index, table->lines + index + 1,
	    (table->count - index) * sizeof *table->lines);
}

void
subscriptions_remove(struct subscriptions *table,
    const struct subscription *line)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->lines[i] == line) {
			remove_at(table, i);
			return;
		}
}

int64_t
subscriptions_next_from(const struct subscriptions *table)
{
	int64_t highest = table->seq;

	for (size_t i = 0; i < table->count; i++) {
		const struct subscription *line = table->lines[i];

		if (line->from > highest)
			highest = line->from;
		if (line->to > highest)
			highest = line->to;
	}
	return highest < INT64_MAX ? highest + 1 : highest;
}

static int
compare_descending(const void *a, const void *b)
{
	int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;

	return (first < second) - (first > second);
}

/* What ended before that record is forgotten. */
static int64_t
find_oldest_end(const struct subscriptions *table)
{
	int64_t *ends = xcalloc(table->count + 1, sizeof *ends);
	int64_t oldest = table->seq - SUBSCRIPTION_ENDED_SEQS;
	size_t count = 0;

	for (size_t i = 0; i < table->count; i++)
		if (table->lines[i]->to != 0)
			ends[count++] = table->lines[i]->to;
	qsort(ends, count, sizeof *ends, compare_descending);
	if (count > SUBSCRIPTION_ENDED_MAX &&
	    ends[SUBSCRIPTION_ENDED_MAX - 1] > oldest)
		oldest = ends[SUBSCRIPTION_ENDED_MAX - 1];
	free(ends);
	return oldest;
}

void
subscriptions_tidy(struct subscriptions *table)
{
	int64_t oldest = find_oldest_end(table);
	size_t kept = 0;

	for (size_t i = 0; i < table->count; i++) {
		struct subscription *line = table->lines[i];

		if (line->to != 0 && line->to < oldest)
			free(line);
		else
			table->lines[kept++] = line;
	}
	table->count = kept;
}

/* --- the file ---------------------------------------------------------------*/

static const char *
read_line(struct subscriptions *table, const char *text, size_t length)
{
	const size_t word = strlen(SEQ_WORD);
	struct subscription *line;
	const char *reason;
	int64_t seq;

	if (length == 0 || text[0] == '#')
		return NULL;
	if (length > word && strncmp(text, SEQ_WORD " ", word + 1) == 0) {
		seq = parse_number(text + word + 1, "0");
		if (seq > table->seq)
			table->seq = seq;
		return seq == -1 ? "expected a number" : NULL;
	}
	if (table->count >= LINES_MAX)
		return "there are too many lines";
	line = subscription_parse(text, length, &reason);
	if (line != NULL)
		append_line(table, line);
	return reason;
}

static void
read_lines(struct subscriptions *table, const char *path, FILE *file,
    size_t *bad)
{
	char *text = NULL;
	size_t capacity = 0, number = 0;
	ssize_t length;

	while ((length = getline(&text, &capacity, file)) != -1) {
		const char *reason;

		number++;
		if (length > 0 && text[length - 1] == '\n')
			text[--length] = '\0';
		reason = read_line(table, text, (size_t)length);
		if (reason == NULL)
			continue;
		warnx("%s:%zu: %s", path, number, reason);
		++*bad;
	}
	free(text);
}

int
subscriptions_read(struct subscriptions *table, const char *path, size_t *bad)
{
	FILE *file = fopen(path, "re");
	int error = 0;

	*bad = 0;
	if (file == NULL)
		return errno == ENOENT ? 0 : -1;
	errno = 0;
	read_lines(table, path, file, bad);
	if (ferror(file))
		error = errno != 0 ? errno : EIO;
	fclose(file);
	errno = error;
	return error == 0 ? 0 : -1;
}

void
subscriptions_print(const struct subscriptions *table, struct buffer *out)
{
	buffer_printf(out, HEADING SEQ_WORD " %" PRId64 "\n", table->seq);
	for (size_t i = 0; i < table->count; i++) {
		subscription_print(table->lines[i], out);
		buffer_append(out, "\n", 1);
	}
}
