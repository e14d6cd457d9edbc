#include "error_answer.h"

#include <string.h>

#include "record.h"

static void
print_error(const char *stage, const char *reason, int attempts,
    struct buffer *error)
{
	buffer_append_string(error, "{\"stage\":");
	buffer_append_json(error, stage, strlen(stage));
	buffer_append_string(error, ",\"reason\":");
	buffer_append_json(error, reason, strlen(reason));
	buffer_printf(error, ",\"attempts\":%d}", attempts);
}

void
error_answer(const char *stage, const char *reason, int attempts,
    const char *line, size_t length, struct buffer *answer)
{
	static const char *const own[] = { RECORD_ERROR, NULL };
	struct record *record = record_new(stage, own);
	struct buffer carrier = { 0 }, error = { 0 };

	if (record_parse(record, line, length) == -1) {
		record_write_error(&carrier, stage, reason, line, length,
		    length);
		record_parse(record, carrier.data, carrier.length - 1);
	}
	print_error(stage, reason, attempts, &error);
	record_add_json(record, RECORD_ERROR, error.data, error.length);
	record_write(record, answer);
	buffer_free(&error);
	buffer_free(&carrier);
	record_free(record);
}
