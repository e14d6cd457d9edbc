#include "tls.h"

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "events.h"
#include "memory.h"
#include "peer.h"
#include "relay.h"

#define HANDSHAKE_MS 10000
#define STALL_MS 60000
#define CLOSING_MS 10000
#define REFUSED_BYTES_MAX 65536	/* still heard of who was refused */

/* The system holds so much between us and the server, each way, about. */
#define TO_SERVER_BYTES (32 * 1024)
#define TO_CLIENT_BYTES (64 * 1024)

#define TLS_HANDSHAKE_RECORD 0x16	/* a client's first byte */

/* A connection until it is clear that TLS is spoken. */
struct handshake {
	TAILQ_ENTRY(handshake) entry;
	struct tls *tls;
	struct event event;
	struct timer deadline;
	struct sockaddr_storage peer;
	uint64_t origin;	/* the same for one peer's connections */
	SSL *ssl;		/* from the first byte on */
	bool is_refused;	/* what it still sends is thrown away */
	size_t thrown_away;
};

TAILQ_HEAD(handshake_list, handshake);

struct tls {
	struct tls_options options;
	SSL_CTX *context;
	struct relays *relays;
	struct handshake_list handshakes;	/* the oldest first */
	size_t handshake_count;
};

static void
set_default(int *value, int standard)
{
	if (*value == 0)
		*value = standard;
}

struct tls *
tls_new(const struct tls_options *options)
{
	struct tls *tls = xcalloc(1, sizeof *tls);

	tls->options = *options;
	tls->context = options->context;
	set_default(&tls->options.handshake_ms, HANDSHAKE_MS);
	set_default(&tls->options.stall_ms, STALL_MS);
	set_default(&tls->options.closing_ms, CLOSING_MS);
	TAILQ_INIT(&tls->handshakes);
	tls->relays = relays_new(&(struct relays_options){
		.set = options->set,
		.timers = options->timers,
		.stall_ms = tls->options.stall_ms,
		.closing_ms = tls->options.closing_ms,
	});
	return tls;
}

/* Forget it, but for its connection. */
static void
free_handshake(struct handshake *handshake)
{
	struct tls *tls = handshake->tls;

	TAILQ_REMOVE(&tls->handshakes, handshake, entry);
	tls->handshake_count--;
	timers_cancel(tls->options.timers, &handshake->deadline);
	events_ignore(tls->options.set, &handshake->event);
	free(handshake);
}

static void
end_handshake(void *arg)
{
	struct handshake *handshake = arg;
	int fd = handshake->event.fd;

	SSL_free(handshake->ssl);
	free_handshake(handshake);
	close(fd);
}

void
tls_free(struct tls *tls)
{
	struct handshake *handshake;

	if (tls == NULL)
		return;
	while ((handshake = TAILQ_FIRST(&tls->handshakes)) != NULL)
		end_handshake(handshake);
	relays_free(tls->relays);
	SSL_CTX_free(tls->context);
	free(tls);
}

static size_t
count_of_origin(const struct tls *tls, uint64_t origin)
{
	const struct handshake *handshake;
	size_t count = 0;

	TAILQ_FOREACH(handshake, &tls->handshakes, entry)
		count += handshake->origin == origin;
	return count;
}

/* The oldest of the origin that has the most; of several such, of the one
 * that has been there longest. */
static struct handshake *
choose_victim(const struct tls *tls)
{
	struct handshake *handshake, *victim = NULL;
	size_t most = 0;

	TAILQ_FOREACH(handshake, &tls->handshakes, entry) {
		size_t count = count_of_origin(tls, handshake->origin);

		if (count > most) {
			most = count;
			victim = handshake;
		}
	}
	return victim;
}

/* Let go of a client, in a way that it hears what it was told. */
static void
refuse(struct handshake *handshake)
{
	handshake->is_refused = true;
	shutdown(handshake->event.fd, SHUT_WR);
	events_watch(handshake->tls->options.set, &handshake->event, EPOLLIN);
}

static void
throw_away(struct handshake *handshake)
{
	char bytes[4096];
	ssize_t length = recv(handshake->event.fd, bytes, sizeof bytes, 0);

	if (length == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length > 0)
		handshake->thrown_away += (size_t)length;
	if (length <= 0 || handshake->thrown_away > REFUSED_BYTES_MAX)
		end_handshake(handshake);
}

/* Somebody wrote http:// for https://. */
static void
answer_plainly(struct handshake *handshake)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: 48\r\n"
	    "Cache-Control: no-store\r\n"
	    "Connection: close\r\n\r\n"
	    "This port speaks HTTPS: ask with https:// here.\n";

	send(handshake->event.fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
	refuse(handshake);
}

/* Look at the first byte. Returns true where TLS begins. */
static bool
begin_tls(struct handshake *handshake)
{
	unsigned char first;
	int fd = handshake->event.fd;
	ssize_t length = recv(fd, &first, 1, MSG_PEEK);

	if (length == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (length == 1 && first >= 'A' && first <= 'Z') {
		answer_plainly(handshake);
		return false;
	}
	if (length == 1 && first == TLS_HANDSHAKE_RECORD)
		handshake->ssl = SSL_new(handshake->tls->context);
	if (handshake->ssl == NULL || SSL_set_fd(handshake->ssl, fd) != 1) {
		end_handshake(handshake);
		return false;
	}
	return true;
}

/* Returns 0, or -1 where there are no descriptors left. */
static int
open_pair(int pair[2])
{
	int to_server = TO_SERVER_BYTES, to_client = TO_CLIENT_BYTES;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
	    pair) == -1)
		return -1;
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &to_server,
	    sizeof to_server);
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &to_client,
	    sizeof to_client);
	return 0;
}

/* Who is slow to hang up gives way to who comes. */
static bool
has_room(struct tls *tls)
{
	return relays_count(tls->relays) < tls->options.most +
	    TLS_CLOSING_MAX ||
	    relays_end_closing(tls->relays);
}

/* It is through: from here on there is a plain connection, and a relay. */
static void
hand_on(struct handshake *handshake)
{
	struct tls *tls = handshake->tls;
	struct sockaddr_storage peer = handshake->peer;
	SSL *ssl = handshake->ssl;
	int pair[2];

	if (!has_room(tls) || open_pair(pair) == -1) {
		end_handshake(handshake);
		return;
	}
	free_handshake(handshake);
	relays_add(tls->relays, ssl, pair[0]);
	tls->options.take(tls->options.arg, pair[1], &peer);
}

static void
shake_hands(struct handshake *handshake)
{
	int set = handshake->tls->options.set, result;

	ERR_clear_error();
	result = SSL_accept(handshake->ssl);
	if (result == 1) {
		hand_on(handshake);
		return;
	}
	switch (SSL_get_error(handshake->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		events_watch(set, &handshake->event, EPOLLIN);
		break;
	case SSL_ERROR_WANT_WRITE:
		events_watch(set, &handshake->event, EPOLLOUT);
		break;
	case SSL_ERROR_SSL:	/* the client was told why by an alert */
		refuse(handshake);
		break;
	default:
		end_handshake(handshake);
		break;
	}
}

static void
go_on(void *arg)
{
	struct handshake *handshake = arg;

	if (handshake->is_refused)
		throw_away(handshake);
	else if (handshake->ssl != NULL || begin_tls(handshake))
		shake_hands(handshake);
}

void
tls_accept(struct tls *tls, int fd, const struct sockaddr_storage *peer)
{
	struct handshake *handshake = xcalloc(1, sizeof *handshake);
	int on = 1;

	/* records are whole messages: to wait for more would only delay */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	*handshake = (struct handshake){
		.tls = tls,
		.event = { .fd = fd, .ready = go_on, .arg = handshake },
		.deadline = { .due = end_handshake, .arg = handshake },
		.peer = *peer,
		.origin = peer_network(peer),
	};
	TAILQ_INSERT_TAIL(&tls->handshakes, handshake, entry);
	if (++tls->handshake_count > TLS_HANDSHAKES_MAX)
		end_handshake(choose_victim(tls));
	timers_set(tls->options.timers, &handshake->deadline,
	    tls->options.handshake_ms);
	events_watch(tls->options.set, &handshake->event, EPOLLIN);
}

void
tls_reload(struct tls *tls)
{
	const char *path = tls->options.files.certificate;
	SSL_CTX *context = certificate_load(&tls->options.files);
	char end[64];

	if (context == NULL) {
		warnx("TLS: the certificate and key in use stay in use");
		return;
	}
	SSL_CTX_free(tls->context);
	tls->context = context;
	certificate_print_end(context, end, sizeof end);
	warnx("TLS: took %s, which ends %s, for new connections", path, end);
}

bool
tls_is_idle(const struct tls *tls)
{
	return relays_are_idle(tls->relays);
}
