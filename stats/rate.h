/* How many records a second came lately. */
#ifndef STATS_RATE_H
#define STATS_RATE_H

#include <stdint.h>

#define RATE_WINDOW_S 300

/* All zero holds nothing. Times are of one steady clock. */
struct rate {
	uint32_t counts[RATE_WINDOW_S];
	int64_t second;		/* of the newest count */
	int64_t first_second;	/* of the first ever */
};

void rate_add(struct rate *rate, int64_t second);

/* Records a second over the last window_s, or since the first one. */
double rate_over(const struct rate *rate, int64_t second, int window_s);

#endif
