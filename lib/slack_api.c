#include "slack_api.h"

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
#include "slack_lane.h"
#include "slack_pace.h"
#include "url.h"

#define ANSWER_BYTES_MAX (16 * 1024 * 1024)
#define TIMEOUT_MS 20000
#define UPLOAD_MS 60000
#define UPLOAD_BYTES_PER_MS 32	/* at least so fast */
#define UPLOAD_ANSWER_MAX (64 * 1024)
#define REPORT_MS 600000	/* not more often for one method */
#define PAUSED_KEYS_MAX 3	/* then the method is, for a moment: */
#define CROWD_PAUSE_S 5
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

	/* when pauses and an unknown error were last reported */
	int64_t reported_ms;
	int64_t lane_reported_ms;
	int64_t unknown_ms;
};

struct slack_api {
	const char *url;
	struct timers *timers;
	struct http_client *http;
	struct method *methods;
	struct slack_lane *lanes;
	int64_t born_ms;
	int64_t patience_ms;
};

struct slack_call {
	struct method *method;
	struct slack_call *next;
	struct slack_lane *lane;		/* or NULL */
	struct slack_call *behind;	/* the next one in it */
	struct http_exchange *exchange;	/* NULL while it waits */
	char *token;
	char *arguments;
	char *upload_url;		/* NULL: a call of the method */
	const char *bytes;
	size_t length;
	unsigned limited;
	int64_t limited_ms;	/* since when it is */
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

static bool
is_clean(const char *url)
{
	while ((unsigned char)*url > ' ' && (unsigned char)*url < 0x7f)
		url++;
	return *url == '\0';
}

/* May the bytes of a file go there? It may have a query; secrets it has. */
static bool
is_upload_url(const struct slack_api *api, const char *url)
{
	const char *host = strstr(url, "://"), *end;

	if (host == NULL || !is_clean(url) || strpbrk(url, "#@\\") != NULL)
		return false;
	host += strlen("://");
	end = host + measure_host(host);
	if (end == host || (*end != ':' && *end != '/') ||
	    strchr(end, '/') == NULL)
		return false;
	if (strncmp(url, "https://", strlen("https://")) == 0)
		return true;
	return strncmp(url, "http://", strlen("http://")) == 0 &&
	    strncmp(api->url, "http://", strlen("http://")) == 0 &&
	    is_this_machine(host);
}

const char *
slack_api_complain(const char *url)
{
	const char *host;

	if (!is_clean(url))
		return "it holds a blank or another character that no URL has";
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
	api->patience_ms = settings->patience_ms;
	api->born_ms = clock_steady_ms();
	api->http = http_client_new(settings->set, settings->timers,
	    settings->ca_file);
	return api;
}

static void
free_call(struct slack_call *call)
{
	free(call->token);
	free(call->arguments);
	free(call->upload_url);
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
	slack_lane_free(api->lanes);
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
	if (method->pace->group != NULL)
		slack_bucket_start(&method->bucket, &method->pace->rate,
		    api->born_ms);
	method->timer = (struct timer){ .due = start_due_calls,
	    .arg = method };
	method->reported_ms = method->lane_reported_ms =
	    method->unknown_ms = INT64_MIN / 2;
	method->next = api->methods;
	api->methods = method;
	return method;
}

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static struct slack_lane *
find_lane(const struct slack_api *api, const struct slack_pace *pace,
    const char *key)
{
	if (pace->group == NULL || key == NULL)
		return NULL;
	return slack_lane_find(api->lanes, pace->group, key);
}

static bool
is_waiting(const struct slack_call *call)
{
	return call->exchange == NULL;
}

int
slack_api_is_busy(const struct slack_api *api, const char *name)
{
	const struct method *method = find_method(api, name);
	const struct slack_call *call;

	if (method == NULL)
		return false;
	for (call = method->calls; call != NULL; call = call->next)
		if (is_waiting(call))
			return true;
	return slack_bucket_wait_ms(&method->bucket) > 0;
}

/* Who has to wait for a lane of its own is in nobody's way. */
static bool
is_waiting_for_method(const struct slack_call *call)
{
	return is_waiting(call) && (call->lane == NULL ||
	    slack_bucket_wait_ms(&call->lane->bucket) == 0);
}

/* Of the lane, or of the method where there is none. */
static int64_t
count_waiting(const struct method *method, const struct slack_lane *lane)
{
	const struct slack_call *call;
	int64_t count = 0;

	if (lane != NULL)
		for (call = lane->calls; call != NULL; call = call->behind)
			count += is_waiting(call);
	else if (method != NULL)
		for (call = method->calls; call != NULL; call = call->next)
			count += is_waiting_for_method(call);
	return count;
}

int64_t
slack_api_wait_ms(const struct slack_api *api, const char *name,
    const char *key)
{
	const struct slack_pace *pace = slack_pace_find(name);
	const struct method *method = find_method(api, name);
	const struct slack_lane *lane = find_lane(api, pace, key);
	int64_t method_ms = 0, lane_ms = 0;

	if (method != NULL)
		method_ms = slack_bucket_wait_ms(&method->bucket);
	if (lane == NULL)
		return method_ms + count_waiting(method, NULL) *
		    pace->rate.interval_ms;
	lane_ms = slack_bucket_wait_ms(&lane->bucket) +
	    count_waiting(method, lane) * pace->key_rate.interval_ms;
	return larger(method_ms, lane_ms);
}

static void take_answer(const struct http_answer *answer, void *arg);

static void
send_call(struct slack_call *call)
{
	struct slack_api *api = call->method->api;
	struct buffer url = { 0 };

	buffer_printf(&url, "%s%s", api->url, call->method->name);
	call->exchange = http_client_send(api->http, &(struct http_request){
		.url = buffer_string(&url),
		.token = call->token,
		.type = FORM,
		.body = call->arguments,
		.body_length = strlen(call->arguments),
		.timeout_ms = TIMEOUT_MS,
		.answer_max = ANSWER_BYTES_MAX,
		.is_once = call->method->pace->group != NULL,
	    }, take_answer, call);
	buffer_free(&url);
}

static void
send_bytes(struct slack_call *call)
{
	call->exchange = http_client_send(call->method->api->http,
	    &(struct http_request){
		.url = call->upload_url,
		.type = "application/octet-stream",
		.body = call->bytes,
		.body_length = call->length,
		.is_borrowed = true,
		.timeout_ms = UPLOAD_MS +
		    (int64_t)(call->length / UPLOAD_BYTES_PER_MS),
		.answer_max = UPLOAD_ANSWER_MAX,
		.is_once = true,
	    }, take_answer, call);
}

static void
start_call(struct slack_call *call)
{
	slack_bucket_take(&call->method->bucket);
	if (call->lane != NULL)
		slack_bucket_take(&call->lane->bucket);
	call->method->under_way++;
	if (call->upload_url != NULL)
		send_bytes(call);
	else
		send_call(call);
}

/*
 * The waiting call that may start first, and in how long its lane lets it. Not
 * those behind another of their lane.
 */
static struct slack_call *
find_next(const struct method *method, int64_t *wait_ms)
{
	struct slack_call *next = NULL, *call;

	for (call = method->calls; call != NULL; call = call->next) {
		const struct slack_lane *lane = call->lane;
		int64_t lane_ms = 0;

		if (!is_waiting(call) || (lane != NULL && lane->calls != call))
			continue;
		if (lane != NULL)
			lane_ms = slack_bucket_wait_ms(&lane->bucket);
		if (next == NULL || lane_ms < *wait_ms) {
			next = call;
			*wait_ms = lane_ms;
		}
		if (lane_ms == 0)
			break;
	}
	return next;
}

static void
start_due_calls(void *arg)
{
	struct method *method = arg;
	struct slack_call *call;
	int64_t wait_ms = 0;

	while (method->under_way < method->pace->at_once &&
	    (call = find_next(method, &wait_ms)) != NULL) {
		wait_ms = larger(wait_ms,
		    slack_bucket_wait_ms(&method->bucket));
		if (wait_ms > 0) {
			timers_set(method->api->timers, &method->timer,
			    wait_ms);
			return;
		}
		start_call(call);
	}
}

/* A call is over: another one of its method or of its lane may go. */
static void
start_others(struct method *method)
{
	const char *group = method->pace->group;
	struct method *other;

	start_due_calls(method);
	for (other = method->api->methods; other != NULL && group != NULL;
	    other = other->next)
		if (other != method && other->pace->group == group)
			start_due_calls(other);
}

static void
enter_lane(struct slack_call *call, const char *key)
{
	struct method *method = call->method;
	struct slack_lane *lane = find_lane(method->api, method->pace, key);
	struct slack_call **link;

	if (lane == NULL)
		lane = slack_lane_add(&method->api->lanes, method->pace, key,
		    method->api->born_ms);
	for (link = &lane->calls; *link != NULL;)
		link = &(*link)->behind;
	*link = call;
	call->lane = lane;
}

static struct slack_call *
new_call(struct slack_api *api, const char *name,
    void (*done)(const struct slack_reply *reply, void *arg), void *arg)
{
	struct slack_call *call = xcalloc(1, sizeof *call);
	struct slack_call **link;

	call->method = find_method(api, name);
	if (call->method == NULL)
		call->method = add_method(api, name);
	call->done = done;
	call->arg = arg;
	for (link = &call->method->calls; *link != NULL;)
		link = &(*link)->next;
	*link = call;
	return call;
}

struct slack_call *
slack_api_call(struct slack_api *api, const struct slack_request *request,
    void (*done)(const struct slack_reply *reply, void *arg), void *arg)
{
	struct slack_call *call = new_call(api, request->method, done, arg);

	call->token = request->token != NULL ? xstrdup(request->token) : NULL;
	call->arguments = xstrdup(request->arguments != NULL ?
	    request->arguments : "");
	if (request->key != NULL && call->method->pace->group != NULL)
		enter_lane(call, request->key);
	start_due_calls(call->method);
	return call;
}

struct slack_call *
slack_api_upload(struct slack_api *api, const struct slack_upload *upload,
    void (*done)(const struct slack_reply *reply, void *arg), void *arg)
{
	struct slack_call *call;

	if (!is_upload_url(api, upload->url))
		return NULL;
	call = new_call(api, SLACK_PACE_UPLOAD, done, arg);
	call->upload_url = xstrdup(upload->url);
	call->bytes = upload->bytes;
	call->length = upload->length;
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
	if (call->lane == NULL)
		return;
	for (link = &call->lane->calls; *link != call;)
		link = &(*link)->behind;
	*link = call->behind;
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
	start_others(method);
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
pause_lane(struct method *method, struct slack_lane *lane,
    const struct http_answer *answer, int default_s)
{
	int64_t pause_s = slack_bucket_pause(&lane->bucket,
	    answer->retry_after_s, default_s);

	if (is_time_to_report(&method->lane_reported_ms))
		warnx("%s: Slack wants fewer calls for a channel, the next one"
		    " is in %" PRId64 " s", method->name, pause_s);
}

/* Where several keys are refused it may not be for what they are: then the
 * others wait, too, but only for a moment. */
static void
slow_down(struct slack_call *call, const struct http_answer *answer,
    const struct slack_judgement *judgement)
{
	struct method *method = call->method;
	struct http_answer moment = *answer;

	if (call->limited++ == 0)
		call->limited_ms = clock_steady_ms();
	if (call->lane != NULL)
		pause_lane(method, call->lane, answer, judgement->pause_s);
	if (moment.retry_after_s < 0 || moment.retry_after_s > CROWD_PAUSE_S)
		moment.retry_after_s = CROWD_PAUSE_S;
	if (call->lane == NULL || judgement->is_for_all)
		pause_method(method, answer, judgement->pause_s);
	else if (slack_lane_count_paused(method->api->lanes,
	    method->pace->group) >= PAUSED_KEYS_MAX)
		pause_method(method, &moment, CROWD_PAUSE_S);
}

static bool
is_out_of_patience(const struct slack_call *call)
{
	int64_t patience_ms = call->method->api->patience_ms;

	return patience_ms > 0 &&
	    clock_steady_ms() - call->limited_ms >= patience_ms;
}

/* It was not done, whatever the answer looked like. */
static void
give_up(struct slack_judgement *judgement)
{
	judgement->reply.verdict = SLACK_RETRY;
	if (judgement->json == NULL)
		judgement->reply.error = "ratelimited";
}

static void
finish(struct slack_call *call, struct slack_judgement *judgement)
{
	if (judgement->is_rate) {
		give_up(judgement);
	} else if (judgement->json != NULL ||
	    judgement->reply.verdict == SLACK_OK) {
		call->method->bucket.pauses = 0;
		if (call->lane != NULL)
			call->lane->bucket.pauses = 0;
	}
	judgement->reply.limited = call->limited;
	unlink_call(call);
	call->done(&judgement->reply, call->arg);
	free_call(call);
}

static void
take_answer(const struct http_answer *answer, void *arg)
{
	struct slack_call *call = arg;
	struct method *method = call->method;
	struct slack_judgement judgement;

	call->exchange = NULL;
	method->under_way--;
	if (call->upload_url != NULL)
		slack_answer_judge_upload(&judgement, answer);
	else
		slack_answer_judge(&judgement, method->name, answer);
	if (judgement.is_unknown && is_time_to_report(&method->unknown_ms))
		warnx("%s: Slack answered %s, which is not known here",
		    method->name, judgement.error);
	if (judgement.is_rate)
		slow_down(call, answer, &judgement);
	if (!judgement.is_rate || is_out_of_patience(call))
		finish(call, &judgement);
	cJSON_Delete(judgement.json);
	start_others(method);
}

void
slack_api_argument(struct buffer *arguments, const char *name,
    const char *value)
{
	if (arguments->length > 0)
		buffer_append(arguments, "&", 1);
	url_append_encoded(arguments, name, strlen(name));
	buffer_append(arguments, "=", 1);
	url_append_encoded(arguments, value, strlen(value));
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
