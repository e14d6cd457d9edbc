#include "sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "backoff.h"
#include "buffer.h"
#include "channels.h"
#include "clock.h"
#include "compose.h"
#include "doubt.h"
#include "echo.h"
#include "gate.h"
#include "memory.h"
#include "record.h"
#include "slack_api.h"
#include "slack_error.h"
#include "upload.h"

#define POST "chat.postMessage"
#define SHOW "files.completeUploadExternal"
#define FIND "conversations.open"
#define NO_CHANNEL ": the bot is in no channel of that name"
#define PAUSE_FIRST_MS 1000
#define DISK_MS 1000		/* while nothing can be noted */
#define SHOWN_MS 1500		/* until Slack shows a file, mostly */
#define DOUBT_MS 3000		/* until Slack would show it at the latest */
#define TRIED_MS 600000		/* so long is tried, however old it is */
#define CONTENT_BYTES_MAX (32 * 1024 * 1024)	/* of messages at hand */
#define CONTENT_BYTES_KEPT 65536	/* by one that has to wait */
#define TS_BYTES_MAX 32

/* A channel with messages to be sent, and the first of them. */
struct lane {
	LIST_ENTRY(lane) entry;
	struct sender *sender;
	char *channel;		/* as it was asked for */
	char *id;		/* of the conversation, or NULL */
	bool is_name;		/* that is only the name it was asked for by */
	struct timer timer;	/* for the next step */

	/* what is under way, one of these at most */
	struct slack_call *call;
	struct upload *upload;
	struct doubt *doubt;
	bool is_finding;	/* the conversation */

	/* the message at hand; its strings are ours, but most are left out */
	struct outbox_message message;
	struct compose *compose;	/* NULL: there is none, yet */
	size_t content_bytes;
	bool has_message;
	bool had_turn;
	bool is_hungry;		/* it waits for room for its content */
	bool is_refused;	/* for the token, it seems */
	bool is_in_doubt;	/* it may be in Slack */
	bool was_answered;	/* by an error that leaves that open */
	bool is_shown;		/* a file is: only its ts is not known */
	unsigned doubts;	/* answered in vain */
	unsigned refusals;	/* to tell, though the token is good */
	struct backoff backoff;
	int64_t tried_ms;	/* since when it is tried, or 0 */
	int64_t age_ms;		/* that it had then */
	char trouble[256];	/* the last one */
};

LIST_HEAD(lanes, lane);

struct sender {
	struct sender_settings settings;
	struct slack_api *api;
	struct channels *channels;
	struct lanes lanes;
	size_t count;
	struct buffer cursor;	/* the channel that had its turn last */
	size_t content_bytes;
	struct gate *gate;
	bool is_stopped;
};

static void advance(void *arg);
static void open_lanes(bool was_token, void *arg);

static void
warn(const char *topic, const char *reason, void *arg)
{
	const struct sender *sender = arg;

	sender->settings.warn(topic, reason, sender->settings.arg);
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
		.patience_ms = give_up_ms < TRIED_MS ? give_up_ms : TRIED_MS,
	    });
	sender->channels = channels_new(sender->api, settings->token);
	sender->gate = gate_new(&(struct gate_settings){
		.api = sender->api, .timers = settings->timers,
		.token = settings->token, .open = open_lanes,
		.warn = warn, .arg = sender });
	LIST_INIT(&sender->lanes);
	return sender;
}

/* --- lanes ----------------------------------------------------------------*/

static void
set_step(struct lane *lane, int64_t ms)
{
	timers_set(lane->sender->settings.timers, &lane->timer, ms);
}

/* Room for the content of another message: those that wait for it go on. */
static void
wake_waiting(struct sender *sender)
{
	struct lane *lane;

	LIST_FOREACH(lane, &sender->lanes, entry) {
		if (lane->is_hungry)
			set_step(lane, 0);
		lane->is_hungry = false;
	}
}

static bool
is_busy(const struct lane *lane)
{
	return lane->call != NULL || lane->upload != NULL ||
	    lane->doubt != NULL || lane->is_finding || lane->timer.is_set;
}

/* It can be had again from the outbox. */
static void
drop_content(struct lane *lane)
{
	bool had_some = lane->content_bytes > 0;

	compose_free(lane->compose);
	lane->compose = NULL;
	lane->sender->content_bytes -= lane->content_bytes;
	lane->content_bytes = 0;
	if (had_some)
		wake_waiting(lane->sender);
}

static void
forget_message(struct lane *lane)
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
	drop_content(lane);
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
add_lane(struct sender *sender, const char *channel)
{
	struct lane *lane = xcalloc(1, sizeof *lane);

	lane->sender = sender;
	lane->channel = xstrdup(channel);
	lane->timer = (struct timer){ .due = advance, .arg = lane };
	lane->backoff = (struct backoff){ .first_ms = PAUSE_FIRST_MS,
	    .most_ms = SENDER_PAUSE_MOST_MS };
	LIST_INSERT_HEAD(&sender->lanes, lane, entry);
	sender->count++;
	set_step(lane, 0);
}

static void
free_lane(struct lane *lane)
{
	struct sender *sender = lane->sender;

	LIST_REMOVE(lane, entry);
	sender->count--;
	timers_cancel(sender->settings.timers, &lane->timer);
	if (lane->call != NULL)
		slack_api_cancel(lane->call);
	upload_cancel(lane->upload);
	doubt_cancel(lane->doubt);
	forget_message(lane);
	free(lane->channel);
	free(lane->id);
	free(lane);
}

void
sender_free(struct sender *sender)
{
	if (sender == NULL)
		return;
	gate_free(sender->gate);
	channels_free(sender->channels);
	while (!LIST_EMPTY(&sender->lanes))
		free_lane(LIST_FIRST(&sender->lanes));
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
		add_lane(sender, channel);
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
			free_lane(lane);
		lane = next;
	}
}

bool
sender_is_idle(const struct sender *sender)
{
	return LIST_EMPTY(&sender->lanes);
}

/* --- outcomes -------------------------------------------------------------*/

static void
end_message(struct lane *lane, enum outbox_state state, const char *reason)
{
	struct outbox *outbox = lane->sender->settings.outbox;

	outbox_end(outbox, lane->message.number, state, reason);
	outbox_commit(outbox);	/* else with the next one that can */
	forget_message(lane);
	lane->had_turn = true;
	set_step(lane, 0);
}

/* By the steady clock, as far as we were there: the other one may jump. */
static bool
is_too_old(const struct lane *lane)
{
	int64_t give_up_ms = lane->sender->settings.give_up_ms;
	int64_t tried_ms = clock_steady_ms() - lane->tried_ms;

	return lane->age_ms + tried_ms > give_up_ms &&
	    tried_ms >= (give_up_ms < TRIED_MS ? give_up_ms : TRIED_MS);
}

static void
note_trial(struct lane *lane)
{
	int64_t age_us = clock_now_us() - lane->message.since_us;

	if (lane->tried_ms != 0)
		return;
	lane->tried_ms = clock_steady_ms();
	lane->age_ms = age_us > 0 ? age_us / 1000 : 0;
}

/* Others may need the room meanwhile. */
static void
pause_lane(struct lane *lane, const char *reason, int64_t least_ms)
{
	int64_t pause_ms = backoff_next_ms(&lane->backoff);

	if (reason != lane->trouble)
		snprintf(lane->trouble, sizeof lane->trouble, "%s", reason);
	if (lane->content_bytes > CONTENT_BYTES_KEPT)
		drop_content(lane);
	set_step(lane, pause_ms > least_ms ? pause_ms : least_ms);
}

static void
give_up(struct lane *lane, const char *reason)
{
	struct buffer words = { 0 };

	buffer_printf(&words, "given up: %s%s", reason, lane->is_in_doubt ?
	    "; Slack does not say whether it was posted" : "");
	end_message(lane, OUTBOX_FAILED, buffer_string(&words));
	buffer_free(&words);
}

static void
try_later(struct lane *lane, const char *reason, int64_t least_ms)
{
	if (is_too_old(lane))
		give_up(lane, reason);
	else
		pause_lane(lane, reason, least_ms);
}

static void send_again(struct lane *lane, enum doubt_answer answer);

/* The token is good: what was refused is what the message wanted. */
static void
take_refusal(struct lane *lane)
{
	if (lane->id == NULL) {
		lane->is_name = true;
		lane->id = xstrdup(lane->channel);
		set_step(lane, 0);
	} else if (!lane->is_in_doubt) {
		end_message(lane, OUTBOX_FAILED, lane->trouble);
	} else if (lane->refusals++ == 0) {
		try_later(lane, lane->trouble, PAUSE_FIRST_MS);
	} else {
		send_again(lane, DOUBT_UNKNOWN);
	}
}

/* That Slack refused the token is no matter of patience. */
static void
reopen(struct lane *lane, bool was_token)
{
	bool is_refused = lane->is_refused;

	lane->is_refused = false;
	if (was_token)
		lane->tried_ms = 0;
	if (is_refused && !was_token)
		take_refusal(lane);
	else
		set_step(lane, 0);
}

static void
open_lanes(bool was_token, void *arg)
{
	const struct sender *sender = arg;
	struct lane *lane;

	LIST_FOREACH(lane, &sender->lanes, entry)
		if (!is_busy(lane))
			reopen(lane, was_token);
}

/* The token is refused, it seems: the message stays as it is. */
static bool
is_shut_by(struct lane *lane, const struct slack_reply *reply)
{
	if (!gate_shuts(lane->sender->gate, reply))
		return false;
	lane->is_refused = true;
	snprintf(lane->trouble, sizeof lane->trouble, "%s", reply->error);
	return true;
}

static void
fail(struct lane *lane, const struct slack_reply *reply, const char *method)
{
	struct buffer words = { 0 };

	buffer_append_string(&words, reply->error);
	if (lane->is_name && strcmp(reply->error, "channel_not_found") == 0)
		buffer_append_string(&words, NO_CHANNEL);
	if (reply->verdict == SLACK_FORBIDDEN) {
		buffer_append_string(&words, ": ");
		slack_api_advise(&words, method, GATE_TOKEN, reply->error,
		    reply->needed);
	}
	end_message(lane, OUTBOX_FAILED, buffer_string(&words));
	buffer_free(&words);
}

static void
count(struct lane *lane, const struct slack_reply *reply)
{
	outbox_count(lane->sender->settings.outbox, lane->message.number,
	    reply->limited, reply->verdict != SLACK_OK && reply->status == 0);
}

/* It is not in Slack, and not for good. */
static void
put_off(struct lane *lane, const struct slack_reply *reply)
{
	struct outbox *outbox = lane->sender->settings.outbox;

	outbox_put_off(outbox, lane->message.number, reply->error, 0, 0);
	outbox_commit(outbox);
	lane->is_in_doubt = false;
}

/* It may be in Slack: that is found out before anything else. */
static void
doubt(struct lane *lane, const struct slack_reply *reply)
{
	outbox_commit(lane->sender->settings.outbox);
	lane->is_in_doubt = true;
	lane->was_answered = reply->json != NULL ||
	    (reply->status != 0 && reply->status != 200);
	pause_lane(lane, reply->error, lane->message.file != NULL ?
	    DOUBT_MS : PAUSE_FIRST_MS);
}

static void
take_failure(struct lane *lane, const struct slack_reply *reply,
    const char *method)
{
	count(lane, reply);
	if (is_shut_by(lane, reply)) {
		put_off(lane, reply);
	} else if (reply->verdict == SLACK_IN_DOUBT) {
		doubt(lane, reply);
	} else if (reply->verdict == SLACK_RETRY) {
		put_off(lane, reply);
		try_later(lane, reply->error, 0);
	} else {
		fail(lane, reply, method);
	}
}

static void
set_file(struct lane *lane, const char *file)
{
	free((char *)lane->message.file);
	lane->message.file = file != NULL ? xstrdup(file) : NULL;
	outbox_note_file(lane->sender->settings.outbox, lane->message.number,
	    file);
}

static bool
is_ts(const char *text)
{
	size_t length = strspn(text, "0123456789.");

	return length > 0 && length < TS_BYTES_MAX && text[length] == '\0';
}

/* A post stands in Slack. */
static void
end_part(struct lane *lane, const char *ts)
{
	if (ts != NULL && !is_ts(ts))
		ts = NULL;
	lane->message.part++;
	outbox_part_done(lane->sender->settings.outbox, lane->message.number,
	    lane->message.part, lane->id, ts);
	if (lane->message.file != NULL)
		set_file(lane, NULL);
	lane->is_in_doubt = lane->is_shown = false;
	lane->doubts = 0;
	lane->tried_ms = 0;
	lane->backoff.failures = 0;
	if ((size_t)lane->message.part >= lane->compose->count)
		end_message(lane, OUTBOX_SENT, NULL);
	else
		set_step(lane, 0);
}

/* --- doubt ----------------------------------------------------------------*/

/*
 * Without any answer it is sent again once at random, then it is left to
 * people; an answer such as 500 says that it hardly was posted.
 */
static void
send_again(struct lane *lane, enum doubt_answer answer)
{
	if (answer == DOUBT_UNKNOWN && !lane->was_answered &&
	    lane->doubts++ > 0) {
		end_message(lane, OUTBOX_FAILED, "no answer came, and Slack"
		    " does not say whether it was posted");
		return;
	}
	lane->is_in_doubt = answer == DOUBT_UNKNOWN;
	if (lane->backoff.failures > 0 && is_too_old(lane)) {
		give_up(lane, lane->trouble);
		return;
	}
	if (lane->message.file != NULL)
		set_file(lane, NULL);
	lane->is_in_doubt = false;
	set_step(lane, 0);
}

static void
take_doubt(enum doubt_answer answer, const char *ts,
    const struct slack_reply *reply, void *arg)
{
	struct lane *lane = arg;

	lane->doubt = NULL;
	if (lane->is_shown || answer == DOUBT_POSTED)
		end_part(lane, ts);
	else if (reply != NULL && is_shut_by(lane, reply))
		return;
	else if (answer == DOUBT_LATER)
		try_later(lane, reply->error, PAUSE_FIRST_MS);
	else
		send_again(lane, answer);
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
		.done = take_doubt, .arg = lane,
	    });
}

/* --- posts ----------------------------------------------------------------*/

static void
take_post(const struct slack_reply *reply, void *arg)
{
	struct lane *lane = arg;
	const char *channel = json_string(reply->json, "channel");

	lane->call = NULL;
	if (reply->verdict != SLACK_OK) {
		take_failure(lane, reply, POST);
		return;
	}
	count(lane, reply);
	if (lane->is_name && channel != NULL &&
	    channels_is_id(channel, "CGDZ")) {
		channels_learn(lane->sender->channels, lane->channel, channel);
		free(lane->id);
		lane->id = xstrdup(channel);
		lane->is_name = false;
	}
	end_part(lane, json_string(reply->json, "ts"));
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

	set_file(lane, file);
	return outbox_commit(lane->sender->settings.outbox) == 0;
}

/* That a file is shown is heard at once; in which message, a moment later. */
static void
take_upload(const struct slack_reply *reply, void *arg)
{
	struct lane *lane = arg;

	lane->upload = NULL;
	if (reply == NULL) {
		set_step(lane, DISK_MS);
		return;
	}
	if (reply->verdict != SLACK_OK) {
		take_failure(lane, reply, SHOW);
		return;
	}
	count(lane, reply);
	lane->is_shown = true;
	set_step(lane, SHOWN_MS);
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
		end_message(lane, OUTBOX_FAILED,
		    "channel_not_found" NO_CHANNEL);
		return;
	}
	outbox_try(outbox, lane->message.number);
	if (outbox_commit(outbox) == -1)
		set_step(lane, DISK_MS);
	else if (post->filename != NULL)
		post_file(lane, post);
	else
		post_text(lane, post);
}

/* --- the next message -----------------------------------------------------*/

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

	return age_ms < 0 ? DOUBT_MS : age_ms < DOUBT_MS ? DOUBT_MS - age_ms
	    : 0;
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
		set_step(lane, find_doubt_ms(lane));
}

static bool
has_room(struct lane *lane, const struct outbox_message *message)
{
	struct sender *sender = lane->sender;
	size_t bytes = measure(message->text) + measure(message->payload) +
	    measure(message->mrkdwn);

	lane->is_hungry = sender->content_bytes > 0 &&
	    sender->content_bytes + bytes > CONTENT_BYTES_MAX;
	if (lane->is_hungry)
		return false;
	lane->content_bytes = bytes;
	sender->content_bytes += bytes;
	return true;
}

static void
compose(struct lane *lane, const struct outbox_message *message)
{
	if (!is_digest(lane))
		lane->compose = compose_message(message,
		    lane->sender->settings.may_broadcast);
}

/* Returns false where there is none; it may have to wait for room. */
static bool
load_message(struct lane *lane)
{
	struct outbox_message message;

	if (!outbox_next(lane->sender->settings.outbox, lane->channel,
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

	if (!outbox_next(lane->sender->settings.outbox, lane->channel,
	    &message) || message.number != lane->message.number) {
		forget_message(lane);
		set_step(lane, 0);
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
	const struct sender_settings *settings = &lane->sender->settings;
	struct outbox_digest digest;

	if (!outbox_summarize(settings->outbox, lane->message.number,
	    &digest)) {
		set_step(lane, DISK_MS);
		return false;
	}
	lane->compose = compose_digest(&digest, settings->dashboard);
	return true;
}

/* Otherwise it goes on when there is room. */
static bool
has_content(struct lane *lane)
{
	if (lane->compose != NULL)
		return true;
	return is_digest(lane) ? summarize(lane) : reload_content(lane);
}

/* It may be in Slack, all the same: that is not found out here. */
static void
take_no_channel(struct lane *lane, const struct slack_reply *reply)
{
	count(lane, reply);
	if (is_shut_by(lane, reply))
		return;
	if (reply->verdict == SLACK_NO_TARGET)
		fail(lane, reply, FIND);
	else
		try_later(lane, reply->error, 0);
}

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
		take_no_channel(lane, reply);
		return;
	}
	lane->is_name = id == NULL;
	lane->id = xstrdup(id != NULL ? id : lane->channel);
	set_step(lane, 0);
}

/* What is there to do next? */
static void
take_step(struct lane *lane)
{
	struct sender *sender = lane->sender;
	int64_t wait_ms;

	note_trial(lane);
	if (lane->id == NULL) {
		lane->is_finding = true;
		channels_find(sender->channels, lane->channel, take_channel,
		    lane);
		return;
	}
	if (!has_content(lane))
		return;
	if (lane->is_in_doubt || lane->is_shown) {
		ask(lane);
		return;
	}
	wait_ms = slack_api_wait_ms(sender->api, POST, lane->id);
	if (wait_ms > 0)
		set_step(lane, wait_ms);
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
		free_lane(lane);
		return;
	}
	if (gate_is_shut(sender->gate))
		return;
	if (!lane->has_message &&
	    (is_to_make_room(lane) || !load_message(lane))) {
		free_lane(lane);
		sender_wake(sender);
	} else if (lane->has_message && !is_busy(lane)) {
		take_step(lane);
	}
}
