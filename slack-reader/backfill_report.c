#include "backfill_report.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "message_store.h"
#include "slack_ts.h"

#define SAID_MAX 1000		/* that are remembered */

struct backfill_report {
	void (*lost)(const char *channel, const char *sentence, void *arg);
	void *arg;
	char *said[SAID_MAX];	/* CHANNEL SENTENCE */
	size_t count;
};

struct backfill_report *
backfill_report_new(
    void (*lost)(const char *channel, const char *sentence, void *arg),
    void *arg)
{
	struct backfill_report *report = xcalloc(1, sizeof *report);

	report->lost = lost;
	report->arg = arg;
	return report;
}

void
backfill_report_free(struct backfill_report *report)
{
	if (report == NULL)
		return;
	backfill_report_begin(report);
	free(report);
}

void
backfill_report_begin(struct backfill_report *report)
{
	while (report->count > 0)
		free(report->said[--report->count]);
}

/* Takes over the sentence. */
static void
say(struct backfill_report *report, const char *channel,
    struct buffer *sentence)
{
	report->lost(channel, buffer_string(sentence), report->arg);
	buffer_free(sentence);
}

static bool
was_said(const struct backfill_report *report, const char *key)
{
	for (size_t i = 0; i < report->count; i++)
		if (strcmp(report->said[i], key) == 0)
			return true;
	return false;
}

/* The same, unless it was said before. */
static void
say_once(struct backfill_report *report, const char *channel,
    struct buffer *sentence)
{
	struct buffer key = { 0 };

	buffer_printf(&key, "%s %s", channel != NULL ? channel : "",
	    buffer_string(sentence));
	if (was_said(report, buffer_string(&key))) {
		buffer_free(sentence);
	} else {
		if (report->count < SAID_MAX)
			report->said[report->count++] = xstrdup(key.data);
		say(report, channel, sentence);
	}
	buffer_free(&key);
}

void
backfill_report_forbidden(struct backfill_report *report, int64_t since_us,
    const char *method, const struct slack_reply *reply)
{
	struct buffer sentence = { 0 };

	buffer_append_string(&sentence, "missed messages since ");
	slack_ts_append_utc(&sentence, since_us);
	buffer_append_string(&sentence, " are not fetched: ");
	slack_api_advise(&sentence, method, "SLACK_BOT_TOKEN", reply->error,
	    reply->needed);
	say_once(report, NULL, &sentence);
}

/* What a person can do about it. */
static const char *
advise(const char *error)
{
	if (strcmp(error, "not_in_channel") == 0 ||
	    strcmp(error, "channel_not_found") == 0)
		return ": the bot is not in the channel; invite it with"
		    " /invite, and look in Slack for what was missed";
	return ": look in Slack for what was missed";
}

void
backfill_report_refused(struct backfill_report *report, const char *channel,
    int64_t since_us, const struct slack_reply *reply)
{
	struct buffer sentence = { 0 };

	buffer_append_string(&sentence, "messages since ");
	slack_ts_append_utc(&sentence, since_us);
	buffer_printf(&sentence, " were not fetched: Slack answered %s%s",
	    reply->error, advise(reply->error));
	say(report, channel, &sentence);
}

void
backfill_report_gap(struct backfill_report *report, const char *channel,
    int64_t from_us, int64_t to_us, const char *reason)
{
	struct buffer sentence = { 0 };

	buffer_append_string(&sentence, "messages from ");
	slack_ts_append_utc(&sentence, from_us);
	buffer_append_string(&sentence, " to ");
	slack_ts_append_utc(&sentence, to_us);
	buffer_printf(&sentence, " were not fetched: %s; look for them in"
	    " Slack", reason);
	say(report, channel, &sentence);
}

void
backfill_report_limited(struct backfill_report *report, const char *channel)
{
	struct buffer sentence = { 0 };

	buffer_append_string(&sentence, "Slack's free plan hides older"
	    " messages: those that were missed may be among them");
	say_once(report, channel, &sentence);
}

void
backfill_report_no_space(struct backfill_report *report, const char *path)
{
	struct buffer sentence = { 0 };

	buffer_printf(&sentence, "missed messages wait in Slack until more"
	    " than %d MiB are free on the disk of %s", MESSAGE_STORE_SPARE >>
	    20, path);
	say_once(report, NULL, &sentence);
}

void
backfill_report_damage(struct backfill_report *report, const char *path)
{
	struct buffer sentence = { 0 };

	buffer_printf(&sentence, "%s is damaged: messages that were still to"
	    " be fetched may be missing; look for them in Slack", path);
	say(report, NULL, &sentence);
}
