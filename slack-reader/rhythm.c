#include "rhythm.h"

#include <limits.h>

#include "clock.h"

/* A larger step back in time is the start of another recording. */
#define DISORDER_MAX_US 60000000
#define SECOND_NS 1e9

/* A wait that no clock can outrun: ten years. */
#define GAP_NS_MAX 3.2e17

static int64_t
scale_gap(const struct rhythm *rhythm, int64_t gap_us)
{
	double gap_ns = (double)gap_us * 1000 / rhythm->factor;
	double most_ns = rhythm->gap_max_s > 0 ? rhythm->gap_max_s * SECOND_NS
	    : GAP_NS_MAX;

	return (int64_t)(gap_ns < most_ns ? gap_ns : most_ns);
}

void
rhythm_schedule(struct rhythm *rhythm, int64_t time_us, int64_t now_ns)
{
	int64_t gap_us = time_us - rhythm->latest_us;

	if (rhythm->factor <= 0 || rhythm->burst-- > 0)
		return;
	rhythm->burst = 0;
	if (!rhythm->running) {
		rhythm->running = true;
		rhythm->latest_us = time_us;
		rhythm->due_ns = now_ns;
	} else if (gap_us > 0) {
		rhythm->latest_us = time_us;
		rhythm->due_ns += scale_gap(rhythm, gap_us);
	} else if (gap_us < -DISORDER_MAX_US) {
		rhythm->latest_us = time_us;
	}
}

int
rhythm_remaining_ms(const struct rhythm *rhythm, int64_t now_ns)
{
	int64_t remaining_ms = (rhythm->due_ns - now_ns) / 1000000;

	if (!rhythm->running || remaining_ms <= 0)
		return 0;
	return remaining_ms < INT_MAX ? (int)remaining_ms : INT_MAX;
}

void
rhythm_restart(struct rhythm *rhythm)
{
	rhythm->running = false;
}

int64_t
rhythm_now_ns(void)
{
	return clock_steady_us() * 1000;
}
