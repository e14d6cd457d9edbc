/*
 * Files that were not complete when their record had to go on. Each is still
 * fetched, in bounds, and when it is decided what became of it, a `late_file`
 * record of it is handed in by the inbox.
 */
#ifndef ATTACH_FETCH_LATE_H
#define ATTACH_FETCH_LATE_H

#include <stddef.h>
#include <stdint.h>

#include "record.h"
#include "spool.h"
#include "timers.h"
#include "want.h"

#define LATE_FILE_TYPE "late_file"
#define LATE_OUTCOME "outcome"		/* member: why it never came */
#define LATE_FILES_MAX 64
#define LATE_BYTES_MAX (4 * 1024 * 1024)	/* of their records */

/* All borrowed. */
struct late_settings {
	const char *inbox;	/* path of its socket */
	struct spool *spool;
	int set;		/* of events */
	struct timers *timers;
};

struct late_files;

struct late_files *late_files_new(const struct late_settings *settings);

/* Those still under way are reported; nothing may be fetching them. */
void late_files_free(struct late_files *late);

/*
 * Make a late file of a want of the record, which has an integer seq. Returns
 * the want that is to take its place, or NULL where there are too many.
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
