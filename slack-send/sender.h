/*
 * Sends what is in the outbox: channels beside each other, the messages of a
 * channel one behind the other, each post as soon as Slack's pace allows.
 */
#ifndef SLACK_SEND_SENDER_H
#define SLACK_SEND_SENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "outbox.h"
#include "timers.h"

#define SENDER_LANES_MAX 256	/* channels at a time; others wait */
#define SENDER_PAUSE_MOST_MS 60000	/* between two tries of a post */

/* All is borrowed. */
struct sender_settings {
	int set;			/* of events */
	struct timers *timers;
	struct outbox *outbox;
	const char *token;
	const char *api_url;		/* NULL: Slack's */
	const char *ca_file;		/* or NULL */
	const char *dashboard;		/* that digests link to, or NULL */
	bool may_broadcast;		/* @channel and its kin */
	int64_t give_up_ms;		/* how old a message may become */

	/* Something that people should see, under a word for it. */
	void (*warn)(const char *topic, const char *reason, void *arg);
	void *arg;
};

struct sender;

struct sender *sender_new(const struct sender_settings *settings);

/* What is under way is in doubt, and found out about by the next start. */
void sender_free(struct sender *sender);

/* There may be new messages in the outbox. */
void sender_wake(struct sender *sender);

/* The token may be good again: if it was refused, it is tried now. */
void sender_retry(struct sender *sender);

/* Begin nothing more; what is under way may still end, then it is idle. */
void sender_stop(struct sender *sender);

/* Is no post under way, or waiting? */
bool sender_is_idle(const struct sender *sender);

#endif
