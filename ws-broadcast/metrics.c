#include "metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "memory.h"
#include "record.h"

#define REQUESTS_MAX 256	/* pairs of route and status */

/* Upper bounds in seconds; one over the last goes to +Inf. */
static const double bounds[] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
	0.25, 0.5, 1, 2.5, 5, 10, 30 };
#define BOUNDS (sizeof bounds / sizeof bounds[0])

struct requests {
	const char *route;
	unsigned status;
	uint64_t count;
};

struct metrics {
	struct requests requests[REQUESTS_MAX];
	size_t request_count;
	uint64_t posts[BOUNDS + 1];
	uint64_t post_us;	/* of all of them */
};

struct metrics *
metrics_new(void)
{
	return xcalloc(1, sizeof(struct metrics));
}

void
metrics_free(struct metrics *metrics)
{
	free(metrics);
}

void
metrics_count_request(struct metrics *metrics, const char *route,
    unsigned status)
{
	struct requests *requests = metrics->requests;
	size_t i = 0;

	while (i < metrics->request_count && (requests[i].route != route ||
	    requests[i].status != status))
		i++;
	if (i == REQUESTS_MAX)
		return;
	if (i == metrics->request_count) {
		requests[i] = (struct requests){ route, status, 0 };
		metrics->request_count++;
	}
	requests[i].count++;
}

void
metrics_time_post(struct metrics *metrics, int64_t us)
{
	size_t place = 0;

	while (place < BOUNDS && (double)us > bounds[place] * 1e6)
		place++;
	metrics->posts[place]++;
	metrics->post_us += (uint64_t)us;
}

/* --- the format ----------------------------------------------------------*/

static void
describe(struct buffer *out, const char *name, const char *type,
    const char *help)
{
	buffer_printf(out, "# HELP ultronex_%s %s\n# TYPE ultronex_%s %s\n",
	    name, help, name, type);
}

static void
print_number(struct buffer *out, const char *name, const char *type,
    const char *help, double value)
{
	describe(out, name, type, help);
	buffer_printf(out, "ultronex_%s %.15g\n", name, value);
}

static void
print_labelled(struct buffer *out, const char *name, const char *label,
    const char *word, double value)
{
	buffer_printf(out, "ultronex_%s{%s=\"%s\"} %.15g\n", name, label,
	    word, value);
}

/* --- what we did ourselves -----------------------------------------------*/

static void
print_requests(const struct metrics *metrics, struct buffer *out)
{
	if (metrics->request_count == 0)
		return;
	describe(out, "http_requests_total", "counter",
	    "HTTP requests answered, by route and status.");
	for (size_t i = 0; i < metrics->request_count; i++)
		buffer_printf(out, "ultronex_http_requests_total{route=\"%s\","
		    "code=\"%u\"} %" PRIu64 "\n", metrics->requests[i].route,
		    metrics->requests[i].status, metrics->requests[i].count);
}

static void
print_posts(const struct metrics *metrics, struct buffer *out)
{
	static const char name[] = "ultronex_post_duration_seconds";
	uint64_t count = 0;

	describe(out, "post_duration_seconds", "histogram",
	    "Time from a whole POSTed message to its answer.");
	for (size_t i = 0; i < BOUNDS; i++) {
		count += metrics->posts[i];
		buffer_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
		    bounds[i], count);
	}
	count += metrics->posts[BOUNDS];
	buffer_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n"
	    "%s_sum %.6f\n%s_count %" PRIu64 "\n", name, count, name,
	    (double)metrics->post_us / 1e6, name, count);
}

static void
print_courier(const struct courier *courier, struct buffer *out)
{
	static const char *const ends[] = {
		[COURIER_TAKEN] = "accepted", [COURIER_AWAY] = "unavailable",
		[COURIER_UNSURE] = "unanswered", [COURIER_REFUSED] = "refused",
	};
	const struct courier_counts *counts = courier_counts(courier);

	describe(out, "relay_messages_total", "counter",
	    "POSTed messages, by what became of handing them in.");
	for (size_t i = 0; i < COURIER_ENDS; i++)
		print_labelled(out, "relay_messages_total", "outcome",
		    ends[i], (double)counts->ends[i]);
	print_labelled(out, "relay_messages_total", "outcome", "overload",
	    (double)counts->full);
	print_labelled(out, "relay_messages_total", "outcome", "abandoned",
	    (double)counts->left);
	print_number(out, "relay_waiting_messages", "gauge",
	    "POSTed messages that wait to be on disk.",
	    (double)counts->waiting);
}

static void
print_ourselves(const struct metrics *metrics,
    const struct metrics_sources *sources, struct buffer *out)
{
	describe(out, "build_info", "gauge", "The version, as a label.");
	print_labelled(out, "build_info", "version", ULTRON_VERSION, 1);
	print_number(out, "start_time_seconds", "gauge",
	    "When ws-broadcast was started, in seconds since 1970.",
	    (double)sources->started);
	print_number(out, "viewers", "gauge", "Viewers that are connected.",
	    (double)viewers_count(sources->viewers));
	print_number(out, "shown_records_total", "counter",
	    "Records shown since ws-broadcast was started.",
	    (double)ring_total(sources->ring));
	print_requests(metrics, out);
	print_posts(metrics, out);
	if (sources->courier != NULL)
		print_courier(sources->courier, out);
}

/* --- what stats(1) counts ------------------------------------------------*/

static const struct {
	const char *key, *name, *help;
} totals_numbers[] = {
	{ "records", "records_total", "Records that went all the way." },
	{ "total_msg_count", "messages_total", "Messages among them." },
	{ "errors", "errors_total", "Records with an error." },
	{ "replied_msg_count", "replies_total",
	    "Replies of the bot that were sent." },
	{ "forwarded_msg_count", "forwards_total",
	    "Forwards to subscribers that were sent." },
	{ "total_messages_slacked", "relayed_messages_total",
	    "Messages of services that were sent to Slack." },
	{ "attachment_bytes", "attachment_bytes_total",
	    "Bytes of attachments that were had." },
	{ "bytes_scanned", "scanned_bytes_total",
	    "Bytes of text and attachments that were looked at." },
};

/* Only words that are ours become labels; all others are one. */
static const char *const classes[] = { "success", "warning", "danger", NULL };
static const char *const attachments[] = { "ok", "skipped", "too-large",
	"denied", "late", "failed", NULL };
static const char *const deliveries[] = { "sent", "digest", "failed", NULL };

static const struct {
	const char *key, *name, *label, *help;
	const char *const *words;
} totals_tallies[] = {
	{ "classes", "classified_records_total", "class",
	    "Records by class.", classes },
	{ "attachments", "attachments_total", "status",
	    "Attachments by what became of them.", attachments },
	{ "deliveries", "deliveries_total", "status",
	    "Messages to Slack by what became of them.", deliveries },
};

static double
sum_members(const cJSON *object)
{
	const cJSON *member;
	double sum = 0;

	cJSON_ArrayForEach(member, object)
		if (cJSON_IsNumber(member))
			sum += member->valuedouble;
	return sum;
}

static void
print_tally(struct buffer *out, size_t place, const cJSON *tally)
{
	const char *name = totals_tallies[place].name;
	const char *label = totals_tallies[place].label;
	const char *const *word = totals_tallies[place].words;
	double others = sum_members(tally);

	describe(out, name, "counter", totals_tallies[place].help);
	for (; *word != NULL; word++) {
		const cJSON *number = json_get(tally, *word);
		double value = cJSON_IsNumber(number) ? number->valuedouble
		    : 0;

		print_labelled(out, name, label, *word, value);
		others -= value;
	}
	if (others > 0)
		print_labelled(out, name, label, "other", others);
}

static void
print_totals(struct totals *totals, struct buffer *out)
{
	static const char *const none[] = { NULL };
	struct record *record = record_new("ws-broadcast", none);
	const char *text;
	size_t length;

	totals_refresh(totals);
	text = totals_text(totals, &length);
	if (text == NULL || record_parse(record, text, length) == -1)
		goto done;
	for (size_t i = 0; i < sizeof totals_numbers /
	    sizeof totals_numbers[0]; i++) {
		int64_t value;

		if (record_integer(record, totals_numbers[i].key, &value))
			print_number(out, totals_numbers[i].name, "counter",
			    totals_numbers[i].help, (double)value);
	}
	for (size_t i = 0; i < sizeof totals_tallies /
	    sizeof totals_tallies[0]; i++) {
		const cJSON *tally = record_object(record,
		    totals_tallies[i].key);

		if (tally != NULL)
			print_tally(out, i, tally);
	}
	print_number(out, "matches_total", "counter",
	    "Patterns that matched, each once a record.",
	    sum_members(record_object(record, "patterns")));
done:
	record_free(record);
}

/* --- what others tell ----------------------------------------------------*/

static void
print_outbox(struct outbox_view *outbox, struct buffer *out)
{
	struct outbox_counts counts;
	int64_t age_us = 0;

	if (!outbox_view_count(outbox, &counts))
		return;
	if (counts.oldest_us > 0)
		age_us = clock_now_us() - counts.oldest_us;
	describe(out, "outbox_messages", "gauge",
	    "Messages to Slack that are not through, by state.");
	print_labelled(out, "outbox_messages", "state", "queued",
	    (double)counts.queued);
	print_labelled(out, "outbox_messages", "state", "gathered",
	    (double)counts.gathered);
	print_number(out, "outbox_oldest_message_seconds", "gauge",
	    "Age of the oldest of them, 0 where there is none.",
	    age_us > 0 ? (double)age_us / 1e6 : 0);
}

static void
print_stages(const struct running *running, struct buffer *out)
{
	const struct running_stage *stages = running->stages;

	if (running->stage_count == 0)
		return;
	describe(out, "stage_up", "gauge", "Whether the stage runs.");
	for (size_t i = 0; i < running->stage_count; i++)
		print_labelled(out, "stage_up", "stage", stages[i].name,
		    stages[i].is_up);
	describe(out, "stage_restarts_total", "counter",
	    "How often the stage was started again.");
	for (size_t i = 0; i < running->stage_count; i++)
		print_labelled(out, "stage_restarts_total", "stage",
		    stages[i].name, (double)stages[i].restarts);
	describe(out, "stage_waiting_lines", "gauge",
	    "Lines that wait for the stage's answer.");
	for (size_t i = 0; i < running->stage_count; i++)
		print_labelled(out, "stage_waiting_lines", "stage",
		    stages[i].name, (double)stages[i].waiting);
}

static void
print_reader(const struct running_reader *reader, struct buffer *out)
{
	if (!reader->is_known)
		return;
	print_number(out, "slack_connected", "gauge",
	    "Whether slack-reader hears Slack.",
	    reader->is_up && strcmp(reader->slack, "connected") == 0);
	print_number(out, "slack_connections", "gauge",
	    "Socket Mode connections that stand.",
	    reader->is_up ? (double)reader->connections : 0);
	print_number(out, "journal_ok", "gauge",
	    "Whether records can be written to the journal.",
	    reader->is_up && reader->is_journal_well);
	print_number(out, "journal_records_total", "counter",
	    "The number of the newest record in the journal.",
	    (double)reader->seq);
}

void
metrics_print(const struct metrics *metrics,
    const struct metrics_sources *sources, struct buffer *out)
{
	print_ourselves(metrics, sources, out);
	print_totals(sources->totals, out);
	print_outbox(sources->outbox, out);
	if (sources->running != NULL) {
		print_stages(sources->running, out);
		print_reader(&sources->running->reader, out);
	}
}
