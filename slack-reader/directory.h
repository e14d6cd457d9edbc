/*
 * What people call users and channels: looked up when first needed, kept with
 * age in a file (NDJSON, written beside and renamed), bounded.
 */
#ifndef SLACK_READER_DIRECTORY_H
#define SLACK_READER_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"
#include "slack_api.h"
#include "timers.h"

#define DIRECTORY_NAMES_MAX 20000
#define DIRECTORY_AGE_S (12 * 3600)	/* then it is looked up anew */
#define DIRECTORY_MISS_S 300		/* the same for a lookup in vain */

struct directory;

struct directory_settings {
	struct slack_api *api;
	struct timers *timers;
	const char *bot_token;	/* borrowed */
	const char *path;	/* of the file; borrowed */

	/* A lookup has come to an end, well or not: ask again. */
	void (*changed)(void *arg);
	void *arg;
};

/* What is in the file is known at once; a file that is damaged is reported. */
struct directory *directory_open(const struct directory_settings *settings);

/* Writes the file. */
void directory_free(struct directory *directory);

/*
 * Start to look up what is not known of the event's user and channel (those of
 * `message` in an edit). Returns whether an answer may come soon: not where all
 * is known, known to be unknown, or Slack makes us wait.
 */
bool directory_look_up(struct directory *directory, struct record *event);

/*
 * Add `names` with what is known; a name past its age is better than none. A
 * bot is called what it calls itself (`username`, else bot_profile), a dialogue
 * "@" and the name of who is in it with us.
 */
void directory_add_names(struct directory *directory, struct record *event);

/* The channel's name, or its id; valid until the next call. */
const char *directory_channel(struct directory *directory, const char *id);

/*
 * Look whether the event says that a name we know has changed (user_change,
 * user_profile_changed, channel_rename, group_rename, a message channel_name or
 * group_name, channel_id_changed, channel_archive): then the new one is taken,
 * or the old one forgotten.
 */
void directory_notice(struct directory *directory, struct record *event);

#endif
