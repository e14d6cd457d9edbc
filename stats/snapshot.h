/* The counters as a JSON file for machines (keys: man/stats.1). */
#ifndef STATS_SNAPSHOT_H
#define STATS_SNAPSHOT_H

#include "counters.h"

/*
 * Go on from the counts of an earlier start, if there are any. Returns 0, or
 * -1 where the file is there but cannot be used, the reason reported.
 */
int snapshot_load(const char *path, struct counters *counters);

/*
 * Write the counts beside the file, make them durable and rename. Returns 0,
 * or -1 with errno set; the file is then what it was before.
 */
int snapshot_save(const char *path, const struct counters *counters);

#endif
