/*
 * Messages of services: POST /ultronex/slack hands them to the inbox, GET
 * /ultronex/messages/ID tells what became of them.
 */
#ifndef WS_BROADCAST_POSTS_H
#define WS_BROADCAST_POSTS_H

#include <stdbool.h>
#include <stddef.h>

#include "courier.h"
#include "http.h"
#include "metrics.h"
#include "outbox_view.h"
#include "timers.h"

#define POSTS_PATH "/ultronex/slack"
#define POSTS_MESSAGES_PATH "/ultronex/messages/"

struct posts_options {
	const char *inbox;		/* socket, or NULL: nobody takes them */
	const char *const *origins;	/* of pages, besides our own, to NULL */
	struct outbox_view *outbox;
	struct metrics *metrics;
	int set;
	struct timers *timers;
};

struct posts;

/* All is borrowed. */
struct posts *posts_new(const struct posts_options *options);
void posts_free(struct posts *posts);

/*
 * The head of a POST is in. Returns true to let the body come, up to
 * *body_max bytes, or answers.
 */
bool posts_begin(struct posts *posts, struct http_connection *connection,
    const struct http_request *head, size_t *body_max);

/* All of it is in: answer now, or when the inbox did. */
void posts_complete(struct posts *posts, struct http_connection *connection,
    const struct http_request *request);

/* Answer what is known about the message of that id. */
void posts_find(struct posts *posts, struct http_connection *connection,
    const char *id);

/* NULL where nobody takes messages. */
const struct courier *posts_courier(const struct posts *posts);

#endif
