/*
 * SLACK_CHANNEL_LIST holds ids; a name in it is told, not taken for an id.
 * modules: slack-reader/channel_list.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../slack-reader/channel_list.h"

#define ID_64 "C234567890123456789012345678901234567890123456789012345678901234"

/* What reading the text says on standard error. */
static struct channel_list *
read_list(const char *text, char *said, size_t size)
{
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO);
	struct channel_list *list;
	size_t length;

	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	list = channel_list_new(text);
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(file);
	length = fread(said, 1, size - 1, file);
	said[length] = '\0';
	fclose(file);
	return list;
}

static void
test_has_the_channels_of_the_list(void **state)
{
	struct channel_list *list = channel_list_new(
	    " C0EXAMPLE1,G0EXAMPLE2 ,\tD0EXAMPLE3,, " ID_64 "\n");

	(void)state;
	assert_non_null(list);
	assert_true(channel_list_has(list, "C0EXAMPLE1"));
	assert_true(channel_list_has(list, "G0EXAMPLE2"));
	assert_true(channel_list_has(list, "D0EXAMPLE3"));
	assert_true(channel_list_has(list, ID_64));
	assert_false(channel_list_has(list, "C0EXAMPLE"));
	assert_false(channel_list_has(list, "C0EXAMPLE12"));
	assert_false(channel_list_has(list, "c0example1"));
	assert_false(channel_list_has(list, ""));
	channel_list_free(list);
	channel_list_free(NULL);
}

static void
test_nothing_means_all(void **state)
{
	static const char *const texts[] = { NULL, "", " \t ", " , " };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct channel_list *list = channel_list_new(texts[i]);

		assert_non_null(list);
		assert_true(channel_list_has(list, "C0EXAMPLE1"));
		channel_list_free(list);
	}
}

static void
test_tells_a_name_from_an_id(void **state)
{
	static const char *const words[] = { "#general", "general",
	    "c0example1", "#C0EXAMPLE1", "C0-EXAMPLE", "C", "C0EXAMPL\xc3\x89",
	    "C0EXAMPLE1;C0EXAMPLE2", ID_64 "5" };
	char said[1024];

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		char text[256];

		snprintf(text, sizeof text, "C0EXAMPLE1,%s", words[i]);
		assert_null(read_list(text, said, sizeof said));
		assert_non_null(strstr(said, "SLACK_CHANNEL_LIST"));
		assert_non_null(strstr(said, "ids"));
		assert_non_null(strstr(said, words[i]));
	}
}

static void
test_tells_all_bad_words(void **state)
{
	char said[1024];

	(void)state;
	assert_null(read_list("#one,C0EXAMPLE1,#two", said, sizeof said));
	assert_non_null(strstr(said, "#one"));
	assert_non_null(strstr(said, "#two"));
	assert_null(strstr(said, "C0EXAMPLE1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_has_the_channels_of_the_list),
		cmocka_unit_test(test_nothing_means_all),
		cmocka_unit_test(test_tells_a_name_from_an_id),
		cmocka_unit_test(test_tells_all_bad_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
