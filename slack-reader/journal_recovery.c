#include "journal_recovery.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "draft.h"
#include "journal_scan.h"
#include "memory.h"
#include "program.h"
#include "stamp.h"

#define BLOCK_BYTES 65536

/* How far back a sound record is looked for: one as long as can be, and as
 * much damage behind it as is moved away. */
#define SEARCH_BYTES (RECORD_BYTES_MAX + JOURNAL_TORN_BYTES + BLOCK_BYTES)

/* The newest file, while its end is looked at. */
struct ending {
	const struct journal_folder *folder;
	const char *name;
	int fd;
	int64_t bytes;
	struct record *record;
	struct buffer lines;	/* its last ones */

	/* of its last sound record, 0 where there is none, or no time in it */
	int64_t seq;
	int64_t received_us;
};

static void
fail(const struct ending *ending, const char *what)
{
	err(EX_IOERR, "journal: %s %s/%s", what, ending->folder->path,
	    ending->name);
}

static int64_t
get_received_us(struct record *record)
{
	const char *received = record_string(record, RECORD_RECEIVED);
	int64_t us;

	return received != NULL && clock_parse(received, &us) == 0 ? us : 0;
}

static void
read_at(const struct ending *ending, char *bytes, size_t length, int64_t at)
{
	for (size_t done = 0; done < length;) {
		ssize_t count = pread(ending->fd, bytes + done, length - done,
		    at + (int64_t)done);

		if (count == 0)
			errno = ENODATA;	/* somebody makes it shorter */
		if (count == 0 || (count == -1 && errno != EINTR))
			fail(ending, "read");
		if (count > 0)
			done += (size_t)count;
	}
}

/* Where the last line ends, whatever it holds; 0 where there is no LF. */
static int64_t
find_last_feed(const struct ending *ending)
{
	char block[BLOCK_BYTES];

	for (int64_t at = ending->bytes; at > 0;) {
		size_t length = at < BLOCK_BYTES ? (size_t)at : BLOCK_BYTES;
		const char *feed;

		at -= (int64_t)length;
		read_at(ending, block, length, at);
		feed = memrchr(block, '\n', length);
		if (feed != NULL)
			return at + (feed - block) + 1;
	}
	return 0;
}

/*
 * Where the last sound record among these lines ends, or -1. They end in LF;
 * the first is only the rest of one unless they are the file's first.
 */
static ssize_t
find_sound_line(struct ending *ending, size_t length, bool are_first)
{
	const char *lines = ending->lines.data;

	while (length > 0) {
		const char *feed = memrchr(lines, '\n', length - 1);
		size_t start = feed != NULL ? (size_t)(feed - lines) + 1 : 0;

		if (feed == NULL && !are_first)
			return -1;
		ending->seq = journal_parse_line(ending->record, lines + start,
		    length - start - 1);
		if (ending->seq != 0) {
			ending->received_us = get_received_us(ending->record);
			return (ssize_t)length;
		}
		length = start;
	}
	return are_first ? 0 : -1;
}

/*
 * Where the last sound record ends that is no further than can be looked
 * back; if there is none, where the last line ends.
 */
static int64_t
find_sound_end(struct ending *ending)
{
	int64_t end = find_last_feed(ending);
	int64_t most = end < SEARCH_BYTES ? end : SEARCH_BYTES;
	ssize_t found = -1;

	for (int64_t look = BLOCK_BYTES; found == -1 && end > 0; look *= 4) {
		size_t length = (size_t)(look < most ? look : most);
		int64_t start = end - (int64_t)length;

		buffer_reserve(&ending->lines, length);
		read_at(ending, ending->lines.data, length, start);
		found = find_sound_line(ending, length, start == 0);
		if (found != -1 && ending->bytes - start - found <=
		    JOURNAL_TORN_BYTES)
			end = start + found;
		if (look >= most)
			break;
	}
	return end;
}

/* Append what is in `torn`, its last part at most. */
static void
read_torn(const struct journal_folder *folder, struct buffer *torn)
{
	struct ending old = { .folder = folder, .name = "torn" };
	off_t start, length;

	old.fd = journal_folder_open_file(folder, old.name, O_RDONLY);
	if (old.fd == -1 && errno == ENOENT)
		return;
	if (old.fd == -1 || (old.bytes = lseek(old.fd, 0, SEEK_END)) == -1)
		fail(&old, "read");
	start = old.bytes > JOURNAL_TORN_BYTES ?
	    old.bytes - JOURNAL_TORN_BYTES : 0;
	length = old.bytes - start;
	read_at(&old, buffer_reserve(torn, (size_t)length), (size_t)length,
	    start);
	torn->length = (size_t)length;
	close(old.fd);
}

static void
write_torn(const struct journal_folder *folder, const struct buffer *torn)
{
	struct buffer path = { 0 };
	struct draft *draft;

	buffer_printf(&path, "%s/torn", folder->path);
	draft = draft_new(buffer_string(&path));
	draft_write(draft, torn->data, torn->length);
	if (draft_finish(draft, true) == -1)
		err(EX_IOERR, "journal: write %s", buffer_string(&path));
	buffer_free(&path);
}

/* Add the file's tail to `torn`, where older content gives way. */
static void
save_tail(const struct ending *ending, int64_t from)
{
	int64_t length = ending->bytes - from;
	struct buffer torn = { 0 };

	if (length > JOURNAL_TORN_BYTES - 1)
		length = JOURNAL_TORN_BYTES - 1;
	read_torn(ending->folder, &torn);
	read_at(ending, buffer_reserve(&torn, (size_t)length + 1),
	    (size_t)length, from);
	torn.length += (size_t)length;
	if (torn.data[torn.length - 1] != '\n')
		buffer_append(&torn, "\n", 1);
	if (torn.length > JOURNAL_TORN_BYTES)
		buffer_consume(&torn, torn.length - JOURNAL_TORN_BYTES);
	write_torn(ending->folder, &torn);
	buffer_free(&torn);
}

static void
cut_tail(struct ending *ending)
{
	int64_t end = find_sound_end(ending);

	if (end == ending->bytes)
		return;
	warnx("journal: %s: %" PRId64 " damaged bytes at offset %" PRId64
	    " are set aside in %s/torn%s", ending->name, ending->bytes - end,
	    end, ending->folder->path, ending->bytes - end <
	    JOURNAL_TORN_BYTES ? "" : ", their first 16 MiB");
	save_tail(ending, end);
	if (ftruncate(ending->fd, end) == -1)
		fail(ending, "cut the damaged end off");
}

/* Returns 0, or -1 with errno set. */
static int
open_ending(struct ending *ending, const struct journal_folder *folder,
    size_t file, int flags)
{
	static const char *const none[] = { NULL };
	*ending = (struct ending){
		.folder = folder,
		.name = folder->files[file].name,
		.bytes = folder->files[file].bytes,
	};
	ending->fd = journal_folder_open_file(folder, ending->name, flags);
	if (ending->fd == -1)
		return -1;
	ending->record = record_new(STAGE, none);
	return 0;
}

static void
free_ending(struct ending *ending)
{
	record_free(ending->record);
	buffer_free(&ending->lines);
}

int
journal_repair(struct journal_folder *folder)
{
	struct ending ending;

	if (folder->count == 0)
		return -1;
	if (open_ending(&ending, folder, folder->count - 1,
	    O_RDWR | O_APPEND) == -1)
		err(program_failure(errno), "journal: open %s/%s", folder->path,
		    ending.name);
	cut_tail(&ending);

	/* What was written and never synced is told as durable from now on. */
	if (fdatasync(ending.fd) == -1)
		fail(&ending, "sync");
	journal_folder_set_bytes(folder, folder->count - 1,
	    lseek(ending.fd, 0, SEEK_END));
	free_ending(&ending);
	return ending.fd;
}

/* --- what came in last ----------------------------------------------------*/

/*
 * Does the file end in a sound record, and when did that come in? A file that
 * somebody has removed does not.
 */
static bool
find_last_us(const struct journal_folder *folder, size_t file, int64_t *us)
{
	struct ending ending;

	*us = 0;
	if (open_ending(&ending, folder, file, O_RDONLY) == -1)
		return false;
	find_sound_end(&ending);
	close(ending.fd);
	free_ending(&ending);
	*us = ending.received_us;
	return ending.seq != 0;
}

/* The oldest file with records of the last `span_s`. */
static size_t
find_first_file(const struct journal_folder *folder, int64_t span_s)
{
	size_t file = folder->count;
	int64_t newest_us = 0, us;

	while (file > 0 && !find_last_us(folder, --file, &newest_us))
		continue;
	while (newest_us != 0 && file > 0 &&
	    (!find_last_us(folder, file - 1, &us) ||
	    us >= newest_us - span_s * 1000000))
		file--;
	return file;
}

/* NULL where somebody has removed it. */
static struct journal_scan *
open_scan(const struct journal_folder *folder, size_t file,
    struct record *record)
{
	struct journal_scan *scan = journal_scan_new(folder, file, record);

	if (scan == NULL && errno != ENOENT)
		err(EX_IOERR, "journal: open %s/%s", folder->path,
		    folder->files[file].name);
	return scan;
}

static void
recall_file(const struct journal_folder *folder, size_t file,
    struct record *record, struct journal_recall *recall)
{
	struct journal_scan *scan = open_scan(folder, file, record);
	struct journal_line line;
	size_t damaged = 0;

	while (scan != NULL && journal_scan_next(scan, &line)) {
		if (line.seq > recall->last_seq) {
			recall->last_seq = line.seq;
			recall->last_file = file;
		}
		if (line.seq != 0 && recall->take != NULL)
			recall->take(record, recall->arg);
		damaged += line.seq == 0;
	}
	journal_scan_free(scan);
	if (damaged > 0)
		warnx("journal: %s: %zu damaged lines are left as they are",
		    folder->files[file].name, damaged);
}

void
journal_recall(const struct journal_folder *folder,
    struct journal_recall *recall)
{
	struct record *record = record_new(STAGE, (const char *const[]){
	    NULL });

	for (size_t i = find_first_file(folder, recall->span_s);
	    i < folder->count; i++)
		recall_file(folder, i, record, recall);
	record_free(record);
}
