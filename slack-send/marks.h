/* What matched on a line of a message, and the line with that in bold. */
#ifndef SLACK_SEND_MARKS_H
#define SLACK_SEND_MARKS_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "buffer.h"

#define MARKS_MAX 20		/* on a line */

/* A match in its excerpt. */
struct mark {
	size_t start;
	size_t end;
};

/* Those on one line, in order. All zero is none. */
struct marks {
	struct mark all[MARKS_MAX];
	size_t count;
};

/*
 * Add where the match stands in its excerpt of so many bytes, if it tells and
 * there is room. What overlaps or touches becomes one.
 */
void marks_add(struct marks *marks, const cJSON *match, size_t length);

/* Append the excerpt as mrkdwn on one line, the marks bold where they may be. */
void marks_append(struct buffer *out, const char *excerpt,
    const struct marks *marks);

#endif
