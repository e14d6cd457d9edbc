/*
 * What a service POSTs: {"msg":{"channel":..., "text":..., "payload":...,
 * "title":...}}, and the record that comes of it. The members are passed on by
 * their bytes, so that numbers and escapes stay as they came.
 */
#ifndef WS_BROADCAST_POST_BODY_H
#define WS_BROADCAST_POST_BODY_H

#include <stddef.h>

#include "buffer.h"

#define POST_BODY_BYTES_MAX (8 * 1024 * 1024)
#define POST_CHANNEL_BYTES_MAX 80
#define POST_TITLE_BYTES_MAX 4096
#define POST_TEXT_BYTES_MAX (1024 * 1024)

/* JSON of a member, in the body. */
struct post_value {
	const char *json;
	size_t length;
};

struct post_body {
	struct post_value channel;	/* these three are strings */
	struct post_value title;
	struct post_value text;
	struct post_value payload;	/* this may be anything */
	char reason[160];		/* why it is refused */
};

/*
 * Look at a body. Returns 0, or the status that it is refused with: 400 where
 * it is no JSON, 422 where it is JSON of another shape; reason then says more.
 */
unsigned post_body_read(struct post_body *post, const char *body,
    size_t length);

/* Append the record, on one line without LF. */
void post_body_print_record(const struct post_body *post, const char *id,
    struct buffer *line);

/* Append what the service is told when the record is taken. */
void post_body_print_answer(const struct post_body *post, const char *id,
    struct buffer *json);

#endif
