/* Text within an address, as RFC 3986 has it. */
#ifndef LIB_URL_H
#define LIB_URL_H

#include <stddef.h>

#include "buffer.h"

/*
 * Append the bytes, for one part of a URL or of a form: letters, digits and
 * -._~ as they are, every other one, of UTF-8 too, as %XX.
 */
void url_append_encoded(struct buffer *out, const char *bytes, size_t length);

#endif
