/*
 * Answers that take time, given by a thread beside the stream: each job that
 * stands in the book is done, and its answer handed to the inbox as a `reply`
 * record (man/record.5). One that is done twice is said once, by its id.
 */
#ifndef SLACK_BOT_OWED_H
#define SLACK_BOT_OWED_H

#include "book.h"
#include "request.h"

struct owed;

/* Start the thread; what is owed by the book already is taken up. All is
 * borrowed. */
struct owed *owed_new(const struct bot_settings *settings, struct book *book,
    const char *inbox);

/*
 * End the thread; what is not done stays in the book. Returns false where it is
 * amid its work: it ends with the program, which may free nothing before.
 */
bool owed_free(struct owed *owed);

/* Take up the jobs of the book that are new, forget those that are done. */
void owed_update(struct owed *owed);

#endif
