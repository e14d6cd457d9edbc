/* The records of a day, out of the journal (man/slack-reader.1). */
#ifndef SLACK_BOT_JOURNAL_DAY_H
#define SLACK_BOT_JOURNAL_DAY_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

#define JOURNAL_DAY_S 86400

/*
 * Call `handle` for each record of the journal in that folder that came in
 * during the day before time_s, in their order, until it returns false. What
 * it adds to a record are the members that `own` names.
 */
void journal_day_read(const char *folder, int64_t time_s,
    const char *const *own, bool (*handle)(struct record *record, void *arg),
    void *arg);

#endif
