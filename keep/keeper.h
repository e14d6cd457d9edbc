/* Keeps one stage running until its input has ended and all is answered. */
#ifndef KEEP_KEEPER_H
#define KEEP_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keeper_options {
	const char *name;		/* of the stage */
	char *const *command;		/* ended by NULL */
	size_t window_bytes;
	int64_t hang_ms;		/* 0: wait for ever */
	const char *dead_letters;	/* NULL: there is no such file */
	int64_t dead_letter_bytes;
	const char *status_path;	/* NULL: standard error */
	bool drops_unfinished;		/* a last line without LF */
	bool begins_line;		/* half a one may stand in the output */
};

/*
 * Returns the exit status: EX_OK when all is answered, however the stage ended
 * then; that of a stage which a restart cannot help; EX_IOERR, EX_SOFTWARE or
 * EX_UNAVAILABLE with the reason reported. Ends the program by TERM or INT
 * where that was asked for, and by PIPE where nobody reads the answers.
 */
int keeper_run(const struct keeper_options *options);

#endif
