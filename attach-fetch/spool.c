#include "spool.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "blob_index.h"
#include "clock.h"
#include "memory.h"
#include "program.h"
#include "recent.h"

#define SECOND_US INT64_C(1000000)
#define MILLISECOND_NS 1000000
#define ID_BYTES_MAX 64
#define TMP_NAME_BYTES 24

/* A process that was killed holds its lock until it is gone. */
#define LOCK_TRIES 40
#define LOCK_PAUSE_MS 50

/* What a file needs besides its content. */
#define SPARE_BYTES 65536
#define LINK_PREFIX "../"
#define LINK_LENGTH (sizeof LINK_PREFIX - 1 + SPOOL_NAME_BYTES - 1)

struct spool {
	struct spool_limits limits;
	bool is_read_only;
	const char *path;
	int missing;		/* why there is no folder; told when needed */
	int folder;		/* descriptors; -1 where there is no folder */
	int ids;
	int tmp;

	struct blob_index index;	/* empty when read only */
	struct recent *recent;
	int64_t writing_bytes;
	unsigned long created;		/* numbers the files in tmp/ */
};

struct spool_file {
	struct spool *spool;
	char tmp_name[TMP_NAME_BYTES];
	int fd;
	int64_t length;
	EVP_MD_CTX *hash;
	unsigned char digest[DIGEST_BYTES];
};

bool
spool_lacks_room(int error)
{
	return error == ENOSPC || error == EFBIG;
}

static bool
is_full(int error)
{
	return error == EDQUOT || spool_lacks_room(error);
}

/* -1 with errno set; the quota of the disk is not that of the spool. */
static int
fail(void)
{
	if (errno == EDQUOT)
		errno = ENOSPC;
	return -1;
}

static int
sync_folder(int folder)
{
	return fsync(folder) == 0 || errno == EINVAL ? 0 : fail();
}

static void
format_name(const unsigned char *digest, char name[SPOOL_NAME_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < DIGEST_BYTES; i++) {
		name[2 * i] = digits[digest[i] >> 4];
		name[2 * i + 1] = digits[digest[i] & 15];
	}
	name[2 * DIGEST_BYTES] = '\0';
}

static int
read_hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* False where the name is none of a blob. */
static bool
read_name(const char *name, unsigned char *digest)
{
	if (strlen(name) != SPOOL_NAME_BYTES - 1)
		return false;
	for (int i = 0; i < DIGEST_BYTES; i++) {
		int high = read_hex(name[2 * i]);
		int low = read_hex(name[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		digest[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

int
spool_folder(const struct spool *spool)
{
	return spool->folder;
}

bool
spool_is_id(const char *id)
{
	size_t length = strlen(id);

	return length > 0 && length <= ID_BYTES_MAX && strspn(id,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
	    == length;
}

/* Which blob the id's link names; false where there is no such link. */
static bool
read_link(const struct spool *spool, const char *id,
    char name[SPOOL_NAME_BYTES], unsigned char *digest)
{
	char target[LINK_LENGTH + 1];
	ssize_t length = readlinkat(spool->ids, id, target, sizeof target);

	if (length != LINK_LENGTH ||
	    memcmp(target, LINK_PREFIX, strlen(LINK_PREFIX)) != 0)
		return false;
	memcpy(name, target + strlen(LINK_PREFIX), SPOOL_NAME_BYTES - 1);
	name[SPOOL_NAME_BYTES - 1] = '\0';
	return read_name(name, digest);
}

/* Remove a blob and the links that still lead to it. */
static void
evict(struct spool *spool, struct blob *blob)
{
	char name[SPOOL_NAME_BYTES], target[SPOOL_NAME_BYTES];
	unsigned char digest[DIGEST_BYTES];

	for (struct blob_id *id = blob->ids; id != NULL; id = id->next)
		if (read_link(spool, id->id, target, digest) &&
		    memcmp(digest, blob->digest, DIGEST_BYTES) == 0)
			unlinkat(spool->ids, id->id, 0);
	format_name(blob->digest, name);
	if (unlinkat(spool->folder, name, 0) == -1 && errno != ENOENT)
		warn("remove %s from the spool", name);
	blob_index_remove(&spool->index, blob);
}

static int
make_room(struct spool *spool, int64_t bytes)
{
	struct blob *blob = spool->index.oldest;

	while (spool->index.bytes + spool->writing_bytes + bytes >
	    spool->limits.bytes) {
		while (blob != NULL && blob->pins > 0)
			blob = blob->newer;
		if (blob == NULL) {
			errno = EDQUOT;
			return -1;
		}

		struct blob *next = blob->newer;
		evict(spool, blob);
		blob = next;
	}
	return 0;
}

void
spool_expire(struct spool *spool)
{
	if (spool->is_read_only)
		return;

	int64_t limit_us = clock_now_us() - spool->limits.age_s * SECOND_US;
	struct blob *blob = spool->index.oldest;

	recent_forget_before(spool->recent, limit_us);
	while (blob != NULL && blob->used_us < limit_us) {
		struct blob *next = blob->newer;

		if (blob->pins == 0)
			evict(spool, blob);
		blob = next;
	}
}

/* Call take for each name in the folder but those that start with a dot. */
static void
walk(struct spool *spool, int folder,
    void (*take)(struct spool *spool, const char *name))
{
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = copy == -1 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (directory == NULL)
		err(program_failure(errno), "read the spool");
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			take(spool, entry->d_name);
	closedir(directory);
}

static void
take_blob(struct spool *spool, const char *name)
{
	unsigned char digest[DIGEST_BYTES];
	struct stat status;

	if (read_name(name, digest) && fstatat(spool->folder, name, &status,
	    AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
		blob_index_add(&spool->index, digest, status.st_size,
		    status.st_mtim.tv_sec * SECOND_US +
		    status.st_mtim.tv_nsec / 1000);
}

/* A link whose file is gone goes, too. */
static void
take_id(struct spool *spool, const char *id)
{
	char name[SPOOL_NAME_BYTES];
	unsigned char digest[DIGEST_BYTES];

	if (!spool_is_id(id) || !read_link(spool, id, name, digest))
		return;

	struct blob *blob = blob_index_find(&spool->index, digest);
	if (blob != NULL)
		blob_index_name(blob, id);
	else
		unlinkat(spool->ids, id, 0);
}

static void
remove_leftover(struct spool *spool, const char *name)
{
	/* what we make there has a number for a name; the rest is not ours */
	if (name[strspn(name, "0123456789")] != '\0')
		return;
	if (unlinkat(spool->tmp, name, 0) == -1)
		warn("remove a leftover from the spool");
}

/* The spool may be a link of its owner's, what is in it may not. */
static int
open_folder(int parent, const char *path)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	bool is_inside = parent != AT_FDCWD;
	int folder = openat(parent, path, is_inside ? flags | O_NOFOLLOW
	    : flags);

	if (folder == -1 && is_inside && (errno == ENOTDIR || errno == ELOOP))
		errx(EX_CONFIG, "%s in the spool is a symbolic link or a file:"
		    " it has to be a folder", path);
	return folder;
}

static int
make_folder(int parent, const char *path)
{
	if (mkdirat(parent, path, 0700) == -1 && errno != EEXIST)
		err(program_failure(errno),
		    "make the folder %s of the spool", path);

	int folder = open_folder(parent, path);
	if (folder == -1)
		err(program_failure(errno), "open the folder %s of the spool",
		    path);
	return folder;
}

/* Two that evict from one folder would pull files from under each other. */
static void
lock(const struct spool *spool, const char *path)
{
	const struct timespec pause = { 0, LOCK_PAUSE_MS * MILLISECOND_NS };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(spool->folder, LOCK_EX | LOCK_NB) == 0)
			return;
		if (errno != EWOULDBLOCK)
			err(program_failure(errno), "lock the spool %s", path);
		nanosleep(&pause, NULL);
	}
	errx(EX_TEMPFAIL, "another process writes to the spool %s", path);
}

/* Names that a killed process gave, and the spool's own, are to survive a
 * power cut, too. */
static void
sync_names(const struct spool *spool)
{
	int parent = openat(spool->folder, "..",
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent != -1) {
		fsync(parent);
		close(parent);
	}
	if (sync_folder(spool->folder) == -1 || sync_folder(spool->ids) == -1)
		warn("make names in the spool durable");
}

struct spool *
spool_open(const char *path, const struct spool_limits *limits)
{
	struct spool *spool = xcalloc(1, sizeof *spool);

	spool->limits = *limits;
	spool->folder = make_folder(AT_FDCWD, path);
	lock(spool, path);
	spool->ids = make_folder(spool->folder, "ids");
	spool->tmp = make_folder(spool->folder, "tmp");
	spool->recent = recent_new(SPOOL_RECENT_MAX, limits->bytes / 2);
	walk(spool, spool->tmp, remove_leftover);
	walk(spool, spool->folder, take_blob);
	walk(spool, spool->ids, take_id);
	sync_names(spool);
	blob_index_sort(&spool->index);
	spool_expire(spool);
	make_room(spool, 0);
	return spool;
}

struct spool *
spool_open_read_only(const char *path)
{
	struct spool *spool = xcalloc(1, sizeof *spool);

	spool->is_read_only = true;
	spool->tmp = -1;
	spool->path = path;
	spool->folder = open_folder(AT_FDCWD, path);
	if (spool->folder == -1)
		spool->missing = errno;
	spool->ids = open_folder(spool->folder, "ids");
	return spool;
}

static void
close_folder(int folder)
{
	if (folder != -1)
		close(folder);
}

void
spool_free(struct spool *spool)
{
	if (spool == NULL)
		return;
	recent_free(spool->recent);
	blob_index_free(&spool->index);
	close_folder(spool->tmp);
	close_folder(spool->ids);
	close_folder(spool->folder);
	free(spool);
}

static void
hold_blob(struct blob *blob, struct spooled *held)
{
	format_name(blob->digest, held->name);
	held->bytes = blob->bytes;
	held->pinned = blob;
	blob->pins++;
}

/*
 * Make the blob the newest, on the disk too, for the next run. False where
 * somebody took the file away.
 */
static bool
touch(struct spool *spool, struct blob *blob)
{
	int64_t now_us = clock_now_us();
	struct timespec now = { now_us / SECOND_US, now_us % SECOND_US * 1000 };
	char name[SPOOL_NAME_BYTES];

	format_name(blob->digest, name);
	if (utimensat(spool->folder, name, (struct timespec[]){ now, now },
	    0) == -1 && errno == ENOENT)
		return false;
	blob_index_touch(&spool->index, blob, now_us);
	return true;
}

static bool
find_indexed(struct spool *spool, const unsigned char *digest,
    struct spooled *found)
{
	struct blob *blob = blob_index_find(&spool->index, digest);

	if (blob == NULL || !touch(spool, blob))
		return false;
	hold_blob(blob, found);
	return true;
}

static bool
find_on_disk(const struct spool *spool, struct spooled *found)
{
	struct stat status;

	if (fstatat(spool->folder, found->name, &status,
	    AT_SYMLINK_NOFOLLOW) == -1 || !S_ISREG(status.st_mode))
		return false;
	found->bytes = status.st_size;
	return true;
}

/* Once, and only where a file is wanted. */
static void
report_missing(struct spool *spool)
{
	if (spool->missing == 0)
		return;
	warnx("no files come from the spool %s: %s", spool->path,
	    strerror(spool->missing));
	spool->missing = 0;
}

bool
spool_find(struct spool *spool, const char *id, struct spooled *found)
{
	unsigned char digest[DIGEST_BYTES];

	*found = (struct spooled){ 0 };
	report_missing(spool);
	if (!spool_is_id(id) || !read_link(spool, id, found->name, digest))
		return false;
	return spool->is_read_only ? find_on_disk(spool, found)
	    : find_indexed(spool, digest, found);
}

void
spool_hold(const struct spooled *held, struct spooled *another)
{
	*another = *held;
	if (another->pinned != NULL)
		another->pinned->pins++;
}

void
spool_release(struct spooled *held)
{
	if (held->pinned != NULL)
		held->pinned->pins--;
	held->pinned = NULL;
}

void
spool_release_later(struct spool *spool, struct spooled *held)
{
	if (held->pinned != NULL)
		recent_add(spool->recent, held->pinned, clock_now_us());
	held->pinned = NULL;
}

/* Returns a descriptor, or -1 with errno set; the name is filled in. */
static int
open_tmp(struct spool *spool, char name[TMP_NAME_BYTES])
{
	int fd;

	snprintf(name, TMP_NAME_BYTES, "%lu", ++spool->created);
	fd = openat(spool->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0600);
	return fd != -1 ? fd : fail();
}

/* Each of these refuses what another one lets pass. */
static bool
can_grow(int fd, off_t bytes)
{
	struct statvfs disk;

	if (fstatvfs(fd, &disk) == 0 && (uint64_t)disk.f_bavail <
	    (uint64_t)bytes / disk.f_frsize)
		return false;
	return (ftruncate(fd, bytes) == 0 &&
	    fallocate(fd, 0, 0, bytes) == 0) || !is_full(errno);
}

bool
spool_has_room(struct spool *spool, int64_t bytes)
{
	char name[TMP_NAME_BYTES];
	int fd = open_tmp(spool, name);
	/* Beyond that old files go for new ones. */
	int64_t left = spool->limits.bytes - spool->index.bytes -
	    spool->writing_bytes;
	bool has_room;

	if (fd == -1)
		return !spool_lacks_room(errno);
	has_room = can_grow(fd, bytes + SPARE_BYTES < left
	    ? bytes + SPARE_BYTES : left);
	unlinkat(spool->tmp, name, 0);
	close(fd);
	return has_room;
}

struct spool_file *
spool_create(struct spool *spool)
{
	struct spool_file *file = xcalloc(1, sizeof *file);

	file->spool = spool;
	file->fd = open_tmp(spool, file->tmp_name);
	if (file->fd == -1) {
		free(file);
		return NULL;
	}
	file->hash = EVP_MD_CTX_new();
	if (file->hash == NULL ||
	    EVP_DigestInit_ex(file->hash, EVP_sha256(), NULL) != 1)
		errx(EX_SOFTWARE, "SHA-256 is not available");
	return file;
}

static int
write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = write(fd, bytes, length);

		if (count == -1 && errno != EINTR)
			return fail();
		if (count > 0) {
			bytes += count;
			length -= (size_t)count;
		}
	}
	return 0;
}

int
spool_append(struct spool_file *file, const char *bytes, size_t length)
{
	if (make_room(file->spool, (int64_t)length) == -1 ||
	    write_all(file->fd, bytes, length) == -1)
		return -1;
	EVP_DigestUpdate(file->hash, bytes, length);
	file->length += (int64_t)length;
	file->spool->writing_bytes += (int64_t)length;
	return 0;
}

int64_t
spool_length(const struct spool_file *file)
{
	return file->length;
}

int
spool_finish(struct spool_file *file, char name[SPOOL_NAME_BYTES])
{
	int fd = file->fd;

	EVP_DigestFinal_ex(file->hash, file->digest, NULL);
	format_name(file->digest, name);
	if (fdatasync(fd) == -1)
		return fail();
	file->fd = -1;
	return close(fd) == 0 ? 0 : fail();
}

/* Make ids/ID lead to the blob, whatever it led to before. */
static int
link_id(struct spool *spool, const char *id, const char *name)
{
	char target[LINK_LENGTH + 1], tmp_name[TMP_NAME_BYTES];

	snprintf(target, sizeof target, LINK_PREFIX "%s", name);
	snprintf(tmp_name, sizeof tmp_name, "%lu", ++spool->created);
	if (symlinkat(target, spool->tmp, tmp_name) == -1)
		return fail();
	if (renameat(spool->tmp, tmp_name, spool->ids, id) == 0)
		return 0;
	int error = errno;
	unlinkat(spool->tmp, tmp_name, 0);
	errno = error;
	return fail();
}

/* The same content may be there already, undamaged: then that stays. */
static struct blob *
place(struct spool_file *file, const char *name)
{
	struct spool *spool = file->spool;
	struct blob *blob = blob_index_find(&spool->index, file->digest);

	if (blob != NULL && blob->bytes == file->length && touch(spool, blob))
		return blob;
	if (renameat(spool->tmp, file->tmp_name, spool->folder, name) == -1) {
		fail();
		return NULL;
	}
	file->tmp_name[0] = '\0';
	if (blob != NULL)
		blob_index_resize(&spool->index, blob, file->length);
	else
		blob = blob_index_add(&spool->index, file->digest,
		    file->length, 0);
	touch(spool, blob);
	return blob;
}

/* A link that cannot be made costs a download later, no more. */
static int
name_blob(struct spool *spool, struct blob *blob, const char *id)
{
	char name[SPOOL_NAME_BYTES];

	format_name(blob->digest, name);
	if (id != NULL && spool_is_id(id)) {
		if (link_id(spool, id, name) == 0)
			blob_index_name(blob, id);
		else if (spool_lacks_room(errno))
			return -1;
		else
			warn("link a file id in the spool");
	}
	return sync_folder(spool->folder) == 0 ? sync_folder(spool->ids) : -1;
}

int
spool_keep(struct spool_file *file, const char *id, struct spooled *kept)
{
	char name[SPOOL_NAME_BYTES];
	int status = -1;

	format_name(file->digest, name);

	struct blob *blob = place(file, name);
	if (blob != NULL)
		status = name_blob(file->spool, blob, id);
	if (status == 0)
		hold_blob(blob, kept);

	int error = errno;
	spool_discard(file);
	errno = error;
	return status;
}

void
spool_explain(int error, char *reason, size_t reason_size)
{
	if (error == EDQUOT)
		snprintf(reason, reason_size, "spool full");
	else
		snprintf(reason, reason_size, "write to the spool: %s",
		    strerror(error));
}

void
spool_discard(struct spool_file *file)
{
	if (file == NULL)
		return;
	if (file->fd != -1)
		close(file->fd);
	if (file->tmp_name[0] != '\0')
		unlinkat(file->spool->tmp, file->tmp_name, 0);
	file->spool->writing_bytes -= file->length;
	EVP_MD_CTX_free(file->hash);
	free(file);
}
