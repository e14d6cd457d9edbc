/*
 * The wrapping in which Slack delivers events: Socket Mode envelopes and
 * Events API callbacks.
 */
#ifndef SLACK_READER_ENVELOPE_H
#define SLACK_READER_ENVELOPE_H

#include "json_scan.h"
#include "record.h"

enum envelope_content {
	ENVELOPE_NONE,		/* not wrapped: the record itself */
	ENVELOPE_EVENT,		/* holds an event */
	ENVELOPE_EMPTY		/* part of the protocol, holds no event */
};

#define ENVELOPE_KINDS 8

/* What was found; all zero at the start. */
struct envelope {
	const char *event;	/* its bytes, within those of the record */
	size_t event_length;

	size_t empty[ENVELOPE_KINDS];	/* how many of each kind so far */
	struct json_index index;	/* room to work in */
};

/* What the record is: an event is found, what holds none is counted. */
enum envelope_content envelope_open(struct envelope *envelope,
    const struct record *record);

/* Say on standard error what was counted, in one line, if anything was. */
void envelope_report(const struct envelope *envelope);

void envelope_free(struct envelope *envelope);

#endif
