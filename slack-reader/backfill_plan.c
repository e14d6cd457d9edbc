#include "backfill_plan.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "draft.h"
#include "json_scan.h"
#include "memory.h"
#include "name_cache.h"
#include "slack_ts.h"

#define FILE_BYTES_MAX (4 * 1024 * 1024)
#define FIRST_PAUSE_MS 10000
#define LONGEST_PAUSE_MS 600000
#define ALL "*"
#define DAMAGED "?"		/* no channel: the file is read as damaged */
#define NEVER INT64_MAX		/* nothing is owed */

struct backfill_plan {
	const char *path;
	int64_t all_since_us;
	int64_t all_until_us;
	bool is_damaged;		/* which is not safely told yet */
	struct backfill_debt **debts;	/* sorted by channel */
	size_t count;
	uint64_t next_rank;
	bool cannot_write;		/* which was reported */
};

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* What was handed over counts only where nothing older is wanted now. */
static void
owe(struct backfill_debt *debt, int64_t since_us, int64_t until_us,
    int64_t given_us)
{
	debt->until_us = later(debt->until_us, until_us);
	if (since_us >= debt->since_us)
		return;
	debt->since_us = since_us;
	debt->given_us = given_us;
}

/* Where the channel is, or would be. */
static size_t
find_place(const struct backfill_plan *plan, const char *channel)
{
	size_t low = 0, high = plan->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(plan->debts[middle]->channel, channel) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct backfill_debt *
insert_debt(struct backfill_plan *plan, size_t place, const char *channel)
{
	struct backfill_debt *debt = xcalloc(1, sizeof *debt);

	debt->channel = xstrdup(channel);
	debt->since_us = NEVER;
	debt->rank = plan->next_rank++;
	debt->backoff.first_ms = FIRST_PAUSE_MS;
	debt->backoff.most_ms = LONGEST_PAUSE_MS;
	debt->backoff.failures = 1;	/* never at once again */
	plan->debts = xrealloc(plan->debts,
	    (plan->count + 1) * sizeof *plan->debts);
	memmove(&plan->debts[place + 1], &plan->debts[place],
	    (plan->count - place) * sizeof *plan->debts);
	plan->debts[place] = debt;
	plan->count++;
	return debt;
}

/* Returns NULL where there are too many. */
static struct backfill_debt *
add_debt(struct backfill_plan *plan, const char *channel)
{
	size_t place = find_place(plan, channel);

	if (place < plan->count &&
	    strcmp(plan->debts[place]->channel, channel) == 0)
		return plan->debts[place];
	if (plan->count == BACKFILL_CHANNELS_MAX ||
	    !name_cache_is_id(channel))
		return NULL;
	return insert_debt(plan, place, channel);
}

void
backfill_plan_remove(struct backfill_plan *plan, struct backfill_debt *debt)
{
	size_t place = find_place(plan, debt->channel);

	plan->count--;
	memmove(&plan->debts[place], &plan->debts[place + 1],
	    (plan->count - place) * sizeof *plan->debts);
	free(debt->channel);
	free(debt);
}

void
backfill_plan_want_all(struct backfill_plan *plan, int64_t since_us,
    int64_t until_us)
{
	plan->all_until_us = later(plan->all_until_us, until_us);
	plan->all_since_us = earlier(plan->all_since_us, since_us);
}

/* One to three times with a blank between them: since, given, until. */
static bool
parse_times(const char *text, size_t length, int64_t times[3])
{
	const char *end = text + length;

	times[1] = 0;
	times[2] = clock_now_us() + BACKFILL_BEHIND_US;
	for (int i = 0; i < 3; i++) {
		const char *blank = memchr(text, ' ', (size_t)(end - text));
		const char *stop = blank != NULL ? blank : end;

		if (!slack_ts_parse(text, (size_t)(stop - text), &times[i]))
			return false;
		if (blank == NULL)
			return true;
		text = blank + 1;
	}
	return false;
}

/* Returns false where the member makes no sense. */
static bool
take_member(struct backfill_plan *plan, const char *text,
    const struct json_member *member)
{
	char name[NAME_CACHE_ID_MAX + 1] = "";
	size_t length = member->name_end - member->name;
	struct backfill_debt *debt;
	int64_t times[3];

	if (length >= sizeof name || text[member->value] != '"' ||
	    !parse_times(text + member->value + 1, member->value_end -
	    member->value - 2, times))
		return false;
	memcpy(name, text + member->name, length);
	if (strcmp(name, ALL) == 0) {
		backfill_plan_want_all(plan, times[0], times[2]);
		return true;
	}
	debt = add_debt(plan, name);
	if (debt != NULL)
		owe(debt, times[0], times[2], times[1]);
	return debt != NULL;
}

static bool
take_text(struct backfill_plan *plan, const char *text, size_t length)
{
	struct json_index index = { 0 };
	bool is_json = json_scan(&index, text, length) == 0;
	bool is_whole = is_json;

	for (size_t i = 0; is_json && i < index.count; i++)
		if (!take_member(plan, text, &index.members[i]))
			is_whole = false;
	json_index_free(&index);
	return is_whole;
}

/* Returns -1 with errno set. */
static int
read_file(const char *path, struct buffer *text)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	ssize_t count = 1;

	if (fd == -1)
		return -1;
	if (fstat(fd, &status) == -1 || !S_ISREG(status.st_mode)) {
		errno = EINVAL;
		count = -1;
	}
	while (count > 0 && text->length <= FILE_BYTES_MAX) {
		count = read(fd, buffer_reserve(text, 4096), 4096);
		text->length += count > 0 ? (size_t)count : 0;
	}
	close(fd);
	if (count > 0)
		errno = EFBIG;
	return count == 0 ? 0 : -1;
}

struct backfill_plan *
backfill_plan_open(const char *path, bool *is_damaged)
{
	struct backfill_plan *plan = xcalloc(1, sizeof *plan);
	struct buffer text = { 0 };

	plan->path = path;
	plan->all_since_us = NEVER;
	if (read_file(path, &text) == 0)
		*is_damaged = !take_text(plan, text.data, text.length);
	else
		*is_damaged = errno != ENOENT;
	plan->is_damaged = *is_damaged;
	buffer_free(&text);
	return plan;
}

void
backfill_plan_free(struct backfill_plan *plan)
{
	if (plan == NULL)
		return;
	while (plan->count > 0)
		backfill_plan_remove(plan, plan->debts[plan->count - 1]);
	free(plan->debts);
	free(plan);
}

void
backfill_plan_mend(struct backfill_plan *plan)
{
	plan->is_damaged = false;
}

static void
append_member(struct buffer *out, const char *name, int64_t since_us,
    int64_t given_us, int64_t until_us)
{
	char since[SLACK_TS_BYTES], given[SLACK_TS_BYTES];
	char until[SLACK_TS_BYTES];

	slack_ts_format(since_us, since);
	slack_ts_format(given_us, given);
	slack_ts_format(until_us, until);
	buffer_printf(out, "%s\"%s\":\"%s %s %s\"", out->length > 0 ? ","
	    : "{", name, since, given, until);
}

static int
write_file(const struct backfill_plan *plan)
{
	struct draft *draft = draft_new(plan->path);
	struct buffer out = { 0 };

	if (plan->all_since_us != NEVER)
		append_member(&out, ALL, plan->all_since_us, 0,
		    plan->all_until_us);
	for (size_t i = 0; i < plan->count; i++)
		if (plan->debts[i]->since_us != NEVER)
			append_member(&out, plan->debts[i]->channel,
			    plan->debts[i]->since_us,
			    plan->debts[i]->given_us,
			    plan->debts[i]->until_us);
	if (plan->is_damaged)
		buffer_append_string(&out, out.length > 0 ? ",\"" DAMAGED
		    "\":0" : "{\"" DAMAGED "\":0");
	buffer_append_string(&out, "}\n");
	draft_write(draft, out.data, out.length);
	buffer_free(&out);
	return draft_finish(draft, true);
}

bool
backfill_plan_is_empty(const struct backfill_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->debts[i]->since_us != NEVER)
			return false;
	return plan->all_since_us == NEVER;
}

void
backfill_plan_save(struct backfill_plan *plan)
{
	int result;

	if (!backfill_plan_is_empty(plan) || plan->is_damaged)
		result = write_file(plan);
	else if ((result = unlink(plan->path)) == -1 && errno == ENOENT)
		result = 0;
	if (result == -1 && !plan->cannot_write)
		warn("write %s", plan->path);
	plan->cannot_write = result == -1;
}

int64_t
backfill_plan_since(const struct backfill_plan *plan)
{
	int64_t since_us = plan->all_since_us;

	for (size_t i = 0; i < plan->count; i++)
		since_us = earlier(since_us, plan->debts[i]->since_us);
	return since_us;
}

bool
backfill_plan_needs_list(const struct backfill_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->debts[i]->type == NULL)
			return true;
	return plan->all_since_us != NEVER;
}

bool
backfill_plan_list(struct backfill_plan *plan, const char *channel,
    const char *type)
{
	struct backfill_debt *debt = add_debt(plan, channel);

	if (debt == NULL)
		return false;
	debt->type = type;
	debt->is_listed = true;
	return true;
}

/* A channel that is not listed is asked for all the same: Slack says why. */
void
backfill_plan_end_list(struct backfill_plan *plan)
{
	for (size_t i = plan->count; i > 0; i--) {
		struct backfill_debt *debt = plan->debts[i - 1];

		if (debt->is_listed)
			owe(debt, plan->all_since_us, plan->all_until_us, 0);
		debt->is_listed = false;
		if (debt->type == NULL)
			debt->type = "channel";
		if (debt->since_us == NEVER)
			backfill_plan_remove(plan, debt);
	}
	plan->all_since_us = NEVER;
	plan->all_until_us = 0;
}

/* Widen the time by what of one debt is older. */
static void
add_older(int64_t since_us, int64_t until_us, int64_t oldest_us,
    int64_t *from_us, int64_t *to_us)
{
	if (since_us >= oldest_us)
		return;
	*from_us = earlier(*from_us, since_us);
	*to_us = later(*to_us, earlier(until_us, oldest_us));
}

bool
backfill_plan_is_older(const struct backfill_plan *plan, int64_t oldest_us,
    int64_t *from_us, int64_t *to_us)
{
	*from_us = NEVER;
	*to_us = 0;
	add_older(plan->all_since_us, plan->all_until_us, oldest_us, from_us,
	    to_us);
	for (size_t i = 0; i < plan->count; i++)
		add_older(plan->debts[i]->since_us, plan->debts[i]->until_us,
		    oldest_us, from_us, to_us);
	return *from_us != NEVER;
}

void
backfill_plan_clamp(struct backfill_plan *plan, int64_t oldest_us)
{
	if (plan->all_until_us <= oldest_us)
		plan->all_since_us = NEVER;
	else
		plan->all_since_us = later(plan->all_since_us, oldest_us);
	for (size_t i = plan->count; i > 0; i--) {
		struct backfill_debt *debt = plan->debts[i - 1];

		if (debt->since_us != NEVER && debt->until_us <= oldest_us)
			backfill_plan_remove(plan, debt);
		else if (debt->since_us != NEVER)
			debt->since_us = later(debt->since_us, oldest_us);
	}
}

struct backfill_debt *
backfill_plan_next(struct backfill_plan *plan, int64_t *wait_ms)
{
	struct backfill_debt *next = NULL;
	int64_t now_ms = clock_steady_ms();

	*wait_ms = -1;
	for (size_t i = 0; i < plan->count; i++) {
		struct backfill_debt *debt = plan->debts[i];
		int64_t left_ms = debt->not_before_ms - now_ms;

		if (debt->since_us == NEVER || debt->type == NULL)
			continue;
		if (left_ms <= 0 && (next == NULL || debt->rank < next->rank))
			next = debt;
		if (left_ms > 0 && (*wait_ms < 0 || left_ms < *wait_ms))
			*wait_ms = left_ms;
	}
	return next;
}

void
backfill_plan_put_off(struct backfill_plan *plan, struct backfill_debt *debt)
{
	debt->rank = plan->next_rank++;
	debt->not_before_ms = clock_steady_ms() +
	    backoff_next_ms(&debt->backoff);
}

void
backfill_plan_hurry(struct backfill_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		plan->debts[i]->not_before_ms = 0;
		plan->debts[i]->backoff.failures = 1;
	}
}
