#include "pretty.h"

#include <string.h>

#include "json_scan.h"

#define INDENT 2

bool
pretty_is_json(const char *json, size_t length)
{
	struct json_index index = { 0 };
	struct buffer object = { 0 };
	size_t blanks = strspn(json, " \t\r\n");
	bool is_one;

	if (json[blanks] != '{' && json[blanks] != '[')
		return false;
	buffer_append_string(&object, "{\"\":");
	buffer_append(&object, json, length);
	buffer_append_string(&object, "}");
	is_one = json_scan(&index, object.data, object.length) == 0 &&
	    index.count == 1;
	json_index_free(&index);
	buffer_free(&object);
	return is_one;
}

static size_t
measure_string(const char *json)
{
	size_t length = 1;

	while (json[length] != '"')
		length += json[length] == '\\' ? 2 : 1;
	return length + 1;
}

static void
begin_line(struct buffer *out, size_t depth)
{
	static const char blanks[] = "                                ";
	size_t left = depth * INDENT;

	buffer_append(out, "\n", 1);
	while (left > 0) {
		size_t count = left < sizeof blanks - 1 ? left
		    : sizeof blanks - 1;

		buffer_append(out, blanks, count);
		left -= count;
	}
}

static bool
is_empty(const char *json)
{
	size_t blanks = strspn(json + 1, " \t\r\n");

	return json[1 + blanks] == '}' || json[1 + blanks] == ']';
}

/* Returns the bytes of json that were taken, 0 where it is nested too deep. */
static size_t
append_token(struct buffer *out, const char *json, size_t *depth)
{
	size_t length = 1;

	switch (*json) {
	case '"':
		length = measure_string(json);
		buffer_append(out, json, length);
		break;
	case '{':
	case '[':
		buffer_append(out, json, 1);
		if (++*depth > PRETTY_DEPTH_MAX)
			return 0;
		if (!is_empty(json))
			begin_line(out, *depth);
		break;
	case '}':
	case ']':
		--*depth;
		if (out->data[out->length - 1] != *json - 2)
			begin_line(out, *depth);
		buffer_append(out, json, 1);
		break;
	case ',':
		buffer_append(out, json, 1);
		begin_line(out, *depth);
		break;
	case ':':
		buffer_append_string(out, ": ");
		break;
	case ' ': case '\t': case '\r': case '\n':
		break;
	default:
		buffer_append(out, json, 1);
		break;
	}
	return length;
}

bool
pretty_append(struct buffer *out, const char *json, size_t length)
{
	size_t before = out->length, depth = 0, used;

	if (!pretty_is_json(json, length))
		return false;
	for (size_t at = 0; at < length; at += used) {
		used = append_token(out, json + at, &depth);
		if (used == 0 || out->length - before > PRETTY_BYTES_MAX) {
			out->length = before;
			return false;
		}
	}
	return true;
}
