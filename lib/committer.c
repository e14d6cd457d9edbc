#include "committer.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "memory.h"

struct committer {
	int (*commit)(void *arg);
	void *arg;
	pthread_t thread;
	int wanted;		/* tells the thread */
	int done;		/* tells the owner */
	bool is_begun;		/* for the owner alone */

	/* whose turn it is may touch these */
	bool is_over;
	int result;
};

/* An eventfd, like a semaphore that can be polled. */
static int
open_turn(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	if (fd == -1)
		err(EX_OSERR, "eventfd");
	return fd;
}

static void
give_turn(int fd)
{
	const uint64_t one = 1;

	while (write(fd, &one, sizeof one) == -1)
		if (errno != EINTR)
			err(EX_OSERR, "eventfd");
}

static void
wait_turn(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof count) == -1)
		if (errno != EINTR)
			err(EX_OSERR, "eventfd");
}

static void *
work(void *arg)
{
	struct committer *committer = arg;

	for (;;) {
		wait_turn(committer->wanted);
		if (committer->is_over)
			return NULL;
		committer->result = committer->commit(committer->arg);
		give_turn(committer->done);
	}
}

struct committer *
committer_new(int (*commit)(void *arg), void *arg)
{
	struct committer *committer = xcalloc(1, sizeof *committer);
	sigset_t all, before;

	committer->commit = commit;
	committer->arg = arg;
	committer->wanted = open_turn();
	committer->done = open_turn();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&committer->thread, NULL, work, committer);
	if (errno != 0)
		err(EX_OSERR, "pthread_create");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return committer;
}

void
committer_free(struct committer *committer)
{
	if (committer == NULL)
		return;
	if (committer->is_begun)
		committer_finish(committer);
	committer->is_over = true;
	give_turn(committer->wanted);
	pthread_join(committer->thread, NULL);
	close(committer->wanted);
	close(committer->done);
	free(committer);
}

void
committer_begin(struct committer *committer)
{
	committer->is_begun = true;
	give_turn(committer->wanted);
}

int
committer_descriptor(const struct committer *committer)
{
	return committer->done;
}

int
committer_finish(struct committer *committer)
{
	wait_turn(committer->done);
	committer->is_begun = false;
	return committer->result;
}
