#include "downstream.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "memory.h"
#include "output.h"

#define WAITING_BYTES_MAX (256 * 1024)
#define KEPT_BYTES (4 * WAITING_BYTES_MAX)	/* of the buffer when empty */

struct downstream {
	ssize_t (*write)(const char *bytes, size_t length);
	bool is_open;
	int reported;		/* the failure that was reported last */
	bool waits_for_room;	/* a full disk is not ours to report */
	struct buffer lines;
	size_t written;		/* of the lines */
};

static ssize_t
write_plainly(const char *bytes, size_t length)
{
	return write(STDOUT_FILENO, bytes, length);
}

static ssize_t
write_to_socket(const char *bytes, size_t length)
{
	return send(STDOUT_FILENO, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A pipe that poll calls writable takes this much without waiting. */
static ssize_t
write_to_blocking_pipe(const char *bytes, size_t length)
{
	struct pollfd pipe = { STDOUT_FILENO, POLLOUT, 0 };

	if (poll(&pipe, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(STDOUT_FILENO, bytes,
	    length < PIPE_BUF ? length : PIPE_BUF);
}

/*
 * The pipe, opened once more for us alone: O_NONBLOCK on the description that
 * we share with other processes would surprise them.
 */
static int
open_pipe(void)
{
	int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1)
		return -1;
	dup2(fd, STDOUT_FILENO);
	close(fd);
	return 0;
}

struct downstream *
downstream_new(void)
{
	struct downstream *downstream = xcalloc(1, sizeof *downstream);
	struct stat status;

	if (fstat(STDOUT_FILENO, &status) == -1)
		err(EX_IOERR, "standard output");
	downstream->is_open = true;
	downstream->write = write_plainly;
	if (S_ISSOCK(status.st_mode))
		downstream->write = write_to_socket;
	else if (S_ISFIFO(status.st_mode) && open_pipe() == -1)
		downstream->write = write_to_blocking_pipe;
	return downstream;
}

void
downstream_free(struct downstream *downstream)
{
	if (downstream == NULL)
		return;
	buffer_free(&downstream->lines);
	free(downstream);
}

void
downstream_wait_for_room(struct downstream *downstream)
{
	downstream->waits_for_room = true;
}

struct buffer *
downstream_lines(struct downstream *downstream)
{
	return &downstream->lines;
}

bool
downstream_is_full(const struct downstream *downstream)
{
	return downstream->lines.length - downstream->written >=
	    WAITING_BYTES_MAX;
}

bool
downstream_is_empty(const struct downstream *downstream)
{
	return downstream->lines.length == downstream->written;
}

/* Give the room of what is written back, without moving bytes too often. */
static void
forget_written(struct downstream *downstream)
{
	struct buffer *lines = &downstream->lines;

	if (downstream->written == lines->length) {
		lines->length = downstream->written = 0;
		if (lines->capacity > KEPT_BYTES)
			buffer_free(lines);
	} else if (downstream->written >= lines->length / 2) {
		buffer_consume(lines, downstream->written);
		downstream->written = 0;
	}
}

static bool
is_for_caller(const struct downstream *downstream, int error)
{
	return error == EPIPE || (downstream->waits_for_room &&
	    (error == ENOSPC || error == EDQUOT || error == EFBIG));
}

static int
report_failure(struct downstream *downstream, int error)
{
	if (!is_for_caller(downstream, error) &&
	    error != downstream->reported)
		warn("write standard output");
	downstream->reported = error;
	errno = error;
	return -1;
}

int
downstream_write(struct downstream *downstream)
{
	struct buffer *lines = &downstream->lines;

	while (downstream->written < lines->length) {
		ssize_t count = downstream->write(
		    lines->data + downstream->written,
		    lines->length - downstream->written);

		if (count == -1 && errno == EINTR)
			continue;
		if (count == -1 && errno == EAGAIN)
			break;
		if (count == -1)
			return report_failure(downstream, errno);
		downstream->written += (size_t)count;
		downstream->reported = 0;
	}
	forget_written(downstream);
	return 0;
}

int
downstream_close(struct downstream *downstream)
{
	if (!downstream->is_open)
		return 0;
	downstream->is_open = false;
	return output_close();
}
