/*
 * Which conversation is meant: by id, by the name of a channel, or by a person,
 * whose direct messages it then is.
 */
#ifndef SLACK_SEND_CHANNELS_H
#define SLACK_SEND_CHANNELS_H

#include <stdbool.h>

#include "slack_api.h"

#define CHANNELS_MAX 5000	/* names that are remembered */
#define CHANNELS_FRESH_MS 300000	/* names are asked for no sooner again */

/* Does it look like an id that begins with one of the letters? */
bool channels_is_id(const char *text, const char *letters);

struct channels;

/* Both are borrowed. */
struct channels *channels_new(struct slack_api *api, const char *token);

/* Who waits for an answer gets none. */
void channels_free(struct channels *channels);

/*
 * Find it: `done` is called once, perhaps from within this call, with its id;
 * or with NULL and what Slack answered; or with neither where the bot is in no
 * channel of that name. target is copied.
 */
void channels_find(struct channels *channels, const char *target,
    void (*done)(const char *id, const struct slack_reply *reply, void *arg),
    void *arg);

/* A post to the target went there. */
void channels_learn(struct channels *channels, const char *target,
    const char *id);

#endif
