/*
 * A file that tells in one line how a program is, for others to read at any
 * time: padded with blanks to its size and written in place, so that a full
 * disk is no hindrance once it is there.
 */
#ifndef LIB_STATUS_LINE_H
#define LIB_STATUS_LINE_H

#define STATUS_LINE_BYTES 256	/* its LF counted */

/*
 * Write text, of which what is too long is cut off, to the file at path, which
 * is made where it is not there. Returns 0, or -1 with errno set.
 */
int status_line_write(const char *path, const char *text);

#endif
