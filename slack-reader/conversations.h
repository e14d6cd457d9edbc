/* The conversations that the bot is in (users.conversations). */
#ifndef SLACK_READER_CONVERSATIONS_H
#define SLACK_READER_CONVERSATIONS_H

#include <stdbool.h>

#include "slack_api.h"
#include "timers.h"

struct conversations;

struct conversations_settings {
	struct slack_api *api;
	struct timers *timers;
	const char *token;	/* borrowed */

	/* One of them; type as in channel_type: channel, group, mpim or im. */
	void (*found)(const char *channel, const char *type, void *arg);

	/*
	 * Those of one type cannot be had, others may be. Returns whether to
	 * go on with them. Not called for SLACK_RETRY.
	 */
	bool (*refused)(const struct slack_reply *reply, void *arg);

	/*
	 * All were found, but for those refused; false: it must be done anew
	 * later. Called once, and what was made may be freed in it.
	 */
	void (*end)(bool is_complete, void *arg);
	void *arg;
};

struct conversations *conversations_new(
    const struct conversations_settings *settings);
void conversations_free(struct conversations *conversations);

#endif
