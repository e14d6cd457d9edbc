#include "door.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sysexits.h>

#include "clock.h"
#include "memory.h"
#include "permalink.h"
#include "slack_time.h"
#include "stamp.h"

/* How far an event may go ahead of those that came just before it. */
#define OVERTAKES_MAX 32

#define LINE_KEPT_BYTES (1 << 20)	/* of the buffer between two lines */

/* So much is carried of what cannot be a record. */
#define BAD_BYTES_MAX 1024

#define ID_RAW_BYTES_MAX (6 * DOOR_ID_BYTES_MAX + 2)	/* with escapes */

#define LAG_MOST_US (2 * 3600 * INT64_C(1000000))

/* While the journal cannot be written it is tried that often, and whenever
 * something comes in. */
#define RETRY_MS 1000

/* Something that waits its turn. Without text it only waits to be told. */
struct guest {
	TAILQ_ENTRY(guest) next;
	char *text;
	size_t length;
	char *event_id;
	char *channel;		/* of the event */
	char *ts;		/* of a new message, else NULL */
	char *id;		/* of the inbox's, or NULL */
	char *type;		/* where it has such an id */
	bool is_backfill;
	bool has_noted_id;	/* as come in, by this one */
	bool has_noted_ts;
	bool has_noted_inbox;
	bool is_own;
	bool is_held;
	struct timer hold;
	struct door *door;
	struct arrival_origin origin;
	int64_t seq;		/* 0 before it is in the journal */
};

TAILQ_HEAD(queue, guest);

struct door {
	struct door_settings settings;
	struct journal *journal;
	struct record *record;
	struct buffer line;
	struct queue waiting;
	struct queue written;	/* to the journal, not yet durable */
	size_t own_count;	/* from nobody, who would ask again */
	int64_t next_seq;
	int64_t lag_us;		/* of the last live message behind its `ts` */
	int64_t shut_ms;	/* when nothing could be written any more, or 0 */
	struct timer retry;	/* while it is shut */
};

static void look_for_room(void *arg);

struct door *
door_new(const struct door_settings *settings)
{
	static const char *const own[] = {
		RECORD_SEQ, RECORD_RECEIVED, RECORD_SOURCE, RECORD_EVENT_ID,
		RECORD_NAMES, RECORD_OWN, RECORD_BACKFILL, RECORD_ADDRESSED,
		RECORD_PERMALINK, NULL
	};
	struct door *door = xcalloc(1, sizeof *door);

	door->settings = *settings;
	door->record = record_new(STAGE, own);
	door->retry = (struct timer){ .due = look_for_room, .arg = door };
	TAILQ_INIT(&door->waiting);
	TAILQ_INIT(&door->written);
	return door;
}

void
door_open(struct door *door, struct journal *journal, int64_t next_seq)
{
	door->journal = journal;
	door->next_seq = next_seq;
}

static void
free_guest(struct guest *guest)
{
	struct door *door = guest->door;

	timers_cancel(door->settings.timers, &guest->hold);
	door->own_count -= guest->origin.kind == FROM_NOBODY;
	free(guest->text);
	free(guest->event_id);
	free(guest->channel);
	free(guest->ts);
	free(guest->id);
	free(guest->type);
	free(guest);
}

static void
free_queue(struct queue *queue)
{
	struct guest *guest;

	while ((guest = TAILQ_FIRST(queue)) != NULL) {
		TAILQ_REMOVE(queue, guest, next);
		free_guest(guest);
	}
}

void
door_free(struct door *door)
{
	if (door == NULL)
		return;
	timers_cancel(door->settings.timers, &door->retry);
	free_queue(&door->waiting);
	free_queue(&door->written);
	record_free(door->record);
	buffer_free(&door->line);
	free(door);
}

static char *
copy_or_null(const char *text)
{
	return text != NULL ? xstrdup(text) : NULL;
}

/*
 * A message of its own, not word about another one: edits and deletions have
 * a `ts` of their own, too.
 */
static bool
is_new_message(struct record *event)
{
	return (record_is(event, RECORD_TYPE, "message") ||
	    record_is(event, RECORD_TYPE, "app_mention")) &&
	    !record_is(event, RECORD_SUBTYPE, "message_changed") &&
	    !record_is(event, RECORD_SUBTYPE, "message_deleted") &&
	    !record_is(event, RECORD_SUBTYPE, "message_replied");
}

/* Nothing that could be read as another one's: \u0000 and U+FFFD are alike. */
static bool
is_plain(const char *text)
{
	size_t length = 0;

	while (length <= DOOR_ID_BYTES_MAX && text[length] > ' ' &&
	    text[length] <= '~')
		length++;
	return length > 0 && length <= DOOR_ID_BYTES_MAX &&
	    text[length] == '\0';
}

/* Under what a record of the inbox comes in once. Borrowed from the record. */
static bool
find_inbox_id(struct record *record, const char **type, const char **id)
{
	const char *raw;
	size_t length;

	if (!record_raw(record, RECORD_ID, &raw, &length) ||
	    length > ID_RAW_BYTES_MAX)
		return false;
	*type = record_string(record, RECORD_TYPE);
	*id = record_string(record, RECORD_ID);
	return *type != NULL && is_plain(*type) && *id != NULL &&
	    is_plain(*id);
}

/* Note it as come in; false where it had come before. */
static bool
note_arrival(struct door *door, struct guest *guest)
{
	struct seen *seen = door->settings.seen;
	int64_t now_s = clock_steady_s();

	if (guest->id != NULL) {
		guest->has_noted_inbox = !seen_note(door->settings.ids,
		    guest->type, guest->id, now_s);
		return guest->has_noted_inbox;
	}
	if (guest->origin.kind == FROM_INBOX)
		return true;
	if (guest->event_id != NULL)
		guest->has_noted_id = !seen_note(seen, guest->event_id, "",
		    now_s);
	if (guest->ts != NULL)
		guest->has_noted_ts = !seen_note(seen, guest->channel,
		    guest->ts, now_s);
	return (guest->event_id == NULL || guest->has_noted_id) &&
	    (guest->ts == NULL || guest->has_noted_ts);
}

/* It did not get into the journal: the next time it is new again. */
static void
forget_arrival(struct door *door, const struct guest *guest)
{
	if (guest->has_noted_id)
		seen_forget(door->settings.seen, guest->event_id, "");
	if (guest->has_noted_ts)
		seen_forget(door->settings.seen, guest->channel, guest->ts);
	if (guest->has_noted_inbox)
		seen_forget(door->settings.ids, guest->type, guest->id);
}

/* What is said in the door's record is filled in. */
static struct guest *
make_guest(struct door *door, const struct arrival *arrival)
{
	struct guest *guest = xcalloc(1, sizeof *guest);
	const char *channel = record_string(door->record, RECORD_CHANNEL);
	const char *type, *id;

	guest->door = door;
	guest->origin = arrival->origin;
	guest->event_id = copy_or_null(arrival->event_id);
	guest->channel = copy_or_null(channel);
	if (channel != NULL && is_new_message(door->record))
		guest->ts = copy_or_null(record_string(door->record,
		    RECORD_TS));
	if (arrival->origin.kind == FROM_INBOX &&
	    find_inbox_id(door->record, &type, &id)) {
		guest->type = xstrdup(type);
		guest->id = xstrdup(id);
	}
	guest->is_backfill = arrival->is_backfill;
	door->own_count += arrival->origin.kind == FROM_NOBODY;
	return guest;
}

/* A channel of the list, or a word to the bot from anywhere. */
static bool
is_wanted(struct door *door, const struct guest *guest)
{
	return guest->channel == NULL ||
	    channel_list_has(door->settings.channels, guest->channel) ||
	    record_is(door->record, RECORD_TYPE, "slash_commands") ||
	    identity_is_addressed(door->settings.identity, door->record);
}

static void
end_hold(void *arg)
{
	struct guest *guest = arg;

	guest->is_held = false;
}

/*
 * Slack promises no order; what is here together leaves in the order of its
 * channel.
 */
static void
join_queue(struct door *door, struct guest *guest)
{
	struct guest *before = NULL;
	struct guest *other = TAILQ_LAST(&door->waiting, queue);

	bool may_overtake = guest->ts != NULL &&
	    guest->origin.kind == FROM_SLACK;

	for (int i = 0; may_overtake && other != NULL && i < OVERTAKES_MAX;
	    i++) {
		if (other->ts != NULL && other->text != NULL &&
		    strcmp(other->channel, guest->channel) == 0) {
			if (strcmp(other->ts, guest->ts) <= 0)
				break;
			before = other;
		}
		other = TAILQ_PREV(other, queue, next);
	}
	if (before != NULL)
		TAILQ_INSERT_BEFORE(before, guest, next);
	else
		TAILQ_INSERT_TAIL(&door->waiting, guest, next);
}

static void
note_lag(struct door *door)
{
	int64_t ts_us;

	if (slack_time(door->record, &ts_us))
		door->lag_us = clock_now_us() - ts_us;
}

/* All that is known of an event of Slack's is used, then it may come in. */
static void
prepare_event(struct door *door, struct guest *guest)
{
	const struct door_settings *settings = &door->settings;

	guest->is_own = identity_is_own(settings->identity, door->record);
	if (!guest->is_backfill && guest->ts != NULL)
		note_lag(door);
	settings->noticed(door->record, settings->arg);
	directory_notice(settings->directory, door->record);
	if (directory_look_up(settings->directory, door->record) &&
	    !guest->is_backfill) {
		guest->is_held = true;
		guest->hold = (struct timer){ .due = end_hold, .arg = guest };
		timers_set(settings->timers, &guest->hold, DOOR_HOLD_MS);
	}
}

/* A line of the inbox or of Slack that a record cannot be: it goes in as an
 * error, so that somebody sees it. */
static void
take_bad(struct door *door, const struct arrival *arrival,
    const char *reason)
{
	size_t length = arrival->length < BAD_BYTES_MAX ? arrival->length
	    : BAD_BYTES_MAX;
	struct guest *guest;

	door->line.length = 0;
	record_write_error(&door->line, STAGE, reason, arrival->text, length,
	    arrival->length);
	if (record_parse(door->record, door->line.data,
	    door->line.length - 1) == -1)
		return;
	guest = make_guest(door, arrival);
	guest->text = xstrndup(door->line.data, door->line.length - 1);
	guest->length = door->line.length - 1;
	TAILQ_INSERT_TAIL(&door->waiting, guest, next);
}

void
door_take(struct door *door, const struct arrival *arrival)
{
	struct guest *guest;

	if (arrival->length > DOOR_BYTES_MAX) {
		take_bad(door, arrival, "too long for what is added to it");
		return;
	}
	if (record_parse(door->record, arrival->text, arrival->length) == -1) {
		take_bad(door, arrival, record_reason(door->record));
		return;
	}
	guest = make_guest(door, arrival);
	if (arrival->origin.kind != FROM_INBOX && !is_wanted(door, guest)) {
		door->settings.accepted(&guest->origin, 0, door->settings.arg);
		free_guest(guest);
		return;
	}
	/* What came before is told behind it: it may not be durable yet. */
	if (!note_arrival(door, guest)) {
		TAILQ_INSERT_TAIL(&door->waiting, guest, next);
		return;
	}
	guest->text = xstrndup(arrival->text, arrival->length);
	guest->length = arrival->length;
	if (arrival->origin.kind != FROM_INBOX)
		prepare_event(door, guest);
	join_queue(door, guest);
}

static void
append_trouble(struct buffer *text, const struct trouble *trouble)
{
	buffer_append_string(text, "{\"type\":\"error\",\"error\":{\"stage\":\""
	    STAGE "\",\"reason\":");
	buffer_append_json(text, trouble->reason, strlen(trouble->reason));
	buffer_append_string(text, "}");
	if (trouble->channel != NULL) {
		buffer_append_string(text, ",\"channel\":");
		buffer_append_json(text, trouble->channel,
		    strlen(trouble->channel));
	}
	buffer_append_string(text, "}");
}

void
door_report(struct door *door, const struct trouble *trouble)
{
	struct arrival arrival = { .event_id = trouble->event_id,
	    .origin = trouble->origin };
	struct buffer text = { 0 };
	struct guest *guest;

	append_trouble(&text, trouble);
	if (record_parse(door->record, text.data, text.length) == -1)
		errx(EX_SOFTWARE, "a report is no record");
	guest = make_guest(door, &arrival);
	if (note_arrival(door, guest)) {
		warnx("%s", trouble->reason);
		guest->text = text.data;
		guest->length = text.length;
	} else {
		buffer_free(&text);
	}
	TAILQ_INSERT_TAIL(&door->waiting, guest, next);
}

static void
recall_lag(struct door *door, struct record *record)
{
	const char *received = record_string(record, RECORD_RECEIVED);
	int64_t received_us, ts_us;

	if (received != NULL && clock_parse(received, &received_us) == 0 &&
	    slack_time(record, &ts_us))
		door->lag_us = received_us - ts_us;
}

static void
recall_inbox_id(struct door *door, struct record *record)
{
	const char *type, *id;

	if (find_inbox_id(record, &type, &id))
		seen_note(door->settings.ids, type, id, clock_steady_s());
}

/* What the inbox brought is no word of Slack's, whatever it looks like. */
void
door_recall(struct door *door, struct record *record)
{
	const char *id = record_string(record, RECORD_EVENT_ID);
	const char *channel = record_string(record, RECORD_CHANNEL);
	const char *ts = record_string(record, RECORD_TS);
	int64_t now_s = clock_steady_s();

	if (record_is(record, RECORD_SOURCE, "inbox"))
		recall_inbox_id(door, record);
	if (!record_is(record, RECORD_SOURCE, "slack"))
		return;
	if (id != NULL)
		seen_note(door->settings.seen, id, "", now_s);
	if (channel != NULL && ts != NULL && is_new_message(record))
		seen_note(door->settings.seen, channel, ts, now_s);
	if (record_get(record, RECORD_BACKFILL) == NULL)
		recall_lag(door, record);
}

void
door_look_again(struct door *door)
{
	struct guest *guest;

	TAILQ_FOREACH(guest, &door->waiting, next) {
		if (guest->is_held && record_parse(door->record, guest->text,
		    guest->length) == 0)
			guest->is_held = directory_look_up(
			    door->settings.directory, door->record);
	}
}

bool
door_is_shut(const struct door *door)
{
	return door->shut_ms != 0;
}

bool
door_has_room(const struct door *door)
{
	return door->shut_ms == 0 && door->own_count < DOOR_BACKFILL_MAX;
}

bool
door_is_safe(const struct door *door)
{
	return door->own_count == 0;
}

/* Whom people address, and where they find the message. */
static void
add_identity(struct door *door, const struct guest *guest)
{
	const struct identity *identity = door->settings.identity;
	const char *user = identity_user(identity);
	const char *url = identity_url(identity);
	struct buffer link = { 0 };

	if (user != NULL && guest->origin.kind != FROM_INBOX &&
	    identity_is_addressed(identity, door->record))
		record_add_string(door->record, RECORD_ADDRESSED, user);
	if (url != NULL && permalink_append(&link, url, door->record))
		record_add_string(door->record, RECORD_PERMALINK,
		    buffer_string(&link));
	buffer_free(&link);
}

static void
add_members(struct door *door, const struct guest *guest)
{
	struct record *record = door->record;

	if (guest->event_id != NULL)
		record_add_string(record, RECORD_EVENT_ID, guest->event_id);
	if (guest->is_own)
		record_add_json(record, RECORD_OWN, "true", 4);
	if (guest->is_backfill)
		record_add_json(record, RECORD_BACKFILL, "true", 4);
	directory_add_names(door->settings.directory, record);
	add_identity(door, guest);
}

/* Put it into the journal, which is not to say that it is durable. */
static void
write_guest(struct door *door, struct guest *guest)
{
	struct stamp stamp = {
		.next_seq = door->next_seq,
		.clock_us = -1,
		.source = guest->origin.kind == FROM_INBOX ? "inbox" : "slack",
	};

	if (guest->text == NULL ||
	    record_parse(door->record, guest->text, guest->length) == -1)
		return;
	stamp_record(&stamp, door->record);
	add_members(door, guest);
	door->line.length = 0;
	record_write(door->record, &door->line);
	guest->seq = door->next_seq++;
	journal_append(door->journal, guest->seq, door->line.data,
	    door->line.length);
	if (door->line.capacity > LINE_KEPT_BYTES)
		buffer_free(&door->line);
}

static void
reopen(struct door *door)
{
	int64_t shut_ms = door->shut_ms;

	timers_cancel(door->settings.timers, &door->retry);
	door->shut_ms = 0;
	warnx("the journal can be written again");
	door->settings.reopened(shut_ms, door->settings.arg);
}

/* What waits is tried in the turn of the loop that follows; if there is none,
 * somebody may ask whether to come. */
static void
look_for_room(void *arg)
{
	struct door *door = arg;

	if (!TAILQ_EMPTY(&door->waiting))
		return;
	if (journal_has_room(door->journal))
		reopen(door);
	else
		timers_set(door->settings.timers, &door->retry, RETRY_MS);
}

static void
tell_accepted(struct door *door)
{
	struct guest *guest;

	while ((guest = TAILQ_FIRST(&door->written)) != NULL) {
		TAILQ_REMOVE(&door->written, guest, next);
		door->settings.accepted(&guest->origin, guest->seq,
		    door->settings.arg);
		free_guest(guest);
	}
	if (door->shut_ms != 0)
		reopen(door);
}

static void
shut(struct door *door, const char *reason)
{
	if (door->shut_ms == 0) {
		door->shut_ms = clock_steady_ms();
		warnx("journal: %s: nothing is taken before there is room",
		    reason);
	}
	timers_set(door->settings.timers, &door->retry, RETRY_MS);
}

static void
refuse(struct door *door, struct guest *guest, const char *reason)
{
	forget_arrival(door, guest);
	door->settings.refused(&guest->origin, reason, door->settings.arg);
	free_guest(guest);
}

/* Who asks again is sent away; what we have from nobody else stays. */
static void
tell_refused(struct door *door, int error)
{
	const char *reason = error == EFBIG ? "it is full" : strerror(error);
	struct guest *guest;

	shut(door, reason);
	while ((guest = TAILQ_LAST(&door->written, queue)) != NULL) {
		TAILQ_REMOVE(&door->written, guest, next);
		if (guest->seq != 0)
			door->next_seq = guest->seq;
		guest->seq = 0;
		TAILQ_INSERT_HEAD(&door->waiting, guest, next);
	}
	for (guest = TAILQ_FIRST(&door->waiting); guest != NULL;) {
		struct guest *next = TAILQ_NEXT(guest, next);

		if (guest->origin.kind != FROM_NOBODY) {
			TAILQ_REMOVE(&door->waiting, guest, next);
			refuse(door, guest, reason);
		}
		guest = next;
	}
}

/* Write what waits for nothing; behind what waits, only what is not of Slack
 * and in no order with it. Returns whether there was any. */
static bool
write_waiting(struct door *door, bool all)
{
	struct guest *guest = TAILQ_FIRST(&door->waiting), *next;
	bool is_held = false, any = false;

	for (; guest != NULL; guest = next) {
		next = TAILQ_NEXT(guest, next);
		is_held = is_held || (guest->is_held && !all);
		if (is_held && guest->origin.kind != FROM_INBOX)
			continue;
		TAILQ_REMOVE(&door->waiting, guest, next);
		write_guest(door, guest);
		TAILQ_INSERT_TAIL(&door->written, guest, next);
		any = true;
	}
	return any;
}

void
door_commit(struct door *door, bool all)
{
	if (!write_waiting(door, all))
		return;
	if (journal_commit(door->journal) == 0)
		tell_accepted(door);
	else
		tell_refused(door, errno);
}

/* A clock that is behind Slack's, or a message that came late, must not make
 * it later, or much too early. */
int64_t
door_slack_time(const struct door *door, int64_t time_us)
{
	if (door->lag_us <= 0)
		return time_us;
	return time_us - (door->lag_us < LAG_MOST_US ? door->lag_us
	    : LAG_MOST_US);
}

int64_t
door_slack_now(const struct door *door)
{
	return clock_now_us() - (door->lag_us < 0 ? door->lag_us : 0);
}
