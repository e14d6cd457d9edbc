/*
 * Where a JSON value ends, found while its bytes come in pieces. It is a scan
 * for borders, not a check: what lies between them may still be no JSON.
 */
#ifndef SLACK_READER_JSON_SPAN_H
#define SLACK_READER_JSON_SPAN_H

#include <stdbool.h>
#include <stddef.h>

/* All zero stands before a value. */
struct json_span {
	size_t depth;
	bool in_string;
	bool escaped;
	bool in_word;		/* in a number, true, false or null */
	bool after_value;	/* no other value may follow right here */
	bool at_line_start;	/* nothing but blanks since the last LF */
	bool at_edge;		/* not even blanks */
	bool keeps_off_edge;	/* set by the caller: a line that begins with a
				   bracket, not indented, is no part of it */
};

enum json_span_result {
	JSON_SPAN_OPEN,		/* all bytes looked at, the value goes on */
	JSON_SPAN_END,		/* the value ends before the first byte left */
	JSON_SPAN_BROKEN	/* the first byte left can not stand there */
};

/*
 * Go on with the next bytes of the value; *looked is how many were looked at.
 * Line breaks between tokens become blanks, so that the value is one line.
 */
enum json_span_result json_span_scan(struct json_span *span, char *bytes,
    size_t length, size_t *looked);

#endif
