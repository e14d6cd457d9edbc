#include "intake.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "forward.h"
#include "line_reader.h"
#include "memory.h"
#include "record.h"
#include "relay.h"
#include "reply.h"

#define PENDING_BYTES_MAX (4 * 1024 * 1024)	/* in one commit */

struct intake {
	struct outbox *outbox;
	struct downstream *downstream;
	struct line_reader *reader;
	struct record *record;
	bool may_broadcast;
	bool has_lines;
	bool is_unsafe;
	bool is_stopped;
};

struct intake *
intake_new(struct outbox *outbox, struct downstream *downstream,
    bool may_broadcast)
{
	static const char *const own[] = { NULL };
	struct intake *intake = xcalloc(1, sizeof *intake);
	struct stat status;

	if (fstat(STDIN_FILENO, &status) == -1)
		err(EX_IOERR, "standard input");
	intake->outbox = outbox;
	intake->downstream = downstream;
	intake->may_broadcast = may_broadcast;
	intake->reader = line_reader_new(STDIN_FILENO, RECORD_BYTES_MAX);
	intake->record = record_new("slack-send", own);
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

/* Posts are counted where a channel's queue may become long: by relay. */
static void
take_message(const struct outbox_message *message, void *arg)
{
	struct intake *intake = arg;

	intake->is_unsafe = true;
	if (!outbox_add(intake->outbox, message))
		record_fail(intake->record, "not sent: the outbox is full");
}

static void
take_mute(const char *user, int64_t due_us, void *arg)
{
	struct intake *intake = arg;
	int64_t seq = 0;

	record_integer(intake->record, RECORD_SEQ, &seq);
	intake->is_unsafe = true;
	outbox_hold(intake->outbox, user, due_us, seq);
}

/* What the bot says, and what goes to those who subscribed. */
static void
take_words(struct intake *intake)
{
	struct outbox_message reply;

	if (reply_read(&reply, intake->record))
		take_message(&reply, intake);
	reply_read_notices(intake->record, take_message, intake);
	forward_read(intake->record, take_message, intake);
	reply_read_mutes(intake->record, take_mute, intake);
}

static void
take_line(struct intake *intake, const struct line *line)
{
	struct buffer *lines = downstream_lines(intake->downstream);

	if (!record_take(intake->record, line, lines))
		return;
	if (relay_take(intake->outbox, intake->record,
	    intake->may_broadcast))
		intake->is_unsafe = true;
	take_words(intake);
	record_write(intake->record, lines);
}

/* While answers wait for a commit that failed, no more are made. */
static bool
has_room(const struct intake *intake)
{
	return !downstream_is_full(intake->downstream) &&
	    outbox_pending_bytes(intake->outbox) < PENDING_BYTES_MAX &&
	    !(intake->is_unsafe && outbox_is_in_trouble(intake->outbox));
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
intake_is_unsafe(const struct intake *intake)
{
	return intake->is_unsafe;
}

void
intake_note_commit(struct intake *intake)
{
	intake->is_unsafe = false;
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
