/* What the parts of a lane share: it itself. */
#ifndef SLACK_SEND_LANE_PARTS_H
#define SLACK_SEND_LANE_PARTS_H

#include "backoff.h"
#include "compose.h"
#include "doubt.h"
#include "lane.h"
#include "outbox.h"
#include "timers.h"
#include "upload.h"

#define LANE_NO_CHANNEL ": the bot is in no channel of that name"
#define LANE_PAUSE_FIRST_MS 1000
#define LANE_DISK_MS 1000	/* while nothing can be noted */
#define LANE_DOUBT_MS 3000	/* until Slack would show it at the latest */

/* A channel, and the first of its messages. */
struct lane {
	struct lane_shared *shared;
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

/*
 * lane_message.c: take the next message to hand. Returns false where there is
 * none; it may have to wait for room.
 */
bool lane_load_message(struct lane *lane);

/* Has it what it is to post? Otherwise it goes on when there is room. */
bool lane_has_content(struct lane *lane);

/* It can be had again from the outbox. */
void lane_drop_content(struct lane *lane);
void lane_forget_message(struct lane *lane);

/* Its next step is in so many milliseconds. */
void lane_set_step(struct lane *lane, int64_t ms);

/* lane_outcome.c: the message is through. */
void lane_end_message(struct lane *lane, enum outbox_state state,
    const char *reason);

/* Since when is it tried? Since now, if it was not. */
void lane_note_trial(struct lane *lane);

/* The token is good; was_token is as in gate.h. */
void lane_take_token(struct lane *lane, bool was_token);

/* What Slack answered to the method, of a post or the last step of one. Returns
 * whether it has done that; else it is seen to what comes now. */
bool lane_take_reply(struct lane *lane, const struct slack_reply *reply,
    const char *method);
void lane_take_no_channel(struct lane *lane, const struct slack_reply *reply);

/* Note the file that was uploaded for it, or NULL: there is none any more. */
void lane_set_file(struct lane *lane, const char *file);

/* A post stands in Slack; ts may be NULL. */
void lane_end_part(struct lane *lane, const char *ts);

/* What doubt_ask calls. */
void lane_take_doubt(enum doubt_answer answer, const char *ts,
    const struct slack_reply *reply, void *arg);

#endif
