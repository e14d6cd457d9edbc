#include "wish.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "regex.h"
#include "term.h"
#include "trial.h"
#include "utf8.h"
#include "words.h"

#define BLANKS " \t\r\n"
#define IN_BYTES_MAX 80
#define TYPED_BYTES_MAX 16384	/* of a term and its options, markup and all */

void
wish_free(struct wish *wish)
{
	buffer_free(&wish->term);
	buffer_free(&wish->in);
}

/* --- what was typed ---------------------------------------------------------*/

/* A piece of the text. */
struct span {
	const char *bytes;
	size_t length;
};

static bool
begins_with(const struct span *word, const char *prefix)
{
	size_t length = strlen(prefix);

	return word->length > length &&
	    memcmp(word->bytes, prefix, length) == 0;
}

static bool
is_word(const struct span *word, size_t from, const char *text)
{
	return word->length - from == strlen(text) &&
	    strncasecmp(word->bytes + from, text, strlen(text)) == 0;
}

static bool
is_plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return utf8_is_valid(text, length);
}

static bool
take_in(struct wish *wish, const struct span *word, struct buffer *complaint)
{
	wish->in.length = 0;
	words_channel(&wish->in, word->bytes + 3, word->length - 3);
	if (strcmp(buffer_string(&wish->in), "any") == 0) {
		wish->in.length = 0;
		return true;
	}
	if (strpbrk(wish->in.data, " @") == NULL &&
	    is_plain(wish->in.data, wish->in.length) &&
	    wish->in.length > 0 && wish->in.length <= IN_BYTES_MAX)
		return true;
	buffer_append_string(complaint, "`in:` wants a channel, as in"
	    " `in:#builds`");
	return false;
}

static bool
take_where(struct wish *wish, const struct span *word,
    struct buffer *complaint)
{
	if (is_word(word, 6, "text"))
		wish->where = SUBSCRIPTION_TEXT;
	else if (is_word(word, 6, "files"))
		wish->where = SUBSCRIPTION_FILES;
	else if (is_word(word, 6, "any"))
		wish->where = SUBSCRIPTION_ANYWHERE;
	else {
		buffer_append_string(complaint, "`where:` wants `text`,"
		    " `files` or `any`");
		return false;
	}
	return true;
}

static bool
take_class(struct wish *wish, const struct span *word,
    struct buffer *complaint)
{
	static const char *const classes[] = { "success", "warning",
	    "danger" };

	wish->class = NULL;
	for (size_t i = 0; i < 3; i++)
		if (is_word(word, 6, classes[i]))
			wish->class = classes[i];
	if (wish->class != NULL || is_word(word, 6, "any"))
		return true;
	buffer_append_string(complaint, "`class:` wants `success`, `warning`,"
	    " `danger` or `any`");
	return false;
}

static const struct option {
	const char *name;
	bool (*take)(struct wish *wish, const struct span *word,
	    struct buffer *complaint);
} options[] = {
	{ "in:", take_in }, { "where:", take_where }, { "class:", take_class },
};
#define OPTIONS (sizeof options / sizeof *options)

/* Returns OPTIONS where the word is none. */
static size_t
find_option(const struct span *word)
{
	size_t i = 0;

	while (i < OPTIONS && !begins_with(word, options[i].name))
		i++;
	return i;
}

/* What has been read, and what is left of it. */
struct reading {
	struct wish *wish;
	struct span text;
	bool has[OPTIONS];
	struct buffer *complaint;
};

static bool
take_option(struct reading *reading, size_t option, const struct span *word)
{
	if (reading->has[option]) {
		buffer_printf(reading->complaint, "`%s` is there twice",
		    options[option].name);
		return false;
	}
	reading->has[option] = true;
	return options[option].take(reading->wish, word, reading->complaint);
}

static struct span
trim(struct span text)
{
	while (text.length > 0 && strchr(BLANKS, text.bytes[0]) != NULL) {
		text.bytes++;
		text.length--;
	}
	while (text.length > 0 &&
	    strchr(BLANKS, text.bytes[text.length - 1]) != NULL)
		text.length--;
	return text;
}

static struct span
find_first(struct span text)
{
	size_t length = 0;

	while (length < text.length &&
	    strchr(BLANKS, text.bytes[length]) == NULL)
		length++;
	return (struct span){ text.bytes, length };
}

static struct span
find_last(struct span text)
{
	size_t start = text.length;

	while (start > 0 && strchr(BLANKS, text.bytes[start - 1]) == NULL)
		start--;
	return (struct span){ text.bytes + start, text.length - start };
}

/* Options stand at both ends; what is between them is the term. */
static bool
take_options(struct reading *reading)
{
	struct span *text = &reading->text, word;
	size_t option;

	while (word = find_first(*text),
	    (option = find_option(&word)) < OPTIONS) {
		if (!take_option(reading, option, &word))
			return false;
		text->bytes += word.length;
		text->length -= word.length;
		*text = trim(*text);
	}
	while (word = find_last(*text),
	    (option = find_option(&word)) < OPTIONS) {
		if (!take_option(reading, option, &word))
			return false;
		text->length -= word.length;
		*text = trim(*text);
	}
	return true;
}

/* People like to put code into backticks, one or three. */
static struct span
strip_backticks(struct span text)
{
	size_t count = 0, inner = text.length;

	while (count < 3 && inner >= 2 && text.bytes[count] == '`' &&
	    text.bytes[text.length - 1 - count] == '`') {
		count++;
		inner -= 2;
	}
	return memchr(text.bytes + count, '`', inner) != NULL ? text
	    : (struct span){ text.bytes + count, inner };
}

static void
complain_of_length(struct buffer *complaint, size_t length)
{
	buffer_printf(complaint, "a term has up to %d bytes, this one has %zu",
	    TERM_BYTES_MAX, length);
}

static bool
check_typed(const struct span *text, struct buffer *complaint)
{
	if (memchr(text->bytes, '\n', text->length) != NULL ||
	    memchr(text->bytes, '\r', text->length) != NULL)
		buffer_append_string(complaint, "a term stands on one line, and"
		    " yours goes on behind it");
	else if (text->length > TYPED_BYTES_MAX)
		complain_of_length(complaint, text->length);
	return complaint->length == 0;
}

static bool
check_term(struct wish *wish, struct buffer *complaint)
{
	const char *term = buffer_string(&wish->term);

	if (term[strspn(term, BLANKS)] == '\0')
		buffer_append_string(complaint, "there is no term to look for");
	else if (wish->term.length > TERM_BYTES_MAX)
		complain_of_length(complaint, wish->term.length);
	else if (!is_plain(term, wish->term.length))
		buffer_append_string(complaint, "a term is plain text, without"
		    " tabs and the like");
	return complaint->length == 0;
}

bool
wish_read(struct wish *wish, const char *text, struct buffer *complaint)
{
	struct reading reading = { .wish = wish, .complaint = complaint,
	    .text = trim((struct span){ text, strlen(text) }) };
	struct span term;

	if (!check_typed(&reading.text, complaint) || !take_options(&reading))
		return false;
	term = strip_backticks(reading.text);
	words_undo(&wish->term, term.bytes, term.length);
	return check_term(wish, complaint);
}

/* --- may it be --------------------------------------------------------------*/

static bool
try_regex(const struct regex *regex, const char *expression,
    struct buffer *complaint)
{
	const char *text = trial_find_hard(regex, expression);

	if (regex_matches_empty(regex))
		buffer_append_string(complaint, "it matches the empty text, and"
		    " so everything");
	else if (text != NULL)
		buffer_printf(complaint, "it costs too much to look for: I gave"
		    " up on %s", text);
	return complaint->length == 0;
}

static size_t
count_characters(const char *text, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

bool
wish_is_bearable(const struct wish *wish, struct buffer *complaint)
{
	const char *term = wish->term.data;
	struct regex_error error;
	struct regex *regex;
	char *expression;
	bool is_bearable;

	if (!term_is_regex(term))
		return true;
	expression = term_expression(term);
	regex = regex_new(expression, &error);
	is_bearable = regex != NULL &&
	    try_regex(regex, expression, complaint);
	if (regex == NULL)
		buffer_printf(complaint, "it is no regular expression: %s at"
		    " character %zu", error.reason,
		    count_characters(term, term_offset(term, error.at)) + 1);
	regex_free(regex);
	free(expression);
	return is_bearable;
}

/* --- as people see it -------------------------------------------------------*/

static void
append_channel(struct buffer *out, const char *in)
{
	struct buffer name = { 0 };

	if (words_is_id(in)) {
		buffer_printf(out, " in <#%s>", in);
		return;
	}
	buffer_printf(&name, "#%s", in);
	buffer_append_string(out, " in ");
	words_quote(out, buffer_string(&name));
	buffer_free(&name);
}

void
wish_append_scope(struct buffer *out, const char *in,
    enum subscription_where where, const char *class)
{
	if (in != NULL)
		append_channel(out, in);
	if (where == SUBSCRIPTION_TEXT)
		buffer_append_string(out, ", not in files");
	else if (where == SUBSCRIPTION_FILES)
		buffer_append_string(out, ", in files only");
	if (class != NULL)
		buffer_printf(out, ", of class %s only", class);
}
