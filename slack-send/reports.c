#include "reports.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "inbox_client.h"
#include "memory.h"
#include "record.h"
#include "utf8.h"

#define STAGE "slack-send"
#define TITLE_BYTES_MAX 200
#define WARNINGS_MAX 16			/* on their way at a time */
#define HOUR_US INT64_C(3600000000)

/* A record that is on its way to the inbox. */
struct report {
	struct reports *reports;
	struct report *next;
	int64_t number;			/* 0: a warning */
	int64_t outcomes;
	struct buffer line;
};

struct reports {
	struct outbox *outbox;
	struct inbox_client *inbox;
	struct report *first;
	size_t count;			/* of outcomes */
	size_t warnings;
	int64_t after;			/* up to which all was looked at */
};

struct reports *
reports_new(const char *inbox, int set, struct timers *timers,
    struct outbox *outbox)
{
	struct reports *reports = xcalloc(1, sizeof *reports);

	reports->outbox = outbox;
	reports->inbox = inbox_client_new(inbox, set, timers);
	return reports;
}

static void
forget(struct report *report)
{
	struct reports *reports = report->reports;
	struct report **link = &reports->first;

	while (*link != report)
		link = &(*link)->next;
	*link = report->next;
	if (report->number == 0)
		reports->warnings--;
	else
		reports->count--;
	buffer_free(&report->line);
	free(report);
}

void
reports_free(struct reports *reports)
{
	if (reports == NULL)
		return;
	inbox_client_free(reports->inbox);
	while (reports->first != NULL)
		forget(reports->first);
	free(reports);
}

/* --- a record ---------------------------------------------------------------*/

static void
print_text(struct buffer *line, const char *name, const char *text)
{
	if (text == NULL)
		return;
	buffer_printf(line, ",\"%s\":", name);
	buffer_append_json(line, text, strlen(text));
}

static void
print_number(struct buffer *line, const char *name, int64_t number)
{
	if (number != 0)
		buffer_printf(line, ",\"%s\":%" PRId64, name, number);
}

/* Whole characters, up to the limit. */
static void
append_title(struct buffer *text, const char *title)
{
	size_t length = strlen(title);

	buffer_append(text, title, length <= TITLE_BYTES_MAX ? length
	    : utf8_floor(title, TITLE_BYTES_MAX));
}

/* The same outcome always has the same id: the inbox takes it once. */
static void
print_id(struct buffer *line, const struct outbox_message *message)
{
	bool is_one_of_many = message->id != NULL &&
	    strcmp(message->purpose, "relay") != 0;

	if (message->seq != 0)
		buffer_printf(line, "\"delivery:%" PRId64 ":%s%s%s:%" PRId64
		    "\"", message->seq, message->purpose,
		    is_one_of_many ? ":" : "", is_one_of_many ? message->id
		    : "", message->outcomes);
	else
		buffer_printf(line, "\"delivery:%" PRId64 ".%" PRId64 ":%s:%"
		    PRId64 "\"", message->number, message->created_us,
		    message->purpose, message->outcomes);
}

/* UltronEx counted errors by such keys; our clients know them. */
static void
print_errors(struct buffer *line, const struct outbox_message *message)
{
	const char *title = message->title, *comma = "";
	struct buffer key = { 0 };

	if (message->limited == 0 && message->broken == 0)
		return;
	buffer_append_string(line, ",\"errors\":{");
	if (message->limited != 0) {
		buffer_append_string(&key, "Ultronex Rate Limited ");
		append_title(&key, title != NULL ? title : message->purpose);
		buffer_append_json(line, key.data, key.length);
		buffer_printf(line, ":%" PRId64, message->limited);
		comma = ",";
	}
	if (message->broken != 0)
		buffer_printf(line, "%s\"Slack error : remote closed\":%"
		    PRId64, comma, message->broken);
	buffer_append_string(line, "}");
	buffer_free(&key);
}

static const char *
name_end(const struct outbox_message *message)
{
	return message->state == OUTBOX_SENT ? "sent" :
	    message->state == OUTBOX_DIGEST ? "digest" : "failed";
}

static void
print_delivery(struct buffer *line, const struct outbox_message *message)
{
	struct buffer title = { 0 };

	buffer_append_string(line, "{\"type\":\"delivery\",\"id\":");
	print_id(line, message);
	print_number(line, RECORD_OF, message->seq);
	print_text(line, "message", message->id);
	print_text(line, "purpose", message->purpose);
	print_text(line, RECORD_CHANNEL, message->channel);
	if (message->title != NULL) {
		append_title(&title, message->title);
		print_text(line, RECORD_TITLE, buffer_string(&title));
		buffer_free(&title);
	}
	print_text(line, "status", name_end(message));
	print_number(line, "messages", message->messages);
	print_text(line, "slack_channel", message->slack_channel);
	print_text(line, "slack_ts", message->slack_ts);
	print_number(line, "attempts", message->attempts);
	print_text(line, "reason", message->reason);
	print_errors(line, message);
	buffer_append_string(line, "}");
}

/* --- handing in -------------------------------------------------------------*/

/* What is refused would be refused again. */
static void
end_report(const char *error, void *arg)
{
	struct report *report = arg;
	struct reports *reports = report->reports;

	if (error != NULL)
		warnx("the inbox does not take a report: %s", error);
	if (report->number != 0)
		outbox_reported(reports->outbox, report->number,
		    report->outcomes);
	forget(report);
}

static struct report *
add_report(struct reports *reports, int64_t number, int64_t outcomes)
{
	struct report *report = xcalloc(1, sizeof *report);

	report->reports = reports;
	report->number = number;
	report->outcomes = outcomes;
	report->next = reports->first;
	reports->first = report;
	if (number == 0)
		reports->warnings++;
	else
		reports->count++;
	return report;
}

static bool
hand_in(struct report *report)
{
	if (inbox_client_send(report->reports->inbox, report->line.data,
	    report->line.length, end_report, report))
		return true;
	forget(report);
	return false;
}

static bool
is_on_its_way(const struct reports *reports, int64_t number)
{
	for (const struct report *report = reports->first; report != NULL;
	    report = report->next)
		if (report->number == number)
			return true;
	return false;
}

/* Outcomes come in any order of the numbers: it begins anew at the end. */
void
reports_wake(struct reports *reports)
{
	struct outbox_message message;

	while (reports->count < REPORTS_WAITING_MAX) {
		struct report *report;

		if (!outbox_next_report(reports->outbox, reports->after,
		    &message)) {
			reports->after = 0;
			return;
		}
		reports->after = message.number;
		if (is_on_its_way(reports, message.number))
			continue;
		report = add_report(reports, message.number,
		    message.outcomes);
		print_delivery(&report->line, &message);
		if (!hand_in(report))
			return;
	}
}

bool
reports_are_idle(const struct reports *reports)
{
	return reports->first == NULL;
}

void
reports_warn(struct reports *reports, const char *topic, const char *reason)
{
	struct report *report;

	if (reports->warnings == WARNINGS_MAX)
		return;
	report = add_report(reports, 0, 0);
	buffer_printf(&report->line, "{\"type\":\"error\",\"error\":{\"stage\":"
	    "\"" STAGE "\",\"reason\":");
	buffer_append_json(&report->line, reason, strlen(reason));
	buffer_printf(&report->line, "},\"id\":\"" STAGE ":%s:%" PRId64 "\"}",
	    topic, clock_now_us() / HOUR_US);
	hand_in(report);
}
