/* What people type behind the bot's name. */
#ifndef SLACK_BOT_WORDS_H
#define SLACK_BOT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

/* The first word of a line: letters, digits, underscores, perhaps none. */
struct words {
	const char *word;
	size_t length;
	const char *rest;	/* behind it and blanks, as Slack sent it */
};

struct words words_split(const char *text);

/*
 * Append text with blanks of any kind as blanks, and without what nobody sees:
 * Slack's clients send such where people typed twice, or pasted.
 */
void words_clean(struct buffer *out, const char *text);

/*
 * Append text as it was typed: Slack's markup undone (<http://x.org|x.org> is
 * x.org, &amp; is &), curly quotes straight.
 */
void words_undo(struct buffer *out, const char *text, size_t length);

/*
 * Append a conversation as `in:` names it: the id of <#C1|name>, or a name
 * without its #, in lower case as Slack has them.
 */
void words_channel(struct buffer *out, const char *text, size_t length);

/*
 * Append what a stranger typed so that Slack shows it as it is, in a code span,
 * with what looks like a backtick for each, cut after 80 characters.
 */
void words_quote(struct buffer *out, const char *text);

/* Would two texts be quoted the same, if they were not cut? */
bool words_look_alike(const char *a, const char *b);

/* Append a saying as a line of its own, whole, and shown as it is. */
void words_say(struct buffer *out, const char *text);

/* Is it an id of Slack's, such as C0123456A, not a name? */
bool words_is_id(const char *text);

/* Append a time as Slack shows it to each in their own zone, else in UTC. */
void words_time(struct buffer *out, int64_t time_s);

#endif
