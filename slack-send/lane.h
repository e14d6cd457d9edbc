/*
 * A lane: the messages for one channel, one behind the other, each sent once
 * and as soon as Slack's pace allows.
 */
#ifndef SLACK_SEND_LANE_H
#define SLACK_SEND_LANE_H

#include <stdbool.h>
#include <stddef.h>

#include "channels.h"
#include "gate.h"
#include "sender.h"
#include "slack_api.h"

#define LANE_TRIED_MS 600000	/* so long is tried, however old it is */

struct lane;

/* What the lanes of a sender share; all that it points to is borrowed. */
struct lane_shared {
	const struct sender_settings *settings;
	struct slack_api *api;
	struct channels *channels;
	struct gate *gate;
	size_t content_bytes;	/* of the messages at hand */

	/* The next step of a lane is due: lane_advance, or lane_free. */
	void (*due)(struct lane *lane, void *arg);

	/* There is room for content again: lane_offer_room, to all. */
	void (*room)(void *arg);
	void *arg;
};

/* A lane whose first step is due at once; channel is copied. */
struct lane *lane_new(struct lane_shared *shared, const char *channel);

/* What is under way is in doubt, and found out about by the next start. */
void lane_free(struct lane *lane);

bool lane_is_for(const struct lane *lane, const char *channel);

/* Take the next step. Returns false where no message is left, or where the
 * place is wanted and one was sent: then the lane is to be freed. */
bool lane_advance(struct lane *lane, bool is_place_wanted);

/* May an answer of Slack's still come? */
bool lane_is_under_way(const struct lane *lane);

/* The gate is open again; was_token is as in gate.h. */
void lane_reopen(struct lane *lane, bool was_token);

/* If it waits for room for its content, it goes on. */
void lane_offer_room(struct lane *lane);

#endif
