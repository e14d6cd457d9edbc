#include "journal_cursor.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "journal_scan.h"
#include "record.h"
#include "stamp.h"

#define BLOCK_BYTES 65536

void
journal_cursor_open(struct journal_cursor *cursor,
    const struct journal_folder *folder)
{
	*cursor = (struct journal_cursor){ .folder = folder, .fd = -1 };
}

/* Go to a place in a file. */
static void
move(struct journal_cursor *cursor, size_t file, int64_t offset)
{
	if (cursor->fd != -1)
		close(cursor->fd);
	cursor->fd = -1;
	cursor->file = file;
	cursor->offset = offset;
}

void
journal_cursor_close(struct journal_cursor *cursor)
{
	move(cursor, 0, 0);
}

void
journal_cursor_seek_end(struct journal_cursor *cursor)
{
	const struct journal_file *newest =
	    journal_folder_newest(cursor->folder);

	if (newest == NULL)
		move(cursor, 0, 0);
	else
		move(cursor, cursor->folder->count - 1, newest->bytes);
}

/* The first seq of a file, 0 where there is none. */
static int64_t
find_first_seq(const struct journal_folder *folder, size_t file,
    struct record *record)
{
	struct journal_scan *scan = journal_scan_new(folder, file, record);
	struct journal_line line = { 0 };

	if (scan == NULL || !journal_scan_next_record(scan, &line))
		line.seq = 0;
	journal_scan_free(scan);
	return line.seq;
}

/*
 * Behind the last line up to `after`; damaged lines that follow it are given
 * again.
 */
static int64_t
find_offset(const struct journal_folder *folder, size_t file,
    struct record *record, int64_t after)
{
	struct journal_scan *scan = journal_scan_new(folder, file, record);
	struct journal_line line;
	int64_t offset = 0;

	while (scan != NULL && journal_scan_next_record(scan, &line) &&
	    line.seq <= after)
		offset = line.end;
	journal_scan_free(scan);
	return offset;
}

static void
report_hole(int64_t after, int64_t first)
{
	if (after > 0 && first > after + 1)
		warnx("journal: records %" PRId64 " to %" PRId64
		    " were asked for and are no longer there", after + 1,
		    first - 1);
}

/* From the newest file back: what is asked for is mostly there. */
void
journal_cursor_seek(struct journal_cursor *cursor, int64_t after)
{
	const struct journal_folder *folder = cursor->folder;
	struct record *record = record_new(STAGE, (const char *const[]){
	    NULL });
	int64_t first = 0;

	move(cursor, 0, 0);
	for (size_t i = folder->count; i > 0; i--) {
		int64_t seq = find_first_seq(folder, i - 1, record);

		if (seq != 0 && seq <= after) {
			move(cursor, i - 1, find_offset(folder, i - 1, record,
			    after));
			first = 0;
			break;
		}
		if (seq != 0)
			first = seq;
	}
	report_hole(after, first);
	record_free(record);
}

static bool
has_unread(const struct journal_cursor *cursor)
{
	return cursor->file < cursor->folder->count &&
	    cursor->offset < cursor->folder->files[cursor->file].bytes;
}

bool
journal_cursor_has_more(const struct journal_cursor *cursor)
{
	if (has_unread(cursor))
		return true;
	for (size_t i = cursor->file + 1; i < cursor->folder->count; i++)
		if (cursor->folder->files[i].bytes > 0)
			return true;
	return false;
}

/* What is left of the file cannot be read. */
static void
give_up_file(struct journal_cursor *cursor, const char *reason)
{
	const struct journal_file *file = &cursor->folder->files[cursor->file];

	warnx("journal: read %s/%s at offset %" PRId64 ": %s; the rest of it is"
	    " passed over", cursor->folder->path, file->name, cursor->offset,
	    reason);
	move(cursor, cursor->file, file->bytes);
}

/* It says nothing of the file; a new start reads it. */
static bool
is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/*
 * Read up to `length` bytes from the cursor plus `skip`. Returns their number,
 * or 0 with the file given up.
 */
static size_t
read_block(struct journal_cursor *cursor, char *bytes, size_t length,
    int64_t skip)
{
	const struct journal_file *file = &cursor->folder->files[cursor->file];
	int64_t left = file->bytes - cursor->offset - skip;
	ssize_t count;

	if (cursor->fd == -1)
		cursor->fd = journal_folder_open_file(cursor->folder,
		    file->name, O_RDONLY);
	if (cursor->fd == -1 && is_shortage(errno))
		err(EX_OSERR, "read the journal");
	if (cursor->fd == -1) {
		give_up_file(cursor, strerror(errno));
		return 0;
	}
	do
		count = pread(cursor->fd, bytes, left < (int64_t)length ?
		    (size_t)left : length, cursor->offset + skip);
	while (count == -1 && errno == EINTR);
	if (count <= 0)
		give_up_file(cursor, count == 0 ? "somebody made it shorter" :
		    strerror(errno));
	return count > 0 ? (size_t)count : 0;
}

static bool
is_at_end(const struct journal_cursor *cursor, int64_t skip)
{
	return cursor->offset + skip >=
	    cursor->folder->files[cursor->file].bytes;
}

/* Pass over the rest of a line of which `done` bytes are known. */
static void
pass_over_line(struct journal_cursor *cursor, int64_t done)
{
	char block[BLOCK_BYTES];

	while (!is_at_end(cursor, done)) {
		size_t count = read_block(cursor, block, sizeof block, done);
		const char *feed = memchr(block, '\n', count);

		if (count == 0)
			return;
		if (feed != NULL) {
			cursor->offset += done + (feed - block) + 1;
			return;
		}
		done += (int64_t)count;
	}
	cursor->offset += done;
}

/*
 * The rest of a line of which out has the first `length` bytes. No record is
 * over RECORD_BYTES_MAX: of such a line the beginning will do.
 */
static void
read_long_line(struct journal_cursor *cursor, struct buffer *out,
    size_t length)
{
	size_t start = out->length;

	out->length += length;
	while (length <= RECORD_BYTES_MAX && !is_at_end(cursor,
	    (int64_t)length)) {
		char *block = buffer_reserve(out, BLOCK_BYTES);
		size_t count = read_block(cursor, block, BLOCK_BYTES,
		    (int64_t)length);
		const char *feed = memchr(block, '\n', count);

		if (count == 0) {
			out->length = start;
			return;
		}
		if (feed != NULL)
			count = (size_t)(feed - block) + 1;
		out->length += count;
		length += count;
		if (feed != NULL) {
			cursor->offset += (int64_t)length;
			return;
		}
	}
	buffer_append(out, "\n", 1);
	pass_over_line(cursor, (int64_t)length);
}

/* Returns whether anything came; if not, the file is given up. */
static bool
read_lines(struct journal_cursor *cursor, struct buffer *out, size_t bytes_max)
{
	size_t before = out->length;
	char *block = buffer_reserve(out, bytes_max);
	size_t count = read_block(cursor, block, bytes_max, 0);
	const char *feed = memrchr(block, '\n', count);

	if (feed == NULL && count > 0) {
		read_long_line(cursor, out, count);
	} else if (count > 0) {
		count = (size_t)(feed - block) + 1;
		out->length += count;
		cursor->offset += (int64_t)count;
	}
	return out->length > before;
}

bool
journal_cursor_read(struct journal_cursor *cursor, struct buffer *out,
    size_t bytes_max)
{
	while (journal_cursor_has_more(cursor)) {
		if (!has_unread(cursor))
			move(cursor, cursor->file + 1, 0);
		else if (read_lines(cursor, out, bytes_max))
			return true;
	}
	return false;
}

bool
journal_cursor_is_past_oldest(const struct journal_cursor *cursor)
{
	return cursor->file > 0 || !has_unread(cursor);
}

void
journal_cursor_note_removal(struct journal_cursor *cursor)
{
	if (cursor->file > 0)
		cursor->file--;
	else
		move(cursor, 0, 0);
}
