/* What records want to be said in Slack: it goes into the outbox, and they wait
 * in downstream until it is safe there. */
#ifndef SLACK_SEND_ORDERS_H
#define SLACK_SEND_ORDERS_H

#include <stdbool.h>

#include "downstream.h"
#include "intake.h"
#include "outbox.h"

struct orders;

/* All is borrowed. */
struct orders *orders_new(struct outbox *outbox,
    struct downstream *downstream, bool may_broadcast);
void orders_free(struct orders *orders);

/* Takes the records that bring them; valid as long as orders is. */
struct taker orders_taker(struct orders *orders);

/* Must the outbox commit before what is in downstream may leave? */
bool orders_are_unsafe(const struct orders *orders);
void orders_note_commit(struct orders *orders);

#endif
