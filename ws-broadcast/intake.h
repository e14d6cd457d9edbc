/* Standard input: each line goes into the ring and on to standard output. */
#ifndef WS_BROADCAST_INTAKE_H
#define WS_BROADCAST_INTAKE_H

#include <stdbool.h>

#include "downstream.h"
#include "ring.h"

struct intake;

/*
 * Both are borrowed. With skips_repeats a record whose seq is not above all
 * before is passed on but not shown a second time (law 4: a reader that was
 * started again may send it twice). Exits EX_IOERR where standard input is
 * closed.
 */
struct intake *intake_new(struct ring *ring, struct downstream *downstream,
    bool skips_repeats);
void intake_free(struct intake *intake);

/*
 * Take the lines that were read, as far as downstream has room. may_read says
 * that a read would not wait: then read, once, and take those lines, too.
 * Returns 0, or -1 with the reason reported.
 */
int intake_run(struct intake *intake, bool may_read);

/* Read no more; what was read is still taken, but for an unfinished line. */
void intake_stop(struct intake *intake);

/* Does it want to read, once it may? */
bool intake_wants_input(const struct intake *intake);

/* Are there lines left that downstream had no room for? */
bool intake_has_lines(const struct intake *intake);

/* Has all that was read been taken, and will nothing more be read? */
bool intake_is_done(const struct intake *intake);

#endif
