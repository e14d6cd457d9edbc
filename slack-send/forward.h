/* What goes to those who subscribed to something that a record holds. */
#ifndef SLACK_SEND_FORWARD_H
#define SLACK_SEND_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "outbox.h"
#include "record.h"

/*
 * Call `take` for each subscriber whom the record concerns, with one message
 * however many matches there are. It is valid during the call only.
 */
void forward_read(struct record *record,
    void (*take)(const struct outbox_message *message, void *arg), void *arg);

/* Is it an id of a person, as Slack gives them? */
bool forward_is_user(const char *text);

/* When a mute until then, in seconds since 1970, 0: until `talk`, is over. */
int64_t forward_due_us(double until_s);

#endif
