#include "day.h"

#include <stdlib.h>

#include "memory.h"

void
day_add(struct day *day, const struct value *value, int64_t time_us,
    size_t channel)
{
	if (day->count == day->capacity) {
		day->capacity = day->capacity * 2 + 256;
		day->messages = xrealloc(day->messages,
		    day->capacity * sizeof *day->messages);
	}
	day->messages[day->count] = (struct day_message){
		time_us, channel, *value, day->count, day->text.length
	};
	day->count++;
	buffer_append(&day->text, value->text, value->length);
}

static int
compare_messages(const void *left, const void *right)
{
	const struct day_message *a = left, *b = right;

	if (a->time_us != b->time_us)
		return a->time_us < b->time_us ? -1 : 1;
	return a->place < b->place ? -1 : 1;
}

void
day_sort(struct day *day)
{
	if (day->count > 0)
		qsort(day->messages, day->count, sizeof *day->messages,
		    compare_messages);
}

const struct day_message *
day_next(struct day *day)
{
	if (day->next == day->count)
		return NULL;

	struct day_message *message = &day->messages[day->next++];
	message->value.text = day->text.data + message->at;
	return message;
}

void
day_empty(struct day *day)
{
	day->text.length = 0;
	day->count = 0;
	day->next = 0;
}

void
day_free(struct day *day)
{
	free(day->messages);
	buffer_free(&day->text);
	*day = (struct day){ 0 };
}
