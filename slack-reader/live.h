/* Slack as it happens: from Socket Mode, history and inbox to the journal. */
#ifndef SLACK_READER_LIVE_H
#define SLACK_READER_LIVE_H

#include <stddef.h>
#include <stdint.h>

#include "channel_list.h"

/* All borrowed. */
struct live_options {
	const char *state;		/* folder; NULL: not given */
	const char *inbox;		/* path of the socket, or NULL */
	const char *status;		/* path of the status file, or NULL */
	const char *ca_file;		/* or NULL */
	const char *api_url;		/* or NULL: Slack's */
	const char *app_token;
	const char *bot_token;
	const struct channel_list *channels;
	size_t connections;
	int64_t after;			/* a seq, or -1: only what is new */
	int64_t journal_bytes;
	int64_t journal_age_s;
	int64_t backfill_age_s;
	int64_t ping_ms;
};

/*
 * Follow Slack until TERM or INT asks for the end; the caller catches them
 * (signals.h). Returns an exit status, its reason reported.
 */
int live_run(const struct live_options *options);

#endif
