#include "redo_log.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "line_reader.h"
#include "memory.h"

#define GENERATION "generation"
#define BUFFER_KEPT_BYTES (1024 * 1024)

struct redo_log {
	char *path;
	int fd;			/* -1: not open */
	int64_t generation;	/* of the snapshot it belongs to */
	off_t length;		/* of the good lines */
	bool is_cut;		/* nothing stands behind them */
	struct buffer added;
};

struct redo_log *
redo_log_new(const char *path)
{
	struct redo_log *log = xcalloc(1, sizeof *log);

	log->path = xstrdup(path);
	log->fd = -1;
	return log;
}

void
redo_log_free(struct redo_log *log)
{
	if (log == NULL)
		return;
	if (log->fd != -1)
		close(log->fd);
	buffer_free(&log->added);
	free(log->path);
	free(log);
}

static int
open_regular(const char *path)
{
	struct stat file;
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd == -1 || (fstat(fd, &file) == 0 && S_ISREG(file.st_mode)))
		return fd;
	close(fd);
	errno = EACCES;
	return -1;
}

/* What cannot be ours (a link, a pipe, another's file) makes room for it. */
static int
open_or_replace(const char *path)
{
	int fd = open_regular(path);

	if (fd != -1 || (errno != EACCES && errno != ELOOP && errno != ENXIO))
		return fd;
	if (unlink(path) == -1)
		return -1;
	warnx("%s: was not usable and is begun anew", path);
	return open_regular(path);
}

int
redo_log_open(struct redo_log *log)
{
	log->fd = open_or_replace(log->path);
	if (log->fd == -1)
		return -1;
	if (flock(log->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;

	int error = errno;
	close(log->fd);
	log->fd = -1;
	errno = error;
	return -1;
}

static bool
next_line(struct line_reader *reader, struct line *line)
{
	while (!line_reader_next(reader, line))
		if (line_reader_at_end(reader) ||
		    (line_reader_fill(reader) == -1 && errno != EINTR))
			return false;
	return true;
}

enum line_kind { LINE_GOOD, LINE_BAD, LINE_FOREIGN };

static enum line_kind
take_line(const struct redo_log *log, const struct line *line,
    struct record *record, struct counters *counters)
{
	int64_t generation;

	if (line->length < line->total ||
	    record_parse(record, line->text, line->length) == -1)
		return LINE_BAD;
	if (log->length > 0) {
		counters_take(counters, record);
		return LINE_GOOD;
	}
	if (!record_integer(record, GENERATION, &generation))
		return LINE_BAD;
	return generation == log->generation ? LINE_GOOD : LINE_FOREIGN;
}

static void
take_lines(struct redo_log *log, struct line_reader *reader, off_t size,
    struct counters *counters)
{
	static const char *const own[] = { NULL };
	struct record *record = record_new("stats", own);
	enum line_kind kind = LINE_GOOD;
	struct line line;

	while (kind == LINE_GOOD && next_line(reader, &line)) {
		off_t end = log->length + (off_t)line.total + 1;

		if (end > size)
			break;	/* without its LF it was never whole */
		kind = take_line(log, &line, record, counters);
		if (kind == LINE_GOOD)
			log->length = end;
	}
	if (kind == LINE_BAD)
		warnx("%s: ignored from byte %jd on, it is no log of counts",
		    log->path, (intmax_t)log->length);
	record_free(record);
}

void
redo_log_replay(struct redo_log *log, struct counters *counters)
{
	struct line_reader *reader = line_reader_new(log->fd,
	    RECORD_BYTES_MAX);
	struct stat file = { 0 };

	log->generation = counters->generation;
	fstat(log->fd, &file);
	take_lines(log, reader, file.st_size, counters);
	line_reader_free(reader);
}

void
redo_log_add(struct redo_log *log, struct record *record)
{
	const char *before = "{\"", *bytes;
	size_t length;

	for (const char *const *name = counters_members; *name != NULL; name++)
		if (record_raw(record, *name, &bytes, &length)) {
			buffer_append_string(&log->added, before);
			buffer_append_string(&log->added, *name);
			buffer_append(&log->added, "\":", 2);
			buffer_append(&log->added, bytes, length);
			before = ",\"";
		}
	buffer_append_string(&log->added, *before == '{' ? "{}\n" : "}\n");
}

static int
cut(struct redo_log *log)
{
	if (!log->is_cut)
		log->is_cut = ftruncate(log->fd, log->length) == 0;
	return log->is_cut ? 0 : -1;
}

/* Nothing that was written in part stays where the next line goes. */
static int
take_back(struct redo_log *log)
{
	int error = errno;

	log->is_cut = false;
	cut(log);
	errno = error;
	return -1;
}

static int
append(struct redo_log *log, const struct buffer *bytes)
{
	if (cut(log) == -1)
		return -1;
	for (size_t done = 0; done < bytes->length;) {
		ssize_t count = pwrite(log->fd, bytes->data + done,
		    bytes->length - done, log->length + (off_t)done);

		if (count == -1 && errno != EINTR)
			return take_back(log);
		if (count > 0)
			done += (size_t)count;
	}
	log->length += (off_t)bytes->length;
	return 0;
}

static int
append_generation(struct redo_log *log)
{
	struct buffer line = { 0 };

	buffer_printf(&line, "{\"" GENERATION "\":%" PRId64 "}\n",
	    log->generation);

	int status = append(log, &line);
	buffer_free(&line);
	return status;
}

int
redo_log_write(struct redo_log *log)
{
	if (log->added.length == 0)
		return 0;
	if (log->fd == -1 && redo_log_open(log) == -1)
		return -1;
	if (log->length == 0 && append_generation(log) == -1)
		return -1;
	if (append(log, &log->added) == -1)
		return -1;
	log->added.length = 0;
	if (log->added.capacity > BUFFER_KEPT_BYTES)
		buffer_free(&log->added);
	return 0;
}

void
redo_log_begin(struct redo_log *log, int64_t generation)
{
	log->generation = generation;
	log->length = 0;
	log->is_cut = false;
	log->added.length = 0;
	if (log->fd != -1)
		cut(log);	/* where that fails the next write does it */
}

off_t
redo_log_length(const struct redo_log *log)
{
	return log->length;
}
