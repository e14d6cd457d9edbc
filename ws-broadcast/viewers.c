#include "viewers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "memory.h"

/* Waiting records are joined up to here; a larger one goes in such pieces. */
#define FRAME_BYTES 65536

#define HEARD_BYTES_MAX (64 * 1024)	/* in a minute */
#define GAP_BYTES_MAX 80		/* of that notice */
#define MINUTE_SECONDS 60
#define CLOSE_TRY_AGAIN 1013		/* IANA's register, RFC 6455 7.4 */

LIST_HEAD(viewer_list, viewer);

struct viewers {
	struct viewers_options options;
	struct ring *ring;
	struct totals *totals;
	unsigned long told;	/* the version of the totals */

	struct viewer_list list;
	size_t count;
	unsigned seconds;
	bool is_ended;
	bool is_leaving;
	struct buffer frame;	/* LWS_PRE bytes for its header come first */
};

struct viewers *
viewers_new(const struct viewers_options *options, struct ring *ring,
    struct totals *totals)
{
	struct viewers *viewers = xcalloc(1, sizeof *viewers);

	viewers->options = *options;
	viewers->ring = ring;
	viewers->totals = totals;
	LIST_INIT(&viewers->list);
	return viewers;
}

void
viewers_free(struct viewers *viewers)
{
	if (viewers == NULL)
		return;
	buffer_free(&viewers->frame);
	free(viewers);
}

size_t
viewers_count(const struct viewers *viewers)
{
	return viewers->count;
}

/* A KEY in decimal digits, or -1. */
static int64_t
parse_key(const char *text)
{
	char *end;
	long long key;

	if (text == NULL || *text < '0' || *text > '9')
		return -1;
	key = strtoll(text, &end, 10);
	return *end == '\0' && key <= RING_KEY_MAX ? key : -1;
}

/* All viewers shall have the totals where these changed. */
static void
spread_totals(struct viewers *viewers)
{
	struct viewer *viewer;

	totals_refresh(viewers->totals);
	if (totals_version(viewers->totals) == viewers->told)
		return;
	viewers->told = totals_version(viewers->totals);
	LIST_FOREACH(viewer, &viewers->list, entry)
		viewer->wants_totals = true;
}

void
viewers_add(struct viewers *viewers, struct viewer *viewer,
    struct lws *connection, const struct viewer_wish *wish)
{
	int64_t key = parse_key(wish->after);
	size_t length;

	memset(viewer, 0, sizeof *viewer);
	viewer->connection = connection;
	viewer->is_resuming = key >= 0 && wish->run != NULL &&
	    strcmp(wish->run, viewers->options.run) == 0;
	viewer->last = key;
	viewer->from = parse_key(wish->from);
	LIST_INSERT_HEAD(&viewers->list, viewer, entry);
	viewers->count++;

	spread_totals(viewers);
	viewer->wants_totals = totals_text(viewers->totals, &length) != NULL;
	lws_callback_on_writable(connection);
}

static void
finish_large(struct viewers *viewers, struct viewer *viewer)
{
	if (viewer->large != NULL)
		ring_release(viewers->ring, viewer->large);
	viewer->large = NULL;
	viewer->sent = 0;
}

void
viewers_remove(struct viewers *viewers, struct viewer *viewer)
{
	if (viewer->connection == NULL)
		return;
	finish_large(viewers, viewer);
	LIST_REMOVE(viewer, entry);
	viewer->connection = NULL;
	viewers->count--;
}

/* Does the ring hold a record that it has not got? */
static bool
is_behind(const struct viewers *viewers, const struct viewer *viewer)
{
	return ring_last(viewers->ring) > viewer->last &&
	    ring_count(viewers->ring) > 0;
}

static bool
wants_end(const struct viewers *viewers, const struct viewer *viewer)
{
	return viewers->is_ended && !viewer->is_told_end &&
	    !is_behind(viewers, viewer);
}

static bool
has_more(const struct viewers *viewers, const struct viewer *viewer)
{
	return !viewer->is_greeted || viewer->wants_totals ||
	    viewer->wants_ping || viewer->large != NULL ||
	    is_behind(viewers, viewer) || wants_end(viewers, viewer);
}

static size_t
frame_length(const struct viewers *viewers)
{
	return viewers->frame.length - LWS_PRE;
}

static void
clear_frame(struct viewers *viewers)
{
	buffer_reserve(&viewers->frame, LWS_PRE + FRAME_BYTES);
	viewers->frame.length = LWS_PRE;
}

/* Lines are parted by LF; the last one has none. */
static void
open_line(struct viewers *viewers)
{
	if (frame_length(viewers) > 0)
		buffer_append(&viewers->frame, "\n", 1);
}

static void
add_notice(struct viewers *viewers, const char *name, const char *text,
    size_t length)
{
	open_line(viewers);
	buffer_printf(&viewers->frame, "[\"%s\",", name);
	buffer_append(&viewers->frame, text, length);
	buffer_append(&viewers->frame, "]", 1);
}

/* The KEY behind which a viewer begins: as far back as it wants, or as it gets
 * anyway, but not before what there is. */
static int64_t
find_beginning(const struct viewers *viewers, const struct viewer *viewer)
{
	const struct ring *ring = viewers->ring;
	int64_t last = ring_before_newest(ring, viewers->options.history);

	if (viewer->from <= 0 || viewer->from > last)
		return last;
	return viewer->from > ring_first(ring) ? viewer->from - 1
	    : ring_before_newest(ring, ring_count(ring));
}

/* The first word: where the viewer stands. */
static void
add_hello(struct viewers *viewers, struct viewer *viewer)
{
	const struct ring *ring = viewers->ring;

	if (!viewer->is_resuming)
		viewer->last = find_beginning(viewers, viewer);

	size_t place = ring_find(ring, viewer->last);
	int64_t next = place < ring_count(ring) ? ring_at(ring, place)->key
	    : viewer->last + 1;
	open_line(viewers);
	buffer_printf(&viewers->frame, "[\"hello\",{\"run\":\"%s\","
	    "\"first\":%" PRId64 ",\"last\":%" PRId64 ",\"next\":%" PRId64
	    ",\"bounded\":%zu}]", viewers->options.run, ring_first(ring),
	    ring_last(ring), next, viewers->options.bounded);
	viewer->is_greeted = true;
}

static void
add_notices(struct viewers *viewers, struct viewer *viewer)
{
	size_t length;
	const char *totals = totals_text(viewers->totals, &length);

	if (!viewer->is_greeted)
		add_hello(viewers, viewer);
	if (viewer->wants_totals && totals != NULL)
		add_notice(viewers, "stats", totals, length);
	if (viewer->wants_ping) {
		open_line(viewers);
		buffer_append_string(&viewers->frame, "[\"ping\"]");
	}
	viewer->wants_totals = viewer->wants_ping = false;
}

/* Who comes anew does not miss what was before our time. */
static int64_t
misses_behind(const struct viewers *viewers, const struct viewer *viewer)
{
	int64_t origin = ring_origin(viewers->ring);

	return !viewer->is_resuming && viewer->last < origin ? origin
	    : viewer->last;
}

/* Are there records between the last one and the next? */
static bool
is_missing_before(const struct viewers *viewers, const struct viewer *viewer,
    const struct ring_record *next)
{
	return next->before > misses_behind(viewers, viewer);
}

/* Say so where they are gone. */
static void
add_gap(struct viewers *viewers, struct viewer *viewer,
    const struct ring_record *next)
{
	if (!is_missing_before(viewers, viewer, next))
		return;
	open_line(viewers);
	buffer_printf(&viewers->frame, "[\"gap\",{\"from\":%" PRId64
	    ",\"to\":%" PRId64 "}]", misses_behind(viewers, viewer) + 1,
	    next->key - 1);
	viewer->last = next->key - 1;
}

static bool
fits(const struct viewers *viewers, const struct viewer *viewer,
    const struct ring_record *next)
{
	size_t length = frame_length(viewers) + 1 + next->length;

	if (is_missing_before(viewers, viewer, next))
		length += GAP_BYTES_MAX;
	return length <= FRAME_BYTES;
}

/* All that waits for the viewer, as far as it goes into one frame. */
static void
add_records(struct viewers *viewers, struct viewer *viewer)
{
	const struct ring *ring = viewers->ring;

	for (size_t place = ring_find(ring, viewer->last);
	    place < ring_count(ring); place++) {
		const struct ring_record *record = ring_at(ring, place);
		bool has_room = fits(viewers, viewer, record);

		if (has_room || frame_length(viewers) == 0)
			add_gap(viewers, viewer, record);
		if (!has_room)
			break;
		open_line(viewers);
		buffer_append(&viewers->frame, record->bytes, record->length);
		viewer->last = record->key;
	}
}

static void
add_end(struct viewers *viewers, struct viewer *viewer)
{
	if (!wants_end(viewers, viewer))
		return;
	add_notice(viewers, "end", "{}", 2);
	viewer->is_told_end = true;
}

static int
send_frame(struct viewers *viewers, const struct viewer *viewer, int protocol)
{
	unsigned char *payload = (unsigned char *)viewers->frame.data + LWS_PRE;

	return lws_write(viewer->connection, payload, frame_length(viewers),
	    (enum lws_write_protocol)protocol) < 0 ? -1 : 0;
}

/* One more piece of the record that is larger than a frame. */
static int
send_piece(struct viewers *viewers, struct viewer *viewer)
{
	const struct ring_record *large = viewer->large;
	size_t left = large->length - viewer->sent;
	size_t length = left < FRAME_BYTES ? left : FRAME_BYTES;
	int protocol = lws_write_ws_flags(LWS_WRITE_TEXT, viewer->sent == 0,
	    length == left);

	clear_frame(viewers);
	buffer_append(&viewers->frame, large->bytes + viewer->sent, length);
	viewer->sent += length;
	if (length == left) {
		viewer->last = large->key;
		finish_large(viewers, viewer);
	}
	return send_frame(viewers, viewer, protocol);
}

static int
send_lines(struct viewers *viewers, struct viewer *viewer)
{
	clear_frame(viewers);
	add_notices(viewers, viewer);
	add_records(viewers, viewer);
	add_end(viewers, viewer);
	if (frame_length(viewers) > 0)
		return send_frame(viewers, viewer, LWS_WRITE_TEXT);
	if (!is_behind(viewers, viewer))
		return 0;
	viewer->large = ring_hold(viewers->ring,
	    ring_find(viewers->ring, viewer->last));
	return send_piece(viewers, viewer);
}

static int
close_viewer(struct viewer *viewer, int status)
{
	viewer->is_closing = true;
	lws_close_reason(viewer->connection, (enum lws_close_status)status,
	    NULL, 0);
	return -1;
}

int
viewers_write(struct viewers *viewers, struct viewer *viewer)
{
	int status;

	if (viewer->is_closing)
		return 0;
	if (viewer->is_dropped)
		return close_viewer(viewer, CLOSE_TRY_AGAIN);
	if (viewers->is_leaving && !has_more(viewers, viewer))
		return close_viewer(viewer, LWS_CLOSE_STATUS_GOINGAWAY);
	status = viewer->large != NULL ? send_piece(viewers, viewer)
	    : send_lines(viewers, viewer);
	if (has_more(viewers, viewer) || viewers->is_leaving)
		lws_callback_on_writable(viewer->connection);
	return status;
}

int
viewers_hear(struct viewer *viewer, size_t length)
{
	viewer->heard += length;
	return viewer->heard <= HEARD_BYTES_MAX || viewer->is_closing ? 0
	    : close_viewer(viewer, LWS_CLOSE_STATUS_POLICY_VIOLATION);
}

/*
 * Records that left the ring while slow viewers were amid them fill the memory
 * set apart for that: those viewers have to come back.
 */
static void
drop_holders(struct viewers *viewers)
{
	int64_t first = ring_first(viewers->ring);
	struct viewer *viewer;

	LIST_FOREACH(viewer, &viewers->list, entry) {
		if (viewer->large == NULL || viewer->large->key >= first)
			continue;
		finish_large(viewers, viewer);
		viewer->is_dropped = true;
	}
}

void
viewers_wake(struct viewers *viewers)
{
	struct viewer *viewer;

	if (ring_held_bytes(viewers->ring) > viewers->options.held_bytes_max)
		drop_holders(viewers);
	LIST_FOREACH(viewer, &viewers->list, entry)
		if (!viewer->is_closing)
			lws_callback_on_writable(viewer->connection);
}

void
viewers_tick(struct viewers *viewers)
{
	bool is_ping_due = ++viewers->seconds % viewers->options.ping_seconds
	    == 0;
	bool is_new_minute = viewers->seconds % MINUTE_SECONDS == 0;
	struct viewer *viewer;

	spread_totals(viewers);
	LIST_FOREACH(viewer, &viewers->list, entry) {
		viewer->wants_ping |= is_ping_due;
		if (is_new_minute)
			viewer->heard = 0;
		if (!viewer->is_closing && has_more(viewers, viewer))
			lws_callback_on_writable(viewer->connection);
	}
}

void
viewers_end(struct viewers *viewers)
{
	viewers->is_ended = true;
	viewers_wake(viewers);
}

void
viewers_dismiss(struct viewers *viewers)
{
	viewers->is_leaving = true;
	viewers_wake(viewers);
}
