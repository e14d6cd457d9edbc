#include "intake.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "line_reader.h"
#include "memory.h"
#include "record.h"

struct intake {
	struct ring *ring;
	struct downstream *downstream;
	struct line_reader *reader;
	struct record *record;
	bool skips_repeats;
	int64_t highest_seq;
	bool has_lines;
	bool is_stopped;
};

struct intake *
intake_new(struct ring *ring, struct downstream *downstream,
    bool skips_repeats)
{
	static const char *const own[] = { NULL };
	struct intake *intake = xcalloc(1, sizeof *intake);
	struct stat status;

	if (fstat(STDIN_FILENO, &status) == -1)
		err(EX_IOERR, "standard input");
	intake->ring = ring;
	intake->downstream = downstream;
	intake->skips_repeats = skips_repeats;
	intake->reader = line_reader_new(STDIN_FILENO, RECORD_BYTES_MAX);
	intake->record = record_new("ws-broadcast", own);
	return intake;
}

void
intake_free(struct intake *intake)
{
	if (intake == NULL)
		return;
	line_reader_free(intake->reader);
	record_free(intake->record);
	free(intake);
}

/* Viewers know a record by its first byte: blanks around it do not go out. */
static void
broadcast(struct intake *intake, int64_t seq, const char *text, size_t length)
{
	while (length > 0 && (text[0] == ' ' || text[0] == '\t')) {
		text++;
		length--;
	}
	while (length > 0 && (text[length - 1] == '\r' ||
	    text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	ring_append(intake->ring, seq, text, length);
}

static void
pass_on(struct intake *intake, const struct line *line)
{
	struct buffer *lines = downstream_lines(intake->downstream);
	int64_t seq;

	if (!record_integer(intake->record, RECORD_SEQ, &seq))
		seq = 0;
	buffer_append(lines, line->text, line->length);
	buffer_append(lines, "\n", 1);
	if (intake->skips_repeats && seq > 0 && seq <= intake->highest_seq)
		return;
	if (seq > intake->highest_seq)
		intake->highest_seq = seq;
	broadcast(intake, seq, line->text, line->length);
}

/* A line that is no record is shown as the error record that answers it. */
static void
take_line(struct intake *intake, const struct line *line)
{
	struct buffer *lines = downstream_lines(intake->downstream);
	size_t before = lines->length;

	if (record_take(intake->record, line, lines))
		pass_on(intake, line);
	else
		ring_append(intake->ring, 0, lines->data + before,
		    lines->length - before - 1);
}

static void
take_lines(struct intake *intake)
{
	struct line line;

	intake->has_lines = true;
	while (!downstream_is_full(intake->downstream)) {
		if (!line_reader_next(intake->reader, &line)) {
			intake->has_lines = false;
			break;
		}
		take_line(intake, &line);
	}
}

int
intake_run(struct intake *intake, bool may_read)
{
	if (intake->has_lines)
		take_lines(intake);
	if (!may_read || !intake_wants_input(intake))
		return 0;
	if (line_reader_fill(intake->reader) == -1) {
		if (errno == EINTR || errno == EAGAIN)
			return 0;
		warn("read standard input");
		return -1;
	}
	take_lines(intake);
	return 0;
}

void
intake_stop(struct intake *intake)
{
	intake->is_stopped = true;
}

bool
intake_wants_input(const struct intake *intake)
{
	return !intake->is_stopped && !intake->has_lines &&
	    !line_reader_at_end(intake->reader) &&
	    !downstream_is_full(intake->downstream);
}

bool
intake_has_lines(const struct intake *intake)
{
	return intake->has_lines;
}

bool
intake_is_done(const struct intake *intake)
{
	return !intake->has_lines &&
	    (intake->is_stopped || line_reader_at_end(intake->reader));
}
