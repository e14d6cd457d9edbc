/*
 * How fast Slack's methods may be called (docs.slack.dev/apis/web-api/
 * rate-limits): token buckets, and the pauses that Slack asks for.
 */
#ifndef LIB_SLACK_PACE_H
#define LIB_SLACK_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* `burst` calls at once, one more each interval_ms. */
struct slack_rate {
	int64_t interval_ms;
	int64_t burst;
};

struct slack_pace {
	const char *method;
	struct slack_rate rate;
	unsigned at_once;	/* so many under way at the same time */

	/*
	 * Methods of a group share a bucket for each key, as Slack counts the
	 * messages they show in a channel. NULL: keys are not told apart.
	 */
	const char *group;
	struct slack_rate key_rate;
};

/* In place of a method: to send a file's bytes to an URL of its own. */
#define SLACK_PACE_UPLOAD "upload"

/* The pace of a method, one of caution for a method that is not known. */
const struct slack_pace *slack_pace_find(const char *method);

/* A token bucket of that rate; all times are of the steady clock. */
struct slack_bucket {
	const struct slack_rate *rate;
	int64_t full_ms;	/* when it is full again */

	/* Slack wants no call before that; so many times in a row */
	int64_t paused_until_ms;
	unsigned pauses;
};

/*
 * A bucket that has one call and is being filled since then: who was here
 * before us may just have taken a burst out of Slack's own.
 */
void slack_bucket_start(struct slack_bucket *bucket,
    const struct slack_rate *rate, int64_t since_ms);

/*
 * How long the next call has to wait for the bucket and for a pause; take one
 * that goes now out of it.
 */
int64_t slack_bucket_wait_ms(const struct slack_bucket *bucket);
void slack_bucket_take(struct slack_bucket *bucket);

/* Is there nothing to remember of it? */
bool slack_bucket_is_full(const struct slack_bucket *bucket);

bool slack_bucket_is_paused(const struct slack_bucket *bucket);

/*
 * Slack wants a pause: of retry_after_s, or, where that is negative, of
 * default_s and more after the second in a row. Returns its seconds. The
 * bucket is empty then: Slack has counted otherwise.
 */
int64_t slack_bucket_pause(struct slack_bucket *bucket, int64_t retry_after_s,
    int default_s);

#endif
