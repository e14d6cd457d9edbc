/* Counts by name, sorted by name, for a bounded number of names. */
#ifndef STATS_TALLY_H
#define STATS_TALLY_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Names beyond so many are counted together under TALLY_REST. */
#define TALLY_NAMES_MAX 1000
#define TALLY_NAME_BYTES_MAX 128
#define TALLY_REST "(others)"
#define TALLY_COUNT_MAX (INT64_C(1) << 53)	/* what a double holds */

struct tally;

/* Is it a whole number that a double holds exactly, and not below 0? */
bool tally_is_count(const cJSON *number);

struct tally *tally_new(void);
struct tally *tally_new_of(size_t names_max);
void tally_free(struct tally *tally);

/* Add to the count of a name, which is cut where it is overlong; it stays at
 * TALLY_COUNT_MAX. */
void tally_add(struct tally *tally, const char *name, int64_t count);

/*
 * Add 1, but once an occasion only. Occasions are numbered from 1 and do not
 * go back.
 */
void tally_add_once(struct tally *tally, const char *name, int64_t occasion);

/* Forget the name and its count. */
void tally_remove(struct tally *tally, const char *name);

int64_t tally_count(const struct tally *tally, const char *name);

/* Call `visit` for each name in order of the bytes. */
void tally_visit(const struct tally *tally,
    void (*visit)(const char *name, int64_t count, void *arg), void *arg);

/* As a JSON object, which the caller frees; and add what such one holds. */
cJSON *tally_to_json(const struct tally *tally);
void tally_add_json(struct tally *tally, const cJSON *object);

#endif
