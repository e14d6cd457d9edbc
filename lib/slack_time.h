/* The time of a message as Slack writes it: "1763800000.000100". */
#ifndef LIB_SLACK_TIME_H
#define LIB_SLACK_TIME_H

#include <stdbool.h>

#include "record.h"

/*
 * The record's `ts` in microseconds since 1970. Returns false, and leaves
 * *time_us as it is, where it has none.
 */
bool slack_time(const struct record *record, int64_t *time_us);

#endif
