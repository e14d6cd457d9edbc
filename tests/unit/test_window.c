/*
 * The window of unanswered lines, and how careful keep is after a death.
 *
 * modules: keep/window.c keep/caution.c keep/error_answer.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "buffer.h"
#include "record.h"

#include "../../keep/caution.h"
#include "../../keep/error_answer.h"
#include "../../keep/window.h"

#define MANY 64

static void
fill(struct window *window, const char *text, size_t length)
{
	while (length > 0) {
		size_t room;
		char *to = window_room(window, &room);

		if (room > length)
			room = length;
		memcpy(to, text, room);
		window_fill(window, room);
		text += room;
		length -= room;
	}
}

static void
fill_text(struct window *window, const char *text)
{
	fill(window, text, strlen(text));
}

/* Feed what may be fed and compare it. */
static void
expect_feed(struct window *window, size_t lines_max, const char *expected)
{
	size_t length;
	const char *lines = window_to_feed(window, lines_max, &length);

	assert_int_equal(length, strlen(expected));
	if (length == 0)
		return;
	assert_memory_equal(lines, expected, length);
	window_feed(window, length);
}

static void
expect_head(const struct window *window, const char *expected)
{
	size_t length;
	const char *head = window_head(window, &length);

	if (expected == NULL) {
		assert_null(head);
		return;
	}
	assert_int_equal(length, strlen(expected));
	assert_memory_equal(head, expected, length);
}

static void
test_only_whole_lines_are_fed(void **state)
{
	struct window *window = window_new("s", 1000);

	(void)state;
	fill_text(window, "one\ntw");
	expect_feed(window, 0, "one\n");
	expect_feed(window, 0, "");
	fill_text(window, "o\n\nfour");
	expect_feed(window, 0, "two\n\n");
	assert_int_equal(window_lines(window), 3);
	assert_int_equal(window_end(window, true), 4);
	expect_feed(window, 0, "four\n");
	assert_int_equal(window_answer(window, 4), 4);
	expect_head(window, NULL);
	window_free(window);
}

static void
test_an_unfinished_end_can_be_left_out(void **state)
{
	struct window *window = window_new("s", 1000);

	(void)state;
	fill_text(window, "one\ntw");
	assert_int_equal(window_end(window, false), 2);
	expect_feed(window, 0, "one\n");
	assert_int_equal(window_end(window, false), 0);
	window_free(window);
}

static void
test_what_is_unanswered_is_fed_again(void **state)
{
	struct window *window = window_new("s", 1000);

	(void)state;
	fill_text(window, "1\n2\n3\n4\n");
	expect_feed(window, 0, "1\n2\n3\n4\n");
	assert_int_equal(window_answer(window, 2), 2);
	assert_true(window_is_waiting(window));
	window_rewind(window);
	assert_false(window_is_waiting(window));
	expect_feed(window, 1, "3\n");
	expect_feed(window, 1, "");
	expect_feed(window, 2, "4\n");
	window_free(window);
}

static void
test_no_more_is_answered_than_was_fed(void **state)
{
	struct window *window = window_new("s", 1000);

	(void)state;
	assert_int_equal(window_answer(window, 1), 0);
	fill_text(window, "1\n2\n3\n");
	expect_feed(window, 2, "1\n2\n");
	assert_int_equal(window_answer(window, 3), 2);
	window_feed(window, 1);	/* a part of the third */
	assert_int_equal(window_lines_fed(window), 1);
	assert_int_equal(window_answer(window, 1), 0);
	window_free(window);
}

static void
test_the_head_can_go_unanswered(void **state)
{
	struct window *window = window_new("s", 1000);

	(void)state;
	fill_text(window, "1\n2\n");
	expect_head(window, "1");
	window_drop_head(window);
	expect_head(window, "2");
	expect_feed(window, 0, "2\n");
	window_drop_head(window);
	window_drop_head(window);
	expect_head(window, NULL);
	assert_false(window_is_waiting(window));
	window_free(window);
}

static void
test_it_is_full_but_never_without_a_whole_line(void **state)
{
	struct window *window = window_new("s", 10);

	(void)state;
	fill_text(window, "a line that is longer");
	assert_false(window_is_full(window));
	fill_text(window, " than all\n");
	assert_true(window_is_full(window));
	expect_feed(window, 0, "a line that is longer than all\n");
	assert_true(window_is_full(window));
	window_answer(window, 1);
	assert_false(window_is_full(window));
	window_free(window);
}

/* A line of so many bytes between two others. */
static void
expect_overlong(size_t length, bool has_end)
{
	struct window *window = window_new("stage", 1000);
	char *line = malloc(length), *end;
	const char *fed;
	size_t fed_length;

	memset(line, 'x', length);
	fill_text(window, "before\n");
	fill(window, line, length);
	if (has_end)
		fill_text(window, "\nafter\n");
	else
		assert_int_equal(window_end(window, true), length);
	fed = window_to_feed(window, 0, &fed_length);
	assert_memory_equal(fed, "before\n", 7);
	assert_true(fed_length < 10000);
	end = memchr(fed + 7, '\n', fed_length - 7);
	assert_non_null(memmem(fed, fed_length, "\"error\":{\"stage\":\"stage\"",
	    24));
	if (has_end)
		assert_memory_equal(end, "\nafter\n", 7);
	else
		assert_ptr_equal(end, fed + fed_length - 1);
	free(line);
	window_free(window);
}

static void
test_an_overlong_line_becomes_an_error_record(void **state)
{
	(void)state;
	expect_overlong(RECORD_BYTES_MAX + 1, true);
	expect_overlong(RECORD_BYTES_MAX + 1, false);
	expect_overlong(2 * RECORD_BYTES_MAX + 12345, true);
}

static void
test_the_longest_line_is_none_of_those(void **state)
{
	struct window *window = window_new("stage", 1000);
	char *line = malloc(RECORD_BYTES_MAX);
	size_t length;

	(void)state;
	memset(line, 'x', RECORD_BYTES_MAX);
	fill(window, line, RECORD_BYTES_MAX);
	fill_text(window, "\n");
	window_to_feed(window, 0, &length);
	assert_int_equal(length, RECORD_BYTES_MAX + 1);
	free(line);
	window_free(window);
}

/* Random input, feeds, answers and deaths against what a list would do. */
static void
test_it_does_as_a_list_does(void **state)
{
	struct window *window = window_new("s", 500);
	unsigned long written = 0, answered = 0, fed = 0;
	char text[MANY];

	(void)state;
	srandom(4);
	for (int i = 0; i < 200000; i++) {
		size_t length;

		switch (random() % 4) {
		case 0:
			if (window_is_full(window))
				break;
			snprintf(text, sizeof text, "line %lu\n", written++);
			fill_text(window, text);
			break;
		case 1:
			window_to_feed(window, 1 + (size_t)random() % 5,
			    &length);
			window_feed(window, length);
			fed = answered + window_lines_fed(window);
			break;
		case 2:
			length = (size_t)random() % 4;
			if (length > fed - answered)
				length = fed - answered;
			assert_int_equal(window_answer(window, length),
			    length);
			answered += length;
			break;
		default:
			if (random() % 10 == 0) {
				window_rewind(window);
				fed = answered;
			}
		}
		assert_int_equal(window_lines(window), written - answered);
		if (answered < written) {
			snprintf(text, sizeof text, "line %lu", answered);
			expect_head(window, text);
		}
	}
	assert_true(answered > 1000);
	window_free(window);
}

static void
test_caution_lasts_until_all_suspects_are_answered(void **state)
{
	struct caution caution = { .patience_ms_most = 1000 };

	(void)state;
	assert_int_equal(caution_lines(&caution), 0);
	assert_true(caution_rise(&caution, 3));
	assert_int_equal(caution_lines(&caution), 1);
	caution_answer(&caution, 2);
	assert_int_equal(caution_lines(&caution), 1);
	assert_true(caution_rise(&caution, 1));
	caution_answer(&caution, 1);
	assert_int_equal(caution_lines(&caution), 0);
}

static void
test_a_slow_stage_gets_more_but_then_it_is_nobodys_fault(void **state)
{
	struct caution caution = { .patience_ms_most = 1000 };
	int64_t before;

	(void)state;
	caution_rise(&caution, 100);
	caution_widen(&caution);
	caution_widen(&caution);
	assert_int_equal(caution_lines(&caution), 4);
	before = caution.patience_ms;
	assert_false(caution_rise(&caution, 4));
	assert_int_equal(caution_lines(&caution), 1);
	assert_true(caution.patience_ms > before);
	while (caution.patience_ms < 1000)
		assert_false(caution_rise(&caution, 4));
	assert_true(caution_rise(&caution, 4));
}

static void
expect_answer(const char *line, const char *expected)
{
	struct buffer answer = { 0 };

	error_answer("s", "why", 3, line, strlen(line), &answer);
	assert_string_equal(buffer_string(&answer), expected);
	buffer_free(&answer);
}

static void
test_the_answer_carries_the_line_and_the_error(void **state)
{
	(void)state;
	expect_answer("{\"seq\": 1.0}", "{\"seq\": 1.0,\"error\":"
	    "{\"stage\":\"s\",\"reason\":\"why\",\"attempts\":3}}\n");
	expect_answer("{\"error\":{\"stage\":\"t\"},\"n\":1}",
	    "{\"n\":1,\"error\":"
	    "{\"stage\":\"s\",\"reason\":\"why\",\"attempts\":3}}\n");
	expect_answer("no record", "{\"type\":\"error\",\"line\":\"no record\","
	    "\"error\":{\"stage\":\"s\",\"reason\":\"why\",\"attempts\":3}}\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_whole_lines_are_fed),
		cmocka_unit_test(test_an_unfinished_end_can_be_left_out),
		cmocka_unit_test(test_what_is_unanswered_is_fed_again),
		cmocka_unit_test(test_no_more_is_answered_than_was_fed),
		cmocka_unit_test(test_the_head_can_go_unanswered),
		cmocka_unit_test(test_it_is_full_but_never_without_a_whole_line),
		cmocka_unit_test(test_an_overlong_line_becomes_an_error_record),
		cmocka_unit_test(test_the_longest_line_is_none_of_those),
		cmocka_unit_test(test_it_does_as_a_list_does),
		cmocka_unit_test(test_caution_lasts_until_all_suspects_are_answered),
		cmocka_unit_test(test_a_slow_stage_gets_more_but_then_it_is_nobodys_fault),
		cmocka_unit_test(test_the_answer_carries_the_line_and_the_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
