/* What the parts of a keeper share: it itself. */
#ifndef KEEP_KEEPER_PARTS_H
#define KEEP_KEEPER_PARTS_H

#include "buffer.h"
#include "caution.h"
#include "downstream.h"
#include "events.h"
#include "keeper.h"
#include "stage.h"
#include "timers.h"
#include "window.h"

#define KEEPER_READ_BYTES 65536
#define KEEPER_PAUSE_MS_LEAST 100
#define KEEPER_RETRY_MS 1000		/* where a disk is full, say */

enum phase {
	RUNNING,
	DRAINING,	/* it died; what it had answered is taken */
	ASIDE,		/* the head goes to the dead letters */
	PAUSING,	/* before the next start */
	OVER,
};

struct keeper {
	const struct keeper_options *options;
	int set;
	struct timers *timers;
	struct window *window;
	struct stage stage;
	struct buffer unfinished;	/* of an answer */
	struct downstream *downstream;

	struct event input, to_stage, from_stage, output, requests;
	struct timer pause, patience, hang, retry, status_due;

	enum phase phase;
	bool is_input_ended;
	bool has_ever_answered;
	bool is_told_full;	/* that a disk is */
	bool is_status_old;	/* that it could not be written was said */
	size_t told_lines;	/* that wait, by the status */
	bool is_retrying;	/* the stage ends with EX_TEMPFAIL */
	bool is_asked_to_end;	/* the stage, by a signal that we passed on */
	int verdict;		/* what to end with when all answers are out */
	int stop_signal;
	int pause_ms;
	int deaths;		/* with the line that is at the head */
	struct caution caution;
	int64_t waiting_since_ms; /* for the next answer */
	int status;
};

/* keeper_state.c: is the input to end, or has it? */
bool keeper_is_ending(const struct keeper *keeper);

bool keeper_is_all_fed(const struct keeper *keeper);
bool keeper_is_all_answered(const struct keeper *keeper);

/* The promise that checkpoints rest on: first the old answers go out. */
bool keeper_wants_answers(const struct keeper *keeper);

/* Write the status; arg is the keeper. */
void keeper_tell_status(void *arg);

/* "line" or "lines". */
const char *keeper_lines(size_t count);

/* Feed and take no more, but pass on what was taken; then end. */
void keeper_condemn(struct keeper *keeper, int status);
void keeper_finish(struct keeper *keeper, int status);

/* Say once that there is no room, or another hindrance; try again later. */
void keeper_wait_for_room(struct keeper *keeper, const char *path);
void keeper_tell_room(struct keeper *keeper);

/* keeper_answers.c: read what the stage answers; returns whether there may be
 * more. */
bool keeper_take_answers(struct keeper *keeper);

/* What was taken goes out, as far as that is possible now. */
void keeper_pass_on(struct keeper *keeper);

/* The stage has answered; arg is the keeper. */
void keeper_answers_ready(void *arg);

/* Nobody reads the answers, or they cannot be written. */
void keeper_lose_output(struct keeper *keeper, int error);

/* keeper_life.c: start the stage; arg is the keeper. */
void keeper_start(void *arg);

/* There may be room again: that may have been all that the stage lacked. */
void keeper_retry(void *arg);

/* If the stage has died, what it had answered is to be taken yet. */
void keeper_check_death(struct keeper *keeper);

/* Take what a dead stage had answered; when that is out, it is buried. */
void keeper_drain(struct keeper *keeper);

/* It answers slowly: it may want more lines at once. */
void keeper_widen(void *arg);

/* Does the stage owe us an answer, or its end? */
bool keeper_is_stage_owing(const struct keeper *keeper);

/* End a stage that has been owing too long; arg is the keeper. */
void keeper_check_hang(void *arg);

#endif
