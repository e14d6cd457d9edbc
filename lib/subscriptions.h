/*
 * The subscriptions of people, as lines of a file and in a table
 * (man/subscriptions.5). Each line tells which record made it and which ended
 * it, so that what is in force at a record depends on the records before it
 * alone: whoever is given records again finds the table as it was.
 */
#ifndef LIB_SUBSCRIPTIONS_H
#define LIB_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

#define SUBSCRIPTION_LINE_BYTES_MAX 4096
#define SUBSCRIPTION_ENDED_MAX 2000	/* lines that are kept */
#define SUBSCRIPTION_ENDED_SEQS 100000	/* and for how many records */

enum subscription_kind {
	SUBSCRIPTION_FORWARD,	/* what matches goes to the user */
	SUBSCRIPTION_REFUSED,	/* it did, and cost too much */
	SUBSCRIPTION_MUTE,	/* the user's forwards wait */
	SUBSCRIPTION_JOB	/* an answer that is owed: slack-bot's alone */
};

/* Where a forward is looked for. */
enum subscription_where {
	SUBSCRIPTION_ANYWHERE,
	SUBSCRIPTION_TEXT,
	SUBSCRIPTION_FILES
};

/* A line. Its strings live in the same allocation: free() frees all. */
struct subscription {
	enum subscription_kind kind;
	int64_t from;		/* seq of the record that made it */
	int64_t to;		/* of the one that ended it, 0: it stands */
	const char *user;

	/* forward, refused */
	const char *in;		/* channel, NULL: any */
	enum subscription_where where;
	const char *class;	/* NULL: any */
	const char *term;

	int64_t until_s;	/* mute: since 1970, 0: until `talk` */

	/* job */
	const char *channel;
	const char *thread;	/* NULL: none */
	const char *words;
};

/*
 * A line without LF as a subscription, which the caller frees; or NULL with
 * *reason set.
 */
struct subscription *subscription_parse(const char *line, size_t length,
    const char **reason);

/* A copy of what is filled in, for the caller to free. */
struct subscription *subscription_copy(const struct subscription *line);

/* Append the line, without LF. */
void subscription_print(const struct subscription *line, struct buffer *out);

/* Is it in force at the record with that seq (0: it has none)? */
bool subscription_in_force(const struct subscription *line, int64_t seq);

/* In the order of `from`, as far as they were taken so. All zero is empty. */
struct subscriptions {
	struct subscription **lines;
	size_t count;
	size_t capacity;
	int64_t seq;		/* of the last record whose changes are in */
};

void subscriptions_free(struct subscriptions *table);

/*
 * Take a line over. Where the table has the same one (kind, from, user, term),
 * that is ended if the new one is. Returns the line in the table if this
 * changed anything, else NULL.
 */
struct subscription *subscriptions_take(struct subscriptions *table,
    struct subscription *line);

/* Take a line out, and free it: a job that is done. */
void subscriptions_remove(struct subscriptions *table,
    const struct subscription *line);

/* What a line is `from` that a record without a seq makes. */
int64_t subscriptions_next_from(const struct subscriptions *table);

/* Forget lines that ended too long ago, or that are too many. */
void subscriptions_tidy(struct subscriptions *table);

/*
 * Take all lines of the file; where there is none there are none. What is no
 * line is reported and counted in *bad. Returns 0, or -1 with errno set where
 * the file can't be read.
 */
int subscriptions_read(struct subscriptions *table, const char *path,
    size_t *bad);

/* Append the table as its file has it. */
void subscriptions_print(const struct subscriptions *table,
    struct buffer *out);

#endif
