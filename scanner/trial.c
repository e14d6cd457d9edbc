#include "trial.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "line_reader.h"
#include "output.h"

#define EXAMPLES_MAX 5

struct trial {
	struct scan *scan;
	const struct pattern_set *set;
	struct record *record;
	struct occasion occasion;	/* none: nobody is told */
	struct findings findings;

	uint64_t lines;
	uint64_t records;
	uint64_t records_hit;
	uint64_t matches;
	uint64_t cost_limits;
	uint64_t other_limits;
	double seconds;
	double slowest;
	size_t example_count;
	struct buffer examples;
};

/* How people find the record again. */
static void
append_name(struct trial *trial)
{
	int64_t seq;
	const char *ts = record_string(trial->record, RECORD_TS);

	if (record_integer(trial->record, RECORD_SEQ, &seq))
		buffer_printf(&trial->examples, "seq %" PRId64, seq);
	else if (ts != NULL)
		buffer_printf(&trial->examples, "ts %.20s", ts);
	else
		buffer_printf(&trial->examples, "line %" PRIu64, trial->lines);
}

static void
append_example(struct trial *trial)
{
	const struct match *match = &trial->findings.matches[0];
	const char *strings = trial->findings.strings.data;

	buffer_append_string(&trial->examples, "  ");
	append_name(trial);
	buffer_printf(&trial->examples, ", %s:%" PRIu64 ": %s\n",
	    strings + match->where, match->line, strings + match->excerpt);
	trial->example_count++;
}

static void
try_record(struct trial *trial)
{
	double start = (double)clock_steady_us() / 1e6, seconds;

	scan_record(trial->scan, trial->set, trial->record, &trial->occasion,
	    &trial->findings);
	seconds = (double)clock_steady_us() / 1e6 - start;
	trial->seconds += seconds;
	if (seconds > trial->slowest)
		trial->slowest = seconds;
	trial->records++;
	trial->matches += trial->findings.matches_seen;
	trial->cost_limits += trial->findings.cost_limits;
	for (size_t i = 0; i < trial->findings.limit_count; i++)
		trial->other_limits +=
		    trial->findings.limits[i].pattern == NULL;
	if (trial->findings.match_count == 0)
		return;
	trial->records_hit++;
	if (trial->example_count < EXAMPLES_MAX)
		append_example(trial);
}

static int
read_lines(struct trial *trial)
{
	struct line_reader *reader = line_reader_new(STDIN_FILENO,
	    RECORD_BYTES_MAX);
	struct line line;
	ssize_t count;

	do {
		count = line_reader_fill(reader);
		while (line_reader_next(reader, &line)) {
			trial->lines++;
			if (line.total == line.length &&
			    record_parse(trial->record, line.text,
			    line.length) == 0)
				try_record(trial);
		}
	} while (count > 0 || (count == -1 && errno == EINTR));
	if (count == -1)
		warn("read standard input");
	line_reader_free(reader);
	return count == -1 ? -1 : 0;
}

static int
print_report(struct trial *trial)
{
	struct buffer out = { 0 };
	double records = trial->records > 0 ? (double)trial->records : 1;

	buffer_printf(&out, "records      %" PRIu64 "\n", trial->records);
	if (trial->lines > trial->records)
		buffer_printf(&out, "no records   %" PRIu64 " lines\n",
		    trial->lines - trial->records);
	buffer_printf(&out, "records hit  %" PRIu64 " (%.2f %%)\n",
	    trial->records_hit, 100 * (double)trial->records_hit / records);
	buffer_printf(&out, "matches      %" PRIu64 "\n", trial->matches);
	buffer_printf(&out, "cost limit   %" PRIu64 " times reached\n",
	    trial->cost_limits);
	if (trial->other_limits > 0)
		buffer_printf(&out, "not searched %" PRIu64
		    " files or archives, or not all of them\n",
		    trial->other_limits);
	buffer_printf(&out, "time         %.3f s, %.1f µs a record, "
	    "%.1f µs the slowest\n", trial->seconds,
	    1e6 * trial->seconds / records, 1e6 * trial->slowest);
	if (trial->example_count > 0)
		buffer_append_string(&out, "examples\n");
	buffer_append(&out, trial->examples.data, trial->examples.length);
	int status = output_flush(&out) == -1 ? output_failure(errno)
	    : output_close() == -1 ? EX_IOERR : EX_OK;
	buffer_free(&out);
	return status;
}

int
trial_run(struct scan *scan, const struct pattern_set *set)
{
	static const char *const own[] = { RECORD_MATCHES, RECORD_LIMITS,
	    NULL };
	struct trial trial = { .scan = scan, .set = set,
	    .record = record_new("scanner", own) };
	int status = read_lines(&trial) == -1 ? EX_IOERR
	    : print_report(&trial);

	if (status == EX_OK && trial.matches == 0)
		status = 1;
	record_free(trial.record);
	findings_free(&trial.findings);
	buffer_free(&trial.examples);
	return status;
}
