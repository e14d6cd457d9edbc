#include "stamp.h"

#include "clock.h"

const char *const stamp_members[] = {
	RECORD_SEQ, RECORD_RECEIVED, RECORD_SOURCE, NULL
};

void
stamp_record(struct stamp *stamp, struct record *record)
{
	char received[CLOCK_TEXT_BYTES];

	clock_format(stamp->clock_us >= 0 ? stamp->clock_us : clock_now_us(),
	    received);
	record_add_integer(record, RECORD_SEQ, stamp->next_seq++);
	record_add_string(record, RECORD_RECEIVED, received);
	record_add_string(record, RECORD_SOURCE, stamp->source);
}
