#include "message_store.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "buffer.h"
#include "memory.h"

#define ROOM_KEPT (256 * 1024)
#define LOOK_BYTES (1024 * 1024)	/* then the disk is looked at again */

/* Stands before a message and behind it, so that both ways can be gone. */
struct mark {
	int64_t ts_us;
	uint32_t length;
	uint32_t has_replies;
};

struct message_store {
	int fd;
	int64_t end;
	int64_t look_at;	/* so far there was space */
	struct buffer room;	/* the message at hand */
};

/* Not every file system can make a file that never had a name. */
static int
open_nameless(const char *path)
{
	struct buffer name = { 0 };
	char *folder = xstrdup(path);
	int fd = open(dirname(folder), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd == -1 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		buffer_printf(&name, "%s.XXXXXX", path);
		buffer_string(&name);
		fd = mkostemp(name.data, O_CLOEXEC);
		if (fd != -1)
			unlink(name.data);
		buffer_free(&name);
	}
	free(folder);
	return fd;
}

struct message_store *
message_store_new(const char *path)
{
	struct message_store *store;
	int fd = open_nameless(path);

	if (fd == -1)
		return NULL;
	store = xcalloc(1, sizeof *store);
	store->fd = fd;
	return store;
}

void
message_store_free(struct message_store *store)
{
	if (store == NULL)
		return;
	close(store->fd);
	buffer_free(&store->room);
	free(store);
}

int64_t
message_store_end(const struct message_store *store)
{
	return store->end;
}

/* Room for one that follows; a large one is not kept for ever. */
static void
empty_room(struct message_store *store)
{
	store->room.length = 0;
	if (store->room.capacity > ROOM_KEPT)
		buffer_free(&store->room);
}

/*
 * The journal stands on the same disk. A file system that does not tell how
 * large it is has to refuse by itself.
 */
static bool
has_space(struct message_store *store)
{
	struct statvfs disk;

	if (store->end < store->look_at)
		return true;
	if (fstatvfs(store->fd, &disk) == 0 && disk.f_blocks > 0 &&
	    (uint64_t)disk.f_bavail * disk.f_frsize < MESSAGE_STORE_SPARE)
		return false;
	store->look_at = store->end + LOOK_BYTES;
	return true;
}

static int
write_room(struct message_store *store)
{
	size_t done = 0;

	while (done < store->room.length) {
		ssize_t count = pwrite(store->fd, store->room.data + done,
		    store->room.length - done, store->end + (off_t)done);

		if (count == -1 && errno != EINTR)
			return -1;
		done += count > 0 ? (size_t)count : 0;
	}
	store->end += (int64_t)done;
	return 0;
}

int
message_store_append(struct message_store *store,
    const struct stored_message *message)
{
	struct mark mark = { message->ts_us, (uint32_t)message->length,
	    message->has_replies };
	char *text;

	if (!has_space(store)) {
		errno = ENOSPC;
		return -1;
	}
	empty_room(store);
	buffer_append(&store->room, (const char *)&mark, sizeof mark);
	buffer_append(&store->room, message->text, message->length);
	buffer_append(&store->room, (const char *)&mark, sizeof mark);
	text = store->room.data + sizeof mark;
	for (size_t i = 0; i < message->length; i++)
		if (text[i] == '\n' || text[i] == '\r')
			text[i] = ' ';
	return write_room(store);
}

void
message_store_cut(struct message_store *store, int64_t place)
{
	store->end = place;
	store->look_at = 0;
	if (ftruncate(store->fd, place) == -1)
		return;		/* it is overwritten then */
}

static int
read_at(const struct message_store *store, int64_t place, void *bytes,
    size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t count = pread(store->fd, (char *)bytes + done,
		    length - done, place + (off_t)done);

		if (count == 0)
			errno = EIO;
		if (count == 0 || (count == -1 && errno != EINTR))
			return -1;
		done += count > 0 ? (size_t)count : 0;
	}
	return 0;
}

static int
read_text(struct message_store *store, const struct mark *mark,
    int64_t place, struct stored_message *message)
{
	empty_room(store);
	if (read_at(store, place, buffer_reserve(&store->room, mark->length),
	    mark->length) == -1)
		return -1;
	*message = (struct stored_message){ mark->ts_us,
	    mark->has_replies != 0, store->room.data, mark->length };
	return 1;
}

int
message_store_before(struct message_store *store, int64_t *place,
    struct stored_message *message)
{
	struct mark mark;

	if (*place <= 0)
		return 0;
	*place -= (int64_t)sizeof mark;
	if (read_at(store, *place, &mark, sizeof mark) == -1)
		return -1;
	*place -= mark.length;
	if (read_text(store, &mark, *place, message) == -1)
		return -1;
	*place -= (int64_t)sizeof mark;
	return 1;
}

int
message_store_behind(struct message_store *store, int64_t *place,
    struct stored_message *message)
{
	struct mark mark;

	if (*place >= store->end)
		return 0;
	if (read_at(store, *place, &mark, sizeof mark) == -1)
		return -1;
	*place += (int64_t)sizeof mark;
	if (read_text(store, &mark, *place, message) == -1)
		return -1;
	*place += mark.length + (int64_t)sizeof mark;
	return 1;
}
