/* Short sayings, one a line of a text file. */
#ifndef SLACK_BOT_QUOTES_H
#define SLACK_BOT_QUOTES_H

#include <stddef.h>
#include <stdint.h>

struct quotes;

/* Of the file, or some of our own where path is NULL. Returns NULL with the
 * reason reported. */
struct quotes *quotes_new(const char *path);
void quotes_free(struct quotes *quotes);

/* Always the same one for the same number. */
const char *quotes_pick(const struct quotes *quotes, uint64_t number);

#endif
