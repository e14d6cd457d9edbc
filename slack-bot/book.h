/*
 * Who subscribed to what: the table, what the record at hand changes in it, and
 * its file (man/subscriptions.5).
 */
#ifndef SLACK_BOT_BOOK_H
#define SLACK_BOT_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "subscriptions.h"

struct book;

/*
 * Read the file; path is borrowed, NULL keeps all in memory. What is damaged in
 * it is reported, and the file kept as path.bad. Returns NULL with the reason
 * reported and errno set where it cannot be read.
 */
struct book *book_new(const char *path);
void book_free(struct book *book);

/* Begin a record: what is asked for is as it was before that seq (0: none). */
void book_begin(struct book *book, int64_t seq);

/*
 * The next line of that kind in force, of that user or of anybody (NULL), from
 * *at on, which starts at 0; NULL behind the last one. It stays until
 * book_begin.
 */
const struct subscription *book_next(struct book *book, size_t *at,
    enum subscription_kind kind, const char *user);

/* The line of the user for the term; for a mute term is NULL. Or NULL. */
const struct subscription *book_find(struct book *book,
    enum subscription_kind kind, const char *user, const char *term);

size_t book_count(struct book *book, enum subscription_kind kind,
    const char *user);

/* From the next record on there is such a line (from and to are set). */
void book_add(struct book *book, struct subscription line);

/* From the next record on the line is in force no more. */
void book_end(struct book *book, const struct subscription *line);

/* A job is done: it is forgotten. */
void book_remove(struct book *book, const struct subscription *line);

/* Is some mute over at that time? */
bool book_has_mute_until(const struct book *book, int64_t time_s);

/* What the record changes, a JSON array of lines, or NULL; until book_begin. */
const struct buffer *book_changes(struct book *book);

/* Write the file by the next commit, though nothing may have changed. */
void book_save(struct book *book);

/* Lay ready what book_commit is to write. Returns false if there is nothing. */
bool book_prepare(struct book *book);

/*
 * Make that durable; another thread may do it, while nobody calls book_prepare.
 * Returns 0, or -1 with the reason reported: it may be tried again.
 */
int book_commit(struct book *book);

#endif
