#include "compose.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "markup.h"
#include "memory.h"
#include "pretty.h"
#include "url.h"

#define FENCE "```"
#define PART_CHARACTERS (COMPOSE_CHARACTERS_MAX - 8)	/* FENCE\n ... \nFENCE */
#define COMMENT_CHARACTERS 2500		/* of a text that goes as a file */
#define FILENAME_LETTERS 60
#define LINE_CHARACTERS 200		/* of a message in a digest */
#define NAME_CHARACTERS 80		/* of a title in a digest */
#define DIGEST_TALLIES_CHARACTERS 1500	/* a link and some lines fit behind */
#define ELLIPSIS "\xe2\x80\xa6"

static bool
is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

static bool
is_given(const char *text)
{
	return text != NULL && !is_blank(text);
}

static struct compose_post *
add_post(struct compose *compose)
{
	compose->posts = xrealloc(compose->posts,
	    (compose->count + 1) * sizeof *compose->posts);
	compose->posts[compose->count] = (struct compose_post){ 0 };
	return &compose->posts[compose->count++];
}

/* Slack takes no post without a letter. */
static void
add_text(struct compose *compose, struct buffer *text)
{
	if (!is_blank(buffer_string(text)))
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
	if (message->mrkdwn != NULL) {
		buffer_append_string(out, message->mrkdwn);
		return;
	}
	append_title(out, message->title, may_broadcast);
	if (!is_given(message->text))
		return;
	if (out->length > 0)
		buffer_append(out, "\n", 1);
	markup_append(out, message->text, may_broadcast);
}

/* Append a piece of text; a code block that is open at its end is closed. */
static bool
append_closed(struct buffer *out, const char *text, size_t length)
{
	bool is_in_code;

	buffer_append(out, text, length);
	is_in_code = markup_ends_in_code(buffer_string(out), out->length);
	if (is_in_code && out->data[out->length - 1] != '\n')
		buffer_append(out, "\n", 1);
	if (is_in_code)
		buffer_append_string(out, FENCE);
	return is_in_code;
}

/* Where to cut so that no code block opens at the very end, if possible. */
static size_t
cut_before_fence(const char *text, size_t length)
{
	size_t end = length;

	while (end > 0 && strchr(" \t\n", text[end - 1]) != NULL)
		end--;
	return end > 3 && text[length] != '\0' &&
	    memcmp(text + end - 3, FENCE, 3) == 0 &&
	    markup_ends_in_code(text, end) ? end - 3 : length;
}

/* What is left of a text, and whether it starts within a code block. */
struct rest {
	const char *text;
	bool is_in_code;
};

/* Append the next post of it; a code block that was cut is opened again. */
static void
take_part(struct rest *rest, struct buffer *part)
{
	size_t length;

	if (rest->is_in_code && strncmp(rest->text, FENCE, 3) == 0) {
		rest->text += 3;	/* it was closed already */
		rest->is_in_code = false;
	}
	length = markup_cut(rest->text, PART_CHARACTERS);
	if (rest->is_in_code)
		buffer_append_string(part, FENCE "\n");
	else
		length = cut_before_fence(rest->text, length);
	rest->is_in_code = append_closed(part, rest->text, length);
	rest->text += length;
}

static void
add_parts(struct compose *compose, const char *text)
{
	struct rest rest = { text, false };

	while (*rest.text != '\0') {
		struct buffer part = { 0 };

		take_part(&rest, &part);
		add_text(compose, &part);
		buffer_free(&part);
	}
}

static size_t
count_parts(const char *text)
{
	struct rest rest = { text, false };
	size_t count = 0;

	for (; *rest.text != '\0' && count <= COMPOSE_PARTS_MAX; count++) {
		struct buffer part = { 0 };

		take_part(&rest, &part);
		buffer_free(&part);
	}
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
make_filename(const char *title, const char *otherwise, const char *ending)
{
	struct buffer name = { 0 };

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
	buffer_append_string(&name, ending);
	buffer_string(&name);
	return name.data;
}

/* The post takes the content over. */
static void
add_file(struct compose *compose, const struct outbox_message *message,
    const char *comment, const char *otherwise, struct buffer *content)
{
	struct compose_post *post = add_post(compose);
	const char *name = is_given(message->filename) ? message->filename
	    : message->title;
	struct buffer title = { 0 };
	bool is_json = pretty_is_json(buffer_string(content), content->length);

	markup_append_plain(&title, is_given(name) ? name : otherwise,
	    COMPOSE_TITLE_CHARACTERS);
	buffer_string(&title);
	post->text = xstrdup(is_blank(comment) ? "" : comment);
	post->filename = make_filename(name, otherwise,
	    is_json ? ".json" : ".txt");
	post->title = title.data;
	post->content = content->data;
	post->length = content->length;
	*content = (struct buffer){ 0 };
}

/* A text of more than a few posts: its beginning, and all of it as a file. */
static void
add_long_text(struct compose *compose, const struct outbox_message *message,
    const char *head)
{
	struct buffer comment = { 0 }, content = { 0 };

	append_closed(&comment, head, markup_cut(head, COMMENT_CHARACTERS));
	buffer_append_string(&comment, "\n" ELLIPSIS);
	buffer_append_string(&content, message->mrkdwn != NULL
	    ? message->mrkdwn : message->text);
	add_file(compose, message, buffer_string(&comment), "text", &content);
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
append_payload(struct buffer *head, const struct buffer *payload)
{
	size_t before = head->length, length = payload->length;
	char *shown;

	while (length > 0 && strchr("\r\n", payload->data[length - 1]) != NULL)
		length--;
	if (length > 4 * COMPOSE_INLINE_CHARACTERS ||	/* of UTF-8 */
	    markup_ends_in_code(head->data, head->length))
		return false;
	shown = xstrndup(payload->data, length);
	if (is_short(shown)) {
		if (before > 0 && head->data[before - 1] != '\n')
			buffer_append(head, "\n", 1);
		buffer_append_string(head, FENCE "\n");
		markup_append_code(head, shown);
		buffer_append_string(head, "\n" FENCE);
	}
	free(shown);
	if (head->length > before &&
	    markup_count(buffer_string(head)) <= COMPOSE_CHARACTERS_MAX)
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
    struct buffer *head, struct buffer *payload)
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
	if (is_given(message->payload))
		buffer_append_string(&payload, message->payload);
	if (payload.length > 0 && !append_payload(&head, &payload))
		add_payload(compose, message, &head, &payload);
	else
		add_head(compose, message, &head);
	if (compose->count == 0)
		add_post(compose)->text = xstrdup("_(an empty message)_");
	buffer_free(&head);
	buffer_free(&payload);
	return compose;
}

/* --- digests --------------------------------------------------------------*/

static const struct {
	const char *class, *emoji;
} looks[] = {
	{ "danger", ":x:" },
	{ "warning", ":warning:" },
	{ "success", ":white_check_mark:" },
};

/* For a class, a bullet where there is none. */
static const char *
find_emoji(const char *class)
{
	for (size_t i = 0; class != NULL && i < sizeof looks / sizeof *looks;
	    i++)
		if (strcmp(class, looks[i].class) == 0)
			return looks[i].emoji;
	return "\xe2\x80\xa2";
}

/* The day stands there once if it is the same one. */
static void
append_span(struct buffer *out, int64_t first_us, int64_t last_us)
{
	char first[CLOCK_TEXT_BYTES], last[CLOCK_TEXT_BYTES];
	bool is_same_day;

	clock_format(first_us, first);
	clock_format(last_us, last);
	is_same_day = strncmp(first, last, 10) == 0;
	buffer_printf(out, "%.10s %.8s to ", first, first + 11);
	if (!is_same_day)
		buffer_printf(out, "%.10s ", last);
	buffer_printf(out, "%.8s UTC", last + 11);
}

static void
append_classes(struct buffer *out, const struct outbox_digest *digest)
{
	const int64_t counts[] = { digest->danger, digest->warning,
		digest->success };
	const char *separator = "\n";

	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
		if (counts[i] == 0)
			continue;
		buffer_printf(out, "%s%s %" PRId64 " %s", separator,
		    looks[i].emoji, counts[i], looks[i].class);
		separator = ", ";
	}
}

/* A digest is one post: a line that makes it too long is left out. */
static bool
append_if_it_fits(struct buffer *out, struct buffer *line, size_t most)
{
	bool fits = markup_count(buffer_string(out)) +
	    markup_count(buffer_string(line)) <= most;

	if (fits)
		buffer_append(out, line->data, line->length);
	buffer_free(line);
	return fits;
}

static bool
is_of_forwards(const struct outbox_digest *digest)
{
	return digest->forwards > 0 && digest->forwards == digest->messages;
}

/* The title of a forward is a term: Slack would make an emoji of :x:. */
static void
append_about(struct buffer *out, const struct outbox_digest *digest,
    const char *title)
{
	if (is_of_forwards(digest))
		markup_append_term(out, title, NAME_CHARACTERS);
	else
		markup_append_line(out, title, NAME_CHARACTERS, false);
}

static bool
append_tally(struct buffer *out, const struct outbox_digest *digest,
    const struct outbox_tally *tally, size_t most)
{
	struct buffer line = { 0 };

	buffer_printf(&line, "\n%s %" PRId64 " \xc3\x97 ",
	    find_emoji(tally->class), tally->messages);
	append_about(&line, digest, is_given(tally->title) ? tally->title
	    : "(no title)");
	return append_if_it_fits(out, &line, most);
}

static void
append_tallies(struct buffer *out, const struct outbox_digest *digest,
    size_t most)
{
	int64_t rest = digest->rest;

	for (size_t i = 0; i < digest->tally_count; i++)
		if (!append_tally(out, digest, &digest->tallies[i], most))
			rest += digest->tallies[i].messages;
	if (rest > 0)
		buffer_printf(out, "\n\xe2\x80\xa2 %" PRId64 " others", rest);
}

static bool
append_line(struct buffer *out, const struct outbox_digest *digest,
    const char *heading, const struct outbox_line *message)
{
	struct buffer line = { 0 };

	buffer_printf(&line, "%s\n> %s ", heading, find_emoji(message->class));
	if (is_given(message->title)) {
		append_about(&line, digest, message->title);
		buffer_append_string(&line, ": ");
	}
	markup_append_line(&line, is_given(message->text) ? message->text : "",
	    LINE_CHARACTERS, false);
	return append_if_it_fits(out, &line, COMPOSE_CHARACTERS_MAX);
}

static void
append_lines(struct buffer *out, const struct outbox_digest *digest,
    const char *heading, const struct outbox_line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (append_line(out, digest, heading, &lines[i]))
			heading = "";
}

/* Forwards come from any channel. */
static void
append_filter(struct buffer *out, const struct outbox_digest *digest)
{
	const char *join = "";

	buffer_append_string(out, "/ultronex/stream?");
	if (digest->forwards == 0) {
		buffer_append_string(out, "channel=");
		url_append_encoded(out, digest->channel,
		    strlen(digest->channel));
		join = "&amp;";
	}
	if (digest->first_seq > 0)
		buffer_printf(out, "%sfrom=%" PRId64 "&amp;to=%" PRId64, join,
		    digest->first_seq, digest->last_seq);
}

static void
append_link(struct buffer *out, const struct outbox_digest *digest,
    const char *dashboard)
{
	struct buffer line = { 0 };
	size_t length;

	if (!is_given(dashboard))
		return;
	length = strlen(dashboard);
	length -= dashboard[length - 1] == '/';
	buffer_append_string(&line, "\n<");
	buffer_append(&line, dashboard, length);
	append_filter(&line, digest);
	buffer_append_string(&line, "|Each of them is on the dashboard>");
	append_if_it_fits(out, &line, COMPOSE_CHARACTERS_MAX);
}

static void
append_heading(struct buffer *out, const struct outbox_digest *digest)
{
	if (is_of_forwards(digest))
		buffer_printf(out, "*%" PRId64 " match%s held back* for you, ",
		    digest->messages, digest->messages == 1 ? "" : "es");
	else
		buffer_printf(out, "*%" PRId64 " message%s* came faster than"
		    " they can be shown here, ", digest->messages,
		    digest->messages == 1 ? "" : "s");
}

struct compose *
compose_digest(const struct outbox_digest *digest, const char *dashboard)
{
	struct compose *compose = xcalloc(1, sizeof *compose);
	struct buffer text = { 0 };

	append_heading(&text, digest);
	append_span(&text, digest->first_us, digest->last_us);
	append_classes(&text, digest);
	append_tallies(&text, digest, DIGEST_TALLIES_CHARACTERS);
	append_link(&text, digest, dashboard);
	append_lines(&text, digest, "\n_the first_", digest->first,
	    digest->first_count);
	append_lines(&text, digest, "\n_the last_", digest->last,
	    digest->last_count);
	add_text(compose, &text);
	buffer_free(&text);
	return compose;
}
