#include "occasion.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "message_text.h"

void
occasion_free(struct occasion *occasion)
{
	buffer_free(&occasion->text);
	buffer_free(&occasion->text_before);
	buffer_free(&occasion->attachments);
	buffer_free(&occasion->attachments_before);
	free(occasion->struck);
}

static bool
has_member(const struct record *record, const char *name)
{
	const char *bytes;
	size_t length;

	return record_raw(record, name, &bytes, &length);
}

/* Of a late file nobody tells the channel's type, but its id does. */
static bool
is_of_dialogue(struct record *record)
{
	const char *channel = record_string(record, RECORD_CHANNEL);

	return channel != NULL && *channel == 'D';
}

/* To the bot in sight of all: what it answered has `command`, but an edit is
 * never answered. */
static bool
is_edited_command(struct record *record)
{
	return record_is(record, RECORD_SUBTYPE, "message_changed") &&
	    has_member(record, RECORD_ADDRESSED);
}

/* The parts of such a record that people subscribe to. What is said to the bot
 * alone is nobody's concern. */
static unsigned
find_parts(struct record *record)
{
	if (has_member(record, RECORD_OWN) ||
	    has_member(record, RECORD_COMMAND) ||
	    record_is(record, RECORD_CHANNEL_TYPE, "im") ||
	    is_edited_command(record) ||
	    record_is(record, RECORD_SUBTYPE, "message_deleted"))
		return 0;
	/* its names were in the message already */
	if (record_is(record, RECORD_TYPE, "late_file"))
		return is_of_dialogue(record) ? 0 : IN_FILES;
	/* slack-reader takes a message as what Slack tells it as first */
	return record_is(record, RECORD_TYPE, "message") ||
	    record_is(record, RECORD_TYPE, "app_mention") ||
	    record_is(record, RECORD_TYPE, "api_message") ? IN_ANY : 0;
}

static bool
is_same(const struct buffer *a, const struct buffer *b)
{
	return a->length == b->length &&
	    (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

/* Of an edit only what is new counts. */
static void
compare_edit(struct occasion *occasion)
{
	occasion->text.length = 0;
	occasion->text_before.length = 0;
	occasion->attachments.length = 0;
	occasion->attachments_before.length = 0;
	message_text(occasion->record, &occasion->text);
	message_text_before(occasion->record, &occasion->text_before);
	message_attachments(occasion->record, &occasion->attachments);
	message_attachments_before(occasion->record,
	    &occasion->attachments_before);
	if (is_same(&occasion->text, &occasion->text_before) &&
	    is_same(&occasion->attachments, &occasion->attachments_before))
		occasion->parts = 0;
}

void
occasion_begin(struct occasion *occasion, struct record *record)
{
	occasion->number++;
	occasion->record = record;
	occasion->is_examined = false;
	occasion->author = NULL;
	occasion->is_old_file = false;
	occasion->struck_count = 0;
}

/* Most records nobody asks about: look at them when the first one does. */
static void
examine(struct occasion *occasion)
{
	struct record *record = occasion->record;
	const cJSON *edited = NULL;

	if (record == NULL || occasion->is_examined)
		return;
	occasion->is_examined = true;
	occasion->parts = find_parts(record);
	occasion->is_edit = occasion->parts == IN_ANY &&
	    record_is(record, RECORD_SUBTYPE, "message_changed");
	if (occasion->is_edit) {
		compare_edit(occasion);
		edited = record_object(record, RECORD_MESSAGE);
	}
	occasion->author = edited != NULL ? json_string(edited, RECORD_USER)
	    : record_string(record, RECORD_USER);
}

void
occasion_open_file(struct occasion *occasion, const char *id)
{
	const cJSON *before, *file;

	examine(occasion);
	occasion->is_old_file = false;
	if (!occasion->is_edit)
		return;
	before = json_get(record_object(occasion->record,
	    RECORD_PREVIOUS_MESSAGE), RECORD_FILES);
	cJSON_ArrayForEach(file, before) {
		const char *known = json_string(file, RECORD_ID);

		if (known != NULL && strcmp(known, id) == 0)
			occasion->is_old_file = true;
	}
}

static bool
is_channel(const char *name, const char *in)
{
	return name != NULL && strcmp(name + (*name == '#'), in) == 0;
}

static bool
is_in(struct occasion *occasion, const char *in)
{
	if (in == NULL)
		return true;
	in += *in == '#';
	return is_channel(record_string(occasion->record, RECORD_CHANNEL),
	    in) || is_channel(json_string(record_object(occasion->record,
	    RECORD_NAMES), RECORD_CHANNEL), in);
}

static bool
matches(const struct pattern *pattern, const struct buffer *text)
{
	size_t start, end;

	return text->length > 0 && regex_find(pattern->regex, text->data,
	    text->length, 0, &start, &end) == REGEX_HIT;
}

/* Did the message say so before it was edited? */
static bool
is_known(const struct occasion *occasion, const struct pattern *pattern)
{
	return occasion->is_edit && (pattern->parts & IN_TEXT) != 0 &&
	    (matches(pattern, &occasion->text_before) ||
	    matches(pattern, &occasion->attachments_before));
}

bool
occasion_wants(struct occasion *occasion, struct watch *watch, unsigned part)
{
	examine(occasion);
	if ((occasion->parts & part) == 0 ||
	    (part == IN_FILES && occasion->is_old_file))
		return false;
	if (watch->occasion != occasion->number) {
		watch->occasion = occasion->number;
		watch->is_struck = false;
		watch->is_wanted = is_in(occasion, watch->key->in) &&
		    watch_has_others(watch, occasion->author) &&
		    !is_known(occasion, watch->pattern);
	}
	return watch->is_wanted;
}

void
occasion_strike(struct occasion *occasion, struct watch *watch)
{
	if (watch->is_struck)
		return;
	watch->is_struck = true;
	watch->strikes++;
	if (occasion->struck_count == occasion->struck_capacity) {
		occasion->struck_capacity = occasion->struck_capacity * 2 + 8;
		occasion->struck = xrealloc(occasion->struck,
		    occasion->struck_capacity * sizeof *occasion->struck);
	}
	occasion->struck[occasion->struck_count++] = watch;
}
