#include "export.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "day.h"
#include "json_file.h"
#include "memory.h"
#include "names.h"
#include "slack_time.h"
#include "stamp.h"

/* The files of one day are in memory together. */
#define DAY_BYTES_MAX (512 * 1024 * 1024)
#define DAY_FILE "dddd-dd-dd.json"	/* a d is a digit */
#define COMPLAINTS_MAX 20

struct channel {
	char *folder;
	const char *id;
};

/* A file of messages: one channel, one day. */
struct day_file {
	char name[sizeof DAY_FILE];
	bool passed_over;
	size_t channel;
	uint64_t bytes;
};

struct export {
	int folder_fd;
	char *path;
	struct names *names;
	size_t complaints;

	struct channel *channels;
	size_t channel_count;
	size_t channel_capacity;

	struct day_file *files;		/* by day, then by channel */
	size_t file_count;
	size_t file_capacity;
	uint64_t bytes;

	size_t next_file;		/* the first one behind the day */
	uint64_t bytes_before;		/* in the files before the day */
	uint64_t bytes_of_day;

	struct day day;
	const struct day_message *message;	/* the one at hand */
};

/* A folder that is looked through. */
struct folder {
	struct export *export;
	const char *name;		/* NULL: the export itself */
	int fd;
	size_t channel;
};

/* Where the messages of a file go to. */
struct reading {
	struct export *export;
	struct record *record;
	size_t channel;
	int64_t time_us;		/* of the message before */
};

static void
complain(struct export *export, const char *folder, const char *name,
    const char *reason)
{
	export->complaints++;
	if (export->complaints <= COMPLAINTS_MAX)
		warnx("%s/%s%s%s: passed over: %s", export->path,
		    folder != NULL ? folder : "", folder != NULL ? "/" : "",
		    name, reason);
}

/* Part of an export, but with no messages in it. */
static bool
is_other_part(const char *name)
{
	static const char *const parts[] = {
		"channels.json", "groups.json", "dms.json", "mpims.json",
		"users.json", "org_users.json", "integration_logs.json",
		"canvases.json", "content_flags.json", "lists.json",
		"huddle_transcripts.json", "file_conversations.json",
	};

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (strcmp(name, parts[i]) == 0)
			return true;
	return false;
}

static bool
is_day_file(const char *name)
{
	for (size_t i = 0; i < sizeof DAY_FILE; i++)
		if (DAY_FILE[i] == 'd' ? name[i] < '0' || name[i] > '9'
		    : name[i] != DAY_FILE[i])
			return false;
	return true;
}

static const char *
describe_type(mode_t mode)
{
	if (S_ISLNK(mode))
		return "a symbolic link";
	if (S_ISDIR(mode))
		return "a folder within a channel";
	return S_ISREG(mode) ? "not part of an export" : "no regular file";
}

static void
add_channel(struct export *export, const char *folder)
{
	if (export->channel_count == export->channel_capacity) {
		export->channel_capacity = export->channel_capacity * 2 + 16;
		export->channels = xrealloc(export->channels,
		    export->channel_capacity * sizeof *export->channels);
	}
	export->channels[export->channel_count++] = (struct channel){
		xstrdup(folder), names_channel_id(export->names, folder)
	};
}

static void
add_file(struct export *export, size_t channel, const char *name,
    uint64_t bytes)
{
	struct day_file *file;

	if (export->file_count == export->file_capacity) {
		export->file_capacity = export->file_capacity * 2 + 64;
		export->files = xrealloc(export->files,
		    export->file_capacity * sizeof *export->files);
	}
	file = &export->files[export->file_count++];
	*file = (struct day_file){ .channel = channel, .bytes = bytes };
	memcpy(file->name, name, sizeof file->name);
	export->bytes += bytes;
}

/* What lies in the export's own folder: channels, and other parts. */
static void
look_at_part(const struct folder *folder, const char *name)
{
	struct export *export = folder->export;
	struct stat status;

	if (fstatat(folder->fd, name, &status, AT_SYMLINK_NOFOLLOW) == -1)
		complain(export, NULL, name, strerror(errno));
	else if (S_ISDIR(status.st_mode))
		add_channel(export, name);
	else if (!is_other_part(name))
		complain(export, NULL, name, describe_type(status.st_mode));
}

/* What lies in the folder of a channel: days. */
static void
look_at_day(const struct folder *folder, const char *name)
{
	struct export *export = folder->export;
	struct stat status;

	if (fstatat(folder->fd, name, &status, AT_SYMLINK_NOFOLLOW) == -1)
		complain(export, folder->name, name, strerror(errno));
	else if (S_ISREG(status.st_mode) && is_day_file(name))
		add_file(export, folder->channel, name,
		    (uint64_t)status.st_size);
	else
		complain(export, folder->name, name,
		    describe_type(status.st_mode));
}

/* Look at all that lies in a folder; its descriptor is closed. */
static void
list_folder(const struct folder *folder,
    void (*look)(const struct folder *folder, const char *name))
{
	DIR *stream = folder->fd != -1 ? fdopendir(folder->fd) : NULL;
	struct dirent *entry;

	if (stream == NULL) {
		complain(folder->export, NULL,
		    folder->name != NULL ? folder->name : ".",
		    strerror(errno));
		return;
	}
	while ((entry = readdir(stream)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			look(folder, entry->d_name);
	closedir(stream);
}

static int
open_folder(int folder_fd, const char *name)
{
	return openat(folder_fd, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int
compare_channels(const void *left, const void *right)
{
	const struct channel *a = left, *b = right;

	return strcmp(a->folder, b->folder);
}

static int
compare_files(const void *left, const void *right)
{
	const struct day_file *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	return order != 0 ? order : a->channel < b->channel ? -1 : 1;
}

static void
find_files(struct export *export)
{
	struct folder folder = {
		.export = export,
		.fd = open_folder(export->folder_fd, "."),
	};

	list_folder(&folder, look_at_part);
	if (export->channel_count > 0)
		qsort(export->channels, export->channel_count,
		    sizeof *export->channels, compare_channels);
	for (size_t i = 0; i < export->channel_count; i++) {
		folder.name = export->channels[i].folder;
		folder.fd = open_folder(export->folder_fd, folder.name);
		folder.channel = i;
		list_folder(&folder, look_at_day);
	}
	if (export->file_count > 0)
		qsort(export->files, export->file_count,
		    sizeof *export->files, compare_files);
}

struct export *
export_open(int folder_fd, const char *path)
{
	struct export *export = xcalloc(1, sizeof *export);

	export->folder_fd = folder_fd;
	export->path = xstrdup(path);
	export->names = names_read(folder_fd, path);
	find_files(export);
	if (export->file_count > 0)
		return export;
	warnx("%s: no CHANNEL/YYYY-MM-DD.json in it: is it a Slack export?",
	    path);
	export_free(export);
	return NULL;
}

void
export_free(struct export *export)
{
	if (export == NULL)
		return;
	if (export->complaints > COMPLAINTS_MAX)
		warnx("%s: passed over: %zu more", export->path,
		    export->complaints - COMPLAINTS_MAX);
	for (size_t i = 0; i < export->channel_count; i++)
		free(export->channels[i].folder);
	free(export->channels);
	free(export->files);
	day_free(&export->day);
	names_free(export->names);
	free(export->path);
	close(export->folder_fd);
	free(export);
}

/* A message without a time stays behind the one before it in its file. */
static void
take_message(const struct value *value, void *arg)
{
	struct reading *reading = arg;

	if (value->reason == NULL &&
	    record_parse(reading->record, value->text, value->length) == 0)
		slack_time(reading->record, &reading->time_us);
	day_add(&reading->export->day, value, reading->time_us,
	    reading->channel);
}

static int
read_day_file(struct reading *reading, const struct day_file *file,
    const char **reason)
{
	const char *folder = reading->export->channels[file->channel].folder;
	int status, fd = open_folder(reading->export->folder_fd, folder);

	if (fd == -1) {
		*reason = strerror(errno);
		return -1;
	}
	status = json_file_read(fd, file->name, take_message, reading,
	    reason);
	close(fd);
	return status;
}

static void
load_file(struct export *export, struct day_file *file)
{
	static const char *const none[] = { NULL };
	struct reading reading = {
		.export = export,
		.record = record_new(STAGE, none),
		.channel = file->channel,
	};
	const char *reason = "its day is larger than 512 MiB";

	if (export->bytes_of_day + file->bytes > DAY_BYTES_MAX ||
	    read_day_file(&reading, file, &reason) == -1) {
		file->passed_over = true;
		complain(export, export->channels[file->channel].folder,
		    file->name, reason);
	} else {
		export->bytes_of_day += file->bytes;
	}
	record_free(reading.record);
}

static void
load_day(struct export *export)
{
	const char *day = export->files[export->next_file].name;

	export->bytes_before += export->bytes_of_day;
	export->bytes_of_day = 0;
	day_empty(&export->day);
	while (export->next_file < export->file_count &&
	    strcmp(export->files[export->next_file].name, day) == 0) {
		struct day_file *file = &export->files[export->next_file++];

		if (!file->passed_over)
			load_file(export, file);
	}
	day_sort(&export->day);
}

bool
export_next(struct export *export, struct value *value)
{
	while ((export->message = day_next(&export->day)) == NULL) {
		if (export->next_file == export->file_count)
			return false;
		load_day(export);
	}
	*value = export->message->value;
	return true;
}

static void
add_names(const struct export *export, const struct channel *channel,
    struct record *record)
{
	struct buffer json = { 0 };
	const char *user = NULL, *bytes;
	size_t length;

	if (record_raw(record, RECORD_USER, &bytes, &length) && length > 2)
		user = names_user(export->names, bytes + 1, length - 2);
	if (user != NULL) {
		buffer_append_string(&json, "{\"" RECORD_USER "\":");
		buffer_append_json(&json, user, strlen(user));
	}
	if (channel->id != NULL && strcmp(channel->id, channel->folder) != 0) {
		buffer_append_string(&json, json.length > 0
		    ? ",\"" RECORD_CHANNEL "\":" : "{\"" RECORD_CHANNEL "\":");
		buffer_append_json(&json, channel->folder,
		    strlen(channel->folder));
	}
	if (json.length > 0) {
		buffer_append_string(&json, "}");
		record_add_json(record, RECORD_NAMES, json.data, json.length);
	}
	buffer_free(&json);
}

void
export_complete(const struct export *export, struct record *record)
{
	const struct channel *channel =
	    &export->channels[export->message->channel];
	const char *bytes;
	size_t length;

	if (!record_raw(record, RECORD_CHANNEL, &bytes, &length))
		record_add_string(record, RECORD_CHANNEL,
		    channel->id != NULL ? channel->id : channel->folder);
	if (!record_raw(record, RECORD_NAMES, &bytes, &length))
		add_names(export, channel, record);
}

void
export_rewind(struct export *export)
{
	export->next_file = 0;
	export->bytes_before = 0;
	export->bytes_of_day = 0;
	day_empty(&export->day);
}

uint64_t
export_position(const struct export *export)
{
	if (export->day.count == 0)
		return export->bytes_before + export->bytes_of_day;
	return export->bytes_before + export->bytes_of_day *
	    export->day.next / export->day.count;
}

uint64_t
export_size(const struct export *export)
{
	return export->bytes;
}
