/*
 * The file FILE.again beside the outbox FILE: locked by who sends, touched by
 * who queued failed messages again.
 */
#ifndef SLACK_SEND_AGAIN_H
#define SLACK_SEND_AGAIN_H

#include <stdbool.h>

struct again;

/*
 * Lock it; then call `touched` when it is, by events of the set.
 * Returns NULL with the reason reported and *status an exit status; where
 * another process that may be dying has the lock, that is awaited for 2 s.
 */
struct again *again_open(const char *outbox, int *status);
void again_watch(struct again *again, int set, void (*touched)(void *arg),
    void *arg);
void again_close(struct again *again);

/* Touch it. Returns whether somebody has it locked. */
bool again_touch(const char *outbox);

#endif
