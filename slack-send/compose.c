#include "compose.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "markup.h"
#include "memory.h"
#include "pretty.h"

#define FENCE "```"
#define FENCE_CHARACTERS 8		/* to close a code block and reopen it */
#define COMMENT_CHARACTERS 2500		/* of a text that goes as a file */
#define FILENAME_LETTERS 60
#define LINE_CHARACTERS 200		/* of a message in a digest */
#define NAME_CHARACTERS 80		/* of a title in a digest */
#define DIGEST_CHARACTERS 3500		/* without its frame */
#define ELLIPSIS "\xe2\x80\xa6"

static struct compose_post *
add_post(struct compose *compose)
{
	compose->posts = xrealloc(compose->posts,
	    (compose->count + 1) * sizeof *compose->posts);
	compose->posts[compose->count] = (struct compose_post){ 0 };
	return &compose->posts[compose->count++];
}

static void
add_text(struct compose *compose, struct buffer *text)
{
	add_post(compose)->text = xstrdup(buffer_string(text));
}

void
compose_free(struct compose *compose)
{
	if (compose == NULL)
		return;
	for (size_t i = 0; i < compose->count; i++) {
		free(compose->posts[i].text);
		free(compose->posts[i].filename);
		free(compose->posts[i].title);
		free(compose->posts[i].content);
	}
	free(compose->posts);
	free(compose);
}

static bool
is_given(const char *text)
{
	return text != NULL && *text != '\0';
}

/* --- text -----------------------------------------------------------------*/

/* The title in bold; the marks would end at a star within it. */
static void
append_title(struct buffer *out, const char *title, bool may_broadcast)
{
	struct buffer line = { 0 };

	if (!is_given(title))
		return;
	markup_append_line(&line, title, COMPOSE_TITLE_CHARACTERS,
	    may_broadcast);
	if (strchr(buffer_string(&line), '*') == NULL)
		buffer_printf(out, "*%s*", buffer_string(&line));
	else
		buffer_append(out, line.data, line.length);
	buffer_free(&line);
}

static void
append_head(struct buffer *out, const struct outbox_message *message,
    bool may_broadcast)
{
	append_title(out, message->title, may_broadcast);
	if (!is_given(message->text))
		return;
	if (out->length > 0)
		buffer_append(out, "\n", 1);
	markup_append(out, message->text, may_broadcast);
}

/* Cut a text into posts; a code block that is cut is closed and reopened. */
static void
add_parts(struct compose *compose, const char *text)
{
	bool is_in_code = false;

	while (*text != '\0') {
		struct buffer part = { 0 };
		size_t length = markup_cut(text,
		    COMPOSE_CHARACTERS_MAX - FENCE_CHARACTERS);

		if (is_in_code)
			buffer_append_string(&part, FENCE "\n");
		buffer_append(&part, text, length);
		is_in_code = markup_ends_in_code(part.data, part.length);
		if (is_in_code)
			buffer_append_string(&part, "\n" FENCE);
		add_text(compose, &part);
		buffer_free(&part);
		text += length;
	}
}

static size_t
count_parts(const char *text)
{
	size_t count = 0;

	for (; *text != '\0' && count <= COMPOSE_PARTS_MAX; count++)
		text += markup_cut(text,
		    COMPOSE_CHARACTERS_MAX - FENCE_CHARACTERS);
	return count;
}

/* --- files ----------------------------------------------------------------*/

static bool
is_filename_letter(char letter)
{
	return (letter >= 'a' && letter <= 'z') ||
	    (letter >= 'A' && letter <= 'Z') ||
	    (letter >= '0' && letter <= '9') || letter == '_' ||
	    letter == '-';
}

/* Made of the title; a row of other letters becomes one dash. */
static char *
make_filename(const char *title, const char *otherwise, const char *content)
{
	struct buffer name = { 0 };
	const char *first = content + strspn(content, " \t\r\n");

	for (; is_given(title) && name.length < FILENAME_LETTERS; title++) {
		if (is_filename_letter(*title))
			buffer_append(&name, title, 1);
		else if (name.length > 0 && name.data[name.length - 1] != '-')
			buffer_append(&name, "-", 1);
	}
	while (name.length > 0 && name.data[name.length - 1] == '-')
		name.length--;
	if (name.length == 0)
		buffer_append_string(&name, otherwise);
	buffer_append_string(&name, *first == '{' || *first == '[' ? ".json"
	    : ".txt");
	buffer_append(&name, "", 1);
	return name.data;
}

static void
add_file(struct compose *compose, const struct outbox_message *message,
    const char *comment, const char *otherwise, const char *content)
{
	struct compose_post *post = add_post(compose);
	struct buffer title = { 0 };

	if (is_given(message->title))
		markup_append_line(&title, message->title,
		    COMPOSE_TITLE_CHARACTERS, false);
	else
		buffer_append_string(&title, otherwise);
	post->text = xstrdup(comment);
	post->filename = make_filename(message->title, otherwise, content);
	post->title = xstrdup(buffer_string(&title));
	post->content = xstrdup(content);
	post->length = strlen(content);
	buffer_free(&title);
}

/* A text of more than a few posts: its beginning, and all of it as a file. */
static void
add_long_text(struct compose *compose, const struct outbox_message *message,
    const char *head)
{
	struct buffer comment = { 0 };
	size_t length = markup_cut(head, COMMENT_CHARACTERS);

	buffer_append(&comment, head, length);
	if (markup_ends_in_code(head, length))
		buffer_append_string(&comment, "\n" FENCE);
	buffer_append_string(&comment, "\n" ELLIPSIS);
	add_file(compose, message, buffer_string(&comment), "text",
	    message->text);
	buffer_free(&comment);
}

/* --- payloads -------------------------------------------------------------*/

static bool
is_short(const char *payload)
{
	size_t lines = 1;

	for (const char *at = payload; *at != '\0'; at++)
		lines += *at == '\n';
	return lines <= COMPOSE_INLINE_LINES && strstr(payload, FENCE) == NULL &&
	    markup_count(payload) <= COMPOSE_INLINE_CHARACTERS;
}

/* Show it below the text; returns false where it does not fit in. */
static bool
append_payload(struct buffer *head, const char *payload)
{
	size_t before = head->length;

	if (!is_short(payload) ||
	    markup_ends_in_code(head->data, head->length))
		return false;
	if (head->length > 0)
		buffer_append(head, "\n", 1);
	buffer_append_string(head, FENCE "\n");
	markup_append_code(head, payload);
	buffer_append_string(head, "\n" FENCE);
	if (markup_count(buffer_string(head)) <= COMPOSE_CHARACTERS_MAX)
		return true;
	head->length = before;
	return false;
}

static void
add_head(struct compose *compose, const struct outbox_message *message,
    struct buffer *head)
{
	if (count_parts(buffer_string(head)) > COMPOSE_PARTS_MAX)
		add_long_text(compose, message, buffer_string(head));
	else
		add_parts(compose, buffer_string(head));
}

/* With a file of its own; the text is its comment where it may. */
static void
add_payload(struct compose *compose, const struct outbox_message *message,
    struct buffer *head, const char *payload)
{
	const char *comment = buffer_string(head);

	if (markup_count(comment) > COMPOSE_CHARACTERS_MAX) {
		add_head(compose, message, head);
		comment = "";
	}
	add_file(compose, message, comment, "payload", payload);
}

struct compose *
compose_message(const struct outbox_message *message, bool may_broadcast)
{
	struct compose *compose = xcalloc(1, sizeof *compose);
	struct buffer head = { 0 }, payload = { 0 };

	append_head(&head, message, may_broadcast);
	if (is_given(message->payload) && !pretty_append(&payload,
	    message->payload, strlen(message->payload)))
		buffer_append_string(&payload, message->payload);
	if (payload.length > 0 &&
	    !append_payload(&head, buffer_string(&payload)))
		add_payload(compose, message, &head, buffer_string(&payload));
	else if (head.length > 0)
		add_head(compose, message, &head);
	if (compose->count == 0) {
		buffer_append_string(&head, "_(an empty message)_");
		add_text(compose, &head);
	}
	buffer_free(&head);
	buffer_free(&payload);
	return compose;
}

/* --- digests --------------------------------------------------------------*/

static void
append_time(struct buffer *out, int64_t us)
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm utc;

	gmtime_r(&seconds, &utc);
	buffer_printf(out, "%02d:%02d:%02d", utc.tm_hour, utc.tm_min,
	    utc.tm_sec);
}

static void
append_count(struct buffer *out, const char *emoji, const char *class,
    int64_t count, const char **separator)
{
	if (count == 0)
		return;
	buffer_printf(out, "%s%s %" PRId64 " %s", *separator, emoji, count,
	    class);
	*separator = ", ";
}

static void
append_classes(struct buffer *out, const struct outbox_digest *digest)
{
	const char *separator = "\n";

	append_count(out, ":x:", "danger", digest->danger, &separator);
	append_count(out, ":warning:", "warning", digest->warning, &separator);
	append_count(out, ":white_check_mark:", "success", digest->success,
	    &separator);
}

/* A digest is one post: a line that makes it too long is left out. */
static void
append_if_it_fits(struct buffer *out, struct buffer *line)
{
	if (markup_count(buffer_string(out)) +
	    markup_count(buffer_string(line)) <= DIGEST_CHARACTERS)
		buffer_append(out, line->data, line->length);
	buffer_free(line);
}

static void
append_tally(struct buffer *out, const struct outbox_tally *tally)
{
	struct buffer line = { 0 };

	buffer_printf(&line, "\n\xe2\x80\xa2 %" PRId64 " \xc3\x97 ",
	    tally->messages);
	markup_append_line(&line, is_given(tally->title) ? tally->title
	    : "(no title)", NAME_CHARACTERS, false);
	if (is_given(tally->class))
		buffer_printf(&line, " (%s)", tally->class);
	append_if_it_fits(out, &line);
}

static void
append_tallies(struct buffer *out, const struct outbox_digest *digest)
{
	for (size_t i = 0; i < digest->tally_count; i++)
		append_tally(out, &digest->tallies[i]);
	if (digest->rest > 0)
		buffer_printf(out, "\n\xe2\x80\xa2 %" PRId64 " others",
		    digest->rest);
}

static void
append_line(struct buffer *out, const struct outbox_line *message)
{
	struct buffer line = { 0 };

	buffer_append_string(&line, "\n> ");
	if (is_given(message->title)) {
		markup_append_line(&line, message->title, NAME_CHARACTERS,
		    false);
		buffer_append_string(&line, ": ");
	}
	markup_append_line(&line, is_given(message->text) ? message->text : "",
	    LINE_CHARACTERS, false);
	append_if_it_fits(out, &line);
}

static void
append_lines(struct buffer *out, const char *name,
    const struct outbox_line *lines, size_t count)
{
	if (count == 0)
		return;
	buffer_printf(out, "\n_%s_", name);
	for (size_t i = 0; i < count; i++)
		append_line(out, &lines[i]);
}

static void
append_encoded(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (is_filename_letter(*text))
			buffer_append(out, text, 1);
		else
			buffer_printf(out, "%%%02X", (unsigned char)*text);
	}
}

static void
append_link(struct buffer *out, const struct outbox_digest *digest,
    const char *dashboard)
{
	if (dashboard == NULL)
		return;
	buffer_printf(out, "\n<%.*s/ultronex/stream?channel=",
	    (int)(strlen(dashboard) -
	    (dashboard[strlen(dashboard) - 1] == '/')), dashboard);
	append_encoded(out, digest->channel);
	if (digest->first_seq > 0)
		buffer_printf(out, "&amp;from=%" PRId64 "&amp;to=%" PRId64,
		    digest->first_seq, digest->last_seq);
	buffer_append_string(out, "|Each of them is on the dashboard>");
}

struct compose *
compose_digest(const struct outbox_digest *digest, const char *dashboard)
{
	struct compose *compose = xcalloc(1, sizeof *compose);
	struct buffer text = { 0 };

	buffer_printf(&text, "*%" PRId64 " message%s* came faster than they"
	    " can be shown here, ", digest->messages,
	    digest->messages == 1 ? "" : "s");
	append_time(&text, digest->first_us);
	buffer_append_string(&text, " to ");
	append_time(&text, digest->last_us);
	buffer_append_string(&text, " UTC");
	append_classes(&text, digest);
	append_tallies(&text, digest);
	append_link(&text, digest, dashboard);
	append_lines(&text, "the first", digest->first, digest->first_count);
	append_lines(&text, "the last", digest->last, digest->last_count);
	add_text(compose, &text);
	buffer_free(&text);
	return compose;
}
