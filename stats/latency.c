#include "latency.h"

#include <stddef.h>

/* Below 16 µs a bucket is 1 µs wide, above a sixteenth of its power of two. */
static size_t
find_bucket(int64_t us)
{
	size_t power = 0;

	while (us >> power >= 32)
		power++;
	size_t bucket = power * 16 + (size_t)(us >> power);
	return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The largest time that falls into the bucket. */
static int64_t
find_upper_end(size_t bucket)
{
	size_t power = bucket < 32 ? 0 : bucket / 16 - 1;

	return ((int64_t)(bucket - power * 16 + 1) << power) - 1;
}

void
latency_add(struct latency *latency, int64_t us)
{
	if (us < 0)
		us = 0;
	latency->buckets[find_bucket(us)]++;
	latency->count++;
	if (us > latency->max_us)
		latency->max_us = us;
}

int64_t
latency_quantile(const struct latency *latency, double share)
{
	double wanted = share * (double)latency->count, seen = 0;

	for (size_t bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
		seen += (double)latency->buckets[bucket];
		if (seen >= wanted && seen > 0) {
			int64_t us = find_upper_end(bucket);
			return us < latency->max_us ? us : latency->max_us;
		}
	}
	return 0;
}
