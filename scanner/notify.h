/* Who is to be told of what was found in a record. */
#ifndef SCANNER_NOTIFY_H
#define SCANNER_NOTIFY_H

#include "findings.h"
#include "occasion.h"
#include "record.h"
#include "subscribers.h"

/* All zero to begin with. */
struct notify {
	const char **users;
	size_t count;
	size_t capacity;
	struct buffer json;
};

void notify_free(struct notify *notify);

/*
 * Add `notify`, those with a match; `held`, those of them who are muted; and
 * `quarantine`, what cost too much too often; each where there is one.
 */
void notify_write(struct notify *notify, struct subscribers *subscribers,
    const struct findings *findings, const struct occasion *occasion,
    struct record *record);

#endif
