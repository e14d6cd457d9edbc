#include "slack_api.h"

#include <ctype.h>
#include <err.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "clock.h"
#include "http_client.h"
#include "memory.h"
#include "slack_answer.h"
#include "slack_error.h"
#include "slack_pace.h"

#define ANSWER_BYTES_MAX (16 * 1024 * 1024)
#define TIMEOUT_MS 20000
#define REPORT_MS 600000	/* not more often for one method */
#define FORM "application/x-www-form-urlencoded"

/* A method of Slack's that was called, with the calls in their order. */
struct method {
	struct slack_api *api;
	struct method *next;
	char *name;
	const struct slack_pace *pace;
	struct slack_bucket bucket;
	struct slack_call *calls;	/* those under way, too */
	unsigned under_way;
	struct timer timer;		/* for the next one that waits */

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

static void start_due_calls(void *arg);

static struct method *
add_method(struct slack_api *api, const char *name)
{
	struct method *method = xcalloc(1, sizeof *method);

	method->api = api;
	method->name = xstrdup(name);
	method->pace = slack_pace_find(name);
	method->bucket.rate = &method->pace->rate;
	method->timer = (struct timer){ .due = start_due_calls,
	    .arg = method };
	method->reported_ms = method->unknown_ms = INT64_MIN / 2;
	method->next = api->methods;
	api->methods = method;
	return method;
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

	return method != NULL && (slack_bucket_wait_ms(&method->bucket) > 0 ||
	    find_waiting(method) != NULL);
}

static void take_answer(const struct http_answer *answer, void *arg);

static void
start_call(struct slack_call *call)
{
	struct method *method = call->method;
	struct slack_api *api = method->api;
	struct buffer url = { 0 };

	slack_bucket_take(&method->bucket);
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
		int64_t wait_ms = slack_bucket_wait_ms(&method->bucket);

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
pause_method(struct method *method, const struct http_answer *answer,
    int default_s)
{
	bool is_paused = slack_bucket_is_paused(&method->bucket);
	int64_t pause_s = slack_bucket_pause(&method->bucket,
	    answer->retry_after_s, default_s);

	if (!is_paused && is_time_to_report(&method->reported_ms))
		warnx("%s: Slack wants fewer calls, the next one is in %"
		    PRId64 " s", method->name, pause_s);
}

static void
take_answer(const struct http_answer *answer, void *arg)
{
	struct slack_call *call = arg;
	struct method *method = call->method;
	struct slack_judgement judgement;

	call->exchange = NULL;
	method->under_way--;
	slack_answer_judge(&judgement, method->name, answer);
	if (judgement.is_unknown && is_time_to_report(&method->unknown_ms))
		warnx("%s: Slack answered %s, which is not known here",
		    method->name, judgement.error);
	if (judgement.is_rate) {
		pause_method(method, answer, judgement.pause_s);
	} else {
		if (judgement.json != NULL)
			method->bucket.pauses = 0;
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
