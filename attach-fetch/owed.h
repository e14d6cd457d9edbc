/*
 * What is owed to the inbox: the late files whose messages were answered, on
 * the disk, so that they outlive a kill -9 and a power cut. The file `late` in
 * the spool is a row of slots; an entry fills one of them or several:
 *
 *	SHA-256 of the rest, blank, us since 1970, blank, record, LF, NULs
 *
 * A free slot is all NUL; what does not agree with its hash was never finished.
 * The slots are there from the beginning, so that an entry needs no room on a
 * disk that is full.
 */
#ifndef ATTACH_FETCH_OWED_H
#define ATTACH_FETCH_OWED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OWED_NAME "late"
#define OWED_SLOTS 256
#define OWED_SLOT_BYTES 4096

struct owed;

/* Where an entry stands. */
struct owed_place {
	size_t slot;
	size_t count;
};

/* An entry of an earlier run. */
struct owed_entry {
	struct owed_place place;
	const char *line;	/* valid until the next call */
	size_t length;
	int64_t since_us;
};

/*
 * Open the list in the folder, or make it. Exits EX_CONFIG where that cannot
 * be, but for a full disk: then it is made with the first entry.
 */
struct owed *owed_open(int folder);
void owed_free(struct owed *owed);

/* The next entry of an earlier run; false where there are no more. */
bool owed_next(struct owed *owed, struct owed_entry *entry);

/*
 * Add a line, for good when this returns 0; or -1 with errno set, ENOBUFS where
 * no slots are free. Only when there is no entry of an earlier run any more.
 */
int owed_add(struct owed *owed, const char *line, size_t length,
    int64_t since_us, struct owed_place *place);

/* Forget an entry; after a power cut it may be there again. */
void owed_remove(struct owed *owed, const struct owed_place *place);

#endif
