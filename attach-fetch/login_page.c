#include "login_page.h"

#include <string.h>
#include <strings.h>

bool
login_page_is_target(const char *redirect_url)
{
	const char *query = strchr(redirect_url, '?');

	return query != NULL && strstr(query, "redir=") != NULL;
}

bool
login_page_is_type(const char *content_type)
{
	return content_type != NULL && strncasecmp(content_type, "text/html",
	    strlen("text/html")) == 0;
}

static bool
is_head(const struct login_page *page, const char *tag)
{
	size_t length = strlen(tag);

	return page->length >= length &&
	    strncasecmp(page->head, tag, length) == 0;
}

bool
login_page_starts(struct login_page *page, const char *bytes, size_t length)
{
	for (; length > 0 && page->length < sizeof page->head;
	    bytes++, length--) {
		/* blanks and the byte order mark of UTF-8 */
		if (page->length == 0 && *bytes != '\0' &&
		    strchr(" \t\r\n\f\xef\xbb\xbf", *bytes) != NULL)
			continue;
		page->head[page->length++] = *bytes;
	}
	return is_head(page, "<html") || is_head(page, "<!doctype html");
}
