/* What bytes are, told from the first of them: text, an archive, neither. */
#ifndef SCANNER_CONTENT_H
#define SCANNER_CONTENT_H

#include <stdbool.h>
#include <stddef.h>

#define CONTENT_HEAD_BYTES 8192		/* that are looked at */

enum content {
	CONTENT_TEXT,		/* UTF-8 or any other with ASCII in it */
	CONTENT_UTF16_LE,
	CONTENT_UTF16_BE,
	CONTENT_BINARY
};

/* length may be more than is looked at. An archive is no content here. */
enum content content_find(const char *head, size_t length);

/* Bytes of a byte order mark at the start, 0 to 3. */
size_t content_mark(const char *head, size_t length);

#endif
