/* A small real HTTP server for unit tests: a thread for each connection. */
#ifndef TESTS_HTTP_SERVER_H
#define TESTS_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct http_server;
struct http_peer;		/* a connection, as its thread sees it */

/*
 * Start on a free port of 127.0.0.1. `answer` is called in the connection's
 * thread for each whole request; where it returns false, the connection is
 * closed. certificate names a PEM file of certificate and key, for TLS, or is
 * NULL.
 */
struct http_server *http_server_start(const char *certificate,
    bool (*answer)(struct http_peer *peer, const char *request, void *arg),
    void *arg);

/*
 * Write a PEM file of a new key and a certificate for that name, such as
 * DNS:localhost or IP:127.0.0.1, which is its own authority.
 */
void http_server_make_certificate(const char *path, const char *name);

/* Closes all connections and waits for their threads. */
void http_server_stop(struct http_server *server);

int http_server_port(const struct http_server *server);
size_t http_server_connections(struct http_server *server);

/* The whole requests so far, and one of them, which belongs to the server. */
size_t http_server_requests(struct http_server *server);
const char *http_server_request(struct http_server *server, size_t number);

/* Send bytes; returns whether they went. */
bool http_peer_send(struct http_peer *peer, const char *bytes, size_t length);
bool http_peer_say(struct http_peer *peer, const char *text);

/* Send an answer with that status, more header lines (or "") and body. */
bool http_peer_answer(struct http_peer *peer, int status, const char *headers,
    const char *body);

/* Wait until the client hangs up. */
void http_peer_wait(struct http_peer *peer);

/* Let closing send a reset. */
void http_peer_reset(struct http_peer *peer);

#endif
