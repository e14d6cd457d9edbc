/* The answers: from the stage, which is held to them, to whoever reads them. */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "kept.h"
#include "keeper_parts.h"
#include "output.h"
#include "record.h"

#define KEPT_BYTES (16 * KEEPER_READ_BYTES)
#define ANSWER_BYTES_MAX (2 * RECORD_BYTES_MAX)

static bool
is_full_disk(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

void
keeper_lose_output(struct keeper *keeper, int error)
{
	stage_kill(&keeper->stage);
	keeper_finish(keeper, output_failure(error));
}

void
keeper_pass_on(struct keeper *keeper)
{
	if (downstream_is_empty(keeper->downstream) ||
	    keeper->retry.is_set || keeper->phase == OVER)
		return;
	if (downstream_write(keeper->downstream) == 0) {
		keeper_tell_room(keeper);
		keeper->waiting_since_ms = clock_steady_ms();
	} else if (is_full_disk(errno)) {
		keeper_wait_for_room(keeper, "standard output");
	} else {
		keeper_lose_output(keeper, errno);
	}
}

/* It breaks the first law: which answers belong to what, nobody knows. */
static void
refuse_surplus(struct keeper *keeper, size_t surplus)
{
	warnx("%s answered %zu %s more than it was given: a stage has to"
	    " answer each line with one", keeper->options->name, surplus,
	    keeper_lines(surplus));
	keeper_condemn(keeper, EX_SOFTWARE);
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
		keeper->pause_ms = KEEPER_PAUSE_MS_LEAST;
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

bool
keeper_take_answers(struct keeper *keeper)
{
	struct buffer *unfinished = &keeper->unfinished;
	char *room = buffer_reserve(unfinished, KEEPER_READ_BYTES);
	ssize_t count = read(keeper->stage.output, room, KEEPER_READ_BYTES);
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

void
keeper_answers_ready(void *arg)
{
	struct keeper *keeper = arg;

	if (keeper_wants_answers(keeper) && keeper_take_answers(keeper))
		keeper_pass_on(keeper);
	if (!keeper_wants_answers(keeper))
		events_ignore(keeper->set, &keeper->from_stage);
}
