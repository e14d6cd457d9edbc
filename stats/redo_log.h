/*
 * What was counted since the snapshot was written, so that it can be counted
 * again: a line that names the snapshot's generation, `{"generation":7}`, then
 * one for each record, with the members that counters_take looks at.
 *
 * It is written without being made durable: it is for our own death. After a
 * power cut the reader's replay from the older checkpoint stands for it.
 */
#ifndef STATS_REDO_LOG_H
#define STATS_REDO_LOG_H

#include <sys/types.h>

#include "counters.h"
#include "record.h"

struct redo_log;

/* Does nothing to the file yet. */
struct redo_log *redo_log_new(const char *path);
void redo_log_free(struct redo_log *log);

/*
 * Open the file, where need be a new one, and lock it. Returns 0, or -1 with
 * errno set; EWOULDBLOCK says that another process has it.
 */
int redo_log_open(struct redo_log *log);

/*
 * Count what the log holds if it belongs to the snapshot that `counters` come
 * from. From a line on that is none it is ignored, which is reported unless
 * that line was merely cut off. What is written next follows the last good one.
 */
void redo_log_replay(struct redo_log *log, struct counters *counters);

/* Have a record, which was counted, written with the next redo_log_write. */
void redo_log_add(struct redo_log *log, struct record *record);

/*
 * Write what was added. Returns 0, or -1 with errno set: nothing of it is in
 * the file then, and the next call tries again.
 */
int redo_log_write(struct redo_log *log);

/* Begin anew, empty: a snapshot of this generation holds all that was added. */
void redo_log_begin(struct redo_log *log, int64_t generation);

off_t redo_log_length(const struct redo_log *log);

#endif
