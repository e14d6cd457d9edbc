#include "json_items.h"

#include <string.h>

static bool
is_one_of(char byte, const char *set)
{
	return byte != '\0' && strchr(set, byte) != NULL;
}

static size_t
skip(const struct json_items *items, size_t at, const char *set)
{
	while (at < items->length && is_one_of(items->text[at], set))
		at++;
	return at;
}

static size_t
skip_string(const struct json_items *items, size_t at)
{
	for (at++; at < items->length && items->text[at] != '"'; at++)
		if (items->text[at] == '\\')
			at++;
	return at + 1;
}

/* A string, an object, an array, or a word up to what ends it. */
static size_t
skip_value(const struct json_items *items, size_t at)
{
	size_t depth = 0;

	do {
		char byte = items->text[at];

		if (byte == '"') {
			at = skip_string(items, at);
			continue;
		}
		if (is_one_of(byte, "{["))
			depth++;
		else if (is_one_of(byte, "}]"))
			depth--;
		else if (depth == 0)
			while (at + 1 < items->length &&
			    !is_one_of(items->text[at + 1], ",] \t\r\n"))
				at++;
		at++;
	} while (depth > 0 && at < items->length);
	return at;
}

bool
json_items_next(struct json_items *items, const char **item, size_t *length)
{
	size_t start = items->at == 0 ? skip(items, 1, " \t\r\n")
	    : skip(items, items->at, ", \t\r\n");

	if (start >= items->length || items->text[start] == ']')
		return false;
	items->at = skip_value(items, start);
	*item = items->text + start;
	*length = items->at - start;
	return true;
}
