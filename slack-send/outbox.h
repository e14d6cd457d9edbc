/*
 * The outbox: what is to be said in Slack, in an SQLite file (man/outbox.5),
 * from before its line is answered until some days after it is through.
 *
 * Changes are gathered in memory and made by outbox_commit, all of them or
 * none. Whatever looks for something commits first, and finds nothing while
 * that cannot be done: what is found is durable. All times are microseconds
 * since 1970, 0 where it has not happened; strings are NULL where there are
 * none.
 */
#ifndef SLACK_SEND_OUTBOX_H
#define SLACK_SEND_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_DIGEST_PURPOSE "digest"
#define OUTBOX_REPLY_PURPOSE "reply"
#define OUTBOX_FORWARD_PURPOSE "forward"
#define OUTBOX_NOTICE_PURPOSE "notice"
#define OUTBOX_BURST 5			/* forwards to a user in a minute */
#define OUTBOX_COOLDOWN_US 60000000	/* what comes then is gathered so long */
#define OUTBOX_FOREVER_US INT64_MAX	/* held back until people say so */
#define OUTBOX_KEY_BYTES 200

enum outbox_state {
	OUTBOX_QUEUED,		/* to be sent, or sent again */
	OUTBOX_SENDING,		/* tried: may have been sent */
	OUTBOX_GATHERED,	/* goes with the digest of its channel */
	OUTBOX_HELD,		/* a digest whose time has not come */
	OUTBOX_SENT,
	OUTBOX_DIGEST,		/* went with a digest */
	OUTBOX_FAILED,
};

struct outbox_message {
	int64_t number;		/* order of sending within a channel */
	int64_t seq;		/* of the record; 0: it has none */
	const char *purpose;	/* relay, reply, forward, notice, digest */
	const char *id;		/* of an api_message, up to 128 bytes; of a
				 * forward whom it is for */
	const char *channel;	/* as asked for */
	const char *title;
	const char *text;
	const char *payload;	/* a string, or JSON as it was written */
	const char *filename;	/* of the payload; NULL: after the title */
	const char *mrkdwn;	/* what stands for title and text, as it is */
	const char *thread;	/* ts of the message that it answers */
	int64_t due_us;		/* a forward is held back until then */
	const char *class;
	int64_t posts;		/* that it takes, at least 1 */

	enum outbox_state state;
	int64_t digest;		/* number of the digest that carries it */
	int64_t messages;	/* that a digest carries, once summarized */
	int64_t part;		/* posts of it that are done */
	int64_t attempts;
	int64_t limited;	/* how often Slack said "too much" */
	int64_t broken;		/* how often a connection broke */
	int64_t outcomes;	/* how often it had ended before */
	int64_t created_us;
	int64_t since_us;	/* created, or replayed: when patience began */
	int64_t tried_us;
	int64_t ended_us;
	const char *slack_channel;
	const char *slack_ts;	/* of its first post */
	const char *file;	/* uploaded for the part at hand */
	const char *reason;
};

/* Messages of a digest that have class and title in common. */
struct outbox_tally {
	const char *class;
	const char *title;
	int64_t messages;
};

struct outbox_line {
	int64_t seq;
	int64_t created_us;
	const char *class;
	const char *title;
	const char *text;	/* its beginning, up to 300 bytes */
};

#define OUTBOX_TALLIES 10
#define OUTBOX_ENDS 3

/* What a digest is about. The last lines are none of the first ones. */
struct outbox_digest {
	const char *channel;
	int64_t messages;
	int64_t first_seq, last_seq;		/* 0: they have none */
	int64_t first_us, last_us;		/* when they came */
	int64_t success, warning, danger;	/* of the messages */
	int64_t forwards;			/* among them */
	struct outbox_tally tallies[OUTBOX_TALLIES];	/* danger first, then
				 * warning, and in each the largest first */
	size_t tally_count;
	int64_t rest;				/* messages in no tally */
	struct outbox_line first[OUTBOX_ENDS];
	size_t first_count;
	struct outbox_line last[OUTBOX_ENDS];
	size_t last_count;
};

#define OUTBOX_BYTES_MAX (INT64_C(1024) * 1024 * 1024)

struct outbox_settings {
	const char *path;
	bool is_ours;		/* nobody else writes but to replay */
	int64_t digest_after_s;	/* of posts, one a second, in a queue */
	int64_t open_max;	/* messages that are not through */
	int64_t bytes_max;	/* of the file */
	int64_t keep_s;		/* what is through is forgotten after that */
};

struct outbox;

/*
 * Open the file, or make it; the settings are borrowed. A damaged one that
 * is_ours is moved aside, now or when it shows, with what can be read of it
 * taken over. Returns NULL with the reason reported and *status an exit status.
 */
struct outbox *outbox_open(const struct outbox_settings *settings,
    int *status);

/* Changes that were not committed are lost. */
void outbox_close(struct outbox *outbox);

/*
 * Put a message in: its part down to posts counts, and is copied. It is queued,
 * or gathered; it is not put in where the same seq, purpose and id are there.
 * Returns false where the outbox is full, and it is put in as failed.
 */
bool outbox_add(struct outbox *outbox, const struct outbox_message *message);

/* All that is held back is to be sent now. */
void outbox_release(struct outbox *outbox);

/*
 * What is held back for the channel is so until due_us, no longer where that is
 * over: by the record seq, if not 0, so only what was gathered up to that.
 */
void outbox_hold(struct outbox *outbox, const char *channel, int64_t due_us,
    int64_t seq);

/*
 * The same of all whose time has come. Returns when the next one is due, 0
 * where nothing is held.
 */
int64_t outbox_release_due(struct outbox *outbox);

/* Bytes in changes that are not committed. */
size_t outbox_pending_bytes(const struct outbox *outbox);

/*
 * Make all changes durable; nothing to do without. Returns 0, or -1 where that
 * cannot be done now, which is reported once: try again later.
 */
int outbox_commit(struct outbox *outbox);

/* Was it found damaged, and moved aside, since the last call? */
bool outbox_take_mended(struct outbox *outbox);

/* How often something was committed: has it changed? */
uint64_t outbox_commits(const struct outbox *outbox);

/* Did that, or a look for something, fail, and outbox_commit not succeed
 * since? */
bool outbox_is_in_trouble(const struct outbox *outbox);

/*
 * The first channel behind `after` by name ("": the first of all) that has
 * messages to be sent, or NULL. Valid until the next call.
 */
const char *outbox_next_channel(struct outbox *outbox, const char *after);

/*
 * The oldest message of the channel that is queued or sending. Its strings are
 * valid until the next call.
 */
bool outbox_next(struct outbox *outbox, const char *channel,
    struct outbox_message *message);

/*
 * What a post is known by, in Slack and for ever: SEQ/PURPOSE/PART/ID, seq 0
 * and id left out where it has none. key has OUTBOX_KEY_BYTES.
 */
void outbox_key(const struct outbox_message *message, int64_t part,
    char *key);

/*
 * What is to be told about a digest, valid until the next call. It carries no
 * more messages from then on.
 */
bool outbox_summarize(struct outbox *outbox, int64_t number,
    struct outbox_digest *digest);

/* It is about to be sent: state sending, one attempt more, tried now. */
void outbox_try(struct outbox *outbox, int64_t number);

/* So many posts of it are done, the last of them with that ts. */
void outbox_part_done(struct outbox *outbox, int64_t number, int64_t part,
    const char *slack_channel, const char *slack_ts);

/* The file of the part at hand; NULL forgets it. */
void outbox_note_file(struct outbox *outbox, int64_t number,
    const char *file);

/* So much more trouble it had, whatever becomes of it. */
void outbox_count(struct outbox *outbox, int64_t number, unsigned limited,
    unsigned broken);

/* It is queued again, as it was not sent; the same trouble is counted. */
void outbox_put_off(struct outbox *outbox, int64_t number, const char *reason,
    unsigned limited, unsigned broken);

/*
 * It is OUTBOX_SENT or OUTBOX_FAILED. The content of what was sent is thrown
 * away. What a digest carries ends with it: many of those by outbox_tidy.
 */
void outbox_end(struct outbox *outbox, int64_t number,
    enum outbox_state state, const char *reason);

/*
 * The first message behind that number that ended, in any way, and whose
 * outcome is not reported. Valid until the next call.
 */
bool outbox_next_report(struct outbox *outbox, int64_t after,
    struct outbox_message *message);

/* That outcome of it, one of several perhaps, was reported. */
void outbox_reported(struct outbox *outbox, int64_t number, int64_t outcomes);

/*
 * One small step of what may wait: end what went with a digest, forget what is
 * through and too old or too much, give room back. Returns whether there is
 * more of it to do at once.
 */
bool outbox_tidy(struct outbox *outbox);

/* How many are not through, and since when the oldest of them waits (0: none
 * does). */
int64_t outbox_count_open(const struct outbox *outbox);
int64_t outbox_oldest_us(struct outbox *outbox);

/*
 * Queue again what failed and still has its content; another process may have
 * the outbox at the same time, and calls outbox_refresh then. Returns how many
 * messages, or -1 with the reason reported.
 */
int64_t outbox_replay_dead(struct outbox *outbox);
void outbox_refresh(struct outbox *outbox);

#endif
