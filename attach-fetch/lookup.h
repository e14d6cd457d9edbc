/*
 * Files of which a record shows a stub only, as of Slack Connect: Slack's
 * method files.info tells what they are and where.
 */
#ifndef ATTACH_FETCH_LOOKUP_H
#define ATTACH_FETCH_LOOKUP_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timers.h"
#include "want.h"

/* All borrowed. */
struct lookup_settings {
	const char *api_url;	/* or NULL: Slack's */
	const char *ca_file;	/* or NULL: the system's */
	const char *token;
	int set;		/* of events */
	struct timers *timers;
	int64_t deadline_ms;	/* of a record, from its first lookup on */

	/* The file object of a want that was looked up; it stays open. */
	void (*found)(struct want *want, const cJSON *file, void *arg);
	/* It is decided what became of it. */
	void (*settled)(struct want *want, void *arg);
	void *arg;
};

struct lookups;

/* Nothing of libcurl is touched before the first lookup. */
struct lookups *lookups_new(const struct lookup_settings *settings);
void lookups_free(struct lookups *lookups);

/*
 * Ask for the want, which is borrowed until it is found, settled or given up,
 * never within this call.
 */
void lookups_ask(struct lookups *lookups, struct want *want);

/* Nobody waits for the want any more; its status stays. */
void lookups_give_up(struct want *want);

/* Another want takes its place, of the same file. */
void lookups_replace(struct want *want, struct want *another);

/* Does the lookup pause until the want's deadline is over? */
bool lookups_are_too_slow_for(const struct want *want);

/* How many are under way, those of late files not counted. */
size_t lookups_count(const struct lookups *lookups);

#endif
