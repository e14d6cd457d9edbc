/* A command that somebody gave, and its answer. */
#ifndef SLACK_BOT_REQUEST_H
#define SLACK_BOT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "book.h"
#include "buffer.h"
#include "quotes.h"

/* What all commands may need; borrowed. */
struct bot_settings {
	uint64_t seed;
	const char *secret;	/* the secret word, NULL: there is none */
	const char *giphy_key;	/* NULL: gif is off */
	const char *giphy_url;
	const char *journal;	/* folders and files, or NULL */
	const char *spool;
	const char *stats;
	const char *running;
	const char *scanner;
	const char *dashboard;	/* its address, or NULL */
	size_t user_max;	/* forwards of a user, and in total */
	size_t total_max;
	bool defers;		/* what takes time is answered later */
};

struct request {
	const struct bot_settings *settings;
	struct book *book;
	const struct quotes *quotes;

	/* borrowed from the record */
	int64_t seq;		/* 0: it has none */
	int64_t time_s;		/* when it was said */
	const char *user;
	const char *channel;	/* where it was said */
	const char *thread;	/* NULL: in none */
	const char *rest;	/* behind the command, as Slack sent it */

	struct buffer reply;	/* mrkdwn */
	bool is_later;		/* the answer takes time: a job stands */
};

/* The same number for the same seed, record and salt. */
uint64_t request_dice(const struct request *request, uint64_t salt);

/* Append `<@U1>! `, with which each answer begins. */
void request_greet(struct request *request);

/* Answer that this can not be done, why, and where: `I can not VERB TERM`. */
void request_refuse(struct request *request, const char *verb,
    const char *term, const char *reason);

/*
 * Answer by the job of these words, which takes time (job.h): later, or at once
 * where nobody else waits.
 */
void request_defer(struct request *request, const char *words);

#endif
