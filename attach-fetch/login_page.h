/*
 * Slack answers a request that lacks authorisation not with 401 but with its
 * login page: by a redirect first, or as 200 text/html where a file was asked
 * for. One sign is enough.
 */
#ifndef ATTACH_FETCH_LOGIN_PAGE_H
#define ATTACH_FETCH_LOGIN_PAGE_H

#include <stdbool.h>
#include <stddef.h>

/* The beginning of a body, without blanks. All zero at the start. */
struct login_page {
	char head[sizeof "<!doctype html" - 1];
	size_t length;
};

bool login_page_is_target(const char *redirect_url);
bool login_page_is_type(const char *content_type);

/* Take the next bytes of a body; true once it starts as an HTML page does. */
bool login_page_starts(struct login_page *page, const char *bytes,
    size_t length);

#endif
