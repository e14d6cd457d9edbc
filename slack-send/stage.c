#include "stage.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "again.h"
#include "clock.h"
#include "downstream.h"
#include "events.h"
#include "intake.h"
#include "kept.h"
#include "memory.h"
#include "output.h"
#include "reports.h"
#include "signals.h"
#include "timers.h"

#define RETRY_MS 1000
#define TIDY_MS 1000		/* after something was committed */
#define LOOK_MS 60000
#define OLD_US INT64_C(600000000)

struct stage {
	const struct stage_settings *settings;
	struct outbox *outbox;
	struct again *again;
	struct reports *reports;	/* NULL: without an inbox */
	struct downstream *downstream;
	struct intake *intake;

	int set;
	struct timers *timers;
	struct timer retry;		/* a commit that failed */
	struct timer tidy;
	struct timer look;
	struct event input;
	struct event output;
	struct event signals;

	bool may_read;			/* input would not make us wait */
	bool is_output_broken;
	bool is_closed;			/* the output */
	uint64_t commits;		/* that were noticed */
	int64_t trouble_ms;		/* since when answers wait, or 0 */
};

static void
note_input(void *arg)
{
	struct stage *stage = arg;

	stage->may_read = true;
}

/* Nothing is to be written: then it is broken, nobody reads it any more. */
static void
note_output(void *arg)
{
	struct stage *stage = arg;

	stage->is_output_broken |= stage->output.mask == 0;
}

static void
note_signals(void *arg)
{
	(void)arg;
	signals_check();
}

/* --- the outbox -------------------------------------------------------------*/

static void
tidy(void *arg)
{
	struct stage *stage = arg;

	if (outbox_tidy(stage->outbox))
		timers_set(stage->timers, &stage->tidy, 0);
	stage->commits = outbox_commits(stage->outbox);
	if (stage->reports != NULL)
		reports_wake(stage->reports);
}

static void
warn_of_age(struct stage *stage, int64_t oldest_us)
{
	struct buffer reason = { 0 };
	char since[CLOCK_TEXT_BYTES];

	clock_format(oldest_us, since);
	buffer_printf(&reason, "%" PRId64 " messages wait for Slack, the oldest"
	    " since %s%s", outbox_count_open(stage->outbox), since,
	    stage->settings->token == NULL ? ": without SLACK_BOT_TOKEN"
	    " nothing is sent" : "");
	reports_warn(stage->reports, "age", buffer_string(&reason));
	buffer_free(&reason);
}

/* What lies there for long is known to people once an hour. */
static void
look(void *arg)
{
	struct stage *stage = arg;
	int64_t oldest_us = outbox_oldest_us(stage->outbox);

	timers_set(stage->timers, &stage->look, LOOK_MS);
	if (stage->reports != NULL && oldest_us != 0 &&
	    clock_now_us() - oldest_us > OLD_US)
		warn_of_age(stage, oldest_us);
	tidy(stage);
}

/* Those that live on what is in the outbox. */
static void
notice_changes(struct stage *stage)
{
	if (outbox_commits(stage->outbox) == stage->commits)
		return;
	if (stage->reports != NULL)
		reports_wake(stage->reports);
	stage->commits = outbox_commits(stage->outbox);
	if (!stage->tidy.is_set)
		timers_set(stage->timers, &stage->tidy, TIDY_MS);
}

static void
take_replayed(void *arg)
{
	struct stage *stage = arg;

	outbox_refresh(stage->outbox);
	stage->commits--;	/* another process committed */
}

/* With keep, half of the time after which it would take us for hung. */
static int
wait_for_room(struct stage *stage)
{
	int64_t now_ms = clock_steady_ms(), patience_ms = kept_patience_ms();

	if (!stage->retry.is_set)
		timers_set(stage->timers, &stage->retry,
		    patience_ms / 2 < RETRY_MS ? patience_ms / 2 : RETRY_MS);
	if (!intake_is_unsafe(stage->intake)) {
		stage->trouble_ms = 0;
		return EX_OK;
	}
	if (stage->trouble_ms == 0)
		stage->trouble_ms = now_ms;
	return signals_want_stop() ||
	    now_ms - stage->trouble_ms > patience_ms ? EX_TEMPFAIL : EX_OK;
}

/* Make safe what was taken. Returns 0, or an exit status. */
static int
commit(struct stage *stage)
{
	if (outbox_is_in_trouble(stage->outbox) && stage->retry.is_set)
		return wait_for_room(stage);
	if (outbox_commit(stage->outbox) == -1)
		return wait_for_room(stage);
	intake_note_commit(stage->intake);
	stage->trouble_ms = 0;
	return EX_OK;
}

static void
retry(void *arg)
{
	(void)arg;	/* that it is due is all there is to know */
}

/* --- the loop ---------------------------------------------------------------*/

/* Returns 0, or an exit status. */
static int
write_answers(struct stage *stage)
{
	if (stage->is_output_broken)
		return output_failure(EPIPE);
	if (intake_is_unsafe(stage->intake))
		return EX_OK;
	return downstream_write(stage->downstream) == 0 ? EX_OK
	    : output_failure(errno);
}

/* Input only while there is room, output only while there is something that
 * may leave. */
static void
watch_records(struct stage *stage)
{
	if (intake_wants_input(stage->intake))
		events_watch(stage->set, &stage->input, EPOLLIN);
	else
		events_ignore(stage->set, &stage->input);
	if (!stage->is_closed)
		events_watch(stage->set, &stage->output,
		    downstream_is_empty(stage->downstream) ||
		    intake_is_unsafe(stage->intake) ? 0 : EPOLLOUT);
	stage->may_read = stage->input.is_always_ready;
}

static int
take_turn(struct stage *stage)
{
	int status = EX_OK;

	if (intake_run(stage->intake, stage->may_read) == -1)
		return EX_IOERR;
	status = commit(stage);
	notice_changes(stage);
	if (status == EX_OK)
		status = write_answers(stage);
	if (status == EX_OK)
		watch_records(stage);
	return status;
}

static bool
has_work(const struct stage *stage)
{
	return intake_has_work(stage->intake) ||
	    (stage->input.is_always_ready &&
	    intake_wants_input(stage->intake));
}

/* Has all that was read left? Then whoever reads it is told. */
static int
look_for_end(struct stage *stage)
{
	if (signals_want_stop())
		intake_stop(stage->intake);
	if (stage->is_closed || !intake_is_done(stage->intake) ||
	    intake_is_unsafe(stage->intake) ||
	    !downstream_is_empty(stage->downstream))
		return EX_OK;
	stage->is_closed = true;
	events_ignore(stage->set, &stage->output);
	if (signals_want_stop())
		return EX_OK;
	return downstream_close(stage->downstream) == 0 ? EX_OK : EX_IOERR;
}

static bool
is_finished(const struct stage *stage)
{
	if (!stage->is_closed)
		return false;
	return !stage->settings->drains || signals_want_stop() ||
	    (outbox_count_open(stage->outbox) == 0 &&
	    !outbox_is_in_trouble(stage->outbox) &&
	    (stage->reports == NULL || reports_are_idle(stage->reports)));
}

static int
run(struct stage *stage)
{
	int status = EX_OK;

	watch_records(stage);
	while (status == EX_OK && !is_finished(stage)) {
		events_wait(stage->set, has_work(stage) ? 0 : -1);
		status = look_for_end(stage);
		if (status == EX_OK)
			status = take_turn(stage);
		if (status == EX_OK)
			status = look_for_end(stage);
	}
	return status;
}

/* --- from start to end ------------------------------------------------------*/

static void
open_events(struct stage *stage)
{
	stage->set = events_open();
	stage->timers = timers_new(stage->set);
	stage->retry = (struct timer){ .due = retry, .arg = stage };
	stage->tidy = (struct timer){ .due = tidy, .arg = stage };
	stage->look = (struct timer){ .due = look, .arg = stage };
	stage->input = (struct event){ .fd = STDIN_FILENO,
	    .ready = note_input, .arg = stage };
	stage->output = (struct event){ .fd = STDOUT_FILENO,
	    .ready = note_output, .arg = stage };
	stage->signals = (struct event){ .fd = signals_descriptor(),
	    .ready = note_signals, .arg = stage };
	events_watch(stage->set, &stage->signals, EPOLLIN);
	again_watch(stage->again, stage->set, take_replayed, stage);
}

/* Returns 0, or an exit status. */
static int
open_outbox(struct stage *stage)
{
	int status = EX_OK;

	stage->again = again_open(stage->settings->outbox.path, &status);
	if (stage->again != NULL)
		stage->outbox = outbox_open(&stage->settings->outbox, &status);
	return status;
}

static void
prepare(struct stage *stage)
{
	const struct stage_settings *settings = stage->settings;

	open_events(stage);
	stage->downstream = downstream_new();
	stage->intake = intake_new(stage->outbox, stage->downstream,
	    settings->may_broadcast);
	if (settings->inbox != NULL)
		stage->reports = reports_new(settings->inbox, stage->set,
		    stage->timers, stage->outbox);
	if (settings->token == NULL)
		warnx("no SLACK_BOT_TOKEN: messages are stored, not sent");
	timers_set(stage->timers, &stage->look, 0);
}

static void
release(struct stage *stage)
{
	reports_free(stage->reports);
	intake_free(stage->intake);
	downstream_free(stage->downstream);
	if (stage->signals.fd != -1)
		close(stage->signals.fd);
	again_close(stage->again);
	timers_free(stage->timers);
	if (stage->set != -1)
		close(stage->set);
	outbox_close(stage->outbox);
}

static void
tell_what_is_left(const struct stage *stage)
{
	int64_t open = outbox_count_open(stage->outbox);

	if (open > 0)
		warnx("%" PRId64 " messages are left in %s to the next start",
		    open, stage->settings->outbox.path);
}

int
stage_run(const struct stage_settings *settings)
{
	struct stage stage = { .settings = settings, .set = -1,
	    .signals = { .fd = -1 } };
	int status;

	signals_catch();
	status = open_outbox(&stage);
	if (status == EX_OK) {
		prepare(&stage);
		status = run(&stage);
		if (status == EX_OK)
			tell_what_is_left(&stage);
	}
	release(&stage);
	return status;
}
