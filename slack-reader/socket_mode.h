/*
 * Socket Mode (docs.slack.dev/apis/events-api/using-socket-mode): so many
 * connections, each kept alive and replaced before it breaks.
 */
#ifndef SLACK_READER_SOCKET_MODE_H
#define SLACK_READER_SOCKET_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "links.h"
#include "slack_api.h"
#include "timers.h"

#define SOCKET_MODE_CONNECTIONS_MAX 4

struct socket_mode;

/* Where an envelope came from, and goes back as an ack. */
struct socket_mode_origin {
	uint64_t link;		/* number of the connection, never reused */
	char envelope_id[128];
};

struct socket_mode_settings {
	struct links *links;
	struct slack_api *api;
	struct timers *timers;
	const char *app_token;	/* borrowed */
	size_t connections;
	bool takes_any_url;	/* another server than Slack's: ws:// too */
	int64_t ping_ms;	/* own pings; dead after 60/25 of that */
	int64_t hello_ms;	/* must come within that after the upgrade */
	int64_t stable_ms;	/* alive so long, the backoff starts anew */
	int64_t backoff_most_ms;

	/* A message with an envelope_id, whole; the text is borrowed. */
	void (*envelope)(const struct socket_mode_origin *origin,
	    const char *text, size_t length, void *arg);

	/*
	 * Events may have been missed since that time of day: there is no
	 * connection, or one died without a word. Called when that is seen,
	 * and again when a connection stands; after the start only then.
	 */
	void (*gap)(int64_t since_us, void *arg);

	/* No use to go on: the sentence says what a person must mend. */
	void (*failed)(const char *sentence, void *arg);
	void *arg;
};

struct socket_mode *socket_mode_new(
    const struct socket_mode_settings *settings);
void socket_mode_free(struct socket_mode *mode);

/* Open the connections. */
void socket_mode_start(struct socket_mode *mode);

/* How many connections have said hello and are alive, as far as is known. */
size_t socket_mode_connections(const struct socket_mode *mode);

/* Is there none because a person must mend something? */
bool socket_mode_is_refused(const struct socket_mode *mode);

/*
 * How many connections of this app are not ours, as Slack counted at the last
 * hello: they take events that we never see.
 */
int64_t socket_mode_foreign(const struct socket_mode *mode);

/* Let Slack count anew, by replacing a connection. */
void socket_mode_recount(struct socket_mode *mode);

/* Acknowledge, unless the connection is gone: Slack then sends it again. */
void socket_mode_acknowledge(struct socket_mode *mode,
    const struct socket_mode_origin *origin);

/* Say goodbye on all connections, open no more. */
void socket_mode_stop(struct socket_mode *mode);

/* Are all connections closed after socket_mode_stop? 1 s later at most. */
bool socket_mode_is_stopped(const struct socket_mode *mode);

#endif
