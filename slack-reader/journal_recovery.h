/* What a start does: repair the journal's end, read its last part back. */
#ifndef SLACK_READER_JOURNAL_RECOVERY_H
#define SLACK_READER_JOURNAL_RECOVERY_H

#include <stddef.h>
#include <stdint.h>

#include "journal_folder.h"
#include "record.h"

/* What `torn` holds at most, and of one tail, too. */
#define JOURNAL_TORN_BYTES (16 * 1024 * 1024)

/*
 * Move what follows the last sound record of the newest file to `torn`; what
 * is left is on disk then. Exits EX_IOERR where that fails. Returns a
 * descriptor to append to that file, or -1 where there is none.
 */
int journal_repair(struct journal_folder *folder);

struct journal_recall {
	int64_t span_s;		/* before the newest record */
	void (*take)(struct record *record, void *arg);
	void *arg;

	/* what was found */
	int64_t last_seq;	/* the highest, 0 where there is none */
	size_t last_file;	/* that holds it */
};

/*
 * Read the newest files back, as many as hold records of that span, one with
 * records at least. Damaged lines are counted and reported. Exits EX_IOERR
 * where reading fails.
 */
void journal_recall(const struct journal_folder *folder,
    struct journal_recall *recall);

#endif
