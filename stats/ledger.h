/*
 * The counts on disk: the snapshot FILE, and for what came since it was written
 * FILE.log. Together they hold all that is counted before it is answered.
 */
#ifndef STATS_LEDGER_H
#define STATS_LEDGER_H

#include <stdbool.h>

#include "counters.h"
#include "record.h"

struct ledger;

/* Keep the counters, which are borrowed, in the file `path`, borrowed, too. */
struct ledger *ledger_new(const char *path, struct counters *counters);
void ledger_free(struct ledger *ledger);

/*
 * Go on from what earlier starts left; has_passed says that all which the last
 * one answered went all the way. Returns 0 or an exit status with the reason
 * reported.
 */
int ledger_load(struct ledger *ledger, bool has_passed);

/* A record is going to be answered, and was counted or had been before. */
void ledger_take(struct ledger *ledger, struct record *record,
    bool is_counted);

/*
 * Make safe what was taken. Returns 0, or -1 where that cannot be written, with
 * the reason reported once: it may be tried again.
 */
int ledger_commit(struct ledger *ledger);

/*
 * After all was answered: write the snapshot if that is due. Returns after
 * how many ms it is, or -1 if it is not before more is counted.
 */
int ledger_save_in_time(struct ledger *ledger);

/*
 * Write the last snapshot: all was answered. Returns 0, or -1 with the reason
 * reported; the counts are safe in the log then.
 */
int ledger_finish(struct ledger *ledger);

#endif
