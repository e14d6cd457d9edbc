/* Times of day as records carry them: RFC 3339, UTC, microseconds. */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT_BYTES 32

/* Microseconds since 1970. */
int64_t clock_now_us(void);

/* Of a clock that never jumps, for deadlines, pauses and rates. */
int64_t clock_steady_us(void);
int64_t clock_steady_ms(void);

/* The same in seconds, cheaper, up to 10 ms behind. */
int64_t clock_steady_s(void);

/* Write as 2026-11-22T10:00:00.000000Z into CLOCK_TEXT_BYTES bytes. */
void clock_format(int64_t us, char *text);

/*
 * Read what clock_format writes; the fraction may have any number of digits or
 * be absent, an offset such as +01:00 may stand for Z. Returns 0 or -1.
 */
int clock_parse(const char *text, int64_t *us);

#endif
