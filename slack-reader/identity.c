#include "identity.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "memory.h"

#define FIRST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 60000
#define METHOD "auth.test"
#define URL_BYTES_MAX 255
#define TOKEN_NAME "SLACK_BOT_TOKEN"

/* What the token must be allowed to do, and what does not work without. */
static const struct scope {
	const char *name;
	const char *loss;
} scopes[] = {
	{ "channels:history", "no messages of public channels" },
	{ "groups:history", "no messages of private channels" },
	{ "im:history", "no messages and commands in direct messages" },
	{ "mpim:history", "no messages of group direct messages" },
	{ "channels:read", "no names of public channels, and nothing that was"
	    " missed in them is fetched" },
	{ "groups:read", "no names of private channels, and nothing that was"
	    " missed in them is fetched" },
	{ "im:read", "nothing that was missed in direct messages is fetched" },
	{ "mpim:read", "no names of group direct messages, and nothing that"
	    " was missed in them is fetched" },
	{ "users:read", "no names of users" },
	{ "files:read", "no downloads of attachments" },
	{ "chat:write", "no answers to commands, no relays" },
	{ "files:write", "no attachments with what is forwarded" },
	{ "im:write", "nothing is forwarded to people" },
};

struct identity {
	struct identity_settings settings;
	struct slack_call *call;	/* NULL: none is under way */
	struct timer again;
	struct backoff backoff;
	bool is_reported;		/* that it does not answer */
	char *user;			/* NULL: not known yet */
	char *bot;			/* NULL: it has none */
	char *url;			/* of the workspace, or NULL */
};

/* Is the scope one of those with commas between them? */
static bool
has_scope(const char *list, const char *name)
{
	while (*list != '\0') {
		size_t length;

		list += strspn(list, ", ");
		length = strcspn(list, ", ");
		if (length == strlen(name) &&
		    memcmp(list, name, length) == 0)
			return true;
		list += length;
	}
	return false;
}

static void
report_missing(const char *list)
{
	for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
		if (!has_scope(list, scopes[i].name))
			warnx(TOKEN_NAME " lacks the scope %s: %s; add it to"
			    " the app and install the app again",
			    scopes[i].name, scopes[i].loss);
}

static void
try_again(struct identity *identity, const char *reason)
{
	if (!identity->is_reported)
		warnx(METHOD ": %s; trying again", reason);
	identity->is_reported = true;
	timers_set(identity->settings.timers, &identity->again,
	    backoff_next_ms(&identity->backoff));
}

/* It is shown to people as a link: nothing but an address goes through. */
static bool
is_url(const char *text)
{
	size_t length = strlen(text);

	return (strncmp(text, "https://", 8) == 0 ||
	    strncmp(text, "http://", 7) == 0) && length <= URL_BYTES_MAX &&
	    text[length - 1] == '/' &&
	    strpbrk(text, "<>|\"'` \t\r\n") == NULL;
}

static void
take_identity(struct identity *identity, const struct slack_reply *reply)
{
	const char *user = json_string(reply->json, "user_id");
	const char *bot = json_string(reply->json, "bot_id");
	const char *url = json_string(reply->json, "url");

	if (user == NULL || *user == '\0') {
		try_again(identity, "the answer names no user");
		return;
	}
	identity->user = xstrdup(user);
	if (bot != NULL && *bot != '\0')
		identity->bot = xstrdup(bot);
	if (url != NULL && is_url(url))
		identity->url = xstrdup(url);
	if (reply->scopes != NULL)
		report_missing(reply->scopes);
	identity->settings.known(identity->settings.arg);
}

/* The identity may be freed in here. */
static void
fail(struct identity *identity, const struct slack_reply *reply)
{
	struct buffer sentence = { 0 };

	slack_api_advise(&sentence, METHOD, TOKEN_NAME, reply->error,
	    reply->needed);
	identity->settings.failed(buffer_string(&sentence),
	    identity->settings.arg);
	buffer_free(&sentence);
}

static void
take_reply(const struct slack_reply *reply, void *arg)
{
	struct identity *identity = arg;

	identity->call = NULL;
	if (reply->verdict == SLACK_OK)
		take_identity(identity, reply);
	else if (reply->verdict == SLACK_FORBIDDEN)
		fail(identity, reply);
	else
		try_again(identity, reply->error);
}

static void
ask(void *arg)
{
	struct identity *identity = arg;

	identity->call = slack_api_call(identity->settings.api,
	    &(struct slack_request){
		.method = METHOD,
		.token = identity->settings.bot_token,
	    }, take_reply, identity);
}

struct identity *
identity_new(const struct identity_settings *settings)
{
	struct identity *identity = xcalloc(1, sizeof *identity);

	identity->settings = *settings;
	identity->again = (struct timer){ .due = ask, .arg = identity };
	identity->backoff = (struct backoff){
		.first_ms = FIRST_PAUSE_MS,
		.most_ms = LONGEST_PAUSE_MS,
	};
	ask(identity);
	return identity;
}

void
identity_free(struct identity *identity)
{
	if (identity == NULL)
		return;
	if (identity->call != NULL)
		slack_api_cancel(identity->call);
	timers_cancel(identity->settings.timers, &identity->again);
	free(identity->user);
	free(identity->bot);
	free(identity->url);
	free(identity);
}

const char *
identity_user(const struct identity *identity)
{
	return identity->user;
}

const char *
identity_url(const struct identity *identity)
{
	return identity->url;
}

static bool
is_same(const char *text, const char *own)
{
	return text != NULL && own != NULL && strcmp(text, own) == 0;
}

static bool
is_by_us(const struct identity *identity, const cJSON *message)
{
	return is_same(json_string(message, RECORD_USER), identity->user) ||
	    is_same(json_string(message, "bot_id"), identity->bot);
}

/* We are told of our own coming and going as of everybody's. */
static bool
is_membership(struct record *event)
{
	const char *type = record_string(event, RECORD_TYPE);

	return type != NULL && (strcmp(type, "member_joined_channel") == 0 ||
	    strcmp(type, "member_left_channel") == 0);
}

bool
identity_is_own(const struct identity *identity, struct record *event)
{
	const char *subtype = record_string(event, RECORD_SUBTYPE);
	const cJSON *inner = NULL;

	if (is_membership(event))
		return false;
	if (is_same(record_string(event, RECORD_USER), identity->user) ||
	    is_same(record_string(event, "bot_id"), identity->bot))
		return true;
	if (subtype != NULL && strcmp(subtype, "message_changed") == 0)
		inner = record_object(event, RECORD_MESSAGE);
	if (inner == NULL && subtype != NULL &&
	    (strcmp(subtype, "message_changed") == 0 ||
	    strcmp(subtype, "message_deleted") == 0))
		inner = record_object(event, RECORD_PREVIOUS_MESSAGE);
	return is_by_us(identity, inner);
}

/* <@BOT> or <@BOT|name> */
static bool
begins_with_mention(const char *text, const char *user)
{
	size_t length = strlen(user);

	text += strspn(text, " \t\r\n");
	if (strncmp(text, "<@", 2) != 0 ||
	    strncmp(text + 2, user, length) != 0)
		return false;
	text += 2 + length;
	return *text == '>' || (*text == '|' && strchr(text, '>') != NULL);
}

/* Of an edit what the message says now. */
static const char *
find_text(struct record *event)
{
	if (record_is(event, RECORD_SUBTYPE, "message_changed"))
		return json_string(record_object(event, RECORD_MESSAGE),
		    RECORD_TEXT);
	return record_string(event, RECORD_TEXT);
}

bool
identity_is_addressed(const struct identity *identity, struct record *event)
{
	const char *type = record_string(event, RECORD_CHANNEL_TYPE);
	const char *text = find_text(event);

	if (type != NULL && strcmp(type, "im") == 0)
		return true;
	return text != NULL && identity->user != NULL &&
	    begins_with_mention(text, identity->user);
}
