/*
 * Of a POST's body come a record and an answer, or a refusal that says why.
 *
 * modules: ws-broadcast/post_body.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../ws-broadcast/post_body.h"
#include "buffer.h"
#include "json_scan.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define FOUR(channel, title, text, payload) \
	"{\"msg\":{\"channel\":" channel ",\"title\":" title ",\"text\":" \
	text ",\"payload\":" payload "}}"

/* In memory of its own, so that a sanitizer sees a byte read too far. */
static unsigned
read_bytes(struct post_body *post, const char *bytes, size_t length,
    char **body)
{
	*body = malloc(length + 1);
	assert_non_null(*body);
	memcpy(*body, bytes, length);
	(*body)[length] = '\0';
	return post_body_read(post, *body, length);
}

static unsigned
judge(const char *text, struct post_body *post)
{
	char *body;
	unsigned status = read_bytes(post, text, strlen(text), &body);

	free(body);
	return status;
}

static void
check(const char *text, const char *record, const char *answer)
{
	struct buffer line = { 0 }, json = { 0 };
	struct json_index index = { 0 };
	struct post_body post;
	char *body;

	assert_int_equal(read_bytes(&post, text, strlen(text), &body), 0);
	post_body_print_record(&post, "ID", &line);
	post_body_print_answer(&post, "ID", &json);
	assert_string_equal(buffer_string(&line), record);
	assert_string_equal(buffer_string(&json), answer);
	assert_int_equal(json_scan(&index, line.data, line.length), 0);
	json_index_free(&index);
	buffer_free(&line);
	buffer_free(&json);
	free(body);
}

static void
makes_record_and_answer(void **state)
{
	(void)state;
	check("{\"msg\":{\"channel\":\"ci\",\"text\":\"t\",\"payload\":\"p\","
	    "\"title\":\"T\"}}",
	    "{\"type\":\"api_message\",\"id\":\"ID\",\"channel\":\"ci\","
	    "\"title\":\"T\",\"text\":\"t\",\"payload\":\"p\"}",
	    "{\"status\":\"triggered\",\"msg\":{\"channel\":\"ci\","
	    "\"text\":\"t\",\"title\":\"T\"},\"id\":\"ID\"}");
}

/* Numbers, escapes and order stay; line ends become blanks; more is left. */
static void
passes_bytes_on(void **state)
{
	(void)state;
	check(" {\"more\":[1],\"msg\": {\"x\":1,\n\"title\" : \"\\u00e4\\n\","
	    "\"channel\":\"\\u0063i\",\"text\":\"\xf0\x9f\x92\xa9\\u0000"
	    "\\ud800\",\"payload\": {\"b\":1.50,\r\n\"a\":"
	    "12345678901234567890,\"b\":[ ]} }}\n",
	    "{\"type\":\"api_message\",\"id\":\"ID\","
	    "\"channel\":\"\\u0063i\",\"title\":\"\\u00e4\\n\","
	    "\"text\":\"\xf0\x9f\x92\xa9\\u0000\\ud800\","
	    "\"payload\":{\"b\":1.50,  \"a\":12345678901234567890,"
	    "\"b\":[ ]}}",
	    "{\"status\":\"triggered\",\"msg\":{\"channel\":\"\\u0063i\","
	    "\"text\":\"\xf0\x9f\x92\xa9\\u0000\\ud800\","
	    "\"title\":\"\\u00e4\\n\"},\"id\":\"ID\"}");
}

/* As in every JSON parser around; a name may be written with escapes. */
static void
takes_the_last_of_two(void **state)
{
	(void)state;
	check("{\"msg\":5,\"\\u006dsg\":{\"channel\":5,\"channel\":\"ci\","
	    "\"title\":\"\",\"t\\u0065xt\":\"\",\"payload\":1,"
	    "\"payload\":null}}",
	    "{\"type\":\"api_message\",\"id\":\"ID\",\"channel\":\"ci\","
	    "\"title\":\"\",\"text\":\"\",\"payload\":null}",
	    "{\"status\":\"triggered\",\"msg\":{\"channel\":\"ci\","
	    "\"text\":\"\",\"title\":\"\"},\"id\":\"ID\"}");
}

static void
refuses_what_is_no_json(void **state)
{
	static const char *const wrong[] = {
		" ", "{", "{\"msg\":}", "x", "[1", "\"a", "{} {}", "1 2",
		"{\"msg\":{\"channel\":\"\n\"}}", "{\"msg\":\"\xff\"}",
		"\xef\xbb\xbf{}", "{'msg':1}", "{\"a\":01}", "nul", "[\"\t\"]",
		"msg=1", "\xff\xfe{\0}", "{\"a\":\"\xed\xa0\x80\"}",
	};
	struct post_body post;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_int_equal(judge(wrong[i], &post), 400);
		assert_true(*post.reason != '\0');
	}
}

static void
refuses_another_shape(void **state)
{
	static const struct { const char *body, *reason; } wrong[] = {
		{ "", "the body is empty" },
		{ "[]", "the body is no object" },
		{ " 5 ", "the body is no object" },
		{ "null", "the body is no object" },
		{ "\"a\"", "the body is no object" },
		{ "{}", "msg is missing" },
		{ "{\"Msg\":{}}", "msg is missing" },
		{ "{\"msg\":null}", "msg is no object" },
		{ "{\"msg\":[{}]}", "msg is no object" },
		{ "{\"msg\":{}}", "channel is missing" },
		{ "{\"channel\":\"\",\"msg\":{}}", "channel is missing" },
		{ "{\"msg\":{\"channel\":\"a\",\"text\":\"\",\"payload\":1}}",
		    "title is missing" },
		{ "{\"msg\":{\"channel\":\"a\",\"title\":\"\",\"text\":\"\"}}",
		    "payload is missing" },
		{ FOUR("\"\"", "\"\"", "\"\"", "1"), "channel is empty" },
		{ FOUR("null", "\"\"", "\"\"", "1"), "channel is no string" },
		{ FOUR("\"a\\nb\"", "\"\"", "\"\"", "1"),
		    "channel has control characters" },
		{ FOUR("\"a\177\"", "\"\"", "\"\"", "1"),
		    "channel has control characters" },
		{ FOUR("\"a\"", "7", "\"\"", "1"), "title is no string" },
		{ FOUR("\"a\"", "\"\"", "[\"\"]", "1"), "text is no string" },
	};
	struct post_body post;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_int_equal(judge(wrong[i].body, &post), 422);
		assert_string_equal(post.reason, wrong[i].reason);
	}
}

/* A body whose member has so many letters. */
static unsigned
judge_length(const char *name, size_t length)
{
	struct buffer body = { 0 };
	struct post_body post;
	unsigned status;

	buffer_append_string(&body, "{\"msg\":{\"channel\":\"a\","
	    "\"title\":\"\",\"text\":\"\",\"payload\":0,");
	buffer_printf(&body, "\"%s\":\"", name);
	memset(buffer_reserve(&body, length), 'x', length);
	body.length += length;
	buffer_append_string(&body, "\"}}");
	status = judge(buffer_string(&body), &post);
	buffer_free(&body);
	return status;
}

static void
bounds_the_strings(void **state)
{
	static const struct { const char *name; size_t most; } bounds[] = {
		{ "channel", POST_CHANNEL_BYTES_MAX },
		{ "title", POST_TITLE_BYTES_MAX },
		{ "text", POST_TEXT_BYTES_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bounds); i++) {
		assert_int_equal(judge_length(bounds[i].name,
		    bounds[i].most), 0);
		assert_int_equal(judge_length(bounds[i].name,
		    bounds[i].most + 1), 422);
	}
	assert_int_equal(judge_length("payload", 7 * 1024 * 1024), 0);
}

static unsigned
judge_depth(size_t depth)
{
	struct buffer body = { 0 };
	struct post_body post;
	unsigned status;

	buffer_append_string(&body, "{\"msg\":{\"channel\":\"a\","
	    "\"title\":\"\",\"text\":\"\",\"payload\":");
	for (size_t i = 0; i < depth; i++)
		buffer_append_string(&body, "[");
	for (size_t i = 0; i < depth; i++)
		buffer_append_string(&body, "]");
	buffer_append_string(&body, "}}");
	status = judge(buffer_string(&body), &post);
	buffer_free(&body);
	return status;
}

static void
bounds_the_depth(void **state)
{
	(void)state;
	assert_int_equal(judge_depth(500), 0);
	assert_int_equal(judge_depth(600), 400);
	assert_int_equal(judge_depth(1000000), 400);
}

/* Every beginning of a body, and every byte of it changed. */
static void
survives_any_bytes(void **state)
{
	static const char whole[] = FOUR("\"a\"", "\"\\u00e4\"", "\"\"",
	    "{\"a\":[1.5e3,true,null]}");
	char body[sizeof whole], *copy;
	struct post_body post;

	(void)state;
	for (size_t i = 0; i < sizeof whole - 1; i++) {
		assert_int_not_equal(read_bytes(&post, whole, i, &copy), 0);
		free(copy);
	}
	for (size_t i = 0; i < sizeof whole - 1; i++)
		for (int byte = 0; byte < 256; byte++) {
			memcpy(body, whole, sizeof whole);
			body[i] = (char)byte;
			read_bytes(&post, body, sizeof whole - 1, &copy);
			free(copy);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_record_and_answer),
		cmocka_unit_test(passes_bytes_on),
		cmocka_unit_test(takes_the_last_of_two),
		cmocka_unit_test(refuses_what_is_no_json),
		cmocka_unit_test(refuses_another_shape),
		cmocka_unit_test(bounds_the_strings),
		cmocka_unit_test(bounds_the_depth),
		cmocka_unit_test(survives_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
