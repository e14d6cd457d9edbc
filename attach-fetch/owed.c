#include "owed.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "buffer.h"
#include "memory.h"
#include "program.h"
#include "spool.h"

#define FILE_BYTES ((off_t)OWED_SLOTS * OWED_SLOT_BYTES)
#define HASH_BYTES 32
#define HASH_DIGITS (2 * HASH_BYTES)

struct owed {
	int folder;		/* borrowed */
	int fd;			/* -1 while the file cannot be made */
	bool is_used[OWED_SLOTS];
	char *old;		/* the file as it was found, or NULL */
	size_t next;		/* slot of it to be looked at */
};

/* The slots get their place on the disk now, where the disk has any. */
static void
reserve(int fd)
{
	static const char zeros[OWED_SLOT_BYTES];
	struct stat status;

	if (fstat(fd, &status) == 0 && status.st_size >= FILE_BYTES &&
	    (off_t)status.st_blocks * 512 >= FILE_BYTES)
		return;
	if (fallocate(fd, 0, 0, FILE_BYTES) == 0 || errno != EOPNOTSUPP)
		return;
	for (off_t at = status.st_size; at < FILE_BYTES;
	    at += OWED_SLOT_BYTES)
		if (pwrite(fd, zeros, sizeof zeros, at) == -1)
			return;
}

/* Its name in the folder is to outlive a power cut, too. */
static int
open_file(struct owed *owed)
{
	if (owed->fd != -1)
		return 0;
	owed->fd = openat(owed->folder, OWED_NAME,
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (owed->fd == -1)
		return -1;
	reserve(owed->fd);
	return fsync(owed->folder);
}

static void
read_file(struct owed *owed)
{
	ssize_t count;
	off_t at = 0;

	owed->old = xcalloc(1, (size_t)FILE_BYTES + 1);
	while (at < FILE_BYTES && (count = pread(owed->fd, owed->old + at,
	    (size_t)(FILE_BYTES - at), at)) != 0)
		if (count > 0)
			at += count;
		else if (errno != EINTR)
			err(program_failure(errno), "read the list of late files");
}

struct owed *
owed_open(int folder)
{
	struct owed *owed = xcalloc(1, sizeof *owed);

	owed->folder = folder;
	owed->fd = -1;
	if (open_file(owed) == -1 && !spool_lacks_room(errno))
		err(program_failure(errno), "open the list of late files in the spool");
	if (owed->fd != -1)
		read_file(owed);
	return owed;
}

void
owed_free(struct owed *owed)
{
	if (owed == NULL)
		return;
	if (owed->fd != -1)
		close(owed->fd);
	free(owed->old);
	free(owed);
}

static void
append_hash(struct buffer *out, const char *bytes, size_t length)
{
	unsigned char hash[HASH_BYTES];

	if (EVP_Digest(bytes, length, hash, NULL, EVP_sha256(), NULL) != 1)
		errx(EX_SOFTWARE, "SHA-256 is not available");
	for (size_t i = 0; i < sizeof hash; i++)
		buffer_printf(out, "%02x", hash[i]);
}

static size_t
count_slots(size_t bytes)
{
	return (bytes + OWED_SLOT_BYTES - 1) / OWED_SLOT_BYTES;
}

static bool
has_hash(const char *text, size_t length)
{
	struct buffer hash = { 0 };
	bool has;

	append_hash(&hash, text + HASH_DIGITS + 1, length - HASH_DIGITS - 1);
	has = memcmp(hash.data, text, HASH_DIGITS) == 0;
	buffer_free(&hash);
	return has;
}

/* Is there an entry that was finished? `text` is ended by NUL. */
static bool
read_entry(const char *text, struct owed_entry *entry)
{
	const char *end = strchr(text, '\n');
	size_t length = end != NULL ? (size_t)(end + 1 - text) : 0;
	char *line;

	if (length <= HASH_DIGITS + 1 || text[HASH_DIGITS] != ' ' ||
	    !has_hash(text, length))
		return false;
	entry->since_us = strtoimax(text + HASH_DIGITS + 1, &line, 10);
	entry->line = line + 1;
	entry->length = (size_t)(end - entry->line);
	entry->place.count = count_slots(length);
	return true;
}

bool
owed_next(struct owed *owed, struct owed_entry *entry)
{
	while (owed->old != NULL && owed->next < OWED_SLOTS) {
		entry->place.slot = owed->next++;
		if (!read_entry(owed->old + entry->place.slot *
		    OWED_SLOT_BYTES, entry))
			continue;
		owed->next += entry->place.count - 1;
		memset(owed->is_used + entry->place.slot, true,
		    entry->place.count);
		return true;
	}
	free(owed->old);
	owed->old = NULL;
	return false;
}

/* The first free slots that stand side by side. */
static bool
find_place(const struct owed *owed, size_t count, struct owed_place *place)
{
	size_t free_slots = 0;

	for (size_t slot = 0; slot < OWED_SLOTS; slot++) {
		free_slots = owed->is_used[slot] ? 0 : free_slots + 1;
		if (free_slots == count) {
			*place = (struct owed_place){
				slot + 1 - count, count };
			return true;
		}
	}
	errno = ENOBUFS;
	return false;
}

static int
write_slots(const struct owed *owed, const struct owed_place *place,
    const char *bytes)
{
	size_t length = place->count * OWED_SLOT_BYTES, done = 0;
	off_t at = (off_t)place->slot * OWED_SLOT_BYTES;

	while (done < length) {
		ssize_t count = pwrite(owed->fd, bytes + done, length - done,
		    at + (off_t)done);

		if (count == -1 && errno != EINTR)
			return -1;
		if (count > 0)
			done += (size_t)count;
	}
	return 0;
}

/* The bytes of an entry, its last slot filled up. */
static void
compose(struct buffer *out, const char *line, size_t length, int64_t since_us)
{
	struct buffer rest = { 0 };
	size_t padding;

	buffer_printf(&rest, "%" PRId64 " ", since_us);
	buffer_append(&rest, line, length);
	buffer_append(&rest, "\n", 1);
	append_hash(out, rest.data, rest.length);
	buffer_append(out, " ", 1);
	buffer_append(out, rest.data, rest.length);
	padding = count_slots(out->length) * OWED_SLOT_BYTES - out->length;
	memset(buffer_reserve(out, padding), 0, padding);
	out->length += padding;
	buffer_free(&rest);
}

int
owed_add(struct owed *owed, const char *line, size_t length, int64_t since_us,
    struct owed_place *place)
{
	struct buffer bytes = { 0 };
	int status = -1, error;

	compose(&bytes, line, length, since_us);
	if (open_file(owed) == 0 &&
	    find_place(owed, bytes.length / OWED_SLOT_BYTES, place) &&
	    write_slots(owed, place, bytes.data) == 0)
		status = fdatasync(owed->fd);
	if (status == 0)
		memset(owed->is_used + place->slot, true, place->count);
	error = errno;
	buffer_free(&bytes);
	errno = error;
	return status;
}

void
owed_remove(struct owed *owed, const struct owed_place *place)
{
	char *zeros = xcalloc(place->count, OWED_SLOT_BYTES);

	if (write_slots(owed, place, zeros) == -1)
		warn("forget a late file");
	memset(owed->is_used + place->slot, false, place->count);
	free(zeros);
}
