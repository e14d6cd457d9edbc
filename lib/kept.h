/* What keep tells the stage that it runs (man/keep.1). */
#ifndef LIB_KEPT_H
#define LIB_KEPT_H

#include <stdbool.h>
#include <stdint.h>

/* In the environment: the seconds of --hang; set where EX_TEMPFAIL ended the
 * stage the last time, which therefore need not say again why. */
#define KEPT_HANG "KEEP_HANG"
#define KEPT_RETRY "KEEP_RETRY"

/*
 * How long a stage may sit on a line in the hope for better times, before it
 * ends with EX_TEMPFAIL and is started again; INT64_MAX where nobody minds.
 */
int64_t kept_patience_ms(void);

bool kept_is_retry(void);

#endif
