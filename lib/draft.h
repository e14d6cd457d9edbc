/* A file that is written beside and renamed: it is whole or as it was. */
#ifndef LIB_DRAFT_H
#define LIB_DRAFT_H

#include <stdbool.h>
#include <stddef.h>

struct draft;

/*
 * May a file take the place of what is there, if anything is? A device would
 * be gone for all. Sets errno where it may not.
 */
bool draft_may_replace(const char *path);

/* Begin what will take the place of the file; failures show at the end. */
struct draft *draft_new(const char *path);
void draft_write(struct draft *draft, const char *bytes, size_t length);

/*
 * Put it in the file's place, on disk before that where it must be durable.
 * Returns 0, or -1 with errno set: then the file is as it was. Frees the draft.
 */
int draft_finish(struct draft *draft, bool is_durable);

#endif
