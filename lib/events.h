/*
 * What is waited for besides WebSocket connections: input, output, signals,
 * sockets, time. They form one epoll set, and the set is one descriptor in the
 * poll of libwebsockets or libcurl. (libwebsockets would take descriptors one
 * by one, but sets O_NONBLOCK on them, shared with others or not, and closes
 * an input that hangs up while we do not read it.)
 */
#ifndef LIB_EVENTS_H
#define LIB_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* A descriptor to wait for, and what to call when it is ready. */
struct event {
	int fd;
	void (*ready)(void *arg);
	void *arg;

	/* these are for events.c to set */
	uint32_t mask;
	bool is_watched;
	bool is_always_ready;	/* as a file on disk: no use to wait */
};

/* Returns the descriptor of the set, which the caller closes. */
int events_open(void);

/*
 * Wait for the event's descriptor to be readable (EPOLLIN), writable
 * (EPOLLOUT) or just broken (0). The event is borrowed until it is ignored,
 * which must happen before its descriptor is closed.
 */
void events_watch(int set, struct event *event, uint32_t mask);
void events_ignore(int set, struct event *event);

/* Call what is ready now, without waiting. What is called may ignore and free
 * any event. */
void events_dispatch(int set);

/* The same, after waiting so long, -1 for ever, for something to be ready. A
 * signal ends the wait. */
void events_wait(int set, int milliseconds);

#endif
