/*
 * Messages that wait on disk, in a file without a name: they come newest first
 * and are wanted oldest first, and there may be more than memory should hold.
 */
#ifndef SLACK_READER_MESSAGE_STORE_H
#define SLACK_READER_MESSAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_STORE_SPARE (64 * 1024 * 1024)	/* bytes free on the disk */

struct message_store;

struct stored_message {
	int64_t ts_us;
	bool has_replies;
	const char *text;	/* valid until the next message is read */
	size_t length;
};

/* In the folder of `path`. Returns NULL with errno set. */
struct message_store *message_store_new(const char *path);
void message_store_free(struct message_store *store);

/* Behind the last message: a place for message_store_before. */
int64_t message_store_end(const struct message_store *store);

/*
 * Line breaks in it become blanks. Returns 0, or -1 with errno set: ENOSPC also
 * where others would be left with less than MESSAGE_STORE_SPARE.
 */
int message_store_append(struct message_store *store,
    const struct stored_message *message);

/* Forget what stands behind the place. */
void message_store_cut(struct message_store *store, int64_t place);

/*
 * Read the message before or behind *place and go to its other side. Returns 1,
 * 0 where there is none, or -1 with errno set.
 */
int message_store_before(struct message_store *store, int64_t *place,
    struct stored_message *message);
int message_store_behind(struct message_store *store, int64_t *place,
    struct stored_message *message);

#endif
