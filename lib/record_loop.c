#include "record_loop.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "committer.h"
#include "kept.h"
#include "line_reader.h"
#include "output.h"
#include "signals.h"

#define RETRY_MS 200		/* between two tries to commit */
#define AHEAD_BYTES (1024 * 1024)	/* of answers, behind a commit */

struct loop {
	const struct filter *filter;
	void *arg;
	struct line_reader *reader;
	struct record *record;
	struct buffer out;

	/* where commit is called beside the stream */
	struct committer *committer;
	struct buffer behind;	/* answers that wait for it */
	bool is_committing;
};

static void
answer_line(struct loop *loop, const struct line *line)
{
	if (!record_take(loop->record, line, &loop->out))
		return;
	loop->filter->handle(loop->record, loop->arg);
	record_write(loop->record, &loop->out);
}

/* They are safe. Returns an exit status. */
static int
write_answers(struct buffer *answers)
{
	return answers->length == 0 || output_flush(answers) == 0 ? EX_OK
	    : output_failure(errno);
}

static int
commit_once(struct loop *loop)
{
	struct pollfd done = { .events = POLLIN };

	if (!loop->is_committing)
		return loop->filter->commit(loop->arg);
	done.fd = committer_descriptor(loop->committer);
	while (signals_poll(&done, 1, -1) != 1)
		continue;
	loop->is_committing = false;
	return committer_finish(loop->committer);
}

/* Wait until it is done, as long as the disk is full if need be. */
static int
finish_commit(struct loop *loop)
{
	int64_t start_ms = clock_steady_ms(), patience_ms = kept_patience_ms();

	while (commit_once(loop) == -1) {
		if (signals_want_stop() ||
		    clock_steady_ms() - start_ms > patience_ms)
			return EX_TEMPFAIL;
		signals_poll(NULL, 0, patience_ms / 2 < RETRY_MS
		    ? (int)(patience_ms / 2) : RETRY_MS);
	}
	return EX_OK;
}

/* Write what waited for the commit that was begun, if any was. */
static int
end_commit(struct loop *loop)
{
	int status;

	if (!loop->is_committing)
		return EX_OK;
	status = finish_commit(loop);
	return status == EX_OK ? write_answers(&loop->behind) : status;
}

/* Have another thread make the answers safe; they wait for it. */
static void
commit_beside(struct loop *loop)
{
	struct buffer answers = loop->out;

	loop->out = loop->behind;
	loop->behind = answers;
	loop->is_committing = true;
	committer_begin(loop->committer);
}

static int
begin_commit(struct loop *loop)
{
	const struct filter *filter = loop->filter;
	int status = EX_OK;

	if (loop->out.length == 0)
		return EX_OK;
	if (filter->prepare != NULL && filter->prepare(loop->arg)) {
		commit_beside(loop);
		return EX_OK;
	}
	if (filter->prepare == NULL && filter->commit != NULL)
		status = finish_commit(loop);
	return status == EX_OK ? write_answers(&loop->out) : status;
}

static bool
is_committed(struct loop *loop)
{
	struct pollfd done = { committer_descriptor(loop->committer), POLLIN,
	    0 };

	return poll(&done, 1, 0) == 1;
}

/* The answers leave in order, as soon as they are safe. Returns a status. */
static int
flush_answers(struct loop *loop)
{
	int status;

	if (loop->is_committing && loop->out.length < AHEAD_BYTES &&
	    !is_committed(loop))
		return EX_OK;
	status = end_commit(loop);
	return status == EX_OK ? begin_commit(loop) : status;
}

static int
flush_all(struct loop *loop)
{
	int status = end_commit(loop);

	if (status == EX_OK)
		status = begin_commit(loop);
	return status == EX_OK ? end_commit(loop) : status;
}

static int
answer_lines(struct loop *loop)
{
	struct line line;
	int status = EX_OK;

	while (status == EX_OK && line_reader_next(loop->reader, &line)) {
		answer_line(loop, &line);
		if (loop->out.length >= OUTPUT_BLOCK_BYTES)
			status = flush_answers(loop);
	}
	return status == EX_OK ? flush_answers(loop) : status;
}

/* Sleep until there is input, a signal, or the filter's time has come; or the
 * commit that was begun is done. */
static void
wait_for_input(struct loop *loop)
{
	struct pollfd ready[] = {
		{ STDIN_FILENO, POLLIN, 0 },
		{ -1, POLLIN, 0 },
	};
	int timeout_ms = -1;

	if (loop->filter->before_wait != NULL)
		timeout_ms = loop->filter->before_wait(loop->arg);
	if (loop->is_committing)
		ready[1].fd = committer_descriptor(loop->committer);
	if (signals_poll(ready, 2, timeout_ms) <= 0 || ready[0].revents == 0)
		return;
	if (line_reader_fill(loop->reader) == -1 && errno != EINTR &&
	    errno != EAGAIN)
		err(EX_IOERR, "read standard input");
}

static int
run_loop(struct loop *loop)
{
	int status;

	while (!line_reader_at_end(loop->reader) && !signals_want_stop()) {
		wait_for_input(loop);
		if (signals_take_reload() && loop->filter->reload != NULL)
			loop->filter->reload(loop->arg);
		status = answer_lines(loop);
		if (status != EX_OK)
			return status;
	}
	status = flush_all(loop);
	if (status != EX_OK)
		return status;
	if (loop->filter->before_wait != NULL)
		loop->filter->before_wait(loop->arg);
	return signals_want_stop() || output_close() == 0 ? EX_OK : EX_IOERR;
}

int
record_loop(const struct filter *filter, void *arg)
{
	struct loop loop = {
		.filter = filter,
		.arg = arg,
		.reader = line_reader_new(STDIN_FILENO, RECORD_BYTES_MAX),
		.record = record_new(filter->name, filter->own),
	};

	signals_catch();
	if (filter->prepare != NULL)
		loop.committer = committer_new(filter->commit, arg);
	int status = run_loop(&loop);
	committer_free(loop.committer);
	line_reader_free(loop.reader);
	record_free(loop.record);
	buffer_free(&loop.out);
	buffer_free(&loop.behind);
	return status;
}
