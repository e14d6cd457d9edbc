/*
 * The pipeline that we are a part of, as its status files tell: a line of
 * keep(1) for each stage, one of slack-reader(1).
 */
#ifndef WS_BROADCAST_RUNNING_H
#define WS_BROADCAST_RUNNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUNNING_STAGES_MAX 32
#define RUNNING_WORD_BYTES 40

struct running_stage {
	char name[RUNNING_WORD_BYTES];
	bool is_up;
	int64_t restarts;
	int64_t waiting;	/* lines without an answer */
};

/* What slack-reader says of itself. */
struct running_reader {
	bool is_known;
	bool is_up;
	char slack[RUNNING_WORD_BYTES];	/* connected, connecting ... */
	char since[RUNNING_WORD_BYTES];
	int64_t connections;
	int64_t seq;			/* of the newest record */
	bool is_journal_well;
};

struct running {
	const char *folder;
	struct running_stage stages[RUNNING_STAGES_MAX];
	size_t stage_count;
	struct running_reader reader;
};

/* Read the files in the folder again; what is no status line is left out. */
void running_read(struct running *running);

#endif
