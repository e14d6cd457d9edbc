#include "journal.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "journal_cursor.h"
#include "journal_folder.h"
#include "journal_recovery.h"
#include "memory.h"

/* A file is at most that part of what is allowed: so much goes at once. */
#define FILES_LEAST 4

#define DAY_S 86400
#define PENDING_KEPT (1024 * 1024)

/* Room for some records, or it would be full again at once. */
#define ROOM_BYTES (1024 * 1024)

struct journal {
	struct journal_settings settings;
	struct journal_folder folder;
	struct journal_cursor cursor;

	int fd;			/* of the newest file, or -1 */
	int64_t last_seq;
	size_t last_file;	/* that holds it; no later one is removed */

	struct buffer pending;
	int64_t pending_seq;
};

static void
recall(struct journal *journal)
{
	struct journal_recall past = {
		.span_s = journal->settings.recall_s,
		.take = journal->settings.recall,
		.arg = journal->settings.arg,
	};

	journal_recall(&journal->folder, &past);
	journal->last_seq = past.last_seq;
	journal->last_file = past.last_file;
}

struct journal *
journal_open(const struct journal_settings *settings)
{
	struct journal *journal = xcalloc(1, sizeof *journal);

	journal->settings = *settings;
	if (settings->now_us == NULL)
		journal->settings.now_us = clock_now_us;
	journal_folder_open(&journal->folder, settings->folder);
	journal->fd = journal_repair(&journal->folder);
	journal_cursor_open(&journal->cursor, &journal->folder);
	recall(journal);
	return journal;
}

void
journal_free(struct journal *journal)
{
	if (journal == NULL)
		return;
	journal_cursor_close(&journal->cursor);
	if (journal->fd != -1)
		close(journal->fd);
	journal_folder_close(&journal->folder);
	buffer_free(&journal->pending);
	free(journal);
}

int64_t
journal_last_seq(const struct journal *journal)
{
	return journal->last_seq;
}

void
journal_append(struct journal *journal, int64_t seq, const char *line,
    size_t length)
{
	buffer_append(&journal->pending, line, length);
	if (seq > journal->pending_seq)
		journal->pending_seq = seq;
}

/* --- what is removed ------------------------------------------------------*/

/* Everything that was read goes, but what tells the last seq. */
static bool
may_remove_oldest(const struct journal *journal)
{
	return journal->last_file > 0 &&
	    journal_cursor_is_past_oldest(&journal->cursor);
}

static int
remove_oldest(struct journal *journal)
{
	if (journal_folder_remove_oldest(&journal->folder) == -1)
		return -1;
	journal->last_file--;
	journal_cursor_note_removal(&journal->cursor);
	return 0;
}

/* Are all of a file's records older than may be? */
static bool
is_too_old(const struct journal *journal, const struct journal_file *file)
{
	return (file->day + 1) * DAY_S + journal->settings.age_max_s <=
	    journal->settings.now_us() / 1000000;
}

void
journal_expire(struct journal *journal)
{
	const struct journal_folder *folder = &journal->folder;

	while (may_remove_oldest(journal) &&
	    (folder->bytes > journal->settings.bytes_max ||
	    is_too_old(journal, &folder->files[0])))
		if (remove_oldest(journal) == -1)
			return;
}

/* Will the file that tells the last seq be removed once this is written? */
static bool
will_be_superseded(const struct journal *journal, bool is_new_file)
{
	return journal->last_file == 0 &&
	    (is_new_file || journal->folder.count > 1) &&
	    !journal_cursor_has_more(&journal->cursor);
}

/*
 * Make room for so many bytes. Returns 0, or -1 with errno EFBIG. A file that
 * is too big by itself, as after a change of the limit, is no reason to stop
 * for good: it goes as soon as the next one has a record.
 */
static int
make_room(struct journal *journal, int64_t bytes, bool is_new_file)
{
	const struct journal_folder *folder = &journal->folder;
	int64_t bytes_max = journal->settings.bytes_max;

	while (folder->bytes + bytes > bytes_max &&
	    may_remove_oldest(journal) && remove_oldest(journal) == 0)
		continue;
	if (folder->bytes + bytes <= bytes_max)
		return 0;
	if (bytes <= bytes_max && will_be_superseded(journal, is_new_file))
		return 0;
	errno = EFBIG;
	return -1;
}

/* --- what is written ------------------------------------------------------*/

/* Somebody may have removed or edited it; what is there is then left alone. */
static bool
is_as_we_left_it(const struct journal *journal)
{
	const struct journal_file *newest =
	    journal_folder_newest(&journal->folder);
	struct stat named, opened;

	return fstatat(journal->folder.fd, newest->name, &named,
	    AT_SYMLINK_NOFOLLOW) == 0 && fstat(journal->fd, &opened) == 0 &&
	    named.st_dev == opened.st_dev && named.st_ino == opened.st_ino &&
	    opened.st_size == newest->bytes;
}

/* Does what is pending begin a file? */
static bool
needs_new_file(const struct journal *journal, int64_t day)
{
	const struct journal_file *newest =
	    journal_folder_newest(&journal->folder);
	int64_t most = journal->settings.bytes_max / FILES_LEAST;

	if (newest == NULL || newest->day < day)
		return true;
	if (newest->bytes > 0 &&
	    newest->bytes + (int64_t)journal->pending.length > most)
		return true;
	if (is_as_we_left_it(journal))
		return false;
	warnx("journal: somebody changed %s/%s: a new file is begun",
	    journal->folder.path, newest->name);
	return true;
}

static int
begin_file(struct journal *journal, int64_t day)
{
	int fd = journal_folder_begin(&journal->folder, day);

	if (fd == -1)
		return -1;
	if (journal->fd != -1)
		close(journal->fd);
	journal->fd = fd;
	return 0;
}

/* Returns 0, or -1 with errno set, perhaps with a part written. */
static int
write_pending(struct journal *journal)
{
	const struct buffer *pending = &journal->pending;

	for (size_t done = 0; done < pending->length;) {
		ssize_t count = write(journal->fd, pending->data + done,
		    pending->length - done);

		if (count == -1 && errno == EINTR)
			continue;
		if (count <= 0) {
			/* EFBIG is our own word; this limit is another's. */
			if (count == 0 || errno == EFBIG)
				errno = EDQUOT;
			return -1;
		}
		done += (size_t)count;
	}
	return 0;
}

/* What a failed write has left goes again. Returns -1 with errno kept. */
static int
take_back(struct journal *journal)
{
	const struct journal_file *newest =
	    journal_folder_newest(&journal->folder);
	int error = errno;

	if (ftruncate(journal->fd, newest->bytes) == -1)
		err(EX_IOERR, "journal: take an unfinished write to %s/%s back",
		    journal->folder.path, newest->name);
	errno = error;
	return -1;
}

static int
write_durably(struct journal *journal)
{
	const struct journal_file *newest;

	if (write_pending(journal) == -1)
		return take_back(journal);
	newest = journal_folder_newest(&journal->folder);
	if (fdatasync(journal->fd) == -1)
		err(EX_IOERR, "journal: sync %s/%s", journal->folder.path,
		    newest->name);
	journal->last_file = journal->folder.count - 1;
	if (journal->pending_seq > journal->last_seq)
		journal->last_seq = journal->pending_seq;
	journal_folder_set_bytes(&journal->folder, journal->last_file,
	    newest->bytes + (int64_t)journal->pending.length);
	return 0;
}

static int
commit(struct journal *journal)
{
	int64_t day = journal->settings.now_us() / 1000000 / DAY_S;
	bool is_new_file = needs_new_file(journal, day);

	if (make_room(journal, (int64_t)journal->pending.length,
	    is_new_file) == -1)
		return -1;
	if (is_new_file && begin_file(journal, day) == -1)
		return -1;
	if (write_durably(journal) == -1)
		return -1;
	if (is_new_file || journal->folder.bytes > journal->settings.bytes_max)
		journal_expire(journal);
	return 0;
}

int
journal_commit(struct journal *journal)
{
	int result = journal->pending.length > 0 ? commit(journal) : 0;
	int error = errno;

	journal->pending.length = 0;
	journal->pending_seq = 0;
	if (journal->pending.capacity > PENDING_KEPT)
		buffer_free(&journal->pending);
	errno = error;
	return result;
}

/* So much could be written behind the newest file's end: it is taken, beyond
 * the end, and given back. */
static bool
has_room_on_disk(const struct journal *journal, int64_t bytes)
{
	const struct journal_file *newest =
	    journal_folder_newest(&journal->folder);
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	    limit.rlim_cur < (rlim_t)(newest->bytes + bytes))
		return false;
	if (fallocate(journal->fd, FALLOC_FL_KEEP_SIZE, newest->bytes,
	    bytes) == -1)
		return errno != ENOSPC && errno != EDQUOT;
	return ftruncate(journal->fd, newest->bytes) == 0;
}

bool
journal_has_room(struct journal *journal)
{
	return make_room(journal, ROOM_BYTES, false) == 0 &&
	    (journal->fd == -1 || has_room_on_disk(journal, ROOM_BYTES));
}

/* --- what is read on ------------------------------------------------------*/

void
journal_seek(struct journal *journal, int64_t after)
{
	if (after >= journal->last_seq)
		journal_cursor_seek_end(&journal->cursor);
	else
		journal_cursor_seek(&journal->cursor, after);
}

bool
journal_read(struct journal *journal, struct buffer *out, size_t bytes_max)
{
	return journal_cursor_read(&journal->cursor, out, bytes_max);
}

bool
journal_has_more(const struct journal *journal)
{
	return journal_cursor_has_more(&journal->cursor);
}
