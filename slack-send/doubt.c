#include "doubt.h"

#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "memory.h"
#include "record.h"

#define PAGE_MIN 20	/* that a page counts for, at least */

struct doubt {
	struct doubt_settings settings;
	char *key;
	struct slack_call *call;
	int messages;		/* looked at */
};

void
doubt_cancel(struct doubt *doubt)
{
	if (doubt == NULL)
		return;
	slack_api_cancel(doubt->call);
	free(doubt->key);
	free(doubt);
}

static void
finish(struct doubt *doubt, enum doubt_answer answer, const char *ts,
    const struct slack_reply *reply)
{
	const struct doubt_settings settings = doubt->settings;

	free(doubt->key);
	free(doubt);
	settings.done(answer, ts, reply, settings.arg);
}

/* Slack did not say. */
static void
give_up(struct doubt *doubt, const struct slack_reply *reply)
{
	bool may_pass = reply->verdict == SLACK_RETRY ||
	    reply->verdict == SLACK_IN_DOUBT;

	finish(doubt, may_pass ? DOUBT_LATER : DOUBT_UNKNOWN, NULL, reply);
}

/* --- messages -------------------------------------------------------------*/

static void take_page(const struct slack_reply *reply, void *arg);

/* The newest ones first, but those of a thread; clocks may differ, so no time
 * is said. */
static void
ask_for_page(struct doubt *doubt, const char *cursor)
{
	const char *thread = doubt->settings.thread;
	struct buffer arguments = { 0 };

	slack_api_argument(&arguments, "channel", doubt->settings.channel);
	if (thread != NULL)
		slack_api_argument(&arguments, "ts", thread);
	slack_api_argument(&arguments, "include_all_metadata", "true");
	slack_api_argument(&arguments, "limit", "200");
	if (cursor != NULL)
		slack_api_argument(&arguments, "cursor", cursor);
	doubt->call = slack_api_call(doubt->settings.api,
	    &(struct slack_request){
		.method = thread != NULL ? "conversations.replies"
		    : "conversations.history",
		.token = doubt->settings.token,
		.arguments = buffer_string(&arguments),
	    }, take_page, doubt);
	buffer_free(&arguments);
}

/* The ts of the message with our key, or NULL. */
static const char *
find_message(const struct doubt *doubt, const cJSON *messages)
{
	const cJSON *message;

	cJSON_ArrayForEach(message, messages) {
		const cJSON *metadata = json_get(message, "metadata");
		const char *key = json_string(json_get(metadata,
		    "event_payload"), "key");

		if (key != NULL && strcmp(key, doubt->key) == 0)
			return json_string(message, "ts");
	}
	return NULL;
}

/* A thread begins with its oldest, so what was posted last stands at its end. */
static int
find_most(const struct doubt *doubt)
{
	return doubt->settings.thread != NULL ? DOUBT_REPLIES_MAX
	    : DOUBT_MESSAGES_MAX;
}

static void
take_page(const struct slack_reply *reply, void *arg)
{
	struct doubt *doubt = arg;
	const cJSON *messages = json_get(reply->json, "messages");
	const char *ts, *cursor;
	int count;

	if (reply->verdict != SLACK_OK || !cJSON_IsArray(messages)) {
		give_up(doubt, reply);
		return;
	}
	ts = find_message(doubt, messages);
	cursor = json_string(json_get(reply->json, "response_metadata"),
	    "next_cursor");
	count = cJSON_GetArraySize(messages);
	doubt->messages += count > PAGE_MIN ? count : PAGE_MIN;
	if (ts != NULL)
		finish(doubt, DOUBT_POSTED, ts, NULL);
	else if (cursor != NULL && *cursor != '\0' &&
	    doubt->messages < find_most(doubt))
		ask_for_page(doubt, cursor);
	else
		finish(doubt, DOUBT_NOT_POSTED, NULL, NULL);
}

/* --- files ----------------------------------------------------------------*/

/* The ts of the message that shows it in the channel: shares is
 * {"public":{CHANNEL:[{"ts":...}]},"private":...}. */
static const char *
find_share(const cJSON *file, const char *channel)
{
	const cJSON *kind;

	cJSON_ArrayForEach(kind, json_get(file, "shares")) {
		const cJSON *shares = json_get(kind, channel);
		const char *ts = json_string(cJSON_GetArrayItem(shares, 0),
		    "ts");

		if (ts != NULL)
			return ts;
	}
	return NULL;
}

static void
take_file(const struct slack_reply *reply, void *arg)
{
	struct doubt *doubt = arg;
	const char *ts;

	if (reply->verdict == SLACK_NO_TARGET) {
		finish(doubt, DOUBT_NOT_POSTED, NULL, NULL);
		return;
	}
	if (reply->verdict != SLACK_OK) {
		give_up(doubt, reply);
		return;
	}
	ts = find_share(json_get(reply->json, "file"),
	    doubt->settings.channel);
	finish(doubt, ts != NULL ? DOUBT_POSTED : DOUBT_NOT_POSTED, ts, NULL);
}

static void
ask_for_file(struct doubt *doubt)
{
	struct buffer arguments = { 0 };

	slack_api_argument(&arguments, "file", doubt->settings.file);
	doubt->call = slack_api_call(doubt->settings.api,
	    &(struct slack_request){
		.method = "files.info", .token = doubt->settings.token,
		.arguments = buffer_string(&arguments),
	    }, take_file, doubt);
	buffer_free(&arguments);
}

struct doubt *
doubt_ask(const struct doubt_settings *settings)
{
	struct doubt *doubt = xcalloc(1, sizeof *doubt);

	doubt->settings = *settings;
	doubt->key = xstrdup(settings->key);
	if (settings->file != NULL)
		ask_for_file(doubt);
	else
		ask_for_page(doubt, NULL);
	return doubt;
}
