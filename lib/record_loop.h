/*
 * The loop of a filter: one line in, one line out, in order. It owns all that
 * is the same everywhere: reading, parsing, error records, splicing, flushing
 * before a wait, signals, a broken or full output.
 */
#ifndef LIB_RECORD_LOOP_H
#define LIB_RECORD_LOOP_H

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
	 * standard output. Returns 0, or -1 where they may not leave, which
	 * ends the loop: the program is to stop. NULL: nothing to do.
	 */
	int (*commit)(void *arg);

	/*
	 * Where that costs more than a record: so many bytes of answers wait
	 * for one commit, as long as there is input at once. 0: they do not.
	 */
	size_t gather_bytes;

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
 * EX_TEMPFAIL where commit held answers back. Where TERM or INT asked for the
 * end, signals_want_stop is true afterwards; the caller releases what it has
 * and ends by signals_die.
 */
int record_loop(const struct filter *filter, void *arg);

#endif
