#include "relay.h"

#include <stdlib.h>
#include <string.h>

#include "compose.h"
#include "memory.h"
#include "pretty.h"
#include "utf8.h"

#define API_MESSAGE "\"api_message\""
#define ID "id"

static bool
is_api_message(const struct record *record)
{
	const char *type;
	size_t length;

	return record_raw(record, RECORD_TYPE, &type, &length) &&
	    length == strlen(API_MESSAGE) &&
	    memcmp(type, API_MESSAGE, length) == 0;
}

/* Is the member a string, or not there? */
static bool
is_text_or_none(struct record *record, const char *name)
{
	const cJSON *value = record_get(record, name);

	return value == NULL || cJSON_IsString(value) || cJSON_IsNull(value);
}

/* What is wrong with the record, or NULL. */
static const char *
complain(struct record *record)
{
	const char *channel = record_string(record, RECORD_CHANNEL);
	const char *id = record_string(record, ID);

	if (channel == NULL || *channel == '\0')
		return "no channel to send it to";
	if (strlen(channel) > RELAY_CHANNEL_BYTES_MAX)
		return "the name of the channel is over 255 bytes";
	if (!is_text_or_none(record, RECORD_TEXT) ||
	    !is_text_or_none(record, RECORD_TITLE) ||
	    !is_text_or_none(record, ID))
		return "text, title and id must be strings";
	if (id != NULL && (*id == '\0' || strlen(id) > RELAY_ID_BYTES_MAX))
		return "the id must have 1 to 128 bytes";
	return NULL;
}

/* A copy up to the limit, whole characters; or NULL. */
static char *
copy_title(struct record *record)
{
	const char *title = record_string(record, RECORD_TITLE);

	if (title == NULL || *title == '\0')
		return NULL;
	if (strlen(title) <= RELAY_TITLE_BYTES_MAX)
		return xstrdup(title);
	return xstrndup(title, utf8_floor(title, RELAY_TITLE_BYTES_MAX));
}

/* A string as it is, anything else laid out for people where it can be; NULL
 * where there is nothing. */
static char *
copy_payload(struct record *record)
{
	const char *text = record_string(record, RECORD_PAYLOAD), *bytes;
	struct buffer pretty = { 0 };
	size_t length;

	if (text != NULL)
		return *text == '\0' ? NULL : xstrdup(text);
	if (!record_raw(record, RECORD_PAYLOAD, &bytes, &length) ||
	    (length == 4 && memcmp(bytes, "null", 4) == 0))
		return NULL;
	if (!pretty_append(&pretty, bytes, length))
		buffer_append(&pretty, bytes, length);
	buffer_string(&pretty);
	return pretty.data;
}

/* The class, where it is one that we know. */
static const char *
find_class(struct record *record)
{
	static const char *const classes[] = { "success", "warning", "danger" };
	const char *class = record_string(record, RECORD_CLASS);

	for (size_t i = 0; class != NULL && i < 3; i++)
		if (strcmp(class, classes[i]) == 0)
			return classes[i];
	return NULL;
}

static int64_t
find_seq(struct record *record)
{
	int64_t seq;

	return record_integer(record, RECORD_SEQ, &seq) && seq > 0 ? seq : 0;
}

/* So many seconds of the channel it takes. */
static int64_t
count_posts(const struct outbox_message *message, bool may_broadcast)
{
	struct compose *compose = compose_message(message, may_broadcast);
	int64_t count = (int64_t)compose->count;

	compose_free(compose);
	return count;
}

bool
relay_read(struct relay *relay, struct record *record, const char **complaint)
{
	const char *text;

	*complaint = NULL;
	if (!is_api_message(record))
		return false;
	*complaint = complain(record);
	if (*complaint != NULL)
		return false;
	text = record_string(record, RECORD_TEXT);
	relay->title = copy_title(record);
	relay->payload = copy_payload(record);
	relay->message = (struct outbox_message){
		.seq = find_seq(record),
		.purpose = "relay",
		.id = record_string(record, ID),
		.channel = record_string(record, RECORD_CHANNEL),
		.title = relay->title,
		.text = text == NULL ? "" : text,
		.payload = relay->payload,
		.class = find_class(record),
	};
	return true;
}

void
relay_forget(struct relay *relay)
{
	free(relay->title);
	free(relay->payload);
}

bool
relay_take(struct outbox *outbox, struct record *record, bool may_broadcast)
{
	const char *complaint;
	struct relay relay;

	if (!relay_read(&relay, record, &complaint)) {
		if (complaint != NULL)
			record_fail(record, "not sent: %s", complaint);
		return false;
	}
	relay.message.posts = count_posts(&relay.message, may_broadcast);
	if (!outbox_add(outbox, &relay.message))
		record_fail(record, "not sent: the outbox is full");
	relay_forget(&relay);
	return true;
}
