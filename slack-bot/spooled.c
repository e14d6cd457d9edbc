#include "spooled.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#define ID_BYTES_MAX 64
#define NAME_LENGTH 64		/* hex digits */

/* What a link of ids/ leads to; "" where there is none. */
static void
find_name(const char *spool, const char *id, char name[NAME_LENGTH + 1])
{
	struct buffer path = { 0 };
	char target[PATH_MAX];
	ssize_t length;

	buffer_printf(&path, "%s/ids/%s", spool, id);
	length = readlink(buffer_string(&path), target, sizeof target);
	buffer_free(&path);
	name[0] = '\0';
	if (length < NAME_LENGTH || length == sizeof target)
		return;
	memcpy(name, target + length - NAME_LENGTH, NAME_LENGTH);
	name[NAME_LENGTH] = '\0';
	if (strspn(name, "0123456789abcdef") != NAME_LENGTH)
		name[0] = '\0';
}

static bool
is_id(const char *id)
{
	size_t length = strlen(id);

	return length > 0 && length <= ID_BYTES_MAX && strspn(id,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
	    == length;
}

void
spooled_add(struct record *record, const char *spool)
{
	struct buffer json = { 0 };
	const cJSON *file;
	char name[NAME_LENGTH + 1];

	cJSON_ArrayForEach(file, record_array(record, RECORD_FILES)) {
		const char *id = json_string(file, "id");

		if (id == NULL || !is_id(id))
			continue;
		find_name(spool, id, name);
		if (*name == '\0')
			continue;
		buffer_printf(&json, "%c{\"file\":\"%s\",\"status\":\"ok\","
		    "\"path\":\"%s\"}", json.length == 0 ? '[' : ',', id, name);
	}
	if (json.length > 0) {
		buffer_append(&json, "]", 1);
		record_add_json(record, RECORD_FETCHED, json.data, json.length);
	}
	buffer_free(&json);
}
