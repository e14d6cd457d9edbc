/* What we show to TLS clients, and how TLS is spoken with them. */
#ifndef WS_BROADCAST_CERTIFICATE_H
#define WS_BROADCAST_CERTIFICATE_H

#include <openssl/ssl.h>

/* Files in PEM form. */
struct certificate_files {
	const char *certificate;	/* ours first, then its chain */
	const char *key;
};

/*
 * Load them. Returns a context for connections, which the caller frees, or
 * NULL with the reason reported. A certificate out of its time is reported
 * and taken.
 */
SSL_CTX *certificate_load(const struct certificate_files *files);

/* The time when the certificate ends, as text, into `size` bytes. */
void certificate_print_end(SSL_CTX *context, char *text, size_t size);

#endif
