/*
 * The last ids are known, the oldest make room.
 *
 * modules: ws-broadcast/taken.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../ws-broadcast/taken.h"

static struct uuid
make_id(uint32_t number)
{
	struct uuid id = { { 0 } };

	memcpy(id.bytes + 12, &number, sizeof number);
	return id;
}

static void
knows_the_last_ones(void **state)
{
	struct taken *taken = taken_new();
	struct uuid id = make_id(1);

	(void)state;
	assert_int_equal(taken_find(taken, &id), 0);
	for (uint32_t number = 1; number <= 3 * TAKEN_MAX / 2; number++) {
		id = make_id(number);
		taken_add(taken, &id, number + 7);
		assert_int_equal(taken_find(taken, &id), number + 7);
	}
	for (uint32_t number = 1; number <= TAKEN_MAX / 2; number += 97) {
		id = make_id(number);
		assert_int_equal(taken_find(taken, &id), 0);
		id = make_id(number + TAKEN_MAX / 2);
		assert_int_equal(taken_find(taken, &id),
		    number + TAKEN_MAX / 2 + 7);
	}
	taken_free(taken);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_last_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
