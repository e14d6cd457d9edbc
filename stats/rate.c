#include "rate.h"

#include <string.h>

/* Forget the seconds that passed since the newest count. */
static void
advance(struct rate *rate, int64_t second)
{
	if (rate->first_second == 0)
		rate->first_second = second;
	if (second - rate->second >= RATE_WINDOW_S) {
		memset(rate->counts, 0, sizeof rate->counts);
		rate->second = second;
	}
	while (rate->second < second)
		rate->counts[++rate->second % RATE_WINDOW_S] = 0;
}

void
rate_add(struct rate *rate, int64_t second)
{
	advance(rate, second);
	rate->counts[rate->second % RATE_WINDOW_S]++;
}

double
rate_over(const struct rate *rate, int64_t second, int window_s)
{
	int64_t from = second - window_s + 1;
	double records = 0;

	if (from < rate->first_second)
		from = rate->first_second;
	for (int64_t at = from; at <= rate->second; at++)
		if (at > rate->second - RATE_WINDOW_S)
			records += rate->counts[at % RATE_WINDOW_S];
	return second >= from ? records / (double)(second - from + 1) : 0;
}
