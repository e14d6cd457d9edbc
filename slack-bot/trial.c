#include "trial.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "buffer.h"

/* So long that what grows faster than the square of it is found out. */
#define ROW_BYTES 512
#define STEPS_MAX 32000000	/* then it is borne */

static const char one_letter[] = "a long row of one letter";

/* What the hard texts consist of, again and again. */
static const struct {
	const char *piece;
	const char *name;
} rows[] = {
	{ "a", one_letter },
	{ "0", "a long row of one digit" },
	{ " ", "a long row of blanks" },
	{ "\xc3\xa9", one_letter },
	{ "ab", "a long row of letters" },
	{ "a ", "a long row of words" },
	{ "Error 42: a b c = 1.5; ", "a long line of a log" },
	{ "at com.example.Main(Main.java:17)\n", "a long stack trace" },
	{ "{\"k\":[1,2,{\"a\":\"b\"}],", "a long line of JSON" },
	{ "((((", "a long row of brackets" },
};

struct trial {
	const struct regex *regex;
	struct buffer head;	/* what a match may have to begin with */
	struct buffer plain;	/* and all that it may have to hold */
	uint64_t steps;		/* that may still be taken */
};

/*
 * What an expression holds literally, each match may have to hold as well:
 * where it is missing the search ends before it begins.
 */
static void
find_head(struct buffer *head, const char *expression)
{
	size_t length;

	if (strncmp(expression, "(?i)", 4) == 0)
		expression += 4;
	expression += strspn(expression, "(?:^");
	length = strcspn(expression, "\\.^$|()[]{}*+?");
	if (length > 0 && strchr("*+?{", expression[length]) != NULL)
		length--;
	buffer_append(head, expression, length);
	buffer_string(head);
}

static void
find_plain(struct buffer *plain, const char *expression)
{
	for (const char *at = expression; *at != '\0'; at++) {
		if (*at == '\\' && at[1] != '\0') {
			at++;
			if (!isalnum((unsigned char)*at))
				buffer_append(plain, at, 1);
		} else if (strchr(".^$|()[]{}*+?", *at) == NULL) {
			buffer_append(plain, at, 1);
		}
	}
	buffer_string(plain);
}

static bool
is_hard_text(struct trial *trial, const struct buffer *text)
{
	uint64_t allowance = regex_allowance(text->length), taken;
	struct regex_search search = { .subject = text->data,
	    .length = text->length, .steps = allowance };
	enum regex_result result;

	if (trial->steps == 0)
		return false;
	result = regex_search(trial->regex, &search);
	taken = allowance - search.steps;
	trial->steps -= taken < trial->steps ? taken : trial->steps;
	return result == REGEX_LIMIT;
}

/* The row, which all but matches, between what must stand around it. */
static bool
is_hard_between(struct trial *trial, const char *head,
    const struct buffer *row, const char *tail)
{
	struct buffer text = { 0 };
	bool is;

	buffer_append_string(&text, head);
	buffer_append(&text, row->data, row->length);
	buffer_append_string(&text, *row->data == '!' ? "?" : "!");
	buffer_append_string(&text, tail);
	buffer_append_string(&text, "\n");
	is = is_hard_text(trial, &text);
	buffer_free(&text);
	return is;
}

static bool
is_hard(struct trial *trial, const char *piece)
{
	struct buffer row = { 0 };
	size_t length = strlen(piece);
	bool is;

	while (row.length < ROW_BYTES)
		buffer_append(&row, piece, length);
	is = is_hard_between(trial, "", &row, "") ||
	    is_hard_between(trial, "", &row, trial->plain.data) ||
	    (trial->head.length > 0 && is_hard_between(trial,
	    trial->head.data, &row, trial->plain.data));
	buffer_free(&row);
	return is;
}

/* A row of any letter that stands in the expression. */
static bool
is_hard_by_its_letters(struct trial *trial)
{
	const char *plain = trial->plain.data;

	for (size_t i = 0; i < trial->plain.length; i++) {
		char piece[2] = { plain[i], '\0' };

		if (isgraph((unsigned char)plain[i]) &&
		    memchr(plain, plain[i], i) == NULL && is_hard(trial, piece))
			return true;
	}
	return false;
}

const char *
trial_find_hard(const struct regex *regex, const char *expression)
{
	struct trial trial = { .regex = regex, .steps = STEPS_MAX };
	const char *name = NULL;

	find_head(&trial.head, expression);
	find_plain(&trial.plain, expression);
	for (size_t i = 0; i < sizeof rows / sizeof *rows && name == NULL; i++)
		if (is_hard(&trial, rows[i].piece))
			name = rows[i].name;
	if (name == NULL && is_hard_by_its_letters(&trial))
		name = one_letter;
	buffer_free(&trial.head);
	buffer_free(&trial.plain);
	return name;
}
