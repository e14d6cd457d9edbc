/*
 * What was missed, fetched from conversations.history and .replies: after a
 * start, and after any time without a connection. What is still to be fetched
 * stands in a file, channel by channel, so that a crash does not forget it.
 */
#ifndef SLACK_READER_BACKFILL_H
#define SLACK_READER_BACKFILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel_list.h"
#include "record.h"
#include "slack_api.h"
#include "timers.h"

#define BACKFILL_THREADS_MAX 1000	/* the most recently active ones */
#define BACKFILL_THREAD_S (24 * 3600)	/* so long is a thread active */

struct backfill;

/* A message as Slack's answer has it; valid during the call. */
struct backfill_message {
	const char *channel;
	const char *channel_type;	/* channel, group, mpim or im */
	const char *text;		/* a JSON object */
	size_t length;
};

struct backfill_settings {
	struct slack_api *api;
	struct timers *timers;
	const char *bot_token;		/* borrowed */
	const char *path;		/* of the file; borrowed */
	const struct channel_list *channels;
	int64_t age_max_s;		/* what is older is not asked for */

	/*
	 * These are called from timers and answers, never from within a call
	 * of this module, but for is_safe in backfill_go_on.
	 *
	 * Take a message, on one line, which may be one that came live or was
	 * taken before. Returns false where there is no room now: it comes
	 * again after backfill_go_on.
	 */
	bool (*take)(const struct backfill_message *message, void *arg);

	/*
	 * Is all that was taken or told as lost safe? Only then a channel is
	 * done; if not, backfill_go_on is called when it is.
	 */
	bool (*is_safe)(void *arg);

	/* Something was missed for good: a sentence; channel may be NULL. */
	void (*lost)(const char *channel, const char *sentence, void *arg);
	void *arg;
};

/* What the file says is still to be done begins at once. */
struct backfill *backfill_new(const struct backfill_settings *settings);
void backfill_free(struct backfill *backfill);

/*
 * Fetch everything in all channels from since_us to until_us (1970, Slack's
 * clock): what is newer came live. It is in the file when this returns. What
 * was put off, or stopped because the token was refused, is tried again now.
 */
void backfill_request_range(struct backfill *backfill, int64_t since_us,
    int64_t until_us);

/* The same until 10 minutes from now, by the clock of this machine. */
void backfill_request(struct backfill *backfill, int64_t since_us);

/*
 * A message came in, live or recalled: note its thread, if it has one. Its
 * replies are asked for even where its parent is not in recent history.
 */
void backfill_note(struct backfill *backfill, struct record *event);

/*
 * There is room again, or what was taken is safe; needless calls do no harm and
 * cost nothing.
 */
void backfill_go_on(struct backfill *backfill);

/* Is nothing left to be fetched? */
bool backfill_is_idle(const struct backfill *backfill);

#endif
