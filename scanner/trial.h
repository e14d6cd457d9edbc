/* Trying a pattern on a recording before anyone uses it. */
#ifndef SCANNER_TRIAL_H
#define SCANNER_TRIAL_H

#include "patterns.h"
#include "scan.h"

/*
 * Look through the recording on standard input and print for people what was
 * found and what it cost. Returns an exit status: 0 with a match, 1 without.
 */
int trial_run(struct scan *scan, const struct pattern_set *set);

#endif
