#include "want.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "memory.h"
#include "record.h"

#define SIZE_MAX_EXACT 9007199254740992.0	/* 2^53 */

static char *
copy_string(const cJSON *file, const char *name)
{
	const char *value = json_string(file, name);

	return value != NULL ? xstrdup(value) : NULL;
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
read_size(const cJSON *file)
{
	const cJSON *size = cJSON_GetObjectItemCaseSensitive(file, "size");

	if (!cJSON_IsNumber(size) || size->valuedouble < 0)
		return WANT_SIZE_UNKNOWN;
	return size->valuedouble > SIZE_MAX_EXACT ? INT64_MAX
	    : (int64_t)size->valuedouble;
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
	if (url != NULL && *url != '\0')
		want->url = xstrdup(url);
}

static bool
is_word(const char *value, const char *word)
{
	return value != NULL && strcmp(value, word) == 0;
}

static void
check_access(struct want *want, const char *mode, const char *access)
{
	if (is_word(access, "access_denied"))
		want_settle(want, WANT_DENIED, "Slack denies access to the"
		    " file: the app is not in a conversation that has it");
	else if (is_word(access, "file_not_found"))
		want_settle(want, WANT_FAILED,
		    "Slack does not find the file");
	else if (is_word(access, "check_file_info") ||
	    is_word(mode, "file_access"))
		want_settle(want, WANT_SKIPPED, "a file of Slack Connect: only"
		    " files.info tells where it is");
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

void
want_read(struct want *want, const cJSON *file, int64_t bytes_max)
{
	const char *mode = json_string(file, "mode");

	*want = (struct want){ .size = read_size(file) };
	if (!cJSON_IsObject(file)) {
		want_settle(want, WANT_SKIPPED, "not a file object");
		return;
	}
	want->id = copy_string(file, "id");
	want->mimetype = copy_string(file, "mimetype");
	read_url(want, file);
	read_kind(want, file, mode);
	check_access(want, mode, json_string(file, "file_access"));
	if (want->status == WANT_OPEN)
		check_mode(want, file, mode);
	if (want->status == WANT_OPEN && want->size > bytes_max)
		want_settle(want, WANT_TOO_LARGE, "larger than %" PRId64
		    " bytes", bytes_max);
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

void
want_append_json(const struct want *want, struct buffer *out)
{
	static const char *const names[] = {
		[WANT_OPEN] = "failed", [WANT_OK] = "ok",
		[WANT_SKIPPED] = "skipped", [WANT_TOO_LARGE] = "too-large",
		[WANT_DENIED] = "denied", [WANT_LATE] = "late",
		[WANT_FAILED] = "failed",
	};
	bool is_ok = want->status == WANT_OK;

	buffer_append(out, "{", 1);
	append_member(out, "file", want->id);
	append_member(out, "status", names[want->status]);
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
want_clear(struct want *want)
{
	free(want->id);
	free(want->url);
	free(want->mimetype);
	*want = (struct want){ 0 };
}
