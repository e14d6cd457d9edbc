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
	bool is_html;		/* an HTML page is what is to be expected */
	bool may_change;	/* other content later, under the same id */

	enum want_status status;
	char reason[WANT_REASON_BYTES];
	struct spooled spooled;	/* held where the status is WANT_OK */

	/*
	 * The record it is for, and when that record goes on without it, in
	 * ms of the steady clock; 0 while none of its downloads has started.
	 */
	struct pending *pending;
	int64_t *deadline_ms;

	/* what is to bring it, and who else waits for that */
	struct download *download;
	struct want *next;
};

/*
 * Read a member of files[]. Where what stands there is enough to know that
 * there is nothing to be fetched, the status says so afterwards.
 */
void want_read(struct want *want, const cJSON *file, int64_t bytes_max);

/* Decide what became of it, and unless that is WANT_OK, why. */
void want_settle(struct want *want, enum want_status status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Append it as a member of `fetched`. */
void want_append_json(const struct want *want, struct buffer *out);

/* Free the strings; a file in the spool must have been released. */
void want_clear(struct want *want);

#endif
