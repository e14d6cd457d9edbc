/*
 * How slack-reader is, in a file for others to read (status_line.h): words
 * NAME=VALUE, as man/slack-reader.1 has them.
 */
#ifndef SLACK_READER_STATUS_H
#define SLACK_READER_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct status;

struct status_news {
	const char *slack;	/* a word, never freed */
	size_t connections;
	int64_t seq;		/* the last one */
	bool is_full;		/* the journal */
};

/* With path NULL nothing is written. The path is borrowed. */
struct status *status_new(const char *path);

/*
 * Write what was noted last, unless it is there. The file stays: it has our
 * pid, by which anybody can tell that we are gone.
 */
void status_free(struct status *status);

/*
 * This is how it is now. It is written at once, but at most once a second
 * where only the seq is another, or where the last time failed, which is
 * reported once. Returns after how many ms to call again, or -1.
 */
int64_t status_note(struct status *status, const struct status_news *news);

#endif
