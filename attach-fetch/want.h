/* A file that a record refers to: what Slack says of it, what became of it. */
#ifndef ATTACH_FETCH_WANT_H
#define ATTACH_FETCH_WANT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "spool.h"

#define WANT_REASON_BYTES 200
#define WANT_SIZE_UNKNOWN (-1)

enum want_status {
	WANT_OPEN,		/* nothing became of it yet */
	WANT_OK,
	WANT_SKIPPED,
	WANT_TOO_LARGE,
	WANT_DENIED,
	WANT_LATE,
	WANT_FAILED,
};

struct want {
	/* Slack's words; NULL where it says nothing */
	char *id;
	char *url;
	char *mimetype;
	int64_t size;
	int64_t created_s;	/* since 1970, 0 where it is not said */
	bool is_html;		/* an HTML page is what is to be expected */
	bool may_change;	/* other content later, under the same id */
	bool needs_info;	/* only files.info tells where it is */

	enum want_status status;
	char reason[WANT_REASON_BYTES];
	struct spooled spooled;	/* held where the status is WANT_OK */

	/*
	 * The record it is for, and when that record goes on without it, in
	 * ms of the steady clock; 0 while none of its downloads has started.
	 */
	struct pending *pending;
	int64_t *deadline_ms;

	/*
	 * How long it may take beyond that, as a late file; and that late
	 * file, once no record waits for it any more.
	 */
	int64_t late_ms;
	struct late_file *late;

	/* what is to bring it or its URL, and who else waits for that */
	struct lookup *lookup;
	struct download *download;
	struct want *next;
};

/*
 * Read a member of files[]. Where what stands there is enough to know that
 * there is nothing to be fetched, the status says so afterwards.
 */
void want_read(struct want *want, const cJSON *file, int64_t bytes_max);

/* The same with what files.info says, which counts from now on. */
void want_take_info(struct want *want, const cJSON *file, int64_t bytes_max);

/* Copy Slack's words only. */
void want_copy_words(struct want *copy, const struct want *want);

/* Let the time of its record run, unless it does. */
void want_start_clock(struct want *want, int64_t deadline_ms);

/* After which moment it is of no use to anybody. */
int64_t want_last_moment_ms(const struct want *want);

/* Decide what became of it, and unless that is WANT_OK, why. */
void want_settle(struct want *want, enum want_status status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What became of it, as `status` says it. */
const char *want_status_name(const struct want *want);

/* Append it as a member of `fetched`. */
void want_append_json(const struct want *want, struct buffer *out);

/*
 * Write down, and read, what became of a file that never came: {"status":…,
 * "reason":…}. Reading answers false where it is none of that form.
 */
void want_append_outcome(const struct want *want, struct buffer *out);
bool want_read_outcome(struct want *want, const cJSON *outcome);

/* Free the strings; a file in the spool must have been released. */
void want_clear(struct want *want);

#endif
