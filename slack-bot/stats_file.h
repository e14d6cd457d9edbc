/* What stats counted (man/stats.1), as far as it is told in chat. */
#ifndef SLACK_BOT_STATS_FILE_H
#define SLACK_BOT_STATS_FILE_H

#include <cjson/cJSON.h>

/* The snapshot, for the caller to delete; NULL where there is none to read. */
cJSON *stats_file_read(const char *path);

#endif
