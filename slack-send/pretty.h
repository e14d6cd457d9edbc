/* JSON laid out for people. */
#ifndef SLACK_SEND_PRETTY_H
#define SLACK_SEND_PRETTY_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"

#define PRETTY_DEPTH_MAX 64

/*
 * Append an object or an array a member a line, its numbers and strings as they
 * stand. Returns false, and appends nothing, where it is none, or nested
 * deeper than PRETTY_DEPTH_MAX.
 */
bool pretty_append(struct buffer *out, const char *json, size_t length);

#endif
