#include "names.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json_file.h"
#include "memory.h"
#include "record.h"
#include "stamp.h"

struct name {
	char *key;
	char *value;
	size_t place;		/* the first of two with the same key counts */
};

struct table {
	struct name *names;
	size_t count;
	size_t capacity;
};

struct names {
	struct table channels;	/* ids by folder */
	struct table users;	/* names by id */
};

/* Where what is read goes to. */
struct reading {
	struct record *record;
	struct table *table;
};

static void
add_name(struct table *table, const char *key, const char *value)
{
	if (table->count == table->capacity) {
		table->capacity = table->capacity * 2 + 64;
		table->names = xrealloc(table->names,
		    table->capacity * sizeof *table->names);
	}
	table->names[table->count] = (struct name){ xstrdup(key),
	    xstrdup(value), table->count };
	table->count++;
}

static int
compare_names(const void *left, const void *right)
{
	const struct name *a = left, *b = right;
	int order = strcmp(a->key, b->key);

	return order != 0 ? order : a->place < b->place ? -1 : 1;
}

static void
sort_table(struct table *table)
{
	if (table->count > 0)
		qsort(table->names, table->count, sizeof *table->names,
		    compare_names);
}

static int
compare_key(const char *key, const char *wanted, size_t length)
{
	int order = strncmp(key, wanted, length);

	return order != 0 ? order : key[length] != '\0';
}

static const char *
find_name(const struct table *table, const char *key, size_t length)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_key(table->names[middle].key, key, length) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == table->count ||
	    compare_key(table->names[low].key, key, length) != 0)
		return NULL;
	return table->names[low].value;
}

static bool
is_named(const char *name)
{
	return name != NULL && *name != '\0';
}

static void
take_channel(const struct value *value, void *arg)
{
	struct reading *reading = arg;
	const char *id, *name;

	if (value->reason != NULL ||
	    record_parse(reading->record, value->text, value->length) == -1)
		return;
	id = record_string(reading->record, "id");
	name = record_string(reading->record, "name");
	if (is_named(id))	/* the folder of a dialogue is its id */
		add_name(reading->table, is_named(name) ? name : id, id);
}

static void
take_user(const struct value *value, void *arg)
{
	struct reading *reading = arg;
	const cJSON *profile;
	const char *id, *name;

	if (value->reason != NULL ||
	    record_parse(reading->record, value->text, value->length) == -1)
		return;
	id = record_string(reading->record, "id");
	profile = record_object(reading->record, "profile");
	name = json_string(profile, "display_name");
	if (!is_named(name))
		name = json_string(profile, "real_name");
	if (!is_named(name))
		name = record_string(reading->record, "real_name");
	if (!is_named(name))
		name = record_string(reading->record, "name");
	if (is_named(id) && is_named(name))
		add_name(reading->table, id, name);
}

static void
read_table(int folder_fd, const char *path, const char *file,
    void (*take)(const struct value *value, void *arg), struct table *table)
{
	static const char *const none[] = { NULL };
	struct reading reading = { record_new(STAGE, none), table };
	const char *reason;

	if (json_file_read(folder_fd, file, take, &reading, &reason) == -1 &&
	    strcmp(reason, strerror(ENOENT)) != 0)
		warnx("%s/%s: passed over: %s", path, file, reason);
	record_free(reading.record);
}

struct names *
names_read(int folder_fd, const char *path)
{
	static const char *const files[] = {
		"channels.json", "groups.json", "mpims.json", "dms.json"
	};
	struct names *names = xcalloc(1, sizeof *names);

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		read_table(folder_fd, path, files[i], take_channel,
		    &names->channels);
	read_table(folder_fd, path, "users.json", take_user, &names->users);
	sort_table(&names->channels);
	sort_table(&names->users);
	return names;
}

static void
free_table(struct table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		free(table->names[i].key);
		free(table->names[i].value);
	}
	free(table->names);
}

void
names_free(struct names *names)
{
	if (names == NULL)
		return;
	free_table(&names->channels);
	free_table(&names->users);
	free(names);
}

const char *
names_channel_id(const struct names *names, const char *folder)
{
	return find_name(&names->channels, folder, strlen(folder));
}

const char *
names_user(const struct names *names, const char *id, size_t length)
{
	return find_name(&names->users, id, length);
}
