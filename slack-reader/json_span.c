#include "json_span.h"

/* Returns the position behind the string, or `length` if it goes on. */
static size_t
pass_string(struct json_span *span, const char *bytes, size_t at,
    size_t length)
{
	while (at < length) {
		char byte = bytes[at++];

		if (span->escaped) {
			span->escaped = false;
		} else if (byte == '\\') {
			span->escaped = true;
		} else if (byte == '"') {
			span->in_string = false;
			span->after_value = true;
			break;
		}
	}
	return at;
}

static enum json_span_result
open_value(struct json_span *span, char byte)
{
	if (span->after_value)
		return JSON_SPAN_BROKEN;
	if (span->keeps_off_edge && span->at_edge && byte != '"')
		return JSON_SPAN_BROKEN;
	if (byte == '"')
		span->in_string = true;
	else
		span->depth++;
	return JSON_SPAN_OPEN;
}

/* A comma, colon or closing bracket; outermost it belongs to what is around. */
static enum json_span_result
pass_separator(struct json_span *span, char byte)
{
	if (span->depth == 0)
		return span->after_value ? JSON_SPAN_END : JSON_SPAN_BROKEN;
	span->after_value = byte == '}' || byte == ']';
	if (span->after_value)
		span->depth--;
	return JSON_SPAN_OPEN;
}

static enum json_span_result
pass_word(struct json_span *span)
{
	if (span->after_value && !span->in_word)
		return JSON_SPAN_BROKEN;
	span->after_value = true;
	return JSON_SPAN_OPEN;
}

static enum json_span_result
pass_byte(struct json_span *span, char byte)
{
	enum json_span_result result;
	bool is_word = false;

	switch (byte) {
	case '"': case '{': case '[':
		result = open_value(span, byte);
		break;
	case ',': case ':': case '}': case ']':
		result = pass_separator(span, byte);
		break;
	default:
		result = pass_word(span);
		is_word = true;
	}
	if (result == JSON_SPAN_OPEN) {
		span->in_word = is_word;
		span->at_line_start = span->at_edge = false;
	}
	return result;
}

static bool
is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static void
pass_blank(struct json_span *span, char *byte)
{
	span->in_word = false;
	span->at_edge = *byte == '\n';
	if (span->at_edge)
		span->at_line_start = true;
	if (*byte != '\t')
		*byte = ' ';
}

/* Has a string, an object or an array just been closed, the outermost? */
static bool
is_complete(const struct json_span *span)
{
	return span->depth == 0 && span->after_value && !span->in_word &&
	    !span->in_string;
}

enum json_span_result
json_span_scan(struct json_span *span, char *bytes, size_t length,
    size_t *looked)
{
	enum json_span_result result = JSON_SPAN_OPEN;
	size_t at = 0;

	while (result == JSON_SPAN_OPEN && at < length) {
		if (is_blank(bytes[at]) && !span->in_string) {
			pass_blank(span, &bytes[at++]);
			continue;
		}
		if (span->in_string)
			at = pass_string(span, bytes, at, length);
		else if ((result = pass_byte(span, bytes[at])) ==
		    JSON_SPAN_OPEN)
			at++;
		if (result == JSON_SPAN_OPEN && is_complete(span))
			result = JSON_SPAN_END;
	}
	*looked = at;
	return result;
}
