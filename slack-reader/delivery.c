#include "delivery.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "stamp.h"

#define SLASH_COMMANDS "slash_commands"
#define MINUTE_MOST INT64_C(100000000000)
#define APP_RATE_LIMITED "app_rate_limited"

struct delivery_reader {
	struct record *envelope;
	struct record *payload;
	struct buffer command;
};

struct delivery_reader *
delivery_reader_new(void)
{
	static const char *const none[] = { NULL };
	struct delivery_reader *reader = xcalloc(1, sizeof *reader);

	reader->envelope = record_new(STAGE, none);
	reader->payload = record_new(STAGE, none);
	return reader;
}

void
delivery_reader_free(struct delivery_reader *reader)
{
	if (reader == NULL)
		return;
	record_free(reader->envelope);
	record_free(reader->payload);
	buffer_free(&reader->command);
	free(reader);
}

static void
take_event_id(struct delivery_reader *reader, struct delivery *delivery)
{
	const char *id = record_string(reader->payload, RECORD_EVENT_ID);

	if (id != NULL && strlen(id) < sizeof delivery->event_id)
		strcpy(delivery->event_id, id);
}

/* {"type":"event_callback","event_id":…,"event":{…}} */
static void
take_event(struct delivery_reader *reader, struct delivery *delivery)
{
	if (!record_raw(reader->payload, "event", &delivery->text,
	    &delivery->length) || delivery->text[0] != '{')
		return;
	take_event_id(reader, delivery);
	delivery->kind = DELIVERY_EVENT;
}

/* {"type":"app_rate_limited","minute_rate_limited":…}, no event in it */
static void
take_rate_limit(struct delivery_reader *reader, struct delivery *delivery)
{
	if (record_integer(reader->payload, "minute_rate_limited",
	    &delivery->minute) && delivery->minute > 0 &&
	    delivery->minute < MINUTE_MOST)
		delivery->kind = DELIVERY_RATE_LIMIT;
}

static void
append_member(struct buffer *out, const char *name, struct record *payload,
    const char *source)
{
	const char *value = record_string(payload, source);

	if (value == NULL)
		return;
	buffer_printf(out, ",\"%s\":", name);
	buffer_append_json(out, value, strlen(value));
}

/*
 * A command as a record, in the words of an event, where `command` is what
 * slack-bot adds. The verification token and the response_url, with which
 * anybody may post, stay out.
 */
static void
take_command(struct delivery_reader *reader, struct delivery *delivery)
{
	struct buffer *out = &reader->command;

	out->length = 0;
	buffer_append_string(out, "{\"type\":\"" SLASH_COMMANDS "\"");
	append_member(out, "slash", reader->payload, "command");
	append_member(out, RECORD_TEXT, reader->payload, "text");
	append_member(out, RECORD_USER, reader->payload, "user_id");
	append_member(out, RECORD_CHANNEL, reader->payload, "channel_id");
	append_member(out, "team", reader->payload, "team_id");
	buffer_append_string(out, "}");
	delivery->text = out->data;
	delivery->length = out->length;
	delivery->kind = DELIVERY_EVENT;
}

void
delivery_read(struct delivery_reader *reader, const char *envelope,
    size_t length, struct delivery *delivery)
{
	const char *payload;
	size_t payload_length;

	*delivery = (struct delivery){ .kind = DELIVERY_NOTHING };
	if (record_parse(reader->envelope, envelope, length) == -1 ||
	    !record_raw(reader->envelope, "payload", &payload,
	    &payload_length) ||
	    record_parse(reader->payload, payload, payload_length) == -1)
		return;
	if (record_is(reader->envelope, RECORD_TYPE, SLASH_COMMANDS))
		take_command(reader, delivery);
	else if (record_is(reader->payload, RECORD_TYPE, APP_RATE_LIMITED))
		take_rate_limit(reader, delivery);
	else
		take_event(reader, delivery);
}
