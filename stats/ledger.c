#include "ledger.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>

#include "buffer.h"
#include "clock.h"
#include "kept.h"
#include "memory.h"
#include "passage.h"
#include "redo_log.h"
#include "snapshot.h"

#define SAVE_MS 1000
#define RETRY_MS 1000
#define LOG_BYTES_MAX (8 * 1024 * 1024)

struct ledger {
	const char *path;
	struct counters *counters;
	struct redo_log *log;
	struct passage passage;

	int64_t tried_ms;	/* when the snapshot was last written, or not */
	int64_t saved_records;	/* what it knows */
	int64_t saved_checkpoint;
	bool is_saved;
	bool is_waiting;	/* for room, which was said */
};

struct ledger *
ledger_new(const char *path, struct counters *counters)
{
	struct ledger *ledger = xcalloc(1, sizeof *ledger);
	struct buffer log_path = { 0 };

	buffer_printf(&log_path, "%s.log", path);
	ledger->path = path;
	ledger->counters = counters;
	ledger->log = redo_log_new(buffer_string(&log_path));
	ledger->is_saved = true;
	buffer_free(&log_path);
	return ledger;
}

void
ledger_free(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	redo_log_free(ledger->log);
	free(ledger);
}

/* Write the snapshot, which makes the log needless. Fails with errno set. */
static int
write_snapshot(struct ledger *ledger)
{
	struct counters *counters = ledger->counters;

	ledger->tried_ms = clock_steady_ms();
	counters->checkpoint = ledger->passage.passed;
	counters->answered = ledger->passage.written;
	counters->generation++;
	if (snapshot_save(ledger->path, counters) == -1) {
		counters->generation--;
		return -1;
	}
	redo_log_begin(ledger->log, counters->generation);
	ledger->saved_records = counters->records;
	ledger->saved_checkpoint = counters->checkpoint;
	return 0;
}

/* The same, with a word where it begins to fail and where that has an end. */
static int
save(struct ledger *ledger)
{
	bool was_saved = ledger->is_saved;

	ledger->is_saved = write_snapshot(ledger) == 0;
	if (!ledger->is_saved && was_saved && !kept_is_retry())
		warn("write %s", ledger->path);
	if (ledger->is_saved && !was_saved)
		warnx("%s is written again", ledger->path);
	return ledger->is_saved ? 0 : -1;
}

/* May a start go on that could not open the log? */
static int
judge_failure(const struct ledger *ledger)
{
	switch (errno) {
	case ENOSPC:
	case EDQUOT:
		return EX_OK;	/* there was none, and ledger_commit waits */
	case EWOULDBLOCK:
		warnx("%s is in use by another stats", ledger->path);
		return EX_TEMPFAIL;
	case EACCES:
	case EISDIR:
	case ENOENT:
	case ENOTDIR:
	case EPERM:
		warn("open %s.log", ledger->path);
		return EX_CONFIG;
	default:
		warn("open %s.log", ledger->path);
		return EX_TEMPFAIL;
	}
}

int
ledger_load(struct ledger *ledger, bool has_passed)
{
	struct counters *counters = ledger->counters;
	int status = EX_OK;

	if (redo_log_open(ledger->log) == -1)
		status = judge_failure(ledger);
	if (status != EX_OK)
		return status;
	if (snapshot_load(ledger->path, counters) == -1)
		return EX_CONFIG;
	redo_log_replay(ledger->log, counters);
	if (has_passed && counters->answered > counters->checkpoint &&
	    counters->answered <= counters->seq)
		counters->checkpoint = counters->answered;
	passage_start(&ledger->passage, counters->checkpoint);
	save(ledger);
	return EX_OK;
}

void
ledger_take(struct ledger *ledger, struct record *record, bool is_counted)
{
	int64_t seq;

	if (counters_seq(record, &seq))
		passage_answer(&ledger->passage, seq);
	if (is_counted)
		redo_log_add(ledger->log, record);
}

/* The log is the quick way; a snapshot holds the same and makes room. */
static int
store(struct ledger *ledger)
{
	if (redo_log_write(ledger->log) == 0 &&
	    redo_log_length(ledger->log) < LOG_BYTES_MAX)
		return 0;
	return write_snapshot(ledger);
}

int
ledger_commit(struct ledger *ledger)
{
	if (!ledger->is_waiting)	/* not while it is tried again */
		passage_look_before(&ledger->passage);
	if (store(ledger) == -1) {
		if (!ledger->is_waiting && !kept_is_retry())
			warn("answers wait, cannot keep counts in %s",
			    ledger->path);
		ledger->is_waiting = true;
		return -1;
	}
	if (ledger->is_waiting)
		warnx("answers go on, counts are kept in %s", ledger->path);
	ledger->is_waiting = false;
	return 0;
}

int
ledger_save_in_time(struct ledger *ledger)
{
	passage_look_after(&ledger->passage);
	if (ledger->saved_records == ledger->counters->records &&
	    ledger->saved_checkpoint == ledger->passage.passed)
		return -1;

	int64_t left_ms = ledger->tried_ms + SAVE_MS - clock_steady_ms();
	if (left_ms > 0)
		return (int)left_ms;
	return save(ledger) == 0 ? -1 : RETRY_MS;
}

int
ledger_finish(struct ledger *ledger)
{
	passage_end(&ledger->passage);
	return save(ledger);
}
