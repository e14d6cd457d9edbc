/* What is to happen later: any number of timers on one descriptor. */
#ifndef LIB_TIMERS_H
#define LIB_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

/* A moment, and what to call then. It must stay in place while it is set. */
struct timer {
	void (*due)(void *arg);
	void *arg;

	/* these are for timers.c to set */
	int64_t at_ms;		/* of the steady clock */
	bool is_set;
	struct timer *next;	/* the one that is due after it */
};

struct timers;

/* Timers that are called by events_dispatch(set). */
struct timers *timers_new(int set);

/* Timers that are still set are forgotten, not freed. */
void timers_free(struct timers *timers);

/*
 * Call timer->due once, in delay_ms or more from now, never from within this
 * call; a timer that is set already is set anew. `due` may set it again.
 */
void timers_set(struct timers *timers, struct timer *timer, int64_t delay_ms);
void timers_cancel(struct timers *timers, struct timer *timer);

#endif
