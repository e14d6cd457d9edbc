#include "channels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "clock.h"
#include "memory.h"
#include "record.h"

#define ID_BYTES_MIN 9
#define ID_BYTES_MAX 64
#define PAGE "200"
#define PAGES_MAX 25
#define KNOWN_MS 3600000	/* then a channel may have another name */

struct known {
	char *target;		/* a name without #, or a person's id */
	char *id;
	int64_t since_ms;
};

/* Who waits for the names, or for the answer about a person. */
struct query {
	struct query *next;
	struct channels *channels;
	char *target;
	void (*done)(const char *id, const struct slack_reply *reply,
	    void *arg);
	void *arg;
};

struct channels {
	struct slack_api *api;
	const char *token;
	struct known *known;
	size_t count;
	struct query *queries;		/* for names */
	struct query *people;		/* each with a call of its own */
	bool is_listing;
	unsigned pages;
	int64_t listed_ms;		/* when that was last done, or 0 */
};

bool
channels_is_id(const char *text, const char *letters)
{
	size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

	return strchr(letters, *text) != NULL && length >= ID_BYTES_MIN &&
	    length <= ID_BYTES_MAX && text[length] == '\0';
}

struct channels *
channels_new(struct slack_api *api, const char *token)
{
	struct channels *channels = xcalloc(1, sizeof *channels);

	channels->api = api;
	channels->token = token;
	return channels;
}

static void
free_query(struct query *query)
{
	free(query->target);
	free(query);
}

static void
free_queries(struct query *query)
{
	while (query != NULL) {
		struct query *next = query->next;

		free_query(query);
		query = next;
	}
}

void
channels_free(struct channels *channels)
{
	if (channels == NULL)
		return;
	free_queries(channels->queries);
	free_queries(channels->people);
	for (size_t i = 0; i < channels->count; i++) {
		free(channels->known[i].target);
		free(channels->known[i].id);
	}
	free(channels->known);
	free(channels);
}

static struct known *
find_known(const struct channels *channels, const char *target)
{
	for (size_t i = 0; i < channels->count; i++)
		if (strcmp(channels->known[i].target, target) == 0)
			return &channels->known[i];
	return NULL;
}

/* Where there are too many, another one is forgotten. */
static struct known *
add_known(struct channels *channels, const char *target)
{
	struct known *known;

	if (channels->count == CHANNELS_MAX) {
		known = &channels->known[arc4random_uniform(CHANNELS_MAX)];
		free(known->target);
		free(known->id);
	} else {
		channels->known = xrealloc(channels->known,
		    (channels->count + 1) * sizeof *channels->known);
		known = &channels->known[channels->count++];
	}
	*known = (struct known){ .target = xstrdup(target) };
	return known;
}

static void
remember(struct channels *channels, const char *target, const char *id)
{
	struct known *known = find_known(channels, target);

	if (known == NULL)
		known = add_known(channels, target);
	free(known->id);
	known->id = xstrdup(id);
	known->since_ms = clock_steady_ms();
}

/* One that is not too old. */
static const struct known *
find_fresh(const struct channels *channels, const char *target)
{
	const struct known *known = find_known(channels, target);

	return known != NULL &&
	    clock_steady_ms() - known->since_ms < KNOWN_MS ? known : NULL;
}

static const char *
skip_mark(const char *target)
{
	return *target == '#' ? target + 1 : target;
}

void
channels_learn(struct channels *channels, const char *target, const char *id)
{
	target = skip_mark(target);
	if (!channels_is_id(target, "CGDZ") && channels_is_id(id, "CGDZ"))
		remember(channels, target, id);
}

static struct query *
add_query(struct channels *channels, struct query **list, const char *target,
    void (*done)(const char *id, const struct slack_reply *reply, void *arg),
    void *arg)
{
	struct query *query = xcalloc(1, sizeof *query);

	query->channels = channels;
	query->target = xstrdup(target);
	query->done = done;
	query->arg = arg;
	while (*list != NULL)
		list = &(*list)->next;
	*list = query;
	return query;
}

/* --- names ----------------------------------------------------------------*/

/* All that wait for names get what there is. */
static void
answer_queries(struct channels *channels, const struct slack_reply *reply)
{
	struct query *query = channels->queries;

	channels->is_listing = false;
	channels->queries = NULL;
	while (query != NULL) {
		struct query *next = query->next;
		const struct known *known = find_fresh(channels,
		    query->target);

		query->done(known != NULL ? known->id : NULL,
		    known != NULL ? NULL : reply, query->arg);
		free_query(query);
		query = next;
	}
}

static void take_page(const struct slack_reply *reply, void *arg);

static void
ask_for_page(struct channels *channels, const char *cursor)
{
	struct buffer arguments = { 0 };

	channels->is_listing = true;
	channels->pages++;
	slack_api_argument(&arguments, "types",
	    "public_channel,private_channel");
	slack_api_argument(&arguments, "exclude_archived", "true");
	slack_api_argument(&arguments, "limit", PAGE);
	if (cursor != NULL)
		slack_api_argument(&arguments, "cursor", cursor);
	slack_api_call(channels->api, &(struct slack_request){
		.method = "users.conversations", .token = channels->token,
		.arguments = buffer_string(&arguments),
	    }, take_page, channels);
	buffer_free(&arguments);
}

static void
remember_page(struct channels *channels, const cJSON *list)
{
	const cJSON *channel;

	cJSON_ArrayForEach(channel, list) {
		const char *name = json_string(channel, "name");
		const char *id = json_string(channel, "id");

		if (name != NULL && id != NULL && channels_is_id(id, "CGDZ"))
			remember(channels, name, id);
	}
}

static void
take_page(const struct slack_reply *reply, void *arg)
{
	struct channels *channels = arg;
	const char *cursor;

	if (reply->verdict != SLACK_OK) {
		answer_queries(channels, reply);
		return;
	}
	remember_page(channels, json_get(reply->json, "channels"));
	cursor = json_string(json_get(reply->json, "response_metadata"),
	    "next_cursor");
	if (cursor != NULL && *cursor != '\0' && channels->pages < PAGES_MAX) {
		ask_for_page(channels, cursor);
		return;
	}
	channels->listed_ms = clock_steady_ms();
	answer_queries(channels, NULL);
}

static bool
is_fresh(const struct channels *channels)
{
	return channels->listed_ms != 0 &&
	    clock_steady_ms() - channels->listed_ms < CHANNELS_FRESH_MS;
}

/* --- people ---------------------------------------------------------------*/

static void
unlink_person(struct query *query)
{
	struct query **link = &query->channels->people;

	while (*link != query)
		link = &(*link)->next;
	*link = query->next;
}

static void
take_conversation(const struct slack_reply *reply, void *arg)
{
	struct query *query = arg;
	const char *id = json_string(json_get(reply->json, "channel"), "id");

	unlink_person(query);
	if (reply->verdict == SLACK_OK && id != NULL &&
	    channels_is_id(id, "CGDZ")) {
		remember(query->channels, query->target, id);
		query->done(id, NULL, query->arg);
	} else {
		query->done(NULL, reply->verdict == SLACK_OK ? NULL : reply,
		    query->arg);
	}
	free_query(query);
}

static void
open_conversation(struct query *query)
{
	struct buffer arguments = { 0 };

	slack_api_argument(&arguments, "users", query->target);
	slack_api_call(query->channels->api, &(struct slack_request){
		.method = "conversations.open",
		.token = query->channels->token,
		.arguments = buffer_string(&arguments),
	    }, take_conversation, query);
	buffer_free(&arguments);
}

void
channels_find(struct channels *channels, const char *target,
    void (*done)(const char *id, const struct slack_reply *reply, void *arg),
    void *arg)
{
	const char *name = skip_mark(target);
	const struct known *known = find_fresh(channels, name);

	if (channels_is_id(name, "CGDZ")) {
		done(name, NULL, arg);
	} else if (known != NULL) {
		done(known->id, NULL, arg);
	} else if (channels_is_id(name, "UW")) {
		open_conversation(add_query(channels, &channels->people, name,
		    done, arg));
	} else if (is_fresh(channels)) {
		done(NULL, NULL, arg);
	} else {
		add_query(channels, &channels->queries, name, done, arg);
		if (channels->is_listing)
			return;
		channels->pages = 0;
		ask_for_page(channels, NULL);
	}
}
