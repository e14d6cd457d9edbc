/*
 * JSON values out of a file descriptor, whatever form they are stored in: one
 * object a line, the elements of an array, an object spread over lines, or a
 * mixture. Each value tells by its own first byte which it is.
 */
#ifndef SLACK_READER_VALUE_READER_H
#define SLACK_READER_VALUE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * One value as one line. total is its length; of a value over RECORD_BYTES_MAX
 * only the first LINE_HEAD_BYTES are there, length is then smaller. reason is
 * set where it is already known to be no record.
 */
struct value {
	const char *text;
	size_t length;
	size_t total;
	const char *reason;
};

struct value_reader;

struct value_reader *value_reader_new(int fd);
void value_reader_free(struct value_reader *reader);

/*
 * The next value of what has been read, valid until the next call of either
 * function. Returns false when more must be read, or all has been at the end.
 */
bool value_reader_next(struct value_reader *reader, struct value *value);

/* Read once. Returns the number of bytes, 0 at the end, -1 with errno set. */
ssize_t value_reader_fill(struct value_reader *reader);

bool value_reader_at_end(const struct value_reader *reader);

/* How many bytes of the input lie behind us. */
uint64_t value_reader_position(const struct value_reader *reader);

#endif
