#include "relay.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/err.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "events.h"
#include "memory.h"

#define RECORD_BYTES_MAX 16384	/* of TLS: SSL_read leaves nothing behind */
#define ROUNDS_MAX 4		/* in one turn, so that others have theirs */
#define TICK_MS 1000
#define STALLS_MANY 32

enum state {
	FLOWING,
	STALLED,		/* the client does not take what waits for it */
	CLOSING,		/* the server is done, the client not yet */
	STATES
};

TAILQ_HEAD(relay_list, relay);

struct relays {
	struct relays_options options;
	struct relay_list lists[STATES];	/* the oldest first */
	size_t count;
	size_t stalls;		/* since the last tick without any */
	struct timer tick;	/* while any is not flowing */
	char bytes[RECORD_BYTES_MAX];	/* on their way */
};

struct relay {
	TAILQ_ENTRY(relay) entry;
	struct relays *relays;
	enum state state;
	int64_t since_ms;	/* in that state, or made progress in it */

	SSL *ssl;
	struct event client;
	struct event server;
	uint32_t read_waits_for;	/* what SSL_read needs of the client */
	uint32_t write_waits_for;	/* what SSL_write and _shutdown need */
	struct buffer to_server;	/* what it did not take yet */
	struct buffer to_client;

	bool is_client_done;	/* it sends no more */
	bool is_server_done;
	bool is_server_deaf;	/* it takes no more */
	bool is_client_told;	/* that the server is done */
	bool is_broken;
};

static void free_relay(struct relay *relay);

static int
find_limit_ms(const struct relays *relays, enum state state)
{
	return state == STALLED ? relays->options.stall_ms
	    : relays->options.closing_ms;
}

static void
end_late(struct relays *relays, enum state state, int64_t now_ms)
{
	int limit_ms = find_limit_ms(relays, state);
	struct relay *relay;

	while ((relay = TAILQ_FIRST(&relays->lists[state])) != NULL &&
	    now_ms - relay->since_ms >= limit_ms)
		free_relay(relay);
}

/* Buffers of many that stalled at a time, and of OpenSSL, left holes between
 * what stays, which the allocator would keep. */
static void
give_memory_back(struct relays *relays)
{
	if (relays->stalls >= STALLS_MANY)
		malloc_trim(0);
	relays->stalls = 0;
}

static void
tick(void *arg)
{
	struct relays *relays = arg;
	int64_t now_ms = clock_steady_ms();

	end_late(relays, STALLED, now_ms);
	end_late(relays, CLOSING, now_ms);
	if (TAILQ_EMPTY(&relays->lists[STALLED]) &&
	    TAILQ_EMPTY(&relays->lists[CLOSING]))
		give_memory_back(relays);
	else
		timers_set(relays->options.timers, &relays->tick, TICK_MS);
}

/* Into that state, or anew into the same. */
static void
enter(struct relay *relay, enum state state)
{
	struct relays *relays = relay->relays;

	TAILQ_REMOVE(&relays->lists[relay->state], relay, entry);
	TAILQ_INSERT_TAIL(&relays->lists[state], relay, entry);
	relay->state = state;
	relay->since_ms = clock_steady_ms();
	relays->stalls += state != FLOWING;
	if (state != FLOWING && !relays->tick.is_set)
		timers_set(relays->options.timers, &relays->tick, TICK_MS);
}

/* What did not go through at once waits in a buffer, which is seldom there. */
static void
keep_rest(struct buffer *buffer, const char *bytes, size_t length, size_t done)
{
	if (bytes == buffer->data)
		buffer_consume(buffer, done);
	else
		buffer_append(buffer, bytes + done, length - done);
	if (buffer->length == 0)
		buffer_free(buffer);
}

/* The event that SSL waits for, or 0: the connection has ended or broken. */
static uint32_t
find_wanted(const struct relay *relay, int result)
{
	switch (SSL_get_error(relay->ssl, result)) {
	case SSL_ERROR_WANT_READ: return EPOLLIN;
	case SSL_ERROR_WANT_WRITE: return EPOLLOUT;
	default: return 0;
	}
}

static void
give_to_server(struct relay *relay, const char *bytes, size_t length)
{
	ssize_t count = relay->is_server_deaf ? (ssize_t)length
	    : send(relay->server.fd, bytes, length, MSG_NOSIGNAL);

	if (count == -1 && errno != EAGAIN && errno != EINTR) {
		relay->is_server_deaf = true;
		count = (ssize_t)length;
	}
	keep_rest(&relay->to_server, bytes, length,
	    count > 0 ? (size_t)count : 0);
}

static void
note_end_of_client(struct relay *relay, int result)
{
	if (SSL_get_error(relay->ssl, result) != SSL_ERROR_ZERO_RETURN) {
		relay->is_broken = true;
		return;
	}
	relay->is_client_done = true;
	shutdown(relay->server.fd, SHUT_WR);
}

static void
take_from_client(struct relay *relay)
{
	char *bytes = relay->relays->bytes;

	for (int i = 0; i < ROUNDS_MAX && relay->to_server.length == 0; i++) {
		ERR_clear_error();

		int length = SSL_read(relay->ssl, bytes, RECORD_BYTES_MAX);
		if (length <= 0) {
			relay->read_waits_for = find_wanted(relay, length);
			if (relay->read_waits_for == 0)
				note_end_of_client(relay, length);
			return;
		}
		relay->read_waits_for = EPOLLIN;
		give_to_server(relay, bytes, (size_t)length);
	}
}

/* SSL_write wants the same bytes again if it has to wait: they are kept. */
static void
give_to_client(struct relay *relay, const char *bytes, size_t length)
{
	ERR_clear_error();

	int count = SSL_write(relay->ssl, bytes, (int)length);
	relay->write_waits_for = EPOLLOUT;
	if (count <= 0) {
		relay->write_waits_for = find_wanted(relay, count);
		relay->is_broken |= relay->write_waits_for == 0;
		count = 0;
	}
	keep_rest(&relay->to_client, bytes, length, (size_t)count);
	if (relay->to_client.length > 0) {
		if (relay->state != STALLED || count > 0)
			enter(relay, STALLED);
	} else if (relay->state == STALLED) {
		enter(relay, FLOWING);
	}
}

/* All is said: now it is for the client to hang up, or we lost bytes. */
static void
tell_client(struct relay *relay)
{
	ERR_clear_error();

	int result = SSL_shutdown(relay->ssl);
	if (result < 0) {
		relay->write_waits_for = find_wanted(relay, result);
		relay->is_broken |= relay->write_waits_for == 0;
		if (relay->state != STALLED)
			enter(relay, STALLED);
		return;
	}
	relay->is_client_told = true;
	shutdown(relay->client.fd, SHUT_WR);
	enter(relay, CLOSING);
}

/* A reset of the pair comes behind all that was sent, and is an end as well. */
static void
take_from_server(struct relay *relay)
{
	char *bytes = relay->relays->bytes;

	for (int i = 0; i < ROUNDS_MAX && !relay->is_broken &&
	    !relay->is_server_done && relay->to_client.length == 0; i++) {
		ssize_t length = read(relay->server.fd, bytes,
		    RECORD_BYTES_MAX);

		if (length > 0)
			give_to_client(relay, bytes, (size_t)length);
		else if (length == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		else
			relay->is_server_done = true;
	}
}

static void
serve_client(struct relay *relay)
{
	if (relay->to_client.length > 0)
		give_to_client(relay, relay->to_client.data,
		    relay->to_client.length);
	if (!relay->is_broken)
		take_from_server(relay);
	if (relay->is_server_done && !relay->is_client_told &&
	    relay->to_client.length == 0 && !relay->is_broken)
		tell_client(relay);
}

/* The server's side is left alone while nothing is wanted of it: if it hung up
 * we would be told so again and again. */
static void
watch(struct relay *relay)
{
	uint32_t client = 0, server = 0;
	int set = relay->relays->options.set;

	if (!relay->is_client_done && relay->to_server.length == 0)
		client |= relay->read_waits_for;
	if (relay->to_client.length > 0 ||
	    (relay->is_server_done && !relay->is_client_told))
		client |= relay->write_waits_for;
	if (relay->to_server.length > 0)
		server |= EPOLLOUT;
	if (relay->to_client.length == 0 && !relay->is_server_done)
		server |= EPOLLIN;
	events_watch(set, &relay->client, client);
	if (server != 0)
		events_watch(set, &relay->server, server);
	else
		events_ignore(set, &relay->server);
}

/* Is it over? Else wait for what is needed next. */
static void
settle(struct relay *relay)
{
	if (relay->is_broken ||
	    (relay->is_client_done && relay->is_client_told))
		free_relay(relay);
	else
		watch(relay);
}

/* An event that we did not ask for tells that the connection is broken. */
static void
note_client(void *arg)
{
	struct relay *relay = arg;
	uint32_t asked = relay->client.mask;

	relay->is_broken = asked == 0;
	if ((asked & relay->read_waits_for) != 0 && !relay->is_client_done &&
	    relay->to_server.length == 0)
		take_from_client(relay);
	if (!relay->is_broken && (asked & relay->write_waits_for) != 0)
		serve_client(relay);
	settle(relay);
}

static void
note_server(void *arg)
{
	struct relay *relay = arg;

	if (relay->to_server.length > 0)
		give_to_server(relay, relay->to_server.data,
		    relay->to_server.length);
	if (relay->to_client.length == 0)
		serve_client(relay);
	settle(relay);
}

struct relays *
relays_new(const struct relays_options *options)
{
	struct relays *relays = xcalloc(1, sizeof *relays);

	relays->options = *options;
	relays->tick = (struct timer){ .due = tick, .arg = relays };
	for (int i = 0; i < STATES; i++)
		TAILQ_INIT(&relays->lists[i]);
	return relays;
}

void
relays_add(struct relays *relays, SSL *ssl, int server)
{
	struct relay *relay = xcalloc(1, sizeof *relay);

	*relay = (struct relay){
		.relays = relays,
		.ssl = ssl,
		.client = { .fd = SSL_get_fd(ssl), .ready = note_client,
		    .arg = relay },
		.server = { .fd = server, .ready = note_server, .arg = relay },
		.read_waits_for = EPOLLIN,
		.write_waits_for = EPOLLOUT,
	};
	TAILQ_INSERT_TAIL(&relays->lists[FLOWING], relay, entry);
	relays->count++;
	watch(relay);
}

static void
free_relay(struct relay *relay)
{
	struct relays *relays = relay->relays;

	TAILQ_REMOVE(&relays->lists[relay->state], relay, entry);
	relays->count--;
	events_ignore(relays->options.set, &relay->client);
	events_ignore(relays->options.set, &relay->server);
	SSL_free(relay->ssl);
	close(relay->client.fd);
	close(relay->server.fd);
	buffer_free(&relay->to_server);
	buffer_free(&relay->to_client);
	free(relay);
}

/* What the server sent and we did not read. */
static int
count_unread(const struct relay *relay)
{
	int count = 0;

	ioctl(relay->server.fd, FIONREAD, &count);
	return count;
}

/* Give the client what it takes without waiting. */
static void
finish(struct relay *relay)
{
	while (!relay->is_broken && relay->to_client.length == 0 &&
	    count_unread(relay) > 0)
		take_from_server(relay);
	if (!relay->is_broken)
		serve_client(relay);
	free_relay(relay);
}

void
relays_free(struct relays *relays)
{
	struct relay *relay;

	if (relays == NULL)
		return;
	for (int i = 0; i < STATES; i++)
		while ((relay = TAILQ_FIRST(&relays->lists[i])) != NULL)
			finish(relay);
	timers_cancel(relays->options.timers, &relays->tick);
	free(relays);
}

size_t
relays_count(const struct relays *relays)
{
	return relays->count;
}

bool
relays_end_closing(struct relays *relays)
{
	struct relay *oldest = TAILQ_FIRST(&relays->lists[CLOSING]);

	if (oldest != NULL)
		free_relay(oldest);
	return oldest != NULL;
}

static bool
is_idle(const struct relay *relay)
{
	return relay->is_client_told || (relay->to_client.length == 0 &&
	    count_unread(relay) == 0);
}

bool
relays_are_idle(const struct relays *relays)
{
	const struct relay *relay;

	for (int i = 0; i < STATES; i++)
		TAILQ_FOREACH(relay, &relays->lists[i], entry)
			if (!is_idle(relay))
				return false;
	return true;
}
