/* The lines of one file of the journal, each with its place in it. */
#ifndef SLACK_READER_JOURNAL_SCAN_H
#define SLACK_READER_JOURNAL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal_folder.h"
#include "record.h"

/* The largest number that every JSON reader reads exactly. */
#define JOURNAL_SEQ_MAX INT64_C(9007199254740991)

/* A line; seq is 0 where it is damaged: no record with a seq. */
struct journal_line {
	int64_t start;
	int64_t end;		/* behind its LF, which the last may lack */
	int64_t seq;
};

struct journal_scan;

/*
 * Read a file from its start. Its records are parsed into `record`, which is
 * borrowed. Returns NULL with errno set where it cannot be opened.
 */
struct journal_scan *journal_scan_new(const struct journal_folder *folder,
    size_t file, struct record *record);
void journal_scan_free(struct journal_scan *scan);

/* The next line, or false at the end. Exits EX_IOERR where reading fails. */
bool journal_scan_next(struct journal_scan *scan, struct journal_line *line);

/* The same for the next that is not damaged. */
bool journal_scan_next_record(struct journal_scan *scan,
    struct journal_line *line);

/* Parse a line without its LF; returns its seq, or 0 where it is damaged. */
int64_t journal_parse_line(struct record *record, const char *text,
    size_t length);

#endif
