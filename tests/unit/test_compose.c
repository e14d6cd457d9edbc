/*
 * What a message looks like in Slack.
 *
 * modules: slack-send/compose.c slack-send/markup.c slack-send/pretty.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../slack-send/compose.h"
#include "../../slack-send/markup.h"
#include "../../slack-send/pretty.h"
#include "utf8.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct compose *
compose(const char *title, const char *text, const char *payload)
{
	return compose_message(&(struct outbox_message){
		.title = title, .text = text, .payload = payload }, false);
}

static void
expect_one(const char *title, const char *text, const char *payload,
    const char *wanted)
{
	struct compose *made = compose(title, text, payload);

	assert_int_equal(made->count, 1);
	assert_string_equal(made->posts[0].text, wanted);
	assert_null(made->posts[0].filename);
	compose_free(made);
}

static void
is_title_text_and_payload(void **state)
{
	(void)state;
	expect_one("nightly", "build 42 failed :x:", NULL,
	    "*nightly*\nbuild 42 failed :x:");
	expect_one(NULL, "only text", "", "only text");
	expect_one("only title", "", NULL, "*only title*");
	expect_one("t", "x", "12 failed", "*t*\nx\n```\n12 failed\n```");
	expect_one("", "", "{\"b\":1e400,\"a\":[]}",
	    "```\n{\n  \"b\": 1e400,\n  \"a\": []\n}\n```");
	expect_one("", "", NULL, "_(an empty message)_");
	expect_one("a*b\nc\x01", "", NULL, "a*b c ");
}

static void
shows_strange_letters_as_they_are(void **state)
{
	(void)state;
	expect_one("<b> & co", "1 < 2 && 3 > 2", NULL,
	    "*&lt;b&gt; &amp; co*\n1 &lt; 2 &amp;&amp; 3 &gt; 2");
	expect_one("", "<!channel> <@U1> <https://a.b|c>", NULL,
	    "&lt;!channel&gt; &lt;@U1&gt; &lt;https://a.b|c&gt;");
	expect_one("", "bell\a\r\nDEL\x7f", NULL, "bell\nDEL");
	expect_one("", "&lt;", NULL, "&amp;lt;");
}

static void
calls_nobody(void **state)
{
	(void)state;
	expect_one("@here", "@channel, @Everyone! me@here.org @hereby", NULL,
	    "*@\xe2\x80\x8bhere*\n@\xe2\x80\x8b" "channel,"
	    " @\xe2\x80\x8b" "Everyone! me@here.org @hereby");
}

static void
calls_a_channel_where_it_may(void **state)
{
	struct compose *made = compose_message(&(struct outbox_message){
		.text = "@channel <!here> <!nobody> <!channel|x> a@here" },
	    true);

	(void)state;
	assert_string_equal(made->posts[0].text, "<!channel> <!here>"
	    " &lt;!nobody&gt; &lt;!channel|x&gt; a@here");
	compose_free(made);
}

/* All posts are short enough; together, without fences, they are the text. */
static void
check_parts(const struct compose *made, size_t parts)
{
	assert_int_equal(made->count, parts);
	for (size_t i = 0; i < parts; i++) {
		const char *text = made->posts[i].text;

		assert_true(markup_count(text) <= COMPOSE_CHARACTERS_MAX);
		assert_true(utf8_is_valid(text, strlen(text)));
		assert_false(markup_ends_in_code(text, strlen(text)));
	}
}

static char *
repeat(const char *text, size_t count)
{
	size_t length = strlen(text);
	char *all = malloc(length * count + 1);

	for (size_t i = 0; i < count; i++)
		memcpy(all + i * length, text, length);
	all[length * count] = '\0';
	return all;
}

static void
cuts_long_texts_between_lines(void **state)
{
	char *text = repeat("a line of the log\n", 600);	/* 10,800 */
	struct compose *made = compose("", text, NULL);

	(void)state;
	check_parts(made, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(made->posts[i].text[0], 'a');
	compose_free(made);
	free(text);
}

static void
cuts_no_entity_and_no_character(void **state)
{
	static const char *const units[] = { "&", "<", "\xf0\x9f\x98\x80",
		"\xc3\xa4&", "x" };

	(void)state;
	for (size_t i = 0; i < COUNT(units); i++) {
		char *text = repeat(units[i], 2000);
		struct compose *made = compose("", text, NULL);

		for (size_t k = 0; k < made->count; k++) {
			const char *part = made->posts[k].text;
			const char *last = strrchr(part, '&');

			assert_true(utf8_is_valid(part, strlen(part)));
			assert_true(last == NULL || strchr(last, ';') != NULL);
		}
		compose_free(made);
		free(text);
	}
}

static void
closes_and_reopens_code(void **state)
{
	char *lines = repeat("0123456789 0123456789\n", 300);
	char *text = malloc(strlen(lines) + 16);
	struct compose *made;

	(void)state;
	strcpy(text, "```\n");
	strcat(text, lines);
	strcat(text, "```\nend");
	made = compose("", text, NULL);
	check_parts(made, 2);
	assert_memory_equal(made->posts[1].text, "```\n0", 5);
	compose_free(made);
	free(text);
	free(lines);
}

static void
sends_what_is_too_long_as_a_file(void **state)
{
	char *text = repeat("a line of the log <b>\n", 1000);
	struct compose *made = compose("The log: 1/2", text, NULL);

	(void)state;
	assert_int_equal(made->count, 1);
	assert_string_equal(made->posts[0].filename, "The-log-1-2.txt");
	assert_string_equal(made->posts[0].title, "The log: 1/2");
	assert_string_equal(made->posts[0].content, text);
	assert_int_equal(made->posts[0].length, strlen(text));
	assert_true(markup_count(made->posts[0].text) < 2600);
	compose_free(made);
	free(text);
}

static void
sends_long_payloads_as_files(void **state)
{
	char *lines = repeat("line\n", 21);
	struct compose *made = compose("", "see below", lines);

	(void)state;
	assert_int_equal(made->count, 1);
	assert_string_equal(made->posts[0].text, "see below");
	assert_string_equal(made->posts[0].filename, "payload.txt");
	assert_string_equal(made->posts[0].content, lines);
	compose_free(made);
	free(lines);
}

static void
sends_a_long_text_before_its_payload(void **state)
{
	char *text = repeat("word ", 1000), *payload = repeat("x", 2000);
	struct compose *made = compose("t", text, payload);

	(void)state;
	assert_int_equal(made->count, 3);
	assert_null(made->posts[1].filename);
	assert_string_equal(made->posts[2].filename, "t.txt");
	assert_string_equal(made->posts[2].text, "");
	compose_free(made);
	free(text);
	free(payload);
}

static void
keeps_fences_of_payloads_apart(void **state)
{
	struct compose *made = compose("", "x", "a ``` b");

	(void)state;
	assert_string_equal(made->posts[0].filename, "payload.txt");
	compose_free(made);
	made = compose("", "open ```code", "short");
	assert_string_equal(made->posts[0].content, "short");
	compose_free(made);
}

static void
lays_json_out_byte_for_byte(void **state)
{
	static const struct {
		const char *json, *wanted;	/* NULL: none of it */
	} cases[] = {
		{ "[1,-0.0,12345678901234567890,1E+5]",
		    "[\n  1,\n  -0.0,\n  12345678901234567890,\n  1E+5\n]" },
		{ "{\"a\":\"\\u00e4{[,:]}\\\"\",\"a\":null}",
		    "{\n  \"a\": \"\\u00e4{[,:]}\\\"\",\n  \"a\": null\n}" },
		{ " { } ", "{}" },
		{ "[[],{}]", "[\n  [],\n  {}\n]" },
		{ "[[ ] , { \"b\" : [ 1 ] } ]",
		    "[\n  [],\n  {\n    \"b\": [\n      1\n    ]\n  }\n]" },
		{ "text", NULL }, { "[1,", NULL }, { "{\"a\":1}x", NULL },
		{ "[1],\"b\":[2]", NULL }, { "1", NULL }, { "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer out = { 0 };
		bool is_json = pretty_append(&out, cases[i].json,
		    strlen(cases[i].json));

		assert_int_equal(is_json, cases[i].wanted != NULL);
		assert_string_equal(buffer_string(&out), is_json
		    ? cases[i].wanted : "");
		buffer_free(&out);
	}
}

static void
leaves_deep_json_as_it_is(void **state)
{
	char *open = repeat("[", 65), *close = repeat("]", 65);
	char all[140];
	struct buffer out = { 0 };

	(void)state;
	strcpy(all, open);
	strcat(all, close);
	assert_false(pretty_append(&out, all, strlen(all)));
	assert_true(pretty_append(&out, all + 1, strlen(all) - 2));
	buffer_free(&out);
	free(open);
	free(close);
}

static void
a_digest_counts_first(void **state)
{
	const struct outbox_digest digest = {
		.channel = "#ci & co", .messages = 1000, .first_seq = 7,
		.last_seq = 1006, .first_us = 1763805600000000,
		.last_us = 1763805659000000, .success = 985, .danger = 15,
		.tallies = { { "danger", "nightly <b>", 15 },
		    { "success", "", 900 } },
		.tally_count = 2, .rest = 85,
		.first = { { 7, 1763805600000000, "danger", "nightly",
		    "@channel failed\nbadly" } },
		.first_count = 1,
	};
	struct compose *made = compose_digest(&digest, "https://u.test/");

	(void)state;
	assert_int_equal(made->count, 1);
	assert_string_equal(made->posts[0].text,
	    "*1000 messages* came faster than they can be shown here,"
	    " 10:00:00 to 10:00:59 UTC\n"
	    ":x: 15 danger, :white_check_mark: 985 success\n"
	    "\xe2\x80\xa2 15 \xc3\x97 nightly &lt;b&gt; (danger)\n"
	    "\xe2\x80\xa2 900 \xc3\x97 (no title) (success)\n"
	    "\xe2\x80\xa2 85 others\n"
	    "<https://u.test/ultronex/stream?channel=%23ci%20%26%20co"
	    "&amp;from=7&amp;to=1006|Each of them is on the dashboard>\n"
	    "_the first_\n> nightly: @\xe2\x80\x8b" "channel failed badly");
	compose_free(made);
}

static void
a_digest_is_never_too_long(void **state)
{
	char *text = repeat("&", 300);
	struct outbox_digest digest = { .channel = text, .messages = 5,
	    .tally_count = OUTBOX_TALLIES, .first_count = OUTBOX_ENDS,
	    .last_count = OUTBOX_ENDS };
	struct compose *made;

	(void)state;
	for (size_t i = 0; i < OUTBOX_TALLIES; i++)
		digest.tallies[i] = (struct outbox_tally){ "danger", text, 9 };
	for (size_t i = 0; i < OUTBOX_ENDS; i++)
		digest.first[i] = digest.last[i] = (struct outbox_line){
			.title = text, .text = text };
	made = compose_digest(&digest, NULL);
	assert_int_equal(made->count, 1);
	assert_true(markup_count(made->posts[0].text) <=
	    COMPOSE_CHARACTERS_MAX);
	compose_free(made);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_title_text_and_payload),
		cmocka_unit_test(shows_strange_letters_as_they_are),
		cmocka_unit_test(calls_nobody),
		cmocka_unit_test(calls_a_channel_where_it_may),
		cmocka_unit_test(cuts_long_texts_between_lines),
		cmocka_unit_test(cuts_no_entity_and_no_character),
		cmocka_unit_test(closes_and_reopens_code),
		cmocka_unit_test(sends_what_is_too_long_as_a_file),
		cmocka_unit_test(sends_long_payloads_as_files),
		cmocka_unit_test(sends_a_long_text_before_its_payload),
		cmocka_unit_test(keeps_fences_of_payloads_apart),
		cmocka_unit_test(lays_json_out_byte_for_byte),
		cmocka_unit_test(leaves_deep_json_as_it_is),
		cmocka_unit_test(a_digest_counts_first),
		cmocka_unit_test(a_digest_is_never_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
