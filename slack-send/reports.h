/*
 * What became of messages, told to everybody: `delivery` records, and `error`
 * records of trouble, handed in by slack-reader's inbox (man/record.5).
 */
#ifndef SLACK_SEND_REPORTS_H
#define SLACK_SEND_REPORTS_H

#include <stdbool.h>

#include "outbox.h"
#include "timers.h"

#define REPORTS_WAITING_MAX 256	/* that have no answer of the inbox */

struct reports;

/*
 * All is borrowed. An outcome is noted as reported when the inbox has it; who
 * commits wakes us, then and else.
 */
struct reports *reports_new(const char *inbox, int set, struct timers *timers,
    struct outbox *outbox);

/* What has no answer is handed in again by the next start. */
void reports_free(struct reports *reports);

/* Hand in outcomes that may have come, as far as there is room. */
void reports_wake(struct reports *reports);

/* Is nothing on its way? */
bool reports_are_idle(const struct reports *reports);

/*
 * Hand in a trouble that people should see. The topic, a word, and the hour are
 * its id: it is taken once an hour.
 */
void reports_warn(struct reports *reports, const char *topic,
    const char *reason);

#endif
