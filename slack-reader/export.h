/*
 * An unzipped Slack export: a folder for each channel, in it a file for each
 * day, and files that say which ids the names belong to. Its messages come
 * in the order of time over all channels.
 */
#ifndef SLACK_READER_EXPORT_H
#define SLACK_READER_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"
#include "value_reader.h"

struct export;

/*
 * Look through the folder; what is no part of an export is reported and passed
 * over. Takes over folder_fd. Returns NULL, with the reason reported, where
 * there are no messages in it.
 */
struct export *export_open(int folder_fd, const char *path);
void export_free(struct export *export);

/* The next message, valid until the next call; false after the last one. */
bool export_next(struct export *export, struct value *value);

/* Add to the message at hand what is missing in exports: channel, names. */
void export_complete(const struct export *export, struct record *record);

/* Start again with the first message. */
void export_rewind(struct export *export);

/* Bytes of message files: passed, and in all. */
uint64_t export_position(const struct export *export);
uint64_t export_size(const struct export *export);

#endif
