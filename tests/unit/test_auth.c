/*
 * Only the right user with the right password comes in, and only pages of our
 * own.
 *
 * modules: ws-broadcast/auth.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../ws-broadcast/auth.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void
lets_the_right_ones_in(void **state)
{
	struct auth *auth = auth_new("tony", "iron:man");

	(void)state;
	assert_true(auth_accepts(auth, "Basic dG9ueTppcm9uOm1hbg=="));
	assert_true(auth_accepts(auth, "BASIC   dG9ueTppcm9uOm1hbg=="));
	assert_true(auth_accepts(auth, "Basic dG9ueTppcm9uOm1hbg== "));
	auth_free(auth);
}

static void
keeps_all_others_out(void **state)
{
	static const char *const wrong[] = {
		NULL, "", "Basic", "Basic ", "Basic    ", "Basic =", "Basic ==",
		"Basic ====", "Basic A===", "Basic Og==", "Basic OjA=",
		"Basic dG9ueQ==", "Basic dG9ueTo=", "Basic dG9ueTppcm9uOm1hbg",
		"Basic dG9ueTppcm9uOm1hbg=", "Basic dG9ueTppcm9uOm1hbg===",
		"Basic dG9ueTppcm9uOm1hbgA=", "Basic dG9ueTppcm9uOm1hbgo=",
		"Basic dG9ueTppcm9uOm1haw==", "Basic dG9uaTppcm9uOm1hbg==",
		"Basic OmRHOXVlVHBwY205dU9tMWhiZz09",
		"Bearer dG9ueTppcm9uOm1hbg==", "BasicdG9ueTppcm9uOm1hbg==",
		"Basic \xff\xff\xff\xff", "Basic dG9u eTppcm9uOm1hbg==",
	};
	struct auth *auth = auth_new("tony", "iron:man");

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_false(auth_accepts(auth, wrong[i]));
	auth_free(auth);
}

/* Whatever length, no byte too far: a sanitizer would see it. */
static void
survives_any_length(void **state)
{
	struct auth *auth = auth_new("tony", "iron:man");
	char header[4096];

	(void)state;
	for (size_t length = 0; length < sizeof header - 7; length++) {
		memcpy(header, "Basic ", 6);
		memset(header + 6, 'A', length);
		header[6 + length] = '\0';
		assert_false(auth_accepts(auth, header));
	}
	auth_free(auth);
}

static void
takes_pages_of_its_own_host(void **state)
{
	static const char *const allowed[] = { "https://proxy.test", NULL };

	(void)state;
	assert_true(auth_origin_fits(NULL, "a.test", allowed));
	assert_true(auth_origin_fits(NULL, NULL, allowed));
	assert_true(auth_origin_fits("http://a.test", "a.test", allowed));
	assert_true(auth_origin_fits("https://A.test:1", "a.TEST:1", allowed));
	assert_true(auth_origin_fits("http://[::1]:1", "[::1]:1", allowed));
	assert_true(auth_origin_fits("https://proxy.test", "x", allowed));
}

static void
takes_no_other_pages(void **state)
{
	static const char *const allowed[] = { "https://proxy.test", NULL };
	static const char *const wrong[] = {
		"", "null", "a.test", "http://", "https://", "ftp://a.test",
		"http://a.test:80", "http://a.test/", "http://a.tes",
		"http://a.test.evil", "http://evil.a.test", "http://b.test",
		"http://proxy.test", "https://proxy.test:443",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_false(auth_origin_fits(wrong[i], "a.test", allowed));
	assert_false(auth_origin_fits("http://a.test", NULL, allowed));
	assert_false(auth_origin_fits("http://", "", allowed));
}

static void
knows_local_names(void **state)
{
	static const char *const local[] = {
		"localhost", "LocalHost:1", "127.0.0.1", "127.1.2.3:80",
		"[::1]", "[::1]:8080",
	};
	static const char *const other[] = {
		NULL, "", ":80", "localhost.evil", "127.0.0.1.evil", "127.1",
		"128.0.0.1", "0.0.0.0", "[::]", "[::1", "[::2]:1", "evil",
		"localhost evil", "[127.0.0.1", "2130706433",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(local); i++)
		assert_true(auth_host_is_local(local[i]));
	for (size_t i = 0; i < COUNT(other); i++)
		assert_false(auth_host_is_local(other[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lets_the_right_ones_in),
		cmocka_unit_test(keeps_all_others_out),
		cmocka_unit_test(survives_any_length),
		cmocka_unit_test(takes_pages_of_its_own_host),
		cmocka_unit_test(takes_no_other_pages),
		cmocka_unit_test(knows_local_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
