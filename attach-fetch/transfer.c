#include "transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HEADER_BYTES_MAX (256 * 1024)
#define RETRY_AFTER_MAX_S 86400
#define CONNECT_S 30
#define STALL_S 60		/* so long without a byte is the end */
#define IGNORED_BODY_BYTES 65536	/* of an answer that is not 200 */

static bool
is_login_page_type(const struct transfer *transfer)
{
	char *type = NULL;

	curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
	return !transfer->order.is_html && login_page_is_type(type);
}

static bool
stop(struct transfer *transfer, enum transfer_stop why)
{
	transfer->stop = why;
	return false;
}

static bool
open_file(struct transfer *transfer)
{
	if (transfer->file == NULL)
		transfer->file = spool_create(transfer->order.spool);
	if (transfer->file != NULL)
		return true;
	transfer->spool_error = errno;
	return stop(transfer, TRANSFER_HAS_NO_SPOOL);
}

static bool
accept_body(struct transfer *transfer, const char *bytes, size_t length)
{
	const struct transfer_order *order = &transfer->order;
	int64_t done = transfer->file != NULL ?
	    spool_length(transfer->file) : 0;

	if (is_login_page_type(transfer) || (!order->is_html &&
	    login_page_starts(&transfer->page, bytes, length)))
		return stop(transfer, TRANSFER_IS_LOGIN_PAGE);
	if (done + (int64_t)length > order->bytes_max)
		return stop(transfer, TRANSFER_IS_TOO_LARGE);
	if (!open_file(transfer))
		return false;
	if (spool_append(transfer->file, bytes, length) == 0)
		return true;
	transfer->spool_error = errno;
	return stop(transfer, TRANSFER_HAS_NO_SPOOL);
}

/* As CURLOPT_WRITEFUNCTION. */
static size_t
take_body(char *bytes, size_t one, size_t length, void *arg)
{
	struct transfer *transfer = arg;
	long status = 0;
	bool goes_on;

	(void)one;
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200) {
		goes_on = accept_body(transfer, bytes, length);
	} else {
		transfer->ignored_bytes += (int64_t)length;
		goes_on = transfer->ignored_bytes <= IGNORED_BODY_BYTES;
	}
	return goes_on ? length : CURL_WRITEFUNC_ERROR;
}

/*
 * As CURLOPT_HEADERFUNCTION, which sees trailers, too: libcurl keeps them all,
 * however many come.
 */
static size_t
take_header(char *bytes, size_t one, size_t length, void *arg)
{
	struct transfer *transfer = arg;

	(void)bytes;
	(void)one;
	transfer->header_bytes += length;
	if (transfer->header_bytes <= HEADER_BYTES_MAX)
		return length;
	stop(transfer, TRANSFER_IS_ALL_HEADERS);
	return 0;
}

/*
 * HTTP/1.1: a connection a transfer, so that one that stalls holds up no
 * other. Redirects are not followed here. QUICK_EXIT: to give a transfer up
 * whose host is still being looked up must not wait for the name server.
 */
void
transfer_prepare(struct transfer *transfer, CURL *easy,
    const struct transfer_order *order)
{
	bool is_https = strncmp(order->url, "https:", strlen("https:")) == 0;

	*transfer = (struct transfer){ .order = *order, .easy = easy };
	curl_easy_setopt(easy, CURLOPT_URL, order->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
	    is_https ? "https" : "http");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, order->headers);
	curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	curl_easy_setopt(easy, CURLOPT_USERAGENT,
	    "ultron-attach-fetch/" ULTRON_VERSION);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
	    (curl_off_t)order->bytes_max);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	if (order->ca_file != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, order->ca_file);
}

static void __attribute__((format(printf, 3, 4)))
decide(struct transfer_answer *answer, enum want_status status,
    const char *format, ...)
{
	va_list arguments;

	answer->result = TRANSFER_FINAL;
	answer->status = status;
	va_start(arguments, format);
	vsnprintf(answer->reason, sizeof answer->reason, format, arguments);
	va_end(arguments);
}

static bool
is_worth_retrying(CURLcode code)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_WRITE_ERROR:
		return false;
	default:
		return true;
	}
}

static void
judge_network_error(CURLcode code, struct transfer_answer *answer)
{
	decide(answer, WANT_FAILED, "%s", curl_easy_strerror(code));
	if (is_worth_retrying(code))
		answer->result = TRANSFER_RETRY;
}

static void
judge_redirect(const struct transfer *transfer, long status,
    struct transfer_answer *answer)
{
	char *target = NULL;

	curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &target);
	answer->target = target;
	if (target == NULL)
		decide(answer, WANT_FAILED, "HTTP %ld without a target",
		    status);
	else
		answer->result = login_page_is_target(target) ?
		    TRANSFER_LOGIN_PAGE : TRANSFER_REDIRECT;
}

/* The server asks for patience. */
static void
judge_busy(const struct transfer *transfer, long status,
    struct transfer_answer *answer)
{
	curl_off_t after_s = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &after_s);
	if (after_s > RETRY_AFTER_MAX_S)
		after_s = RETRY_AFTER_MAX_S;
	if (after_s > 0)
		decide(answer, WANT_FAILED, "HTTP %ld, Retry-After %"
		    CURL_FORMAT_CURL_OFF_T " s,", status, after_s);
	else
		decide(answer, WANT_FAILED, "HTTP %ld", status);
	answer->result = TRANSFER_RETRY;
	answer->pause_ms = after_s * 1000;
}

static void
judge_missing(const struct transfer *transfer, long status,
    struct transfer_answer *answer)
{
	decide(answer, WANT_FAILED, "HTTP %ld: no such file", status);
	if (status == 404 && transfer->order.is_young)
		answer->result = TRANSFER_RETRY;
}

static void
judge_spool_error(const struct transfer *transfer,
    struct transfer_answer *answer)
{
	decide(answer, WANT_FAILED, "%s", "");
	spool_explain(transfer->spool_error, answer->reason,
	    sizeof answer->reason);
	if (spool_lacks_room(transfer->spool_error))
		answer->result = TRANSFER_NO_ROOM;
}

/* A body that is to be kept; that of an empty file never came. */
static void
judge_body(struct transfer *transfer, CURLcode code,
    struct transfer_answer *answer)
{
	if (transfer->stop == TRANSFER_IS_LOGIN_PAGE ||
	    is_login_page_type(transfer))
		answer->result = TRANSFER_LOGIN_PAGE;
	else if (transfer->stop == TRANSFER_IS_TOO_LARGE ||
	    code == CURLE_FILESIZE_EXCEEDED)
		decide(answer, WANT_TOO_LARGE, "larger than %" PRId64
		    " bytes", transfer->order.bytes_max);
	else if (transfer->stop == TRANSFER_HAS_NO_SPOOL)
		judge_spool_error(transfer, answer);
	else if (code != CURLE_OK)
		judge_network_error(code, answer);
	else if (!open_file(transfer))
		judge_spool_error(transfer, answer);
	else
		answer->result = TRANSFER_FILE;
}

void
transfer_judge(struct transfer *transfer, CURLcode code,
    struct transfer_answer *answer)
{
	long status = 0;

	*answer = (struct transfer_answer){ 0 };
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	if (transfer->stop == TRANSFER_IS_ALL_HEADERS)
		decide(answer, WANT_FAILED, "more than %d KiB of headers",
		    HEADER_BYTES_MAX >> 10);
	else if (status == 200)
		judge_body(transfer, code, answer);
	else if (status == 0)
		judge_network_error(code, answer);
	else if (status >= 300 && status < 400)
		judge_redirect(transfer, status, answer);
	else if (status == 429 || status >= 500)
		judge_busy(transfer, status, answer);
	else if (status == 401 || status == 403)
		decide(answer, WANT_DENIED, "HTTP %ld: the token is not"
		    " accepted or lacks the scope files:read", status);
	else if (status == 404 || status == 410)
		judge_missing(transfer, status, answer);
	else
		decide(answer, WANT_FAILED, "HTTP %ld", status);
}

void
transfer_clear(struct transfer *transfer)
{
	spool_discard(transfer->file);
	*transfer = (struct transfer){ 0 };
}
