/*
 * What a message looks like in Slack: its posts, one behind the other, each
 * within Slack's limits (docs.slack.dev/messaging/formatting-message-text).
 */
#ifndef SLACK_SEND_COMPOSE_H
#define SLACK_SEND_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "outbox.h"

/* Slack cuts texts, or refuses them, at about 4,000 characters. */
#define COMPOSE_CHARACTERS_MAX 3900
#define COMPOSE_PARTS_MAX 4		/* a longer text goes as a file */
#define COMPOSE_INLINE_CHARACTERS 1000	/* a payload that is shown, not a file */
#define COMPOSE_INLINE_LINES 20
#define COMPOSE_TITLE_CHARACTERS 250

struct compose_post {
	char *text;		/* mrkdwn, escaped; may be "" beside a file */
	char *filename;		/* NULL: there is no file */
	char *title;		/* of the file */
	char *content;
	size_t length;
};

struct compose {
	struct compose_post *posts;
	size_t count;		/* at least one */
};

/*
 * The posts of a message, for the caller to free. What would notify a whole
 * channel does so only with may_broadcast.
 */
struct compose *compose_message(const struct outbox_message *message,
    bool may_broadcast);

/*
 * The one post of a digest; dashboard is the address of the dashboard without
 * a path, or NULL. Its first number is how many messages it carries.
 */
struct compose *compose_digest(const struct outbox_digest *digest,
    const char *dashboard);

void compose_free(struct compose *compose);

#endif
