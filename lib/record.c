#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_scan.h"
#include "memory.h"
#include "utf8.h"

/* A member that was looked up: its value, parsed once. */
struct value {
	size_t member;
	cJSON *json;
};

struct record {
	const char *stage;
	const char *const *own;

	const char *line;
	size_t length;
	struct json_index index;
	bool has_escaped_names;
	bool has_failed;
	char reason[160];

	struct value *values;
	size_t value_count;
	size_t value_capacity;

	/* `"name":value` of this stage, with commas between them */
	struct buffer added;
};

struct record *
record_new(const char *stage, const char *const *own)
{
	struct record *record = xcalloc(1, sizeof *record);

	record->stage = stage;
	record->own = own;
	return record;
}

static void
forget_line(struct record *record)
{
	for (size_t i = 0; i < record->value_count; i++)
		cJSON_Delete(record->values[i].json);
	record->value_count = 0;
	record->added.length = 0;
	record->has_failed = false;
}

void
record_free(struct record *record)
{
	if (record == NULL)
		return;
	forget_line(record);
	free(record->values);
	json_index_free(&record->index);
	buffer_free(&record->added);
	free(record);
}

static bool
find_escaped_names(const struct record *record)
{
	for (size_t i = 0; i < record->index.count; i++) {
		const struct json_member *member = &record->index.members[i];

		if (memchr(record->line + member->name, '\\',
		    member->name_end - member->name) != NULL)
			return true;
	}
	return false;
}

int
record_parse(struct record *record, const char *line, size_t length)
{
	forget_line(record);
	record->line = line;
	record->length = length;
	if (json_scan(&record->index, line, length) == -1) {
		snprintf(record->reason, sizeof record->reason,
		    "%s at byte %zu", record->index.reason,
		    record->index.error_at + 1);
		return -1;
	}
	record->has_escaped_names = find_escaped_names(record);
	return 0;
}

const char *
record_reason(const struct record *record)
{
	return record->reason;
}

/* `\u0000` would end a C string, a lone surrogate is no character at all. */
static bool
is_unreadable_escape(const char *escape, const char *end)
{
	unsigned long unit, next = 0;

	if (end - escape < 6 || escape[1] != 'u')
		return false;
	unit = strtoul((char[]){ escape[2], escape[3], escape[4], escape[5],
	    '\0' }, NULL, 16);
	if (unit >= 0xd800 && unit <= 0xdbff && end - escape >= 12 &&
	    escape[6] == '\\' && escape[7] == 'u')
		next = strtoul((char[]){ escape[8], escape[9], escape[10],
		    escape[11], '\0' }, NULL, 16);
	if (unit >= 0xd800 && unit <= 0xdbff)
		return next < 0xdc00 || next > 0xdfff;
	return unit == 0 || (unit >= 0xdc00 && unit <= 0xdfff);
}

static size_t
measure_escape(const char *escape, const char *end)
{
	if (end - escape < 6 || escape[1] != 'u')
		return 2;
	return (escape[2] == 'd' || escape[2] == 'D') &&
	    strchr("89abAB", escape[3]) != NULL && end - escape >= 12 ? 12 : 6;
}

/* Make every unreadable escape U+FFFD, which is as long. */
static void
mend_escapes(char *json, size_t length)
{
	const char *end = json + length;

	for (char *at = json; (at = memchr(at, '\\', (size_t)(end - at)));) {
		if (is_unreadable_escape(at, end)) {
			memcpy(at, "\\ufffd", 6);
			at += 6;
		} else {
			at += measure_escape(at, end);
		}
	}
}

/* Parse text that json_scan has accepted. */
static cJSON *
parse_json(const char *json, size_t length)
{
	if (memchr(json, '\\', length) == NULL ||
	    memmem(json, length, "\\u", 2) == NULL)
		return cJSON_ParseWithLength(json, length);

	char *copy = xstrndup(json, length);
	mend_escapes(copy, length);
	cJSON *value = cJSON_ParseWithLength(copy, length);
	free(copy);
	return value;
}

static cJSON *
parse_member(const struct record *record, const struct json_member *member)
{
	if (member->values > RECORD_VALUES_MAX)
		return NULL;
	return parse_json(record->line + member->value,
	    member->value_end - member->value);
}

static bool
is_escaped_name(const char *name, size_t length, const char *wanted)
{
	cJSON *parsed = parse_json(name - 1, length + 2);
	bool same = cJSON_IsString(parsed) &&
	    strcmp(parsed->valuestring, wanted) == 0;

	cJSON_Delete(parsed);
	return same;
}

/* The name may be written with escapes, which few are. */
static bool
is_named(const struct record *record, const struct json_member *member,
    const char *wanted, size_t wanted_length)
{
	const char *name = record->line + member->name;
	size_t length = member->name_end - member->name;

	if (length == wanted_length)
		return memcmp(name, wanted, length) == 0;
	return record->has_escaped_names && length > wanted_length &&
	    memchr(name, '\\', length) != NULL &&
	    is_escaped_name(name, length, wanted);
}

/* The last member of that name counts, as in every JSON parser around. */
static const struct json_member *
find_member(const struct record *record, const char *name)
{
	const struct json_member *members = record->index.members;
	size_t length = strlen(name);

	for (size_t i = record->index.count; i > 0; i--) {
		const struct json_member *member = &members[i - 1];

		if ((member->name_end - member->name == length ||
		    record->has_escaped_names) &&
		    is_named(record, member, name, length))
			return member;
	}
	return NULL;
}

static const cJSON *
remember_value(struct record *record, size_t member, cJSON *json)
{
	if (record->value_count == record->value_capacity) {
		record->value_capacity = record->value_capacity * 2 + 8;
		record->values = xrealloc(record->values,
		    record->value_capacity * sizeof *record->values);
	}
	record->values[record->value_count++] = (struct value){ member, json };
	return json;
}

const cJSON *
record_get(struct record *record, const char *name)
{
	const struct json_member *member = find_member(record, name);

	if (member == NULL)
		return NULL;

	size_t place = (size_t)(member - record->index.members);
	for (size_t i = 0; i < record->value_count; i++)
		if (record->values[i].member == place)
			return record->values[i].json;
	return remember_value(record, place, parse_member(record, member));
}

const char *
record_string(struct record *record, const char *name)
{
	return cJSON_GetStringValue(record_get(record, name));
}

bool
record_is(struct record *record, const char *name, const char *value)
{
	const char *bytes, *string;
	size_t length;

	if (!record_raw(record, name, &bytes, &length) || *bytes != '"')
		return false;
	/* most strings stand there as they are: no need to parse them */
	if (memchr(bytes, '\\', length) == NULL)
		return length == strlen(value) + 2 &&
		    memcmp(bytes + 1, value, length - 2) == 0;
	string = record_string(record, name);
	return string != NULL && strcmp(string, value) == 0;
}

const cJSON *
record_array(struct record *record, const char *name)
{
	const cJSON *value = record_get(record, name);

	return cJSON_IsArray(value) ? value : NULL;
}

const cJSON *
record_object(struct record *record, const char *name)
{
	const cJSON *value = record_get(record, name);

	return cJSON_IsObject(value) ? value : NULL;
}

bool
record_raw(const struct record *record, const char *name, const char **bytes,
    size_t *length)
{
	const struct json_member *member = find_member(record, name);

	if (member == NULL)
		return false;
	*bytes = record->line + member->value;
	*length = member->value_end - member->value;
	return true;
}

bool
record_integer(const struct record *record, const char *name, int64_t *value)
{
	char digits[24], *end;
	const char *bytes;
	size_t length;

	if (!record_raw(record, name, &bytes, &length) ||
	    length >= sizeof digits ||
	    strspn(bytes, "-0123456789") < length)
		return false;
	memcpy(digits, bytes, length);
	digits[length] = '\0';
	errno = 0;
	*value = strtoll(digits, &end, 10);
	return errno == 0 && *end == '\0' && end != digits;
}

const cJSON *
json_get(const cJSON *object, const char *name)
{
	const cJSON *member, *found = NULL;

	if (cJSON_IsObject(object))
		cJSON_ArrayForEach(member, object)
			if (*member->string == *name &&
			    strcmp(member->string, name) == 0)
				found = member;
	return found;
}

const char *
json_string(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(json_get(object, name));
}

static void
open_member(struct record *record, const char *name)
{
	struct buffer *added = &record->added;

	buffer_append_string(added, added->length > 0 ? ",\"" : "\"");
	buffer_append_string(added, name);
	buffer_append_string(added, "\":");
}

void
record_add_json(struct record *record, const char *name, const char *json,
    size_t length)
{
	open_member(record, name);
	buffer_append(&record->added, json, length);
}

void
record_add_string(struct record *record, const char *name, const char *value)
{
	open_member(record, name);
	buffer_append_json(&record->added, value, strlen(value));
}

void
record_add_integer(struct record *record, const char *name, int64_t value)
{
	open_member(record, name);
	buffer_printf(&record->added, "%" PRId64, value);
}

static void
append_error(struct buffer *out, const char *stage, const char *reason)
{
	buffer_append_string(out, "\"error\":{\"stage\":");
	buffer_append_json(out, stage, strlen(stage));
	buffer_append_string(out, ",\"reason\":");
	buffer_append_json(out, reason, strlen(reason));
	buffer_append_string(out, "}");
}

/* An error that this stage reported when the record passed it before. */
static bool
is_own_error(const struct record *record, const struct json_member *member)
{
	cJSON *error = parse_member(record, member);
	const char *stage = json_string(error, "stage");
	bool is_own = stage != NULL && strcmp(stage, record->stage) == 0;

	cJSON_Delete(error);
	return is_own;
}

static bool
is_error_record(const struct record *record)
{
	const char *type;
	size_t length;

	return record_raw(record, RECORD_TYPE, &type, &length) &&
	    length == strlen("\"error\"") &&
	    memcmp(type, "\"error\"", length) == 0;
}

/* Is the member one that this stage added in an earlier run? */
static bool
is_own(const struct record *record, const struct json_member *member)
{
	char first = record->line[member->name];

	for (const char *const *name = record->own; *name != NULL; name++)
		if ((first == **name || record->has_escaped_names) &&
		    is_named(record, member, *name, strlen(*name)))
			return true;
	return is_named(record, member, RECORD_ERROR, strlen(RECORD_ERROR)) &&
	    !is_error_record(record) && is_own_error(record, member);
}

void
record_fail(struct record *record, const char *format, ...)
{
	const struct json_member *error = find_member(record, RECORD_ERROR);
	char reason[256];
	va_list arguments;

	if (record->has_failed || (error != NULL && !is_own(record, error)))
		return;
	record->has_failed = true;
	va_start(arguments, format);
	vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	if (record->added.length > 0)
		buffer_append(&record->added, ",", 1);
	append_error(&record->added, record->stage, reason);
}

/* Where the comma behind a member stands that another one follows. */
static size_t
find_comma(const struct record *record, const struct json_member *member)
{
	const char *value_end = record->line + member->value_end;

	return member->value_end + (size_t)((const char *)memchr(value_end, ',',
	    record->length - member->value_end) - value_end);
}

/*
 * Append the line up to its brace without our members of an earlier run; what
 * stands between two members that stay is kept. Returns whether any stays.
 */
static bool
append_foreign_members(const struct record *record, struct buffer *out)
{
	const struct json_member *members = record->index.members;
	size_t done = 0;
	bool any = false;

	for (size_t i = 0; i < record->index.count; i++) {
		size_t end = i + 1 < record->index.count ?
		    members[i + 1].name - 1 : record->index.brace;

		if (!is_own(record, &members[i])) {
			any = true;
			continue;
		}
		size_t cut = any ? find_comma(record, &members[i - 1])
		    : members[i].name - 1;
		if (cut > done)
			buffer_append(out, record->line + done, cut - done);
		done = any || end == record->index.brace
		    ? members[i].value_end : end;
	}
	buffer_append(out, record->line + done, record->index.brace - done);
	return any;
}

/* Where our members and a comma do not fit beside `kept`, say so instead. */
static void
mind_the_limit(struct record *record, size_t kept)
{
	if (kept + 1 + record->added.length <= RECORD_BYTES_MAX)
		return;
	record->added.length = 0;
	record->has_failed = false;
	record_fail(record, "no room for what %s adds in %d MiB",
	    record->stage, RECORD_BYTES_MAX >> 20);
	if (kept + 1 + record->added.length > RECORD_BYTES_MAX)
		record->added.length = 0;
}

void
record_write(struct record *record, struct buffer *out)
{
	size_t before = out->length, brace = record->index.brace;
	bool any = append_foreign_members(record, out);

	mind_the_limit(record, out->length - before + record->length - brace);
	if (any && record->added.length > 0)
		buffer_append(out, ",", 1);
	buffer_append(out, record->added.data, record->added.length);
	buffer_append(out, record->line + brace, record->length - brace);
	buffer_append(out, "\n", 1);
}

static void
append_base64(struct buffer *out, const char *bytes, size_t length)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *at = (const unsigned char *)bytes;

	for (size_t i = 0; i < length; i += 3) {
		size_t left = length - i;
		unsigned group = (unsigned)at[i] << 16 |
		    (left > 1 ? (unsigned)at[i + 1] << 8 : 0) |
		    (left > 2 ? at[i + 2] : 0);
		char *quad = buffer_reserve(out, 4);

		quad[0] = digits[group >> 18];
		quad[1] = digits[group >> 12 & 63];
		quad[2] = left > 1 ? digits[group >> 6 & 63] : '=';
		quad[3] = left > 2 ? digits[group & 63] : '=';
		out->length += 4;
	}
}

/* The line itself, or its beginning where it is not whole. */
static void
append_line(struct buffer *out, const char *line, size_t length, size_t total)
{
	if (length == total && !utf8_is_valid(line, length)) {
		buffer_append_string(out, ",\"" RECORD_LINE_BASE64 "\":\"");
		append_base64(out, line, length);
		buffer_append(out, "\"", 1);
		return;
	}
	buffer_append_string(out, ",\"" RECORD_LINE "\":");
	buffer_append_json(out, line, length);
	if (length < total)
		buffer_printf(out, ",\"" RECORD_BYTES "\":%zu", total);
}

void
record_write_error(struct buffer *out, const char *stage, const char *reason,
    const char *line, size_t length, size_t total)
{
	size_t before = out->length;

	buffer_append_string(out, "{\"type\":\"error\",");
	append_error(out, stage, reason);

	size_t head = out->length;
	append_line(out, line, length, total);
	if (out->length - before >= RECORD_BYTES_MAX) {
		out->length = head;
		append_line(out, line, LINE_HEAD_BYTES, total);
	}
	buffer_append_string(out, "}\n");
}

bool
record_take(struct record *record, const struct line *line,
    struct buffer *out)
{
	const char *reason = "line over 16 MiB";

	if (line->length == line->total) {
		if (record_parse(record, line->text, line->length) == 0)
			return true;
		reason = record_reason(record);
	}
	record_write_error(out, record->stage, reason, line->text,
	    line->length, line->total);
	return false;
}
