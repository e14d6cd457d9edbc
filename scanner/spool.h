/*
 * Files of the spool, mapped. Their content never changes under its name; but
 * should somebody cut one short while it is mapped, the pages that went read
 * as zeros instead of ending the program by SIGBUS.
 */
#ifndef SCANNER_SPOOL_H
#define SCANNER_SPOOL_H

#include <stddef.h>

struct spool_file {
	const char *bytes;	/* NULL where length is 0 */
	size_t length;
};

/* From here on a file that shrinks does no harm. */
void spool_guard(void);

/*
 * Map the file `name` in the folder `directory`. name comes from a record:
 * only a plain name of a plain file is taken. One file at a time. Returns 0,
 * or -1 with *reason saying why not.
 */
int spool_map(const char *directory, const char *name,
    struct spool_file *file, const char **reason);

/* Returns -1 where the file shrank while it was mapped, else 0. */
int spool_unmap(struct spool_file *file);

#endif
