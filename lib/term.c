#include "term.h"

#include <string.h>

#include "buffer.h"

#define CASELESS "(?i)"

/* The length of what stands behind the last slash, or -1 where no regex is. */
static int
count_flags(const char *term)
{
	const char *last = strrchr(term, '/');

	if (term[0] != '/' || last < term + 2)
		return -1;
	if (last[1] == '\0')
		return 0;
	return strcmp(last, "/i") == 0 ? 1 : -1;
}

bool
term_is_regex(const char *term)
{
	return count_flags(term) >= 0;
}

/* Phones make quotes curly, as they like: any kind stands for all. */
#define SINGLE_QUOTES "['\xe2\x80\x98\xe2\x80\x99\xe2\x80\x9a\xe2\x80\x9b]"
#define DOUBLE_QUOTES "[\"\xe2\x80\x9c\xe2\x80\x9d\xe2\x80\x9e\xe2\x80\x9f]"

static void
append_literal(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '"') {
			buffer_append_string(out, *text == '"' ? DOUBLE_QUOTES
			    : SINGLE_QUOTES);
			continue;
		}
		if (strchr("\\^$.[]|()?*+{}", *text) != NULL)
			buffer_append(out, "\\", 1);
		buffer_append(out, text, 1);
	}
}

char *
term_expression(const char *term)
{
	struct buffer out = { 0 };
	int flags = count_flags(term);

	if (flags == -1) {
		append_literal(&out, term);
	} else {
		if (flags == 1)
			buffer_append_string(&out, CASELESS);
		buffer_append(&out, term + 1,
		    strlen(term) - 2 - (size_t)flags);
	}
	buffer_string(&out);
	return out.data;
}

size_t
term_offset(const char *term, size_t at)
{
	int flags = count_flags(term);
	size_t before = flags == 1 ? strlen(CASELESS) : 0;

	if (flags == -1)
		return 0;
	return at > before ? at - before + 1 : 1;
}
