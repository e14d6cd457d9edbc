#include "socket_message.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* It goes into an ack as it is: only what needs no escape. */
static bool
is_envelope_id(const char *id)
{
	size_t length = strlen(id);

	if (length == 0 || length >= SOCKET_ENVELOPE_ID_BYTES)
		return false;
	for (; *id != '\0'; id++)
		if (!isalnum((unsigned char)*id) && strchr("-_.:", *id) == NULL)
			return false;
	return true;
}

static void
read_hello(struct socket_message *message, struct record *record)
{
	const cJSON *lifetime = json_get(record_object(record, "debug_info"),
	    "approximate_connection_time");

	message->kind = SOCKET_HELLO;
	if (!record_integer(record, "num_connections", &message->connections))
		message->connections = 0;
	if (cJSON_IsNumber(lifetime) && lifetime->valuedouble > 0 &&
	    lifetime->valuedouble < INT32_MAX)
		message->lifetime_s = (int64_t)lifetime->valuedouble;
}

static void
read_disconnect(struct socket_message *message, struct record *record)
{
	const char *reason = record_string(record, "reason");

	message->kind = SOCKET_DISCONNECT;
	message->end = SOCKET_END_REFRESH;
	if (reason != NULL && strcmp(reason, "link_disabled") == 0)
		message->end = SOCKET_END_DISABLED;
	else if (reason != NULL && strcmp(reason, "too_many_websockets") == 0)
		message->end = SOCKET_END_TOO_MANY;
}

static void
read_envelope(struct socket_message *message, struct record *record)
{
	const char *id = record_string(record, "envelope_id");

	message->kind = SOCKET_BAD_ID;
	if (id == NULL || !is_envelope_id(id))
		return;
	strcpy(message->envelope_id, id);
	message->kind = SOCKET_ENVELOPE;
}

void
socket_message_read(struct socket_message *message, struct record *record,
    const char *text, size_t length)
{
	const char *type, *bytes;
	size_t size;

	*message = (struct socket_message){ .kind = SOCKET_OTHER };
	if (record_parse(record, text, length) == -1) {
		message->kind = SOCKET_GARBLED;
		return;
	}
	if (record_raw(record, "envelope_id", &bytes, &size)) {
		read_envelope(message, record);
		return;
	}
	type = record_string(record, RECORD_TYPE);
	if (type != NULL && strcmp(type, "hello") == 0)
		read_hello(message, record);
	else if (type != NULL && strcmp(type, "disconnect") == 0)
		read_disconnect(message, record);
}
