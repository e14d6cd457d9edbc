/* Threads in which something was written, the most recently active ones. */
#ifndef SLACK_READER_THREADS_H
#define SLACK_READER_THREADS_H

#include <stddef.h>
#include <stdint.h>

struct threads;

struct threads *threads_new(size_t most);
void threads_free(struct threads *threads);

/* A thread, named by its parent, was active then. */
void threads_note(struct threads *threads, const char *channel,
    int64_t parent_us, int64_t active_us);

/*
 * Write the parents of a channel's threads that were active since then into
 * `parents`, `most` at the most; returns how many.
 */
size_t threads_list(const struct threads *threads, const char *channel,
    int64_t since_us, int64_t *parents, size_t most);

#endif
