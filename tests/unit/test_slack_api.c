/*
 * Calls of Slack's Web API against a real server: what each answer means, the
 * pace of a method, and the pause that Slack asks for.
 *
 * modules: tests/unit/http_server.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "events.h"
#include "memory.h"
#include "slack_api.h"
#include "slack_error.h"
#include "http_server.h"

#define TOKEN "xoxb-1234-not-a-real-token"
#define PATIENCE_MS 20000
#define REAL_STDERR 100	/* while stderr is the log of a bench */
#define COUNT(array) (sizeof array / sizeof array[0])

struct bench {
	int set;
	struct timers *timers;
	struct slack_api *api;
	struct http_server *server;
	char url[64];
	int64_t patience_ms;
	FILE *log;		/* what went to stderr */
};

struct result {
	struct bench *bench;
	int calls;
	enum slack_verdict verdict;
	char error[300];
	char needed[300];
	char scopes[100];
	char *body;
	bool has_json;
	char id[40];
	bool was_sent;
	unsigned limited;
	int64_t at_ms;
	struct slack_call *to_cancel;
	int to_call;
};

typedef bool answer_function(struct http_peer *peer, const char *request,
    void *arg);

static struct bench
set_up_with(answer_function *answer, void *arg)
{
	struct bench bench = { .set = events_open(), .log = tmpfile() };

	dup2(STDERR_FILENO, REAL_STDERR);
	dup2(fileno(bench.log), STDERR_FILENO);
	bench.timers = timers_new(bench.set);
	bench.server = http_server_start(NULL, answer, arg);
	snprintf(bench.url, sizeof bench.url, "http://127.0.0.1:%d/api/",
	    http_server_port(bench.server));
	return bench;
}

/* The address of the URL must not change any more. */
static void
start(struct bench *bench)
{
	bench->api = slack_api_new(&(struct slack_api_settings){
		.url = bench->url,
		.set = bench->set,
		.timers = bench->timers,
		.patience_ms = bench->patience_ms,
	});
}

static size_t
count_in_log(struct bench *bench, const char *text)
{
	char line[1000];
	size_t count = 0;

	rewind(bench->log);
	while (fgets(line, sizeof line, bench->log) != NULL)
		if (strstr(line, text) != NULL)
			count++;
	return count;
}

static void
tear_down(struct bench *bench)
{
	slack_api_free(bench->api);
	http_server_stop(bench->server);
	timers_free(bench->timers);
	close(bench->set);
	dup2(REAL_STDERR, STDERR_FILENO);
	close(REAL_STDERR);
	assert_int_equal(count_in_log(bench, "xox"), 0);
	fclose(bench->log);
}

static void
await_all(struct result *results, size_t count)
{
	struct pollfd ready = { .fd = results->bench->set, .events = POLLIN };

	for (size_t i = 0; i < count; i++) {
		while (results[i].calls == 0) {
			assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
			events_dispatch(ready.fd);
		}
		assert_int_equal(results[i].calls, 1);
	}
}

static void
await(struct result *result)
{
	await_all(result, 1);
}

static void
forget(struct result *result)
{
	free(result->body);
	*result = (struct result){ .bench = result->bench };
}

static void
copy(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text != NULL ? text : "(none)");
}

static void
take(const struct slack_reply *reply, void *arg)
{
	struct result *result = arg;
	const cJSON *id = cJSON_GetObjectItem(reply->json, "id");

	result->calls++;
	result->verdict = reply->verdict;
	result->has_json = reply->json != NULL;
	result->was_sent = reply->was_sent;
	result->limited = reply->limited;
	result->at_ms = clock_steady_ms();
	copy(result->error, sizeof result->error, reply->error);
	copy(result->needed, sizeof result->needed, reply->needed);
	copy(result->scopes, sizeof result->scopes, reply->scopes);
	copy(result->id, sizeof result->id, cJSON_GetStringValue(id));
	result->body = xstrndup(reply->body, reply->length);
	assert_int_equal(reply->body[reply->length], '\0');
	assert_int_equal(reply->verdict == SLACK_OK, *reply->error == '\0');
	assert_null(strstr(reply->error, "xox"));
}

static struct slack_call *
call(struct result *result, const char *method, const char *arguments)
{
	return slack_api_call(result->bench->api, &(struct slack_request){
		.method = method,
		.token = TOKEN,
		.arguments = arguments,
	    }, take, result);
}

/* A post to a channel, which is the key, by whatever method posts. */
static struct slack_call *
post_by(struct result *result, const char *method, const char *channel,
    const char *id)
{
	char arguments[100];

	snprintf(arguments, sizeof arguments, "channel=%s&id=%s", channel,
	    id);
	return slack_api_call(result->bench->api, &(struct slack_request){
		.method = method,
		.token = TOKEN,
		.arguments = arguments,
		.key = channel,
	    }, take, result);
}

static struct slack_call *
post(struct result *result, const char *channel, const char *id)
{
	return post_by(result, "chat.postMessage", channel, id);
}

/* What the server answers to every request. */
struct script {
	int status;
	const char *headers;
	const char *body;
};

static bool
answer_script(struct http_peer *peer, const char *request, void *arg)
{
	const struct script *script = arg;

	(void)request;
	return http_peer_answer(peer, script->status, script->headers,
	    script->body);
}

/* {"ok":false,"error":…} with the word behind error= in the request. */
static bool
answer_error(struct http_peer *peer, const char *request, void *arg)
{
	const char *word = strstr(request, "\r\n\r\nerror=");
	char body[300];

	(void)arg;
	snprintf(body, sizeof body, "{\"ok\":false,\"error\":\"%s\"}",
	    word + strlen("\r\n\r\nerror="));
	return http_peer_answer(peer, 200, "", body);
}

static void
tells_which_urls_may_see_a_token(void **state)
{
	static const char *const good[] = { SLACK_API_URL,
	    "https://slack-gov.com/api/", "http://127.0.0.1:8080/api/",
	    "http://localhost/", "http://[::1]:99/api/",
	    "https://proxy.example.com:8443/slack/" };
	static const char *const bad[] = { "", "slack.com/api/",
	    "ftp://slack.com/", "http://slack.com/api/",
	    "https://slack.com/api", "http://127.0.0.1.example.com/",
	    "http://localhost@example.com/", "https://u:p@slack.com/",
	    "http://localhost:1@example.com/", "https:///api/", "https://",
	    "https://slack.com/api/?a=/", "https://slack.com/ /",
	    "https://slack.com/\n/", "http://[::1]example.com/",
	    "http://localhost\\@example.com/", "https://slack.com/#/",
	    "http://localhost.example.com/", "http://[::1/" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_null(slack_api_complain(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_non_null(slack_api_complain(bad[i]));
}

static void
encodes_arguments(void **state)
{
	struct buffer arguments = { 0 };

	(void)state;
	slack_api_argument(&arguments, "cursor", "dXNlcjpVMDYx=");
	slack_api_argument(&arguments, "text", "a b&c=\xc3\xa4%\n+~_-.");
	slack_api_argument(&arguments, "none", "");
	assert_string_equal(buffer_string(&arguments),
	    "cursor=dXNlcjpVMDYx%3D&text=a%20b%26c%3D%C3%A4%25%0A%2B~_-."
	    "&none=");
	buffer_free(&arguments);
}

static void
posts_the_call(void **state)
{
	struct script script = { 200, "X-OAuth-Scopes: users:read\r\n",
	    "{\"ok\":true,\"id\":\"U1\"}" };
	struct bench bench = set_up_with(answer_script, &script);
	struct result result = { .bench = &bench };
	const char *text;

	(void)state;
	start(&bench);
	call(&result, "users.info", "user=U1");
	assert_int_equal(result.calls, 0);
	await(&result);
	assert_int_equal(result.verdict, SLACK_OK);
	assert_string_equal(result.body, script.body);
	assert_string_equal(result.id, "U1");
	assert_string_equal(result.scopes, "users:read");
	text = http_server_request(bench.server, 0);
	assert_memory_equal(text, "POST /api/users.info HTTP/1.1\r\n", 31);
	assert_non_null(strstr(text, "\r\nAuthorization: Bearer " TOKEN
	    "\r\n"));
	assert_non_null(strstr(text, "\r\nContent-Type:"
	    " application/x-www-form-urlencoded\r\n"));
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\nuser=U1");
	forget(&result);

	call(&result, "apps.connections.open", NULL);
	await(&result);
	text = http_server_request(bench.server, 1);
	assert_memory_equal(text, "POST /api/apps.connections.open ", 32);
	assert_non_null(strstr(text, "\r\nContent-Length: 0\r\n"));
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
	forget(&result);
	tear_down(&bench);
}

static const struct {
	enum slack_verdict verdict;
	const char *errors;
} classes[] = {
	{ SLACK_RETRY, "internal_error service_unavailable request_timeout"
	    " team_added_to_org org_login_required migration_in_progress" },
	{ SLACK_IN_DOUBT, "fatal_error" },
	{ SLACK_FORBIDDEN, "invalid_auth not_authed account_inactive"
	    " token_revoked token_expired not_allowed_token_type"
	    " missing_scope no_permission access_denied accesslimited"
	    " team_access_not_granted enterprise_is_restricted"
	    " ekm_access_denied two_factor_setup_required"
	    " user_removed_from_team team_disabled method_deprecated"
	    " deprecated_endpoint unknown_method forbidden_team"
	    " team_not_found app_access_restricted file_uploads_disabled"
	    " file_uploads_except_images_disabled storage_limit_reached" },
	{ SLACK_NO_TARGET, "channel_not_found not_in_channel is_archived"
	    " restricted_action restricted_action_read_only_channel"
	    " restricted_action_thread_only_channel"
	    " restricted_action_non_threadable_channel"
	    " restricted_action_thread_locked cannot_reply_to_message"
	    " messages_tab_disabled user_not_found user_disabled"
	    " user_not_visible thread_not_found file_not_found"
	    " file_deleted" },
	{ SLACK_BAD_REQUEST, "msg_too_long no_text invalid_blocks"
	    " invalid_blocks_format msg_blocks_too_long"
	    " too_many_attachments attachment_payload_limit_exceeded"
	    " markdown_text_conflict metadata_too_large invalid_arguments"
	    " invalid_arg_name invalid_array_arg invalid_json"
	    " json_not_object invalid_charset invalid_form_data"
	    " invalid_post_type missing_post_type missing_argument"
	    " never_heard_of_it" },
};

static void
check_error(struct bench *bench, const char *error, enum slack_verdict wanted)
{
	struct result result = { .bench = bench };
	char method[100], arguments[100];

	snprintf(method, sizeof method, "test.%s", error);
	snprintf(arguments, sizeof arguments, "error=%s", error);
	call(&result, method, arguments);
	await(&result);
	assert_string_equal(result.error, error);
	assert_int_equal(result.verdict, wanted);
	assert_true(result.has_json);
	forget(&result);
}

static void
judges_each_error_of_the_documentation(void **state)
{
	struct bench bench = set_up_with(answer_error, NULL);

	(void)state;
	start(&bench);
	for (size_t i = 0; i < COUNT(classes); i++) {
		char *errors = xstrdup(classes[i].errors), *rest;

		for (char *error = strtok_r(errors, " ", &rest);
		    error != NULL; error = strtok_r(NULL, " ", &rest))
			check_error(&bench, error, classes[i].verdict);
		free(errors);
	}
	assert_int_equal(count_in_log(&bench, "not known"), 1);
	assert_int_equal(count_in_log(&bench, "never_heard_of_it"), 1);
	tear_down(&bench);
}

static void
judges_what_forbids_a_connection(void **state)
{
	static const char *const permanent[] = { "invalid_auth", "not_authed",
	    "account_inactive", "token_revoked", "token_expired",
	    "not_allowed_token_type", "missing_scope", "missing_args",
	    "forbidden_team", "access_denied", "user_removed_from_team",
	    "team_disabled", "two_factor_setup_required" };
	static const char *const passing[] = { "internal_error",
	    "service_unavailable", "request_timeout", "team_added_to_org",
	    "org_login_required" };
	enum slack_verdict verdict;

	(void)state;
	for (size_t i = 0; i < COUNT(permanent); i++) {
		assert_true(slack_error_judge("apps.connections.open",
		    permanent[i], &verdict));
		assert_int_equal(verdict, SLACK_FORBIDDEN);
	}
	for (size_t i = 0; i < COUNT(passing); i++) {
		assert_true(slack_error_judge("apps.connections.open",
		    passing[i], &verdict));
		assert_int_equal(verdict, SLACK_RETRY);
	}
}

static void
judges_answers_that_are_not_slacks(void **state)
{
	static const struct {
		struct script script;
		enum slack_verdict verdict;
	} cases[] = {
		{ { 200, "", "" }, SLACK_RETRY },
		{ { 200, "", "<!DOCTYPE html><html></html>" }, SLACK_RETRY },
		{ { 200, "", "{}" }, SLACK_RETRY },
		{ { 200, "", "[]" }, SLACK_RETRY },
		{ { 200, "", "{\"ok\":\"true\"}" }, SLACK_RETRY },
		{ { 200, "", "{\"ok\":1}" }, SLACK_RETRY },
		{ { 200, "", "{\"ok\":null}" }, SLACK_RETRY },
		{ { 200, "", "{\"ok\":true" }, SLACK_RETRY },
		{ { 200, "", "{\"ok\":true}{}" }, SLACK_RETRY },
		{ { 200, "", "{\"ok\":false}" }, SLACK_RETRY },
		{ { 200, "", "{\"ok\":false,\"error\":7}" }, SLACK_RETRY },
		{ { 200, "", "{\"ok\":false,\"error\":\"\"}" }, SLACK_RETRY },
		{ { 200, "", "{\"ok\":false,\"error\":\"" TOKEN "\"}" },
		    SLACK_RETRY },
		{ { 200, "", "{\"ok\":false,\"error\":\"a\\nb\"}" },
		    SLACK_RETRY },
		{ { 302, "Location: http://127.0.0.1:1/\r\n", "" },
		    SLACK_RETRY },
		{ { 401, "", "<html>" }, SLACK_RETRY },
		{ { 403, "", "<html>" }, SLACK_RETRY },
		{ { 404, "", "<html>" }, SLACK_RETRY },
		{ { 404, "", "{\"ok\":true}" }, SLACK_RETRY },
		{ { 403, "", "{\"ok\":false,\"error\":\"invalid_auth\"}" },
		    SLACK_FORBIDDEN },
		{ { 500, "", "" }, SLACK_RETRY },
		{ { 502, "", "<html>" }, SLACK_RETRY },
		{ { 503, "", "{\"ok\":false,\"error\":"
		    "\"service_unavailable\"}" }, SLACK_RETRY },
		{ { 500, "", "{\"ok\":false,\"error\":\"no_text\"}" },
		    SLACK_RETRY },
		{ { 500, "", "{\"ok\":false,\"error\":\"fatal_error\"}" },
		    SLACK_IN_DOUBT },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct script script = cases[i].script;
		struct bench bench = set_up_with(answer_script, &script);
		struct result result = { .bench = &bench };

		start(&bench);
		call(&result, "test.method", NULL);
		await(&result);
		assert_int_equal(result.verdict, cases[i].verdict);
		forget(&result);
		tear_down(&bench);
	}
}

static void
names_the_missing_scope(void **state)
{
	struct script script = { 200, "", "{\"ok\":false,\"error\":"
	    "\"missing_scope\",\"needed\":\"channels:history,users:read\","
	    "\"provided\":\"im:history\"}" };
	struct bench bench = set_up_with(answer_script, &script);
	struct result result = { .bench = &bench };

	(void)state;
	start(&bench);
	call(&result, "test.method", NULL);
	await(&result);
	assert_int_equal(result.verdict, SLACK_FORBIDDEN);
	assert_string_equal(result.needed, "channels:history,users:read");
	forget(&result);
	script.body = "{\"ok\":false,\"error\":\"missing_scope\",\"needed\":"
	    "\"" TOKEN "\"}";
	call(&result, "test.method", NULL);
	await(&result);
	assert_string_equal(result.needed, "(none)");
	forget(&result);
	tear_down(&bench);
}

static void
reads_what_people_paste(void **state)
{
	struct script script = { 200, "", "{\"ok\":true,\"id\":"
	    "\"\\ud83d\\u00e4\\u0000\",\"id\":\"<\\ud83d>\\ud83d\\ude00\"}" };
	struct bench bench = set_up_with(answer_script, &script);
	struct result result = { .bench = &bench };

	(void)state;
	start(&bench);
	call(&result, "test.method", NULL);
	await(&result);
	assert_int_equal(result.verdict, SLACK_OK);
	assert_true(result.has_json);
	assert_string_equal(result.body, script.body);
	forget(&result);
	tear_down(&bench);
}

/* {"ok":true,"a":[[[…]]]} or {"ok":true,"a":[0,0,0,…]} */
static char *
make_bomb(const char *piece, size_t count)
{
	struct buffer bomb = { 0 };

	buffer_append_string(&bomb, "{\"ok\":true,\"a\":[");
	for (size_t i = 0; i < count; i++)
		buffer_append_string(&bomb, piece);
	buffer_append_string(&bomb, "0]}");
	buffer_append(&bomb, "", 1);
	return bomb.data;
}

static void
bounds_hostile_json(void **state)
{
	static const struct {
		const char *piece;
		size_t count;
		enum slack_verdict verdict;
	} cases[] = {
		{ "0,", 7000000, SLACK_BAD_REQUEST },
		{ "[", 1000000, SLACK_RETRY },
		{ "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",", 500000,
		    SLACK_BAD_REQUEST },	/* more than 16 MiB */
		{ "0,", 1000, SLACK_OK },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *bomb = make_bomb(cases[i].piece, cases[i].count);
		struct script script = { 200, "", bomb };
		struct bench bench = set_up_with(answer_script, &script);
		struct result result = { .bench = &bench };

		start(&bench);
		call(&result, "test.method", NULL);
		await(&result);
		assert_int_equal(result.verdict, cases[i].verdict);
		forget(&result);
		tear_down(&bench);
		free(bomb);
	}
}

static bool
reset_connection(struct http_peer *peer, const char *request, void *arg)
{
	(void)request;
	(void)arg;
	http_peer_reset(peer);
	return false;
}

static void
doubts_only_what_was_sent(void **state)
{
	struct bench bench = set_up_with(reset_connection, NULL);
	struct result result = { .bench = &bench };

	(void)state;
	start(&bench);
	call(&result, "test.method", NULL);
	await(&result);
	assert_int_equal(result.verdict, SLACK_IN_DOUBT);
	assert_false(result.has_json);
	forget(&result);
	http_server_stop(bench.server);
	bench.server = NULL;
	call(&result, "test.method", NULL);
	await(&result);
	assert_int_equal(result.verdict, SLACK_RETRY);
	forget(&result);
	tear_down(&bench);
}

/* Refuse the first requests for test.busy, answer all others. */
struct refusal {
	pthread_mutex_t lock;
	int left;
	int status;
	const char *headers;
	const char *body;
};

static bool
answer_refusal(struct http_peer *peer, const char *request, void *arg)
{
	struct refusal *refusal = arg;
	const char *id = strstr(request, "id=");
	char body[100];
	bool is_refused;

	pthread_mutex_lock(&refusal->lock);
	is_refused = strstr(request, "test.busy") != NULL &&
	    refusal->left-- > 0;
	pthread_mutex_unlock(&refusal->lock);
	if (is_refused)
		return http_peer_answer(peer, refusal->status,
		    refusal->headers, refusal->body);
	snprintf(body, sizeof body, "{\"ok\":true,\"id\":\"%s\"}",
	    id != NULL ? id + 3 : "");
	return http_peer_answer(peer, 200, "", body);
}

static void
waits_and_calls_again_after_429(void **state)
{
	static const struct refusal refusals[] = {
		{ .left = 1, .status = 429, .headers = "Retry-After: 1\r\n",
		    .body = "<html>slow down</html>" },
		{ .left = 1, .status = 200, .headers = "Retry-After: 1\r\n",
		    .body = "{\"ok\":false,\"error\":\"ratelimited\"}" },
		{ .left = 1, .status = 429, .headers = "Retry-After: 0\r\n",
		    .body = "{\"ok\":false,\"error\":\"rate_limited\"}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(refusals); i++) {
		struct refusal refusal = refusals[i];
		struct bench bench = set_up_with(answer_refusal, &refusal);
		struct result results[3] = { { .bench = &bench },
		    { .bench = &bench }, { .bench = &bench } };
		int64_t start_ms = clock_steady_ms();

		pthread_mutex_init(&refusal.lock, NULL);
		start(&bench);
		assert_false(slack_api_is_busy(bench.api, "test.busy"));
		call(&results[0], "test.busy", "id=first");
		call(&results[1], "test.busy", "id=second");
		call(&results[2], "test.other", "id=other");
		await(&results[2]);	/* which is not stopped */
		assert_true(results[2].at_ms - start_ms < 900);
		await_all(results, 2);
		assert_in_range(results[0].at_ms - start_ms, 999, 5000);
		assert_true(results[1].at_ms >= results[0].at_ms);
		assert_string_equal(results[0].id, "first");
		assert_string_equal(results[1].id, "second");
		assert_int_equal(count_in_log(&bench, "test.busy"), 1);
		for (int j = 0; j < 3; j++)
			forget(&results[j]);
		tear_down(&bench);
		pthread_mutex_destroy(&refusal.lock);
	}
}

static void
await_pause(struct bench *bench, const char *text)
{
	struct pollfd ready = { .fd = bench->set, .events = POLLIN };

	while (count_in_log(bench, text) == 0) {
		assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
		events_dispatch(bench->set);
	}
}

static void
waits_longer_where_slack_does_not_say(void **state)
{
	static const struct {
		int status;
		const char *body;
		const char *log;
	} cases[] = {
		{ 429, "", "test.busy: Slack wants fewer calls, the next one"
		    " is in 30 s" },
		{ 200, "{\"ok\":false,\"error\":\"ratelimited\"}",
		    "in 30 s" },
		{ 200, "{\"ok\":false,\"error\":\"message_limit_exceeded\"}",
		    "in 60 s" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct refusal refusal = { .left = 1,
		    .status = cases[i].status, .headers = "",
		    .body = cases[i].body };
		struct bench bench = set_up_with(answer_refusal, &refusal);
		struct result result = { .bench = &bench };

		pthread_mutex_init(&refusal.lock, NULL);
		start(&bench);
		call(&result, "test.busy", NULL);
		await_pause(&bench, cases[i].log);
		assert_true(slack_api_is_busy(bench.api, "test.busy"));
		assert_false(slack_api_is_busy(bench.api, "test.other"));
		assert_int_equal(result.calls, 0);
		tear_down(&bench);	/* with the call still waiting */
		assert_int_equal(result.calls, 0);
		pthread_mutex_destroy(&refusal.lock);
	}
}

/* After its time a 429 ends a call, as one that was not done. */
static void
loses_patience_with_429(void **state)
{
	static const struct {
		int status;
		const char *body;
		const char *error;
	} cases[] = {
		{ 429, "", "ratelimited" },
		{ 200, "{\"ok\":false,\"error\":\"message_limit_exceeded\"}",
		    "message_limit_exceeded" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct refusal refusal = { .left = 1000,
		    .status = cases[i].status,
		    .headers = "Retry-After: 1\r\n", .body = cases[i].body };
		struct bench bench = set_up_with(answer_refusal, &refusal);
		struct result result = { .bench = &bench };

		pthread_mutex_init(&refusal.lock, NULL);
		bench.patience_ms = 500;
		start(&bench);
		call(&result, "test.busy", NULL);
		await(&result);
		assert_int_equal(result.verdict, SLACK_RETRY);
		assert_string_equal(result.error, cases[i].error);
		assert_int_equal(result.limited, 2);
		assert_true(slack_api_wait_ms(bench.api, "test.busy", NULL)
		    > 500);
		forget(&result);
		tear_down(&bench);
		pthread_mutex_destroy(&refusal.lock);
	}
}

static void
keeps_the_pace_of_a_method(void **state)
{
	struct script script = { 200, "", "{\"ok\":true}" };
	struct bench bench = set_up_with(answer_script, &script);
	struct result results[7] = { 0 };
	int64_t start_ms = clock_steady_ms();

	(void)state;
	start(&bench);
	for (int i = 0; i < 7; i++) {
		results[i].bench = &bench;
		call(&results[i], "apps.connections.open", NULL);
	}
	assert_true(slack_api_is_busy(bench.api, "apps.connections.open"));
	await_all(results, 6);
	assert_true(results[5].at_ms - start_ms < 1500);
	await(&results[6]);
	assert_in_range(results[6].at_ms - start_ms, 1999, 5000);
	for (int i = 0; i < 7; i++)
		forget(&results[i]);
	tear_down(&bench);
}

/* What came to the server, in its order: the ids of the posts. */
static void
expect_order(struct bench *bench, const char *wanted)
{
	size_t count = http_server_requests(bench->server);
	char order[200] = "";

	for (size_t i = 0; i < count; i++) {
		const char *id = strstr(http_server_request(bench->server, i),
		    "&id=");

		assert_non_null(id);
		snprintf(order + strlen(order), sizeof order - strlen(order),
		    "%s ", id + strlen("&id="));
	}
	assert_string_equal(order, wanted);
}

static void
set_up_results(struct result *results, size_t count, struct bench *bench)
{
	for (size_t i = 0; i < count; i++)
		results[i] = (struct result){ .bench = bench };
}

static void
forget_all(struct result *results, size_t count)
{
	for (size_t i = 0; i < count; i++)
		forget(&results[i]);
}

static void
posts_once_a_second_to_a_channel(void **state)
{
	struct script script = { 200, "", "{\"ok\":true}" };
	struct bench bench = set_up_with(answer_script, &script);
	int64_t start_ms = clock_steady_ms();
	struct result results[6];

	(void)state;
	start(&bench);
	set_up_results(results, 6, &bench);
	post(&results[0], "CA", "a1");
	post(&results[1], "CA", "a2");
	post_by(&results[2], "files.completeUploadExternal", "CA", "a3");
	post(&results[3], "CB", "b1");
	post(&results[4], "CC", "c1");
	post(&results[5], "CA", "a4");
	await_all(results, 6);
	expect_order(&bench, "a1 b1 c1 a2 a3 a4 ");
	assert_true(results[4].at_ms - start_ms < 900);
	assert_in_range(results[1].at_ms - start_ms, 999, 1800);
	assert_in_range(results[2].at_ms - start_ms, 1999, 2800);
	assert_in_range(results[5].at_ms - start_ms, 2999, 4500);
	forget_all(results, 6);
	tear_down(&bench);
}

/* The first post to CA is answered late. */
static bool
answer_late(struct http_peer *peer, const char *request, void *arg)
{
	(void)arg;
	if (strstr(request, "id=a1") != NULL)
		usleep(1500000);
	return http_peer_answer(peer, 200, "", "{\"ok\":true}");
}

static void
has_one_post_under_way_to_a_channel(void **state)
{
	struct bench bench = set_up_with(answer_late, NULL);
	struct result results[4];
	struct slack_call *second;

	(void)state;
	start(&bench);
	set_up_results(results, 4, &bench);
	post(&results[0], "CA", "a1");
	second = post(&results[1], "CA", "a2");
	post_by(&results[2], "files.completeUploadExternal", "CA", "a3");
	post(&results[3], "CB", "b1");
	await(&results[3]);
	assert_int_equal(results[0].calls, 0);
	expect_order(&bench, "a1 b1 ");
	slack_api_cancel(second);
	await(&results[0]);
	await(&results[2]);
	expect_order(&bench, "a1 b1 a3 ");
	assert_int_equal(results[1].calls, 0);
	forget_all(results, 4);
	tear_down(&bench);
}

/* Slack has had enough of channel CA, or of all, that many times. */
static bool
answer_enough(struct http_peer *peer, const char *request, void *arg)
{
	struct refusal *refusal = arg;
	bool is_refused;

	pthread_mutex_lock(&refusal->lock);
	is_refused = strstr(request, "channel=CA") != NULL &&
	    refusal->left-- > 0;
	pthread_mutex_unlock(&refusal->lock);
	if (is_refused)
		return http_peer_answer(peer, refusal->status,
		    refusal->headers, refusal->body);
	return http_peer_answer(peer, 200, "", "{\"ok\":true}");
}

static struct refusal
make_refusal(int left, int status, const char *body)
{
	struct refusal refusal = { .left = left, .status = status,
	    .headers = "Retry-After: 1\r\n", .body = body };

	pthread_mutex_init(&refusal.lock, NULL);
	return refusal;
}

static void
stops_the_channel_that_slack_refuses(void **state)
{
	struct refusal refusal = make_refusal(2, 429, "");
	struct bench bench = set_up_with(answer_enough, &refusal);
	int64_t start_ms = clock_steady_ms();
	struct result results[3];

	(void)state;
	start(&bench);
	set_up_results(results, 3, &bench);
	post(&results[0], "CA", "a1");
	post(&results[1], "CA", "a2");
	await_pause(&bench, "chat.postMessage: Slack wants fewer calls for a"
	    " channel, the next one is in 1 s");
	assert_false(slack_api_is_busy(bench.api, "files.info"));
	post(&results[2], "CB", "b1");
	await(&results[2]);
	assert_true(results[2].at_ms - start_ms < 900);
	assert_int_equal(results[2].limited, 0);
	assert_in_range(slack_api_wait_ms(bench.api, "chat.postMessage",
	    "CA"), 2000, 3600);
	await_all(results, 2);
	expect_order(&bench, "a1 b1 a1 a1 a2 ");
	assert_int_equal(results[0].limited, 2);
	assert_true(results[0].was_sent);
	assert_int_equal(results[1].limited, 0);
	assert_in_range(results[0].at_ms - start_ms, 1999, 5000);
	forget_all(results, 3);
	tear_down(&bench);
	pthread_mutex_destroy(&refusal.lock);
}

static void
stops_all_posts_where_the_workspace_has_enough(void **state)
{
	static const struct {
		int status;
		const char *body;
		const char *key;
	} cases[] = {
		{ 200, "{\"ok\":false,\"error\":\"message_limit_exceeded\"}",
		    "CA" },
		{ 429, "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct refusal refusal = make_refusal(1, cases[i].status,
		    cases[i].body);
		struct bench bench = set_up_with(answer_enough, &refusal);
		int64_t start_ms = clock_steady_ms();
		struct result results[2];

		start(&bench);
		set_up_results(results, 2, &bench);
		slack_api_call(bench.api, &(struct slack_request){
			.method = "chat.postMessage",
			.token = TOKEN,
			.arguments = "channel=CA&id=a1",
			.key = cases[i].key,
		    }, take, &results[0]);
		await_pause(&bench, "calls, the next one is in 1 s");
		post(&results[1], "CB", "b1");
		await_all(results, 2);
		assert_in_range(results[1].at_ms - start_ms, 999, 5000);
		assert_int_equal(results[0].limited, 1);
		forget_all(results, 2);
		tear_down(&bench);
		pthread_mutex_destroy(&refusal.lock);
	}
}

/* Each post is refused once, as where the workspace is over its limit. */
static bool
answer_second_time(struct http_peer *peer, const char *request, void *arg)
{
	struct refusal *refusal = arg;
	const char *id = strstr(request, "&id=");
	int bit = 1 << (id[4] - 'a');
	bool is_refused;

	pthread_mutex_lock(&refusal->lock);
	is_refused = (refusal->left & bit) != 0;
	refusal->left &= ~bit;
	pthread_mutex_unlock(&refusal->lock);
	if (is_refused)
		return http_peer_answer(peer, 429, refusal->headers, "");
	return http_peer_answer(peer, 200, "", "{\"ok\":true}");
}

static void
stops_all_posts_where_three_channels_are_refused(void **state)
{
	struct refusal refusal = make_refusal(31, 429, "");
	struct bench bench = set_up_with(answer_second_time, &refusal);
	struct result results[5];

	(void)state;
	start(&bench);
	set_up_results(results, 5, &bench);
	post(&results[0], "CA", "a");
	post(&results[1], "CB", "b");
	post(&results[2], "CC", "c");
	post(&results[3], "CD", "d");
	post(&results[4], "CE", "e");
	await_pause(&bench, "chat.postMessage: Slack wants fewer calls, ");
	assert_in_range(http_server_requests(bench.server), 3, 4);
	tear_down(&bench);
	forget_all(results, 5);
	pthread_mutex_destroy(&refusal.lock);
}

static void
doubts_a_post_that_may_stand_there(void **state)
{
	static const struct {
		struct script script;
		enum slack_verdict verdict;
	} cases[] = {
		{ { 500, "", "" }, SLACK_IN_DOUBT },
		{ { 502, "", "<html>" }, SLACK_IN_DOUBT },
		{ { 504, "", "<html>" }, SLACK_IN_DOUBT },
		{ { 200, "", "<html>" }, SLACK_IN_DOUBT },
		{ { 200, "", "" }, SLACK_IN_DOUBT },
		{ { 200, "", "{\"ok\":tr" }, SLACK_IN_DOUBT },
		{ { 200, "", "{\"ok\":false,\"error\":\"internal_error\"}" },
		    SLACK_IN_DOUBT },
		{ { 200, "", "{\"ok\":false,\"error\":\"fatal_error\"}" },
		    SLACK_IN_DOUBT },
		{ { 503, "", "<html>" }, SLACK_RETRY },
		{ { 200, "", "{\"ok\":false,\"error\":"
		    "\"service_unavailable\"}" }, SLACK_RETRY },
		{ { 404, "", "<html>" }, SLACK_RETRY },
		{ { 302, "Location: http://127.0.0.1:1/\r\n", "" },
		    SLACK_RETRY },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct script script = cases[i].script;
		struct bench bench = set_up_with(answer_script, &script);
		struct result result = { .bench = &bench };

		start(&bench);
		post(&result, "CA", "a1");
		await(&result);
		if (result.verdict != cases[i].verdict)
			fail_msg("case %zu: verdict %d", i, result.verdict);
		assert_true(result.was_sent);
		forget(&result);
		tear_down(&bench);
	}
}

/* The first request keeps the connection, the second breaks it. */
static bool
answer_and_break(struct http_peer *peer, const char *request, void *arg)
{
	(void)arg;
	if (strstr(request, "id=a1") != NULL)
		return http_peer_answer(peer, 200, "", "{\"ok\":true}");
	http_peer_reset(peer);
	return false;
}

static void
posts_once_where_the_connection_breaks(void **state)
{
	struct bench bench = set_up_with(answer_and_break, NULL);
	struct result results[2];

	(void)state;
	start(&bench);
	set_up_results(results, 2, &bench);
	post(&results[0], "CA", "a1");
	await(&results[0]);
	post(&results[1], "CB", "b1");
	await(&results[1]);
	assert_int_equal(results[1].verdict, SLACK_IN_DOUBT);
	assert_true(results[1].was_sent);
	expect_order(&bench, "a1 b1 ");
	forget_all(results, 2);
	tear_down(&bench);
}

static void
forgets_channels_that_are_quiet(void **state)
{
	struct script script = { 200, "", "{\"ok\":true}" };
	struct bench bench = set_up_with(answer_script, &script);
	struct result first = { .bench = &bench }, none = first;
	size_t before;

	(void)state;
	start(&bench);
	post(&first, "CA", "a1");
	await(&first);
	usleep(1100000);	/* until a new lane is born full */
	before = mallinfo2().uordblks;
	for (int i = 0; i < 20000; i++) {
		char channel[40];

		snprintf(channel, sizeof channel, "C%d", i);
		slack_api_cancel(post(&none, channel, "x"));
	}
	assert_true(mallinfo2().uordblks < before + 200000);
	assert_int_equal(none.calls, 0);
	forget(&first);
	tear_down(&bench);
}

static void
tells_how_long_a_call_would_wait(void **state)
{
	struct script script = { 200, "", "{\"ok\":true}" };
	struct bench bench = set_up_with(answer_script, &script);
	struct result results[3];
	const char *name = "chat.postMessage";

	(void)state;
	start(&bench);
	set_up_results(results, 3, &bench);
	assert_int_equal(slack_api_wait_ms(bench.api, name, "CA"), 0);
	assert_int_equal(slack_api_wait_ms(bench.api, name, NULL), 0);
	for (int i = 0; i < 3; i++)
		post(&results[i], "CA", "a");
	assert_in_range(slack_api_wait_ms(bench.api, name, "CA"), 2500, 3000);
	assert_in_range(slack_api_wait_ms(bench.api,
	    "files.completeUploadExternal", "CA"), 2500, 3000);
	assert_in_range(slack_api_wait_ms(bench.api, name, "CB"), 0, 700);
	assert_int_equal(slack_api_wait_ms(bench.api, "files.info", "CA"), 0);
	tear_down(&bench);
	forget_all(results, 3);
}

static const char *const bad_upload_urls[] = { "", "https://",
    "http://files.example.com/upload/1", "ftp://127.0.0.1/upload",
    "https://files.example.com/a b", "https://u@files.example.com/",
    "https://files.example.com/\n", "https://files.example.com",
    "http://127.0.0.1.example.com/", "http://127.0.0.1@example.com/",
    "file:///etc/passwd", "http://[::1]example.com/" };

static void
uploads_to_the_url_without_the_token(void **state)
{
	struct script script = { 200, "", "OK - 70000" };
	struct bench bench = set_up_with(answer_script, &script);
	struct result result = { .bench = &bench };
	struct slack_upload upload = { .length = 70000 };
	char url[100], *bytes = xmalloc(upload.length);
	const char *text;

	(void)state;
	start(&bench);
	memset(bytes, '\xff', upload.length);
	upload.bytes = bytes;
	snprintf(url, sizeof url, "http://127.0.0.1:%d/upload/v1/x?a=b",
	    http_server_port(bench.server));
	upload.url = url;
	assert_non_null(slack_api_upload(bench.api, &upload, take, &result));
	assert_int_equal(result.calls, 0);
	await(&result);
	assert_int_equal(result.verdict, SLACK_OK);
	assert_string_equal(result.body, "OK - 70000");
	text = http_server_request(bench.server, 0);
	assert_memory_equal(text, "POST /upload/v1/x?a=b HTTP/1.1\r\n", 32);
	assert_null(strstr(text, "Authorization"));
	assert_null(strstr(text, TOKEN));
	assert_non_null(strstr(text, "\r\nContent-Type:"
	    " application/octet-stream\r\n"));
	assert_memory_equal(strstr(text, "\r\n\r\n") + 4, bytes,
	    upload.length);
	for (size_t i = 0; i < COUNT(bad_upload_urls); i++) {
		upload.url = bad_upload_urls[i];
		assert_null(slack_api_upload(bench.api, &upload, take,
		    &result));
	}
	free(bytes);
	forget(&result);
	tear_down(&bench);
}

static void
never_uploads_in_the_clear_beside_a_true_slack(void **state)
{
	struct script script = { 200, "", "OK" };
	struct bench bench = set_up_with(answer_script, &script);
	struct slack_upload upload = { "http://127.0.0.1:1/", "x", 1 };

	(void)state;
	snprintf(bench.url, sizeof bench.url, "https://slack.example.com/");
	start(&bench);
	assert_null(slack_api_upload(bench.api, &upload, take, NULL));
	tear_down(&bench);
}

static bool
answer_upload(struct http_peer *peer, const char *request, void *arg)
{
	(void)arg;
	if (strstr(request, "/reset") != NULL) {
		http_peer_reset(peer);
		return false;
	}
	return http_peer_answer(peer, atoi(strstr(request, "/up/") + 4), "",
	    strstr(request, "/long") != NULL ? "0123456789" : "");
}

static void
judges_the_answer_to_an_upload(void **state)
{
	static const struct {
		const char *path;
		enum slack_verdict verdict;
	} cases[] = {
		{ "200", SLACK_OK }, { "200/long", SLACK_OK },
		{ "404", SLACK_RETRY }, { "500", SLACK_RETRY },
		{ "302", SLACK_RETRY }, { "413", SLACK_BAD_REQUEST },
		{ "reset", SLACK_RETRY },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bench bench = set_up_with(answer_upload, NULL);
		struct result result = { .bench = &bench };
		char url[100];

		start(&bench);
		snprintf(url, sizeof url, "http://127.0.0.1:%d/up/%s",
		    http_server_port(bench.server), cases[i].path);
		slack_api_upload(bench.api, &(struct slack_upload){ url, "x",
		    1 }, take, &result);
		await(&result);
		assert_int_equal(result.verdict, cases[i].verdict);
		forget(&result);
		tear_down(&bench);
	}
}

static bool
hang_or_answer(struct http_peer *peer, const char *request, void *arg)
{
	(void)arg;
	if (strstr(request, "hang") == NULL)
		return http_peer_answer(peer, 200, "", "{\"ok\":true}");
	http_peer_wait(peer);
	return false;
}

static void
cancels_waiting_and_running_calls(void **state)
{
	struct bench bench = set_up_with(hang_or_answer, NULL);
	struct result results[4] = { { .bench = &bench }, { .bench = &bench },
	    { .bench = &bench }, { .bench = &bench } };
	struct slack_call *calls[4];

	(void)state;
	start(&bench);
	for (int i = 0; i < 4; i++)
		calls[i] = call(&results[i], "test.method",
		    i == 3 ? NULL : "id=hang");
	slack_api_cancel(calls[1]);
	slack_api_cancel(calls[0]);
	slack_api_cancel(calls[2]);
	await(&results[3]);
	assert_int_equal(results[3].verdict, SLACK_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(results[i].calls, 0);
	forget(&results[3]);
	tear_down(&bench);
}

static void
take_and_go_on(const struct slack_reply *reply, void *arg)
{
	struct result *result = arg;

	if (result->to_cancel != NULL)
		slack_api_cancel(result->to_cancel);
	result->to_cancel = NULL;
	if (result->to_call-- > 0)
		slack_api_call(result->bench->api, &(struct slack_request){
			.method = "test.method",
			.token = TOKEN,
		    }, take_and_go_on, result);
	else
		take(reply, result);
}

static void
calls_and_cancels_from_within_done(void **state)
{
	struct bench bench = set_up_with(hang_or_answer, NULL);
	struct result waiting = { .bench = &bench }, hung = waiting;
	struct result results[2] = { { .bench = &bench, .to_call = 2 },
	    { .bench = &bench } };

	(void)state;
	start(&bench);
	slack_api_call(bench.api, &(struct slack_request){
		.method = "test.method",
		.token = TOKEN,
	    }, take_and_go_on, &results[0]);
	results[0].to_cancel = call(&waiting, "test.method", NULL);
	slack_api_call(bench.api, &(struct slack_request){
		.method = "test.other",
		.token = TOKEN,
	    }, take_and_go_on, &results[1]);
	results[1].to_cancel = call(&hung, "test.hang", NULL);
	await_all(results, 2);
	assert_int_equal(waiting.calls, 0);
	assert_int_equal(hung.calls, 0);
	forget(&results[0]);
	forget(&results[1]);
	tear_down(&bench);
}

static void
check_advice(const char *method, const char *token, const char *error)
{
	struct buffer sentence = { 0 };
	const char *text;

	slack_api_advise(&sentence, method, token, error, NULL);
	text = buffer_string(&sentence);
	assert_memory_equal(text, token, strlen(token));
	assert_non_null(strstr(text, error));
	assert_non_null(strstr(text, method));
	assert_null(strchr(text, '\n'));
	assert_null(strstr(text, "Slack does not allow it"));
	assert_in_range(sentence.length, 80, 400);
	buffer_free(&sentence);
}

static void
advises_on_each_permanent_error(void **state)
{
	char *errors = xstrdup(classes[2].errors), *rest;

	(void)state;
	assert_int_equal(classes[2].verdict, SLACK_FORBIDDEN);
	for (char *error = strtok_r(errors, " ", &rest); error != NULL;
	    error = strtok_r(NULL, " ", &rest)) {
		check_advice("apps.connections.open", "SLACK_APP_TOKEN",
		    error);
		check_advice("users.info", "SLACK_BOT_TOKEN", error);
	}
	free(errors);
}

static void
advises_in_full_sentences(void **state)
{
	static const struct {
		const char *method, *token, *error, *needed, *sentence;
	} cases[] = {
		{ "apps.connections.open", "SLACK_APP_TOKEN", "invalid_auth",
		    NULL, "SLACK_APP_TOKEN: Slack answered invalid_auth to"
		    " apps.connections.open: the token is wrong or was"
		    " revoked, or this address is not on the workspace's list"
		    " of allowed ones; make a new one under Basic"
		    " Information, App-Level Tokens" },
		{ "conversations.history", "SLACK_BOT_TOKEN", "missing_scope",
		    "channels:history", "SLACK_BOT_TOKEN: Slack answered"
		    " missing_scope to conversations.history: the token lacks"
		    " the scope channels:history; add it under OAuth &"
		    " Permissions and reinstall the app" },
		{ "users.info", "SLACK_BOT_TOKEN", "no_such_error", NULL,
		    "SLACK_BOT_TOKEN: Slack answered no_such_error to"
		    " users.info: Slack does not allow it; compare the app's"
		    " scopes with the manual, reinstall the app and take its"
		    " new tokens" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer sentence = { 0 };

		slack_api_advise(&sentence, cases[i].method, cases[i].token,
		    cases[i].error, cases[i].needed);
		assert_string_equal(buffer_string(&sentence),
		    cases[i].sentence);
		buffer_free(&sentence);
	}
}

/* A test that failed has left its message in the log of its bench. */
static int
show_log(void **state)
{
	char text[4096];
	ssize_t length;

	(void)state;
	if (fcntl(REAL_STDERR, F_GETFD) == -1)
		return 0;
	lseek(STDERR_FILENO, 0, SEEK_SET);
	while ((length = read(STDERR_FILENO, text, sizeof text)) > 0)
		if (write(REAL_STDERR, text, (size_t)length) == -1)
			break;
	dup2(REAL_STDERR, STDERR_FILENO);
	close(REAL_STDERR);
	return 0;
}

#define test(function) cmocka_unit_test_teardown(function, show_log)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(tells_which_urls_may_see_a_token),
		test(encodes_arguments),
		test(posts_the_call),
		test(judges_each_error_of_the_documentation),
		test(judges_what_forbids_a_connection),
		test(judges_answers_that_are_not_slacks),
		test(names_the_missing_scope),
		test(reads_what_people_paste),
		test(bounds_hostile_json),
		test(doubts_only_what_was_sent),
		test(waits_and_calls_again_after_429),
		test(waits_longer_where_slack_does_not_say),
		test(loses_patience_with_429),
		test(keeps_the_pace_of_a_method),
		test(posts_once_a_second_to_a_channel),
		test(has_one_post_under_way_to_a_channel),
		test(stops_the_channel_that_slack_refuses),
		test(stops_all_posts_where_the_workspace_has_enough),
		test(stops_all_posts_where_three_channels_are_refused),
		test(doubts_a_post_that_may_stand_there),
		test(posts_once_where_the_connection_breaks),
		test(forgets_channels_that_are_quiet),
		test(tells_how_long_a_call_would_wait),
		test(uploads_to_the_url_without_the_token),
		test(never_uploads_in_the_clear_beside_a_true_slack),
		test(judges_the_answer_to_an_upload),
		test(cancels_waiting_and_running_calls),
		test(calls_and_cancels_from_within_done),
		test(advises_on_each_permanent_error),
		test(advises_in_full_sentences),
	};

	return cmocka_run_group_tests_name("slack_api", tests, NULL, NULL);
}
