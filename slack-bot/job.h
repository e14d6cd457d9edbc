/* Work for an answer that takes time, given by a few words. */
#ifndef SLACK_BOT_JOB_H
#define SLACK_BOT_JOB_H

#include "buffer.h"
#include "request.h"

/*
 * Do it, and append the answer, mrkdwn, whatever happens. It takes up to a
 * minute.
 */
void job_do(const struct bot_settings *settings, const char *words,
    struct buffer *reply);

/* `test TIME WHERE IN TERM`, `gif NUMBER CATEGORY`, behind the first word. */
void test_do(const struct bot_settings *settings, const char *words,
    struct buffer *reply);
void gif_do(const struct bot_settings *settings, const char *words,
    struct buffer *reply);

/* Take a field off, up to a blank; returns what is behind that. */
const char *job_field(const char *words, char *field, size_t size);

#endif
