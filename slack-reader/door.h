/*
 * The door: everything that comes in passes here, in order. What came before
 * is turned away, the rest is stamped, put into the journal, and answered for
 * once it is durable there.
 */
#ifndef SLACK_READER_DOOR_H
#define SLACK_READER_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backfill.h"
#include "channel_list.h"
#include "directory.h"
#include "identity.h"
#include "journal.h"
#include "seen.h"
#include "socket_mode.h"
#include "timers.h"

/* How long an event waits for the names of who wrote it and where. */
#define DOOR_HOLD_MS 200

/* Room is left for what is added to a record. */
#define DOOR_BYTES_MAX (RECORD_BYTES_MAX - 8192)

/* Ids of the inbox are that long at most, and so many are remembered. */
#define DOOR_ID_BYTES_MAX 128
#define DOOR_IDS_LEAST 65536

/* Fetched messages that wait here at most; live ones come as they come. */
#define DOOR_BACKFILL_MAX 500

struct door;

/* Who waits to be told that something is durable. */
struct arrival_origin {
	enum { FROM_NOBODY, FROM_SLACK, FROM_INBOX } kind;
	struct socket_mode_origin socket;
	uint64_t client;
};

/* What comes in. All is copied. */
struct arrival {
	const char *text;		/* a JSON object */
	size_t length;
	const char *event_id;		/* or NULL */
	bool is_backfill;
	struct arrival_origin origin;
};

/* All borrowed. */
struct door_settings {
	struct seen *seen;	/* what came from Slack */
	struct seen *ids;	/* what came by the inbox, under its own id */
	struct timers *timers;
	struct identity *identity;
	struct directory *directory;
	const struct channel_list *channels;

	/* An event of Slack's came in that is new. */
	void (*noticed)(struct record *event, void *arg);

	/* It is durable under that seq, or was so before (0). */
	void (*accepted)(const struct arrival_origin *origin, int64_t seq,
	    void *arg);

	/* It could not be written; Slack will send it again. */
	void (*refused)(const struct arrival_origin *origin,
	    const char *reason, void *arg);

	/* After a time when nothing could be written, of which that is. */
	void (*reopened)(int64_t shut_ms, void *arg);
	void *arg;
};

/* A door that remembers, but is not yet open. */
struct door *door_new(const struct door_settings *settings);
void door_free(struct door *door);

/* From here on things can come in; the journal is borrowed. */
void door_open(struct door *door, struct journal *journal, int64_t next_seq);

/* Take something in; what becomes of it is told after door_commit. */
void door_take(struct door *door, const struct arrival *arrival);

/*
 * Put in a record that says what went wrong, in a channel or NULL. What has an
 * event id is said once.
 */
struct trouble {
	const char *reason;
	const char *channel;	/* or NULL */
	const char *event_id;	/* or NULL */
	struct arrival_origin origin;
};
void door_report(struct door *door, const struct trouble *trouble);

/* Remember a record of the journal, so that it does not come in twice. */
void door_recall(struct door *door, struct record *record);

/* A name has become known: whoever waits only for it may go on. */
void door_look_again(struct door *door);

/* Is the journal such that nothing can be written to it? */
bool door_is_shut(const struct door *door);

/* Is there room for fetched messages? */
bool door_has_room(const struct door *door);

/* Is everything durable that nobody would send again: messages that were
 * fetched, and reports? */
bool door_is_safe(const struct door *door);

/*
 * Write all that waits for nothing, make it durable, tell those who wait.
 * With `all` nothing is waited for.
 */
void door_commit(struct door *door, bool all);

/*
 * A moment of this machine's clock as Slack's clock shows it or earlier, as far
 * as that is known from the messages of late.
 */
int64_t door_slack_time(const struct door *door, int64_t time_us);

/* What time it is by Slack's clock now, or later. */
int64_t door_slack_now(const struct door *door);

#endif
