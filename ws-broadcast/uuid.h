/* Identities of messages (RFC 9562), written in small letters. */
#ifndef WS_BROADCAST_UUID_H
#define WS_BROADCAST_UUID_H

#include <stddef.h>

#define UUID_BYTES 16
#define UUID_TEXT_BYTES 37

struct uuid {
	unsigned char bytes[UUID_BYTES];
};

/* One that nobody has had (version 4). */
struct uuid uuid_random(void);

/* The one that always comes of this key with this body (version 8). */
struct uuid uuid_derive(const char *key, const char *body, size_t length);

/* Write it into UUID_TEXT_BYTES bytes. */
void uuid_format(const struct uuid *uuid, char *text);

/* Read what uuid_format writes, in letters of any case. Returns 0 or -1. */
int uuid_parse(const char *text, struct uuid *uuid);

#endif
