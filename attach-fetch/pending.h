/* A record with files, until it is known what became of all of them. */
#ifndef ATTACH_FETCH_PENDING_H
#define ATTACH_FETCH_PENDING_H

#include <stddef.h>
#include <stdint.h>

#include "record.h"
#include "want.h"

#define PENDING_FILES_MAX 50

struct pending {
	struct want *wants;
	size_t count;
	size_t open;		/* how many are undecided */
	size_t too_many;	/* files beyond PENDING_FILES_MAX */
	int64_t deadline_ms;	/* 0 until a download starts */
	int64_t held_ms;	/* that it waited for room beyond that */

	/* of a record that waits: a copy of its line, its place behind us */
	char *line;
	size_t length;
	struct answer *place;
	struct pending *next;
};

/*
 * The files of the record, those in an edited message among them; NULL where
 * it has none. Files that need no look elsewhere are decided.
 */
struct pending *pending_new(struct record *record, int64_t bytes_max);

/* Free it; pins on the spool must have been released. */
void pending_free(struct pending *pending);

/* Add `fetched` to the record. */
void pending_add_fetched(const struct pending *pending,
    struct record *record);

/*
 * Let the record fail where the files may stand in a member with too many
 * values to be looked at. Needed before each writing: a record that waited is
 * parsed anew.
 */
void pending_report_missed(struct record *record);

#endif
