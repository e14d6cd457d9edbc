/* Timers are called once, when due, whatever is set and cancelled meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "events.h"
#include "timers.h"

#define PATIENCE_MS 10000
#define MANY 2000

struct bench {
	int set;
	struct timers *timers;
	char order[16];		/* names of those that were called */
	size_t called;
};

struct alarm {
	struct timer timer;
	struct bench *bench;
	char name;
	int64_t at_us;
	int calls;

	/* what to do when called */
	struct alarm *to_cancel;
	struct alarm *to_set;
	int64_t delay_ms;
	int again;
};

static struct bench
set_up(void)
{
	struct bench bench = { .set = events_open() };

	bench.timers = timers_new(bench.set);
	return bench;
}

static void
tear_down(struct bench *bench)
{
	timers_free(bench->timers);
	close(bench->set);
}

static void
ring(void *arg)
{
	struct alarm *alarm = arg;
	struct bench *bench = alarm->bench;

	alarm->calls++;
	alarm->at_us = clock_steady_us();
	if (bench->called < sizeof bench->order - 1)
		bench->order[bench->called] = alarm->name;
	bench->called++;
	assert_false(alarm->timer.is_set);
	if (alarm->to_cancel != NULL)
		timers_cancel(bench->timers, &alarm->to_cancel->timer);
	if (alarm->to_set != NULL && alarm->again-- > 0)
		timers_set(bench->timers, &alarm->to_set->timer,
		    alarm->delay_ms);
}

static void
make_alarm(struct alarm *alarm, struct bench *bench, char name)
{
	*alarm = (struct alarm){
		.timer = { .due = ring, .arg = alarm },
		.bench = bench,
		.name = name,
	};
}

static void
set(struct alarm *alarm, int64_t delay_ms)
{
	timers_set(alarm->bench->timers, &alarm->timer, delay_ms);
}

/* Returns whether anything was ready within that time. */
static int
serve(struct bench *bench, int timeout_ms)
{
	struct pollfd ready = { .fd = bench->set, .events = POLLIN };
	int count = poll(&ready, 1, timeout_ms);

	events_dispatch(bench->set);
	return count;
}

static void
await(struct bench *bench, size_t called)
{
	while (bench->called < called)
		assert_int_equal(serve(bench, PATIENCE_MS), 1);
	assert_int_equal(bench->called, called);
}

static void
calls_in_order_and_never_early(void **state)
{
	struct bench bench = set_up();
	struct alarm alarms[4];
	static const int delays_ms[] = { 30, 0, 60, 10 };
	int64_t start_us;

	(void)state;
	for (int i = 0; i < 4; i++)
		make_alarm(&alarms[i], &bench, (char)('a' + i));
	start_us = clock_steady_us();
	for (int i = 0; i < 4; i++)
		set(&alarms[i], delays_ms[i]);
	assert_int_equal(bench.called, 0);
	await(&bench, 4);
	assert_string_equal(bench.order, "bdac");
	for (int i = 0; i < 4; i++)
		assert_in_range(alarms[i].at_us - start_us,
		    delays_ms[i] * 1000, 5000000);
	assert_int_equal(serve(&bench, 20), 0);	/* at rest */
	tear_down(&bench);
}

/* Other events wake the set all the time; a timer must not profit by it. */
static void
is_not_early_when_others_are_due(void **state)
{
	struct bench bench = set_up();
	struct alarm ticker, alarm;

	(void)state;
	make_alarm(&ticker, &bench, 't');
	make_alarm(&alarm, &bench, 'a');
	for (int i = 0; i < 50; i++) {
		int64_t start_us;

		set(&ticker, i % 3);
		start_us = clock_steady_us();
		set(&alarm, 2);
		while (alarm.calls == i)
			assert_int_equal(serve(&bench, PATIENCE_MS), 1);
		assert_true(alarm.at_us - start_us >= 2000);
	}
	tear_down(&bench);
}

static void
sets_anew_what_is_set(void **state)
{
	struct bench bench = set_up();
	struct alarm later, sooner;

	(void)state;
	make_alarm(&later, &bench, 'l');
	make_alarm(&sooner, &bench, 's');
	set(&later, 1);
	set(&sooner, 3600000);
	set(&later, 40);
	set(&sooner, 20);
	await(&bench, 2);
	assert_string_equal(bench.order, "sl");
	tear_down(&bench);
}

static void
calls_no_cancelled_timer(void **state)
{
	struct bench bench = set_up();
	struct alarm first, second, third;

	(void)state;
	make_alarm(&first, &bench, '1');
	make_alarm(&second, &bench, '2');
	make_alarm(&third, &bench, '3');
	timers_cancel(bench.timers, &first.timer);	/* not set: nothing */
	set(&first, 5);
	set(&second, 10);
	set(&third, 15);
	timers_cancel(bench.timers, &first.timer);
	timers_cancel(bench.timers, &second.timer);
	timers_cancel(bench.timers, &second.timer);
	await(&bench, 1);
	assert_string_equal(bench.order, "3");
	set(&first, 1);
	timers_cancel(bench.timers, &first.timer);
	serve(&bench, 30);
	assert_int_equal(bench.called, 1);
	tear_down(&bench);
}

/* Two are due in the same turn; the first cancels and frees the second. */
static void
cancels_within_due(void **state)
{
	struct bench bench = set_up();
	struct alarm first, *second = malloc(sizeof *second), third;

	(void)state;
	make_alarm(&first, &bench, '1');
	make_alarm(second, &bench, '2');
	make_alarm(&third, &bench, '3');
	first.to_cancel = second;
	set(&first, 1);
	set(second, 1);
	set(&third, 1);
	usleep(10000);	/* all are due now */
	await(&bench, 2);
	assert_string_equal(bench.order, "13");
	assert_false(second->timer.is_set);
	free(second);
	tear_down(&bench);
}

/* A timer that is set again without delay leaves their turn to others. */
static void
sets_within_due(void **state)
{
	struct bench bench = set_up();
	struct alarm busy, patient;

	(void)state;
	make_alarm(&busy, &bench, 'b');
	make_alarm(&patient, &bench, 'p');
	busy.to_set = &busy;
	busy.again = 5;
	patient.to_set = &busy;
	patient.again = 1;
	set(&busy, 0);
	set(&patient, 500);
	await(&bench, 7);
	assert_string_equal(bench.order, "bbbbbbp");
	await(&bench, 8);
	assert_string_equal(bench.order, "bbbbbbpb");
	tear_down(&bench);
}

static void
moves_another_within_due(void **state)
{
	struct bench bench = set_up();
	struct alarm first, second;

	(void)state;
	make_alarm(&first, &bench, '1');
	make_alarm(&second, &bench, '2');
	first.to_set = &second;
	first.again = 1;
	first.delay_ms = 50;
	set(&first, 1);
	set(&second, 1);
	usleep(10000);
	await(&bench, 2);
	assert_string_equal(bench.order, "12");
	assert_true(second.at_us - first.at_us >= 50000);
	tear_down(&bench);
}

static void
serves_many(void **state)
{
	struct bench bench = set_up();
	struct alarm *alarms = calloc(MANY, sizeof *alarms);

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		make_alarm(&alarms[i], &bench, '.');
		set(&alarms[i], (int64_t)(i * 7919 % 100));
	}
	for (size_t i = 0; i < MANY; i += 2)
		timers_cancel(bench.timers, &alarms[i].timer);
	await(&bench, MANY / 2);
	serve(&bench, 20);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(alarms[i].calls, i % 2);
	free(alarms);
	tear_down(&bench);
}

static void
forgets_what_is_set_when_freed(void **state)
{
	struct bench bench = set_up();
	struct alarm first, second;

	(void)state;
	make_alarm(&first, &bench, '1');
	make_alarm(&second, &bench, '2');
	set(&first, 1);
	set(&second, 1);
	timers_free(bench.timers);
	assert_false(first.timer.is_set || second.timer.is_set);
	assert_int_equal(serve(&bench, 10), 0);
	assert_int_equal(bench.called, 0);
	timers_free(NULL);
	close(bench.set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_in_order_and_never_early),
		cmocka_unit_test(is_not_early_when_others_are_due),
		cmocka_unit_test(sets_anew_what_is_set),
		cmocka_unit_test(calls_no_cancelled_timer),
		cmocka_unit_test(cancels_within_due),
		cmocka_unit_test(sets_within_due),
		cmocka_unit_test(moves_another_within_due),
		cmocka_unit_test(serves_many),
		cmocka_unit_test(forgets_what_is_set_when_freed),
	};

	return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
