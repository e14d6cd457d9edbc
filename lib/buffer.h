/* Bytes that grow at the end. */
#ifndef LIB_BUFFER_H
#define LIB_BUFFER_H

#include <stddef.h>

/* All zero is an empty buffer. */
struct buffer {
	char *data;
	size_t length;
	size_t capacity;
};

/* Make room for `more` bytes; returns where they go. length stays. */
char *buffer_reserve(struct buffer *buffer, size_t more);

void buffer_append(struct buffer *buffer, const char *bytes, size_t length);
void buffer_append_string(struct buffer *buffer, const char *text);

/* Append as printf would print. */
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Append the bytes as a JSON string with its quotes. What is not UTF-8 becomes
 * U+FFFD, so the result is always valid JSON.
 */
void buffer_append_json(struct buffer *buffer, const char *bytes,
    size_t length);

/* Remove the first `length` bytes. */
void buffer_consume(struct buffer *buffer, size_t length);

/* The content with a NUL behind it, valid until the next change. */
const char *buffer_string(struct buffer *buffer);

/* Free the bytes; the buffer is empty and can be used again. */
void buffer_free(struct buffer *buffer);

#endif
