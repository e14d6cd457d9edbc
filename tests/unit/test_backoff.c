/* Pauses grow, are random up to their bound, and begin anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>

#include "backoff.h"

static void
begins_at_once(void **state)
{
	struct backoff backoff = { .first_ms = 1000, .most_ms = 60000 };

	(void)state;
	assert_int_equal(backoff_next_ms(&backoff), 0);
	assert_int_equal(backoff.failures, 1);
	backoff_next_ms(&backoff);
	backoff.failures = 0;
	assert_int_equal(backoff_next_ms(&backoff), 0);
}

/* Of 1000 pauses: all up to the bound, some in its first and last tenth. */
static void
check_window(unsigned failures, int64_t window_ms)
{
	int low = 0, high = 0;

	for (int i = 0; i < 1000; i++) {
		struct backoff backoff = { .first_ms = 1000, .most_ms = 60000,
		    .failures = failures };
		int64_t pause_ms = backoff_next_ms(&backoff);

		assert_in_range(pause_ms, 0, window_ms);
		low += pause_ms < window_ms / 10;
		high += pause_ms > window_ms - window_ms / 10;
	}
	assert_in_range(low, 20, 300);
	assert_in_range(high, 20, 300);
}

static void
doubles_up_to_the_most(void **state)
{
	(void)state;
	check_window(1, 1000);
	check_window(2, 2000);
	check_window(3, 4000);
	check_window(6, 32000);
	check_window(7, 60000);
	check_window(8, 60000);
	check_window(1000, 60000);
	check_window(UINT_MAX, 60000);
}

static void
counts_no_further_than_it_can(void **state)
{
	struct backoff backoff = { .first_ms = 1, .most_ms = 1,
	    .failures = UINT_MAX };

	(void)state;
	assert_in_range(backoff_next_ms(&backoff), 0, 1);
	assert_int_equal(backoff.failures, UINT_MAX);
}

static void
bears_odd_bounds(void **state)
{
	struct backoff cases[] = {
		{ .first_ms = 0, .most_ms = 0, .failures = 5 },
		{ .first_ms = 100, .most_ms = 10, .failures = 1 },
		{ .first_ms = 1, .most_ms = INT64_MAX, .failures = 5000 },
		{ .first_ms = INT64_MAX, .most_ms = INT64_MAX,
		    .failures = 2 },
	};

	(void)state;
	assert_int_equal(backoff_next_ms(&cases[0]), 0);
	assert_in_range(backoff_next_ms(&cases[1]), 0, 10);
	assert_in_range(backoff_next_ms(&cases[2]), 0, UINT32_MAX);
	assert_in_range(backoff_next_ms(&cases[3]), 0, UINT32_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_at_once),
		cmocka_unit_test(doubles_up_to_the_most),
		cmocka_unit_test(counts_no_further_than_it_can),
		cmocka_unit_test(bears_odd_bounds),
	};

	return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
