/* What becomes of the message at hand, by what Slack answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "clock.h"
#include "lane_parts.h"
#include "memory.h"

#define FIND "conversations.open"
#define CONTENT_BYTES_KEPT 65536	/* by one that has to wait */
#define TS_BYTES_MAX 32

void
lane_end_message(struct lane *lane, enum outbox_state state,
    const char *reason)
{
	struct outbox *outbox = lane->shared->settings->outbox;

	outbox_end(outbox, lane->message.number, state, reason);
	outbox_commit(outbox);	/* else with the next one that can */
	lane_forget_message(lane);
	lane->had_turn = true;
	lane_set_step(lane, 0);
}

/* By the steady clock, as far as we were there: the other one may jump. */
static bool
is_too_old(const struct lane *lane)
{
	int64_t give_up_ms = lane->shared->settings->give_up_ms;
	int64_t tried_ms = clock_steady_ms() - lane->tried_ms;

	return lane->age_ms + tried_ms > give_up_ms &&
	    tried_ms >= (give_up_ms < LANE_TRIED_MS ? give_up_ms
	    : LANE_TRIED_MS);
}

void
lane_note_trial(struct lane *lane)
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
		lane_drop_content(lane);
	lane_set_step(lane, pause_ms > least_ms ? pause_ms : least_ms);
}

static void
give_up(struct lane *lane, const char *reason)
{
	struct buffer words = { 0 };

	buffer_printf(&words, "given up: %s%s", reason, lane->is_in_doubt ?
	    "; Slack does not say whether it was posted" : "");
	lane_end_message(lane, OUTBOX_FAILED, buffer_string(&words));
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

/* --- failures -------------------------------------------------------------*/

/*
 * Without any answer it is sent again once at random, then it is left to
 * people; an answer such as 500 says that it hardly was posted.
 */
static void
send_again(struct lane *lane, enum doubt_answer answer)
{
	if (answer == DOUBT_UNKNOWN && !lane->was_answered &&
	    lane->doubts++ > 0) {
		lane_end_message(lane, OUTBOX_FAILED, "no answer came, and"
		    " Slack does not say whether it was posted");
		return;
	}
	lane->is_in_doubt = answer == DOUBT_UNKNOWN;
	if (lane->backoff.failures > 0 && is_too_old(lane)) {
		give_up(lane, lane->trouble);
		return;
	}
	if (lane->message.file != NULL)
		lane_set_file(lane, NULL);
	lane->is_in_doubt = false;
	lane_set_step(lane, 0);
}

/* The token is good: what was refused is what the message wanted. */
static void
take_refusal(struct lane *lane)
{
	if (lane->id == NULL) {
		lane->is_name = true;
		lane->id = xstrdup(lane->channel);
		lane_set_step(lane, 0);
	} else if (!lane->is_in_doubt) {
		lane_end_message(lane, OUTBOX_FAILED, lane->trouble);
	} else if (lane->refusals++ == 0) {
		try_later(lane, lane->trouble, LANE_PAUSE_FIRST_MS);
	} else {
		send_again(lane, DOUBT_UNKNOWN);
	}
}

/* That Slack refused it is no matter of patience. */
void
lane_take_token(struct lane *lane, bool was_token)
{
	bool is_refused = lane->is_refused;

	lane->is_refused = false;
	if (was_token)
		lane->tried_ms = 0;
	if (is_refused && !was_token)
		take_refusal(lane);
	else
		lane_set_step(lane, 0);
}

/* The token is refused, it seems: the message stays as it is. */
static bool
is_shut_by(struct lane *lane, const struct slack_reply *reply)
{
	if (!gate_shuts(lane->shared->gate, reply))
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
		buffer_append_string(&words, LANE_NO_CHANNEL);
	if (reply->verdict == SLACK_FORBIDDEN) {
		buffer_append_string(&words, ": ");
		slack_api_advise(&words, method, GATE_TOKEN, reply->error,
		    reply->needed);
	}
	lane_end_message(lane, OUTBOX_FAILED, buffer_string(&words));
	buffer_free(&words);
}

static void
count(struct lane *lane, const struct slack_reply *reply)
{
	outbox_count(lane->shared->settings->outbox, lane->message.number,
	    reply->limited, reply->verdict != SLACK_OK && reply->status == 0);
}

/* It is not in Slack, and not for good. */
static void
put_off(struct lane *lane, const struct slack_reply *reply)
{
	struct outbox *outbox = lane->shared->settings->outbox;

	outbox_put_off(outbox, lane->message.number, reply->error, 0, 0);
	outbox_commit(outbox);
	lane->is_in_doubt = false;
}

/* It may be in Slack: that is found out before anything else. */
static void
doubt(struct lane *lane, const struct slack_reply *reply)
{
	outbox_commit(lane->shared->settings->outbox);
	lane->is_in_doubt = true;
	lane->was_answered = reply->json != NULL ||
	    (reply->status != 0 && reply->status != 200);
	pause_lane(lane, reply->error, lane->message.file != NULL ?
	    LANE_DOUBT_MS : LANE_PAUSE_FIRST_MS);
}

static void
take_failure(struct lane *lane, const struct slack_reply *reply,
    const char *method)
{
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

bool
lane_take_reply(struct lane *lane, const struct slack_reply *reply,
    const char *method)
{
	bool is_done = reply->verdict == SLACK_OK;

	count(lane, reply);
	if (!is_done)
		take_failure(lane, reply, method);
	return is_done;
}

/* It may be in Slack, all the same: that is not found out here. */
void
lane_take_no_channel(struct lane *lane, const struct slack_reply *reply)
{
	count(lane, reply);
	if (is_shut_by(lane, reply))
		return;
	if (reply->verdict == SLACK_NO_TARGET)
		fail(lane, reply, FIND);
	else
		try_later(lane, reply->error, 0);
}

void
lane_set_file(struct lane *lane, const char *file)
{
	free((char *)lane->message.file);
	lane->message.file = file != NULL ? xstrdup(file) : NULL;
	outbox_note_file(lane->shared->settings->outbox, lane->message.number,
	    file);
}

static bool
is_ts(const char *text)
{
	size_t length = strspn(text, "0123456789.");

	return length > 0 && length < TS_BYTES_MAX && text[length] == '\0';
}

void
lane_end_part(struct lane *lane, const char *ts)
{
	if (ts != NULL && !is_ts(ts))
		ts = NULL;
	lane->message.part++;
	outbox_part_done(lane->shared->settings->outbox, lane->message.number,
	    lane->message.part, lane->id, ts);
	if (lane->message.file != NULL)
		lane_set_file(lane, NULL);
	lane->is_in_doubt = lane->is_shown = false;
	lane->doubts = 0;
	lane->tried_ms = 0;
	lane->backoff.failures = 0;
	if ((size_t)lane->message.part >= lane->compose->count)
		lane_end_message(lane, OUTBOX_SENT, NULL);
	else
		lane_set_step(lane, 0);
}

void
lane_take_doubt(enum doubt_answer answer, const char *ts,
    const struct slack_reply *reply, void *arg)
{
	struct lane *lane = arg;

	lane->doubt = NULL;
	if (lane->is_shown || answer == DOUBT_POSTED)
		lane_end_part(lane, ts);
	else if (reply != NULL && is_shut_by(lane, reply))
		return;
	else if (answer == DOUBT_LATER)
		try_later(lane, reply->error, LANE_PAUSE_FIRST_MS);
	else
		send_again(lane, answer);
}
