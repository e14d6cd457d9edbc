/* What the parts of the outbox share: it itself, and its changes. */
#ifndef SLACK_SEND_OUTBOX_PARTS_H
#define SLACK_SEND_OUTBOX_PARTS_H

#include "outbox.h"
#include "store.h"

#define OUTBOX_KEPT_MAX 128
#define OUTBOX_GATHERED_TEXT_BYTES 300	/* whole characters */

/* What the digest ?1 carries, by an index of its own. */
#define OUTBOX_CARRIED " FROM message WHERE digest = ?1" \
	" AND state IN ('gathered', 'failed') AND state = 'gathered'"

/* A change that was asked for: `apply` does to the file what `message`, of
 * which it takes the members it needs, says. */
struct change {
	struct change *next;
	int (*apply)(struct outbox *outbox,
	    const struct outbox_message *message);
	struct outbox_message *message;
	size_t bytes;
};

struct counts {
	int64_t open;
	int64_t ended;
	int64_t bytes;
};

struct outbox {
	const struct outbox_settings *settings;
	struct store *store;

	struct change *first;		/* not committed */
	struct change **last;
	size_t pending_bytes;
	int64_t added;			/* messages in them */
	struct counts counts;		/* of the file, with what is applied */
	uint64_t commits;
	bool is_in_trouble;

	/* what was found last */
	struct outbox_message *next;
	struct outbox_message *report;
	char *channel;
	char *kept[OUTBOX_KEPT_MAX];	/* strings of a digest */
	size_t kept_count;
};

/* The words for the states, in the order of the enum. */
extern const char *const outbox_states[];

/* A copy in one block, which the caller frees; its size in *bytes. */
struct outbox_message *outbox_copy(const struct outbox_message *message,
    size_t *bytes);

/* Have a copy of the message applied by the next commit. */
void outbox_change(struct outbox *outbox, int (*apply)(struct outbox *outbox,
    const struct outbox_message *message),
    const struct outbox_message *message);

/*
 * Carry out `work` in a transaction, after what waits for one. Returns 0, or
 * -1: nothing of it has happened then, and outbox_is_in_trouble.
 */
int outbox_transact(struct outbox *outbox, int (*work)(struct outbox *outbox,
    void *arg), void *arg);

/* A look at the file failed: note it. */
void outbox_note_failure(struct outbox *outbox);

/* Is it in the outbox already? 1, 0, or -1. */
int outbox_is_repeated(struct outbox *outbox,
    const struct outbox_message *message);

/* Put a message that is not there yet at the end of its channel's queue, or
 * into its digest: what `apply` does for outbox_add. */
int outbox_apply_add(struct outbox *outbox,
    const struct outbox_message *message);

/*
 * The digest that a message, which takes so many posts, goes with: made for it
 * if need be; 0 where it goes by itself. Returns 0, or -1.
 */
int outbox_choose_digest(struct outbox *outbox,
    const struct outbox_message *message, int64_t *digest);

/* Make a digest, held back until due_us where that is not 0. Returns 0 with its
 * number, or -1. */
int outbox_make_digest(struct outbox *outbox,
    const struct outbox_message *first, int64_t due_us, int64_t *digest);

/*
 * The digest that holds the message back where it is a forward that has to
 * wait: made for it if need be; 0 where it need not. Returns 0, or -1.
 */
int outbox_choose_held(struct outbox *outbox,
    const struct outbox_message *message, int64_t *digest);

/*
 * A forward with that number was gathered into the digest: where that carries
 * too many, the oldest in its middle are counted with their like, and their
 * rows given up, now or with one of the next. Returns 0, or -1.
 */
int outbox_fold(struct outbox *outbox, int64_t digest, int64_t number);

/* Is the forward, or a later one to its user, counted so? All before that came
 * before it. 1, 0, or -1. */
int outbox_is_folded(struct outbox *outbox,
    const struct outbox_message *message);

/* End some of the messages that an ended digest carries, and then make its own
 * outcome known. Returns 1 where there are more of them, 0, or -1. */
int outbox_settle(struct outbox *outbox, int64_t digest);

/* Count again what is in the file. Returns 0, or -1. */
int outbox_recount(struct outbox *outbox);

/*
 * What a message is known by that must not come twice: SEQ/PURPOSE/ID, of a
 * notice without its seq, in OUTBOX_KEY_BYTES. Returns false where it has
 * neither seq nor id.
 */
bool outbox_unique_key(const struct outbox_message *message, char *key);

/* Bind a string, which stays, or NULL; or up to so many bytes of it. */
void outbox_bind(sqlite3_stmt *statement, int place, const char *text);
void outbox_bind_beginning(sqlite3_stmt *statement, int place,
    const char *text, size_t bytes);

#endif
