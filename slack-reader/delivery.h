/* What Slack delivers in one envelope of Socket Mode, while connected. */
#ifndef SLACK_READER_DELIVERY_H
#define SLACK_READER_DELIVERY_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "record.h"

#define DELIVERY_EVENT_ID_BYTES 64

enum delivery_kind {
	DELIVERY_EVENT,		/* text is the record: an event, a command */
	DELIVERY_RATE_LIMIT,	/* events of a minute were withheld */
	DELIVERY_NOTHING	/* nothing that we know of */
};

struct delivery {
	enum delivery_kind kind;
	const char *text;	/* borrowed until the next call */
	size_t length;
	char event_id[DELIVERY_EVENT_ID_BYTES];	/* "" where there is none */
	int64_t minute;		/* that was withheld, since 1970 */
};

struct delivery_reader;

struct delivery_reader *delivery_reader_new(void);
void delivery_reader_free(struct delivery_reader *reader);

/* Open an envelope; what is not as it should be holds nothing. */
void delivery_read(struct delivery_reader *reader, const char *envelope,
    size_t length, struct delivery *delivery);

#endif
