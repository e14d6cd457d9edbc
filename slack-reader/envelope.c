#include "envelope.h"

#include <err.h>
#include <string.h>

#define ENVELOPE_ID "envelope_id"
#define ENVELOPE_PAYLOAD "payload"
#define ENVELOPE_INNER "event"

/* By `type`; an acknowledgement has none. */
static const char *const kinds[ENVELOPE_KINDS] = {
	"hello", "disconnect", "ack", "app_rate_limited", "url_verification",
	"slash_commands", "interactive", "other"
};

/* A piece of JSON. */
struct span {
	const char *bytes;
	size_t length;
};

static bool
is_text(const struct span *json, const char *text)
{
	size_t length = strlen(text);

	return json->length == length + 2 && json->bytes[0] == '"' &&
	    memcmp(json->bytes + 1, text, length) == 0;
}

static bool
is_object(const struct span *json)
{
	return json->length > 0 && json->bytes[0] == '{';
}

/* The value of a member of the record, empty where there is none. */
static struct span
find_raw(const struct record *record, const char *name)
{
	struct span found = { "", 0 };

	record_raw(record, name, &found.bytes, &found.length);
	return found;
}

/* The same in an object that is a value itself. */
static struct span
find_inner(struct json_index *index, const struct span *object,
    const char *name)
{
	const struct json_member *member;

	if (!is_object(object) ||
	    json_scan(index, object->bytes, object->length) == -1)
		return (struct span){ "", 0 };
	member = json_index_find(index, object->bytes, name);
	if (member == NULL)
		return (struct span){ "", 0 };
	return (struct span){ object->bytes + member->value,
	    member->value_end - member->value };
}

static enum envelope_content
count_empty(struct envelope *envelope, const struct span *type)
{
	size_t kind = 0;

	while (kind < ENVELOPE_KINDS - 1 && !is_text(type, kinds[kind]))
		kind++;
	envelope->empty[kind]++;
	return ENVELOPE_EMPTY;
}

/* Take the event, if it is one; else the envelope is of that type. */
static enum envelope_content
take_event(struct envelope *envelope, const struct span *event,
    const struct span *type)
{
	if (!is_object(event))
		return count_empty(envelope, type);
	envelope->event = event->bytes;
	envelope->event_length = event->length;
	return ENVELOPE_EVENT;
}

/* Socket Mode: {"envelope_id":…,"type":…,"payload":{"event":{…}}} */
static enum envelope_content
open_socket_mode(struct envelope *envelope, const struct record *record,
    struct span type)
{
	struct span payload = find_raw(record, ENVELOPE_PAYLOAD);
	struct span event = find_inner(&envelope->index, &payload,
	    ENVELOPE_INNER);

	if (type.length == 0)
		type = (struct span){ "\"ack\"", strlen("\"ack\"") };
	else if (!is_object(&event) && is_text(&type, "events_api"))
		type = find_inner(&envelope->index, &payload, RECORD_TYPE);
	return take_event(envelope, &event, &type);
}

/* Is it what Slack says about the connection, not about messages? */
static bool
is_protocol(const struct span *type)
{
	return is_text(type, "hello") || is_text(type, "disconnect") ||
	    is_text(type, "app_rate_limited") ||
	    is_text(type, "url_verification");
}

enum envelope_content
envelope_open(struct envelope *envelope, const struct record *record)
{
	struct span type = find_raw(record, RECORD_TYPE), found;

	if (is_text(&type, "message"))
		return ENVELOPE_NONE;
	if (is_text(&type, "event_callback")) {
		found = find_raw(record, ENVELOPE_INNER);
		return take_event(envelope, &found, &type);
	}
	found = find_raw(record, ENVELOPE_ID);
	if (found.length > 0 && found.bytes[0] == '"')
		return open_socket_mode(envelope, record, type);
	return is_protocol(&type) ? count_empty(envelope, &type)
	    : ENVELOPE_NONE;
}

void
envelope_report(const struct envelope *envelope)
{
	struct buffer line = { 0 };
	size_t total = 0;

	for (size_t i = 0; i < ENVELOPE_KINDS; i++) {
		if (envelope->empty[i] == 0)
			continue;
		buffer_printf(&line, "%s%zu %s", total > 0 ? ", " : "",
		    envelope->empty[i], kinds[i]);
		total += envelope->empty[i];
	}
	if (total > 0)
		warnx("passed over %zu that hold no event: %s", total,
		    buffer_string(&line));
	buffer_free(&line);
}

void
envelope_free(struct envelope *envelope)
{
	json_index_free(&envelope->index);
}
