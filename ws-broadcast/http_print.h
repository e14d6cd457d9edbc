/* The head of an HTTP/1.1 answer, and what every answer has in it. */
#ifndef WS_BROADCAST_HTTP_PRINT_H
#define WS_BROADCAST_HTTP_PRINT_H

#include <stdbool.h>

#include "buffer.h"
#include "http.h"

/* Append it; is_last: the connection is closed behind the answer. */
void http_print_head(struct buffer *out, const struct http_answer *answer,
    bool is_last);

/* What a status is called, or "". */
const char *http_print_reason(unsigned status);

#endif
