#include "kept.h"

#include <stdlib.h>

int64_t
kept_patience_ms(void)
{
	const char *text = getenv(KEPT_HANG);
	double seconds = text == NULL ? 0 : strtod(text, NULL);

	return seconds > 0 && seconds < 1e9 ? (int64_t)(seconds * 500)
	    : INT64_MAX;
}

bool
kept_is_retry(void)
{
	return getenv(KEPT_RETRY) != NULL;
}
