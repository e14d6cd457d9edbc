#include "url.h"

#include <stdbool.h>
#include <string.h>

/* Not by isalnum: a locale has no say in this. */
static bool
is_unreserved(char byte)
{
	return byte != '\0' && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-._~", byte) != NULL;
}

void
url_append_encoded(struct buffer *out, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (is_unreserved(bytes[i]))
			buffer_append(out, bytes + i, 1);
		else
			buffer_printf(out, "%%%02X", (unsigned char)bytes[i]);
	}
}
