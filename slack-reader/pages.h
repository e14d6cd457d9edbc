/*
 * The pages of a list that a method of Slack's answers with, one after the
 * other by cursor, and their items as they stand in the answers.
 */
#ifndef SLACK_READER_PAGES_H
#define SLACK_READER_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "slack_api.h"
#include "timers.h"

#define PAGES_LIMIT 100		/* items in a page that are asked for */

struct pages;

struct pages_settings {
	struct slack_api *api;
	struct timers *timers;
	const char *token;	/* borrowed, as the next two */
	const char *method;
	const char *array;	/* the answer's member with the items */

	/*
	 * An item, a JSON object. Returns 0, or -1 with errno set: it could
	 * not be taken, and the end is SLACK_RETRY.
	 */
	int (*item)(const char *text, size_t length, void *arg);

	/* A page is over. Returns whether the next one is needed. */
	bool (*page)(const struct slack_reply *reply, void *arg);

	/* The cursor is no good any more: all items come once again. */
	void (*anew)(void *arg);

	/*
	 * All pages are over, or no more are to be had: SLACK_RETRY after
	 * several tries. Called once; reply->json may be NULL, and the pages
	 * may be freed.
	 */
	void (*end)(const struct slack_reply *reply, void *arg);
	void *arg;
};

/* Ask for the first page; `arguments` are form-encoded. */
struct pages *pages_new(const struct pages_settings *settings,
    const char *arguments);
void pages_free(struct pages *pages);

#endif
