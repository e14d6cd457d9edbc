/*
 * Looking for the patterns in a text of any length, in pieces that overlap.
 *
 * A text up to 64 KiB is one piece. A longer one is cut behind a line's end
 * at least 8 KiB before the end of a piece; matches that start behind the cut
 * are left to the next piece, so none is found twice, and a match of up to
 * 8 KiB is never missed. Where the cuts are depends on the text alone.
 */
#ifndef SCANNER_TEXT_SCAN_H
#define SCANNER_TEXT_SCAN_H

#include <stddef.h>

#include "findings.h"
#include "occasion.h"
#include "patterns.h"
#include "prefilter.h"

struct text_scan;

/*
 * A scan that keeps max_matches of a pattern in a record, and counts on. The
 * prefilter is borrowed; it knows the sets that are scanned with, or is NULL.
 */
struct text_scan *text_scan_new(size_t max_matches,
    struct prefilter *prefilter);
void text_scan_free(struct text_scan *scan);

/*
 * Begin a record, the occasion that says which watches it is for; all is
 * borrowed until the next one.
 */
void text_scan_begin(struct text_scan *scan, const struct pattern_set *set,
    struct occasion *occasion, struct findings *findings);

/* Open a text: a part of the record, and its name for people. */
void text_scan_open(struct text_scan *scan, unsigned part, const char *where,
    size_t length);

/* Look through all of a text that lies in memory. */
void text_scan_whole(struct text_scan *scan, const char *bytes, size_t length);

/* Take the next bytes of a text that comes in pieces. */
void text_scan_feed(struct text_scan *scan, const char *bytes, size_t length);

/* The text ends. */
void text_scan_close(struct text_scan *scan);

#endif
