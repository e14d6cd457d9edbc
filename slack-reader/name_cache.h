/*
 * Names by id, the most recently used ones, with the time each was learnt. In
 * a file they are lines {"id":…,"name":…,"at":…}, the least used first.
 */
#ifndef SLACK_READER_NAME_CACHE_H
#define SLACK_READER_NAME_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_CACHE_ID_MAX 64	/* longer ones are not kept */
#define NAME_CACHE_NAME_MAX 256	/* longer ones are cut */

struct name_cache;

/* What is known of an id; name is NULL where it is known to have none. */
struct cached_name {
	const char *name;
	int64_t at_s;		/* since 1970 */
};

struct name_cache *name_cache_new(size_t most);
void name_cache_free(struct name_cache *cache);

/* Is it an id as Slack gives them? */
bool name_cache_is_id(const char *id);

/* Returns NULL where nothing is known; valid until the next change. */
const struct cached_name *name_cache_find(struct name_cache *cache,
    const char *id);

/* Both are copied. */
void name_cache_put(struct name_cache *cache, const char *id,
    const char *name, int64_t at_s);
void name_cache_forget(struct name_cache *cache, const char *id);

/* Take what the file has; lines that make no sense are reported together. */
void name_cache_read(struct name_cache *cache, const char *path);

/*
 * Write all names beside the file and rename. Returns 0, or -1 with errno set;
 * the file is then as it was.
 */
int name_cache_write(const struct name_cache *cache, const char *path);

#endif
