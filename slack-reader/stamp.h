/* What every record gets at the door: seq, received, source. */
#ifndef SLACK_READER_STAMP_H
#define SLACK_READER_STAMP_H

#include <stdint.h>

#include "record.h"

#define STAGE "slack-reader"

struct stamp {
	int64_t next_seq;
	int64_t clock_us;	/* the time all records carry, -1: now */
	const char *source;
};

/* The members that stamp_record adds, ended by NULL. */
extern const char *const stamp_members[];

void stamp_record(struct stamp *stamp, struct record *record);

#endif
