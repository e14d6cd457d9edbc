#include "status.h"

#include <stdio.h>

#include "buffer.h"
#include "clock.h"

static void
print_line(FILE *stream, const char *name, const struct stage *stage,
    size_t lines)
{
	char since[CLOCK_TEXT_BYTES];

	clock_format(stage->since_us, since);
	fprintf(stream, "%s\t%d\t%s\t%lu\t%zu\n", name, (int)stage->pid,
	    since, stage->starts > 0 ? stage->starts - 1 : 0, lines);
}

int
status_write(const char *path, const char *name, const struct stage *stage,
    size_t lines)
{
	struct buffer beside = { 0 };
	int status = 0;
	FILE *file;

	if (path == NULL) {
		print_line(stderr, name, stage, lines);
		return 0;
	}
	buffer_printf(&beside, "%s.new", path);
	file = fopen(buffer_string(&beside), "we");
	if (file != NULL)
		print_line(file, name, stage, lines);
	if (file == NULL || fclose(file) == EOF ||
	    rename(buffer_string(&beside), path) == -1)
		status = -1;
	buffer_free(&beside);
	return status;
}
