#include "auth.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "memory.h"

#define PAIR_BYTES_MAX 1024	/* of user:password */

struct auth {
	unsigned char user[SHA256_DIGEST_LENGTH];
	unsigned char password[SHA256_DIGEST_LENGTH];
};

struct auth *
auth_new(const char *user, const char *password)
{
	struct auth *auth = xcalloc(1, sizeof *auth);

	SHA256((const unsigned char *)user, strlen(user), auth->user);
	SHA256((const unsigned char *)password, strlen(password),
	    auth->password);
	return auth;
}

void
auth_free(struct auth *auth)
{
	free(auth);
}

/* Compare hashes, which are as long whatever was guessed; always both. */
static bool
is_known(const struct auth *auth, const char *user, size_t user_length,
    const char *password, size_t password_length)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	int wrong;

	SHA256((const unsigned char *)user, user_length, hash);
	wrong = CRYPTO_memcmp(hash, auth->user, sizeof hash);
	SHA256((const unsigned char *)password, password_length, hash);
	wrong |= CRYPTO_memcmp(hash, auth->password, sizeof hash);
	return wrong == 0;
}

/* Returns the number of bytes behind the base64 text, or -1. */
static int
decode_base64(const char *text, size_t length, unsigned char *bytes)
{
	int padding = 0;
	int count;

	while (padding < 2 && length > (size_t)padding &&
	    text[length - 1 - (size_t)padding] == '=')
		padding++;
	count = EVP_DecodeBlock(bytes, (const unsigned char *)text,
	    (int)length);
	return count == -1 ? -1 : count - padding;
}

/* The base64 text behind the word Basic, its length in *length, or NULL. */
static const char *
find_pair(const char *header, size_t *length)
{
	const char *text;

	if (header == NULL || strncasecmp(header, "Basic ", 6) != 0)
		return NULL;
	text = header + 6 + strspn(header + 6, " ");
	*length = strcspn(text, " \t");
	return *length > 0 && *length % 4 == 0 &&
	    *length <= PAIR_BYTES_MAX / 3 * 4 ? text : NULL;
}

bool
auth_accepts(const struct auth *auth, const char *header)
{
	unsigned char pair[PAIR_BYTES_MAX + 3];
	size_t length;
	const char *text = find_pair(header, &length);
	int count = text != NULL ? decode_base64(text, length, pair) : -1;

	if (count <= 0)
		return false;

	const char *user = (const char *)pair;
	const char *colon = memchr(user, ':', (size_t)count);
	bool accepted = colon != NULL && is_known(auth, user,
	    (size_t)(colon - user), colon + 1,
	    (size_t)(user + count - colon - 1));
	OPENSSL_cleanse(pair, sizeof pair);
	return accepted;
}

/* host[:port] of an origin, or NULL where it is none of the web. */
static const char *
skip_scheme(const char *origin)
{
	if (strncasecmp(origin, "http://", 7) == 0)
		return origin + 7;
	if (strncasecmp(origin, "https://", 8) == 0)
		return origin + 8;
	return NULL;
}

bool
auth_origin_fits(const char *origin, const char *host,
    const char *const *allowed)
{
	const char *origin_host;

	if (origin == NULL)
		return true;
	for (; *allowed != NULL; allowed++)
		if (strcasecmp(origin, *allowed) == 0)
			return true;
	origin_host = skip_scheme(origin);
	return origin_host != NULL && *origin_host != '\0' && host != NULL &&
	    strcasecmp(origin_host, host) == 0;
}

bool
auth_host_is_local(const char *host)
{
	struct in_addr address;
	char name[sizeof "255.255.255.255"];
	size_t length;

	if (host == NULL)
		return false;
	if (strncmp(host, "[::1]", 5) == 0)
		return host[5] == '\0' || host[5] == ':';
	length = strcspn(host, ":");
	if (length >= sizeof name)
		return false;
	memcpy(name, host, length);
	name[length] = '\0';
	return strcasecmp(name, "localhost") == 0 ||
	    (inet_pton(AF_INET, name, &address) == 1 &&
	    ntohl(address.s_addr) >> 24 == 127);
}
