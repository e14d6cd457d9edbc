#include "timers.h"

#include <err.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "events.h"
#include "memory.h"

struct timers {
	int set;
	struct event event;
	struct timer *first;	/* the one that is due next */
};

/* Let the descriptor become readable when the first timer is due. */
static void
arm(struct timers *timers)
{
	struct itimerspec when = { 0 };
	int64_t left_us;

	if (timers->first != NULL) {
		left_us = timers->first->at_ms * 1000 - clock_steady_us();
		if (left_us < 1)
			left_us = 1;
		when.it_value.tv_sec = left_us / 1000000;
		when.it_value.tv_nsec = left_us % 1000000 * 1000;
	}
	if (timerfd_settime(timers->event.fd, 0, &when, NULL) == -1)
		err(EX_OSERR, "set a timer");
}

static void
call_due(void *arg)
{
	struct timers *timers = arg;
	int64_t now_ms = clock_steady_ms();
	uint64_t expirations;

	if (read(timers->event.fd, &expirations, sizeof expirations) == -1)
		return;
	while (timers->first != NULL && timers->first->at_ms <= now_ms) {
		struct timer *timer = timers->first;

		timers->first = timer->next;
		timer->is_set = false;
		timer->due(timer->arg);
	}
	arm(timers);
}

struct timers *
timers_new(int set)
{
	struct timers *timers = xcalloc(1, sizeof *timers);

	timers->set = set;
	timers->event = (struct event){
		.fd = timerfd_create(CLOCK_MONOTONIC,
		    TFD_NONBLOCK | TFD_CLOEXEC),
		.ready = call_due,
		.arg = timers,
	};
	if (timers->event.fd == -1)
		err(EX_OSERR, "make a timer");
	events_watch(set, &timers->event, EPOLLIN);
	return timers;
}

void
timers_free(struct timers *timers)
{
	if (timers == NULL)
		return;
	events_ignore(timers->set, &timers->event);
	close(timers->event.fd);
	while (timers->first != NULL) {
		timers->first->is_set = false;
		timers->first = timers->first->next;
	}
	free(timers);
}

static void
take_out(struct timers *timers, const struct timer *timer)
{
	struct timer **link = &timers->first;

	while (*link != timer)
		link = &(*link)->next;
	*link = timer->next;
}

/*
 * A timer of no delay waits for the next turn, or `due` could call for ever.
 * The clock's millisecond has begun already: it does not count.
 */
void
timers_set(struct timers *timers, struct timer *timer, int64_t delay_ms)
{
	struct timer **link = &timers->first;

	if (timer->is_set)
		take_out(timers, timer);
	timer->at_ms = clock_steady_ms() + 1 + (delay_ms > 0 ? delay_ms : 0);
	timer->is_set = true;
	while (*link != NULL && (*link)->at_ms <= timer->at_ms)
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
	if (timers->first == timer)
		arm(timers);
}

void
timers_cancel(struct timers *timers, struct timer *timer)
{
	if (!timer->is_set)
		return;
	take_out(timers, timer);
	timer->is_set = false;
}
