#include "backoff.h"

#include <limits.h>
#include <stdlib.h>

#define DOUBLINGS_MAX 30

static int64_t
measure_window_ms(const struct backoff *backoff)
{
	int64_t window_ms = backoff->first_ms;

	for (unsigned i = 1; i < backoff->failures; i++) {
		if (window_ms >= backoff->most_ms || i > DOUBLINGS_MAX)
			break;
		window_ms *= 2;
	}
	return window_ms < backoff->most_ms ? window_ms : backoff->most_ms;
}

int64_t
backoff_next_ms(struct backoff *backoff)
{
	int64_t window_ms = measure_window_ms(backoff);
	unsigned failures = backoff->failures;

	if (failures < UINT_MAX)
		backoff->failures++;
	if (failures == 0 || window_ms <= 0)
		return 0;
	if (window_ms >= UINT32_MAX)
		window_ms = UINT32_MAX - 1;
	return arc4random_uniform((uint32_t)window_ms + 1);
}
