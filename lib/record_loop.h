/*
 * The loop of a filter: one line in, one line out, in order. It owns all that
 * is the same everywhere: reading, parsing, error records, splicing, flushing
 * before a wait, signals, a broken or full output.
 */
#ifndef LIB_RECORD_LOOP_H
#define LIB_RECORD_LOOP_H

#include <stdbool.h>

#include "record.h"

/* What makes one filter different from the others. */
struct filter {
	const char *name;		/* of the stage, in error records */
	const char *const *own;		/* members it adds, ended by NULL */

	/* Look at a record and add to it. */
	void (*handle)(struct record *record, void *arg);

	/* HUP: read files again. NULL: there are none. */
	void (*reload)(void *arg);

	/*
	 * Make safe what the answers stand for that are about to be written to
	 * standard output. Returns 0, or -1 with the reason reported where that
	 * fails: they wait, and it is tried again. NULL: nothing to do.
	 */
	int (*commit)(void *arg);

	/*
	 * Where that takes its time: lay ready what commit is to make safe, for
	 * another thread calls it, and the loop goes on until much waits behind
	 * it. Returns false where there is nothing. NULL: commit is called at
	 * once.
	 */
	bool (*prepare)(void *arg);

	/*
	 * Called after the answers went out and before a wait; returns after
	 * how many ms without input it wants to be called again, -1 for never.
	 * NULL: nothing to do.
	 */
	int (*before_wait)(void *arg);
};

/*
 * Pass standard input to standard output through the filter until the input
 * ends. Returns an exit status: 0, EX_IOERR with the reason reported, or
 * EX_TEMPFAIL where commit failed for longer than answers may wait. Where TERM
 * or INT asked for the end, signals_want_stop is true afterwards; the caller
 * releases what it has and ends by signals_die.
 */
int record_loop(const struct filter *filter, void *arg);

#endif
