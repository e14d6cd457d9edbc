#include "socket_mode.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>

#include "clock.h"
#include "memory.h"
#include "record.h"
#include "slot.h"

/* Nothing is added to what Slack says. */
static const char *const own[] = { NULL };

struct socket_mode {
	struct socket_mode_settings settings;
	struct slot *slots[SOCKET_MODE_CONNECTIONS_MAX];
	uint64_t next_link;
	struct record *record;

	/* events may have been missed, since when */
	bool has_gap;
	int64_t gap_since_us;

	int64_t foreign;	/* connections that are not ours, as told */
	uint64_t puzzling;	/* messages that were passed over */
	bool has_failed;
};

static void
note_gap(struct socket_mode *mode, int64_t since_us)
{
	if (!mode->has_gap || since_us < mode->gap_since_us)
		mode->gap_since_us = since_us;
	mode->has_gap = true;
}

/* Told at once, so that it is not forgotten with us. */
static void
tell_gap(struct socket_mode *mode, int64_t since_us)
{
	note_gap(mode, since_us);
	mode->settings.gap(mode->gap_since_us, mode->settings.arg);
}

static void
report_foreign(struct socket_mode *mode, int64_t connections)
{
	int64_t foreign = connections;

	for (size_t i = 0; i < mode->settings.connections; i++)
		foreign -= (int64_t)slot_greeted_connections(
		    mode->slots[i]);
	if (foreign < 0 || connections == 0)
		foreign = 0;
	if (foreign != mode->foreign && foreign > 0)
		warnx("Slack counts %" PRId64 " connections of this app that"
		    " are not ours: another instance, or ghosts of one that"
		    " died, take part of the events", foreign);
	mode->foreign = foreign;
}

static void
take_greeting(int64_t connections, void *arg)
{
	struct socket_mode *mode = arg;
	int64_t since_us = mode->gap_since_us;

	report_foreign(mode, connections);
	if (!mode->has_gap)
		return;
	mode->has_gap = false;
	mode->settings.gap(since_us, mode->settings.arg);
}

static void
take_loss(int64_t since_us, void *arg)
{
	struct socket_mode *mode = arg;

	if (socket_mode_connections(mode) == 0)
		tell_gap(mode, since_us);
}

static void
take_death(int64_t since_us, void *arg)
{
	tell_gap(arg, since_us);
}

static void
fail(const char *sentence, void *arg)
{
	struct socket_mode *mode = arg;

	if (mode->has_failed)
		return;
	mode->has_failed = true;
	socket_mode_stop(mode);
	mode->settings.failed(sentence, mode->settings.arg);
}

/* The first, the tenth, the hundredth: a line for each would be a flood. */
static void
count_puzzle(void *arg)
{
	struct socket_mode *mode = arg;
	uint64_t step = 1;

	mode->puzzling++;
	while (step * 10 <= mode->puzzling)
		step *= 10;
	if (mode->puzzling == step)
		warnx("passed over messages of Slack that are no JSON or have"
		    " an odd envelope_id: %" PRIu64 " so far", mode->puzzling);
}

struct socket_mode *
socket_mode_new(const struct socket_mode_settings *settings)
{
	struct socket_mode *mode = xcalloc(1, sizeof *mode);

	mode->settings = *settings;
	if (mode->settings.connections > SOCKET_MODE_CONNECTIONS_MAX)
		mode->settings.connections = SOCKET_MODE_CONNECTIONS_MAX;
	mode->next_link = 1;
	mode->record = record_new("slack-reader", own);
	for (size_t i = 0; i < mode->settings.connections; i++)
		mode->slots[i] = slot_new(&(struct slot_settings){
		    .mode = &mode->settings, .number = i + 1,
		    .next_link = &mode->next_link, .record = mode->record,
		    .greeted = take_greeting, .lost = take_loss,
		    .died = take_death, .failed = fail,
		    .puzzled = count_puzzle, .arg = mode });
	return mode;
}

void
socket_mode_free(struct socket_mode *mode)
{
	if (mode == NULL)
		return;
	for (size_t i = 0; i < mode->settings.connections; i++)
		slot_free(mode->slots[i]);
	record_free(mode->record);
	free(mode);
}

void
socket_mode_start(struct socket_mode *mode)
{
	note_gap(mode, clock_now_us());
	for (size_t i = 0; i < mode->settings.connections; i++)
		slot_open(mode->slots[i]);
}

size_t
socket_mode_connections(const struct socket_mode *mode)
{
	size_t count = 0;

	for (size_t i = 0; i < mode->settings.connections; i++)
		count += slot_is_live(mode->slots[i]);
	return count;
}

bool
socket_mode_is_refused(const struct socket_mode *mode)
{
	bool is_switched_off = false;

	for (size_t i = 0; i < mode->settings.connections; i++)
		is_switched_off |= slot_is_switched_off(mode->slots[i]);
	return mode->has_failed || (is_switched_off &&
	    socket_mode_connections(mode) == 0);
}

int64_t
socket_mode_foreign(const struct socket_mode *mode)
{
	return mode->foreign;
}

void
socket_mode_recount(struct socket_mode *mode)
{
	slot_refresh(mode->slots[0]);
}

void
socket_mode_acknowledge(struct socket_mode *mode,
    const struct socket_mode_origin *origin)
{
	for (size_t i = 0; i < mode->settings.connections; i++)
		if (slot_acknowledge(mode->slots[i], origin))
			break;
}

void
socket_mode_stop(struct socket_mode *mode)
{
	for (size_t i = 0; i < mode->settings.connections; i++)
		slot_close(mode->slots[i]);
}

bool
socket_mode_is_stopped(const struct socket_mode *mode)
{
	for (size_t i = 0; i < mode->settings.connections; i++)
		if (slot_connections(mode->slots[i]) > 0)
			return false;
	return true;
}
