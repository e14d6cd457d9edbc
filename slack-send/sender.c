#include "sender.h"

#include <stdlib.h>

#include "buffer.h"
#include "lane.h"
#include "memory.h"

struct sender {
	struct sender_settings settings;
	struct lane_shared shared;
	struct lane *lanes[SENDER_LANES_MAX];
	size_t count;
	struct buffer cursor;	/* the channel that had its turn last */
	bool is_stopped;
};

static void
warn(const char *topic, const char *reason, void *arg)
{
	const struct sender *sender = arg;

	sender->settings.warn(topic, reason, sender->settings.arg);
}

static bool
has_lane(const struct sender *sender, const char *channel)
{
	for (size_t i = 0; i < sender->count; i++)
		if (lane_is_for(sender->lanes[i], channel))
			return true;
	return false;
}

static void
end_lane(struct sender *sender, struct lane *lane)
{
	size_t i = 0;

	while (sender->lanes[i] != lane)
		i++;
	sender->lanes[i] = sender->lanes[--sender->count];
	lane_free(lane);
}

/* With more channels than lanes each message is a turn. */
static void
advance(struct lane *lane, void *arg)
{
	struct sender *sender = arg;
	bool is_full = sender->count == SENDER_LANES_MAX;

	if (sender->is_stopped) {
		end_lane(sender, lane);
	} else if (!gate_is_shut(sender->shared.gate) &&
	    !lane_advance(lane, is_full)) {
		end_lane(sender, lane);
		sender_wake(sender);
	}
}

static void
open_lanes(bool was_token, void *arg)
{
	const struct sender *sender = arg;

	for (size_t i = 0; i < sender->count; i++)
		lane_reopen(sender->lanes[i], was_token);
}

static void
offer_room(void *arg)
{
	const struct sender *sender = arg;

	for (size_t i = 0; i < sender->count; i++)
		lane_offer_room(sender->lanes[i]);
}

static struct slack_api *
open_api(const struct sender_settings *settings)
{
	int64_t give_up_ms = settings->give_up_ms;

	return slack_api_new(&(struct slack_api_settings){
		.url = settings->api_url, .ca_file = settings->ca_file,
		.set = settings->set, .timers = settings->timers,
		.patience_ms = give_up_ms < LANE_TRIED_MS ? give_up_ms
		    : LANE_TRIED_MS,
	    });
}

struct sender *
sender_new(const struct sender_settings *settings)
{
	struct sender *sender = xcalloc(1, sizeof *sender);
	struct slack_api *api = open_api(settings);

	sender->settings = *settings;
	sender->shared = (struct lane_shared){
		.settings = &sender->settings, .api = api,
		.channels = channels_new(api, settings->token),
		.gate = gate_new(&(struct gate_settings){
			.api = api, .timers = settings->timers,
			.token = settings->token, .open = open_lanes,
			.warn = warn, .arg = sender }),
		.due = advance, .room = offer_room, .arg = sender };
	return sender;
}

void
sender_free(struct sender *sender)
{
	if (sender == NULL)
		return;
	gate_free(sender->shared.gate);
	channels_free(sender->shared.channels);
	while (sender->count > 0)
		end_lane(sender, sender->lanes[sender->count - 1]);
	slack_api_free(sender->shared.api);
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
			if (!has_lane(sender, buffer_string(cursor)))
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
		sender->lanes[sender->count++] = lane_new(&sender->shared,
		    channel);
}

void
sender_retry(struct sender *sender)
{
	gate_retry(sender->shared.gate);
}

/* Those that have nothing under way, or will not hear of it, are let go. */
void
sender_stop(struct sender *sender)
{
	sender->is_stopped = true;
	for (size_t i = sender->count; i > 0; i--)
		if (!lane_is_under_way(sender->lanes[i - 1]))
			end_lane(sender, sender->lanes[i - 1]);
}

bool
sender_is_idle(const struct sender *sender)
{
	return sender->count == 0;
}
