/* https://acme.slack.com/archives/C1/p1763800000000100, and for an answer in a
 * thread ?thread_ts=1763800000.000000&cid=C1 (docs.slack.dev,
 * chat.getPermalink). */
#include "permalink.h"

#include <string.h>

#define ID_BYTES_MAX 64
#define TS_BYTES_MAX 32

static bool
is_id(const char *text)
{
	size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

	return length > 0 && length <= ID_BYTES_MAX && text[length] == '\0';
}

/* Seconds, a dot, six digits. */
static bool
is_ts(const char *text)
{
	size_t seconds = strspn(text, "0123456789");

	return seconds > 0 && seconds <= TS_BYTES_MAX &&
	    text[seconds] == '.' &&
	    strspn(text + seconds + 1, "0123456789") == 6 &&
	    text[seconds + 7] == '\0';
}

/* What was deleted is nowhere. */
static bool
is_there(struct record *event)
{
	const char *type = record_string(event, RECORD_TYPE);
	const char *subtype = record_string(event, RECORD_SUBTYPE);

	return type != NULL && (strcmp(type, "message") == 0 ||
	    strcmp(type, "app_mention") == 0 ||
	    strcmp(type, "late_file") == 0) &&
	    (subtype == NULL || strcmp(subtype, "message_deleted") != 0);
}

/* Of an edit the message itself, which has a ts of its own. */
static const char *
find_ts(struct record *event, const char *name)
{
	const cJSON *inner = record_object(event, RECORD_MESSAGE);
	const char *ts = inner != NULL ? json_string(inner, name)
	    : record_string(event, name);

	return ts != NULL && is_ts(ts) ? ts : NULL;
}

bool
permalink_append(struct buffer *out, const char *url, struct record *event)
{
	const char *channel = record_string(event, RECORD_CHANNEL);
	const char *ts = find_ts(event, RECORD_TS);
	const char *thread = find_ts(event, RECORD_THREAD_TS);

	if (!is_there(event) || channel == NULL || !is_id(channel) ||
	    ts == NULL)
		return false;
	buffer_printf(out, "%sarchives/%s/p%.*s%s", url, channel,
	    (int)strcspn(ts, "."), ts, strchr(ts, '.') + 1);
	if (thread != NULL && strcmp(thread, ts) != 0)
		buffer_printf(out, "?thread_ts=%s&cid=%s", thread, channel);
	return true;
}
