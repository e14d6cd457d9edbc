/* Text for Slack: escaped, harmless, in pieces that are not too long. */
#ifndef SLACK_SEND_MARKUP_H
#define SLACK_SEND_MARKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"

/*
 * Append text that a stranger wrote so that Slack shows it as it is: & < > are
 * escaped, @channel, @here and @everyone notify nobody, disguised neither.
 * With may_broadcast they do, also as <!channel> and so on. Control characters
 * are left out.
 */
void markup_append(struct buffer *out, const char *text, bool may_broadcast);

/* The same on one line, cut after so many characters; no code block opens, and
 * nothing turns the direction of what stands behind it. */
void markup_append_line(struct buffer *out, const char *text, size_t most,
    bool may_broadcast);

/* As people see it where nothing is markup, on one line, cut as well. */
void markup_append_plain(struct buffer *out, const char *text, size_t most);

/* What stands in a code block: & < > are escaped, no more. */
void markup_append_code(struct buffer *out, const char *text);

/* What somebody typed, in a code span, with what looks like a backtick for
 * each, cut as well. */
void markup_append_term(struct buffer *out, const char *text, size_t most);

/* Characters of UTF-8 text. */
size_t markup_count(const char *text);

/*
 * How many bytes of the text go into a piece of so many characters: up to the
 * end of a line or a word, where that is not too early, and never a part of a
 * character, an entity, a fence or a <...>. At least 1.
 */
size_t markup_cut(const char *text, size_t most);

/* Is a code block open at the end of these bytes? */
bool markup_ends_in_code(const char *text, size_t length);

#endif
