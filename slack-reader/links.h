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

	/* A whole message. */
	void (*received)(struct link *link, const char *text, size_t length,
	    void *arg);

	/* Anything at all came in: a sign of life. */
	void (*heard)(struct link *link, void *arg);

	/*
	 * It is gone, whatever the cause; the last call for it. `reason` names
	 * the host at most. http_status is that of a refused upgrade, or 0.
	 */
	void (*closed)(struct link *link, const char *reason, int http_status,
	    void *arg);
};

struct links_settings {
	int set;			/* of events, served by links_serve */
	struct timers *timers;
	const char *ca_file;		/* or NULL: the system's */
};

struct links *links_new(const struct links_settings *settings);

/* Closes what is open, without a goodbye and without calling `closed`. */
void links_free(struct links *links);

/* Wait for something to happen, on the event set too, and handle it. */
void links_serve(struct links *links);

/*
 * Connect to a ws:// or wss:// URL. NULL where the URL is none; else `opened`
 * or `closed` follow, never from within this call. The name is looked up
 * without blocking. The URL is a secret (ticket).
 */
struct link *links_connect(struct links *links, const char *url,
    const struct link_events *events, void *arg);

/* Send one unfragmented text frame of at most LINKS_FRAME_MAX. */
void link_send(struct link *link, const char *text, size_t length);

/* Send a ping. */
void link_ping(struct link *link);

/* Send a close frame (1000), then drop the connection after 1 s at most. */
void link_close(struct link *link);

/* Drop it at once: it does not answer. `closed` is not called. */
void link_drop(struct link *link);

/* Is something waiting to be sent? */
bool link_is_sending(const struct link *link);

#endif
