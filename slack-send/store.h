/*
 * The SQLite file under the outbox: opened, judged, mended; statements that
 * are prepared once; what goes wrong is kept in mind and said once.
 */
#ifndef SLACK_SEND_STORE_H
#define SLACK_SEND_STORE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct store;

/*
 * Open the file, whose path is borrowed, or make it. Who may_mend is alone with
 * it, and moves a damaged one aside. Returns NULL with the reason reported and
 * *status an exit status.
 */
struct store *store_open(const char *path, bool may_mend, int *status);
void store_close(struct store *store);

/*
 * A statement of that text, which is static: prepared at its first use, and
 * without values then. NULL where that fails, which all that follows accepts.
 */
sqlite3_stmt *store_use(struct store *store, const char *sql);

/* 1: there is a row. 0: it is done. -1: it failed. */
int store_step(struct store *store, sqlite3_stmt *statement);

/* Bind, run, to its end: returns 0, or -1. */
int store_run(struct store *store, sqlite3_stmt *statement);

/* The first column of the first row as a number, `none` where there is none. */
int store_number(struct store *store, sqlite3_stmt *statement,
    int64_t *number, int64_t none);

/*
 * A transaction. Where begin, anything in it or commit fails, nothing of it
 * has happened after store_rollback. A file that turned out to be damaged is
 * mended before the next one, which ends all statements.
 */
int store_begin(struct store *store);
int store_commit(struct store *store);
void store_rollback(struct store *store);

/* Was it mended since the last call? */
bool store_take_mended(struct store *store);

/* The last transaction went well, or not: say so where that is new. */
void store_note_success(struct store *store);
void store_note_failure(struct store *store);

/* Bytes of the file that hold something. */
int64_t store_bytes(struct store *store);

/* Give some of those that do not back. Returns whether there are more. */
bool store_shrink(struct store *store);

#endif
