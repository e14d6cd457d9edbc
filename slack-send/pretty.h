/* JSON laid out for people. */
#ifndef SLACK_SEND_PRETTY_H
#define SLACK_SEND_PRETTY_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"

#define PRETTY_DEPTH_MAX 64
#define PRETTY_BYTES_MAX (16 * 1024 * 1024)

/* Is it an object or an array, in the strict sense of json_scan? */
bool pretty_is_json(const char *json, size_t length);

/*
 * Append an object or an array a member a line, its numbers and strings as they
 * stand. Returns false, and appends nothing, where it is none, is nested deeper
 * than PRETTY_DEPTH_MAX, or would be longer than PRETTY_BYTES_MAX.
 */
bool pretty_append(struct buffer *out, const char *json, size_t length);

#endif
