#include "window.h"

#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "line_reader.h"
#include "memory.h"
#include "record.h"

#define READ_BYTES 65536
#define KEPT_BYTES (16 * READ_BYTES)	/* of the memory when little is held */

struct window {
	const char *stage;
	size_t bytes_max;
	struct buffer bytes;

	/* places in the bytes, in this order */
	size_t head;		/* the oldest line */
	size_t fed;		/* what is to be fed next */
	size_t whole;		/* behind the last LF */

	size_t overlong;	/* length so far of the line at `whole`, or 0 */
};

struct window *
window_new(const char *stage, size_t bytes_max)
{
	struct window *window = xcalloc(1, sizeof *window);

	window->stage = stage;
	window->bytes_max = bytes_max;
	return window;
}

void
window_free(struct window *window)
{
	if (window == NULL)
		return;
	buffer_free(&window->bytes);
	free(window);
}

size_t
count_lines(const char *bytes, size_t length)
{
	const char *end = bytes + length;
	size_t count = 0;

	while (length > 0 && (bytes = memchr(bytes, '\n',
	    (size_t)(end - bytes))) != NULL) {
		bytes++;
		count++;
	}
	return count;
}

bool
window_is_full(const struct window *window)
{
	return window->whole > window->head &&
	    window->bytes.length - window->head >= window->bytes_max;
}

static void
shrink(struct buffer *buffer)
{
	struct buffer small = { 0 };

	buffer_append(&small, buffer->data, buffer->length);
	buffer_free(buffer);
	*buffer = small;
}

/* Move what is held to the front once that is worth it. */
static void
close_up(struct window *window)
{
	size_t gone = window->head;

	if (gone == 0 || gone < window->bytes.length / 2)
		return;
	buffer_consume(&window->bytes, gone);
	window->head = 0;
	window->fed -= gone;
	window->whole -= gone;
	if (window->bytes.length < READ_BYTES &&
	    window->bytes.capacity > KEPT_BYTES)
		shrink(&window->bytes);
}

char *
window_room(struct window *window, size_t *room)
{
	close_up(window);
	*room = READ_BYTES;
	return buffer_reserve(&window->bytes, READ_BYTES);
}

/* Put the error record in the place of the overlong line's beginning. */
static void
end_overlong(struct window *window)
{
	static const char *const own[] = { NULL };
	struct record *record = record_new(window->stage, own);
	struct buffer answer = { 0 };
	struct line line = {
		.text = window->bytes.data + window->whole,
		.length = LINE_HEAD_BYTES,
		.total = window->overlong,
	};

	record_take(record, &line, &answer);
	window->bytes.length = window->whole;
	buffer_append(&window->bytes, answer.data, answer.length);
	window->whole = window->bytes.length;
	window->overlong = 0;
	buffer_free(&answer);
	record_free(record);
}

/*
 * The new bytes, from `start`, go on a line that is too long: its beginning
 * stays, the rest is counted, what follows it is taken.
 */
static void
skip_overlong(struct window *window, size_t start)
{
	struct buffer rest = { 0 };
	const char *from = window->bytes.data + start;
	size_t length = window->bytes.length - start;
	const char *end = memchr(from, '\n', length);

	window->overlong += end == NULL ? length : (size_t)(end - from);
	if (end != NULL)
		buffer_append(&rest, end + 1, length - 1 - (size_t)(end - from));
	window->bytes.length = window->whole + LINE_HEAD_BYTES;
	if (end == NULL)
		return;
	end_overlong(window);
	if (rest.length > 0) {
		window_room(window, &length);
		memcpy(window->bytes.data + window->bytes.length, rest.data,
		    rest.length);
		window_fill(window, rest.length);
	}
	buffer_free(&rest);
}

/* Is the line at `whole` too long now that there are new bytes? */
static bool
has_become_overlong(const struct window *window, size_t start)
{
	const char *line = window->bytes.data + window->whole;
	size_t length = window->bytes.length - window->whole;
	const char *end;

	if (length <= RECORD_BYTES_MAX)
		return false;
	end = memchr(window->bytes.data + start, '\n',
	    window->bytes.length - start);
	return end == NULL || (size_t)(end - line) > RECORD_BYTES_MAX;
}

void
window_fill(struct window *window, size_t length)
{
	size_t start = window->bytes.length;
	const char *last;

	window->bytes.length += length;
	if (window->overlong == 0 && has_become_overlong(window, start))
		window->overlong = start - window->whole;
	if (window->overlong > 0) {
		skip_overlong(window, start);
		return;
	}
	last = memrchr(window->bytes.data + start, '\n', length);
	if (last != NULL)
		window->whole = (size_t)(last + 1 - window->bytes.data);
}

size_t
window_end(struct window *window, bool takes_unfinished)
{
	size_t length = window->bytes.length - window->whole;

	if (window->overlong > 0)
		length = window->overlong;
	if (length == 0)
		return 0;
	if (!takes_unfinished) {
		window->bytes.length = window->whole;
		window->overlong = 0;
	} else if (window->overlong > 0) {
		end_overlong(window);
	} else {
		buffer_append(&window->bytes, "\n", 1);
		window->whole = window->bytes.length;
	}
	return length;
}

/* Where the first `lines` lines end, `whole` where there are fewer. */
static size_t
find_end(const struct window *window, size_t lines)
{
	size_t at = window->head;

	for (; lines > 0 && at < window->whole; lines--)
		at = (size_t)((const char *)memchr(window->bytes.data + at,
		    '\n', window->whole - at) + 1 - window->bytes.data);
	return at;
}

const char *
window_to_feed(const struct window *window, size_t lines_max, size_t *length)
{
	size_t end = lines_max == 0 ? window->whole
	    : find_end(window, lines_max);

	*length = end > window->fed ? end - window->fed : 0;
	return *length == 0 ? NULL : window->bytes.data + window->fed;
}

void
window_feed(struct window *window, size_t length)
{
	window->fed += length;
}

void
window_rewind(struct window *window)
{
	window->fed = window->head;
}

bool
window_is_waiting(const struct window *window)
{
	return window->fed > window->head;
}

/* A line that it has a part of is in its hands, too. */
size_t
window_lines_fed(const struct window *window)
{
	const char *head = window->bytes.data + window->head;
	size_t length = window->fed - window->head;

	if (length == 0)
		return 0;
	return count_lines(head, length) + (head[length - 1] != '\n');
}

size_t
window_answer(struct window *window, size_t lines)
{
	const char *at = window->bytes.data + window->head;
	const char *fed = window->bytes.data + window->fed;
	size_t answered = 0;

	while (answered < lines && at < fed) {
		const char *end = memchr(at, '\n', (size_t)(fed - at));

		if (end == NULL)
			break;
		at = end + 1;
		answered++;
	}
	if (answered > 0)
		window->head = (size_t)(at - window->bytes.data);
	if (window->head == window->whole)
		close_up(window);
	return answered;
}

const char *
window_head(const struct window *window, size_t *length)
{
	const char *head = window->bytes.data + window->head;

	if (window->head == window->whole)
		return NULL;
	*length = (size_t)((const char *)memchr(head, '\n',
	    window->whole - window->head) - head);
	return head;
}

void
window_drop_head(struct window *window)
{
	size_t length;

	if (window_head(window, &length) == NULL)
		return;
	window->head += length + 1;
	if (window->fed < window->head)
		window->fed = window->head;
}

size_t
window_lines(const struct window *window)
{
	return window->head == window->whole ? 0 : count_lines(
	    window->bytes.data + window->head, window->whole - window->head);
}
