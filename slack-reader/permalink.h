/* Where people find a message in Slack. */
#ifndef SLACK_READER_PERMALINK_H
#define SLACK_READER_PERMALINK_H

#include <stdbool.h>

#include "buffer.h"
#include "record.h"

/*
 * Append the address of the message that the event is, or is about, in the
 * workspace at url (https://acme.slack.com/). Returns false, with nothing
 * appended, where the event names none.
 */
bool permalink_append(struct buffer *out, const char *url,
    struct record *event);

#endif
