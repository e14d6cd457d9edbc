/*
 * Slack's Web API (docs.slack.dev/apis/web-api): calls of methods, paced by
 * method and by channel, 429 obeyed, and what an answer means for who called.
 */
#ifndef LIB_SLACK_API_H
#define LIB_SLACK_API_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timers.h"

#define SLACK_API_URL "https://slack.com/api/"

struct slack_api;
struct slack_call;		/* a call that waits or is under way */

enum slack_verdict {
	SLACK_OK,
	SLACK_RETRY,		/* it may go better later */
	SLACK_IN_DOUBT,		/* the same, but it may have been done */
	SLACK_FORBIDDEN,	/* permanent, for this token or the whole app */
	SLACK_NO_TARGET,	/* permanent, for this channel, user or file */
	SLACK_BAD_REQUEST,	/* permanent, for these arguments */
};

struct slack_api_settings {
	const char *url;	/* ends in a slash; NULL: SLACK_API_URL */
	const char *ca_file;	/* or NULL */
	int set;		/* of events */
	struct timers *timers;

	/* A call is not made again after 429s for so long; 0: no matter how */
	int64_t patience_ms;
};

/* All is copied. */
struct slack_request {
	const char *method;	/* such as users.info */
	const char *token;
	const char *arguments;	/* form-encoded, or NULL */
	const char *key;	/* the channel that it posts to, or NULL */
};

struct slack_upload {
	const char *url;
	const char *bytes;
	size_t length;
};

/* Valid during the call of `done` only. */
struct slack_reply {
	enum slack_verdict verdict;
	const char *error;	/* Slack's word or what went wrong; "" if OK;
				 * answer_too_large is ours */
	const char *needed;	/* the scope that is missing, or NULL */
	const cJSON *json;	/* the whole answer, NULL where it is no JSON */
	const char *body;	/* the same as it came, with a NUL behind it */
	size_t length;
	const char *scopes;	/* of the token (x-oauth-scopes), or NULL */
	bool was_sent;		/* the request, or a part of it */
	long status;		/* of HTTP; 0: no answer came */
	unsigned limited;	/* times it was answered 429 */
};

/*
 * Is the URL one that a token may be sent to: https, or http to this machine
 * itself, ending in a slash? Returns NULL, or what is wrong.
 */
const char *slack_api_complain(const char *url);

/*
 * The strings of the settings are borrowed. Not to be freed from within
 * `done`; of calls that are left `done` is not called.
 */
struct slack_api *slack_api_new(const struct slack_api_settings *settings);
void slack_api_free(struct slack_api *api);

/*
 * Call a method when its pace allows. `done` is called once, never from within
 * this call. A 429 or `ratelimited` stops the method for Retry-After (30 s and
 * more where it is missing), is reported, and the call is made again, before
 * later ones: the caller does not see it, but in the time it takes and in
 * reply->limited. Where the patience is at an end, that is a SLACK_RETRY.
 *
 * The methods that post (chat.postMessage, files.completeUploadExternal) have,
 * besides, a pace for each key, which they share. Calls of one key are made
 * one after the other, in the order they came; a 429 stops that key, not the
 * method, and calls of other keys overtake those that wait. The whole method
 * is stopped by a 429 without key and by message_limit_exceeded, and for a
 * moment where three keys are stopped at a time.
 */
struct slack_call *slack_api_call(struct slack_api *api,
    const struct slack_request *request,
    void (*done)(const struct slack_reply *reply, void *arg), void *arg);

/*
 * Send the bytes of a file to the URL that files.getUploadURLExternal gave,
 * without a token, as a call that is not in doubt: where it fails, the upload
 * begins anew with another URL. The bytes are borrowed until `done`. Returns
 * NULL, and does not call `done`, where the URL is not one of https (or, if
 * the API is this machine's, of http to it).
 */
struct slack_call *slack_api_upload(struct slack_api *api,
    const struct slack_upload *upload,
    void (*done)(const struct slack_reply *reply, void *arg), void *arg);

/* Forget a call whose `done` has not been called: it will not be. */
void slack_api_cancel(struct slack_call *call);

/* Would a call of the method wait, for its pace, a 429 or earlier calls? */
int slack_api_is_busy(const struct slack_api *api, const char *method);

/*
 * How long would a call wait for its pace and a 429, as far as is known now?
 * Calls that wait already are counted; how long those under way will take is
 * not.
 */
int64_t slack_api_wait_ms(const struct slack_api *api, const char *method,
    const char *key);

/* Append name=value to form-encoded arguments, with & between them. */
struct buffer;
void slack_api_argument(struct buffer *arguments, const char *name,
    const char *value);

/*
 * What to mend when `method` was answered SLACK_FORBIDDEN with `error`: a
 * sentence that names `token` (SLACK_APP_TOKEN …) or the scope, for a person.
 */
void slack_api_advise(struct buffer *sentence, const char *method,
    const char *token, const char *error, const char *needed);

#endif
