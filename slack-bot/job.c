#include "job.h"

#include <stdio.h>
#include <string.h>

const char *
job_field(const char *words, char *field, size_t size)
{
	size_t length = strcspn(words, " ");

	snprintf(field, size, "%.*s", (int)length, words);
	return words[length] == ' ' ? words + length + 1 : words + length;
}

void
job_do(const struct bot_settings *settings, const char *words,
    struct buffer *reply)
{
	char name[16];
	const char *rest = job_field(words, name, sizeof name);

	if (strcmp(name, "test") == 0)
		test_do(settings, rest, reply);
	else if (strcmp(name, "gif") == 0)
		gif_do(settings, rest, reply);
	else
		buffer_append_string(reply, "I forgot what you asked. Please"
		    " ask again.");
}
