/* What the bot answers, and what people have to know of their forwards. */
#ifndef SLACK_SEND_REPLY_H
#define SLACK_SEND_REPLY_H

#include <stdbool.h>

#include "outbox.h"
#include "record.h"

/*
 * The answer in a record: that to a command, or one that came later. Its
 * strings belong to the record. Returns false where there is none.
 */
bool reply_read(struct outbox_message *message, struct record *record);

/*
 * Call `take` for each owner of a pattern that is in quarantine from this
 * record on.
 */
void reply_read_notices(struct record *record,
    void (*take)(const struct outbox_message *message, void *arg), void *arg);

/*
 * Call `hold` for each user whose mute the record changes, with the time until
 * which forwards are held back, 0: no longer.
 */
void reply_read_mutes(struct record *record,
    void (*hold)(const char *user, int64_t due_us, void *arg), void *arg);

#endif
