/*
 * The gate that is shut while Slack refuses the token: then nothing can be
 * sent, and nothing needs to fail because of it.
 */
#ifndef SLACK_SEND_GATE_H
#define SLACK_SEND_GATE_H

#include <stdbool.h>

#include "slack_api.h"
#include "timers.h"

#define GATE_TOKEN "SLACK_BOT_TOKEN"
#define GATE_SHUT_MS 300000	/* between two tries of a refused token */

/* All is borrowed. */
struct gate_settings {
	struct slack_api *api;
	struct timers *timers;
	const char *token;

	/*
	 * It is open again. was_token: the token is good again; otherwise it
	 * was so all the time, and what was refused, for itself.
	 */
	void (*open)(bool was_token, void *arg);

	/* Something that people should see, under a word for it. */
	void (*warn)(const char *topic, const char *reason, void *arg);
	void *arg;
};

struct gate;

struct gate *gate_new(const struct gate_settings *settings);
void gate_free(struct gate *gate);

/*
 * Does the reply refuse the token, as it seems? Then the gate is shut, and
 * auth.test is asked.
 */
bool gate_shuts(struct gate *gate, const struct slack_reply *reply);

bool gate_is_shut(const struct gate *gate);

/* If it is shut, try the token now. */
void gate_retry(struct gate *gate);

#endif
