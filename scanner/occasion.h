/*
 * What of the record at hand decides who is told of it: where it was said and
 * by whom, and what of it is new.
 */
#ifndef SCANNER_OCCASION_H
#define SCANNER_OCCASION_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "record.h"
#include "watch.h"

/* All zero is no occasion: nothing is wanted. */
struct occasion {
	uint64_t number;
	struct record *record;
	bool is_examined;	/* the rest up to `text` is known */
	const char *author;	/* NULL: unknown */
	unsigned parts;		/* that watches are looked for in */
	bool is_edit;
	bool is_old_file;	/* an edit's that it had before */
	struct buffer text;	/* of an edit */
	struct buffer text_before;
	struct buffer attachments;
	struct buffer attachments_before;

	struct watch **struck;	/* those that reached their cost limit */
	size_t struck_count;
	size_t struck_capacity;
};

/* Begin a record, which is borrowed until the next one. */
void occasion_begin(struct occasion *occasion, struct record *record);
void occasion_free(struct occasion *occasion);

/* Is the watch to be looked for in this part of the record? */
bool occasion_wants(struct occasion *occasion, struct watch *watch,
    unsigned part);

/* What follows is of the file with that id. */
void occasion_open_file(struct occasion *occasion, const char *id);

/* The watch has reached its cost limit. */
void occasion_strike(struct occasion *occasion, struct watch *watch);

#endif
