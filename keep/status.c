#include "status.h"

#include <stdio.h>

#include "clock.h"
#include "status_line.h"

int
status_write(const char *path, const char *name, const struct stage *stage,
    size_t lines)
{
	char line[STATUS_LINE_BYTES], since[CLOCK_TEXT_BYTES];

	clock_format(stage->since_us, since);
	snprintf(line, sizeof line, "%.100s\t%d\t%s\t%lu\t%zu", name,
	    (int)stage->pid, since, stage->starts > 0 ? stage->starts - 1 : 0,
	    lines);
	if (path != NULL)
		return status_line_write(path, line);
	fprintf(stderr, "%s\n", line);
	return 0;
}
