#include "keeper.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "buffer.h"
#include "caution.h"
#include "clock.h"
#include "dead_letters.h"
#include "downstream.h"
#include "error_answer.h"
#include "events.h"
#include "kept.h"
#include "output.h"
#include "record.h"
#include "requests.h"
#include "stage.h"
#include "status.h"
#include "timers.h"
#include "wide_pipe.h"
#include "window.h"

#define READ_BYTES 65536
#define AHEAD_BYTES (2 * READ_BYTES)
#define KEPT_BYTES (16 * READ_BYTES)
#define ANSWER_BYTES_MAX (2 * RECORD_BYTES_MAX)
#define MAPPED_BYTES (128 * 1024)	/* and more: given back when freed */
#define DEATHS_MAX 3			/* with the same line at the head */
#define PAUSE_MS_LEAST 100
#define PAUSE_MS_MOST 10000
#define PATIENCE_MS_MOST 4000
#define RETRY_MS 1000			/* where a disk is full, say */
#define STATUS_MS 1000			/* between two, while lines wait */
#define LATE_MS 1000			/* a timer so late: we were stopped */

enum phase {
	RUNNING,
	DRAINING,	/* it died; what it had answered is taken */
	ASIDE,		/* the head goes to the dead letters */
	PAUSING,	/* before the next start */
	OVER,
};

struct keeper {
	const struct keeper_options *options;
	int set;
	struct timers *timers;
	struct window *window;
	struct stage stage;
	struct buffer unfinished;	/* of an answer */
	struct downstream *downstream;

	struct event input, to_stage, from_stage, output, requests;
	struct timer pause, patience, hang, retry, status_due;

	enum phase phase;
	bool is_input_ended;
	bool has_ever_answered;
	bool is_told_full;	/* that a disk is */
	bool is_status_old;	/* that the file could not be written was said */
	size_t told_lines;	/* that wait, by the status */
	bool is_retrying;	/* the stage ends with EX_TEMPFAIL */
	bool is_asked_to_end;	/* the stage, by a signal that we passed on */
	int verdict;		/* what to end with when all answers are out */
	int stop_signal;
	int pause_ms;
	int deaths;		/* with the line that is at the head */
	struct caution caution;
	int64_t waiting_since_ms; /* for the next answer */
	int status;
};

/* --- what is known ---------------------------------------------------------*/

static bool
is_ending(const struct keeper *keeper)
{
	return keeper->is_input_ended || keeper->stop_signal != 0;
}

static bool
is_all_fed(const struct keeper *keeper)
{
	size_t length;

	return window_to_feed(keeper->window, 0, &length) == NULL;
}

/* Is there something that the stage may be given now? */
static bool
is_feeding(const struct keeper *keeper)
{
	size_t length;

	return keeper->stage.input != -1 && window_to_feed(keeper->window,
	    caution_lines(&keeper->caution), &length) != NULL;
}

static bool
is_all_answered(const struct keeper *keeper)
{
	return is_all_fed(keeper) && !window_is_waiting(keeper->window);
}

/* What the stage does not take is better left in the pipe than read ahead:
 * memory that was not touched for long is slow. */
static bool
wants_input(const struct keeper *keeper)
{
	size_t ahead;

	window_to_feed(keeper->window, 0, &ahead);
	return !is_ending(keeper) && keeper->verdict == 0 &&
	    ahead < AHEAD_BYTES && !window_is_full(keeper->window);
}

/* The promise that checkpoints rest on: first the old answers go out. */
static bool
wants_answers(const struct keeper *keeper)
{
	return keeper->stage.output != -1 &&
	    downstream_is_empty(keeper->downstream);
}

/* Does the stage owe us an answer, or its end? */
static bool
is_stage_owing(const struct keeper *keeper)
{
	return keeper->phase == RUNNING && keeper->options->hang_ms > 0 &&
	    downstream_is_empty(keeper->downstream) &&
	    (window_is_waiting(keeper->window) ||
	    keeper->stage.input == -1);
}

/* Does the file say something else than is true now, perhaps? */
static bool
is_status_due(const struct keeper *keeper)
{
	return keeper->options->status_path != NULL &&
	    !keeper->status_due.is_set && (keeper->told_lines > 0 ||
	    window_is_waiting(keeper->window));
}

/* A file that is not up to date is worse than none: it is tried again. */
static void
tell_status(void *arg)
{
	struct keeper *keeper = arg;
	const struct keeper_options *options = keeper->options;

	keeper->told_lines = window_lines(keeper->window);
	if (status_write(options->status_path, options->name, &keeper->stage,
	    keeper->told_lines) == 0) {
		keeper->is_status_old = false;
		return;
	}
	if (!keeper->is_status_old)
		warn("%s: %s", options->name, options->status_path);
	keeper->is_status_old = true;
	timers_set(keeper->timers, &keeper->status_due, RETRY_MS);
}

static const char *
line_or_lines(size_t count)
{
	return count == 1 ? "line" : "lines";
}

/* Feed and take no more, but pass on what was taken; then end. */
static void
condemn(struct keeper *keeper, int status)
{
	keeper->verdict = status;
	events_ignore(keeper->set, &keeper->from_stage);
	stage_close_output(&keeper->stage);
	stage_kill(&keeper->stage);
}

static void
finish(struct keeper *keeper, int status)
{
	keeper->phase = OVER;
	keeper->status = status;
}

/* Say once that there is no room, or another hindrance; try again later. */
static void
wait_for_room(struct keeper *keeper, const char *path)
{
	if (!keeper->is_told_full)
		warn("%s: %s: waiting until that is mended",
		    keeper->options->name, path);
	keeper->is_told_full = true;
	timers_set(keeper->timers, &keeper->retry, RETRY_MS);
}

static void
tell_room(struct keeper *keeper)
{
	if (keeper->is_told_full)
		warnx("%s: it is mended, going on", keeper->options->name);
	keeper->is_told_full = false;
}

/* --- answers ---------------------------------------------------------------*/

static bool
is_full_disk(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* Nobody reads the answers, or they cannot be written. */
static void
lose_output(struct keeper *keeper, int error)
{
	stage_kill(&keeper->stage);
	finish(keeper, output_failure(error));
}

static void
pass_on(struct keeper *keeper)
{
	if (downstream_is_empty(keeper->downstream) ||
	    keeper->retry.is_set || keeper->phase == OVER)
		return;
	if (downstream_write(keeper->downstream) == 0) {
		tell_room(keeper);
		keeper->waiting_since_ms = clock_steady_ms();
	} else if (is_full_disk(errno)) {
		wait_for_room(keeper, "standard output");
	} else {
		lose_output(keeper, errno);
	}
}

/* It breaks the first law: which answers belong to what, nobody knows. */
static void
refuse_surplus(struct keeper *keeper, size_t surplus)
{
	warnx("%s answered %zu %s more than it was given: a stage has to"
	    " answer each line with one", keeper->options->name, surplus,
	    line_or_lines(surplus));
	condemn(keeper, EX_SOFTWARE);
}

/* The beginning of `bytes` that holds so many lines. */
static size_t
length_of_lines(const char *bytes, size_t length, size_t lines)
{
	const char *at = bytes;

	for (; lines > 0; lines--)
		at = (const char *)memchr(at, '\n',
		    (size_t)(bytes + length - at)) + 1;
	return (size_t)(at - bytes);
}

static void
end_retrying(struct keeper *keeper)
{
	if (!keeper->is_retrying)
		return;
	keeper->is_retrying = false;
	unsetenv(KEPT_RETRY);
	warnx("%s goes on", keeper->options->name);
}

/*
 * Of the `length` bytes of whole lines the first `taken` go downstream, where
 * nothing waits: the buffers change places, only the rest is copied.
 */
static void
hand_over(struct keeper *keeper, size_t taken, size_t length)
{
	struct buffer *lines = downstream_lines(keeper->downstream);
	struct buffer answers = keeper->unfinished;

	keeper->unfinished = *lines;
	keeper->unfinished.length = 0;
	if (keeper->unfinished.capacity > KEPT_BYTES)
		buffer_free(&keeper->unfinished);
	buffer_append(&keeper->unfinished, answers.data + length,
	    answers.length - length);
	*lines = answers;
	lines->length = taken;
}

/* Take the whole lines off what came from the stage. */
static void
take_whole_lines(struct keeper *keeper, size_t length)
{
	const char *answers = keeper->unfinished.data;
	size_t count = count_lines(answers, length);
	size_t answered = window_answer(keeper->window, count);
	size_t taken = answered == count ? length
	    : length_of_lines(answers, length, answered);

	hand_over(keeper, taken, length);
	if (answered > 0) {
		keeper->has_ever_answered = true;
		keeper->deaths = 0;
		keeper->pause_ms = PAUSE_MS_LEAST;
		keeper->waiting_since_ms = clock_steady_ms();
		caution_answer(&keeper->caution, answered);
		end_retrying(keeper);
		timers_cancel(keeper->timers, &keeper->patience);
	}
	if (answered < count)
		refuse_surplus(keeper, count - answered);
}

static void
check_answer_length(struct keeper *keeper)
{
	if (keeper->unfinished.length <= ANSWER_BYTES_MAX)
		return;
	warnx("%s answers with a line of over %d MiB, killing it",
	    keeper->options->name, ANSWER_BYTES_MAX >> 20);
	stage_kill(&keeper->stage);
	events_ignore(keeper->set, &keeper->from_stage);
	stage_close_output(&keeper->stage);
}

/* Read what the stage answers; returns whether there may be more. */
static bool
take_answers(struct keeper *keeper)
{
	struct buffer *unfinished = &keeper->unfinished;
	char *room = buffer_reserve(unfinished, READ_BYTES);
	ssize_t count = read(keeper->stage.output, room, READ_BYTES);
	const char *last;

	if (count <= 0) {
		if (count == -1 && (errno == EAGAIN || errno == EINTR))
			return errno == EINTR;
		events_ignore(keeper->set, &keeper->from_stage);
		stage_close_output(&keeper->stage);
		return false;
	}
	last = memrchr(room, '\n', (size_t)count);
	unfinished->length += (size_t)count;
	if (last != NULL)
		take_whole_lines(keeper,
		    (size_t)(last + 1 - unfinished->data));
	else
		check_answer_length(keeper);
	return true;
}

static void
answers_ready(void *arg)
{
	struct keeper *keeper = arg;

	if (wants_answers(keeper) && take_answers(keeper))
		pass_on(keeper);
	if (!wants_answers(keeper))
		events_ignore(keeper->set, &keeper->from_stage);
}

/* --- input -----------------------------------------------------------------*/

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
		condemn(keeper, EX_IOERR);
	}
}

static void
close_stage_input(struct keeper *keeper)
{
	events_ignore(keeper->set, &keeper->to_stage);
	stage_close_input(&keeper->stage);
	keeper->waiting_since_ms = clock_steady_ms();
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
	if (keeper->stage.input != -1 && is_ending(keeper) &&
	    is_all_fed(keeper))
		close_stage_input(keeper);
}

/* --- starts and ends -------------------------------------------------------*/

/* Wait before the next start, longer each time that nothing was answered. */
static void
pause_stage(struct keeper *keeper)
{
	keeper->phase = PAUSING;
	timers_set(keeper->timers, &keeper->pause, keeper->pause_ms);
	keeper->pause_ms *= 2;
	if (keeper->pause_ms > PAUSE_MS_MOST)
		keeper->pause_ms = PAUSE_MS_MOST;
}

static void
fail_start(struct keeper *keeper)
{
	if (keeper->stage.starts == 1) {
		warn("cannot run %s", keeper->options->command[0]);
		finish(keeper, EX_UNAVAILABLE);
		return;
	}
	warn("cannot run %s, trying it again in %.1f s",
	    keeper->options->command[0], (double)keeper->pause_ms / 1000);
	pause_stage(keeper);
}

static void
start(void *arg)
{
	struct keeper *keeper = arg;

	if (keeper->phase == OVER)
		return;
	window_rewind(keeper->window);
	if (stage_start(&keeper->stage) == -1) {
		fail_start(keeper);
		return;
	}
	keeper->phase = RUNNING;
	keeper->waiting_since_ms = clock_steady_ms();
	keeper->to_stage.fd = keeper->stage.input;
	keeper->from_stage.fd = keeper->stage.output;
	if (keeper->options->status_path != NULL)
		tell_status(keeper);
}

/* Starting it again would not help: it said so itself. */
static bool
is_final(const struct keeper *keeper, int status)
{
	return status == EX_USAGE || status == EX_CONFIG ||
	    (status == EX_UNAVAILABLE && keeper->stage.starts == 1 &&
	    !keeper->has_ever_answered);
}

static void
describe_death(const struct keeper *keeper)
{
	size_t lines = window_lines(keeper->window);
	char end[STAGE_END_BYTES];

	stage_describe_end(&keeper->stage, end);
	warnx("%s %s with %zu %s unanswered, starting it again in %.1f s",
	    keeper->options->name, end, lines, line_or_lines(lines),
	    (double)keeper->pause_ms / 1000);
}

/* It had answered all: that is worth a word, no more. */
static void
tell_bad_end(const struct keeper *keeper, int status)
{
	char end[STAGE_END_BYTES];

	if (status == 0 || keeper->stop_signal != 0)
		return;
	stage_describe_end(&keeper->stage, end);
	warnx("%s %s after the end of its input, all is answered",
	    keeper->options->name, end);
}

/* Answer the head in the place of the stage, once that is on the disk. */
static void
set_aside(struct keeper *keeper)
{
	const struct keeper_options *options = keeper->options;
	struct buffer answer = { 0 };
	char end[STAGE_END_BYTES], reason[STAGE_END_BYTES + 64];
	size_t length;
	const char *head = window_head(keeper->window, &length);

	stage_describe_end(&keeper->stage, end);
	snprintf(reason, sizeof reason,
	    "the stage could not bear this line: it %s", end);
	error_answer(options->name, reason, keeper->deaths, head, length,
	    &answer);
	if (options->dead_letters != NULL &&
	    dead_letters_append(options->dead_letters,
	    options->dead_letter_bytes, answer.data, answer.length) == -1) {
		wait_for_room(keeper, options->dead_letters);
	} else {
		tell_room(keeper);
		warnx("%s died %d times on one line: it is set aside%s%s",
		    options->name, keeper->deaths,
		    options->dead_letters != NULL ? " in " : "",
		    options->dead_letters != NULL ? options->dead_letters
		    : "");
		buffer_append(downstream_lines(keeper->downstream),
		    answer.data, answer.length);
		window_drop_head(keeper->window);
		caution_answer(&keeper->caution, 1);
		keeper->deaths = 0;
		pause_stage(keeper);
	}
	buffer_free(&answer);
}

/* There may be room again: that may have been all that the stage lacked. */
static void
retry(void *arg)
{
	struct keeper *keeper = arg;

	if (keeper->phase != ASIDE)
		return;
	if (keeper->verdict != 0) {
		finish(keeper, keeper->verdict);
		return;
	}
	keeper->deaths = DEATHS_MAX - 1;
	start(keeper);
}

/* It is not the line's fault: a disk is full, say. Try it again and again. */
static void
retry_stage(struct keeper *keeper)
{
	if (!keeper->is_retrying)
		warnx("%s cannot go on for the time being (status %d), starting"
		    " it again until it can", keeper->options->name,
		    EX_TEMPFAIL);
	keeper->is_retrying = true;
	setenv(KEPT_RETRY, "1", 1);
	keeper->phase = PAUSING;
	timers_set(keeper->timers, &keeper->pause, RETRY_MS);
}

/* Start it again in a while; its oldest line may have died with it enough. */
static void
count_death(struct keeper *keeper, size_t had)
{
	if (!keeper->is_told_full)
		describe_death(keeper);
	if (had > 0 && caution_rise(&keeper->caution, had))
		keeper->deaths++;
	if (keeper->deaths >= DEATHS_MAX) {
		keeper->phase = ASIDE;
		set_aside(keeper);
	} else {
		pause_stage(keeper);
	}
	if (keeper->options->status_path != NULL)
		tell_status(keeper);
}

/* The lines it had; one that had no time to take its first one counts, too. */
static size_t
count_suspects(const struct keeper *keeper)
{
	size_t fed = window_lines_fed(keeper->window);

	return fed == 0 && !is_all_fed(keeper) ? 1 : fed;
}

/* All that the dead stage had answered is taken: what now? */
static void
bury(struct keeper *keeper)
{
	int status = stage_exit_status(&keeper->stage);
	size_t had = count_suspects(keeper);
	bool was_asked = keeper->is_asked_to_end &&
	    (status == 0 || status == 128 + keeper->stop_signal);

	keeper->is_asked_to_end = false;
	buffer_free(&keeper->unfinished);
	timers_cancel(keeper->timers, &keeper->patience);
	window_rewind(keeper->window);
	if (keeper->verdict != 0 || is_final(keeper, status)) {
		finish(keeper, keeper->verdict != 0 ? keeper->verdict
		    : status);
		return;
	}
	if (is_ending(keeper) && is_all_answered(keeper)) {
		tell_bad_end(keeper, status);
		finish(keeper, EX_OK);
		return;
	}
	if (was_asked)
		start(keeper);	/* for the rest of what was read */
	else if (status == EX_TEMPFAIL)
		retry_stage(keeper);
	else
		count_death(keeper, had);
}

static void
check_death(struct keeper *keeper)
{
	if (!stage_reap(&keeper->stage))
		return;
	events_ignore(keeper->set, &keeper->to_stage);
	stage_close_input(&keeper->stage);
	if (keeper->phase != OVER)
		keeper->phase = DRAINING;
}

static void
drain(struct keeper *keeper)
{
	while (keeper->phase == DRAINING && wants_answers(keeper)) {
		if (!take_answers(keeper))
			break;
		pass_on(keeper);
	}
	if (keeper->phase != DRAINING ||
	    !downstream_is_empty(keeper->downstream))
		return;
	events_ignore(keeper->set, &keeper->from_stage);
	stage_close_output(&keeper->stage);
	bury(keeper);
}

/* It answers slowly: it may want more lines at once. */
static void
widen(void *arg)
{
	struct keeper *keeper = arg;

	caution_widen(&keeper->caution);
}

/* Is there an answer that we have not looked at, being late ourselves? */
static bool
has_just_answered(struct keeper *keeper)
{
	int64_t before_ms = keeper->waiting_since_ms;

	answers_ready(keeper);
	return keeper->waiting_since_ms != before_ms;
}

static void
check_hang(void *arg)
{
	struct keeper *keeper = arg;
	int64_t now_ms = clock_steady_ms();

	if (!is_stage_owing(keeper))
		return;
	if (now_ms > keeper->hang.at_ms + LATE_MS)
		keeper->waiting_since_ms = now_ms;
	if (now_ms - keeper->waiting_since_ms < keeper->options->hang_ms ||
	    has_just_answered(keeper))
		return;
	if (window_is_waiting(keeper->window))
		warnx("%s sat on a line for %.1f s, killing it",
		    keeper->options->name,
		    (double)keeper->options->hang_ms / 1000);
	else
		warnx("%s does not end, %.1f s after its input, killing it",
		    keeper->options->name,
		    (double)keeper->options->hang_ms / 1000);
	stage_kill(&keeper->stage);
	keeper->waiting_since_ms = now_ms;
}

/* --- requests ---------------------------------------------------------------*/

static void
stop(struct keeper *keeper, int number)
{
	if (keeper->stop_signal != 0) {
		stage_kill(&keeper->stage);
		finish(keeper, 128 + number);
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
	case SIGCHLD: check_death(keeper); break;
	case SIGUSR1: tell_status(keeper); break;
	case SIGHUP: stage_signal(&keeper->stage, SIGHUP); break;
	default: stop(keeper, number); break;
	}
}

/* --- the loop --------------------------------------------------------------*/

static void
output_ready(void *arg)
{
	struct keeper *keeper = arg;

	if (keeper->output.mask == 0)
		lose_output(keeper, EPIPE);	/* nothing else is told then */
	else
		pass_on(keeper);
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
	    wants_answers(keeper), EPOLLIN);
	watch_if(keeper, &keeper->output, !keeper->retry.is_set,
	    has_output ? EPOLLOUT : 0);
	if (caution_lines(&keeper->caution) > 0 && is_running &&
	    window_is_waiting(keeper->window) && !has_output &&
	    !keeper->patience.is_set)
		timers_set(keeper->timers, &keeper->patience,
		    keeper->caution.patience_ms);
	if (is_status_due(keeper))
		timers_set(keeper->timers, &keeper->status_due, STATUS_MS);
	if (!is_stage_owing(keeper))
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
	if (keeper->phase == PAUSING && downstream_is_empty(keeper->downstream) &&
	    (keeper->verdict != 0 ||
	    (is_ending(keeper) && is_all_answered(keeper))))
		finish(keeper, keeper->verdict);
}

static void
run(struct keeper *keeper)
{
	start(keeper);
	while (keeper->phase != OVER) {
		pass_on(keeper);
		if (!keeper->to_stage.is_watched || is_ending(keeper))
			feed(keeper);
		drain(keeper);
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
	keeper->pause_ms = PAUSE_MS_LEAST;
	keeper->caution.patience_ms_most = keeper->options->hang_ms > 0
	    ? keeper->options->hang_ms / 16 : PATIENCE_MS_MOST;

	keeper->input = make_event(STDIN_FILENO, read_input, keeper);
	keeper->output = make_event(STDOUT_FILENO, output_ready, keeper);
	keeper->to_stage = make_event(-1, feed, keeper);
	keeper->from_stage = make_event(-1, answers_ready, keeper);
	keeper->requests = make_event(requests_open(), take_request, keeper);
	events_watch(keeper->set, &keeper->requests, EPOLLIN);
	keeper->pause = (struct timer){ .due = start, .arg = keeper };
	keeper->patience = (struct timer){ .due = widen, .arg = keeper };
	keeper->hang = (struct timer){ .due = check_hang, .arg = keeper };
	keeper->status_due = (struct timer){ .due = tell_status,
	    .arg = keeper };
	keeper->retry = (struct timer){ .due = retry, .arg = keeper };
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
