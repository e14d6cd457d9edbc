/*
 * A message waits for the inbox, in bounds, and its sender is told the truth.
 * The inbox's client, the clock and the timers are stand-ins.
 *
 * modules: ws-broadcast/courier.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../ws-broadcast/courier.h"
#include "clock.h"
#include "inbox_client.h"

#define WAITING_MAX 8

/* What was handed to the client, and may be taken back or not. */
struct inbox_client {
	struct {
		char line[16];
		void (*done)(const char *error, void *arg);
		void *arg;
		bool is_sent;
	} waiting[WAITING_MAX];
	size_t count;
};

static struct inbox_client inbox;
static struct timer *set_timer;
static int64_t now_ms = 5000;

struct inbox_client *
inbox_client_new(const char *path, int set, struct timers *timers)
{
	(void)path;
	(void)set;
	(void)timers;
	inbox.count = 0;
	return &inbox;
}

void
inbox_client_free(struct inbox_client *client)
{
	assert_ptr_equal(client, &inbox);
}

bool
inbox_client_send(struct inbox_client *client, const char *line,
    size_t length, void (*done)(const char *error, void *arg), void *arg)
{
	if (client->count == WAITING_MAX)
		return false;
	memset(client->waiting[client->count].line, 0, 16);
	memcpy(client->waiting[client->count].line, line, length);
	client->waiting[client->count].done = done;
	client->waiting[client->count].arg = arg;
	client->waiting[client->count++].is_sent = false;
	return true;
}

static void
take_out(size_t place)
{
	inbox.count--;
	memmove(&inbox.waiting[place], &inbox.waiting[place + 1],
	    (inbox.count - place) * sizeof inbox.waiting[0]);
}

bool
inbox_client_withdraw(struct inbox_client *client, const void *arg)
{
	for (size_t i = 0; i < client->count; i++)
		if (client->waiting[i].arg == arg) {
			if (client->waiting[i].is_sent)
				return false;
			take_out(i);
			return true;
		}
	fail_msg("withdrawn, but not handed in");
	return false;
}

static void
answer(const char *error)
{
	void (*done)(const char *, void *) = inbox.waiting[0].done;
	void *arg = inbox.waiting[0].arg;

	take_out(0);
	done(error, arg);
}

int64_t
clock_steady_ms(void)
{
	return now_ms;
}

void
timers_set(struct timers *timers, struct timer *timer, int64_t delay_ms)
{
	(void)timers;
	assert_int_equal(delay_ms, 500);
	set_timer = timer;
}

void
timers_cancel(struct timers *timers, struct timer *timer)
{
	(void)timers;
	assert_true(set_timer == NULL || set_timer == timer);
	set_timer = NULL;
}

/* Let the time pass; the timer is due whenever it is set. */
static void
pass(int64_t ms)
{
	for (int64_t end_ms = now_ms + ms; now_ms < end_ms;) {
		struct timer *timer = set_timer;

		now_ms += 500;
		set_timer = NULL;
		if (timer != NULL)
			timer->due(timer->arg);
	}
}

/* A sender: what it was told, and how often. */
struct sender {
	struct parcel *parcel;
	enum courier_end end;
	int told;
};

static void
tell(enum courier_end end, void *arg)
{
	struct sender *sender = arg;

	sender->end = end;
	sender->told++;
}

static void
post(struct courier *courier, struct sender *sender, const char *text)
{
	struct buffer line = { 0 };

	buffer_append_string(&line, text);
	*sender = (struct sender){ 0 };
	sender->parcel = courier_send(courier, &line, tell, sender);
	assert_true((sender->parcel == NULL) == (line.data != NULL));
	buffer_free(&line);
}

static void
check(const struct sender *sender, enum courier_end end)
{
	assert_int_equal(sender->told, 1);
	assert_int_equal(sender->end, end);
}

static void
brings_answers(void **state)
{
	struct courier *courier = courier_new("sock", 0, NULL);
	struct sender one, two;

	(void)state;
	post(courier, &one, "one");
	post(courier, &two, "two");
	assert_int_equal(courier_counts(courier)->waiting, 2);
	assert_string_equal(inbox.waiting[0].line, "one");
	inbox.waiting[0].is_sent = true;
	answer(NULL);
	check(&one, COURIER_TAKEN);
	assert_int_equal(two.told, 0);
	answer("not a JSON object");
	check(&two, COURIER_REFUSED);
	assert_int_equal(courier_counts(courier)->waiting, 0);
	assert_int_equal(courier_counts(courier)->ends[COURIER_TAKEN], 1);
	pass(60000);
	assert_null(set_timer);
	courier_free(courier);
}

static void
takes_back_what_was_not_sent(void **state)
{
	struct courier *courier = courier_new("sock", 0, NULL);
	struct sender one, two;

	(void)state;
	post(courier, &one, "one");
	pass(5000);
	post(courier, &two, "two");
	pass(4500);
	assert_int_equal(one.told, 0);
	pass(500);
	check(&one, COURIER_AWAY);
	assert_int_equal(two.told, 0);
	assert_int_equal(inbox.count, 1);
	pass(5000);
	check(&two, COURIER_AWAY);
	assert_int_equal(inbox.count, 0);
	pass(1000);
	assert_null(set_timer);
	courier_free(courier);
}

/* What was sent may be taken, so it stays, and an answer may still come. */
static void
is_unsure_of_what_was_sent(void **state)
{
	struct courier *courier = courier_new("sock", 0, NULL);
	struct sender one, two, three;

	(void)state;
	post(courier, &one, "one");
	post(courier, &two, "two");
	post(courier, &three, "three");
	for (size_t i = 0; i < 3; i++)
		inbox.waiting[i].is_sent = true;
	pass(20000);
	assert_int_equal(one.told + two.told + three.told, 0);
	inbox.waiting[1].is_sent = false;	/* that was not taken, after all */
	pass(500);
	check(&two, COURIER_AWAY);
	pass(9000);
	assert_int_equal(one.told, 0);
	answer(NULL);
	check(&one, COURIER_TAKEN);
	pass(500);
	check(&three, COURIER_UNSURE);
	assert_int_equal(inbox.count, 1);
	answer(NULL);
	check(&three, COURIER_UNSURE);
	courier_free(courier);
}

static void
lets_senders_leave(void **state)
{
	struct courier *courier = courier_new("sock", 0, NULL);
	struct sender one, two;

	(void)state;
	post(courier, &one, "one");
	post(courier, &two, "two");
	inbox.waiting[0].is_sent = true;
	courier_leave(one.parcel);
	courier_leave(two.parcel);
	assert_int_equal(inbox.count, 1);
	assert_int_equal(courier_counts(courier)->waiting, 0);
	assert_int_equal(courier_counts(courier)->left, 2);
	pass(60000);
	answer(NULL);
	assert_int_equal(one.told + two.told, 0);
	courier_free(courier);
}

static void
refuses_too_much(void **state)
{
	struct courier *courier = courier_new("sock", 0, NULL);
	struct sender senders[WAITING_MAX + 1];

	(void)state;
	for (size_t i = 0; i <= WAITING_MAX; i++)
		post(courier, &senders[i], "line");
	assert_non_null(senders[WAITING_MAX - 1].parcel);
	assert_null(senders[WAITING_MAX].parcel);
	assert_int_equal(courier_counts(courier)->full, 1);
	assert_int_equal(courier_counts(courier)->waiting, WAITING_MAX);
	courier_free(courier);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(brings_answers),
		cmocka_unit_test(takes_back_what_was_not_sent),
		cmocka_unit_test(is_unsure_of_what_was_sent),
		cmocka_unit_test(lets_senders_leave),
		cmocka_unit_test(refuses_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
