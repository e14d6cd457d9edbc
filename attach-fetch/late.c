#include "late.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "clock.h"
#include "file_bytes.h"
#include "inbox_client.h"
#include "memory.h"
#include "owed.h"

struct late_file {
	struct late_files *files;
	struct late_file *next;
	struct want want;	/* open while it is fetched */
	int64_t deadline_ms;
	int64_t of;
	struct buffer line;	/* its record, as far as it is known */
	struct owed_place place;
};

struct late_files {
	struct late_settings settings;
	struct inbox_client *inbox;
	struct owed *owed;
	struct record *record;		/* of an earlier run */
	struct late_file *first;	/* in the order of their deadlines */
	size_t count;
};

struct late_files *
late_files_new(const struct late_settings *settings)
{
	static const char *const none[] = { NULL };
	struct late_files *late = xcalloc(1, sizeof *late);

	late->settings = *settings;
	late->owed = owed_open(spool_folder(settings->spool));
	late->record = record_new("late file", none);
	late->inbox = inbox_client_new(settings->inbox, settings->set,
	    settings->timers);
	return late;
}

static void
free_file(struct late_file *file)
{
	spool_release(&file->want.spooled);
	want_clear(&file->want);
	buffer_free(&file->line);
	free(file);
}

static void
remove_file(struct late_file *file)
{
	struct late_files *late = file->files;
	struct late_file **link = &late->first;

	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	late->count--;
	free_file(file);
}

void
late_files_free(struct late_files *late)
{
	if (late == NULL)
		return;
	if (late->count > 0)
		warnx("%zu late file%s left for the next start", late->count,
		    late->count == 1 ? "" : "s");
	inbox_client_free(late->inbox);
	while (late->first != NULL)
		remove_file(late->first);
	owed_free(late->owed);
	record_free(late->record);
	free(late);
}

static void
copy_member(struct buffer *line, const struct record *record,
    const char *name)
{
	const char *bytes;
	size_t length;

	if (!record_raw(record, name, &bytes, &length))
		return;
	buffer_printf(line, "\"%s\":", name);
	buffer_append(line, bytes, length);
	buffer_append(line, ",", 1);
}

/* All but what became of it. */
static void
begin_line(struct late_file *file, const struct record *record,
    const struct file_bytes *bytes)
{
	struct buffer *line = &file->line;

	buffer_printf(line, "{\"" RECORD_TYPE "\":\"" LATE_FILE_TYPE "\",\""
	    RECORD_OF "\":%" PRId64 ",", file->of);
	copy_member(line, record, RECORD_CHANNEL);
	copy_member(line, record, RECORD_TS);
	copy_member(line, record, RECORD_USER);
	buffer_append_string(line, "\"" RECORD_FILES "\":[");
	buffer_append(line, bytes->text, bytes->length);
	buffer_append(line, "]", 1);
}

/* All late deadlines are equally long: the newest file is the last one. */
static void
append_file(struct late_files *late, struct late_file *file)
{
	struct late_file **link = &late->first;

	while (*link != NULL && (*link)->deadline_ms <= file->deadline_ms)
		link = &(*link)->next;
	file->next = *link;
	*link = file;
	late->count++;
}

static struct late_file *
make_file(struct late_files *late, int64_t of)
{
	struct late_file *file = xcalloc(1, sizeof *file);

	file->files = late;
	file->of = of;
	return file;
}

/* From here on its want is fetched until the deadline. */
static struct want *
take_file(struct late_file *file, int64_t deadline_ms)
{
	file->deadline_ms = deadline_ms;
	file->want.late = file;
	file->want.deadline_ms = &file->deadline_ms;
	append_file(file->files, file);
	return &file->want;
}

/* Returns 0, or -1 with errno set. What became of the file is not noted. */
static int
note_file(struct late_file *file)
{
	struct buffer *line = &file->line;
	int status;

	buffer_append(line, "}", 1);
	status = owed_add(file->files->owed, line->data, line->length,
	    clock_now_us(), &file->place);
	line->length--;
	return status;
}

bool
late_files_are_to_have(const struct late_files *late,
    const struct record *record, const struct want *want)
{
	int64_t of;

	if (!record_integer(record, RECORD_SEQ, &of))
		return false;
	for (const struct late_file *file = late->first; file != NULL;
	    file = file->next)
		if (file->of == of && strcmp(file->want.id, want->id) == 0)
			return true;
	return false;
}

struct want *
late_files_adopt(struct late_files *late, const struct record *record,
    const struct want *want)
{
	struct late_file *file;
	struct file_bytes bytes;
	int64_t of;

	errno = EINVAL;
	if (!record_integer(record, RECORD_SEQ, &of) ||
	    !file_bytes_find(record, want->id, &bytes))
		return NULL;
	errno = ENOBUFS;
	if (late->count >= LATE_FILES_MAX)
		return NULL;
	file = make_file(late, of);
	begin_line(file, record, &bytes);
	if (note_file(file) == -1) {
		int error = errno;

		free_file(file);
		errno = error;
		return NULL;
	}
	want_copy_words(&file->want, want);
	return take_file(file, want_last_moment_ms(want));
}

/* The time that is left, but some at least: nobody fetched it meanwhile. */
static int64_t
find_time_ms(const struct late_files *late, const struct owed_entry *entry)
{
	int64_t most_ms = late->settings.time_ms;
	int64_t left_ms = most_ms -
	    (clock_now_us() - entry->since_us) / 1000;

	if (left_ms < LATE_RESUMED_MS)
		left_ms = LATE_RESUMED_MS;
	return left_ms < most_ms ? left_ms : most_ms;
}

static struct want *
resume_file(struct late_files *late, const struct owed_entry *entry)
{
	struct late_file *file;
	const cJSON *files;
	int64_t of;

	if (record_parse(late->record, entry->line, entry->length) == -1 ||
	    !record_integer(late->record, RECORD_OF, &of))
		return NULL;
	files = record_array(late->record, RECORD_FILES);
	if (files == NULL || json_string(files->child, "id") == NULL)
		return NULL;
	file = make_file(late, of);
	file->place = entry->place;
	buffer_append(&file->line, entry->line, entry->length - 1);
	want_read(&file->want, files->child, late->settings.bytes_max);
	return take_file(file, clock_steady_ms() + find_time_ms(late, entry));
}

struct want *
late_files_resume(struct late_files *late)
{
	struct owed_entry entry;
	struct want *want;

	while (owed_next(late->owed, &entry)) {
		want = resume_file(late, &entry);
		if (want != NULL)
			return want;
		warnx("a late file that nobody can read is forgotten");
		owed_remove(late->owed, &entry.place);
	}
	return NULL;
}

/* The inbox took it, or refused it for good. */
static void
end_hand_in(const char *error, void *arg)
{
	struct late_file *file = arg;

	if (error != NULL)
		warnx("late file %s of message %" PRId64 ": the inbox does"
		    " not take its record: %s", file->want.id, file->of,
		    error);
	owed_remove(file->files->owed, &file->place);
	remove_file(file);
}

/* The same for each time that this is handed in, so that it comes in once. */
static void
append_id(struct late_file *file)
{
	struct buffer id = { 0 };

	buffer_printf(&id, "%" PRId64 ":%s:%s", file->of, file->want.id,
	    want_status_name(&file->want));
	buffer_append_string(&file->line, ",\"" RECORD_ID "\":");
	buffer_append_json(&file->line, id.data, id.length);
	buffer_free(&id);
}

void
late_files_settle(struct late_files *late, struct want *want)
{
	struct late_file *file = want->late;

	append_id(file);
	if (want->status == WANT_OK) {
		spool_release_later(late->settings.spool, &want->spooled);
	} else {
		warnx("late file %s of message %" PRId64 ": %s", want->id,
		    file->of, want->reason);
		buffer_append_string(&file->line, ",\"" LATE_OUTCOME "\":");
		want_append_outcome(want, &file->line);
	}
	buffer_append(&file->line, "}", 1);
	if (!inbox_client_send(late->inbox, file->line.data,
	    file->line.length, end_hand_in, file))
		end_hand_in("too many records wait", file);
}

struct want *
late_files_overdue(const struct late_files *late)
{
	int64_t now_ms = clock_steady_ms();

	for (struct late_file *file = late->first; file != NULL &&
	    file->deadline_ms <= now_ms; file = file->next)
		if (file->want.status == WANT_OPEN)
			return &file->want;
	return NULL;
}

int64_t
late_files_next_ms(const struct late_files *late)
{
	for (const struct late_file *file = late->first; file != NULL;
	    file = file->next)
		if (file->want.status == WANT_OPEN)
			return file->deadline_ms;
	return 0;
}

void
late_files_extend(struct late_files *late, int64_t blocked_ms)
{
	for (struct late_file *file = late->first; file != NULL;
	    file = file->next)
		file->deadline_ms += blocked_ms;
}
