/*
 * The line files people edit (man/patterns.5): two words and a regular
 * expression a line; '#' at the start of a line opens a comment, blanks at its
 * end do not count.
 */
#ifndef LIB_RULE_FILE_H
#define LIB_RULE_FILE_H

#include <stddef.h>

#define RULE_LINE_BYTES_MAX 65536
#define RULE_LINES_MAX 100000

/* A line, cut; the strings are valid during the call only. */
struct rule_line {
	const char *path;
	size_t number;			/* from 1 */
	char *first;
	char *second;
	char *rest;
	size_t first_column;		/* from 1, in bytes */
	size_t second_column;
	size_t rest_column;
};

/*
 * Call `take` for each rule in the file; it returns 0, or -1 after
 * rule_line_complain. Reading goes on after a bad line, so that all are
 * reported at once. Returns 0, or -1 where the file could not be read or a
 * line was bad, all of it reported on standard error.
 */
int rule_file_read(const char *path,
    int (*take)(const struct rule_line *line, void *arg), void *arg);

/* Report `path:line:column: reason`. */
void rule_line_complain(const struct rule_line *line, size_t column,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
