/*
 * The inbox: a Unix stream socket (mode 0600) where other programs hand in
 * records, one JSON object a line, and get an answer a line, in order, after
 * the record is durable: {"ok":true,"seq":N} or {"ok":false,"error":"..."}, the
 * latter with "retry":true where the line may be handed in again. A line that
 * is no JSON object is refused here, an unfinished one at the end is ignored.
 */
#ifndef SLACK_READER_INBOX_H
#define SLACK_READER_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"
#include "timers.h"

#define INBOX_CLIENTS_MAX 16	/* others wait to be accepted */
#define INBOX_LINE_MAX (RECORD_BYTES_MAX - 8192)	/* more is added */
#define INBOX_WAITING_MAX 256	/* lines of one client without an answer */
#define INBOX_BYTES_MAX (32 * 1024 * 1024)	/* in such lines of all */

/* Besides, of what has no LF yet: 256 KiB a client, of one client 16 MiB. */

struct inbox;

/* A line that was handed in, valid during the call of `take`. */
struct inbox_line {
	const char *text;	/* a JSON object, without LF */
	size_t length;
	uint64_t client;	/* for the answer */
};

struct inbox_settings {
	const char *path;	/* borrowed */
	int set;		/* of events */
	struct timers *timers;

	/*
	 * Take a line. Its answer is given later, in the order of the lines of
	 * that client, or at once.
	 */
	void (*take)(const struct inbox_line *line, void *arg);
	void *arg;
};

/*
 * Make the socket; one that nobody listens on any more is replaced. Exits
 * EX_CONFIG where the path cannot be used, EX_TEMPFAIL where somebody listens.
 */
struct inbox *inbox_open(const struct inbox_settings *settings);

/* Close all connections and remove the socket. */
void inbox_free(struct inbox *inbox);

/* Answer the client's oldest line that waits; a client that left is no error.
 * With seq 0 its record was there before: {"ok":true,"repeated":true}.
 * What is refused here may be handed in again later, and so that it stays
 * in its order nothing more is read from that connection. */
void inbox_accept(struct inbox *inbox, uint64_t client, int64_t seq);
void inbox_refuse(struct inbox *inbox, uint64_t client, const char *reason);

#endif
