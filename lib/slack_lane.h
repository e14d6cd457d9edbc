/*
 * Calls of Slack's API that share a pace besides that of their method, as
 * posts to one channel do. A lane is forgotten when there is nothing to
 * remember: as many are kept as have calls, and those of the last seconds.
 */
#ifndef LIB_SLACK_LANE_H
#define LIB_SLACK_LANE_H

#include <stdint.h>

#include "slack_pace.h"

struct slack_call;

struct slack_lane {
	struct slack_lane *next;
	const char *group;		/* of the pace */
	char *key;
	struct slack_bucket bucket;
	struct slack_call *calls;	/* in their order; for slack_api.c */
};

/* The lane of that key in the group, or NULL. */
struct slack_lane *slack_lane_find(struct slack_lane *lanes,
    const char *group, const char *key);

/*
 * Add one to *lanes, its bucket filling since then, and free those of which
 * there is nothing to remember.
 */
struct slack_lane *slack_lane_add(struct slack_lane **lanes,
    const struct slack_pace *pace, const char *key, int64_t since_ms);

/* How many of the group does Slack want paused? */
unsigned slack_lane_count_paused(const struct slack_lane *lanes,
    const char *group);

/* Free all of them. */
void slack_lane_free(struct slack_lane *lanes);

#endif
