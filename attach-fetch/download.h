/*
 * Downloads into the spool, several at once. One download serves all records
 * that want the same file while it runs. On a full disk they wait, and then
 * run one by one, each when room for it was seen, so that one comes to its end.
 */
#ifndef ATTACH_FETCH_DOWNLOAD_H
#define ATTACH_FETCH_DOWNLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hosts.h"
#include "spool.h"
#include "want.h"

/* All borrowed. */
struct download_settings {
	const struct hosts *hosts;
	struct spool *spool;
	const char *token;	/* or NULL */
	const char *ca_file;	/* or NULL: the system's */
	int64_t bytes_max;
	int64_t deadline_ms;	/* of a record, from its first download on */
	size_t parallel;

	/* Called when it is decided what became of a want. */
	void (*settled)(struct want *want, void *arg);
	void *arg;
};

struct downloads;

/* Nothing of libcurl is touched before the first download starts. */
struct downloads *downloads_new(const struct download_settings *settings);
void downloads_free(struct downloads *downloads);

/*
 * See that the want is settled, by joining a download of the same file, of
 * which the same is expected, or by a new one. The want is borrowed until it
 * is settled or given up. Where its URL is not allowed it is settled at once,
 * without a call of `settled`.
 */
void downloads_add(struct downloads *downloads, struct want *want);

/* May its URL be fetched at all? If not it is settled, as by downloads_add. */
bool downloads_allow(const struct downloads *downloads, struct want *want);

/* Nobody waits for the want any more; its status stays. */
void downloads_give_up(struct want *want);

/* Another want takes its place, of the same file. */
void downloads_replace(struct want *want, struct want *another);

/*
 * Does a download wait because `parallel` others are running? Not those of
 * late files: they have what the others leave them, and get no more than half
 * of the places while another one wants one.
 */
bool downloads_are_queued(const struct downloads *downloads);

/* Does the download pause until the want's deadline is over? */
bool downloads_are_too_slow_for(const struct want *want);

/* Does it wait because the disk is full? */
bool downloads_lack_room_for(const struct want *want);

/* Does any? */
bool downloads_lack_room(const struct downloads *downloads);

/* Start what can start, go on with what runs, settle what is done. */
void downloads_run(struct downloads *downloads);

/* When a download that pauses goes on, in ms of the steady clock; or 0. */
int64_t downloads_next_ms(const struct downloads *downloads);

bool downloads_are_running(const struct downloads *downloads);

/*
 * Sleep until there is something for downloads_run, or on one of the fds
 * (unless it is -1), or a signal, or the time is over. Only while some are
 * running.
 */
#define DOWNLOADS_WAIT_FDS 2
void downloads_wait(struct downloads *downloads,
    const int fds[DOWNLOADS_WAIT_FDS], int timeout_ms);

#endif
