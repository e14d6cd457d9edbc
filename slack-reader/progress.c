#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "buffer.h"
#include "rhythm.h"
#include "stamp.h"

#define DRAW_NS 250000000
#define SECOND_NS 1e9

void
progress_start(struct progress *progress)
{
	progress->is_shown = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
	progress->start_ns = rhythm_now_ns();
	progress->drawn_ns = progress->start_ns;
}

/* 1:02:03 */
static void
append_duration(struct buffer *line, double seconds)
{
	uint64_t whole = seconds < 1e9 ? (uint64_t)seconds : 1000000000;

	if (whole >= 3600)
		buffer_printf(line, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64,
		    whole / 3600, whole / 60 % 60, whole % 60);
	else
		buffer_printf(line, "%" PRIu64 ":%02" PRIu64, whole / 60,
		    whole % 60);
}

static void
append_state(struct buffer *line, const struct progress_state *state,
    double elapsed)
{
	buffer_printf(line, STAGE ": %" PRIu64 " records, %.0f/s",
	    state->records, (double)state->records / elapsed);
	if (state->size > 0 && state->position > 0 &&
	    state->position <= state->size) {
		double share = (double)state->position / (double)state->size;

		buffer_printf(line, ", %.0f %%, remaining ", share * 100);
		append_duration(line, elapsed / share - elapsed);
	}
	if (state->wait_ms >= 1000) {
		buffer_append_string(line, ", next in ");
		append_duration(line, state->wait_ms / 1000.0);
	}
}

void
progress_show(struct progress *progress, const struct progress_state *state)
{
	struct buffer line = { 0 };
	int64_t now_ns;

	if (!progress->is_shown)
		return;
	now_ns = rhythm_now_ns();
	if (now_ns - progress->drawn_ns < DRAW_NS)
		return;
	progress->drawn_ns = now_ns;
	append_state(&line, state,
	    (double)(now_ns - progress->start_ns) / SECOND_NS);
	fprintf(stderr, "\r%s\033[K", buffer_string(&line));
	fflush(stderr);
	buffer_free(&line);
}

void
progress_end(struct progress *progress, uint64_t records)
{
	double elapsed;

	if (!progress->is_shown)
		return;
	elapsed = (double)(rhythm_now_ns() - progress->start_ns) / SECOND_NS;
	fprintf(stderr, "\r\033[K" STAGE ": %" PRIu64 " records in %.1f s\n",
	    records, elapsed);
}
