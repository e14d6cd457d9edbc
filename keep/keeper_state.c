/* What is known of a keeper, and told. */
#include <err.h>

#include "keeper_parts.h"
#include "status.h"

bool
keeper_is_ending(const struct keeper *keeper)
{
	return keeper->is_input_ended || keeper->stop_signal != 0;
}

bool
keeper_is_all_fed(const struct keeper *keeper)
{
	size_t length;

	return window_to_feed(keeper->window, 0, &length) == NULL;
}

bool
keeper_is_all_answered(const struct keeper *keeper)
{
	return keeper_is_all_fed(keeper) && !window_is_waiting(keeper->window);
}

bool
keeper_wants_answers(const struct keeper *keeper)
{
	return keeper->stage.output != -1 &&
	    downstream_is_empty(keeper->downstream);
}

/* A file that is not up to date is worse than none: it is tried again. */
void
keeper_tell_status(void *arg)
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
	timers_set(keeper->timers, &keeper->status_due, KEEPER_RETRY_MS);
}

const char *
keeper_lines(size_t count)
{
	return count == 1 ? "line" : "lines";
}

void
keeper_condemn(struct keeper *keeper, int status)
{
	keeper->verdict = status;
	events_ignore(keeper->set, &keeper->from_stage);
	stage_close_output(&keeper->stage);
	stage_kill(&keeper->stage);
}

void
keeper_finish(struct keeper *keeper, int status)
{
	keeper->phase = OVER;
	keeper->status = status;
}

void
keeper_wait_for_room(struct keeper *keeper, const char *path)
{
	if (!keeper->is_told_full)
		warn("%s: %s: waiting until that is mended",
		    keeper->options->name, path);
	keeper->is_told_full = true;
	timers_set(keeper->timers, &keeper->retry, KEEPER_RETRY_MS);
}

void
keeper_tell_room(struct keeper *keeper)
{
	if (keeper->is_told_full)
		warnx("%s: it is mended, going on", keeper->options->name);
	keeper->is_told_full = false;
}
