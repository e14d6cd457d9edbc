/*
 * Standard output, written from the journal: what nobody reads yet costs no
 * memory, and holds nothing up.
 */
#ifndef SLACK_READER_OUTLET_H
#define SLACK_READER_OUTLET_H

#include <stdbool.h>

#include "journal.h"
#include "timers.h"

struct outlet;

/* Exits EX_IOERR where standard output is closed. */
struct outlet *outlet_new(int set, struct timers *timers,
    struct journal *journal);
void outlet_free(struct outlet *outlet);

/* Write what can be written without waiting. */
void outlet_write(struct outlet *outlet);

/*
 * Has the output come to its end: a failure, or nobody reads it any more, or
 * after outlet_leave all is written, or nothing could be for a while?
 */
bool outlet_is_over(const struct outlet *outlet);

/* No more will come. What is not written now is in the journal. */
void outlet_leave(struct outlet *outlet);

/*
 * Close the output. Returns an exit status, its reason reported; where the
 * reader has left it does not return but ends by SIGPIPE, quietly.
 */
int outlet_close(struct outlet *outlet);

#endif
