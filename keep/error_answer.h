/* What answers a line in the place of a stage that cannot bear it. */
#ifndef KEEP_ERROR_ANSWER_H
#define KEEP_ERROR_ANSWER_H

#include <stddef.h>

#include "buffer.h"

/*
 * Append the record as it came, with `error` {stage, reason, attempts}, and
 * LF. A line that is no record is carried by one.
 */
void error_answer(const char *stage, const char *reason, int attempts,
    const char *line, size_t length, struct buffer *answer);

#endif
