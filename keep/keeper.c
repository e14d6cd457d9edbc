#include "keeper.h"

#include <err.h>
#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "kept.h"
#include "keeper_parts.h"
#include "requests.h"
#include "wide_pipe.h"

#define AHEAD_BYTES (2 * KEEPER_READ_BYTES)
#define MAPPED_BYTES (128 * 1024)	/* and more: given back when freed */
#define PATIENCE_MS_MOST 4000
#define STATUS_MS 1000			/* between two, while lines wait */

/* --- input -----------------------------------------------------------------*/

/* What the stage does not take is better left in the pipe than read ahead:
 * memory that was not touched for long is slow. */
static bool
wants_input(const struct keeper *keeper)
{
	size_t ahead;

	window_to_feed(keeper->window, 0, &ahead);
	return !keeper_is_ending(keeper) && keeper->verdict == 0 &&
	    ahead < AHEAD_BYTES && !window_is_full(keeper->window);
}

static void
end_input(struct keeper *keeper)
{
	bool takes = !keeper->options->drops_unfinished &&
	    keeper->stop_signal == 0;
	size_t length = window_end(keeper->window, takes);

	if (length > 0 && !takes)
		warnx("%s: an unfinished last line of %zu bytes was left out",
		    keeper->options->name, length);
}

static void
read_input(void *arg)
{
	struct keeper *keeper = arg;
	size_t length;
	ssize_t count;

	if (!wants_input(keeper)) {
		events_ignore(keeper->set, &keeper->input);
		return;
	}

	char *room = window_room(keeper->window, &length);
	count = read(STDIN_FILENO, room, length);
	if (count > 0) {
		window_fill(keeper->window, (size_t)count);
	} else if (count == 0) {
		keeper->is_input_ended = true;
		end_input(keeper);
	} else if (errno != EAGAIN && errno != EINTR) {
		warn("read standard input");
		keeper_condemn(keeper, EX_IOERR);
	}
}

static void
close_stage_input(struct keeper *keeper)
{
	events_ignore(keeper->set, &keeper->to_stage);
	stage_close_input(&keeper->stage);
	keeper->waiting_since_ms = clock_steady_ms();
}

/* Is there something that the stage may be given now? */
static bool
is_feeding(const struct keeper *keeper)
{
	size_t length;

	return keeper->stage.input != -1 && window_to_feed(keeper->window,
	    caution_lines(&keeper->caution), &length) != NULL;
}

/* Give the stage what it takes, and the end of the input behind it all. */
static void
feed(void *arg)
{
	struct keeper *keeper = arg;
	const char *lines;
	size_t length;

	while (keeper->stage.input != -1 && keeper->phase == RUNNING &&
	    (lines = window_to_feed(keeper->window,
	    caution_lines(&keeper->caution), &length)) != NULL) {
		ssize_t count = write(keeper->stage.input, lines, length);

		if (count == -1 && errno == EAGAIN)
			break;
		if (count == -1 && errno == EINTR)
			continue;
		if (count == -1) {
			close_stage_input(keeper);
			break;
		}
		if (!window_is_waiting(keeper->window))
			keeper->waiting_since_ms = clock_steady_ms();
		window_feed(keeper->window, (size_t)count);
	}
	if (keeper->stage.input != -1 && keeper_is_ending(keeper) &&
	    keeper_is_all_fed(keeper))
		close_stage_input(keeper);
}

/* --- requests --------------------------------------------------------------*/

static void
stop(struct keeper *keeper, int number)
{
	if (keeper->stop_signal != 0) {
		stage_kill(&keeper->stage);
		keeper_finish(keeper, 128 + number);
		return;
	}
	if (keeper->is_told_full || keeper->is_retrying)
		warnx("%s: asked to end, which waits for that; asked again"
		    " it ends at once", keeper->options->name);
	keeper->stop_signal = number;
	keeper->is_asked_to_end = keeper->stage.pid > 0;
	end_input(keeper);
	stage_signal(&keeper->stage, number);
}

static void
take_request(void *arg)
{
	struct keeper *keeper = arg;
	int number = requests_next(keeper->requests.fd);

	switch (number) {
	case 0: break;
	case SIGCHLD: keeper_check_death(keeper); break;
	case SIGUSR1: keeper_tell_status(keeper); break;
	case SIGHUP: stage_signal(&keeper->stage, SIGHUP); break;
	default: stop(keeper, number); break;
	}
}

/* --- the loop --------------------------------------------------------------*/

static void
output_ready(void *arg)
{
	struct keeper *keeper = arg;

	if (keeper->output.mask == 0)	/* nothing else is told then */
		keeper_lose_output(keeper, EPIPE);
	else
		keeper_pass_on(keeper);
}

/* Does the file say something else than is true now, perhaps? */
static bool
is_status_due(const struct keeper *keeper)
{
	return keeper->options->status_path != NULL &&
	    !keeper->status_due.is_set && (keeper->told_lines > 0 ||
	    window_is_waiting(keeper->window));
}

static void
watch_if(struct keeper *keeper, struct event *event, bool is_wanted,
    uint32_t mask)
{
	if (is_wanted)
		events_watch(keeper->set, event, mask);
	else
		events_ignore(keeper->set, event);
}

static void
watch(struct keeper *keeper)
{
	bool is_running = keeper->phase == RUNNING;
	bool has_output = !downstream_is_empty(keeper->downstream);

	watch_if(keeper, &keeper->input, wants_input(keeper), EPOLLIN);
	watch_if(keeper, &keeper->to_stage, is_running && is_feeding(keeper),
	    EPOLLOUT);
	watch_if(keeper, &keeper->from_stage, is_running &&
	    keeper_wants_answers(keeper), EPOLLIN);
	watch_if(keeper, &keeper->output, !keeper->retry.is_set,
	    has_output ? EPOLLOUT : 0);
	if (caution_lines(&keeper->caution) > 0 && is_running &&
	    window_is_waiting(keeper->window) && !has_output &&
	    !keeper->patience.is_set)
		timers_set(keeper->timers, &keeper->patience,
		    keeper->caution.patience_ms);
	if (is_status_due(keeper))
		timers_set(keeper->timers, &keeper->status_due, STATUS_MS);
	if (!keeper_is_stage_owing(keeper))
		timers_cancel(keeper->timers, &keeper->hang);
	else if (!keeper->hang.is_set)
		timers_set(keeper->timers, &keeper->hang,
		    keeper->waiting_since_ms + keeper->options->hang_ms -
		    clock_steady_ms());
}

static void
wait_for_events(struct keeper *keeper)
{
	bool is_ready = keeper->input.is_always_ready && wants_input(keeper);

	if (is_ready)
		read_input(keeper);
	events_wait(keeper->set, is_ready ? 0 : -1);
}

/* Without a stage nothing may be left to do. */
static void
check_end(struct keeper *keeper)
{
	if (keeper->phase == PAUSING &&
	    downstream_is_empty(keeper->downstream) &&
	    (keeper->verdict != 0 ||
	    (keeper_is_ending(keeper) && keeper_is_all_answered(keeper))))
		keeper_finish(keeper, keeper->verdict);
}

static void
run(struct keeper *keeper)
{
	keeper_start(keeper);
	while (keeper->phase != OVER) {
		keeper_pass_on(keeper);
		if (!keeper->to_stage.is_watched || keeper_is_ending(keeper))
			feed(keeper);
		keeper_drain(keeper);
		check_end(keeper);
		if (keeper->phase == OVER)
			break;
		watch(keeper);
		wait_for_events(keeper);
	}
}

static struct event
make_event(int fd, void (*ready)(void *arg), struct keeper *keeper)
{
	return (struct event){ .fd = fd, .ready = ready, .arg = keeper };
}

/*
 * Keep and its stage wake each other all the time: that is cheaper where the
 * one who is woken does not push the other aside, and where more goes at once.
 * Both are wishes, not needs.
 */
static void
prefer_throughput(void)
{
	const struct sched_param none = { 0 };

	if (sched_getscheduler(0) == SCHED_OTHER)
		sched_setscheduler(0, SCHED_BATCH, &none);
	widen_pipe(STDIN_FILENO);
}

static void
open_keeper(struct keeper *keeper)
{
	char hang[32];

	snprintf(hang, sizeof hang, "%.3f",
	    (double)keeper->options->hang_ms / 1000);
	setenv(KEPT_HANG, hang, 1);
	unsetenv(KEPT_RETRY);
	keeper->set = events_open();
	mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
	prefer_throughput();
	keeper->timers = timers_new(keeper->set);
	keeper->window = window_new(keeper->options->name,
	    keeper->options->window_bytes);
	keeper->downstream = downstream_new();
	downstream_wait_for_room(keeper->downstream);
	if (keeper->options->begins_line)
		buffer_append(downstream_lines(keeper->downstream), "\n", 1);
	keeper->stage = (struct stage){ .command = keeper->options->command,
	    .input = -1, .output = -1 };
	keeper->pause_ms = KEEPER_PAUSE_MS_LEAST;
	keeper->caution.patience_ms_most = keeper->options->hang_ms > 0
	    ? keeper->options->hang_ms / 16 : PATIENCE_MS_MOST;

	keeper->input = make_event(STDIN_FILENO, read_input, keeper);
	keeper->output = make_event(STDOUT_FILENO, output_ready, keeper);
	keeper->to_stage = make_event(-1, feed, keeper);
	keeper->from_stage = make_event(-1, keeper_answers_ready, keeper);
	keeper->requests = make_event(requests_open(), take_request, keeper);
	events_watch(keeper->set, &keeper->requests, EPOLLIN);
	keeper->pause = (struct timer){ .due = keeper_start, .arg = keeper };
	keeper->patience = (struct timer){ .due = keeper_widen, .arg = keeper };
	keeper->hang = (struct timer){ .due = keeper_check_hang,
	    .arg = keeper };
	keeper->status_due = (struct timer){ .due = keeper_tell_status,
	    .arg = keeper };
	keeper->retry = (struct timer){ .due = keeper_retry, .arg = keeper };
}

static void
close_keeper(struct keeper *keeper)
{
	stage_kill(&keeper->stage);
	stage_close_input(&keeper->stage);
	stage_close_output(&keeper->stage);
	if (downstream_close(keeper->downstream) == -1 && keeper->status == 0)
		keeper->status = EX_IOERR;
	downstream_free(keeper->downstream);
	buffer_free(&keeper->unfinished);
	window_free(keeper->window);
	timers_free(keeper->timers);
	close(keeper->requests.fd);
	close(keeper->set);
}

int
keeper_run(const struct keeper_options *options)
{
	struct keeper keeper = { .options = options };

	open_keeper(&keeper);
	run(&keeper);
	close_keeper(&keeper);
	if (keeper.stop_signal != 0)
		requests_die(keeper.stop_signal);
	return keeper.status;
}
