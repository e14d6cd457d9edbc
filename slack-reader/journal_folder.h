/*
 * The files of the journal's folder, oldest first: YYYY-MM-DD.ndjson, then
 * YYYY-MM-DD.2.ndjson and so on. Whatever else is in the folder is not ours.
 */
#ifndef SLACK_READER_JOURNAL_FOLDER_H
#define SLACK_READER_JOURNAL_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#define JOURNAL_NAME_BYTES 40

/* bytes is what is committed; behind it there may be more, for a moment. */
struct journal_file {
	char name[JOURNAL_NAME_BYTES];
	int64_t day;		/* since 1970 */
	int part;		/* 1, 2 … of that day */
	int64_t bytes;
};

struct journal_folder {
	char *path;
	int fd;
	int lock;
	struct journal_file *files;
	size_t count;
	size_t capacity;
	int64_t bytes;		/* of all files */
};

/*
 * Open, lock and list the folder, which is made where it does not exist.
 * Exits EX_CONFIG or EX_TEMPFAIL, as journal_open.
 */
void journal_folder_open(struct journal_folder *folder, const char *path);
void journal_folder_close(struct journal_folder *folder);

/* Open a file of the folder. Returns its descriptor, or -1 with errno set. */
int journal_folder_open_file(const struct journal_folder *folder,
    const char *name, int flags);

/*
 * Make the file that follows all others, for that day or that of the newest
 * if it is later, and have the folder know it durably. Returns a descriptor to
 * read and append by, or -1 with errno set. Exits EX_IOERR where the folder
 * cannot be synced.
 */
int journal_folder_begin(struct journal_folder *folder, int64_t day);

/* Take the oldest file off the disk. Returns 0, or -1 with it reported. */
int journal_folder_remove_oldest(struct journal_folder *folder);

/* How many bytes of a file are committed has changed. */
void journal_folder_set_bytes(struct journal_folder *folder, size_t file,
    int64_t bytes);

/* The newest file, or NULL. */
struct journal_file *journal_folder_newest(
    const struct journal_folder *folder);

#endif
