/*
 * Heads and bodies of HTTP/1 requests: read strictly, the same in whatever
 * pieces they come.
 *
 * modules: ws-broadcast/http_head.c ws-broadcast/http_body.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ws-broadcast/http_body.h"
#include "../../ws-broadcast/http_head.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

/* In memory of its own, so that a sanitizer sees a byte read too far. */
static char *
copy(const char *bytes, size_t length)
{
	char *own = malloc(length + 1);

	assert_non_null(own);
	memcpy(own, bytes, length);
	own[length] = '\0';
	return own;
}

/* As it comes byte by byte, each time in memory that ends there. */
static long
measure_dripped(const char *bytes, size_t length)
{
	size_t seen = 0;
	long found = 0;

	for (size_t i = 1; i <= length && found == 0; i++) {
		char *own = malloc(i);

		assert_non_null(own);
		memcpy(own, bytes, i);
		found = http_head_measure(own, i, &seen);
		free(own);
	}
	return found;
}

static long
measure(const char *bytes, size_t length)
{
	size_t seen = 0;
	long found = http_head_measure(bytes, length, &seen);

	assert_int_equal(measure_dripped(bytes, length), found);
	return found;
}

/*
 * Measure and parse. Returns the status, 0 where the head is good, or 1 where
 * it has no end yet. *own is what the head's strings are in.
 */
static unsigned
read_head(const char *bytes, size_t length, struct http_head *head, char **own)
{
	long found = measure(bytes, length);

	*own = NULL;
	if (found <= 0)
		return found == 0 ? 1 : 400;
	*own = copy(bytes, (size_t)found);
	return http_head_parse(head, *own, (size_t)found);
}

static unsigned
judge_bytes(const char *bytes, size_t length)
{
	struct http_head head;
	char *own;
	unsigned status = read_head(bytes, length, &head, &own);

	free(own);
	return status;
}

static unsigned
judge(const char *text)
{
	return judge_bytes(text, strlen(text));
}

struct verdict {
	const char *text;
	unsigned status;
};

static void
check_verdicts(const struct verdict *verdicts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned status = judge(verdicts[i].text);

		if (status != verdicts[i].status)
			fail_msg("%u instead of %u for %s", status,
			    verdicts[i].status, verdicts[i].text);
	}
}

/* --- heads ----------------------------------------------------------------*/

static void
finds_the_end(void **state)
{
	static const char two[] = GET "\r\nGET /b HTTP/1.1\r\n\r\n";

	(void)state;
	assert_int_equal(measure("", 0), 0);
	assert_int_equal(measure("G", 1), 0);
	assert_int_equal(measure(GET, strlen(GET)), 0);
	assert_int_equal(measure(GET "\r", strlen(GET) + 1), 0);
	assert_int_equal(measure(GET "\r\n", strlen(GET) + 2),
	    strlen(GET) + 2);
	assert_int_equal(measure(two, strlen(two)), strlen(GET) + 2);
	assert_int_equal(measure(GET "\r\n\0\n", strlen(GET) + 4),
	    strlen(GET) + 2);
}

static void
skips_few_empty_lines(void **state)
{
	(void)state;
	assert_int_equal(measure("\r", 1), 0);
	assert_int_equal(measure("\r\n", 2), 0);
	assert_int_equal(measure("\r\n\r\n\r\n\r\n", 8), 0);
	assert_int_equal(judge("\r\n" GET "\r\n"), 0);
	assert_int_equal(judge("\r\n\r\n\r\n\r\n" GET "\r\n"), 0);
	assert_int_equal(judge("\r\n\r\n\r\n\r\n\r\n\r\n"), 400);
	assert_int_equal(judge("\r\n\r\n\r\n\r\n\r\n" GET "\r\n"), 400);
	assert_int_equal(judge("\rG"), 400);
}

/* Before there is an end of it. */
static void
refuses_garbage_at_once(void **state)
{
	static const struct verdict verdicts[] = {
		{ "\n", 400 },
		{ "\r\n\n", 400 },
		{ " GET", 400 },
		{ "\x16\x03\x01", 400 },
		{ "\x80", 400 },
		{ "{\"a\":1}", 400 },
		{ "<html>", 400 },
		{ "GET / HTTP/1.1\n", 400 },		/* LF alone */
		{ "GET / HTTP/1.1\r\nHost: a\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\n\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\rX", 400 },	/* CR alone */
		{ "GET / HTTP/1.1\r\nHost: a\r\r\n", 400 },
		{ "GET / HTTP/1.1\r\r", 400 },
	};

	(void)state;
	check_verdicts(verdicts, COUNT(verdicts));
	assert_int_equal(judge_bytes("G\0", 2), 400);
	assert_int_equal(judge_bytes("\0", 1), 400);
	assert_int_equal(judge_bytes("GET / HTTP/1.1\r\nHost: a\0", 24), 400);
}

static void
refuses_bad_request_lines(void **state)
{
	static const struct verdict verdicts[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
		{ "get / HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
		{ "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
		{ "GET / HTTP/1.0\r\n\r\n", 0 },
		{ "GET /\r\n\r\n", 400 },		/* HTTP/0.9 */
		{ "GET\r\n\r\n", 400 },
		{ "GET \r\n\r\n", 400 },
		{ "GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", 400 },
		{ "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET / a HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "G\xc3\xa4T / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GETGETGETGETGETGETGETGETGETGETGET / HTTP/1.1\r\n"
		    "Host: a\r\n\r\n", 400 },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400 },
		{ "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505 },
		{ "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505 },
		{ "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505 },
		{ "GET / HTTP/11\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.\r\nHost: a\r\n\r\n", 400 },
		{ "GET / http/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTCPCP/1.0\r\nHost: a\r\n\r\n", 400 },
	};

	(void)state;
	check_verdicts(verdicts, COUNT(verdicts));
}

static void
refuses_bad_fields(void **state)
{
	static const struct verdict verdicts[] = {
		{ GET "X: y\r\n\r\n", 0 },
		{ GET "X:\r\n\r\n", 0 },
		{ GET "X:y:z\r\n\r\n", 0 },
		{ GET "X: a\tb\r\n\r\n", 0 },
		{ GET "X: \xc3\xa4\r\n\r\n", 0 },
		{ GET "X\r\n\r\n", 400 },
		{ GET ": y\r\n\r\n", 400 },
		{ GET "X : y\r\n\r\n", 400 },		/* blank before colon */
		{ GET "X\t: y\r\n\r\n", 400 },
		{ GET "X y: z\r\n\r\n", 400 },
		{ GET "X(: z\r\n\r\n", 400 },
		{ GET "\xc3\xa4: z\r\n\r\n", 400 },
		{ GET " folded\r\n\r\n", 400 },		/* obs-fold */
		{ GET "\tfolded\r\n\r\n", 400 },
		{ GET "X: y\r\n z\r\n\r\n", 400 },
		{ GET "X: y\r\n z: a\r\n\r\n", 400 },
		{ GET " X: y\r\n\r\n", 400 },
		{ GET "X: a\x01" "b\r\n\r\n", 400 },
		{ GET "X: a\x7f\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400 },
	};

	(void)state;
	check_verdicts(verdicts, COUNT(verdicts));
}

/* Who asks for two hosts, or for two lengths, asks two servers differently. */
static void
refuses_what_is_ambiguous(void **state)
{
	static const struct verdict verdicts[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 400 },	/* without Host */
		{ "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", 400 },
		{ "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0 },
		{ POST "Content-Length: 5\r\n\r\n", 0 },
		{ POST "Content-Length: 0\r\n\r\n", 0 },
		{ POST "Content-Length: 0005\r\n\r\n", 0 },
		{ POST "Content-Length:\r\n\r\n", 400 },
		{ POST "Content-Length: -1\r\n\r\n", 400 },
		{ POST "Content-Length: +1\r\n\r\n", 400 },
		{ POST "Content-Length: 1.0\r\n\r\n", 400 },
		{ POST "Content-Length: 0x10\r\n\r\n", 400 },
		{ POST "Content-Length: 5, 5\r\n\r\n", 400 },
		{ POST "Content-Length: 5 5\r\n\r\n", 400 },
		{ POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400 },
		{ POST "Content-Length: 5\r\ncontent-length: 6\r\n\r\n", 400 },
		{ POST "Transfer-Encoding: chunked\r\n\r\n", 0 },
		{ POST "Transfer-Encoding: CHUNKED\r\n\r\n", 0 },
		{ POST "Transfer-Encoding: gzip\r\n\r\n", 501 },
		{ POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501 },
		{ POST "Transfer-Encoding: chunked, identity\r\n\r\n", 501 },
		{ POST "Transfer-Encoding: xchunked\r\n\r\n", 501 },
		{ POST "Transfer-Encoding:\r\n\r\n", 501 },
		{ POST "Transfer-Encoding: chunked\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n", 400 },
		{ POST "Transfer-Encoding: chunked\r\n"
		    "Content-Length: 5\r\n\r\n", 400 },
		{ POST "Content-Length: 5\r\n"
		    "Transfer-Encoding: identity\r\n\r\n", 400 },
		{ POST "Transfer-Encoding : chunked\r\n\r\n", 400 },
		{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		    400 },
	};

	(void)state;
	check_verdicts(verdicts, COUNT(verdicts));
}

/* A length beyond any number is a large one, no small one. */
static void
reads_lengths(void **state)
{
	static const struct {
		const char *text;
		int64_t length;
	} cases[] = {
		{ POST "\r\n", 0 },
		{ POST "Content-Length: 17\r\n\r\n", 17 },
		{ POST "Content-Length: 999999999999999\r\n\r\n",
		    999999999999999 },
		{ POST "Content-Length: 18446744073709551617\r\n\r\n",
		    INT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_head head;
		char *own;

		assert_int_equal(read_head(cases[i].text,
		    strlen(cases[i].text), &head, &own), 0);
		assert_true(head.length == cases[i].length);
		free(own);
	}
}

static void
takes_apart_what_is_asked_for(void **state)
{
	static const struct {
		const char *target, *path, *query;
	} cases[] = {
		{ "/", "/", "" },
		{ "/a/b?c=d&e", "/a/b", "c=d&e" },
		{ "/a?b?c", "/a", "b?c" },
		{ "/?", "/", "" },
		{ "//a", "//a", "" },
		{ "/%00%2e", "/%00%2e", "" },
		{ "http://a.test/b?c", "/b", "c" },
		{ "HTTPS://a.test:8/b", "/b", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_head head;
		char text[256], *own;

		snprintf(text, sizeof text, "PUT %s HTTP/1.1\r\nHost: a\r\n"
		    "\r\n", cases[i].target);
		assert_int_equal(read_head(text, strlen(text), &head, &own),
		    0);
		assert_string_equal(head.method, "PUT");
		assert_string_equal(head.path, cases[i].path);
		assert_string_equal(head.query, cases[i].query);
		free(own);
	}
}

static void
finds_fields(void **state)
{
	static const char text[] = GET "One: 1\r\ntwo:\t 2 \t\r\nTWO: 3\r\n"
	    "Empty:   \r\n\r\n";
	struct http_head head;
	char *own;

	(void)state;
	assert_int_equal(read_head(text, strlen(text), &head, &own), 0);
	assert_int_equal(head.field_count, 5);
	assert_string_equal(http_head_find(&head, "oNE"), "1");
	assert_string_equal(http_head_find(&head, "Two"), "2");
	assert_string_equal(http_head_find(&head, "empty"), "");
	assert_null(http_head_find(&head, "thre"));
	assert_null(http_head_find(&head, "On"));
	free(own);
}

/* What a head means for its connection. */
static void
understands_fields(void **state)
{
#define UPGRADE "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	static const struct {
		const char *text;
		bool may_stay, expects_continue, is_chunked, wants_websocket;
	} cases[] = {
		{ GET "\r\n", true, false, false, false },
		{ "GET / HTTP/1.0\r\n\r\n", false, false, false, false },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false,
		    false, false, false },
		{ GET "Connection: keep-alive\r\n\r\n", true, false, false,
		    false },
		{ GET "Connection: CLOSE\r\n\r\n", false, false, false,
		    false },
		{ GET "Connection: te,close\r\n\r\n", false, false, false,
		    false },
		{ GET "Connection: te\r\nConnection: close\r\n\r\n", false,
		    false, false, false },
		{ GET "Connection: closed\r\n\r\n", true, false, false,
		    false },
		{ GET "Expect: 100-Continue\r\n\r\n", true, true, false,
		    false },
		{ GET "Expect: 100-continued\r\n\r\n", true, false, false,
		    false },
		{ "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", false,
		    false, false, false },
		{ GET "Transfer-Encoding: chunked\r\n\r\n", true, false, true,
		    false },
		{ GET UPGRADE, true, false, false, true },
		{ GET "Connection: keep-alive, Upgrade\r\n"
		    "Upgrade: h2c, WebSocket\r\n\r\n", true, false, false,
		    true },
		{ GET "Upgrade: websocket\r\n\r\n", true, false, false,
		    false },
		{ GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", true,
		    false, false, false },
		{ POST UPGRADE, true, false, false, false },
		{ "GET / HTTP/1.0\r\n" UPGRADE, false, false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_head head;
		char *own;

		assert_int_equal(read_head(cases[i].text,
		    strlen(cases[i].text), &head, &own), 0);
		assert_int_equal(head.may_stay, cases[i].may_stay);
		assert_int_equal(head.expects_continue,
		    cases[i].expects_continue);
		assert_int_equal(head.is_chunked, cases[i].is_chunked);
		assert_int_equal(head.wants_websocket,
		    cases[i].wants_websocket);
		free(own);
	}
}

static unsigned
judge_fields(size_t count)
{
	char text[4096] = "GET / HTTP/1.1\r\nHost: a\r\n";

	for (size_t i = 1; i < count; i++)
		strcat(text, "X: y\r\n");
	return judge(strcat(text, "\r\n"));
}

static unsigned
judge_target(size_t length)
{
	static char text[10000];

	strcpy(text, "GET /");
	memset(text + 5, 'a', length - 1);
	strcpy(text + 4 + length, " HTTP/1.1\r\nHost: a\r\n\r\n");
	return judge(text);
}

static void
bounds_what_it_takes(void **state)
{
	char line[HTTP_HEAD_BYTES_MAX];

	(void)state;
	assert_int_equal(judge_fields(HTTP_FIELDS_MAX), 0);
	assert_int_equal(judge_fields(HTTP_FIELDS_MAX + 1), 431);
	assert_int_equal(judge_target(HTTP_PATH_BYTES_MAX), 0);
	assert_int_equal(judge_target(HTTP_PATH_BYTES_MAX + 1), 414);
	assert_int_equal(judge_target(HTTP_PATH_BYTES_MAX * 2), 414);
	memset(line, 'a', sizeof line);
	assert_int_equal(http_head_judge_length(line, sizeof line), 414);
	memcpy(line, "\r\n", 2);
	assert_int_equal(http_head_judge_length(line, sizeof line), 414);
	memcpy(line, GET, strlen(GET));
	assert_int_equal(http_head_judge_length(line, sizeof line), 431);
}

/* A head that is long is looked at once, however it drips. */
static void
looks_at_each_byte_once(void **state)
{
	static char text[HTTP_HEAD_BYTES_MAX];
	size_t seen = 0;

	(void)state;
	memset(text, 'a', sizeof text);
	assert_int_equal(http_head_measure(text, 4000, &seen), 0);
	assert_int_equal(seen, 4000);
	memset(text + 1, '\n', 3998);	/* would be refused if seen again */
	assert_int_equal(http_head_measure(text, 5000, &seen), 0);
	assert_int_equal(seen, 5000);
}

/* Whatever comes, it neither crashes nor differs by its pieces. */
static void
survives_mutations(void **state)
{
	static const char good[] = "\r\nPOST http://h/p?q HTTP/1.1\r\n"
	    "Host: a\r\nContent-Length: 3\r\nConnection: close, Upgrade\r\n"
	    "Expect: 100-continue\r\nUpgrade: websocket\r\n\r\n";
	static const char letters[] = "\r\n\t :/?,;#0a\x7f\x80\xff";
	unsigned dice = 20261123;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		char *text = copy(good, sizeof good - 1);

		for (int j = 0; j < 1 + i % 4; j++) {
			dice = dice * 1103515245 + 12345;
			text[(dice >> 16) % (sizeof good - 1)] =
			    letters[(dice >> 8) % sizeof letters];
		}
		judge_bytes(text, sizeof good - 1);
		free(text);
	}
}

/* --- bodies ---------------------------------------------------------------*/

/*
 * Take a body in pieces of that size; returns its status, or 1 where it has no
 * end yet. *behind is how much was not its.
 */
static unsigned
take(bool is_chunked, int64_t length, const char *bytes, size_t most,
    size_t piece, struct buffer *out, size_t *behind)
{
	size_t count = strlen(bytes), at = 0;
	struct http_body body;
	unsigned status = 0;

	out->length = 0;
	http_body_begin(&body, is_chunked, length, most);
	while (status == 0 && !body.is_done && at < count) {
		size_t left = count - at, used;
		char *own = copy(bytes + at, left < piece ? left : piece);

		assert_true(http_body_wanted(&body) > 0);
		status = http_body_take(&body, own,
		    left < piece ? left : piece, &used, out);
		assert_true(out->length <= most);
		at += used;
		free(own);
	}
	*behind = count - at;
	return status != 0 ? status : body.is_done ? 0 : 1;
}

struct body_case {
	const char *bytes;
	unsigned status;
	const char *content;	/* NULL: of no interest */
	size_t behind;
};

static void
check_body(const struct body_case *given, bool is_chunked, int64_t length,
    size_t most)
{
	for (size_t piece = 1; piece < 40; piece++) {
		struct buffer out = { 0 };
		size_t behind;
		unsigned status = take(is_chunked, length, given->bytes, most,
		    piece, &out, &behind);

		if (status != given->status)
			fail_msg("%u instead of %u for %s", status,
			    given->status, given->bytes);
		if (given->content != NULL) {
			assert_string_equal(buffer_string(&out),
			    given->content);
			assert_int_equal(behind, given->behind);
		}
		buffer_free(&out);
	}
}

static void
takes_as_much_as_was_announced(void **state)
{
	static const struct body_case whole = { "hello", 0, "hello", 0 };
	static const struct body_case more = { "helloGET /", 0, "hello", 5 };
	static const struct body_case less = { "hell", 1, "hell", 0 };
	struct http_body body;

	(void)state;
	check_body(&whole, false, 5, 5);
	check_body(&more, false, 5, 100);
	check_body(&less, false, 5, 100);
	http_body_begin(&body, false, 0, 0);
	assert_true(body.is_done);
}

static void
takes_chunks(void **state)
{
	static const struct body_case cases[] = {
		{ "0\r\n\r\n", 0, "", 0 },
		{ "5\r\nhello\r\n0\r\n\r\n", 0, "hello", 0 },
		{ "5\r\nhello\r\n0\r\n\r\nGET", 0, "hello", 3 },
		{ "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", 0, "abc", 0 },
		{ "A\r\n0123456789\r\n0\r\n\r\n", 0, "0123456789", 0 },
		{ "a\r\n0123456789\r\n0\r\n\r\n", 0, "0123456789", 0 },
		{ "4\r\n\r\n\r\n\r\n0\r\n\r\n", 0, "\r\n\r\n", 0 },
		{ "005\r\nhello\r\n000\r\n\r\n", 0, "hello", 0 },
		{ "00000000000000000005\r\nhello\r\n0\r\n\r\n", 0, "hello",
		    0 },
		{ "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n", 0, "hello", 0 },
		{ "5 ;a\r\nhello\r\n0\r\n\r\n", 0, "hello", 0 },
		{ "5\r\nhello\r\n0\r\nX: y\r\nZ: a\r\n\r\nb", 0, "hello", 1 },
		{ "5\r\nhello\r\n0\r\n", 1, "hello", 0 },
		{ "5\r\nhello\r\n0\r\nX: y\r\n", 1, "hello", 0 },
		{ "5\r\nhel", 1, "hel", 0 },
		{ "5", 1, "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check_body(&cases[i], true, 0, 100);
}

static void
refuses_bad_chunks(void **state)
{
	static const struct body_case cases[] = {
		{ "\r\n", 400, NULL, 0 },
		{ " 5\r\n", 400, NULL, 0 },
		{ "-5\r\n", 400, NULL, 0 },
		{ "+5\r\n", 400, NULL, 0 },
		{ "0x5\r\n", 400, NULL, 0 },
		{ "g\r\n", 400, NULL, 0 },
		{ "5 5\r\n", 400, NULL, 0 },
		{ "5,\r\n", 400, NULL, 0 },
		{ ";a\r\n", 400, NULL, 0 },
		{ "5\n", 400, NULL, 0 },
		{ "5\rh", 400, NULL, 0 },
		{ "5\r\nhello!", 400, NULL, 0 },
		{ "5\r\nhello\n", 400, NULL, 0 },
		{ "5\r\nhello\r\r", 400, NULL, 0 },
		{ "5\r\nhello0\r\n\r\n", 400, NULL, 0 },
		{ "0\r\nX: y\n", 400, NULL, 0 },
		{ "5;a\rb\r\n", 400, NULL, 0 },
		{ "65\r\n", 413, NULL, 0 },		/* 101 */
		{ "64\r\n", 1, NULL, 0 },
		{ "2\r\nab\r\n63\r\n", 413, NULL, 0 },
		{ "ffffffff\r\n", 413, NULL, 0 },
		{ "100000000\r\n", 413, NULL, 0 },
		{ "100000005\r\nhello\r\n", 413, NULL, 0 },	/* 2^32 + 5 */
		{ "10000000000000005\r\nhello\r\n", 413, NULL, 0 },
		{ "ffffffffffffffff\r\n", 413, NULL, 0 },
		{ "fffffffffffffffffffffffffffffff5\r\n", 413, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check_body(&cases[i], true, 0, 100);
}

static void
bounds_what_is_no_content(void **state)
{
	static char long_line[HTTP_CHUNK_LINE_MAX + 100];
	static char trailers[HTTP_TRAILERS_MAX + 100];
	struct body_case extension = { long_line, 400, NULL, 0 };
	struct body_case trailer = { trailers, 400, NULL, 0 };

	(void)state;
	memset(long_line, 'a', sizeof long_line - 1);
	memcpy(long_line, "5;", 2);
	check_body(&extension, true, 0, 100);
	memset(trailers, 'a', sizeof trailers - 1);
	memcpy(trailers, "0\r\n", 3);
	check_body(&trailer, true, 0, 100);
	/* many of them count together, also where each one ends */
	for (size_t i = 10; i + 2 < sizeof trailers; i += 10)
		memcpy(trailers + i, "\r\n", 2);
	check_body(&trailer, true, 0, 100);
	/* a long one alone is fine, to its end */
	strcpy(trailers + 1000, "\r\n\r\n");
	memset(trailers + 3, 'a', 997);
	trailer = (struct body_case){ trailers, 0, "", 0 };
	check_body(&trailer, true, 0, 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_end),
		cmocka_unit_test(skips_few_empty_lines),
		cmocka_unit_test(refuses_garbage_at_once),
		cmocka_unit_test(refuses_bad_request_lines),
		cmocka_unit_test(refuses_bad_fields),
		cmocka_unit_test(refuses_what_is_ambiguous),
		cmocka_unit_test(reads_lengths),
		cmocka_unit_test(takes_apart_what_is_asked_for),
		cmocka_unit_test(finds_fields),
		cmocka_unit_test(understands_fields),
		cmocka_unit_test(bounds_what_it_takes),
		cmocka_unit_test(looks_at_each_byte_once),
		cmocka_unit_test(survives_mutations),
		cmocka_unit_test(takes_as_much_as_was_announced),
		cmocka_unit_test(takes_chunks),
		cmocka_unit_test(refuses_bad_chunks),
		cmocka_unit_test(bounds_what_is_no_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
