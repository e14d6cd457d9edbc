#include "slack_pace.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define PAUSE_S_MAX 900		/* after many that do not say how long */
#define RETRY_AFTER_S_MAX 3600

/* The tiers. */
#define TIER_1 60000
#define TIER_2 3000
#define TIER_3 1200
#define TIER_4 600

/* One a second in a channel, and never more than 300 within a minute. */
#define CHANNEL { 1000, 2 }
#define WORKSPACE { 210, 10 }

/* The last entry is the default. */
static const struct slack_pace paces[] = {
	{ "apps.connections.open", { 2000, 6 }, 4, NULL, { 0 } },
	{ "auth.test", { 100, 5 }, 1, NULL, { 0 } },
	{ "rtm.connect", { TIER_1, 1 }, 1, NULL, { 0 } },
	{ "conversations.history", { TIER_3, 10 }, 1, NULL, { 0 } },
	{ "conversations.replies", { TIER_3, 10 }, 1, NULL, { 0 } },
	{ "conversations.list", { TIER_2, 5 }, 1, NULL, { 0 } },
	{ "users.conversations", { TIER_3, 10 }, 1, NULL, { 0 } },
	{ "conversations.info", { TIER_3, 20 }, 4, NULL, { 0 } },
	{ "users.info", { TIER_4, 20 }, 4, NULL, { 0 } },
	{ "users.list", { TIER_2, 5 }, 1, NULL, { 0 } },
	{ "files.info", { TIER_4, 10 }, 2, NULL, { 0 } },
	{ "files.getUploadURLExternal", { TIER_4, 10 }, 2, NULL, { 0 } },
	{ "files.completeUploadExternal", { TIER_4, 10 }, 2, "post", CHANNEL },
	{ "chat.postMessage", WORKSPACE, 4, "post", CHANNEL },
	{ SLACK_PACE_UPLOAD, { 0, 1 }, 2, NULL, { 0 } },
	{ NULL, { TIER_3, 5 }, 1, NULL, { 0 } },
};

const struct slack_pace *
slack_pace_find(const char *method)
{
	const struct slack_pace *pace = paces;

	while (pace->method != NULL && strcmp(pace->method, method) != 0)
		pace++;
	return pace;
}

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t
slack_bucket_wait_ms(const struct slack_bucket *bucket)
{
	const struct slack_rate *rate = bucket->rate;
	int64_t at_ms = larger(bucket->paused_until_ms,
	    bucket->full_ms - (rate->burst - 1) * rate->interval_ms);

	return larger(at_ms - clock_steady_ms(), 0);
}

void
slack_bucket_take(struct slack_bucket *bucket)
{
	bucket->full_ms = larger(bucket->full_ms, clock_steady_ms()) +
	    bucket->rate->interval_ms;
}

void
slack_bucket_start(struct slack_bucket *bucket, const struct slack_rate *rate,
    int64_t since_ms)
{
	*bucket = (struct slack_bucket){
		.rate = rate,
		.full_ms = since_ms + (rate->burst - 1) * rate->interval_ms,
	};
}

bool
slack_bucket_is_full(const struct slack_bucket *bucket)
{
	return larger(bucket->full_ms, bucket->paused_until_ms) <=
	    clock_steady_ms();
}

bool
slack_bucket_is_paused(const struct slack_bucket *bucket)
{
	return bucket->paused_until_ms > clock_steady_ms();
}

/* How long Slack is to be left alone, the longer the more often it says so. */
static int64_t
measure_pause_s(const struct slack_bucket *bucket, int64_t retry_after_s,
    int default_s)
{
	int64_t pause_s = default_s;

	if (retry_after_s >= 0) {
		pause_s = larger(retry_after_s, 1);
		return pause_s < RETRY_AFTER_S_MAX ? pause_s :
		    RETRY_AFTER_S_MAX;
	}
	for (unsigned i = 1; i < bucket->pauses && pause_s < PAUSE_S_MAX; i++)
		pause_s *= 2;
	return pause_s < PAUSE_S_MAX ? pause_s : PAUSE_S_MAX;
}

/* Of calls that were under way together each may be refused: it counts once. */
int64_t
slack_bucket_pause(struct slack_bucket *bucket, int64_t retry_after_s,
    int default_s)
{
	const struct slack_rate *rate = bucket->rate;
	int64_t pause_s;

	if (!slack_bucket_is_paused(bucket))
		bucket->pauses++;
	pause_s = measure_pause_s(bucket, retry_after_s, default_s);
	bucket->paused_until_ms = larger(bucket->paused_until_ms,
	    clock_steady_ms() + pause_s * 1000 + arc4random_uniform(500));
	bucket->full_ms = bucket->paused_until_ms +
	    (rate->burst - 1) * rate->interval_ms;
	return pause_s;
}
