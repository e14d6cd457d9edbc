#include "slack_markup.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool
starts_with(const char *text, size_t length, const char *prefix)
{
	size_t wanted = strlen(prefix);

	return length >= wanted && memcmp(text, prefix, wanted) == 0;
}

/* Append text with the three entities undone. */
static void
append_unescaped(struct buffer *out, const char *text, size_t length)
{
	static const struct {
		const char *entity;
		const char *character;
	} entities[] = { { "&amp;", "&" }, { "&lt;", "<" }, { "&gt;", ">" } };

	while (length > 0) {
		const char *ampersand = memchr(text, '&', length);
		size_t plain = ampersand != NULL ? (size_t)(ampersand - text)
		    : length;
		size_t taken = 0;

		buffer_append(out, text, plain);
		text += plain;
		length -= plain;
		for (size_t i = 0; i < 3 && taken == 0; i++)
			if (starts_with(text, length, entities[i].entity)) {
				buffer_append(out, entities[i].character, 1);
				taken = strlen(entities[i].entity);
			}
		if (taken == 0 && length > 0) {
			buffer_append(out, text, 1);
			taken = 1;
		}
		text += taken;
		length -= taken;
	}
}

/* Is the label nothing but the URL again, perhaps without its scheme? */
static bool
repeats_url(const char *url, size_t url_length, const char *label,
    size_t length)
{
	return length <= url_length &&
	    memcmp(url + url_length - length, label, length) == 0;
}

static void
append_link(struct buffer *out, const char *url, size_t url_length,
    const char *label, size_t label_length)
{
	if (label_length == 0 ||
	    repeats_url(url, url_length, label, label_length)) {
		append_unescaped(out, url, url_length);
		return;
	}
	append_unescaped(out, label, label_length);
	buffer_append_string(out, " (");
	append_unescaped(out, url, url_length);
	buffer_append_string(out, ")");
}

void
slack_markup_link(struct buffer *out, const char *url, const char *label)
{
	size_t label_length = label != NULL ? strlen(label) : 0;

	if (label_length > 0 &&
	    !repeats_url(url, strlen(url), label, label_length)) {
		buffer_append(out, label, label_length);
		buffer_printf(out, " (%s)", url);
	} else {
		buffer_append_string(out, url);
	}
}

static bool
is_url(const char *text, size_t length)
{
	size_t at = 0;

	while (at < length && text[at] != '\0' &&
	    (isalnum((unsigned char)text[at]) ||
	    strchr("+.-", text[at]) != NULL))
		at++;
	return at > 0 && at < length && text[at] == ':' &&
	    isalpha((unsigned char)text[0]);
}

/* <@U1|name>, <#C1|name>, <!here>, <!subteam^S1|@team>, <!date^…|fallback> */
static void
append_mention(struct buffer *out, const char *target, size_t length,
    const char *label, size_t label_length)
{
	const char *caret = memchr(target, '^', length);
	char sign = target[0] == '#' ? '#' : '@';

	if (label_length > 0) {
		if (target[0] != '!' && label[0] != sign)
			buffer_append(out, &sign, 1);
		append_unescaped(out, label, label_length);
		return;
	}
	buffer_append(out, &sign, 1);
	if (target[0] == '!' && caret != NULL && caret + 1 < target + length) {
		length -= (size_t)(caret - target);
		target = caret;
	}
	append_unescaped(out, target + 1, length - 1);
}

/* Append the token between < and >; false where it is none of Slack's. */
static bool
append_token(struct buffer *out, const char *token, size_t length)
{
	const char *bar = memchr(token, '|', length);
	size_t target = bar != NULL ? (size_t)(bar - token) : length;
	const char *label = bar != NULL ? bar + 1 : "";
	size_t label_length = bar != NULL ? length - target - 1 : 0;

	if (target > 1 && token[0] != '\0' && strchr("@#!", token[0]) != NULL)
		append_mention(out, token, target, label, label_length);
	else if (is_url(token, target))
		append_link(out, token, target, label, label_length);
	else
		return false;
	return true;
}

void
slack_markup_undo(struct buffer *out, const char *text, size_t length)
{
	while (length > 0) {
		const char *open = memchr(text, '<', length);
		size_t plain = open != NULL ? (size_t)(open - text) : length;

		append_unescaped(out, text, plain);
		text += plain;
		length -= plain;
		if (length == 0)
			return;

		/* A token holds no other: each byte is looked at once. */
		const char *next = memchr(text + 1, '<', length - 1);
		const char *close = memchr(text, '>', next != NULL
		    ? (size_t)(next - text) : length);
		size_t taken = 1;
		if (close != NULL && append_token(out, text + 1,
		    (size_t)(close - text) - 1))
			taken = (size_t)(close - text) + 1;
		else
			buffer_append(out, "<", 1);
		text += taken;
		length -= taken;
	}
}
