#include "line_reader.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "wide_pipe.h"

#define READ_BYTES 65536
#define KEPT_BYTES (4 * READ_BYTES)	/* what an idle reader holds at most */

struct line_reader {
	int fd;
	size_t limit;
	bool at_end;

	char *data;
	size_t capacity;
	size_t start;		/* of the next line */
	size_t searched;	/* up to here there is no LF */
	size_t end;
	size_t dropped;		/* bytes of an overlong line behind its head */
};

struct line_reader *
line_reader_new(int fd, size_t limit)
{
	struct line_reader *reader = xcalloc(1, sizeof *reader);

	reader->fd = fd;
	reader->limit = limit;
	reader->capacity = 2 * READ_BYTES;
	reader->data = xmalloc(reader->capacity);
	widen_pipe(fd);
	return reader;
}

void
line_reader_free(struct line_reader *reader)
{
	if (reader == NULL)
		return;
	free(reader->data);
	free(reader);
}

/* Of a line over the limit keep the head and the count, drop the rest. */
static void
drop_excess(struct line_reader *reader)
{
	size_t length = reader->end - reader->start;

	if (length <= reader->limit && reader->dropped == 0)
		return;
	if (length > LINE_HEAD_BYTES) {
		reader->dropped += length - LINE_HEAD_BYTES;
		reader->end = reader->start + LINE_HEAD_BYTES;
	}
	reader->searched = reader->end;
}

static void
take_line(struct line_reader *reader, struct line *line, size_t end)
{
	line->text = reader->data + reader->start;
	line->length = end - reader->start;
	line->total = line->length + reader->dropped;
	if (line->total > reader->limit && line->length > LINE_HEAD_BYTES)
		line->length = LINE_HEAD_BYTES;
	reader->start = end;
	reader->dropped = 0;
}

bool
line_reader_next(struct line_reader *reader, struct line *line)
{
	const char *feed = NULL;

	if (reader->searched < reader->end)
		feed = memchr(reader->data + reader->searched, '\n',
		    reader->end - reader->searched);
	if (feed != NULL) {
		take_line(reader, line, (size_t)(feed - reader->data));
		reader->searched = ++reader->start;
		return true;
	}
	reader->searched = reader->end;
	drop_excess(reader);
	if (!reader->at_end || reader->start == reader->end)
		return false;
	take_line(reader, line, reader->end);
	return true;
}

/* Move what is left to the front, with room for a block behind it. */
static void
make_room(struct line_reader *reader)
{
	size_t left = reader->end - reader->start;
	size_t wanted = reader->capacity;

	if (left > 0)
		memmove(reader->data, reader->data + reader->start, left);
	reader->searched -= reader->start;
	reader->start = 0;
	reader->end = left;
	if (wanted > KEPT_BYTES && left + READ_BYTES <= KEPT_BYTES)
		wanted = KEPT_BYTES;
	while (wanted - left < READ_BYTES)
		wanted *= 2;
	if (wanted != reader->capacity) {
		reader->data = xrealloc(reader->data, wanted);
		reader->capacity = wanted;
	}
}

/* Is the room that a long line took left over? */
static bool
has_spare_room(const struct line_reader *reader)
{
	return reader->capacity > KEPT_BYTES &&
	    reader->end - reader->start + READ_BYTES <= KEPT_BYTES;
}

ssize_t
line_reader_fill(struct line_reader *reader)
{
	ssize_t count;

	if (reader->capacity - reader->end < READ_BYTES ||
	    has_spare_room(reader))
		make_room(reader);
	count = read(reader->fd, reader->data + reader->end,
	    reader->capacity - reader->end);
	if (count == 0)
		reader->at_end = true;
	if (count > 0)
		reader->end += (size_t)count;
	return count;
}

bool
line_reader_at_end(const struct line_reader *reader)
{
	return reader->at_end;
}
