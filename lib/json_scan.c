#include "json_scan.h"

#include <ctype.h>
#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "utf8.h"

/* Where the scan stands, and why it stopped. */
struct scan {
	const char *start;
	const char *at;
	const char *end;
	const char *reason;
	size_t values;		/* of the member at hand */
};

static int
fail(struct scan *scan, const char *reason)
{
	scan->reason = reason;
	return -1;
}

/* The byte at hand, or -1 at the end. */
static int
peek(const struct scan *scan)
{
	return scan->at < scan->end ? (unsigned char)*scan->at : -1;
}

static void
skip_blanks(struct scan *scan)
{
	while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' ||
	    *scan->at == '\r' || *scan->at == '\n'))
		scan->at++;
}

static int
expect(struct scan *scan, char byte, const char *reason)
{
	if (peek(scan) != byte)
		return fail(scan, peek(scan) < 0 ? "ends too early" : reason);
	scan->at++;
	return 0;
}

/*
 * Eight bytes at once: the high bit of a byte tells that it is below 0x20 or
 * above 0x7f, a quote or a backslash. A borrow can only reach bytes behind a
 * special one, so the first that is marked is one.
 */
static uint64_t
mark_special(uint64_t block)
{
	const uint64_t ones = 0x0101010101010101u, highs = ones * 0x80;
	uint64_t quotes = block ^ (ones * '"');
	uint64_t escapes = block ^ (ones * '\\');

	return (block | (block - ones * 0x20) | (quotes - ones) |
	    (escapes - ones)) & highs;
}

static void
skip_plain(struct scan *scan)
{
	while (scan->end - scan->at >= 8) {
		uint64_t block, marks;

		memcpy(&block, scan->at, sizeof block);
		marks = mark_special(le64toh(block));
		if (marks != 0) {
			scan->at += __builtin_ctzll(marks) / 8;
			return;
		}
		scan->at += sizeof block;
	}
	while (scan->at < scan->end && *scan->at != '"' && *scan->at != '\\' &&
	    (unsigned char)*scan->at >= 0x20 && (unsigned char)*scan->at < 0x80)
		scan->at++;
}

static int
scan_escape(struct scan *scan)
{
	scan->at++;
	switch (peek(scan)) {
	case '"': case '\\': case '/': case 'b': case 'f': case 'n':
	case 'r': case 't':
		scan->at++;
		return 0;
	case 'u':
		scan->at++;
		for (int i = 0; i < 4; i++, scan->at++)
			if (peek(scan) < 0 || !isxdigit(peek(scan)))
				return fail(scan, "bad \\u escape");
		return 0;
	default:
		return fail(scan, "bad escape in a string");
	}
}

static int
scan_string(struct scan *scan)
{
	if (expect(scan, '"', "expected a string") == -1)
		return -1;
	for (;;) {
		skip_plain(scan);
		int byte = peek(scan);

		if (byte == '"') {
			scan->at++;
			return 0;
		}
		if (byte == -1)
			return fail(scan, "ends within a string");
		if (byte == '\\') {
			if (scan_escape(scan) == -1)
				return -1;
		} else if (byte < 0x20) {
			return fail(scan, "control character in a string");
		} else {
			size_t width = utf8_character(scan->at,
			    (size_t)(scan->end - scan->at));
			if (width == 0)
				return fail(scan, "invalid UTF-8");
			scan->at += width;
		}
	}
}

/* One digit at least. */
static int
scan_digits(struct scan *scan)
{
	if (peek(scan) < '0' || peek(scan) > '9')
		return fail(scan, "bad number");
	while (peek(scan) >= '0' && peek(scan) <= '9')
		scan->at++;
	return 0;
}

static int
scan_number(struct scan *scan)
{
	if (peek(scan) == '-')
		scan->at++;
	if (peek(scan) == '0')
		scan->at++;
	else if (scan_digits(scan) == -1)
		return -1;
	if (peek(scan) == '.') {
		scan->at++;
		if (scan_digits(scan) == -1)
			return -1;
	}
	if (peek(scan) == 'e' || peek(scan) == 'E') {
		scan->at++;
		if (peek(scan) == '+' || peek(scan) == '-')
			scan->at++;
		return scan_digits(scan);
	}
	return 0;
}

static int
scan_word(struct scan *scan, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(scan->end - scan->at) < length ||
	    memcmp(scan->at, word, length) != 0)
		return fail(scan, "unexpected character");
	scan->at += length;
	return 0;
}

static int
scan_scalar(struct scan *scan)
{
	switch (peek(scan)) {
	case '"': return scan_string(scan);
	case 't': return scan_word(scan, "true");
	case 'f': return scan_word(scan, "false");
	case 'n': return scan_word(scan, "null");
	case '-': case '0': case '1': case '2': case '3': case '4':
	case '5': case '6': case '7': case '8': case '9':
		return scan_number(scan);
	case -1: return fail(scan, "ends too early");
	default: return fail(scan, "unexpected character");
	}
}

/* A member's name and its colon; *end is where the closing quote stands. */
static int
scan_name(struct scan *scan, const char **end)
{
	skip_blanks(scan);
	if (peek(scan) != '"')
		return fail(scan, peek(scan) < 0 ? "ends too early"
		    : "expected a member name in quotes");
	if (scan_string(scan) == -1)
		return -1;
	*end = scan->at - 1;
	skip_blanks(scan);
	return expect(scan, ':', "expected a colon");
}

/*
 * Behind a value: close what ends here, and go to the next value if there is
 * one. Returns 0 then or when the depth is 0.
 */
static int
leave_value(struct scan *scan, const char *closers, size_t *depth)
{
	const char *name_end;

	while (*depth > 0) {
		char closer = closers[*depth - 1];

		skip_blanks(scan);
		if (peek(scan) == ',') {
			scan->at++;
			return closer == '}' ? scan_name(scan, &name_end) : 0;
		}
		if (expect(scan, closer, "expected a comma or a bracket") == -1)
			return -1;
		--*depth;
	}
	return 0;
}

/* Step over a value, whatever is nested in it; the stack is an array. */
static int
scan_value(struct scan *scan)
{
	char closers[JSON_DEPTH_MAX];
	const char *name_end;
	size_t depth = 0;

	do {
		skip_blanks(scan);
		int byte = peek(scan);

		scan->values++;
		if (byte != '{' && byte != '[') {
			if (scan_scalar(scan) == -1 ||
			    leave_value(scan, closers, &depth) == -1)
				return -1;
			continue;
		}
		if (depth == JSON_DEPTH_MAX - 1)
			return fail(scan, "nested too deep");
		closers[depth++] = byte == '{' ? '}' : ']';
		scan->at++;
		skip_blanks(scan);
		if (peek(scan) == closers[depth - 1]) {
			depth--;
			scan->at++;
			if (leave_value(scan, closers, &depth) == -1)
				return -1;
		} else if (byte == '{' &&
		    scan_name(scan, &name_end) == -1) {
			return -1;
		}
	} while (depth > 0);
	return 0;
}

static struct json_member *
add_member(struct json_index *index)
{
	if (index->count == index->capacity) {
		index->capacity = index->capacity > 0 ? index->capacity * 2
		    : 32;
		index->members = xrealloc(index->members,
		    index->capacity * sizeof *index->members);
	}
	return &index->members[index->count++];
}

static int
scan_member(struct scan *scan, struct json_index *index)
{
	const char *name_end;

	if (index->count == JSON_MEMBERS_MAX)
		return fail(scan, "too many members");

	struct json_member *member = add_member(index);
	skip_blanks(scan);
	member->name = (size_t)(scan->at - scan->start) + 1;
	if (scan_name(scan, &name_end) == -1)
		return -1;
	member->name_end = (size_t)(name_end - scan->start);
	skip_blanks(scan);
	member->value = (size_t)(scan->at - scan->start);
	scan->values = 0;
	if (scan_value(scan) == -1)
		return -1;
	member->value_end = (size_t)(scan->at - scan->start);
	member->values = scan->values;
	return 0;
}

static int
scan_object(struct scan *scan, struct json_index *index)
{
	skip_blanks(scan);
	if (peek(scan) == -1)
		return fail(scan, "empty line");
	if (expect(scan, '{', "not a JSON object") == -1)
		return -1;
	skip_blanks(scan);
	if (peek(scan) != '}')
		for (;;) {
			if (scan_member(scan, index) == -1)
				return -1;
			skip_blanks(scan);
			if (peek(scan) != ',')
				break;
			scan->at++;
		}
	index->brace = (size_t)(scan->at - scan->start);
	if (expect(scan, '}', "expected a comma or a bracket") == -1)
		return -1;
	skip_blanks(scan);
	if (scan->at < scan->end)
		return fail(scan, "more behind the object");
	return 0;
}

int
json_scan(struct json_index *index, const char *text, size_t length)
{
	struct scan scan = { text, text, text + length, NULL, 0 };

	index->count = 0;
	if (scan_object(&scan, index) == 0)
		return 0;
	index->reason = scan.reason;
	index->error_at = (size_t)(scan.at - scan.start);
	return -1;
}

const struct json_member *
json_index_find(const struct json_index *index, const char *text,
    const char *name)
{
	size_t length = strlen(name);

	for (size_t i = index->count; i > 0; i--) {
		const struct json_member *member = &index->members[i - 1];

		if (member->name_end - member->name == length &&
		    memcmp(text + member->name, name, length) == 0)
			return member;
	}
	return NULL;
}

void
json_index_free(struct json_index *index)
{
	free(index->members);
	*index = (struct json_index){ 0 };
}
