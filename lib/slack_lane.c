#include "slack_lane.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

static void
free_one(struct slack_lane *lane)
{
	free(lane->key);
	free(lane);
}

struct slack_lane *
slack_lane_find(struct slack_lane *lanes, const char *group, const char *key)
{
	while (lanes != NULL && (strcmp(lanes->key, key) != 0 ||
	    strcmp(lanes->group, group) != 0))
		lanes = lanes->next;
	return lanes;
}

static void
sweep(struct slack_lane **link)
{
	while (*link != NULL) {
		struct slack_lane *lane = *link;

		if (lane->calls == NULL &&
		    slack_bucket_is_full(&lane->bucket)) {
			*link = lane->next;
			free_one(lane);
		} else {
			link = &lane->next;
		}
	}
}

struct slack_lane *
slack_lane_add(struct slack_lane **lanes, const struct slack_pace *pace,
    const char *key, int64_t since_ms)
{
	struct slack_lane *lane = xcalloc(1, sizeof *lane);

	sweep(lanes);
	lane->group = pace->group;
	lane->key = xstrdup(key);
	slack_bucket_start(&lane->bucket, &pace->key_rate, since_ms);
	lane->next = *lanes;
	*lanes = lane;
	return lane;
}

unsigned
slack_lane_count_paused(const struct slack_lane *lanes, const char *group)
{
	unsigned count = 0;

	for (; lanes != NULL; lanes = lanes->next)
		if (strcmp(lanes->group, group) == 0 &&
		    slack_bucket_is_paused(&lanes->bucket))
			count++;
	return count;
}

void
slack_lane_free(struct slack_lane *lanes)
{
	while (lanes != NULL) {
		struct slack_lane *lane = lanes;

		lanes = lane->next;
		free_one(lane);
	}
}
