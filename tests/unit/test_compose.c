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

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../../slack-send/compose.h"
#include "../../slack-send/markup.h"
#include "../../slack-send/pretty.h"
#include "utf8.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

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
	    "```\n{\"b\":1e400,\"a\":[]}\n```");
	expect_one("", "", NULL, "_(an empty message)_");
	expect_one("\n a*b\nc\x01 ", "", NULL, "a*b c");
	expect_one("t", "x\n", "code\r\n\n", "*t*\nx\n```\ncode\n```");
}

/* Slack refuses them: "no_text". */
static void
sends_no_blank_posts(void **state)
{
	char *blanks = repeat(" \n", 3000), *text = malloc(7000);
	struct compose *made;

	(void)state;
	expect_one(" \n", "\t", " \r\n ", "_(an empty message)_");
	expect_one("", blanks, NULL, "_(an empty message)_");
	expect_one(" \n", " x ", " \n", " x ");
	strcpy(text, "start\n");
	strcat(text, blanks);
	made = compose("", text, NULL);
	assert_int_equal(made->count, 1);
	compose_free(made);
	made = compose("", blanks, strcpy(text, "a ``` b"));
	assert_int_equal(made->count, 1);
	assert_string_equal(made->posts[0].text, "");
	compose_free(made);
	free(text);
	free(blanks);
}

static void
shows_strange_letters_as_they_are(void **state)
{
	(void)state;
	expect_one("<b> & co", "1 < 2 && 3 > 2", NULL,
	    "*&lt;b&gt; &amp; co*\n1 &lt; 2 &amp;&amp; 3 &gt; 2");
	expect_one("", "<!channel> <@U1> <https://a.b|c>", NULL,
	    "&lt;!channel&gt; &lt;@U1&gt; &lt;https://a.b|c&gt;");
	expect_one("", "bell\a\r\nDEL\x7f\rold\r\r\n", NULL,
	    "bell\nDEL\nold\n\n");
	expect_one("", "&lt;", NULL, "&amp;lt;");
}

#define Z "\xe2\x80\x8b"

static void
calls_nobody(void **state)
{
	static const struct {
		const char *text, *wanted;	/* NULL: it stays */
	} cases[] = {
		{ "@channel, @Everyone!", "@" Z "channel, @" Z "Everyone!" },
		{ "me@here.org @hereby @channels", NULL },
		{ "@here.", "@" Z "here." }, { "(@HERE)", "(@" Z "HERE)" },
		{ "@@channel", "@@" Z "channel" },
		{ "@\x01" "channel", "@" Z "channel" },
		{ "@chan\x7fnel", "@" Z "channel" },
		{ "\xe7\xab\xaf@channel\xe3\x81\xa7",
		    "\xe7\xab\xaf@" Z "channel\xe3\x81\xa7" },
		{ "\xef\xbc\xa0here", "\xef\xbc\xa0" Z "here" },
		{ "\xef\xb9\xab" "Channel", "\xef\xb9\xab" Z "Channel" },
		{ "<!channel|x> < !channel> <!here>",
		    "&lt;!channel|x&gt; &lt; !channel&gt; &lt;!here&gt;" },
		{ "<!everyone", "&lt;!everyone" },
		{ "<@channel>", "&lt;@" Z "channel&gt;" },
		{ "&lt;!channel&gt;", "&amp;lt;!channel&amp;gt;" },
		{ "<!subteam^S1> <@U1>", "&lt;!subteam^S1&gt; &lt;@U1&gt;" },
		{ "@", NULL }, { "a @", NULL }, { "@ channel", NULL },
	};

	(void)state;
	expect_one("@here", "x", NULL, "*@" Z "here*\nx");
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_one("", cases[i].text, NULL, cases[i].wanted != NULL
		    ? cases[i].wanted : cases[i].text);
}

static void
calls_a_channel_where_it_may(void **state)
{
	struct compose *made = compose_message(&(struct outbox_message){
		.title = "@Here", .text = "@channel <!here> <!nobody>"
		" <!channel|x> a@here \xef\xbc\xa0here <@U1>" }, true);

	(void)state;
	assert_string_equal(made->posts[0].text, "*<!here>*\n<!channel> <!here>"
	    " &lt;!nobody&gt; &lt;!channel|x&gt; a@here \xef\xbc\xa0" Z "here"
	    " &lt;@U1&gt;");
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

/* As in the address of a gif. */
static void
cuts_nothing_behind_the_end(void **state)
{
	static const struct {
		const char *text;
		size_t length;
	} cases[] = { { "a&b\0c;", 3 }, { "a<b\0c>", 3 }, { "&\0;", 1 },
	    { "<\0>", 1 }, { "a&amp;", 6 }, { "<!here>", 7 } };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(markup_cut(cases[i].text, 100),
		    cases[i].length);
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
names_files_after_the_title(void **state)
{
	static const struct {
		const char *title, *payload, *filename, *shown;
	} cases[] = {
		{ "a/../b", "```", "a-b.txt", "a/../b" },
		{ "..", "```", "payload.txt", ".." },
		{ "\xc3\xa4", "```", "payload.txt", "\xc3\xa4" },
		{ "", "{\"a\":\"```\"}", "payload.json", "payload" },
		{ "a\nb & c", " [\"```\"] ", "a-b-c.json", "a b & c" },
		{ "x", "[INFO] ```", "x.txt", "x" },
		{ "x", "{ ```", "x.txt", "x" },
	};
	char *long_title = repeat("A & \xc3\xa4 @here ", 100);
	struct compose *made;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		made = compose(cases[i].title, "", cases[i].payload);
		assert_string_equal(made->posts[0].filename,
		    cases[i].filename);
		assert_string_equal(made->posts[0].title, cases[i].shown);
		compose_free(made);
	}
	made = compose(long_title, "", "```");
	assert_true(strlen(made->posts[0].filename) < 70);
	assert_int_equal(markup_count(made->posts[0].title),
	    COMPOSE_TITLE_CHARACTERS + 1);
	compose_free(made);
	free(long_title);
}

static void
takes_the_largest_messages(void **state)
{
	char *payload = repeat("0123456789abcde\n", 8 << 16);	/* 8 MiB */
	char *text = repeat("&@here```\xf0\x9f\x98\x80<\n", 1 << 16);
	struct compose *made = compose("t", text, payload);

	(void)state;
	assert_int_equal(made->count, 2);
	assert_string_equal(made->posts[0].content, text);
	assert_true(markup_count(made->posts[0].text) < 2600);
	assert_int_equal(made->posts[1].length, 8 << 20);
	assert_string_equal(made->posts[1].content, payload);
	compose_free(made);
	free(payload);
	free(text);
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
	assert_int_equal(out.length, 0);
	assert_true(pretty_append(&out, all + 1, strlen(all) - 2));
	buffer_free(&out);
	free(open);
	free(close);
}

/* 2 MiB that would be 130 with each number in a line. */
static void
leaves_json_as_it_is_that_grows_too_much(void **state)
{
	char *open = repeat("[", 64), *close = repeat("]", 64);
	char *numbers = repeat("1,", 1 << 20);
	char *all = malloc(strlen(numbers) + 160);
	struct buffer out = { 0 };

	(void)state;
	strcpy(all, open);
	strcat(all, numbers);
	strcat(all, "1");
	strcat(all, close);
	assert_true(pretty_is_json(all, strlen(all)));
	assert_false(pretty_append(&out, all, strlen(all)));
	assert_int_equal(out.length, 0);
	buffer_free(&out);
	free(all);
	free(numbers);
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
	    " 2025-11-22 10:00:00 to 10:00:59 UTC\n"
	    ":x: 15 danger, :white_check_mark: 985 success\n"
	    ":x: 15 \xc3\x97 nightly &lt;b&gt;\n"
	    ":white_check_mark: 900 \xc3\x97 (no title)\n"
	    "\xe2\x80\xa2 85 others\n"
	    "<https://u.test/ultronex/stream?channel=%23ci%20%26%20co"
	    "&amp;from=7&amp;to=1006|Each of them is on the dashboard>\n"
	    "_the first_\n> :x: nightly: @" Z "channel failed badly");
	compose_free(made);
}

static void
a_digest_may_last_over_midnight(void **state)
{
	struct compose *made = compose_digest(&(struct outbox_digest){
		.channel = "c", .messages = 1, .warning = 1,
		.first_us = INT64_C(1763855999000000),
		.last_us = INT64_C(1763856001000000) }, NULL);

	(void)state;
	assert_string_equal(made->posts[0].text,
	    "*1 message* came faster than they can be shown here,"
	    " 2025-11-22 23:59:59 to 2025-11-23 00:00:01 UTC\n"
	    ":warning: 1 warning");
	compose_free(made);
}

/* Digests of the longest that there are: all of it is this text. */
static void
check_long_digest(const char *text, const char *dashboard)
{
	struct outbox_digest digest = { .channel = text, .messages = 5,
	    .first_seq = 1, .last_seq = INT64_MAX, .danger = 1, .warning = 1,
	    .success = INT64_MAX, .tally_count = OUTBOX_TALLIES,
	    .first_count = OUTBOX_ENDS, .last_count = OUTBOX_ENDS };
	struct compose *made;
	const char *post;

	for (size_t i = 0; i < OUTBOX_TALLIES; i++)
		digest.tallies[i] = (struct outbox_tally){ "danger", text, 9 };
	for (size_t i = 0; i < OUTBOX_ENDS; i++)
		digest.first[i] = digest.last[i] = (struct outbox_line){
			.title = text, .text = text };
	made = compose_digest(&digest, dashboard);
	post = made->posts[0].text;
	assert_int_equal(made->count, 1);
	assert_true(markup_count(post) <= COMPOSE_CHARACTERS_MAX);
	assert_true(utf8_is_valid(post, strlen(post)));
	assert_null(strstr(post, "```"));
	assert_non_null(strstr(post, "|Each of them"));
	if (strlen(dashboard) < 100)
		assert_non_null(strstr(post, "_the first_\n> "));
	compose_free(made);
}

static void
a_digest_is_never_too_long(void **state)
{
	static const char *const units[] = { "&", "x", "`", "@here ", "\n",
		"\xf0\x9f\x98\x80", "\xe7\xab\xaf`" };
	char *host = repeat("h", 1000);

	(void)state;
	memcpy(host, "https://", 8);
	for (size_t i = 0; i < COUNT(units); i++) {
		char *text = repeat(units[i], 250 / strlen(units[i]));

		check_long_digest(text, host);
		check_long_digest(text, "http://localhost:8080/");
		free(text);
	}
	free(host);
}

/* What does not fit is among the others: the figures add up. */
static void
a_digest_accounts_for_all(void **state)
{
	char *title = repeat("&", 80);
	struct outbox_digest digest = { .channel = "c", .messages = 60,
	    .tally_count = OUTBOX_TALLIES, .rest = 10 };
	struct compose *made;
	int64_t count = 0;

	(void)state;
	for (size_t i = 0; i < OUTBOX_TALLIES; i++)
		digest.tallies[i] = (struct outbox_tally){ NULL, title, 5 };
	made = compose_digest(&digest, NULL);
	for (const char *line = strchr(made->posts[0].text, '\n'); line != NULL;
	    line = strchr(line + 1, '\n'))
		count += strtoll(line + 5, NULL, 10);
	assert_int_equal(count, 60);
	compose_free(made);
	free(title);
}

/* --- any text --------------------------------------------------------------*/

/* The same numbers at each run. */
static size_t
roll(uint64_t *dice, size_t sides)
{
	*dice = *dice * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (size_t)((*dice >> 33) % sides);
}

static char *
make_text(uint64_t *dice)
{
	static const char *const words[] = { "@channel", "@here", "<!channel>",
		"&", "<", ">", "`", "```", "``````", "\n", "\n\n", " ", "@",
		"channel", "\x01", "\xc3\xa4", "\xe7\xab\xaf",
		"\xf0\x9f\x98\x80", "*", "word", "a", ";", "\r\n", "\t" };
	size_t length = 1 + roll(dice, 6000), common = roll(dice, 24);
	struct buffer text = { 0 };

	for (size_t i = 0; i < length; i++)
		buffer_append_string(&text, words[roll(dice, 3) == 0 ? common
		    : roll(dice, COUNT(words))]);
	buffer_string(&text);
	return text.data;
}

static void
check_markup(const char *text)
{
	for (const char *at = text; *at != '\0'; at++) {
		assert_true(*at != '<' && *at != '>');
		if (*at == '&')
			assert_true(strncmp(at, "&amp;", 5) == 0 ||
			    strncmp(at, "&lt;", 4) == 0 ||
			    strncmp(at, "&gt;", 4) == 0);
		if (strncmp(at, "@channel", 8) == 0 ||
		    strncmp(at, "@here", 5) == 0)
			assert_true((at > text && (isalnum((unsigned char)
			    at[-1]) || at[-1] == '_')) ||
			    isalnum((unsigned char)at[at[1] == 'h' ? 5 : 8]));
	}
}

/* What is left where blanks and fences do not count. */
static void
append_letters(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++)
		if (strchr(" \t\n`", *text) == NULL)
			buffer_append(out, text, 1);
}

static void
any_text_comes_whole_and_harmless(void **state)
{
	uint64_t dice = 5;

	(void)state;
	for (int i = 0; i < 400; i++) {
		char *text = make_text(&dice);
		struct compose *made = compose("", text, NULL);
		struct buffer all = { 0 }, whole = { 0 }, seen = { 0 };

		assert_true(made->count <= COMPOSE_PARTS_MAX);
		check_parts(made, made->count);
		for (size_t k = 0; k < made->count; k++) {
			check_markup(made->posts[k].text);
			append_letters(&seen, made->posts[k].text);
		}
		markup_append(&all, text, false);
		append_letters(&whole, buffer_string(&all));
		if (made->posts[0].filename != NULL)
			assert_string_equal(made->posts[0].content, text);
		else if (whole.length > 0)
			assert_string_equal(buffer_string(&seen),
			    buffer_string(&whole));
		buffer_free(&all);
		buffer_free(&whole);
		buffer_free(&seen);
		compose_free(made);
		free(text);
	}
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
		cmocka_unit_test(cuts_nothing_behind_the_end),
		cmocka_unit_test(closes_and_reopens_code),
		cmocka_unit_test(sends_what_is_too_long_as_a_file),
		cmocka_unit_test(sends_long_payloads_as_files),
		cmocka_unit_test(sends_a_long_text_before_its_payload),
		cmocka_unit_test(keeps_fences_of_payloads_apart),
		cmocka_unit_test(lays_json_out_byte_for_byte),
		cmocka_unit_test(leaves_deep_json_as_it_is),
		cmocka_unit_test(a_digest_counts_first),
		cmocka_unit_test(a_digest_is_never_too_long),
		cmocka_unit_test(sends_no_blank_posts),
		cmocka_unit_test(names_files_after_the_title),
		cmocka_unit_test(takes_the_largest_messages),
		cmocka_unit_test(leaves_json_as_it_is_that_grows_too_much),
		cmocka_unit_test(a_digest_may_last_over_midnight),
		cmocka_unit_test(a_digest_accounts_for_all),
		cmocka_unit_test(any_text_comes_whole_and_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
