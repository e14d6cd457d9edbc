/*
 * What is still to be fetched: for each channel since when and until when. It
 * stands in a file, {"C1":"SINCE GIVEN UNTIL",…}, three times as Slack has
 * them, where "*" means all channels that the bot is in. History up to GIVEN
 * was handed over already, so that only threads are left of that. The last one
 * or two may be absent. Where nothing is to be fetched there is no file.
 */
#ifndef SLACK_READER_BACKFILL_PLAN_H
#define SLACK_READER_BACKFILL_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "backoff.h"

#define BACKFILL_CHANNELS_MAX 20000

/* What came live so much later is not fetched, where no end is known. */
#define BACKFILL_BEHIND_US (10 * 60 * INT64_C(1000000))

struct backfill_plan;

struct backfill_debt {
	char *channel;
	const char *type;	/* as in channel_type, NULL: not known yet */
	int64_t since_us;
	int64_t until_us;
	int64_t given_us;	/* history up to then is safe; 0: none */
	bool is_listed;		/* the bot is in it, by the list being read */

	/* put off after a failure */
	struct backoff backoff;
	int64_t not_before_ms;	/* of the steady clock */
	uint64_t rank;		/* the lowest is the next one */
};

/*
 * Read the file; *is_damaged is set where it can not be read as a whole, which
 * is not forgotten, the file being written anew, before backfill_plan_mend.
 */
struct backfill_plan *backfill_plan_open(const char *path, bool *is_damaged);
void backfill_plan_free(struct backfill_plan *plan);
void backfill_plan_mend(struct backfill_plan *plan);

/* Write the file, durably, or remove it; failure is reported. */
void backfill_plan_save(struct backfill_plan *plan);

void backfill_plan_want_all(struct backfill_plan *plan, int64_t since_us,
    int64_t until_us);

/* Since when all channels are wanted, or else the earliest of those known. */
int64_t backfill_plan_since(const struct backfill_plan *plan);

/* Must the list of channels be read, for "*" or for types not known? */
bool backfill_plan_needs_list(const struct backfill_plan *plan);

/* A channel stands in the list. Returns false where there are too many. */
bool backfill_plan_list(struct backfill_plan *plan, const char *channel,
    const char *type);

/* The list is complete: "*" becomes its channels. */
void backfill_plan_end_list(struct backfill_plan *plan);

/* Is anything wanted that is older than oldest_us, and of which time? */
bool backfill_plan_is_older(const struct backfill_plan *plan,
    int64_t oldest_us, int64_t *from_us, int64_t *to_us);

/* Such things are given up; no debt may be in use. */
void backfill_plan_clamp(struct backfill_plan *plan, int64_t oldest_us);

/*
 * The next one that is due and of known type, or NULL; *wait_ms is then how
 * long until one is, -1 where there is none.
 */
struct backfill_debt *backfill_plan_next(struct backfill_plan *plan,
    int64_t *wait_ms);

/* Its turn comes again after a pause and after the others. */
void backfill_plan_put_off(struct backfill_plan *plan,
    struct backfill_debt *debt);
void backfill_plan_remove(struct backfill_plan *plan,
    struct backfill_debt *debt);

/* What was put off is due now. */
void backfill_plan_hurry(struct backfill_plan *plan);

bool backfill_plan_is_empty(const struct backfill_plan *plan);

#endif
