#include "recording.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export.h"
#include "memory.h"
#include "signals.h"

struct recording {
	const char *name;
	int fd;
	uint64_t size;
	struct value_reader *reader;
	struct export *export;		/* NULL where it is no folder */
};

/* A pipe by name must not wait for its writer where no signal is heard. */
static int
open_path(const char *path)
{
	return strcmp(path, "-") == 0 ? STDIN_FILENO
	    : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

struct recording *
recording_open(const char *path)
{
	struct recording *recording;
	struct stat status;
	int fd = open_path(path);

	if (fd == -1 || fstat(fd, &status) == -1) {
		warn("open %s", path);
		return NULL;
	}
	recording = xcalloc(1, sizeof *recording);
	recording->name = fd == STDIN_FILENO ? "standard input" : path;
	recording->fd = fd;
	if (S_ISREG(status.st_mode))
		recording->size = (uint64_t)status.st_size;
	if (!S_ISDIR(status.st_mode)) {
		recording->reader = value_reader_new(fd);
	} else if ((recording->export = export_open(fd, path)) == NULL) {
		free(recording);
		return NULL;
	}
	return recording;
}

void
recording_free(struct recording *recording)
{
	if (recording == NULL)
		return;
	if (recording->export != NULL)
		export_free(recording->export);
	else
		close(recording->fd);
	value_reader_free(recording->reader);
	free(recording);
}

static bool
is_readable(int fd)
{
	return poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0) > 0;
}

enum recording_result
recording_next(struct recording *recording, struct value *value)
{
	struct value_reader *reader = recording->reader;

	if (recording->export != NULL)
		return export_next(recording->export, value) ? RECORDING_VALUE
		    : RECORDING_END;
	while (!value_reader_next(reader, value)) {
		if (value_reader_at_end(reader))
			return RECORDING_END;
		if (!is_readable(recording->fd))
			return RECORDING_WAIT;
		if (value_reader_fill(reader) == -1 && errno != EINTR &&
		    errno != EAGAIN) {
			warn("read %s", recording->name);
			return RECORDING_FAILED;
		}
		signals_check();
		if (signals_want_stop())
			return RECORDING_END;
	}
	return RECORDING_VALUE;
}

int
recording_fd(const struct recording *recording)
{
	return recording->fd;
}

void
recording_complete(const struct recording *recording, struct record *record)
{
	if (recording->export != NULL)
		export_complete(recording->export, record);
}

int
recording_rewind(struct recording *recording)
{
	if (recording->export != NULL) {
		export_rewind(recording->export);
		return 0;
	}
	if (lseek(recording->fd, 0, SEEK_SET) == -1) {
		warn("start %s again", recording->name);
		return -1;
	}
	value_reader_free(recording->reader);
	recording->reader = value_reader_new(recording->fd);
	return 0;
}

uint64_t
recording_position(const struct recording *recording)
{
	return recording->export != NULL ? export_position(recording->export)
	    : value_reader_position(recording->reader);
}

uint64_t
recording_size(const struct recording *recording)
{
	return recording->export != NULL ? export_size(recording->export)
	    : recording->size;
}
