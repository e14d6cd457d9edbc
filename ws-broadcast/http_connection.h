/*
 * One connection to a client, from head to body to answer, over and over, and
 * what it shares with the others. For http.c only.
 */
#ifndef WS_BROADCAST_HTTP_CONNECTION_H
#define WS_BROADCAST_HTTP_CONNECTION_H

#include <sys/queue.h>

#include "buffer.h"
#include "events.h"
#include "http.h"
#include "http_body.h"
#include "http_head.h"

#define HTTP_READ_BYTES 16384	/* at a time, and before they are taken */

enum http_state {
	READING_HEAD,
	READING_BODY,
	DEFERRED,
	WRITING,
	LINGERING	/* answered and half closed, until the client is done */
};

/* All the connections of one peer_network(). */
struct crowd {
	LIST_ENTRY(crowd) entry;
	uint64_t network;
	size_t count;
};

struct http_connection {
	LIST_ENTRY(http_connection) entry;
	struct http *http;
	struct crowd *crowd;
	struct event event;
	enum http_state state;
	int64_t since_ms;	/* that it waits for its request, or writes */
	int64_t deadline_ms;
	int64_t body_since_ms;

	struct buffer in;	/* read, not yet taken */
	size_t seen;		/* of it, in search of the end of a head */
	long head_length;	/* 0: not found yet, -1: there is none */
	struct buffer lines;	/* the head, cut into strings */
	struct http_head head;
	struct http_body framing;
	struct buffer body;

	struct buffer out;
	const char *rest;	/* of the answer, behind out, which lasts */
	size_t rest_length;
	size_t sent;		/* of both */

	void (*gone)(void *arg);	/* while it is deferred */
	void *arg;
	bool is_head_only;	/* what is asked for */
	bool is_read_whole;	/* the request */
	bool is_last;		/* close it behind the answer */
	bool has_ended;		/* the client will say no more */
	bool is_served;		/* just now: no second time from within */
};

struct http {
	struct http_options options;
	LIST_HEAD(, http_connection) connections;
	LIST_HEAD(, crowd) crowds;
	size_t count;
	size_t body_bytes;	/* of all connections */
	struct timer sweep;
	bool is_ending;
	char scratch[HTTP_READ_BYTES];
};

/*
 * A client is there; its connection counts in that crowd already. What it asked
 * for is looked at now: amid thousands its place may soon be another's.
 */
void http_connection_add(struct http *http, int fd, struct crowd *crowd);

/* Close it; `gone` is called where its answer was deferred. */
void http_connection_drop(struct http_connection *connection);

/* The same; who waits for a deferred answer is told that none will come. */
void http_connection_dismiss(struct http_connection *connection);

/* Its deadline has passed: close it, who is amid a request is told. */
void http_connection_time_out(struct http_connection *connection);

/* Is it for the client to do something? */
bool http_connection_is_waiting(const struct http_connection *connection);

#endif
