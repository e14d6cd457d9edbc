/*
 * A link to a message is made of what came from outside: it leads to where the
 * message is, or there is none.
 *
 * modules: slack-reader/permalink.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../slack-reader/permalink.h"

#define URL "https://acme.slack.com/"
#define LINK URL "archives/C1/p1763800000000100"

/* What is appended to "x", "x" where nothing is. */
static void
check(const char *json, const char *expected)
{
	static const char *const own[] = { NULL };
	struct record *record = record_new("test", own);
	struct buffer out = { 0 };
	bool is_there;

	buffer_append_string(&out, "x");
	assert_int_equal(record_parse(record, json, strlen(json)), 0);
	is_there = permalink_append(&out, URL, record);
	assert_int_equal(is_there, expected != NULL);
	assert_string_equal(buffer_string(&out) + 1,
	    expected != NULL ? expected : "");
	buffer_free(&out);
	record_free(record);
}

static void
leads_to_the_message(void **state)
{
	(void)state;
	check("{\"type\":\"message\",\"channel\":\"C1\","
	    "\"ts\":\"1763800000.000100\"}", LINK);
	check("{\"type\":\"app_mention\",\"channel\":\"C1\","
	    "\"ts\":\"1763800000.000100\"}", LINK);
	check("{\"type\":\"late_file\",\"channel\":\"C1\","
	    "\"ts\":\"1763800000.000100\"}", LINK);
	check("{\"type\":\"message\",\"subtype\":\"file_share\","
	    "\"channel\":\"C1\",\"ts\":\"1763800000.000100\"}", LINK);
}

static void
leads_into_a_thread(void **state)
{
	(void)state;
	check("{\"type\":\"message\",\"channel\":\"C1\","
	    "\"ts\":\"1763800000.000100\",\"thread_ts\":\"1763700000.000200\"}",
	    LINK "?thread_ts=1763700000.000200&cid=C1");
	/* the message that the thread hangs on */
	check("{\"type\":\"message\",\"channel\":\"C1\","
	    "\"ts\":\"1763800000.000100\",\"thread_ts\":\"1763800000.000100\"}",
	    LINK);
	check("{\"type\":\"message\",\"channel\":\"C1\","
	    "\"ts\":\"1763800000.000100\",\"thread_ts\":\"x&cid=C2\"}", LINK);
}

static void
of_an_edit_leads_to_what_was_edited(void **state)
{
	(void)state;
	check("{\"type\":\"message\",\"subtype\":\"message_changed\","
	    "\"channel\":\"C1\",\"ts\":\"1763900000.000900\",\"message\":"
	    "{\"ts\":\"1763800000.000100\"}}", LINK);
	check("{\"type\":\"message\",\"subtype\":\"message_changed\","
	    "\"channel\":\"C1\",\"ts\":\"1763900000.000900\",\"message\":"
	    "{\"ts\":\"1763800000.000100\","
	    "\"thread_ts\":\"1763700000.000200\"}}",
	    LINK "?thread_ts=1763700000.000200&cid=C1");
}

static void
is_none_where_nothing_is(void **state)
{
	static const char *const records[] = {
		"{\"type\":\"message\",\"subtype\":\"message_deleted\","
		"\"channel\":\"C1\",\"ts\":\"1763800000.000100\"}",
		"{\"type\":\"message\",\"ts\":\"1763800000.000100\"}",
		"{\"type\":\"message\",\"channel\":\"C1\"}",
		"{\"channel\":\"C1\",\"ts\":\"1763800000.000100\"}",
		"{\"type\":\"api_message\",\"channel\":\"C1\","
		"\"ts\":\"1763800000.000100\"}",
		"{\"type\":\"message\",\"channel\":\"#ci\","
		"\"ts\":\"1763800000.000100\"}",
		"{\"type\":\"message\",\"channel\":\"C1/../C2\","
		"\"ts\":\"1763800000.000100\"}",
		"{\"type\":\"message\",\"channel\":\"\","
		"\"ts\":\"1763800000.000100\"}",
		"{\"type\":\"message\",\"channel\":7,\"ts\":1763800000.1}",
		"{\"type\":\"message\",\"channel\":\"C1\","
		"\"ts\":\"1763800000\"}",
		"{\"type\":\"message\",\"channel\":\"C1\","
		"\"ts\":\"1763800000.0001\"}",
		"{\"type\":\"message\",\"channel\":\"C1\","
		"\"ts\":\"1763800000.000100>\"}",
		"{\"type\":\"message\",\"channel\":\"C1\",\"ts\":\".000100\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof records / sizeof *records; i++)
		check(records[i], NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leads_to_the_message),
		cmocka_unit_test(leads_into_a_thread),
		cmocka_unit_test(of_an_edit_leads_to_what_was_edited),
		cmocka_unit_test(is_none_where_nothing_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
