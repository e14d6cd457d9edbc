#include "late.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "clock.h"
#include "file_bytes.h"
#include "inbox_client.h"
#include "memory.h"

struct late_file {
	struct late_files *files;
	struct late_file *next;
	struct want want;	/* open while it is fetched */
	int64_t deadline_ms;
	int64_t of;
	struct buffer line;	/* its record, as far as it is known */
};

struct late_files {
	struct late_settings settings;
	struct inbox_client *inbox;
	struct late_file *first;	/* in the order of their deadlines */
	size_t count;
	size_t bytes;			/* of their lines */
};

struct late_files *
late_files_new(const struct late_settings *settings)
{
	struct late_files *late = xcalloc(1, sizeof *late);

	late->settings = *settings;
	late->inbox = inbox_client_new(settings->inbox, settings->set,
	    settings->timers);
	return late;
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
	late->bytes -= file->line.length;
	spool_release(&file->want.spooled);
	want_clear(&file->want);
	buffer_free(&file->line);
	free(file);
}

void
late_files_free(struct late_files *late)
{
	if (late == NULL)
		return;
	if (late->count > 0)
		warnx("%zu late file%s given up", late->count,
		    late->count == 1 ? "" : "s");
	inbox_client_free(late->inbox);
	while (late->first != NULL)
		remove_file(late->first);
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
	late->bytes += file->line.length;
}

struct want *
late_files_adopt(struct late_files *late, const struct record *record,
    const struct want *want)
{
	struct late_file *file;
	struct file_bytes bytes;
	int64_t of;

	if (late->count >= LATE_FILES_MAX ||
	    !record_integer(record, RECORD_SEQ, &of) ||
	    !file_bytes_find(record, want->id, &bytes) ||
	    late->bytes + bytes.length > LATE_BYTES_MAX)
		return NULL;
	file = xcalloc(1, sizeof *file);
	file->files = late;
	file->of = of;
	file->deadline_ms = want_last_moment_ms(want);
	begin_line(file, record, &bytes);
	want_copy_words(&file->want, want);
	file->want.late = file;
	file->want.deadline_ms = &file->deadline_ms;
	append_file(late, file);
	return &file->want;
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
	remove_file(file);
}

void
late_files_settle(struct late_files *late, struct want *want)
{
	struct late_file *file = want->late;
	size_t before = file->line.length;

	if (want->status == WANT_OK) {
		spool_release_later(late->settings.spool, &want->spooled);
	} else {
		warnx("late file %s of message %" PRId64 ": %s", want->id,
		    file->of, want->reason);
		buffer_append_string(&file->line, ",\"" LATE_OUTCOME "\":");
		want_append_outcome(want, &file->line);
	}
	buffer_append(&file->line, "}", 1);
	late->bytes += file->line.length - before;
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
