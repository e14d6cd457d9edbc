/* mute, talk: when forwards are held back. */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "commands.h"
#include "words.h"

#define DAY_S 86400
#define MOST_S (30 * DAY_S)

static const struct {
	const char *name;	/* m, min and so on are short for it */
	const char *other;
	int64_t seconds;
} units[] = {
	{ "seconds", "secs", 1 }, { "minutes", "mins", 60 },
	{ "hours", "hrs", 3600 }, { "days", "", DAY_S },
	{ "weeks", "", 7 * DAY_S },
};

/* Seconds of a unit of so many letters, 0 where it is none. */
static int64_t
find_unit(const char *text, size_t letters)
{
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (letters > 0 &&
		    (strncasecmp(text, units[i].name, letters) == 0 ||
		    strncasecmp(text, units[i].other, letters) == 0))
			return units[i].seconds;
	return 0;
}

static size_t
count_letters(const char *text)
{
	size_t count = 0;

	while (isalpha((unsigned char)text[count]))
		count++;
	return count;
}

/* 30m, 2 hours, 1h 30m; returns false where it is none, or over 30 days. */
static bool
parse_duration(const char *text, int64_t *seconds)
{
	*seconds = 0;
	while (*text != '\0' && *seconds <= MOST_S) {
		size_t digits = strspn(text, "0123456789");
		const char *name = text + digits + strspn(text + digits, " ");
		size_t letters = count_letters(name);
		int64_t unit = find_unit(name, letters);

		if (digits == 0 || digits > 7 || unit == 0)
			return false;
		*seconds += strtoll(text, NULL, 10) * unit;
		text = name + letters;
		text += strspn(text, " ");
	}
	return *seconds > 0 && *seconds <= MOST_S;
}

static void
end_mute(struct request *request)
{
	const struct subscription *mute;
	size_t at = 0;

	while ((mute = book_next(request->book, &at, SUBSCRIPTION_MUTE,
	    request->user)) != NULL)
		book_end(request->book, mute);
}

static void
mute(struct request *request, int64_t until_s)
{
	end_mute(request);
	book_add(request->book, (struct subscription){
		.kind = SUBSCRIPTION_MUTE, .user = request->user,
		.until_s = until_s });
	buffer_append_string(&request->reply,
	    "I hold your forwards back until ");
	if (until_s == 0)
		buffer_append_string(&request->reply, "you say `talk`");
	else
		words_time(&request->reply, until_s);
	buffer_append_string(&request->reply,
	    ". What comes meanwhile you get as one digest then.");
}

/* A record of a slash command may not tell when it was given. */
static void
mute_for(struct request *request, int64_t seconds)
{
	if (request->time_s != 0)
		mute(request, request->time_s + seconds);
	else
		buffer_append_string(&request->reply, "I do not know what time"
		    " it is. Say `mute` alone, and `talk` later.");
}

void
mute_answer(struct request *request)
{
	struct buffer word = { 0 };
	int64_t seconds;

	words_undo(&word, request->rest, strlen(request->rest));
	while (word.length > 0 &&
	    strchr(" \t\r\n", word.data[word.length - 1]) != NULL)
		word.length--;
	request_greet(request);
	if (word.length == 0) {
		mute(request, 0);
	} else if (parse_duration(buffer_string(&word), &seconds)) {
		mute_for(request, seconds);
	} else {
		buffer_append_string(&request->reply, "I do not know for how"
		    " long: ");
		words_quote(&request->reply, buffer_string(&word));
		buffer_append_string(&request->reply, ". Say `mute 30m`, `mute"
		    " 2h`, `mute 1d`, at most 30 days, or `mute` alone.");
	}
	buffer_free(&word);
}

void
mute_talk(struct request *request)
{
	bool was_muted = book_find(request->book, SUBSCRIPTION_MUTE,
	    request->user, NULL) != NULL;

	end_mute(request);
	request_greet(request);
	buffer_append_string(&request->reply, was_muted
	    ? "your forwards come again. What was held back comes as one"
	    " digest, if there was anything."
	    : "your forwards were not held back, they come as ever.");
}
