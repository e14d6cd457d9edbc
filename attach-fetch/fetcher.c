#include "fetcher.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "download.h"
#include "events.h"
#include "kept.h"
#include "late.h"
#include "line_reader.h"
#include "lookup.h"
#include "memory.h"
#include "ordered_writer.h"
#include "output.h"
#include "pending.h"
#include "record.h"
#include "signals.h"
#include "timers.h"

#define STAGE "attach-fetch"

/* Where more than this waits for a download, the input has to wait, too. */
#define WAITING_RECORDS_MAX 256
#define WAITING_BYTES_MAX (8 * 1024 * 1024)

/* How long an idle process may leave outdated files in the spool. */
#define EXPIRE_EVERY_MS (60 * 60 * 1000)

/*
 * While the disk is full a record that would lose a file waits beyond its
 * deadline: not longer than this where it may have late files, for then it
 * stands in a pipeline, and keep kills a stage that sits on a line.
 */
#define HOLD_MAX_MS 25000
#define HOLD_STEP_MS 1000

struct fetcher {
	const struct fetcher_settings *settings;
	struct line_reader *reader;
	struct record *record;
	struct downloads *downloads;
	struct pending *first;		/* in the order of their lines */

	/* events besides downloads; all of it -1 or NULL where not needed */
	int set;
	struct timers *timers;
	struct lookups *lookups;
	struct late_files *late_files;

	struct ordered_writer *writer;
	size_t waiting_bytes;		/* in pendings and in the writer */
	struct buffer out;

	bool has_lines;			/* read, but not taken yet */
	int64_t looked_ms;		/* for room on the disk */
};

static bool
is_in_spool(struct fetcher *fetcher, struct want *want)
{
	return want->id != NULL && spool_find(fetcher->settings->spool,
	    want->id, &want->spooled);
}

static void
skip_stub(struct want *want)
{
	want_settle(want, WANT_SKIPPED, "a file of Slack Connect: only"
	    " files.info tells where it is");
}

/* Without a network the id is enough. */
static void
look_for_offline(struct fetcher *fetcher, struct want *want)
{
	if (want->needs_info)
		skip_stub(want);
	else if (is_in_spool(fetcher, want))
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

static void
look_up(struct fetcher *fetcher, struct want *want)
{
	if (fetcher->lookups != NULL && want->id != NULL &&
	    spool_is_id(want->id))
		lookups_ask(fetcher->lookups, want);
	else
		skip_stub(want);
}

/* Only who might fetch the file gets it from the spool: anyone can write an
 * id into a record. */
static void
look_for(struct fetcher *fetcher, struct want *want)
{
	if (want->needs_info)
		look_up(fetcher, want);
	else if (want->url == NULL)
		want_settle(want, WANT_SKIPPED, "no URL to fetch it from");
	else if (!downloads_allow(fetcher->downloads, want))
		return;
	else if (can_reuse(fetcher, want))
		want_settle(want, WANT_OK, "%s", "");
	else
		downloads_add(fetcher->downloads, want);
}

/* It was fetched before its record was handed in, or that says why not. */
static void
look_for_late_file(struct fetcher *fetcher, struct want *want)
{
	const cJSON *outcome = record_object(fetcher->record, LATE_OUTCOME);

	if (want_read_outcome(want, outcome))
		return;
	if (is_in_spool(fetcher, want))
		want_settle(want, WANT_OK, "%s", "");
	else
		want_settle(want, WANT_FAILED, "not in the spool any more");
}

/* How long the files of the record at hand may take beyond its deadline. */
static int64_t
find_late_ms(const struct fetcher *fetcher)
{
	int64_t seq;

	if (fetcher->late_files == NULL ||
	    !record_integer(fetcher->record, RECORD_SEQ, &seq))
		return 0;
	return fetcher->settings->late_deadline_ms;
}

static void
look_for_all(struct fetcher *fetcher, struct pending *pending)
{
	const char *type = record_string(fetcher->record, RECORD_TYPE);
	void (*look)(struct fetcher *, struct want *) = look_for;
	int64_t late_ms = find_late_ms(fetcher);

	if (type != NULL && strcmp(type, LATE_FILE_TYPE) == 0)
		look = look_for_late_file;
	else if (fetcher->settings->is_offline)
		look = look_for_offline;
	for (size_t i = 0; i < pending->count; i++) {
		struct want *want = &pending->wants[i];

		if (want->id != NULL && spool_is_id(want->id))
			want->late_ms = late_ms;
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
	if (fetcher->late_files != NULL)
		late_files_extend(fetcher->late_files, blocked_ms);
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
	    !downloads_are_queued(fetcher->downloads) &&
	    (fetcher->lookups == NULL ||
	    lookups_count(fetcher->lookups) < fetcher->settings->parallel);
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

static void
parse_again(struct fetcher *fetcher, const struct pending *pending)
{
	if (record_parse(fetcher->record, pending->line, pending->length)
	    == -1)
		errx(EX_SOFTWARE, "a line changed while it waited");
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
	parse_again(fetcher, pending);
	pending->line = NULL;
	fetcher->waiting_bytes -= pending->length;
	write_fetched(fetcher, pending, &answer);
	fetcher->waiting_bytes += answer.length;
	ordered_writer_answer(place, &answer);
	free(line);
}

static void
settled(struct want *want, void *arg)
{
	struct fetcher *fetcher = arg;

	if (want->late != NULL)
		late_files_settle(fetcher->late_files, want);
	else if (--want->pending->open == 0)
		answer_pending(fetcher, want->pending);
}

static void
take_info(struct want *want, const cJSON *file, void *arg)
{
	struct fetcher *fetcher = arg;

	want_take_info(want, file, fetcher->settings->bytes_max);
	if (want->status == WANT_OPEN)
		look_for(fetcher, want);
	if (want->status != WANT_OPEN)
		settled(want, fetcher);
}

static void
stop_fetching(struct want *want)
{
	if (want->lookup != NULL)
		lookups_give_up(want);
	if (want->download != NULL)
		downloads_give_up(want);
}

static void
replace_want(struct want *want, struct want *late)
{
	if (want->lookup != NULL)
		lookups_replace(want, late);
	if (want->download != NULL)
		downloads_replace(want, late);
}

/*
 * Let a file of the record at hand be fetched without it. Returns 0, or -1 with
 * errno set.
 */
static int
make_late(struct fetcher *fetcher, struct want *want)
{
	struct want *late;

	if (late_files_are_to_have(fetcher->late_files, fetcher->record,
	    want)) {
		stop_fetching(want);
		return 0;
	}
	late = late_files_adopt(fetcher->late_files, fetcher->record, want);
	if (late == NULL)
		return -1;
	replace_want(want, late);
	return 0;
}

/* Why a file that did not become a late one is lost for its record. */
static const char *
explain_loss(const struct want *want, int error)
{
	if (want->late_ms == 0 || error == EINVAL)
		return "";
	return error == ENOBUFS ? ", and too many other files are late"
	    : ", and the spool cannot note that it is late";
}

/* A record whose file would be lost by a full disk waits, in bounds. */
static bool
may_hold(const struct pending *pending, const struct want *want, int error)
{
	if (signals_want_stop() || (!downloads_lack_room_for(want) &&
	    !spool_lacks_room(error)))
		return false;
	return want->late_ms == 0 || pending->held_ms < HOLD_MAX_MS;
}

/* The record goes on without the file, unless it has to wait for room. */
static void
give_up_want(struct fetcher *fetcher, struct pending *pending,
    struct want *want)
{
	double seconds = (double)fetcher->settings->deadline_ms / 1000;
	const char *why = downloads_lack_room_for(want) ?
	    "no room on the disk: " : "";
	int error = 0;

	if (want->late_ms > 0 && make_late(fetcher, want) == 0) {
		want_settle(want, WANT_LATE, "%snot complete within %g s: a"
		    " late_file record will follow", why, seconds);
		return;
	}
	if (want->late_ms > 0)
		error = errno;
	if (may_hold(pending, want, error))
		return;
	stop_fetching(want);
	want_settle(want, WANT_LATE, "%snot complete after %g s%s", why,
	    seconds, explain_loss(want, error));
}

static void
give_up(struct fetcher *fetcher, struct pending *pending)
{
	parse_again(fetcher, pending);
	pending->open = 0;
	for (size_t i = 0; i < pending->count; i++) {
		struct want *want = &pending->wants[i];

		if (want->status == WANT_OPEN)
			give_up_want(fetcher, pending, want);
		if (want->status == WANT_OPEN)
			pending->open++;
	}
	if (pending->open == 0) {
		answer_pending(fetcher, pending);
		return;
	}
	pending->deadline_ms = clock_steady_ms() + HOLD_STEP_MS;
	pending->held_ms += HOLD_STEP_MS;
	if (fetcher->settings->deadline_ms + pending->held_ms >
	    kept_patience_ms())
		exit(EX_TEMPFAIL);	/* before keep takes it for hung */
}

/* Is it sure already that the file will not come in time, but later? */
static bool
is_sure_to_be_late(const struct want *want)
{
	if (want->late_ms == 0)
		return false;
	return want->lookup != NULL ? lookups_are_too_slow_for(want)
	    : downloads_are_too_slow_for(want);
}

static bool
is_late(const struct pending *pending, int64_t now_ms)
{
	if (pending->deadline_ms == 0)
		return false;
	if (pending->deadline_ms <= now_ms || pending->held_ms > 0)
		return pending->deadline_ms <= now_ms;
	for (size_t i = 0; i < pending->count; i++)
		if (pending->wants[i].status == WANT_OPEN &&
		    !is_sure_to_be_late(&pending->wants[i]))
			return false;
	return true;
}

/* Let records go that waited long enough; false where there was none. */
static bool
give_up_late_ones(struct fetcher *fetcher)
{
	struct pending *next;
	int64_t now_ms = clock_steady_ms();
	bool any = false;

	for (struct pending *pending = fetcher->first; pending != NULL;
	    pending = next) {
		next = pending->next;
		if (!is_late(pending, now_ms))
			continue;
		give_up(fetcher, pending);
		any = true;
	}
	return any;
}

/* What an earlier run owed to the inbox. */
static void
resume_late_files(struct fetcher *fetcher)
{
	struct want *want;

	while ((want = late_files_resume(fetcher->late_files)) != NULL) {
		if (want->status == WANT_OPEN)
			look_for(fetcher, want);
		if (want->status != WANT_OPEN)
			late_files_settle(fetcher->late_files, want);
	}
}

/* Without room on the disk nothing could be fetched. */
static void
extend_late_files(struct fetcher *fetcher)
{
	int64_t now_ms = clock_steady_ms();

	if (fetcher->late_files != NULL &&
	    downloads_lack_room(fetcher->downloads))
		late_files_extend(fetcher->late_files,
		    now_ms - fetcher->looked_ms);
	fetcher->looked_ms = now_ms;
}

static void
give_up_late_files(struct fetcher *fetcher)
{
	const struct fetcher_settings *settings = fetcher->settings;
	struct want *want;

	while (fetcher->late_files != NULL &&
	    (want = late_files_overdue(fetcher->late_files)) != NULL) {
		stop_fetching(want);
		want_settle(want, WANT_FAILED, "not complete after %g s",
		    (double)(settings->deadline_ms +
		    settings->late_deadline_ms) / 1000);
		late_files_settle(fetcher->late_files, want);
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

/* 0 is no moment. */
static int64_t
earlier(int64_t one_ms, int64_t other_ms)
{
	if (one_ms == 0 || other_ms == 0)
		return one_ms + other_ms;
	return one_ms < other_ms ? one_ms : other_ms;
}

/* How long nothing happens unless something comes. */
static int
find_timeout(const struct fetcher *fetcher)
{
	int64_t now_ms = clock_steady_ms();
	int64_t next_ms = downloads_next_ms(fetcher->downloads);

	for (const struct pending *pending = fetcher->first; pending != NULL;
	    pending = pending->next)
		next_ms = earlier(next_ms, pending->deadline_ms);
	if (fetcher->late_files != NULL)
		next_ms = earlier(next_ms,
		    late_files_next_ms(fetcher->late_files));
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
	struct pollfd fds[DOWNLOADS_WAIT_FDS] = {
		{ wants_input ? STDIN_FILENO : -1, POLLIN, 0 },
		{ fetcher->set, POLLIN, 0 },
	};
	int timeout_ms = find_timeout(fetcher);

	if (downloads_are_running(fetcher->downloads)) {
		downloads_wait(fetcher->downloads,
		    (int[]){ fds[0].fd, fds[1].fd }, timeout_ms);
		timeout_ms = 0;
	}
	signals_poll(fds, DOWNLOADS_WAIT_FDS, timeout_ms);
	return fds[0].revents != 0;
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

/* Go on with all that is fetched, decide what can be decided. */
static void
fetch(struct fetcher *fetcher)
{
	if (fetcher->set != -1)
		events_dispatch(fetcher->set);
	do
		downloads_run(fetcher->downloads);
	while (give_up_late_ones(fetcher));
	extend_late_files(fetcher);
	give_up_late_files(fetcher);
}

static int
run(struct fetcher *fetcher)
{
	fetch(fetcher);
	while (!is_done(fetcher)) {
		wait_for_work(fetcher);
		signals_take_reload();
		spool_expire(fetcher->settings->spool);
		if (take_lines(fetcher) == -1)
			return output_failure(errno);
		fetch(fetcher);
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

static struct lookups *
make_lookups(struct fetcher *fetcher)
{
	const struct fetcher_settings *settings = fetcher->settings;
	struct lookup_settings lookup_settings = {
		.api_url = settings->api_url,
		.ca_file = settings->ca_file,
		.token = settings->token,
		.set = fetcher->set,
		.timers = fetcher->timers,
		.deadline_ms = settings->deadline_ms,
		.found = take_info,
		.settled = settled,
		.arg = fetcher,
	};

	return lookups_new(&lookup_settings);
}

static struct late_files *
make_late_files(struct fetcher *fetcher)
{
	struct late_settings late_settings = {
		.inbox = fetcher->settings->inbox,
		.spool = fetcher->settings->spool,
		.bytes_max = fetcher->settings->bytes_max,
		.time_ms = fetcher->settings->late_deadline_ms,
		.set = fetcher->set,
		.timers = fetcher->timers,
	};

	return late_files_new(&late_settings);
}

/* What needs a network, and events to wait for. */
static void
make_live_side(struct fetcher *fetcher)
{
	const struct fetcher_settings *settings = fetcher->settings;

	fetcher->set = -1;
	if (settings->is_offline ||
	    (settings->token == NULL && settings->inbox == NULL))
		return;
	fetcher->set = events_open();
	fetcher->timers = timers_new(fetcher->set);
	if (settings->token != NULL)
		fetcher->lookups = make_lookups(fetcher);
	if (settings->inbox != NULL)
		fetcher->late_files = make_late_files(fetcher);
}

static void
free_live_side(struct fetcher *fetcher)
{
	lookups_free(fetcher->lookups);
	late_files_free(fetcher->late_files);
	timers_free(fetcher->timers);
	if (fetcher->set != -1)
		close(fetcher->set);
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
	make_live_side(&fetcher);
	signals_catch();
	fetcher.looked_ms = clock_steady_ms();
	if (fetcher.late_files != NULL)
		resume_late_files(&fetcher);
	int status = run(&fetcher);
	downloads_free(fetcher.downloads);
	free_live_side(&fetcher);
	free_pendings(&fetcher);
	ordered_writer_free(fetcher.writer);
	buffer_free(&fetcher.out);
	record_free(fetcher.record);
	line_reader_free(fetcher.reader);
	return status;
}
