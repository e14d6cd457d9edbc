#include "markup.h"

#include <string.h>
#include <strings.h>

#include "utf8.h"

#define FENCE "```"
#define ZERO_WIDTH_SPACE "\xe2\x80\x8b"

static const char *const audiences[] = { "channel", "here", "everyone" };

static bool
is_word_letter(char letter)
{
	return (letter >= 'a' && letter <= 'z') ||
	    (letter >= 'A' && letter <= 'Z') ||
	    (letter >= '0' && letter <= '9') || letter == '_' ||
	    (unsigned char)letter >= 0x80;
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

/* @channel: harmless, or what it means. Returns how much of text that was. */
static size_t
append_at(struct buffer *out, const char *text, bool may_broadcast)
{
	const char *audience = find_audience(text + 1);

	if (audience == NULL) {
		buffer_append(out, text, 1);
		return 1;
	}
	if (may_broadcast) {
		buffer_printf(out, "<!%s>", audience);
		return 1 + strlen(audience);
	}
	buffer_append_string(out, "@" ZERO_WIDTH_SPACE);
	return 1;
}

static bool
is_shown(char letter)
{
	return (unsigned char)letter >= ' ' ? letter != 0x7f
	    : letter == '\n' || letter == '\t';
}

void
markup_append(struct buffer *out, const char *text, bool may_broadcast)
{
	char before = ' ';

	while (*text != '\0') {
		size_t token = may_broadcast ? measure_token(text) : 0;
		const char *entity = find_entity(*text);
		size_t used = token > 0 ? token : 1;

		if (token > 0)
			buffer_append(out, text, token);
		else if (entity != NULL)
			buffer_append_string(out, entity);
		else if (*text == '@' && !is_word_letter(before))
			used = append_at(out, text, may_broadcast);
		else if (is_shown(*text))
			buffer_append(out, text, 1);
		before = text[used - 1];
		text += used;
	}
}

void
markup_append_line(struct buffer *out, const char *text, size_t most,
    bool may_broadcast)
{
	struct buffer line = { 0 };
	size_t at = 0, length = strlen(text);

	for (; most > 0 && at < length; most--) {
		size_t character = utf8_character(text + at, length - at);

		if (character == 0)
			character = 1;
		if (character == 1 && (unsigned char)text[at] <= ' ')
			buffer_append(&line, " ", 1);
		else
			buffer_append(&line, text + at, character);
		at += character;
	}
	if (at < length)
		buffer_append_string(&line, "\xe2\x80\xa6");	/* ... */
	markup_append(out, buffer_string(&line), may_broadcast);
	buffer_free(&line);
}

void
markup_append_code(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		const char *entity = find_entity(*text);

		if (entity != NULL)
			buffer_append_string(out, entity);
		else if (is_shown(*text))
			buffer_append(out, text, 1);
	}
}

size_t
markup_count(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

/* What is not to be cut: an entity, a <...>, a character. Its bytes. */
static size_t
measure_unit(const char *text)
{
	size_t length = 1;

	if (*text == '&' && strcspn(text, ";") <= 4)
		return strcspn(text, ";") + 1;
	if (*text == '<' && strcspn(text, ">") <= 10)
		return strcspn(text, ">") + 1;
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
