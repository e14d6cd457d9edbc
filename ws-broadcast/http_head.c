#include "http_head.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define METHOD_BYTES_MAX 32
#define EMPTY_LINES_MAX 4	/* before a request: old clients send them */
#define LENGTH_DIGITS_MAX 15

/* RFC 9110, 5.6.2 */
static bool
is_token_letter(char letter)
{
	return (letter >= 'a' && letter <= 'z') ||
	    (letter >= 'A' && letter <= 'Z') ||
	    (letter >= '0' && letter <= '9') ||
	    (letter != '\0' && strchr("!#$%&'*+-.^_`|~", letter) != NULL);
}

static bool
is_token(const char *text)
{
	if (*text == '\0')
		return false;
	while (is_token_letter(*text))
		text++;
	return *text == '\0';
}

static size_t
measure_empty_lines(const char *bytes, size_t length)
{
	size_t empty = 0;

	while (empty < 2 * EMPTY_LINES_MAX && empty + 1 < length &&
	    bytes[empty] == '\r' && bytes[empty + 1] == '\n')
		empty += 2;
	return empty;
}

/* A line ends with CR LF, and neither is anywhere else. */
static bool
is_misplaced(const char *bytes, size_t at, size_t begin)
{
	bool has_cr = at > begin && bytes[at - 1] == '\r';

	return bytes[at] == '\0' || has_cr != (bytes[at] == '\n');
}

long
http_head_measure(const char *bytes, size_t length, size_t *seen)
{
	size_t begin = measure_empty_lines(bytes, length);

	if (begin < length && bytes[begin] != '\r' &&
	    !is_token_letter(bytes[begin]))
		return -1;
	for (size_t i = begin > *seen ? begin : *seen; i < length; i++) {
		if (is_misplaced(bytes, i, begin))
			return -1;
		if (bytes[i] == '\n' && i >= begin + 3 &&
		    bytes[i - 2] == '\n')
			return (long)i + 1;
	}
	*seen = length;
	return 0;
}

unsigned
http_head_judge_length(const char *bytes, size_t length)
{
	size_t begin = measure_empty_lines(bytes, length);

	return memchr(bytes + begin, '\n', length - begin) == NULL ? 414 : 431;
}

/* Cut the line off at its CR. Returns where the next one begins. */
static char *
cut_line(char *line)
{
	char *end = strchr(line, '\r');

	*end = '\0';
	return end + 2;
}

/* Of an absolute address only what is behind the host counts. */
static char *
skip_origin(char *target)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < 2; i++) {
		size_t length = strlen(schemes[i]);

		if (strncasecmp(target, schemes[i], length) == 0)
			return target + length +
			    strcspn(target + length, "/?");
	}
	return target;
}

static unsigned
parse_target(struct http_head *head, char *target)
{
	char *mark;

	if (strlen(target) > HTTP_PATH_BYTES_MAX)
		return 414;
	for (const char *at = target; *at != '\0'; at++)
		if (*at <= ' ' || *at >= 0x7f || *at == '#')
			return 400;
	target = skip_origin(target);
	if (*target != '/')
		return 400;
	head->path = target;
	head->query = "";
	mark = strchr(target, '?');
	if (mark != NULL) {
		*mark = '\0';
		head->query = mark + 1;
	}
	return 0;
}

static bool
is_version(const char *text)
{
	return strncmp(text, "HTTP/", 5) == 0 &&
	    isdigit((unsigned char)text[5]) && text[6] == '.' &&
	    isdigit((unsigned char)text[7]) && text[8] == '\0';
}

/* HTTP/1.0 clients get one answer a connection. */
static unsigned
parse_version(struct http_head *head, const char *version)
{
	if (!is_version(version))
		return 400;
	head->may_stay = strcmp(version, "HTTP/1.1") == 0;
	return head->may_stay || strcmp(version, "HTTP/1.0") == 0 ? 0 : 505;
}

static unsigned
parse_request_line(struct http_head *head, char *line)
{
	char *target = strchr(line, ' ');
	char *version = target != NULL ? strchr(target + 1, ' ') : NULL;
	unsigned status;

	if (version == NULL)
		return strlen(line) > HTTP_PATH_BYTES_MAX ? 414 : 400;
	*target++ = '\0';
	*version++ = '\0';
	head->method = line;
	if (!is_token(line) || strlen(line) > METHOD_BYTES_MAX)
		return 400;
	status = parse_target(head, target);
	return status != 0 ? status : parse_version(head, version);
}

static char *
trim(char *value)
{
	size_t length;

	value += strspn(value, " \t");
	length = strlen(value);
	while (length > 0 && (value[length - 1] == ' ' ||
	    value[length - 1] == '\t'))
		length--;
	value[length] = '\0';
	return value;
}

static bool
is_field_value(const char *value)
{
	for (; *value != '\0'; value++)
		if (((unsigned char)*value < ' ' && *value != '\t') ||
		    *value == 0x7f)
			return false;
	return true;
}

/* A line that begins with a blank would go on with the one before. */
static unsigned
parse_field(struct http_head *head, char *line)
{
	char *colon = strchr(line, ':');
	struct http_field *field = &head->fields[head->field_count];

	if (head->field_count == HTTP_FIELDS_MAX)
		return 431;
	if (colon == NULL)
		return 400;
	*colon = '\0';
	field->name = line;
	field->value = trim(colon + 1);
	head->field_count++;
	return is_token(line) && is_field_value(field->value) ? 0 : 400;
}

const char *
http_head_find(const struct http_head *head, const char *name)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (strcasecmp(head->fields[i].name, name) == 0)
			return head->fields[i].value;
	return NULL;
}

static size_t
count_fields(const struct http_head *head, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < head->field_count; i++)
		count += strcasecmp(head->fields[i].name, name) == 0;
	return count;
}

/* Does a list of words, with commas between them, have that one? */
static bool
has_word(const char *list, const char *word)
{
	while (*list != '\0') {
		size_t length;

		list += strspn(list, ", \t");
		length = strcspn(list, ", \t");
		if (length == strlen(word) &&
		    strncasecmp(list, word, length) == 0)
			return true;
		list += length;
	}
	return false;
}

static bool
has_field_word(const struct http_head *head, const char *name,
    const char *word)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (strcasecmp(head->fields[i].name, name) == 0 &&
		    has_word(head->fields[i].value, word))
			return true;
	return false;
}

static unsigned
read_length(struct http_head *head)
{
	const char *value = http_head_find(head, "content-length");
	size_t digits = value != NULL ? strspn(value, "0123456789") : 0;

	if (value == NULL)
		return 0;
	if (count_fields(head, "content-length") > 1 || digits == 0 ||
	    value[digits] != '\0')
		return 400;
	head->length = digits > LENGTH_DIGITS_MAX ? INT64_MAX
	    : strtoll(value, NULL, 10);
	return 0;
}

/* RFC 9112, 6.1: both lengths together are how requests are smuggled. */
static unsigned
read_coding(struct http_head *head)
{
	const char *coding = http_head_find(head, "transfer-encoding");

	if (coding == NULL)
		return 0;
	if (http_head_find(head, "content-length") != NULL || !head->may_stay ||
	    count_fields(head, "transfer-encoding") > 1)
		return 400;
	if (strcasecmp(coding, "chunked") != 0)
		return 501;
	head->is_chunked = true;
	return 0;
}

static unsigned
read_host(const struct http_head *head)
{
	size_t count = count_fields(head, "host");

	return count == 1 || (count == 0 && !head->may_stay) ? 0 : 400;
}

/* Of two, one program might believe the one and another one the other. */
static bool
has_doubled_fields(const struct http_head *head)
{
	static const char *const names[] = { "authorization", "content-type",
		"idempotency-key", "origin" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (count_fields(head, names[i]) > 1)
			return true;
	return false;
}

/* What the fields mean for the connection. */
static unsigned
weigh_fields(struct http_head *head)
{
	unsigned status = read_host(head);

	if (status == 0)
		status = read_length(head);
	if (status == 0)
		status = read_coding(head);
	if (status == 0 && has_doubled_fields(head))
		status = 400;
	head->expects_continue = head->may_stay &&
	    has_field_word(head, "expect", "100-continue");
	head->wants_websocket = head->may_stay &&
	    strcmp(head->method, "GET") == 0 &&
	    has_field_word(head, "connection", "upgrade") &&
	    has_field_word(head, "upgrade", "websocket");
	if (has_field_word(head, "connection", "close"))
		head->may_stay = false;
	return status;
}

unsigned
http_head_parse(struct http_head *head, char *bytes, size_t length)
{
	char *line = bytes + measure_empty_lines(bytes, length);
	char *end = bytes + length - 2;	/* of the last line, which is empty */
	char *next = cut_line(line);
	unsigned status;

	*head = (struct http_head){ .method = "" };
	status = parse_request_line(head, line);
	while (status == 0 && (line = next) < end) {
		next = cut_line(line);
		status = parse_field(head, line);
	}
	return status != 0 ? status : weigh_fields(head);
}
