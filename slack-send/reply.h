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

/* What the record lets go: whose forwards are held back no more. */
void reply_read_releases(struct record *record,
    void (*release)(const char *user, void *arg), void *arg);

#endif
