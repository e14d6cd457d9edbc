#include "fetcher.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "download.h"
#include "line_reader.h"
#include "memory.h"
#include "ordered_writer.h"
#include "output.h"
#include "pending.h"
#include "record.h"
#include "signals.h"

#define STAGE "attach-fetch"

/* Where more than this waits for a download, the input has to wait, too. */
#define WAITING_RECORDS_MAX 256
#define WAITING_BYTES_MAX (8 * 1024 * 1024)

/* How long an idle process may leave outdated files in the spool. */
#define EXPIRE_EVERY_MS (60 * 60 * 1000)

struct fetcher {
	const struct fetcher_settings *settings;
	struct line_reader *reader;
	struct record *record;
	struct downloads *downloads;
	struct pending *first;		/* in the order of their lines */

	struct ordered_writer *writer;
	size_t waiting_bytes;		/* in pendings and in the writer */
	struct buffer out;

	bool has_lines;			/* read, but not taken yet */
};

static bool
is_in_spool(struct fetcher *fetcher, struct want *want)
{
	return want->id != NULL && spool_find(fetcher->settings->spool,
	    want->id, &want->spooled);
}

/* Without a network the id is enough. */
static void
look_for_offline(struct fetcher *fetcher, struct want *want)
{
	if (is_in_spool(fetcher, want))
		want_settle(want, WANT_OK, "%s", "");
	else if (want->url == NULL)
		want_settle(want, WANT_SKIPPED, "no URL to fetch it from");
	else
		want_settle(want, WANT_FAILED, "not in the spool");
}

static bool
can_reuse(struct fetcher *fetcher, struct want *want)
{
	if (want->may_change || !is_in_spool(fetcher, want))
		return false;
	if (want->size == WANT_SIZE_UNKNOWN ||
	    want->size == want->spooled.bytes)
		return true;
	spool_release(&want->spooled);
	return false;
}

/* Only who might fetch the file gets it from the spool: anyone can write an
 * id into a record. */
static void
look_for(struct fetcher *fetcher, struct want *want)
{
	if (want->url == NULL)
		want_settle(want, WANT_SKIPPED, "no URL to fetch it from");
	else if (!downloads_allow(fetcher->downloads, want))
		return;
	else if (can_reuse(fetcher, want))
		want_settle(want, WANT_OK, "%s", "");
	else
		downloads_add(fetcher->downloads, want);
}

static void
look_for_all(struct fetcher *fetcher, struct pending *pending)
{
	void (*look)(struct fetcher *, struct want *) =
	    fetcher->settings->is_offline ? look_for_offline : look_for;

	for (size_t i = 0; i < pending->count; i++) {
		struct want *want = &pending->wants[i];

		if (want->status == WANT_OPEN)
			look(fetcher, want);
		if (want->status == WANT_OPEN)
			pending->open++;
	}
}

/* Write the record that was parsed last, with what became of its files. */
static void
write_fetched(struct fetcher *fetcher, struct pending *pending,
    struct buffer *out)
{
	pending_add_fetched(pending, fetcher->record);
	pending_report_missed(fetcher->record);
	record_write(fetcher->record, out);
	for (size_t i = 0; i < pending->count; i++)
		spool_release_later(fetcher->settings->spool,
		    &pending->wants[i].spooled);
	pending_free(pending);
}

static void
wait_for_files(struct fetcher *fetcher, struct pending *pending,
    const struct line *line)
{
	struct pending **last = &fetcher->first;

	pending->line = xstrndup(line->text, line->length);
	pending->length = line->length;
	pending->place = ordered_writer_expect(fetcher->writer);
	fetcher->waiting_bytes += line->length;
	while (*last != NULL)
		last = &(*last)->next;
	*last = pending;
}

/* Append the line's answer to out; false where it has to wait for files. */
static bool
answer_line(struct fetcher *fetcher, const struct line *line,
    struct buffer *out)
{
	struct record *record = fetcher->record;
	struct pending *pending;

	if (!record_take(record, line, out))
		return true;
	pending = pending_new(record, fetcher->settings->bytes_max);
	if (pending == NULL) {
		pending_report_missed(record);
		record_write(record, out);
		return true;
	}
	look_for_all(fetcher, pending);
	if (pending->open > 0) {
		wait_for_files(fetcher, pending, line);
		return false;
	}
	write_fetched(fetcher, pending, out);
	return true;
}

/* Write what can go. While nobody reads it, the deadlines stand still. */
static int
flush(struct fetcher *fetcher)
{
	int64_t before_ms = clock_steady_ms();
	int status = output_flush(&fetcher->out);
	int64_t blocked_ms = clock_steady_ms() - before_ms;

	for (struct pending *pending = fetcher->first; pending != NULL;
	    pending = pending->next)
		if (pending->deadline_ms != 0)
			pending->deadline_ms += blocked_ms;
	return status;
}

/* Lines go straight to the output while none waits before them. */
static void
take_line(struct fetcher *fetcher, const struct line *line)
{
	struct buffer answer = { 0 };

	if (ordered_writer_waiting(fetcher->writer) == 0) {
		answer_line(fetcher, line, &fetcher->out);
		return;
	}
	if (!answer_line(fetcher, line, &answer))
		return;
	fetcher->waiting_bytes += answer.length;
	ordered_writer_answer(ordered_writer_expect(fetcher->writer), &answer);
}

static bool
has_room(const struct fetcher *fetcher)
{
	return ordered_writer_waiting(fetcher->writer) < WAITING_RECORDS_MAX &&
	    fetcher->waiting_bytes < WAITING_BYTES_MAX &&
	    !downloads_are_queued(fetcher->downloads);
}

static int
take_lines(struct fetcher *fetcher)
{
	struct line line;

	while (has_room(fetcher)) {
		fetcher->has_lines = line_reader_next(fetcher->reader, &line);
		if (!fetcher->has_lines)
			break;
		take_line(fetcher, &line);
		if (fetcher->out.length >= OUTPUT_BLOCK_BYTES &&
		    flush(fetcher) == -1)
			return -1;
	}
	return 0;
}

/* All its files are decided: the record can go on. */
static void
answer_pending(struct fetcher *fetcher, struct pending *pending)
{
	struct pending **link = &fetcher->first;
	struct answer *place = pending->place;
	struct buffer answer = { 0 };
	char *line = pending->line;

	while (*link != pending)
		link = &(*link)->next;
	*link = pending->next;
	pending->line = NULL;
	fetcher->waiting_bytes -= pending->length;
	if (record_parse(fetcher->record, line, pending->length) == -1)
		errx(EX_SOFTWARE, "a line changed while it waited");
	write_fetched(fetcher, pending, &answer);
	fetcher->waiting_bytes += answer.length;
	ordered_writer_answer(place, &answer);
	free(line);
}

static void
settled(struct want *want, void *arg)
{
	if (--want->pending->open == 0)
		answer_pending(arg, want->pending);
}

static void
give_up(struct fetcher *fetcher, struct pending *pending)
{
	for (size_t i = 0; i < pending->count; i++) {
		struct want *want = &pending->wants[i];

		if (want->status != WANT_OPEN)
			continue;
		downloads_give_up(want);
		want_settle(want, WANT_LATE, "not complete after %g s",
		    (double)fetcher->settings->deadline_ms / 1000);
	}
	answer_pending(fetcher, pending);
}

static void
give_up_late_ones(struct fetcher *fetcher)
{
	struct pending *next;
	int64_t now_ms = clock_steady_ms();

	for (struct pending *pending = fetcher->first; pending != NULL;
	    pending = next) {
		next = pending->next;
		if (pending->deadline_ms != 0 &&
		    pending->deadline_ms <= now_ms)
			give_up(fetcher, pending);
	}
}

static int
write_answers(struct fetcher *fetcher)
{
	size_t before = fetcher->out.length;

	ordered_writer_collect(fetcher->writer, &fetcher->out);
	fetcher->waiting_bytes -= fetcher->out.length - before;
	return flush(fetcher);
}

/* How long nothing happens unless something comes. */
static int
find_timeout(const struct fetcher *fetcher)
{
	int64_t now_ms = clock_steady_ms();
	int64_t next_ms = downloads_next_ms(fetcher->downloads);

	for (const struct pending *pending = fetcher->first; pending != NULL;
	    pending = pending->next)
		if (pending->deadline_ms != 0 &&
		    (next_ms == 0 || pending->deadline_ms < next_ms))
			next_ms = pending->deadline_ms;
	if (next_ms == 0 || next_ms > now_ms + EXPIRE_EVERY_MS)
		return EXPIRE_EVERY_MS;
	return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

/*
 * curl_multi_poll does not tell when the other end of a pipe is closed, and
 * holds signals back: so input and signals are looked at by signals_poll.
 */
static bool
wait_for_input(struct fetcher *fetcher, bool wants_input)
{
	struct pollfd input = { wants_input ? STDIN_FILENO : -1, POLLIN, 0 };
	int timeout_ms = find_timeout(fetcher);

	if (downloads_are_running(fetcher->downloads)) {
		downloads_wait(fetcher->downloads, input.fd, timeout_ms);
		timeout_ms = 0;
	}
	return signals_poll(&input, 1, timeout_ms) > 0;
}

/* Sleep until there is something to do; read where that is input. */
static void
wait_for_work(struct fetcher *fetcher)
{
	bool wants_input = !fetcher->has_lines && !signals_want_stop() &&
	    !line_reader_at_end(fetcher->reader) && has_room(fetcher);

	if (fetcher->has_lines && has_room(fetcher))
		return;
	if (!wait_for_input(fetcher, wants_input))
		return;
	if (line_reader_fill(fetcher->reader) != -1)
		fetcher->has_lines = true;
	else if (errno != EINTR && errno != EAGAIN)
		err(EX_IOERR, "read standard input");
}

static bool
is_done(const struct fetcher *fetcher)
{
	return (line_reader_at_end(fetcher->reader) || signals_want_stop()) &&
	    !fetcher->has_lines && fetcher->first == NULL;
}

static int
run(struct fetcher *fetcher)
{
	while (!is_done(fetcher)) {
		wait_for_work(fetcher);
		signals_take_reload();
		spool_expire(fetcher->settings->spool);
		if (take_lines(fetcher) == -1)
			return output_failure(errno);
		downloads_run(fetcher->downloads);
		give_up_late_ones(fetcher);
		downloads_run(fetcher->downloads);
		if (write_answers(fetcher) == -1)
			return output_failure(errno);
	}
	return signals_want_stop() || output_close() == 0 ? EX_OK : EX_IOERR;
}

static struct downloads *
make_downloads(struct fetcher *fetcher)
{
	const struct fetcher_settings *settings = fetcher->settings;
	struct download_settings download_settings = {
		.hosts = settings->hosts,
		.spool = settings->spool,
		.token = settings->token,
		.ca_file = settings->ca_file,
		.bytes_max = settings->bytes_max,
		.deadline_ms = settings->deadline_ms,
		.parallel = settings->parallel,
		.settled = settled,
		.arg = fetcher,
	};

	return downloads_new(&download_settings);
}

/* After a failure there may be records left whose downloads go down first. */
static void
free_pendings(struct fetcher *fetcher)
{
	while (fetcher->first != NULL) {
		struct pending *next = fetcher->first->next;

		for (size_t i = 0; i < fetcher->first->count; i++)
			spool_release(&fetcher->first->wants[i].spooled);
		pending_free(fetcher->first);
		fetcher->first = next;
	}
}

int
fetcher_run(const struct fetcher_settings *settings)
{
	static const char *const own[] = { RECORD_FETCHED, NULL };
	struct fetcher fetcher = {
		.settings = settings,
		.reader = line_reader_new(STDIN_FILENO, RECORD_BYTES_MAX),
		.record = record_new(STAGE, own),
		.writer = ordered_writer_new(),
	};

	fetcher.downloads = make_downloads(&fetcher);
	signals_catch();
	int status = run(&fetcher);
	downloads_free(fetcher.downloads);
	free_pendings(&fetcher);
	ordered_writer_free(fetcher.writer);
	buffer_free(&fetcher.out);
	record_free(fetcher.record);
	line_reader_free(fetcher.reader);
	return status;
}
