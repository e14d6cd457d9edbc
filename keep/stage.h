/* The process that is kept: its start, its pipes, its end. */
#ifndef KEEP_STAGE_H
#define KEEP_STAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stage {
	char *const *command;	/* ended by NULL */
	pid_t pid;		/* 0: there is none */
	int input;		/* what we write to, -1: closed */
	int output;		/* what it answers on, -1: closed */
	int status;		/* of its last end, as wait(2) tells it */
	int64_t since_us;	/* of the last start */
	unsigned long starts;
};

/*
 * Start it in a process group of its own, to die with us. Returns 0, or -1
 * with errno set where that fails or the command cannot be run.
 */
int stage_start(struct stage *stage);

/* Close a pipe that may be closed already. */
void stage_close_input(struct stage *stage);
void stage_close_output(struct stage *stage);

/* To the process alone; to all that it has started, too. */
void stage_signal(const struct stage *stage, int number);
void stage_kill(const struct stage *stage);

/* Has it ended? Then status tells how, and what it left running is killed. */
bool stage_reap(struct stage *stage);

/* The exit status, 128 + the signal's number where one ended it. */
int stage_exit_status(const struct stage *stage);

/* How it ended, in words for a log line; they fit into STAGE_END_BYTES. */
#define STAGE_END_BYTES 64
void stage_describe_end(const struct stage *stage, char *text);

#endif
