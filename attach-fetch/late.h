/*
 * Files that were not complete when their record had to go on. Each is still
 * fetched, in bounds, and when it is decided what became of it, a `late_file`
 * record of it is handed in by the inbox. They are noted on the disk (owed.h)
 * before their record goes on and until the inbox took theirs.
 */
#ifndef ATTACH_FETCH_LATE_H
#define ATTACH_FETCH_LATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"
#include "spool.h"
#include "timers.h"
#include "want.h"

#define LATE_FILE_TYPE "late_file"
#define LATE_OUTCOME "outcome"		/* member: why it never came */
#define LATE_FILES_MAX 256
#define LATE_RESUMED_MS 60000	/* of their time, at least, in a new run */

/* All borrowed. */
struct late_settings {
	const char *inbox;	/* path of its socket */
	struct spool *spool;
	int64_t bytes_max;	/* of a file */
	int64_t time_ms;	/* that a late file has */
	int set;		/* of events */
	struct timers *timers;
};

struct late_files;

struct late_files *late_files_new(const struct late_settings *settings);

/* Those still under way are for the next run; nothing may be fetching them. */
void late_files_free(struct late_files *late);

/*
 * The next late file that an earlier run left, to be fetched and settled: with
 * a status already where that is not needed. NULL where there are no more,
 * which must have been heard before any is adopted.
 */
struct want *late_files_resume(struct late_files *late);

/* Is a late_file record of this file to follow already? */
bool late_files_are_to_have(const struct late_files *late,
    const struct record *record, const struct want *want);

/*
 * Make a late file of a want of the record, which has an integer seq. Returns
 * the want that is to take its place, or NULL with errno set: ENOBUFS where
 * there are too many, EINVAL where its object is not to be found.
 */
struct want *late_files_adopt(struct late_files *late,
    const struct record *record, const struct want *want);

/* It is decided what became of such a want, which is gone afterwards. */
void late_files_settle(struct late_files *late, struct want *want);

/* One whose time is over and that is still being fetched, or NULL. */
struct want *late_files_overdue(const struct late_files *late);

/* When the next one will be overdue, in ms of the steady clock; or 0. */
int64_t late_files_next_ms(const struct late_files *late);

/* For so long nothing could be fetched: that does not count. */
void late_files_extend(struct late_files *late, int64_t blocked_ms);

#endif
