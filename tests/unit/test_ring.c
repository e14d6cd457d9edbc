/*
 * The ring keeps the newest records in its bounds, and counts their KEYs as
 * the dashboard does.
 *
 * modules: ws-broadcast/ring.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../ws-broadcast/ring.h"

static int64_t
append(struct ring *ring, int64_t seq, const char *text)
{
	return ring_append(ring, seq, text, strlen(text));
}

static void
takes_seq_as_key_where_it_grows(void **state)
{
	struct ring *ring = ring_new(10, 1000, false);

	(void)state;
	assert_int_equal(append(ring, 0, "none"), 1);
	assert_int_equal(append(ring, 5, "grows"), 5);
	assert_int_equal(append(ring, 5, "same"), 6);
	assert_int_equal(append(ring, 2, "falls"), 7);
	assert_int_equal(append(ring, -9, "below zero"), 8);
	assert_int_equal(append(ring, RING_KEY_MAX + 1, "too great"), 9);
	assert_int_equal(append(ring, INT64_MAX, "too great"), 10);
	assert_int_equal(append(ring, RING_KEY_MAX, "greatest"),
	    RING_KEY_MAX);
	assert_int_equal(ring_last(ring), RING_KEY_MAX);
	assert_int_equal(ring_at(ring, 1)->before, 1);
	assert_int_equal(ring_origin(ring), 4);
	ring_free(ring);
}

static void
misses_nothing_in_a_hole(void **state)
{
	struct ring *ring = ring_new(10, 1000, false);

	(void)state;
	append(ring, 31, "first");
	append(ring, 35, "behind a hole");
	assert_int_equal(ring_origin(ring), 30);
	assert_int_equal(ring_at(ring, 0)->before, 30);
	assert_int_equal(ring_at(ring, 1)->before, 31);
	ring_free(ring);
}

static void
misses_each_key_that_does_not_come_when_gapless(void **state)
{
	struct ring *ring = ring_new(2, 1000, true);

	(void)state;
	append(ring, 31, "first");
	append(ring, 32, "second");
	assert_int_equal(ring_at(ring, 0)->before, 30);
	assert_int_equal(ring_at(ring, 1)->before, 31);
	append(ring, 0, "stands for 33");
	append(ring, 36, "behind a hole");
	assert_int_equal(ring_at(ring, 0)->before, 32);
	assert_int_equal(ring_at(ring, 1)->before, 35);
	assert_int_equal(ring_origin(ring), 30);
	ring_free(ring);
}

static void
is_empty_at_first(void **state)
{
	struct ring *ring = ring_new(3, 100, false);

	(void)state;
	assert_int_equal(ring_count(ring), 0);
	assert_int_equal(ring_last(ring), 0);
	assert_int_equal(ring_first(ring), 1);
	assert_int_equal(ring_origin(ring), 0);
	assert_int_equal(ring_find(ring, 0), 0);
	assert_int_equal(ring_before_newest(ring, 5), 0);
	ring_free(ring);
}

static void
keeps_so_many_records(void **state)
{
	struct ring *ring = ring_new(3, 1000, false);

	(void)state;
	for (int64_t seq = 1; seq <= 8; seq++)
		append(ring, 10 * seq, "text");
	assert_int_equal(ring_count(ring), 3);
	assert_int_equal(ring_total(ring), 8);
	assert_int_equal(ring_first(ring), 60);
	assert_int_equal(ring_at(ring, 0)->before, 50);
	assert_int_equal(ring_at(ring, 2)->key, 80);
	ring_free(ring);
}

static void
keeps_so_many_bytes_and_always_the_newest(void **state)
{
	static const char large[1000];
	struct ring *ring = ring_new(100, 10, false);

	(void)state;
	append(ring, 1, "1234");
	append(ring, 2, "1234");
	append(ring, 3, "12");
	assert_int_equal(ring_count(ring), 3);
	append(ring, 4, "1");
	assert_int_equal(ring_first(ring), 2);
	ring_append(ring, 5, large, sizeof large);
	assert_int_equal(ring_count(ring), 1);
	assert_int_equal(ring_at(ring, 0)->length, sizeof large);
	append(ring, 6, "");
	assert_int_equal(ring_first(ring), 6);
	ring_free(ring);
}

static void
finds_the_first_behind_a_key(void **state)
{
	struct ring *ring = ring_new(4, 1000, false);

	(void)state;
	for (int64_t seq = 1; seq <= 6; seq++)
		append(ring, 10 * seq, "text");
	assert_int_equal(ring_find(ring, -1), 0);
	assert_int_equal(ring_find(ring, 29), 0);
	assert_int_equal(ring_find(ring, 30), 1);
	assert_int_equal(ring_find(ring, 31), 1);
	assert_int_equal(ring_find(ring, 59), 3);
	assert_int_equal(ring_find(ring, 60), 4);
	assert_int_equal(ring_find(ring, INT64_MAX), 4);
	ring_free(ring);
}

static void
says_where_the_newest_begin(void **state)
{
	struct ring *ring = ring_new(4, 1000, false);

	(void)state;
	for (int64_t seq = 1; seq <= 6; seq++)
		append(ring, 10 * seq, "text");
	assert_int_equal(ring_before_newest(ring, 0), 60);
	assert_int_equal(ring_before_newest(ring, 1), 59);
	assert_int_equal(ring_before_newest(ring, 4), 29);
	assert_int_equal(ring_before_newest(ring, 400), 29);
	ring_free(ring);
}

static void
keeps_what_is_held_beyond_its_time(void **state)
{
	struct ring *ring = ring_new(2, 1000, false);

	(void)state;
	append(ring, 1, "first");
	append(ring, 2, "second");
	const struct ring_record *one = ring_hold(ring, 0);
	const struct ring_record *same = ring_hold(ring, 0);
	const struct ring_record *two = ring_hold(ring, 1);
	assert_int_equal(ring_held_bytes(ring), 0);

	append(ring, 3, "third");
	assert_int_equal(ring_held_bytes(ring), 5);
	assert_memory_equal(one->bytes, "first", 5);
	ring_release(ring, one);
	assert_int_equal(ring_held_bytes(ring), 5);
	ring_release(ring, same);
	assert_int_equal(ring_held_bytes(ring), 0);

	ring_release(ring, two);		/* while it is inside */
	assert_int_equal(ring_held_bytes(ring), 0);
	assert_int_equal(ring_first(ring), 2);
	ring_free(ring);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_seq_as_key_where_it_grows),
		cmocka_unit_test(misses_nothing_in_a_hole),
		cmocka_unit_test(
		    misses_each_key_that_does_not_come_when_gapless),
		cmocka_unit_test(is_empty_at_first),
		cmocka_unit_test(keeps_so_many_records),
		cmocka_unit_test(keeps_so_many_bytes_and_always_the_newest),
		cmocka_unit_test(finds_the_first_behind_a_key),
		cmocka_unit_test(says_where_the_newest_begin),
		cmocka_unit_test(keeps_what_is_held_beyond_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
