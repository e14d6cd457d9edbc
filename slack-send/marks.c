#include "marks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "markup.h"
#include "memory.h"
#include "record.h"

#define EXCERPT_CHARACTERS 300
#define BLANKS " \t\r\n"
#define JOINER "\xe2\x80\x8b"	/* a border of words that nobody sees */
#define DIGITS "0123456789"
#define EMOJI_LETTERS "abcdefghijklmnopqrstuvwxyz" DIGITS "_+'-"

/* One line of it; a blank at an end stays, outside of the marks: Slack takes no
 * others for bold. */
static void
append_piece(struct buffer *out, const char *text, size_t length,
    bool is_match)
{
	char *piece = xstrndup(text, length);
	bool is_blank = piece[strspn(piece, BLANKS)] == '\0';

	if (length > 0 && strchr(BLANKS, text[0]) != NULL)
		buffer_append(out, " ", 1);
	if (is_match && !is_blank)
		buffer_append_string(out, JOINER "*");
	markup_append_line(out, piece, EXCERPT_CHARACTERS, false);
	if (is_match && !is_blank)
		buffer_append_string(out, "*" JOINER);
	if (!is_blank && strchr(BLANKS, text[length - 1]) != NULL)
		buffer_append(out, " ", 1);
	free(piece);
}

/* Within `code` stars are nothing but stars. */
static bool
is_in_code(const char *excerpt, size_t start, size_t end)
{
	bool is_open = false;

	for (size_t i = 0; i < start; i++)
		is_open ^= excerpt[i] == '`';
	return is_open && strchr(excerpt + end, '`') != NULL;
}

static bool
is_emoji_letter(char letter)
{
	return letter != '\0' && strchr(EMOJI_LETTERS, letter) != NULL;
}

/* Is it within a :name:, which Slack would show as letters then? Digits alone
 * are rather a time, or the line of a file. */
static bool
is_in_emoji(const char *excerpt, size_t at)
{
	size_t start = at;

	while (start > 0 && is_emoji_letter(excerpt[start - 1]))
		start--;
	return start > 0 && excerpt[start - 1] == ':' &&
	    excerpt[start + strspn(excerpt + start, DIGITS)] != ':' &&
	    excerpt[start + strspn(excerpt + start, EMOJI_LETTERS)] == ':';
}

/* Where the match stands in its excerpt; nowhere is 0 to 0. */
static struct mark
read_mark(const cJSON *match, size_t length)
{
	const cJSON *marked = json_get(match, "marked");
	double start = cJSON_GetNumberValue(cJSON_GetArrayItem(marked, 0));
	double end = cJSON_GetNumberValue(cJSON_GetArrayItem(marked, 1));

	if (!(start < (double)length && end > start && end <= (double)length))
		return (struct mark){ 0 };
	return (struct mark){ start > 0 ? (size_t)start : 0, (size_t)end };
}

void
marks_add(struct marks *marks, const cJSON *match, size_t length)
{
	struct mark mark = read_mark(match, length);
	size_t at = marks->count, from;

	if (mark.end == 0 || marks->count == MARKS_MAX)
		return;
	while (at > 0 && marks->all[at - 1].end >= mark.start)
		at--;
	for (from = at; from < marks->count &&
	    marks->all[from].start <= mark.end; from++) {
		if (marks->all[from].start < mark.start)
			mark.start = marks->all[from].start;
		if (marks->all[from].end > mark.end)
			mark.end = marks->all[from].end;
	}
	memmove(marks->all + at + 1, marks->all + from,
	    (marks->count - from) * sizeof *marks->all);
	marks->all[at] = mark;
	marks->count = marks->count + 1 - (from - at);
}

/* Can bold be told from what is around it? */
static bool
is_markable(const char *excerpt, const struct mark *mark)
{
	return memchr(excerpt + mark->start, '*', mark->end - mark->start) ==
	    NULL && !is_in_code(excerpt, mark->start, mark->end) &&
	    !is_in_emoji(excerpt, mark->start) &&
	    !is_in_emoji(excerpt, mark->end);
}

void
marks_append(struct buffer *out, const char *excerpt,
    const struct marks *marks)
{
	size_t at = 0;

	for (size_t i = 0; i < marks->count; i++) {
		const struct mark *mark = &marks->all[i];

		if (!is_markable(excerpt, mark))
			continue;
		append_piece(out, excerpt + at, mark->start - at, false);
		append_piece(out, excerpt + mark->start,
		    mark->end - mark->start, true);
		at = mark->end;
	}
	append_piece(out, excerpt + at, strlen(excerpt) - at, false);
}
