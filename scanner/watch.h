/*
 * What people subscribed to and the scanner looks for on their behalf: equal
 * subscriptions are one watch, with one pattern.
 */
#ifndef SCANNER_WATCH_H
#define SCANNER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "patterns.h"
#include "subscriptions.h"

#define WATCH_STRIKES_MAX 3	/* records whose cost limit it may reach */

/* Somebody who subscribed, and since which record. */
struct member {
	const char *user;
	int64_t from;
};

struct watch {
	struct subscription *key;	/* term, in, where and class of it */
	struct pattern *pattern;	/* NULL: it can't be looked for */

	struct member *members;		/* in the order of their names */
	size_t member_count;

	unsigned strikes;
	bool is_quarantined;
	int64_t told;		/* members from up to here know it; -1: none */

	/* what the occasion at hand found out */
	uint64_t occasion;
	bool is_wanted;
	bool is_struck;
};

/* Order two lines by term, in, where and class. */
int watch_compare(const struct subscription *a, const struct subscription *b);

/* A watch without members for lines like this; what is wrong is reported. */
struct watch *watch_new(const struct subscription *line,
    struct serials *serials);
void watch_free(struct watch *watch);

/*
 * Make those of the lines its members. They are in the order of their users;
 * of a user's the first counts. The names are borrowed.
 */
void watch_gather(struct watch *watch, struct subscription *const *lines,
    size_t count);

/* Is there anybody but the user (NULL: nobody)? */
bool watch_has_others(const struct watch *watch, const char *user);

/* Is it in quarantine, and has a member who does not know? */
bool watch_is_untold(const struct watch *watch);

/* All members are told of its quarantine. */
void watch_tell(struct watch *watch);

/*
 * Append `"pattern":TERM,"for":{USER:FROM,...}` of the members but for the
 * user (NULL: of all) who came behind record `behind`.
 */
void watch_append_members(const struct watch *watch, const char *user,
    int64_t behind, struct buffer *json);

#endif
