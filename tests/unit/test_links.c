/*
 * Connections to a WebSocket server that does what the protocol allows, and
 * what it does not: a thread that answers one connection as it is told.
 *
 * modules: slack-reader/links.c slack-reader/link_url.c slack-reader/resolver.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../../slack-reader/links.h"
#include "buffer.h"
#include "clock.h"
#include "events.h"
#include "memory.h"
#include "timers.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define PATIENCE_MS 10000

struct server {
	int listener;
	int port;
	pthread_t thread;

	/* what it does: an answer of its own, frames behind it, the end */
	const char *answer;
	struct buffer frames;
	bool hangs_up;

	struct buffer request;
	struct buffer heard;	/* behind the request, until the end */
};

struct fixture {
	struct server server;
	int set;
	struct timers *timers;
	struct timer patience;
	struct links *links;
	struct link *link;

	size_t opened;
	size_t received;
	size_t closed;
	size_t length;		/* of the last message */
	char text[256];		/* all, where short */
	char reason[256];
	int http_status;
	bool is_late;
};

/* --- the server -----------------------------------------------------------*/

static void
write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		bytes += n;
		length -= (size_t)n;
	}
}

static void
read_request(int fd, struct buffer *request)
{
	char byte;

	while (strstr(buffer_string(request), "\r\n\r\n") == NULL &&
	    read(fd, &byte, 1) == 1)
		buffer_append(request, &byte, 1);
}

static void
write_upgrade(struct buffer *answer, const char *request)
{
	const char *key = strstr(request, "Sec-WebSocket-Key: ");
	unsigned char digest[SHA_DIGEST_LENGTH];
	char accept[64], joined[128];

	if (key == NULL)
		return;
	key += strlen("Sec-WebSocket-Key: ");
	snprintf(joined, sizeof joined, "%.*s" GUID,
	    (int)strcspn(key, "\r"), key);
	SHA1((unsigned char *)joined, strlen(joined), digest);
	EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
	buffer_printf(answer, "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
}

/* The answer and the frames leave in one piece. */
static void *
serve(void *arg)
{
	struct server *server = arg;
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct buffer answer = { 0 };
	char bytes[65536];
	ssize_t n;
	int fd = accept(server->listener, NULL, NULL);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	read_request(fd, &server->request);
	if (server->answer != NULL)
		buffer_append_string(&answer, server->answer);
	else
		write_upgrade(&answer, buffer_string(&server->request));
	buffer_append(&answer, server->frames.data, server->frames.length);
	write_all(fd, answer.data, answer.length);
	buffer_free(&answer);
	while (!server->hangs_up && (n = read(fd, bytes, sizeof bytes)) > 0)
		buffer_append(&server->heard, bytes, (size_t)n);
	close(fd);
	return NULL;
}

static void
open_server(struct server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof address;

	server->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(server->listener, (void *)&address, length), 0);
	assert_int_equal(listen(server->listener, 1), 0);
	getsockname(server->listener, (void *)&address, &length);
	server->port = ntohs(address.sin_port);
}

static void
add_frame(struct server *server, int first, const char *payload, size_t length)
{
	char head[10] = { (char)first };
	size_t size = 2;

	if (length < 126) {
		head[1] = (char)length;
	} else if (length < 65536) {
		head[1] = 126;
		head[2] = (char)(length >> 8);
		head[3] = (char)length;
		size = 4;
	} else {
		head[1] = 127;
		for (int i = 0; i < 8; i++)
			head[2 + i] = (char)(length >> (56 - 8 * i));
		size = 10;
	}
	buffer_append(&server->frames, head, size);
	buffer_append(&server->frames, payload, length);
}

/* A frame that came from the client; returns what is behind it. */
static const unsigned char *
take_frame(const unsigned char *at, int *first, char *payload)
{
	size_t length = at[1] & 0x7f;

	*first = at[0];
	assert_true(at[1] & 0x80);	/* masked */
	assert_true(length < 126);
	for (size_t i = 0; i < length; i++)
		payload[i] = (char)(at[6 + i] ^ at[2 + i % 4]);
	payload[length] = '\0';
	return at + 6 + length;
}

/* --- the client -----------------------------------------------------------*/

static void
note_opened(struct link *link, void *arg)
{
	struct fixture *fixture = arg;

	assert_ptr_equal(link, fixture->link);
	fixture->opened++;
}

static void
note_received(struct link *link, const char *text, size_t length, void *arg)
{
	struct fixture *fixture = arg;

	assert_ptr_equal(link, fixture->link);
	fixture->received++;
	fixture->length = length;
	if (length < 32 && strlen(fixture->text) < 128)
		sprintf(fixture->text + strlen(fixture->text), "%.*s|",
		    (int)length, text);
}

static void
note_closed(struct link *link, const char *reason, int http_status, void *arg)
{
	struct fixture *fixture = arg;

	assert_ptr_equal(link, fixture->link);
	fixture->closed++;
	fixture->http_status = http_status;
	snprintf(fixture->reason, sizeof fixture->reason, "%s", reason);
}

static const struct link_events link_events = {
	note_opened, note_received, note_closed
};

static void
note_late(void *arg)
{
	struct fixture *fixture = arg;

	fixture->is_late = true;
}

/* Serve until the count has grown so far. */
static void
await(struct fixture *fixture, const size_t *count, size_t most)
{
	timers_set(fixture->timers, &fixture->patience, PATIENCE_MS);
	while (*count < most && !fixture->is_late)
		links_serve(fixture->links);
	assert_false(fixture->is_late);
	timers_cancel(fixture->timers, &fixture->patience);
}

static void
start(struct fixture *fixture)
{
	char url[128];

	assert_int_equal(pthread_create(&fixture->server.thread, NULL, serve,
	    &fixture->server), 0);
	snprintf(url, sizeof url, "ws://127.0.0.1:%d/link/?ticket=secret",
	    fixture->server.port);
	fixture->link = links_connect(fixture->links, url, &link_events,
	    fixture);
	assert_non_null(fixture->link);
}

static int
set_up(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof *fixture);

	open_server(&fixture->server);
	fixture->set = events_open();
	fixture->timers = timers_new(fixture->set);
	fixture->patience = (struct timer){ .due = note_late,
	    .arg = fixture };
	fixture->links = links_new(&(struct links_settings){
	    .set = fixture->set, .timers = fixture->timers });
	*state = fixture;
	return 0;
}

/* When the links are free, the server has heard all. */
static void
finish(struct fixture *fixture)
{
	links_free(fixture->links);
	fixture->links = NULL;
	if (fixture->server.thread != 0)
		pthread_join(fixture->server.thread, NULL);
	fixture->server.thread = 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;

	finish(fixture);
	timers_free(fixture->timers);
	close(fixture->set);
	close(fixture->server.listener);
	buffer_free(&fixture->server.frames);
	buffer_free(&fixture->server.request);
	buffer_free(&fixture->server.heard);
	free(fixture);
	return 0;
}

/* --- cases ----------------------------------------------------------------*/

static void
takes_messages_that_come_with_the_upgrade(void **state)
{
	struct fixture *fixture = *state;

	add_frame(&fixture->server, 0x81, "{\"type\":\"hello\"}", 16);
	add_frame(&fixture->server, 0x81, "second", 6);
	start(fixture);
	await(fixture, &fixture->received, 2);
	assert_int_equal(fixture->opened, 1);
	assert_string_equal(fixture->text, "{\"type\":\"hello\"}|second|");
	assert_string_equal(link_host(fixture->link), "127.0.0.1");
}

static void
asks_for_nothing_but_a_plain_websocket(void **state)
{
	struct fixture *fixture = *state;
	const char *request;

	start(fixture);
	await(fixture, &fixture->opened, 1);
	request = buffer_string(&fixture->server.request);
	assert_non_null(strstr(request, "GET /link/?ticket=secret HTTP/1.1"));
	assert_non_null(strstr(request, "Host: 127.0.0.1:"));
	assert_null(strstr(request, "Sec-WebSocket-Extensions"));
	assert_null(strstr(request, "Sec-WebSocket-Protocol"));
}

static void
joins_the_frames_of_a_message(void **state)
{
	struct fixture *fixture = *state;

	add_frame(&fixture->server, 0x01, "one ", 4);
	add_frame(&fixture->server, 0x89, "ping", 4);
	add_frame(&fixture->server, 0x00, "", 0);
	add_frame(&fixture->server, 0x00, "two ", 4);
	add_frame(&fixture->server, 0x8a, "", 0);
	add_frame(&fixture->server, 0x80, "three", 5);
	add_frame(&fixture->server, 0x81, "next", 4);
	start(fixture);
	await(fixture, &fixture->received, 2);
	assert_string_equal(fixture->text, "one two three|next|");
}

static void
hands_over_a_long_message_whole(void **state)
{
	struct fixture *fixture = *state;
	char *text = xmalloc(3000000);

	memset(text, 'x', 3000000);
	add_frame(&fixture->server, 0x01, text, 2000000);
	add_frame(&fixture->server, 0x80, text, 1000000);
	free(text);
	start(fixture);
	await(fixture, &fixture->received, 1);
	assert_int_equal(fixture->length, 3000000);
}

static void
closes_at_a_message_that_is_too_long(void **state)
{
	struct fixture *fixture = *state;
	char *text = xcalloc(LINKS_MESSAGE_MAX, 1);

	add_frame(&fixture->server, 0x01, text, LINKS_MESSAGE_MAX);
	add_frame(&fixture->server, 0x80, "x", 1);
	free(text);
	start(fixture);
	await(fixture, &fixture->closed, 1);
	assert_int_equal(fixture->received, 0);
	assert_non_null(strstr(fixture->reason, "16 MiB"));
	finish(fixture);
}

static void
ends_within_a_frame_that_is_much_too_long(void **state)
{
	struct fixture *fixture = *state;
	char *text = xcalloc(LINKS_MESSAGE_MAX + 1000000, 1);

	add_frame(&fixture->server, 0x81, text, LINKS_MESSAGE_MAX + 1000000);
	free(text);
	start(fixture);
	await(fixture, &fixture->closed, 1);
	assert_int_equal(fixture->received, 0);
	assert_non_null(strstr(fixture->reason, "16 MiB"));
	finish(fixture);
}

static void
passes_over_binary_messages(void **state)
{
	struct fixture *fixture = *state;

	add_frame(&fixture->server, 0x02, "{\"a\":", 5);
	add_frame(&fixture->server, 0x80, "1}", 2);
	add_frame(&fixture->server, 0x81, "text", 4);
	start(fixture);
	await(fixture, &fixture->received, 1);
	assert_string_equal(fixture->text, "text|");
}

/* Each in one masked frame; the goodbye is the last. */
static void
sends_all_that_waits_before_the_goodbye(void **state)
{
	struct fixture *fixture = *state;
	const unsigned char *at;
	char text[32], payload[128];
	int first;

	start(fixture);
	await(fixture, &fixture->opened, 1);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "{\"envelope_id\":\"%d\"}", i);
		link_send(fixture->link, text, strlen(text));
	}
	link_close(fixture->link);
	link_send(fixture->link, "late", 4);
	await(fixture, &fixture->closed, 1);
	finish(fixture);
	at = (const unsigned char *)fixture->server.heard.data;
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "{\"envelope_id\":\"%d\"}", i);
		at = take_frame(at, &first, payload);
		assert_int_equal(first, 0x81);
		assert_string_equal(payload, text);
	}
	at = take_frame(at, &first, payload);
	assert_int_equal(first, 0x88);
	assert_memory_equal(payload, "\x03\xe8", 2);	/* 1000 */
	assert_ptr_equal(at, fixture->server.heard.data +
	    fixture->server.heard.length);
}

/* The server never answers the goodbye nor closes. */
static void
drops_after_a_second_who_ignores_the_goodbye(void **state)
{
	struct fixture *fixture = *state;
	int64_t begin_ms, took_ms;

	start(fixture);
	await(fixture, &fixture->opened, 1);
	begin_ms = clock_steady_ms();
	link_close(fixture->link);
	await(fixture, &fixture->closed, 1);
	took_ms = clock_steady_ms() - begin_ms;
	assert_in_range(took_ms, 900, 3000);
}

static void
answers_pings_and_sends_its_own(void **state)
{
	struct fixture *fixture = *state;
	char payload[128];
	const unsigned char *at;
	int first;

	add_frame(&fixture->server, 0x89, "Ping from applink-5", 19);
	add_frame(&fixture->server, 0x81, "then", 4);
	start(fixture);
	await(fixture, &fixture->received, 1);
	link_ping(fixture->link);
	link_close(fixture->link);
	await(fixture, &fixture->closed, 1);
	finish(fixture);
	at = (const unsigned char *)fixture->server.heard.data;
	at = take_frame(at, &first, payload);
	assert_int_equal(first, 0x8a);
	assert_string_equal(payload, "Ping from applink-5");
}

static void
tells_who_closed(void **state)
{
	struct fixture *fixture = *state;

	add_frame(&fixture->server, 0x88, "\x03\xe9", 2);
	start(fixture);
	await(fixture, &fixture->closed, 1);
	assert_int_equal(fixture->opened, 1);
	assert_string_equal(fixture->reason,
	    "127.0.0.1: closed by the other side (1001)");
}

static void
tells_of_a_connection_that_broke(void **state)
{
	struct fixture *fixture = *state;

	add_frame(&fixture->server, 0x01, "half", 4);
	fixture->server.hangs_up = true;
	start(fixture);
	await(fixture, &fixture->closed, 1);
	assert_int_equal(fixture->received, 0);
	assert_string_equal(fixture->reason,
	    "127.0.0.1: the connection broke");
}

static void
tells_the_status_of_a_refused_upgrade(void **state)
{
	struct fixture *fixture = *state;

	fixture->server.answer = "HTTP/1.1 409 Conflict\r\n"
	    "Content-Length: 2\r\n\r\nno";
	start(fixture);
	await(fixture, &fixture->closed, 1);
	assert_int_equal(fixture->opened, 0);
	assert_int_equal(fixture->http_status, 409);
	assert_null(strstr(fixture->reason, "secret"));
}

static void
follows_no_redirect(void **state)
{
	struct fixture *fixture = *state;

	fixture->server.answer = "HTTP/1.1 302 Found\r\n"
	    "Location: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
	start(fixture);
	await(fixture, &fixture->closed, 1);
	assert_int_equal(fixture->http_status, 302);
}

static void
refuses_a_wrong_accept_and_garbage(void **state)
{
	struct fixture *fixture = *state;

	fixture->server.answer = "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
	start(fixture);
	await(fixture, &fixture->closed, 1);
	assert_int_equal(fixture->opened, 0);
}

static void
tells_what_cannot_be_reached(void **state)
{
	struct fixture *fixture = *state;
	char url[64];

	close(fixture->server.listener);
	fixture->server.listener = -1;
	snprintf(url, sizeof url, "ws://127.0.0.1:%d/?ticket=secret",
	    fixture->server.port);
	fixture->link = links_connect(fixture->links, url, &link_events,
	    fixture);
	await(fixture, &fixture->closed, 1);
	assert_string_equal(fixture->reason, "127.0.0.1: cannot be reached");
	fixture->link = links_connect(fixture->links,
	    "wss://no-such-host.invalid/?ticket=secret", &link_events,
	    fixture);
	await(fixture, &fixture->closed, 2);
	assert_null(strstr(fixture->reason, "secret"));
	assert_null(links_connect(fixture->links, "https://a.example/",
	    &link_events, fixture));
}

static void
measures_silence(void **state)
{
	struct fixture *fixture = *state;

	start(fixture);
	assert_int_equal(link_silent_ms(fixture->link), 0);
	await(fixture, &fixture->opened, 1);
	timers_set(fixture->timers, &fixture->patience, 300);
	while (!fixture->is_late)
		links_serve(fixture->links);
	fixture->is_late = false;
	assert_in_range(link_silent_ms(fixture->link), 250, 2000);
	link_drop(fixture->link);
	assert_int_equal(fixture->closed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		CASE(takes_messages_that_come_with_the_upgrade),
		CASE(asks_for_nothing_but_a_plain_websocket),
		CASE(joins_the_frames_of_a_message),
		CASE(hands_over_a_long_message_whole),
		CASE(closes_at_a_message_that_is_too_long),
		CASE(ends_within_a_frame_that_is_much_too_long),
		CASE(passes_over_binary_messages),
		CASE(sends_all_that_waits_before_the_goodbye),
		CASE(drops_after_a_second_who_ignores_the_goodbye),
		CASE(answers_pings_and_sends_its_own),
		CASE(tells_who_closed),
		CASE(tells_of_a_connection_that_broke),
		CASE(tells_the_status_of_a_refused_upgrade),
		CASE(follows_no_redirect),
		CASE(refuses_a_wrong_accept_and_garbage),
		CASE(tells_what_cannot_be_reached),
		CASE(measures_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
