/*
 * A file object is cut out of its line as it came, however it is written.
 *
 * modules: attach-fetch/file_bytes.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../attach-fetch/file_bytes.h"

static void
assert_found(const char *line, const char *id, const char *expected)
{
	static const char *const own[] = { NULL };
	struct record *record = record_new("test", own);
	struct file_bytes file;

	assert_int_equal(record_parse(record, line, strlen(line)), 0);
	if (expected == NULL) {
		assert_false(file_bytes_find(record, id, &file));
	} else {
		assert_true(file_bytes_find(record, id, &file));
		assert_int_equal(file.length, strlen(expected));
		assert_memory_equal(file.text, expected, file.length);
	}
	record_free(record);
}

static void
finds_a_file_as_it_came(void **state)
{
	(void)state;
	assert_found("{\"files\":[{\"id\":\"F1\"}]}", "F1", "{\"id\":\"F1\"}");
	assert_found("{\"files\":[ 1 ,\t{ \"id\" : \"F2\" , \"n\":1.50 } ]}",
	    "F2", "{ \"id\" : \"F2\" , \"n\":1.50 }");
	assert_found("{\"files\":[{\"id\":\"F1\",\"a\":1},{\"id\":\"F1\"}]}",
	    "F1", "{\"id\":\"F1\",\"a\":1}");
}

static void
is_not_led_astray_by_what_is_inside(void **state)
{
	(void)state;
	assert_found("{\"files\":[{\"x\":[{\"id\":\"F1\"}],\"y\":\"]},{\\\"\"},"
	    "{\"id\":\"F1\",\"s\":\"\\\\\"}]}", "F1",
	    "{\"id\":\"F1\",\"s\":\"\\\\\"}");
	assert_found("{\"files\":[{\"id\":\"F2\",\"id\":\"F1\"}]}", "F1",
	    "{\"id\":\"F2\",\"id\":\"F1\"}");
	assert_found("{\"files\":[{\"id\":\"F1\",\"id\":\"F2\"}]}", "F1", NULL);
}

static void
looks_into_the_edited_message(void **state)
{
	(void)state;
	assert_found("{\"files\":[],\"message\":{\"files\":[7],"
	    "\"files\":[{\"id\":\"F1\"}]}}", "F1", "{\"id\":\"F1\"}");
	assert_found("{\"message\":[{\"files\":[{\"id\":\"F1\"}]}]}", "F1",
	    NULL);
}

static void
says_where_there_is_none(void **state)
{
	(void)state;
	assert_found("{}", "F1", NULL);
	assert_found("{\"files\":[]}", "F1", NULL);
	assert_found("{\"files\":[ ]}", "F1", NULL);
	assert_found("{\"files\":\"[{\\\"id\\\":\\\"F1\\\"}]\"}", "F1", NULL);
	assert_found("{\"files\":[{\"id\":1},{\"id\":\"F11\"},null,[]]}", "F1",
	    NULL);
	assert_found("{\"files\":[{\"id\":\"\\u00461\"}]}", "F1", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_file_as_it_came),
		cmocka_unit_test(is_not_led_astray_by_what_is_inside),
		cmocka_unit_test(looks_into_the_edited_message),
		cmocka_unit_test(says_where_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
