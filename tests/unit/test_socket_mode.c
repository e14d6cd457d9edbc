/*
 * Socket Mode as a state machine: stand-ins for the connections and for the
 * Web API tell it what happens, in every order.
 *
 * modules: slack-reader/socket_mode.c slack-reader/slot.c slack-reader/socket_message.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../slack-reader/socket_mode.h"
#include "buffer.h"
#include "clock.h"
#include "events.h"
#include "memory.h"
#include "timers.h"

#define LINKS_MAX 32
#define CALLS_MAX 32
#define STABLE_MS 100
#define HELLO_MS 150
#define PING_MS 50
#define PATIENCE_MS 5000

enum { CONNECTING, OPEN, CLOSING, GONE };

/* --- the stand-ins --------------------------------------------------------*/

struct link {
	struct links *links;
	const struct link_events *events;
	void *arg;
	int state;
	bool is_dropped;
	int64_t silent_ms;
	size_t pings;
	char url[128];
	struct buffer sent;
};

struct links {
	struct link all[LINKS_MAX];
	size_t count;
};

struct slack_call {
	void (*done)(const struct slack_reply *reply, void *arg);
	void *arg;
	bool is_over;
};

struct slack_api {
	struct slack_call all[CALLS_MAX];
	size_t count;
};

struct link *
links_connect(struct links *links, const char *url,
    const struct link_events *events, void *arg)
{
	struct link *link = &links->all[links->count++];

	assert_in_range(links->count, 1, LINKS_MAX);
	*link = (struct link){ .links = links, .events = events, .arg = arg };
	snprintf(link->url, sizeof link->url, "%s", url);
	return link;
}

const char *
link_host(const struct link *link)
{
	assert_int_not_equal(link->state, GONE);
	return "applink-5";
}

void
link_send(struct link *link, const char *text, size_t length)
{
	assert_int_not_equal(link->state, GONE);
	if (link->state == OPEN)
		buffer_append(&link->sent, text, length);
}

void
link_ping(struct link *link)
{
	assert_int_equal(link->state, OPEN);
	link->pings++;
}

int64_t
link_silent_ms(const struct link *link)
{
	return link->silent_ms;
}

void
link_close(struct link *link)
{
	assert_int_not_equal(link->state, GONE);
	link->state = CLOSING;
}

void
link_drop(struct link *link)
{
	assert_int_not_equal(link->state, GONE);
	link->state = GONE;
	link->is_dropped = true;
}

struct slack_call *
slack_api_call(struct slack_api *api, const struct slack_request *request,
    void (*done)(const struct slack_reply *reply, void *arg), void *arg)
{
	struct slack_call *call = &api->all[api->count++];

	assert_in_range(api->count, 1, CALLS_MAX);
	assert_string_equal(request->method, "apps.connections.open");
	assert_string_equal(request->token, "xapp-test");
	*call = (struct slack_call){ .done = done, .arg = arg };
	return call;
}

void
slack_api_cancel(struct slack_call *call)
{
	assert_false(call->is_over);
	call->is_over = true;
}

void
slack_api_advise(struct buffer *sentence, const char *method,
    const char *token, const char *error, const char *needed)
{
	(void)method;
	(void)needed;
	buffer_printf(sentence, "%s: %s", token, error);
}

/* --- the fixture ----------------------------------------------------------*/

struct fixture {
	int set;
	struct timers *timers;
	struct timer patience;
	bool is_late;
	struct links links;
	struct slack_api api;
	struct socket_mode *mode;

	struct socket_mode_origin origin;	/* of the last envelope */
	size_t envelopes;
	size_t gaps;
	int64_t gap_since_us;
	char sentence[128];
	size_t failures;
};

static void
note_envelope(const struct socket_mode_origin *origin, const char *text,
    size_t length, void *arg)
{
	struct fixture *fixture = arg;

	assert_true(length > 0 && text[0] == '{');
	fixture->origin = *origin;
	fixture->envelopes++;
}

static void
note_gap(int64_t since_us, void *arg)
{
	struct fixture *fixture = arg;

	fixture->gap_since_us = since_us;
	fixture->gaps++;
}

static void
note_failed(const char *sentence, void *arg)
{
	struct fixture *fixture = arg;

	snprintf(fixture->sentence, sizeof fixture->sentence, "%s", sentence);
	fixture->failures++;
}

static void
note_late(void *arg)
{
	struct fixture *fixture = arg;

	fixture->is_late = true;
}

static int
set_up(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof *fixture);

	fixture->set = events_open();
	fixture->timers = timers_new(fixture->set);
	fixture->patience = (struct timer){ .due = note_late,
	    .arg = fixture };
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;

	socket_mode_free(fixture->mode);
	for (size_t i = 0; i < fixture->links.count; i++)
		buffer_free(&fixture->links.all[i].sent);
	timers_free(fixture->timers);
	close(fixture->set);
	free(fixture);
	return 0;
}

static void
begin(struct fixture *fixture, size_t connections)
{
	fixture->mode = socket_mode_new(&(struct socket_mode_settings){
	    .links = &fixture->links, .api = &fixture->api,
	    .timers = fixture->timers, .app_token = "xapp-test",
	    .connections = connections, .ping_ms = PING_MS,
	    .hello_ms = HELLO_MS, .stable_ms = STABLE_MS,
	    .backoff_most_ms = 200, .envelope = note_envelope,
	    .gap = note_gap, .failed = note_failed, .arg = fixture });
	socket_mode_start(fixture->mode);
}

static void
turn(struct fixture *fixture)
{
	struct pollfd fd = { .fd = fixture->set, .events = POLLIN };

	poll(&fd, 1, PATIENCE_MS);
	events_dispatch(fixture->set);
}

/* Until the count is at least so great. */
static void
await(struct fixture *fixture, const size_t *count, size_t least)
{
	timers_set(fixture->timers, &fixture->patience, PATIENCE_MS);
	while (*count < least && !fixture->is_late)
		turn(fixture);
	timers_cancel(fixture->timers, &fixture->patience);
	assert_false(fixture->is_late);
}

/* Let time go by. */
static void
pass(struct fixture *fixture, int64_t ms)
{
	timers_set(fixture->timers, &fixture->patience, ms);
	while (!fixture->is_late)
		turn(fixture);
	fixture->is_late = false;
}

/* --- what happens ---------------------------------------------------------*/

static void
answer(struct fixture *fixture, size_t number, enum slack_verdict verdict,
    const char *text)
{
	struct slack_call *call = &fixture->api.all[number - 1];
	cJSON *json = cJSON_CreateObject();
	struct slack_reply reply = { .verdict = verdict, .error = text,
	    .json = json };

	if (verdict == SLACK_OK)
		cJSON_AddStringToObject(json, "url", text);
	await(fixture, &fixture->api.count, number);
	assert_false(call->is_over);
	call->is_over = true;
	call->done(&reply, call->arg);
	cJSON_Delete(json);
}

static struct link *
find_link(struct fixture *fixture, size_t number)
{
	assert_in_range(number, 1, fixture->links.count);
	return &fixture->links.all[number - 1];
}

static void
say(struct fixture *fixture, size_t number, const char *text)
{
	struct link *link = find_link(fixture, number);

	assert_int_equal(link->state, OPEN);
	link->events->received(link, text, strlen(text), link->arg);
}

static void
open_link(struct fixture *fixture, size_t number)
{
	struct link *link = find_link(fixture, number);

	link->state = OPEN;
	link->events->opened(link, link->arg);
}

static void
end_link(struct fixture *fixture, size_t number)
{
	struct link *link = find_link(fixture, number);

	assert_int_not_equal(link->state, GONE);
	link->state = GONE;
	link->events->closed(link, "applink-5: the connection broke", 0,
	    link->arg);
}

static void
disconnect(struct fixture *fixture, size_t number, const char *reason)
{
	char text[128];

	snprintf(text, sizeof text,
	    "{\"type\":\"disconnect\",\"reason\":\"%s\"}", reason);
	say(fixture, number, text);
}

/* Call, URL, upgrade: all but the hello. The link is the newest. */
static void
connect_link(struct fixture *fixture, size_t call)
{
	size_t before = fixture->links.count;

	answer(fixture, call, SLACK_OK, "wss://a.example/?ticket=1");
	assert_int_equal(fixture->links.count, before + 1);
	open_link(fixture, before + 1);
}

static void
bring_up(struct fixture *fixture, size_t call)
{
	connect_link(fixture, call);
	say(fixture, fixture->links.count,
	    "{\"type\":\"hello\",\"num_connections\":1}");
}

static void
send_envelope(struct fixture *fixture, size_t number, const char *id)
{
	char text[128];

	snprintf(text, sizeof text,
	    "{\"envelope_id\":\"%s\",\"type\":\"events_api\"}", id);
	say(fixture, number, text);
}

static int
state_of(struct fixture *fixture, size_t number)
{
	return find_link(fixture, number)->state;
}

/* --- cases ----------------------------------------------------------------*/

static void
acknowledges_on_the_link_that_brought_it(void **state)
{
	struct fixture *fixture = *state;
	struct socket_mode_origin first;

	begin(fixture, 2);
	bring_up(fixture, 1);
	bring_up(fixture, 2);
	assert_int_equal(fixture->gaps, 1);
	send_envelope(fixture, 1, "one");
	first = fixture->origin;
	send_envelope(fixture, 2, "two");
	socket_mode_acknowledge(fixture->mode, &fixture->origin);
	assert_string_equal(buffer_string(&find_link(fixture, 2)->sent),
	    "{\"envelope_id\":\"two\"}");
	assert_int_equal(find_link(fixture, 1)->sent.length, 0);
	end_link(fixture, 1);
	bring_up(fixture, 3);
	socket_mode_acknowledge(fixture->mode, &first);
	assert_int_equal(find_link(fixture, 3)->sent.length, 0);
}

static void
closes_the_old_one_after_the_hello_of_the_new_one(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 1);
	bring_up(fixture, 1);
	disconnect(fixture, 1, "refresh_requested");
	connect_link(fixture, 2);
	assert_int_equal(state_of(fixture, 1), OPEN);
	send_envelope(fixture, 1, "late");
	socket_mode_acknowledge(fixture->mode, &fixture->origin);
	assert_true(find_link(fixture, 1)->sent.length > 0);
	say(fixture, 2, "{\"type\":\"hello\"}");
	assert_int_equal(state_of(fixture, 1), CLOSING);
	assert_int_equal(state_of(fixture, 2), OPEN);
	end_link(fixture, 1);
	assert_int_equal(fixture->gaps, 1);	/* that of the start */
}

static void
keeps_the_old_one_for_the_acks_it_is_owed(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 1);
	bring_up(fixture, 1);
	disconnect(fixture, 1, "warning");
	send_envelope(fixture, 1, "owed");
	bring_up(fixture, 2);
	assert_int_equal(state_of(fixture, 1), OPEN);
	socket_mode_acknowledge(fixture->mode, &fixture->origin);
	assert_string_equal(buffer_string(&find_link(fixture, 1)->sent),
	    "{\"envelope_id\":\"owed\"}");
	assert_int_equal(state_of(fixture, 1), CLOSING);
}

static void
starts_one_replacement_whatever_triggers(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 1);
	bring_up(fixture, 1);
	disconnect(fixture, 1, "warning");
	disconnect(fixture, 1, "refresh_requested");
	disconnect(fixture, 1, "something_new");
	await(fixture, &fixture->api.count, 2);
	disconnect(fixture, 1, "warning");
	end_link(fixture, 1);
	pass(fixture, 50);
	assert_int_equal(fixture->api.count, 2);
	bring_up(fixture, 2);
	pass(fixture, 50);
	assert_int_equal(fixture->api.count, 2);
	assert_int_equal(fixture->gaps, 3);	/* at once, and again */
}

static void
repairs_at_once_and_then_with_pauses(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 1);
	bring_up(fixture, 1);
	pass(fixture, 2 * STABLE_MS);
	find_link(fixture, 1)->silent_ms = 0;
	end_link(fixture, 1);
	pass(fixture, 20);
	assert_int_equal(fixture->api.count, 2);
	for (size_t i = 2; i < 12; i++)
		answer(fixture, i, SLACK_RETRY, "internal_error");
	bring_up(fixture, 12);
	assert_int_equal(state_of(fixture, 2), OPEN);
}

static void
uses_each_url_once(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 1);
	answer(fixture, 1, SLACK_OK, "wss://a.example/?ticket=1");
	end_link(fixture, 1);	/* a refused upgrade */
	answer(fixture, 2, SLACK_OK, "wss://a.example/?ticket=2");
	assert_string_equal(find_link(fixture, 2)->url,
	    "wss://a.example/?ticket=2");
}

static void
takes_encrypted_urls_only(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 1);
	answer(fixture, 1, SLACK_OK, "ws://a.example/?ticket=1");
	answer(fixture, 2, SLACK_OK, "wss://a.example/?ticket=2");
	assert_int_equal(fixture->links.count, 1);
	assert_string_equal(find_link(fixture, 1)->url,
	    "wss://a.example/?ticket=2");
}

static void
gives_up_one_that_says_no_hello(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 1);
	connect_link(fixture, 1);
	pass(fixture, HELLO_MS / 2);
	assert_int_equal(state_of(fixture, 1), OPEN);
	pass(fixture, HELLO_MS);
	assert_int_equal(state_of(fixture, 1), CLOSING);
	end_link(fixture, 1);
	bring_up(fixture, 2);
}

static void
replaces_a_dead_one_and_tells_since_when(void **state)
{
	struct fixture *fixture = *state;
	struct link *link;
	int64_t now_us;

	begin(fixture, 2);
	bring_up(fixture, 1);
	bring_up(fixture, 2);
	link = find_link(fixture, 1);
	await(fixture, &link->pings, 2);
	assert_false(link->is_dropped);
	link->silent_ms = PING_MS * 12 / 5;
	await(fixture, &fixture->api.count, 3);
	assert_true(link->is_dropped);
	assert_int_equal(state_of(fixture, 2), OPEN);
	assert_int_equal(fixture->gaps, 2);	/* told at once, and again */
	now_us = clock_now_us();
	bring_up(fixture, 3);
	assert_int_equal(fixture->gaps, 3);
	assert_in_range(now_us - fixture->gap_since_us, 1000 * PING_MS / 2,
	    1000 * PING_MS * 6);
}

static void
tells_no_gap_while_another_one_is_live(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 2);
	bring_up(fixture, 1);
	bring_up(fixture, 2);
	end_link(fixture, 1);
	bring_up(fixture, 3);
	assert_int_equal(fixture->gaps, 1);
	end_link(fixture, 2);
	end_link(fixture, 3);
	bring_up(fixture, 4);
	bring_up(fixture, 5);
	assert_int_equal(fixture->gaps, 3);
}

static void
does_not_storm_when_switched_off_or_too_many(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 3);
	bring_up(fixture, 1);
	bring_up(fixture, 2);
	answer(fixture, 3, SLACK_FORBIDDEN, "socket_mode_disabled");
	disconnect(fixture, 1, "link_disabled");
	disconnect(fixture, 2, "too_many_websockets");
	assert_int_equal(state_of(fixture, 1), CLOSING);
	assert_int_equal(state_of(fixture, 2), CLOSING);
	end_link(fixture, 1);
	end_link(fixture, 2);
	pass(fixture, 400);
	assert_int_equal(fixture->api.count, 3);
	assert_int_equal(fixture->failures, 0);
}

static void
stops_for_good_where_slack_will_not_have_us(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 2);
	bring_up(fixture, 1);
	answer(fixture, 2, SLACK_FORBIDDEN, "token_revoked");
	assert_string_equal(fixture->sentence,
	    "SLACK_APP_TOKEN: token_revoked");
	assert_int_equal(state_of(fixture, 1), CLOSING);
	end_link(fixture, 1);
	pass(fixture, 300);
	assert_int_equal(fixture->api.count, 2);
	assert_int_equal(fixture->failures, 1);
}

static void
says_goodbye_to_all(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 3);
	bring_up(fixture, 1);
	connect_link(fixture, 2);
	await(fixture, &fixture->api.count, 3);
	socket_mode_stop(fixture->mode);
	assert_true(fixture->api.all[2].is_over);
	assert_int_equal(state_of(fixture, 1), CLOSING);
	assert_int_equal(state_of(fixture, 2), CLOSING);
	assert_false(socket_mode_is_stopped(fixture->mode));
	end_link(fixture, 1);
	end_link(fixture, 2);
	assert_true(socket_mode_is_stopped(fixture->mode));
}

static void
never_has_three_for_one_place(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 1);
	bring_up(fixture, 1);
	disconnect(fixture, 1, "warning");
	bring_up(fixture, 2);			/* 1 is closing */
	disconnect(fixture, 2, "warning");
	pass(fixture, 400);
	assert_int_equal(fixture->api.count, 2);
	end_link(fixture, 1);
	bring_up(fixture, 3);
	assert_int_equal(state_of(fixture, 2), CLOSING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		CASE(acknowledges_on_the_link_that_brought_it),
		CASE(closes_the_old_one_after_the_hello_of_the_new_one),
		CASE(keeps_the_old_one_for_the_acks_it_is_owed),
		CASE(starts_one_replacement_whatever_triggers),
		CASE(repairs_at_once_and_then_with_pauses),
		CASE(uses_each_url_once),
		CASE(takes_encrypted_urls_only),
		CASE(gives_up_one_that_says_no_hello),
		CASE(replaces_a_dead_one_and_tells_since_when),
		CASE(tells_no_gap_while_another_one_is_live),
		CASE(does_not_storm_when_switched_off_or_too_many),
		CASE(stops_for_good_where_slack_will_not_have_us),
		CASE(says_goodbye_to_all),
		CASE(never_has_three_for_one_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
