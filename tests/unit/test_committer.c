/* The thread that makes things safe: one deed at a time, never lost. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "committer.h"

/* Ends when a byte comes, and says what it saw. */
struct deed {
	int gate[2];
	pthread_t owner;
	bool was_beside;
	bool had_signals;
	int count;
	int result;
};

static int
do_deed(void *arg)
{
	struct deed *deed = arg;
	sigset_t held;
	char byte;

	deed->was_beside = !pthread_equal(pthread_self(), deed->owner);
	pthread_sigmask(SIG_SETMASK, NULL, &held);
	deed->had_signals = !sigismember(&held, SIGTERM);
	if (read(deed->gate[0], &byte, 1) != 1)
		return -2;
	deed->count++;
	return deed->result;
}

static struct deed
make_deed(void)
{
	struct deed deed = { .owner = pthread_self() };

	assert_int_equal(pipe(deed.gate), 0);
	return deed;
}

static void
close_deed(struct deed *deed)
{
	close(deed->gate[0]);
	close(deed->gate[1]);
}

static bool
is_done(const struct committer *committer, int timeout_ms)
{
	struct pollfd done = { committer_descriptor(committer), POLLIN, 0 };

	return poll(&done, 1, timeout_ms) == 1;
}

static void
lets_its_owner_go_on(void **state)
{
	struct deed deed = make_deed();
	struct committer *committer = committer_new(do_deed, &deed);

	(void)state;
	assert_false(is_done(committer, 0));
	for (int turn = 0; turn < 100; turn++) {
		deed.result = turn % 2 - 1;
		committer_begin(committer);
		assert_false(is_done(committer, turn == 0 ? 20 : 0));
		assert_int_equal(write(deed.gate[1], "x", 1), 1);
		assert_true(is_done(committer, 10000));
		assert_int_equal(committer_finish(committer), turn % 2 - 1);
		assert_false(is_done(committer, 0));
	}
	assert_int_equal(deed.count, 100);
	assert_true(deed.was_beside);
	assert_false(deed.had_signals);
	committer_free(committer);
	close_deed(&deed);
}

static void
ends_what_was_begun(void **state)
{
	struct deed deed = make_deed();
	struct committer *committer = committer_new(do_deed, &deed);

	(void)state;
	committer_begin(committer);
	assert_int_equal(write(deed.gate[1], "x", 1), 1);
	committer_free(committer);
	assert_int_equal(deed.count, 1);
	committer_free(NULL);
	close_deed(&deed);
}

static void
need_not_be_used(void **state)
{
	struct deed deed = make_deed();

	(void)state;
	committer_free(committer_new(do_deed, &deed));
	assert_int_equal(deed.count, 0);
	close_deed(&deed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lets_its_owner_go_on),
		cmocka_unit_test(ends_what_was_begun),
		cmocka_unit_test(need_not_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
