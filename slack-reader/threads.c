#include "threads.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

struct thread {
	char *channel;
	int64_t parent_us;
	int64_t active_us;
};

struct threads {
	struct thread *threads;
	size_t count;
	size_t most;
};

struct threads *
threads_new(size_t most)
{
	struct threads *threads = xcalloc(1, sizeof *threads);

	threads->most = most;
	return threads;
}

void
threads_free(struct threads *threads)
{
	if (threads == NULL)
		return;
	for (size_t i = 0; i < threads->count; i++)
		free(threads->threads[i].channel);
	free(threads->threads);
	free(threads);
}

/* The one to be written to: the same one, a new one, or the least active. */
static struct thread *
find_place(struct threads *threads, const char *channel, int64_t parent_us)
{
	struct thread *least = NULL;

	for (size_t i = 0; i < threads->count; i++) {
		struct thread *thread = &threads->threads[i];

		if (thread->parent_us == parent_us &&
		    strcmp(thread->channel, channel) == 0)
			return thread;
		if (least == NULL || thread->active_us < least->active_us)
			least = thread;
	}
	if (threads->count == threads->most)
		return least;
	threads->threads = xrealloc(threads->threads,
	    (threads->count + 1) * sizeof *threads->threads);
	threads->threads[threads->count] = (struct thread){ 0 };
	return &threads->threads[threads->count++];
}

void
threads_note(struct threads *threads, const char *channel, int64_t parent_us,
    int64_t active_us)
{
	struct thread *thread = find_place(threads, channel, parent_us);

	if (thread->channel != NULL && thread->active_us >= active_us)
		return;
	thread->active_us = active_us;
	thread->parent_us = parent_us;
	if (thread->channel == NULL || strcmp(thread->channel, channel) != 0) {
		free(thread->channel);
		thread->channel = xstrdup(channel);
	}
}

size_t
threads_list(const struct threads *threads, const char *channel,
    int64_t since_us, int64_t *parents, size_t most)
{
	size_t count = 0;

	for (size_t i = 0; i < threads->count && count < most; i++)
		if (threads->threads[i].active_us >= since_us &&
		    strcmp(threads->threads[i].channel, channel) == 0)
			parents[count++] = threads->threads[i].parent_us;
	return count;
}
