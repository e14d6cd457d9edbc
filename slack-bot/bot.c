#include "bot.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "commands.h"
#include "slack_time.h"
#include "utf8.h"
#include "words.h"

#define ARGS_BYTES_MAX 300
#define SAID_BYTES_MAX 4096	/* that these may be made of */
#define ID_BYTES_MAX 64
#define TS_BYTES_MAX 32
#define QUARANTINE "quarantine/"

/* --- who speaks to whom -----------------------------------------------------*/

static bool
is_slash_command(struct record *record)
{
	return record_is(record, RECORD_TYPE, "slash_commands");
}

/* A new message, not what became of another one. Of one with our name Slack
 * may tell as app_mention, and slack-reader takes what comes first. */
static bool
is_said(struct record *record)
{
	static const char *const subtypes[] = { "file_share",
	    "thread_broadcast", "me_message" };

	if (!record_is(record, RECORD_TYPE, "message") &&
	    !record_is(record, RECORD_TYPE, "app_mention"))
		return false;
	if (record_get(record, RECORD_SUBTYPE) == NULL)
		return true;
	for (size_t i = 0; i < sizeof subtypes / sizeof *subtypes; i++)
		if (record_is(record, RECORD_SUBTYPE, subtypes[i]))
			return true;
	return false;
}

static bool
is_id(const char *text, size_t most)
{
	size_t length = 0;

	while (text[length] > ' ' && text[length] < 0x7f &&
	    strchr("<>|&\"", text[length]) == NULL)
		length++;
	return length > 0 && length <= most && text[length] == '\0';
}

/* Our user id, or NULL. */
static const char *
find_us(const struct bot *bot, struct record *record)
{
	const char *us = record_string(record, RECORD_ADDRESSED);

	return us != NULL ? us : bot->user;
}

/* By a person: bots may answer each other for ever. */
static bool
is_by_person(const struct bot *bot, struct record *record)
{
	const char *user = record_string(record, RECORD_USER);
	const char *us = find_us(bot, record);

	return record_get(record, RECORD_OWN) == NULL &&
	    record_get(record, "bot_id") == NULL && user != NULL &&
	    is_id(user, ID_BYTES_MAX) && (us == NULL || strcmp(user, us) != 0);
}

/* Behind <@BOT> or <@BOT|name> at the start; NULL where that is not there. */
static const char *
skip_mention(const char *text, const char *bot)
{
	size_t length = strlen(bot);
	const char *end;

	text += strspn(text, " \t\r\n");
	if (strncmp(text, "<@", 2) != 0 ||
	    strncasecmp(text + 2, bot, length) != 0)
		return NULL;
	text += 2 + length;
	end = strchr(text, '>');
	if (end == NULL || (end != text && *text != '|'))
		return NULL;
	end++;
	return end + strspn(end, ",:");	/* as in `@ultron: help` */
}

/* What was said to the bot, or NULL where nothing was. */
static const char *
find_words(const struct bot *bot, struct record *record)
{
	const char *text = record_string(record, RECORD_TEXT);
	const char *us = find_us(bot, record), *words = NULL;
	bool is_slash = is_slash_command(record);

	if (!is_slash && !is_said(record))
		return NULL;
	if (text != NULL && us != NULL)
		words = skip_mention(text, us);
	if (words != NULL || !(is_slash ||
	    record_is(record, RECORD_CHANNEL_TYPE, "im")))
		return words;
	return text != NULL ? text : "";
}

/* --- the answer -------------------------------------------------------------*/

/* The secret need not be a word. */
static bool
is_secret(const struct bot *bot, const struct words *words)
{
	const char *secret = bot->settings->secret;
	struct buffer said = { 0 };
	size_t length;
	bool is;

	if (secret == NULL)
		return false;
	length = strlen(secret);
	words_undo(&said, words->word, strnlen(words->word, 6 * length));
	is = strncmp(buffer_string(&said), secret, length) == 0 &&
	    strchr(" \t\r\n", said.data[length]) != NULL;
	buffer_free(&said);
	return is;
}

static const struct command *
choose_command(const struct bot *bot, const struct words *words)
{
	const struct command *command = commands_find(words->word,
	    words->length);

	if (is_secret(bot, words))
		return &commands_secret;
	return command != NULL ? command : &commands_unknown;
}

static void
append_member(struct buffer *json, const char *name, const char *value,
    size_t length)
{
	buffer_printf(json, ",\"%s\":", name);
	buffer_append_json(json, value, length);
}

/* The secret word stands in what Slack sent, and nowhere else. */
static void
append_args(struct buffer *json, const struct command *command,
    const struct words *words)
{
	const char *said = command == &commands_unknown ? words->word
	    : command == &commands_secret ? "" : words->rest;
	struct buffer args = { 0 };
	size_t length = strlen(said);

	words_undo(&args, said, length < SAID_BYTES_MAX ? length
	    : utf8_floor(said, SAID_BYTES_MAX));
	buffer_string(&args);
	length = args.length <= ARGS_BYTES_MAX ? args.length
	    : utf8_floor(args.data, ARGS_BYTES_MAX);
	append_member(json, "args", args.data, length);
	buffer_free(&args);
}

static void
add_command(struct record *record, const struct command *command,
    const struct request *request, const struct words *words)
{
	struct buffer json = { 0 };

	buffer_printf(&json, "{\"name\":\"%s\"", command->name);
	append_args(&json, command, words);
	if (request->is_later)
		buffer_append_string(&json, ",\"later\":true");
	else
		append_member(&json, "reply", request->reply.data,
		    request->reply.length);
	append_member(&json, "to", request->channel, strlen(request->channel));
	if (request->thread != NULL)
		append_member(&json, RECORD_THREAD_TS, request->thread,
		    strlen(request->thread));
	buffer_append_string(&json, "}");
	record_add_json(record, RECORD_COMMAND, json.data, json.length);
	buffer_free(&json);
}

/* When it was said, by Slack's clock if that is known. */
static int64_t
find_time_s(struct record *record)
{
	const char *received = record_string(record, RECORD_RECEIVED);
	int64_t time_us = 0;

	if (!slack_time(record, &time_us) && received != NULL)
		clock_parse(received, &time_us);
	return time_us / 1000000;
}

/* A slash command may be given where the bot is not: it is answered to who
 * gave it. */
static const char *
find_channel(struct record *record)
{
	const char *channel = record_string(record, RECORD_CHANNEL);

	return channel != NULL && is_id(channel, ID_BYTES_MAX) &&
	    !is_slash_command(record) ? channel
	    : record_string(record, RECORD_USER);
}

static const char *
find_thread(struct record *record)
{
	const char *thread = record_string(record, RECORD_THREAD_TS);

	return thread != NULL && is_id(thread, TS_BYTES_MAX) ? thread : NULL;
}

static void
answer_command(struct bot *bot, struct record *record, const char *text,
    int64_t seq)
{
	struct buffer clean = { 0 };
	words_clean(&clean, text);

	struct words words = words_split(buffer_string(&clean));
	const struct command *command = choose_command(bot, &words);
	struct request request = {
		.settings = bot->settings, .book = bot->book,
		.quotes = bot->quotes, .seq = seq,
		.time_s = find_time_s(record),
		.user = record_string(record, RECORD_USER),
		.channel = find_channel(record),
		.thread = find_thread(record), .rest = words.rest,
	};

	command->answer(&request);
	buffer_string(&request.reply);
	add_command(record, command, &request, &words);
	buffer_free(&request.reply);
	buffer_free(&clean);
}

/* --- what else changes subscriptions ----------------------------------------*/

/* A message that came late says nothing of the time. */
static void
end_mutes(struct bot *bot, struct record *record)
{
	const struct subscription *mute;
	int64_t time_us;
	size_t at = 0;

	if (!record_is(record, RECORD_TYPE, "message") ||
	    record_get(record, RECORD_BACKFILL) != NULL ||
	    !slack_time(record, &time_us) ||
	    !book_has_mute_until(bot->book, time_us / 1000000))
		return;
	while ((mute = book_next(bot->book, &at, SUBSCRIPTION_MUTE, NULL)) !=
	    NULL)
		if (mute->until_s != 0 &&
		    mute->until_s <= time_us / 1000000)
			book_end(bot->book, mute);
}

/*
 * The forward costs too much, scanner found, and its owner was told: the
 * delivery of that notice says which one, as quarantine/FROM/USER.
 */
static void
take_quarantine(struct bot *bot, struct record *record)
{
	const char *message = record_string(record, "message");
	const struct subscription *line;
	const char *user;
	char *end;
	int64_t from;
	size_t at = 0;

	/* a service names its messages as it likes */
	if (!record_is(record, "purpose", "notice") || message == NULL ||
	    strncmp(message, QUARANTINE, strlen(QUARANTINE)) != 0)
		return;
	from = strtoll(message + strlen(QUARANTINE), &end, 10);
	user = *end == '/' ? end + 1 : "";
	while ((line = book_next(bot->book, &at, SUBSCRIPTION_FORWARD,
	    user)) != NULL) {
		struct subscription refused = *line;

		if (line->from != from)
			continue;
		refused.kind = SUBSCRIPTION_REFUSED;
		book_end(bot->book, line);
		book_add(bot->book, refused);
		return;
	}
}

void
bot_answer(struct bot *bot, struct record *record)
{
	const struct buffer *changes;
	const char *words;
	int64_t seq = 0;

	record_integer(record, RECORD_SEQ, &seq);
	book_begin(bot->book, seq > 0 ? seq : 0);
	end_mutes(bot, record);
	if (record_is(record, RECORD_TYPE, "delivery"))
		take_quarantine(bot, record);
	else if (is_by_person(bot, record) &&
	    (words = find_words(bot, record)) != NULL)
		answer_command(bot, record, words, seq > 0 ? seq : 0);
	changes = book_changes(bot->book);
	if (changes != NULL)
		record_add_json(record, RECORD_SUBSCRIPTIONS, changes->data,
		    changes->length);
}
