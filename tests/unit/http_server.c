#include "http_server.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"
#include "memory.h"

#define CONNECTIONS_MAX 256
#define REQUESTS_MAX 4096

struct http_peer {
	struct http_server *server;
	pthread_t thread;
	int fd;
	SSL *tls;
};

struct http_server {
	bool (*answer)(struct http_peer *peer, const char *request, void *arg);
	void *arg;
	int fd;
	int port;
	SSL_CTX *tls;
	pthread_t thread;
	pthread_mutex_t lock;
	struct http_peer peers[CONNECTIONS_MAX];
	size_t peer_count;
	char *requests[REQUESTS_MAX];
	size_t request_count;
};

static ssize_t
receive(struct http_peer *peer, char *bytes, size_t length)
{
	if (peer->tls != NULL)
		return SSL_read(peer->tls, bytes, (int)length);
	return recv(peer->fd, bytes, length, 0);
}

bool
http_peer_send(struct http_peer *peer, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = peer->tls != NULL ?
		    SSL_write(peer->tls, bytes, (int)length) :
		    send(peer->fd, bytes, length, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes += sent;
		length -= (size_t)sent;
	}
	return true;
}

bool
http_peer_say(struct http_peer *peer, const char *text)
{
	return http_peer_send(peer, text, strlen(text));
}

bool
http_peer_answer(struct http_peer *peer, int status, const char *headers,
    const char *body)
{
	struct buffer answer = { 0 };
	bool is_sent;

	buffer_printf(&answer, "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\n"
	    "%s\r\n%s", status, strlen(body), headers, body);
	is_sent = http_peer_send(peer, answer.data, answer.length);
	buffer_free(&answer);
	return is_sent;
}

void
http_peer_wait(struct http_peer *peer)
{
	char bytes[256];

	while (receive(peer, bytes, sizeof bytes) > 0)
		continue;
}

void
http_peer_reset(struct http_peer *peer)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* The length of the whole request in the buffer, or 0. */
static size_t
measure_request(struct buffer *input)
{
	const char *text = buffer_string(input);
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strcasestr(text, "\r\nContent-Length:");
	size_t whole;

	if (end == NULL)
		return 0;
	whole = (size_t)(end - text) + 4;
	if (length != NULL && length < end)
		whole += strtoul(length + strlen("\r\nContent-Length:"), NULL,
		    10);
	return whole <= input->length ? whole : 0;
}

static const char *
note_request(struct http_server *server, const char *text, size_t length)
{
	char *request = xstrndup(text, length);

	pthread_mutex_lock(&server->lock);
	if (server->request_count == REQUESTS_MAX)
		errx(1, "too many requests");
	server->requests[server->request_count++] = request;
	pthread_mutex_unlock(&server->lock);
	return request;
}

static void
serve_requests(struct http_peer *peer)
{
	struct buffer input = { 0 };
	ssize_t length;
	size_t whole;

	for (;;) {
		while ((whole = measure_request(&input)) > 0) {
			const char *request = note_request(peer->server,
			    input.data, whole);

			buffer_consume(&input, whole);
			if (!peer->server->answer(peer, request,
			    peer->server->arg))
				goto out;
		}
		length = receive(peer, buffer_reserve(&input, 4096), 4096);
		if (length <= 0)
			goto out;
		input.length += (size_t)length;
	}
out:
	buffer_free(&input);
}

static void *
serve_peer(void *arg)
{
	struct http_peer *peer = arg;

	if (peer->server->tls != NULL) {
		peer->tls = SSL_new(peer->server->tls);
		SSL_set_fd(peer->tls, peer->fd);
	}
	if (peer->tls == NULL || SSL_accept(peer->tls) == 1)
		serve_requests(peer);
	SSL_free(peer->tls);

	pthread_mutex_lock(&peer->server->lock);
	close(peer->fd);
	peer->fd = -1;
	pthread_mutex_unlock(&peer->server->lock);
	return NULL;
}

static void *
accept_peers(void *arg)
{
	struct http_server *server = arg;
	int fd;

	while ((fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC)) != -1) {
		struct http_peer *peer;

		pthread_mutex_lock(&server->lock);
		if (server->peer_count == CONNECTIONS_MAX)
			errx(1, "too many connections");
		peer = &server->peers[server->peer_count++];
		peer->server = server;
		peer->fd = fd;
		if (pthread_create(&peer->thread, NULL, serve_peer, peer) != 0)
			errx(1, "start a thread");
		pthread_mutex_unlock(&server->lock);
	}
	return NULL;
}

static SSL_CTX *
load_certificate(const char *path)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	if (tls == NULL ||
	    SSL_CTX_use_certificate_file(tls, path, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, path, SSL_FILETYPE_PEM) != 1)
		errx(1, "load %s", path);
	return tls;
}

static X509 *
make_certificate(EVP_PKEY *key, const char *name)
{
	X509 *certificate = X509_new();
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL,
	    NID_subject_alt_name, name);
	X509_NAME *subject;

	if (certificate == NULL || names == NULL)
		errx(1, "make a certificate");
	subject = X509_get_subject_name(certificate);
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 30 * 86400);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(certificate, subject);
	X509_set_pubkey(certificate, key);
	X509_add_ext(certificate, names, -1);
	X509_EXTENSION_free(names);
	if (X509_sign(certificate, key, EVP_sha256()) == 0)
		errx(1, "sign a certificate");
	return certificate;
}

void
http_server_make_certificate(const char *path, const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = make_certificate(key, name);
	FILE *file = fopen(path, "w");

	if (file == NULL)
		err(1, "open %s", path);
	if (PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    PEM_write_X509(file, certificate) != 1 || fclose(file) != 0)
		errx(1, "write %s", path);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

struct http_server *
http_server_start(const char *certificate,
    bool (*answer)(struct http_peer *peer, const char *request, void *arg),
    void *arg)
{
	struct http_server *server = xcalloc(1, sizeof *server);
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof address;

	server->answer = answer;
	server->arg = arg;
	if (certificate != NULL)
		server->tls = load_certificate(certificate);
	signal(SIGPIPE, SIG_IGN);
	pthread_mutex_init(&server->lock, NULL);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server->fd == -1 || bind(server->fd,
	    (struct sockaddr *)&address, sizeof address) == -1 ||
	    listen(server->fd, 64) == -1 || getsockname(server->fd,
	    (struct sockaddr *)&address, &length) == -1)
		err(1, "listen");
	server->port = ntohs(address.sin_port);
	if (pthread_create(&server->thread, NULL, accept_peers, server) != 0)
		errx(1, "start a thread");
	return server;
}

static void
hang_up(struct http_server *server)
{
	pthread_mutex_lock(&server->lock);
	for (size_t i = 0; i < server->peer_count; i++)
		if (server->peers[i].fd != -1)
			shutdown(server->peers[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&server->lock);
}

void
http_server_stop(struct http_server *server)
{
	if (server == NULL)
		return;
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
	hang_up(server);
	for (size_t i = 0; i < server->peer_count; i++)
		pthread_join(server->peers[i].thread, NULL);
	for (size_t i = 0; i < server->request_count; i++)
		free(server->requests[i]);
	pthread_mutex_destroy(&server->lock);
	SSL_CTX_free(server->tls);
	free(server);
}

int
http_server_port(const struct http_server *server)
{
	return server->port;
}

size_t
http_server_connections(struct http_server *server)
{
	size_t count;

	pthread_mutex_lock(&server->lock);
	count = server->peer_count;
	pthread_mutex_unlock(&server->lock);
	return count;
}

size_t
http_server_requests(struct http_server *server)
{
	size_t count;

	pthread_mutex_lock(&server->lock);
	count = server->request_count;
	pthread_mutex_unlock(&server->lock);
	return count;
}

const char *
http_server_request(struct http_server *server, size_t number)
{
	const char *request;

	pthread_mutex_lock(&server->lock);
	if (number >= server->request_count)
		errx(1, "there was no request %zu", number);
	request = server->requests[number];
	pthread_mutex_unlock(&server->lock);
	return request;
}
