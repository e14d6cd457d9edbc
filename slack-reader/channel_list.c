#include "channel_list.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define SEPARATORS ", \t\r\n"
#define ID_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define ID_BYTES_MAX 64

struct channel_list {
	char **ids;
	size_t count;
};

static bool
is_id(const char *word)
{
	size_t length = strlen(word);

	return length >= 2 && length <= ID_BYTES_MAX &&
	    strspn(word, ID_LETTERS) == length;
}

static int
add(struct channel_list *list, const char *word)
{
	if (!is_id(word)) {
		warnx("SLACK_CHANNEL_LIST: expected ids such as C0123ABCD, with"
		    " commas between them, not names: %s", word);
		return -1;
	}
	list->ids = xrealloc(list->ids,
	    (list->count + 1) * sizeof *list->ids);
	list->ids[list->count++] = xstrdup(word);
	return 0;
}

struct channel_list *
channel_list_new(const char *text)
{
	struct channel_list *list = xcalloc(1, sizeof *list);
	char *words = xstrdup(text != NULL ? text : ""), *rest;
	int status = 0;

	for (char *word = strtok_r(words, SEPARATORS, &rest); word != NULL;
	    word = strtok_r(NULL, SEPARATORS, &rest))
		status |= add(list, word);
	free(words);
	if (status == 0)
		return list;
	channel_list_free(list);
	return NULL;
}

void
channel_list_free(struct channel_list *list)
{
	if (list == NULL)
		return;
	for (size_t i = 0; i < list->count; i++)
		free(list->ids[i]);
	free(list->ids);
	free(list);
}

bool
channel_list_has(const struct channel_list *list, const char *channel)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->ids[i], channel) == 0)
			return true;
	return list->count == 0;
}
