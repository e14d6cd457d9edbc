/*
 * What there is to know about the stage, for `run.sh --status`: one line,
 * NAME PID SINCE RESTARTS LINES parted by tabs (man/keep.1).
 */
#ifndef KEEP_STATUS_H
#define KEEP_STATUS_H

#include <stddef.h>

#include "stage.h"

/*
 * Write the line to the file (status_line.h), or to standard error where path
 * is NULL. `lines` wait for an answer. Returns 0, or -1 with errno set.
 */
int status_write(const char *path, const char *name,
    const struct stage *stage, size_t lines);

#endif
