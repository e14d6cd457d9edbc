#include "counters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "echo.h"
#include "memory.h"
#include "subscriptions.h"
#include "utf8.h"

/* members of a match */
#define FOR "for"
#define ONLY "only"

#define HITS_MAX 4000		/* forwards that can be counted */

/* members of a delivery */
#define STATUS "status"
#define PURPOSE "purpose"
#define MESSAGES "messages"
#define ERRORS "errors"
#define REASON "reason"

/* Of a record from anybody at the inbox: it shall not take all names. */
#define ERROR_KEYS_MAX 8
#define ERROR_COUNT_MAX 1000000

#define SEQ_MAX (INT64_C(1) << 53)	/* a snapshot's numbers are doubles */

const char *const counters_members[] = {
	RECORD_SEQ, RECORD_TYPE, RECORD_TEXT, RECORD_CLASS, RECORD_CHANNEL,
	RECORD_MATCHES, RECORD_SUBSCRIPTIONS, RECORD_FETCHED, RECORD_ERROR,
	RECORD_OWN, ECHO_METADATA, STATUS, PURPOSE, ERRORS, REASON, NULL
};

struct counters *
counters_new(void)
{
	struct counters *counters = xcalloc(1, sizeof *counters);

	clock_format(clock_now_us(), counters->first_start);
	counters->classes = tally_new();
	counters->types = tally_new();
	counters->channels = tally_new();
	counters->patterns = tally_new();
	counters->attachments = tally_new();
	counters->deliveries = tally_new();
	counters->external = tally_new();
	counters->hits = tally_new_of(HITS_MAX);
	return counters;
}

void
counters_free(struct counters *counters)
{
	if (counters == NULL)
		return;
	tally_free(counters->classes);
	tally_free(counters->types);
	tally_free(counters->channels);
	tally_free(counters->patterns);
	tally_free(counters->attachments);
	tally_free(counters->deliveries);
	tally_free(counters->external);
	tally_free(counters->hits);
	free(counters);
}

static void
count_name(struct tally *tally, const char *name)
{
	if (name != NULL)
		tally_add(tally, name, 1);
}

/* Each pattern once a record, however often it matched. */
static void
count_patterns(struct counters *counters, const cJSON *matches)
{
	const cJSON *match;

	cJSON_ArrayForEach(match, matches) {
		const char *name = json_string(match, "pattern");

		if (name != NULL && json_get(match, FOR) == NULL)
			tally_add_once(counters->patterns, name,
			    counters->records);
	}
}

/* Each forward once a record; what counts for a class only, in that one. */
static void
count_hits(struct counters *counters, struct record *record)
{
	const char *class = record_string(record, RECORD_CLASS);
	const cJSON *match, *from;

	cJSON_ArrayForEach(match, record_array(record, RECORD_MATCHES)) {
		const char *only = json_string(match, ONLY);

		if (only != NULL && (class == NULL ||
		    strcmp(only, class) != 0))
			continue;
		cJSON_ArrayForEach(from, json_get(match, FOR)) {
			char name[24];

			if (!tally_is_count(from))
				continue;
			snprintf(name, sizeof name, "%.0f", from->valuedouble);
			tally_add_once(counters->hits, name,
			    counters->records);
		}
	}
}

/* The hits of what is forwarded no more are forgotten. */
static void
take_subscriptions(struct counters *counters, const cJSON *lines)
{
	const cJSON *text;

	cJSON_ArrayForEach(text, lines) {
		struct subscription *line;
		const char *reason;
		char name[24];

		if (!cJSON_IsString(text))
			continue;
		line = subscription_parse(text->valuestring,
		    strlen(text->valuestring), &reason);
		if (line != NULL && line->kind == SUBSCRIPTION_FORWARD &&
		    line->to != 0) {
			snprintf(name, sizeof name, "%" PRId64, line->from);
			tally_remove(counters->hits, name);
		}
		free(line);
	}
}

/* As much of the text as fits, to the end of a character. */
static void
copy_cut(char *to, size_t size, const char *text)
{
	size_t length = strlen(text);

	if (length >= size)
		length = utf8_floor(text, size - 1);
	memcpy(to, text, length);
	to[length] = '\0';
}

static void
note_error(struct counters *counters, const char *stage, const char *reason,
    int64_t seq)
{
	struct last_error *last = &counters->last_error;

	if (stage == NULL || reason == NULL)
		return;
	last->seq = seq;
	copy_cut(last->stage, sizeof last->stage, stage);
	copy_cut(last->reason, sizeof last->reason, reason);
}

static void
take_error(struct counters *counters, const cJSON *error, int64_t seq)
{
	if (error == NULL)
		return;
	counters->errors++;
	note_error(counters, json_string(error, "stage"),
	    json_string(error, REASON), seq);
}

static void
count_files(struct counters *counters, const cJSON *fetched)
{
	const cJSON *file;

	cJSON_ArrayForEach(file, fetched) {
		const char *status = json_string(file, "status");
		const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(file,
		    "bytes");

		count_name(counters->attachments, status);
		if (status != NULL && strcmp(status, "ok") == 0 &&
		    cJSON_IsNumber(bytes) && bytes->valuedouble > 0 &&
		    bytes->valuedouble < 1e15) {
			counters->attachment_bytes +=
			    (int64_t)bytes->valuedouble;
			counters->bytes_scanned += (int64_t)bytes->valuedouble;
		}
	}
}

/* What went wrong on the way to Slack, by UltronEx's names. */
static void
count_external(struct counters *counters, const cJSON *errors)
{
	const cJSON *error;
	int keys = 0;

	cJSON_ArrayForEach(error, errors) {
		if (++keys > ERROR_KEYS_MAX)
			return;
		if (tally_is_count(error) && error->valuedouble > 0 &&
		    error->valuedouble <= ERROR_COUNT_MAX)
			tally_add(counters->external, error->string,
			    (int64_t)error->valuedouble);
	}
}

/* How many it stands for: where a digest carries very many forwards, some are
 * told of together. */
static int64_t
find_weight(const struct record *record)
{
	int64_t messages;

	return record_integer(record, MESSAGES, &messages) && messages > 0 &&
	    messages <= ERROR_COUNT_MAX ? messages : 1;
}

/* Slack has it, by itself or in a digest. */
static void
count_arrival(struct counters *counters, struct record *record)
{
	const char *purpose = record_string(record, PURPOSE);

	if (purpose == NULL || strcmp(purpose, "relay") == 0)
		counters->relayed++;
	else if (strcmp(purpose, "reply") == 0)
		counters->replied++;
	else if (strcmp(purpose, "forward") == 0) {
		counters->forwarded += find_weight(record);
		counters->replied += find_weight(record);	/* as UltronEx counted */
	}
}

/* What became of a message to Slack. */
static void
count_delivery(struct counters *counters, struct record *record, int64_t seq)
{
	const char *status = record_string(record, STATUS);

	count_external(counters, record_object(record, ERRORS));
	if (status == NULL)
		return;
	count_name(counters->deliveries, status);
	if (strcmp(status, "sent") == 0 || strcmp(status, "digest") == 0)
		count_arrival(counters, record);
	else
		note_error(counters, "slack-send", record_string(record,
		    REASON), seq);
}

static void
count_type(struct counters *counters, struct record *record, int64_t seq)
{
	const char *type = record_string(record, RECORD_TYPE);

	count_name(counters->types, type);
	if (type == NULL)
		return;
	if (strcmp(type, "message") == 0) {
		counters->messages++;
		counters->echoes += echo_key(record) != NULL;
	} else if (strcmp(type, "delivery") == 0) {
		count_delivery(counters, record, seq);
	}
}

static void
count_text(struct counters *counters, const struct record *record)
{
	const char *bytes;
	size_t length;

	if (record_raw(record, RECORD_TEXT, &bytes, &length) && length > 2)
		counters->bytes_scanned += (int64_t)length - 2;
}

void
counters_time(struct counters *counters, struct record *record)
{
	const char *received = record_string(record, RECORD_RECEIVED);
	int64_t received_us, now_us = clock_now_us();

	rate_add(&counters->rate, clock_steady_s());
	if (received == NULL || clock_parse(received, &received_us) == -1)
		return;
	if (now_us - received_us <= LATENCY_US_MAX)
		latency_add(&counters->latency, now_us - received_us);
}

bool
counters_seq(const struct record *record, int64_t *seq)
{
	return record_integer(record, RECORD_SEQ, seq) && *seq > 0 &&
	    *seq <= SEQ_MAX;
}

bool
counters_take(struct counters *counters, struct record *record)
{
	int64_t seq = 0;

	if (counters_seq(record, &seq)) {
		if (counters->counts_once && seq <= counters->seq)
			return false;
		if (seq > counters->seq)
			counters->seq = seq;
	}
	counters->records++;
	count_type(counters, record, seq);
	count_text(counters, record);
	count_name(counters->classes, record_string(record, RECORD_CLASS));
	count_name(counters->channels, record_string(record, RECORD_CHANNEL));
	count_patterns(counters, record_array(record, RECORD_MATCHES));
	count_files(counters, record_array(record, RECORD_FETCHED));
	count_hits(counters, record);
	take_subscriptions(counters, record_array(record,
	    RECORD_SUBSCRIPTIONS));
	take_error(counters, record_get(record, RECORD_ERROR), seq);
	return true;
}
