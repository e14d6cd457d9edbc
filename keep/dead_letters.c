#include "dead_letters.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "memory.h"

/* Another keep holds the lock for some milliseconds, if it is not stopped. */
#define LOCK_TRIES 50
#define LOCK_PAUSE_NS 10000000

/* Is the open file still the one of that name? Another keep may rename it. */
static bool
is_current(int fd, const char *path)
{
	struct stat opened, named;

	return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 &&
	    opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

static int
close_failed(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
	return -1;
}

/* Open and lock the file of that name; -1 with errno set. */
static int
try_open(const char *path)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd == -1)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		return close_failed(fd);
	if (is_current(fd, path))
		return fd;
	errno = EWOULDBLOCK;
	return close_failed(fd);
}

static int
open_locked(const char *path)
{
	const struct timespec pause = { 0, LOCK_PAUSE_NS };
	int fd = try_open(path);

	for (int i = 1; fd == -1 && errno == EWOULDBLOCK && i < LOCK_TRIES;
	    i++) {
		nanosleep(&pause, NULL);
		fd = try_open(path);
	}
	return fd;
}

/* Make the names in the file's folder durable. */
static void
sync_folder(const char *path)
{
	char *copy = xstrdup(path);
	int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder != -1) {
		fsync(folder);
		close(folder);
	}
	free(copy);
}

/* Who gives /dev/null as the file does not want the lines. */
static bool
is_device(int fd)
{
	struct stat file;

	return fstat(fd, &file) == 0 && S_ISCHR(file.st_mode);
}

static int
write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = write(fd, bytes, length);

		if (count == -1 && errno != EINTR)
			return -1;
		if (count > 0) {
			bytes += count;
			length -= (size_t)count;
		}
	}
	return fdatasync(fd) == 0 || is_device(fd) ? 0 : -1;
}

/* Is there half a line at the end, from a crash amid writing? */
static bool
is_torn(int fd, off_t size)
{
	char last;

	return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

/* Append to the file, or leave it as it was. */
static int
append(int fd, off_t size, const char *line, size_t length)
{
	int error;

	if ((!is_torn(fd, size) || write_all(fd, "\n", 1) == 0) &&
	    write_all(fd, line, length) == 0)
		return 0;
	error = errno;
	if (ftruncate(fd, size) == -1)
		error = errno;
	errno = error;
	return -1;
}

static int
make_way(const char *path)
{
	struct buffer old = { 0 };
	int status;

	buffer_printf(&old, "%s.1", path);
	status = rename(path, buffer_string(&old));
	buffer_free(&old);
	return status;
}

int
dead_letters_append(const char *path, int64_t bytes_max, const char *line,
    size_t length)
{
	int fd = open_locked(path);
	struct stat file;

	if (fd == -1 || fstat(fd, &file) == -1)
		return fd == -1 ? -1 : close_failed(fd);
	if (file.st_size > 0 &&
	    file.st_size + (int64_t)length + 1 > bytes_max / 2) {
		if (make_way(path) == -1)
			return close_failed(fd);
		close(fd);
		return dead_letters_append(path, bytes_max, line, length);
	}
	if (append(fd, file.st_size, line, length) == -1)
		return close_failed(fd);
	sync_folder(path);
	close(fd);
	return 0;
}
