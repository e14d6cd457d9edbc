#include "outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "memory.h"
#include "outbox_parts.h"

const char *const outbox_states[] = { "queued", "sending", "gathered", "held",
	"sent", "digest", "failed" };

static const size_t strings[] = {
	offsetof(struct outbox_message, purpose),
	offsetof(struct outbox_message, id),
	offsetof(struct outbox_message, channel),
	offsetof(struct outbox_message, title),
	offsetof(struct outbox_message, text),
	offsetof(struct outbox_message, payload),
	offsetof(struct outbox_message, filename),
	offsetof(struct outbox_message, mrkdwn),
	offsetof(struct outbox_message, thread),
	offsetof(struct outbox_message, class),
	offsetof(struct outbox_message, slack_channel),
	offsetof(struct outbox_message, slack_ts),
	offsetof(struct outbox_message, file),
	offsetof(struct outbox_message, reason),
};
#define STRINGS (sizeof strings / sizeof *strings)

/* --- copies -----------------------------------------------------------------*/

static const char **
find_string(struct outbox_message *message, size_t i)
{
	return (const char **)((char *)message + strings[i]);
}

struct outbox_message *
outbox_copy(const struct outbox_message *message, size_t *bytes)
{
	struct outbox_message shallow = *message, *copy;
	size_t lengths[STRINGS], total = sizeof shallow;
	char *at;

	for (size_t i = 0; i < STRINGS; i++) {
		const char *text = *find_string(&shallow, i);

		lengths[i] = text == NULL ? 0 : strlen(text) + 1;
		total += lengths[i];
	}
	copy = xmalloc(total);
	*copy = shallow;
	at = (char *)(copy + 1);
	for (size_t i = 0; i < STRINGS; i++) {
		if (lengths[i] == 0)
			continue;
		memcpy(at, *find_string(&shallow, i), lengths[i]);
		*find_string(copy, i) = at;
		at += lengths[i];
	}
	*bytes = total;
	return copy;
}

/* --- opening ----------------------------------------------------------------*/

int
outbox_recount(struct outbox *outbox)
{
	static const char open[] = "SELECT count(*) FROM message"
	    " WHERE state IN ('queued', 'sending', 'gathered', 'held')";
	static const char ended[] = "SELECT count(*) FROM message"
	    " WHERE ended IS NOT NULL";
	struct store *store = outbox->store;
	struct counts counts = { 0 };

	if (store_number(store, store_use(store, open), &counts.open, 0) == -1 ||
	    store_number(store, store_use(store, ended), &counts.ended, 0) == -1)
		return -1;
	counts.bytes = store_bytes(store);
	outbox->counts = counts;
	return 0;
}

struct outbox *
outbox_open(const struct outbox_settings *settings, int *status)
{
	struct store *store = store_open(settings->path, settings->is_ours,
	    status);
	struct outbox *outbox;

	if (store == NULL)
		return NULL;
	outbox = xcalloc(1, sizeof *outbox);
	outbox->settings = settings;
	outbox->store = store;
	outbox->last = &outbox->first;
	outbox_refresh(outbox);
	return outbox;
}

static void
forget_changes(struct outbox *outbox)
{
	while (outbox->first != NULL) {
		struct change *change = outbox->first;

		outbox->first = change->next;
		free(change->message);
		free(change);
	}
	outbox->last = &outbox->first;
	outbox->pending_bytes = 0;
	outbox->added = 0;
}

void
outbox_close(struct outbox *outbox)
{
	if (outbox == NULL)
		return;
	forget_changes(outbox);
	store_close(outbox->store);
	free(outbox->next);
	free(outbox->report);
	free(outbox->channel);
	for (size_t i = 0; i < outbox->kept_count; i++)
		free(outbox->kept[i]);
	free(outbox);
}

/* --- transactions -----------------------------------------------------------*/

void
outbox_note_failure(struct outbox *outbox)
{
	outbox->is_in_trouble = true;
	store_rollback(outbox->store);
	store_note_failure(outbox->store);
}

/* What a transaction that fails has counted is forgotten with it. */
static int
transact(struct outbox *outbox, int (*work)(struct outbox *outbox, void *arg),
    void *arg)
{
	struct counts before = outbox->counts;

	if (store_begin(outbox->store) == 0 && work(outbox, arg) == 0 &&
	    store_commit(outbox->store) == 0) {
		outbox->counts.bytes = store_bytes(outbox->store);
		outbox->commits++;
		store_note_success(outbox->store);
		return 0;
	}
	outbox->counts = before;
	outbox_note_failure(outbox);
	return -1;
}

int
outbox_transact(struct outbox *outbox, int (*work)(struct outbox *outbox,
    void *arg), void *arg)
{
	if (outbox_commit(outbox) == -1)
		return -1;
	return transact(outbox, work, arg);
}

/* Without changes something is written that is the same afterwards. */
static int
apply_changes(struct outbox *outbox, void *arg)
{
	static const char same[] = "PRAGMA user_version=2";

	(void)arg;
	if (outbox->first == NULL)
		return store_run(outbox->store, store_use(outbox->store, same));
	for (struct change *change = outbox->first; change != NULL;
	    change = change->next)
		if (change->apply(outbox, change->message) == -1)
			return -1;
	return 0;
}

int
outbox_commit(struct outbox *outbox)
{
	if (outbox->first == NULL && !outbox->is_in_trouble)
		return 0;
	if (transact(outbox, apply_changes, NULL) == -1)
		return -1;
	forget_changes(outbox);
	if (outbox->is_in_trouble && outbox_recount(outbox) == -1) {
		outbox_note_failure(outbox);
		return -1;
	}
	outbox->is_in_trouble = false;
	return 0;
}

bool
outbox_take_mended(struct outbox *outbox)
{
	return store_take_mended(outbox->store);
}

uint64_t
outbox_commits(const struct outbox *outbox)
{
	return outbox->commits;
}

bool
outbox_is_in_trouble(const struct outbox *outbox)
{
	return outbox->is_in_trouble;
}

void
outbox_change(struct outbox *outbox, int (*apply)(struct outbox *outbox,
    const struct outbox_message *message),
    const struct outbox_message *message)
{
	struct change *change = xcalloc(1, sizeof *change);

	change->apply = apply;
	change->message = outbox_copy(message, &change->bytes);
	*outbox->last = change;
	outbox->last = &change->next;
	outbox->pending_bytes += change->bytes;
}

size_t
outbox_pending_bytes(const struct outbox *outbox)
{
	return outbox->pending_bytes;
}

void
outbox_refresh(struct outbox *outbox)
{
	if (outbox_recount(outbox) == -1)
		outbox_note_failure(outbox);
}

/* --- adding -----------------------------------------------------------------*/

/* How many may wait: forwards take half of it only, as one person may ask for
 * any number of them, and others need the outbox, too. */
static int64_t
find_most(const struct outbox *outbox, const struct outbox_message *message)
{
	int64_t most = outbox->settings->open_max;

	return strcmp(message->purpose, OUTBOX_FORWARD_PURPOSE) == 0 ?
	    most / 2 : most;
}

/* What does not fit any more fails, with its content where that fits. */
static void
refuse(struct outbox *outbox, const struct outbox_message *message,
    bool is_large)
{
	struct outbox_message failed = *message;
	char reason[80];

	snprintf(reason, sizeof reason, is_large
	    ? "the outbox is full: it may take %" PRId64 " MiB"
	    : "the outbox is full: %" PRId64 " messages wait in it",
	    is_large ? outbox->settings->bytes_max / (1024 * 1024)
	    : find_most(outbox, message));
	failed.state = OUTBOX_FAILED;
	failed.ended_us = failed.created_us;
	failed.reason = reason;
	if (is_large)
		failed.text = failed.payload = failed.mrkdwn = NULL;
	outbox_change(outbox, outbox_apply_add, &failed);
}

/* Of what is not committed more may be counted than will wait. */
static bool
is_full(struct outbox *outbox, const struct outbox_message *message)
{
	int64_t most = find_most(outbox, message);

	if (outbox->counts.open + outbox->added < most)
		return false;
	if (outbox->added > 0)
		outbox_commit(outbox);
	return outbox->counts.open + outbox->added >= most;
}

bool
outbox_add(struct outbox *outbox, const struct outbox_message *message)
{
	const struct outbox_settings *settings = outbox->settings;
	struct outbox_message added = *message;
	bool is_large = outbox->counts.bytes + (int64_t)outbox->pending_bytes >=
	    settings->bytes_max;

	added.posts = message->posts < 1 ? 1 : message->posts;
	added.state = OUTBOX_QUEUED;
	added.created_us = added.since_us = clock_now_us();
	if ((is_large || is_full(outbox, message)) &&
	    outbox_is_repeated(outbox, message) == 0) {
		refuse(outbox, &added, is_large);
		return false;
	}
	outbox->added++;
	outbox_change(outbox, outbox_apply_add, &added);
	return true;
}

bool
outbox_unique_key(const struct outbox_message *message, char *key)
{
	bool is_notice = strcmp(message->purpose, OUTBOX_NOTICE_PURPOSE) == 0;

	snprintf(key, OUTBOX_KEY_BYTES, "%" PRId64 "/%s/%s", is_notice ? 0 :
	    message->seq, message->purpose, message->id == NULL ? ""
	    : message->id);
	return message->seq != 0 || message->id != NULL;
}

void
outbox_key(const struct outbox_message *message, int64_t part, char *key)
{
	const char *id = message->id;
	char number[48];

	if (message->seq == 0 && id == NULL) {
		snprintf(number, sizeof number, "%" PRId64 ".%" PRId64,
		    message->number, message->created_us);
		id = number;
	}
	snprintf(key, OUTBOX_KEY_BYTES, "%" PRId64 "/%s/%" PRId64 "%s%s",
	    message->seq, message->purpose, part, id == NULL ? "" : "/",
	    id == NULL ? "" : id);
}
