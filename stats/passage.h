/*
 * How far records surely went: past our standard output. A pipe there leads to
 * keep(1), which takes new answers only after it passed on all it took before.
 * So what was taken when more was written has passed once that is taken, too.
 */
#ifndef STATS_PASSAGE_H
#define STATS_PASSAGE_H

#include <stdbool.h>
#include <stdint.h>

/* Each number is the highest seq of its kind. */
struct passage {
	bool is_pipe;		/* else what is written has passed */
	int64_t answered;	/* may be unwritten still */
	int64_t next;		/* answered when last something was written */
	int64_t written;
	int64_t taken;		/* written when the pipe was last seen empty */
	int64_t passed;
};

/* Begin where an earlier start ended: all up to `passed` did pass. */
void passage_start(struct passage *passage, int64_t passed);

/* The record with this seq is among the answers that are written next. */
void passage_answer(struct passage *passage, int64_t seq);

/* Look at standard output: before answers are written, after all were. */
void passage_look_before(struct passage *passage);
void passage_look_after(struct passage *passage);

/*
 * All was written. Of a pipe we do not learn whether somebody took it: who
 * knows that keep ended well tells it afterwards (stats --passed).
 */
void passage_end(struct passage *passage);

#endif
