/*
 * HTTP requests on the event set, against a real server: answers, and all the
 * ways in which there is none.
 *
 * modules: tests/unit/http_server.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "events.h"
#include "http_client.h"
#include "memory.h"
#include "http_server.h"

#define TOKEN "xoxb-not-a-real-token"
#define PATIENCE_MS 20000

/* What a test has at hand: a client and a server. */
struct bench {
	int set;
	struct timers *timers;
	struct http_client *client;
	struct http_server *server;
	char url[64];
};

/* What came of a request. */
struct result {
	struct bench *bench;
	int calls;
	long status;
	char reason[300];
	char *body;
	size_t length;
	int64_t retry_after_s;
	char scopes[100];
	bool was_sent, is_too_long;
	struct http_exchange *to_cancel;
	int to_send;
};

typedef bool answer_function(struct http_peer *peer, const char *request,
    void *arg);

static struct bench
set_up(answer_function *answer)
{
	struct bench bench = { .set = events_open() };

	bench.timers = timers_new(bench.set);
	bench.client = http_client_new(bench.set, bench.timers, NULL);
	bench.server = http_server_start(NULL, answer, NULL);
	snprintf(bench.url, sizeof bench.url, "http://127.0.0.1:%d/api/",
	    http_server_port(bench.server));
	return bench;
}

static void
tear_down(struct bench *bench)
{
	http_client_free(bench->client);
	http_server_stop(bench->server);
	timers_free(bench->timers);
	close(bench->set);
}

static void
wait_once(struct bench *bench)
{
	struct pollfd ready = { .fd = bench->set, .events = POLLIN };

	assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
	events_dispatch(bench->set);
}

/* The server's thread wakes nobody here when it has got them. */
static void
await_requests(struct bench *bench, size_t count)
{
	struct pollfd ready = { .fd = bench->set, .events = POLLIN };
	int64_t start_ms = clock_steady_ms();

	while (http_server_requests(bench->server) < count) {
		assert_true(clock_steady_ms() - start_ms < PATIENCE_MS);
		poll(&ready, 1, 5);
		events_dispatch(bench->set);
	}
}

static void
await(struct result *result)
{
	while (result->calls == 0)
		wait_once(result->bench);
	assert_int_equal(result->calls, 1);
}

static void
forget(struct result *result)
{
	free(result->body);
	*result = (struct result){ .bench = result->bench };
}

static void
take(const struct http_answer *answer, void *arg)
{
	struct result *result = arg;

	result->calls++;
	result->status = answer->status;
	snprintf(result->reason, sizeof result->reason, "%s",
	    answer->reason != NULL ? answer->reason : "");
	assert_int_equal(answer->reason == NULL, answer->status != 0);
	assert_int_equal(answer->body[answer->length], '\0');
	result->body = xmalloc(answer->length + 1);
	memcpy(result->body, answer->body, answer->length + 1);
	result->length = answer->length;
	result->retry_after_s = answer->retry_after_s;
	result->was_sent = answer->was_sent;
	result->is_too_long = answer->is_too_long;
	snprintf(result->scopes, sizeof result->scopes, "%s",
	    answer->scopes != NULL ? answer->scopes : "");
}

static struct http_exchange *
request_with(struct result *result, const char *url, int64_t timeout_ms)
{
	return http_client_send(result->bench->client, &(struct http_request){
		.url = url,
		.token = TOKEN,
		.type = "application/x-www-form-urlencoded",
		.body = "a=1",
		.body_length = 3,
		.timeout_ms = timeout_ms,
		.answer_max = 100000,
	    }, take, result);
}

static struct http_exchange *
request(struct result *result)
{
	return request_with(result, result->bench->url, PATIENCE_MS);
}

static bool
answer_well(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	return http_peer_answer(peer, 200, "X-OAuth-Scopes: a,b\r\n",
	    "{\"ok\":true}");
}

static void
posts_a_form_with_the_token(void **state)
{
	struct bench bench = set_up(answer_well);
	struct result result = { .bench = &bench };
	const char *text;

	(void)state;
	request(&result);
	assert_int_equal(result.calls, 0);
	await(&result);
	assert_int_equal(result.status, 200);
	assert_string_equal(result.body, "{\"ok\":true}");
	assert_int_equal(result.length, strlen("{\"ok\":true}"));
	assert_int_equal(result.retry_after_s, -1);
	assert_string_equal(result.scopes, "a,b");
	text = http_server_request(bench.server, 0);
	assert_memory_equal(text, "POST /api/ HTTP/1.1\r\n", 21);
	assert_non_null(strstr(text, "\r\nAuthorization: Bearer " TOKEN
	    "\r\n"));
	assert_non_null(strstr(text, "\r\nContent-Type:"
	    " application/x-www-form-urlencoded\r\n"));
	assert_null(strstr(text, "Expect"));
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\na=1");
	forget(&result);
	tear_down(&bench);
}

static void
gets_without_a_body(void **state)
{
	struct bench bench = set_up(answer_well);
	struct result result = { .bench = &bench };
	const char *text;

	(void)state;
	http_client_send(bench.client, &(struct http_request){
		.url = bench.url,
		.timeout_ms = PATIENCE_MS,
		.answer_max = 100,
	    }, take, &result);
	await(&result);
	assert_int_equal(result.status, 200);
	text = http_server_request(bench.server, 0);
	assert_memory_equal(text, "GET /api/ HTTP/1.1\r\n", 20);
	assert_null(strstr(text, "Authorization"));
	forget(&result);
	tear_down(&bench);
}

static void
keeps_the_connection(void **state)
{
	struct bench bench = set_up(answer_well);
	struct result result = { .bench = &bench };

	(void)state;
	for (int i = 0; i < 5; i++) {
		request(&result);
		await(&result);
		forget(&result);
	}
	assert_int_equal(http_server_connections(bench.server), 1);
	tear_down(&bench);
}

/* Request 0 keeps the connection open; the others break it, unanswered. */
static bool
answer_first(struct http_peer *peer, const char *text, void *arg)
{
	if (strstr(text, "POST /api/ ") != NULL)
		return answer_well(peer, text, arg);
	if (strstr(text, "/reset") != NULL)
		http_peer_reset(peer);
	if (strstr(text, "/half") != NULL)
		http_peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"
		    "\r\n{\"ok\"");
	return false;
}

static void
never_repeats_what_is_to_be_sent_once(void **state)
{
	static const char *const ends[] = { "close", "reset", "half" };
	static char body[100000];

	(void)state;
	memset(body, 'x', sizeof body);
	for (size_t i = 0; i < 6; i++) {
		struct bench bench = set_up(answer_first);
		struct result result = { .bench = &bench };
		char url[100];

		snprintf(url, sizeof url, "%s%s", bench.url, ends[i / 2]);
		request(&result);
		await(&result);
		assert_int_equal(result.status, 200);
		forget(&result);
		http_client_send(bench.client, &(struct http_request){
			.url = url,
			.type = "text/plain",
			.body = body,
			.body_length = i % 2 == 0 ? 1 : sizeof body,
			.is_borrowed = true,
			.is_once = true,
			.timeout_ms = PATIENCE_MS,
			.answer_max = 1000,
		    }, take, &result);
		await(&result);
		assert_int_equal(result.status, 0);
		assert_true(result.was_sent);
		assert_int_equal(http_server_requests(bench.server), 2);
		assert_int_equal(strlen(strstr(http_server_request(
		    bench.server, 1), "\r\n\r\n") + 4),
		    i % 2 == 0 ? 1 : sizeof body);
		forget(&result);
		request(&result);
		await(&result);
		assert_int_equal(result.status, 200);
		forget(&result);
		tear_down(&bench);
	}
}

static void
ends_the_header_where_the_token_has_a_line_end(void **state)
{
	struct bench bench = set_up(answer_well);
	struct result result = { .bench = &bench };
	const char *text;

	(void)state;
	http_client_send(bench.client, &(struct http_request){
		.url = bench.url,
		.token = "abc\r\nX-Evil: 1",
		.timeout_ms = PATIENCE_MS,
		.answer_max = 100,
	    }, take, &result);
	await(&result);
	text = http_server_request(bench.server, 0);
	assert_non_null(strstr(text, "\r\nAuthorization: Bearer abc\r\n"));
	assert_null(strstr(text, "X-Evil"));
	forget(&result);
	tear_down(&bench);
}

static bool
answer_busy(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	return http_peer_answer(peer, 429, "Retry-After: 7\r\n", "busy");
}

static bool
answer_busy_at_once(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	return http_peer_answer(peer, 503, "retry-after: 0\r\n", "");
}

static void
reads_retry_after(void **state)
{
	struct bench bench = set_up(answer_busy);
	struct result result = { .bench = &bench };

	(void)state;
	request(&result);
	await(&result);
	assert_int_equal(result.status, 429);
	assert_int_equal(result.retry_after_s, 7);
	assert_string_equal(result.body, "busy");
	forget(&result);
	tear_down(&bench);

	bench = set_up(answer_busy_at_once);
	request(&result);
	await(&result);
	assert_int_equal(result.status, 503);
	assert_int_equal(result.retry_after_s, 0);
	forget(&result);
	tear_down(&bench);
}

static bool
answer_redirect(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	return http_peer_answer(peer, 302, "Location: /elsewhere\r\n"
	    "Set-Cookie: a=b\r\n", "");
}

static void
follows_no_redirect_and_keeps_no_cookie(void **state)
{
	struct bench bench = set_up(answer_redirect);
	struct result result = { .bench = &bench };

	(void)state;
	for (int i = 0; i < 2; i++) {
		request(&result);
		await(&result);
		assert_int_equal(result.status, 302);
		forget(&result);
	}
	assert_int_equal(http_server_requests(bench.server), 2);
	assert_null(strstr(http_server_request(bench.server, 1), "Cookie"));
	tear_down(&bench);
}

static bool
say_nothing(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	http_peer_wait(peer);
	return false;
}

static void
gives_up_when_nothing_comes(void **state)
{
	struct bench bench = set_up(say_nothing);
	struct result result = { .bench = &bench };
	int64_t start_ms = clock_steady_ms();

	(void)state;
	request_with(&result, bench.url, 200);
	await(&result);
	assert_int_equal(result.status, 0);
	assert_true(result.was_sent);
	assert_non_null(strstr(result.reason, "timed out"));
	assert_in_range(clock_steady_ms() - start_ms, 199, 5000);
	forget(&result);
	tear_down(&bench);
}

/* A byte of the body each 10 ms, for ever. */
static bool
dribble(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	if (!http_peer_say(peer, "HTTP/1.1 200 OK\r\n"
	    "Content-Length: 90000\r\n\r\n"))
		return false;
	while (http_peer_say(peer, "x"))
		usleep(10000);
	return false;
}

static void
gives_up_when_the_body_dribbles(void **state)
{
	struct bench bench = set_up(dribble);
	struct result result = { .bench = &bench };

	(void)state;
	request_with(&result, bench.url, 300);
	await(&result);
	assert_int_equal(result.status, 0);
	assert_non_null(strstr(result.reason, "timed out"));
	forget(&result);
	tear_down(&bench);
}

static bool
reset_connection(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	http_peer_reset(peer);
	return false;
}

static bool
cut_short(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	http_peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
	return false;
}

static bool
talk_nonsense(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	http_peer_say(peer, "220 smtp.example.com ESMTP\r\n\r\n");
	return false;
}

static void
reports_a_broken_answer(void **state)
{
	answer_function *const ways[] = { reset_connection, cut_short,
	    talk_nonsense };

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		struct bench bench = set_up(ways[i]);
		struct result result = { .bench = &bench };

		request(&result);
		await(&result);
		assert_int_equal(result.status, 0);
		assert_true(result.was_sent);
		assert_string_not_equal(result.reason, "");
		assert_null(strstr(result.reason, "xox"));
		forget(&result);
		tear_down(&bench);
	}
}

static bool
announce_too_much(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	http_peer_say(peer, "HTTP/1.1 200 OK\r\n"
	    "Content-Length: 100001\r\n\r\n");
	http_peer_wait(peer);
	return false;
}

static bool
flood(struct http_peer *peer, const char *text, void *arg)
{
	char block[4096];

	(void)text;
	(void)arg;
	memset(block, 'x', sizeof block);
	http_peer_say(peer, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	while (http_peer_send(peer, block, sizeof block))
		continue;
	return false;
}

static void
bounds_the_answer(void **state)
{
	answer_function *const ways[] = { announce_too_much, flood };

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		struct bench bench = set_up(ways[i]);
		struct result result = { .bench = &bench };

		request(&result);
		await(&result);
		assert_int_equal(result.status, 0);
		assert_true(result.is_too_long);
		assert_string_equal(result.reason,
		    "an answer of more than 100000 bytes");
		forget(&result);
		tear_down(&bench);
	}
}

static bool
answer_longest(struct http_peer *peer, const char *text, void *arg)
{
	char *body = xcalloc(1, 100001);
	bool is_sent;

	(void)text;
	(void)arg;
	memset(body, 'x', 100000);
	is_sent = http_peer_answer(peer, 200, "", body);
	free(body);
	return is_sent;
}

static void
takes_the_longest_answer(void **state)
{
	struct bench bench = set_up(answer_longest);
	struct result result = { .bench = &bench };

	(void)state;
	request(&result);
	await(&result);
	assert_int_equal(result.status, 200);
	assert_int_equal(result.length, 100000);
	forget(&result);
	tear_down(&bench);
}

static bool
flood_headers(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	http_peer_say(peer, "HTTP/1.1 200 OK\r\n");
	while (http_peer_say(peer, "X-Header: value of the header\r\n"))
		continue;
	return false;
}

static void
bounds_the_headers(void **state)
{
	struct bench bench = set_up(flood_headers);
	struct result result = { .bench = &bench };

	(void)state;
	request(&result);
	await(&result);
	assert_int_equal(result.status, 0);
	assert_string_equal(result.reason, "more than 64 KiB of headers");
	forget(&result);
	tear_down(&bench);
}

/* A port that nobody listens on, as long as this process holds it. */
static int
hold_port(int *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof address), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address,
	    &length), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static void
reports_what_cannot_be_reached(void **state)
{
	struct bench bench = set_up(answer_well);
	struct result result = { .bench = &bench };
	int port, fd = hold_port(&port);
	char refused[64];
	const char *urls[] = { refused, "http://no-such-host.invalid/",
	    "ftp://127.0.0.1/", "gopher://127.0.0.1/", "file:///etc/passwd",
	    "http://user:word@127.0.0.1/", "http://", "", "http://a b/" };

	(void)state;
	snprintf(refused, sizeof refused, "http://127.0.0.1:%d/", port);
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		request_with(&result, urls[i], PATIENCE_MS);
		assert_int_equal(result.calls, 0);
		await(&result);
		assert_int_equal(result.status, 0);
		assert_false(result.was_sent);
		assert_string_not_equal(result.reason, "");
		assert_null(strstr(result.reason, "word"));
		forget(&result);
	}
	close(fd);
	request(&result);
	await(&result);
	assert_int_equal(result.status, 200);
	forget(&result);
	tear_down(&bench);
}

/* Closes each connection after an answer, without saying so. */
static bool
answer_and_leave(struct http_peer *peer, const char *text, void *arg)
{
	answer_well(peer, text, arg);
	return false;
}

static void
survives_connections_that_end_between_requests(void **state)
{
	struct bench bench = set_up(answer_and_leave);
	struct result result = { .bench = &bench };

	(void)state;
	for (int i = 0; i < 20; i++) {
		request(&result);
		await(&result);
		assert_int_equal(result.status, 200);
		forget(&result);
	}
	tear_down(&bench);
}

static void
serves_many_at_once(void **state)
{
	struct bench bench = set_up(answer_well);
	struct result results[50] = { 0 };

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 50; i++) {
			results[i].bench = &bench;
			request(&results[i]);
		}
		for (int i = 0; i < 50; i++) {
			await(&results[i]);
			assert_int_equal(results[i].status, 200);
			forget(&results[i]);
		}
	}
	tear_down(&bench);
}

static void
cancels_at_any_moment(void **state)
{
	struct bench bench = set_up(say_nothing);
	struct result results[4] = { 0 };
	struct http_exchange *exchanges[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		results[i].bench = &bench;
		exchanges[i] = request(&results[i]);
		if (i == 0)	/* before anything was done for it */
			http_client_cancel(exchanges[i]);
	}
	await_requests(&bench, 3);
	http_client_cancel(exchanges[2]);
	http_client_cancel(exchanges[1]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(results[i].calls, 0);
	tear_down(&bench);	/* with one under way */
	assert_int_equal(results[3].calls, 0);
}

static bool
answer_second(struct http_peer *peer, const char *text, void *arg)
{
	if (strstr(text, "/hang") != NULL)
		return say_nothing(peer, text, arg);
	return answer_well(peer, text, arg);
}

/* Cancel another exchange and send anew, from within `done`. */
static void
take_and_go_on(const struct http_answer *answer, void *arg)
{
	struct result *result = arg;

	if (result->to_cancel != NULL)
		http_client_cancel(result->to_cancel);
	result->to_cancel = NULL;
	if (result->to_send-- > 0) {
		http_client_send(result->bench->client, &(struct http_request){
			.url = result->bench->url,
			.timeout_ms = PATIENCE_MS,
			.answer_max = 1000,
		    }, take_and_go_on, result);
		return;
	}
	take(answer, result);
}

static void
sends_and_cancels_from_within_done(void **state)
{
	struct bench bench = set_up(answer_second);
	struct result hung = { .bench = &bench };
	struct result result = { .bench = &bench, .to_send = 20 };
	char url[100];

	(void)state;
	snprintf(url, sizeof url, "%shang", bench.url);
	result.to_cancel = request_with(&hung, url, PATIENCE_MS);
	http_client_send(bench.client, &(struct http_request){
		.url = bench.url,
		.timeout_ms = PATIENCE_MS,
		.answer_max = 1000,
	    }, take_and_go_on, &result);
	await(&result);
	assert_int_equal(result.status, 200);
	assert_int_equal(hung.calls, 0);
	forget(&result);
	tear_down(&bench);
}

static void
works_after_many_failures(void **state)
{
	struct bench bench = set_up(answer_well);
	struct result result = { .bench = &bench };
	int port, fd = hold_port(&port);
	char refused[64];

	(void)state;
	snprintf(refused, sizeof refused, "http://127.0.0.1:%d/", port);
	for (int i = 0; i < 10; i++) {
		request_with(&result, refused, PATIENCE_MS);
		await(&result);
		assert_int_equal(result.status, 0);
		forget(&result);
	}
	close(fd);
	request(&result);
	await(&result);
	assert_int_equal(result.status, 200);
	forget(&result);
	tear_down(&bench);
}

/* Ask a server with a certificate for that name, trusting that of ca_file. */
static void
ask_with_tls(struct result *result, const char *host, const char *certificate,
    const char *ca_file)
{
	struct bench *bench = result->bench;

	*bench = (struct bench){ .set = events_open() };
	bench->timers = timers_new(bench->set);
	bench->client = http_client_new(bench->set, bench->timers, ca_file);
	bench->server = http_server_start(certificate, answer_well, NULL);
	snprintf(bench->url, sizeof bench->url, "https://%s:%d/", host,
	    http_server_port(bench->server));
	request(result);
	await(result);
}

static void
trusts_only_the_right_certificate(void **state)
{
	char folder[] = "/tmp/test_http_client.XXXXXX";
	char address[64], name[64], foreign[64];
	const struct {
		const char *host, *certificate, *ca_file;
		bool is_trusted;
	} cases[] = {
		{ "127.0.0.1", address, address, true },
		{ "localhost", name, name, true },
		{ "localhost", foreign, foreign, false },
		{ "127.0.0.1", name, name, false },
		{ "127.0.0.1", address, name, false },
		{ "127.0.0.1", address, NULL, false },
		{ "127.0.0.1", address, "/no/such/file", false },
	};

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(address, sizeof address, "%s/address.pem", folder);
	snprintf(name, sizeof name, "%s/name.pem", folder);
	snprintf(foreign, sizeof foreign, "%s/foreign.pem", folder);
	http_server_make_certificate(address, "IP:127.0.0.1");
	http_server_make_certificate(name, "DNS:localhost");
	http_server_make_certificate(foreign, "DNS:www.example.com");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bench bench;
		struct result result = { .bench = &bench };

		ask_with_tls(&result, cases[i].host, cases[i].certificate,
		    cases[i].ca_file);
		assert_int_equal(result.status,
		    cases[i].is_trusted ? 200 : 0);
		assert_int_equal(result.was_sent, cases[i].is_trusted);
		assert_int_equal(http_server_requests(bench.server),
		    cases[i].is_trusted);
		assert_int_equal(*result.reason == '\0',
		    cases[i].is_trusted);
		forget(&result);
		tear_down(&bench);
	}
	unlink(address);
	unlink(name);
	unlink(foreign);
	rmdir(folder);
}

/* Rename the certificate as c_rehash would. */
static void
rename_to_hash(char *path, const char *folder)
{
	FILE *file = fopen(path, "r");
	X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
	char *hashed;

	assert_non_null(certificate);
	assert_true(asprintf(&hashed, "%s/%08lx.0", folder,
	    X509_subject_name_hash(certificate)) > 0);
	assert_int_equal(rename(path, hashed), 0);
	strcpy(path, hashed);
	free(hashed);
	X509_free(certificate);
	fclose(file);
}

static void
set_or_unset(const char *name, const char *value)
{
	if (value != NULL)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

static void
finds_certificates_by_the_environment(void **state)
{
	static const char *const names[] = { "CURL_CA_BUNDLE",
	    "SSL_CERT_FILE", "SSL_CERT_DIR" };
	char folder[] = "/tmp/test_http_client.XXXXXX";
	char path[100];
	const char *values[] = { path, path, folder };

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/authority.pem", folder);
	http_server_make_certificate(path, "IP:127.0.0.1");
	rename_to_hash(path, folder);
	for (int i = 0; i < 3; i++) {
		struct bench bench;
		struct result result = { .bench = &bench };
		char *before[3];

		for (int j = 0; j < 3; j++) {
			const char *value = getenv(names[j]);

			before[j] = value != NULL ? xstrdup(value) : NULL;
			set_or_unset(names[j], j == i ? values[j] : NULL);
		}
		ask_with_tls(&result, "127.0.0.1", path, NULL);
		assert_int_equal(result.status, 200);
		forget(&result);
		tear_down(&bench);
		for (int j = 0; j < 3; j++) {
			set_or_unset(names[j], before[j]);
			free(before[j]);
		}
	}
	unlink(path);
	rmdir(folder);
}

static bool
refuse_proxying(struct http_peer *peer, const char *text, void *arg)
{
	(void)text;
	(void)arg;
	return http_peer_answer(peer, 502, "", "");
}

/* A token must not go in clear text to who happens to be the proxy. */
static void
asks_no_proxy_without_tls(void **state)
{
	struct bench bench = set_up(answer_well);
	struct result result = { .bench = &bench };
	struct http_server *proxy = http_server_start(NULL, refuse_proxying,
	    NULL);
	char url[64];

	(void)state;
	snprintf(url, sizeof url, "http://127.0.0.1:%d/",
	    http_server_port(proxy));
	setenv("http_proxy", url, 1);
	setenv("all_proxy", url, 1);
	request(&result);
	await(&result);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	assert_int_equal(result.status, 200);
	assert_int_equal(http_server_requests(proxy), 0);
	forget(&result);
	http_server_stop(proxy);
	tear_down(&bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posts_a_form_with_the_token),
		cmocka_unit_test(gets_without_a_body),
		cmocka_unit_test(keeps_the_connection),
		cmocka_unit_test(never_repeats_what_is_to_be_sent_once),
		cmocka_unit_test(
		    ends_the_header_where_the_token_has_a_line_end),
		cmocka_unit_test(reads_retry_after),
		cmocka_unit_test(follows_no_redirect_and_keeps_no_cookie),
		cmocka_unit_test(gives_up_when_nothing_comes),
		cmocka_unit_test(gives_up_when_the_body_dribbles),
		cmocka_unit_test(reports_a_broken_answer),
		cmocka_unit_test(bounds_the_answer),
		cmocka_unit_test(takes_the_longest_answer),
		cmocka_unit_test(bounds_the_headers),
		cmocka_unit_test(reports_what_cannot_be_reached),
		cmocka_unit_test(
		    survives_connections_that_end_between_requests),
		cmocka_unit_test(serves_many_at_once),
		cmocka_unit_test(cancels_at_any_moment),
		cmocka_unit_test(sends_and_cancels_from_within_done),
		cmocka_unit_test(works_after_many_failures),
		cmocka_unit_test(trusts_only_the_right_certificate),
		cmocka_unit_test(finds_certificates_by_the_environment),
		cmocka_unit_test(asks_no_proxy_without_tls),
	};

	return cmocka_run_group_tests_name("http_client", tests, NULL, NULL);
}
