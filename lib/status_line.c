#include "status_line.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
pad(char line[STATUS_LINE_BYTES], const char *text)
{
	size_t length = strnlen(text, STATUS_LINE_BYTES - 1);

	memset(line, ' ', STATUS_LINE_BYTES - 1);
	memcpy(line, text, length);
	line[STATUS_LINE_BYTES - 1] = '\n';
}

/* What another program left there may be longer, or no file at all. */
static int
cut(int fd)
{
	struct stat status;

	if (fstat(fd, &status) == -1)
		return -1;
	if (!S_ISREG(status.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	return status.st_size > STATUS_LINE_BYTES ?
	    ftruncate(fd, STATUS_LINE_BYTES) : 0;
}

/* A part of it is what a disk takes that has just become full. */
static int
write_line(int fd, const char line[STATUS_LINE_BYTES])
{
	ssize_t count;

	do
		count = pwrite(fd, line, STATUS_LINE_BYTES, 0);
	while (count == -1 && errno == EINTR);
	if (count >= 0 && count < STATUS_LINE_BYTES)
		errno = ENOSPC;
	return count == STATUS_LINE_BYTES ? 0 : -1;
}

int
status_line_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	char line[STATUS_LINE_BYTES];
	int result, error;

	if (fd == -1)
		return -1;
	pad(line, text);
	result = cut(fd) == 0 ? write_line(fd, line) : -1;
	error = errno;
	close(fd);
	errno = error;
	return result;
}
