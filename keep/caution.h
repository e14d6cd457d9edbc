/*
 * How many lines a stage is given at a time after it died. Lines are answered
 * in batches, so the one that killed it need not be the oldest: those it had
 * are fed one by one until all of them are answered. A stage that takes its
 * time gets more at once, because it may want to handle several, or to answer
 * several with one write.
 */
#ifndef KEEP_CAUTION_H
#define KEEP_CAUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero but patience_ms_most suspects no line. */
struct caution {
	size_t suspects;	/* lines it had when it died, still unanswered */
	size_t allowance;	/* lines it may have at a time */
	int64_t patience_ms;	/* with so many, before it gets more */
	int64_t patience_ms_most;
};

/*
 * The stage died with so many lines in its hands. Returns whether that counts
 * against the oldest one: it was alone, or this is the first death, or all
 * patience did not help to tell who it was.
 */
bool caution_rise(struct caution *caution, size_t lines);

/* So many lines were answered. */
void caution_answer(struct caution *caution, size_t lines);

/* Nothing was answered for as long as our patience lasts. */
void caution_widen(struct caution *caution);

/* How many lines the stage may have; 0: any number. */
size_t caution_lines(const struct caution *caution);

#endif
