/* Standard input: each line is looked at and passed on, held until the outbox
 * has what it asks for. */
#ifndef SLACK_SEND_INTAKE_H
#define SLACK_SEND_INTAKE_H

#include <stdbool.h>

#include "downstream.h"
#include "outbox.h"

struct intake;

/* All is borrowed. Exits EX_IOERR where standard input is closed. */
struct intake *intake_new(struct outbox *outbox,
    struct downstream *downstream, bool may_broadcast);
void intake_free(struct intake *intake);

/*
 * Take the lines that were read, as far as there is room. may_read says that a
 * read would not wait: then read, once, and take those lines, too. Returns 0,
 * or -1 with the reason reported.
 */
int intake_run(struct intake *intake, bool may_read);

/* Read no more; what was read is still taken, but for an unfinished line. */
void intake_stop(struct intake *intake);

/* Must the outbox commit before what is in downstream may leave? */
bool intake_is_unsafe(const struct intake *intake);
void intake_note_commit(struct intake *intake);

/* Does it want to read, once it may? */
bool intake_wants_input(const struct intake *intake);

/* Are there lines left that it has room for now? */
bool intake_has_work(const struct intake *intake);

/* Has all that was read been taken, and will nothing more be read? */
bool intake_is_done(const struct intake *intake);

#endif
