/*
 * Who subscribed to what at which record: the lines of the subscriptions file
 * and of the records that came by, and the watches that follow from them. What
 * is in force depends on the record's seq alone, not on when the file was read.
 */
#ifndef SCANNER_SUBSCRIBERS_H
#define SCANNER_SUBSCRIBERS_H

#include "patterns.h"
#include "record.h"
#include "subscriptions.h"
#include "watch.h"

#define SUBSCRIBERS_LINES_MAX 20000	/* that are known at once */

struct subscribers;

/* Without any as yet. serials is borrowed. */
struct subscribers *subscribers_new(struct serials *serials);
void subscribers_free(struct subscribers *subscribers);

/*
 * Take the lines of the file instead of those known before; where there is no
 * file there are none. What is wrong is reported. Returns 0, or -1 where the
 * file can't be read, and then nothing has changed.
 */
int subscribers_read(struct subscribers *subscribers, const char *path);

/*
 * Have the set look for what is in force at the record with that seq (0: it
 * has none). Returns whether the patterns of the set have changed; those that
 * left it are freed.
 */
bool subscribers_sync(struct subscribers *subscribers, int64_t seq,
    struct pattern_set *set);

/* Have another set look for it. */
void subscribers_follow(const struct subscribers *subscribers,
    struct pattern_set *set);

/* Take over what the record changes for the ones behind it. */
void subscribers_take(struct subscribers *subscribers, struct record *record,
    int64_t seq);

/* The line by which the user's forwards wait, or NULL. */
const struct subscription *subscribers_find_mute(
    const struct subscribers *subscribers, const char *user);

/* A watch has cost too much: look for it no more. */
void subscribers_quarantine(struct subscribers *subscribers,
    struct watch *watch);

/* The next watch in quarantine with members who don't know it, or NULL. */
struct watch *subscribers_next_untold(struct subscribers *subscribers);

#endif
