/* The ordered rules of classes.conf: the first that fits a record decides. */
#ifndef CLASSIFIER_RULES_H
#define CLASSIFIER_RULES_H

#include <stddef.h>

#include "record.h"

struct rules;

/* What a rule file says about a record; strings belong to the rules. */
struct verdict {
	const char *class;	/* success, warning or danger */
	const char *rule;	/* the line that decided, blanks made single */
	size_t line;		/* its number, 0 where no rule fitted */
};

/*
 * Read a rule file. Returns NULL where it cannot be read or a line is wrong,
 * all of it reported.
 */
struct rules *rules_load(const char *path);
void rules_free(struct rules *rules);

/*
 * What no rule fits is a success; but where a rule could not look at all it
 * wanted, that is a warning, and the record gets an `error`.
 */
struct verdict rules_apply(struct rules *rules, struct record *record);

#endif
