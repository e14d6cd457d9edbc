/* The message at hand, its content as long as there is room for it, and when
 * it goes on. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "lane_parts.h"
#include "memory.h"

#define CONTENT_BYTES_MAX (32 * 1024 * 1024)	/* of messages at hand */

void
lane_set_step(struct lane *lane, int64_t ms)
{
	timers_set(lane->shared->settings->timers, &lane->timer, ms);
}

void
lane_offer_room(struct lane *lane)
{
	if (lane->is_hungry)
		lane_set_step(lane, 0);
	lane->is_hungry = false;
}

void
lane_drop_content(struct lane *lane)
{
	bool had_some = lane->content_bytes > 0;

	compose_free(lane->compose);
	lane->compose = NULL;
	lane->shared->content_bytes -= lane->content_bytes;
	lane->content_bytes = 0;
	if (had_some)
		lane->shared->room(lane->shared->arg);
}

void
lane_forget_message(struct lane *lane)
{
	free((char *)lane->message.purpose);
	free((char *)lane->message.id);
	free((char *)lane->message.file);
	free((char *)lane->message.thread);
	lane->message = (struct outbox_message){ 0 };
	lane->has_message = lane->is_in_doubt = lane->is_shown = false;
	lane->was_answered = lane->is_refused = false;
	lane->doubts = lane->refusals = 0;
	lane->tried_ms = 0;
	lane->backoff.failures = 0;
	lane_drop_content(lane);
}

static size_t
measure(const char *text)
{
	return text != NULL ? strlen(text) : 0;
}

static char *
copy_or_null(const char *text)
{
	return text != NULL ? xstrdup(text) : NULL;
}

static void
take_message(struct lane *lane, const struct outbox_message *message)
{
	lane->message = *message;
	lane->message.purpose = xstrdup(message->purpose);
	lane->message.id = copy_or_null(message->id);
	lane->message.file = copy_or_null(message->file);
	lane->message.thread = copy_or_null(message->thread);
	lane->message.channel = lane->message.title = lane->message.text =
	    lane->message.payload = lane->message.filename =
	    lane->message.mrkdwn =
	    lane->message.class =
	    lane->message.slack_channel = lane->message.slack_ts =
	    lane->message.reason = NULL;
	lane->has_message = true;
}

static bool
is_digest(const struct lane *lane)
{
	return strcmp(lane->message.purpose, OUTBOX_DIGEST_PURPOSE) == 0;
}

/* What was asked for by who died may come to Slack after us. */
static int64_t
find_doubt_ms(const struct lane *lane)
{
	int64_t age_ms = (clock_now_us() - lane->message.tried_us) / 1000;

	return age_ms < 0 ? LANE_DOUBT_MS : age_ms < LANE_DOUBT_MS
	    ? LANE_DOUBT_MS - age_ms : 0;
}

/* Of a file that was not uploaded yet there is no doubt. */
static void
find_doubt(struct lane *lane)
{
	const struct compose *compose = lane->compose;
	size_t part = (size_t)lane->message.part;

	lane->is_in_doubt = lane->message.state == OUTBOX_SENDING &&
	    (compose == NULL || part >= compose->count ||
	    compose->posts[part].filename == NULL ||
	    lane->message.file != NULL);
	if (lane->is_in_doubt && find_doubt_ms(lane) > 0)
		lane_set_step(lane, find_doubt_ms(lane));
}

static bool
has_room(struct lane *lane, const struct outbox_message *message)
{
	struct lane_shared *shared = lane->shared;
	size_t bytes = measure(message->text) + measure(message->payload) +
	    measure(message->mrkdwn);

	lane->is_hungry = shared->content_bytes > 0 &&
	    shared->content_bytes + bytes > CONTENT_BYTES_MAX;
	if (lane->is_hungry)
		return false;
	lane->content_bytes = bytes;
	shared->content_bytes += bytes;
	return true;
}

static void
compose(struct lane *lane, const struct outbox_message *message)
{
	if (!is_digest(lane))
		lane->compose = compose_message(message,
		    lane->shared->settings->may_broadcast);
}

bool
lane_load_message(struct lane *lane)
{
	struct outbox_message message;

	if (!outbox_next(lane->shared->settings->outbox, lane->channel,
	    &message))
		return false;
	if (!has_room(lane, &message))
		return true;
	take_message(lane, &message);
	compose(lane, &message);
	find_doubt(lane);
	return true;
}

/* An older one may be in front, which had failed: then that comes first. */
static bool
reload_content(struct lane *lane)
{
	struct outbox_message message;

	if (!outbox_next(lane->shared->settings->outbox, lane->channel,
	    &message) || message.number != lane->message.number) {
		lane_forget_message(lane);
		lane_set_step(lane, 0);
		return false;
	}
	if (!has_room(lane, &message))
		return false;
	compose(lane, &message);
	return true;
}

/* As late as possible: what comes until then is in it. */
static bool
summarize(struct lane *lane)
{
	const struct sender_settings *settings = lane->shared->settings;
	struct outbox_digest digest;

	if (!outbox_summarize(settings->outbox, lane->message.number,
	    &digest)) {
		lane_set_step(lane, LANE_DISK_MS);
		return false;
	}
	lane->compose = compose_digest(&digest, settings->dashboard);
	return true;
}

bool
lane_has_content(struct lane *lane)
{
	if (lane->compose != NULL)
		return true;
	return is_digest(lane) ? summarize(lane) : reload_content(lane);
}
