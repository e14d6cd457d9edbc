/* Slack's escapes and <…> tokens (docs.slack.dev, "Formatting message text"). */
#ifndef LIB_SLACK_MARKUP_H
#define LIB_SLACK_MARKUP_H

#include <stddef.h>

#include "buffer.h"

/*
 * Append mrkdwn text as people see it: &amp; &lt; &gt; undone, <@U1> as @U1,
 * <#C1|name> as #name, <!here> as @here, <url|label> as label (url). A '<'
 * that opens no token of Slack's stays.
 */
void slack_markup_undo(struct buffer *out, const char *text, size_t length);

/* Append a link as slack_markup_undo shows it; label may be empty or NULL. */
void slack_markup_link(struct buffer *out, const char *url, const char *label);

#endif
