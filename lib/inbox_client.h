/*
 * The other end of slack-reader's inbox (man/slack-reader.1): hands in records
 * and hears whether each is durable, across deaths of slack-reader.
 */
#ifndef LIB_INBOX_CLIENT_H
#define LIB_INBOX_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "timers.h"

#define INBOX_CLIENT_WAITING_MAX 1024	/* records without an answer */
#define INBOX_CLIENT_BYTES_MAX (32 * 1024 * 1024)	/* in such records */

struct inbox_client;

/*
 * A client of the socket at path, on an event set. All is borrowed. It connects
 * when there is something to hand in, and again with growing pauses.
 */
struct inbox_client *inbox_client_new(const char *path, int set,
    struct timers *timers);

/* What has no answer yet is forgotten, `done` is not called. */
void inbox_client_free(struct inbox_client *client);

/*
 * Hand in a record, a line without LF, borrowed until `done`, which is called
 * once, never from within this call: with NULL when the record is durable, or
 * with the reason why it is refused for good. What was handed in before the
 * connection broke may come in twice. `done` may hand in more, but not free the
 * client. Returns false, and calls nothing, where too much waits.
 */
bool inbox_client_send(struct inbox_client *client, const char *line,
    size_t length, void (*done)(const char *error, void *arg), void *arg);

/*
 * Take back the oldest record that was handed in with that arg: `done` is not
 * called then. Returns false where there is none, or where it may have been
 * taken; later that can be known not to be so.
 */
bool inbox_client_withdraw(struct inbox_client *client, const void *arg);

/* Does somebody listen? Without a connection that is tried now. */
bool inbox_client_is_up(struct inbox_client *client);

#endif
