/*
 * Was it posted, or not? After an answer that did not come, or a crash, Slack
 * is asked: for the file that was to be shown, or for the message in whose
 * metadata our key stands.
 */
#ifndef SLACK_SEND_DOUBT_H
#define SLACK_SEND_DOUBT_H

#include "slack_api.h"

#define DOUBT_MESSAGES_MAX 1000	/* so far back it is looked for */
#define DOUBT_REPLIES_MAX 10000	/* of a thread */

struct doubt;

enum doubt_answer {
	DOUBT_POSTED,
	DOUBT_NOT_POSTED,
	DOUBT_UNKNOWN,		/* it cannot be found out */
	DOUBT_LATER,		/* not now */
};

/* All is borrowed until `done`, but for the key, which is copied. */
struct doubt_settings {
	struct slack_api *api;
	const char *token;
	const char *channel;	/* id of the conversation */
	const char *key;	/* of the message; not used for a file */
	const char *file;	/* or NULL */
	const char *thread;	/* that it was posted to, or NULL */

	/* ts is NULL where it is not known; so is reply where Slack answered. */
	void (*done)(enum doubt_answer answer, const char *ts,
	    const struct slack_reply *reply, void *arg);
	void *arg;
};

struct doubt *doubt_ask(const struct doubt_settings *settings);

/* Forget one whose `done` was not called: it will not be. */
void doubt_cancel(struct doubt *doubt);

#endif
