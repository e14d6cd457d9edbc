/*
 * The loop: lines in, the outbox, lines out; beside it what is sent and told.
 */
#ifndef SLACK_SEND_STAGE_H
#define SLACK_SEND_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "outbox.h"

/* All borrowed. */
struct stage_settings {
	struct outbox_settings outbox;
	const char *inbox;	/* where outcomes are told, or NULL */
	const char *status;	/* file that tells what waits, or NULL */
	const char *token;	/* NULL: nothing is sent */
	const char *api_url;	/* or NULL, as ca_file */
	const char *ca_file;
	const char *dashboard;	/* that digests link to, or NULL */
	bool may_broadcast;	/* @channel and its kin */
	int64_t give_up_ms;
	bool drains;		/* at end of input until all is through */
};

/*
 * Until the end of the input, or a signal. Returns an exit status, with the
 * reason reported.
 */
int stage_run(const struct stage_settings *settings);

#endif
