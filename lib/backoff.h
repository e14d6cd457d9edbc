/* Growing pauses with full jitter, so that many do not come back at once. */
#ifndef LIB_BACKOFF_H
#define LIB_BACKOFF_H

#include <stdint.h>

/* Set the first two, the rest is zero at the start and after a success. */
struct backoff {
	int64_t first_ms;	/* the longest first pause */
	int64_t most_ms;	/* the longest of all */
	unsigned failures;
};

/*
 * The pause before the next try: 0 the first time, then random between 0 and
 * first_ms, twice that, and so on up to most_ms.
 */
int64_t backoff_next_ms(struct backoff *backoff);

#endif
