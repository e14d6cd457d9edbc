/*
 * A thread that makes things safe while its owner goes on: one deed at a time,
 * which the owner begins and whose end it waits for, here or in poll(2).
 */
#ifndef LIB_COMMITTER_H
#define LIB_COMMITTER_H

struct committer;

/*
 * The thread will call commit(arg); it gets no signals. arg is borrowed. Exits
 * EX_OSERR where there is no thread to be had.
 */
struct committer *committer_new(int (*commit)(void *arg), void *arg);

/* Waits for a deed that was begun, and ends the thread. NULL is ignored. */
void committer_free(struct committer *committer);

/* Begin. What commit uses is the thread's until committer_finish returns. */
void committer_begin(struct committer *committer);

/* Readable as soon as the deed is done. */
int committer_descriptor(const struct committer *committer);

/* Wait for the deed that was begun; returns what commit returned. */
int committer_finish(struct committer *committer);

#endif
