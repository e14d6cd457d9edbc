/*
 * The journal: every record that came in, in order, on disk before anybody is
 * told that it was taken. Plain NDJSON, a file a day (UTC):
 * YYYY-MM-DD.ndjson, and YYYY-MM-DD.2.ndjson and so on where a day is so full
 * that its file would be more than a quarter of what is allowed. The day is
 * that of the commit; where the clock jumps back, the newest file goes on.
 */
#ifndef SLACK_READER_JOURNAL_H
#define SLACK_READER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "record.h"

struct journal;

struct journal_settings {
	const char *folder;	/* made where it does not exist; borrowed */
	int64_t bytes_max;	/* of all files together */
	int64_t age_max_s;
	int64_t recall_s;	/* how far back `recall` gets records, at least */

	/*
	 * Called in order for the records of all files that hold any of the
	 * last recall_s, counted from the newest record; may be NULL.
	 */
	void (*recall)(struct record *record, void *arg);
	void *arg;

	int64_t (*now_us)(void);	/* NULL: clock_now_us */
};

/*
 * Open and lock the journal and make it sound: what follows the last sound
 * record goes to the file `torn` (16 MiB at most), with a report. Exits
 * EX_CONFIG where the folder cannot be used, EX_TEMPFAIL where another process
 * writes there, EX_IOERR where the disk fails.
 */
struct journal *journal_open(const struct journal_settings *settings);

/* What was appended, but not committed, is forgotten. */
void journal_free(struct journal *journal);

/* The highest seq that was committed, 0 where the journal is empty. */
int64_t journal_last_seq(const struct journal *journal);

/* Take a record as a line with its LF, to be written by the next commit. */
void journal_append(struct journal *journal, int64_t seq, const char *line,
    size_t length);

/*
 * Write what was appended and make it durable, all or nothing. Returns 0, or
 * -1 with errno set: then nothing of it is in the journal (ENOSPC and EDQUOT
 * can pass; EFBIG where the journal is full of what was not yet passed on). A
 * disk that fails to sync ends the program with EX_IOERR: nobody knows what is
 * on it, a new start reads it again.
 */
int journal_commit(struct journal *journal);

/* Is there room for a commit, after one that failed for want of it? */
bool journal_has_room(struct journal *journal);

/*
 * Remove files that are too old or too much, the oldest first: nothing that is
 * yet to be read, nothing before journal_seek, and never the file that tells
 * the last seq.
 */
void journal_expire(struct journal *journal);

/*
 * Read on from behind the record with seq `after` (from the start where that
 * is older than all, with a report of what is missing; with INT64_MAX only
 * what is committed from now on).
 */
void journal_seek(struct journal *journal, int64_t after);

/*
 * Append to out what follows of the committed lines, whole lines of about
 * bytes_max altogether, at least one; damaged ones as they are, but for their
 * LF, and of one over 16 MiB only that much. What cannot be read is reported
 * and passed over. Returns false where nothing was left.
 */
bool journal_read(struct journal *journal, struct buffer *out,
    size_t bytes_max);

/* Is there something for journal_read? */
bool journal_has_more(const struct journal *journal);

#endif
