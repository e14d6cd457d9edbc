#include "events.h"

#include <err.h>
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sysexits.h>

#define CALLS_MAX 16	/* in one turn, so that others have theirs */

int
events_open(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC);

	if (set == -1)
		err(EX_OSERR, "wait for events");
	return set;
}

void
events_watch(int set, struct event *event, uint32_t mask)
{
	struct epoll_event wanted = { .events = mask, .data.ptr = event };

	if (event->is_always_ready || (event->is_watched &&
	    event->mask == mask))
		return;
	if (epoll_ctl(set, event->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
	    event->fd, &wanted) == 0) {
		event->is_watched = true;
		event->mask = mask;
	} else if (errno == EPERM) {
		event->is_always_ready = true;
	} else {
		err(EX_OSERR, "wait for events");
	}
}

void
events_ignore(int set, struct event *event)
{
	if (event->is_watched)
		epoll_ctl(set, EPOLL_CTL_DEL, event->fd, NULL);
	event->is_watched = false;
}

void
events_dispatch(int set)
{
	events_wait(set, 0);
}

/* One at a time: what is called may close and free any other event. */
void
events_wait(int set, int milliseconds)
{
	struct epoll_event ready;

	for (int i = 0; i < CALLS_MAX; i++) {
		const struct event *event;

		if (epoll_wait(set, &ready, 1, i == 0 ? milliseconds : 0) != 1)
			break;
		event = ready.data.ptr;
		event->ready(event->arg);
	}
}
