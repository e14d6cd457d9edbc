#include "json_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "signals.h"

#define PEEK_BYTES 4096

/* Open a regular file, following no link. */
static int
open_file(int folder_fd, const char *name, const char **reason)
{
	struct stat status;
	int fd = openat(folder_fd, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1) {
		*reason = errno == ELOOP ? "a symbolic link" : strerror(errno);
		return -1;
	}
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		return fd;
	*reason = "no regular file";
	close(fd);
	return -1;
}

/* A byte order mark and blanks at most, then a bracket. */
static bool
begins_as_json(int fd)
{
	char bytes[PEEK_BYTES];
	ssize_t length = pread(fd, bytes, sizeof bytes, 0);

	for (ssize_t i = 0; i < length; i++) {
		if (strchr("{[", bytes[i]) != NULL)
			return bytes[i] != '\0';
		if (strchr(" \t\r\n\xef\xbb\xbf", bytes[i]) == NULL)
			return false;
	}
	return false;
}

static int
read_values(int fd, void (*take)(const struct value *value, void *arg),
    void *arg)
{
	struct value_reader *reader = value_reader_new(fd);
	struct value value;
	ssize_t count = 0;

	while (count != -1 && !value_reader_at_end(reader) && !signals_want_stop()) {
		count = value_reader_fill(reader);
		while (count != -1 && value_reader_next(reader, &value))
			take(&value, arg);
		signals_check();
	}
	value_reader_free(reader);
	return count == -1 ? -1 : 0;
}

int
json_file_read(int folder_fd, const char *name,
    void (*take)(const struct value *value, void *arg), void *arg,
    const char **reason)
{
	int status = -1, fd = open_file(folder_fd, name, reason);

	if (fd == -1)
		return -1;
	if (!begins_as_json(fd))
		*reason = "no JSON";
	else if ((status = read_values(fd, take, arg)) == -1)
		*reason = strerror(errno);
	close(fd);
	return status;
}
