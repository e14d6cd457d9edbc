#include "gate.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "memory.h"
#include "slack_error.h"

#define TEST "auth.test"
#define OTHER_KIND "not_allowed_token_type"	/* which auth.test takes */
#define AWAY_MS 30000	/* while Slack does not answer */

struct gate {
	struct gate_settings settings;
	struct timer timer;
	bool is_shut;
	bool is_trying;
	bool was_token;		/* it is refused, indeed */
};

static void try_token(void *arg);

struct gate *
gate_new(const struct gate_settings *settings)
{
	struct gate *gate = xcalloc(1, sizeof *gate);

	gate->settings = *settings;
	gate->timer = (struct timer){ .due = try_token, .arg = gate };
	return gate;
}

void
gate_free(struct gate *gate)
{
	if (gate == NULL)
		return;
	timers_cancel(gate->settings.timers, &gate->timer);
	free(gate);
}

bool
gate_is_shut(const struct gate *gate)
{
	return gate->is_shut;
}

/* Nothing can be sent with that token: people are told, once. */
static void
tell(struct gate *gate, const struct slack_reply *reply, const char *method)
{
	struct buffer words = { 0 };

	if (gate->was_token)
		return;
	gate->was_token = true;
	slack_api_advise(&words, method, GATE_TOKEN, reply->error,
	    reply->needed);
	warnx("nothing is sent: %s", buffer_string(&words));
	gate->settings.warn("token", buffer_string(&words),
	    gate->settings.arg);
	buffer_free(&words);
}

static void
open_gate(struct gate *gate)
{
	gate->is_shut = false;
	timers_cancel(gate->settings.timers, &gate->timer);
	if (gate->was_token)
		warnx("Slack takes the token again: sending");
	gate->settings.open(gate->was_token, gate->settings.arg);
}

static void
take_test(const struct slack_reply *reply, void *arg)
{
	struct gate *gate = arg;
	bool is_away = reply->verdict == SLACK_RETRY ||
	    reply->verdict == SLACK_IN_DOUBT;

	gate->is_trying = false;
	if (reply->verdict == SLACK_OK) {
		open_gate(gate);
		return;
	}
	timers_set(gate->settings.timers, &gate->timer, is_away ?
	    AWAY_MS : GATE_SHUT_MS);
	if (!is_away)
		tell(gate, reply, TEST);
}

static void
try_token(void *arg)
{
	struct gate *gate = arg;

	if (gate->is_trying)
		return;
	gate->is_trying = true;
	slack_api_call(gate->settings.api, &(struct slack_request){
		.method = TEST, .token = gate->settings.token,
	    }, take_test, gate);
}

bool
gate_shuts(struct gate *gate, const struct slack_reply *reply)
{
	if (reply->verdict != SLACK_FORBIDDEN ||
	    !slack_error_is_auth(reply->error))
		return false;
	if (gate->is_shut)
		return true;
	gate->is_shut = true;
	gate->was_token = false;
	if (strcmp(reply->error, OTHER_KIND) == 0)
		tell(gate, reply, "a post");
	else
		try_token(gate);
	return true;
}

void
gate_retry(struct gate *gate)
{
	if (gate->is_shut)
		timers_set(gate->settings.timers, &gate->timer, 0);
}
