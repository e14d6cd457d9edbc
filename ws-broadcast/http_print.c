#include "http_print.h"

#include <time.h>

const char *
http_print_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = {
		{ 200, "OK" }, { 302, "Found" }, { 304, "Not Modified" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 408, "Request Timeout" },
		{ 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 426, "Upgrade Required" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

static void
print_date(struct buffer *out)
{
	time_t now_s = time(NULL);
	struct tm utc;
	char date[40];

	strftime(date, sizeof date, "date: %a, %d %b %Y %H:%M:%S GMT\r\n",
	    gmtime_r(&now_s, &utc));
	buffer_append_string(out, date);
}

/* What every answer has. */
static const char common_headers[] =
	"content-security-policy: default-src 'none'; script-src 'self';"
	" style-src 'self'; img-src 'self' data:; connect-src 'self';"
	" base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
	"x-content-type-options: nosniff\r\n"
	"referrer-policy: no-referrer\r\n"
	"cross-origin-opener-policy: same-origin\r\n"
	"cross-origin-resource-policy: same-origin\r\n";

void
http_print_head(struct buffer *out, const struct http_answer *answer,
    bool is_last)
{
	buffer_printf(out, "HTTP/1.1 %u %s\r\n", answer->status,
	    http_print_reason(answer->status));
	print_date(out);
	buffer_append(out, common_headers, sizeof common_headers - 1);
	if (answer->type != NULL)
		buffer_printf(out, "content-type: %s\r\n", answer->type);
	if (answer->status != 304)
		buffer_printf(out, "content-length: %zu\r\n", answer->length);
	for (const struct http_header *header = answer->headers;
	    header->name != NULL; header++)
		buffer_printf(out, "%s: %s\r\n", header->name, header->value);
	buffer_append_string(out, is_last
	    ? "connection: close\r\n\r\n" : "\r\n");
}
