#include "stage.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
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
#include "orders.h"
#include "output.h"
#include "reports.h"
#include "sender.h"
#include "signals.h"
#include "status_line.h"
#include "timers.h"

#define RETRY_MS 1000
#define TIDY_MS 1000		/* after something was committed */
#define LOOK_MS 60000
#define LINGER_MS 2000
#define OLD_US INT64_C(600000000)

struct stage {
	const struct stage_settings *settings;
	struct outbox *outbox;
	struct again *again;
	struct reports *reports;	/* NULL: without an inbox */
	struct sender *sender;		/* NULL: without a token */
	struct downstream *downstream;
	struct orders *orders;
	struct intake *intake;

	int set;
	struct timers *timers;
	struct timer retry;		/* a commit that failed */
	struct timer tidy;
	struct timer look;
	struct timer release;		/* of what is held back */
	struct timer linger;		/* for what is under way at the end */
	struct event input;
	struct event output;
	struct event signals;

	bool may_read;			/* input would not make us wait */
	bool is_output_broken;
	bool is_closed;			/* the output */
	bool is_leaving;		/* nothing new is sent */
	bool is_released;		/* what was held back, at the end */
	bool shows_progress;
	int64_t shown;			/* how many waited then */
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
	struct stage *stage = arg;

	signals_check();
	if (signals_take_reload() && stage->sender != NULL)
		sender_retry(stage->sender);
}

/* --- the outbox -------------------------------------------------------------*/

static void
warn_people(const char *topic, const char *reason, void *arg)
{
	struct stage *stage = arg;

	if (stage->reports != NULL)
		reports_warn(stage->reports, topic, reason);
}

/* Those that live on what is in the outbox. */
static void
wake_others(struct stage *stage)
{
	stage->commits = outbox_commits(stage->outbox);
	if (outbox_take_mended(stage->outbox))
		warn_people("damage", "the outbox was damaged and is moved"
		    " aside: messages may be missing, see the log", stage);
	if (stage->reports != NULL)
		reports_wake(stage->reports);
	if (stage->sender != NULL)
		sender_wake(stage->sender);
}

/* What has waited long enough is sent now; it is looked after the rest later. */
static void
release_due(void *arg)
{
	struct stage *stage = arg;
	int64_t due_us = outbox_release_due(stage->outbox), wait_ms;

	wake_others(stage);
	if (due_us == 0)
		return;
	wait_ms = (due_us - clock_now_us()) / 1000 + 1;
	timers_set(stage->timers, &stage->release, wait_ms < 0 ? 0 :
	    wait_ms < LOOK_MS ? wait_ms : LOOK_MS);
}

/* For slack-bot, which tells people. A disk that is full is told elsewhere. */
static void
tell_status(const struct stage *stage)
{
	int64_t oldest_us = outbox_oldest_us(stage->outbox);
	char line[STATUS_LINE_BYTES], since[CLOCK_TEXT_BYTES] = "-";

	if (stage->settings->status == NULL)
		return;
	if (oldest_us != 0)
		clock_format(oldest_us, since);
	snprintf(line, sizeof line, "open=%" PRId64 " oldest=%s pid=%d",
	    outbox_count_open(stage->outbox), since, (int)getpid());
	status_line_write(stage->settings->status, line);
}

static void
tidy(void *arg)
{
	struct stage *stage = arg;

	if (outbox_tidy(stage->outbox))
		timers_set(stage->timers, &stage->tidy, 0);
	tell_status(stage);
	wake_others(stage);
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
	warn_people("age", buffer_string(&reason), stage);
	buffer_free(&reason);
}

/* What lies there for long is known to people once an hour. */
static void
look(void *arg)
{
	struct stage *stage = arg;
	int64_t oldest_us = outbox_oldest_us(stage->outbox);

	timers_set(stage->timers, &stage->look, LOOK_MS);
	if (oldest_us != 0 && clock_now_us() - oldest_us > OLD_US)
		warn_of_age(stage, oldest_us);
	tidy(stage);
}

static void
notice_changes(struct stage *stage)
{
	if (outbox_commits(stage->outbox) == stage->commits)
		return;
	wake_others(stage);
	timers_set(stage->timers, &stage->release, 0);
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
	if (!orders_are_unsafe(stage->orders)) {
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
	orders_note_commit(stage->orders);
	stage->trouble_ms = 0;
	return EX_OK;
}

/* That it is due is all there is to know. */
static void
note_time(void *arg)
{
	(void)arg;
}

/* --- the loop ---------------------------------------------------------------*/

/* Returns 0, or an exit status. */
static int
write_answers(struct stage *stage)
{
	if (stage->is_output_broken)
		return output_failure(EPIPE);
	if (orders_are_unsafe(stage->orders))
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
		    orders_are_unsafe(stage->orders) ? 0 : EPOLLOUT);
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
	    orders_are_unsafe(stage->orders) ||
	    !downstream_is_empty(stage->downstream))
		return EX_OK;
	stage->is_closed = true;
	events_ignore(stage->set, &stage->output);
	if (signals_want_stop())
		return EX_OK;
	return downstream_close(stage->downstream) == 0 ? EX_OK : EX_IOERR;
}

/* On a terminal somebody looks on. */
static void
show_progress(struct stage *stage, int64_t open)
{
	if (!stage->shows_progress || open == stage->shown)
		return;
	fprintf(stderr, "\rslack-send: %" PRId64 " messages wait%s", open,
	    open == 0 ? "\n" : "  ");
	fflush(stderr);
	stage->shown = open;
}

/* With --drain all is to be through. */
static bool
is_drained(struct stage *stage)
{
	int64_t open = outbox_count_open(stage->outbox);

	if (!stage->settings->drains || signals_want_stop())
		return true;
	if (!stage->is_released)
		outbox_release(stage->outbox);
	stage->is_released = true;
	show_progress(stage, open);
	return open == 0 && !outbox_is_in_trouble(stage->outbox) &&
	    (stage->reports == NULL || reports_are_idle(stage->reports));
}

/* What is under way may end: else the next start has to ask Slack about it. */
static bool
is_finished(struct stage *stage)
{
	if (!stage->is_closed || !is_drained(stage))
		return false;
	if (stage->sender == NULL)
		return true;
	if (!stage->is_leaving) {
		stage->is_leaving = true;
		sender_stop(stage->sender);
		timers_set(stage->timers, &stage->linger, LINGER_MS);
	}
	return sender_is_idle(stage->sender) || !stage->linger.is_set;
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
	stage->retry = (struct timer){ .due = note_time, .arg = stage };
	stage->tidy = (struct timer){ .due = tidy, .arg = stage };
	stage->release = (struct timer){ .due = release_due, .arg = stage };
	stage->look = (struct timer){ .due = look, .arg = stage };
	stage->linger = (struct timer){ .due = note_time, .arg = stage };
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

static struct sender *
make_sender(struct stage *stage)
{
	const struct stage_settings *settings = stage->settings;

	return sender_new(&(struct sender_settings){
		.set = stage->set, .timers = stage->timers,
		.outbox = stage->outbox, .token = settings->token,
		.api_url = settings->api_url, .ca_file = settings->ca_file,
		.dashboard = settings->dashboard,
		.may_broadcast = settings->may_broadcast,
		.give_up_ms = settings->give_up_ms,
		.warn = warn_people, .arg = stage });
}

static void
prepare(struct stage *stage)
{
	const struct stage_settings *settings = stage->settings;

	open_events(stage);
	stage->downstream = downstream_new();
	stage->orders = orders_new(stage->outbox, stage->downstream,
	    settings->may_broadcast);
	stage->intake = intake_new(orders_taker(stage->orders));
	if (settings->inbox != NULL)
		stage->reports = reports_new(settings->inbox, stage->set,
		    stage->timers, stage->outbox);
	if (settings->token == NULL)
		warnx("no SLACK_BOT_TOKEN: messages are stored, not sent");
	else
		stage->sender = make_sender(stage);
	if (stage->sender != NULL)
		sender_wake(stage->sender);	/* what an earlier run left */
	stage->shows_progress = settings->drains && isatty(STDERR_FILENO);
	timers_set(stage->timers, &stage->look, 0);
	timers_set(stage->timers, &stage->release, 0);
}

static void
release(struct stage *stage)
{
	sender_free(stage->sender);
	reports_free(stage->reports);
	intake_free(stage->intake);
	orders_free(stage->orders);
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
