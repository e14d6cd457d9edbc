#include "trial.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define TEXT_BYTES 4096		/* as a long message, or a line of a log */

/* What the hard texts consist of, again and again, and what ends them. */
static const struct {
	const char *piece;
	const char *end;
	const char *name;
} texts[] = {
	{ "a", "!", "a long row of one letter" },
	{ "0", "!", "a long row of one digit" },
	{ " ", "!", "a long row of blanks" },
	{ "ab", "!", "a long row of letters" },
	{ "x", "\n", "a long row of one letter" },
	{ "Error 42: a b c = 1.5; ", "!", "a long line of a log" },
	{ "at com.example.Main(Main.java:17)\n", "!", "a long stack trace" },
	{ "{\"k\":[1,2,{\"a\":\"b\"}],", "!", "a long line of JSON" },
	{ "((((", "!", "a long row of brackets" },
	{ "\xc3\xa9", "!", "a long row of one letter" },
};

/* Fill the text; returns its length. */
static size_t
fill(char *text, const char *piece, const char *end)
{
	size_t length = 0, step = strlen(piece);

	while (length + step + strlen(end) <= TEXT_BYTES) {
		memcpy(text + length, piece, step);
		length += step;
	}
	memcpy(text + length, end, strlen(end));
	return length + strlen(end);
}

static bool
is_hard(const struct regex *regex, const char *piece, const char *end)
{
	char text[TEXT_BYTES];
	size_t length = fill(text, piece, end), start, stop;

	return regex_find(regex, text, length, 0, &start, &stop) ==
	    REGEX_LIMIT;
}

/* A row of any letter that stands in the expression. */
static bool
is_hard_by_its_letters(const struct regex *regex, const char *expression)
{
	char tried[UCHAR_MAX + 1] = { 0 };

	for (const char *at = expression; *at != '\0'; at++) {
		unsigned char letter = (unsigned char)*at;
		char piece[2] = { *at, '\0' };

		if (letter <= ' ' || letter >= 0x7f || tried[letter]++ > 0)
			continue;
		if (is_hard(regex, piece, *at == '!' ? "?" : "!"))
			return true;
	}
	return false;
}

const char *
trial_find_hard(const struct regex *regex, const char *expression)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (is_hard(regex, texts[i].piece, texts[i].end))
			return texts[i].name;
	return is_hard_by_its_letters(regex, expression)
	    ? "a long row of one letter" : NULL;
}
