/*
 * Standard input of a program that waits for more than that: its lines are
 * taken as far as there is room for what becomes of them.
 */
#ifndef LIB_INTAKE_H
#define LIB_INTAKE_H

#include <stdbool.h>

#include "line_reader.h"

/* Who takes the lines. */
struct taker {
	void (*take)(const struct line *line, void *arg);

	/* Is there room for what another line becomes? */
	bool (*has_room)(void *arg);
	void *arg;
};

struct intake;

/* Exits EX_IOERR where standard input is closed. */
struct intake *intake_new(struct taker taker);
void intake_free(struct intake *intake);

/*
 * Take the lines that were read, as far as there is room. may_read says that a
 * read would not wait: then read, once, and take those lines, too. Returns 0,
 * or -1 with the reason reported.
 */
int intake_run(struct intake *intake, bool may_read);

/* Read no more; what was read is still taken, but for an unfinished line. */
void intake_stop(struct intake *intake);

/* Does it want to read, once it may? */
bool intake_wants_input(const struct intake *intake);

/* Are there lines left that there is room for now? */
bool intake_has_work(const struct intake *intake);

/* Has all that was read been taken, and will nothing more be read? */
bool intake_is_done(const struct intake *intake);

#endif
