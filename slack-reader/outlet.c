#include "outlet.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "downstream.h"
#include "events.h"
#include "memory.h"
#include "output.h"

#define READ_BYTES 65536
#define READS_MAX 64		/* in one turn, then others have theirs */

/* While leaving, so long may the reader take nothing, and so long may all of
 * it last: what is left is in the journal. */
#define FAREWELL_MS 5000
#define FAREWELL_MOST_MS 30000

struct outlet {
	int set;
	struct timers *timers;
	struct journal *journal;
	struct downstream *downstream;
	struct event event;
	struct timer more;		/* the turn after too many reads */
	struct timer farewell;
	bool is_leaving;
	int64_t leave_ms;		/* since when */
	bool is_over;
	int error;			/* of the output, or 0 */
};

/* It can be written; or, where nothing is to be, its reader has left. */
static void
note_ready(void *arg)
{
	struct outlet *outlet = arg;

	if (downstream_is_empty(outlet->downstream)) {
		outlet->error = EPIPE;
		outlet->is_over = true;
	} else if (outlet->is_leaving &&
	    clock_steady_ms() - outlet->leave_ms < FAREWELL_MOST_MS) {
		timers_set(outlet->timers, &outlet->farewell, FAREWELL_MS);
	}
}

static void
wake(void *arg)
{
	(void)arg;
}

static void
give_up(void *arg)
{
	struct outlet *outlet = arg;

	if (!outlet->is_over)
		warnx("nobody takes the last records; they are in the"
		    " journal");
	outlet->is_over = true;
}

struct outlet *
outlet_new(int set, struct timers *timers, struct journal *journal)
{
	struct outlet *outlet = xcalloc(1, sizeof *outlet);

	outlet->set = set;
	outlet->timers = timers;
	outlet->journal = journal;
	outlet->downstream = downstream_new();
	outlet->event = (struct event){ .fd = STDOUT_FILENO,
	    .ready = note_ready, .arg = outlet };
	outlet->more = (struct timer){ .due = wake };
	outlet->farewell = (struct timer){ .due = give_up, .arg = outlet };
	return outlet;
}

void
outlet_free(struct outlet *outlet)
{
	if (outlet == NULL)
		return;
	events_ignore(outlet->set, &outlet->event);
	timers_cancel(outlet->timers, &outlet->more);
	timers_cancel(outlet->timers, &outlet->farewell);
	downstream_free(outlet->downstream);
	free(outlet);
}

/* Returns whether there may be more to write at once. */
static bool
write_some(struct outlet *outlet)
{
	bool any = !downstream_is_full(outlet->downstream) &&
	    journal_read(outlet->journal,
	    downstream_lines(outlet->downstream), READ_BYTES);

	if (downstream_write(outlet->downstream) == 0)
		return any && downstream_is_empty(outlet->downstream);
	outlet->error = errno;
	outlet->is_over = true;
	return false;
}

void
outlet_write(struct outlet *outlet)
{
	bool may_write_more = !outlet->is_over;

	for (int i = 0; i < READS_MAX && may_write_more; i++)
		may_write_more = write_some(outlet);
	if (outlet->is_over) {
		events_ignore(outlet->set, &outlet->event);
		return;
	}
	events_watch(outlet->set, &outlet->event,
	    downstream_is_empty(outlet->downstream) ? 0 : EPOLLOUT);
	if (may_write_more)
		timers_set(outlet->timers, &outlet->more, 0);
}

bool
outlet_is_over(const struct outlet *outlet)
{
	return outlet->is_over || (outlet->is_leaving &&
	    downstream_is_empty(outlet->downstream) &&
	    !journal_has_more(outlet->journal));
}

void
outlet_leave(struct outlet *outlet)
{
	outlet->is_leaving = true;
	outlet->leave_ms = clock_steady_ms();
	timers_set(outlet->timers, &outlet->farewell, FAREWELL_MS);
}

int
outlet_close(struct outlet *outlet)
{
	if (outlet->error != 0)
		return output_failure(outlet->error);
	return downstream_close(outlet->downstream) == 0 ? EX_OK : EX_IOERR;
}
