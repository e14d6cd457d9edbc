#include "lookup.h"

#include <err.h>
#include <stdlib.h>

#include "buffer.h"
#include "clock.h"
#include "memory.h"
#include "record.h"
#include "slack_api.h"

#define METHOD "files.info"
#define FIRST_PAUSE_MS 1000
#define PAUSE_MAX_MS 60000

struct lookup {
	struct lookups *lookups;
	struct lookup *next;
	struct want *want;
	struct slack_call *call;	/* NULL in a pause */
	struct timer pause;
	int64_t resume_ms;
	unsigned attempts;
};

struct lookups {
	struct lookup_settings settings;
	struct slack_api *api;		/* NULL before the first lookup */
	struct lookup *first;
	bool has_advised;
};

struct lookups *
lookups_new(const struct lookup_settings *settings)
{
	struct lookups *lookups = xcalloc(1, sizeof *lookups);

	lookups->settings = *settings;
	return lookups;
}

static void
remove_lookup(struct lookup *lookup)
{
	struct lookup **link = &lookup->lookups->first;

	if (lookup->call != NULL)
		slack_api_cancel(lookup->call);
	timers_cancel(lookup->lookups->settings.timers, &lookup->pause);
	while (*link != lookup)
		link = &(*link)->next;
	*link = lookup->next;
	lookup->want->lookup = NULL;
	free(lookup);
}

void
lookups_free(struct lookups *lookups)
{
	if (lookups == NULL)
		return;
	slack_api_free(lookups->api);
	while (lookups->first != NULL) {
		lookups->first->call = NULL;
		remove_lookup(lookups->first);
	}
	free(lookups);
}

/* Decide what became of the want. The lookup is gone afterwards. */
static void
settle(struct lookup *lookup, enum want_status status, const char *reason)
{
	const struct lookup_settings *settings = &lookup->lookups->settings;
	struct want *want = lookup->want;

	remove_lookup(lookup);
	want_settle(want, status, METHOD ": %s", reason);
	settings->settled(want, settings->arg);
}

/* Slack says no to the token, not to the file; the log hears of it once. */
static void
settle_forbidden(struct lookup *lookup, const struct slack_reply *reply)
{
	struct lookups *lookups = lookup->lookups;
	struct buffer text = { 0 };

	if (!lookups->has_advised) {
		slack_api_advise(&text, METHOD, "SLACK_BOT_TOKEN",
		    reply->error, reply->needed);
		warnx("%s", buffer_string(&text));
	}
	lookups->has_advised = true;
	buffer_free(&text);
	buffer_printf(&text, "%.80s", reply->error);
	if (reply->needed != NULL)
		buffer_printf(&text, ": the token needs the scope %.60s",
		    reply->needed);
	settle(lookup, WANT_DENIED, buffer_string(&text));
	buffer_free(&text);
}

static void
settle_found(struct lookup *lookup, const struct slack_reply *reply)
{
	const struct lookup_settings *settings = &lookup->lookups->settings;
	const cJSON *file = json_get(reply->json, "file");
	struct want *want = lookup->want;

	if (!cJSON_IsObject(file)) {
		settle(lookup, WANT_FAILED, "the answer has no file");
		return;
	}
	remove_lookup(lookup);
	settings->found(want, file, settings->arg);
}

/* Ask again after a pause, unless that would help nobody any more. */
static void
pause_and_retry(struct lookup *lookup, const char *error)
{
	unsigned doublings = lookup->attempts - 1 < 6 ?
	    lookup->attempts - 1 : 6;
	int64_t pause_ms = FIRST_PAUSE_MS << doublings;
	struct buffer reason = { 0 };

	if (pause_ms > PAUSE_MAX_MS)
		pause_ms = PAUSE_MAX_MS;
	lookup->resume_ms = clock_steady_ms() + pause_ms;
	if (lookup->resume_ms < want_last_moment_ms(lookup->want)) {
		timers_set(lookup->lookups->settings.timers, &lookup->pause,
		    pause_ms);
		return;
	}
	buffer_printf(&reason, "%.100s after %u attempt%s", error,
	    lookup->attempts, lookup->attempts == 1 ? "" : "s");
	settle(lookup, WANT_FAILED, buffer_string(&reason));
	buffer_free(&reason);
}

static void
take_reply(const struct slack_reply *reply, void *arg)
{
	struct lookup *lookup = arg;

	lookup->call = NULL;
	switch (reply->verdict) {
	case SLACK_OK:
		settle_found(lookup, reply);
		break;
	case SLACK_RETRY:
	case SLACK_IN_DOUBT:
		pause_and_retry(lookup, reply->error);
		break;
	case SLACK_FORBIDDEN:
		settle_forbidden(lookup, reply);
		break;
	case SLACK_NO_TARGET:
	case SLACK_BAD_REQUEST:
		settle(lookup, WANT_FAILED, reply->error);
		break;
	}
}

static void
call_slack(void *arg)
{
	struct lookup *lookup = arg;
	struct buffer arguments = { 0 };
	struct slack_request request = {
		.method = METHOD,
		.token = lookup->lookups->settings.token,
	};

	lookup->attempts++;
	slack_api_argument(&arguments, "file", lookup->want->id);
	request.arguments = buffer_string(&arguments);
	lookup->call = slack_api_call(lookup->lookups->api, &request,
	    take_reply, lookup);
	buffer_free(&arguments);
}

static void
open_api(struct lookups *lookups)
{
	struct slack_api_settings settings = {
		.url = lookups->settings.api_url,
		.ca_file = lookups->settings.ca_file,
		.set = lookups->settings.set,
		.timers = lookups->settings.timers,
	};

	lookups->api = slack_api_new(&settings);
}

void
lookups_ask(struct lookups *lookups, struct want *want)
{
	struct lookup *lookup = xcalloc(1, sizeof *lookup);

	if (lookups->api == NULL)
		open_api(lookups);
	lookup->lookups = lookups;
	lookup->want = want;
	lookup->pause = (struct timer){ .due = call_slack, .arg = lookup };
	lookup->next = lookups->first;
	lookups->first = lookup;
	want->lookup = lookup;
	want_start_clock(want, lookups->settings.deadline_ms);
	call_slack(lookup);
}

void
lookups_give_up(struct want *want)
{
	remove_lookup(want->lookup);
}

void
lookups_replace(struct want *want, struct want *another)
{
	another->lookup = want->lookup;
	another->lookup->want = another;
	want->lookup = NULL;
}

bool
lookups_are_too_slow_for(const struct want *want)
{
	const struct lookup *lookup = want->lookup;

	return lookup->call == NULL && lookup->resume_ms >= *want->deadline_ms;
}

size_t
lookups_count(const struct lookups *lookups)
{
	size_t count = 0;

	for (const struct lookup *lookup = lookups->first; lookup != NULL;
	    lookup = lookup->next)
		if (lookup->call != NULL && lookup->want->late == NULL)
			count++;
	return count;
}
