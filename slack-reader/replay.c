#include "replay.h"

#include <err.h>
#include <errno.h>
#include <sysexits.h>

#include "envelope.h"
#include "output.h"
#include "progress.h"
#include "recording.h"
#include "signals.h"
#include "slack_time.h"
#include "status.h"

/* While somebody looks at the progress it is drawn this often. */
#define WAIT_SHOWN_MS 500

struct replay {
	const struct replay_options *options;
	struct stamp *stamp;
	struct recording *recording;
	struct rhythm rhythm;
	struct progress progress;
	struct status *status_file;
	struct envelope envelope;

	struct record *record;
	struct buffer error;
	struct buffer out;
	int64_t written;
	int status;			/* EX_OK while all is well */
};

static bool
is_over(const struct replay *replay)
{
	return replay->status != EX_OK || signals_want_stop() ||
	    replay->written >= replay->options->limit;
}

static void
show_progress(struct replay *replay, int wait_ms)
{
	struct progress_state state = {
		.records = (uint64_t)replay->written,
		.position = recording_position(replay->recording),
		.size = replay->options->loop ? 0
		    : recording_size(replay->recording),
		.wait_ms = wait_ms,
	};

	progress_show(&replay->progress, &state);
}

/* Returns after how many ms it is to be called again, or -1. */
static int
tell_news(struct replay *replay)
{
	return (int)status_note(replay->status_file, &(struct status_news){
	    .slack = "replay", .seq = replay->stamp->next_seq - 1 });
}

static void
flush_records(struct replay *replay)
{
	if (output_flush(&replay->out) == -1)
		replay->status = output_failure(errno);
	signals_check();
}

/* What was written so far goes out before anything is waited for. */
static void
wait_for_input(struct replay *replay)
{
	struct pollfd input = { recording_fd(replay->recording), POLLIN, 0 };

	flush_records(replay);
	if (is_over(replay))
		return;
	show_progress(replay, 0);
	signals_poll(&input, 1, tell_news(replay));
}

static void
wait_until_due(struct replay *replay)
{
	int64_t time_us;
	int wait_ms, news_ms;

	if (!slack_time(replay->record, &time_us))
		return;
	rhythm_schedule(&replay->rhythm, time_us, rhythm_now_ns());
	while ((wait_ms = rhythm_remaining_ms(&replay->rhythm,
	    rhythm_now_ns())) > 0) {
		flush_records(replay);
		if (is_over(replay))
			return;
		show_progress(replay, wait_ms);
		if (replay->progress.is_shown && wait_ms > WAIT_SHOWN_MS)
			wait_ms = WAIT_SHOWN_MS;
		news_ms = tell_news(replay);
		if (news_ms >= 0 && news_ms < wait_ms)
			wait_ms = news_ms;
		signals_poll(NULL, 0, wait_ms);
	}
}

static void
write_record(struct replay *replay)
{
	stamp_record(replay->stamp, replay->record);
	record_write(replay->record, &replay->out);
	replay->written++;
	if (replay->out.length >= OUTPUT_BLOCK_BYTES) {
		flush_records(replay);
		show_progress(replay, 0);
		tell_news(replay);
	}
}

/* Did an earlier run write this record? It counts, but is not sent again. */
static bool
skip_record(struct replay *replay)
{
	if (replay->stamp->next_seq > replay->options->after)
		return false;
	replay->stamp->next_seq++;
	return true;
}

/* Error records come in at the door, too, and are stamped like all. */
static void
write_error(struct replay *replay, const struct value *value,
    const char *reason)
{
	if (skip_record(replay))
		return;
	replay->error.length = 0;
	record_write_error(&replay->error, STAGE, reason, value->text,
	    value->length, value->total);
	record_parse(replay->record, replay->error.data,
	    replay->error.length - 1);
	write_record(replay);
	if (replay->error.capacity > RECORD_BYTES_MAX / 16)
		buffer_free(&replay->error);
}

static void
replay_record(struct replay *replay)
{
	if (skip_record(replay))
		return;
	wait_until_due(replay);
	if (is_over(replay))
		return;
	recording_complete(replay->recording, replay->record);
	write_record(replay);
}

static void
replay_value(struct replay *replay, const struct value *value)
{
	const char *reason = value->reason;

	if (reason == NULL &&
	    record_parse(replay->record, value->text, value->length) == -1)
		reason = record_reason(replay->record);
	if (reason != NULL) {
		write_error(replay, value, reason);
		return;
	}
	switch (envelope_open(&replay->envelope, replay->record)) {
	case ENVELOPE_EVENT:
		record_parse(replay->record, replay->envelope.event,
		    replay->envelope.event_length);
		/* FALLTHROUGH */
	case ENVELOPE_NONE:
		replay_record(replay);
		/* FALLTHROUGH */
	case ENVELOPE_EMPTY:
		break;
	}
}

/* From the start of the recording to its end. */
static void
replay_once(struct replay *replay)
{
	enum recording_result result = RECORDING_WAIT;
	struct value value;

	while (!is_over(replay) && result != RECORDING_END) {
		result = recording_next(replay->recording, &value);
		if (result == RECORDING_VALUE)
			replay_value(replay, &value);
		else if (result == RECORDING_WAIT)
			wait_for_input(replay);
		else if (result == RECORDING_FAILED)
			replay->status = EX_NOINPUT;
	}
}

/* Go back to the start, if that is wanted and leads anywhere. */
static bool
begin_again(struct replay *replay, int64_t seq_before)
{
	if (!replay->options->loop || is_over(replay))
		return false;
	if (replay->stamp->next_seq == seq_before) {
		warnx("%s: no records to repeat", replay->options->path);
		replay->status = EX_NOINPUT;
	} else if (recording_rewind(replay->recording) == -1) {
		replay->status = EX_NOINPUT;
	}
	rhythm_restart(&replay->rhythm);
	return replay->status == EX_OK;
}

/* What was written before a failure to read still goes out. */
static void
finish_output(struct replay *replay)
{
	if (replay->status == EX_IOERR)
		return;
	if (output_flush(&replay->out) == -1)
		replay->status = output_failure(errno);
	else if (output_close() == -1)
		replay->status = EX_IOERR;
}

static void
replay_all(struct replay *replay)
{
	int64_t seq_before;

	progress_start(&replay->progress);
	tell_news(replay);
	do {
		seq_before = replay->stamp->next_seq;
		replay_once(replay);
	} while (begin_again(replay, seq_before));
	progress_end(&replay->progress, (uint64_t)replay->written);
	envelope_report(&replay->envelope);
	finish_output(replay);
	tell_news(replay);
}

int
replay_run(const struct replay_options *options, struct stamp *stamp)
{
	struct replay replay = {
		.options = options,
		.stamp = stamp,
		.rhythm = options->rhythm,
		.record = record_new(STAGE, stamp_members),
		.status_file = status_new(options->status),
	};

	replay.recording = recording_open(options->path);
	if (replay.recording != NULL)
		replay_all(&replay);
	else
		replay.status = EX_NOINPUT;
	recording_free(replay.recording);
	record_free(replay.record);
	envelope_free(&replay.envelope);
	status_free(replay.status_file);
	buffer_free(&replay.error);
	buffer_free(&replay.out);
	return replay.status;
}
