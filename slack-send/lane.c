/* The steps of a lane: where it goes to, and its posts. */
#include <stdlib.h>
#include <string.h>

#include "echo.h"
#include "lane_parts.h"
#include "memory.h"
#include "record.h"
#include "slack_error.h"

#define POST "chat.postMessage"
#define SHOW "files.completeUploadExternal"
#define SHOWN_MS 1500		/* until Slack shows a file, mostly */

static void advance(void *arg);

void
lane_set_step(struct lane *lane, int64_t ms)
{
	timers_set(lane->sender->settings.timers, &lane->timer, ms);
}

bool
lane_is_busy(const struct lane *lane)
{
	return lane->call != NULL || lane->upload != NULL ||
	    lane->doubt != NULL || lane->is_finding || lane->timer.is_set;
}

void
lane_add(struct sender *sender, const char *channel)
{
	struct lane *lane = xcalloc(1, sizeof *lane);

	lane->sender = sender;
	lane->channel = xstrdup(channel);
	lane->timer = (struct timer){ .due = advance, .arg = lane };
	lane->backoff = (struct backoff){ .first_ms = LANE_PAUSE_FIRST_MS,
	    .most_ms = SENDER_PAUSE_MOST_MS };
	LIST_INSERT_HEAD(&sender->lanes, lane, entry);
	sender->count++;
	lane_set_step(lane, 0);
}

void
lane_free(struct lane *lane)
{
	struct sender *sender = lane->sender;

	LIST_REMOVE(lane, entry);
	sender->count--;
	timers_cancel(sender->settings.timers, &lane->timer);
	if (lane->call != NULL)
		slack_api_cancel(lane->call);
	upload_cancel(lane->upload);
	doubt_cancel(lane->doubt);
	lane_forget_message(lane);
	free(lane->channel);
	free(lane->id);
	free(lane);
}

/* --- posts ----------------------------------------------------------------*/

static void
take_post(const struct slack_reply *reply, void *arg)
{
	struct lane *lane = arg;
	const char *channel = json_string(reply->json, "channel");

	lane->call = NULL;
	if (reply->verdict != SLACK_OK) {
		lane_take_failure(lane, reply, POST);
		return;
	}
	lane_count(lane, reply);
	if (lane->is_name && channel != NULL &&
	    channels_is_id(channel, "CGDZ")) {
		channels_learn(lane->sender->channels, lane->channel, channel);
		free(lane->id);
		lane->id = xstrdup(channel);
		lane->is_name = false;
	}
	lane_end_part(lane, json_string(reply->json, "ts"));
}

static void
append_metadata(struct buffer *json, const struct lane *lane)
{
	char key[OUTBOX_KEY_BYTES];

	outbox_key(&lane->message, lane->message.part, key);
	buffer_append_string(json, "{\"event_type\":\"" ECHO_EVENT_TYPE "\","
	    "\"event_payload\":{\"key\":");
	buffer_append_json(json, key, strlen(key));
	buffer_append_string(json, "}}");
}

static void
post_text(struct lane *lane, const struct compose_post *post)
{
	struct sender *sender = lane->sender;
	const char *unfurl = strcmp(lane->message.purpose,
	    OUTBOX_REPLY_PURPOSE) == 0 ? "true" : "false";
	struct buffer arguments = { 0 }, metadata = { 0 };

	append_metadata(&metadata, lane);
	slack_api_argument(&arguments, "channel", lane->id);
	slack_api_argument(&arguments, "text", post->text);
	slack_api_argument(&arguments, "metadata", buffer_string(&metadata));
	if (lane->message.thread != NULL)
		slack_api_argument(&arguments, "thread_ts",
		    lane->message.thread);
	slack_api_argument(&arguments, "unfurl_links", unfurl);
	slack_api_argument(&arguments, "unfurl_media", unfurl);
	lane->call = slack_api_call(sender->api, &(struct slack_request){
		.method = POST, .token = sender->settings.token,
		.arguments = buffer_string(&arguments), .key = lane->id,
	    }, take_post, lane);
	buffer_free(&metadata);
	buffer_free(&arguments);
}

static bool
note_uploaded(const char *file, void *arg)
{
	struct lane *lane = arg;

	lane_set_file(lane, file);
	return outbox_commit(lane->sender->settings.outbox) == 0;
}

/* That a file is shown is heard at once; in which message, a moment later. */
static void
take_upload(const struct slack_reply *reply, void *arg)
{
	struct lane *lane = arg;

	lane->upload = NULL;
	if (reply == NULL) {
		lane_set_step(lane, LANE_DISK_MS);
		return;
	}
	if (reply->verdict != SLACK_OK) {
		lane_take_failure(lane, reply, SHOW);
		return;
	}
	lane_count(lane, reply);
	lane->is_shown = true;
	lane_set_step(lane, SHOWN_MS);
}

static void
post_file(struct lane *lane, const struct compose_post *post)
{
	const struct sender *sender = lane->sender;

	lane->upload = upload_start(&(struct upload_settings){
		.api = sender->api, .token = sender->settings.token,
		.channel = lane->id, .post = post,
		.thread = lane->message.thread,
		.uploaded = note_uploaded, .done = take_upload, .arg = lane,
	    });
}

/* The next post, noted as tried before it is. */
static void
send_post(struct lane *lane)
{
	struct outbox *outbox = lane->sender->settings.outbox;
	const struct compose_post *post =
	    &lane->compose->posts[lane->message.part];

	if (post->filename != NULL && lane->is_name) {
		lane_end_message(lane, OUTBOX_FAILED,
		    "channel_not_found" LANE_NO_CHANNEL);
		return;
	}
	outbox_try(outbox, lane->message.number);
	if (outbox_commit(outbox) == -1)
		lane_set_step(lane, LANE_DISK_MS);
	else if (post->filename != NULL)
		post_file(lane, post);
	else
		post_text(lane, post);
}

/* --- steps ----------------------------------------------------------------*/

/* What a channel is called may be refused; what it is sent is another thing. */
static bool
is_of_no_matter(const struct lane *lane, const struct slack_reply *reply)
{
	bool is_permanent = reply->verdict == SLACK_FORBIDDEN ||
	    reply->verdict == SLACK_BAD_REQUEST;

	return is_permanent && !slack_error_is_auth(reply->error) &&
	    (reply->verdict == SLACK_FORBIDDEN ||
	    strchr("UW", lane->channel[0]) == NULL);
}

/* A public channel may be posted to by its name, even from outside. */
static void
take_channel(const char *id, const struct slack_reply *reply, void *arg)
{
	struct lane *lane = arg;

	lane->is_finding = false;
	if (reply != NULL && !is_of_no_matter(lane, reply)) {
		lane_take_no_channel(lane, reply);
		return;
	}
	lane->is_name = id == NULL;
	lane->id = xstrdup(id != NULL ? id : lane->channel);
	lane_set_step(lane, 0);
}

static void
ask(struct lane *lane)
{
	const struct sender *sender = lane->sender;
	char key[OUTBOX_KEY_BYTES];

	outbox_key(&lane->message, lane->message.part, key);
	lane->doubt = doubt_ask(&(struct doubt_settings){
		.api = sender->api, .token = sender->settings.token,
		.channel = lane->id, .key = key, .file = lane->message.file,
		.thread = lane->message.thread,
		.done = lane_take_doubt, .arg = lane,
	    });
}

/* What is there to do next? */
static void
take_step(struct lane *lane)
{
	struct sender *sender = lane->sender;
	int64_t wait_ms;

	lane_note_trial(lane);
	if (lane->id == NULL) {
		lane->is_finding = true;
		channels_find(sender->channels, lane->channel, take_channel,
		    lane);
		return;
	}
	if (!lane_has_content(lane))
		return;
	if (lane->is_in_doubt || lane->is_shown) {
		ask(lane);
		return;
	}
	wait_ms = slack_api_wait_ms(sender->api, POST, lane->id);
	if (wait_ms > 0)
		lane_set_step(lane, wait_ms);
	else
		send_post(lane);
}

/* With more channels than lanes each message is a turn. */
static bool
is_to_make_room(const struct lane *lane)
{
	return lane->had_turn && lane->sender->count == SENDER_LANES_MAX;
}

static void
advance(void *arg)
{
	struct lane *lane = arg;
	struct sender *sender = lane->sender;

	if (sender->is_stopped) {
		lane_free(lane);
		return;
	}
	if (gate_is_shut(sender->gate))
		return;
	if (!lane->has_message &&
	    (is_to_make_room(lane) || !lane_load_message(lane))) {
		lane_free(lane);
		sender_wake(sender);
	} else if (lane->has_message && !lane_is_busy(lane)) {
		take_step(lane);
	}
}
