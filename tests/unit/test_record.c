/* A record keeps every byte that came and changes its own stage's members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "json_scan.h"
#include "line_reader.h"
#include "memory.h"
#include "record.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const classifier_members[] = { "class", "rule", NULL };
static const char *const scanner_members[] = { "matches", "limits", "notify",
	NULL };

/* Pass a line through a stage that runs `handle`; the result ends with NUL. */
static struct buffer
pass(const char *stage, const char *const *own, const char *line, size_t length,
    void (*handle)(struct record *record))
{
	struct record *record = record_new(stage, own);
	struct buffer out = { 0 };
	char *copy = malloc(length);

	memcpy(copy, line, length);
	if (record_parse(record, copy, length) == -1)
		fail_msg("%s: %s", record_reason(record), line);
	if (handle != NULL)
		handle(record);
	record_write(record, &out);
	record_free(record);
	free(copy);
	buffer_string(&out);
	return out;
}

static struct buffer
classify(const char *line, size_t length, void (*handle)(struct record *record))
{
	return pass("classifier", classifier_members, line, length, handle);
}

static void
add_class(struct record *record)
{
	record_add_string(record, "class", "danger");
}

static void
add_class_and_rule(struct record *record)
{
	record_add_string(record, "class", "danger");
	record_add_integer(record, "rule", 7);
}

static void
add_match(struct record *record)
{
	static const char matches[] = "[{\"pattern\":\"crash\"}]";

	record_add_json(record, "matches", matches, strlen(matches));
}

static void
fail_once(struct record *record)
{
	record_fail(record, "no %s in %d \"%s\"", "rule", 2, "files");
}

struct rewriting {
	const char *in, *out;
};

static void
check_rewritings(const struct rewriting *cases, size_t count,
    void (*handle)(struct record *record))
{
	for (size_t i = 0; i < count; i++) {
		struct buffer out =
		    classify(cases[i].in, strlen(cases[i].in), handle);

		assert_int_equal(out.data[out.length - 1], '\n');
		out.data[out.length - 1] = '\0';
		assert_string_equal(out.data, cases[i].out);
		buffer_free(&out);
	}
}

static void
adds_before_the_closing_brace_and_keeps_every_byte(void **state)
{
	static const struct rewriting cases[] = {
		{ "{}", "{\"class\":\"danger\"}" },
		{ "{ }", "{ \"class\":\"danger\"}" },
		{ "{\"a\":1}", "{\"a\":1,\"class\":\"danger\"}" },
		{ "{\"a\":1 }", "{\"a\":1 ,\"class\":\"danger\"}" },
		{ "{\"a\":1}\r", "{\"a\":1,\"class\":\"danger\"}\r" },
		{ " \t{\"a\":1}  ", " \t{\"a\":1,\"class\":\"danger\"}  " },
		{ "{\"a\" : [1 , 2] , \"b\":{}\t}",
		    "{\"a\" : [1 , 2] , \"b\":{}\t,\"class\":\"danger\"}" },
		{ "{\"n\":9007199254740993,\"f\":1.10,\"e\":1E+400,\"z\":-0.0}",
		    "{\"n\":9007199254740993,\"f\":1.10,\"e\":1E+400,\"z\":-0.0"
		    ",\"class\":\"danger\"}" },
		{ "{\"a\":\"\\u00e9\\/\\ud800\\u0000 \xc3\xa9\",\"a\":2}",
		    "{\"a\":\"\\u00e9\\/\\ud800\\u0000 \xc3\xa9\",\"a\":2,"
		    "\"class\":\"danger\"}" },
		{ "{\"a\":\"}\",\"b\":\"\\\"}\"}",
		    "{\"a\":\"}\",\"b\":\"\\\"}\",\"class\":\"danger\"}" },
	};

	(void)state;
	check_rewritings(cases, COUNT(cases), add_class);
}

static void
replaces_its_own_members_of_an_earlier_run(void **state)
{
	static const struct rewriting cases[] = {
		{ "{\"class\":\"x\"}", "{\"class\":\"danger\"}" },
		{ "{ \"class\" : \"x\" }", "{  \"class\":\"danger\"}" },
		{ "{\"class\":\"x\",\"a\":1}",
		    "{\"a\":1,\"class\":\"danger\"}" },
		{ "{\"a\":1,\"class\":\"x\",\"b\":2}",
		    "{\"a\":1,\"b\":2,\"class\":\"danger\"}" },
		{ "{\"a\":1,\"class\":\"x\"}",
		    "{\"a\":1,\"class\":\"danger\"}" },
		{ "{\"a\":1,\"class\":\"x\",\"rule\":2}\r",
		    "{\"a\":1,\"class\":\"danger\"}\r" },
		{ "{\"class\":\"x\",\"rule\":2}", "{\"class\":\"danger\"}" },
		{ "{\"class\":\"x\",\"class\":\"y\",\"class\":\"z\"}",
		    "{\"class\":\"danger\"}" },
		{ "{\"class\":1,\"a\":1,\"class\":2,\"b\":2,\"rule\":3}",
		    "{\"a\":1,\"b\":2,\"class\":\"danger\"}" },
		{ "{\"a\":1,\"class\":1,\"rule\":2,\"class\":3,\"b\":2}",
		    "{\"a\":1,\"b\":2,\"class\":\"danger\"}" },
		{ "{\"class\":{\"class\":[1,{}]},\"a\":{}}",
		    "{\"a\":{},\"class\":\"danger\"}" },
		{ "{\"cl\\u0061ss\":1,\"a\":1,\"\\u0063lass\":2}",
		    "{\"a\":1,\"class\":\"danger\"}" },
		{ "{\"a\":1, \"class\":1, \"b\":2}",
		    "{\"a\":1, \"b\":2,\"class\":\"danger\"}" },
	};

	(void)state;
	check_rewritings(cases, COUNT(cases), add_class);
}

static void
leaves_members_that_only_look_like_its_own(void **state)
{
	static const struct rewriting cases[] = {
		{ "{\"a\":{\"class\":1},\"b\":[{\"rule\":2}]}",
		    "{\"a\":{\"class\":1},\"b\":[{\"rule\":2}]}" },
		{ "{\"clas\":1,\"classe\":2,\"Class\":3,\"\":4,\" class\":5}",
		    "{\"clas\":1,\"classe\":2,\"Class\":3,\"\":4,\" "
		    "class\":5}" },
		{ "{\"class\\u0000\":1,\"cl\\\\u0061ss\":2,\"c\\nlass\":3}",
		    "{\"class\\u0000\":1,\"cl\\\\u0061ss\":2,\"c\\nlass\":3}" },
		{ "{\"matches\":[],\"seq\":1,\"error\":null}",
		    "{\"matches\":[],\"seq\":1,\"error\":null}" },
		{ "{\"a\":\"class\",\"b\":\"\\\"class\\\":1\"}",
		    "{\"a\":\"class\",\"b\":\"\\\"class\\\":1\"}" },
	};

	(void)state;
	check_rewritings(cases, COUNT(cases), NULL);
}

static void
writes_a_line_with_nothing_added_as_it_came(void **state)
{
	static const char *const lines[] = { "{}", "{ }", " {} ", "{\"a\":1}\r",
		"{\"a\":1 , \"b\" : 2 }", "\t{\"a\":[]\t}\t" };

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct buffer out = classify(lines[i], strlen(lines[i]), NULL);

		assert_int_equal(out.length, strlen(lines[i]) + 1);
		assert_memory_equal(out.data, lines[i], strlen(lines[i]));
		buffer_free(&out);
	}
}

static uint64_t
draw(uint64_t *seed, uint64_t below)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed % below;
}

static void
append_blanks(struct buffer *line, uint64_t *seed)
{
	static const char *const blanks[] = { "", "", "", " ", "\t", " \r" };

	buffer_append_string(line, blanks[draw(seed, COUNT(blanks))]);
}

/* An object of foreign members, of any look. */
static struct buffer
generate_object(uint64_t *seed)
{
	static const char *const names[] = { "a", "text", "", "clas",
		"cl\\u0061s", "\\\"class\\\"", "seq", "\xe2\x9c\x93",
		"\\u0000" };
	static const char *const values[] = { "1", "-0.0", "1E400", "null",
		"true", "\"x\"", "\"}\"", "\"\\\"\\\\\"", "[]", "{}",
		"[1 ,{\"class\":1}]", "{\"class\":{\"rule\":[]}}",
		"9007199254740993", "\"\\ud800\"", "\"\xe2\x9c\x93,\"" };
	struct buffer line = { 0 };
	uint64_t count = draw(seed, 6);

	append_blanks(&line, seed);
	buffer_append_string(&line, "{");
	for (uint64_t i = 0; i < count; i++) {
		append_blanks(&line, seed);
		buffer_printf(&line, "\"%s\"", names[draw(seed, COUNT(names))]);
		append_blanks(&line, seed);
		buffer_append_string(&line, ":");
		append_blanks(&line, seed);
		buffer_append_string(&line, values[draw(seed, COUNT(values))]);
		append_blanks(&line, seed);
		if (i + 1 < count)
			buffer_append_string(&line, ",");
	}
	if (count == 0)
		append_blanks(&line, seed);
	buffer_append_string(&line, "}");
	append_blanks(&line, seed);
	return line;
}

static void
assert_same_line(const struct buffer *out, const struct buffer *line)
{
	if (out->length != line->length + 1 ||
	    memcmp(out->data, line->data, line->length) != 0)
		fail_msg("'%.*s' came back as '%.*s'", (int)line->length,
		    line->data, (int)out->length - 1, out->data);
}

static void
gives_the_input_back_when_its_members_are_removed(void **state)
{
	uint64_t seed = 20261122;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct buffer line = generate_object(&seed);
		struct buffer added =
		    classify(line.data, line.length, add_class_and_rule);
		struct buffer again =
		    classify(added.data, added.length - 1, add_class_and_rule);
		struct buffer removed =
		    classify(added.data, added.length - 1, NULL);

		assert_string_equal(added.data, again.data);
		assert_same_line(&removed, &line);
		buffer_free(&line);
		buffer_free(&added);
		buffer_free(&again);
		buffer_free(&removed);
	}
}

static void
gives_the_input_back_whatever_stage_is_removed_first(void **state)
{
	uint64_t seed = 42;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct buffer line = generate_object(&seed);
		struct buffer scanned = pass("scanner", scanner_members,
		    line.data, line.length, add_match);
		struct buffer both = classify(
		    scanned.data, scanned.length - 1, add_class_and_rule);
		struct buffer one = pass("scanner", scanner_members, both.data,
		    both.length - 1, NULL);
		struct buffer none = classify(one.data, one.length - 1, NULL);

		assert_same_line(&none, &line);
		buffer_free(&line);
		buffer_free(&scanned);
		buffer_free(&both);
		buffer_free(&one);
		buffer_free(&none);
	}
}

/* Own members strewn in: what is left is JSON with the foreign ones in order.
 */
static void
stays_an_object_wherever_its_own_members_stood(void **state)
{
	static const char *const members[] = { "\"class\":1", "\"a\":2",
		"\"rule\" : [3]", "\"b\":{\"class\":4}",
		" \"cl\\u0061ss\":5 " };
	uint64_t seed = 7;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct buffer line = { 0 };
		struct buffer foreign = { 0 };
		uint64_t count = draw(&seed, 7);

		for (uint64_t j = 0; j < count; j++) {
			uint64_t chosen = draw(&seed, COUNT(members));

			buffer_append_string(&line, j == 0 ? "{" : ",");
			append_blanks(&line, &seed);
			buffer_append_string(&line, members[chosen]);
			append_blanks(&line, &seed);
			if (chosen % 2 == 1)
				buffer_printf(&foreign, "%s%s",
				    foreign.length > 0 ? "," : "",
				    members[chosen]);
		}
		buffer_append_string(&line, count == 0 ? "{}" : "}");

		struct buffer out = classify(line.data, line.length, NULL);
		struct buffer wanted = { 0 };
		buffer_printf(&wanted, "{%s}", buffer_string(&foreign));
		cJSON *parsed = cJSON_ParseWithLength(out.data, out.length);
		char *text = cJSON_PrintUnformatted(parsed);

		assert_non_null(text);
		assert_string_equal(text, buffer_string(&wanted));
		cJSON_free(text);
		cJSON_Delete(parsed);
		buffer_free(&line);
		buffer_free(&foreign);
		buffer_free(&out);
		buffer_free(&wanted);
	}
}

static struct record *
parse(const char *line)
{
	struct record *record = record_new("classifier", classifier_members);

	if (record_parse(record, line, strlen(line)) == -1)
		fail_msg("%s: %s", record_reason(record), line);
	return record;
}

static void
reads_strings_whatever_escapes_stand_in_them(void **state)
{
	static const struct {
		const char *json, *text;
	} cases[] = {
		{ "", "" },
		{ "a", "a" },
		{ "\\u0041", "A" },
		{ "\\u00e9 \\u20AC", "\xc3\xa9 \xe2\x82\xac" },
		{ "\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t" },
		{ "\\ud83d\\ude00", "\xf0\x9f\x98\x80" },
		{ "\\uD83D\\uDE00!", "\xf0\x9f\x98\x80!" },
		{ "\\ud800\\udc00", "\xf0\x90\x80\x80" },
		{ "\\udbff\\udfff", "\xf4\x8f\xbf\xbf" },
		{ "\\ud7ff\\ue000", "\xed\x9f\xbf\xee\x80\x80" },
		{ "a\\u0000b", "a\xef\xbf\xbd"
			       "b" },
		{ "\\u0000", "\xef\xbf\xbd" },
		{ "\\u0001", "\x01" },
		{ "\\ud800", "\xef\xbf\xbd" },
		{ "\\uDFFF", "\xef\xbf\xbd" },
		{ "\\udbffx", "\xef\xbf\xbdx" },
		{ "\\ud800\\n", "\xef\xbf\xbd\n" },
		{ "\\ud800\\u0041", "\xef\xbf\xbd"
				    "A" },
		{ "\\ud800\\u0000", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\\ud800\\ud800", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\\udc00\\ud800", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\\ud800\\ud83d\\ude00", "\xef\xbf\xbd\xf0\x9f\x98\x80" },
		{ "\\ud83d\\ude00\\ude00", "\xf0\x9f\x98\x80\xef\xbf\xbd" },
		{ "\\ud83d\\ude00\\u0000", "\xf0\x9f\x98\x80\xef\xbf\xbd" },
		{ "\\ud800\\\\udc00", "\xef\xbf\xbd\\udc00" },
		{ "\\\\u0000", "\\u0000" },
		{ "\\\\ud800", "\\ud800" },
		{ "\\\\\\u0000", "\\\xef\xbf\xbd" },
		{ "\\\\\\\\u0000", "\\\\u0000" },
		{ "\\\\\\\\\\ud800x", "\\\\\xef\xbf\xbdx" },
		{ "\\\"u0000\\u00e9", "\"u0000\xc3\xa9" },
		{ "\xc3\xa9\\u00e9", "\xc3\xa9\xc3\xa9" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer line = { 0 };

		buffer_printf(&line, "{\"text\":\"%s\"}", cases[i].json);
		struct record *record = parse(buffer_string(&line));
		const char *text = record_string(record, "text");

		if (text == NULL || strcmp(text, cases[i].text) != 0)
			fail_msg("%s became '%s'", cases[i].json,
			    text != NULL ? text : "NULL");
		record_free(record);
		buffer_free(&line);
	}
}

static void
finds_members_by_their_name(void **state)
{
	struct record *record =
	    parse("{\"a\":\"1\",\"te\\u0078t\":\"2\","
		  "\"b\":{\"c\":\"3\"},\"d\\u0000\":\"4\",\"\":\"5\","
		  "\"\\ud83d\\ude00\":\"6\",\"e\\\"\":\"7\"}");

	(void)state;
	assert_string_equal(record_string(record, "a"), "1");
	assert_string_equal(record_string(record, "text"), "2");
	assert_null(record_get(record, "c"));
	assert_null(record_get(record, "d"));
	assert_null(record_get(record, "A"));
	assert_null(record_get(record, "aa"));
	assert_string_equal(record_string(record, "\xf0\x9f\x98\x80"), "6");
	assert_string_equal(record_string(record, "e\""), "7");
	record_free(record);
}

static void
reads_the_last_of_members_with_the_same_name(void **state)
{
	struct record *record =
	    parse("{\"a\":1,\"a\":\"x\",\"\\u0061\":[2],\"b\":1}");
	const char *bytes;
	size_t length;
	int64_t value;

	(void)state;
	assert_true(cJSON_IsArray(record_get(record, "a")));
	assert_non_null(record_array(record, "a"));
	assert_null(record_string(record, "a"));
	assert_false(record_integer(record, "a", &value));
	assert_true(record_raw(record, "a", &bytes, &length));
	assert_int_equal(length, 3);
	assert_memory_equal(bytes, "[2]", 3);
	record_free(record);
}

static void
answers_NULL_where_a_member_is_of_another_type(void **state)
{
	static const struct {
		const char *value;
		bool is_string, is_array, is_object;
	} cases[] = {
		{ "null", false, false, false },
		{ "true", false, false, false },
		{ "0", false, false, false },
		{ "-1.5e3", false, false, false },
		{ "\"x\"", true, false, false },
		{ "[]", false, true, false },
		{ "{}", false, false, true },
		{ "\"[]\"", true, false, false },
		{ "[{}]", false, true, false },
		{ "{\"a\":[]}", false, false, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer line = { 0 };

		buffer_printf(&line, "{\"a\":%s}", cases[i].value);
		struct record *record = parse(buffer_string(&line));
		assert_non_null(record_get(record, "a"));
		assert_int_equal(
		    record_string(record, "a") != NULL, cases[i].is_string);
		assert_int_equal(record_is(record, "a", "[]"),
		    strcmp(cases[i].value, "\"[]\"") == 0);
		assert_int_equal(
		    record_array(record, "a") != NULL, cases[i].is_array);
		assert_int_equal(
		    record_object(record, "a") != NULL, cases[i].is_object);
		assert_null(record_string(record, "b"));
		assert_null(record_array(record, "b"));
		assert_null(record_object(record, "b"));
		record_free(record);
		buffer_free(&line);
	}
}

static void
reads_strings_out_of_any_object(void **state)
{
	struct record *record = parse("{\"o\":{\"a\":\"x\",\"b\":1},\"s\":"
				      "\"x\",\"l\":[\"a\"],\"n\":null}");

	(void)state;
	assert_string_equal(json_string(record_get(record, "o"), "a"), "x");
	assert_null(json_string(record_get(record, "o"), "b"));
	assert_null(json_string(record_get(record, "o"), "A"));
	assert_null(json_string(record_get(record, "s"), "a"));
	assert_null(json_string(record_get(record, "l"), "a"));
	assert_null(json_string(record_get(record, "n"), "a"));
	assert_null(json_string(NULL, "a"));
	record_free(record);
}

/* All that json_scan accepts must be readable, or a scanner misses it. */
static void
reads_values_with_numbers_of_any_length(void **state)
{
	static const char *const numbers[] = {
		"1",
		"-0",
		"1e400",
		"-1e-400",
		"123456789012345678901234567890",
		"0.123456789012345678901234567890123456789012345678901234567890"
		"12345678901234567890",
		"1000000000000000000000000000000000000000000000000000000000000"
		"000000000000000000000000000000000000000e-5",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		struct buffer line = { 0 };

		buffer_printf(&line,
		    "{\"n\":%s,\"blocks\":[{\"n\":%s,"
		    "\"text\":\"crash\"}]}",
		    numbers[i], numbers[i]);
		struct record *record = parse(buffer_string(&line));
		assert_true(cJSON_IsNumber(record_get(record, "n")));
		const cJSON *block =
		    cJSON_GetArrayItem(record_get(record, "blocks"), 0);
		if (block == NULL)
			fail_msg("cannot read %s", line.data);
		assert_string_equal(json_string(block, "text"), "crash");
		record_free(record);
		buffer_free(&line);
	}
}

static void
reads_a_value_512_levels_deep(void **state)
{
	struct buffer line = { 0 };
	int depth = 0;

	(void)state;
	buffer_append_string(&line, "{\"a\":");
	for (int i = 0; i < 511; i++)
		buffer_append_string(&line, "[");
	for (int i = 0; i < 511; i++)
		buffer_append_string(&line, "]");
	buffer_append_string(&line, "}");

	struct record *record = parse(buffer_string(&line));
	for (const cJSON *node = record_get(record, "a"); node != NULL;
	     node = node->child)
		depth++;
	assert_int_equal(depth, 511);
	record_free(record);
	buffer_free(&line);
}

static void
reads_whole_numbers_exactly(void **state)
{
	static const struct {
		const char *json;
		bool is_integer;
		int64_t value;
	} cases[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "7", true, 7 },
		{ "-12", true, -12 },
		{ "9007199254740993", true, 9007199254740993 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 },
		{ "100000000000000000000000000000000", false, 0 },
		{ "1.0", false, 0 },
		{ "1e3", false, 0 },
		{ "1E0", false, 0 },
		{ "0.5", false, 0 },
		{ "\"7\"", false, 0 },
		{ "\"\"", false, 0 },
		{ "null", false, 0 },
		{ "true", false, 0 },
		{ "[7]", false, 0 },
		{ "{}", false, 0 },
		{ "[]", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer line = { 0 };
		int64_t value = 0;

		buffer_printf(&line, "{\"seq\": %s }", cases[i].json);
		struct record *record = parse(buffer_string(&line));
		if (record_integer(record, "seq", &value) !=
		    cases[i].is_integer)
			fail_msg("wrong about %s", cases[i].json);
		if (cases[i].is_integer)
			assert_true(value == cases[i].value);
		assert_false(record_integer(record, "other", &value));
		record_free(record);
		buffer_free(&line);
	}
}

static void
writes_numbers_and_strings_that_can_be_read_again(void **state)
{
	static const char *const texts[] = { "", "a",
		"\"\\/\b\f\n\r\t\x01\x1f\x7f", "</script>",
		"\xe2\x9c\x93\xf0\x9f\x98\x80", "\\u0000" };
	static const int64_t numbers[] = { 0, -1, INT64_MAX, INT64_MIN,
		9007199254740993 };

	(void)state;
	for (size_t i = 0; i < COUNT(texts) + COUNT(numbers); i++) {
		struct record *record = parse("{}");
		struct buffer out = { 0 };
		int64_t value;

		if (i < COUNT(texts))
			record_add_string(record, "class", texts[i]);
		else
			record_add_integer(
			    record, "class", numbers[i - COUNT(texts)]);
		record_write(record, &out);
		assert_int_equal(record_parse(record, out.data, out.length), 0);
		if (i < COUNT(texts)) {
			assert_string_equal(
			    record_string(record, "class"), texts[i]);
		} else {
			assert_true(record_integer(record, "class", &value));
			assert_true(value == numbers[i - COUNT(texts)]);
		}
		record_free(record);
		buffer_free(&out);
	}
}

static void
forgets_a_line_with_the_next_one(void **state)
{
	struct record *record = parse("{\"text\":\"one\",\"a\":[1]}");
	struct buffer out = { 0 };

	(void)state;
	assert_string_equal(record_string(record, "text"), "one");
	assert_non_null(record_array(record, "a"));
	record_add_string(record, "class", "danger");
	record_fail(record, "broken");
	assert_int_equal(record_parse(record, "{\"a", 3), -1);
	assert_int_equal(record_parse(record, "{\"text\":\"two\"}", 14), 0);
	assert_string_equal(record_string(record, "text"), "two");
	assert_null(record_get(record, "a"));
	record_write(record, &out);
	assert_string_equal(buffer_string(&out), "{\"text\":\"two\"}\n");
	buffer_free(&out);
	record_free(record);
	record_free(NULL);
}

static void
says_why_and_where_a_line_is_no_record(void **state)
{
	struct record *record = record_new("classifier", classifier_members);

	(void)state;
	assert_int_equal(record_parse(record, "{\"a\":1,}", 8), -1);
	assert_non_null(strstr(record_reason(record), "at byte 8"));
	assert_int_equal(record_parse(record, "", 0), -1);
	assert_non_null(strstr(record_reason(record), "empty"));
	assert_int_equal(record_parse(record, "[]", 2), -1);
	assert_non_null(strstr(record_reason(record), "object"));
	record_free(record);
}

#define OWN_ERROR                                                              \
	"\"error\":{\"stage\":\"classifier\","                                 \
	"\"reason\":\"no rule in 2 \\\"files\\\"\"}"

static void
reports_a_failure_in_the_record(void **state)
{
	static const struct rewriting cases[] = {
		{ "{}", "{" OWN_ERROR "}" },
		{ "{\"a\":1}", "{\"a\":1," OWN_ERROR "}" },
		{ "{\"class\":\"x\",\"a\":1}", "{\"a\":1," OWN_ERROR "}" },
	};

	(void)state;
	check_rewritings(cases, COUNT(cases), fail_once);
}

static void
keeps_the_error_of_another_stage(void **state)
{
	static const struct rewriting cases[] = {
		{ "{\"error\":{\"stage\":\"scanner\",\"reason\":\"x\"},\"a\":"
		  "1}",
		    "{\"error\":{\"stage\":\"scanner\",\"reason\":\"x\"},\"a\":"
		    "1}" },
		{ "{\"error\":{\"reason\":\"x\"}}",
		    "{\"error\":{\"reason\":\"x\"}}" },
		{ "{\"error\":\"classifier\"}", "{\"error\":\"classifier\"}" },
		{ "{\"error\":null}", "{\"error\":null}" },
		{ "{\"error\":[{\"stage\":\"classifier\"}]}",
		    "{\"error\":[{\"stage\":\"classifier\"}]}" },
		{ "{\"error\":{\"stage\":\"Classifier\"}}",
		    "{\"error\":{\"stage\":\"Classifier\"}}" },
	};

	(void)state;
	check_rewritings(cases, COUNT(cases), fail_once);
	check_rewritings(cases, COUNT(cases), NULL);
}

static void
replaces_its_own_error_of_an_earlier_run(void **state)
{
	static const char old[] = "{\"error\":{\"stage\":\"classifier\","
				  "\"reason\":\"old\"},\"a\":1}";
	static const char escaped[] =
	    "{\"err\\u006fr\":{\"reason\":\"old\","
	    "\"stage\":\"cl\\u0061ssifier\"},\"a\":1}";
	static const struct rewriting failing[] = {
		{ old, "{\"a\":1," OWN_ERROR "}" },
		{ escaped, "{\"a\":1," OWN_ERROR "}" },
	};
	static const struct rewriting succeeding[] = {
		{ old, "{\"a\":1}" },
		{ escaped, "{\"a\":1}" },
	};

	(void)state;
	check_rewritings(failing, COUNT(failing), fail_once);
	check_rewritings(succeeding, COUNT(succeeding), NULL);
}

static void
leaves_the_error_of_an_error_record_alone(void **state)
{
	static const char line[] =
	    "{\"type\":\"error\",\"error\":{\"stage\":"
	    "\"classifier\",\"reason\":\"not a JSON object\"},\"line\":\"x\"}";
	static const struct rewriting cases[] = { { line, line } };

	(void)state;
	check_rewritings(cases, COUNT(cases), NULL);
	check_rewritings(cases, COUNT(cases), fail_once);
}

static void
fail_twice(struct record *record)
{
	fail_once(record);
	record_fail(record, "second");
}

static void
reports_only_its_first_failure(void **state)
{
	static const struct rewriting cases[] = {
		{ "{\"a\":1}", "{\"a\":1," OWN_ERROR "}" },
	};

	(void)state;
	check_rewritings(cases, COUNT(cases), fail_twice);
}

static void
fail_with_a_long_reason(struct record *record)
{
	struct buffer reason = { 0 };

	for (int i = 0; i < 1000; i++)
		buffer_append_string(&reason, "\xe2\x9c\x93\"\xff\n%s");
	record_fail(record, "x%s", buffer_string(&reason));
	buffer_free(&reason);
}

static void
stays_readable_when_a_reason_is_hostile(void **state)
{
	struct buffer out = classify("{\"a\":1}", 7, fail_with_a_long_reason);
	struct json_index index = { 0 };

	(void)state;
	assert_int_equal(json_scan(&index, out.data, out.length), 0);
	assert_int_equal(index.count, 2);
	assert_true(out.length < 2000);
	json_index_free(&index);
	buffer_free(&out);
}

/* Answer a bad line, and read the answer as every stage behind would. */
static cJSON *
answer(const char *line, size_t length, size_t total)
{
	struct buffer out = { 0 };
	struct json_index index = { 0 };
	char *copy = malloc(length);

	memcpy(copy, line, length);
	buffer_append_string(&out, "{\"before\":1}\n");
	record_write_error(
	    &out, "scanner", "\"bad\" line", copy, length, total);
	free(copy);
	assert_memory_equal(out.data, "{\"before\":1}\n", 13);
	buffer_consume(&out, 13);
	assert_int_equal(out.data[out.length - 1], '\n');
	assert_null(memchr(out.data, '\n', out.length - 1));
	assert_true(out.length - 1 <= RECORD_BYTES_MAX);
	assert_int_equal(json_scan(&index, out.data, out.length - 1), 0);

	cJSON *answered = cJSON_ParseWithLength(out.data, out.length);
	assert_string_equal(json_string(answered, "type"), "error");
	const cJSON *error =
	    cJSON_GetObjectItemCaseSensitive(answered, "error");
	assert_string_equal(json_string(error, "stage"), "scanner");
	assert_string_equal(json_string(error, "reason"), "\"bad\" line");
	json_index_free(&index);
	buffer_free(&out);
	return answered;
}

static void
carries_a_line_that_is_no_record(void **state)
{
	static const char *const lines[] = { "", "x", "{\"a\":1,}",
		"tab\tquote\"backslash\\ \x01\x1f\x7f \r",
		"\xe2\x9c\x93 \xc3\xa9", "<script>alert(1)</script>",
		"\\u0000" };

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		size_t length = strlen(lines[i]);
		cJSON *answered = answer(lines[i], length, length);

		assert_string_equal(json_string(answered, "line"), lines[i]);
		assert_null(json_string(answered, "line_base64"));
		assert_null(cJSON_GetObjectItem(answered, "bytes"));
		cJSON_Delete(answered);
	}
}

static void
carries_NUL_bytes_as_escapes(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	record_write_error(&out, "s", "r", "a\0b", 3, 3);
	assert_non_null(strstr(buffer_string(&out), "\"line\":\"a\\u0000b\""));
	buffer_free(&out);
}

static void
carries_what_is_not_UTF_8_in_base64(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} lines[] = {
		{ "\xff", 1 },
		{ "\xff\xfe", 2 },
		{ "\xff\0\xfe", 3 },
		{ "a\xff"
		  "bc",
		    4 },
		{ "{\"a\":\"\xc3\x28\"}", 9 },
		{ "\xed\xa0\x80 \xfb\xef\xbe", 7 },
		{ "\xe2\x9c", 2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		cJSON *answered =
		    answer(lines[i].bytes, lines[i].length, lines[i].length);
		const char *base64 = json_string(answered, "line_base64");
		unsigned char decoded[32];

		assert_non_null(base64);
		assert_null(json_string(answered, "line"));
		size_t length = strlen(base64);
		assert_int_equal(
		    EVP_DecodeBlock(
			decoded, (const unsigned char *)base64, (int)length),
		    length / 4 * 3);
		assert_int_equal((lines[i].length + 2) / 3 * 4, length);
		assert_memory_equal(decoded, lines[i].bytes, lines[i].length);
		cJSON_Delete(answered);
	}
}

static double
read_bytes(const cJSON *answered)
{
	return cJSON_GetNumberValue(
	    cJSON_GetObjectItemCaseSensitive(answered, "bytes"));
}

static void
carries_the_beginning_of_an_overlong_line(void **state)
{
	char head[LINE_HEAD_BYTES];

	(void)state;
	memset(head, 'x', sizeof head);
	cJSON *answered = answer(head, sizeof head, 67108864);
	assert_int_equal(strlen(json_string(answered, "line")), sizeof head);
	assert_true(read_bytes(answered) == 67108864);
	cJSON_Delete(answered);

	memset(head, 0xff, sizeof head);
	answered = answer(head, sizeof head, 67108864);
	assert_non_null(json_string(answered, "line"));
	assert_true(read_bytes(answered) == 67108864);
	cJSON_Delete(answered);
}

/* A line within the limit may need more than the limit as a string. */
static void
keeps_an_error_record_within_16_MiB(void **state)
{
	static const struct {
		char byte;
		size_t length;
		bool is_whole;
	} cases[] = {
		{ 'x', 10 * 1024 * 1024, true },
		{ 'x', RECORD_BYTES_MAX, false },
		{ 'x', RECORD_BYTES_MAX - 60, false },
		{ 'x', RECORD_BYTES_MAX - 200, true },
		{ '"', RECORD_BYTES_MAX / 2 - 200, true },
		{ '"', RECORD_BYTES_MAX / 2, false },
		{ '\x01', 3 * 1024 * 1024, false },
		{ '\xff', 12 * 1024 * 1024, false },
		{ '\xff', 12 * 1024 * 1024 - 300, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *line = malloc(cases[i].length);

		memset(line, cases[i].byte, cases[i].length);
		cJSON *answered =
		    answer(line, cases[i].length, cases[i].length);
		const char *text = json_string(answered, "line");
		if (text == NULL)
			text = json_string(answered, "line_base64");
		assert_non_null(text);
		if (cases[i].is_whole)
			assert_true(strlen(text) >= cases[i].length);
		else
			assert_true(
			    read_bytes(answered) == (double)cases[i].length);
		cJSON_Delete(answered);
		free(line);
	}
}

/* At every length around the limit: the next stage must take the answer. */
static void
keeps_an_error_record_of_any_length_within_16_MiB(void **state)
{
	char *line = malloc(RECORD_BYTES_MAX);
	struct buffer out = { 0 };

	(void)state;
	memset(line, 'x', RECORD_BYTES_MAX);
	for (size_t missing = 60; missing < 72; missing++) {
		out.length = 0;
		record_write_error(&out, "scanner", "bad", line,
		    RECORD_BYTES_MAX - missing, RECORD_BYTES_MAX - missing);
		assert_true(out.length - 1 <= RECORD_BYTES_MAX);
	}
	buffer_free(&out);
	free(line);
}

/* A record of exactly that length, LF not counted. */
static char *
make_record(size_t length)
{
	static const char head[] = "{\"text\":\"";
	char *line = xmalloc(length + 1);

	memset(line, 'x', length);
	memcpy(line, head, strlen(head));
	memcpy(line + length - 2, "\"}", 3);
	return line;
}

static void
keeps_a_record_within_16_MiB_when_it_adds(void **state)
{
	size_t added = strlen(",\"class\":\"danger\"");

	(void)state;
	for (size_t over = 0; over < 4; over++) {
		size_t length = RECORD_BYTES_MAX - added - 2 + over;
		char *line = make_record(length);
		struct buffer out = classify(line, length, add_class);
		bool fits = length + added <= RECORD_BYTES_MAX;

		if (out.length - 1 > RECORD_BYTES_MAX)
			fail_msg("%zu bytes", out.length - 1);
		assert_int_equal(strstr(out.data + length - 2,
				     "\"class\":\"danger\"") != NULL,
		    fits);
		buffer_free(&out);
		free(line);
	}
}

static void
add_much(struct record *record)
{
	char *much = xmalloc(8192);

	memset(much, 'y', 8192);
	much[8191] = '\0';
	record_add_string(record, "class", much);
	free(much);
}

static void
says_that_there_is_no_room_for_what_it_adds(void **state)
{
	size_t length = RECORD_BYTES_MAX - 4096;
	char *line = make_record(length);
	struct buffer out = classify(line, length, add_much);

	(void)state;
	assert_true(out.length - 1 <= RECORD_BYTES_MAX);
	assert_memory_equal(out.data, line, length - 1);
	assert_null(strstr(out.data + length - 2, "\"class\""));
	assert_non_null(strstr(
	    out.data + length - 2, ",\"error\":{\"stage\":\"classifier\""));
	buffer_free(&out);
	free(line);

	line = make_record(RECORD_BYTES_MAX);
	out = classify(line, RECORD_BYTES_MAX, add_much);
	assert_int_equal(out.length - 1, RECORD_BYTES_MAX);
	assert_memory_equal(out.data, line, RECORD_BYTES_MAX);
	buffer_free(&out);
	free(line);
}

/* What is replaced takes no room. */
static void
does_twice_what_it_does_once_near_the_limit(void **state)
{
	size_t length = RECORD_BYTES_MAX - 10000;
	char *line = make_record(length);
	struct buffer once = classify(line, length, add_much);
	struct buffer twice = classify(once.data, once.length - 1, add_much);

	(void)state;
	assert_int_equal(once.length, twice.length);
	assert_memory_equal(once.data, twice.data, once.length);
	buffer_free(&once);
	buffer_free(&twice);
	free(line);
}

static void
reads_a_line_of_10_MiB(void **state)
{
	size_t length = 10 * 1024 * 1024;
	char *line = make_record(length);
	struct record *record = parse(line);

	(void)state;
	assert_int_equal(strlen(record_string(record, "text")),
	    length - strlen("{\"text\":\"\"}"));
	record_free(record);
	free(line);
}

/* cJSON would take 640 MB for a line of 16 MiB. */
static void
looks_into_no_member_of_too_many_values(void **state)
{
	struct record *record = record_new("stage", (const char *[]){ NULL });
	struct buffer line = { 0 }, out = { 0 };

	(void)state;
	buffer_append_string(&line, "{\"a\":[0");
	for (int i = 0; i < RECORD_VALUES_MAX; i++)
		buffer_append_string(&line, ",0");
	buffer_append_string(&line, "],\"b\":[0]}");
	assert_int_equal(record_parse(record, line.data, line.length), 0);
	assert_null(record_get(record, "a"));
	assert_non_null(record_get(record, "b"));
	record_write(record, &out);
	assert_int_equal(out.length, line.length + 1);
	assert_memory_equal(out.data, line.data, line.length);
	buffer_free(&line);
	buffer_free(&out);
	record_free(record);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    adds_before_the_closing_brace_and_keeps_every_byte),
		cmocka_unit_test(replaces_its_own_members_of_an_earlier_run),
		cmocka_unit_test(leaves_members_that_only_look_like_its_own),
		cmocka_unit_test(writes_a_line_with_nothing_added_as_it_came),
		cmocka_unit_test(
		    gives_the_input_back_when_its_members_are_removed),
		cmocka_unit_test(
		    gives_the_input_back_whatever_stage_is_removed_first),
		cmocka_unit_test(
		    stays_an_object_wherever_its_own_members_stood),
		cmocka_unit_test(reads_strings_whatever_escapes_stand_in_them),
		cmocka_unit_test(finds_members_by_their_name),
		cmocka_unit_test(reads_the_last_of_members_with_the_same_name),
		cmocka_unit_test(
		    answers_NULL_where_a_member_is_of_another_type),
		cmocka_unit_test(reads_strings_out_of_any_object),
		cmocka_unit_test(reads_values_with_numbers_of_any_length),
		cmocka_unit_test(reads_a_value_512_levels_deep),
		cmocka_unit_test(reads_whole_numbers_exactly),
		cmocka_unit_test(
		    writes_numbers_and_strings_that_can_be_read_again),
		cmocka_unit_test(forgets_a_line_with_the_next_one),
		cmocka_unit_test(says_why_and_where_a_line_is_no_record),
		cmocka_unit_test(reports_a_failure_in_the_record),
		cmocka_unit_test(keeps_the_error_of_another_stage),
		cmocka_unit_test(replaces_its_own_error_of_an_earlier_run),
		cmocka_unit_test(leaves_the_error_of_an_error_record_alone),
		cmocka_unit_test(reports_only_its_first_failure),
		cmocka_unit_test(looks_into_no_member_of_too_many_values),
		cmocka_unit_test(stays_readable_when_a_reason_is_hostile),
		cmocka_unit_test(carries_a_line_that_is_no_record),
		cmocka_unit_test(carries_NUL_bytes_as_escapes),
		cmocka_unit_test(carries_what_is_not_UTF_8_in_base64),
		cmocka_unit_test(carries_the_beginning_of_an_overlong_line),
		cmocka_unit_test(keeps_an_error_record_within_16_MiB),
		cmocka_unit_test(
		    keeps_an_error_record_of_any_length_within_16_MiB),
		cmocka_unit_test(keeps_a_record_within_16_MiB_when_it_adds),
		cmocka_unit_test(says_that_there_is_no_room_for_what_it_adds),
		cmocka_unit_test(does_twice_what_it_does_once_near_the_limit),
		cmocka_unit_test(reads_a_line_of_10_MiB),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
