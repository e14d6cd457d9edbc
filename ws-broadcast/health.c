#include "health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "clock.h"
#include "memory.h"
#include "record.h"

#define TICK_MS 1000

/* How far the records came at one place, and when that was last in order. */
struct progress {
	int64_t seq;
	int64_t behind;		/* so many are still to come */
	int64_t well_ms;
};

struct health {
	struct health_options options;
	struct running running;
	struct timer tick;
	struct record *totals;
	struct progress shown;	/* from slack-reader to us */
	struct progress counted;	/* from us to stats */

	bool has_disk;
	bool is_disk_writable;
	uint64_t free_bytes;
};

/* --- looking -------------------------------------------------------------*/

/* All is in order where nothing is to come, or something came. */
static void
follow(struct progress *progress, int64_t goal, int64_t seq)
{
	if (seq != progress->seq || goal <= seq)
		progress->well_ms = clock_steady_ms();
	progress->seq = seq;
	progress->behind = goal > seq ? goal - seq : 0;
}

static bool
is_stuck(const struct progress *progress)
{
	return clock_steady_ms() - progress->well_ms > HEALTH_STUCK_S * 1000;
}

/* The highest seq that stats counted; -1 where that is not known. */
static int64_t
find_counted(struct health *health)
{
	const char *text;
	size_t length;
	int64_t seq;

	totals_refresh(health->options.totals);
	text = totals_text(health->options.totals, &length);
	if (text == NULL || record_parse(health->totals, text, length) == -1 ||
	    !record_integer(health->totals, RECORD_SEQ, &seq))
		return -1;
	return seq;
}

/* What was counted before we were started will not be shown again. */
static void
follow_records(struct health *health)
{
	int64_t shown = ring_last(health->options.ring);
	int64_t counted = find_counted(health);

	follow(&health->shown, health->running.reader.seq,
	    shown > counted ? shown : counted);
	follow(&health->counted, shown, counted >= 0 ? counted : shown);
}

static void
look_at_disk(struct health *health)
{
	struct statvfs disk;

	health->has_disk = statvfs(health->options.running, &disk) == 0;
	if (!health->has_disk)
		return;
	health->is_disk_writable = (disk.f_flag & ST_RDONLY) == 0;
	health->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
}

static void
look(void *arg)
{
	struct health *health = arg;

	running_read(&health->running);
	follow_records(health);
	look_at_disk(health);
	timers_set(health->options.timers, &health->tick, TICK_MS);
}

struct health *
health_new(const struct health_options *options)
{
	static const char *const none[] = { NULL };
	struct health *health = xcalloc(1, sizeof *health);

	health->options = *options;
	health->running.folder = options->running;
	health->totals = record_new("ws-broadcast", none);
	health->tick = (struct timer){ .due = look, .arg = health };
	health->shown.well_ms = health->counted.well_ms = clock_steady_ms();
	if (options->running != NULL)
		look(health);
	return health;
}

void
health_free(struct health *health)
{
	if (health == NULL)
		return;
	timers_cancel(health->options.timers, &health->tick);
	record_free(health->totals);
	free(health);
}

const struct running *
health_running(const struct health *health)
{
	return health->options.running != NULL ? &health->running : NULL;
}

/* --- telling -------------------------------------------------------------*/

/* One of the things that are judged, as it is written. */
struct report {
	struct buffer *json;
	struct buffer reasons;	/* what is not well, with "; " between them */
	bool is_well;		/* all of them so far */
};

static void
open_thing(struct report *report, const char *name)
{
	buffer_printf(report->json, ",\"%s\":{", name);
}

/* Something is not well; say it as printf does. */
static void __attribute__((format(printf, 2, 3)))
complain(struct report *report, const char *format, ...)
{
	char reason[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	if (report->reasons.length > 0)
		buffer_append_string(&report->reasons, "; ");
	buffer_append_string(&report->reasons, reason);
}

static void
close_thing(struct report *report)
{
	bool is_well = report->reasons.length == 0;

	buffer_printf(report->json, "\"ok\":%s", is_well ? "true" : "false");
	if (!is_well) {
		buffer_append_string(report->json, ",\"reason\":");
		buffer_append_json(report->json, report->reasons.data,
		    report->reasons.length);
	}
	buffer_append_string(report->json, "}");
	report->reasons.length = 0;
	report->is_well &= is_well;
}

static void
report_slack(struct report *report, const struct running_reader *reader)
{
	bool is_live = strcmp(reader->slack, "replay") != 0;

	open_thing(report, "slack");
	if (!reader->is_known) {
		complain(report, "slack-reader has not told how it is");
	} else if (is_live && !reader->is_up) {
		complain(report, "slack-reader is down");
	} else if (strcmp(reader->slack, "refused") == 0) {
		complain(report, "Slack refuses the app or its tokens");
	} else if (is_live && strcmp(reader->slack, "connected") != 0) {
		complain(report, "not connected to Slack");
	}
	if (reader->is_known) {
		buffer_append_string(report->json, "\"state\":");
		buffer_append_json(report->json, reader->slack,
		    strlen(reader->slack));
		buffer_append_string(report->json, ",\"since\":");
		buffer_append_json(report->json, reader->since,
		    strlen(reader->since));
		buffer_append_string(report->json, ",");
	}
	close_thing(report);
}

static void
complain_of_stuck(struct report *report, const struct progress *progress,
    const char *where)
{
	if (is_stuck(progress))
		complain(report, "no record came through to %s for %d s and"
		    " more, %" PRId64 " wait", where, HEALTH_STUCK_S,
		    progress->behind);
}

/* How often each was started again, and how many lines wait for it. */
static void
print_stages(struct buffer *json, const struct running *running)
{
	buffer_append_string(json, "\"restarts\":{");
	for (size_t i = 0; i < running->stage_count; i++)
		buffer_printf(json, "%s\"%s\":%" PRId64, i > 0 ? "," : "",
		    running->stages[i].name, running->stages[i].restarts);
	buffer_append_string(json, "},\"waiting\":{");
	for (size_t i = 0; i < running->stage_count; i++)
		buffer_printf(json, "%s\"%s\":%" PRId64, i > 0 ? "," : "",
		    running->stages[i].name, running->stages[i].waiting);
	buffer_append_string(json, "},");
}

static void
report_stages(struct report *report, const struct health *health)
{
	const struct running *running = &health->running;

	open_thing(report, "stages");
	print_stages(report->json, running);
	buffer_printf(report->json, "\"behind\":%" PRId64 ",",
	    health->shown.behind + health->counted.behind);
	for (size_t i = 0; i < running->stage_count; i++)
		if (!running->stages[i].is_up)
			complain(report, "%s is down",
			    running->stages[i].name);
	if (running->stage_count == 0)
		complain(report, "no stage has told how it is");
	complain_of_stuck(report, &health->shown, "ws-broadcast");
	complain_of_stuck(report, &health->counted, "stats");
	close_thing(report);
}

static void
report_disk(struct report *report, const struct health *health)
{
	const struct running_reader *reader = &health->running.reader;

	open_thing(report, "disk");
	if (!health->has_disk)
		complain(report, "the state folder is gone");
	else if (!health->is_disk_writable)
		complain(report, "it is mounted to be read only");
	else if (health->free_bytes < HEALTH_DISK_BYTES)
		complain(report, "less than %d MiB are free",
		    HEALTH_DISK_BYTES / (1024 * 1024));
	if (reader->is_known && !reader->is_journal_well)
		complain(report, "the journal cannot be written");
	if (health->has_disk)
		buffer_printf(report->json, "\"free_bytes\":%" PRIu64 ",",
		    health->free_bytes);
	close_thing(report);
}

static void
report_outbox(struct report *report, const struct health *health)
{
	struct outbox_counts counts;
	int64_t age_s = 0;

	open_thing(report, "outbox");
	if (outbox_view_count(health->options.outbox, &counts)) {
		if (counts.oldest_us > 0)
			age_s = (clock_now_us() - counts.oldest_us) / 1000000;
		buffer_printf(report->json, "\"open\":%" PRId64
		    ",\"oldest_seconds\":%" PRId64 ",",
		    counts.queued + counts.gathered, age_s > 0 ? age_s : 0);
	}
	if (age_s > HEALTH_OUTBOX_S)
		complain(report, "a message to Slack waits for more than %d"
		    " minutes", HEALTH_OUTBOX_S / 60);
	close_thing(report);
}

/* Alone, with nothing to look at, all is well. */
bool
health_print(struct health *health, struct buffer *json)
{
	struct buffer things = { 0 };
	struct report report = { .json = &things, .is_well = true };

	if (health->options.running != NULL) {
		report_slack(&report, &health->running.reader);
		report_stages(&report, health);
		report_disk(&report, health);
	}
	report_outbox(&report, health);
	buffer_printf(json, "{\"ready\":%s", report.is_well ? "true" : "false");
	buffer_append(json, things.data, things.length);
	buffer_append_string(json, "}");
	buffer_free(&report.reasons);
	buffer_free(&things);
	return report.is_well;
}
