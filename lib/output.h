/* Records on standard output: gathered, written at once, never in silence. */
#ifndef LIB_OUTPUT_H
#define LIB_OUTPUT_H

#include "buffer.h"

#define OUTPUT_BLOCK_BYTES 65536

/*
 * Write all of the buffer to standard output and empty it. Returns 0, or -1
 * with the reason reported; EPIPE is not reported, the reader just left.
 */
int output_flush(struct buffer *buffer);

/*
 * The exit status after output_flush failed with errno `error`: EX_IOERR. With
 * EPIPE it does not return but ends the program by SIGPIPE, quietly.
 */
int output_failure(int error);

/* Close standard output; returns 0, or -1 with the reason reported. */
int output_close(void);

#endif
