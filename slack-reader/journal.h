/*
 * The journal: every record that came in, in order, on disk before anybody is
 * told that it was taken. Plain NDJSON, a file a day (UTC):
 * YYYY-MM-DD.ndjson, and YYYY-MM-DD.2.ndjson and so on where a day is so full
 * that its file would be more than a quarter of what is allowed.
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

	/* Called in order for what the journal holds of the last recall_s. */
	void (*recall)(struct record *record, void *arg);
	void *arg;
};

/*
 * Open and lock the journal and make it sound: what a crash left of a last
 * line goes to the file `torn`, with a report. Exits EX_CONFIG where the folder
 * cannot be used, EX_TEMPFAIL where another process writes there.
 */
struct journal *journal_open(const struct journal_settings *settings);

/* What was appended, but not committed, is forgotten. */
void journal_free(struct journal *journal);

/* The highest seq in the journal, 0 where it is empty. */
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

/* Remove what is too old or too much, but nothing that is yet to be read. */
void journal_expire(struct journal *journal);

/*
 * Read on from behind the record with seq `after` (from the start where that
 * is older than all; with INT64_MAX only what is committed from now on).
 */
void journal_seek(struct journal *journal, int64_t after);

/*
 * Append to out what follows of the committed lines, whole lines of about
 * bytes_max altogether, at least one. Returns false where nothing is left.
 */
bool journal_read(struct journal *journal, struct buffer *out,
    size_t bytes_max);

/* Is there something for journal_read? */
bool journal_has_more(const struct journal *journal);

#endif
