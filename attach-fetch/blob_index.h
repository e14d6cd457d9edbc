/* What is in the spool, known without looking: by hash and by age. */
#ifndef ATTACH_FETCH_BLOB_INDEX_H
#define ATTACH_FETCH_BLOB_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32

/* An id that leads to a blob. */
struct blob_id {
	struct blob_id *next;
	char id[];
};

struct blob {
	unsigned char digest[DIGEST_BYTES];
	int64_t bytes;
	int64_t used_us;	/* since 1970 */
	unsigned pins;		/* must not go while there are any */
	struct blob_id *ids;

	struct blob *chain;	/* of its hash bucket */
	struct blob *older;
	struct blob *newer;
};

/* All zero is an empty index. */
struct blob_index {
	struct blob **buckets;
	size_t bucket_count;
	size_t count;
	int64_t bytes;
	struct blob *oldest;
	struct blob *newest;
};

/* NULL where there is none. */
struct blob *blob_index_find(const struct blob_index *index,
    const unsigned char *digest);

/* Add one that is not there yet, as the newest. It belongs to the index. */
struct blob *blob_index_add(struct blob_index *index,
    const unsigned char *digest, int64_t bytes, int64_t used_us);

/* It was used: now it is the newest. */
void blob_index_touch(struct blob_index *index, struct blob *blob,
    int64_t used_us);

/* Its file was written anew. */
void blob_index_resize(struct blob_index *index, struct blob *blob,
    int64_t bytes);

void blob_index_remove(struct blob_index *index, struct blob *blob);

/* Note that the id leads to the blob; once is enough. */
void blob_index_name(struct blob *blob, const char *id);

/* Put all in the order of their last use. */
void blob_index_sort(struct blob_index *index);

void blob_index_free(struct blob_index *index);

#endif
