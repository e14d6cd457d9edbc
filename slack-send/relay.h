/* What a record asks to be said in Slack. */
#ifndef SLACK_SEND_RELAY_H
#define SLACK_SEND_RELAY_H

#include <stdbool.h>

#include "outbox.h"
#include "record.h"

#define RELAY_CHANNEL_BYTES_MAX 255
#define RELAY_TITLE_BYTES_MAX 1024
#define RELAY_ID_BYTES_MAX 128

struct relay {
	struct outbox_message message;
	char *title;
	char *payload;
};

/*
 * What an api_message asks for, its strings valid as long as the record; the
 * caller ends with relay_forget. Returns false where it asks for nothing, with
 * *complaint set where that is because it is wrong, else NULL.
 */
bool relay_read(struct relay *relay, struct record *record,
    const char **complaint);
void relay_forget(struct relay *relay);

/*
 * Put what an api_message asks for into the outbox; where it is wrong, or there
 * is no room, the record fails. Returns whether the outbox has something to
 * commit before the record is answered.
 */
bool relay_take(struct outbox *outbox, struct record *record,
    bool may_broadcast);

#endif
