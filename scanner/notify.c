#include "notify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

void
notify_free(struct notify *notify)
{
	free(notify->users);
	buffer_free(&notify->json);
}

static void
add_members(struct notify *notify, const struct watch *watch,
    const char *author)
{
	size_t most = notify->count + watch->member_count;

	if (most > notify->capacity) {
		notify->capacity = 2 * most;
		notify->users = xrealloc(notify->users,
		    notify->capacity * sizeof *notify->users);
	}
	for (size_t i = 0; i < watch->member_count; i++) {
		const char *user = watch->members[i].user;

		if (author == NULL || strcmp(user, author) != 0)
			notify->users[notify->count++] = user;
	}
}

static int
compare_users(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Each user once, in order. */
static void
sort_users(struct notify *notify)
{
	size_t kept = 0;

	if (notify->count > 0)
		qsort(notify->users, notify->count, sizeof *notify->users,
		    compare_users);
	for (size_t i = 0; i < notify->count; i++)
		if (kept == 0 ||
		    strcmp(notify->users[kept - 1], notify->users[i]) != 0)
			notify->users[kept++] = notify->users[i];
	notify->count = kept;
}

/* The users who subscribed to something that was found. */
static void
gather_users(struct notify *notify, const struct findings *findings,
    const struct occasion *occasion)
{
	const struct watch *last = NULL;

	notify->count = 0;
	for (size_t i = 0; i < findings->match_count; i++) {
		const struct watch *watch = findings->matches[i].pattern->watch;

		if (watch == NULL || watch == last)
			continue;
		add_members(notify, watch, occasion->author);
		last = watch;
	}
	sort_users(notify);
}

/* Begin a list; what is appended to it ends with a comma. */
static void
open_list(struct notify *notify, const char *bracket)
{
	notify->json.length = 0;
	buffer_append(&notify->json, bracket, 1);
}

/* Add the list if there is anything in it. */
static void
close_list(struct notify *notify, const char *bracket, struct record *record,
    const char *name)
{
	struct buffer *json = &notify->json;

	if (json->length == 1)
		return;
	json->data[json->length - 1] = *bracket;
	record_add_json(record, name, json->data, json->length);
}

static void
write_users(struct notify *notify, const struct subscribers *subscribers,
    struct record *record)
{
	open_list(notify, "[");
	for (size_t i = 0; i < notify->count; i++) {
		const char *user = notify->users[i];

		if (subscribers_find_mute(subscribers, user) != NULL)
			continue;
		buffer_append_json(&notify->json, user, strlen(user));
		buffer_append(&notify->json, ",", 1);
	}
	close_list(notify, "]", record, RECORD_NOTIFY);
}

static void
write_held(struct notify *notify, const struct subscribers *subscribers,
    struct record *record)
{
	open_list(notify, "{");
	for (size_t i = 0; i < notify->count; i++) {
		const char *user = notify->users[i];
		const struct subscription *mute =
		    subscribers_find_mute(subscribers, user);

		if (mute == NULL)
			continue;
		buffer_append_json(&notify->json, user, strlen(user));
		buffer_printf(&notify->json, ":%" PRId64 ",", mute->until_s);
	}
	close_list(notify, "}", record, RECORD_HELD);
}

/* Each member of a watch is told of its quarantine once. */
static void
write_quarantine(struct notify *notify, struct subscribers *subscribers,
    const struct occasion *occasion, struct record *record)
{
	struct watch *watch;

	for (size_t i = 0; i < occasion->struck_count; i++)
		if (occasion->struck[i]->strikes >= WATCH_STRIKES_MAX)
			subscribers_quarantine(subscribers,
			    occasion->struck[i]);
	open_list(notify, "[");
	while ((watch = subscribers_next_untold(subscribers)) != NULL) {
		buffer_append(&notify->json, "{", 1);
		watch_append_members(watch, NULL, watch->told, &notify->json);
		buffer_append(&notify->json, "},", 2);
		watch_tell(watch);
	}
	close_list(notify, "]", record, RECORD_QUARANTINE);
}

void
notify_write(struct notify *notify, struct subscribers *subscribers,
    const struct findings *findings, const struct occasion *occasion,
    struct record *record)
{
	gather_users(notify, findings, occasion);
	write_users(notify, subscribers, record);
	write_held(notify, subscribers, record);
	write_quarantine(notify, subscribers, occasion, record);
}
