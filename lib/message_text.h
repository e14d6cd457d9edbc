/*
 * What people wrote or see in a message, as plain text: `text`, then all that
 * is human in `blocks`, of an edit the new state. Slack's escapes are undone:
 * &amp; &lt; &gt;, <@U1> becomes @U1, <url|label> becomes label (url).
 */
#ifndef LIB_MESSAGE_TEXT_H
#define LIB_MESSAGE_TEXT_H

#include <stdbool.h>

#include "buffer.h"
#include "record.h"

#define MESSAGE_TEXT_BYTES_MAX (1024 * 1024)

/*
 * Append the message's text, its attachments (the legacy kind, shared messages
 * among them, and the names and titles of files) or its payload (a string as
 * it is, anything else as JSON). Returns false where the limits of size or
 * depth cut something off.
 */
bool message_text(struct record *record, struct buffer *text);
bool message_attachments(struct record *record, struct buffer *text);
bool message_payload(struct record *record, struct buffer *text);

/* Of an edit the same as it was before. */
bool message_text_before(struct record *record, struct buffer *text);
bool message_attachments_before(struct record *record, struct buffer *text);

#endif
