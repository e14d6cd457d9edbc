/* A place in the journal from which it is read on. */
#ifndef SLACK_READER_JOURNAL_CURSOR_H
#define SLACK_READER_JOURNAL_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "journal_folder.h"

struct journal_cursor {
	const struct journal_folder *folder;
	size_t file;
	int64_t offset;
	int fd;		/* of the file, or -1 */
};

/* At the start of all. */
void journal_cursor_open(struct journal_cursor *cursor,
    const struct journal_folder *folder);
void journal_cursor_close(struct journal_cursor *cursor);

/* Behind all that is committed. */
void journal_cursor_seek_end(struct journal_cursor *cursor);

/* As journal_seek, where `after` is not the last. */
void journal_cursor_seek(struct journal_cursor *cursor, int64_t after);

/* As journal_read and journal_has_more. */
bool journal_cursor_read(struct journal_cursor *cursor, struct buffer *out,
    size_t bytes_max);
bool journal_cursor_has_more(const struct journal_cursor *cursor);

/* Has all of the oldest file been read? */
bool journal_cursor_is_past_oldest(const struct journal_cursor *cursor);

/* The oldest file was removed. */
void journal_cursor_note_removal(struct journal_cursor *cursor);

#endif
