#include "listener.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "signals.h"

#define BACKLOG 1024
#define IN_USE_MS 2000
#define TRY_EVERY_MS 20

/* What the kernel may hold for a viewer that is slow to read. */
#define SEND_BUFFER_BYTES (128 * 1024)

static int
parse_port(const char *text, in_port_t *port)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || number > 65535)
		return -1;
	*port = htons((in_port_t)number);
	return 0;
}

static int
set_inet(struct listen_address *address, const char *host, in_port_t port)
{
	struct sockaddr_in *inet = (struct sockaddr_in *)&address->socket;

	inet->sin_family = AF_INET;
	inet->sin_port = port;
	address->length = sizeof *inet;
	if (inet_pton(AF_INET, host, &inet->sin_addr) != 1)
		return -1;
	address->is_local = ntohl(inet->sin_addr.s_addr) >> 24 == 127;
	return 0;
}

static int
set_inet6(struct listen_address *address, const char *host, in_port_t port)
{
	struct sockaddr_in6 *inet6 = (struct sockaddr_in6 *)&address->socket;

	inet6->sin6_family = AF_INET6;
	inet6->sin6_port = port;
	address->length = sizeof *inet6;
	if (inet_pton(AF_INET6, host, &inet6->sin6_addr) != 1)
		return -1;
	address->is_local = IN6_IS_ADDR_LOOPBACK(&inet6->sin6_addr);
	return 0;
}

static void
set_text(struct listen_address *address)
{
	const struct sockaddr_in *inet = (void *)&address->socket;
	const struct sockaddr_in6 *inet6 = (void *)&address->socket;
	char host[INET6_ADDRSTRLEN];

	if (address->socket.ss_family == AF_INET)
		snprintf(address->text, sizeof address->text, "%s:%u",
		    inet_ntop(AF_INET, &inet->sin_addr, host, sizeof host),
		    ntohs(inet->sin_port));
	else
		snprintf(address->text, sizeof address->text, "[%s]:%u",
		    inet_ntop(AF_INET6, &inet6->sin6_addr, host, sizeof host),
		    ntohs(inet6->sin6_port));
}

int
listener_parse(const char *text, struct listen_address *address)
{
	const char *colon = strrchr(text, ':');
	size_t length = colon != NULL ? (size_t)(colon - text) : 0;
	char host[64];
	in_port_t port;
	int status;

	memset(address, 0, sizeof *address);
	if (length == 0 || length >= sizeof host ||
	    parse_port(colon + 1, &port) == -1)
		return -1;
	memcpy(host, text, length);
	host[length] = '\0';
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		status = set_inet6(address, host + 1, port);
	} else {
		status = set_inet(address, strcmp(host, "localhost") == 0
		    ? "127.0.0.1" : host, port);
	}
	if (status == 0)
		set_text(address);
	return status;
}

static void
set_options(int fd, const struct listen_address *address)
{
	int on = 1, bytes = SEND_BUFFER_BYTES;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	if (address->is_local && address->socket.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
}

/* Returns the socket, or -1 with errno set. */
static int
try_to_listen(struct listen_address *address)
{
	struct sockaddr *where = (struct sockaddr *)&address->socket;
	int fd = socket(where->sa_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return -1;
	set_options(fd, address);
	if (bind(fd, where, address->length) == 0 &&
	    listen(fd, BACKLOG) == 0 &&
	    getsockname(fd, where, &address->length) == 0)
		return fd;

	int reason = errno;
	close(fd);
	errno = reason;
	return -1;
}

int
listener_open(struct listen_address *address)
{
	int64_t end = clock_steady_ms() + IN_USE_MS;
	int fd;

	while ((fd = try_to_listen(address)) == -1) {
		if (errno != EADDRINUSE || clock_steady_ms() >= end)
			err(EX_UNAVAILABLE, "listen on %s", address->text);
		signals_poll(NULL, 0, TRY_EVERY_MS);
		if (signals_want_stop())
			signals_die();
	}
	set_text(address);
	return fd;
}

int
listener_accept(int listener, struct sockaddr_storage *peer)
{
	socklen_t length = sizeof *peer;
	int fd = accept4(listener, (struct sockaddr *)peer, &length,
	    SOCK_CLOEXEC | SOCK_NONBLOCK);

	/* No room: who waits goes on waiting, and so do we, a little. */
	if (fd == -1 && (errno == EMFILE || errno == ENFILE ||
	    errno == ENOBUFS || errno == ENOMEM))
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	return fd;
}
