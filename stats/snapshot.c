#include "snapshot.h"

#include <cjson/cJSON.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "draft.h"
#include "clock.h"
#include "memory.h"
#include "program.h"
#include "tally.h"

#define SNAPSHOT_BYTES_MAX (8 * 1024 * 1024)

/* The numbers and tallies of the file, by their keys. */
static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
	{ "total_msg_count", offsetof(struct counters, messages) },
	{ "replied_msg_count", offsetof(struct counters, replied) },
	{ "forwarded_msg_count", offsetof(struct counters, forwarded) },
	{ "total_messages_slacked", offsetof(struct counters, relayed) },
	{ "echoes", offsetof(struct counters, echoes) },
	{ "records", offsetof(struct counters, records) },
	{ "seq", offsetof(struct counters, seq) },
	{ "checkpoint", offsetof(struct counters, checkpoint) },
	{ "errors", offsetof(struct counters, errors) },
	{ "attachment_bytes", offsetof(struct counters, attachment_bytes) },
	{ "bytes_scanned", offsetof(struct counters, bytes_scanned) },
	{ "generation", offsetof(struct counters, generation) },
	{ "answered", offsetof(struct counters, answered) },
}, tallies[] = {
	{ "classes", offsetof(struct counters, classes) },
	{ "types", offsetof(struct counters, types) },
	{ "channels", offsetof(struct counters, channels) },
	{ "patterns", offsetof(struct counters, patterns) },
	{ "attachments", offsetof(struct counters, attachments) },
	{ "deliveries", offsetof(struct counters, deliveries) },
	{ "external", offsetof(struct counters, external) },
	{ "hits", offsetof(struct counters, hits) },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void *
at_offset(const struct counters *counters, size_t offset)
{
	return (char *)counters + offset;
}

static cJSON *
make_latency(const struct latency *latency)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "p50",
	    (double)latency_quantile(latency, 0.50) / 1000);
	cJSON_AddNumberToObject(object, "p99",
	    (double)latency_quantile(latency, 0.99) / 1000);
	cJSON_AddNumberToObject(object, "max", (double)latency->max_us / 1000);
	return object;
}

static cJSON *
make_last_error(const struct last_error *last)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "stage", last->stage);
	cJSON_AddStringToObject(object, "reason", last->reason);
	cJSON_AddNumberToObject(object, "seq", (double)last->seq);
	return object;
}

static void
load_last_error(struct last_error *last, const cJSON *object)
{
	const char *stage = json_string(object, "stage");
	const char *reason = json_string(object, "reason");
	const cJSON *seq = json_get(object, "seq");

	if (stage == NULL || reason == NULL || !tally_is_count(seq))
		return;
	last->seq = (int64_t)seq->valuedouble;
	snprintf(last->stage, sizeof last->stage, "%s", stage);
	snprintf(last->reason, sizeof last->reason, "%s", reason);
}

static cJSON *
make_snapshot(const struct counters *counters)
{
	cJSON *root = cJSON_CreateObject();
	int64_t second = clock_steady_s();
	char now[CLOCK_TEXT_BYTES];

	clock_format(clock_now_us(), now);
	cJSON_AddStringToObject(root, "uptime", counters->first_start);
	cJSON_AddStringToObject(root, "snapshot", now);
	cJSON_AddNumberToObject(root, "total_attachments_downloaded",
	    (double)tally_count(counters->attachments, "ok"));
	for (size_t i = 0; i < COUNT(numbers); i++)
		cJSON_AddNumberToObject(root, numbers[i].key, (double)
		    *(int64_t *)at_offset(counters, numbers[i].offset));
	for (size_t i = 0; i < COUNT(tallies); i++)
		cJSON_AddItemToObject(root, tallies[i].key, tally_to_json(
		    *(struct tally **)at_offset(counters, tallies[i].offset)));
	cJSON_AddNumberToObject(root, "rate_1m",
	    rate_over(&counters->rate, second, 60));
	cJSON_AddNumberToObject(root, "rate_5m",
	    rate_over(&counters->rate, second, 300));
	if (counters->last_error.stage[0] != '\0')
		cJSON_AddItemToObject(root, "last_error",
		    make_last_error(&counters->last_error));
	cJSON_AddItemToObject(root, "latency_ms",
	    make_latency(&counters->latency));
	return root;
}

static int
write_all(int fd, const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		ssize_t count = write(fd, text, left);

		if (count == -1 && errno != EINTR)
			return -1;
		if (count > 0) {
			text += count;
			left -= (size_t)count;
		}
	}
	return fdatasync(fd);
}

/*
 * Write the text to a new file and make it durable; -1 with errno set. What
 * stands there from a crash, or for whatever reason, is removed, not opened.
 */
static int
write_durably(const char *path, const char *text)
{
	int error, fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd == -1)
		return -1;
	if (write_all(fd, text) == 0)
		return close(fd);
	error = errno;
	close(fd);
	unlink(path);
	errno = error;
	return -1;
}

int
snapshot_save(const char *path, const struct counters *counters)
{
	cJSON *root = make_snapshot(counters);
	char *text = cJSON_PrintUnformatted(root);
	struct buffer beside = { 0 };
	int status = -1, error;

	buffer_printf(&beside, "%s.new", path);
	if (text == NULL)
		errno = ENOMEM;
	else if (draft_may_replace(path) &&
	    write_durably(buffer_string(&beside), text) == 0)
		status = rename(buffer_string(&beside), path);
	error = errno;
	buffer_free(&beside);
	cJSON_free(text);
	cJSON_Delete(root);
	errno = error;
	return status;
}

/* Does the file hold anything but counts where counts belong? */
static bool
is_damaged(const cJSON *root)
{
	for (size_t i = 0; i < COUNT(numbers); i++) {
		const cJSON *number = cJSON_GetObjectItemCaseSensitive(root,
		    numbers[i].key);

		if (number != NULL && !tally_is_count(number))
			return true;
	}
	return !cJSON_IsObject(root);
}

static void
add_snapshot(struct counters *counters, const cJSON *root)
{
	const char *first_start = json_string(root, "uptime");
	int64_t ignored;

	counters->checkpoint = -1;	/* files of old have none */
	if (first_start != NULL && clock_parse(first_start, &ignored) == 0)
		snprintf(counters->first_start, sizeof counters->first_start,
		    "%s", first_start);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		const cJSON *number = cJSON_GetObjectItemCaseSensitive(root,
		    numbers[i].key);

		if (number != NULL)
			*(int64_t *)at_offset(counters, numbers[i].offset) =
			    (int64_t)number->valuedouble;
	}
	for (size_t i = 0; i < COUNT(tallies); i++)
		tally_add_json(*(struct tally **)at_offset(counters,
		    tallies[i].offset),
		    cJSON_GetObjectItemCaseSensitive(root, tallies[i].key));
	load_last_error(&counters->last_error, json_get(root, "last_error"));
	if (counters->checkpoint < 0 || counters->checkpoint > counters->seq)
		counters->checkpoint = counters->seq;
}

/* The file's content, which the caller frees, or NULL with errno set. Nobody
 * has to write to it, should it be a fifo. */
static char *
read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	FILE *file = fd == -1 ? NULL : fdopen(fd, "r");

	if (file == NULL)
		return NULL;

	char *text = xmalloc(SNAPSHOT_BYTES_MAX + 1);
	size_t length = fread(text, 1, SNAPSHOT_BYTES_MAX, file);
	int error = ferror(file) ? errno : 0;
	if (error != 0) {
		free(text);
		fclose(file);
		errno = error;
		return NULL;
	}
	text[length] = '\0';
	fclose(file);
	return text;
}

int
snapshot_load(const char *path, struct counters *counters)
{
	char *text = read_file(path);

	if (text == NULL && errno == ENOENT)
		return 0;
	if (text == NULL)
		err(program_failure(errno), "read %s", path);

	cJSON *root = cJSON_Parse(text);
	free(text);
	if (is_damaged(root)) {
		warnx("%s: no snapshot of stats; move it away to start anew",
		    path);
		cJSON_Delete(root);
		return -1;
	}
	add_snapshot(counters, root);
	cJSON_Delete(root);
	return 0;
}
