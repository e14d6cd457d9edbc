/* What is said to the bot in a record, and what it has to say to that. */
#ifndef SLACK_BOT_BOT_H
#define SLACK_BOT_BOT_H

#include "book.h"
#include "record.h"
#include "request.h"

struct bot {
	const struct bot_settings *settings;
	const char *user;	/* our user id, NULL: only records tell it */
	struct book *book;
	struct quotes *quotes;
};

/* Answer the record if it is a command, and note what it changes. */
void bot_answer(struct bot *bot, struct record *record);

#endif
