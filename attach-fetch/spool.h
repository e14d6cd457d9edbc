/*
 * The spool: files named by the SHA-256 of their content, links from Slack's
 * file ids to them (ids/), and what is being written (tmp/). It is bounded by
 * bytes and age; what was used longest ago goes first.
 */
#ifndef ATTACH_FETCH_SPOOL_H
#define ATTACH_FETCH_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_NAME_BYTES 65		/* 64 hex digits and NUL */
#define SPOOL_RECENT_MAX 4096		/* answered references that are kept */

struct spool;
struct spool_file;			/* a file being written */

struct spool_limits {
	int64_t bytes;
	int64_t age_s;
};

/* A file in the spool. It does not go before it is released. */
struct spooled {
	char name[SPOOL_NAME_BYTES];
	int64_t bytes;
	struct blob *pinned;
};

/*
 * Open the spool for writing and lock it; make it where it does not exist,
 * remove what an earlier run left half written, make it fit the limits. Exits
 * EX_CONFIG where it cannot be used, EX_TEMPFAIL where the disk is full or
 * another process has the lock, and still has it after a moment.
 */
struct spool *spool_open(const char *path, const struct spool_limits *limits);

/*
 * Open it to look only: nothing is made, changed or removed, ever. The path is
 * borrowed. A spool that is not there is reported when a file is wanted.
 */
struct spool *spool_open_read_only(const char *path);

void spool_free(struct spool *spool);

/* The descriptor of its folder, borrowed. */
int spool_folder(const struct spool *spool);

/* Can the id be a name below ids/? */
bool spool_is_id(const char *id);

/* Look the id up. Returns false where nothing is there. */
bool spool_find(struct spool *spool, const char *id, struct spooled *found);

/* Hold the same file once more. */
void spool_hold(const struct spooled *held, struct spooled *another);

/*
 * Let a file go: at once, or when its record was answered, after as many later
 * references as are kept.
 */
void spool_release(struct spooled *held);
void spool_release_later(struct spool *spool, struct spooled *held);

/* Remove what is too old. */
void spool_expire(struct spool *spool);

/* Start to write a file; NULL with errno set where that fails. */
struct spool_file *spool_create(struct spool *spool);

/*
 * Returns 0, or -1 with errno set: EDQUOT where the spool is full of files
 * that are still referred to; see spool_lacks_room for a full disk.
 */
int spool_append(struct spool_file *file, const char *bytes, size_t length);

/* How many bytes were appended. */
int64_t spool_length(const struct spool_file *file);

/*
 * End writing; the content would survive a power cut now, and its name is
 * filled in. Returns 0, or -1 with errno set.
 */
int spool_finish(struct spool_file *file, char name[SPOOL_NAME_BYTES]);

/*
 * Put a finished file under its name, and the id's link to it unless id is
 * NULL or no name, both so that they would survive a power cut. file is gone
 * afterwards. Returns 0, or -1 with errno set.
 */
int spool_keep(struct spool_file *file, const char *id,
    struct spooled *kept);

/*
 * Does that errno mean that the disk, or what we may use of it, is full? Then
 * it may go better later. EDQUOT is our own limit, the disk's is ENOSPC here.
 */
bool spool_lacks_room(int error);

/* Does the disk have room for a file of so many bytes? Leaves nothing there. */
bool spool_has_room(struct spool *spool, int64_t bytes);

/* Say in words what errno meant after a function of these failed. */
void spool_explain(int error, char *reason, size_t reason_size);

/* Forget a file; NULL does nothing. */
void spool_discard(struct spool_file *file);

#endif
