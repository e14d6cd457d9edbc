/* Looking through one record: its text, its files, everything. */
#ifndef SCANNER_SCAN_H
#define SCANNER_SCAN_H

#include "file_scan.h"
#include "findings.h"
#include "patterns.h"
#include "prefilter.h"
#include "record.h"

#define SCAN_FILES_MAX 64	/* that are looked through of one record */

struct scan;

/*
 * Keep max_matches of a pattern in a record. The prefilter is borrowed; it
 * knows the sets that are scanned with, or is NULL.
 */
struct scan *scan_new(const struct file_options *options, size_t max_matches,
    struct prefilter *prefilter);
void scan_free(struct scan *scan);

/*
 * Fill findings with what the patterns match in the record; the occasion is
 * begun for it, and all zero where the set has no watches.
 */
void scan_record(struct scan *scan, const struct pattern_set *set,
    struct record *record, struct occasion *occasion,
    struct findings *findings);

#endif
