/* All that people see in a message is in its text, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "memory.h"
#include "message_text.h"
#include "record.h"
#include "slack_markup.h"
#include "utf8.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct reading {
	const char *line, *text;
};

/* Read one line by `read`; the text ends with NUL. */
static struct buffer
read_line(bool (*read)(struct record *record, struct buffer *text),
    const char *line, bool wanted)
{
	static const char *const none[] = { NULL };
	struct record *record = record_new("scanner", none);
	struct buffer text = { 0 };

	if (record_parse(record, line, strlen(line)) == -1)
		fail_msg("%s: %.200s", record_reason(record), line);
	assert_int_equal(read(record, &text), wanted);
	record_free(record);
	buffer_string(&text);
	return text;
}

static void
check_readings(bool (*read)(struct record *record, struct buffer *text),
    const struct reading *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct buffer text = read_line(read, cases[i].line, true);

		if (strcmp(text.data, cases[i].text) != 0)
			fail_msg("%s\nread as '%s'\nnot as  '%s'",
			    cases[i].line, text.data, cases[i].text);
		assert_int_equal(strlen(text.data), text.length);
		buffer_free(&text);
	}
}

static void
undoes_the_markup_of_Slack(void **state)
{
	static const struct {
		const char *markup, *text;
	} cases[] = {
		{ "", "" },
		{ "plain *bold* _it_ `code`", "plain *bold* _it_ `code`" },
		{ "&amp;&lt;&gt;", "&<>" },
		{ "a &lt;b&gt; c", "a <b> c" },
		{ "&amp;lt;", "&lt;" },
		{ "&amp;amp;lt;", "&amp;lt;" },
		{ "&", "&" },
		{ "&&", "&&" },
		{ "&am", "&am" },
		{ "&amp", "&amp" },
		{ "&quot;&#39;&nbsp;", "&quot;&#39;&nbsp;" },
		{ "&LT;&Amp;", "&LT;&Amp;" },
		{ "&&lt;", "&<" },
		{ "<@U1>", "@U1" },
		{ "<@U1|ann>", "@ann" },
		{ "<@W1|>", "@W1" },
		{ "<#C1>", "#C1" },
		{ "<#C1|general>", "#general" },
		{ "<#C1|>", "#C1" },
		{ "<!here>", "@here" },
		{ "<!channel>", "@channel" },
		{ "<!everyone>", "@everyone" },
		{ "<!subteam^S1|@qa>", "@qa" },
		{ "<!subteam^S1>", "@S1" },
		{ "<!date^1763800000^{date_short}^https://a.b|22 Nov>",
		    "22 Nov" },
		{ "<https://a.b/c>", "https://a.b/c" },
		{ "<https://a.b|label>", "label (https://a.b)" },
		{ "<https://a.b|>", "https://a.b" },
		{ "<http://example.org|example.org>", "http://example.org" },
		{ "<mailto:a@b.c|a@b.c>", "mailto:a@b.c" },
		{ "<tel:+1234|call>", "call (tel:+1234)" },
		{ "<https://a.b/?x=1&amp;y=2|A &amp; &lt;B&gt;>",
		    "A & <B> (https://a.b/?x=1&y=2)" },
		{ "<https://a.b|x|y>", "x|y (https://a.b)" },
		{ "hi <@U1>, see <https://a.b|this>!",
		    "hi @U1, see this (https://a.b)!" },
		{ "<@U1><@U2>", "@U1@U2" },
		{ "<https://a.b/\xe2\x9c\x93|\xc3\xa9>",
		    "\xc3\xa9 (https://a.b/\xe2\x9c\x93)" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer out = { 0 };

		slack_markup_undo(
		    &out, cases[i].markup, strlen(cases[i].markup));
		if (strcmp(buffer_string(&out), cases[i].text) != 0)
			fail_msg("'%s' became '%s', not '%s'", cases[i].markup,
			    out.data, cases[i].text);
		buffer_free(&out);
	}
}

static void
leaves_what_is_no_markup_of_Slack(void **state)
{
	static const char *const texts[] = { "<", ">", "<>", "<|>", "<@>",
		"<#>", "<!>", "<@|x>", "<#|>", "<||>", "<|", "<@", "<@U1",
		"<https://a.b|x", "<script>", "</textarea>", "<b>bold</b>",
		"<img src=x onerror=alert(1)>", "<:>", "<://a>", "<1:2>",
		"<a b:c>", "<<>>", "<<<", ">>>", "a<b", "a < b > c",
		"< !-- x -->", "<\xff>", "1 << 2 >> 3", "<$HOME>", "< @U1>" };

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct buffer out = { 0 };
		size_t length = strlen(texts[i]);
		char *copy = malloc(length + 1);

		memcpy(copy, texts[i], length);
		slack_markup_undo(&out, copy, length);
		if (strcmp(buffer_string(&out), texts[i]) != 0)
			fail_msg("'%s' became '%s'", texts[i], out.data);
		buffer_free(&out);
		free(copy);
	}
}

/* Every prefix and every rest of marked-up text, in a block of that size. */
static void
reads_within_text_that_is_cut_anywhere(void **state)
{
	static const char markup[] = "&amp;<@U1|a><!date^1^x|y>&lt;<#C|>"
				     "<https://a.b|c&gt;d><|><!^><!a^>&";
	size_t length = strlen(markup);

	(void)state;
	for (size_t from = 0; from < length; from++)
		for (size_t to = from; to <= length; to++) {
			struct buffer out = { 0 };
			char *copy = malloc(to - from);

			memcpy(copy, markup + from, to - from);
			slack_markup_undo(&out, copy, to - from);
			assert_true(out.length <= to - from + 2);
			buffer_free(&out);
			free(copy);
		}
}

static void
finds_a_token_behind_an_open_bracket(void **state)
{
	static const struct {
		const char *markup, *text;
	} cases[] = {
		{ "a < b <@U1> c", "a < b @U1 c" },
		{ "x <y <https://a.b|z>", "x <y z (https://a.b)" },
		{ "<@U1 <@U2>", "<@U1 @U2" },
		{ "<<@U1>", "<@U1" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer out = { 0 };

		slack_markup_undo(
		    &out, cases[i].markup, strlen(cases[i].markup));
		if (strcmp(buffer_string(&out), cases[i].text) != 0)
			fail_msg("'%s' became '%s', not '%s'", cases[i].markup,
			    out.data, cases[i].text);
		buffer_free(&out);
	}
}

static void
shows_a_link_by_its_label_and_its_URL(void **state)
{
	static const struct {
		const char *url, *label, *text;
	} cases[] = {
		{ "https://a.b", NULL, "https://a.b" },
		{ "https://a.b", "", "https://a.b" },
		{ "https://a.b", "x", "x (https://a.b)" },
		{ "https://a.b", "a.b", "https://a.b" },
		{ "https://a.b", "https://a.b/c",
		    "https://a.b/c (https://a.b)" },
		{ "https://a.b?x&amp;y", "%s&lt;",
		    "%s&lt; (https://a.b?x&amp;y)" },
		{ "", "x", "x ()" },
		{ "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer out = { 0 };

		slack_markup_link(&out, cases[i].url, cases[i].label);
		assert_string_equal(buffer_string(&out), cases[i].text);
		buffer_free(&out);
	}
}

static void
reads_text_and_blocks(void **state)
{
	static const struct reading cases[] = {
		{ "{}", "" },
		{ "{\"text\":\"\"}", "" },
		{ "{\"text\":\"a &lt;b&gt; <@U1>\"}", "a <b> @U1" },
		{ "{\"text\":\"a\",\"blocks\":[{\"type\":\"section\","
		  "\"text\":{\"type\":\"mrkdwn\",\"text\":\"b &amp; c\"}}]}",
		    "a\nb & c" },
		{ "{\"blocks\":[{\"type\":\"section\",\"fields\":["
		  "{\"type\":\"plain_text\",\"text\":\"one\"},"
		  "{\"type\":\"plain_text\",\"text\":\"two\"}]}]}",
		    "one\ntwo" },
		{ "{\"blocks\":[{\"type\":\"header\",\"text\":{\"text\":"
		  "\"head\"}},"
		  "{\"type\":\"divider\"},"
		  "{\"type\":\"context\",\"elements\":[{\"type\":\"image\","
		  "\"image_url\":\"https://i\",\"alt_text\":\"alt\"},"
		  "{\"type\":\"mrkdwn\",\"text\":\"ctx\"}]}]}",
		    "head\nhttps://i\nalt\nctx" },
		{ "{\"blocks\":[{\"type\":\"actions\",\"block_id\":\"hidden\","
		  "\"elements\":[{\"type\":\"button\",\"action_id\":\"no\","
		  "\"text\":{\"type\":\"plain_text\",\"text\":\"Press\"},"
		  "\"value\":\"v1\",\"url\":\"https://u\"}]}]}",
		    "Press\nv1\nhttps://u" },
		{ "{\"blocks\":[{\"type\":\"markdown\",\"text\":\"# Title\"}]}",
		    "# Title" },
		{ "{\"blocks\":[{\"type\":\"table\",\"rows\":[[{\"type\":"
		  "\"raw_text\",\"text\":\"c1\"},{\"type\":\"raw_text\","
		  "\"text\":\"c2\"}],[{\"type\":\"rich_text\",\"elements\":"
		  "[{\"type\":\"rich_text_section\",\"elements\":[{\"type\":"
		  "\"text\",\"text\":\"c3\"}]}]}]]}]}",
		    "c1\nc2\nc3" },
		{ "{\"text\":null,\"blocks\":null}", "" },
		{ "{\"text\":1,\"blocks\":\"x\"}", "" },
		{ "{\"text\":[\"x\"],\"blocks\":{\"text\":\"y\"}}", "y" },
		{ "{\"blocks\":[null,1,\"x\",true,[],{}]}", "" },
	};

	(void)state;
	check_readings(message_text, cases, COUNT(cases));
}

static void
reads_blocks_that_nobody_knows_yet(void **state)
{
	static const struct reading cases[] = {
		{ "{\"blocks\":[{\"type\":\"hologram\",\"surface\":[{\"deep\":"
		  "{\"title\":\"seen\",\"code\":\"unseen\",\"body\":{\"body\":"
		  "\"also\"}}}]}]}",
		    "seen\nalso" },
		{ "{\"blocks\":[{\"type\":\"card\",\"title\":\"t\","
		  "\"subtitle\":"
		  "\"s\",\"body\":\"b\",\"details\":\"d\",\"output\":\"o\","
		  "\"raw_text\":\"r\",\"hint\":\"h\",\"label\":\"l\","
		  "\"description\":\"e\"}]}",
		    "t\ns\nb\nd\no\nr\nh\nl\ne" },
		{ "{\"blocks\":[{\"type\":\"list\",\"text\":[\"x\",[\"y\"]]}]}",
		    "x\ny" },
	};

	(void)state;
	check_readings(message_text, cases, COUNT(cases));
}

#define RICH(leaves)                                                           \
	"{\"blocks\":[{\"type\":\"rich_text\",\"elements\":["                  \
	"{\"type\":\"rich_text_section\",\"elements\":[" leaves "]}]}]}"

static void
joins_the_leaves_of_a_rich_text_section(void **state)
{
	static const struct reading cases[] = {
		{ RICH("{\"type\":\"text\",\"text\":\"fatal "
		       "\"},{\"type\":\"text\","
		       "\"text\":\"exc\",\"style\":{\"bold\":true}},{\"type\":"
		       "\"text\",\"text\":\"eption\"}"),
		    "fatal exception" },
		{ RICH("{\"type\":\"text\",\"text\":\"&lt;a&gt; <@U1>\"}"),
		    "&lt;a&gt; <@U1>" },
		{ RICH("{\"type\":\"emoji\",\"name\":\"x\",\"unicode\":"
		       "\"274c\"},"
		       "{\"type\":\"text\",\"text\":\" by "
		       "\"},{\"type\":\"user\","
		       "\"user_id\":\"U1\"},{\"type\":\"text\",\"text\":\" in "
		       "\"},"
		       "{\"type\":\"channel\",\"channel_id\":\"C1\"}"),
		    ":x: by @U1 in #C1" },
		{ RICH("{\"type\":\"broadcast\",\"range\":\"here\"},{\"type\":"
		       "\"usergroup\",\"usergroup_id\":\"S1\"},{\"type\":"
		       "\"team\","
		       "\"team_id\":\"T1\"}"),
		    "@here@S1@T1" },
		{ RICH("{\"type\":\"link\",\"url\":\"https://a.b/?x&y\"},"
		       "{\"type\":\"text\",\"text\":\" \"},{\"type\":\"link\","
		       "\"url\":\"https://c.d\",\"text\":\"label\"}"),
		    "https://a.b/?x&y label (https://c.d)" },
		{ RICH("{\"type\":\"date\",\"timestamp\":1,\"fallback\":"
		       "\"today\"},"
		       "{\"type\":\"color\",\"value\":\"#ff0000\"}"),
		    "today#ff0000" },
		{ RICH("{\"type\":\"unheard\",\"text\":\"new\"},{\"text\":\" "
		       "leaf\"}"),
		    "new leaf" },
		{ RICH("null,1,\"x\",[],{},{\"type\":1,\"text\":2},"
		       "{\"type\":\"emoji\"},{\"type\":\"link\"}"),
		    "" },
		{ RICH(""), "" },
		{ "{\"blocks\":[{\"type\":\"rich_text_section\"}]}", "" },
		{ "{\"blocks\":[{\"type\":\"rich_text_section\","
		  "\"elements\":\"x\"}]}",
		    "" },
		{ "{\"blocks\":[{\"type\":\"rich_text\",\"elements\":[{"
		  "\"type\":"
		  "\"rich_text_list\",\"elements\":[{\"type\":"
		  "\"rich_text_section\",\"elements\":[{\"type\":\"text\","
		  "\"text\":\"one\"}]},{\"type\":\"rich_text_section\","
		  "\"elements\":[{\"type\":\"text\",\"text\":\"two\"}]}]},"
		  "{\"type\":\"rich_text_quote\",\"elements\":[{\"type\":"
		  "\"text\",\"text\":\"quo\"},{\"type\":\"text\",\"text\":"
		  "\"ted\"}]},{\"type\":\"rich_text_preformatted\","
		  "\"elements\":[{\"type\":\"text\",\"text\":\"co\"},"
		  "{\"type\":\"text\",\"text\":\"de\"}]}]}]}",
		    "one\ntwo\nquoted\ncode" },
	};

	(void)state;
	check_readings(message_text, cases, COUNT(cases));
}

static void
says_once_what_stands_in_text_and_in_blocks(void **state)
{
	static const struct reading cases[] = {
		{ "{\"text\":\"build 7 failed\",\"blocks\":[{\"type\":"
		  "\"rich_text\",\"elements\":[{\"type\":\"rich_text_section\","
		  "\"elements\":[{\"type\":\"text\",\"text\":\"build \"},"
		  "{\"type\":\"text\",\"text\":\"7\"},{\"type\":\"text\","
		  "\"text\":\" failed\"}]}]}]}",
		    "build 7 failed" },
		{ "{\"text\":\"a &lt; b\",\"blocks\":[{\"text\":\"a &lt; "
		  "b\"}]}",
		    "a < b" },
		{ "{\"text\":\"<@U1> hi\",\"blocks\":[{\"type\":"
		  "\"rich_text_section\",\"elements\":[{\"type\":\"user\","
		  "\"user_id\":\"U1\"},{\"type\":\"text\",\"text\":\" "
		  "hi\"}]}]}",
		    "@U1 hi" },
		{ "{\"text\":\"one\",\"blocks\":[{\"text\":\"two\"},"
		  "{\"text\":\"one\"},{\"text\":\"two\"}]}",
		    "one\ntwo" },
		{ "{\"text\":\"One\",\"blocks\":[{\"text\":\"one\"}]}",
		    "One\none" },
	};

	(void)state;
	check_readings(message_text, cases, COUNT(cases));
}

/* `\bANR\b` must find the field although the letters stood somewhere before. */
static void
keeps_a_word_that_was_only_part_of_a_longer_one(void **state)
{
	static const struct reading cases[] = {
		{ "{\"text\":\"MANRESA is "
		  "up\",\"blocks\":[{\"text\":\"ANR\"}]}",
		    "MANRESA is up\nANR" },
		{ "{\"text\":\"build 1234\",\"blocks\":[{\"text\":\"23\"}]}",
		    "build 1234\n23" },
	};

	(void)state;
	check_readings(message_text, cases, COUNT(cases));
}

static void
reads_the_new_state_of_an_edit(void **state)
{
	static const struct reading cases[] = {
		{ "{\"subtype\":\"message_changed\",\"text\":\"outer\","
		  "\"message\":{\"text\":\"new\",\"blocks\":[{\"text\":"
		  "\"block\"}]},\"previous_message\":{\"text\":\"old\"}}",
		    "new\nblock" },
		{ "{\"subtype\":\"message_changed\",\"message\":{\"text\":"
		  "\"a\"},"
		  "\"previous_message\":[]}",
		    "a" },
		{ "{\"text\":\"kept\",\"message\":{}}", "kept" },
		{ "{\"text\":\"kept\",\"message\":[]}", "kept" },
		{ "{\"text\":\"kept\",\"message\":\"x\"}", "kept" },
		{ "{\"text\":\"kept\",\"message\":null}", "kept" },
	};

	(void)state;
	check_readings(message_text, cases, COUNT(cases));
}

static void
reads_attachments_and_shared_messages(void **state)
{
	static const struct reading cases[] = {
		{ "{}", "" },
		{ "{\"attachments\":null,\"files\":null}", "" },
		{ "{\"attachments\":[],\"files\":[]}", "" },
		{ "{\"attachments\":\"x\",\"files\":\"x\"}", "" },
		{ "{\"attachments\":[1,null],\"files\":[1,null,\"x\",[]]}",
		    "" },
		{ "{\"text\":\"no\",\"attachments\":[{\"fallback\":\"fb\","
		  "\"pretext\":\"pre\",\"author_name\":\"au\",\"title\":\"ti\","
		  "\"title_link\":\"https://l\",\"text\":\"te &amp; xt\","
		  "\"fields\":[{\"title\":\"k\",\"value\":\"w\",\"short\":true}"
		  "],\"footer\":\"foot\",\"color\":\"#f00\",\"id\":1,"
		  "\"mrkdwn_in\":[\"text\"],\"ts\":\"1\"}]}",
		    "fb\npre\nau\nti\nhttps://l\nte & xt\nk\nw\nfoot" },
		{ "{\"attachments\":[{\"is_share\":true,\"message_blocks\":[{"
		  "\"team\":\"T1\",\"message\":{\"blocks\":[{\"type\":"
		  "\"rich_text\",\"elements\":[{\"type\":\"rich_text_section\","
		  "\"elements\":[{\"type\":\"text\",\"text\":\"shared \"},"
		  "{\"type\":\"text\",\"text\":\"body\"}]}]}]}}]}]}",
		    "shared body" },
		{ "{\"attachments\":[{\"blocks\":[{\"type\":\"section\","
		  "\"text\":"
		  "{\"text\":\"nested\"}}],\"files\":[{\"name\":\"log.txt\"}],"
		  "\"actions\":[{\"text\":\"Retry\"}],\"preview\":{\"title\":"
		  "\"pt\",\"subtitle\":\"ps\"}}]}",
		    "nested\nlog.txt\nRetry\npt\nps" },
		{ "{\"attachments\":[{\"fallback\":\"same\",\"text\":\"same\"}]"
		  "}",
		    "same" },
		{ "{\"message\":{\"attachments\":[{\"text\":\"new\"}]},"
		  "\"attachments\":[{\"text\":\"old\"}]}",
		    "new" },
	};

	(void)state;
	check_readings(message_attachments, cases, COUNT(cases));
}

static void
reads_what_Slack_shows_of_files(void **state)
{
	static const struct reading cases[] = {
		{ "{\"files\":[{\"id\":\"F1\",\"name\":\"a.log\",\"title\":"
		  "\"crash &lt;1&gt;\",\"mimetype\":\"text/plain\",\"preview\":"
		  "\"line <@U1>\",\"url_private\":\"https://x\"}]}",
		    "a.log\ncrash &lt;1&gt;\nline <@U1>" },
		{ "{\"files\":[{\"name\":null,\"title\":7},{\"name\":\"b\"}]}",
		    "b" },
		{ "{\"files\":[{\"name\":\"mail\",\"plain_text\":\"body\","
		  "\"preview_plain_text\":\"short\"}]}",
		    "mail\nbody\nshort" },
		{ "{\"files\":[{\"name\":\"clip\",\"transcription\":{"
		  "\"preview\":"
		  "{\"content\":\"spoken\"}}}]}",
		    "clip\nspoken" },
		{ "{\"files\":[{\"transcription\":[]},{\"transcription\":"
		  "{\"preview\":\"x\"}}]}",
		    "" },
		{ "{\"files\":[{\"name\":\"same\",\"title\":\"same\"}]}",
		    "same" },
		{ "{\"message\":{\"files\":[{\"name\":\"new\"}]}}", "new" },
		{ "{\"files\":[{\"name\":\"</script>.png\"}]}",
		    "</script>.png" },
	};

	(void)state;
	check_readings(message_attachments, cases, COUNT(cases));
}

static void
reads_a_payload_of_any_type(void **state)
{
	static const struct reading cases[] = {
		{ "{}", "" },
		{ "{\"payload\":\"\"}", "" },
		{ "{\"payload\":\"raw &lt;b&gt; <@U1>\"}",
		    "raw &lt;b&gt; <@U1>" },
		{ "{\"payload\":\"a\\nb\\u00e9\"}", "a\nb\xc3\xa9" },
		{ "{\"payload\":null}", "null" },
		{ "{\"payload\":7.10}", "7.10" },
		{ "{\"payload\":[ 1, 9007199254740993 ]}",
		    "[ 1, 9007199254740993 ]" },
		{ "{\"payload\":{\"a\":\"b\",\"c\":[]}}",
		    "{\"a\":\"b\",\"c\":[]}" },
		{ "{\"payload\":{\"a\":\"\\u30a8\\u30e9\\u30fc\"}}",
		    "{\"a\":\"\xe3\x82\xa8\xe3\x83\xa9\xe3\x83\xbc\"}" },
	};

	(void)state;
	check_readings(message_payload, cases, COUNT(cases));
}

/* Python writes `\u` by default: the number beside it must not change. */
static void
keeps_the_numbers_of_a_payload_with_escapes(void **state)
{
	static const struct reading cases[] = {
		{ "{\"payload\":{\"a\":\"\\u00e9\",\"id\":9007199254740993}}",
		    "{\"a\":\"\xc3\xa9\",\"id\":9007199254740993}" },
		{ "{\"payload\":[\"\\u00e9\",1.10,12345678901234567890]}",
		    "[\"\xc3\xa9\",1.10,12345678901234567890]" },
	};

	(void)state;
	check_readings(message_payload, cases, COUNT(cases));
}

static void
appends_behind_what_the_buffer_holds(void **state)
{
	static const char *const none[] = { NULL };
	struct record *record = record_new("scanner", none);
	static const char line[] =
	    "{\"text\":\"a\",\"blocks\":[{\"text\":\"b\"}],"
	    "\"files\":[{\"name\":\"b\"}],\"payload\":\"a\"}";
	struct buffer text = { 0 };

	(void)state;
	assert_int_equal(record_parse(record, line, strlen(line)), 0);
	buffer_append_string(&text, "a|");
	assert_true(message_text(record, &text));
	buffer_append_string(&text, "|");
	assert_true(message_attachments(record, &text));
	buffer_append_string(&text, "|");
	assert_true(message_payload(record, &text));
	assert_string_equal(buffer_string(&text), "a|a\nb|b|a");
	buffer_free(&text);
	record_free(record);
}

static bool
is_depth_whole(const char *open, const char *close, int count)
{
	static const char *const none[] = { NULL };
	struct record *record = record_new("scanner", none);
	struct buffer line = { 0 }, text = { 0 };

	buffer_append_string(&line, "{\"text\":\"top\",\"blocks\":");
	for (int i = 0; i < count; i++)
		buffer_append_string(&line, open);
	buffer_append_string(&line, "{\"text\":\"deep\"}");
	for (int i = 0; i < count; i++)
		buffer_append_string(&line, close);
	buffer_append_string(&line, "}");
	assert_int_equal(record_parse(record, line.data, line.length), 0);

	bool is_whole = message_text(record, &text);
	assert_string_equal(
	    buffer_string(&text), is_whole ? "top\ndeep" : "top");
	buffer_free(&line);
	buffer_free(&text);
	record_free(record);
	return is_whole;
}

static void
says_where_blocks_are_too_deep(void **state)
{
	(void)state;
	assert_true(is_depth_whole("[", "]", 1));
	assert_true(is_depth_whole("[", "]", 30));
	assert_false(is_depth_whole("[", "]", 33));
	assert_false(is_depth_whole("[", "]", 500));
	assert_true(is_depth_whole("{\"x\":", "}", 30));
	assert_false(is_depth_whole("{\"x\":", "}", 33));
	assert_false(is_depth_whole("{\"x\":", "}", 500));
}

/* A message of `before` bytes of text, then `character`, then more in blocks.
 */
static char *
make_message(size_t before, const char *character, const char *blocks)
{
	struct buffer line = { 0 };

	buffer_append_string(&line, "{\"text\":\"");
	memset(buffer_reserve(&line, before), 'x', before);
	line.length += before;
	buffer_printf(&line, "%s\",\"blocks\":%s}", character, blocks);
	buffer_string(&line);
	return line.data;
}

static void
takes_a_text_of_1_MiB_whole(void **state)
{
	char *line = make_message(MESSAGE_TEXT_BYTES_MAX - 2, "\xc3\xa9", "[]");
	struct buffer text = read_line(message_text, line, true);

	(void)state;
	assert_int_equal(text.length, MESSAGE_TEXT_BYTES_MAX);
	assert_true(utf8_is_valid(text.data, text.length));
	buffer_free(&text);
	free(line);
}

/* Cut at every place around a character and around the end of a piece. */
static void
cuts_a_text_over_1_MiB_at_a_character(void **state)
{
	static const char *const characters[] = { "y", "\xc3\xa9",
		"\xe2\x9c\x93", "\xf0\x9f\x98\x80" };

	(void)state;
	for (size_t i = 0; i < COUNT(characters); i++)
		for (size_t short_of = 0; short_of < 8; short_of++) {
			char *line = make_message(
			    MESSAGE_TEXT_BYTES_MAX - short_of, characters[i],
			    "[{\"text\":\"more than fits\"}]");
			struct buffer text =
			    read_line(message_text, line, false);

			assert_true(text.length <= MESSAGE_TEXT_BYTES_MAX);
			assert_true(text.length > MESSAGE_TEXT_BYTES_MAX - 8);
			if (!utf8_is_valid(text.data, text.length))
				fail_msg(
				    "character of %zu bytes cut, %zu short",
				    strlen(characters[i]), short_of);
			buffer_free(&text);
			free(line);
		}
}

static void
loses_no_byte_of_a_text_that_just_fits(void **state)
{
	char *line =
	    make_message(MESSAGE_TEXT_BYTES_MAX, "", "[{\"text\":\"more\"}]");
	struct buffer text = read_line(message_text, line, false);

	(void)state;
	assert_int_equal(text.length, MESSAGE_TEXT_BYTES_MAX);
	buffer_free(&text);
	free(line);
}

static void
cuts_attachments_and_payloads_over_1_MiB(void **state)
{
	size_t length = 3 * MESSAGE_TEXT_BYTES_MAX;
	char *much = xmalloc(length + 1);
	struct buffer line = { 0 };

	(void)state;
	memset(much, 'x', length);
	much[length] = '\0';
	buffer_printf(&line,
	    "{\"attachments\":[{\"text\":\"%s\"},"
	    "{\"text\":\"later\"}],\"files\":[{\"name\":\"late\"}],"
	    "\"payload\":[\"%s\"]}",
	    much, much);

	struct buffer text =
	    read_line(message_attachments, buffer_string(&line), false);
	assert_int_equal(text.length, MESSAGE_TEXT_BYTES_MAX);
	buffer_free(&text);
	text = read_line(message_payload, buffer_string(&line), false);
	assert_int_equal(text.length, MESSAGE_TEXT_BYTES_MAX);
	buffer_free(&text);
	buffer_free(&line);
	free(much);
}

static void
reads_ten_thousand_small_pieces(void **state)
{
	struct buffer line = { 0 };

	(void)state;
	buffer_append_string(&line, "{\"blocks\":[");
	for (int i = 0; i < 10000; i++)
		buffer_printf(
		    &line, "%s{\"text\":\"piece %d.\"}", i > 0 ? "," : "", i);
	buffer_append_string(&line, "]}");

	struct buffer text =
	    read_line(message_text, buffer_string(&line), true);
	assert_non_null(strstr(text.data, "piece 0.\npiece 1.\n"));
	assert_non_null(strstr(text.data, "\npiece 9999."));
	buffer_free(&text);
	buffer_free(&line);
}

/* As every browser does. */
static void
takes_the_last_of_members_of_one_name(void **state)
{
	static const struct reading cases[] = {
		{ "{\"text\":\"a\",\"text\":\"b\"}", "b" },
		{ "{\"message\":{\"text\":\"a\",\"text\":\"b\"}}", "b" },
		{ "{\"blocks\":[{\"type\":\"rich_text_section\",\"elements\":[],"
		    "\"elements\":[{\"type\":\"text\",\"text\":\"a\","
		    "\"text\":\"b\"}]}]}", "b" },
	};

	(void)state;
	check_readings(message_text, cases, COUNT(cases));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(undoes_the_markup_of_Slack),
		cmocka_unit_test(leaves_what_is_no_markup_of_Slack),
		cmocka_unit_test(reads_within_text_that_is_cut_anywhere),
		cmocka_unit_test(finds_a_token_behind_an_open_bracket),
		cmocka_unit_test(shows_a_link_by_its_label_and_its_URL),
		cmocka_unit_test(reads_text_and_blocks),
		cmocka_unit_test(reads_blocks_that_nobody_knows_yet),
		cmocka_unit_test(joins_the_leaves_of_a_rich_text_section),
		cmocka_unit_test(says_once_what_stands_in_text_and_in_blocks),
		cmocka_unit_test(
		    keeps_a_word_that_was_only_part_of_a_longer_one),
		cmocka_unit_test(reads_the_new_state_of_an_edit),
		cmocka_unit_test(reads_attachments_and_shared_messages),
		cmocka_unit_test(reads_what_Slack_shows_of_files),
		cmocka_unit_test(reads_a_payload_of_any_type),
		cmocka_unit_test(keeps_the_numbers_of_a_payload_with_escapes),
		cmocka_unit_test(appends_behind_what_the_buffer_holds),
		cmocka_unit_test(says_where_blocks_are_too_deep),
		cmocka_unit_test(takes_a_text_of_1_MiB_whole),
		cmocka_unit_test(cuts_a_text_over_1_MiB_at_a_character),
		cmocka_unit_test(loses_no_byte_of_a_text_that_just_fits),
		cmocka_unit_test(cuts_attachments_and_payloads_over_1_MiB),
		cmocka_unit_test(reads_ten_thousand_small_pieces),
		cmocka_unit_test(takes_the_last_of_members_of_one_name),
	};

	return cmocka_run_group_tests_name("message_text", tests, NULL, NULL);
}
