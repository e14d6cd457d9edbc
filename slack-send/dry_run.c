#include "dry_run.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "compose.h"
#include "forward.h"
#include "line_reader.h"
#include "output.h"
#include "record.h"
#include "relay.h"
#include "reply.h"

struct dry_run {
	struct line_reader *reader;
	struct record *record;
	struct buffer out;
	size_t line;		/* number of the one at hand */
	bool may_broadcast;
};

/* --- requests -------------------------------------------------------------*/

static void
print_member(struct buffer *out, const char *name, const char *text)
{
	buffer_printf(out, ",\"%s\":", name);
	buffer_append_json(out, text, strlen(text));
}

/* What all requests of a post begin with. */
static void
begin_request(struct buffer *out, const struct outbox_message *message,
    size_t part, const char *method)
{
	buffer_append_string(out, "{\"method\":");
	buffer_append_json(out, method, strlen(method));
	if (message->seq != 0)
		buffer_printf(out, ",\"seq\":%" PRId64, message->seq);
	if (message->id != NULL)
		print_member(out, "id", message->id);
	buffer_printf(out, ",\"part\":%zu", part);
}

static void
print_text(struct buffer *out, const struct outbox_message *message,
    size_t part, const struct compose_post *post)
{
	begin_request(out, message, part, "chat.postMessage");
	print_member(out, "channel", message->channel);
	if (message->thread != NULL)
		print_member(out, "thread_ts", message->thread);
	print_member(out, "text", post->text);
	buffer_append_string(out, "}\n");
}

/* The three steps of an upload. */
static void
print_file(struct buffer *out, const struct outbox_message *message,
    size_t part, const struct compose_post *post)
{
	begin_request(out, message, part, "files.getUploadURLExternal");
	print_member(out, "filename", post->filename);
	buffer_printf(out, ",\"length\":%zu}\n", post->length);
	begin_request(out, message, part, "upload");
	print_member(out, "content", post->content);
	buffer_append_string(out, "}\n");
	begin_request(out, message, part, "files.completeUploadExternal");
	print_member(out, "channel", message->channel);
	print_member(out, "title", post->title);
	print_member(out, "initial_comment", post->text);
	buffer_append_string(out, "}\n");
}

static void
print_message(const struct outbox_message *message, void *arg)
{
	struct dry_run *run = arg;
	struct compose *compose = compose_message(message, run->may_broadcast);

	for (size_t i = 0; i < compose->count; i++) {
		const struct compose_post *post = &compose->posts[i];

		if (post->filename != NULL)
			print_file(&run->out, message, i, post);
		else
			print_text(&run->out, message, i, post);
	}
	compose_free(compose);
}

/* --- records --------------------------------------------------------------*/

static void
take_record(struct dry_run *run)
{
	const char *complaint;
	struct relay relay;
	struct outbox_message reply;

	if (relay_read(&relay, run->record, &complaint)) {
		print_message(&relay.message, run);
		relay_forget(&relay);
	} else if (complaint != NULL) {
		warnx("line %zu would not be sent: %s", run->line, complaint);
	}
	if (reply_read(&reply, run->record))
		print_message(&reply, run);
	reply_read_notices(run->record, print_message, run);
	forward_read(run->record, print_message, run);
}

static void
take_line(struct dry_run *run, const struct line *line)
{
	run->line++;
	if (line->length < line->total) {
		warnx("line %zu is no record: over %d bytes", run->line,
		    RECORD_BYTES_MAX);
	} else if (record_parse(run->record, line->text, line->length) == -1) {
		warnx("line %zu is no record: %s", run->line,
		    record_reason(run->record));
	} else {
		take_record(run);
	}
}

/* All that was read; output does not pile up. */
static int
take_lines(struct dry_run *run)
{
	struct line line;

	while (line_reader_next(run->reader, &line)) {
		take_line(run, &line);
		if (run->out.length >= OUTPUT_BLOCK_BYTES &&
		    output_flush(&run->out) == -1)
			return output_failure(errno);
	}
	return output_flush(&run->out) == 0 ? EX_OK : output_failure(errno);
}

static int
run_to_end(struct dry_run *run)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
	int status = EX_OK;

	while (status == EX_OK && !line_reader_at_end(run->reader)) {
		poll(&input, 1, -1);
		if (line_reader_fill(run->reader) == -1 && errno != EINTR &&
		    errno != EAGAIN)
			err(EX_IOERR, "read standard input");
		status = take_lines(run);
	}
	return status != EX_OK || output_close() == 0 ? status : EX_IOERR;
}

int
dry_run(bool may_broadcast)
{
	static const char *const own[] = { NULL };
	struct dry_run run = {
		.reader = line_reader_new(STDIN_FILENO, RECORD_BYTES_MAX),
		.record = record_new("slack-send", own),
		.may_broadcast = may_broadcast,
	};
	int status = run_to_end(&run);

	line_reader_free(run.reader);
	record_free(run.record);
	buffer_free(&run.out);
	return status;
}
