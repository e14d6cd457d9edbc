/* Files of messages that are in the spool (man/attach-fetch.1). */
#ifndef SLACK_BOT_SPOOLED_H
#define SLACK_BOT_SPOOLED_H

#include "record.h"

/*
 * Add `fetched` for the files of a record as it came from Slack, as far as they
 * are in the spool by now.
 */
void spooled_add(struct record *record, const char *spool);

#endif
