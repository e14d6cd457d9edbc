#include "commands.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "url.h"
#include "words.h"

#define COMICS 3000		/* of xkcd that there are at least */

static void help(struct request *request);
static void quote(struct request *request);
static void xkcd(struct request *request);

static const struct command commands[] = {
	{ "help", "help", "this list", help },
	{ "forward", "forward TERM", "send me what matches: TERM as it stands,"
	    " or `/regex/`, `/regex/i`; with `in:#channel`,"
	    " `where:text|files`, `class:danger` if you like",
	    forward_answer },
	{ "list", "list", "what I forward to you, and how often it matched",
	    forward_list },
	{ "stop", "stop TERM", "no more of that; without TERM: of anything",
	    forward_stop },
	{ "mute", "mute 30m", "hold my forwards back for a while, or until"
	    " `talk`; they come as one digest", mute_answer },
	{ "talk", "talk", "send me my forwards again", mute_talk },
	{ "test", "test TERM", "how often TERM would have matched in the last"
	    " 24 hours", test_answer },
	{ "status", "status", "am I live, and how busy?", status_answer },
	{ "quote", "quote", "a piece of wisdom", quote },
	{ "xkcd", "xkcd N", "a comic; without N: some comic", xkcd },
	{ "gif", "gif CATEGORY", "a moving picture", gif_answer },
};
#define COMMANDS (sizeof commands / sizeof commands[0])

/* What people say, too, and help does not. */
static const struct {
	const char *word;
	const char *meant;
} others[] = {
	{ "unmute", "talk" },
};

static bool
is_word(const char *name, const char *word, size_t length)
{
	return strlen(name) == length && strncasecmp(name, word, length) == 0;
}

const struct command *
commands_find(const char *word, size_t length)
{
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (is_word(others[i].word, word, length)) {
			word = others[i].meant;
			length = strlen(word);
		}
	for (size_t i = 0; i < COMMANDS; i++)
		if (is_word(commands[i].name, word, length))
			return &commands[i];
	return NULL;
}

static void
help(struct request *request)
{
	struct buffer *reply = &request->reply;

	request_greet(request);
	buffer_append_string(reply, "This is what I can do for you:");
	for (size_t i = 0; i < COMMANDS; i++)
		buffer_printf(reply, "\n`%s` %s", commands[i].usage,
		    commands[i].help);
}

static void
append_quote(struct request *request, uint64_t salt)
{
	words_say(&request->reply, quotes_pick(request->quotes,
	    request_dice(request, salt)));
}

static void
quote(struct request *request)
{
	request_greet(request);
	buffer_append_string(&request->reply, "chosen for you:");
	append_quote(request, 1);
}

static void
xkcd(struct request *request)
{
	struct buffer word = { 0 };

	words_undo(&word, request->rest, strcspn(request->rest, " \t\r\n"));
	request_greet(request);
	buffer_append_string(&request->reply,
	    "chosen for you: https://xkcd.com/");
	if (word.length > 0)
		url_append_encoded(&request->reply, word.data,
		    word.length < 100 ? word.length : 100);
	else
		buffer_printf(&request->reply, "%" PRIu64,
		    request_dice(request, 2) % COMICS + 1);
	buffer_append_string(&request->reply, "/");
	buffer_free(&word);
}

/* What is on disk was there before it was answered: so say how much that is. */
static void
write_all(struct request *request)
{
	book_save(request->book);
	request_greet(request);
	buffer_printf(&request->reply, "Activated. All I know is on disk: %zu"
	    " forwards, %zu of them yours, and whatever was said up to now.",
	    book_count(request->book, SUBSCRIPTION_FORWARD, NULL),
	    book_count(request->book, SUBSCRIPTION_FORWARD, request->user));
}

static void
wonder(struct request *request)
{
	request_greet(request);
	buffer_append_string(&request->reply, "I did not understand that. Try"
	    " `help` for what I can do. Meanwhile:");
	append_quote(request, 3);
}

const struct command commands_secret = { "secret", NULL, NULL, write_all };
const struct command commands_unknown = { "unknown", NULL, NULL, wonder };
