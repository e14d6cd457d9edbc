#include "stats_file.h"

#include <stdio.h>

#include "buffer.h"

#define BYTES_MAX (8 * 1024 * 1024)

cJSON *
stats_file_read(const char *path)
{
	FILE *file = path == NULL ? NULL : fopen(path, "re");
	struct buffer text = { 0 };
	char bytes[65536];
	cJSON *stats = NULL;
	size_t count;

	if (file == NULL)
		return NULL;
	while (text.length < BYTES_MAX &&
	    (count = fread(bytes, 1, sizeof bytes, file)) > 0)
		buffer_append(&text, bytes, count);
	fclose(file);
	if (text.length > 0)
		stats = cJSON_ParseWithLength(text.data, text.length);
	buffer_free(&text);
	return stats;
}
