#include "journal_folder.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "program.h"

#define SUFFIX ".ndjson"
#define DATE_LENGTH 10
#define DAY_US (86400 * INT64_C(1000000))
#define PART_MAX 99999999

static void
make_name(char *name, int64_t day, int part)
{
	char date[CLOCK_TEXT_BYTES];

	clock_format(day * DAY_US, date);
	if (part == 1)
		snprintf(name, JOURNAL_NAME_BYTES, "%.*s" SUFFIX, DATE_LENGTH,
		    date);
	else
		snprintf(name, JOURNAL_NAME_BYTES, "%.*s.%d" SUFFIX,
		    DATE_LENGTH, date, part);
}

/* Read a date and a part; only a name that we would write is ours. */
static bool
read_name(const char *name, struct journal_file *file)
{
	char text[CLOCK_TEXT_BYTES];
	int64_t us;

	if (strlen(name) >= JOURNAL_NAME_BYTES || strlen(name) < DATE_LENGTH)
		return false;
	snprintf(text, sizeof text, "%.*sT00:00:00Z", DATE_LENGTH, name);
	if (clock_parse(text, &us) == -1)
		return false;
	file->day = us / DAY_US;
	file->part = 1;
	if (name[DATE_LENGTH] == '.' && name[DATE_LENGTH + 1] >= '1' &&
	    name[DATE_LENGTH + 1] <= '9') {
		long part = strtol(name + DATE_LENGTH + 1, NULL, 10);

		if (part < 2 || part > PART_MAX)
			return false;
		file->part = (int)part;
	}
	make_name(file->name, file->day, file->part);
	return strcmp(file->name, name) == 0;
}

static void
add_file(struct journal_folder *folder, const struct journal_file *file)
{
	if (folder->count == folder->capacity) {
		folder->capacity = folder->capacity * 2 + 32;
		folder->files = xrealloc(folder->files,
		    folder->capacity * sizeof *folder->files);
	}
	folder->files[folder->count++] = *file;
	folder->bytes += file->bytes;
}

static int
compare_files(const void *a, const void *b)
{
	const struct journal_file *first = a, *second = b;

	if (first->day != second->day)
		return first->day < second->day ? -1 : 1;
	return first->part - second->part;
}

static void
list_files(struct journal_folder *folder)
{
	int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	struct stat status;

	if (dir == NULL)
		err(program_failure(errno), "journal: list %s", folder->path);
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		struct journal_file file = { 0 };

		if (!read_name(entry->d_name, &file) ||
		    fstatat(folder->fd, file.name, &status,
		    AT_SYMLINK_NOFOLLOW) == -1 || !S_ISREG(status.st_mode))
			continue;
		file.bytes = status.st_size;
		add_file(folder, &file);
	}
	if (errno != 0)
		err(program_failure(errno), "journal: list %s", folder->path);
	closedir(dir);
	if (folder->count > 1)
		qsort(folder->files, folder->count, sizeof *folder->files,
		    compare_files);
}

static void
lock_folder(struct journal_folder *folder)
{
	folder->lock = openat(folder->fd, "lock",
	    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (folder->lock == -1)
		err(program_failure(errno), "journal: open %s/lock", folder->path);
	if (flock(folder->lock, LOCK_EX | LOCK_NB) == 0)
		return;
	if (errno == EWOULDBLOCK)
		errx(EX_TEMPFAIL, "journal: another process writes in %s: stop"
		    " it, or choose another folder for this one",
		    folder->path);
	err(program_failure(errno), "journal: lock %s/lock", folder->path);
}

/* Not every file system can sync a folder by itself (EINVAL). */
static void
sync_names(const struct journal_folder *folder, int fd)
{
	if (fsync(fd) == -1 && errno != EINVAL)
		err(EX_IOERR, "journal: sync the folder %s", folder->path);
}

/* The folder's own name must be on disk, too. */
static void
sync_parent(const struct journal_folder *folder)
{
	int fd = openat(folder->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return;		/* it may be closed to us, and was made */
	sync_names(folder, fd);
	close(fd);
}

void
journal_folder_open(struct journal_folder *folder, const char *path)
{
	if (mkdir(path, 0700) == -1 && errno != EEXIST)
		err(program_failure(errno), "journal: make the folder %s", path);
	*folder = (struct journal_folder){ .path = xstrdup(path) };
	folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd == -1)
		err(program_failure(errno), "journal: open the folder %s", path);
	lock_folder(folder);
	list_files(folder);
	sync_names(folder, folder->fd);
	sync_parent(folder);
}

void
journal_folder_close(struct journal_folder *folder)
{
	close(folder->lock);
	close(folder->fd);
	free(folder->files);
	free(folder->path);
}

int
journal_folder_open_file(const struct journal_folder *folder, const char *name,
    int flags)
{
	/* A FIFO that somebody put there must not make us wait. */
	int fd = openat(folder->fd, name,
	    flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat status;

	if (fd == -1 || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

int
journal_folder_begin(struct journal_folder *folder, int64_t day)
{
	const struct journal_file *newest = journal_folder_newest(folder);
	struct journal_file file = { .day = day, .part = 1 };
	int fd = -1;

	if (newest != NULL && newest->day >= day) {
		file.day = newest->day;
		file.part = newest->part + 1;
	}
	for (; file.part <= PART_MAX; file.part++) {
		make_name(file.name, file.day, file.part);
		fd = openat(folder->fd, file.name, O_RDWR | O_APPEND | O_CREAT |
		    O_EXCL | O_CLOEXEC, 0600);
		if (fd != -1 || errno != EEXIST)
			break;
	}
	if (fd == -1 && errno == ENOENT)
		errx(EX_IOERR, "journal: somebody removed the folder %s",
		    folder->path);
	if (fd == -1)
		return -1;
	sync_names(folder, folder->fd);
	add_file(folder, &file);
	return fd;
}

int
journal_folder_remove_oldest(struct journal_folder *folder)
{
	const struct journal_file *oldest = &folder->files[0];

	if (unlinkat(folder->fd, oldest->name, 0) == -1 && errno != ENOENT) {
		warn("journal: remove %s/%s", folder->path, oldest->name);
		return -1;
	}
	folder->bytes -= oldest->bytes;
	folder->count--;
	memmove(folder->files, folder->files + 1,
	    folder->count * sizeof *folder->files);
	return 0;
}

void
journal_folder_set_bytes(struct journal_folder *folder, size_t file,
    int64_t bytes)
{
	folder->bytes += bytes - folder->files[file].bytes;
	folder->files[file].bytes = bytes;
}

struct journal_file *
journal_folder_newest(const struct journal_folder *folder)
{
	return folder->count > 0 ? &folder->files[folder->count - 1] : NULL;
}
