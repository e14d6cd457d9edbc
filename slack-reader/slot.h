/*
 * A place for one connection of Socket Mode that is kept filled: opened,
 * watched, replaced before it breaks, opened again after it broke.
 */
#ifndef SLACK_READER_SLOT_H
#define SLACK_READER_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "socket_mode.h"

struct slot;

struct slot_settings {
	const struct socket_mode_settings *mode;
	size_t number;			/* for people: 1, 2 … */
	uint64_t *next_link;		/* number of the next connection */
	struct record *record;		/* for reading, shared by the slots */

	/* A connection said hello; Slack counts so many of the app. */
	void (*greeted)(int64_t connections, void *arg);

	/*
	 * A connection is gone that had said hello; since_us is when it was
	 * last known to be alive, by the clock of the day.
	 */
	void (*lost)(int64_t since_us, void *arg);

	/* Whatever came over a connection since then is missing. */
	void (*died)(int64_t since_us, void *arg);

	/* Slack will not have us: all slots must stop. */
	void (*failed)(const char *sentence, void *arg);

	/* A message that is passed over. */
	void (*puzzled)(void *arg);
	void *arg;
};

struct slot *slot_new(const struct slot_settings *settings);

/* Drops its connections. */
void slot_free(struct slot *slot);

void slot_open(struct slot *slot);

/* Is there a connection that has said hello and is not being closed? */
bool slot_is_live(const struct slot *slot);

/* Has somebody switched Socket Mode off for the app, since the last hello? */
bool slot_is_switched_off(const struct slot *slot);

/* How many connections there are; those Slack counts as they said hello. */
size_t slot_connections(const struct slot *slot);
size_t slot_greeted_connections(const struct slot *slot);

/* Replace a connection that is live, though nothing is wrong with it. */
void slot_refresh(struct slot *slot);

/* Acknowledge on the connection it names; false where it is not here. */
bool slot_acknowledge(struct slot *slot,
    const struct socket_mode_origin *origin);

/* Say goodbye and open no more; done when slot_connections is 0. */
void slot_close(struct slot *slot);

#endif
