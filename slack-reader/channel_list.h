/* SLACK_CHANNEL_LIST: the channels that are scanned and shown. */
#ifndef SLACK_READER_CHANNEL_LIST_H
#define SLACK_READER_CHANNEL_LIST_H

#include <stdbool.h>

struct channel_list;

/*
 * Read ids with commas between them, blanks around them; NULL or nothing but
 * blanks means all channels. Returns NULL with the reason reported where a
 * word is no id.
 */
struct channel_list *channel_list_new(const char *text);
void channel_list_free(struct channel_list *list);

bool channel_list_has(const struct channel_list *list, const char *channel);

#endif
