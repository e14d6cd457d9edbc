/*
 * The stream's thread decides everything: it hands a matcher to the other
 * thread, goes on, and takes it back compiled. While one is being compiled,
 * and for a while behind it, changes gather, so that many in a row cost little.
 */
#include "prefilter.h"

#include <err.h>
#include <errno.h>
#include <hs/hs.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "clock.h"
#include "matcher.h"
#include "memory.h"

#define WORTH_PATTERNS 24	/* fewer are looked for one by one faster */
#define REST_FACTOR 9		/* times what the last one took */

struct prefilter {
	const struct pattern_set *set;
	struct matcher *matcher;	/* NULL: none as yet */
	struct places others;	/* that it does not look for */
	bool is_stale;		/* another one is due */
	bool is_busy;		/* the thread has one */
	int64_t rest_until_us;

	bool is_off;
	bool has_thread;
	pthread_t thread;

	/* between the threads */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct matcher *wanted;
	struct matcher *made;
	int64_t took_us;
	bool is_over;
	atomic_bool is_ready;	/* made is there, or there will be none */
};

struct prefilter *
prefilter_new(void)
{
	struct prefilter *prefilter = xcalloc(1, sizeof *prefilter);

	prefilter->is_off = hs_valid_platform() != HS_SUCCESS;
	pthread_mutex_init(&prefilter->lock, NULL);
	pthread_cond_init(&prefilter->wake, NULL);
	atomic_init(&prefilter->is_ready, false);
	return prefilter;
}

/* --- the thread ---------------------------------------------------------------*/

/* The next one to compile, or NULL at the end. */
static struct matcher *
wait_for_work(struct prefilter *prefilter)
{
	struct matcher *matcher;

	pthread_mutex_lock(&prefilter->lock);
	while (prefilter->wanted == NULL && !prefilter->is_over)
		pthread_cond_wait(&prefilter->wake, &prefilter->lock);
	matcher = prefilter->is_over ? NULL : prefilter->wanted;
	if (matcher != NULL)
		prefilter->wanted = NULL;
	pthread_mutex_unlock(&prefilter->lock);
	return matcher;
}

static void *
work(void *arg)
{
	struct prefilter *prefilter = arg;
	struct matcher *matcher;

	while ((matcher = wait_for_work(prefilter)) != NULL) {
		int64_t began_us = clock_steady_us();

		if (matcher_compile(matcher) == -1) {
			matcher_free(matcher);
			matcher = NULL;
		}
		/* compiling takes megabytes that nobody needs any more */
		malloc_trim(0);
		pthread_mutex_lock(&prefilter->lock);
		prefilter->made = matcher;
		prefilter->took_us = clock_steady_us() - began_us;
		pthread_mutex_unlock(&prefilter->lock);
		atomic_store(&prefilter->is_ready, true);
	}
	return NULL;
}

/* Signals are the stream's. */
static int
start_thread(struct prefilter *prefilter)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&prefilter->thread, NULL, work, prefilter);
	prefilter->has_thread = errno == 0;
	prefilter->is_off = errno != 0;
	if (prefilter->is_off)
		warn("pthread_create");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return prefilter->is_off ? -1 : 0;
}

void
prefilter_free(struct prefilter *prefilter)
{
	if (prefilter == NULL)
		return;
	pthread_mutex_lock(&prefilter->lock);
	prefilter->is_over = true;
	pthread_cond_signal(&prefilter->wake);
	pthread_mutex_unlock(&prefilter->lock);
	if (prefilter->has_thread)
		pthread_join(prefilter->thread, NULL);
	matcher_free(prefilter->wanted);
	matcher_free(prefilter->made);
	matcher_free(prefilter->matcher);
	places_free(&prefilter->others);
	pthread_cond_destroy(&prefilter->wake);
	pthread_mutex_destroy(&prefilter->lock);
	free(prefilter);
}

/* --- the stream ---------------------------------------------------------------*/

/* Is there so much that the matcher lacks, or has no use for any more? */
static void
bind(struct prefilter *prefilter)
{
	struct matcher *matcher = prefilter->matcher;
	size_t known = matcher != NULL ? matcher_size(matcher) : 0;
	size_t unknown = matcher_bind(matcher, prefilter->set,
	    &prefilter->others);

	prefilter->is_stale = matcher == NULL ? unknown >= WORTH_PATTERNS
	    : unknown > 0 || known > 2 * prefilter->set->count;
}

static void
ask(struct prefilter *prefilter)
{
	if (prefilter->is_busy || prefilter->is_off ||
	    clock_steady_us() < prefilter->rest_until_us ||
	    (!prefilter->has_thread && start_thread(prefilter) == -1))
		return;
	struct matcher *matcher = matcher_new(prefilter->set);
	prefilter->is_stale = false;
	prefilter->is_busy = true;
	pthread_mutex_lock(&prefilter->lock);
	prefilter->wanted = matcher;
	pthread_cond_signal(&prefilter->wake);
	pthread_mutex_unlock(&prefilter->lock);
}

static void
take(struct prefilter *prefilter)
{
	struct matcher *made;

	atomic_store(&prefilter->is_ready, false);
	pthread_mutex_lock(&prefilter->lock);
	made = prefilter->made;
	prefilter->made = NULL;
	prefilter->rest_until_us = clock_steady_us() +
	    REST_FACTOR * prefilter->took_us;
	pthread_mutex_unlock(&prefilter->lock);
	prefilter->is_busy = false;
	if (made == NULL)
		return;
	matcher_free(prefilter->matcher);
	prefilter->matcher = made;
	bind(prefilter);
}

void
prefilter_update(struct prefilter *prefilter, const struct pattern_set *set)
{
	if (prefilter == NULL)
		return;
	prefilter->set = set;
	bind(prefilter);
	if (prefilter->is_stale)
		ask(prefilter);
}

void
prefilter_find(struct prefilter *prefilter, const char *text, size_t length,
    struct places *candidates)
{
	if (atomic_load(&prefilter->is_ready))
		take(prefilter);
	if (prefilter->is_stale)
		ask(prefilter);
	places_copy(candidates, &prefilter->others);
	if (prefilter->matcher != NULL && matcher_find(prefilter->matcher,
	    text, length, candidates) == -1)
		places_fill(candidates, prefilter->set->count);
}
