#include "forward.h"

#include <inttypes.h>
#include <string.h>

#include "interests.h"
#include "marks.h"
#include "markup.h"

#define USER_BYTES_MAX 64
#define PLACES_MAX 5		/* that a forward shows */
#define TERMS_MAX 10
#define TERM_CHARACTERS 80
#define NAME_CHARACTERS 80

/* A forward in the making. */
struct forward {
	struct record *record;
	const char *user;
	struct interests interests;	/* the user's */
	struct buffer terms;		/* as people typed them */
	struct buffer head;
	struct buffer places;
	struct buffer plain;		/* the first place, for a digest */
	const char *around;		/* of the first file */
	struct buffer around_name;
	size_t term_count;
	size_t place_count;
};

static bool
is_id(const char *text, const char *letters)
{
	return text != NULL && *text != '\0' &&
	    strchr(letters, *text) != NULL &&
	    strlen(text) <= USER_BYTES_MAX && text[strspn(text,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")] == '\0';
}

bool
forward_is_user(const char *text)
{
	return is_id(text, "UW");
}

/* --- matches ----------------------------------------------------------------*/

static bool
has_term(const struct forward *forward, const cJSON *until, const char *term)
{
	const struct interest *mine = forward->interests.all;

	for (; mine->match != until; mine++) {
		const char *known = json_string(mine->match, "pattern");

		if (known != NULL && strcmp(known, term) == 0)
			return true;
	}
	return false;
}

static void
add_term(struct forward *forward, const cJSON *match)
{
	const char *term = json_string(match, "pattern");

	if (term == NULL || has_term(forward, match, term) ||
	    forward->term_count++ >= TERMS_MAX)
		return;
	if (forward->terms.length > 0) {
		buffer_append_string(&forward->terms, ", ");
		buffer_append_string(&forward->head, ", ");
	}
	buffer_append_string(&forward->terms, term);
	markup_append_term(&forward->head, term, TERM_CHARACTERS);
}

/* --- places -----------------------------------------------------------------*/

/* The name of the file with that id, or NULL. */
static const char *
find_file_name(struct record *record, const char *id, size_t length)
{
	const cJSON *file;

	cJSON_ArrayForEach(file, record_array(record, RECORD_FILES)) {
		const char *known = json_string(file, "id");

		if (known != NULL && strlen(known) == length &&
		    memcmp(known, id, length) == 0)
			return json_string(file, "name");
	}
	return NULL;
}

/* For people: `file:F1!inner` by the file's name. */
static void
name_place(struct buffer *name, const struct forward *forward,
    const char *where)
{
	const char *file;
	size_t length;

	if (strncmp(where, "file:", 5) != 0) {
		buffer_append_string(name, where);
		return;
	}
	length = strcspn(where + 5, "!");
	file = find_file_name(forward->record, where + 5, length);
	buffer_append_string(name, file != NULL ? file : "a file");
	buffer_append_string(name, where + 5 + length);
}

/* Where a match stands, but for the text of a message. */
static void
append_where(struct forward *forward, const cJSON *match)
{
	const char *where = json_string(match, "where");
	const cJSON *line = json_get(match, "line");
	struct buffer name = { 0 };

	if (where == NULL || strcmp(where, "text") == 0)
		return;
	name_place(&name, forward, where);
	markup_append_term(&forward->places, buffer_string(&name),
	    NAME_CHARACTERS);
	if (cJSON_IsNumber(line))
		buffer_printf(&forward->places, ", line %.0f",
		    line->valuedouble);
	buffer_append_string(&forward->places, ": ");
	buffer_free(&name);
}

/* What is around the match: it stands on the first one of its text, which may
 * be somebody else's. */
static const char *
find_around(const struct forward *forward, const cJSON *match,
    const char *where)
{
	const cJSON *other;
	const char *found;

	if (json_string(match, "around") != NULL)
		return json_string(match, "around");
	cJSON_ArrayForEach(other, record_array(forward->record,
	    RECORD_MATCHES)) {
		found = json_string(other, "where");
		if (found != NULL && strcmp(found, where) == 0 &&
		    json_string(other, "around") != NULL)
			return json_string(other, "around");
	}
	return NULL;
}

static void
take_around(struct forward *forward, const cJSON *match)
{
	const char *where = json_string(match, "where");

	if (where == NULL || forward->around != NULL)
		return;
	forward->around = find_around(forward, match, where);
	if (forward->around != NULL)
		name_place(&forward->around_name, forward, where);
}

static bool
is_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Do both stand on one line, which people see the same of? */
static bool
is_same_line(const cJSON *a, const cJSON *b)
{
	return cJSON_Compare(json_get(a, "line"), json_get(b, "line"), true) &&
	    is_equal(json_string(a, "where"), json_string(b, "where")) &&
	    is_equal(json_string(a, "excerpt"), json_string(b, "excerpt"));
}

/* The marks of all the user's matches on that line; false where one of those
 * before shows it already. */
static bool
find_marks(const struct forward *forward, size_t place, size_t length,
    struct marks *marks)
{
	const struct interest *mine = forward->interests.all;
	const cJSON *match = mine[place].match;

	for (size_t i = 0; i < forward->interests.count; i++) {
		if (i != place && !is_same_line(mine[i].match, match))
			continue;
		if (i < place)
			return false;
		marks_add(marks, mine[i].match, length);
	}
	return true;
}

static void
add_place(struct forward *forward, size_t place)
{
	const cJSON *match = forward->interests.all[place].match;
	const char *excerpt = json_string(match, "excerpt");
	struct marks marks = { 0 };

	take_around(forward, match);
	if (excerpt == NULL ||
	    !find_marks(forward, place, strlen(excerpt), &marks) ||
	    forward->place_count++ >= PLACES_MAX)
		return;
	buffer_append_string(&forward->places, "\n> ");
	append_where(forward, match);
	marks_append(&forward->places, excerpt, &marks);
	if (forward->plain.length == 0)
		buffer_append_string(&forward->plain, excerpt);
}

/* --- the message it stands in -----------------------------------------------*/

static void
append_channel(struct buffer *out, struct record *record)
{
	const char *channel = record_string(record, RECORD_CHANNEL);
	struct buffer name = { 0 };

	if (channel == NULL)
		return;
	buffer_append_string(out, " in ");
	if (is_id(channel, "CG") && strlen(channel) >= 9) {
		buffer_printf(out, "<#%s>", channel);
		return;
	}
	buffer_printf(&name, "%s%s", *channel == '#' ? "" : "#", channel);
	markup_append_line(out, buffer_string(&name), NAME_CHARACTERS, false);
	buffer_free(&name);
}

/* Of an edit whoever wrote the message. */
static const char *
find_author(struct record *record)
{
	const char *user = record_string(record, RECORD_USER);

	return user != NULL ? user : json_string(record_object(record,
	    RECORD_MESSAGE), RECORD_USER);
}

static void
append_author(struct buffer *out, struct record *record)
{
	const char *user = find_author(record);
	const char *name = record_string(record, "username");
	const char *title = record_string(record, RECORD_TITLE);

	if (forward_is_user(user)) {
		buffer_printf(out, " by <@%s>", user);
	} else if (name != NULL) {
		buffer_append_string(out, " by ");
		markup_append_line(out, name, NAME_CHARACTERS, false);
	} else if (title != NULL && *title != '\0') {
		buffer_append_string(out, ", ");
		markup_append_line(out, title, NAME_CHARACTERS, false);
	}
}

static void
append_link(struct buffer *out, struct record *record)
{
	const char *link = record_string(record, RECORD_PERMALINK);

	if (link != NULL && strncmp(link, "http", 4) == 0 &&
	    strlen(link) <= 1000 && strpbrk(link, "<>| \t\r\n") == NULL) {
		buffer_append_string(out, " (<");
		markup_append_code(out, link);
		buffer_append_string(out, "|message>)");
	}
}

/* --- the whole --------------------------------------------------------------*/

static void
word_forward(struct forward *forward, struct buffer *text)
{
	size_t more = forward->place_count > PLACES_MAX
	    ? forward->place_count - PLACES_MAX : 0;

	buffer_append_string(text, ":mag: ");
	buffer_append(text, forward->head.data, forward->head.length);
	if (forward->term_count > TERMS_MAX)
		buffer_printf(text, " and %zu more", forward->term_count -
		    TERMS_MAX);
	append_channel(text, forward->record);
	append_author(text, forward->record);
	append_link(text, forward->record);
	buffer_append(text, forward->places.data, forward->places.length);
	if (more > 0)
		buffer_printf(text, "\n> and %zu more", more);
}

static void
free_forward(struct forward *forward)
{
	buffer_free(&forward->terms);
	buffer_free(&forward->head);
	buffer_free(&forward->places);
	buffer_free(&forward->plain);
	buffer_free(&forward->around_name);
}

/* A record, and who takes what it makes. */
struct reading {
	struct record *record;
	struct interests interests;
	void (*take)(const struct outbox_message *message, void *arg);
	void *arg;
};

static void
read_for(const struct reading *reading, const char *user, int64_t due_us)
{
	struct record *record = reading->record;
	struct forward forward = { .record = record, .user = user,
	    .interests = interests_of(&reading->interests, user) };
	struct buffer text = { 0 };
	int64_t seq = 0;

	for (size_t i = 0; i < forward.interests.count; i++) {
		add_term(&forward, forward.interests.all[i].match);
		add_place(&forward, i);
	}
	if (forward.term_count > 0) {
		record_integer(record, RECORD_SEQ, &seq);
		word_forward(&forward, &text);
		reading->take(&(struct outbox_message){
			.seq = seq > 0 ? seq : 0, .id = seq > 0 ? user : NULL,
			.purpose = OUTBOX_FORWARD_PURPOSE, .channel = user,
			.title = buffer_string(&forward.terms),
			.text = buffer_string(&forward.plain),
			.payload = forward.around,
			.filename = forward.around == NULL ? NULL
			    : buffer_string(&forward.around_name),
			.mrkdwn = buffer_string(&text),
			.class = record_string(record, RECORD_CLASS),
			.due_us = due_us }, reading->arg);
	}
	free_forward(&forward);
	buffer_free(&text);
}

/* Nobody is told what they wrote. */
static bool
may_get(struct record *record, const char *user)
{
	const char *author = find_author(record);

	return forward_is_user(user) &&
	    (author == NULL || strcmp(author, user) != 0);
}

int64_t
forward_due_us(double until_s)
{
	return until_s > 0 && until_s < 1e12 ? (int64_t)(until_s * 1e6)
	    : OUTBOX_FOREVER_US;
}

void
forward_read(struct record *record,
    void (*take)(const struct outbox_message *message, void *arg), void *arg)
{
	const cJSON *notify = record_array(record, RECORD_NOTIFY);
	const cJSON *held = record_object(record, RECORD_HELD), *user;
	struct reading reading = { .record = record, .take = take,
	    .arg = arg };

	if (notify == NULL && held == NULL)
		return;
	reading.interests = interests_read(record);
	cJSON_ArrayForEach(user, notify)
		if (cJSON_IsString(user) &&
		    may_get(record, user->valuestring))
			read_for(&reading, user->valuestring, 0);
	cJSON_ArrayForEach(user, held)
		if (may_get(record, user->string))
			read_for(&reading, user->string, forward_due_us(
			    cJSON_GetNumberValue(user)));
	interests_free(&reading.interests);
}
