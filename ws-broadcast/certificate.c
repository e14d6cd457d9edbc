#include "certificate.h"

#include <err.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SOON_SECONDS (3 * 24 * 3600)
#define TIME_BYTES 32

/* Of TLS 1.2; those of 1.3 are all good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

/* Why OpenSSL failed, as it was first seen. */
static const char *
find_reason(void)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_SYSTEM_ERROR(error)
	    ? strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);

	return reason != NULL ? reason : "OpenSSL does not say why";
}

static bool
is_reason(int library, int reason)
{
	unsigned long error = ERR_peek_error();

	return ERR_GET_LIB(error) == library &&
	    ERR_GET_REASON(error) == reason;
}

/* Can it be read? Says so with the system's reason if not. */
static bool
is_readable(const char *path, const char *what)
{
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		warn("TLS %s: open %s", what, path);
		return false;
	}

	bool is_broken = fgetc(file) == EOF && ferror(file);
	if (is_broken)
		warn("TLS %s: read %s", what, path);
	fclose(file);
	return !is_broken;
}

/* Nobody is there to be asked for a passphrase. */
static int
refuse_passphrase(char *text, int size, int is_writing, void *arg)
{
	(void)text;
	(void)size;
	(void)is_writing;
	*(bool *)arg = true;
	return -1;
}

static int
use_certificate(SSL_CTX *context, const char *path)
{
	if (!is_readable(path, "certificate"))
		return -1;
	if (SSL_CTX_use_certificate_chain_file(context, path) == 1)
		return 0;
	if (is_reason(ERR_LIB_PEM, PEM_R_NO_START_LINE))
		warnx("TLS certificate: %s holds none in PEM form", path);
	else
		warnx("TLS certificate: %s: %s", path, find_reason());
	return -1;
}

static void
report_key(const struct certificate_files *files, bool needs_passphrase)
{
	const char *path = files->key;

	if (needs_passphrase)
		warnx("TLS key: %s asks for a passphrase: take it off with"
		    " openssl pkey", path);
	else if (is_reason(ERR_LIB_X509, X509_R_KEY_VALUES_MISMATCH) ||
	    is_reason(ERR_LIB_X509, X509_R_KEY_TYPE_MISMATCH) ||
	    is_reason(ERR_LIB_SSL, SSL_R_NO_CERTIFICATE_ASSIGNED))
		warnx("TLS key: %s does not fit the first certificate in %s",
		    path, files->certificate);
	else if (is_reason(ERR_LIB_PEM, PEM_R_NO_START_LINE) ||
	    is_reason(ERR_LIB_OSSL_DECODER, ERR_R_UNSUPPORTED))
		warnx("TLS key: %s holds none in PEM form", path);
	else
		warnx("TLS key: %s: %s", path, find_reason());
}

static void
warn_of_readers(const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0 && (status.st_mode & S_IROTH) != 0)
		warnx("TLS key: everybody can read %s: chmod o= it", path);
}

static int
use_key(SSL_CTX *context, const struct certificate_files *files)
{
	bool needs_passphrase = false;

	if (!is_readable(files->key, "key"))
		return -1;
	SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(context, &needs_passphrase);

	/* a key of another kind than the certificate's is found by the check */
	bool is_good = SSL_CTX_use_PrivateKey_file(context, files->key,
	    SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(context) == 1;
	SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
	SSL_CTX_set_default_passwd_cb(context, NULL);
	if (!is_good) {
		report_key(files, needs_passphrase);
		return -1;
	}
	warn_of_readers(files->key);
	return 0;
}

static void
print_time(const ASN1_TIME *time, char *text, size_t size)
{
	struct tm utc;

	if (ASN1_TIME_to_tm(time, &utc) != 1 ||
	    strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		snprintf(text, size, "an unknown time");
}

void
certificate_print_end(SSL_CTX *context, char *text, size_t size)
{
	print_time(X509_get0_notAfter(SSL_CTX_get0_certificate(context)),
	    text, size);
}

/* Browsers refuse it, and people wonder why. */
static void
warn_of_time(const X509 *certificate, const char *path)
{
	const ASN1_TIME *begin = X509_get0_notBefore(certificate);
	const ASN1_TIME *end = X509_get0_notAfter(certificate);
	time_t soon = time(NULL) + SOON_SECONDS;
	char text[TIME_BYTES];

	if (X509_cmp_current_time(begin) > 0) {
		print_time(begin, text, sizeof text);
		warnx("TLS certificate: %s is valid from %s on only", path,
		    text);
	}
	print_time(end, text, sizeof text);
	if (X509_cmp_current_time(end) < 0)
		warnx("TLS certificate: %s expired at %s: renew it, then send"
		    " HUP", path, text);
	else if (X509_cmp_time(end, &soon) < 0)
		warnx("TLS certificate: %s expires soon, at %s", path, text);
}

/* We speak HTTP/1.1, not h2: who can do only that is told so by an alert. */
static int
choose_protocol(SSL *ssl, const unsigned char **chosen,
    unsigned char *chosen_length, const unsigned char *offered,
    unsigned length, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";

	(void)ssl;
	(void)arg;
	return SSL_select_next_proto((unsigned char **)chosen, chosen_length,
	    ours, sizeof ours - 1, offered, length) == OPENSSL_NPN_NEGOTIATED
	    ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/*
 * Without AUTO_RETRY a client that sends nothing but messages of TLS itself
 * cannot keep us in SSL_read. Who ends a connection without close_notify, as
 * many do, is taken to have ended it: HTTP knows by itself what is whole.
 */
static SSL_CTX *
make_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (context == NULL)
		return NULL;
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	    SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 1);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_cipher_list(context, CIPHERS) == 1)
		return context;
	SSL_CTX_free(context);
	return NULL;
}

SSL_CTX *
certificate_load(const struct certificate_files *files)
{
	ERR_clear_error();

	SSL_CTX *context = make_context();
	if (context == NULL) {
		warnx("TLS: %s", find_reason());
		return NULL;
	}
	if (use_certificate(context, files->certificate) == -1 ||
	    use_key(context, files) == -1) {
		SSL_CTX_free(context);
		return NULL;
	}
	warn_of_time(SSL_CTX_get0_certificate(context), files->certificate);
	return context;
}
