/* Lines out of a file descriptor, read in blocks, none longer than a limit. */
#ifndef LIB_LINE_READER_H
#define LIB_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* How much of a line over the limit is kept. */
#define LINE_HEAD_BYTES 1024

/*
 * A line without its LF. total is its length; of a line over the limit only
 * the first bytes are there, length is then smaller than total.
 */
struct line {
	const char *text;
	size_t length;
	size_t total;
};

struct line_reader;

struct line_reader *line_reader_new(int fd, size_t limit);
void line_reader_free(struct line_reader *reader);

/*
 * The next line of what has been read, valid until the next call of either
 * function. Returns false when no whole line is left; at end of input what
 * follows the last LF is a line, too.
 */
bool line_reader_next(struct line_reader *reader, struct line *line);

/*
 * Read once. Returns the number of bytes, 0 at end of input, or -1 with errno
 * set (EINTR and EAGAIN included); nothing is lost by calling again.
 */
ssize_t line_reader_fill(struct line_reader *reader);

bool line_reader_at_end(const struct line_reader *reader);

#endif
