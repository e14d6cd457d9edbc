#include "uuid.h"

#include <ctype.h>
#include <err.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>

#define RANDOM 4	/* the versions */
#define OUR_OWN 8

static struct uuid
mark(struct uuid uuid, unsigned version)
{
	uuid.bytes[6] = (unsigned char)((uuid.bytes[6] & 0x0f) | version << 4);
	uuid.bytes[8] = (unsigned char)((uuid.bytes[8] & 0x3f) | 0x80);
	return uuid;
}

struct uuid
uuid_random(void)
{
	struct uuid uuid;

	if (getrandom(uuid.bytes, sizeof uuid.bytes, 0) != sizeof uuid.bytes)
		err(EX_OSERR, "make an identity for a message");
	return mark(uuid, RANDOM);
}

/* The key with its NUL, so that none of it can pass for a part of the body. */
struct uuid
uuid_derive(const char *key, const char *body, size_t length)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	struct uuid uuid;

	if (hash == NULL || !EVP_DigestInit_ex(hash, EVP_sha256(), NULL) ||
	    !EVP_DigestUpdate(hash, key, strlen(key) + 1) ||
	    !EVP_DigestUpdate(hash, body, length) ||
	    !EVP_DigestFinal_ex(hash, digest, NULL))
		errx(EX_SOFTWARE, "cannot compute SHA-256");
	EVP_MD_CTX_free(hash);
	memcpy(uuid.bytes, digest, sizeof uuid.bytes);
	return mark(uuid, OUR_OWN);
}

/* Before which bytes a hyphen stands. */
static bool
has_hyphen(size_t byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void
uuid_format(const struct uuid *uuid, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < UUID_BYTES; i++) {
		if (has_hyphen(i))
			*text++ = '-';
		*text++ = digits[uuid->bytes[i] >> 4];
		*text++ = digits[uuid->bytes[i] & 15];
	}
	*text = '\0';
}

static int
read_digit(char letter)
{
	if (letter >= '0' && letter <= '9')
		return letter - '0';
	letter = (char)tolower((unsigned char)letter);
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

int
uuid_parse(const char *text, struct uuid *uuid)
{
	if (strlen(text) != UUID_TEXT_BYTES - 1)
		return -1;
	for (size_t i = 0; i < UUID_BYTES; i++, text += 2) {
		int high, low;

		if (has_hyphen(i) && *text++ != '-')
			return -1;
		high = read_digit(text[0]);
		low = read_digit(text[1]);
		if (high == -1 || low == -1)
			return -1;
		uuid->bytes[i] = (unsigned char)(high << 4 | low);
	}
	return 0;
}
