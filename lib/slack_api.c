#include "slack_api.h"

#include <ctype.h>
#include <err.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "clock.h"
#include "http_client.h"
#include "json_letters.h"
#include "json_scan.h"
#include "memory.h"
#include "record.h"
#include "slack_error.h"

#define ANSWER_BYTES_MAX (16 * 1024 * 1024)
#define ANSWER_VALUES_MAX (4 * RECORD_VALUES_MAX)
#define TIMEOUT_MS 20000
#define PAUSE_S 30		/* after a 429 that does not say how long */
#define PAUSE_S_MAX 900		/* the same, after many */
#define RETRY_AFTER_S_MAX 3600
#define REPORT_MS 600000	/* not more often for one method */
#define FORM "application/x-www-form-urlencoded"

/* A token bucket: `burst` calls at once, one more each interval_ms. */
struct pace {
	const char *method;
	int64_t interval_ms;
	int64_t burst;
	unsigned at_once;	/* so many under way at the same time */
};

/* Tiers of docs.slack.dev/apis/web-api/rate-limits. The last is the default. */
#define TIER_1 60000
#define TIER_2 3000
#define TIER_3 1200
#define TIER_4 600
static const struct pace paces[] = {
	{ "apps.connections.open", 2000, 6, 4 },
	{ "auth.test", 100, 5, 1 },
	{ "rtm.connect", TIER_1, 1, 1 },
	{ "conversations.history", TIER_3, 10, 1 },
	{ "conversations.replies", TIER_3, 10, 1 },
	{ "conversations.list", TIER_2, 5, 1 },
	{ "users.conversations", TIER_3, 10, 1 },
	{ "conversations.info", TIER_3, 20, 4 },
	{ "users.info", TIER_4, 20, 4 },
	{ "users.list", TIER_2, 5, 1 },
	{ "files.info", TIER_4, 10, 2 },
	{ "chat.postMessage", 200, 10, 1 },
	{ NULL, TIER_3, 5, 1 },
};

/* A method of Slack's that was called, with the calls in their order. */
struct method {
	struct slack_api *api;
	struct method *next;
	char *name;
	const struct pace *pace;
	struct slack_call *calls;	/* those under way, too */
	unsigned under_way;
	struct timer timer;		/* for the next one that waits */

	/* when the bucket is full again, of the steady clock */
	int64_t full_ms;

	/* Slack wants no call before that; so many times in a row */
	int64_t paused_until_ms;
	unsigned pauses;

	/* when a pause and an unknown error were last reported */
	int64_t reported_ms;
	int64_t unknown_ms;
};

struct slack_api {
	const char *url;
	struct timers *timers;
	struct http_client *http;
	struct method *methods;
};

struct slack_call {
	struct method *method;
	struct slack_call *next;
	struct http_exchange *exchange;	/* NULL while it waits */
	char *token;
	char *arguments;
	void (*done)(const struct slack_reply *reply, void *arg);
	void *arg;
};

/* The host of an URL behind its scheme; returns its length. */
static size_t
measure_host(const char *host)
{
	if (*host == '[' && strchr(host, ']') != NULL)
		return strcspn(host, "]") + 1;
	return strcspn(host, ":/");
}

static bool
is_this_machine(const char *host)
{
	static const char *const names[] = { "localhost", "127.0.0.1",
	    "[::1]" };
	size_t length = measure_host(host);

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen(names[i]) == length &&
		    strncmp(names[i], host, length) == 0)
			return true;
	return false;
}

const char *
slack_api_complain(const char *url)
{
	const char *host;

	for (const char *at = url; *at != '\0'; at++)
		if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f)
			return "it holds a blank or another character that"
			    " no URL has";
	if (strpbrk(url, "?#@\\") != NULL)
		return "it must be a plain address, without ? # @";
	if (strncmp(url, "https://", strlen("https://")) == 0)
		host = url + strlen("https://");
	else if (strncmp(url, "http://", strlen("http://")) == 0)
		host = url + strlen("http://");
	else
		return "it must begin with https://";
	if (measure_host(host) == 0 ||
	    strchr(":/", host[measure_host(host)]) == NULL)
		return "it names no host";
	if (url[4] == ':' && !is_this_machine(host))
		return "http:// would show the token to everybody on the way:"
		    " it is for this machine alone, use https://";
	if (url[strlen(url) - 1] != '/')
		return "it must end in a slash";
	return NULL;
}

struct slack_api *
slack_api_new(const struct slack_api_settings *settings)
{
	struct slack_api *api = xcalloc(1, sizeof *api);

	api->url = settings->url != NULL ? settings->url : SLACK_API_URL;
	api->timers = settings->timers;
	api->http = http_client_new(settings->set, settings->timers,
	    settings->ca_file);
	return api;
}

static void
free_call(struct slack_call *call)
{
	free(call->token);
	free(call->arguments);
	free(call);
}

static void
free_method(struct method *method)
{
	while (method->calls != NULL) {
		struct slack_call *call = method->calls;

		method->calls = call->next;
		free_call(call);
	}
	timers_cancel(method->api->timers, &method->timer);
	free(method->name);
	free(method);
}

void
slack_api_free(struct slack_api *api)
{
	if (api == NULL)
		return;
	http_client_free(api->http);
	while (api->methods != NULL) {
		struct method *method = api->methods;

		api->methods = method->next;
		free_method(method);
	}
	free(api);
}

static struct method *
find_method(const struct slack_api *api, const char *name)
{
	struct method *method = api->methods;

	while (method != NULL && strcmp(method->name, name) != 0)
		method = method->next;
	return method;
}

static const struct pace *
find_pace(const char *name)
{
	const struct pace *pace = paces;

	while (pace->method != NULL && strcmp(pace->method, name) != 0)
		pace++;
	return pace;
}

static void start_due_calls(void *arg);

static struct method *
add_method(struct slack_api *api, const char *name)
{
	struct method *method = xcalloc(1, sizeof *method);

	method->api = api;
	method->name = xstrdup(name);
	method->pace = find_pace(name);
	method->timer = (struct timer){ .due = start_due_calls,
	    .arg = method };
	method->reported_ms = method->unknown_ms = INT64_MIN / 2;
	method->next = api->methods;
	api->methods = method;
	return method;
}

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* How long the next call has to wait for the bucket and for a 429. */
static int64_t
measure_wait_ms(const struct method *method)
{
	const struct pace *pace = method->pace;
	int64_t at_ms = larger(method->paused_until_ms,
	    method->full_ms - (pace->burst - 1) * pace->interval_ms);

	return larger(at_ms - clock_steady_ms(), 0);
}

static struct slack_call *
find_waiting(const struct method *method)
{
	struct slack_call *call = method->calls;

	while (call != NULL && call->exchange != NULL)
		call = call->next;
	return call;
}

int
slack_api_is_busy(const struct slack_api *api, const char *name)
{
	const struct method *method = find_method(api, name);

	return method != NULL && (measure_wait_ms(method) > 0 ||
	    find_waiting(method) != NULL);
}

static void take_answer(const struct http_answer *answer, void *arg);

static void
start_call(struct slack_call *call)
{
	struct method *method = call->method;
	struct slack_api *api = method->api;
	struct buffer url = { 0 };

	method->full_ms = larger(method->full_ms, clock_steady_ms()) +
	    method->pace->interval_ms;
	method->under_way++;
	buffer_printf(&url, "%s%s", api->url, method->name);
	call->exchange = http_client_send(api->http, &(struct http_request){
		.url = buffer_string(&url),
		.token = call->token,
		.type = FORM,
		.body = call->arguments,
		.body_length = strlen(call->arguments),
		.timeout_ms = TIMEOUT_MS,
		.answer_max = ANSWER_BYTES_MAX,
	    }, take_answer, call);
	buffer_free(&url);
}

static void
start_due_calls(void *arg)
{
	struct method *method = arg;
	struct slack_call *call;

	while (method->under_way < method->pace->at_once &&
	    (call = find_waiting(method)) != NULL) {
		int64_t wait_ms = measure_wait_ms(method);

		if (wait_ms > 0) {
			timers_set(method->api->timers, &method->timer,
			    wait_ms);
			return;
		}
		start_call(call);
	}
}

struct slack_call *
slack_api_call(struct slack_api *api, const struct slack_request *request,
    void (*done)(const struct slack_reply *reply, void *arg), void *arg)
{
	struct slack_call *call = xcalloc(1, sizeof *call);
	struct slack_call **link;

	call->method = find_method(api, request->method);
	if (call->method == NULL)
		call->method = add_method(api, request->method);
	call->token = request->token != NULL ? xstrdup(request->token) : NULL;
	call->arguments = xstrdup(request->arguments != NULL ?
	    request->arguments : "");
	call->done = done;
	call->arg = arg;
	for (link = &call->method->calls; *link != NULL;)
		link = &(*link)->next;
	*link = call;
	start_due_calls(call->method);
	return call;
}

static void
unlink_call(struct slack_call *call)
{
	struct slack_call **link = &call->method->calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
}

void
slack_api_cancel(struct slack_call *call)
{
	struct method *method = call->method;

	unlink_call(call);
	if (call->exchange != NULL) {
		http_client_cancel(call->exchange);
		method->under_way--;
	}
	free_call(call);
	start_due_calls(method);
}

/* What an answer means, with room for what the reply points to. */
struct judgement {
	struct slack_reply reply;
	cJSON *json;
	char error[256];
	char needed[256];
	bool is_rate;		/* Slack wants a pause */
	int pause_s;		/* so long, if it does not say it */
};

static void __attribute__((format(printf, 3, 4)))
decide(struct judgement *judgement, enum slack_verdict verdict,
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
		*is_too_large = values > ANSWER_VALUES_MAX;
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

/* Not so soon again. */
static bool
is_time_to_report(int64_t *reported_ms)
{
	int64_t now_ms = clock_steady_ms();

	if (now_ms - *reported_ms < REPORT_MS)
		return false;
	*reported_ms = now_ms;
	return true;
}

static void
judge_error(struct judgement *judgement, struct method *method,
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
	judgement->is_rate = slack_error_is_rate(error, &judgement->pause_s);
	if (!slack_error_judge(method->name, error, &verdict) &&
	    !judgement->is_rate && is_time_to_report(&method->unknown_ms))
		warnx("%s: Slack answered %s, which is not known here",
		    method->name, error);
	if (answer->status >= 500 && verdict != SLACK_IN_DOUBT)
		verdict = SLACK_RETRY;
	decide(judgement, verdict, "%s", error);
}

/* Slack itself answers 200 with JSON, or 429 or 5xx. */
static void
judge_stranger(struct judgement *judgement, const struct http_answer *answer,
    bool is_too_large)
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
judge_failure(struct judgement *judgement, const struct http_answer *answer)
{
	if (answer->is_too_long)
		decide(judgement, SLACK_BAD_REQUEST, "answer_too_large");
	else
		decide(judgement, answer->was_sent ? SLACK_IN_DOUBT :
		    SLACK_RETRY, "%s", answer->reason);
}

static void
judge(struct judgement *judgement, struct method *method,
    const struct http_answer *answer)
{
	bool is_too_large = false;
	const cJSON *ok;

	*judgement = (struct judgement){ .pause_s = PAUSE_S };
	judgement->reply.body = answer->body;
	judgement->reply.length = answer->length;
	judgement->reply.scopes = answer->scopes;
	judgement->reply.error = judgement->error;
	if (answer->status == 0) {
		judge_failure(judgement, answer);
		return;
	}
	judgement->json = parse_answer(answer, &is_too_large);
	judgement->reply.json = judgement->json;
	ok = json_get(judgement->json, "ok");
	if (cJSON_IsTrue(ok) && answer->status == 200)
		decide(judgement, SLACK_OK, "%s", "");
	else if (cJSON_IsFalse(ok))
		judge_error(judgement, method, answer);
	else
		judge_stranger(judgement, answer, is_too_large);
	if (answer->status == 429)
		judgement->is_rate = true;
}

/* How long Slack is to be left alone, the longer the more often it says so. */
static int64_t
measure_pause_s(const struct method *method, const struct http_answer *answer,
    int default_s)
{
	int64_t pause_s = default_s;

	if (answer->retry_after_s >= 0) {
		pause_s = larger(answer->retry_after_s, 1);
		return pause_s < RETRY_AFTER_S_MAX ? pause_s :
		    RETRY_AFTER_S_MAX;
	}
	for (unsigned i = 1; i < method->pauses && pause_s < PAUSE_S_MAX; i++)
		pause_s *= 2;
	return pause_s < PAUSE_S_MAX ? pause_s : PAUSE_S_MAX;
}

/*
 * Stop the method. Of calls that were under way together each may be refused,
 * which counts once. The bucket is empty then: Slack has counted otherwise.
 */
static void
pause_method(struct method *method, const struct http_answer *answer,
    int default_s)
{
	const struct pace *pace = method->pace;
	int64_t now_ms = clock_steady_ms();
	bool is_paused = method->paused_until_ms > now_ms;
	int64_t pause_s;

	if (!is_paused)
		method->pauses++;
	pause_s = measure_pause_s(method, answer, default_s);
	method->paused_until_ms = larger(method->paused_until_ms,
	    now_ms + pause_s * 1000 + arc4random_uniform(500));
	method->full_ms = method->paused_until_ms +
	    (pace->burst - 1) * pace->interval_ms;
	if (!is_paused && is_time_to_report(&method->reported_ms))
		warnx("%s: Slack wants fewer calls, the next one is in %"
		    PRId64 " s", method->name, pause_s);
}

static void
take_answer(const struct http_answer *answer, void *arg)
{
	struct slack_call *call = arg;
	struct method *method = call->method;
	struct judgement judgement;

	call->exchange = NULL;
	method->under_way--;
	judge(&judgement, method, answer);
	if (judgement.is_rate) {
		pause_method(method, answer, judgement.pause_s);
	} else {
		if (judgement.json != NULL)
			method->pauses = 0;
		unlink_call(call);
		call->done(&judgement.reply, call->arg);
		free_call(call);
	}
	cJSON_Delete(judgement.json);
	start_due_calls(method);
}

static bool
is_unreserved(char byte)
{
	return isalnum((unsigned char)byte) || (byte != '\0' &&
	    strchr("-._~", byte) != NULL);
}

static void
append_encoded(struct buffer *arguments, const char *text)
{
	for (; *text != '\0'; text++) {
		if (is_unreserved(*text))
			buffer_append(arguments, text, 1);
		else
			buffer_printf(arguments, "%%%02X",
			    (unsigned char)*text);
	}
}

void
slack_api_argument(struct buffer *arguments, const char *name,
    const char *value)
{
	if (arguments->length > 0)
		buffer_append(arguments, "&", 1);
	append_encoded(arguments, name);
	buffer_append(arguments, "=", 1);
	append_encoded(arguments, value);
}

void
slack_api_advise(struct buffer *sentence, const char *method,
    const char *token, const char *error, const char *needed)
{
	bool is_app = strcmp(method, "apps.connections.open") == 0;

	buffer_printf(sentence, "%s: Slack answered %s to %s: ", token, error,
	    method);
	slack_error_advise(sentence, error, is_app, needed);
}
