/* status: how Ultron is, as its other programs tell in the state folder. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "commands.h"
#include "record.h"
#include "stats_file.h"
#include "words.h"

#define LINE_BYTES_MAX 512

/* A line such as `slack=live since=... connections=2`; "" where none is. */
static void
read_line(const struct request *request, const char *name, char *line)
{
	struct buffer path = { 0 };
	FILE *file;

	line[0] = '\0';
	if (request->settings->running == NULL)
		return;
	buffer_printf(&path, "%s/%s", request->settings->running, name);
	file = fopen(buffer_string(&path), "re");
	buffer_free(&path);
	if (file == NULL)
		return;
	if (fgets(line, LINE_BYTES_MAX, file) == NULL)
		line[0] = '\0';
	fclose(file);
}

/* The word behind `name=`, "" where there is none. */
static void
find_word(const char *line, const char *name, char *word, size_t size)
{
	size_t length = strlen(name);

	word[0] = '\0';
	for (; *line != '\0'; line += strcspn(line, " \n")) {
		line += strspn(line, " \n");
		if (strncmp(line, name, length) == 0 && line[length] == '=') {
			line += length + 1;
			snprintf(word, size, "%.*s",
			    (int)strcspn(line, " \n"), line);
			return;
		}
	}
}

static void
append_since(struct buffer *reply, const char *since)
{
	int64_t us;

	if (clock_parse(since, &us) == -1)
		return;
	buffer_append_string(reply, " since ");
	words_time(reply, us / 1000000);
}

/* Of a noun behind a number. */
static const char *
find_ending(double number)
{
	return number == 1 ? "" : "s";
}

static void
append_reader(struct request *request)
{
	char line[LINE_BYTES_MAX], slack[32], since[40], count[16];

	read_line(request, "slack-reader.status", line);
	find_word(line, "slack", slack, sizeof slack);
	find_word(line, "since", since, sizeof since);
	find_word(line, "connections", count, sizeof count);
	if (*slack == '\0') {
		buffer_append_string(&request->reply,
		    "I do not know how my connection to Slack is.");
		return;
	}
	buffer_append_string(&request->reply, "Slack: ");
	words_quote(&request->reply, slack);
	append_since(&request->reply, since);
	if (*count != '\0')
		buffer_printf(&request->reply, ", %s connection%s", count,
		    find_ending(strtod(count, NULL)));
	buffer_append_string(&request->reply, ".");
}

static double
find_number(const cJSON *object, const char *name)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

static void
append_counts(struct request *request, const cJSON *stats)
{
	const cJSON *classes = cJSON_GetObjectItemCaseSensitive(stats,
	    "classes");
	const char *first = json_string(stats, "uptime");
	double messages = find_number(stats, "total_msg_count");
	double replies = find_number(stats, "replied_msg_count");
	double forwards = find_number(stats, "forwarded_msg_count");

	if (!cJSON_IsObject(stats))
		return;
	buffer_printf(&request->reply, "\n%.0f message%s", messages,
	    find_ending(messages));
	if (first != NULL)
		append_since(&request->reply, first);
	buffer_printf(&request->reply, ", %.1f records a second in the last"
	    " minute", find_number(stats, "rate_1m"));
	buffer_printf(&request->reply, "; of all records %.0f danger, %.0f"
	    " warning, %.0f success; %.0f answer%s, %.0f forward%s.",
	    find_number(classes, "danger"), find_number(classes, "warning"),
	    find_number(classes, "success"), replies, find_ending(replies),
	    forwards, find_ending(forwards));
}

static void
append_sender(struct request *request)
{
	char line[LINE_BYTES_MAX], open[24], oldest[40];

	read_line(request, "slack-send.queue", line);
	find_word(line, "open", open, sizeof open);
	find_word(line, "oldest", oldest, sizeof oldest);
	if (*open == '\0')
		return;
	buffer_printf(&request->reply, "\nTo Slack: %s message%s to be sent",
	    open, find_ending(strtod(open, NULL)));
	if (*oldest != '\0' && strcmp(oldest, "-") != 0) {
		buffer_append_string(&request->reply, ", the oldest");
		append_since(&request->reply, oldest);
	}
	buffer_append_string(&request->reply, ".");
}

static void
append_error(struct request *request, const cJSON *stats)
{
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(stats,
	    "last_error");
	const char *stage = json_string(error, "stage");
	const char *reason = json_string(error, "reason");

	if (!cJSON_IsObject(stats))
		return;
	if (stage == NULL || reason == NULL) {
		buffer_append_string(&request->reply, "\nNo errors recorded"
		    " yet.");
		return;
	}
	buffer_append_string(&request->reply, "\nThe last error: ");
	words_quote(&request->reply, stage);
	buffer_append_string(&request->reply, ", ");
	words_quote(&request->reply, reason);
	buffer_printf(&request->reply, ", in record %.0f.",
	    find_number(error, "seq"));
}

void
status_answer(struct request *request)
{
	cJSON *stats = stats_file_read(request->settings->stats);

	request_greet(request);
	append_reader(request);
	append_counts(request, stats);
	append_sender(request);
	append_error(request, stats);
	if (request->settings->dashboard != NULL)
		buffer_printf(&request->reply, "\n<%s|All of it is on the"
		    " dashboard>", request->settings->dashboard);
	cJSON_Delete(stats);
}
