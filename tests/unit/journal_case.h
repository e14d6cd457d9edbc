/* A journal in a folder of its own, for the tests of it. */
#ifndef TESTS_UNIT_JOURNAL_CASE_H
#define TESTS_UNIT_JOURNAL_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../slack-reader/journal.h"
#include "buffer.h"

struct journal_case {
	char folder[64];	/* of the journal, in a new folder */
	struct journal_settings settings;
	struct journal *journal;
	struct buffer reports;	/* what was said on standard error */
	struct buffer recalled;	/* the seqs, a blank behind each */

	/* what the last call of a function gave */
	struct buffer text, seqs, names, content;
};

/* cmocka's setup and teardown: the case is *state, its journal not open. */
int journal_case_setup(void **state);
int journal_case_teardown(void **state);

/* What the journal's clock shows from now on. */
void journal_case_set_clock(const char *time);

void journal_case_open(struct journal_case *it);
void journal_case_close(struct journal_case *it);

/* The exit status of a process that opens the journal, or 0. */
int journal_case_open_elsewhere(struct journal_case *it);

/* A record of that seq, with LF, about so long. Appended to the buffer. */
void journal_case_line(struct buffer *out, int64_t seq, size_t length);

/* Commit a group of records; returns what journal_commit returns. */
int journal_case_commit(struct journal_case *it, int64_t first, int64_t last,
    size_t length);

void journal_case_seek(struct journal_case *it, int64_t after);

/* All that is left to be read, in steps of bytes_max; valid until the next. */
const char *journal_case_read(struct journal_case *it, size_t bytes_max);

/* The seqs of what is left to be read, a blank behind each, ? if damaged. */
const char *journal_case_read_seqs(struct journal_case *it);

/* Files of the folder; the bytes are NULL where there is none. */
void journal_case_put(struct journal_case *it, const char *name,
    const char *bytes, size_t length);
const char *journal_case_get(struct journal_case *it, const char *name,
    size_t *length);

/* The names of the folder but `lock`, in order, a blank behind each. */
const char *journal_case_list(struct journal_case *it);

/* The bytes of all day files. */
int64_t journal_case_bytes(struct journal_case *it);

/* The seqs of the lines in text. */
void journal_case_list_seqs(const char *text, size_t length,
    struct buffer *seqs);

#endif
