#include "record_loop.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "line_reader.h"
#include "output.h"
#include "signals.h"

struct loop {
	const struct filter *filter;
	void *arg;
	struct line_reader *reader;
	struct record *record;
	struct buffer out;
};

static void
answer_line(struct loop *loop, const struct line *line)
{
	if (!record_take(loop->record, line, &loop->out))
		return;
	loop->filter->handle(loop->record, loop->arg);
	record_write(loop->record, &loop->out);
}

/* Write the answers once their effect is safe. Returns an exit status. */
static int
flush_answers(struct loop *loop)
{
	const struct filter *filter = loop->filter;

	if (loop->out.length == 0)
		return EX_OK;
	if (filter->commit != NULL && filter->commit(loop->arg) == -1)
		return EX_TEMPFAIL;
	return output_flush(&loop->out) == 0 ? EX_OK : output_failure(errno);
}

/* Is there more to be answered at once, that the same commit can stand for? */
static bool
may_gather(const struct loop *loop)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };

	return loop->out.length < loop->filter->gather_bytes &&
	    !line_reader_at_end(loop->reader) && !signals_want_stop() &&
	    poll(&input, 1, 0) == 1;
}

static int
answer_lines(struct loop *loop)
{
	struct line line;

	while (line_reader_next(loop->reader, &line)) {
		answer_line(loop, &line);
		if (loop->out.length < OUTPUT_BLOCK_BYTES ||
		    loop->out.length < loop->filter->gather_bytes)
			continue;
		int status = flush_answers(loop);
		if (status != EX_OK)
			return status;
	}
	return may_gather(loop) ? EX_OK : flush_answers(loop);
}

/* Sleep until there is input, a signal, or the filter's time has come. */
static void
wait_for_input(struct loop *loop)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
	int timeout_ms = -1;

	if (loop->filter->before_wait != NULL)
		timeout_ms = loop->filter->before_wait(loop->arg);
	if (signals_poll(&input, 1, timeout_ms) <= 0)
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
	status = flush_answers(loop);
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
	int status = run_loop(&loop);
	line_reader_free(loop.reader);
	record_free(loop.record);
	buffer_free(&loop.out);
	return status;
}
