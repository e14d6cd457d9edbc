/* Who we are (auth.test), so that nobody answers itself. */
#ifndef SLACK_READER_IDENTITY_H
#define SLACK_READER_IDENTITY_H

#include <stdbool.h>

#include "record.h"
#include "slack_api.h"
#include "timers.h"

struct identity;

struct identity_settings {
	struct slack_api *api;
	struct timers *timers;
	const char *bot_token;		/* borrowed */

	/* It is known now. Called once. */
	void (*known)(void *arg);

	/* No use to go on: the sentence says what a person must mend. The
	 * identity may be freed in it. */
	void (*failed)(const char *sentence, void *arg);
	void *arg;
};

/*
 * Ask Slack, again and again with growing pauses until it answers. Scopes that
 * the token lacks are reported, once, each with what will not work.
 */
struct identity *identity_new(const struct identity_settings *settings);
void identity_free(struct identity *identity);

/*
 * Is the event our own: by `user` or `bot_id`, in an edit or deletion by those
 * of `message` or `previous_message`? Not so for who joins or leaves.
 */
bool identity_is_own(const struct identity *identity, struct record *event);

/* Our user id, and the address of the workspace with a slash at its end; NULL
 * where it is not known. */
const char *identity_user(const struct identity *identity);
const char *identity_url(const struct identity *identity);

/* Is the message for the bot: in a dialogue with it, or begins with <@BOT>, now
 * that it was edited? */
bool identity_is_addressed(const struct identity *identity,
    struct record *event);

#endif
