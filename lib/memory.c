#include "memory.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static void *
check(void *memory)
{
	if (memory == NULL)
		err(EX_OSERR, "allocate memory");
	return memory;
}

void *
xmalloc(size_t size)
{
	return check(malloc(size > 0 ? size : 1));
}

void *
xcalloc(size_t count, size_t size)
{
	return check(calloc(count > 0 ? count : 1, size));
}

void *
xrealloc(void *memory, size_t size)
{
	return check(realloc(memory, size > 0 ? size : 1));
}

char *
xstrdup(const char *text)
{
	return check(strdup(text));
}

char *
xstrndup(const char *text, size_t length)
{
	return check(strndup(text, length));
}
