#include "subscribers.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define TIDY_LINES 1000		/* new lines that are worth it */

/* Watches in the order of watch_compare. */
struct watches {
	struct watch **watches;
	size_t count;
};

struct subscribers {
	struct serials *serials;
	struct subscriptions table;
	size_t tidy_at;

	/* what is in force, and for which seqs that holds */
	bool is_stale;
	int64_t after;
	int64_t until;		/* INT64_MAX: for all to come */
	struct watches watches;
	struct subscription **mutes;	/* one a user, by name */
	size_t mute_count;
	struct pattern **patterns;
	size_t pattern_count;
	bool has_changed;	/* other patterns than the set has */
	bool has_untold;	/* maybe */
};

struct subscribers *
subscribers_new(struct serials *serials)
{
	struct subscribers *subscribers = xcalloc(1, sizeof *subscribers);

	subscribers->serials = serials;
	subscribers->is_stale = true;
	subscribers->tidy_at = TIDY_LINES;
	return subscribers;
}

void
subscribers_free(struct subscribers *subscribers)
{
	if (subscribers == NULL)
		return;
	for (size_t i = 0; i < subscribers->watches.count; i++)
		watch_free(subscribers->watches.watches[i]);
	free(subscribers->watches.watches);
	free(subscribers->mutes);
	free(subscribers->patterns);
	subscriptions_free(&subscribers->table);
	free(subscribers);
}

/* --- lines -----------------------------------------------------------------*/

int
subscribers_read(struct subscribers *subscribers, const char *path)
{
	struct subscriptions table = { 0 };
	size_t bad;

	if (subscriptions_read(&table, path, &bad) == -1) {
		warn("read %s", path);
		subscriptions_free(&table);
		return -1;
	}
	subscriptions_free(&subscribers->table);
	subscribers->table = table;
	subscribers->tidy_at = table.count + TIDY_LINES;
	subscribers->is_stale = true;
	return 0;
}

/* Forget what ended long ago when many lines have come since the last time. */
static bool
make_room(struct subscribers *subscribers)
{
	struct subscriptions *table = &subscribers->table;

	if (table->count >= subscribers->tidy_at) {
		subscriptions_tidy(table);
		subscribers->tidy_at = table->count + TIDY_LINES;
		subscribers->is_stale = true;
	}
	return table->count < SUBSCRIBERS_LINES_MAX;
}

/* Returns what is wrong with the line, or NULL. */
static const char *
take_line(struct subscribers *subscribers, const char *text)
{
	const char *reason = "a line is no string";
	struct subscription *line = text != NULL
	    ? subscription_parse(text, strlen(text), &reason) : NULL;

	if (line == NULL)
		return reason;
	if (line->kind != SUBSCRIPTION_FORWARD &&
	    line->kind != SUBSCRIPTION_MUTE) {
		free(line);
		return NULL;
	}
	if (!make_room(subscribers)) {
		free(line);
		return "too many lines";
	}
	if (subscriptions_take(&subscribers->table, line) != NULL)
		subscribers->is_stale = true;
	return NULL;
}

void
subscribers_take(struct subscribers *subscribers, struct record *record,
    int64_t seq)
{
	const cJSON *lines = record_array(record, RECORD_SUBSCRIPTIONS), *line;

	cJSON_ArrayForEach(line, lines) {
		const char *wrong = take_line(subscribers,
		    cJSON_GetStringValue(line));

		if (wrong != NULL)
			record_fail(record, RECORD_SUBSCRIPTIONS ": %s",
			    wrong);
	}
	if (seq > subscribers->table.seq)
		subscribers->table.seq = seq;
}

/* --- what is in force ------------------------------------------------------*/

static int
compare_lines(const void *a, const void *b)
{
	const struct subscription *left = *(struct subscription *const *)a;
	const struct subscription *right = *(struct subscription *const *)b;
	int order = left->kind == SUBSCRIPTION_FORWARD
	    ? watch_compare(left, right) : 0;

	if (order == 0)
		order = strcmp(left->user, right->user);
	return order != 0 ? order
	    : (left->from > right->from) - (left->from < right->from);
}

/* The lines of a kind in force at the record; the caller frees the array. */
static struct subscription **
find_in_force(const struct subscriptions *table, enum subscription_kind kind,
    int64_t seq, size_t *count)
{
	struct subscription **found = xcalloc(table->count + 1,
	    sizeof *found);

	*count = 0;
	for (size_t i = 0; i < table->count; i++)
		if (table->lines[i]->kind == kind &&
		    subscription_in_force(table->lines[i], seq))
			found[(*count)++] = table->lines[i];
	qsort(found, *count, sizeof *found, compare_lines);
	return found;
}

/* A change at record `at` shows behind it. */
static void
note_change(struct subscribers *subscribers, int64_t at, int64_t seq)
{
	if (at < seq && at > subscribers->after)
		subscribers->after = at;
	if (at >= seq && at < subscribers->until)
		subscribers->until = at;
}

/* For which seqs is all as it is at this one? */
static void
find_span(struct subscribers *subscribers, int64_t seq)
{
	const struct subscriptions *table = &subscribers->table;

	subscribers->after = seq == 0 ? -1 : 0;
	subscribers->until = seq == 0 ? 0 : INT64_MAX;
	for (size_t i = 0; seq > 0 && i < table->count; i++) {
		note_change(subscribers, table->lines[i]->from, seq);
		if (table->lines[i]->to != 0)
			note_change(subscribers, table->lines[i]->to, seq);
	}
}

/* Of a user's mutes the last one counts. */
static void
find_mutes(struct subscribers *subscribers, int64_t seq)
{
	struct subscription **mutes;
	size_t count, kept = 0;

	mutes = find_in_force(&subscribers->table, SUBSCRIPTION_MUTE, seq,
	    &count);
	for (size_t i = 0; i < count; i++) {
		if (kept > 0 &&
		    strcmp(mutes[kept - 1]->user, mutes[i]->user) == 0)
			kept--;
		mutes[kept++] = mutes[i];
	}
	free(subscribers->mutes);
	subscribers->mutes = mutes;
	subscribers->mute_count = kept;
}

static int
compare_user(const void *user, const void *line)
{
	return strcmp(user, (*(struct subscription *const *)line)->user);
}

const struct subscription *
subscribers_find_mute(const struct subscribers *subscribers, const char *user)
{
	struct subscription **found = bsearch(user, subscribers->mutes,
	    subscribers->mute_count, sizeof *found, compare_user);

	return found != NULL ? *found : NULL;
}

/* How many lines from the first on are for one watch. */
static size_t
count_equal(struct subscription *const *lines, size_t count)
{
	size_t equal = 1;

	while (equal < count && watch_compare(lines[0], lines[equal]) == 0)
		equal++;
	return equal;
}

/*
 * The watches for the lines: those that were there before are taken over from
 * `old`, which has NULL in their places then.
 */
static struct watches
make_watches(struct subscribers *subscribers, struct watches *old,
    struct subscription *const *lines, size_t count)
{
	struct watches made = {
		xcalloc(count + 1, sizeof(struct watch *)), 0
	};

	for (size_t i = 0, at = 0, equal; i < count; i += equal) {
		struct watch *watch = NULL;

		equal = count_equal(lines + i, count - i);
		while (at < old->count &&
		    watch_compare(old->watches[at]->key, lines[i]) < 0)
			at++;
		if (at < old->count &&
		    watch_compare(old->watches[at]->key, lines[i]) == 0) {
			watch = old->watches[at];
			old->watches[at++] = NULL;
		} else {
			watch = watch_new(lines[i], subscribers->serials);
			subscribers->has_changed = true;
		}
		watch_gather(watch, lines + i, equal);
		made.watches[made.count++] = watch;
	}
	return made;
}

/* Free what is in force no more. */
static void
free_watches(struct subscribers *subscribers, struct watches *old)
{
	for (size_t i = 0; i < old->count; i++) {
		if (old->watches[i] != NULL)
			subscribers->has_changed = true;
		watch_free(old->watches[i]);
	}
	free(old->watches);
}

static void
list_patterns(struct subscribers *subscribers)
{
	const struct watches *watches = &subscribers->watches;

	subscribers->patterns = xrealloc(subscribers->patterns,
	    (watches->count + 1) * sizeof *subscribers->patterns);
	subscribers->pattern_count = 0;
	for (size_t i = 0; i < watches->count; i++) {
		struct watch *watch = watches->watches[i];

		if (watch->pattern != NULL && !watch->is_quarantined)
			subscribers->patterns[subscribers->pattern_count++] =
			    watch->pattern;
		if (watch->is_quarantined)
			subscribers->has_untold = true;
	}
}

void
subscribers_follow(const struct subscribers *subscribers,
    struct pattern_set *set)
{
	patterns_follow(set, subscribers->patterns,
	    subscribers->pattern_count);
}

bool
subscribers_sync(struct subscribers *subscribers, int64_t seq,
    struct pattern_set *set)
{
	struct watches old = subscribers->watches;
	struct subscription **lines;
	size_t count;

	if (!subscribers->is_stale && seq > subscribers->after &&
	    seq <= subscribers->until)
		return false;
	lines = find_in_force(&subscribers->table, SUBSCRIPTION_FORWARD, seq,
	    &count);
	subscribers->watches = make_watches(subscribers, &old, lines, count);
	free(lines);
	find_mutes(subscribers, seq);
	find_span(subscribers, seq);
	list_patterns(subscribers);
	subscribers_follow(subscribers, set);
	free_watches(subscribers, &old);

	bool has_changed = subscribers->has_changed;
	subscribers->has_changed = false;
	subscribers->is_stale = false;
	return has_changed;
}

/* --- quarantine ------------------------------------------------------------*/

void
subscribers_quarantine(struct subscribers *subscribers, struct watch *watch)
{
	watch->is_quarantined = true;
	subscribers->is_stale = true;
	subscribers->has_changed = true;
	subscribers->has_untold = true;
}

struct watch *
subscribers_next_untold(struct subscribers *subscribers)
{
	const struct watches *watches = &subscribers->watches;

	for (size_t i = 0; subscribers->has_untold && i < watches->count; i++)
		if (watch_is_untold(watches->watches[i]))
			return watches->watches[i];
	subscribers->has_untold = false;
	return NULL;
}
