#include "journal_day.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"

#define PARTS_MAX 1000		/* of a day: .ndjson, .2.ndjson and so on */

struct reading {
	int64_t time_s;
	struct record *record;
	bool (*handle)(struct record *record, void *arg);
	void *arg;
	bool is_over;
};

static bool
is_of_the_day(struct record *record, int64_t time_s)
{
	const char *received = record_string(record, RECORD_RECEIVED);
	int64_t us;

	return received != NULL && clock_parse(received, &us) == 0 &&
	    us / 1000000 >= time_s - JOURNAL_DAY_S && us / 1000000 <= time_s;
}

/* The last line may be on its way to the disk yet. */
static void
read_line(struct reading *reading, const struct line *line)
{
	struct record *record = reading->record;

	if (line->length == line->total &&
	    record_parse(record, line->text, line->length) == 0 &&
	    is_of_the_day(record, reading->time_s))
		reading->is_over = !reading->handle(record, reading->arg);
}

static void
read_file(struct reading *reading, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct line_reader *reader;
	struct line line;

	if (fd == -1)
		return;
	reader = line_reader_new(fd, RECORD_BYTES_MAX);
	while (!reading->is_over && line_reader_fill(reader) > 0)
		while (!reading->is_over && line_reader_next(reader, &line))
			read_line(reading, &line);
	line_reader_free(reader);
	close(fd);
}

static void
read_parts(struct reading *reading, const char *folder, const char *date)
{
	struct buffer path = { 0 };

	for (int part = 1; part <= PARTS_MAX && !reading->is_over; part++) {
		path.length = 0;
		buffer_printf(&path, "%s/%.10s", folder, date);
		if (part > 1)
			buffer_printf(&path, ".%d", part);
		buffer_append_string(&path, ".ndjson");
		read_file(reading, buffer_string(&path));
	}
	buffer_free(&path);
}

void
journal_day_read(const char *folder, int64_t time_s, const char *const *own,
    bool (*handle)(struct record *record, void *arg), void *arg)
{
	struct reading reading = { .time_s = time_s, .handle = handle,
	    .arg = arg, .record = record_new("slack-bot", own) };
	char date[CLOCK_TEXT_BYTES];

	clock_format((time_s - JOURNAL_DAY_S) * 1000000, date);
	read_parts(&reading, folder, date);
	clock_format(time_s * 1000000, date);
	read_parts(&reading, folder, date);
	record_free(reading.record);
}
