#include "draft.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "memory.h"

struct draft {
	char *path;
	char *beside;
	int fd;
	int error;	/* the first, as errno has it */
};

bool
draft_may_replace(const char *path)
{
	struct stat status;

	if (lstat(path, &status) == -1 || S_ISREG(status.st_mode) ||
	    S_ISLNK(status.st_mode))
		return true;
	errno = S_ISDIR(status.st_mode) ? EISDIR : ENOTSUP;
	return false;
}

struct draft *
draft_new(const char *path)
{
	struct draft *draft = xcalloc(1, sizeof *draft);
	struct buffer beside = { 0 };

	buffer_printf(&beside, "%s.new", path);
	draft->path = xstrdup(path);
	draft->beside = xstrdup(buffer_string(&beside));
	buffer_free(&beside);
	unlink(draft->beside);
	draft->fd = open(draft->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0600);
	if (draft->fd == -1)
		draft->error = errno;
	return draft;
}

void
draft_write(struct draft *draft, const char *bytes, size_t length)
{
	while (draft->error == 0 && length > 0) {
		ssize_t count = write(draft->fd, bytes, length);

		if (count == -1 && errno != EINTR)
			draft->error = errno;
		if (count > 0) {
			bytes += count;
			length -= (size_t)count;
		}
	}
}

static void
check(struct draft *draft, int result)
{
	if (result == -1 && draft->error == 0)
		draft->error = errno;
}

/* The new name is on disk when its folder is. */
static void
sync_folder(struct draft *draft)
{
	char *path = xstrdup(draft->path);
	int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	check(draft, fd);
	if (fd != -1) {
		check(draft, fsync(fd));
		close(fd);
	}
	free(path);
}

int
draft_finish(struct draft *draft, bool is_durable)
{
	int error;

	if (draft->fd != -1) {
		if (is_durable)
			check(draft, fsync(draft->fd));
		check(draft, close(draft->fd));
		if (draft->error == 0 && !draft_may_replace(draft->path))
			draft->error = errno;
		if (draft->error == 0)
			check(draft, rename(draft->beside, draft->path));
		if (draft->error != 0)
			unlink(draft->beside);
		else if (is_durable)
			sync_folder(draft);
	}
	error = draft->error;
	free(draft->path);
	free(draft->beside);
	free(draft);
	errno = error;
	return error == 0 ? 0 : -1;
}
