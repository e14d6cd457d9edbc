/* What an export says about the names and ids of channels and users. */
#ifndef SLACK_READER_NAMES_H
#define SLACK_READER_NAMES_H

#include <stddef.h>

struct names;

/*
 * Read channels.json and its kin in the folder of an export; path is for
 * reports. What is not there or can not be read is then not known.
 */
struct names *names_read(int folder_fd, const char *path);
void names_free(struct names *names);

/* The id of the channel whose messages lie in that folder, or NULL. */
const char *names_channel_id(const struct names *names, const char *folder);

/* What people call the user with that id, or NULL. */
const char *names_user(const struct names *names, const char *id,
    size_t length);

#endif
