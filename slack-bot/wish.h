/* What somebody wants forwarded: a term, and where it is looked for. */
#ifndef SLACK_BOT_WISH_H
#define SLACK_BOT_WISH_H

#include <stdbool.h>

#include "buffer.h"
#include "subscriptions.h"

/* All zero is none. */
struct wish {
	struct buffer term;
	struct buffer in;	/* a channel, "" any */
	enum subscription_where where;
	const char *class;	/* NULL: any */
};

/*
 * Read what was typed: a term with in:, where: and class: before or behind it.
 * Returns false with *complaint set, a sentence without its full stop.
 */
bool wish_read(struct wish *wish, const char *text, struct buffer *complaint);
void wish_free(struct wish *wish);

/*
 * May the term be looked for in each message? It is compiled and tried on
 * texts that are hard to search. Returns false with the complaint.
 */
bool wish_is_bearable(const struct wish *wish, struct buffer *complaint);

/* Append where it is looked for, " in #builds, in files only", or nothing. */
void wish_append_scope(struct buffer *out, const char *in,
    enum subscription_where where, const char *class);

#endif
