#include "totals.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "json_scan.h"
#include "memory.h"

/* stats(1) writes no more: tallies have 1,000 names of 128 bytes. */
#define TOTALS_BYTES_MAX (8 * 1024 * 1024)

struct totals {
	const char *path;
	struct stat seen;	/* the file that text came from */
	unsigned long version;
	struct buffer text;
	struct buffer external;
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
	buffer_free(&totals->external);
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

/* Where the member begins, with the comma that parts it from another one. */
static void
find_bounds(const struct json_index *index, const struct json_member *member,
    const char *text, size_t *begin, size_t *end)
{
	*begin = member->name - 1;
	*end = member->value_end;
	if (member != index->members)
		while (text[*begin] != ',')
			--*begin;
	else if (index->count > 1)
		while (text[*end - 1] != ',')
			++*end;
}

/* Move the tally of errors from the text to a place of its own. */
static void
take_external(struct buffer *text, const struct json_index *index,
    struct buffer *external)
{
	const struct json_member *member = json_index_find(index, text->data,
	    "external");
	size_t begin, end;

	if (member == NULL)
		return;
	buffer_append(external, text->data + member->value,
	    member->value_end - member->value);
	find_bounds(index, member, text->data, &begin, &end);
	memmove(text->data + begin, text->data + end, text->length - end);
	text->length -= end - begin;
}

/* Read all of the file; it is replaced as a whole, so it does not change. */
static bool
read_text(int fd, size_t length, struct buffer *text,
    struct buffer *external)
{
	struct json_index index = { 0 };
	ssize_t count = read(fd, buffer_reserve(text, length), length);
	bool is_object;

	if (count != (ssize_t)length)
		return false;
	text->length = length;
	join_lines(text);
	is_object = json_scan(&index, text->data, text->length) == 0;
	if (is_object)
		take_external(text, &index, external);
	json_index_free(&index);
	return is_object;
}

static void
swap(struct buffer *one, struct buffer *other)
{
	struct buffer kept = *one;

	*one = *other;
	*other = kept;
}

static void
read_file(struct totals *totals, int fd)
{
	struct buffer text = { 0 }, external = { 0 };
	struct stat status;

	if (fstat(fd, &status) == -1 || !S_ISREG(status.st_mode) ||
	    status.st_size > TOTALS_BYTES_MAX ||
	    is_same(&status, &totals->seen))
		return;
	totals->seen = status;
	if (read_text(fd, (size_t)status.st_size, &text, &external)) {
		swap(&text, &totals->text);
		swap(&external, &totals->external);
		totals->version++;
	}
	buffer_free(&text);
	buffer_free(&external);
}

void
totals_refresh(struct totals *totals)
{
	struct stat status;
	int fd;

	if (totals->path == NULL || stat(totals->path, &status) == -1 ||
	    is_same(&status, &totals->seen))
		return;
	fd = open(totals->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return;
	read_file(totals, fd);
	close(fd);
}

unsigned long
totals_version(const struct totals *totals)
{
	return totals->version;
}

const char *
totals_text(const struct totals *totals, size_t *length)
{
	*length = totals->text.length;
	return totals->text.length > 0 ? totals->text.data : NULL;
}

const char *
totals_external(const struct totals *totals, size_t *length)
{
	*length = totals->external.length;
	return totals->external.length > 0 && *totals->external.data == '{'
	    ? totals->external.data : NULL;
}
