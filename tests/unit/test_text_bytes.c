/* The bytes below all text: buffers that grow, and UTF-8. */
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
#include "utf8.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void
grows_from_nothing(void **state)
{
	struct buffer buffer = { 0 };

	(void)state;
	assert_string_equal(buffer_string(&buffer), "");
	assert_int_equal(buffer.length, 0);
	buffer_append(&buffer, NULL, 0);
	buffer_append_string(&buffer, "");
	assert_int_equal(buffer.length, 0);
	for (int i = 0; i < 1000; i++)
		buffer_append(&buffer, "abc", 3);
	assert_int_equal(buffer.length, 3000);
	assert_int_equal(strlen(buffer_string(&buffer)), 3000);
	buffer_free(&buffer);
	assert_null(buffer.data);
	buffer_free(&buffer);
	buffer_append_string(&buffer, "again");
	assert_string_equal(buffer_string(&buffer), "again");
	buffer_free(&buffer);
}

/* A sanitizer sees where one byte is missing. */
static void
has_room_at_every_length(void **state)
{
	(void)state;
	for (size_t length = 0; length < 1100; length++) {
		struct buffer buffer = { 0 };

		memset(buffer_reserve(&buffer, length), 'x', length);
		assert_int_equal(buffer.length, 0);
		buffer.length = length;
		assert_true(buffer.capacity >= length);
		assert_int_equal(buffer_string(&buffer)[length], '\0');
		assert_int_equal(buffer.length, length);
		buffer_free(&buffer);
	}
}

static void
takes_a_large_piece_at_once(void **state)
{
	struct buffer buffer = { 0 };
	size_t length = 5 * 1024 * 1024 + 1;

	(void)state;
	buffer_append_string(&buffer, "head");
	memset(buffer_reserve(&buffer, length), 'x', length);
	buffer.length += length;
	assert_memory_equal(buffer_string(&buffer), "headxxx", 7);
	assert_true(buffer.capacity < 4 * length);
	buffer_free(&buffer);
}

static void
prints_text_of_any_length(void **state)
{
	struct buffer buffer = { 0 };
	char text[2000];

	(void)state;
	for (size_t length = 0; length < sizeof text; length += 7) {
		memset(text, 'y', length);
		text[length] = '\0';
		buffer.length = 0;
		buffer_append_string(&buffer, "<");
		buffer_printf(&buffer, "%s%d", text, -7);
		assert_int_equal(buffer.length, length + 3);
		assert_memory_equal(buffer.data + 1, text, length);
		assert_string_equal(buffer_string(&buffer) + length + 1, "-7");
	}
	buffer_free(&buffer);
}

static void
removes_bytes_at_the_front(void **state)
{
	struct buffer buffer = { 0 };

	(void)state;
	buffer_append_string(&buffer, "abcdef");
	buffer_consume(&buffer, 0);
	assert_string_equal(buffer_string(&buffer), "abcdef");
	buffer_consume(&buffer, 2);
	assert_string_equal(buffer_string(&buffer), "cdef");
	buffer_consume(&buffer, 4);
	assert_int_equal(buffer.length, 0);
	buffer_append_string(&buffer, "g");
	assert_string_equal(buffer_string(&buffer), "g");
	buffer_free(&buffer);
}

static void
removes_nothing_from_an_empty_buffer(void **state)
{
	struct buffer buffer = { 0 };

	(void)state;
	buffer_consume(&buffer, 0);
	assert_int_equal(buffer.length, 0);
	buffer_free(&buffer);
}

static void
writes_bytes_as_a_JSON_string(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		const char *json;
	} cases[] = {
		{ "", 0, "\"\"" },
		{ "a", 1, "\"a\"" },
		{ "\"", 1, "\"\\\"\"" },
		{ "\\", 1, "\"\\\\\"" },
		{ "/", 1, "\"/\"" },
		{ "\\u0041", 6, "\"\\\\u0041\"" },
		{ "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
		{ "\0", 1, "\"\\u0000\"" },
		{ "\x01\x1f", 2, "\"\\u0001\\u001f\"" },
		{ "\x0b\x7f", 2, "\"\\u000b\x7f\"" },
		{ "\xc3\xa9\xe2\x9c\x93\xf0\x9f\x98\x80", 9,
		    "\"\xc3\xa9\xe2\x9c\x93\xf0\x9f\x98\x80\"" },
		{ "\xff", 1, "\"\xef\xbf\xbd\"" },
		{ "a\xff"
		  "b",
		    3,
		    "\"a\xef\xbf\xbd"
		    "b\"" },
		{ "\xe2\x9c", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe2\x9c\"", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\\\"\"" },
		{ "\xc3\\", 2, "\"\xef\xbf\xbd\\\\\"" },
		{ "\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", 3,
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "</script>", 9, "\"</script>\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer json = { 0 };

		buffer_append_json(&json, cases[i].bytes, cases[i].length);
		assert_string_equal(buffer_string(&json), cases[i].json);
		buffer_free(&json);
	}
}

/* Every two bytes and many threes: always JSON, and always the same text. */
static void
check_json_of(const char *bytes, size_t length)
{
	struct buffer line = { 0 };
	struct json_index index = { 0 };
	char *copy = malloc(length);

	memcpy(copy, bytes, length);
	buffer_append_string(&line, "{\"a\":");
	buffer_append_json(&line, copy, length);
	buffer_append_string(&line, "}");
	if (json_scan(&index, line.data, line.length) == -1)
		fail_msg("no JSON: %s", buffer_string(&line));
	if (memchr(bytes, 0, length) == NULL && utf8_is_valid(bytes, length)) {
		cJSON *parsed = cJSON_ParseWithLength(line.data, line.length);
		const char *text = cJSON_GetStringValue(parsed->child);

		assert_int_equal(strlen(text), length);
		assert_memory_equal(text, bytes, length);
		cJSON_Delete(parsed);
	}
	json_index_free(&index);
	buffer_free(&line);
	free(copy);
}

static void
writes_any_bytes_as_valid_JSON(void **state)
{
	static const unsigned char third[] = { 0, '"', '\\', 'a', 0x80, 0xbf,
		0xc3, 0xe2, 0xf0, 0xff };

	(void)state;
	for (int first = 0; first < 256; first++)
		for (int second = 0; second < 256; second++) {
			char bytes[3] = { (char)first, (char)second };

			check_json_of(bytes, 2);
			for (size_t i = 0; i < COUNT(third); i++) {
				bytes[2] = (char)third[i];
				check_json_of(bytes, 3);
			}
		}
}

static const struct {
	const char *bytes;
	size_t width;
} characters[] = {
	{ "a", 1 },
	{ "\x7f", 1 },
	{ "\x01", 1 },
	{ "\xc2\x80", 2 },
	{ "\xdf\xbf", 2 },
	{ "\xc3\xa9z", 2 },
	{ "\xe0\xa0\x80", 3 },
	{ "\xe1\x80\x80", 3 },
	{ "\xec\xbf\xbf", 3 },
	{ "\xed\x80\x80", 3 },
	{ "\xed\x9f\xbf", 3 },
	{ "\xee\x80\x80", 3 },
	{ "\xef\xbf\xbf", 3 },
	{ "\xf0\x90\x80\x80", 4 },
	{ "\xf1\x80\x80\x80", 4 },
	{ "\xf3\xbf\xbf\xbf", 4 },
	{ "\xf4\x80\x80\x80", 4 },
	{ "\xf4\x8f\xbf\xbf", 4 },
	{ "\x80", 0 },
	{ "\xbf", 0 },
	{ "\xc0\x80", 0 },
	{ "\xc0\xaf", 0 },
	{ "\xc1\xbf", 0 },
	{ "\xc2", 0 },
	{ "\xc2\x7f", 0 },
	{ "\xc2\xc0", 0 },
	{ "\xe0\x80\x80", 0 },
	{ "\xe0\x9f\xbf", 0 },
	{ "\xe0\xa0", 0 },
	{ "\xe1\x80", 0 },
	{ "\xe1\x80\x7f", 0 },
	{ "\xe1\x80\xc0", 0 },
	{ "\xed\xa0\x80", 0 },
	{ "\xed\xbf\xbf", 0 },
	{ "\xf0\x80\x80\x80", 0 },
	{ "\xf0\x8f\xbf\xbf", 0 },
	{ "\xf0\x90\x80", 0 },
	{ "\xf0\x90\x80\x7f", 0 },
	{ "\xf0\x90\xc0\x80", 0 },
	{ "\xf4\x90\x80\x80", 0 },
	{ "\xf5\x80\x80\x80", 0 },
	{ "\xf8\x88\x80\x80\x80", 0 },
	{ "\xfc", 0 },
	{ "\xfe", 0 },
	{ "\xff\xff\xff\xff", 0 },
};

static void
measures_characters_as_RFC_3629_has_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(characters); i++) {
		size_t length = strlen(characters[i].bytes);
		char *copy = malloc(length);

		memcpy(copy, characters[i].bytes, length);
		if (utf8_character(copy, length) != characters[i].width)
			fail_msg("wrong about character %zu", i);
		free(copy);
	}
}

static void
takes_a_cut_character_for_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(characters); i++)
		for (size_t cut = 1; cut < characters[i].width; cut++) {
			char *copy = malloc(cut);

			memcpy(copy, characters[i].bytes, cut);
			assert_int_equal(utf8_character(copy, cut), 0);
			assert_false(utf8_is_valid(copy, cut));
			free(copy);
		}
}

/* utf8_is_valid goes by blocks of eight: put each at every place of a block. */
static void
validates_text_at_every_alignment(void **state)
{
	(void)state;
	assert_true(utf8_is_valid("", 0));
	assert_true(utf8_is_valid("a\0b", 3));
	for (size_t i = 0; i < COUNT(characters); i++)
		for (size_t before = 0; before <= 17; before++)
			for (size_t after = 0; after <= 17; after++) {
				size_t length = strlen(characters[i].bytes);
				char *text = malloc(before + length + after);

				memset(text, 'a', before + length + after);
				memcpy(
				    text + before, characters[i].bytes, length);
				assert_int_equal(utf8_is_valid(text,
						     before + length + after),
				    characters[i].width > 0);
				free(text);
			}
}

static void
finds_the_border_before_a_position(void **state)
{
	static const char text[] = "a\xc3\xa9\xe2\x9c\x93\xf0\x9f\x98\x80z";
	static const size_t floors[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11 };

	(void)state;
	for (size_t at = 0; at < COUNT(floors); at++)
		assert_int_equal(utf8_floor(text, at), floors[at]);
}

static void
stays_within_text_that_is_no_UTF_8(void **state)
{
	(void)state;
	for (size_t length = 1; length < 8; length++) {
		char *text = malloc(length);

		memset(text, 0x80, length);
		for (size_t at = 0; at < length; at++) {
			size_t border = utf8_floor(text, at);

			assert_true(border <= at && at - border <= 3);
		}
		free(text);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_from_nothing),
		cmocka_unit_test(has_room_at_every_length),
		cmocka_unit_test(takes_a_large_piece_at_once),
		cmocka_unit_test(prints_text_of_any_length),
		cmocka_unit_test(removes_bytes_at_the_front),
		cmocka_unit_test(removes_nothing_from_an_empty_buffer),
		cmocka_unit_test(writes_bytes_as_a_JSON_string),
		cmocka_unit_test(writes_any_bytes_as_valid_JSON),
		cmocka_unit_test(measures_characters_as_RFC_3629_has_them),
		cmocka_unit_test(takes_a_cut_character_for_none),
		cmocka_unit_test(validates_text_at_every_alignment),
		cmocka_unit_test(finds_the_border_before_a_position),
		cmocka_unit_test(stays_within_text_that_is_no_UTF_8),
	};

	return cmocka_run_group_tests_name("text_bytes", tests, NULL, NULL);
}
