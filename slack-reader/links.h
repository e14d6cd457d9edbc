/*
 * WebSocket connections to Slack, by libwebsockets: whole text messages in,
 * short ones out. What they mean is known elsewhere (socket_mode.h).
 */
#ifndef SLACK_READER_LINKS_H
#define SLACK_READER_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timers.h"

#define LINKS_MESSAGE_MAX (16 * 1024 * 1024)	/* of one from Slack */
#define LINKS_FRAME_MAX 20480			/* of one to Slack */

struct links;
struct link;

struct link_events {
	/* The upgrade was answered: the connection stands. */
	void (*opened)(struct link *link, void *arg);

	/* A whole message, borrowed. */
	void (*received)(struct link *link, const char *text, size_t length,
	    void *arg);

	/*
	 * It is gone, whatever the cause; the last call for it. The reason
	 * holds no secret; http_status is that of a refused upgrade, or 0.
	 */
	void (*closed)(struct link *link, const char *reason, int http_status,
	    void *arg);
};

struct links_settings {
	int set;			/* of events, served by links_serve */
	struct timers *timers;
	const char *ca_file;		/* or NULL: the system's */
};

/* Exits where libwebsockets does not start or ca_file cannot be read. */
struct links *links_new(const struct links_settings *settings);

/* Closes what is open, without a goodbye and without calling `closed`. */
void links_free(struct links *links);

/* Wait for something to happen, on the event set too, and handle it. */
void links_serve(struct links *links);

/*
 * Connect to a ws:// or wss:// URL. NULL where the URL is none; else `opened`
 * or `closed` follow, never from within this call, `closed` after 20 s at
 * most. The name is looked up without blocking, its addresses are tried one
 * after the other. The URL is a secret (ticket). `events` is borrowed.
 */
struct link *links_connect(struct links *links, const char *url,
    const struct link_events *events, void *arg);

/* The name of the host it goes to. */
const char *link_host(const struct link *link);

/*
 * Send one unfragmented text frame of at most LINKS_FRAME_MAX. Nothing is sent
 * once link_close was called. A link that takes nothing for long is closed.
 */
void link_send(struct link *link, const char *text, size_t length);

/* Send a ping. */
void link_ping(struct link *link);

/*
 * For how long nothing at all has come in, be it a message, a ping or a pong;
 * 0 before it is opened. In `closed`: how long that was when it ended.
 */
int64_t link_silent_ms(const struct link *link);

/*
 * Send what waits and a close frame (1000), then drop the connection after 1 s
 * at most. No message is handed over any more, `closed` follows.
 */
void link_close(struct link *link);

/* Drop it at once: it does not answer. `closed` is not called. */
void link_drop(struct link *link);

#endif
