#include "slot.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "buffer.h"
#include "clock.h"
#include "memory.h"
#include "record.h"
#include "socket_message.h"

#define METHOD "apps.connections.open"
#define APP_TOKEN "SLACK_APP_TOKEN"
#define BACKOFF_FIRST_MS 1000
#define REFRESH_MOST_MS 5000	/* within the 10 s after a warning */
#define REFRESHES_QUICK 4	/* in a row; then patience is due */
#define DISABLED_FIRST_MS 60000
#define DISABLED_MOST_MS 600000
#define TOO_MANY_FIRST_MS 30000
#define TOO_MANY_MOST_MS 300000
#define LAST_ACKS_MS 1000
#define DEAD(ping_ms) ((ping_ms) * 12 / 5)	/* 60 s for pings of 25 s */
#define LIFETIME_LEAST_S 120	/* nothing to plan below that */
#define LIFETIME_MARGIN_S 60
#define JITTER_MOST_S 300

/* Of opening a connection; the one that is live goes on meanwhile. */
enum opening {
	RESTING,		/* nothing to do */
	WAITING,		/* a pause */
	CLEARING,		/* until the old connection is gone */
	ASKING,			/* apps.connections.open */
	CONNECTING,
	GREETING,		/* the hello is awaited */
};

/* What became of a connection after its hello. */
struct connection {
	struct slot *slot;
	struct link *link;	/* NULL: there is none */
	uint64_t number;
	int64_t lifetime_s;
	int64_t proven_us;	/* alive, by the clock of the day */
	size_t unanswered;	/* envelopes */
	struct timer timer;	/* its next ping, or the end of its last acks */
};

struct slot {
	struct slot_settings settings;
	bool is_closed;		/* no more is opened */
	bool is_switched_off;	/* by a person, as Slack said */

	enum opening opening;
	struct timer pause;	/* of WAITING; the hello's time of GREETING */
	bool is_refresh;	/* what is awaited is no repair */
	struct slack_call *call;

	/* the one that is opened, the one that is used, the one that goes */
	struct connection coming;
	struct connection live;
	struct connection leaving;

	struct timer refresh;	/* before the lifetime ends */
	struct timer stable;	/* after hello */
	struct backoff repairs;
	struct backoff refreshes;
	struct backoff disabled;
	struct backoff too_many;
	bool is_alone;		/* no overlap: there were too many */
};

static void begin(struct slot *slot);
static const struct link_events link_events;

static void
set_timer(struct slot *slot, struct timer *timer, int64_t delay_ms)
{
	timers_set(slot->settings.mode->timers, timer, delay_ms);
}

static void
cancel_timer(struct slot *slot, struct timer *timer)
{
	timers_cancel(slot->settings.mode->timers, timer);
}

/* Take the connection out of its place; its link is the caller's. */
static struct link *
take_link(struct connection *connection)
{
	struct link *link = connection->link;

	cancel_timer(connection->slot, &connection->timer);
	connection->link = NULL;
	connection->unanswered = 0;
	return link;
}

static void
drop(struct connection *connection)
{
	struct link *link = take_link(connection);

	if (link != NULL)
		link_drop(link);
}

static struct connection *
find_connection(struct slot *slot, const struct link *link)
{
	struct connection *all[] = { &slot->coming, &slot->live,
	    &slot->leaving };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (all[i]->link == link)
			return all[i];
	return NULL;
}

/* --- pauses ---------------------------------------------------------------*/

static void
wait_ms(struct slot *slot, int64_t pause_ms)
{
	slot->opening = WAITING;
	set_timer(slot, &slot->pause, pause_ms);
}

/* Open another one after a pause that grows while it goes wrong. */
static int64_t
repair(struct slot *slot, int64_t least_ms)
{
	int64_t pause_ms = backoff_next_ms(&slot->repairs);

	if (pause_ms < least_ms)
		pause_ms = least_ms;
	slot->is_refresh = false;
	wait_ms(slot, pause_ms);
	return pause_ms;
}

/* Half of the pause is fixed, for Slack asks for patience there. */
static int64_t
measure_patience_ms(struct backoff *backoff)
{
	int64_t doubled_ms = backoff->first_ms;

	for (unsigned i = 0; i < backoff->failures; i++)
		if (doubled_ms < backoff->most_ms)
			doubled_ms *= 2;
	if (doubled_ms > backoff->most_ms)
		doubled_ms = backoff->most_ms;
	if (backoff->failures < 16)
		backoff->failures++;
	return doubled_ms + arc4random_uniform(
	    (uint32_t)(backoff->first_ms / 4));
}

/* The connection in use goes on until the new one has said hello. */
static void
refresh(struct slot *slot)
{
	if (slot->is_closed || slot->opening != RESTING)
		return;
	slot->is_refresh = true;
	if (slot->refreshes.failures >= REFRESHES_QUICK)
		slot->refreshes.most_ms = slot->settings.mode->backoff_most_ms;
	wait_ms(slot, backoff_next_ms(&slot->refreshes));
}

/* The one in use is gone: no more patience than needed. */
static void
replace(struct slot *slot, const char *reason)
{
	if (slot->is_closed)
		return;
	if (slot->opening != RESTING &&
	    !(slot->opening == WAITING && slot->is_refresh)) {
		warnx("connection %zu: %s", slot->settings.number, reason);
		return;
	}
	warnx("connection %zu: %s; next try in %.1f s", slot->settings.number,
	    reason, (double)repair(slot, 0) / 1000);
}

static void
reset_backoff(void *arg)
{
	struct slot *slot = arg;

	slot->repairs.failures = 0;
	slot->refreshes.failures = 0;
	slot->refreshes.most_ms = REFRESH_MOST_MS;
	slot->disabled.failures = 0;
	slot->too_many.failures = 0;
	slot->is_alone = false;
}

/* --- closing --------------------------------------------------------------*/

static void
finish_leaving(void *arg)
{
	struct connection *leaving = arg;

	cancel_timer(leaving->slot, &leaving->timer);
	link_close(leaving->link);
}

/* Go on reading for the acks that are owed; then say goodbye. */
static void
leave(struct slot *slot, bool is_at_once)
{
	struct connection *leaving = &slot->leaving;

	if (slot->live.link == NULL)
		return;
	drop(leaving);
	leaving->unanswered = slot->live.unanswered;
	leaving->number = slot->live.number;
	leaving->link = take_link(&slot->live);
	cancel_timer(slot, &slot->refresh);
	if (is_at_once || leaving->unanswered == 0)
		link_close(leaving->link);
	else
		set_timer(slot, &leaving->timer, LAST_ACKS_MS);
}

/* Slack may count one that has not said hello: it gets a goodbye, too. */
static void
dismiss(struct slot *slot)
{
	if (slot->opening == GREETING && slot->leaving.link == NULL &&
	    slot->coming.link != NULL) {
		slot->leaving.number = slot->coming.number;
		slot->leaving.link = take_link(&slot->coming);
		link_close(slot->leaving.link);
	}
	drop(&slot->coming);
}

static void
end_attempt(struct slot *slot)
{
	cancel_timer(slot, &slot->pause);
	if (slot->call != NULL)
		slack_api_cancel(slot->call);
	slot->call = NULL;
	dismiss(slot);
	slot->opening = RESTING;
}

static void
fail_attempt(struct slot *slot, const char *reason, int64_t least_ms)
{
	int64_t pause_ms;

	end_attempt(slot);
	pause_ms = repair(slot, least_ms);
	warnx("connection %zu: %s; next try in %.1f s", slot->settings.number,
	    reason, (double)pause_ms / 1000);
}

/* --- life -----------------------------------------------------------------*/

/* A pong should come each ping_ms: what is silent for longer may be dead. */
static bool
is_doubtful(const struct slot *slot)
{
	return link_silent_ms(slot->live.link) >
	    slot->settings.mode->ping_ms * 3 / 2;
}

/*
 * Note that the live connection was heard. Between two such times lies a ping,
 * or the machine slept, which neither the steady clock nor the kernel counts:
 * then what came meanwhile is missing.
 */
static void
note_life(struct slot *slot, int64_t silent_ms)
{
	struct connection *live = &slot->live;
	int64_t now_us = clock_now_us();
	int64_t before_us = live->proven_us;

	live->proven_us = now_us - silent_ms * 1000;
	if (before_us != 0 &&
	    now_us - before_us > 2 * DEAD(slot->settings.mode->ping_ms) * 1000)
		slot->settings.died(before_us, slot->settings.arg);
}

static void
declare_dead(struct slot *slot, int64_t silent_ms)
{
	int64_t since_us = slot->live.proven_us;
	char reason[160];

	snprintf(reason, sizeof reason, "dead, %.100s was not heard for %"
	    PRId64 " s", link_host(slot->live.link), silent_ms / 1000);
	drop(&slot->live);
	cancel_timer(slot, &slot->refresh);
	cancel_timer(slot, &slot->stable);
	slot->settings.died(since_us, slot->settings.arg);
	replace(slot, reason);
}

/* Ping, and look for a sign of life since the last time. */
static void
check_life(void *arg)
{
	struct connection *live = arg;
	struct slot *slot = live->slot;
	int64_t ping_ms = slot->settings.mode->ping_ms;
	int64_t silent_ms = link_silent_ms(live->link);
	int64_t left_ms = DEAD(ping_ms) - silent_ms;

	if (left_ms <= 0) {
		declare_dead(slot, silent_ms);
		return;
	}
	note_life(slot, silent_ms);
	link_ping(live->link);
	set_timer(slot, &live->timer, left_ms < ping_ms ? left_ms : ping_ms);
}

/* The hours after which Slack closes are shortened differently for each. */
static void
plan_refresh(struct slot *slot, int64_t lifetime_s)
{
	int64_t span_s = lifetime_s - LIFETIME_MARGIN_S;
	int64_t jitter_s = span_s / 4 < JITTER_MOST_S ? span_s / 4
	    : JITTER_MOST_S;

	if (lifetime_s < LIFETIME_LEAST_S)
		return;
	set_timer(slot, &slot->refresh, span_s * 1000 -
	    arc4random_uniform((uint32_t)(jitter_s * 1000)));
}

static void
refresh_as_planned(void *arg)
{
	refresh(arg);
}

/* The new one takes the place of the old one, which is closed. */
static void
take_over(struct slot *slot)
{
	bool was_live = slot->live.link != NULL;

	if (was_live && is_doubtful(slot))
		slot->settings.died(slot->live.proven_us, slot->settings.arg);
	cancel_timer(slot, &slot->pause);
	leave(slot, false);
	slot->live.number = slot->coming.number;
	slot->live.unanswered = slot->coming.unanswered;
	slot->live.link = take_link(&slot->coming);
	slot->live.proven_us = clock_now_us();
	slot->opening = RESTING;
	set_timer(slot, &slot->live.timer, slot->settings.mode->ping_ms);
	set_timer(slot, &slot->stable, slot->settings.mode->stable_ms);
	warnx("connection %zu: %s %s", slot->settings.number,
	    was_live ? "refreshed," : "connected to",
	    link_host(slot->live.link));
}

static void
take_hello(struct connection *connection,
    const struct socket_message *message)
{
	struct slot *slot = connection->slot;

	if (connection != &slot->coming || slot->opening != GREETING)
		return;
	take_over(slot);
	slot->is_switched_off = false;
	plan_refresh(slot, message->lifetime_s);
	slot->settings.greeted(message->connections, slot->settings.arg);
}

/* --- disconnects ----------------------------------------------------------*/

/* It will not do to have a second one now, nor to ask for one soon. */
static void
retire(struct connection *connection, const char *reason, int64_t pause_ms)
{
	struct slot *slot = connection->slot;

	if (connection == &slot->coming) {
		fail_attempt(slot, reason, pause_ms);
		return;
	}
	if (connection != &slot->live)
		return;
	leave(slot, true);
	cancel_timer(slot, &slot->stable);
	slot->settings.lost(slot->live.proven_us, slot->settings.arg);
	fail_attempt(slot, reason, pause_ms);
}

static void
take_disconnect(struct connection *connection, enum socket_end end)
{
	struct slot *slot = connection->slot;

	switch (end) {
	case SOCKET_END_REFRESH:
		if (connection == &slot->live)
			refresh(slot);
		else if (connection == &slot->coming)
			fail_attempt(slot, "refused before its hello", 0);
		break;
	case SOCKET_END_DISABLED:
		slot->is_switched_off = true;
		retire(connection, "Socket Mode is switched off for this app,"
		    " see its settings at api.slack.com/apps",
		    measure_patience_ms(&slot->disabled));
		break;
	case SOCKET_END_TOO_MANY:
		slot->is_alone = true;
		retire(connection, "the app has more connections open than"
		    " Slack allows (10): is it running elsewhere, too?",
		    measure_patience_ms(&slot->too_many));
		break;
	}
}

/* --- what a link tells ----------------------------------------------------*/

static void
end_pause(void *arg)
{
	struct slot *slot = arg;

	if (slot->opening == WAITING)
		begin(slot);
	else
		fail_attempt(slot, "no hello in time", 0);
}

static void
take_opened(struct link *link, void *arg)
{
	struct slot *slot = arg;

	(void)link;
	slot->opening = GREETING;
	set_timer(slot, &slot->pause, slot->settings.mode->hello_ms);
}

static void
take_envelope(struct connection *connection,
    const struct socket_message *message, const char *text, size_t length)
{
	const struct socket_mode_settings *mode =
	    connection->slot->settings.mode;
	struct socket_mode_origin origin = { .link = connection->number };

	strcpy(origin.envelope_id, message->envelope_id);
	connection->unanswered++;
	mode->envelope(&origin, text, length, mode->arg);
}

static void
take_message(struct link *link, const char *text, size_t length, void *arg)
{
	struct slot *slot = arg;
	struct connection *connection = find_connection(slot, link);
	struct socket_message message;

	if (connection == NULL)
		return;
	socket_message_read(&message, slot->settings.record, text, length);
	switch (message.kind) {
	case SOCKET_HELLO:
		take_hello(connection, &message);
		break;
	case SOCKET_DISCONNECT:
		take_disconnect(connection, message.end);
		break;
	case SOCKET_ENVELOPE:
		take_envelope(connection, &message, text, length);
		break;
	case SOCKET_OTHER:
		break;
	case SOCKET_GARBLED:
	case SOCKET_BAD_ID:
		slot->settings.puzzled(slot->settings.arg);
		break;
	}
}

static void
take_loss(struct slot *slot, const char *reason)
{
	int64_t since_us = slot->live.proven_us;
	bool was_dead = is_doubtful(slot);
	char line[256];

	take_link(&slot->live);
	cancel_timer(slot, &slot->refresh);
	cancel_timer(slot, &slot->stable);
	if (was_dead)
		slot->settings.died(since_us, slot->settings.arg);
	else
		slot->settings.lost(since_us, slot->settings.arg);
	snprintf(line, sizeof line, "lost, %s", reason);
	replace(slot, line);
}

static void
take_closed(struct link *link, const char *reason, int http_status, void *arg)
{
	struct slot *slot = arg;
	struct connection *connection = find_connection(slot, link);

	(void)http_status;
	if (connection == &slot->coming) {
		take_link(connection);
		fail_attempt(slot, reason, 0);
	} else if (connection == &slot->live) {
		take_loss(slot, reason);
	} else if (connection == &slot->leaving) {
		take_link(connection);
		if (slot->opening == CLEARING)
			begin(slot);
	}
}

static const struct link_events link_events = {
	.opened = take_opened,
	.received = take_message,
	.closed = take_closed,
};

/* --- opening --------------------------------------------------------------*/

/* Without another server than Slack's, a URL must be an encrypted one. */
static void
connect_to(struct slot *slot, const char *url)
{
	const struct socket_mode_settings *mode = slot->settings.mode;

	if (url != NULL && (mode->takes_any_url ||
	    strncmp(url, "wss://", strlen("wss://")) == 0))
		slot->coming.link = links_connect(mode->links, url,
		    &link_events, slot);
	if (slot->coming.link == NULL) {
		fail_attempt(slot, METHOD " gave no URL to connect to", 0);
		return;
	}
	slot->coming.number = (*slot->settings.next_link)++;
	slot->opening = CONNECTING;
}

static void
refuse(struct slot *slot, const struct slack_reply *reply)
{
	struct buffer sentence = { 0 };

	slack_api_advise(&sentence, METHOD, APP_TOKEN, reply->error,
	    reply->needed);
	slot->opening = RESTING;
	slot->settings.failed(buffer_string(&sentence), slot->settings.arg);
	buffer_free(&sentence);
}

/* No word of the documents says how Slack answers while it is off. */
static bool
is_switched_off(const char *error)
{
	return strcmp(error, "link_disabled") == 0 ||
	    strncmp(error, "socket_mode_", strlen("socket_mode_")) == 0;
}

static void
take_reply(const struct slack_reply *reply, void *arg)
{
	struct slot *slot = arg;
	char reason[160];

	slot->call = NULL;
	if (reply->verdict == SLACK_OK) {
		connect_to(slot, json_string(reply->json, "url"));
		return;
	}
	if (reply->verdict == SLACK_FORBIDDEN &&
	    !is_switched_off(reply->error)) {
		refuse(slot, reply);
		return;
	}
	snprintf(reason, sizeof reason, METHOD ": %.100s", reply->error);
	slot->is_switched_off = is_switched_off(reply->error);
	fail_attempt(slot, reason, slot->is_switched_off
	    ? measure_patience_ms(&slot->disabled) : 0);
}

/*
 * At most two connections: while one is going, or when a second one is not
 * allowed, the next is opened after it.
 */
static void
begin(struct slot *slot)
{
	const struct socket_mode_settings *mode = slot->settings.mode;
	const struct slack_request request = { .method = METHOD,
	    .token = mode->app_token };

	if (slot->is_alone && slot->live.link != NULL) {
		leave(slot, true);
		slot->settings.lost(slot->live.proven_us, slot->settings.arg);
	}
	if (slot->leaving.link != NULL) {
		slot->opening = CLEARING;
		finish_leaving(&slot->leaving);
		return;
	}
	slot->opening = ASKING;
	slot->call = slack_api_call(mode->api, &request, take_reply, slot);
}

struct slot *
slot_new(const struct slot_settings *settings)
{
	struct slot *slot = xcalloc(1, sizeof *slot);
	int64_t most_ms = settings->mode->backoff_most_ms;

	slot->settings = *settings;
	slot->coming.slot = slot->live.slot = slot->leaving.slot = slot;
	slot->live.timer = (struct timer){ .due = check_life,
	    .arg = &slot->live };
	slot->leaving.timer = (struct timer){ .due = finish_leaving,
	    .arg = &slot->leaving };
	slot->pause = (struct timer){ .due = end_pause, .arg = slot };
	slot->refresh = (struct timer){ .due = refresh_as_planned,
	    .arg = slot };
	slot->stable = (struct timer){ .due = reset_backoff, .arg = slot };
	slot->repairs = (struct backoff){ .first_ms = BACKOFF_FIRST_MS,
	    .most_ms = most_ms };
	slot->refreshes = (struct backoff){ .first_ms = BACKOFF_FIRST_MS,
	    .most_ms = most_ms < REFRESH_MOST_MS ? most_ms : REFRESH_MOST_MS };
	slot->disabled = (struct backoff){ .first_ms = DISABLED_FIRST_MS,
	    .most_ms = DISABLED_MOST_MS };
	slot->too_many = (struct backoff){ .first_ms = TOO_MANY_FIRST_MS,
	    .most_ms = TOO_MANY_MOST_MS };
	return slot;
}

void
slot_free(struct slot *slot)
{
	if (slot == NULL)
		return;
	end_attempt(slot);
	drop(&slot->live);
	drop(&slot->leaving);
	cancel_timer(slot, &slot->refresh);
	cancel_timer(slot, &slot->stable);
	free(slot);
}

void
slot_open(struct slot *slot)
{
	if (slot->opening == RESTING && !slot->is_closed)
		repair(slot, 0);
}

bool
slot_is_live(const struct slot *slot)
{
	return slot->live.link != NULL;
}

bool
slot_is_switched_off(const struct slot *slot)
{
	return slot->is_switched_off;
}

size_t
slot_connections(const struct slot *slot)
{
	return (slot->live.link != NULL) + (slot->leaving.link != NULL) +
	    (slot->coming.link != NULL);
}

size_t
slot_greeted_connections(const struct slot *slot)
{
	return (slot->live.link != NULL) + (slot->leaving.link != NULL);
}

void
slot_refresh(struct slot *slot)
{
	if (slot->live.link != NULL)
		refresh(slot);
}

static void
acknowledge(struct connection *connection, const char *envelope_id)
{
	char ack[SOCKET_ENVELOPE_ID_BYTES + 32];
	int length = snprintf(ack, sizeof ack, "{\"envelope_id\":\"%s\"}",
	    envelope_id);

	link_send(connection->link, ack, (size_t)length);
	if (connection->unanswered > 0)
		connection->unanswered--;
	if (connection == &connection->slot->leaving &&
	    connection->unanswered == 0)
		finish_leaving(connection);
}

bool
slot_acknowledge(struct slot *slot, const struct socket_mode_origin *origin)
{
	struct connection *all[] = { &slot->live, &slot->leaving,
	    &slot->coming };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (all[i]->link != NULL && all[i]->number == origin->link) {
			acknowledge(all[i], origin->envelope_id);
			return true;
		}
	return false;
}

void
slot_close(struct slot *slot)
{
	slot->is_closed = true;
	end_attempt(slot);
	if (slot->leaving.link != NULL)
		finish_leaving(&slot->leaving);
	if (slot->live.link != NULL)
		link_close(slot->live.link);
	cancel_timer(slot, &slot->live.timer);
	cancel_timer(slot, &slot->refresh);
	cancel_timer(slot, &slot->stable);
}
