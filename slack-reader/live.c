#include "live.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "backfill.h"
#include "clock.h"
#include "delivery.h"
#include "directory.h"
#include "door.h"
#include "events.h"
#include "identity.h"
#include "inbox.h"
#include "journal.h"
#include "links.h"
#include "memory.h"
#include "outlet.h"
#include "seen.h"
#include "signals.h"
#include "slack_api.h"
#include "socket_mode.h"
#include "stamp.h"
#include "status.h"
#include "timers.h"

#define SEEN_SPAN_S (6 * 3600)
#define RECALL_S (24 * 3600)	/* for the threads of a day */
#define SEEN_MOST (1 << 20)
#define MMAP_BYTES (256 * 1024)
#define LINE_KEPT_BYTES (1 << 20)	/* of the buffer between two lines */
#define JOURNAL_EXPIRE_MS (10 * 60 * 1000)

/* Slack sends again what it thinks undelivered, 6 minutes later at most. */
#define BACKFILL_MARGIN_US (7 * 60 * INT64_C(1000000))

/* While others take part of the events, history is read that often: 5 minutes
 * for pings of 25 s. */
#define CATCH_UP_PINGS 12
#define RECOUNT_CATCH_UPS 3	/* then Slack is made to count anew */

#define MINUTE_US INT64_C(60000000)

#define HELLO_MS 12000
#define STABLE_MS 30000
#define BACKOFF_MOST_MS 60000

struct live {
	const struct live_options *options;
	char *journal_path;
	char *names_path;
	char *backfill_path;

	int set;
	struct event signals;
	struct timers *timers;
	struct timer expiry;
	struct timer catch_up;
	struct timer again;		/* what Slack withheld */
	int64_t again_since_us;
	struct timer news;		/* for the status */
	unsigned catch_ups;		/* in a row */

	struct journal *journal;
	struct seen *seen;
	struct seen *inbox_ids;
	struct slack_api *api;
	struct identity *identity;
	struct directory *directory;
	struct backfill *backfill;
	struct links *links;
	struct socket_mode *socket_mode;
	struct inbox *inbox;
	struct door *door;
	struct outlet *outlet;
	struct status *news_file;

	struct delivery_reader *deliveries;
	struct record *fetched;		/* a message of Slack's history */
	struct buffer line;
	int64_t last_received_us;	/* of the journal at the start, or 0 */
	bool is_connected;		/* was once */
	bool is_leaving;
	int status;			/* EX_OK while all is well */
};

/* --- what comes in --------------------------------------------------------*/

/* What comes after now comes live. */
static void
request_since(struct live *live, int64_t since_us)
{
	backfill_request_range(live->backfill, since_us,
	    door_slack_now(live->door) + 60 * MINUTE_US);
}

/* What is withheld later in that minute is fetched when it is over. */
static void
fetch_withheld(struct live *live, int64_t minute_us)
{
	int64_t left_us = minute_us + 2 * MINUTE_US - clock_now_us();

	request_since(live, minute_us - MINUTE_US);
	if (!live->again.is_set || minute_us < live->again_since_us)
		live->again_since_us = minute_us;
	timers_set(live->timers, &live->again,
	    (left_us > MINUTE_US / 6 ? left_us : MINUTE_US / 6) / 1000);
}

static void
fetch_again(void *arg)
{
	struct live *live = arg;

	request_since(live, live->again_since_us - MINUTE_US);
}

static void
take_rate_limit(struct live *live, const struct delivery *delivery,
    const struct arrival_origin *origin)
{
	struct buffer reason = { 0 };
	char minute[CLOCK_TEXT_BYTES], key[CLOCK_TEXT_BYTES + 32];

	clock_format(delivery->minute * 1000000, minute);
	snprintf(key, sizeof key, "app_rate_limited:%s", minute);
	buffer_printf(&reason, "Slack withheld events of the minute %s"
	    " (app_rate_limited: over 30,000 in an hour); messages are fetched"
	    " from its history", minute);
	door_report(live->door, &(struct trouble){
	    .reason = buffer_string(&reason), .event_id = key,
	    .origin = *origin });
	buffer_free(&reason);
	fetch_withheld(live, delivery->minute * 1000000);
}

static void
take_envelope(const struct socket_mode_origin *socket, const char *text,
    size_t length, void *arg)
{
	struct live *live = arg;
	struct arrival_origin origin = { .kind = FROM_SLACK,
	    .socket = *socket };
	struct delivery delivery;
	struct arrival arrival;

	delivery_read(live->deliveries, text, length, &delivery);
	switch (delivery.kind) {
	case DELIVERY_EVENT:
		arrival = (struct arrival){ .text = delivery.text,
		    .length = delivery.length, .origin = origin };
		if (delivery.event_id[0] != '\0')
			arrival.event_id = delivery.event_id;
		door_take(live->door, &arrival);
		break;
	case DELIVERY_RATE_LIMIT:
		take_rate_limit(live, &delivery, &origin);
		break;
	case DELIVERY_NOTHING:
		socket_mode_acknowledge(live->socket_mode, socket);
		break;
	}
}

static void
take_inbox_line(const struct inbox_line *line, void *arg)
{
	struct live *live = arg;
	struct arrival arrival = {
		.text = line->text,
		.length = line->length,
		.origin = { .kind = FROM_INBOX, .client = line->client },
	};

	door_take(live->door, &arrival);
}

/* A message of the history lacks what an event says of its channel. */
static bool
take_fetched(const struct backfill_message *message, void *arg)
{
	struct live *live = arg;
	struct record *record = live->fetched;
	struct arrival arrival = { .is_backfill = true };

	if (!door_has_room(live->door))
		return false;
	if (record_parse(record, message->text, message->length) == -1)
		return true;
	if (record_get(record, RECORD_CHANNEL) == NULL)
		record_add_string(record, RECORD_CHANNEL, message->channel);
	if (record_get(record, RECORD_CHANNEL_TYPE) == NULL)
		record_add_string(record, RECORD_CHANNEL_TYPE,
		    message->channel_type);
	live->line.length = 0;
	record_write(record, &live->line);
	arrival.text = live->line.data;
	arrival.length = live->line.length - 1;
	door_take(live->door, &arrival);
	if (live->line.capacity > LINE_KEPT_BYTES)
		buffer_free(&live->line);
	return true;
}

static bool
is_fetched_safe(void *arg)
{
	const struct live *live = arg;

	return door_is_safe(live->door);
}

static void
report_lost(const char *channel, const char *sentence, void *arg)
{
	struct live *live = arg;

	door_report(live->door, &(struct trouble){ .reason = sentence,
	    .channel = channel });
}

/* --- what becomes of it ---------------------------------------------------*/

static void
accept_arrival(const struct arrival_origin *origin, int64_t seq, void *arg)
{
	struct live *live = arg;

	if (origin->kind == FROM_SLACK)
		socket_mode_acknowledge(live->socket_mode, &origin->socket);
	else if (origin->kind == FROM_INBOX)
		inbox_accept(live->inbox, origin->client, seq);
}

static void
refuse_arrival(const struct arrival_origin *origin, const char *reason,
    void *arg)
{
	struct live *live = arg;

	if (origin->kind == FROM_INBOX)
		inbox_refuse(live->inbox, origin->client, reason);
}

/* Fetch what came since then, a moment of our clock. */
static void
fetch_since(struct live *live, int64_t since_us)
{
	request_since(live,
	    door_slack_time(live->door, since_us) - BACKFILL_MARGIN_US);
}

/* Before the very first connection there was nothing to be missed. */
static void
fill_gap(int64_t since_us, void *arg)
{
	struct live *live = arg;
	bool is_first = !live->is_connected && live->last_received_us == 0;

	live->is_connected = true;
	if (!is_first)
		fetch_since(live, since_us);
}

/* A ghost keeps what it was given; Slack gives up on it after 6 minutes. */
static void
catch_up(void *arg)
{
	struct live *live = arg;
	int64_t pause_ms = CATCH_UP_PINGS * live->options->ping_ms;

	live->catch_ups++;
	if (socket_mode_foreign(live->socket_mode) == 0)
		live->catch_ups = 0;
	else
		fetch_since(live, clock_now_us() - 2 * pause_ms * 1000);
	if (live->catch_ups == RECOUNT_CATCH_UPS) {
		live->catch_ups = 0;
		socket_mode_recount(live->socket_mode);
	}
	timers_set(live->timers, &live->catch_up, pause_ms);
}

static void
notice_event(struct record *event, void *arg)
{
	struct live *live = arg;

	backfill_note(live->backfill, event);
}

static void
reopen(int64_t shut_ms, void *arg)
{
	int64_t shut_for_us = (clock_steady_ms() - shut_ms) * 1000;

	fetch_since(arg, clock_now_us() - shut_for_us);
}

static void
fail(const char *sentence, void *arg)
{
	struct live *live = arg;

	warnx("%s", sentence);
	live->status = EX_CONFIG;
}

static void
connect_sockets(void *arg)
{
	struct live *live = arg;

	socket_mode_start(live->socket_mode);
	timers_set(live->timers, &live->catch_up,
	    CATCH_UP_PINGS * live->options->ping_ms);
}

static void
look_again(void *arg)
{
	struct live *live = arg;

	door_look_again(live->door);
}

/* The turn of the loop that follows does what is to be done. */
static void
wake(void *arg)
{
	(void)arg;
}

static const char *
name_state(const struct live *live)
{
	if (live->status != EX_OK ||
	    socket_mode_is_refused(live->socket_mode))
		return "refused";
	return socket_mode_connections(live->socket_mode) > 0 ? "connected"
	    : "connecting";
}

static void
tell_news(struct live *live)
{
	int64_t left_ms = status_note(live->news_file, &(struct status_news){
	    .slack = name_state(live),
	    .connections = socket_mode_connections(live->socket_mode),
	    .seq = journal_last_seq(live->journal),
	    .is_full = door_is_shut(live->door) });

	if (left_ms >= 0 && !live->news.is_set)
		timers_set(live->timers, &live->news, left_ms);
}

static void
recall_record(struct record *record, void *arg)
{
	struct live *live = arg;
	const char *received = record_string(record, RECORD_RECEIVED);
	int64_t received_us;

	if (received != NULL && clock_parse(received, &received_us) == 0)
		live->last_received_us = received_us;
	door_recall(live->door, record);
	backfill_note(live->backfill, record);
}

static void
note_signals(void *arg)
{
	(void)arg;
	signals_check();
}

static void
expire_journal(void *arg)
{
	struct live *live = arg;

	journal_expire(live->journal);
	timers_set(live->timers, &live->expiry, JOURNAL_EXPIRE_MS);
}

/* --- the whole ------------------------------------------------------------*/

static char *
join_path(const char *folder, const char *name)
{
	struct buffer path = { 0 };

	buffer_printf(&path, "%s/%s", folder, name);
	buffer_string(&path);
	return path.data;
}

static void
open_state(struct live *live)
{
	const char *state = live->options->state;

	if (mkdir(state, 0700) == -1 && errno != EEXIST)
		err(EX_CONFIG, "make the state folder %s", state);
	live->journal_path = join_path(state, "journal");
	live->names_path = join_path(state, "names.ndjson");
	live->backfill_path = join_path(state, "backfill.json");
}

static void
open_loop(struct live *live)
{
	live->set = events_open();
	live->timers = timers_new(live->set);
	live->signals = (struct event){ .fd = signals_descriptor(),
	    .ready = note_signals, .arg = live };
	events_watch(live->set, &live->signals, EPOLLIN);
	live->expiry = (struct timer){ .due = expire_journal, .arg = live };
	live->catch_up = (struct timer){ .due = catch_up, .arg = live };
	live->again = (struct timer){ .due = fetch_again, .arg = live };
	live->news = (struct timer){ .due = wake };
	live->links = links_new(&(struct links_settings){
	    .set = live->set, .timers = live->timers,
	    .ca_file = live->options->ca_file });
}

static void
open_slack(struct live *live)
{
	const struct live_options *options = live->options;

	live->api = slack_api_new(&(struct slack_api_settings){
	    .url = options->api_url, .ca_file = options->ca_file,
	    .set = live->set, .timers = live->timers });
	live->directory = directory_open(&(struct directory_settings){
	    .api = live->api, .timers = live->timers,
	    .bot_token = options->bot_token, .path = live->names_path,
	    .changed = look_again, .arg = live });
	live->identity = identity_new(&(struct identity_settings){
	    .api = live->api, .timers = live->timers,
	    .bot_token = options->bot_token,
	    .known = connect_sockets, .failed = fail, .arg = live });
	live->backfill = backfill_new(&(struct backfill_settings){
	    .api = live->api, .timers = live->timers,
	    .bot_token = options->bot_token, .path = live->backfill_path,
	    .channels = options->channels,
	    .age_max_s = options->backfill_age_s, .take = take_fetched,
	    .is_safe = is_fetched_safe, .lost = report_lost, .arg = live });
	live->socket_mode = socket_mode_new(&(struct socket_mode_settings){
	    .links = live->links, .api = live->api, .timers = live->timers,
	    .app_token = options->app_token,
	    .connections = options->connections,
	    .takes_any_url = options->api_url != NULL,
	    .ping_ms = options->ping_ms, .hello_ms = HELLO_MS,
	    .stable_ms = STABLE_MS, .backoff_most_ms = BACKOFF_MOST_MS,
	    .envelope = take_envelope, .gap = fill_gap, .failed = fail,
	    .arg = live });
}

static struct door *
open_door(struct live *live)
{
	return door_new(&(struct door_settings){
	    .seen = live->seen, .ids = live->inbox_ids, .timers = live->timers,
	    .identity = live->identity, .directory = live->directory,
	    .channels = live->options->channels,
	    .noticed = notice_event, .accepted = accept_arrival,
	    .refused = refuse_arrival, .reopened = reopen, .arg = live });
}

static void
report_short_journal(struct live *live, int64_t last)
{
	struct buffer reason = { 0 };

	buffer_printf(&reason, "the journal ends with record %" PRId64 ", but"
	    " records up to %" PRId64 " have gone out: it was removed or"
	    " damaged, and what came since then can not be told", last,
	    live->options->after);
	report_lost(NULL, buffer_string(&reason), live);
	buffer_free(&reason);
}

/* What the journal tells goes to parts that must be there before it. */
static void
open_journal(struct live *live)
{
	const struct live_options *options = live->options;
	int64_t last;

	live->journal = journal_open(&(struct journal_settings){
	    .folder = live->journal_path,
	    .bytes_max = options->journal_bytes,
	    .age_max_s = options->journal_age_s, .recall_s = RECALL_S,
	    .recall = recall_record, .arg = live });
	last = journal_last_seq(live->journal);
	door_open(live->door, live->journal,
	    (last > options->after ? last : options->after) + 1);
	journal_seek(live->journal,
	    options->after >= 0 ? options->after : INT64_MAX);
	if (options->after > last)
		report_short_journal(live, last);
	if (live->last_received_us > clock_now_us()) {
		warnx("the journal ends in the future: the clock was wrong,"
		    " all messages that are missing are looked for");
		live->last_received_us = clock_now_us() -
		    options->backfill_age_s * 1000000 + BACKFILL_MARGIN_US;
	}
	if (live->last_received_us != 0)
		fetch_since(live, live->last_received_us);
	live->outlet = outlet_new(live->set, live->timers, live->journal);
	expire_journal(live);
}

static void
open_all(struct live *live)
{
	static const char *const none[] = { NULL };

	open_state(live);
	open_loop(live);
	live->news_file = status_new(live->options->status);
	open_slack(live);
	live->deliveries = delivery_reader_new();
	live->fetched = record_new(STAGE, none);
	live->seen = seen_new(SEEN_SPAN_S, SEEN_MOST);
	live->inbox_ids = seen_new(INT64_MAX, DOOR_IDS_LEAST);
	live->door = open_door(live);
	open_journal(live);
	if (live->options->inbox != NULL)
		live->inbox = inbox_open(&(struct inbox_settings){
		    .path = live->options->inbox, .set = live->set,
		    .timers = live->timers,
		    .take = take_inbox_line, .arg = live });
}

static void
close_all(struct live *live)
{
	inbox_free(live->inbox);
	door_free(live->door);
	socket_mode_free(live->socket_mode);
	backfill_free(live->backfill);
	identity_free(live->identity);
	directory_free(live->directory);
	slack_api_free(live->api);
	outlet_free(live->outlet);
	journal_free(live->journal);
	links_free(live->links);
	status_free(live->news_file);
	seen_free(live->seen);
	seen_free(live->inbox_ids);
	delivery_reader_free(live->deliveries);
	record_free(live->fetched);
	timers_free(live->timers);
	close(live->signals.fd);
	close(live->set);
	buffer_free(&live->line);
	free(live->journal_path);
	free(live->names_path);
	free(live->backfill_path);
}

/* Everything that came in is written and told, then nothing more is taken. */
static void
leave(struct live *live)
{
	live->is_leaving = true;
	door_commit(live->door, true);
	inbox_free(live->inbox);
	live->inbox = NULL;
	socket_mode_stop(live->socket_mode);
	outlet_leave(live->outlet);
}

static void
turn(struct live *live)
{
	links_serve(live->links);
	door_commit(live->door, false);
	if (door_has_room(live->door))
		backfill_go_on(live->backfill);
	outlet_write(live->outlet);
	tell_news(live);
	if (!live->is_leaving && (live->status != EX_OK ||
	    outlet_is_over(live->outlet) || signals_want_stop()))
		leave(live);
}

static bool
is_finished(const struct live *live)
{
	return live->is_leaving && outlet_is_over(live->outlet) &&
	    socket_mode_is_stopped(live->socket_mode);
}

int
live_run(const struct live_options *options)
{
	struct live live = { .options = options };
	int status;

	/* Or memory that one large message took would never be given back. */
	mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	open_all(&live);
	while (!is_finished(&live))
		turn(&live);
	status = outlet_close(live.outlet);
	if (live.status == EX_OK)
		live.status = status;
	close_all(&live);
	return live.status;
}
