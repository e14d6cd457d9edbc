/* A file is written beside and renamed, over nothing but a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "draft.h"

static int
write_there(const char *path)
{
	struct draft *draft = draft_new(path);

	draft_write(draft, "text", 4);
	return draft_finish(draft, true);
}

static mode_t
find_kind(const char *path)
{
	struct stat status = { 0 };

	return lstat(path, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

static void
takes_the_place_of_a_file(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_true(draft_may_replace("file"));
		assert_int_equal(write_there("file"), 0);
		assert_int_equal(find_kind("file"), S_IFREG);
	}
	assert_int_equal(find_kind("file.new"), 0);
}

/* As /dev/null is, which root may rename over. */
static void
leaves_what_is_no_file(void **state)
{
	(void)state;
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_false(draft_may_replace("pipe"));
	errno = 0;
	assert_int_equal(write_there("pipe"), -1);
	assert_int_equal(errno, ENOTSUP);
	assert_int_equal(find_kind("pipe"), S_IFIFO);
	assert_int_equal(find_kind("pipe.new"), 0);
}

static int
enter_folder(void **state)
{
	char folder[] = "/tmp/draft.XXXXXX";

	*state = mkdtemp(folder) != NULL ? strdup(folder) : NULL;
	return *state != NULL ? chdir(*state) : -1;
}

static int
leave_folder(void **state)
{
	unlink("file");
	unlink("pipe");
	rmdir(*state);
	free(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_place_of_a_file),
		cmocka_unit_test(leaves_what_is_no_file),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
