/*
 * What Slack says on a connection of Socket Mode is told apart, however odd
 * it is.
 *
 * modules: slack-reader/socket_message.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../slack-reader/socket_message.h"

static const char *const own[] = { NULL };

static struct socket_message
read_text(const char *text)
{
	struct record *record = record_new("test", own);
	struct socket_message message;

	socket_message_read(&message, record, text, strlen(text));
	record_free(record);
	return message;
}

static struct socket_message
read_id(const char *id)
{
	char text[512];

	snprintf(text, sizeof text, "{\"envelope_id\":%s}", id);
	return read_text(text);
}

static void
reads_hello(void **state)
{
	struct socket_message message = read_text(
	    "{\"type\":\"hello\",\"num_connections\":3,\"debug_info\":"
	    "{\"host\":\"applink-5\",\"approximate_connection_time\":18060}}");

	(void)state;
	assert_int_equal(message.kind, SOCKET_HELLO);
	assert_int_equal(message.connections, 3);
	assert_int_equal(message.lifetime_s, 18060);
}

static void
reads_hello_that_says_little_or_nonsense(void **state)
{
	static const char *const hellos[] = {
		"{\"type\":\"hello\"}",
		"{\"type\":\"hello\",\"num_connections\":\"3\","
		    "\"debug_info\":7}",
		"{\"type\":\"hello\",\"num_connections\":1.5,\"debug_info\":"
		    "{\"approximate_connection_time\":-1}}",
		"{\"type\":\"hello\",\"num_connections\":null,\"debug_info\":"
		    "{\"approximate_connection_time\":1e300}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof hellos / sizeof hellos[0]; i++) {
		struct socket_message message = read_text(hellos[i]);

		assert_int_equal(message.kind, SOCKET_HELLO);
		assert_int_equal(message.connections, 0);
		assert_int_equal(message.lifetime_s, 0);
	}
}

static void
knows_the_reasons_of_a_disconnect(void **state)
{
	static const struct {
		const char *text;
		enum socket_end end;
	} cases[] = {
		{ "\"warning\"", SOCKET_END_REFRESH },
		{ "\"refresh_requested\"", SOCKET_END_REFRESH },
		{ "\"something_new\"", SOCKET_END_REFRESH },
		{ "{\"no\":\"text\"}", SOCKET_END_REFRESH },
		{ "\"link_disabled\"", SOCKET_END_DISABLED },
		{ "\"too_many_websockets\"", SOCKET_END_TOO_MANY },
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(text, sizeof text,
		    "{\"type\":\"disconnect\",\"reason\":%s}", cases[i].text);
		struct socket_message message = read_text(text);
		assert_int_equal(message.kind, SOCKET_DISCONNECT);
		assert_int_equal(message.end, cases[i].end);
	}
	assert_int_equal(read_text("{\"type\":\"disconnect\"}").end,
	    SOCKET_END_REFRESH);
}

static void
takes_an_envelope_of_any_type(void **state)
{
	struct socket_message message = read_text(
	    "{\"envelope_id\":\"0b6f2f2e-4f6e\",\"type\":\"hello\"}");

	(void)state;
	assert_int_equal(message.kind, SOCKET_ENVELOPE);
	assert_string_equal(message.envelope_id, "0b6f2f2e-4f6e");
	message = read_text("{\"envelope_id\":\"x\",\"type\":7}");
	assert_int_equal(message.kind, SOCKET_ENVELOPE);
}

static void
refuses_an_id_that_cannot_go_into_an_ack(void **state)
{
	static const char *const ids[] = { "7", "null", "\"\"", "\"a b\"",
	    "\"a\\\"b\"", "\"a\\u0000b\"", "\"a\\nb\"", "\"\303\244\"", "[]" };
	char longest[SOCKET_ENVELOPE_ID_BYTES + 2] = "\"";

	(void)state;
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		assert_int_equal(read_id(ids[i]).kind, SOCKET_BAD_ID);
	memset(longest + 1, 'a', SOCKET_ENVELOPE_ID_BYTES - 1);
	longest[SOCKET_ENVELOPE_ID_BYTES] = '"';
	assert_int_equal(read_id(longest).kind, SOCKET_ENVELOPE);
	char longer[SOCKET_ENVELOPE_ID_BYTES + 3];
	snprintf(longer, sizeof longer, "\"a%s", longest + 1);
	assert_int_equal(read_id(longer).kind, SOCKET_BAD_ID);
}

static void
tells_what_it_does_not_know_from_what_is_no_json(void **state)
{
	(void)state;
	assert_int_equal(read_text("{}").kind, SOCKET_OTHER);
	assert_int_equal(read_text("{\"type\":\"goodbye\"}").kind,
	    SOCKET_OTHER);
	assert_int_equal(read_text("").kind, SOCKET_GARBLED);
	assert_int_equal(read_text("hello").kind, SOCKET_GARBLED);
	assert_int_equal(read_text("[1]").kind, SOCKET_GARBLED);
	assert_int_equal(read_text("{\"type\":\"hello\"").kind,
	    SOCKET_GARBLED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_hello),
		cmocka_unit_test(reads_hello_that_says_little_or_nonsense),
		cmocka_unit_test(knows_the_reasons_of_a_disconnect),
		cmocka_unit_test(takes_an_envelope_of_any_type),
		cmocka_unit_test(refuses_an_id_that_cannot_go_into_an_ack),
		cmocka_unit_test(
		    tells_what_it_does_not_know_from_what_is_no_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
