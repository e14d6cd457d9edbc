/* What would be sent, told instead. */
#ifndef SLACK_SEND_DRY_RUN_H
#define SLACK_SEND_DRY_RUN_H

#include <stdbool.h>

/*
 * Read records from standard input and print each request that they would lead
 * to as a line of JSON, a message by itself and never in a digest. What is
 * wrong is reported. Returns an exit status.
 */
int dry_run(bool may_broadcast);

#endif
