/* The commands that people can give. */
#ifndef SLACK_BOT_COMMANDS_H
#define SLACK_BOT_COMMANDS_H

#include <stddef.h>

#include "request.h"

struct command {
	const char *name;
	const char *usage;	/* in the list of help; NULL: not in it */
	const char *help;
	void (*answer)(struct request *request);
};

/* The command of that word, in any case; or NULL. */
const struct command *commands_find(const char *word, size_t length);

/* What the secret word, and what no command at all is answered. */
extern const struct command commands_secret;
extern const struct command commands_unknown;

/* Those that have a file of their own. */
void forward_answer(struct request *request);
void forward_list(struct request *request);
void forward_stop(struct request *request);
void mute_answer(struct request *request);
void mute_talk(struct request *request);
void status_answer(struct request *request);
void test_answer(struct request *request);
void gif_answer(struct request *request);

#endif
