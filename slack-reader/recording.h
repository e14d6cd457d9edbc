/* What is replayed, wherever it lies: a file, an export's folder, a pipe. */
#ifndef SLACK_READER_RECORDING_H
#define SLACK_READER_RECORDING_H

#include <stdint.h>

#include "record.h"
#include "value_reader.h"

struct recording;

enum recording_result {
	RECORDING_VALUE,
	RECORDING_WAIT,		/* recording_fd is to be waited for */
	RECORDING_END,
	RECORDING_FAILED	/* the reason is reported */
};

/* `-` is standard input. Returns NULL with the reason reported. */
struct recording *recording_open(const char *path);
void recording_free(struct recording *recording);

/*
 * The next value, valid until the next call. Does not block; a request to
 * stop is the end.
 */
enum recording_result recording_next(struct recording *recording,
    struct value *value);

int recording_fd(const struct recording *recording);

/* Add to the record of the value at hand what only the recording knows. */
void recording_complete(const struct recording *recording,
    struct record *record);

/* Start again. Returns 0, or -1 with the reason reported. */
int recording_rewind(struct recording *recording);

/* Bytes: passed, and in all; 0 where that is not known. */
uint64_t recording_position(const struct recording *recording);
uint64_t recording_size(const struct recording *recording);

#endif
