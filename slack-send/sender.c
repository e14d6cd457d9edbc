#include "sender.h"

#include <stdlib.h>
#include <string.h>

#include "lane_parts.h"
#include "memory.h"

static void
warn(const char *topic, const char *reason, void *arg)
{
	const struct sender *sender = arg;

	sender->settings.warn(topic, reason, sender->settings.arg);
}

static struct lane *
find_lane(const struct sender *sender, const char *channel)
{
	struct lane *lane;

	LIST_FOREACH(lane, &sender->lanes, entry)
		if (strcmp(lane->channel, channel) == 0)
			break;
	return lane;
}

static void
open_lanes(bool was_token, void *arg)
{
	const struct sender *sender = arg;
	struct lane *lane;

	LIST_FOREACH(lane, &sender->lanes, entry)
		if (!lane_is_busy(lane))
			lane_reopen(lane, was_token);
}

struct sender *
sender_new(const struct sender_settings *settings)
{
	struct sender *sender = xcalloc(1, sizeof *sender);
	int64_t give_up_ms = settings->give_up_ms;

	sender->settings = *settings;
	sender->api = slack_api_new(&(struct slack_api_settings){
		.url = settings->api_url, .ca_file = settings->ca_file,
		.set = settings->set, .timers = settings->timers,
		.patience_ms = give_up_ms < LANE_TRIED_MS ? give_up_ms
		    : LANE_TRIED_MS,
	    });
	sender->channels = channels_new(sender->api, settings->token);
	sender->gate = gate_new(&(struct gate_settings){
		.api = sender->api, .timers = settings->timers,
		.token = settings->token, .open = open_lanes,
		.warn = warn, .arg = sender });
	LIST_INIT(&sender->lanes);
	return sender;
}

void
sender_free(struct sender *sender)
{
	if (sender == NULL)
		return;
	gate_free(sender->gate);
	channels_free(sender->channels);
	while (!LIST_EMPTY(&sender->lanes))
		lane_free(LIST_FIRST(&sender->lanes));
	slack_api_free(sender->api);
	buffer_free(&sender->cursor);
	free(sender);
}

/* The next channel by name that has no lane, behind the one that had its turn
 * last, all around; NULL where there is none. */
static const char *
find_next_channel(struct sender *sender)
{
	struct buffer *cursor = &sender->cursor;

	for (int round = 0; round < 2; round++) {
		const char *next;

		while ((next = outbox_next_channel(sender->settings.outbox,
		    buffer_string(cursor))) != NULL) {
			cursor->length = 0;
			buffer_append_string(cursor, next);
			if (find_lane(sender, buffer_string(cursor)) == NULL)
				return buffer_string(cursor);
		}
		cursor->length = 0;
	}
	return NULL;
}

void
sender_wake(struct sender *sender)
{
	const char *channel;

	while (!sender->is_stopped && sender->count < SENDER_LANES_MAX &&
	    (channel = find_next_channel(sender)) != NULL)
		lane_add(sender, channel);
}

void
sender_retry(struct sender *sender)
{
	gate_retry(sender->gate);
}

/* Those that have nothing under way, or will not hear of it, are let go. */
void
sender_stop(struct sender *sender)
{
	struct lane *lane = LIST_FIRST(&sender->lanes);

	sender->is_stopped = true;
	while (lane != NULL) {
		struct lane *next = LIST_NEXT(lane, entry);

		if (lane->call == NULL && lane->upload == NULL &&
		    lane->doubt == NULL && !lane->is_finding)
			lane_free(lane);
		lane = next;
	}
}

bool
sender_is_idle(const struct sender *sender)
{
	return LIST_EMPTY(&sender->lanes);
}
