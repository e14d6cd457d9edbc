/*
 * What was noted is known for its time, in both generations, and can be
 * forgotten in either.
 * modules: slack-reader/seen.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../slack-reader/seen.h"

#define SPAN_S 3600
#define MANY 20000

static const char *
number(size_t i)
{
	static char text[32];

	snprintf(text, sizeof text, "Ev%zu", i);
	return text;
}

static void
test_knows_what_was_noted(void **state)
{
	struct seen *seen = seen_new(SPAN_S, MANY);

	(void)state;
	assert_false(seen_has(seen, "Ev1", ""));
	assert_false(seen_note(seen, "Ev1", "", 0));
	assert_true(seen_has(seen, "Ev1", ""));
	assert_true(seen_note(seen, "Ev1", "", 1));
	assert_false(seen_has(seen, "Ev2", ""));
	assert_false(seen_note(seen, "", "", 1));
	assert_true(seen_has(seen, "", ""));
	seen_free(seen);
	seen_free(NULL);
}

/* Where one string ends and the other begins is part of the key. */
static void
test_keeps_two_strings_apart(void **state)
{
	static const char *const pairs[][2] = {
		{ "C1", "23" }, { "C12", "3" }, { "C123", "" }, { "", "C123" },
		{ "12345678", "" }, { "", "12345678" }, { "1234", "5678" },
		{ "abcdefg", "h" }, { "abcdefg\x07", "h" },
		{ "abcdefg\x07h", "" }, { "abcdefgh", "\x01" },
		{ "a", "" }, { "a\x01", "" }, { "", "a" },
	};
	size_t count = sizeof pairs / sizeof *pairs;
	struct seen *seen = seen_new(SPAN_S, MANY);

	(void)state;
	for (size_t i = 0; i < count; i++)
		assert_false(seen_note(seen, pairs[i][0], pairs[i][1], 0));
	for (size_t i = 0; i < count; i++)
		assert_true(seen_has(seen, pairs[i][0], pairs[i][1]));
	seen_free(seen);
}

static void
test_remembers_for_the_span_and_not_for_ever(void **state)
{
	struct seen *seen = seen_new(SPAN_S, MANY);

	(void)state;
	seen_note(seen, "first", "", 100);
	seen_note(seen, "last", "", 100 + SPAN_S - 1);
	seen_note(seen, "next", "", 100 + SPAN_S);
	assert_true(seen_has(seen, "first", ""));
	assert_true(seen_has(seen, "last", ""));
	seen_note(seen, "later", "", 99 + 2 * SPAN_S);
	assert_true(seen_has(seen, "last", ""));
	seen_note(seen, "end", "", 100 + 2 * SPAN_S);
	assert_false(seen_has(seen, "first", ""));
	assert_false(seen_has(seen, "last", ""));
	assert_true(seen_has(seen, "next", ""));
	seen_free(seen);
}

/* The clock begins with the first key, not with a start long before it. */
static void
test_a_quiet_start_takes_nothing_off_the_span(void **state)
{
	struct seen *seen = seen_new(SPAN_S, MANY);

	(void)state;
	seen_note(seen, "first", "", 10 * SPAN_S);
	seen_note(seen, "second", "", 11 * SPAN_S - 1);
	seen_note(seen, "third", "", 11 * SPAN_S);
	assert_true(seen_has(seen, "first", ""));
	seen_free(seen);
}

static void
test_keeps_the_last_ones_when_more_come_than_fit(void **state)
{
	struct seen *seen = seen_new(SPAN_S, MANY);
	size_t last = 5 * MANY, known = 0;

	(void)state;
	for (size_t i = 0; i < last; i++)
		assert_false(seen_note(seen, number(i), "", 0));
	for (size_t i = last - MANY; i < last; i++)
		assert_true(seen_has(seen, number(i), ""));
	for (size_t i = 0; i < last; i++)
		known += seen_has(seen, number(i), "");
	assert_true(known <= 2 * MANY);
	seen_free(seen);
}

/* Taking some out must not hide those that stand behind them. */
static void
test_forgets_these_and_no_others(void **state)
{
	struct seen *seen = seen_new(SPAN_S, MANY);

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		seen_note(seen, number(i), "x", 0);
	for (size_t i = 0; i < MANY; i += 3)
		seen_forget(seen, number(i), "x");
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(seen_has(seen, number(i), "x"), i % 3 != 0);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(seen_note(seen, number(i), "x", 1),
		    i % 3 != 0);
	seen_free(seen);
}

static void
test_forgets_in_the_older_generation_too(void **state)
{
	struct seen *seen = seen_new(SPAN_S, MANY);

	(void)state;
	seen_forget(seen, "nobody", "");
	seen_note(seen, "old", "", 0);
	seen_note(seen, "kept", "", 0);
	seen_note(seen, "young", "", SPAN_S);
	seen_forget(seen, "old", "");
	assert_false(seen_has(seen, "old", ""));
	assert_true(seen_has(seen, "kept", ""));
	assert_false(seen_note(seen, "old", "", SPAN_S + 1));
	seen_free(seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_knows_what_was_noted),
		cmocka_unit_test(test_keeps_two_strings_apart),
		cmocka_unit_test(test_remembers_for_the_span_and_not_for_ever),
		cmocka_unit_test(test_a_quiet_start_takes_nothing_off_the_span),
		cmocka_unit_test(
		    test_keeps_the_last_ones_when_more_come_than_fit),
		cmocka_unit_test(test_forgets_these_and_no_others),
		cmocka_unit_test(test_forgets_in_the_older_generation_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
