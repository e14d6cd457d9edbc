#include "status.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "status_line.h"

#define PAUSE_MS 1000

struct status {
	const char *path;
	struct status_news news;	/* slack is NULL before the first */
	struct status_news told;
	int64_t told_ms;
	int64_t since_us;		/* of the word for Slack */
	bool has_failed;		/* said so */
};

struct status *
status_new(const char *path)
{
	struct status *status = xcalloc(1, sizeof *status);

	status->path = path;
	return status;
}

static void
write_news(struct status *status)
{
	const struct status_news *news = &status->news;
	char line[STATUS_LINE_BYTES], since[CLOCK_TEXT_BYTES];

	clock_format(status->since_us, since);
	snprintf(line, sizeof line, "slack=%s since=%s connections=%zu seq=%"
	    PRId64 " journal=%s pid=%d", news->slack, since,
	    news->connections, news->seq, news->is_full ? "full" : "ok",
	    (int)getpid());
	if (status_line_write(status->path, line) == 0) {
		status->has_failed = false;
		return;
	}
	if (!status->has_failed)
		warn("%s, trying again", status->path);
	status->has_failed = true;
}

/* Is what people act upon as it was? */
static bool
is_as_told(const struct status *status)
{
	const struct status_news *news = &status->news;
	const struct status_news *told = &status->told;

	return told->slack != NULL && strcmp(told->slack, news->slack) == 0 &&
	    told->connections == news->connections &&
	    told->is_full == news->is_full;
}

static void
tell(struct status *status)
{
	if (status->told.slack == NULL ||
	    strcmp(status->told.slack, status->news.slack) != 0)
		status->since_us = clock_now_us();
	status->told = status->news;
	status->told_ms = clock_steady_ms();
	write_news(status);
}

int64_t
status_note(struct status *status, const struct status_news *news)
{
	int64_t left_ms;

	if (status->path == NULL)
		return -1;
	status->news = *news;
	if (is_as_told(status)) {
		if (!status->has_failed && status->told.seq == news->seq)
			return -1;
		left_ms = status->told_ms + PAUSE_MS - clock_steady_ms();
		if (left_ms > 0)
			return left_ms;
	}
	tell(status);
	return status->has_failed ? PAUSE_MS : -1;
}

void
status_free(struct status *status)
{
	if (status == NULL)
		return;
	if (status->news.slack != NULL && (!is_as_told(status) ||
	    status->told.seq != status->news.seq))
		tell(status);
	free(status);
}
