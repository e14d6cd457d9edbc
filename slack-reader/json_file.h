/* A file of JSON values in a folder that somebody else filled. */
#ifndef SLACK_READER_JSON_FILE_H
#define SLACK_READER_JSON_FILE_H

#include "value_reader.h"

/*
 * Call `take` for each value in the file; a request to stop ends that early.
 * Returns 0, or -1 with *reason set, valid until the next call, where it is a
 * link, no regular file, can not be read or does not begin as JSON does.
 */
int json_file_read(int folder_fd, const char *name,
    void (*take)(const struct value *value, void *arg), void *arg,
    const char **reason);

#endif
