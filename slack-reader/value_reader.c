#include "value_reader.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_span.h"
#include "line_reader.h"
#include "memory.h"
#include "record.h"

#define READ_BYTES (128 * 1024)
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

#define TOO_LONG "value over 16 MiB"
#define ARRAY_BROKEN "the array breaks off"
#define ARRAY_NESTED "an array within an array"
#define ELEMENT_MISSING "an element is missing"
#define OBJECT_BROKEN "the object breaks off"

/* What the next byte belongs to. */
enum place {
	AT_LINE,		/* a line, or a value that takes several */
	IN_LINE,		/* a line that opens no array */
	AT_ELEMENT,		/* an element of an array, or its end */
	IN_ELEMENT,
	IN_NESTED,		/* an element that is an array */
	BEHIND_ELEMENT,		/* a comma, or the end of the array */
	IN_OBJECT,		/* an object spread over lines */
	BEHIND_VALUE,		/* what is left of the line */
	IN_WRECK,		/* a line that what broke off ends in */
	PLACES
};

enum step {
	STEP_ON,		/* the place has changed */
	STEP_VALUE,		/* here is a value */
	STEP_WAIT		/* more must be read */
};

struct value_reader {
	int fd;
	bool at_end;
	uint64_t read;			/* bytes so far */

	char *data;
	size_t capacity;
	size_t start;			/* of what is not taken yet */
	size_t end;

	enum place place;
	size_t looked;			/* bytes behind start looked at */
	struct json_span span;
	const char *wreck_reason;

	size_t dropped;			/* bytes of an overlong value */
	char head[LINE_HEAD_BYTES];	/* and how it began */
};

struct value_reader *
value_reader_new(int fd)
{
	struct value_reader *reader = xcalloc(1, sizeof *reader);

	reader->fd = fd;
	return reader;
}

void
value_reader_free(struct value_reader *reader)
{
	if (reader == NULL)
		return;
	free(reader->data);
	free(reader);
}

static void
go_to(struct value_reader *reader, enum place place)
{
	reader->place = place;
	reader->looked = 0;
	reader->span = (struct json_span){ 0 };
}

static const char *
at_start(const struct value_reader *reader)
{
	return reader->data + reader->start;
}

static size_t
bytes_left(const struct value_reader *reader)
{
	return reader->end - reader->start;
}

/* All that is there belongs to the value: wait for the rest of it. */
static enum step
wait_for_more(struct value_reader *reader)
{
	reader->looked = bytes_left(reader);
	if (reader->looked <= RECORD_BYTES_MAX)
		return STEP_WAIT;
	if (reader->dropped == 0)
		memcpy(reader->head, at_start(reader), LINE_HEAD_BYTES);
	reader->dropped += reader->looked;
	reader->start = reader->end;
	reader->looked = 0;
	return STEP_WAIT;
}

/* The next `length` bytes end a value, and `behind` more only close it. */
static enum step
take_value(struct value_reader *reader, size_t length, size_t behind,
    const char *reason, struct value *value)
{
	*value = (struct value){ at_start(reader), length,
	    reader->dropped + length, reason };
	if (value->total > RECORD_BYTES_MAX) {
		if (reader->dropped > 0)
			value->text = reader->head;
		value->length = LINE_HEAD_BYTES;
		value->reason = TOO_LONG;
	}
	reader->start += length + behind;
	reader->dropped = 0;
	return STEP_VALUE;
}

static size_t
count_blanks(const char *bytes, size_t length, const char *blanks)
{
	size_t count = 0;

	while (count < length && bytes[count] != '\0' &&
	    strchr(blanks, bytes[count]) != NULL)
		count++;
	return count;
}

/*
 * Step over blanks. Returns false where nothing else is there; the end of the
 * input is then something else, too.
 */
static bool
skip_blanks(struct value_reader *reader, const char *blanks)
{
	if (bytes_left(reader) > 0)
		reader->start += count_blanks(at_start(reader),
		    bytes_left(reader), blanks);
	return bytes_left(reader) > 0 || reader->at_end;
}

/* The byte at hand, or 0 at the end of the input. */
static char
peek(const struct value_reader *reader)
{
	return bytes_left(reader) > 0 ? *at_start(reader) : '\0';
}

/* Editors on Windows leave the mark, also between files put together. */
static void
skip_byte_order_mark(struct value_reader *reader)
{
	size_t length = strlen(BYTE_ORDER_MARK);

	if (bytes_left(reader) < length ||
	    memcmp(at_start(reader), BYTE_ORDER_MARK, length) != 0)
		return;
	reader->start += length;
	reader->looked = 0;
}

/* Could a byte order mark or leading blanks still hide what the line is? */
static bool
is_undecided(const struct value_reader *reader, size_t blanks)
{
	size_t left = bytes_left(reader);

	return !reader->at_end && (blanks == left ||
	    (left < strlen(BYTE_ORDER_MARK) &&
	    memcmp(at_start(reader), BYTE_ORDER_MARK, left) == 0));
}

/* Until it is known what a line is, all bytes looked at are blanks. */
static size_t
count_more_blanks(const struct value_reader *reader)
{
	return reader->looked + count_blanks(at_start(reader) + reader->looked,
	    bytes_left(reader) - reader->looked, " \t\r");
}

/* A line that is nothing but `{` opens an object spread over lines. */
static bool
opens_object(const char *line, size_t length, size_t blanks)
{
	return blanks < length && line[blanks] == '{' &&
	    blanks + 1 + count_blanks(line + blanks + 1, length - blanks - 1,
	    " \t\r") == length;
}

/* Find the LF; `length` is then that of the line, or of all there is. */
static bool
find_feed(const struct value_reader *reader, size_t *length)
{
	size_t left = bytes_left(reader);
	const char *feed = NULL;

	if (reader->looked < left)
		feed = memchr(at_start(reader) + reader->looked, '\n',
		    left - reader->looked);
	*length = feed != NULL ? (size_t)(feed - at_start(reader)) : left;
	return feed != NULL;
}

static enum step
step_in_line(struct value_reader *reader, struct value *value)
{
	size_t length, blanks = 0;
	bool has_feed = find_feed(reader, &length);

	if (!has_feed && !reader->at_end)
		return wait_for_more(reader);
	if (length + reader->dropped == 0 && !has_feed)
		return STEP_WAIT;
	if (length > 0)
		blanks = count_blanks(at_start(reader), length, " \t\r");
	if (reader->dropped == 0 && has_feed &&
	    opens_object(at_start(reader), length, blanks)) {
		go_to(reader, IN_OBJECT);
		return STEP_ON;
	}
	take_value(reader, length, has_feed ? 1 : 0, NULL, value);
	go_to(reader, AT_LINE);
	return STEP_VALUE;
}

static enum step
step_at_line(struct value_reader *reader, struct value *value)
{
	size_t left, blanks;

	(void)value;
	if (reader->dropped > 0) {
		go_to(reader, IN_LINE);
		return STEP_ON;
	}
	if (bytes_left(reader) == 0)
		return STEP_WAIT;
	skip_byte_order_mark(reader);
	left = bytes_left(reader);
	blanks = count_more_blanks(reader);
	if (is_undecided(reader, blanks))
		return blanks == left ? wait_for_more(reader) : STEP_WAIT;
	go_to(reader, IN_LINE);
	if (blanks < left && at_start(reader)[blanks] == '[') {
		reader->start += blanks + 1;
		go_to(reader, AT_ELEMENT);
	}
	return STEP_ON;
}

/* Inside an array, at a place where it can not go on. */
static enum step
break_array(struct value_reader *reader, struct value *value)
{
	go_to(reader, AT_LINE);
	return take_value(reader, 0, 0, ARRAY_BROKEN, value);
}

static enum step
step_at_element(struct value_reader *reader, struct value *value)
{
	if (!skip_blanks(reader, " \t\r\n"))
		return STEP_WAIT;
	if (bytes_left(reader) == 0)
		return break_array(reader, value);
	switch (peek(reader)) {
	case ']':
		reader->start++;
		go_to(reader, BEHIND_VALUE);
		break;
	case ',':
		return take_value(reader, 0, 1, ELEMENT_MISSING, value);
	case '[':
		go_to(reader, IN_NESTED);
		reader->span.keeps_off_edge = true;
		break;
	default:
		go_to(reader, IN_ELEMENT);
	}
	return STEP_ON;
}

static enum step
step_behind_element(struct value_reader *reader, struct value *value)
{
	if (!skip_blanks(reader, " \t\r\n"))
		return STEP_WAIT;
	if (peek(reader) != ',' && peek(reader) != ']')
		return break_array(reader, value);
	go_to(reader, peek(reader) == ',' ? AT_ELEMENT : BEHIND_VALUE);
	reader->start++;
	return STEP_ON;
}

/*
 * What has begun can not go on as it does. Where the bad byte opens a line, a
 * new value may begin there; else the rest of the line is lost with it.
 */
static enum step
break_value(struct value_reader *reader, const char *reason,
    struct value *value)
{
	if (reader->span.at_line_start) {
		take_value(reader, reader->looked, 0, reason, value);
		go_to(reader, AT_LINE);
		return STEP_VALUE;
	}
	reader->place = IN_WRECK;
	reader->wreck_reason = reason;
	return STEP_ON;
}

static enum step
step_in_wreck(struct value_reader *reader, struct value *value)
{
	size_t length;
	bool has_feed = find_feed(reader, &length);

	if (!has_feed && !reader->at_end)
		return wait_for_more(reader);
	take_value(reader, length, has_feed ? 1 : 0, reader->wreck_reason,
	    value);
	go_to(reader, AT_LINE);
	return STEP_VALUE;
}

/* Pass over a value that may take several lines. */
static enum step
span_value(struct value_reader *reader, enum place behind, const char *reason,
    struct value *value)
{
	enum json_span_result result;
	size_t looked;

	result = json_span_scan(&reader->span,
	    reader->data + reader->start + reader->looked,
	    bytes_left(reader) - reader->looked, &looked);
	reader->looked += looked;
	switch (result) {
	case JSON_SPAN_END:
		take_value(reader, reader->looked, 0, NULL, value);
		go_to(reader, behind);
		return STEP_VALUE;
	case JSON_SPAN_BROKEN:
		return break_value(reader, reason, value);
	default:
		if (!reader->at_end)
			return wait_for_more(reader);
		take_value(reader, reader->looked, 0, reason, value);
		go_to(reader, AT_LINE);
		return STEP_VALUE;
	}
}

static enum step
step_in_element(struct value_reader *reader, struct value *value)
{
	return span_value(reader, BEHIND_ELEMENT, ARRAY_BROKEN, value);
}

/* It holds no records; the array around it goes on behind it. */
static enum step
step_in_nested(struct value_reader *reader, struct value *value)
{
	enum step step = span_value(reader, BEHIND_ELEMENT, ARRAY_NESTED,
	    value);

	if (step == STEP_VALUE && value->reason == NULL)
		value->reason = ARRAY_NESTED;
	return step;
}

static enum step
step_in_object(struct value_reader *reader, struct value *value)
{
	return span_value(reader, BEHIND_VALUE, OBJECT_BROKEN, value);
}

static enum step
step_behind_value(struct value_reader *reader, struct value *value)
{
	(void)value;
	if (!skip_blanks(reader, " \t\r"))
		return STEP_WAIT;
	if (peek(reader) == '\n')
		reader->start++;
	go_to(reader, AT_LINE);
	return STEP_ON;
}

bool
value_reader_next(struct value_reader *reader, struct value *value)
{
	static enum step (*const steps[PLACES])(struct value_reader *,
	    struct value *) = {
		[AT_LINE] = step_at_line,
		[IN_LINE] = step_in_line,
		[AT_ELEMENT] = step_at_element,
		[IN_ELEMENT] = step_in_element,
		[IN_NESTED] = step_in_nested,
		[BEHIND_ELEMENT] = step_behind_element,
		[IN_OBJECT] = step_in_object,
		[BEHIND_VALUE] = step_behind_value,
		[IN_WRECK] = step_in_wreck,
	};
	enum step step;

	if (reader->data == NULL)
		return false;
	do
		step = steps[reader->place](reader, value);
	while (step == STEP_ON);
	return step == STEP_VALUE;
}

/* Move what is left to the front, with room for a block behind it. */
static void
make_room(struct value_reader *reader)
{
	size_t left = bytes_left(reader);
	size_t wanted = 2 * READ_BYTES;

	while (wanted < left + READ_BYTES)
		wanted *= 2;
	if (left > 0)
		memmove(reader->data, at_start(reader), left);
	reader->start = 0;
	reader->end = left;
	if (wanted != reader->capacity) {
		reader->data = xrealloc(reader->data, wanted);
		reader->capacity = wanted;
	}
}

ssize_t
value_reader_fill(struct value_reader *reader)
{
	ssize_t count;

	if (reader->capacity - reader->end < READ_BYTES)
		make_room(reader);
	count = read(reader->fd, reader->data + reader->end,
	    reader->capacity - reader->end);
	if (count == 0)
		reader->at_end = true;
	if (count > 0) {
		reader->end += (size_t)count;
		reader->read += (uint64_t)count;
	}
	return count;
}

bool
value_reader_at_end(const struct value_reader *reader)
{
	return reader->at_end;
}

uint64_t
value_reader_position(const struct value_reader *reader)
{
	return reader->read - bytes_left(reader);
}
