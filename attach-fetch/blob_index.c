#include "blob_index.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* The digest is a hash already: its first bytes are as good as any. */
static struct blob **
find_bucket(const struct blob_index *index, const unsigned char *digest)
{
	size_t hash;

	memcpy(&hash, digest, sizeof hash);
	return &index->buckets[hash & (index->bucket_count - 1)];
}

struct blob *
blob_index_find(const struct blob_index *index, const unsigned char *digest)
{
	struct blob *blob;

	if (index->count == 0)
		return NULL;
	for (blob = *find_bucket(index, digest); blob != NULL;
	    blob = blob->chain)
		if (memcmp(blob->digest, digest, DIGEST_BYTES) == 0)
			break;
	return blob;
}

static void
link_bucket(struct blob_index *index, struct blob *blob)
{
	struct blob **bucket = find_bucket(index, blob->digest);

	blob->chain = *bucket;
	*bucket = blob;
}

static void
grow(struct blob_index *index)
{
	free(index->buckets);
	index->bucket_count = index->bucket_count > 0 ?
	    index->bucket_count * 2 : 256;
	index->buckets = xcalloc(index->bucket_count, sizeof *index->buckets);
	for (struct blob *blob = index->oldest; blob != NULL;
	    blob = blob->newer)
		link_bucket(index, blob);
}

static void
append_newest(struct blob_index *index, struct blob *blob)
{
	blob->older = index->newest;
	blob->newer = NULL;
	if (index->newest != NULL)
		index->newest->newer = blob;
	else
		index->oldest = blob;
	index->newest = blob;
}

static void
unlink_age(struct blob_index *index, struct blob *blob)
{
	if (blob->older != NULL)
		blob->older->newer = blob->newer;
	else
		index->oldest = blob->newer;
	if (blob->newer != NULL)
		blob->newer->older = blob->older;
	else
		index->newest = blob->older;
}

struct blob *
blob_index_add(struct blob_index *index, const unsigned char *digest,
    int64_t bytes, int64_t used_us)
{
	struct blob *blob = xcalloc(1, sizeof *blob);

	if (index->count >= index->bucket_count)
		grow(index);
	memcpy(blob->digest, digest, DIGEST_BYTES);
	blob->bytes = bytes;
	blob->used_us = used_us;
	link_bucket(index, blob);
	append_newest(index, blob);
	index->count++;
	index->bytes += bytes;
	return blob;
}

void
blob_index_touch(struct blob_index *index, struct blob *blob, int64_t used_us)
{
	unlink_age(index, blob);
	append_newest(index, blob);
	blob->used_us = used_us;
}

void
blob_index_resize(struct blob_index *index, struct blob *blob, int64_t bytes)
{
	index->bytes += bytes - blob->bytes;
	blob->bytes = bytes;
}

static void
free_blob(struct blob *blob)
{
	while (blob->ids != NULL) {
		struct blob_id *next = blob->ids->next;

		free(blob->ids);
		blob->ids = next;
	}
	free(blob);
}

void
blob_index_remove(struct blob_index *index, struct blob *blob)
{
	struct blob **link = find_bucket(index, blob->digest);

	while (*link != blob)
		link = &(*link)->chain;
	*link = blob->chain;
	unlink_age(index, blob);
	index->count--;
	index->bytes -= blob->bytes;
	free_blob(blob);
}

void
blob_index_name(struct blob *blob, const char *id)
{
	struct blob_id *name;

	for (name = blob->ids; name != NULL; name = name->next)
		if (strcmp(name->id, id) == 0)
			return;
	name = xmalloc(sizeof *name + strlen(id) + 1);
	strcpy(name->id, id);
	name->next = blob->ids;
	blob->ids = name;
}

/* Of the same time by digest, so that the order is always the same. */
static int
compare_age(const void *left, const void *right)
{
	const struct blob *one = *(struct blob *const *)left;
	const struct blob *other = *(struct blob *const *)right;

	if (one->used_us != other->used_us)
		return one->used_us < other->used_us ? -1 : 1;
	return memcmp(one->digest, other->digest, DIGEST_BYTES);
}

void
blob_index_sort(struct blob_index *index)
{
	struct blob **blobs = xcalloc(index->count + 1, sizeof(struct blob *));
	size_t count = 0;

	for (struct blob *blob = index->oldest; blob != NULL;
	    blob = blob->newer)
		blobs[count++] = blob;
	qsort(blobs, count, sizeof(struct blob *), compare_age);
	index->oldest = index->newest = NULL;
	for (size_t i = 0; i < count; i++)
		append_newest(index, blobs[i]);
	free(blobs);
}

void
blob_index_free(struct blob_index *index)
{
	while (index->oldest != NULL) {
		struct blob *newer = index->oldest->newer;

		free_blob(index->oldest);
		index->oldest = newer;
	}
	free(index->buckets);
	*index = (struct blob_index){ 0 };
}
