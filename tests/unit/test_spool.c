/*
 * Asking whether there is room must not take more than the spool may have, not
 * even for a moment.
 * modules: attach-fetch/spool.c attach-fetch/blob_index.c
 * modules: attach-fetch/recent.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../attach-fetch/spool.h"

#define LIMIT 1048576

struct scene {
	char folder[64];
	struct spool *spool;
};

/* A file of more than the spool may have is refused by the kernel. */
static int
set_up(void **state)
{
	static const struct spool_limits limits = { LIMIT, 3600 };
	const struct rlimit file_bytes = { LIMIT, RLIM_INFINITY };
	struct scene *scene = calloc(1, sizeof *scene);

	strcpy(scene->folder, "/tmp/test_spool.XXXXXX");
	assert_non_null(mkdtemp(scene->folder));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &file_bytes), 0);
	scene->spool = spool_open(scene->folder, &limits);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;
	char command[128];

	spool_free(scene->spool);
	snprintf(command, sizeof command, "rm -r %s", scene->folder);
	assert_int_equal(system(command), 0);
	free(scene);
	return 0;
}

static void
keep_file(struct scene *scene, size_t length, char letter)
{
	struct spool_file *file = spool_create(scene->spool);
	char *bytes = malloc(length), name[SPOOL_NAME_BYTES];
	struct spooled kept = { 0 };

	memset(bytes, letter, length);
	assert_non_null(file);
	assert_int_equal(spool_append(file, bytes, length), 0);
	assert_int_equal(spool_finish(file, name), 0);
	assert_int_equal(spool_keep(file, NULL, &kept), 0);
	spool_release(&kept);
	free(bytes);
}

static void
asks_for_no_more_than_it_may_have(void **state)
{
	struct scene *scene = *state;

	assert_true(spool_has_room(scene->spool, LIMIT));
}

/* Old files go then, byte for byte. */
static void
has_room_where_it_is_full_of_old_files(void **state)
{
	struct scene *scene = *state;
	const struct rlimit none = { 0, RLIM_INFINITY };

	keep_file(scene, LIMIT / 2, 'a');
	keep_file(scene, LIMIT / 2, 'b');
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_true(spool_has_room(scene->spool, LIMIT / 2));
}

static void
has_none_where_the_kernel_gives_none(void **state)
{
	struct scene *scene = *state;
	const struct rlimit few = { LIMIT / 4, RLIM_INFINITY };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
	assert_false(spool_has_room(scene->spool, LIMIT / 2));
	assert_true(spool_has_room(scene->spool, 1000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    asks_for_no_more_than_it_may_have, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    has_room_where_it_is_full_of_old_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    has_none_where_the_kernel_gives_none, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
