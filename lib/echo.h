/* Slack tells everybody of a new message, and us of what slack-send posted. */
#ifndef LIB_ECHO_H
#define LIB_ECHO_H

#include "record.h"

/* members of a message event: what an app attached, unseen by people */
#define ECHO_METADATA "metadata"
#define ECHO_EVENT_TYPE "ultron_message"

/*
 * The key that slack-send posted this message under, SEQ/PURPOSE/PART/ID, or
 * NULL where it did not. Only what slack-reader marked as our own counts. It
 * belongs to the record.
 */
const char *echo_key(struct record *record);

#endif
