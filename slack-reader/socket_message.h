/* What Slack says on a connection of Socket Mode, told apart. */
#ifndef SLACK_READER_SOCKET_MESSAGE_H
#define SLACK_READER_SOCKET_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "record.h"

#define SOCKET_ENVELOPE_ID_BYTES 128

enum socket_message_kind {
	SOCKET_HELLO,
	SOCKET_DISCONNECT,
	SOCKET_ENVELOPE,
	SOCKET_OTHER,		/* a kind that we do not know, without an id */
	SOCKET_GARBLED,		/* no JSON object */
	SOCKET_BAD_ID,		/* an envelope that cannot be acknowledged */
};

enum socket_end {		/* reasons of a disconnect */
	SOCKET_END_REFRESH,	/* warning, refresh_requested, unknown ones */
	SOCKET_END_DISABLED,
	SOCKET_END_TOO_MANY,
};

struct socket_message {
	enum socket_message_kind kind;
	char envelope_id[SOCKET_ENVELOPE_ID_BYTES];

	/* of a hello, 0 where it does not say so */
	int64_t connections;	/* of the app, those of others too */
	int64_t lifetime_s;

	/* of a disconnect */
	enum socket_end end;
};

/* The record is one to be used for one message after the other. */
void socket_message_read(struct socket_message *message,
    struct record *record, const char *text, size_t length);

#endif
