#include "backfill_job.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backfill_order.h"
#include "clock.h"
#include "json_scan.h"
#include "memory.h"
#include "message_store.h"
#include "pages.h"
#include "slack_ts.h"

#define TURN_MESSAGES 100	/* then it is the turn of others */
#define UNSAVED_MAX 10000	/* messages that come again after a crash */
#define STORE_BYTES_MAX (256 * 1024 * 1024)
#define HISTORY_BYTES_MAX (192 * 1024 * 1024)	/* threads need some, too */
#define SECOND_US 1000000
#define HISTORY "conversations.history"
#define REPLIES "conversations.replies"

enum stage {
	FETCH_HISTORY,
	GIVE_HISTORY,		/* the oldest first */
	SAVE_HISTORY,		/* so that it is not handed over again */
	FIND_THREAD,		/* the next one that is to be fetched */
	FETCH_REPLIES,
	GIVE_REPLIES,
	MAKE_SAFE
};

/* What has to be so before the job can go on. */
enum condition {
	NONE,
	ROOM,
	SAFETY
};

struct backfill_job {
	struct backfill_job_settings settings;
	enum stage stage;
	enum condition waits_for;
	struct pages *pages;		/* NULL: none are being fetched */
	struct timer turn;
	struct json_index index;	/* room to work in */
	size_t passed_over;		/* items that are no messages */

	/* history, and behind it the replies of one thread */
	struct message_store *store;
	int64_t history_end;
	struct backfill_order order;	/* of history */
	struct backfill_place given;	/* what comes next */
	bool is_disk_full;
	int64_t given_us;		/* the newest of history handed over */
	size_t unsaved;			/* so many were, and may come again */
	int64_t searched;		/* threads behind it are done */

	/* while history is being fetched */
	int64_t oldest_seen_us;
	int64_t newest_seen_us;		/* in the pages before, 0: none */
	int64_t newest_of_page_us;
	bool is_forward;		/* Slack began with the oldest page */
	unsigned look_back_pages;

	/* threads with parents from before, and the one at hand */
	int64_t *others;
	size_t other_count;
	int64_t parent_us;
};

static void
take_turn(struct backfill_job *job)
{
	timers_set(job->settings.common->timers, &job->turn, 0);
}

static void
enter(struct backfill_job *job, enum stage stage)
{
	job->stage = stage;
	take_turn(job);
}

/* The job may be freed in here. */
static void
end(struct backfill_job *job, enum backfill_outcome outcome)
{
	if (job->passed_over > 0)
		warnx("%s: passed over %zu items that are no messages",
		    job->settings.channel, job->passed_over);
	timers_cancel(job->settings.common->timers, &job->turn);
	job->settings.ended(outcome, job->settings.arg);
}

/* The disk that was to hold the messages does not give them back. */
static void
end_by_disk(struct backfill_job *job)
{
	warn("messages of %s that wait on disk", job->settings.channel);
	end(job, BACKFILL_LATER);
}

bool
backfill_job_is_scope(const struct slack_reply *reply)
{
	return strcmp(reply->error, "missing_scope") == 0 ||
	    strcmp(reply->error, "no_permission") == 0;
}

/* Pages came to a bad end: is the job over, too? It may be freed in here. */
static void
give_up(struct backfill_job *job, const char *method,
    const struct slack_reply *reply)
{
	if (reply->verdict == SLACK_RETRY || reply->verdict == SLACK_IN_DOUBT) {
		warnx("%s of %s: %s; it is done later", method,
		    job->settings.channel, reply->error);
		if (job->is_disk_full)
			backfill_report_no_space(job->settings.report,
			    job->settings.common->path);
		end(job, BACKFILL_LATER);
		return;
	}
	if (reply->verdict != SLACK_FORBIDDEN) {
		backfill_report_refused(job->settings.report,
		    job->settings.channel, job->settings.since_us, reply);
		enter(job, MAKE_SAFE);
		return;
	}
	backfill_report_forbidden(job->settings.report,
	    job->settings.since_us, method, reply);
	if (backfill_job_is_scope(reply))
		enter(job, MAKE_SAFE);
	else
		end(job, BACKFILL_FORBIDDEN);
}

static void
close_pages(struct backfill_job *job)
{
	pages_free(job->pages);
	job->pages = NULL;
}

/* A time in the item that was scanned. */
static bool
read_ts(const struct backfill_job *job, const char *text, const char *name,
    int64_t *us)
{
	const struct json_member *member = json_index_find(&job->index, text,
	    name);

	return member != NULL && text[member->value] == '"' &&
	    slack_ts_parse(text + member->value + 1,
	    member->value_end - member->value - 2, us);
}

static bool
has_replies(const struct backfill_job *job, const char *text, int64_t ts_us)
{
	const struct json_member *count = json_index_find(&job->index, text,
	    "reply_count");
	int64_t thread_us;

	if (count != NULL && text[count->value] >= '1' &&
	    text[count->value] <= '9')
		return true;
	return read_ts(job, text, RECORD_THREAD_TS, &thread_us) &&
	    thread_us == ts_us;
}

static size_t
find_other(const struct backfill_job *job, int64_t parent_us)
{
	size_t i = 0;

	while (i < job->other_count && job->others[i] != parent_us)
		i++;
	return i;
}

static void
add_other(struct backfill_job *job, int64_t parent_us)
{
	if (job->other_count < BACKFILL_THREADS_MAX &&
	    find_other(job, parent_us) == job->other_count)
		job->others[job->other_count++] = parent_us;
}

static void
drop_other(struct backfill_job *job, int64_t parent_us)
{
	size_t i = find_other(job, parent_us);

	if (i < job->other_count)
		job->others[i] = job->others[--job->other_count];
}

/* A message from before: does its thread go on? */
static void
look_at_past(struct backfill_job *job, const char *text, int64_t ts_us)
{
	int64_t latest_us;

	if (!has_replies(job, text, ts_us))
		return;
	if (read_ts(job, text, "latest_reply", &latest_us) &&
	    latest_us <= job->settings.since_us)
		drop_other(job, ts_us);
	else
		add_other(job, ts_us);
}

static int
store_message(struct backfill_job *job, const struct stored_message *message)
{
	int result = message_store_append(job->store, message);

	job->is_disk_full = result == -1 &&
	    (errno == ENOSPC || errno == EDQUOT);
	return result;
}

/* A message that was missed, and may tell of a thread from before. */
static int
keep_message(struct backfill_job *job, const char *text, size_t length,
    int64_t ts_us)
{
	int64_t thread_us, begin = message_store_end(job->store);
	struct stored_message message = { ts_us,
	    has_replies(job, text, ts_us), text, length };

	if (message.has_replies)
		drop_other(job, ts_us);
	else if (read_ts(job, text, RECORD_THREAD_TS, &thread_us) &&
	    thread_us <= job->settings.since_us)
		add_other(job, thread_us);
	if (store_message(job, &message) == -1)
		return -1;
	backfill_order_note(&job->order, begin,
	    message_store_end(job->store), ts_us);
	return 0;
}

static int
take_history(const char *text, size_t length, void *arg)
{
	struct backfill_job *job = arg;
	int64_t ts_us;

	if (json_scan(&job->index, text, length) == -1 ||
	    !read_ts(job, text, RECORD_TS, &ts_us)) {
		job->passed_over++;
		return 0;
	}
	if (ts_us < job->oldest_seen_us)
		job->oldest_seen_us = ts_us;
	if (ts_us > job->newest_of_page_us)
		job->newest_of_page_us = ts_us;
	if (ts_us <= job->settings.since_us)
		look_at_past(job, text, ts_us);
	else if (ts_us <= job->settings.until_us)
		return keep_message(job, text, length, ts_us);
	return 0;
}

static bool
is_past(const struct backfill_job *job)
{
	return job->oldest_seen_us <= job->settings.since_us;
}

/* By its pages Slack shows which way it goes. */
static void
end_page(struct backfill_job *job)
{
	if (job->newest_of_page_us > job->newest_seen_us) {
		job->is_forward = job->newest_seen_us != 0;
		job->newest_seen_us = job->newest_of_page_us;
	}
	job->newest_of_page_us = 0;
	if (is_past(job))
		job->look_back_pages++;
}

static bool
wants_more_history(const struct slack_reply *reply, void *arg)
{
	struct backfill_job *job = arg;

	if (cJSON_IsTrue(json_get(reply->json, "is_limited")) &&
	    !cJSON_IsTrue(json_get(reply->json, "has_more")) &&
	    !is_past(job))
		backfill_report_limited(job->settings.report,
		    job->settings.channel);
	end_page(job);
	return (job->is_forward ||
	    job->look_back_pages < BACKFILL_LOOK_BACK_PAGES) &&
	    message_store_end(job->store) < HISTORY_BYTES_MAX;
}

static void
forget_history(void *arg)
{
	struct backfill_job *job = arg;

	message_store_cut(job->store, 0);
	backfill_order_clear(&job->order);
	job->oldest_seen_us = INT64_MAX;
	job->newest_seen_us = job->newest_of_page_us = 0;
	job->is_forward = false;
	job->look_back_pages = 0;
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* More there was, but it is not to be had. */
static void
report_rest(struct backfill_job *job, const struct slack_reply *reply,
    int64_t bytes_max)
{
	const char *reason = "Slack did not say how to get them";
	int64_t from_us = job->settings.since_us;
	int64_t to_us = earlier(job->settings.until_us, clock_now_us());

	if (!cJSON_IsTrue(json_get(reply->json, "has_more")) ||
	    (is_past(job) && !job->is_forward))
		return;
	if (message_store_end(job->store) >= bytes_max)
		reason = "they are too many to be put by on disk";
	if (job->is_forward)
		from_us = later(from_us, job->newest_seen_us);
	else
		to_us = earlier(to_us, job->oldest_seen_us);
	backfill_report_gap(job->settings.report, job->settings.channel,
	    from_us, to_us, reason);
}

static void
end_history(const struct slack_reply *reply, void *arg)
{
	struct backfill_job *job = arg;

	close_pages(job);
	if (reply->verdict != SLACK_OK) {
		give_up(job, HISTORY, reply);
		return;
	}
	report_rest(job, reply, HISTORY_BYTES_MAX);
	if (backfill_order_sort(&job->order, job->store) == -1) {
		end_by_disk(job);
		return;
	}
	job->history_end = job->searched = message_store_end(job->store);
	enter(job, GIVE_HISTORY);
}

static void
fetch(struct backfill_job *job, const struct pages_settings *settings,
    int64_t parent_us, int64_t oldest_us)
{
	struct buffer arguments = { 0 };
	char ts[SLACK_TS_BYTES];

	slack_api_argument(&arguments, "channel", job->settings.channel);
	if (parent_us != 0) {
		slack_ts_format(parent_us, ts);
		slack_api_argument(&arguments, "ts", ts);
	}
	slack_ts_format(oldest_us, ts);
	slack_api_argument(&arguments, "oldest", ts);
	slack_ts_format(job->settings.until_us, ts);
	slack_api_argument(&arguments, "latest", ts);
	job->pages = pages_new(settings, buffer_string(&arguments));
	buffer_free(&arguments);
}

static void
fetch_history(struct backfill_job *job)
{
	const struct backfill_settings *common = job->settings.common;

	fetch(job, &(struct pages_settings){
		.api = common->api,
		.timers = common->timers,
		.token = common->bot_token,
		.method = HISTORY,
		.array = "messages",
		.item = take_history,
		.page = wants_more_history,
		.anew = forget_history,
		.end = end_history,
		.arg = job,
	    }, 0, job->settings.since_us -
	    (int64_t)BACKFILL_LOOK_BACK_S * SECOND_US);
}

/* The parent comes first with every page: it is no reply. */
static int
take_reply(const char *text, size_t length, void *arg)
{
	struct backfill_job *job = arg;
	int64_t ts_us;

	if (json_scan(&job->index, text, length) == -1 ||
	    !read_ts(job, text, RECORD_TS, &ts_us)) {
		job->passed_over++;
		return 0;
	}
	if (ts_us == job->parent_us || ts_us <= job->settings.since_us ||
	    ts_us > job->settings.until_us)
		return 0;
	job->newest_seen_us = later(job->newest_seen_us, ts_us);
	return store_message(job, &(struct stored_message){
		ts_us, false, text, length });
}

static bool
wants_more_replies(const struct slack_reply *reply, void *arg)
{
	struct backfill_job *job = arg;

	(void)reply;
	return message_store_end(job->store) < STORE_BYTES_MAX;
}

static void
forget_replies(void *arg)
{
	struct backfill_job *job = arg;

	message_store_cut(job->store, job->history_end);
	job->newest_seen_us = 0;
}

static void
end_replies(const struct slack_reply *reply, void *arg)
{
	struct backfill_job *job = arg;

	close_pages(job);
	if (reply->verdict == SLACK_OK) {
		report_rest(job, reply, STORE_BYTES_MAX);
		job->given = (struct backfill_place){
		    .at = job->history_end };
		enter(job, GIVE_REPLIES);
	} else if (reply->verdict == SLACK_NO_TARGET &&
	    strcmp(reply->error, "thread_not_found") == 0) {
		forget_replies(job);
		enter(job, FIND_THREAD);
	} else {
		give_up(job, REPLIES, reply);
	}
}

static void
fetch_replies(struct backfill_job *job, int64_t parent_us)
{
	const struct backfill_settings *common = job->settings.common;

	job->stage = FETCH_REPLIES;
	job->parent_us = parent_us;
	job->newest_seen_us = 0;
	job->is_forward = true;
	fetch(job, &(struct pages_settings){
		.api = common->api,
		.timers = common->timers,
		.token = common->bot_token,
		.method = REPLIES,
		.array = "messages",
		.item = take_reply,
		.page = wants_more_replies,
		.anew = forget_replies,
		.end = end_replies,
		.arg = job,
	    }, parent_us, job->settings.since_us);
}

static bool
hand_over(const struct backfill_job *job,
    const struct stored_message *message)
{
	const struct backfill_settings *common = job->settings.common;

	return common->take(&(struct backfill_message){
		.channel = job->settings.channel,
		.channel_type = job->settings.channel_type,
		.text = message->text,
		.length = message->length,
	    }, common->arg);
}

static bool
is_safe(const struct backfill_job *job)
{
	const struct backfill_settings *common = job->settings.common;

	return common->is_safe(common->arg);
}

/* Is it safe? Where it is not, the job waits until it is. */
static bool
find_safe(struct backfill_job *job)
{
	job->waits_for = is_safe(job) ? NONE : SAFETY;
	return job->waits_for == NONE;
}

/* Returns false where what was handed over is not safe yet. */
static bool
save_history(struct backfill_job *job)
{
	if (job->unsaved == 0)
		return true;
	if (!find_safe(job))
		return false;
	job->unsaved = 0;
	job->settings.given(job->given_us, job->settings.arg);
	return true;
}

/* Returns false where there is no room. */
static bool
give_one(struct backfill_job *job, const struct stored_message *message)
{
	if (job->stage == GIVE_HISTORY &&
	    message->ts_us <= job->settings.given_us)
		return true;
	if (!hand_over(job, message)) {
		job->waits_for = ROOM;
		return false;
	}
	if (job->stage == GIVE_HISTORY) {
		job->given_us = message->ts_us;
		job->unsaved++;
	} else {
		threads_note(job->settings.threads, job->settings.channel,
		    job->parent_us, message->ts_us);
	}
	return true;
}

static int
read_next(const struct backfill_job *job, struct backfill_place *place,
    struct stored_message *message)
{
	if (job->stage == GIVE_REPLIES)
		return message_store_behind(job->store, &place->at, message);
	return backfill_order_next(&job->order, job->store, place, message);
}

/* Hand over some messages; without room for one it waits to go on. */
static void
give(struct backfill_job *job, enum stage behind)
{
	struct stored_message message;

	if (job->unsaved >= UNSAVED_MAX && !save_history(job))
		return;
	for (int i = 0; i < TURN_MESSAGES; i++) {
		struct backfill_place place = job->given;
		int result = read_next(job, &place, &message);

		if (result == -1) {
			end_by_disk(job);
			return;
		}
		if (result == 0) {
			enter(job, behind);
			return;
		}
		if (!give_one(job, &message))
			return;
		job->given = place;
	}
	take_turn(job);
}

/* First the threads that began in what was missed, then the others. */
static void
find_thread(struct backfill_job *job)
{
	struct stored_message message;

	message_store_cut(job->store, job->history_end);
	for (int i = 0; i < TURN_MESSAGES; i++) {
		int result = message_store_before(job->store, &job->searched,
		    &message);

		if (result == -1) {
			end_by_disk(job);
			return;
		}
		if (result == 0 && job->other_count == 0) {
			enter(job, MAKE_SAFE);
			return;
		}
		if (result == 0 || message.has_replies) {
			fetch_replies(job, result == 1 ? message.ts_us
			    : job->others[--job->other_count]);
			return;
		}
	}
	take_turn(job);
}

static void
step(void *arg)
{
	struct backfill_job *job = arg;

	switch (job->stage) {
	case FETCH_HISTORY:
	case FETCH_REPLIES:
		break;
	case GIVE_HISTORY:
		give(job, SAVE_HISTORY);
		break;
	case SAVE_HISTORY:
		if (save_history(job))
			enter(job, FIND_THREAD);
		break;
	case GIVE_REPLIES:
		give(job, FIND_THREAD);
		break;
	case FIND_THREAD:
		find_thread(job);
		break;
	case MAKE_SAFE:
		if (find_safe(job))
			end(job, BACKFILL_DONE);
		break;
	}
}

struct backfill_job *
backfill_job_new(const struct backfill_job_settings *settings)
{
	struct backfill_job *job;
	struct message_store *store = message_store_new(
	    settings->common->path);

	if (store == NULL)
		return NULL;
	job = xcalloc(1, sizeof *job);
	job->settings = *settings;
	job->store = store;
	job->turn = (struct timer){ .due = step, .arg = job };
	job->oldest_seen_us = INT64_MAX;
	job->others = xcalloc(BACKFILL_THREADS_MAX, sizeof *job->others);
	job->other_count = threads_list(settings->threads, settings->channel,
	    settings->since_us - (int64_t)BACKFILL_THREAD_S * SECOND_US,
	    job->others, BACKFILL_THREADS_MAX);
	fetch_history(job);
	return job;
}

void
backfill_job_free(struct backfill_job *job)
{
	if (job == NULL)
		return;
	pages_free(job->pages);
	timers_cancel(job->settings.common->timers, &job->turn);
	message_store_free(job->store);
	backfill_order_clear(&job->order);
	json_index_free(&job->index);
	free(job->others);
	free(job);
}

void
backfill_job_go_on(struct backfill_job *job)
{
	if (job->waits_for == NONE ||
	    (job->waits_for == SAFETY && !is_safe(job)))
		return;
	job->waits_for = NONE;
	take_turn(job);
}
