/*
 * The URL of a connection comes from outside and goes into a request: only
 * what is one is taken.
 *
 * modules: slack-reader/link_url.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../slack-reader/link_url.h"

static void
takes_what_slack_sends(void **state)
{
	struct link_url url;

	(void)state;
	assert_int_equal(link_url_parse(&url,
	    "wss://wss-primary.slack.com/link/?ticket=7c9e-11&app_id=2f"), 0);
	assert_true(url.is_secure);
	assert_int_equal(url.port, 443);
	assert_string_equal(url.host, "wss-primary.slack.com");
	assert_string_equal(url.authority, "wss-primary.slack.com");
	assert_string_equal(url.path, "/link/?ticket=7c9e-11&app_id=2f");
	link_url_clear(&url);
	assert_string_equal(url.path, "");
}

static void
takes_ports_and_addresses(void **state)
{
	static const struct {
		const char *text, *host, *authority, *path;
		int port;
	} cases[] = {
		{ "ws://127.0.0.1:8100/l?t=1", "127.0.0.1", "127.0.0.1:8100",
		    "/l?t=1", 8100 },
		{ "ws://a.example", "a.example", "a.example", "/", 80 },
		{ "WSS://a.example?t=1", "a.example", "a.example", "/?t=1",
		    443 },
		{ "wss://a.example:443/x#part", "a.example", "a.example",
		    "/x", 443 },
		{ "ws://[::1]:81/", "::1", "[::1]:81", "/", 81 },
	};
	struct link_url url;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(link_url_parse(&url, cases[i].text), 0);
		assert_int_equal(url.port, cases[i].port);
		assert_string_equal(url.host, cases[i].host);
		assert_string_equal(url.authority, cases[i].authority);
		assert_string_equal(url.path, cases[i].path);
	}
}

static void
refuses_what_is_none(void **state)
{
	static const char *const texts[] = {
		"", "wss://", "https://a.example/", "a.example", "wss:a/",
		"wss://:443/", "wss://a.example:0/", "wss://a.example:65536/",
		"wss://a.example:/", "wss://a.example:x/",
		"wss://a.example:1x/", "wss://user@a.example/",
		"wss://a.example\\b/", "wss://a b/", "wss://a.example/a b",
		"wss://a.example/\r\nHost: b", "wss://[::1/", "wss://[]/",
		"wss://[::1]x/", "wss://a.example/\303\244",
	};
	struct link_url url;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_equal(link_url_parse(&url, texts[i]), -1);
}

static void
refuses_what_is_too_long(void **state)
{
	char text[LINK_PATH_MAX + 100] = "wss://a.example/";
	size_t start = strlen(text);
	struct link_url url;

	(void)state;
	memset(text + start, 'x', LINK_PATH_MAX - 2);
	assert_int_equal(link_url_parse(&url, text), 0);
	assert_int_equal(strlen(url.path), LINK_PATH_MAX - 1);
	text[start + LINK_PATH_MAX - 2] = 'x';
	assert_int_equal(link_url_parse(&url, text), -1);
	memset(text + 6, 'h', LINK_HOST_MAX + 1);
	strcpy(text + 6 + LINK_HOST_MAX + 1, "/");
	assert_int_equal(link_url_parse(&url, text), -1);
	strcpy(text + 6 + LINK_HOST_MAX, "/");
	assert_int_equal(link_url_parse(&url, text), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_slack_sends),
		cmocka_unit_test(takes_ports_and_addresses),
		cmocka_unit_test(refuses_what_is_none),
		cmocka_unit_test(refuses_what_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
