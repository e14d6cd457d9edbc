/* json_scan takes what RFC 8259 allows, nothing else, and says where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "json_scan.h"
#include "memory.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A line as Slack sends it, with something of every kind in it. */
static const char sample[] =
    "{\"type\":\"message\",\"text\":\"caf\\u00e9 \xe2\x9c\x93 \\\"ok\\\" "
    "\\\\\","
    " \"ts\":\"1763800000.000100\",\"n\":[0,-1,2.5e-3,9007199254740993],"
    "\"blocks\":[{\"type\":\"rich_text\",\"elements\":[]},{}],"
    "\"hidden\":true,\"edited\":null , \"x\":false}";

/* Scan a copy of just that size, so that a sanitizer sees a byte too far. */
static bool
is_accepted(const char *text, size_t length)
{
	struct json_index index = { 0 };
	char *copy = malloc(length);

	if (length > 0)
		memcpy(copy, text, length);
	bool accepted = json_scan(&index, copy, length) == 0;
	if (!accepted) {
		assert_non_null(index.reason);
		assert_true(index.error_at <= length);
	}
	json_index_free(&index);
	free(copy);
	return accepted;
}

/* Scan the value as it is, in an array, in an object and before a blank. */
static void
check_value(const char *value, size_t length, bool wanted)
{
	static const struct {
		const char *before, *after;
	} places[] = {
		{ "{\"a\":", "}" },
		{ "{\"a\":[0,", "]}" },
		{ "{\"a\":{\"b\":0,\"c\":", ",\"d\":0}}" },
		{ "{\"a\": ", " ,\"b\":[]}" },
	};

	for (size_t i = 0; i < COUNT(places); i++) {
		struct buffer line = { 0 };

		buffer_append_string(&line, places[i].before);
		buffer_append(&line, value, length);
		buffer_append_string(&line, places[i].after);
		if (is_accepted(line.data, line.length) != wanted)
			fail_msg("%s: %s", wanted ? "refused" : "accepted",
			    buffer_string(&line));
		buffer_free(&line);
	}
}

static void
accepts_every_value_of_the_standard(void **state)
{
	static const char *const values[] = { "null", "true", "false", "0",
		"-0", "1", "-1", "10", "1234567890", "1.5", "0.10", "-0.5",
		"1e5", "1E5", "1e+5", "1E-5", "0e1", "0e+1", "0.1e1", "20e1",
		"1e9999", "-1e-9999", "9007199254740993",
		"1000000000000000000000000000000000000000000000000000000"
		"0000000000000000000000000000000000000000000000000000000",
		"\"\"", "\"a\"", "\" \"", "\"\x7f\"", "\"/\"", "\"\\/\"",
		"\"\\\"\\\\\\b\\f\\n\\r\\t\"", "\"\\u0000\"", "\"\\u001f\"",
		"\"\\uABCD\\uabcd\"", "\"\\\\u0000\"", "\"\\\\a\"",
		"\"\\ud83d\\ude00\"", "\"\\ud800\"", "\"\\udc00\\ud800\"",
		"\"\xc3\xa9\"", "\"\xe2\x80\xa8\"", "\"\xef\xbf\xbf\"",
		"\"\xef\xbb\xbf\"", "\"\xf0\x9f\x98\x80\"",
		"\"\xf4\x8f\xbf\xbf\"", "\"[,]{:}//'\"",
		"\"0123456789abcdef\\n0123456789abcdef\"", "[]", "[ ]",
		"[\t\r\n ]", "[[]]", "[[],[]]", "[1]", "[1,2]", "[ 1 , 2 ]",
		"[null,1,\"1\",{}]", "[[[[]]],[{}]]", "{}", "{ }", "{\"\":0}",
		"{\"a\":{}}", "{ \"a\" : 1 }", "{\"a\":1,\"a\":2}",
		"{\"\\u0061\":1}", "{\"a\":[{\"b\":[]}]}", "\t1", "\r\n1",
		"  []" };

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++)
		check_value(values[i], strlen(values[i]), true);
}

static void
refuses_what_is_no_value(void **state)
{
	static const char *const values[] = { "", "nul", "nulll", "Null", "tru",
		"truee", "TRUE", "True", "fals", "falsey", "NaN", "nan",
		"Infinity", "-Infinity", "inf", "undefined", "a", "_", "*",
		"'a'", "`a`", "\\u0031", "&", "#1", "01", "00", "-01", "+1",
		"-", "--1", "-a", "- 1", "-.1", ".5", "1.", "1.e1", "1..2",
		"1.2.3", "1e", "1E", "1e+", "1e-", "1e1.5", "1ee2", "1e1e1",
		"0e", "0.e1", "0x1", "0b1", "1_000", "1a", "1 2", "1-1", "1+1",
		"1/2", "1,", ",1", ",", "\xef\xbc\x91", "\"", "\"a", "a\"",
		"\"\\\"", "\"a\"b\"", "\"a\" \"b\"", "\"\\\"a", "\"\\x41\"",
		"\"\\a\"", "\"\\0\"", "\"\\'\"", "\"\\ \"", "\"\\u\"",
		"\"\\u1\"", "\"\\u12\"", "\"\\u123\"", "\"\\u12G4\"",
		"\"\\u 123\"", "\"\\u-123\"", "\"\\U0041\"", "\"\\\xc3\xa9\"",
		"\"\n\"", "\"\t\"", "\"a\rb\"", "[", "]", "[1", "1]", "[1,",
		"[1,]", "[,1]", "[,]", "[1,,2]", "[1 2]", "[1:2]", "[1;2]",
		"[1}", "[1]]", "[[]", "[]]", "[\"a\"", "[\"a\":1]", "[a]",
		"[-]", "[1]a", "[][]", "[\f]", "[\v1]", "{", "}", "{\"a\"}",
		"{\"a\":}", "{\"a\":1,}", "{,}", "{,\"a\":1}", "{\"a\" 1}",
		"{\"a\",1}", "{\"a\"::1}", "{\"a\":1:2}", "{a:1}", "{'a':1}",
		"{1:1}", "{null:1}", "{[]:1}", "{\"a\":1,,\"b\":2}",
		"{\"a\":1 \"b\":2}", "{\"a\":1;\"b\":2}", "{\"a\":1]",
		"{\"a\":1", "{\"a\":1}}", "{\"a", "{\"a\"", "{\"a\":", "{}{}",
		"{\"a\":1,\"b\"}", "/**/1", "1/**/", "//1", "1//\n", "\f1",
		"\v1", "\xc2\xa0\x31", "\xe2\x80\x83\x31", "\xef\xbb\xbf\x31" };

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++)
		check_value(values[i], strlen(values[i]), false);
	check_value("\0", 1, false);
	check_value("1\0", 2, false);
	check_value("\"\0\"", 3, false);
	check_value("\"\\\0\"", 4, false);
}

static void
accepts_blanks_around_the_object_at_most(void **state)
{
	static const struct {
		const char *line;
		bool is_object;
	} lines[] = {
		{ "{}", true },
		{ " {}", true },
		{ "{} ", true },
		{ "\t\r\n {\n}\t\r\n ", true },
		{ "{}\r", true },
		{ "", false },
		{ " ", false },
		{ "\r", false },
		{ "[]", false },
		{ "[{}]", false },
		{ "1", false },
		{ "\"a\"", false },
		{ "null", false },
		{ "true", false },
		{ "{}{}", false },
		{ "{} {}", false },
		{ "{},", false },
		{ "{}]", false },
		{ "{}}", false },
		{ "{}x", false },
		{ "{}#", false },
		{ "x{}", false },
		{ ",{}", false },
		{ "\xef\xbb\xbf{}", false },
		{ "{}\xc2\xa0", false },
		{ "\f{}", false },
		{ "{}\v", false },
		{ "{\"a\":1,}", false },
		{ "{,\"a\":1}", false },
		{ "{\"a\":1}\x1e", false },
		{ "data: {}", false },
		{ "HTTP/1.1 200 OK", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		if (is_accepted(lines[i].line, strlen(lines[i].line)) !=
		    lines[i].is_object)
			fail_msg("wrong about '%s'", lines[i].line);
	assert_false(is_accepted("{}\0", 3));
	assert_false(is_accepted("\0{}", 3));
}

/* At every distance from the start: the scan goes by blocks of bytes. */
static void
check_in_strings(const char *bytes, size_t length, bool wanted)
{
	for (int pad = 0; pad <= 17; pad++)
		for (int behind = 0; behind <= 9; behind += 9) {
			struct buffer value = { 0 };

			buffer_printf(&value, "\"%.*s", pad,
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
			buffer_append(&value, bytes, length);
			buffer_printf(&value, "%.*s\"", behind, "abcdefghij");
			check_value(value.data, value.length, wanted);

			buffer_append_string(&value, ":0}");
			struct buffer object = { 0 };
			buffer_append_string(&object, "{");
			buffer_append(&object, value.data, value.length);
			check_value(object.data, object.length, wanted);
			buffer_free(&object);
			buffer_free(&value);
		}
}

static void
accepts_UTF_8_in_strings_alone(void **state)
{
	static const struct {
		const char *bytes;
		bool is_valid;
	} cases[] = {
		{ "\xc2\x80", true },
		{ "\xdf\xbf", true },
		{ "\xe0\xa0\x80", true },
		{ "\xed\x9f\xbf", true },
		{ "\xee\x80\x80", true },
		{ "\xef\xbf\xbf", true },
		{ "\xf0\x90\x80\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\x80", false },
		{ "\xbf", false },
		{ "\xbf\xbf", false },
		{ "\xc0\x80", false },
		{ "\xc1\xbf", false },
		{ "\xc2", false },
		{ "\xc2\xc2", false },
		{ "\xc3(", false },
		{ "\xe0\x9f\xbf", false },
		{ "\xe0\x80\xaf", false },
		{ "\xe2\x82", false },
		{ "\xe2(\xa1", false },
		{ "\xed\xa0\x80", false },
		{ "\xed\xbf\xbf", false },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xf0\x9f\x98", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\xf5\x80\x80\x80", false },
		{ "\xf8\x88\x80\x80\x80", false },
		{ "\xfe", false },
		{ "\xff", false },
		{ "\xff\xfe"
		  "a",
		    false },
		{ "\xc3\xa9\xa9", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check_in_strings(
		    cases[i].bytes, strlen(cases[i].bytes), cases[i].is_valid);
}

static void
refuses_control_characters_at_any_place_of_a_string(void **state)
{
	(void)state;
	for (int byte = 0; byte < 0x20; byte++)
		check_in_strings((char[]){ (char)byte }, 1, false);
	for (int byte = 0x20; byte < 0x80; byte++)
		if (byte != '"' && byte != '\\')
			check_in_strings((char[]){ (char)byte }, 1, true);
	for (int byte = 0x80; byte < 0x100; byte++)
		check_in_strings((char[]){ (char)byte }, 1, false);
}

static char *
nest(const char *open, size_t count, const char *inside, const char *close)
{
	struct buffer line = { 0 };

	buffer_append_string(&line, "{\"a\":");
	for (size_t i = 0; i < count; i++)
		buffer_append_string(&line, open);
	buffer_append_string(&line, inside);
	for (size_t i = 0; i < count; i++)
		buffer_append_string(&line, close);
	buffer_append_string(&line, "}");
	buffer_string(&line);
	return line.data;
}

static bool
is_depth_accepted(
    const char *open, const char *inside, const char *close, size_t depth)
{
	char *line = nest(open, depth - 1, inside, close);
	bool accepted = is_accepted(line, strlen(line));

	free(line);
	return accepted;
}

static void
accepts_512_levels_and_no_more(void **state)
{
	static const struct {
		const char *open, *inside, *close;
	} kinds[] = {
		{ "[", "", "]" },
		{ "[", "1", "]" },
		{ "[0,", "1", ",2]" },
		{ "{\"a\":", "1", "}" },
		{ "{\"b\":0,\"a\":", "{}", ",\"c\":0}" },
		{ "[{\"a\":", "\"\"", "}]" },
	};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		size_t inner = strcmp(kinds[i].inside, "{}") == 0;

		assert_true(is_depth_accepted(kinds[i].open, kinds[i].inside,
		    kinds[i].close, 511 - inner));
		assert_true(is_depth_accepted(kinds[i].open, kinds[i].inside,
		    kinds[i].close, 512 - inner));
		assert_false(is_depth_accepted(kinds[i].open, kinds[i].inside,
		    kinds[i].close, 513 - inner));
	}
	for (size_t i = 0; i < COUNT(kinds); i++) {
		assert_false(is_depth_accepted(
		    kinds[i].open, kinds[i].inside, kinds[i].close, 10000));
		assert_false(is_depth_accepted(kinds[i].open, "", "", 1000000));
	}
}

static void
counts_depth_anew_for_each_member(void **state)
{
	char *deep = nest("[", 500, "", "]");
	struct buffer line = { 0 };

	(void)state;
	buffer_append_string(&line, "{\"x\":[");
	for (int i = 0; i < 10; i++) {
		buffer_append(&line, deep + 5, strlen(deep) - 6);
		buffer_append_string(&line, ",");
	}
	buffer_append_string(&line, "0],\"y\":");
	buffer_append(&line, deep + 5, strlen(deep) - 5);
	assert_true(is_accepted(line.data, line.length));
	buffer_free(&line);
	free(deep);
}

static void
refuses_every_prefix_of_a_line_without_reading_on(void **state)
{
	size_t length = strlen(sample);

	(void)state;
	assert_true(is_accepted(sample, length));
	for (size_t cut = 0; cut < length; cut++)
		if (is_accepted(sample, cut))
			fail_msg("accepted the first %zu bytes", cut);
}

/* What json_scan accepts cJSON can read, with as many members. */
static void
check_against_cjson(const char *line, size_t length)
{
	struct json_index index = { 0 };

	if (json_scan(&index, line, length) == 0) {
		cJSON *parsed = cJSON_ParseWithLength(line, length);

		if (!cJSON_IsObject(parsed) ||
		    (size_t)cJSON_GetArraySize(parsed) != index.count)
			fail_msg(
			    "cJSON reads otherwise: %.*s", (int)length, line);
		cJSON_Delete(parsed);
		assert_int_equal(line[index.brace], '}');
	}
	json_index_free(&index);
}

static void
agrees_with_cJSON_whatever_byte_is_wrong(void **state)
{
	size_t length = strlen(sample);
	char *line = malloc(length);

	(void)state;
	for (size_t at = 0; at < length; at++) {
		memcpy(line, sample, length);
		for (int byte = 0; byte < 256; byte++) {
			line[at] = (char)byte;
			check_against_cjson(line, length);
		}
	}
	free(line);
}

static void
agrees_with_cJSON_whatever_byte_is_missing_or_doubled(void **state)
{
	size_t length = strlen(sample);
	char *line = malloc(length + 1);

	(void)state;
	for (size_t at = 0; at < length; at++) {
		memcpy(line, sample, at);
		memcpy(line + at, sample + at + 1, length - at - 1);
		check_against_cjson(line, length - 1);
		memcpy(line, sample, at + 1);
		memcpy(line + at + 1, sample + at, length - at);
		check_against_cjson(line, length + 1);
	}
	free(line);
}

static void
says_where_each_member_stands(void **state)
{
	static const char line[] =
	    " {\"a\":1 , \"b\\\"c\" :\t[1, {\"a\":2}],"
	    "\"\":\"x\\\"}\",\"d\":{ },\"e\" : -0.5e3\r\n} ";
	static const struct {
		const char *name, *value;
	} members[] = {
		{ "a", "1" },
		{ "b\\\"c", "[1, {\"a\":2}]" },
		{ "", "\"x\\\"}\"" },
		{ "d", "{ }" },
		{ "e", "-0.5e3" },
	};
	struct json_index index = { 0 };

	(void)state;
	assert_int_equal(json_scan(&index, line, strlen(line)), 0);
	assert_int_equal(index.count, COUNT(members));
	for (size_t i = 0; i < COUNT(members); i++) {
		const struct json_member *member = &index.members[i];

		assert_int_equal(
		    member->name_end - member->name, strlen(members[i].name));
		assert_memory_equal(line + member->name, members[i].name,
		    strlen(members[i].name));
		assert_int_equal(line[member->name - 1], '"');
		assert_int_equal(line[member->name_end], '"');
		assert_int_equal(member->value_end - member->value,
		    strlen(members[i].value));
		assert_memory_equal(line + member->value, members[i].value,
		    strlen(members[i].value));
	}
	assert_int_equal(index.brace, strlen(line) - 2);
	json_index_free(&index);
}

static void
says_at_which_byte_it_stopped(void **state)
{
	static const struct {
		const char *line;
		size_t at;
	} cases[] = {
		{ "", 0 },
		{ "x", 0 },
		{ "  x", 2 },
		{ "[]", 0 },
		{ "{", 1 },
		{ "{x", 1 },
		{ "{\"a\"", 4 },
		{ "{\"a\" x", 5 },
		{ "{\"a\":", 5 },
		{ "{\"a\":x}", 5 },
		{ "{\"a\":\"\x01\"}", 6 },
		{ "{\"a\":\"\xff\"}", 6 },
		{ "{\"a\":1", 6 },
		{ "{\"a\":1]", 6 },
		{ "{\"a\":1,}", 7 },
		{ "{}x", 2 },
		{ "{} x", 3 },
		{ "{\"a\":[1}", 7 },
		{ "{\"a\":-x}", 6 },
	};
	struct json_index index = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(
		    json_scan(&index, cases[i].line, strlen(cases[i].line)),
		    -1);
		assert_non_null(index.reason);
		if (index.error_at != cases[i].at)
			fail_msg("'%s': %zu instead of %zu", cases[i].line,
			    index.error_at, cases[i].at);
	}
	json_index_free(&index);
}

static void
uses_an_index_again_after_any_line(void **state)
{
	struct json_index index = { 0 };

	(void)state;
	assert_int_equal(json_scan(&index, "{\"a\":1,\"b\":2}", 13), 0);
	assert_int_equal(index.count, 2);
	assert_int_equal(json_scan(&index, "{\"a\":1,\"b\":2,\"c\"", 16), -1);
	assert_int_equal(json_scan(&index, "{}", 2), 0);
	assert_int_equal(index.count, 0);
	assert_int_equal(json_scan(&index, "{\"c\":3}", 7), 0);
	assert_int_equal(index.count, 1);
	assert_int_equal(index.brace, 6);
	json_index_free(&index);
	json_index_free(&index);
	assert_int_equal(json_scan(&index, "{\"c\":3}", 7), 0);
	json_index_free(&index);
}

/* A line of 16 MiB may be nothing but members of four bytes. */
static void
refuses_more_members_than_a_stage_can_hold(void **state)
{
	(void)state;
	for (int count = JSON_MEMBERS_MAX; count <= JSON_MEMBERS_MAX + 1;
	     count++) {
		struct buffer line = { 0 };

		buffer_append_string(&line, "{");
		for (int i = 0; i < count; i++)
			buffer_printf(&line, "%s\"\":0", i > 0 ? "," : "");
		buffer_append_string(&line, "}");
		assert_int_equal(is_accepted(line.data, line.length),
		    count <= JSON_MEMBERS_MAX);
		buffer_free(&line);
	}
}

static void
indexes_sixty_thousand_members(void **state)
{
	struct buffer line = { 0 };
	struct json_index index = { 0 };

	(void)state;
	for (int i = 0; i < 60000; i++)
		buffer_printf(&line, "%c\"m%d\":%d", i == 0 ? '{' : ',', i, i);
	buffer_append_string(&line, "}");
	assert_int_equal(json_scan(&index, line.data, line.length), 0);
	assert_int_equal(index.count, 60000);
	for (int i = 0; i < 60000; i += 777) {
		const struct json_member *member = &index.members[i];

		assert_int_equal(atoi(line.data + member->name + 1), i);
		assert_int_equal(atoi(line.data + member->value), i);
	}
	json_index_free(&index);
	buffer_free(&line);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_every_value_of_the_standard),
		cmocka_unit_test(refuses_what_is_no_value),
		cmocka_unit_test(accepts_blanks_around_the_object_at_most),
		cmocka_unit_test(accepts_UTF_8_in_strings_alone),
		cmocka_unit_test(
		    refuses_control_characters_at_any_place_of_a_string),
		cmocka_unit_test(accepts_512_levels_and_no_more),
		cmocka_unit_test(counts_depth_anew_for_each_member),
		cmocka_unit_test(
		    refuses_every_prefix_of_a_line_without_reading_on),
		cmocka_unit_test(agrees_with_cJSON_whatever_byte_is_wrong),
		cmocka_unit_test(
		    agrees_with_cJSON_whatever_byte_is_missing_or_doubled),
		cmocka_unit_test(says_where_each_member_stands),
		cmocka_unit_test(says_at_which_byte_it_stopped),
		cmocka_unit_test(uses_an_index_again_after_any_line),
		cmocka_unit_test(refuses_more_members_than_a_stage_can_hold),
		cmocka_unit_test(indexes_sixty_thousand_members),
	};

	return cmocka_run_group_tests_name("json_scan", tests, NULL, NULL);
}
