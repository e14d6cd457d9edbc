/* Trying an expression on texts that are hard to search. */
#ifndef SLACK_BOT_TRIAL_H
#define SLACK_BOT_TRIAL_H

#include "regex.h"

/*
 * What a text was on which the search for the expression, compiled as regex,
 * was given up, for people; or NULL where all could be searched.
 */
const char *trial_find_hard(const struct regex *regex,
    const char *expression);

#endif
