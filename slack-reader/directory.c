#include "directory.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "clock.h"
#include "memory.h"
#include "name_cache.h"

#define LOOKUPS_MAX 64		/* that wait or are under way */
#define LOOKUPS_AT_ONCE 3	/* under way */
#define PROMPT_MS 1000		/* what takes longer is not soon */
#define WRITE_PAUSE_MS 60000
#define FIRST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 60000

/* What is looked up, each by a method of its own. */
enum kind { USER, CHANNEL, KINDS };

static const struct method {
	const char *name;
	const char *argument;	/* and the member of the answer */
} methods[KINDS] = {
	[USER] = { "users.info", "user" },
	[CHANNEL] = { "conversations.info", "channel" },
};

/* How it goes with a method. */
struct health {
	struct backoff backoff;
	int64_t resume_ms;	/* of the steady clock */
	bool has_failed;	/* the last time */
	bool is_reported;
};

struct lookup {
	struct directory *directory;
	enum kind kind;
	char id[NAME_CACHE_ID_MAX + 1];
	struct slack_call *call;	/* NULL: it waits */
	bool is_prompt;			/* Slack did not make it wait */
	int64_t sent_ms;
};

struct directory {
	struct directory_settings settings;
	struct name_cache *cache;
	struct health health[KINDS];
	struct lookup *lookups[LOOKUPS_MAX];	/* in order */
	size_t lookup_count;
	struct timer write_timer;
	bool is_changed;	/* since the file was written */
	bool cannot_write;	/* which was reported */
	struct buffer shown;
};

static int64_t
read_now_s(void)
{
	return clock_now_us() / 1000000;
}

static void
write_file(void *arg)
{
	struct directory *directory = arg;
	int result;

	if (!directory->is_changed)
		return;
	result = name_cache_write(directory->cache, directory->settings.path);
	if (result == -1 && !directory->cannot_write)
		warn("write %s", directory->settings.path);
	directory->cannot_write = result == -1;
	directory->is_changed = false;
}

struct directory *
directory_open(const struct directory_settings *settings)
{
	struct directory *directory = xcalloc(1, sizeof *directory);

	directory->settings = *settings;
	directory->cache = name_cache_new(DIRECTORY_NAMES_MAX);
	directory->write_timer = (struct timer){ .due = write_file,
	    .arg = directory };
	for (size_t i = 0; i < KINDS; i++)
		directory->health[i].backoff = (struct backoff){
			.first_ms = FIRST_PAUSE_MS,
			.most_ms = LONGEST_PAUSE_MS,
		};
	name_cache_read(directory->cache, settings->path);
	return directory;
}

void
directory_free(struct directory *directory)
{
	if (directory == NULL)
		return;
	for (size_t i = 0; i < directory->lookup_count; i++) {
		if (directory->lookups[i]->call != NULL)
			slack_api_cancel(directory->lookups[i]->call);
		free(directory->lookups[i]);
	}
	timers_cancel(directory->settings.timers, &directory->write_timer);
	write_file(directory);
	name_cache_free(directory->cache);
	buffer_free(&directory->shown);
	free(directory);
}

static void
note_change(struct directory *directory)
{
	directory->is_changed = true;
	if (!directory->write_timer.is_set)
		timers_set(directory->settings.timers,
		    &directory->write_timer, WRITE_PAUSE_MS);
}

static void
put_name(struct directory *directory, const char *id, const char *name)
{
	name_cache_put(directory->cache, id, name, read_now_s());
	if (name != NULL)
		note_change(directory);
}

static void
forget_name(struct directory *directory, const char *id)
{
	name_cache_forget(directory->cache, id);
	note_change(directory);
}

static bool
is_text(const char *text)
{
	return text != NULL && *text != '\0';
}

static const char *
find_user_name(const cJSON *user)
{
	const cJSON *profile = json_get(user, "profile");
	const char *name = json_string(profile, "display_name");

	if (!is_text(name))
		name = json_string(profile, "real_name");
	if (!is_text(name))
		name = json_string(user, "real_name");
	if (!is_text(name))
		name = json_string(user, "name");
	return is_text(name) ? name : NULL;
}

/* A dialogue is kept as "@" and the id of who is at the other end. */
static void
put_channel(struct directory *directory, const char *id,
    const cJSON *channel)
{
	const char *name = json_string(channel, "name");
	const char *peer = json_string(channel, "user");
	char reference[NAME_CACHE_ID_MAX + 2] = "@";

	if (is_text(name)) {
		put_name(directory, id, name);
	} else if (peer != NULL && name_cache_is_id(peer)) {
		strcat(reference, peer);
		put_name(directory, id, reference);
	} else {
		put_name(directory, id, NULL);
	}
}

static void
put_answer(struct directory *directory, const struct lookup *lookup,
    const cJSON *json)
{
	const cJSON *found = json_get(json, methods[lookup->kind].argument);

	if (lookup->kind == USER)
		put_name(directory, lookup->id, find_user_name(found));
	else
		put_channel(directory, lookup->id, found);
}

/* Say once for each method what a person must mend. */
static void
report(struct directory *directory, const struct lookup *lookup,
    const struct slack_reply *reply)
{
	struct health *health = &directory->health[lookup->kind];
	struct buffer sentence = { 0 };

	if (health->is_reported)
		return;
	health->is_reported = true;
	slack_api_advise(&sentence, methods[lookup->kind].name,
	    "SLACK_BOT_TOKEN", reply->error, reply->needed);
	warnx("names are not known: %s", buffer_string(&sentence));
	buffer_free(&sentence);
}

static void
take_out(struct directory *directory, const struct lookup *lookup)
{
	size_t i = 0;

	while (directory->lookups[i] != lookup)
		i++;
	directory->lookup_count--;
	memmove(&directory->lookups[i], &directory->lookups[i + 1],
	    (directory->lookup_count - i) * sizeof *directory->lookups);
}

/* Those that wait are forgotten; who still needs the name asks again. */
static void
pause_lookups(struct directory *directory, enum kind kind)
{
	struct health *health = &directory->health[kind];

	health->resume_ms = clock_steady_ms() +
	    backoff_next_ms(&health->backoff);
	for (size_t i = directory->lookup_count; i > 0; i--) {
		struct lookup *lookup = directory->lookups[i - 1];

		if (lookup->kind == kind && lookup->call == NULL) {
			take_out(directory, lookup);
			free(lookup);
		}
	}
}

static void
judge(struct directory *directory, const struct lookup *lookup,
    const struct slack_reply *reply)
{
	struct health *health = &directory->health[lookup->kind];
	const struct cached_name *known;

	health->has_failed = reply->verdict != SLACK_OK &&
	    reply->verdict != SLACK_NO_TARGET;
	if (reply->verdict == SLACK_OK) {
		health->backoff.failures = 0;
		put_answer(directory, lookup, reply->json);
		return;
	}
	if (reply->verdict == SLACK_RETRY ||
	    reply->verdict == SLACK_IN_DOUBT) {
		pause_lookups(directory, lookup->kind);
		return;
	}
	if (reply->verdict == SLACK_FORBIDDEN)
		report(directory, lookup, reply);
	known = name_cache_find(directory->cache, lookup->id);
	if (known == NULL || known->name == NULL)
		put_name(directory, lookup->id, NULL);
}

static void start_lookups(struct directory *directory);

static void
take_reply(const struct slack_reply *reply, void *arg)
{
	struct lookup *lookup = arg;
	struct directory *directory = lookup->directory;

	take_out(directory, lookup);
	judge(directory, lookup, reply);
	free(lookup);
	start_lookups(directory);
	directory->settings.changed(directory->settings.arg);
}

static void
send_lookup(struct directory *directory, struct lookup *lookup)
{
	const struct method *method = &methods[lookup->kind];
	struct buffer arguments = { 0 };
	struct slack_request request = {
		.method = method->name,
		.token = directory->settings.bot_token,
	};

	slack_api_argument(&arguments, method->argument, lookup->id);
	request.arguments = buffer_string(&arguments);
	lookup->is_prompt = !directory->health[lookup->kind].has_failed &&
	    !slack_api_is_busy(directory->settings.api, method->name);
	lookup->sent_ms = clock_steady_ms();
	lookup->call = slack_api_call(directory->settings.api, &request,
	    take_reply, lookup);
	buffer_free(&arguments);
}

static void
start_lookups(struct directory *directory)
{
	size_t under_way = 0;

	for (size_t i = 0; i < directory->lookup_count; i++)
		if (directory->lookups[i]->call != NULL)
			under_way++;
	for (size_t i = 0; i < directory->lookup_count &&
	    under_way < LOOKUPS_AT_ONCE; i++)
		if (directory->lookups[i]->call == NULL) {
			send_lookup(directory, directory->lookups[i]);
			under_way++;
		}
}

static struct lookup *
find_lookup(const struct directory *directory, const char *id)
{
	for (size_t i = 0; i < directory->lookup_count; i++)
		if (strcmp(directory->lookups[i]->id, id) == 0)
			return directory->lookups[i];
	return NULL;
}

/* Returns NULL where there is no room, or it is of no use to ask now. */
static struct lookup *
add_lookup(struct directory *directory, enum kind kind, const char *id)
{
	struct lookup *lookup;

	if (directory->lookup_count == LOOKUPS_MAX ||
	    clock_steady_ms() < directory->health[kind].resume_ms)
		return NULL;
	lookup = xcalloc(1, sizeof *lookup);
	lookup->directory = directory;
	lookup->kind = kind;
	strcpy(lookup->id, id);
	directory->lookups[directory->lookup_count++] = lookup;
	start_lookups(directory);
	return lookup;
}

/* A time in the future is that of a clock that was wrong. */
static bool
is_fresh(const struct cached_name *known)
{
	int64_t age_s = read_now_s() - known->at_s;

	return age_s >= 0 && age_s < (known->name != NULL ? DIRECTORY_AGE_S
	    : DIRECTORY_MISS_S);
}

/* Look up what is not known; returns whether the answer may come soon. */
static bool
want_name(struct directory *directory, enum kind kind, const char *id)
{
	const struct cached_name *known;
	const struct lookup *lookup;

	if (id == NULL || !name_cache_is_id(id))
		return false;
	known = name_cache_find(directory->cache, id);
	if (known != NULL && is_fresh(known))
		return false;
	lookup = find_lookup(directory, id);
	if (lookup == NULL)
		lookup = add_lookup(directory, kind, id);
	return lookup != NULL && (known == NULL || known->name == NULL) &&
	    lookup->call != NULL && lookup->is_prompt &&
	    clock_steady_ms() - lookup->sent_ms < PROMPT_MS;
}

/* Who wrote it: in an edit or a deletion that stands further in. */
static const char *
find_author(struct record *event, const char *name)
{
	const char *found = record_string(event, name);

	if (found == NULL)
		found = json_string(record_object(event, RECORD_MESSAGE),
		    name);
	if (found == NULL)
		found = json_string(record_object(event,
		    RECORD_PREVIOUS_MESSAGE), name);
	return found;
}

/* The id of who is at the other end of a dialogue, or NULL. */
static const char *
find_peer(struct directory *directory, const char *channel)
{
	const struct cached_name *known = channel == NULL ? NULL
	    : name_cache_find(directory->cache, channel);

	return known != NULL && known->name != NULL && known->name[0] == '@'
	    ? known->name + 1 : NULL;
}

bool
directory_look_up(struct directory *directory, struct record *event)
{
	const char *channel = record_string(event, RECORD_CHANNEL);
	bool is_soon = want_name(directory, CHANNEL, channel);

	if (want_name(directory, USER, find_peer(directory, channel)))
		is_soon = true;
	if (!is_text(find_author(event, "username")) &&
	    want_name(directory, USER, find_author(event, RECORD_USER)))
		is_soon = true;
	return is_soon;
}

static const char *
find_known(struct directory *directory, const char *id)
{
	const struct cached_name *known = id == NULL ? NULL
	    : name_cache_find(directory->cache, id);

	return known != NULL ? known->name : NULL;
}

/* The name a bot shows, or else that of the user; NULL where not known. */
static const char *
find_user(struct directory *directory, struct record *event)
{
	const char *name = find_author(event, "username");

	if (!is_text(name))
		name = find_known(directory, find_author(event, RECORD_USER));
	if (!is_text(name))
		name = json_string(record_object(event, "bot_profile"),
		    "name");
	return is_text(name) ? name : NULL;
}

static const char *
find_channel(struct directory *directory, const char *id)
{
	const char *peer = find_peer(directory, id), *name;

	if (peer == NULL)
		return find_known(directory, id);
	name = find_known(directory, peer);
	if (name == NULL)
		return NULL;
	directory->shown.length = 0;
	buffer_printf(&directory->shown, "@%s", name);
	return buffer_string(&directory->shown);
}

static void
append_name(struct buffer *names, const char *key, const char *name)
{
	buffer_append_string(names, names->length > 0 ? "," : "{");
	buffer_append_json(names, key, strlen(key));
	buffer_append(names, ":", 1);
	buffer_append_json(names, name, strlen(name));
}

void
directory_add_names(struct directory *directory, struct record *event)
{
	struct buffer names = { 0 };
	const char *name;

	if ((name = find_user(directory, event)) != NULL)
		append_name(&names, "user", name);
	name = find_channel(directory, record_string(event, RECORD_CHANNEL));
	if (name != NULL)
		append_name(&names, "channel", name);
	if (names.length > 0) {
		buffer_append(&names, "}", 1);
		record_add_json(event, RECORD_NAMES, names.data,
		    names.length);
	}
	buffer_free(&names);
}

const char *
directory_channel(struct directory *directory, const char *id)
{
	const char *name = find_channel(directory, id);

	return name != NULL ? name : id;
}

/* Only of those that were asked for: there are many more. */
static void
renew_name(struct directory *directory, const char *id, const char *name)
{
	if (id == NULL || name_cache_find(directory->cache, id) == NULL)
		return;
	if (is_text(name))
		put_name(directory, id, name);
	else
		forget_name(directory, id);
}

static void
notice_user(struct directory *directory, struct record *event)
{
	const cJSON *user = record_object(event, "user");

	renew_name(directory, json_string(user, "id"), find_user_name(user));
}

/* `channel` is an object in some events, an id in others. */
static void
notice_channel(struct directory *directory, struct record *event)
{
	const cJSON *channel = record_object(event, RECORD_CHANNEL);

	if (channel != NULL)
		renew_name(directory, json_string(channel, "id"),
		    json_string(channel, "name"));
	else
		renew_name(directory, record_string(event, RECORD_CHANNEL),
		    record_string(event, "name"));
}

static void
notice_new_id(struct directory *directory, struct record *event)
{
	renew_name(directory, record_string(event, "old_channel_id"), NULL);
	renew_name(directory, record_string(event, "new_channel_id"), NULL);
}

/* By `type`, of messages by `subtype`. */
static const struct notice {
	const char *type;
	void (*take)(struct directory *directory, struct record *event);
} notices[] = {
	{ "user_change", notice_user },
	{ "user_profile_changed", notice_user },
	{ "channel_rename", notice_channel },
	{ "group_rename", notice_channel },
	{ "channel_name", notice_channel },
	{ "group_name", notice_channel },
	{ "channel_archive", notice_channel },
	{ "channel_id_changed", notice_new_id },
};

void
directory_notice(struct directory *directory, struct record *event)
{
	const char *type = record_string(event, RECORD_TYPE);

	if (type != NULL && strcmp(type, "message") == 0)
		type = record_string(event, RECORD_SUBTYPE);
	for (size_t i = 0; type != NULL &&
	    i < sizeof notices / sizeof notices[0]; i++)
		if (strcmp(type, notices[i].type) == 0)
			notices[i].take(directory, event);
}
