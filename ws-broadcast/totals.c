#include "totals.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "json_scan.h"
#include "memory.h"

#define TOTALS_BYTES_MAX (256 * 1024)

struct totals {
	const char *path;
	struct stat seen;	/* the file that text came from */
	struct buffer text;
};

struct totals *
totals_new(const char *path)
{
	struct totals *totals = xcalloc(1, sizeof *totals);

	totals->path = path;
	totals_refresh(totals);
	return totals;
}

void
totals_free(struct totals *totals)
{
	if (totals == NULL)
		return;
	buffer_free(&totals->text);
	free(totals);
}

static bool
is_same(const struct stat *one, const struct stat *other)
{
	return one->st_ino == other->st_ino && one->st_dev == other->st_dev &&
	    one->st_size == other->st_size &&
	    one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
	    one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

/* Between the tokens of JSON a blank is as good as a line's end. */
static void
join_lines(struct buffer *text)
{
	while (text->length > 0 && (text->data[text->length - 1] == '\n' ||
	    text->data[text->length - 1] == '\r'))
		text->length--;
	for (size_t i = 0; i < text->length; i++)
		if (text->data[i] == '\n' || text->data[i] == '\r')
			text->data[i] = ' ';
}

/* Read all of the file; it is replaced as a whole, so it does not change. */
static bool
read_text(int fd, size_t length, struct buffer *text)
{
	struct json_index index = { 0 };
	ssize_t count = read(fd, buffer_reserve(text, length), length);
	bool is_object;

	if (count != (ssize_t)length)
		return false;
	text->length = length;
	is_object = json_scan(&index, text->data, length) == 0;
	json_index_free(&index);
	join_lines(text);
	return is_object;
}

static bool
read_file(struct totals *totals, int fd)
{
	struct buffer text = { 0 };
	struct stat status;

	if (fstat(fd, &status) == -1 || !S_ISREG(status.st_mode) ||
	    status.st_size > TOTALS_BYTES_MAX ||
	    is_same(&status, &totals->seen))
		return false;
	totals->seen = status;
	if (!read_text(fd, (size_t)status.st_size, &text)) {
		buffer_free(&text);
		return false;
	}
	buffer_free(&totals->text);
	totals->text = text;
	return true;
}

bool
totals_refresh(struct totals *totals)
{
	struct stat status;
	bool is_new;

	if (totals->path == NULL || stat(totals->path, &status) == -1 ||
	    is_same(&status, &totals->seen))
		return false;
	int fd = open(totals->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return false;
	is_new = read_file(totals, fd);
	close(fd);
	return is_new;
}

const char *
totals_text(const struct totals *totals, size_t *length)
{
	*length = totals->text.length;
	return totals->text.length > 0 ? totals->text.data : NULL;
}
