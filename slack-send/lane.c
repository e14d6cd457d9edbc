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

static void
tell_due(void *arg)
{
	struct lane *lane = arg;

	lane->shared->due(lane, lane->shared->arg);
}

struct lane *
lane_new(struct lane_shared *shared, const char *channel)
{
	struct lane *lane = xcalloc(1, sizeof *lane);

	lane->shared = shared;
	lane->channel = xstrdup(channel);
	lane->timer = (struct timer){ .due = tell_due, .arg = lane };
	lane->backoff = (struct backoff){ .first_ms = LANE_PAUSE_FIRST_MS,
	    .most_ms = SENDER_PAUSE_MOST_MS };
	lane_set_step(lane, 0);
	return lane;
}

void
lane_free(struct lane *lane)
{
	timers_cancel(lane->shared->settings->timers, &lane->timer);
	if (lane->call != NULL)
		slack_api_cancel(lane->call);
	upload_cancel(lane->upload);
	doubt_cancel(lane->doubt);
	lane_forget_message(lane);
	free(lane->channel);
	free(lane->id);
	free(lane);
}

bool
lane_is_for(const struct lane *lane, const char *channel)
{
	return strcmp(lane->channel, channel) == 0;
}

bool
lane_is_under_way(const struct lane *lane)
{
	return lane->call != NULL || lane->upload != NULL ||
	    lane->doubt != NULL || lane->is_finding;
}

/* --- posts ----------------------------------------------------------------*/

static void
take_post(const struct slack_reply *reply, void *arg)
{
	struct lane *lane = arg;
	const char *channel = json_string(reply->json, "channel");

	lane->call = NULL;
	if (!lane_take_reply(lane, reply, POST))
		return;
	if (lane->is_name && channel != NULL &&
	    channels_is_id(channel, "CGDZ")) {
		channels_learn(lane->shared->channels, lane->channel, channel);
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
	struct lane_shared *shared = lane->shared;
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
	lane->call = slack_api_call(shared->api, &(struct slack_request){
		.method = POST, .token = shared->settings->token,
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
	return outbox_commit(lane->shared->settings->outbox) == 0;
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
	if (lane_take_reply(lane, reply, SHOW)) {
		lane->is_shown = true;
		lane_set_step(lane, SHOWN_MS);
	}
}

static void
post_file(struct lane *lane, const struct compose_post *post)
{
	const struct lane_shared *shared = lane->shared;

	lane->upload = upload_start(&(struct upload_settings){
		.api = shared->api, .token = shared->settings->token,
		.channel = lane->id, .post = post,
		.thread = lane->message.thread,
		.uploaded = note_uploaded, .done = take_upload, .arg = lane,
	    });
}

/* The next post, noted as tried before it is. */
static void
send_post(struct lane *lane)
{
	struct outbox *outbox = lane->shared->settings->outbox;
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
	const struct lane_shared *shared = lane->shared;
	char key[OUTBOX_KEY_BYTES];

	outbox_key(&lane->message, lane->message.part, key);
	lane->doubt = doubt_ask(&(struct doubt_settings){
		.api = shared->api, .token = shared->settings->token,
		.channel = lane->id, .key = key, .file = lane->message.file,
		.thread = lane->message.thread,
		.done = lane_take_doubt, .arg = lane,
	    });
}

/* Is something under way, or a step to come? */
static bool
is_busy(const struct lane *lane)
{
	return lane_is_under_way(lane) || lane->timer.is_set;
}

/* What is there to do next? */
static void
take_step(struct lane *lane)
{
	struct lane_shared *shared = lane->shared;
	int64_t wait_ms;

	lane_note_trial(lane);
	if (lane->id == NULL) {
		lane->is_finding = true;
		channels_find(shared->channels, lane->channel, take_channel,
		    lane);
		return;
	}
	if (!lane_has_content(lane))
		return;
	if (lane->is_in_doubt || lane->is_shown) {
		ask(lane);
		return;
	}
	wait_ms = slack_api_wait_ms(shared->api, POST, lane->id);
	if (wait_ms > 0)
		lane_set_step(lane, wait_ms);
	else
		send_post(lane);
}

bool
lane_advance(struct lane *lane, bool is_place_wanted)
{
	if (!lane->has_message && ((is_place_wanted && lane->had_turn) ||
	    !lane_load_message(lane)))
		return false;
	if (lane->has_message && !is_busy(lane))
		take_step(lane);
	return true;
}

void
lane_reopen(struct lane *lane, bool was_token)
{
	if (!is_busy(lane))
		lane_take_token(lane, was_token);
}
