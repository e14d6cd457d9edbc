/* Looking through a file: its charset, and archives within archives. */
#ifndef SCANNER_FILE_SCAN_H
#define SCANNER_FILE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "findings.h"
#include "text_scan.h"

/* How far files are looked into. */
struct file_options {
	const char *spool;	/* NULL: not at all */
	bool binary;		/* binary ones, too */
	uint64_t archive_entries;
	uint64_t archive_bytes;	/* unpacked, of one record */
	unsigned archive_depth;
};

struct file_scan;

/* options are copied; text is borrowed. */
struct file_scan *file_scan_new(const struct file_options *options,
    struct text_scan *text);
void file_scan_free(struct file_scan *scan);

/* Begin a record: archive_bytes is for all of its files together. */
void file_scan_begin(struct file_scan *scan);

/*
 * Look through the spool's file `path`, which people know by the id `file`:
 * both come from a record. What can't be read is a limit in findings.
 */
void file_scan_spooled(struct file_scan *scan, const char *file,
    const char *path, struct findings *findings);

#endif
