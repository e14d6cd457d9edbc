#include "secret.h"

#include <ctype.h>
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "memory.h"

static char *
read_first_line(const char *variable, const char *path)
{
	char *line = NULL;
	size_t capacity = 0;
	FILE *file = fopen(path, "re");

	if (file == NULL)
		err(EX_CONFIG, "%s: open %s", variable, path);
	if (getline(&line, &capacity, file) == -1)
		errx(EX_CONFIG, "%s: %s is empty", variable, path);
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	if (*line == '\0')
		errx(EX_CONFIG, "%s: %s: the first line is empty", variable,
		    path);
	return line;
}

static bool
is_set(const char *value)
{
	return value != NULL && *value != '\0';
}

char *
secret_get(const char *name)
{
	const char *value = getenv(name), *path;
	char file_variable[128], *secret = NULL;

	snprintf(file_variable, sizeof file_variable, "%s_FILE", name);
	path = getenv(file_variable);
	if (is_set(value))
		secret = xstrdup(value);
	else if (is_set(path))
		secret = read_first_line(file_variable, path);
	unsetenv(name);
	unsetenv(file_variable);
	return secret;
}

char *
secret_get_token(const char *name, const char *older_name)
{
	char *token = secret_get(name);

	if (token == NULL)
		token = secret_get(older_name);
	for (const char *at = token; at != NULL && *at != '\0'; at++)
		if (!isgraph((unsigned char)*at))
			errx(EX_CONFIG, "%s: blanks or control characters in"
			    " the token", name);
	return token;
}
