#include "feed.h"

#include <stdlib.h>

#include "memory.h"
#include "record.h"

struct feed {
	struct ring *ring;
	struct downstream *downstream;
	struct record *record;
	bool skips_repeats;
	int64_t highest_seq;
};

struct feed *
feed_new(struct ring *ring, struct downstream *downstream,
    bool skips_repeats)
{
	static const char *const own[] = { NULL };
	struct feed *feed = xcalloc(1, sizeof *feed);

	feed->ring = ring;
	feed->downstream = downstream;
	feed->skips_repeats = skips_repeats;
	feed->record = record_new("ws-broadcast", own);
	return feed;
}

void
feed_free(struct feed *feed)
{
	if (feed == NULL)
		return;
	record_free(feed->record);
	free(feed);
}

/* Viewers know a record by its first byte: blanks around it do not go out. */
static void
broadcast(struct feed *feed, int64_t seq, const char *text, size_t length)
{
	while (length > 0 && (text[0] == ' ' || text[0] == '\t')) {
		text++;
		length--;
	}
	while (length > 0 && (text[length - 1] == '\r' ||
	    text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	ring_append(feed->ring, seq, text, length);
}

static void
pass_on(struct feed *feed, const struct line *line)
{
	struct buffer *lines = downstream_lines(feed->downstream);
	int64_t seq;

	if (!record_integer(feed->record, RECORD_SEQ, &seq))
		seq = 0;
	buffer_append(lines, line->text, line->length);
	buffer_append(lines, "\n", 1);
	if (feed->skips_repeats && seq > 0 && seq <= feed->highest_seq)
		return;
	if (seq > feed->highest_seq)
		feed->highest_seq = seq;
	broadcast(feed, seq, line->text, line->length);
}

/* A line that is no record is shown as the error record that answers it. */
static void
take_line(const struct line *line, void *arg)
{
	struct feed *feed = arg;
	struct buffer *lines = downstream_lines(feed->downstream);
	size_t before = lines->length;

	if (record_take(feed->record, line, lines))
		pass_on(feed, line);
	else
		ring_append(feed->ring, 0, lines->data + before,
		    lines->length - before - 1);
}

static bool
has_room(void *arg)
{
	const struct feed *feed = arg;

	return !downstream_is_full(feed->downstream);
}

struct taker
feed_taker(struct feed *feed)
{
	return (struct taker){ .take = take_line, .has_room = has_room,
	    .arg = feed };
}
