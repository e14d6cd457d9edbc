#include "backfill.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "backfill_job.h"
#include "backfill_plan.h"
#include "backfill_report.h"
#include "backoff.h"
#include "clock.h"
#include "conversations.h"
#include "memory.h"
#include "slack_ts.h"
#include "threads.h"

#define SECOND_US 1000000
#define LIST_FIRST_PAUSE_MS 10000
#define LIST_LONGEST_PAUSE_MS 60000

struct backfill {
	struct backfill_settings settings;
	struct backfill_plan *plan;
	struct backfill_report *report;
	struct threads *threads;

	/* not yet told: that the file was damaged, that some is too old */
	bool is_damaged;
	bool has_old;

	/* told, but perhaps not safely: then the file remembers */
	bool is_telling;
	int64_t oldest_us;		/* what is older was told */

	bool is_stopped;		/* until somebody mends the token */

	/* At most one of them is there. */
	struct conversations *list;
	bool is_listed;			/* its end is not yet in the file */
	struct backfill_job *job;
	struct backfill_debt *debt;	/* that the job is for */

	struct backoff list_backoff;
	int64_t list_not_before_ms;	/* of the steady clock */
	bool has_too_many;		/* channels */
	bool is_waiting;		/* for what was told to be safe */
	struct timer turn;
};

static void
take_turn(struct backfill *backfill, int64_t delay_ms)
{
	timers_set(backfill->settings.timers, &backfill->turn, delay_ms);
}

static int64_t
measure_oldest_us(const struct backfill *backfill)
{
	return clock_now_us() - backfill->settings.age_max_s * SECOND_US;
}

static void
stop(struct backfill *backfill)
{
	backfill->is_stopped = true;
	warnx("missed messages are not fetched until the token is mended");
}

static void
end_job(enum backfill_outcome outcome, void *arg)
{
	struct backfill *backfill = arg;

	backfill_job_free(backfill->job);
	backfill->job = NULL;
	if (outcome == BACKFILL_DONE) {
		backfill_plan_remove(backfill->plan, backfill->debt);
		backfill_plan_save(backfill->plan);
	} else {
		backfill_plan_put_off(backfill->plan, backfill->debt);
	}
	if (outcome == BACKFILL_FORBIDDEN)
		stop(backfill);
	backfill->debt = NULL;
	take_turn(backfill, 0);
}

static void
save_progress(int64_t given_us, void *arg)
{
	struct backfill *backfill = arg;

	backfill->debt->given_us = given_us;
	backfill_plan_save(backfill->plan);
}

static void
start_job(struct backfill *backfill, struct backfill_debt *debt)
{
	backfill->debt = debt;
	backfill->job = backfill_job_new(&(struct backfill_job_settings){
		.common = &backfill->settings,
		.report = backfill->report,
		.threads = backfill->threads,
		.channel = debt->channel,
		.channel_type = debt->type,
		.since_us = debt->since_us,
		.until_us = debt->until_us,
		.given_us = debt->given_us,
		.given = save_progress,
		.ended = end_job,
		.arg = backfill,
	    });
	if (backfill->job != NULL)
		return;
	warn("make a file for messages beside %s", backfill->settings.path);
	backfill->debt = NULL;
	backfill_plan_put_off(backfill->plan, debt);
	take_turn(backfill, 0);
}

static void
list_channel(const char *channel, const char *type, void *arg)
{
	struct backfill *backfill = arg;

	if (channel_list_has(backfill->settings.channels, channel) &&
	    !backfill_plan_list(backfill->plan, channel, type))
		backfill->has_too_many = true;
}

/* Returns whether the other types of channels may be had. */
static bool
take_refusal(const struct slack_reply *reply, void *arg)
{
	struct backfill *backfill = arg;

	backfill->is_telling = true;
	if (reply->verdict != SLACK_FORBIDDEN) {
		backfill_report_refused(backfill->report, NULL,
		    backfill_plan_since(backfill->plan), reply);
		return true;
	}
	backfill_report_forbidden(backfill->report,
	    backfill_plan_since(backfill->plan), "users.conversations",
	    reply);
	if (!backfill_job_is_scope(reply))
		stop(backfill);
	return !backfill->is_stopped;
}

static void
end_list(bool is_complete, void *arg)
{
	struct backfill *backfill = arg;

	conversations_free(backfill->list);
	backfill->list = NULL;
	if (is_complete) {
		backfill->list_backoff.failures = 1;
		if (backfill->has_too_many) {
			backfill_report_gap(backfill->report, NULL,
			    backfill_plan_since(backfill->plan),
			    clock_now_us(), "the bot is in too many channels,"
			    " some were left out");
			backfill->is_telling = true;
		}
		backfill->is_listed = true;
	} else if (!backfill->is_stopped) {
		backfill->list_not_before_ms = clock_steady_ms() +
		    backoff_next_ms(&backfill->list_backoff);
	}
	take_turn(backfill, 0);
}

static void
start_list(struct backfill *backfill)
{
	backfill->has_too_many = false;
	backfill->list = conversations_new(&(struct conversations_settings){
		.api = backfill->settings.api,
		.timers = backfill->settings.timers,
		.token = backfill->settings.bot_token,
		.found = list_channel,
		.refused = take_refusal,
		.end = end_list,
		.arg = backfill,
	    });
}

static void
report_pending(struct backfill *backfill)
{
	int64_t from_us, to_us;

	if (backfill->is_damaged) {
		backfill_report_damage(backfill->report,
		    backfill->settings.path);
		backfill->is_telling = true;
	}
	if (backfill->has_old)
		backfill->oldest_us = measure_oldest_us(backfill);
	if (backfill->has_old && backfill_plan_is_older(backfill->plan,
	    backfill->oldest_us, &from_us, &to_us)) {
		backfill_report_gap(backfill->report, NULL, from_us, to_us,
		    "they are older than --backfill-age");
		backfill->is_telling = true;
	}
	backfill->is_damaged = backfill->has_old = false;
}

static bool
is_safe(const struct backfill *backfill)
{
	return backfill->settings.is_safe(backfill->settings.arg);
}

/* The file forgets only what was told safely. Returns whether to go on. */
static bool
settle(struct backfill *backfill)
{
	report_pending(backfill);
	if (!backfill->is_telling && !backfill->is_listed)
		return true;
	backfill->is_waiting = backfill->is_telling && !is_safe(backfill);
	if (backfill->is_waiting)
		return false;
	if (backfill->is_telling) {
		backfill_plan_mend(backfill->plan);
		backfill_plan_clamp(backfill->plan, backfill->oldest_us);
	}
	if (backfill->is_listed)
		backfill_plan_end_list(backfill->plan);
	backfill->is_telling = backfill->is_listed = false;
	backfill_plan_save(backfill->plan);
	return true;
}

/* The list first, so that the file names each channel; then one by one. */
static void
go_on(void *arg)
{
	struct backfill *backfill = arg;
	struct backfill_debt *debt;
	int64_t wait_ms, list_ms;

	if (backfill->list != NULL || backfill->job != NULL ||
	    !settle(backfill) || backfill->is_stopped)
		return;
	list_ms = backfill->list_not_before_ms - clock_steady_ms();
	if (!backfill_plan_needs_list(backfill->plan)) {
		list_ms = -1;
	} else if (list_ms <= 0) {
		start_list(backfill);
		return;
	}
	debt = backfill_plan_next(backfill->plan, &wait_ms);
	if (debt != NULL)
		start_job(backfill, debt);
	else if (wait_ms >= 0 && (list_ms < 0 || wait_ms < list_ms))
		take_turn(backfill, wait_ms);
	else if (list_ms >= 0)
		take_turn(backfill, list_ms);
}

struct backfill *
backfill_new(const struct backfill_settings *settings)
{
	struct backfill *backfill = xcalloc(1, sizeof *backfill);

	backfill->settings = *settings;
	backfill->plan = backfill_plan_open(settings->path,
	    &backfill->is_damaged);
	backfill->has_old = true;
	backfill->report = backfill_report_new(settings->lost, settings->arg);
	backfill->threads = threads_new(BACKFILL_THREADS_MAX);
	backfill->list_backoff = (struct backoff){
		.first_ms = LIST_FIRST_PAUSE_MS,
		.most_ms = LIST_LONGEST_PAUSE_MS,
		.failures = 1,
	};
	backfill->turn = (struct timer){ .due = go_on, .arg = backfill };
	take_turn(backfill, 0);
	return backfill;
}

void
backfill_free(struct backfill *backfill)
{
	if (backfill == NULL)
		return;
	conversations_free(backfill->list);
	backfill_job_free(backfill->job);
	timers_cancel(backfill->settings.timers, &backfill->turn);
	threads_free(backfill->threads);
	backfill_report_free(backfill->report);
	backfill_plan_free(backfill->plan);
	free(backfill);
}

void
backfill_request(struct backfill *backfill, int64_t since_us)
{
	backfill_request_range(backfill, since_us,
	    clock_now_us() + BACKFILL_BEHIND_US);
}

void
backfill_request_range(struct backfill *backfill, int64_t since_us,
    int64_t until_us)
{
	if (backfill_is_idle(backfill))
		backfill_report_begin(backfill->report);
	if (since_us < measure_oldest_us(backfill))
		backfill->has_old = true;
	backfill_plan_want_all(backfill->plan, since_us, until_us);
	backfill_plan_save(backfill->plan);
	backfill_plan_hurry(backfill->plan);
	backfill->list_not_before_ms = 0;
	backfill->list_backoff.failures = 1;
	backfill->is_stopped = false;
	take_turn(backfill, 0);
}

void
backfill_note(struct backfill *backfill, struct record *event)
{
	const char *channel = record_string(event, RECORD_CHANNEL);
	const char *parent = record_string(event, RECORD_THREAD_TS);
	const char *ts = record_string(event, RECORD_TS);
	int64_t parent_us, ts_us;

	if (channel != NULL && parent != NULL && ts != NULL &&
	    slack_ts_parse(parent, strlen(parent), &parent_us) &&
	    slack_ts_parse(ts, strlen(ts), &ts_us))
		threads_note(backfill->threads, channel, parent_us, ts_us);
}

void
backfill_go_on(struct backfill *backfill)
{
	if (backfill->is_waiting && is_safe(backfill)) {
		backfill->is_waiting = false;
		take_turn(backfill, 0);
	}
	if (backfill->job != NULL)
		backfill_job_go_on(backfill->job);
}

bool
backfill_is_idle(const struct backfill *backfill)
{
	return backfill->list == NULL && backfill->job == NULL &&
	    !backfill->is_telling && !backfill->is_listed &&
	    backfill_plan_is_empty(backfill->plan);
}
