#include "name_cache.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "draft.h"
#include "line_reader.h"
#include "memory.h"
#include "record.h"
#include "stamp.h"
#include "utf8.h"

#define BUCKETS 4096
#define LINE_BYTES_MAX 4096
#define FILE_BYTES_MAX (16 * 1024 * 1024)
#define BLOCK_BYTES (32 * 1024)

struct entry {
	struct cached_name known;
	struct entry *next;	/* in its bucket */
	struct entry *older;	/* by use */
	struct entry *newer;
	char id[];
};

struct name_cache {
	struct entry *buckets[BUCKETS];
	struct entry *oldest;
	struct entry *newest;
	size_t count;
	size_t most;
	uint64_t seed;
};

struct name_cache *
name_cache_new(size_t most)
{
	struct name_cache *cache = xcalloc(1, sizeof *cache);

	cache->most = most;
	if (getrandom(&cache->seed, sizeof cache->seed, 0) == -1)
		cache->seed = (uint64_t)getpid();
	return cache;
}

bool
name_cache_is_id(const char *id)
{
	size_t length = strspn(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz_-");

	return length > 0 && length <= NAME_CACHE_ID_MAX && id[length] == '\0';
}

/* Where the pointer to the entry is, or would be. */
static struct entry **
find_link(struct name_cache *cache, const char *id)
{
	uint64_t hash = cache->seed ^ 0xcbf29ce484222325u;
	struct entry **link;

	for (const char *at = id; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
	link = &cache->buckets[(hash ^ hash >> 32) % BUCKETS];
	while (*link != NULL && strcmp((*link)->id, id) != 0)
		link = &(*link)->next;
	return link;
}

static void
take_from_line(struct name_cache *cache, struct entry *entry)
{
	*(entry->older != NULL ? &entry->older->newer : &cache->oldest) =
	    entry->newer;
	*(entry->newer != NULL ? &entry->newer->older : &cache->newest) =
	    entry->older;
}

static void
make_newest(struct name_cache *cache, struct entry *entry)
{
	entry->older = cache->newest;
	entry->newer = NULL;
	*(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) =
	    entry;
	cache->newest = entry;
}

static void
remove_entry(struct name_cache *cache, struct entry **link)
{
	struct entry *entry = *link;

	*link = entry->next;
	take_from_line(cache, entry);
	cache->count--;
	free((char *)entry->known.name);
	free(entry);
}

void
name_cache_free(struct name_cache *cache)
{
	if (cache == NULL)
		return;
	while (cache->oldest != NULL)
		remove_entry(cache, find_link(cache, cache->oldest->id));
	free(cache);
}

const struct cached_name *
name_cache_find(struct name_cache *cache, const char *id)
{
	struct entry *entry = *find_link(cache, id);

	if (entry == NULL)
		return NULL;
	take_from_line(cache, entry);
	make_newest(cache, entry);
	return &entry->known;
}

void
name_cache_forget(struct name_cache *cache, const char *id)
{
	struct entry **link = find_link(cache, id);

	if (*link != NULL)
		remove_entry(cache, link);
}

static char *
copy_name(const char *name)
{
	size_t length = strlen(name);

	return xstrndup(name, length <= NAME_CACHE_NAME_MAX ? length
	    : utf8_floor(name, NAME_CACHE_NAME_MAX));
}

void
name_cache_put(struct name_cache *cache, const char *id, const char *name,
    int64_t at_s)
{
	struct entry *entry, **link;

	if (!name_cache_is_id(id))
		return;
	entry = xcalloc(1, sizeof *entry + strlen(id) + 1);
	memcpy(entry->id, id, strlen(id));
	entry->known.name = name != NULL ? copy_name(name) : NULL;
	entry->known.at_s = at_s;

	name_cache_forget(cache, id);
	while (cache->count >= cache->most)
		remove_entry(cache, find_link(cache, cache->oldest->id));
	link = find_link(cache, entry->id);
	*link = entry;
	make_newest(cache, entry);
	cache->count++;
}

static bool
take_line(struct name_cache *cache, struct record *record,
    const struct line *line)
{
	const char *id, *name;
	int64_t at_s;

	if (line->length < line->total ||
	    record_parse(record, line->text, line->length) == -1)
		return false;
	id = record_string(record, "id");
	name = record_string(record, "name");
	if (id == NULL || name == NULL || *name == '\0' ||
	    !name_cache_is_id(id) || !record_integer(record, "at", &at_s) || at_s < 0)
		return false;
	name_cache_put(cache, id, name, at_s);
	return true;
}

/* Returns how many lines make no sense. */
static size_t
take_lines(struct name_cache *cache, int fd)
{
	static const char *const none[] = { NULL };
	struct line_reader *reader = line_reader_new(fd, LINE_BYTES_MAX);
	struct record *record = record_new(STAGE, none);
	size_t bad = 0, bytes = 0;
	ssize_t count = 0;
	struct line line;

	while (count != -1 && bytes < FILE_BYTES_MAX &&
	    !line_reader_at_end(reader)) {
		count = line_reader_fill(reader);
		bytes += count > 0 ? (size_t)count : 0;
		while (line_reader_next(reader, &line))
			if (!take_line(cache, record, &line))
				bad++;
	}
	record_free(record);
	line_reader_free(reader);
	return bad;
}

void
name_cache_read(struct name_cache *cache, const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	size_t bad;

	if (fd == -1) {
		if (errno != ENOENT)
			warn("open %s", path);
		return;
	}
	if (fstat(fd, &status) == -1 || !S_ISREG(status.st_mode)) {
		warnx("%s: passed over: no regular file", path);
	} else {
		bad = take_lines(cache, fd);
		if (bad > 0)
			warnx("%s: passed over %zu lines that hold no name",
			    path, bad);
	}
	close(fd);
}

static void
append_entry(struct buffer *out, const struct entry *entry)
{
	buffer_append_string(out, "{\"id\":");
	buffer_append_json(out, entry->id, strlen(entry->id));
	buffer_append_string(out, ",\"name\":");
	buffer_append_json(out, entry->known.name, strlen(entry->known.name));
	buffer_printf(out, ",\"at\":%" PRId64 "}\n", entry->known.at_s);
}

int
name_cache_write(const struct name_cache *cache, const char *path)
{
	struct draft *draft = draft_new(path);
	struct buffer out = { 0 };

	for (const struct entry *entry = cache->oldest; entry != NULL;
	    entry = entry->newer) {
		if (entry->known.name != NULL)
			append_entry(&out, entry);
		if (out.length >= BLOCK_BYTES || entry->newer == NULL) {
			draft_write(draft, out.data, out.length);
			out.length = 0;
		}
	}
	buffer_free(&out);
	return draft_finish(draft, false);
}
