#include "words.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "slack_markup.h"
#include "utf8.h"

#define QUOTED_CHARACTERS 80
#define ELLIPSIS "\xe2\x80\xa6"
#define LOOKS_LIKE_BACKTICK "\xcb\x8b"	/* a letter, U+02CB */

static const struct {
	const char *curly;
	const char *straight;
} quotes[] = {
	{ "\xe2\x80\x9c", "\"" }, { "\xe2\x80\x9d", "\"" },
	{ "\xe2\x80\x9e", "\"" }, { "\xe2\x80\x98", "'" },
	{ "\xe2\x80\x99", "'" }, { "\xe2\x80\x9a", "'" },
};
#define QUOTE_STARTS "\xe2"

struct words
words_split(const char *text)
{
	struct words words = { .word = text + strspn(text, " \t\r\n") };

	while (isalnum((unsigned char)words.word[words.length]) ||
	    words.word[words.length] == '_')
		words.length++;
	words.rest = words.word + words.length;
	words.rest += strspn(words.rest, " \t\r\n");
	return words;
}

static const struct {
	const char *typed;
	const char *meant;
} blanks[] = {
	{ "\xc2\xa0", " " },		/* no-break space */
	{ "\xe2\x80\xaf", " " },	/* a narrow one */
	{ "\xe3\x80\x80", " " },	/* ideographic space */
	{ "\xd8\x9c", "" },		/* marks of direction */
	{ "\xe2\x80\x8e", "" },
	{ "\xe2\x80\x8f", "" },
	{ "\xe2\x80\x8b", "" },	/* zero width space */
	{ "\xe2\x81\xa0", "" },	/* word joiner */
	{ "\xef\xbb\xbf", "" },	/* byte order mark */
};
#define BLANK_STARTS "\xc2\xd8\xe2\xe3\xef"

/* Take the blank that starts there; returns its bytes, 0 where none is. */
static size_t
take_blank(struct buffer *out, const char *text)
{
	for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
		size_t length = strlen(blanks[i].typed);

		if (strncmp(text, blanks[i].typed, length) != 0)
			continue;
		buffer_append_string(out, blanks[i].meant);
		return length;
	}
	return 0;
}

void
words_clean(struct buffer *out, const char *text)
{
	while (*text != '\0') {
		size_t plain = strcspn(text, BLANK_STARTS), taken;

		buffer_append(out, text, plain);
		text += plain;
		taken = take_blank(out, text);
		if (taken == 0 && *text != '\0')
			buffer_append(out, text, taken = 1);
		text += taken;
	}
}

/* --- as it was typed --------------------------------------------------------*/

static bool
is_address(const char *token, size_t length)
{
	static const char *const schemes[] = { "http://", "https://",
	    "mailto:", "tel:" };

	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		size_t scheme = strlen(schemes[i]);

		if (length > scheme && memcmp(token, schemes[i], scheme) == 0)
			return true;
	}
	return false;
}

/* What stands between < and >: of an address that Slack made a link of, what
 * it was made of. */
static void
undo_token(struct buffer *out, const char *token, size_t length)
{
	const char *label = memchr(token + 1, '|', length - 2);

	if (!is_address(token + 1, length - 2)) {
		slack_markup_undo(out, token, length);
		return;
	}
	label = label != NULL ? label + 1 : token + 1;
	slack_markup_undo(out, label, (size_t)(token + length - 1 - label));
}

static void
undo_markup(struct buffer *out, const char *text, size_t length)
{
	const char *end = text + length;

	while (text < end) {
		const char *open = memchr(text, '<', (size_t)(end - text));
		const char *close = open == NULL ? NULL
		    : memchr(open, '>', (size_t)(end - open));

		if (close == NULL || close == open + 1) {
			slack_markup_undo(out, text, (size_t)(end - text));
			return;
		}
		slack_markup_undo(out, text, (size_t)(open - text));
		undo_token(out, open, (size_t)(close - open) + 1);
		text = close + 1;
	}
}

/* The straight form of the quote that starts there, or NULL. */
static const char *
find_straight(const char *text)
{
	for (size_t i = 0; i < sizeof quotes / sizeof *quotes; i++)
		if (strncmp(text, quotes[i].curly, 3) == 0)
			return quotes[i].straight;
	return NULL;
}

void
words_undo(struct buffer *out, const char *text, size_t length)
{
	struct buffer plain = { 0 };

	undo_markup(&plain, text, length);
	for (const char *at = buffer_string(&plain); *at != '\0';) {
		const char *straight = find_straight(at);
		size_t taken = straight != NULL ? 3
		    : 1 + strcspn(at + 1, QUOTE_STARTS);

		if (straight != NULL)
			buffer_append(out, straight, 1);
		else
			buffer_append(out, at, taken);
		at += taken;
	}
	buffer_free(&plain);
}

void
words_channel(struct buffer *out, const char *text, size_t length)
{
	size_t at;

	if (length > 3 && memcmp(text, "<#", 2) == 0) {
		size_t id = strcspn(text + 2, "|>");

		buffer_append(out, text + 2, id);
		return;
	}
	if (length > 0 && *text == '#') {
		text++;
		length--;
	}
	at = out->length;
	words_undo(out, text, length);
	if (words_is_id(buffer_string(out) + at))
		return;
	for (; at < out->length; at++)
		out->data[at] = (char)tolower((unsigned char)out->data[at]);
}

bool
words_is_id(const char *text)
{
	return strlen(text) >= 9 && strspn(text,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == strlen(text);
}

/* --- as it is shown ---------------------------------------------------------*/

static void
append_escaped(struct buffer *out, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '&')
			buffer_append_string(out, "&amp;");
		else if (text[i] == '<')
			buffer_append_string(out, "&lt;");
		else if (text[i] == '>')
			buffer_append_string(out, "&gt;");
		else if ((unsigned char)text[i] < ' ')
			buffer_append(out, " ", 1);
		else
			buffer_append(out, text + i, 1);
	}
}

static size_t
find_cut(const char *text)
{
	size_t length = strlen(text), at = 0;

	for (int i = 0; i < QUOTED_CHARACTERS && at < length; i++) {
		size_t width = utf8_character(text + at, length - at);

		at += width > 0 ? width : 1;
	}
	return at;
}

/* Without what would change our words behind it: a backtick would end the span,
 * or begin one with any later one, and some turn the direction of letters. */
static void
append_tame(struct buffer *out, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		size_t turning = utf8_direction(text + i);

		if (turning > 0)
			i += turning - 1;
		else if (text[i] == '`')
			buffer_append_string(out, LOOKS_LIKE_BACKTICK);
		else
			buffer_append(out, text + i, 1);
	}
}

void
words_quote(struct buffer *out, const char *text)
{
	size_t length = find_cut(text);
	struct buffer shown = { 0 };

	append_tame(&shown, text, length);
	buffer_append_string(&shown, text[length] != '\0' ? ELLIPSIS : "");
	buffer_append_string(out, "`");
	append_escaped(out, buffer_string(&shown), shown.length);
	buffer_append_string(out, "`");
	buffer_free(&shown);
}

bool
words_look_alike(const char *a, const char *b)
{
	struct buffer left = { 0 }, right = { 0 };
	bool are;

	append_tame(&left, a, strlen(a));
	append_tame(&right, b, strlen(b));
	are = strcmp(buffer_string(&left), buffer_string(&right)) == 0;
	buffer_free(&left);
	buffer_free(&right);
	return are;
}

void
words_say(struct buffer *out, const char *text)
{
	buffer_append_string(out, "\n> ");
	append_escaped(out, text, strlen(text));
}

/* docs.slack.dev, "Formatting message text", dates */
void
words_time(struct buffer *out, int64_t time_s)
{
	char text[CLOCK_TEXT_BYTES];

	clock_format(time_s * 1000000, text);
	buffer_printf(out, "<!date^%" PRId64 "^{date_short_pretty} {time}|"
	    "%.10s %.5s UTC>", time_s, text, text + 11);
}
