/*
 * The record: one line of the pipeline, a JSON object. It is read by looking
 * members up and written by splicing members in before its closing brace, so
 * that every byte that came stays as it was (man/record.5).
 */
#ifndef LIB_RECORD_H
#define LIB_RECORD_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "line_reader.h"

#define RECORD_BYTES_MAX (16 * 1024 * 1024)

/* A member with more values in it is not looked into: cJSON needs 64 bytes
 * for each of them, and two bytes make one. */
#define RECORD_VALUES_MAX 262144

/* Slack's members */
#define RECORD_TYPE "type"
#define RECORD_CHANNEL "channel"
#define RECORD_USER "user"
#define RECORD_TEXT "text"
#define RECORD_TS "ts"
#define RECORD_FILES "files"
#define RECORD_BLOCKS "blocks"
#define RECORD_ATTACHMENTS "attachments"
#define RECORD_MESSAGE "message"

#define RECORD_SUBTYPE "subtype"
#define RECORD_CHANNEL_TYPE "channel_type"
#define RECORD_THREAD_TS "thread_ts"
#define RECORD_PREVIOUS_MESSAGE "previous_message"

/* what a record of the inbox is taken once under */
#define RECORD_ID "id"

/* members of an api_message */
#define RECORD_TITLE "title"
#define RECORD_PAYLOAD "payload"

/* members that our stages add */
#define RECORD_SEQ "seq"
#define RECORD_RECEIVED "received"
#define RECORD_SOURCE "source"
#define RECORD_NAMES "names"
#define RECORD_ADDRESSED "addressed"
#define RECORD_PERMALINK "permalink"
#define RECORD_EVENT_ID "event_id"
#define RECORD_OWN "own"
#define RECORD_BACKFILL "backfill"
#define RECORD_FETCHED "fetched"
#define RECORD_COMMAND "command"
#define RECORD_SUBSCRIPTIONS "subscriptions"
#define RECORD_MATCHES "matches"
#define RECORD_NOTIFY "notify"
#define RECORD_HELD "held"
#define RECORD_QUARANTINE "quarantine"
#define RECORD_LIMITS "limits"
#define RECORD_CLASS "class"
#define RECORD_RULE "rule"
#define RECORD_ERROR "error"

/* member of a record about an earlier one: the seq of that */
#define RECORD_OF "of"

/* members of an error record that carries a line which is no record */
#define RECORD_LINE "line"
#define RECORD_LINE_BASE64 "line_base64"
#define RECORD_BYTES "bytes"

struct record;

/*
 * A record to be used for one line after the other on behalf of `stage`.
 * `own` names the members this stage adds, ended by NULL; both are borrowed.
 */
struct record *record_new(const char *stage, const char *const *own);
void record_free(struct record *record);

/*
 * Take a line, without its LF; it is borrowed until the next call. What was
 * added to the line before is forgotten. Returns 0, or -1 where the line is no
 * record; record_reason then says why.
 */
int record_parse(struct record *record, const char *line, size_t length);
const char *record_reason(const struct record *record);

/*
 * Take a line as it was read, or else append the error record that answers it.
 * Returns whether it is a record.
 */
bool record_take(struct record *record, const struct line *line,
    struct buffer *out);

/*
 * The value of a member, the last one where the name stands twice, or
 * NULL, also where it is over RECORD_VALUES_MAX.
 * It belongs to the record and is gone with the next line. In strings
 * \u0000 and lone surrogates are read as U+FFFD. record_object and its kin
 * answer NULL where the member is of another type.
 */
const cJSON *record_get(struct record *record, const char *name);
const char *record_string(struct record *record, const char *name);
const cJSON *record_array(struct record *record, const char *name);
const cJSON *record_object(struct record *record, const char *name);

/* Is the member that string? */
bool record_is(struct record *record, const char *name, const char *value);

/* The member's bytes as they stand in the line; false where there is none. */
bool record_raw(const struct record *record, const char *name,
    const char **bytes, size_t *length);

/* The member as a whole number, exactly; false where it is none. */
bool record_integer(const struct record *record, const char *name,
    int64_t *value);

/*
 * The last member `name` of `object`, and the same where it is a string, or
 * NULL; object may be NULL or anything else.
 */
const cJSON *json_get(const cJSON *object, const char *name);
const char *json_string(const cJSON *object, const char *name);

/* Add a member of this stage's own, its value given as JSON text. */
void record_add_json(struct record *record, const char *name,
    const char *json, size_t length);
void record_add_string(struct record *record, const char *name,
    const char *value);
void record_add_integer(struct record *record, const char *name,
    int64_t value);

/*
 * Say that this stage could not handle the record: it goes on with an `error`
 * member, unless it has one from an earlier stage.
 */
void record_fail(struct record *record, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Append the line as it came with the added members, and LF. Where they would
 * make it longer than RECORD_BYTES_MAX, an `error` says so instead.
 */
void record_write(struct record *record, struct buffer *out);

/*
 * Append an error record that carries a line which is no record, and LF.
 * total is the length of the whole line where `line` is only its beginning;
 * of a line that would not fit it carries the beginning, too.
 */
void record_write_error(struct buffer *out, const char *stage,
    const char *reason, const char *line, size_t length, size_t total);

#endif
