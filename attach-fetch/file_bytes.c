#include "file_bytes.h"

#include <string.h>

#include "json_scan.h"

#define BLANKS " \t\r\n"

/* Skip the string that begins at text[at]. */
static size_t
skip_string(const char *text, size_t at)
{
	for (at++; text[at] != '"'; at++)
		if (text[at] == '\\')
			at++;
	return at + 1;
}

/* Skip the value that begins at text[at], and blanks behind it. */
static size_t
skip_value(const char *text, size_t at)
{
	size_t depth = 0;

	for (;;) {
		if (text[at] == '"') {
			at = skip_string(text, at);
			continue;
		}
		if (text[at] == '[' || text[at] == '{')
			depth++;
		else if (depth == 0 && strchr(",]}", text[at]) != NULL)
			return at;
		else if (text[at] == ']' || text[at] == '}')
			depth--;
		at++;
	}
}

/* Is it an object with that id, written without escapes? */
static bool
has_id(const struct file_bytes *file, const char *id)
{
	struct json_index index = { 0 };
	const struct json_member *member = NULL;
	size_t length = strlen(id);
	bool has = false;

	if (json_scan(&index, file->text, file->length) == 0)
		member = json_index_find(&index, file->text, "id");
	if (member != NULL)
		has = member->value_end - member->value == length + 2 &&
		    file->text[member->value] == '"' &&
		    memcmp(file->text + member->value + 1, id, length) == 0;
	json_index_free(&index);
	return has;
}

/* files is what was found to be valid JSON before. */
static bool
find_in(const char *files, const char *id, struct file_bytes *file)
{
	size_t at = 0, end;

	if (files[at] != '[')
		return false;
	do {
		at++;
		at += strspn(files + at, BLANKS);
		end = skip_value(files, at);
		file->text = files + at;
		file->length = end - at;
		while (file->length > 0 && strchr(BLANKS,
		    file->text[file->length - 1]) != NULL)
			file->length--;
		if (has_id(file, id))
			return true;
		at = end;
	} while (files[at] == ',');
	return false;
}

static bool
find_in_edited(const struct record *record, const char *id,
    struct file_bytes *file)
{
	const struct json_member *member = NULL;
	struct json_index index = { 0 };
	const char *message;
	size_t length;
	bool is_found;

	if (!record_raw(record, RECORD_MESSAGE, &message, &length))
		return false;
	if (json_scan(&index, message, length) == 0)
		member = json_index_find(&index, message, RECORD_FILES);
	is_found = member != NULL &&
	    find_in(message + member->value, id, file);
	json_index_free(&index);
	return is_found;
}

bool
file_bytes_find(const struct record *record, const char *id,
    struct file_bytes *file)
{
	const char *files;
	size_t length;

	if (record_raw(record, RECORD_FILES, &files, &length) &&
	    find_in(files, id, file))
		return true;
	return find_in_edited(record, id, file);
}
