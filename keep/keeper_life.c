/* The starts and ends of the stage, and what it may have died of. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "clock.h"
#include "dead_letters.h"
#include "error_answer.h"
#include "kept.h"
#include "keeper_parts.h"

#define DEATHS_MAX 3			/* with the same line at the head */
#define PAUSE_MS_MOST 10000
#define LATE_MS 1000			/* a timer so late: we were stopped */

/* --- starts ---------------------------------------------------------------*/

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
		keeper_finish(keeper, EX_UNAVAILABLE);
		return;
	}
	warn("cannot run %s, trying it again in %.1f s",
	    keeper->options->command[0], (double)keeper->pause_ms / 1000);
	pause_stage(keeper);
}

void
keeper_start(void *arg)
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
		keeper_tell_status(keeper);
}

/* --- ends -----------------------------------------------------------------*/

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
	    keeper->options->name, end, lines, keeper_lines(lines),
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
		keeper_wait_for_room(keeper, options->dead_letters);
	} else {
		keeper_tell_room(keeper);
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

void
keeper_retry(void *arg)
{
	struct keeper *keeper = arg;

	if (keeper->phase != ASIDE)
		return;
	if (keeper->verdict != 0) {
		keeper_finish(keeper, keeper->verdict);
		return;
	}
	keeper->deaths = DEATHS_MAX - 1;
	keeper_start(keeper);
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
	timers_set(keeper->timers, &keeper->pause, KEEPER_RETRY_MS);
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
		keeper_tell_status(keeper);
}

/* The lines it had; one that had no time to take its first one counts, too. */
static size_t
count_suspects(const struct keeper *keeper)
{
	size_t fed = window_lines_fed(keeper->window);

	return fed == 0 && !keeper_is_all_fed(keeper) ? 1 : fed;
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
		keeper_finish(keeper, keeper->verdict != 0 ? keeper->verdict
		    : status);
		return;
	}
	if (keeper_is_ending(keeper) && keeper_is_all_answered(keeper)) {
		tell_bad_end(keeper, status);
		keeper_finish(keeper, EX_OK);
		return;
	}
	if (was_asked)
		keeper_start(keeper);	/* for the rest of what was read */
	else if (status == EX_TEMPFAIL)
		retry_stage(keeper);
	else
		count_death(keeper, had);
}

void
keeper_check_death(struct keeper *keeper)
{
	if (!stage_reap(&keeper->stage))
		return;
	events_ignore(keeper->set, &keeper->to_stage);
	stage_close_input(&keeper->stage);
	if (keeper->phase != OVER)
		keeper->phase = DRAINING;
}

void
keeper_drain(struct keeper *keeper)
{
	while (keeper->phase == DRAINING && keeper_wants_answers(keeper)) {
		if (!keeper_take_answers(keeper))
			break;
		keeper_pass_on(keeper);
	}
	if (keeper->phase != DRAINING ||
	    !downstream_is_empty(keeper->downstream))
		return;
	events_ignore(keeper->set, &keeper->from_stage);
	stage_close_output(&keeper->stage);
	bury(keeper);
}

/* --- a stage that does not answer -----------------------------------------*/

void
keeper_widen(void *arg)
{
	struct keeper *keeper = arg;

	caution_widen(&keeper->caution);
}

bool
keeper_is_stage_owing(const struct keeper *keeper)
{
	return keeper->phase == RUNNING && keeper->options->hang_ms > 0 &&
	    downstream_is_empty(keeper->downstream) &&
	    (window_is_waiting(keeper->window) ||
	    keeper->stage.input == -1);
}

/* Is there an answer that we have not looked at, being late ourselves? */
static bool
has_just_answered(struct keeper *keeper)
{
	int64_t before_ms = keeper->waiting_since_ms;

	keeper_answers_ready(keeper);
	return keeper->waiting_since_ms != before_ms;
}

void
keeper_check_hang(void *arg)
{
	struct keeper *keeper = arg;
	int64_t now_ms = clock_steady_ms();

	if (!keeper_is_stage_owing(keeper))
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
