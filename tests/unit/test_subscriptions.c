/* Subscriptions as lines, in a table, in a file; and the terms in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "subscriptions.h"
#include "term.h"

static struct subscription *
parse(const char *text)
{
	const char *reason;

	return subscription_parse(text, strlen(text), &reason);
}

static void
prints_what_it_parsed(void **state)
{
	static const char *const lines[] = {
		"forward 41 - U1 any any any stark",
		"forward 41 50 U1 C1 files danger /a  b/i",
		"refused 9 - U1 builds text any /(a+)+$/",
		"mute 5 - U1 1763800000", "mute 5 7 U1 -",
		"mute 5 - U1 9223372036854",
		"job 8 - U1 C1 1763800000.000100 test a b",
		"job 8 - U1 C1 - gif cats",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct subscription *line = parse(lines[i]);
		struct subscription *copy;
		struct buffer out = { 0 };

		assert_non_null(line);
		copy = subscription_copy(line);
		subscription_print(copy, &out);
		assert_string_equal(buffer_string(&out), lines[i]);
		buffer_free(&out);
		free(line);
		free(copy);
	}
}

static void
refuses_what_is_no_line(void **state)
{
	static const char *const lines[] = {
		"", "forward", "forward 41 - U1 any any any",
		"forward 41 - U1 any any any ", "forward x - U1 any any any a",
		"forward -1 - U1 any any any a", "forward 4 0x U1 any any any a",
		"forward 4 99999999999999999999 U1 any any any a",
		"forward 41 - U1 any nowhere any a",
		"forward 41 -  any any any a",
		"forward 41 - U1 any any blue a", "mute 5 - U1 soon", "seq",
		"mute 5 - U1 9223372036855",
		"forward 41 - U1 any any any a\tb", "forward 1 - U1 any any any \xff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		if (parse(lines[i]) != NULL)
			fail_msg("taken: \"%s\"", lines[i]);
}

static void
is_in_force_behind_the_record_that_made_it(void **state)
{
	struct subscription *line = parse("forward 41 50 U1 any any any a");

	(void)state;
	assert_false(subscription_in_force(line, 41));
	assert_true(subscription_in_force(line, 42));
	assert_true(subscription_in_force(line, 50));
	assert_false(subscription_in_force(line, 51));
	assert_false(subscription_in_force(line, 0));
	line->to = 0;
	assert_true(subscription_in_force(line, 0));
	free(line);
}

static void
takes_a_line_once_and_its_end(void **state)
{
	struct subscriptions table = { 0 };

	(void)state;
	assert_non_null(subscriptions_take(&table,
	    parse("forward 41 - U1 any any any a")));
	assert_null(subscriptions_take(&table,
	    parse("forward 41 - U1 any any any a")));
	assert_non_null(subscriptions_take(&table,
	    parse("forward 41 - U2 any any any a")));
	assert_non_null(subscriptions_take(&table,
	    parse("forward 41 50 U1 any any any a")));
	assert_null(subscriptions_take(&table,
	    parse("forward 41 - U1 any any any a")));
	assert_int_equal(table.count, 2);
	assert_int_equal(table.lines[0]->to, 50);
	assert_int_equal(subscriptions_next_from(&table), 51);
	subscriptions_remove(&table, table.lines[0]);
	assert_string_equal(table.lines[0]->user, "U2");
	subscriptions_free(&table);
}

static void
forgets_what_ended_long_ago(void **state)
{
	struct subscriptions table = { .seq = 1000000 };
	char text[80];

	(void)state;
	subscriptions_take(&table, parse("forward 1 - U1 any any any a"));
	subscriptions_take(&table, parse("forward 2 3 U1 any any any b"));
	for (int i = 0; i < SUBSCRIPTION_ENDED_MAX + 10; i++) {
		snprintf(text, sizeof text, "mute %d %d U1 -", 990000 + i,
		    990001 + i);
		subscriptions_take(&table, parse(text));
	}
	subscriptions_tidy(&table);
	assert_int_equal(table.count, SUBSCRIPTION_ENDED_MAX + 1);
	assert_int_equal(table.lines[0]->from, 1);
	assert_int_equal(table.lines[1]->from, 990010);
	subscriptions_free(&table);
}

static void
keeps_the_table_in_a_file(void **state)
{
	char path[] = "/tmp/ultron-subscriptions-XXXXXX";
	struct subscriptions table = { .seq = 77 }, again = { 0 };
	struct buffer text = { 0 };
	FILE *file;
	size_t bad;

	(void)state;
	close(mkstemp(path));
	subscriptions_take(&table, parse("forward 41 - U1 any any any a b"));
	subscriptions_take(&table, parse("mute 50 - U1 -"));
	subscriptions_print(&table, &text);
	file = fopen(path, "w");
	fputs(buffer_string(&text), file);
	fputs("\n# a comment\nforward what\nmute 60 - U2 -", file);
	fclose(file);
	assert_int_equal(subscriptions_read(&again, path, &bad), 0);
	assert_int_equal(bad, 1);
	assert_int_equal(again.seq, 77);
	assert_int_equal(again.count, 3);
	assert_string_equal(again.lines[0]->term, "a b");
	assert_string_equal(again.lines[2]->user, "U2");
	unlink(path);
	assert_int_equal(subscriptions_read(&again, path, &bad), 0);
	subscriptions_free(&table);
	subscriptions_free(&again);
	buffer_free(&text);
}

static void
expect_expression(const char *term, const char *expression)
{
	char *found = term_expression(term);

	assert_string_equal(found, expression);
	free(found);
}

static void
makes_expressions_of_terms(void **state)
{
	(void)state;
	expect_expression("stark", "stark");
	expect_expression("a.b (c)", "a\\.b \\(c\\)");
	expect_expression("it's", "it['\xe2\x80\x98\xe2\x80\x99\xe2\x80\x9a"
	    "\xe2\x80\x9b]s");
	expect_expression("\"", "[\"\xe2\x80\x9c\xe2\x80\x9d\xe2\x80\x9e"
	    "\xe2\x80\x9f]");
	expect_expression("/\"/", "\"");
	expect_expression("/var/log", "/var/log");
	expect_expression("/a.b/", "a.b");
	expect_expression("/a/b/i", "(?i)a/b");
	expect_expression("//", "//");
	expect_expression("/", "/");
	expect_expression("//i", "//i");
	expect_expression("/a/x", "/a/x");
	assert_true(term_is_regex("/a/"));
	assert_false(term_is_regex("/a"));
	assert_int_equal(term_offset("/a(/", 2), 3);
	assert_int_equal(term_offset("/a(/i", 6), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_what_it_parsed),
		cmocka_unit_test(refuses_what_is_no_line),
		cmocka_unit_test(is_in_force_behind_the_record_that_made_it),
		cmocka_unit_test(takes_a_line_once_and_its_end),
		cmocka_unit_test(forgets_what_ended_long_ago),
		cmocka_unit_test(keeps_the_table_in_a_file),
		cmocka_unit_test(makes_expressions_of_terms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
