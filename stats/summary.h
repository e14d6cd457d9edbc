/* The counters as a table for people. */
#ifndef STATS_SUMMARY_H
#define STATS_SUMMARY_H

#include <stdio.h>

#include "counters.h"

void summary_print(const struct counters *counters, double seconds,
    FILE *stream);

#endif
