#include "pending.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

static bool
is_known(const struct pending *pending, const cJSON *file)
{
	const char *id = json_string(file, "id");

	for (size_t i = 0; id != NULL && i < pending->count; i++)
		if (pending->wants[i].id != NULL &&
		    strcmp(pending->wants[i].id, id) == 0)
			return true;
	return false;
}

static void
add_files(struct pending *pending, const cJSON *files, int64_t bytes_max)
{
	const cJSON *file;

	cJSON_ArrayForEach(file, files) {
		if (is_known(pending, file))
			continue;
		if (pending->count == PENDING_FILES_MAX) {
			pending->too_many++;
			continue;
		}
		want_read(&pending->wants[pending->count], file, bytes_max);
		pending->wants[pending->count].pending = pending;
		pending->wants[pending->count].deadline_ms =
		    &pending->deadline_ms;
		pending->count++;
	}
}

static int
limit_count(const cJSON *files)
{
	int count = 0;

	for (const cJSON *file = files != NULL ? files->child : NULL;
	    file != NULL && count < PENDING_FILES_MAX; file = file->next)
		count++;
	return count;
}

struct pending *
pending_new(struct record *record, int64_t bytes_max)
{
	const cJSON *files = record_array(record, RECORD_FILES);
	const cJSON *edited = json_get(record_object(record, RECORD_MESSAGE),
	    RECORD_FILES);
	int count = limit_count(files);

	if (cJSON_IsArray(edited))
		count += limit_count(edited);
	if (count == 0)
		return NULL;

	struct pending *pending = xcalloc(1, sizeof *pending);
	pending->wants = xcalloc((size_t)count, sizeof *pending->wants);
	add_files(pending, files, bytes_max);
	if (cJSON_IsArray(edited))
		add_files(pending, edited, bytes_max);
	return pending;
}

void
pending_free(struct pending *pending)
{
	if (pending == NULL)
		return;
	for (size_t i = 0; i < pending->count; i++)
		want_clear(&pending->wants[i]);
	free(pending->wants);
	free(pending->line);
	free(pending);
}

void
pending_add_fetched(const struct pending *pending, struct record *record)
{
	struct buffer json = { 0 };

	buffer_append(&json, "[", 1);
	for (size_t i = 0; i < pending->count; i++) {
		if (i > 0)
			buffer_append(&json, ",", 1);
		want_append_json(&pending->wants[i], &json);
	}
	if (pending->too_many > 0)
		buffer_printf(&json, ",{\"status\":\"skipped\",\"reason\":"
		    "\"%zu more files than %d in one message\"}",
		    pending->too_many, PENDING_FILES_MAX);
	buffer_append(&json, "]", 1);
	record_add_json(record, RECORD_FETCHED, json.data, json.length);
	buffer_free(&json);
}

static void
report_if_missed(struct record *record, const char *name)
{
	const char *bytes;
	size_t length;

	if (record_get(record, name) == NULL &&
	    record_raw(record, name, &bytes, &length))
		record_fail(record, "%s: too many values to be looked at",
		    name);
}

void
pending_report_missed(struct record *record)
{
	report_if_missed(record, RECORD_FILES);
	report_if_missed(record, RECORD_MESSAGE);
}
