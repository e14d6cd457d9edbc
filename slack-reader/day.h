/* The messages of one day, gathered from many files, in the order of time. */
#ifndef SLACK_READER_DAY_H
#define SLACK_READER_DAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "value_reader.h"

struct day_message {
	int64_t time_us;
	size_t channel;
	struct value value;	/* its text is set by day_next */
	size_t place;		/* in the order of gathering */
	size_t at;		/* in the day's text */
};

/* All zero is an empty day. */
struct day {
	struct buffer text;
	struct day_message *messages;
	size_t count;
	size_t capacity;
	size_t next;
};

/* Copy a message of that channel into the day. */
void day_add(struct day *day, const struct value *value, int64_t time_us,
    size_t channel);

/* Put in order what was added; of equal times the first added comes first. */
void day_sort(struct day *day);

/* The next message, or NULL after the last one; valid until the day changes. */
const struct day_message *day_next(struct day *day);

void day_empty(struct day *day);
void day_free(struct day *day);

#endif
