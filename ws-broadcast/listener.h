/*
 * Where viewers connect. The socket is our own: libwebsockets 4.1.6 would bind
 * `127.0.0.1` to every address of the machine, and try again in silence where
 * the port is taken.
 */
#ifndef WS_BROADCAST_LISTENER_H
#define WS_BROADCAST_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

struct listen_address {
	struct sockaddr_storage socket;
	socklen_t length;
	char text[64];		/* host:port as in a URL */
	bool is_local;		/* nobody else's machine can reach it */
};

/* Read ADDR:PORT, [ADDR]:PORT or localhost:PORT. Returns 0, or -1. */
int listener_parse(const char *text, struct listen_address *address);

/*
 * Bind and listen; the address then has the real port where 0 was asked for.
 * One that is in use is tried for two seconds: whoever we stand in for may be
 * dying just now. Returns the socket; exits EX_UNAVAILABLE where the address
 * cannot be had, or by the signal that asked to stop.
 */
int listener_open(struct listen_address *address);

/*
 * The next connection that waits, and whose it is, or -1 where there is none
 * or no descriptor is left for it.
 */
int listener_accept(int listener, struct sockaddr_storage *peer);

#endif
