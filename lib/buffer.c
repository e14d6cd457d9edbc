#include "buffer.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "utf8.h"

char *
buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t capacity = buffer->capacity > 0 ? buffer->capacity : 256;

	while (capacity - buffer->length < more)
		capacity *= 2;
	if (capacity > buffer->capacity) {
		buffer->data = xrealloc(buffer->data, capacity);
		buffer->capacity = capacity;
	}
	return buffer->data + buffer->length;
}

void
buffer_append(struct buffer *buffer, const char *bytes, size_t length)
{
	if (length == 0)
		return;
	memcpy(buffer_reserve(buffer, length), bytes, length);
	buffer->length += length;
}

void
buffer_append_string(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

void
buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;

	char *end = buffer_reserve(buffer, (size_t)length + 1);
	va_start(arguments, format);
	vsnprintf(end, (size_t)length + 1, format, arguments);
	va_end(arguments);
	buffer->length += (size_t)length;
}

/* The short escape of a byte in JSON, or 0. */
static char
find_escape(char byte)
{
	switch (byte) {
	case '"': case '\\': return byte;
	case '\b': return 'b';
	case '\f': return 'f';
	case '\n': return 'n';
	case '\r': return 'r';
	case '\t': return 't';
	default: return 0;
	}
}

static bool
needs_escape(char byte)
{
	return (unsigned char)byte < 0x20 || byte == '"' || byte == '\\';
}

static void
append_json_control(struct buffer *buffer, char byte)
{
	static const char digits[] = "0123456789abcdef";
	char escape = find_escape(byte);

	if (escape != 0)
		buffer_append(buffer, (char[]){ '\\', escape }, 2);
	else
		buffer_append(buffer, (char[]){ '\\', 'u', '0', '0',
		    digits[byte >> 4], digits[byte & 15] }, 6);
}

void
buffer_append_json(struct buffer *buffer, const char *bytes, size_t length)
{
	size_t done = 0;

	buffer_append(buffer, "\"", 1);
	for (size_t at = 0; at < length;) {
		size_t width = utf8_character(bytes + at, length - at);

		if (width > 0 && !needs_escape(bytes[at])) {
			at += width;
			continue;
		}
		buffer_append(buffer, bytes + done, at - done);
		if (width == 0)
			buffer_append_string(buffer, "\xef\xbf\xbd");
		else
			append_json_control(buffer, bytes[at]);
		done = ++at;
	}
	buffer_append(buffer, bytes + done, length - done);
	buffer_append(buffer, "\"", 1);
}

void
buffer_consume(struct buffer *buffer, size_t length)
{
	if (length == 0)
		return;
	memmove(buffer->data, buffer->data + length, buffer->length - length);
	buffer->length -= length;
}

const char *
buffer_string(struct buffer *buffer)
{
	*buffer_reserve(buffer, 1) = '\0';
	return buffer->data;
}

void
buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){ 0 };
}
