/*
 * TLS in front of the server: real OpenSSL clients over TCP on one side, the
 * plain end of the socket pair on the other, both in the hands of the test.
 *
 * modules: ws-broadcast/tls.c ws-broadcast/relay.c ws-broadcast/peer.c
 * modules: ws-broadcast/certificate.c tests/unit/http_server.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../ws-broadcast/tls.h"
#include "clock.h"
#include "events.h"
#include "http_server.h"
#include "memory.h"

#define PATIENCE_MS 20000
#define MANY_BYTES (3 * 1024 * 1024)
#define TAKEN_MAX 8
#define CRUMB_BYTES 1000

struct bench {
	char folder[64];
	char certificate[96], key[96];
	int set;
	struct timers *timers;
	struct tls *tls;
	int listener;
	struct sockaddr_in address;

	int taken[TAKEN_MAX];	/* ends of pairs, -1: closed */
	size_t taken_count;
	struct sockaddr_storage peer;	/* of the last one */
};

struct client {
	int fd;
	SSL_CTX *context;
	SSL *ssl;
};

/* --- the bench ------------------------------------------------------------- */

static void
take(void *arg, int fd, const struct sockaddr_storage *peer)
{
	struct bench *bench = arg;

	assert_true(bench->taken_count < TAKEN_MAX);
	bench->taken[bench->taken_count++] = fd;
	bench->peer = *peer;
}

static struct tls_options
make_options(struct bench *bench)
{
	struct certificate_files files = { bench->certificate, bench->key };

	return (struct tls_options){
		.set = bench->set, .timers = bench->timers,
		.files = files, .context = certificate_load(&files),
		.most = TAKEN_MAX, .take = take, .arg = bench,
		.handshake_ms = 5000, .stall_ms = 5000, .closing_ms = 5000,
	};
}

static void
open_listener(struct bench *bench)
{
	socklen_t length = sizeof bench->address;
	int bytes = 32768;

	bench->address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	bench->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(bench->listener, SOL_SOCKET, SO_SNDBUF, &bytes,
	    sizeof bytes);
	assert_int_equal(bind(bench->listener, (void *)&bench->address,
	    length), 0);
	assert_int_equal(listen(bench->listener, 512), 0);
	assert_int_equal(getsockname(bench->listener,
	    (void *)&bench->address, &length), 0);
}

/* The certificate and its key in one file, which serves as both. */
static struct bench *
set_up_bench(void)
{
	struct bench *bench = xcalloc(1, sizeof *bench);

	signal(SIGPIPE, SIG_IGN);
	snprintf(bench->folder, sizeof bench->folder, "/tmp/test_tls.XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	snprintf(bench->certificate, sizeof bench->certificate, "%s/cert.pem",
	    bench->folder);
	snprintf(bench->key, sizeof bench->key, "%s/cert.pem", bench->folder);
	http_server_make_certificate(bench->certificate, "IP:127.0.0.1");
	chmod(bench->certificate, 0600);
	bench->set = events_open();
	bench->timers = timers_new(bench->set);
	open_listener(bench);
	return bench;
}

static struct bench *
set_up(void)
{
	struct bench *bench = set_up_bench();
	struct tls_options options = make_options(bench);

	assert_non_null(options.context);
	bench->tls = tls_new(&options);
	return bench;
}

static void
close_taken(struct bench *bench, size_t number)
{
	close(bench->taken[number]);
	bench->taken[number] = -1;
}

static void
remove_folder(const char *path)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	char file[512];

	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		unlink(file);
	}
	closedir(folder);
	rmdir(path);
}

static void
tear_down(struct bench *bench)
{
	tls_free(bench->tls);
	for (size_t i = 0; i < bench->taken_count; i++)
		if (bench->taken[i] != -1)
			close(bench->taken[i]);
	timers_free(bench->timers);
	close(bench->set);
	close(bench->listener);
	remove_folder(bench->folder);
	free(bench);
}

/* Serve what is there, or comes within a moment. */
static void
serve(struct bench *bench)
{
	events_wait(bench->set, 2);
}

/* Nothing is to be done, however long one waits: it does not spin. */
static void
assert_at_rest(struct bench *bench)
{
	struct pollfd ready = { .fd = bench->set, .events = POLLIN };
	int wakes = 0;

	for (int i = 0; i < 20; i++)
		serve(bench);
	for (int64_t end = clock_steady_ms() + 100; clock_steady_ms() < end;)
		if (poll(&ready, 1, 10) == 1) {
			events_dispatch(bench->set);
			wakes++;
		}
	assert_in_range(wakes, 0, 2);	/* the clock of those who stall */
}

static int64_t
find_end(void)
{
	return clock_steady_ms() + PATIENCE_MS;
}

/* --- clients --------------------------------------------------------------- */

static int
dial(struct bench *bench, const char *origin)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int bytes = 16384;
	struct sockaddr_storage peer = { 0 };
	struct sockaddr_in *inet = (void *)&peer;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	assert_int_equal(connect(fd, (void *)&bench->address,
	    sizeof bench->address), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	inet->sin_family = AF_INET;
	inet_pton(AF_INET, origin, &inet->sin_addr);
	tls_accept(bench->tls, accept4(bench->listener, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC), &peer);
	return fd;
}

static struct client
open_client(struct bench *bench, int version)
{
	struct client client = {
		.fd = dial(bench, "192.0.2.1"),
		.context = SSL_CTX_new(TLS_client_method()),
	};

	SSL_CTX_set_security_level(client.context, 0);
	SSL_CTX_set_min_proto_version(client.context, version);
	SSL_CTX_set_max_proto_version(client.context, version);
	SSL_CTX_set_mode(client.context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	client.ssl = SSL_new(client.context);
	SSL_set_fd(client.ssl, client.fd);
	return client;
}

static void
close_client(struct client *client)
{
	SSL_free(client->ssl);
	SSL_CTX_free(client->context);
	close(client->fd);
}

static bool
must_wait(const struct client *client, int result)
{
	int error = SSL_get_error(client->ssl, result);

	return result <= 0 && (error == SSL_ERROR_WANT_READ ||
	    error == SSL_ERROR_WANT_WRITE);
}

/* Returns what SSL_connect does in the end. */
static int
shake_hands(struct bench *bench, struct client *client)
{
	int64_t end = find_end();
	int result;

	while (ERR_clear_error(), result = SSL_connect(client->ssl),
	    must_wait(client, result)) {
		assert_true(clock_steady_ms() < end);
		serve(bench);
	}
	return result;
}

static struct client
connect_client(struct bench *bench, int version)
{
	size_t before = bench->taken_count;
	struct client client = open_client(bench, version);
	int64_t end = find_end();

	assert_int_equal(shake_hands(bench, &client), 1);
	while (bench->taken_count == before) {
		assert_true(clock_steady_ms() < end);
		serve(bench);
	}
	return client;
}

/* Returns the bytes read, 0 at a proper end, -1 where it breaks off. */
static int
read_client(struct bench *bench, struct client *client, char *bytes, int size)
{
	int64_t end = find_end();
	int count;

	while (ERR_clear_error(), count = SSL_read(client->ssl, bytes, size),
	    must_wait(client, count)) {
		assert_true(clock_steady_ms() < end);
		serve(bench);
	}
	if (count > 0)
		return count;
	return SSL_get_error(client->ssl, count) == SSL_ERROR_ZERO_RETURN
	    ? 0 : -1;
}

static void
write_client(struct bench *bench, struct client *client, const char *text)
{
	int64_t end = find_end();
	int count;

	while (ERR_clear_error(), count = SSL_write(client->ssl, text,
	    (int)strlen(text)), must_wait(client, count)) {
		assert_true(clock_steady_ms() < end);
		serve(bench);
	}
	assert_int_equal(count, strlen(text));
}

/* As read_client; -1 where the pair was reset. */
static ssize_t
read_server(struct bench *bench, int fd, char *bytes, size_t size)
{
	int64_t end = find_end();
	ssize_t count;

	while ((count = read(fd, bytes, size)) == -1 && errno == EAGAIN) {
		assert_true(clock_steady_ms() < end);
		serve(bench);
	}
	return count;
}

static void
expect_client(struct bench *bench, struct client *client, const char *text)
{
	char bytes[256];

	assert_int_equal(read_client(bench, client, bytes, sizeof bytes),
	    strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
}

static void
expect_server(struct bench *bench, size_t number, const char *text)
{
	char bytes[256];

	assert_int_equal(read_server(bench, bench->taken[number], bytes,
	    sizeof bytes), strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
}

static size_t
count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

static void
await_descriptors(struct bench *bench, size_t wanted)
{
	int64_t end = find_end();

	while (count_descriptors() != wanted) {
		assert_true(clock_steady_ms() < end);
		serve(bench);
	}
}

static char
letter_at(size_t at)
{
	return (char)('a' + at * 7 / 5 % 26);
}

/* --- tests: bytes ---------------------------------------------------------- */

static void
tells_whose_connection_it_is(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	char text[INET_ADDRSTRLEN];

	(void)state;
	assert_non_null(inet_ntop(AF_INET,
	    &((struct sockaddr_in *)&bench->peer)->sin_addr, text,
	    sizeof text));
	assert_string_equal(text, "192.0.2.1");
	assert_at_rest(bench);
	close_client(&client);
	tear_down(bench);
}

/* Send some of the pattern, as far as there is room. */
static void
feed_client(struct client *client, size_t *sent)
{
	char bytes[20000];
	size_t length = sizeof bytes < MANY_BYTES - *sent ? sizeof bytes
	    : MANY_BYTES - *sent;
	int count;

	for (size_t i = 0; i < length; i++)
		bytes[i] = letter_at(*sent + i);
	if (length == 0)
		return;
	ERR_clear_error();
	count = SSL_write(client->ssl, bytes, (int)length);
	assert_true(count > 0 || must_wait(client, count));
	*sent += count > 0 ? (size_t)count : 0;
}

/* Give back what came, as far as there is room. */
static void
echo(int fd)
{
	static char held[65536];
	static size_t length;
	ssize_t count = read(fd, held + length, sizeof held - length);

	length += count > 0 ? (size_t)count : 0;
	count = write(fd, held, length);
	if (count > 0) {
		length -= (size_t)count;
		memmove(held, held + count, length);
	}
}

static void
check_client(struct client *client, size_t *received)
{
	char bytes[7000];
	int count;

	while (ERR_clear_error(),
	    (count = SSL_read(client->ssl, bytes, sizeof bytes)) > 0)
		for (int i = 0; i < count; i++)
			assert_int_equal(bytes[i], letter_at((*received)++));
	assert_true(must_wait(client, count));
}

static void
carry_both_ways(int version)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, version);
	size_t sent = 0, received = 0;
	int64_t end = find_end();

	while (received < MANY_BYTES) {
		assert_true(clock_steady_ms() < end);
		feed_client(&client, &sent);
		events_dispatch(bench->set);
		echo(bench->taken[0]);
		events_dispatch(bench->set);
		check_client(&client, &received);
	}
	assert_true(tls_is_idle(bench->tls));
	assert_at_rest(bench);
	close_client(&client);
	tear_down(bench);
}

static void
carries_bytes_by_tls_1_2(void **state)
{
	(void)state;
	carry_both_ways(TLS1_2_VERSION);
}

static void
carries_bytes_by_tls_1_3(void **state)
{
	(void)state;
	carry_both_ways(TLS1_3_VERSION);
}

/* Keys may change at any time, and each side may ask the other to. */
static void
goes_on_with_new_keys(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);

	(void)state;
	for (int i = 0; i < 3; i++) {
		SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED);
		write_client(bench, &client, "ping");
		expect_server(bench, 0, "ping");
		assert_int_equal(write(bench->taken[0], "pong", 4), 4);
		expect_client(bench, &client, "pong");
	}
	assert_at_rest(bench);
	close_client(&client);
	tear_down(bench);
}

/* A client asks for small records: what is written goes in pieces. */
static void
serves_small_records(void **state)
{
	struct bench *bench = set_up();
	struct client client = open_client(bench, TLS1_2_VERSION);
	static char sent[40000], received[sizeof sent];
	size_t count = 0;

	(void)state;
	SSL_set_tlsext_max_fragment_length(client.ssl,
	    TLSEXT_max_fragment_length_512);
	assert_int_equal(shake_hands(bench, &client), 1);
	while (bench->taken_count == 0)
		serve(bench);
	for (size_t i = 0; i < sizeof sent; i++)
		sent[i] = letter_at(i);
	assert_int_equal(write(bench->taken[0], sent, sizeof sent),
	    sizeof sent);
	while (count < sizeof sent)
		count += (size_t)read_client(bench, &client, received + count,
		    (int)(sizeof received - count));
	assert_memory_equal(sent, received, sizeof sent);
	close_client(&client);
	tear_down(bench);
}

/* Write to fd until nothing goes any more. Returns how much went. */
static size_t
fill(struct bench *bench, int fd)
{
	char crumb[CRUMB_BYTES];
	size_t total = 0;

	memset(crumb, 'x', sizeof crumb);
	for (int idle = 0; idle < 20; idle++) {
		ssize_t count;

		while ((count = write(fd, crumb, sizeof crumb)) > 0) {
			total += (size_t)count;
			idle = 0;
		}
		assert_int_equal(errno, EAGAIN);
		serve(bench);
	}
	return total;
}

static void
holds_little_for_a_slow_client(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	size_t total = fill(bench, bench->taken[0]), count = 0;
	char bytes[4096];

	(void)state;
	assert_in_range(total, 64 * 1024, 512 * 1024);
	assert_false(tls_is_idle(bench->tls));
	assert_at_rest(bench);
	while (count < total)
		count += (size_t)read_client(bench, &client, bytes,
		    sizeof bytes);
	assert_int_equal(count, total);
	assert_true(tls_is_idle(bench->tls));
	close_client(&client);
	tear_down(bench);
}

static void
holds_little_for_a_slow_server(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	static char bytes[16384];
	size_t sent = 0, received = 0;
	int idle = 0;

	(void)state;
	while (idle < 20) {
		int count;

		ERR_clear_error();
		count = SSL_write(client.ssl, bytes, sizeof bytes);
		idle = count > 0 ? 0 : idle + 1;
		sent += count > 0 ? (size_t)count : 0;
		serve(bench);
	}
	assert_at_rest(bench);
	for (struct pollfd ready = { .fd = bench->taken[0],
	    .events = POLLIN }; poll(&ready, 1, 0) == 1;)
		received += (size_t)read(bench->taken[0], bytes, sizeof bytes);
	assert_in_range(received, 16 * 1024, 128 * 1024); /* of the pair */
	while (received < sent / sizeof bytes * sizeof bytes)
		received += (size_t)read_server(bench, bench->taken[0], bytes,
		    sizeof bytes);
	close_client(&client);
	tear_down(bench);
}

static void
notices_a_reset_amid_what_nobody_reads(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	struct linger reset = { .l_onoff = 1 };
	size_t descriptors = count_descriptors();
	static char bytes[16384];

	(void)state;
	for (int i = 0; i < 40; i++) {
		ERR_clear_error();
		SSL_write(client.ssl, bytes, sizeof bytes);
		serve(bench);
	}
	setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close_client(&client);
	await_descriptors(bench, descriptors - 3);
	assert_at_rest(bench);
	tear_down(bench);
}

/* --- tests: ends ----------------------------------------------------------- */

static void
passes_on_the_end_of_the_client(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	char byte;

	(void)state;
	write_client(bench, &client, "last words");
	SSL_shutdown(client.ssl);
	expect_server(bench, 0, "last words");
	assert_int_equal(read_server(bench, bench->taken[0], &byte, 1), 0);
	assert_at_rest(bench);

	/* it still listens */
	assert_int_equal(write(bench->taken[0], "farewell", 8), 8);
	expect_client(bench, &client, "farewell");
	close_taken(bench, 0);
	assert_int_equal(read_client(bench, &client, &byte, 1), 0);
	close_client(&client);
	tear_down(bench);
}

/* Many clients just close; that is an end as good as any. */
static void
takes_a_bare_end_for_an_end(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	char byte;

	(void)state;
	write_client(bench, &client, "request");
	shutdown(client.fd, SHUT_WR);
	expect_server(bench, 0, "request");
	assert_int_equal(read_server(bench, bench->taken[0], &byte, 1), 0);
	assert_int_equal(write(bench->taken[0], "answer", 6), 6);
	expect_client(bench, &client, "answer");
	close_client(&client);
	tear_down(bench);
}

static void
passes_on_a_reset_of_the_client(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	struct linger reset = { .l_onoff = 1 };
	char byte;

	(void)state;
	setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close_client(&client);
	assert_int_equal(read_server(bench, bench->taken[0], &byte, 1), 0);
	assert_at_rest(bench);
	tear_down(bench);
}

/* It reads nothing, so we do not read it either, and still notice. */
static void
notices_the_reset_of_a_client_that_stalls(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	struct linger reset = { .l_onoff = 1 };
	int64_t end = find_end();

	(void)state;
	fill(bench, bench->taken[0]);
	setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close_client(&client);
	while (send(bench->taken[0], "x", 1, MSG_NOSIGNAL) != -1 ||
	    errno != EPIPE) {
		assert_true(clock_steady_ms() < end);
		serve(bench);
	}
	assert_at_rest(bench);
	tear_down(bench);
}

static void
passes_on_the_end_of_the_server_behind_all(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	size_t total = fill(bench, bench->taken[0]), count = 0;
	char bytes[4096];
	int length;

	(void)state;
	write_client(bench, &client, "unheard");
	for (int i = 0; i < 20; i++)
		serve(bench);
	close_taken(bench, 0);	/* with unread bytes: that is a reset */
	assert_at_rest(bench);
	while ((length = read_client(bench, &client, bytes, sizeof bytes)) > 0)
		count += (size_t)length;
	assert_int_equal(length, 0);
	assert_int_equal(count, total);
	close_client(&client);
	tear_down(bench);
}

/* What a client goes on to say to nobody is no harm to what it was told. */
static void
hears_out_a_client_after_the_server_left(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	static char much[100000];

	(void)state;
	memset(much, 'm', sizeof much - 1);
	assert_int_equal(write(bench->taken[0], "too much", 8), 8);
	close_taken(bench, 0);
	write_client(bench, &client, "a");
	for (int i = 0; i < 5; i++) {
		int count = SSL_write(client.ssl, much, sizeof much);

		assert_true(count > 0 || must_wait(&client, count));
		serve(bench);
	}
	expect_client(bench, &client, "too much");
	assert_int_equal(read_client(bench, &client, much, 1), 0);
	close_client(&client);
	tear_down(bench);
}

static struct bench *
set_up_impatient(int handshake_ms, int stall_ms, int closing_ms)
{
	struct bench *bench = set_up_bench();
	struct tls_options options = make_options(bench);

	options.handshake_ms = handshake_ms;
	options.stall_ms = stall_ms;
	options.closing_ms = closing_ms;
	bench->tls = tls_new(&options);
	return bench;
}

static void
cuts_off_who_takes_nothing(void **state)
{
	struct bench *bench = set_up_impatient(5000, 300, 5000);
	size_t before = count_descriptors();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	int64_t start = clock_steady_ms();

	(void)state;
	fill(bench, bench->taken[0]);
	close_taken(bench, 0);
	await_descriptors(bench, before + 1);	/* the client's own */
	assert_true(clock_steady_ms() - start >= 300);
	close_client(&client);
	tear_down(bench);
}

static void
cuts_off_who_does_not_hang_up(void **state)
{
	struct bench *bench = set_up_impatient(5000, 5000, 300);
	size_t before = count_descriptors();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	int64_t start = clock_steady_ms();

	(void)state;
	close_taken(bench, 0);
	await_descriptors(bench, before + 1);
	assert_true(clock_steady_ms() - start >= 300);
	close_client(&client);
	tear_down(bench);
}

static void
gives_what_it_can_when_freed(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION);
	char bytes[64];

	(void)state;
	assert_int_equal(write(bench->taken[0], "goodbye", 7), 7);
	close_taken(bench, 0);
	tls_free(bench->tls);
	bench->tls = NULL;
	expect_client(bench, &client, "goodbye");
	assert_int_equal(read_client(bench, &client, bytes, sizeof bytes), 0);
	close_client(&client);
	tear_down(bench);
}

/* --- tests: handshakes ------------------------------------------------------- */

static void
refuses_old_versions(void **state)
{
	struct bench *bench = set_up();
	struct client client = open_client(bench, TLS1_1_VERSION);

	(void)state;
	assert_int_not_equal(shake_hands(bench, &client), 1);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
	    SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
	assert_int_equal(bench->taken_count, 0);
	close_client(&client);
	tear_down(bench);
}

static void
chooses_http_1_1(void **state)
{
	struct bench *bench = set_up();
	struct client client = open_client(bench, TLS1_3_VERSION);
	const unsigned char *chosen;
	unsigned length;

	(void)state;
	SSL_set_alpn_protos(client.ssl,
	    (const unsigned char *)"\x02h2\x08http/1.1", 12);
	assert_int_equal(shake_hands(bench, &client), 1);
	SSL_get0_alpn_selected(client.ssl, &chosen, &length);
	assert_int_equal(length, 8);
	assert_memory_equal(chosen, "http/1.1", 8);
	close_client(&client);
	tear_down(bench);
}

static void
refuses_who_speaks_h2_only(void **state)
{
	struct bench *bench = set_up();
	struct client client = open_client(bench, TLS1_3_VERSION);

	(void)state;
	SSL_set_alpn_protos(client.ssl, (const unsigned char *)"\x02h2", 3);
	assert_int_not_equal(shake_hands(bench, &client), 1);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
	    SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
	close_client(&client);
	tear_down(bench);
}

/* All that comes until the connection ends. */
static void
read_all(struct bench *bench, int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t count;

	while ((count = read_server(bench, fd, text + length,
	    size - 1 - length)) > 0)
		length += (size_t)count;
	text[length] = '\0';
}

static void
answers_plain_http(void **state)
{
	static const char request[] = "GET /ultronex/stream HTTP/1.1\r\n"
	    "Host: 127.0.0.1\r\n\r\n";
	struct bench *bench = set_up();
	int fd = dial(bench, "192.0.2.1");
	char text[1024];
	const char *body;

	(void)state;
	assert_int_equal(write(fd, request, sizeof request - 1),
	    sizeof request - 1);
	read_all(bench, fd, text, sizeof text);
	assert_non_null(strstr(text, "HTTP/1.1 400 "));
	body = strstr(text, "\r\n\r\n") + 4;
	assert_non_null(strstr(body, "HTTPS"));
	assert_int_equal(atoi(strstr(text, "Content-Length:") + 15),
	    strlen(body));
	assert_int_equal(bench->taken_count, 0);
	close(fd);
	tear_down(bench);
}

static void
ends_what_is_neither(void **state)
{
	struct bench *bench = set_up();
	size_t before = count_descriptors();
	int fd = dial(bench, "192.0.2.1");
	char text[64];

	(void)state;
	assert_int_equal(write(fd, "\0garbage", 8), 8);
	read_all(bench, fd, text, sizeof text);
	assert_string_equal(text, "");
	close(fd);

	fd = dial(bench, "192.0.2.1");
	assert_int_equal(write(fd, "\x16garbage", 8), 8);
	read_all(bench, fd, text, sizeof text);
	close(fd);
	await_descriptors(bench, before);
	assert_at_rest(bench);
	tear_down(bench);
}

static void
ends_who_keeps_us_waiting(void **state)
{
	struct bench *bench = set_up_impatient(300, 5000, 5000);
	int silent = dial(bench, "192.0.2.1"), slow = dial(bench, "192.0.2.1");
	int64_t start = clock_steady_ms();
	char text[64];

	(void)state;
	assert_int_equal(write(slow, "\x16\x03\x01\x02\x00\x01", 6), 6);
	assert_at_rest(bench);
	read_all(bench, silent, text, sizeof text);
	read_all(bench, slow, text, sizeof text);
	assert_true(clock_steady_ms() - start >= 300);
	close(silent);
	close(slow);
	tear_down(bench);
}

static bool
is_open(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	return poll(&ready, 1, 0) == 0;
}

/* Who opens many has to make room for others, the oldest first. */
static void
bounds_the_handshakes_under_way(void **state)
{
	struct bench *bench = set_up();
	struct client client;
	int greedy[TLS_HANDSHAKES_MAX - 1], modest = dial(bench, "192.0.2.1");

	(void)state;
	for (size_t i = 0; i < TLS_HANDSHAKES_MAX - 1; i++)
		greedy[i] = dial(bench, "198.51.100.7");
	assert_true(is_open(greedy[0]));
	client = connect_client(bench, TLS1_3_VERSION);
	assert_false(is_open(greedy[0]));
	assert_true(is_open(greedy[1]));

	/* there was room again; now for the next one there is none */
	int more = dial(bench, "198.51.100.7");
	close(dial(bench, "198.51.100.7"));
	assert_false(is_open(greedy[1]));
	assert_true(is_open(greedy[2]));
	assert_true(is_open(more));
	assert_true(is_open(modest));
	close(more);
	close(modest);
	for (size_t i = 0; i < TLS_HANDSHAKES_MAX - 1; i++)
		close(greedy[i]);
	close_client(&client);
	tear_down(bench);
}

/* --- tests: certificates ----------------------------------------------------- */

static void
show_certificate(struct client *client, unsigned char *hash)
{
	X509 *certificate = SSL_get1_peer_certificate(client->ssl);
	unsigned length;

	assert_non_null(certificate);
	assert_int_equal(X509_digest(certificate, EVP_sha256(), hash,
	    &length), 1);
	X509_free(certificate);
}

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	fputs(text, file);
	fclose(file);
}

static void
takes_a_new_certificate_on_the_fly(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION), second;
	unsigned char first[32], later[32];

	(void)state;
	http_server_make_certificate(bench->certificate, "IP:127.0.0.1");
	tls_reload(bench->tls);
	second = connect_client(bench, TLS1_3_VERSION);
	show_certificate(&client, first);
	show_certificate(&second, later);
	assert_memory_not_equal(first, later, sizeof first);
	write_client(bench, &client, "still there");
	expect_server(bench, 0, "still there");
	close_client(&client);
	close_client(&second);
	tear_down(bench);
}

static void
keeps_the_old_certificate_where_the_new_one_is_bad(void **state)
{
	struct bench *bench = set_up();
	struct client client = connect_client(bench, TLS1_3_VERSION), second;
	unsigned char first[32], later[32];

	(void)state;
	write_file(bench->certificate, "half a certif");
	tls_reload(bench->tls);
	second = connect_client(bench, TLS1_3_VERSION);
	show_certificate(&client, first);
	show_certificate(&second, later);
	assert_memory_equal(first, later, sizeof first);
	close_client(&client);
	close_client(&second);
	tear_down(bench);
}

/* What is said on standard error meanwhile is returned in text. */
static bool
can_load(const char *certificate, const char *key, char *text, size_t size)
{
	struct certificate_files files = { certificate, key };
	FILE *said = tmpfile();
	int saved = dup(STDERR_FILENO);

	dup2(fileno(said), STDERR_FILENO);
	SSL_CTX *context = certificate_load(&files);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(said);
	text[fread(text, 1, size - 1, said)] = '\0';
	fclose(said);
	SSL_CTX_free(context);
	return context != NULL;
}

static void
write_locked_key(const char *path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *file = fopen(path, "w");

	assert_int_equal(PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(),
	    (const unsigned char *)"secret", 6, NULL, NULL), 1);
	fclose(file);
	EVP_PKEY_free(key);
}

/* A key of another kind than the certificate's is no better. */
static void
write_rsa_key(const char *path)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	FILE *file = fopen(path, "w");

	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL,
	    NULL), 1);
	fclose(file);
	EVP_PKEY_free(key);
}

static void
says_what_is_wrong_with_the_files(void **state)
{
	struct bench *bench = set_up();
	char other[128], text[1024];
	const char *good = bench->certificate;

	(void)state;
	snprintf(other, sizeof other, "%s/other", bench->folder);
	assert_true(can_load(good, good, text, sizeof text));
	assert_string_equal(text, "");
	assert_false(can_load(other, good, text, sizeof text));
	assert_non_null(strstr(text, "TLS certificate: open "));
	assert_non_null(strstr(text, "No such file"));
	assert_false(can_load(good, other, text, sizeof text));
	assert_non_null(strstr(text, "TLS key: open "));
	assert_false(can_load(good, bench->folder, text, sizeof text));
	assert_non_null(strstr(text, "TLS key: read "));
	assert_non_null(strstr(text, "directory"));

	write_file(other, "");
	assert_false(can_load(other, good, text, sizeof text));
	assert_non_null(strstr(text, "holds none in PEM form"));
	assert_false(can_load(good, other, text, sizeof text));
	assert_non_null(strstr(text, "holds none in PEM form"));
	write_locked_key(other);
	assert_false(can_load(good, other, text, sizeof text));
	assert_non_null(strstr(text, "passphrase"));
	write_rsa_key(other);
	assert_false(can_load(good, other, text, sizeof text));
	assert_non_null(strstr(text, "does not fit the first certificate"));

	http_server_make_certificate(other, "IP:127.0.0.1");
	chmod(other, 0644);
	assert_true(can_load(other, other, text, sizeof text));
	assert_non_null(strstr(text, "everybody can read"));
	assert_false(can_load(good, other, text, sizeof text));
	assert_non_null(strstr(text, "does not fit the first certificate"));
	tear_down(bench);
}

/* Let the certificate be valid for that time, counted from now. */
static void
set_validity(const char *path, long begin, long end)
{
	FILE *file = fopen(path, "r+");
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);

	assert_true(key != NULL && certificate != NULL);
	X509_gmtime_adj(X509_getm_notBefore(certificate), begin);
	X509_gmtime_adj(X509_getm_notAfter(certificate), end);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	rewind(file);
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL,
	    NULL), 1);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	assert_int_equal(fclose(file), 0);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void
warns_of_a_certificate_out_of_its_time(void **state)
{
	struct bench *bench = set_up();
	const char *path = bench->certificate;
	char text[1024];

	(void)state;
	set_validity(path, -7200, -3600);
	assert_true(can_load(path, path, text, sizeof text));
	assert_non_null(strstr(text, "expired at 20"));
	set_validity(path, -7200, 3600);
	assert_true(can_load(path, path, text, sizeof text));
	assert_non_null(strstr(text, "expires soon, at 20"));
	set_validity(path, 86400, 30 * 86400);
	assert_true(can_load(path, path, text, sizeof text));
	assert_non_null(strstr(text, "is valid from 20"));
	tear_down(bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_whose_connection_it_is),
		cmocka_unit_test(carries_bytes_by_tls_1_2),
		cmocka_unit_test(carries_bytes_by_tls_1_3),
		cmocka_unit_test(goes_on_with_new_keys),
		cmocka_unit_test(serves_small_records),
		cmocka_unit_test(holds_little_for_a_slow_client),
		cmocka_unit_test(holds_little_for_a_slow_server),
		cmocka_unit_test(notices_a_reset_amid_what_nobody_reads),
		cmocka_unit_test(passes_on_the_end_of_the_client),
		cmocka_unit_test(takes_a_bare_end_for_an_end),
		cmocka_unit_test(passes_on_a_reset_of_the_client),
		cmocka_unit_test(notices_the_reset_of_a_client_that_stalls),
		cmocka_unit_test(passes_on_the_end_of_the_server_behind_all),
		cmocka_unit_test(hears_out_a_client_after_the_server_left),
		cmocka_unit_test(cuts_off_who_takes_nothing),
		cmocka_unit_test(cuts_off_who_does_not_hang_up),
		cmocka_unit_test(gives_what_it_can_when_freed),
		cmocka_unit_test(refuses_old_versions),
		cmocka_unit_test(chooses_http_1_1),
		cmocka_unit_test(refuses_who_speaks_h2_only),
		cmocka_unit_test(answers_plain_http),
		cmocka_unit_test(ends_what_is_neither),
		cmocka_unit_test(ends_who_keeps_us_waiting),
		cmocka_unit_test(bounds_the_handshakes_under_way),
		cmocka_unit_test(takes_a_new_certificate_on_the_fly),
		cmocka_unit_test(
		    keeps_the_old_certificate_where_the_new_one_is_bad),
		cmocka_unit_test(says_what_is_wrong_with_the_files),
		cmocka_unit_test(warns_of_a_certificate_out_of_its_time),
	};

	return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
