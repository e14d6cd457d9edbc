#include "message_text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "json_letters.h"
#include "slack_markup.h"
#include "utf8.h"

#define DEPTH_MAX 32
#define PIECES_MAX 4096		/* looked at for repetition */
#define TRIES_MAX 64		/* for a place where whole words repeat */
#define REPEAT_BYTES 16384	/* so far back a repetition is seen */

/* Text gathered from many places of one message. */
struct collection {
	struct buffer *text;
	size_t start;		/* where this message's text begins */
	size_t pieces;
	bool is_whole;
	bool has_missed;	/* a member too large to be looked into */
};

/* Strings under these members are meant for people, in any kind of block. */
static const char *const human_members[] = {
	"text", "title", "subtitle", "body", "pretext", "fallback", "value",
	"alt_text", "url", "title_link", "label", "hint", "description",
	"name", "raw_text", "details", "output", "author_name",
	"author_subname", "footer", "service_name", "from_url",
	"original_url", "provider_name", "title_url", "image_url", NULL,
};

/* Of a file its names and what Slack shows of its content. */
static const char *const file_members[] = {
	"name", "title", "preview", "plain_text", "preview_plain_text", NULL,
};

static bool
is_listed(const char *name, const char *const *list)
{
	for (; name != NULL && *list != NULL; list++)
		if (**list == *name && strcmp(name, *list) == 0)
			return true;
	return false;
}

static bool
is_word(char byte)
{
	return isalnum((unsigned char)byte) || byte == '_' || byte < 0;
}

/* Is text[at, end) no mere part of words? text ends behind `end`. */
static bool
is_bordered(const char *text, size_t at, size_t end)
{
	return (at == 0 || !is_word(text[at]) || !is_word(text[at - 1])) &&
	    (!is_word(text[end - 1]) || !is_word(text[end]));
}

/* Did an earlier place of the message say the same? */
static bool
is_repeated(const struct collection *all, size_t piece)
{
	const char *text = all->text->data + all->start;
	size_t before = piece - all->start;
	size_t length = all->text->length - piece;

	if (all->pieces > PIECES_MAX)
		return false;
	if (before > REPEAT_BYTES)
		before = REPEAT_BYTES;
	for (size_t at = 0, tries = 0; tries < TRIES_MAX; at++, tries++) {
		const char *found = memmem(text + at, before - at,
		    all->text->data + piece, length);

		if (found == NULL)
			return false;
		at = (size_t)(found - text);
		if (is_bordered(text, at, at + length))
			return true;
	}
	return false;
}

/* Make what was appended from `piece` on a line of the text, or drop it. */
static void
end_piece(struct collection *all, size_t piece)
{
	struct buffer *text = all->text;

	all->pieces++;
	if (text->length > piece && is_repeated(all, piece))
		text->length = piece;
	if (text->length - all->start > MESSAGE_TEXT_BYTES_MAX) {
		size_t end = all->start + utf8_floor(text->data + all->start,
		    MESSAGE_TEXT_BYTES_MAX);
		text->length = end > piece ? end : piece;
		all->is_whole = false;
	}
	if (text->length > piece)
		buffer_append(text, "\n", 1);
}

static void
add_text(struct collection *all, const char *text, bool is_escaped)
{
	size_t piece = all->text->length;

	if (text == NULL || *text == '\0' || !all->is_whole)
		return;
	if (is_escaped)
		slack_markup_undo(all->text, text, strlen(text));
	else
		buffer_append_string(all->text, text);
	end_piece(all, piece);
}

/* A leaf that stands for a thing, and how people see it. */
struct leaf_kind {
	const char *type;
	const char *before;
	const char *member;
	const char *after;
};

static void
append_named_leaf(struct buffer *text, const struct leaf_kind *kind,
    const cJSON *leaf)
{
	const char *name = json_string(leaf, kind->member);

	if (name == NULL)
		return;
	buffer_append_string(text, kind->before);
	buffer_append_string(text, name);
	buffer_append_string(text, kind->after);
}

/* One leaf of a rich_text section, as people see it. */
static void
append_leaf(struct buffer *text, const cJSON *leaf)
{
	static const struct leaf_kind leaves[] = {
		{ "emoji", ":", "name", ":" }, { "user", "@", "user_id", "" },
		{ "usergroup", "@", "usergroup_id", "" },
		{ "channel", "#", "channel_id", "" },
		{ "broadcast", "@", "range", "" },
		{ "date", "", "fallback", "" }, { "color", "", "value", "" },
		{ "team", "@", "team_id", "" },
	};
	const char *type = json_string(leaf, "type");
	const char *value = json_string(leaf, "text");
	const char *url;

	if (type == NULL || strcmp(type, "text") == 0) {
		if (value != NULL)
			buffer_append_string(text, value);
		return;
	}
	if (strcmp(type, "link") == 0 &&
	    (url = json_string(leaf, "url")) != NULL) {
		slack_markup_link(text, url, value);
		return;
	}
	for (size_t i = 0; i < sizeof leaves / sizeof leaves[0]; i++)
		if (strcmp(type, leaves[i].type) == 0) {
			append_named_leaf(text, &leaves[i], leaf);
			return;
		}
	if (value != NULL)
		buffer_append_string(text, value);
}

/*
 * The leaves of a section are one sentence, split where the style changes:
 * joined, or else a match that spans a bold word is missed.
 */
static void
join_leaves(struct collection *all, const cJSON *section)
{
	size_t piece = all->text->length;
	const cJSON *leaf;

	cJSON_ArrayForEach(leaf,
	    json_get(section, "elements"))
		append_leaf(all->text, leaf);
	end_piece(all, piece);
}

static bool
is_section(const cJSON *node)
{
	static const char *const sections[] = { "rich_text_section",
	    "rich_text_quote", "rich_text_preformatted", NULL };

	return cJSON_IsObject(node) &&
	    is_listed(json_string(node, "type"), sections);
}

/* New kinds of blocks appear every few months: take what looks human. */
static void
walk(struct collection *all, const cJSON *node, const char *name, int depth)
{
	const cJSON *child;

	if (!all->is_whole)
		return;
	if (depth == DEPTH_MAX) {
		all->is_whole = false;
		return;
	}
	if (cJSON_IsString(node)) {
		if (is_listed(name, human_members))
			add_text(all, node->valuestring, true);
	} else if (is_section(node)) {
		join_leaves(all, node);
	} else {
		cJSON_ArrayForEach(child, node)
			walk(all, child, cJSON_IsArray(node) ? name
			    : child->string, depth + 1);
	}
}

static void
add_files(struct collection *all, const cJSON *files)
{
	const cJSON *file, *member;

	cJSON_ArrayForEach(file, files) {
		cJSON_ArrayForEach(member, file)
			if (is_listed(member->string, file_members))
				add_text(all, cJSON_GetStringValue(member),
				    false);
		add_text(all, json_string(json_get(
		    json_get(file, "transcription"),
		    "preview"), "content"), false);
	}
}

/* The member, or NULL; one too large to be looked into is not passed over. */
static const cJSON *
find_member(struct collection *all, struct record *record, const char *name)
{
	const cJSON *value = record_get(record, name);
	const char *bytes;
	size_t length;

	if (value == NULL && record_raw(record, name, &bytes, &length))
		all->has_missed = true;
	return value;
}

/* The member, or where the record is an edit that of the new state. */
static const cJSON *
find_current(struct collection *all, struct record *record, const char *name)
{
	const cJSON *edited = json_get(
	    find_member(all, record, RECORD_MESSAGE), name);

	return edited != NULL ? edited : find_member(all, record, name);
}

static struct collection
open_collection(struct buffer *text)
{
	return (struct collection){ text, text->length, 0, true, false };
}

/* The last line needs no LF. */
static bool
close_collection(struct collection *all)
{
	if (all->text->length > all->start)
		all->text->length--;
	return all->is_whole && !all->has_missed;
}

/* The member of an edit's old state. */
static const cJSON *
find_before(struct collection *all, struct record *record, const char *name)
{
	return json_get(find_member(all, record, RECORD_PREVIOUS_MESSAGE),
	    name);
}

/* One of the two above. */
typedef const cJSON *find_fn(struct collection *all, struct record *record,
    const char *name);

static bool
collect_text(struct record *record, find_fn *find, struct buffer *text)
{
	struct collection all = open_collection(text);

	add_text(&all, cJSON_GetStringValue(find(&all, record, RECORD_TEXT)),
	    true);
	walk(&all, find(&all, record, RECORD_BLOCKS), NULL, 0);
	return close_collection(&all);
}

static bool
collect_attachments(struct record *record, find_fn *find, struct buffer *text)
{
	struct collection all = open_collection(text);

	walk(&all, find(&all, record, RECORD_ATTACHMENTS), NULL, 0);
	add_files(&all, find(&all, record, RECORD_FILES));
	return close_collection(&all);
}

bool
message_text(struct record *record, struct buffer *text)
{
	return collect_text(record, find_current, text);
}

bool
message_attachments(struct record *record, struct buffer *text)
{
	return collect_attachments(record, find_current, text);
}

bool
message_text_before(struct record *record, struct buffer *text)
{
	return collect_text(record, find_before, text);
}

bool
message_attachments_before(struct record *record, struct buffer *text)
{
	return collect_attachments(record, find_before, text);
}

bool
message_payload(struct record *record, struct buffer *text)
{
	struct collection all = open_collection(text);
	const char *string = record_string(record, RECORD_PAYLOAD);
	const char *bytes;
	size_t length;

	if (string != NULL) {
		add_text(&all, string, false);
	} else if (record_raw(record, RECORD_PAYLOAD, &bytes, &length)) {
		json_letters_undo(text, bytes, length);
		end_piece(&all, all.start);
	}
	return close_collection(&all);
}
