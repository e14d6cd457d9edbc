/* What anybody writes may stand in a URL, and means there what was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <curl/curl.h>

#include "url.h"

#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
	"abcdefghijklmnopqrstuvwxyz0123456789-._~"
#define EVERY_BYTE 256

static void
assert_encoded(const char *bytes, size_t length, const char *expected)
{
	struct buffer out = { 0 };

	url_append_encoded(&out, bytes, length);
	assert_string_equal(buffer_string(&out), expected);
	buffer_free(&out);
}

static void
leaves_what_needs_no_sign(void **state)
{
	(void)state;
	assert_encoded(PLAIN, strlen(PLAIN), PLAIN);
	assert_encoded("", 0, "");
}

static void
writes_all_else_as_two_digits(void **state)
{
	(void)state;
	assert_encoded("a b+c", 5, "a%20b%2Bc");
	assert_encoded("/?#&=%", 6, "%2F%3F%23%26%3D%25");
	assert_encoded("<|>\"'\n\x7f", 7, "%3C%7C%3E%22%27%0A%7F");
	assert_encoded("caf\xc3\xa9 \xf0\x9f\x98\x80", 10,
	    "caf%C3%A9%20%F0%9F%98%80");
}

static void
takes_so_many_bytes_whatever_they_are(void **state)
{
	(void)state;
	assert_encoded("327 please", 3, "327");
	assert_encoded("a\0b", 3, "a%00b");
	assert_encoded("\xff\xc3", 2, "%FF%C3");
}

static void
appends_to_what_is_there(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	buffer_append_string(&out, "q=");
	url_append_encoded(&out, "tin can", 7);
	buffer_append_string(&out, "&limit=1");
	assert_string_equal(buffer_string(&out), "q=tin%20can&limit=1");
	buffer_free(&out);
}

/* By someone else's reading. */
static void
is_read_as_it_was(void **state)
{
	char every[EVERY_BYTE];
	struct buffer out = { 0 };
	int length;

	(void)state;
	for (int i = 0; i < EVERY_BYTE; i++)
		every[i] = (char)i;
	url_append_encoded(&out, every, sizeof every);
	char *read = curl_easy_unescape(NULL, buffer_string(&out),
	    (int)out.length, &length);
	assert_non_null(read);
	assert_int_equal(length, EVERY_BYTE);
	assert_memory_equal(read, every, EVERY_BYTE);
	curl_free(read);
	buffer_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_what_needs_no_sign),
		cmocka_unit_test(writes_all_else_as_two_digits),
		cmocka_unit_test(takes_so_many_bytes_whatever_they_are),
		cmocka_unit_test(appends_to_what_is_there),
		cmocka_unit_test(is_read_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
