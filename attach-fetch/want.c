#include "want.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "memory.h"
#include "record.h"

#define NUMBER_MAX_EXACT 9007199254740992.0	/* 2^53 */

/* What the files of `fetched` say. */
static const char *const status_names[] = {
	[WANT_OPEN] = "failed", [WANT_OK] = "ok", [WANT_SKIPPED] = "skipped",
	[WANT_TOO_LARGE] = "too-large", [WANT_DENIED] = "denied",
	[WANT_LATE] = "late", [WANT_FAILED] = "failed",
};

static char *
copy_text(const char *text)
{
	return text != NULL ? xstrdup(text) : NULL;
}

static void
replace_text(char **text, const char *value)
{
	free(*text);
	*text = copy_text(value);
}

static bool
is_set(const cJSON *file, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(file, name));
}

static bool
is_one_of(const char *value, const char *const *list)
{
	if (value != NULL)
		for (; *list != NULL; list++)
			if (strcmp(value, *list) == 0)
				return true;
	return false;
}

static int64_t
read_number(const cJSON *file, const char *name, int64_t otherwise)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(file, name);

	if (!cJSON_IsNumber(number) || number->valuedouble < 0)
		return otherwise;
	return number->valuedouble > NUMBER_MAX_EXACT ? INT64_MAX
	    : (int64_t)number->valuedouble;
}

/* Documents that people write in Slack are HTML inside. */
static bool
is_document(const char *mode)
{
	static const char *const modes[] = { "post", "space", "canvas", "quip",
	    "docs", "list", NULL };

	return is_one_of(mode, modes);
}

static bool
is_upload(const char *mode)
{
	static const char *const modes[] = { "hosted", "email", NULL };

	return mode == NULL || is_one_of(mode, modes);
}

static void
read_kind(struct want *want, const cJSON *file, const char *mode)
{
	const char *filetype = json_string(file, "filetype");

	want->is_html = is_document(mode) || (want->mimetype != NULL &&
	    strcasestr(want->mimetype, "html") != NULL) ||
	    (filetype != NULL && strcasecmp(filetype, "html") == 0);
	want->may_change = !is_upload(mode) || is_set(file, "editable");
}

static void
read_url(struct want *want, const cJSON *file)
{
	const char *url = json_string(file, "url_private_download");

	if (url == NULL || *url == '\0')
		url = json_string(file, "url_private");
	replace_text(&want->url, url != NULL && *url != '\0' ? url : NULL);
}

static bool
is_word(const char *value, const char *word)
{
	return value != NULL && strcmp(value, word) == 0;
}

/* What Slack shows of a file in a channel shared with others. */
static bool
is_stub(const cJSON *file)
{
	return is_word(json_string(file, "file_access"), "check_file_info") ||
	    is_word(json_string(file, "mode"), "file_access");
}

static void
check_access(struct want *want, const char *access)
{
	if (is_word(access, "access_denied"))
		want_settle(want, WANT_DENIED, "Slack denies access to the"
		    " file: the app is not in a conversation that has it");
	else if (is_word(access, "file_not_found"))
		want_settle(want, WANT_FAILED,
		    "Slack does not find the file");
}

static void
check_mode(struct want *want, const cJSON *file, const char *mode)
{
	if (is_word(mode, "external") || is_set(file, "is_external"))
		want_settle(want, WANT_SKIPPED,
		    "an external file, not stored at Slack");
	else if (is_word(mode, "tombstone"))
		want_settle(want, WANT_SKIPPED, "the file was deleted");
	else if (is_word(mode, "hidden_by_limit"))
		want_settle(want, WANT_SKIPPED,
		    "hidden by the limits of the workspace's plan");
}

static void
read_words(struct want *want, const cJSON *file)
{
	want->size = read_number(file, "size", WANT_SIZE_UNKNOWN);
	want->created_s = read_number(file, "created", 0);
	replace_text(&want->mimetype, json_string(file, "mimetype"));
	read_url(want, file);
	read_kind(want, file, json_string(file, "mode"));
}

/* Is there anything to be fetched, as far as the words tell? */
static void
check_words(struct want *want, const cJSON *file, int64_t bytes_max)
{
	check_access(want, json_string(file, "file_access"));
	if (want->status == WANT_OPEN && !want->needs_info)
		check_mode(want, file, json_string(file, "mode"));
	if (want->status == WANT_OPEN && !want->needs_info &&
	    want->size > bytes_max)
		want_settle(want, WANT_TOO_LARGE, "larger than %" PRId64
		    " bytes", bytes_max);
}

void
want_read(struct want *want, const cJSON *file, int64_t bytes_max)
{
	*want = (struct want){ .size = WANT_SIZE_UNKNOWN };
	if (!cJSON_IsObject(file)) {
		want_settle(want, WANT_SKIPPED, "not a file object");
		return;
	}
	want->id = copy_text(json_string(file, "id"));
	want->needs_info = is_stub(file);
	read_words(want, file);
	check_words(want, file, bytes_max);
}

void
want_take_info(struct want *want, const cJSON *file, int64_t bytes_max)
{
	want->needs_info = false;
	read_words(want, file);
	if (want->url == NULL && is_stub(file))
		want_settle(want, WANT_SKIPPED, "a file of Slack Connect:"
		    " files.info does not tell where it is either");
	else
		check_words(want, file, bytes_max);
}

void
want_copy_words(struct want *copy, const struct want *want)
{
	*copy = (struct want){
		.id = copy_text(want->id),
		.url = copy_text(want->url),
		.mimetype = copy_text(want->mimetype),
		.size = want->size,
		.created_s = want->created_s,
		.is_html = want->is_html,
		.may_change = want->may_change,
		.needs_info = want->needs_info,
	};
}

void
want_start_clock(struct want *want, int64_t deadline_ms)
{
	if (*want->deadline_ms == 0)
		*want->deadline_ms = clock_steady_ms() + deadline_ms;
}

int64_t
want_last_moment_ms(const struct want *want)
{
	return *want->deadline_ms + want->late_ms;
}

void
want_settle(struct want *want, enum want_status status, const char *format,
    ...)
{
	va_list arguments;

	want->status = status;
	va_start(arguments, format);
	vsnprintf(want->reason, sizeof want->reason, format, arguments);
	va_end(arguments);
}

static void
append_member(struct buffer *out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	if (out->data[out->length - 1] != '{')
		buffer_append(out, ",", 1);
	buffer_printf(out, "\"%s\":", name);
	buffer_append_json(out, value, strlen(value));
}

const char *
want_status_name(const struct want *want)
{
	return status_names[want->status];
}

void
want_append_json(const struct want *want, struct buffer *out)
{
	bool is_ok = want->status == WANT_OK;

	buffer_append(out, "{", 1);
	append_member(out, "file", want->id);
	append_member(out, "status", want_status_name(want));
	if (is_ok) {
		append_member(out, "path", want->spooled.name);
		buffer_printf(out, ",\"bytes\":%" PRId64,
		    want->spooled.bytes);
		append_member(out, "sha256", want->spooled.name);
	}
	append_member(out, "mimetype", want->mimetype);
	if (!is_ok)
		append_member(out, "reason", want->reason);
	buffer_append(out, "}", 1);
}

void
want_append_outcome(const struct want *want, struct buffer *out)
{
	buffer_append(out, "{", 1);
	append_member(out, "status", want_status_name(want));
	append_member(out, "reason", want->reason);
	buffer_append(out, "}", 1);
}

bool
want_read_outcome(struct want *want, const cJSON *outcome)
{
	static const enum want_status ends[] = { WANT_SKIPPED, WANT_TOO_LARGE,
	    WANT_DENIED, WANT_FAILED };
	const char *name = json_string(outcome, "status");
	const char *reason = json_string(outcome, "reason");

	if (name == NULL || reason == NULL)
		return false;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		if (strcmp(name, status_names[ends[i]]) == 0) {
			want_settle(want, ends[i], "%s", reason);
			return true;
		}
	return false;
}

void
want_clear(struct want *want)
{
	free(want->id);
	free(want->url);
	free(want->mimetype);
	*want = (struct want){ 0 };
}
