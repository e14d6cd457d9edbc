/* Sentences for people about what the backfill could not fetch. */
#ifndef SLACK_READER_BACKFILL_REPORT_H
#define SLACK_READER_BACKFILL_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "slack_api.h"

struct backfill_report;

struct backfill_report *backfill_report_new(
    void (*lost)(const char *channel, const char *sentence, void *arg),
    void *arg);
void backfill_report_free(struct backfill_report *report);

/* Forget what was said: what is said once is said again. */
void backfill_report_begin(struct backfill_report *report);

/* The token is not allowed to; once for each scope, error and time. */
void backfill_report_forbidden(struct backfill_report *report,
    int64_t since_us, const char *method, const struct slack_reply *reply);

/* What is newer than since_us cannot be had; channel NULL: of all. */
void backfill_report_refused(struct backfill_report *report,
    const char *channel, int64_t since_us, const struct slack_reply *reply);

/* The same for what lies between two times. */
void backfill_report_gap(struct backfill_report *report, const char *channel,
    int64_t from_us, int64_t to_us, const char *reason);

/* Slack hides old messages by its plan; once for each channel. */
void backfill_report_limited(struct backfill_report *report,
    const char *channel);

/* The disk of that file has no space for what is fetched; once. */
void backfill_report_no_space(struct backfill_report *report,
    const char *path);

/* The file that says what is still to be fetched cannot be read. */
void backfill_report_damage(struct backfill_report *report,
    const char *path);

#endif
