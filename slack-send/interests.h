/* Which matches of a record concern whom: each user's, found at once. */
#ifndef SLACK_SEND_INTERESTS_H
#define SLACK_SEND_INTERESTS_H

#include <stddef.h>

#include "record.h"

struct interest {
	const char *user;
	const cJSON *match;
	size_t place;		/* of the match among the others */
};

struct interests {
	struct interest *all;	/* by user, then by place */
	size_t count;
};

/*
 * Those of the matches that are of no class, or of the record's. They borrow
 * from the record; the caller frees them.
 */
struct interests interests_read(struct record *record);
void interests_free(struct interests *interests);

#define INTERESTS_MAX 2000	/* of one user: more than scanner makes */

/* The user's alone, up to so many: a part of them, not to be freed. */
struct interests interests_of(const struct interests *interests,
    const char *user);

#endif
