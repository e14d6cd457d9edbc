/*
 * A file on its way into a conversation, in the three steps that Slack wants
 * (docs.slack.dev/messaging/working-with-files).
 */
#ifndef SLACK_SEND_UPLOAD_H
#define SLACK_SEND_UPLOAD_H

#include <stdbool.h>

#include "compose.h"
#include "slack_api.h"

struct upload;

/* All is borrowed until `done`. */
struct upload_settings {
	struct slack_api *api;
	const char *token;
	const char *channel;	/* id of the conversation */
	const struct compose_post *post;
	const char *thread;	/* that it is posted to, or NULL */

	/*
	 * The file is there, and not yet shown: note its id, so that it can be
	 * asked for after a crash. Returns false where that is not possible
	 * now: then the upload is given up.
	 */
	bool (*uploaded)(const char *file, void *arg);

	/* It is shown, or not; only then it can be in doubt. NULL: given up. */
	void (*done)(const struct slack_reply *reply, void *arg);
	void *arg;
};

struct upload *upload_start(const struct upload_settings *settings);

/* Forget one whose `done` was not called: it will not be. */
void upload_cancel(struct upload *upload);

#endif
