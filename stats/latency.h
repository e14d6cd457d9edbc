/* How long records took, as quantiles out of bounded memory. */
#ifndef STATS_LATENCY_H
#define STATS_LATENCY_H

#include <stdint.h>

/* Each power of two of microseconds is split in 16: quantiles within 7 %. */
#define LATENCY_BUCKETS (40 * 16)

/* All zero holds nothing. */
struct latency {
	uint64_t buckets[LATENCY_BUCKETS];
	uint64_t count;
	int64_t max_us;
};

void latency_add(struct latency *latency, int64_t us);

/* The time that a share of the records, 0 to 1, took at most. */
int64_t latency_quantile(const struct latency *latency, double share);

#endif
