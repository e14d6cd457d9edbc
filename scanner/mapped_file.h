/*
 * Files of the spool, mapped. Their content never changes under its name; but
 * should somebody cut one short while it is mapped, the pages that went read
 * as zeros instead of ending the program by SIGBUS.
 */
#ifndef SCANNER_MAPPED_FILE_H
#define SCANNER_MAPPED_FILE_H

#include <stddef.h>

struct mapped_file {
	const char *bytes;	/* NULL where length is 0 */
	size_t length;
};

/* From here on a file that shrinks does no harm. */
void mapped_file_guard(void);

/*
 * Map the file `name` in the folder `directory`. name comes from a record:
 * only a plain name of a plain file is taken. One file at a time. Returns 0,
 * or -1 with *reason saying why not.
 */
int mapped_file_open(const char *directory, const char *name,
    struct mapped_file *file, const char **reason);

/* Returns -1 where the file shrank while it was mapped, else 0. */
int mapped_file_close(struct mapped_file *file);

#endif
