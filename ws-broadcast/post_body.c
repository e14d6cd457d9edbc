#include "post_body.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "record.h"

#define MALFORMED 400
#define OTHER_SHAPE 422

/* A string among the members, and how long it may be. */
struct rule {
	const char *name;
	size_t bytes_max;
	bool is_name;	/* not empty, no control characters */
};

static unsigned
refuse(struct post_body *post, unsigned status, const char *what,
    const char *why)
{
	snprintf(post->reason, sizeof post->reason, "%s %s", what, why);
	return status;
}

/* Is it JSON, if no object? It is where it can be a member's value. */
static bool
is_json(struct record *record, const char *body, size_t length)
{
	struct buffer wrapped = { 0 };
	int status;

	buffer_append_string(&wrapped, "{\"\":");
	buffer_append(&wrapped, body, length);
	buffer_append_string(&wrapped, "}");
	status = record_parse(record, wrapped.data, wrapped.length);
	buffer_free(&wrapped);
	return status == 0;
}

static unsigned
refuse_body(struct post_body *post, struct record *record, const char *body,
    size_t length)
{
	snprintf(post->reason, sizeof post->reason, "%s",
	    record_reason(record));
	if (body[strspn(body, " \t\r\n")] == '{' ||
	    !is_json(record, body, length))
		return MALFORMED;
	return refuse(post, OTHER_SHAPE, "the body", "is no object");
}

/* What stops it from being what the rule says, or NULL. */
static const char *
find_fault(const struct rule *rule, const char *value)
{
	if (value == NULL)
		return "is no string";
	if (rule->is_name && *value == '\0')
		return "is empty";
	if (strlen(value) > rule->bytes_max)
		return "is too long";
	for (; rule->is_name && *value != '\0'; value++)
		if ((unsigned char)*value < ' ' || *value == '\177')
			return "has control characters";
	return NULL;
}

static unsigned
take_string(struct post_body *post, struct record *record,
    const struct rule *rule, struct post_value *value)
{
	const char *fault;

	if (!record_raw(record, rule->name, &value->json, &value->length))
		return refuse(post, OTHER_SHAPE, rule->name, "is missing");
	fault = find_fault(rule, record_string(record, rule->name));
	return fault == NULL ? 0 :
	    refuse(post, OTHER_SHAPE, rule->name, fault);
}

/* Take the members out of the object that stands for msg. */
static unsigned
take_members(struct post_body *post, struct record *msg)
{
	static const struct rule channel = { RECORD_CHANNEL,
	    POST_CHANNEL_BYTES_MAX, true };
	static const struct rule title = { RECORD_TITLE,
	    POST_TITLE_BYTES_MAX, false };
	static const struct rule text = { RECORD_TEXT, POST_TEXT_BYTES_MAX,
	    false };
	unsigned status = take_string(post, msg, &channel, &post->channel);

	if (status == 0)
		status = take_string(post, msg, &title, &post->title);
	if (status == 0)
		status = take_string(post, msg, &text, &post->text);
	if (status == 0 && !record_raw(msg, RECORD_PAYLOAD,
	    &post->payload.json, &post->payload.length))
		return refuse(post, OTHER_SHAPE, RECORD_PAYLOAD, "is missing");
	return status;
}

static unsigned
read_body(struct post_body *post, struct record *record, const char *body,
    size_t length)
{
	const char *msg;

	if (length == 0)
		return refuse(post, OTHER_SHAPE, "the body", "is empty");
	if (record_parse(record, body, length) == -1)
		return refuse_body(post, record, body, length);
	if (!record_raw(record, "msg", &msg, &length))
		return refuse(post, OTHER_SHAPE, "msg", "is missing");
	if (*msg != '{')
		return refuse(post, OTHER_SHAPE, "msg", "is no object");
	if (record_parse(record, msg, length) == -1)
		return refuse(post, MALFORMED, "msg:", record_reason(record));
	return take_members(post, record);
}

unsigned
post_body_read(struct post_body *post, const char *body, size_t length)
{
	static const char *const none[] = { NULL };
	struct record *record = record_new("ws-broadcast", none);
	unsigned status = read_body(post, record, body, length);

	record_free(record);
	return status;
}

static void
append_member(struct buffer *json, const char *before,
    const struct post_value *value)
{
	buffer_append_string(json, before);
	buffer_append(json, value->json, value->length);
}

/* Between the tokens of JSON a blank is as good as a line's end. */
static void
join_lines(char *json, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (json[i] == '\n' || json[i] == '\r')
			json[i] = ' ';
}

void
post_body_print_record(const struct post_body *post, const char *id,
    struct buffer *line)
{
	size_t begin = line->length;

	buffer_printf(line, "{\"type\":\"api_message\",\"id\":\"%s\"", id);
	append_member(line, ",\"channel\":", &post->channel);
	append_member(line, ",\"title\":", &post->title);
	append_member(line, ",\"text\":", &post->text);
	append_member(line, ",\"payload\":", &post->payload);
	buffer_append_string(line, "}");
	join_lines(line->data + begin, line->length - begin);
}

void
post_body_print_answer(const struct post_body *post, const char *id,
    struct buffer *json)
{
	buffer_append_string(json, "{\"status\":\"triggered\",\"msg\":{");
	append_member(json, "\"channel\":", &post->channel);
	append_member(json, ",\"text\":", &post->text);
	append_member(json, ",\"title\":", &post->title);
	buffer_printf(json, "},\"id\":\"%s\"}", id);
}
