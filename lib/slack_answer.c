#include "slack_answer.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "json_letters.h"
#include "json_scan.h"
#include "record.h"
#include "slack_error.h"
#include "slack_pace.h"

#define VALUES_MAX (4 * RECORD_VALUES_MAX)
#define PAUSE_S 30	/* after a 429 that does not say how long */

static void __attribute__((format(printf, 3, 4)))
decide(struct slack_judgement *judgement, enum slack_verdict verdict,
    const char *format, ...)
{
	va_list arguments;

	judgement->reply.verdict = verdict;
	va_start(arguments, format);
	vsnprintf(judgement->error, sizeof judgement->error, format,
	    arguments);
	va_end(arguments);
}

/*
 * Parse the answer, if it is a JSON object of sane size: cJSON takes 64 bytes
 * for each value, and refuses the lone surrogates that people paste.
 */
static cJSON *
parse_answer(const struct http_answer *answer, bool *is_too_large)
{
	struct json_index index = { 0 };
	struct buffer text = { 0 };
	size_t values = 0;
	cJSON *json = NULL;

	*is_too_large = false;
	if (json_scan(&index, answer->body, answer->length) == 0) {
		for (size_t i = 0; i < index.count; i++)
			values += index.members[i].values;
		*is_too_large = values > VALUES_MAX;
		if (!*is_too_large) {
			json_letters_undo(&text, answer->body, answer->length);
			json = cJSON_ParseWithLength(text.data, text.length);
		}
	}
	buffer_free(&text);
	json_index_free(&index);
	return json;
}

/* Slack's own word; anything else could be a token, or a line for the log. */
static bool
is_word(const char *text, const char *more)
{
	size_t length = 0;

	while (isalpha((unsigned char)text[length]) || (text[length] != '\0' &&
	    strchr(more, text[length]) != NULL))
		length++;
	return length > 0 && length < 200 && text[length] == '\0';
}

static void
judge_error(struct slack_judgement *judgement, const char *method,
    const struct http_answer *answer)
{
	const char *error = json_string(judgement->json, "error");
	const char *needed = json_string(judgement->json, "needed");
	enum slack_verdict verdict;

	if (needed != NULL && is_word(needed, "_:.,- ")) {
		snprintf(judgement->needed, sizeof judgement->needed, "%s",
		    needed);
		judgement->reply.needed = judgement->needed;
	}
	if (error == NULL || !is_word(error, "_0123456789")) {
		decide(judgement, SLACK_RETRY, "an answer that is no answer"
		    " of Slack's (HTTP %ld)", answer->status);
		return;
	}
	if (slack_error_is_rate(error, &judgement->pause_s,
	    &judgement->is_for_all))
		judgement->is_rate = true;
	judgement->is_unknown = !slack_error_judge(method, error, &verdict) &&
	    !judgement->is_rate;
	if (answer->status >= 500 && verdict != SLACK_IN_DOUBT)
		verdict = SLACK_RETRY;
	decide(judgement, verdict, "%s", error);
}

/* Slack itself answers 200 with JSON, or 429 or 5xx. */
static void
judge_stranger(struct slack_judgement *judgement,
    const struct http_answer *answer, bool is_too_large)
{
	long status = answer->status;

	if (is_too_large)
		decide(judgement, SLACK_BAD_REQUEST, "answer_too_large");
	else if (status == 200)
		decide(judgement, SLACK_RETRY, "an answer that is no answer"
		    " of Slack's (HTTP 200)");
	else if (status >= 300 && status < 500)
		decide(judgement, SLACK_RETRY, "HTTP %ld, not from Slack:"
		    " check SLACK_API_URL and proxies", status);
	else
		decide(judgement, SLACK_RETRY, "HTTP %ld", status);
}

/* No answer came. */
static void
judge_failure(struct slack_judgement *judgement,
    const struct http_answer *answer)
{
	if (answer->is_too_long)
		decide(judgement, SLACK_BAD_REQUEST, "answer_too_large");
	else
		decide(judgement, answer->was_sent ? SLACK_IN_DOUBT :
		    SLACK_RETRY, "%s", answer->reason);
}

/*
 * Of a post we want to know whether it stands there, and such an answer does
 * not tell: something between us and Slack may have lost the true one. With 503
 * nobody has taken the call.
 */
static void
doubt(struct slack_judgement *judgement, const char *method,
    const struct http_answer *answer)
{
	long status = answer->status;

	if (slack_pace_find(method)->group == NULL)
		return;
	if (status < 300 || (status >= 500 && status != 503))
		judgement->reply.verdict = SLACK_IN_DOUBT;
}

static void
begin(struct slack_judgement *judgement, const struct http_answer *answer)
{
	*judgement = (struct slack_judgement){
		.reply = {
			.error = judgement->error,
			.body = answer->body,
			.length = answer->length,
			.scopes = answer->scopes,
			.was_sent = answer->was_sent,
			.status = answer->status,
		},
		.is_rate = answer->status == 429,
		.pause_s = PAUSE_S,
	};
}

void
slack_answer_judge(struct slack_judgement *judgement, const char *method,
    const struct http_answer *answer)
{
	bool is_too_large = false;
	const cJSON *ok;

	begin(judgement, answer);
	if (answer->status == 0) {
		judge_failure(judgement, answer);
		if (answer->was_sent)
			doubt(judgement, method, answer);
		return;
	}
	judgement->json = parse_answer(answer, &is_too_large);
	judgement->reply.json = judgement->json;
	ok = json_get(judgement->json, "ok");
	if (cJSON_IsTrue(ok) && answer->status == 200) {
		decide(judgement, SLACK_OK, "%s", "");
	} else if (cJSON_IsFalse(ok)) {
		judge_error(judgement, method, answer);
	} else {
		judge_stranger(judgement, answer, is_too_large);
		doubt(judgement, method, answer);
	}
}

/* Nobody sees anything of it yet: it is never in doubt. */
void
slack_answer_judge_upload(struct slack_judgement *judgement,
    const struct http_answer *answer)
{
	long status = answer->status;

	begin(judgement, answer);
	if (status == 200)
		decide(judgement, SLACK_OK, "%s", "");
	else if (status == 0)
		decide(judgement, SLACK_RETRY, "%s", answer->reason);
	else
		decide(judgement, status == 413 ? SLACK_BAD_REQUEST :
		    SLACK_RETRY, "HTTP %ld to the upload", status);
}
