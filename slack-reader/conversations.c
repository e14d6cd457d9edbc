#include "conversations.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "name_cache.h"
#include "pages.h"
#include "record.h"
#include "stamp.h"

#define METHOD "users.conversations"

/* One by one: each has a scope of its own, which may be missing. */
static const char *const types[] = {
	"public_channel", "private_channel", "mpim", "im"
};

#define TYPES (sizeof types / sizeof types[0])

struct conversations {
	struct conversations_settings settings;
	size_t type;
	struct pages *pages;
	struct record *item;	/* room to work in */
};

static void ask(struct conversations *conversations);

static bool
is_true(struct record *item, const char *name)
{
	return cJSON_IsTrue(record_get(item, name));
}

static const char *
find_type(struct record *item)
{
	if (is_true(item, "is_im"))
		return "im";
	if (is_true(item, "is_mpim"))
		return "mpim";
	if (is_true(item, "is_private") || is_true(item, "is_group"))
		return "group";
	return "channel";
}

static int
take_item(const char *text, size_t length, void *arg)
{
	struct conversations *conversations = arg;
	const char *id = NULL;

	if (record_parse(conversations->item, text, length) == 0)
		id = record_string(conversations->item, "id");
	if (id != NULL && name_cache_is_id(id))
		conversations->settings.found(id,
		    find_type(conversations->item),
		    conversations->settings.arg);
	return 0;
}

static bool
wants_more(const struct slack_reply *reply, void *arg)
{
	(void)reply;
	(void)arg;
	return true;
}

/* What was found is found again. */
static void
begin_anew(void *arg)
{
	(void)arg;
}

static void
end_type(const struct slack_reply *reply, void *arg)
{
	struct conversations *conversations = arg;
	const struct conversations_settings *settings =
	    &conversations->settings;

	pages_free(conversations->pages);
	conversations->pages = NULL;
	if (reply->verdict == SLACK_RETRY ||
	    reply->verdict == SLACK_IN_DOUBT) {
		settings->end(false, settings->arg);
		return;
	}
	if (reply->verdict != SLACK_OK &&
	    !settings->refused(reply, settings->arg)) {
		settings->end(false, settings->arg);
		return;
	}
	if (++conversations->type == TYPES)
		settings->end(true, settings->arg);
	else
		ask(conversations);
}

static void
ask(struct conversations *conversations)
{
	struct buffer arguments = { 0 };

	slack_api_argument(&arguments, "types",
	    types[conversations->type]);
	conversations->pages = pages_new(&(struct pages_settings){
		.api = conversations->settings.api,
		.timers = conversations->settings.timers,
		.token = conversations->settings.token,
		.method = METHOD,
		.array = "channels",
		.item = take_item,
		.page = wants_more,
		.anew = begin_anew,
		.end = end_type,
		.arg = conversations,
	    }, buffer_string(&arguments));
	buffer_free(&arguments);
}

struct conversations *
conversations_new(const struct conversations_settings *settings)
{
	static const char *const none[] = { NULL };
	struct conversations *conversations = xcalloc(1,
	    sizeof *conversations);

	conversations->settings = *settings;
	conversations->item = record_new(STAGE, none);
	ask(conversations);
	return conversations;
}

void
conversations_free(struct conversations *conversations)
{
	if (conversations == NULL)
		return;
	pages_free(conversations->pages);
	record_free(conversations->item);
	free(conversations);
}
