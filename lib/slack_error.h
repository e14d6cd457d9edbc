/* The errors of Slack's Web API, and what is to be done about them. */
#ifndef LIB_SLACK_ERROR_H
#define LIB_SLACK_ERROR_H

#include <stdbool.h>

#include "slack_api.h"

/*
 * What {"ok":false,"error":…} means to who called the method. Returns false
 * where the error is not known; it is then permanent, for these arguments.
 */
bool slack_error_judge(const char *method, const char *error,
    enum slack_verdict *verdict);

/*
 * Does it refuse the token or the whole app, whatever is called? Not so a
 * scope that is missing, or an action that is not allowed.
 */
bool slack_error_is_auth(const char *error);

/*
 * Is it one that asks for a pause? default_s is how long where Slack does not
 * say it, is_for_all that it is not for one channel alone.
 */
bool slack_error_is_rate(const char *error, int *default_s, bool *is_for_all);

/*
 * Append what is wrong with the token or the app and what a person can do, the
 * second half of a sentence. is_app: the token is the app-level one; needed is
 * the scope that is missing, or NULL.
 */
void slack_error_advise(struct buffer *sentence, const char *error,
    bool is_app, const char *needed);

#endif
