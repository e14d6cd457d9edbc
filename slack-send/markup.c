#include "markup.h"

#include <string.h>
#include <strings.h>

#include "utf8.h"

#define FENCE "```"
#define ZERO_WIDTH_SPACE "\xe2\x80\x8b"
#define ELLIPSIS "\xe2\x80\xa6"
#define LOOKS_LIKE_BACKTICK "\xcb\x8b"	/* a letter, U+02CB */

static const char *const audiences[] = { "channel", "here", "everyone" };

/* What looks like an @ to people, and perhaps to a client one day. */
static const char *const ats[] = { "@", "\xef\xbc\xa0", "\xef\xb9\xab" };

/* Other scripts put no blank before or behind a name. */
static bool
is_word_letter(char letter)
{
	return (letter >= 'a' && letter <= 'z') ||
	    (letter >= 'A' && letter <= 'Z') ||
	    (letter >= '0' && letter <= '9') || letter == '_';
}

/* The audience whose name stands there, whole, or NULL. */
static const char *
find_audience(const char *text)
{
	for (size_t i = 0; i < sizeof audiences / sizeof audiences[0]; i++) {
		size_t length = strlen(audiences[i]);

		if (strncasecmp(text, audiences[i], length) == 0 &&
		    !is_word_letter(text[length]))
			return audiences[i];
	}
	return NULL;
}

static const char *
find_entity(char letter)
{
	switch (letter) {
	case '&': return "&amp;";
	case '<': return "&lt;";
	case '>': return "&gt;";
	default: return NULL;
	}
}

/* <!channel> and its kin; returns its length, or 0. */
static size_t
measure_token(const char *text)
{
	const char *audience;

	if (strncmp(text, "<!", 2) != 0)
		return 0;
	audience = find_audience(text + 2);
	if (audience == NULL || text[2 + strlen(audience)] != '>')
		return 0;
	return strlen(audience) + 3;
}

/* The bytes of an @ of whatever width, or 0. */
static size_t
measure_at(const char *text)
{
	for (size_t i = 0; i < sizeof ats / sizeof ats[0]; i++)
		if (strncmp(text, ats[i], strlen(ats[i])) == 0)
			return strlen(ats[i]);
	return 0;
}

/* @channel: harmless, or what it means. Returns how much of text that was. */
static size_t
append_at(struct buffer *out, const char *text, bool may_broadcast)
{
	size_t at = measure_at(text);
	const char *audience = find_audience(text + at);

	if (audience != NULL && may_broadcast && at == 1) {
		buffer_printf(out, "<!%s>", audience);
		return at + strlen(audience);
	}
	buffer_append(out, text, at);
	if (audience != NULL)
		buffer_append_string(out, ZERO_WIDTH_SPACE);
	return at;
}

/*
 * Append the text without control characters: left out further on they might
 * hide an @channel. Whatever ends a line becomes LF.
 */
static void
append_printable(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '\r' && text[1] != '\n')
			buffer_append(out, "\n", 1);
		else if (byte == '\n' || byte == '\t' ||
		    (byte >= ' ' && byte != 0x7f))
			buffer_append(out, text, 1);
	}
}

/* Append printable text, escaped. */
static void
append_escaped(struct buffer *out, const char *text, bool may_broadcast)
{
	char before = ' ';

	while (*text != '\0') {
		size_t token = may_broadcast ? measure_token(text) : 0;
		const char *entity = find_entity(*text);
		size_t used = token > 0 ? token : 1;

		if (entity != NULL && token == 0)
			buffer_append_string(out, entity);
		else if (measure_at(text) > 0 && !is_word_letter(before))
			used = append_at(out, text, may_broadcast);
		else
			buffer_append(out, text, used);
		before = text[used - 1];
		text += used;
	}
}

void
markup_append(struct buffer *out, const char *text, bool may_broadcast)
{
	struct buffer printable = { 0 };

	append_printable(&printable, text);
	append_escaped(out, buffer_string(&printable), may_broadcast);
	buffer_free(&printable);
}

/* A blank for each control character, none at the start. What turns the
 * direction of letters would turn our words behind it, too. */
static void
append_on_one_line(struct buffer *line, const char *text, size_t most)
{
	size_t at = strspn(text, " \t\r\n"), length = strlen(text);

	for (; most > 0 && at < length; most--) {
		if (utf8_direction(text + at) > 0) {
			at += utf8_direction(text + at);
			continue;
		}
		size_t character = utf8_character(text + at, length - at);

		if (character == 0)
			character = 1;
		if (character == 1 && ((unsigned char)text[at] <= ' ' ||
		    text[at] == 0x7f))
			buffer_append(line, " ", 1);
		else
			buffer_append(line, text + at, character);
		at += character;
	}
	if (at < length)
		buffer_append_string(line, ELLIPSIS);
	while (line->length > 0 && line->data[line->length - 1] == ' ')
		line->length--;
}

void
markup_append_plain(struct buffer *out, const char *text, size_t most)
{
	struct buffer line = { 0 };

	append_on_one_line(&line, text, most);
	buffer_append(out, line.data, line.length);
	buffer_free(&line);
}

/* Break what would open a code block, in which the lines below would end. */
static void
append_without_fences(struct buffer *out, const char *text)
{
	const char *fence;

	while ((fence = strstr(text, FENCE)) != NULL) {
		buffer_append(out, text, (size_t)(fence - text) + 2);
		buffer_append_string(out, ZERO_WIDTH_SPACE);
		text = fence + 2;
	}
	buffer_append_string(out, text);
}

void
markup_append_line(struct buffer *out, const char *text, size_t most,
    bool may_broadcast)
{
	struct buffer line = { 0 }, harmless = { 0 };

	append_on_one_line(&line, text, most);
	append_without_fences(&harmless, buffer_string(&line));
	append_escaped(out, buffer_string(&harmless), may_broadcast);
	buffer_free(&line);
	buffer_free(&harmless);
}

void
markup_append_code(struct buffer *out, const char *text)
{
	struct buffer printable = { 0 };

	append_printable(&printable, text);
	for (const char *at = buffer_string(&printable); *at != '\0'; at++) {
		const char *entity = find_entity(*at);

		if (entity != NULL)
			buffer_append_string(out, entity);
		else
			buffer_append(out, at, 1);
	}
	buffer_free(&printable);
}

/* A backtick would end the span, or begin one with any later one. */
static void
append_without_backticks(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '`')
			buffer_append_string(out, LOOKS_LIKE_BACKTICK);
		else
			buffer_append(out, text, 1);
}

void
markup_append_term(struct buffer *out, const char *text, size_t most)
{
	struct buffer line = { 0 }, span = { 0 };

	append_on_one_line(&line, text, most);
	append_without_backticks(&span, buffer_string(&line));
	buffer_append_string(out, "`");
	markup_append_code(out, buffer_string(&span));
	buffer_append_string(out, "`");
	buffer_free(&line);
	buffer_free(&span);
}

size_t
markup_count(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

/* Up to that end and with it; 0 where it is not there, or too far away. */
static size_t
measure_to(const char *text, char end, size_t most)
{
	const char *found = memchr(text, end, strnlen(text, most));

	return found != NULL ? (size_t)(found - text) + 1 : 0;
}

/* Bytes that are not to be cut: an entity, a <...>, a fence, a character. */
static size_t
measure_unit(const char *text)
{
	size_t length = *text == '&' ? measure_to(text, ';', 5)
	    : *text == '<' ? measure_to(text, '>', 11)
	    : strncmp(text, FENCE, 3) == 0 ? 3 : 0;

	if (length > 0)
		return length;
	length = 1;
	while (((unsigned char)text[length] & 0xc0) == 0x80)
		length++;
	return length;
}

static size_t
count_in(const char *text, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

size_t
markup_cut(const char *text, size_t most)
{
	size_t at = 0, line = 0, blank = 0, count = 0;

	while (text[at] != '\0') {
		size_t unit = measure_unit(text + at);

		count += count_in(text + at, unit);
		if (count > most)
			break;
		at += unit;
		if (text[at - 1] == '\n')
			line = at;
		if (text[at - 1] == ' ')
			blank = at;
	}
	if (text[at] == '\0')
		return at;
	if (2 * line >= at && line > 0)
		return line;
	if (2 * blank >= at && blank > 0)
		return blank;
	return at > 0 ? at : measure_unit(text);
}

bool
markup_ends_in_code(const char *text, size_t length)
{
	bool is_open = false;

	for (size_t i = 0; i + 3 <= length; i++) {
		if (memcmp(text + i, FENCE, 3) != 0)
			continue;
		is_open = !is_open;
		i += 2;
	}
	return is_open;
}
