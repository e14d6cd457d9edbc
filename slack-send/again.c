#include "again.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "events.h"
#include "kept.h"
#include "memory.h"
#include "program.h"

#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 20000000L

struct again {
	int fd;			/* whose lock is ours */
	char *path;
	int set;
	struct event event;
	void (*touched)(void *arg);
	void *arg;
};

static char *
name_file(const char *outbox)
{
	struct buffer path = { 0 };

	buffer_printf(&path, "%s.again", outbox);
	return path.data;
}

static int
open_file(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int
lock(int fd)
{
	const struct timespec pause = { 0, LOCK_PAUSE_NS };
	int result = flock(fd, LOCK_EX | LOCK_NB);

	for (int i = 1; i < LOCK_TRIES && result == -1 &&
	    errno == EWOULDBLOCK; i++) {
		nanosleep(&pause, NULL);
		result = flock(fd, LOCK_EX | LOCK_NB);
	}
	return result;
}

struct again *
again_open(const char *outbox, int *status)
{
	struct again *again = xcalloc(1, sizeof *again);

	again->path = name_file(outbox);
	again->event.fd = -1;
	again->fd = open_file(again->path);
	if (again->fd != -1 && lock(again->fd) == 0)
		return again;
	*status = program_failure(errno);
	if (again->fd != -1 && errno == EWOULDBLOCK)
		warnx("%s is in use by another slack-send", outbox);
	else if (*status != EX_TEMPFAIL || !kept_is_retry())
		warn("open %s", again->path);
	again_close(again);
	return NULL;
}

static void
read_events(void *arg)
{
	char events[4096]
	    __attribute__((aligned(__alignof__(struct inotify_event))));
	struct again *again = arg;

	while (read(again->event.fd, events, sizeof events) > 0)
		;
	again->touched(again->arg);
}

/* Without that a touch is seen at the next start. */
void
again_watch(struct again *again, int set, void (*touched)(void *arg),
    void *arg)
{
	again->set = set;
	again->touched = touched;
	again->arg = arg;
	again->event = (struct event){ .fd = inotify_init1(IN_NONBLOCK |
	    IN_CLOEXEC), .ready = read_events, .arg = again };
	if (again->event.fd == -1 || inotify_add_watch(again->event.fd,
	    again->path, IN_ATTRIB) == -1)
		warn("watch %s", again->path);
	if (again->event.fd != -1)
		events_watch(set, &again->event, EPOLLIN);
}

void
again_close(struct again *again)
{
	if (again == NULL)
		return;
	if (again->event.fd != -1) {
		events_ignore(again->set, &again->event);
		close(again->event.fd);
	}
	if (again->fd != -1)
		close(again->fd);
	free(again->path);
	free(again);
}

bool
again_touch(const char *outbox)
{
	char *path = name_file(outbox);
	int fd = open_file(path);
	bool is_locked = false;

	if (fd == -1 || futimens(fd, NULL) == -1)
		warn("touch %s", path);
	if (fd != -1) {
		is_locked = flock(fd, LOCK_SH | LOCK_NB) == -1;
		close(fd);
	}
	free(path);
	return is_locked;
}
