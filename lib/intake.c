#include "intake.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "memory.h"
#include "record.h"

struct intake {
	struct taker taker;
	struct line_reader *reader;
	bool has_lines;
	bool is_stopped;
};

struct intake *
intake_new(struct taker taker)
{
	struct intake *intake = xcalloc(1, sizeof *intake);
	struct stat status;

	if (fstat(STDIN_FILENO, &status) == -1)
		err(EX_IOERR, "standard input");
	intake->taker = taker;
	intake->reader = line_reader_new(STDIN_FILENO, RECORD_BYTES_MAX);
	return intake;
}

void
intake_free(struct intake *intake)
{
	if (intake == NULL)
		return;
	line_reader_free(intake->reader);
	free(intake);
}

static bool
has_room(const struct intake *intake)
{
	return intake->taker.has_room(intake->taker.arg);
}

static void
take_lines(struct intake *intake)
{
	struct line line;

	intake->has_lines = true;
	while (has_room(intake)) {
		if (!line_reader_next(intake->reader, &line)) {
			intake->has_lines = false;
			break;
		}
		intake->taker.take(&line, intake->taker.arg);
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
	    !line_reader_at_end(intake->reader) && has_room(intake);
}

bool
intake_has_work(const struct intake *intake)
{
	return intake->has_lines && has_room(intake);
}

bool
intake_is_done(const struct intake *intake)
{
	return !intake->has_lines &&
	    (intake->is_stopped || line_reader_at_end(intake->reader));
}
