/* All that stats knows about the records that passed. */
#ifndef STATS_COUNTERS_H
#define STATS_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "latency.h"
#include "rate.h"
#include "record.h"
#include "tally.h"

/* A record is not older than this, or it comes from yesterday's recording. */
#define LATENCY_US_MAX (INT64_C(3600) * 1000000)

/* The last record with an error, or of a message that did not reach Slack;
 * seq 0: there was none. */
struct last_error {
	int64_t seq;
	char stage[64];
	char reason[256];
};

/* Counts since the first start ever; latency and rate since this start. */
struct counters {
	char first_start[32];	/* RFC 3339 */
	bool counts_once;	/* a seq up to `seq` is passed over */
	int64_t seq;		/* the highest that came */
	int64_t checkpoint;	/* the highest that surely left */
	int64_t answered;	/* the highest that was answered */
	int64_t generation;	/* of the snapshot: how often it was written */
	int64_t records;
	int64_t messages;
	int64_t replied;
	int64_t forwarded;
	int64_t relayed;
	int64_t echoes;		/* of what slack-send posted */
	int64_t errors;
	int64_t attachment_bytes;
	int64_t bytes_scanned;
	struct tally *classes;
	struct tally *types;
	struct tally *channels;
	struct tally *patterns;
	struct tally *attachments;
	struct tally *deliveries;
	struct tally *external;		/* errors on the way to Slack */
	struct tally *hits;		/* of forwards, by the seq that made
					 * them */
	struct last_error last_error;
	struct latency latency;
	struct rate rate;
};

struct counters *counters_new(void);
void counters_free(struct counters *counters);

/* What counters_take looks at in a record: names of members, then NULL. */
extern const char *const counters_members[];

/* The record's seq; false where it has none that a count can hold. */
bool counters_seq(const struct record *record, int64_t *seq);

/*
 * Count a record, with counts_once only if its seq is a new one. Returns
 * whether it was counted.
 */
bool counters_take(struct counters *counters, struct record *record);

/* Note when a record came and how long it took. */
void counters_time(struct counters *counters, struct record *record);

#endif
